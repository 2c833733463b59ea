//! What is counted and measured, for Prometheus: typed, and handed to those who measure. No label ever holds a phone
//! number, an id of a provider, or free text.

mod catalogue;
mod figures;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

pub use catalogue::{ALL, Description, Kind};
use catalogue::{
    BUILD_INFO, DEFINITION_LACKS, DRIFT, INTERNAL_ERRORS, LEADER, Labels, OBJECTS_FAILING,
    PROVIDER_REQUEST_DURATION, PROVIDER_REQUESTS, PURCHASES, RECONCILE_DURATION,
    RECONCILE_FAILURES, RELEASES,
};

use crate::panics::lock;
use crate::provider::http::{RequestObserver, RequestOutcome};
pub use figures::{AccountMetrics, Listener, Silence, Source};

/// The `Content-Type` of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The `account` label of what belongs to no account that exists: names that anybody may make up are no labels.
pub const NO_ACCOUNT: &str = "none";

/// The reason of a reconcile that the API server failed.
pub const KUBERNETES_API: &str = "KubernetesApi";

/// The kind of what is no reconcile of an object.
pub const LOOP: &str = "loop";

/// From a reconcile that decides on what it knows to one that waits for a provider at its limit.
const SECONDS_OF_A_PASS: [f64; 9] = [0.005, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 120.0];

/// From an answer within the machine to the purchase timeout.
const SECONDS_OF_A_REQUEST: [f64; 9] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0];

/// How a purchase may end.
const PURCHASE_OUTCOMES: [&str; 6] = [
    "bought", "ordered", "rejected", "refused", "not_sent", "unknown",
];

/// How a release may end.
const RELEASE_OUTCOMES: [&str; 4] = ["confirmed", "absent", "refused", "failed"];

type Counters = Family<Labels, Counter>;
type Timings = Family<Labels, Histogram, fn() -> Histogram>;

/// How the program itself failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It panicked.
    Panic,
    /// A rule of its own did not hold.
    Invariant,
}

impl Fault {
    const ALL: [Self; 2] = [Self::Panic, Self::Invariant];

    fn word(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Invariant => "invariant",
        }
    }
}

/// All metrics of a process. Clones are one and the same.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    passes: Timings,
    failures: Counters,
    requests: Counters,
    request_durations: Timings,
    purchases: Counters,
    releases: Counters,
    /// The accounts that purchases and releases are shown of.
    accounts: Arc<Mutex<BTreeSet<String>>>,
    drift: Counters,
    internal_errors: Counters,
    failing: Family<Labels, Gauge>,
    definition_lacks: Gauge,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let build: Family<Labels, Gauge<i64>> = register(&mut registry, &BUILD_INFO);
        let version = BUILD_INFO.with([Cow::Borrowed(env!("CARGO_PKG_VERSION"))]);
        build.get_or_create(&version).set(1);
        let timings = |registry: &mut Registry, what: &Description, new: fn() -> Histogram| {
            let timings = Timings::new_with_constructor(new);
            registry.register(what.base(), what.help, timings.clone());
            timings
        };
        Self {
            purchases: register(&mut registry, &PURCHASES),
            releases: register(&mut registry, &RELEASES),
            accounts: Arc::default(),
            drift: register(&mut registry, &DRIFT),
            internal_errors: register(&mut registry, &INTERNAL_ERRORS),
            requests: register(&mut registry, &PROVIDER_REQUESTS),
            request_durations: timings(&mut registry, &PROVIDER_REQUEST_DURATION, || {
                Histogram::new(SECONDS_OF_A_REQUEST)
            }),
            passes: timings(&mut registry, &RECONCILE_DURATION, || {
                Histogram::new(SECONDS_OF_A_PASS)
            }),
            failures: register(&mut registry, &RECONCILE_FAILURES),
            failing: register(&mut registry, &OBJECTS_FAILING),
            definition_lacks: register(&mut registry, &DEFINITION_LACKS),
            leader: register(&mut registry, &LEADER),
            registry: Arc::new(Mutex::new(registry)),
        }
    }
}

fn register<M: Metric + Clone + Default>(registry: &mut Registry, what: &Description) -> M {
    let metric = M::default();
    registry.register(what.base(), what.help, metric.clone());
    metric
}

impl Metrics {
    /// A reconcile of an object of this kind took so long.
    pub fn reconciled(&self, kind: &'static str, took: Duration) {
        let labels = RECONCILE_DURATION.with([Cow::Borrowed(kind)]);
        self.passes
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// A reconcile of an object of this kind failed. `reason` is one of a condition's, or [`KUBERNETES_API`].
    pub fn failed(&self, kind: &'static str, reason: String) {
        let labels = RECONCILE_FAILURES.with([Cow::Borrowed(kind), Cow::Owned(reason)]);
        self.failures.get_or_create(&labels).inc();
    }

    /// So many objects of this kind wait because the API server failed their last reconcile.
    pub fn failing(&self, kind: &str, count: i64) {
        let labels = OBJECTS_FAILING.with([Cow::Owned(kind.to_owned())]);
        self.failing.get_or_create(&labels).set(count);
    }

    /// A purchase for `account` was tried.
    pub fn purchased(&self, account: String, outcome: &'static str) {
        self.knows(&account);
        let labels = PURCHASES.with([Cow::Owned(account), Cow::Borrowed(outcome)]);
        self.purchases.get_or_create(&labels).inc();
    }

    /// A release for `account` was tried.
    pub fn released(&self, account: String, outcome: &'static str) {
        self.knows(&account);
        let labels = RELEASES.with([Cow::Owned(account), Cow::Borrowed(outcome)]);
        self.releases.get_or_create(&labels).inc();
    }

    /// A setting of a number was found changed, and was set back.
    pub fn drifted(&self, field: &'static str) {
        let labels = DRIFT.with([Cow::Borrowed(field)]);
        self.drift.get_or_create(&labels).inc();
    }

    /// The program itself failed: in a reconcile of an object of this kind, or in a loop ([`LOOP`]).
    pub fn broke(&self, kind: Cow<'static, str>, fault: Fault) {
        let labels = INTERNAL_ERRORS.with([kind, Cow::Borrowed(fault.word())]);
        self.internal_errors.get_or_create(&labels).inc();
    }

    /// Shows from nothing on how often the program itself failed in reconciles of objects of this kind, or in loops.
    pub fn expect_faults(&self, kind: Cow<'static, str>) {
        for fault in Fault::ALL {
            let labels = INTERNAL_ERRORS.with([kind.clone(), Cow::Borrowed(fault.word())]);
            drop(self.internal_errors.get_or_create(&labels));
        }
    }

    /// Shows what was done for `account` from nothing on: Prometheus takes no note of a counter's first event otherwise.
    pub fn expect(&self, account: &str) {
        self.knows(account);
        for labels in purchases_of(account) {
            drop(self.purchases.get_or_create(&labels));
        }
        for labels in releases_of(account) {
            drop(self.releases.get_or_create(&labels));
        }
    }

    /// Shows nothing more of accounts that do not exist. What belongs to none ([`NO_ACCOUNT`]) stays.
    pub fn keep_accounts(&self, exists: impl Fn(&str) -> bool) {
        let mut accounts = self.accounts();
        accounts.retain(|account| {
            let stays = account == NO_ACCOUNT || exists(account);
            if !stays {
                for labels in purchases_of(account) {
                    self.purchases.remove(&labels);
                }
                for labels in releases_of(account) {
                    self.releases.remove(&labels);
                }
            }
            stays
        });
    }

    fn knows(&self, account: &str) {
        let mut accounts = self.accounts();
        if !accounts.contains(account) {
            accounts.insert(account.to_owned());
        }
    }

    fn accounts(&self) -> MutexGuard<'_, BTreeSet<String>> {
        lock(&self.accounts)
    }

    /// The same for what may be found changed.
    pub fn expect_drift(&self, field: &'static str) {
        let labels = DRIFT.with([Cow::Borrowed(field)]);
        drop(self.drift.get_or_create(&labels));
    }

    /// How many fields the installed definition of PhoneNumbers drops.
    pub fn definition_lacks(&self, fields: usize) {
        let fields = i64::try_from(fields).unwrap_or(i64::MAX);
        self.definition_lacks.set(fields);
    }

    /// Whether this process leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// Shows the figures of `source` too, for as long as it lives.
    pub fn show<S: Source + 'static>(&self, source: &Arc<S>) {
        let scrape = figures::Scrape(figures::weak(source));
        let mut registry = lock(&self.registry);
        registry.register_collector(Box::new(scrape));
    }

    /// Shows for how long the watches of `listener` have heard nothing, for as long as it lives.
    pub fn listen<L: Listener + 'static>(&self, listener: &Arc<L>) {
        let listener: Weak<L> = Arc::downgrade(listener);
        let mut registry = lock(&self.registry);
        registry.register_collector(Box::new(figures::Watches(listener)));
    }

    /// Everything, as Prometheus reads it.
    ///
    /// # Errors
    /// None at present; text can always be written.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let registry = lock(&self.registry);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

/// The series of an account's purchases.
fn purchases_of(account: &str) -> impl Iterator<Item = Labels> {
    let labels = |outcome| PURCHASES.with([Cow::Owned(account.to_owned()), Cow::Borrowed(outcome)]);
    PURCHASE_OUTCOMES.into_iter().map(labels)
}

/// The series of an account's releases.
fn releases_of(account: &str) -> impl Iterator<Item = Labels> {
    let labels = |outcome| RELEASES.with([Cow::Owned(account.to_owned()), Cow::Borrowed(outcome)]);
    RELEASE_OUTCOMES.into_iter().map(labels)
}

impl RequestObserver for Metrics {
    fn requested(
        &self,
        provider: &'static str,
        operation: &'static str,
        outcome: RequestOutcome,
        took: Duration,
    ) {
        let (provider, operation) = (Cow::Borrowed(provider), Cow::Borrowed(operation));
        let outcome = Cow::Borrowed(outcome.word());
        let labels = PROVIDER_REQUESTS.with([provider.clone(), operation.clone(), outcome]);
        self.requests.get_or_create(&labels).inc();
        let labels = PROVIDER_REQUEST_DURATION.with([provider, operation]);
        let durations = self.request_durations.get_or_create(&labels);
        durations.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests;
