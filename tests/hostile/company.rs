//! Accounts at both companies behind a transport that answers with whatever it is given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use phonenumber_operator::burki::Burki;
use phonenumber_operator::claim::Token;
use phonenumber_operator::clock::{Clock, Instant};
use phonenumber_operator::number::{Configuration, E164, Provider};
use phonenumber_operator::provider::ProviderApi;
use phonenumber_operator::provider::http::{Client, Request, Response, Transport, TransportError};
use secrecy::SecretString;
use test_support::company;

pub const NUMBER: &str = "+12125551234";
/// What no text of ours may show.
pub const SECRET: &str = "canary-5f1c0f1e";
pub const DATE: &str = "Fri, 02 Jan 2026 03:04:05 GMT";

/// Gives the answers in turn, the last one again and again, and keeps where it was asked for them.
pub struct Hostile {
    answers: Vec<Response>,
    asked: Mutex<Vec<String>>,
}

impl Hostile {
    pub fn saying(answers: Vec<Response>) -> Arc<Self> {
        Arc::new(Self {
            answers,
            asked: Mutex::default(),
        })
    }

    /// The URLs that were asked.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn client(self: &Arc<Self>) -> Client {
        Client::new(
            self.clone(),
            Arc::new(|| Ok(())),
            Arc::new(Still),
            Duration::from_secs(30),
        )
    }

    pub fn company(self: &Arc<Self>, provider: Provider) -> Box<dyn ProviderApi> {
        company::company(provider, self.client(), SECRET, None)
    }

    pub fn directory(self: &Arc<Self>) -> Burki {
        let origin = "https://api.burki.dev".parse().unwrap();
        Burki::new(self.client(), origin, SecretString::from(SECRET))
    }
}

#[async_trait]
impl Transport for Hostile {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let mut asked = self.asked.lock().unwrap();
        let answer = &self.answers[asked.len().min(self.answers.len() - 1)];
        asked.push(request.url.to_string());
        Ok(answer.clone())
    }
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant::since_boot(Duration::from_secs(1000))
    }
}

/// An answer with a `Date`.
pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Response {
    Response {
        status,
        headers: vec![("date".into(), DATE.into())],
        body: body.into(),
    }
}

pub fn number() -> E164 {
    NUMBER.parse().unwrap()
}

/// A fresh token to buy [`NUMBER`] with nonce `n1`.
pub fn token() -> Token {
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    company::token(number(), at, Still.now())
}

pub fn configuration(provider: Provider) -> Configuration {
    company::configuration(provider, "11", None)
}

/// Runs `future`, which has nothing to wait for.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(future)
}
