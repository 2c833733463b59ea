//! Accounts at both companies behind a transport that answers with whatever it is given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use phonenumber_operator::burki::Burki;
use phonenumber_operator::claim::{ANNOTATION, Claim, Token};
use phonenumber_operator::clock::{Clock, Instant};
use phonenumber_operator::number::{
    AccountId, Configuration, E164, Installation, Mark, Origin, Owner, Provider,
    RegulatoryDocuments, Routing,
};
use phonenumber_operator::provider::ProviderApi;
use phonenumber_operator::provider::http::{Client, Request, Response, Transport, TransportError};
use phonenumber_operator::provider::telnyx::Telnyx;
use phonenumber_operator::provider::twilio::{Twilio, TwilioCredentials};
use secrecy::SecretString;

pub const BOTH: [Provider; 2] = [Provider::Twilio, Provider::Telnyx];
pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
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
        let secret = SecretString::from(SECRET);
        match provider {
            Provider::Twilio => {
                let credentials = TwilioCredentials {
                    account_sid: ACCOUNT.into(),
                    username: ACCOUNT.into(),
                    password: secret,
                };
                Box::new(Twilio::new(self.client(), credentials, None))
            }
            Provider::Telnyx => Box::new(Telnyx::new(self.client(), secret, None)),
        }
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

fn owner() -> Owner {
    Owner {
        namespace: "support".into(),
        name: "nyc".into(),
    }
}

pub fn mark() -> Mark {
    Mark::new(Origin::Bought, &Installation::new("hostile"), &owner())
}

pub fn number() -> E164 {
    NUMBER.parse().unwrap()
}

/// A fresh token to buy [`NUMBER`] with nonce `n1`.
pub fn token() -> Token {
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    let account = AccountId::new(ACCOUNT);
    let claim = Claim::to_buy(number(), account, &owner(), "u1", "n1".into(), at, at);
    let stored = BTreeMap::from([(ANNOTATION.to_owned(), claim.to_annotation().unwrap())]);
    Token::from_reply(&stored, claim, Still.now()).unwrap()
}

pub fn configuration(provider: Provider) -> Configuration {
    let routing = match provider {
        Provider::Twilio => Routing::Twilio {
            voice_url: "https://voice.example.com/twiml".into(),
            sms_url: Some("https://voice.example.com/sms".into()),
            messaging_service_sid: None,
        },
        Provider::Telnyx => Routing::Telnyx {
            connection_id: "11".into(),
            messaging_profile_id: None,
            billing_group_id: None,
        },
    };
    Configuration {
        name: "NYC".into(),
        mark: mark(),
        routing,
        papers: RegulatoryDocuments::default(),
    }
}

/// Runs `future`, which has nothing to wait for.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(future)
}
