//! Waiting until the objects of a world, or the company, are as a test wants them.

use std::time::Duration;

use phonenumber_api::{PhoneNumber, condition};
use serde::Serialize;
use serde_json::Value;

use super::{World, reason, truth};
use crate::emulator::{Emulator, is_purchase, number_of};
use crate::wait::{PATIENCE, until, until_ok};

impl World {
    /// Waits until `done` says so of the PhoneNumber.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        done: impl Fn(&PhoneNumber) -> bool,
    ) -> PhoneNumber {
        self.until_within(PATIENCE, name, what, done).await
    }

    /// The same with a patience of its own.
    pub async fn until_within(
        &self,
        patience: Duration,
        name: &str,
        what: &str,
        done: impl Fn(&PhoneNumber) -> bool,
    ) -> PhoneNumber {
        let ask = async || self.numbers().get(name).await;
        until_answered(patience, &format!("{name} is {what}"), ask, done).await
    }

    /// Waits until `done` says so of the account, which is null once it is gone.
    pub async fn until_account(&self, name: &str, done: impl Fn(&Value) -> bool) -> Value {
        let ask = async || {
            let account = self.accounts().get_opt(name).await?;
            Ok(serde_json::to_value(account).unwrap())
        };
        until_answered(PATIENCE, &format!("{name} becomes so"), ask, done).await
    }

    /// Waits until the PhoneNumber is Ready at its present generation.
    pub async fn until_ready(&self, name: &str) -> PhoneNumber {
        self.until(name, "Ready", |number| {
            let status = number.status.clone().unwrap_or_default();
            status.observed_generation == number.metadata.generation
                && reason(number) == "Ready"
                && truth(number, condition::READY) == "True"
        })
        .await
    }

    /// Waits until an Event with this reason is about the PhoneNumber: Events are written behind what they tell.
    pub async fn until_event(&self, name: &str, reason: &str) {
        let is_told = async || self.events(name).await.iter().any(|it| it == reason);
        until(PATIENCE, reason, is_told).await;
    }

    /// Waits until the PhoneNumber has this reason.
    pub async fn until_reason(&self, name: &str, wanted: &str) -> PhoneNumber {
        self.until(name, wanted, |number| reason(number) == wanted)
            .await
    }

    /// Waits until the PhoneNumber is gone.
    pub async fn until_gone(&self, name: &str) {
        let ask = async || self.numbers().get_opt(name).await;
        let is_gone = |number: &Option<PhoneNumber>| number.is_none();
        until_answered(PATIENCE, &format!("{name} is gone"), ask, is_gone).await;
    }

    /// Waits until the company says so.
    pub async fn until_company(&self, what: &str, done: impl AsyncFn(&Emulator) -> bool) {
        until(PATIENCE, what, async || done(&self.emulator).await).await;
    }

    /// Waits until `number` is sold, or ordered.
    pub async fn until_purchased(&self, number: &str) {
        self.until_company("a purchase", async |company| {
            let ledger = company.ledger().await;
            ledger.iter().any(|entry| {
                number_of(entry) == number && (is_purchase(entry) || entry["deed"] == "order")
            })
        })
        .await;
    }

    /// Waits until the company has `number` as in `wanted`.
    pub async fn until_company_sees(&self, number: &str, wanted: &Value) {
        self.until_company(&wanted.to_string(), async |company| {
            company.number(number).await == *wanted
        })
        .await;
    }
}

/// Asks until `done` agrees with the answer, and returns it. A busy machine may leave a question unanswered.
async fn until_answered<T: Serialize>(
    patience: Duration,
    what: &str,
    ask: impl AsyncFn() -> kube::Result<T>,
    done: impl Fn(&T) -> bool,
) -> T {
    let ask = async || match ask().await {
        Ok(answer) if done(&answer) => Ok(answer),
        answer => Err(shown(&answer)),
    };
    until_ok(patience, what, ask).await
}

/// An answer on one line, without what only the API server wants to know.
fn shown<T: Serialize>(answer: &kube::Result<T>) -> String {
    let mut value = match answer {
        Ok(object) => serde_json::to_value(object).unwrap(),
        Err(error) => return error.to_string(),
    };
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    value.to_string()
}
