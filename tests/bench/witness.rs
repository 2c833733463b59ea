//! Sees when each PhoneNumber becomes Ready and when it is gone, by a watch of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use kube::core::{ApiResource, NotUsed, Object};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use phonenumber_operator::api::PhoneNumber;
use serde::Deserialize;

/// How long nothing may happen before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
}

type Seen = Object<NotUsed, Status>;

/// What was seen of each PhoneNumber of one namespace.
#[derive(Clone)]
pub struct Witness(Arc<Mutex<HashMap<String, Sight>>>);

#[derive(Clone, Default)]
struct Sight {
    ready: Option<Instant>,
    gone: Option<Instant>,
    reason: String,
}

impl Witness {
    /// Begins to watch.
    pub fn of(client: Client, namespace: &str) -> Self {
        let witness = Self(Arc::default());
        let kind = ApiResource::erase::<PhoneNumber>(&());
        let api: Api<Seen> = Api::namespaced_with(client, namespace, &kind);
        let seen = witness.clone();
        tokio::spawn(async move {
            let events = watcher(api, watcher::Config::default()).default_backoff();
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                match event {
                    Ok(watcher::Event::Apply(number) | watcher::Event::InitApply(number)) => {
                        seen.sees(&number);
                    }
                    Ok(watcher::Event::Delete(number)) => {
                        seen.change(&number.name_any(), |sight| {
                            sight.gone = Some(Instant::now())
                        });
                    }
                    Ok(_) => {}
                    Err(error) => eprintln!("  the watch failed: {error}"),
                }
            }
        });
        witness
    }

    fn sees(&self, number: &Seen) {
        let conditions = number.status.iter().flat_map(|status| &status.conditions);
        let mut ready = conditions.filter(|condition| condition.kind == "Ready");
        let found = ready.next().cloned().unwrap_or_default();
        self.change(&number.name_any(), |sight| {
            sight.reason = found.reason;
            if found.status == "True" {
                sight.ready.get_or_insert_with(Instant::now);
            }
        });
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Sight)) {
        change(self.0.lock().unwrap().entry(name.to_owned()).or_default());
    }

    fn count(&self, fits: impl Fn(&Sight) -> bool) -> usize {
        self.0
            .lock()
            .unwrap()
            .values()
            .filter(|sight| fits(sight))
            .count()
    }

    /// When the PhoneNumber became Ready.
    pub fn ready_at(&self, name: &str) -> Option<Instant> {
        self.0.lock().unwrap().get(name)?.ready
    }

    /// Waits until `wanted` PhoneNumbers have become Ready.
    pub async fn until_ready(&self, wanted: usize) {
        self.until("Ready", wanted, |sight| sight.ready.is_some())
            .await;
    }

    /// Waits until `wanted` PhoneNumbers have gone.
    pub async fn until_gone(&self, wanted: usize) {
        self.until("gone", wanted, |sight| sight.gone.is_some())
            .await;
    }

    async fn until(&self, what: &str, wanted: usize, fits: impl Fn(&Sight) -> bool) {
        let mut before = (0, Instant::now());
        let mut told = Instant::now();
        loop {
            let now = self.count(&fits);
            if now >= wanted {
                return;
            }
            if now != before.0 {
                before = (now, Instant::now());
            }
            assert!(
                before.1.elapsed() < PATIENCE,
                "only {now} of {wanted} are {what}: {:?}",
                self.reasons(&fits)
            );
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                println!("  ... {now} of {wanted} are {what}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn reasons(&self, fits: impl Fn(&Sight) -> bool) -> HashMap<String, usize> {
        let mut reasons = HashMap::new();
        for sight in self.0.lock().unwrap().values().filter(|sight| !fits(sight)) {
            *reasons.entry(sight.reason.clone()).or_default() += 1;
        }
        reasons
    }
}
