//! What the company of a world was asked for, and what it did.

use serde_json::json;

use super::World;
use crate::emulator::{is_purchase, number_of};

impl World {
    /// Somebody buys `number` by hand, in the account whose key the Secrets hold.
    pub async fn bought_by_somebody_else(&self, provider: &str, number: &str) {
        let account = match provider {
            "twilio" => &self.twilio,
            _ => &self.telnyx,
        };
        let purchase = json!({"provider": provider, "account": account, "number": number});
        self.emulator.post("/console/buy", purchase).await;
    }

    /// The effects at the provider and the directory so far.
    pub async fn effects(&self) -> usize {
        self.emulator.ledger().await.len()
    }

    /// The purchases that were tried so far.
    pub async fn attempts(&self) -> u64 {
        let requests = self.emulator.requests().await;
        let tried = requests.iter().filter(|(name, _)| name.ends_with(" buy"));
        tried.map(|(_, times)| times).sum()
    }

    /// How often an operation was asked for so far, by `side operation`.
    pub async fn asked(&self, operation: &str) -> u64 {
        let requests = self.emulator.requests().await;
        requests.get(operation).copied().unwrap_or_default()
    }

    /// Every number that was paid for by the operator so far.
    pub async fn bought(&self) -> Vec<String> {
        let ledger = self.emulator.ledger().await;
        let bought = ledger
            .iter()
            .filter(|entry| is_purchase(entry) && entry["by"] != "console");
        bought.map(number_of).collect()
    }
}
