//! Purchases at Telnyx, and purchases that come alone.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_support::emulator::CONNECTION;

use super::{Bench, at, counts, purchases, waits};
use crate::process::until_quiet;
use crate::witness::Witness;
use crate::world::{INTERVAL, Spent};

/// How many numbers are bought one after the other.
const LONE: usize = 50;

/// How many are bought at Telnyx at once.
const TELNYX: usize = 1000;

/// How often accounts are looked at where that is not to be counted.
const SELDOM: Duration = Duration::from_secs(3600);

impl Bench {
    pub async fn lone_purchases_at_twilio(&mut self) {
        println!("\nBuying {LONE} exact numbers at Twilio, one after the other");
        let keys = json!({"accountSid": "AC00000000000000000000000000000002", "authToken": "emulator-token-2"});
        self.world.account("lone-twilio", "twilio", keys).await;
        let spent = self.alone(
            "lone-twilio",
            |at| json!({"provider": "twilio", "phoneNumber": format!("+1315555{at:04}")}),
        );
        let (waits, spent) = spent.await;
        let mut part = self.table.part("Twilio by exact number, alone");
        part.guide("p50", at(&waits, 0.5), "s", None);
        // A look, the last look, and the purchase. Where many wait, one listing serves the first looks of all, and 2.1 is
        // the budget, which the operator's own tests count.
        counts(&mut part, &spent, LONE, 2.0, 3.1);
    }

    pub async fn purchases_at_telnyx(&mut self) {
        println!("\nBuying {TELNYX} numbers at Telnyx by search, which all wait for the operator");
        let keys = json!({"apiKey": "emulator-key", "connection": CONNECTION});
        self.world.account("telnyx", "telnyx", keys).await;
        let search = json!({"provider": "telnyx", "search": {"country": "US", "areaCode": "212"}});
        let created = self.world.many("telnyx", TELNYX, &search).await;
        self.witness = Witness::of(self.world.client.clone(), "telnyx");
        self.restart_for("telnyx", INTERVAL).await;
        let begun = Instant::now();
        self.witness.until_ready(TELNYX).await;
        until_quiet(self.pid).await;
        let spent = self.world.end().await;
        println!("  calls: {:?}", spent.calls);
        let waits = waits(
            &self.witness,
            created.iter().map(|(name, _)| (name.as_str(), begun)),
        );
        let mut part = self.table.part("Telnyx by search, all standing");
        purchases(&mut part, &waits, self.pid, [None; 3]);
        counts(&mut part, &spent, TELNYX, 3.0, 3.0);
    }

    pub async fn lone_purchases_at_telnyx(&mut self) {
        println!("\nBuying {LONE} exact numbers at Telnyx, one after the other");
        let keys = json!({"apiKey": "emulator-key-2", "connection": "1293384261075731498"});
        self.world.account("lone-telnyx", "telnyx", keys).await;
        let spent = self.alone(
            "lone-telnyx",
            |at| json!({"provider": "telnyx", "phoneNumber": format!("+1415555{at:04}")}),
        );
        let (waits, spent) = spent.await;
        let mut part = self.table.part("Telnyx by exact number, alone");
        part.guide("p50", at(&waits, 0.5), "s", None);
        counts(&mut part, &spent, LONE, 3.0, 8.0);
    }

    /// An operator that looks after one namespace only.
    async fn restart_for(&mut self, namespace: &str, interval: Duration) {
        self.world.kill_operator();
        self.world.begin().await;
        let own = ["--watch-namespace", namespace, "--installation-id", "bench"];
        self.pid = self.world.start_operator(interval, &own).await;
    }

    async fn alone(&mut self, namespace: &str, spec: impl Fn(usize) -> Value) -> (Vec<f64>, Spent) {
        self.witness = Witness::of(self.world.client.clone(), namespace);
        self.restart_for(namespace, SELDOM).await;
        // The account is opened and looked at for the first one, which does not count.
        self.world.number(namespace, "first", spec(0)).await;
        self.witness.until_ready(1).await;
        until_quiet(self.pid).await;
        self.world.begin().await;
        let mut created = Vec::new();
        for at in 1..=LONE {
            let name = format!("lone-{at}");
            created.push((
                name.clone(),
                self.world.number(namespace, &name, spec(at)).await,
            ));
            self.witness.until_ready(at + 1).await;
        }
        until_quiet(self.pid).await;
        let spent = self.world.end().await;
        println!("  calls: {:?}", spent.calls);
        let each = created.iter().map(|(name, there)| (name.as_str(), *there));
        (waits(&self.witness, each), spent)
    }
}
