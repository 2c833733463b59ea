//! Accounts at both companies over any transport, a claim and its token, and what a number is to become.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use telephony::claim::{ANNOTATION, Claim, Token};
use telephony::clock::Instant;
use telephony::number::{
    AccountId, Configuration, E164, Installation, Mark, Origin, Owner, Provider,
    RegulatoryDocuments, Routing,
};
use telephony::provider::ProviderApi;
use telephony::provider::http::Client;
use telephony::provider::telnyx::Telnyx;
use telephony::provider::twilio::{Twilio, TwilioCredentials};
use url::Url;

use crate::emulator::TWILIO_ACCOUNT;

/// Every provider.
pub const BOTH: [Provider; 2] = [Provider::Twilio, Provider::Telnyx];

/// The account at `provider` behind `client`, opened by `secret`. With an `endpoint` every host of it is there.
pub fn company(
    provider: Provider,
    client: Client,
    secret: &str,
    endpoint: Option<Url>,
) -> Box<dyn ProviderApi> {
    let secret = SecretString::from(secret);
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

/// The mark of a number that was bought for `support/nyc`.
pub fn mark() -> Mark {
    Mark::new(Origin::Bought, &Installation::new("hostile"), &owner())
}

/// A token to buy `number` with nonce `n1`. The claim was made `at` this time, and stored `now`.
pub fn token(number: E164, at: Timestamp, now: Instant) -> Token {
    let account = AccountId::new(TWILIO_ACCOUNT);
    let claim = Claim::to_buy(number, account, &owner(), "u1", "n1".into(), at, at);
    let stored = BTreeMap::from([(ANNOTATION.to_owned(), claim.to_annotation().unwrap())]);
    Token::from_reply(&stored, claim, now).unwrap()
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
