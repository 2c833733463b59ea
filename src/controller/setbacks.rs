//! Objects whose last reconcile the API server failed, and accounts whose last reconcile panicked. Each waits longer from failure to
//! failure, and its log has one line for each cause.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kube::Resource;

use crate::clock::{Clock, Instant};
use crate::outcome::RequeueAfter;
use crate::panics::lock;
use crate::random::Random;
use crate::telemetry::metrics::Metrics;

/// The first and the longest pause after an error.
const AFTER_AN_ERROR: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The same after a conflict: somebody else wrote first, and the watch shows it within moments. If it does not, the watch
/// lags; what it shows then may be nothing that a reconcile is triggered by.
const AFTER_A_CONFLICT: (Duration, Duration) =
    (Duration::from_millis(200), Duration::from_secs(30));

/// The same after a panic.
const AFTER_A_PANIC: (Duration, Duration) = AFTER_AN_ERROR;

/// After so many conflicts in a row something is wrong.
const MANY_CONFLICTS: u32 = 6;

/// A kind, a namespace and a name.
type Key = (String, Option<String>, String);

/// The objects whose last reconcile failed.
pub(super) struct Setbacks {
    clock: Arc<dyn Clock>,
    random: Random,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_object: HashMap<Key, Setback>,
    /// How many of each kind are in the log. A conflict or two are nothing that anybody has to know.
    logged: HashMap<String, i64>,
}

struct Setback {
    failures: u32,
    /// A hash of what was logged last.
    logged: Option<u64>,
    until: Instant,
    /// The version of the object in the cache when its reconcile failed.
    version: Option<String>,
}

impl Setbacks {
    pub(super) fn new(clock: Arc<dyn Clock>, random: Random, metrics: Metrics) -> Self {
        Self {
            clock,
            random,
            metrics,
            state: Mutex::default(),
        }
    }

    /// For how long no reconcile is made over `object`. One that has changed since its reconcile failed is tried at once.
    pub(super) fn wait<K: Resource<DynamicType = ()>>(&self, object: &K) -> Option<Duration> {
        let state = self.lock();
        let setback = state.by_object.get(&key(object))?;
        let left = setback.until.since(self.clock.now());
        let is_same = setback.version == object.meta().resource_version;
        (is_same && !left.is_zero()).then_some(left)
    }

    /// Notes that a reconcile of `object` ended with `error`, and returns when the next one is due.
    pub(super) fn add<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        error: &kube::Error,
    ) -> RequeueAfter {
        let code = match error {
            kube::Error::Api(status) => status.code,
            _ => 0,
        };
        if code == 404 {
            self.over(object);
            return None;
        }
        let pauses = if code == 409 {
            AFTER_A_CONFLICT
        } else {
            AFTER_AN_ERROR
        };
        let key = key(object);
        let mut state = self.lock();
        let State { by_object, logged } = &mut *state;
        let (setback, pause) = self.put_off(object, pauses, by_object);
        if code != 409 || setback.failures >= MANY_CONFLICTS {
            let text = error.to_string();
            let cause = hash(&text);
            let before = setback.logged.replace(cause);
            let (kind, namespace, name) = &key;
            if before.is_none() {
                let count = logged.entry(kind.clone()).or_default();
                *count = count.saturating_add(1);
                self.metrics.failing(kind, *count);
            }
            if before != Some(cause) {
                tracing::warn!(
                    %kind, namespace, name, error = text,
                    "the API server failed a reconcile; it is repeated after pauses that grow to 5 minutes"
                );
            }
        }
        Some(pause)
    }

    /// Notes that a reconcile of `object` panicked, and returns when the next one is due.
    pub(super) fn panicked<K: Resource<DynamicType = ()>>(&self, object: &K) -> RequeueAfter {
        let mut state = self.lock();
        let (_, pause) = self.put_off(object, AFTER_A_PANIC, &mut state.by_object);
        Some(pause)
    }

    /// Counts a failure, and the pause that follows it.
    fn put_off<'a, K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        (first, longest): (Duration, Duration),
        by_object: &'a mut HashMap<Key, Setback>,
    ) -> (&'a mut Setback, Duration) {
        let setback = match by_object.entry(key(object)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(Setback {
                failures: 0,
                logged: None,
                until: self.clock.now(),
                version: None,
            }),
        };
        let doublings = setback.failures.min(16);
        setback.failures = setback.failures.saturating_add(1);
        let pause = first.saturating_mul(1 << doublings).min(longest);
        let pause = pause.mul_f64(0.5 + self.random.fraction() / 2.0);
        setback.until = self.clock.now() + pause;
        setback.version = object.meta().resource_version.clone();
        (setback, pause)
    }

    /// Notes that a reconcile of `object` ended well, or that the object is gone.
    pub(super) fn over<K: Resource<DynamicType = ()>>(&self, object: &K) {
        let key = key(object);
        let mut state = self.lock();
        if let Some(setback) = state.by_object.remove(&key) {
            self.show_without(&setback, &key.0, &mut state.logged);
        }
    }

    /// Forgets the objects of one kind that are not `live`, by namespace and name.
    pub(super) fn retain<K: Resource<DynamicType = ()>>(
        &self,
        live: impl Fn(Option<&str>, &str) -> bool,
    ) {
        let wanted = K::kind(&());
        let mut state = self.lock();
        let State { by_object, logged } = &mut *state;
        by_object.retain(|(kind, namespace, name), setback| {
            let is_live = *kind != wanted || live(namespace.as_deref(), name);
            if !is_live {
                self.show_without(setback, kind, logged);
            }
            is_live
        });
    }

    fn show_without(&self, setback: &Setback, kind: &str, logged: &mut HashMap<String, i64>) {
        if setback.logged.is_some()
            && let Some(count) = logged.get_mut(kind)
        {
            *count = count.saturating_sub(1);
            self.metrics.failing(kind, *count);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn key<K: Resource<DynamicType = ()>>(object: &K) -> Key {
    let meta = object.meta();
    let name = meta.name.clone().unwrap_or_default();
    (K::kind(&()).into_owned(), meta.namespace.clone(), name)
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
