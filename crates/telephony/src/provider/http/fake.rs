//! A transport for tests that answers from a list and keeps what it was asked; a claim and its token.

#![allow(clippy::unwrap_used, reason = "what is wrong with a test ends it")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::{Client, Request, Response, Transport, TransportError};
use crate::claim::{ANNOTATION, Claim, ReleaseToken, Token};
use crate::clock::{Clock, Instant};
use crate::number::{AccountId, Installation, Mark, NumberId, Origin, Owner};

/// The `Date` of every answer.
pub const DATE: &str = "Fri, 02 Jan 2026 03:04:05 GMT";

type Result = std::result::Result<Response, TransportError>;

/// Answers in the order given; the clock goes on by a second with each.
#[derive(Default)]
pub struct Fake {
    answers: Mutex<VecDeque<Result>>,
    asked: Mutex<Vec<Request>>,
    seconds: AtomicU64,
}

impl Fake {
    /// A transport that gives these answers.
    pub fn with(answers: impl IntoIterator<Item = Result>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            seconds: AtomicU64::new(1000),
            ..Self::default()
        })
    }

    /// A client over it, whose gate is open.
    pub fn client(self: &Arc<Self>) -> Client {
        self.client_with(|| Ok(()))
    }

    /// A client over it with this gate.
    pub fn client_with(
        self: &Arc<Self>,
        gate: impl Fn() -> std::result::Result<(), &'static str> + Send + Sync + 'static,
    ) -> Client {
        Client::new(
            self.clone(),
            Arc::new(gate),
            self.clone(),
            Duration::from_secs(30),
        )
    }

    /// True if the last request may still leave, this long after it was made.
    pub fn may_leave_after(&self, wait: u64) -> bool {
        self.seconds.fetch_add(wait, Ordering::Relaxed);
        let asked = self.asked.lock().unwrap();
        asked.last().unwrap().departure.ask().is_ok()
    }

    /// What was asked so far: method, path with query, body.
    pub fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|request| {
                let query = request.url.query().map(|query| format!("?{query}"));
                let body = request.body.as_ref().map(|body| format!(" {}", body.text));
                format!(
                    "{:?} {}{}{}",
                    request.method,
                    request.url.path(),
                    query.unwrap_or_default(),
                    body.unwrap_or_default()
                )
            })
            .collect()
    }
}

impl Fake {
    /// The hosts that were asked so far.
    pub fn hosts(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let host = |request: &Request| request.url.host_str().unwrap_or_default().to_owned();
        asked.iter().map(host).collect()
    }
}

#[async_trait]
impl Transport for Fake {
    async fn send(&self, request: Request) -> Result {
        self.asked.lock().unwrap().push(request);
        self.seconds.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers.lock().unwrap().pop_front();
        answer.unwrap_or_else(|| {
            Err(TransportError::Lost(
                "the list of answers is at its end".into(),
            ))
        })
    }
}

impl Clock for Fake {
    fn now(&self) -> Instant {
        Instant::since_boot(Duration::from_secs(self.seconds.load(Ordering::Relaxed)))
    }
}

/// The number that is bought.
pub const NUMBER: &str = "+12125551234";

fn owner(name: &str) -> Owner {
    Owner {
        namespace: "support".into(),
        name: name.into(),
    }
}

/// The mark of the resource `name`.
pub fn mark_of(name: &str) -> Mark {
    Mark::new(Origin::Bought, &Installation::new("test"), &owner(name))
}

/// A token to buy [`NUMBER`] with nonce `n1`, whose claim was sent `age` before the clock's first instant.
pub fn token(account: &str, age: Duration) -> Token {
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    let account = AccountId::new(account);
    let claim = Claim::to_buy(
        NUMBER.parse().unwrap(),
        account,
        &owner("nyc"),
        "u1",
        "n1".into(),
        at,
        at,
    );
    let reply = BTreeMap::from([(ANNOTATION.to_owned(), claim.to_annotation().unwrap())]);
    let sent = Instant::since_boot(Duration::from_secs(1000) - age);
    Token::from_reply(&reply, claim, sent).unwrap()
}

/// A token to release `number`, whose write was sent `age` before the clock's first instant.
pub fn release_token(number: &str, age: Duration) -> ReleaseToken {
    let sent = Instant::since_boot(Duration::from_secs(1000) - age);
    ReleaseToken::of_reply(Some(number), &NumberId::new(number), sent).unwrap()
}

/// An answer with a JSON body.
pub fn json(status: u16, body: Value) -> Result {
    text(status, &body.to_string())
}

/// An answer with any body.
pub fn text(status: u16, body: &str) -> Result {
    Ok(Response {
        status,
        headers: vec![
            ("date".into(), DATE.into()),
            ("x-request-id".into(), "req-1".into()),
        ],
        body: body.as_bytes().to_vec(),
    })
}
