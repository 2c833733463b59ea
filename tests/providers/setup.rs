//! Accounts at both companies, a claim and its token, and what a number is to become.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use phonenumber_operator::claim::{ANNOTATION, Claim, Token};
use phonenumber_operator::clock::{BootClock, Clock};
use phonenumber_operator::number::{
    AccountId, Configuration, E164, Installation, Mark, Origin, Owner, Provider,
    RegulatoryDocuments, Routing,
};
use phonenumber_operator::provider::ProviderApi;
use phonenumber_operator::provider::http::{Client, Reqwest, WriteGate};
use phonenumber_operator::provider::telnyx::Telnyx;
use phonenumber_operator::provider::twilio::{Twilio, TwilioCredentials};
use secrecy::SecretString;
use url::Url;

pub const BOTH: [Provider; 2] = [Provider::Twilio, Provider::Telnyx];
pub const TWILIO_ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const PURCHASE_TIMEOUT: Duration = Duration::from_millis(1500);

/// The account at `provider`, every host of which is at `endpoint`, opened by `secret`.
pub fn company(provider: Provider, endpoint: &Url, secret: &str) -> Box<dyn ProviderApi> {
    company_with(
        provider,
        endpoint,
        secret,
        Arc::new(|| Ok(())),
        Arc::new(BootClock),
    )
}

/// The same behind a gate, with a clock of its own.
pub fn company_with(
    provider: Provider,
    endpoint: &Url,
    secret: &str,
    gate: WriteGate,
    clock: Arc<dyn Clock>,
) -> Box<dyn ProviderApi> {
    let transport = Arc::new(Reqwest::new().unwrap());
    let client = Client::new(transport, gate, clock, PURCHASE_TIMEOUT);
    let secret = SecretString::from(secret);
    let endpoint = Some(endpoint.clone());
    match provider {
        Provider::Twilio => {
            let credentials = TwilioCredentials {
                account_sid: TWILIO_ACCOUNT.into(),
                username: TWILIO_ACCOUNT.into(),
                password: secret,
            };
            Box::new(Twilio::new(client, credentials, endpoint))
        }
        Provider::Telnyx => Box::new(Telnyx::new(client, secret, endpoint)),
    }
}

fn owner() -> Owner {
    Owner {
        namespace: "support".into(),
        name: "nyc".into(),
    }
}

pub fn mark() -> Mark {
    Mark::new(Origin::Bought, &Installation::new("conformance"), &owner())
}

/// A fresh token to buy `number`.
pub fn token(number: &E164) -> Token {
    let now = jiff::Timestamp::now();
    let account = AccountId::new(TWILIO_ACCOUNT);
    let claim = Claim::to_buy(*number, account, &owner(), "u1", "n1".into(), now, now);
    let stored = BTreeMap::from([(ANNOTATION.to_owned(), claim.to_annotation().unwrap())]);
    Token::from_reply(&stored, claim, BootClock.now()).unwrap()
}

/// What a number at `provider` is to become. `connection` and `profile` are Telnyx's.
pub fn configuration(provider: Provider, connection: &str, profile: Option<&str>) -> Configuration {
    let routing = match provider {
        Provider::Twilio => Routing::Twilio {
            voice_url: "https://voice.example.com/twiml".into(),
            sms_url: Some("https://voice.example.com/sms".into()),
            messaging_service_sid: None,
        },
        Provider::Telnyx => Routing::Telnyx {
            connection_id: connection.into(),
            messaging_profile_id: profile.map(str::to_owned),
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
