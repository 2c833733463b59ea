//! Accounts at both companies at the address of a test, and a claim of this moment.

use std::sync::Arc;
use std::time::Duration;

use phonenumber_operator::claim::Token;
use phonenumber_operator::clock::{BootClock, Clock};
use phonenumber_operator::number::{E164, Provider};
use phonenumber_operator::provider::ProviderApi;
use phonenumber_operator::provider::http::{Client, Reqwest, WriteGate};
use url::Url;

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
    test_support::company::company(provider, client, secret, Some(endpoint.clone()))
}

/// A fresh token to buy `number`.
pub fn token(number: &E164) -> Token {
    test_support::company::token(*number, jiff::Timestamp::now(), BootClock.now())
}
