//! Events, written in the background: what they tell has happened already, so no reconcile waits for them. One task writes them
//! one after the other; where many wait, a few more help, so that none is lost when thousands of numbers change at once.
//!
//! They are pending on transitions only, so nothing is gathered into series, and nothing is remembered once it is written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::panics;
use crate::panics::lock;
use crate::shown;

/// What reports them.
const REPORTER: &str = "phonenumber-operator";

/// The longest name of a reporting replica that the API server takes, in bytes. It takes no empty one.
const LONGEST_INSTANCE: usize = 128;

/// The longest note that the API server takes, in bytes, with some room.
const LONGEST_NOTE: usize = 1000;

/// How many may wait. More are dropped: they are not worth the memory, and the status and the log tell the same.
const MOST_WAITING: usize = 10_000;

/// How many may wait for each task that writes them before another one helps, and how many tasks there are at most.
const WAITING_PER_WRITER: usize = 100;
const MOST_WRITERS: usize = 8;

/// How long what waits is still written when the program ends.
const TO_FINISH: Duration = Duration::from_secs(1);

/// How often it is looked whether all are written.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What happened to an object.
#[derive(Clone, Debug)]
pub(crate) struct PendingEvent {
    /// The object.
    pub(crate) about: ObjectReference,
    /// True if a person must act.
    pub(crate) is_warning: bool,
    /// Why, in one word.
    pub(crate) reason: String,
    /// What was being done, in one word.
    pub(crate) action: &'static str,
    /// The same for a person to read.
    pub(crate) note: String,
    /// When, by the API server's clock.
    pub(crate) at: Timestamp,
}

/// The Events that are still to be written. Clones are one and the same.
#[derive(Clone)]
pub(crate) struct Events {
    client: Client,
    /// Which replica reports them.
    instance: String,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<PendingEvent>,
    /// How many tasks write.
    writers: usize,
    /// How many were ever recorded; no two Events have the same name.
    count: u64,
    dropped: u64,
}

impl Events {
    /// Events that the replica `instance` reports.
    pub(crate) fn new(client: Client, instance: &str) -> Self {
        let mut instance = instance.to_owned();
        instance.truncate(instance.floor_char_boundary(LONGEST_INSTANCE));
        if instance.is_empty() {
            instance.push_str(REPORTER);
        }
        Self {
            client,
            instance,
            queue: Arc::default(),
        }
    }

    /// Has an Event written soon. That it cannot be written changes nothing.
    pub(crate) fn record(&self, mut pending: PendingEvent) {
        pending.note = shown::line(&pending.note, LONGEST_NOTE);
        // The API server refuses longer ones.
        pending
            .note
            .truncate(pending.note.floor_char_boundary(LONGEST_NOTE));
        let must_start = {
            let mut queue = self.lock();
            if queue.waiting.len() >= MOST_WAITING {
                queue.dropped += 1;
                return;
            }
            queue.waiting.push_back(pending);
            let wanted = queue.waiting.len().div_ceil(WAITING_PER_WRITER);
            let must_start = queue.writers < wanted.min(MOST_WRITERS);
            queue.writers += usize::from(must_start);
            must_start
        };
        if must_start {
            tokio::spawn(self.clone().write_all());
        }
    }

    /// Waits a moment for those that are not written yet.
    pub(crate) async fn finish(&self) {
        let written = async {
            while self.lock().writers > 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        // What is not written by then is lost; the status and the log tell the same.
        let _ = tokio::time::timeout(TO_FINISH, written).await;
    }

    async fn write_all(self) {
        while let Some((pending, count)) = self.next() {
            // One that panics is lost; those after it are written all the same.
            if let Err(panic) = panics::caught(self.write(pending, count)).await {
                tracing::error!(panic, "the writing of an Event panicked");
            }
        }
    }

    fn next(&self) -> Option<(PendingEvent, u64)> {
        let mut queue = self.lock();
        match queue.waiting.pop_front() {
            Some(pending) => {
                queue.count += 1;
                Some((pending, queue.count))
            }
            None => {
                queue.writers = queue.writers.saturating_sub(1);
                queue.waiting.shrink_to_fit();
                let dropped = std::mem::take(&mut queue.dropped);
                if dropped > 0 {
                    tracing::warn!(
                        dropped,
                        "more happened at once than Events could be written of"
                    );
                }
                None
            }
        }
    }

    async fn write(&self, pending: PendingEvent, count: u64) {
        let namespace = pending.about.namespace.clone();
        let name = pending.about.name.clone().unwrap_or_default();
        let event = v1::Event {
            metadata: ObjectMeta {
                name: Some(format!("{name}.{:x}.{count:x}", pending.at.as_nanosecond())),
                namespace: namespace.clone(),
                ..ObjectMeta::default()
            },
            type_: Some(
                if pending.is_warning {
                    "Warning"
                } else {
                    "Normal"
                }
                .to_owned(),
            ),
            reason: Some(pending.reason),
            action: Some(pending.action.to_owned()),
            note: Some(pending.note),
            event_time: Some(MicroTime(pending.at)),
            regarding: Some(pending.about),
            reporting_controller: Some(REPORTER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..v1::Event::default()
        };
        let namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let api = Api::<v1::Event>::namespaced(self.client.clone(), &namespace);
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => {}
            // A namespace that is being torn down takes no Events.
            Err(kube::Error::Api(error)) if error.code == 403 || error.code == 404 => {}
            Err(error) => tracing::warn!(namespace, name, %error, "cannot write Event"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use kube::client::Body;

    /// An API server that takes its time, and notes which Events were written.
    fn slow_server(written: Arc<Mutex<Vec<v1::Event>>>) -> Client {
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let written = Arc::clone(&written);
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let event: v1::Event = serde_json::from_slice(&body).unwrap();
                written.lock().unwrap().push(event);
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(http::Response::new(Body::from(
                    body,
                )))
            }
        });
        Client::new(service, "default")
    }

    fn pending(reason: &str) -> PendingEvent {
        PendingEvent {
            about: ObjectReference {
                name: Some("nyc".into()),
                namespace: Some("support".into()),
                ..ObjectReference::default()
            },
            is_warning: false,
            reason: reason.to_owned(),
            action: "Reconcile",
            note: "é".repeat(600),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn reasons(written: &[v1::Event]) -> Vec<&str> {
        let reasons = written.iter().map(|event| event.reason.as_deref());
        reasons.flatten().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_an_event_and_each_is_written_in_its_turn() {
        let written = Arc::default();
        let events = Events::new(slow_server(Arc::clone(&written)), "operator-0");
        for reason in ["Purchased", "Lost", "Purchased"] {
            events.record(pending(reason));
        }
        assert!(written.lock().unwrap().is_empty());
        events.finish().await;
        let written = written.lock().unwrap();
        assert_eq!(reasons(&written), ["Purchased", "Lost", "Purchased"]);
        let names: std::collections::HashSet<_> =
            written.iter().map(|event| &event.metadata.name).collect();
        assert_eq!(names.len(), 3, "each has a name of its own");
        assert_eq!(written[0].note.as_deref().map(str::len), Some(1000));
        let instance = written[0].reporting_instance.as_deref();
        assert_eq!(instance, Some("operator-0"));
    }

    #[tokio::test]
    async fn the_api_server_takes_the_name_of_the_replica() {
        let instance = |host: &str| {
            let service = tower::service_fn(|_: http::Request<Body>| async {
                Ok::<_, std::convert::Infallible>(http::Response::new(Body::empty()))
            });
            Events::new(Client::new(service, "default"), host).instance
        };
        assert_eq!(instance(""), REPORTER);
        assert_eq!(instance(&"é".repeat(100)).len(), LONGEST_INSTANCE);
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_whose_writing_panics_keeps_no_other_from_being_written() {
        let written = Arc::default();
        let good = slow_server(Arc::clone(&written));
        let first = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let panics = first.swap(false, std::sync::atomic::Ordering::Relaxed);
            let good = good.clone();
            async move {
                assert!(!panics, "made up");
                good.send(request).await
            }
        });
        let events = Events::new(Client::new(service, "default"), "operator-0");
        events.record(pending("Purchased"));
        events.finish().await;
        events.record(pending("Lost"));
        events.finish().await;
        let written = written.lock().unwrap();
        assert_eq!(reasons(&written), ["Lost"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_told_faster_than_it_can_be_written_is_dropped_in_the_end() {
        let written = Arc::default();
        let events = Events::new(slow_server(Arc::clone(&written)), "operator-0");
        for _ in 0..MOST_WAITING + 5 {
            events.record(pending("Ready"));
        }
        let waiting = events.lock().waiting.len();
        assert_eq!(waiting, MOST_WAITING);
        events.finish().await;
        let count = written.lock().unwrap().len();
        assert!(
            (50 * MOST_WRITERS..=101 * MOST_WRITERS).contains(&count),
            "{count} in a second, then it ends"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn thousands_of_events_in_a_minute_are_all_written() {
        let written = Arc::default();
        let events = Events::new(slow_server(Arc::clone(&written)), "operator-0");
        // Four times as fast as one task writes.
        for _ in 0..20_000 {
            events.record(pending("Released"));
            tokio::time::sleep(Duration::from_micros(2500)).await;
        }
        while events.lock().writers > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let written = written.lock().unwrap();
        assert_eq!(written.len(), 20_000);
        let names: std::collections::HashSet<_> =
            written.iter().map(|event| &event.metadata.name).collect();
        assert_eq!(names.len(), 20_000);
    }
}
