//! What is done with each object, and what a change of one means for others; without queues and watches. The queues
//! fill the caches, report what came, and pass objects in when they are due.

mod fingerprint;
mod triggers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};

use super::collector::MetricsCollector;
use super::schedule::Schedule;
use super::setbacks::Setbacks;
use super::{Parts, RequeueAfter};
use crate::api::{AccountKey, ClusterProviderAccount, PhoneNumber, ProviderAccount};
use crate::clock::Instant;
use crate::cluster::Cluster;
use crate::cluster::any_account::AnyAccount;
use crate::cluster::caches::{Caches, find};
use crate::cluster::events::Events;
use crate::cluster::process::Process;
use crate::cluster::quota::HourlyQuotas;
use crate::cluster::requeuer::Requeuer;
use crate::cluster::slots::{ASKS_AGAIN_AFTER, AccountSlots};
use crate::cluster::writer::Writer;
use crate::leader::host;
use crate::number::Field;
use crate::panics::{self, lock};
use crate::reconcile::account;
use crate::reconcile::checks::Checks;
use crate::reconcile::fault;
use crate::reconcile::providers::Providers;
use crate::reconcile::{number, perform};
use crate::telemetry::Heartbeat;
use crate::telemetry::metrics::LOOP;
pub use fingerprint::{account_fingerprint, number_fingerprint};

/// How often observations of resources that are gone are dropped.
const CLEAN_UP_AFTER: Duration = Duration::from_secs(600);

/// How often Secrets in use are to be read again, so that a changed one takes effect within 10 s.
pub const REREAD_AFTER: Duration = crate::cluster::secrets::REREAD_AFTER;

/// The controllers without their queues.
///
/// # Assumptions
/// One object is not passed in again before its last reconcile has ended. Before [`Reconciler::begin`] a reconcile does nothing.
pub struct Reconciler {
    cluster: Arc<Cluster>,
    providers: Arc<Providers>,
    writer: Writer,
    quotas: Arc<HourlyQuotas>,
    schedule: Schedule,
    process: Process,
    heartbeat: Heartbeat,
    cleaned_up: Mutex<Instant>,
    /// True once all namespaces were listed.
    knew_namespaces: AtomicBool,
    /// The labels of each namespace, as the watch showed them last: the cache may be ahead of it.
    labels: Mutex<HashMap<String, BTreeMap<String, String>>>,
}

impl Reconciler {
    /// A reconciler that finds objects in `caches` and requeues others through `requeuer`.
    pub fn new(parts: Parts, caches: Caches, requeuer: Requeuer) -> Self {
        let Parts {
            settings,
            clock,
            random,
            clients,
            accounts,
            directory,
            heartbeat,
            metrics,
        } = parts;
        let process = Process {
            settings: Arc::new(settings),
            clock: Arc::clone(&clock),
            time: clients.time,
            random: random.clone(),
            metrics: metrics.clone(),
        };
        let settings = &process.settings;
        let schedule = Schedule {
            slots: AccountSlots::new(settings.concurrency, requeuer.clone()),
            setbacks: Setbacks::new(Arc::clone(&clock), random, metrics),
            checks: Checks::default(),
        };
        let quotas = HourlyQuotas::new(
            clients.writes.clone(),
            &settings.operator_namespace,
            requeuer.clone(),
        );
        let slots = Arc::clone(&schedule.slots);
        let cluster = Cluster::new(process.clone(), clients.reads, caches, requeuer, slots);
        Self {
            cluster: Arc::new(cluster),
            providers: Arc::new(Providers {
                accounts,
                directory,
            }),
            writer: Writer {
                events: Events::new(clients.writes.clone(), &host()),
                client: clients.writes,
            },
            quotas: Arc::new(quotas),
            schedule,
            process,
            heartbeat,
            cleaned_up: Mutex::new(clock.now()),
            knew_namespaces: AtomicBool::default(),
            labels: Mutex::default(),
        }
    }

    /// Waits until every cache holds what its first list returned; to be called once.
    pub async fn fill(&self) {
        self.cluster.caches.fill().await;
    }

    /// Waits until the caches show at least what the API server has now. To be called by a replica whose caches were filled
    /// before it led: what its predecessor wrote last may not have reached them.
    pub async fn catch_up(&self) {
        self.cluster
            .catch_up(&self.process.settings.watch_namespaces)
            .await;
    }

    /// Lets reconciles decide, and wakes all that there is: what was passed in before is due now. To be called once the caches
    /// are filled with what was there when this process began to lead.
    pub fn begin(&self) {
        let Cluster {
            caches, requeuer, ..
        } = self.cluster.as_ref();
        caches.begin();
        for account in caches.accounts.iter().flat_map(Store::state) {
            requeuer.account(ObjectRef::from_obj(account.as_ref()));
        }
        for account in caches.cluster_accounts.iter().flat_map(Store::state) {
            requeuer.cluster_account(ObjectRef::from_obj(account.as_ref()));
        }
        self.cluster.requeue_numbers(|_| true);
    }

    /// What Prometheus is to be told of the accounts, from now on and for as long as the result is kept.
    pub(super) fn figures(&self) -> Arc<MetricsCollector> {
        let figures = Arc::new(MetricsCollector::new(
            Arc::clone(&self.cluster),
            Arc::clone(&self.providers),
            Arc::clone(&self.quotas),
            self.process.clone(),
        ));
        self.process.metrics.show(&figures);
        self.process.metrics.leads(true);
        for kind in [
            PhoneNumber::kind(&()),
            ProviderAccount::kind(&()),
            ClusterProviderAccount::kind(&()),
            LOOP.into(),
        ] {
            self.process.metrics.expect_faults(kind);
        }
        let fields = Field::ALL.iter().map(|field| field.label());
        let more = [perform::MARK, perform::ASSISTANT];
        fields
            .chain(more)
            .for_each(|field| self.process.metrics.expect_drift(field));
        figures
    }

    /// Reads how much of the limits is used, for the figures alone.
    pub(super) async fn reread_limits(&self) {
        if !self.cluster.caches.has_begun() {
            return;
        }
        fault::survived_round("reading of limits", &self.process.metrics, async {
            if let Err(error) = self.quotas.read_again().await {
                tracing::debug!(%error, "cannot read how much of the limits is used");
            }
        })
        .await;
    }

    /// Warns of fields that the API server drops because the installed definition is older than this program.
    pub(super) async fn check_definition(&self) {
        fault::survived_round("reading of the definition", &self.process.metrics, async {
            let lacks = match self.cluster.crd_guard.lacks().await {
                Ok(lacks) => lacks,
                Err(error) => {
                    tracing::debug!(%error, "cannot read the definitions");
                    return;
                }
            };
            self.process.metrics.definition_lacks(lacks.len());
            if !lacks.is_empty() {
                let fields = lacks.join(", ");
                tracing::warn!(
                    fields,
                    "the installed definitions are older than the operator, and what stands in these fields is \
                     lost: apply the definitions of this version (phonenumber-operator crd)"
                );
            }
        })
        .await;
    }

    /// Makes one reconcile of `number`.
    ///
    /// # Errors
    /// Those of the API server; [`Reconciler::after_error`] tells when to try again.
    pub async fn number(&self, number: Arc<PhoneNumber>) -> Result<RequeueAfter, kube::Error> {
        match panics::caught(self.number_if_due(Arc::clone(&number))).await {
            Ok(passed) => passed,
            Err(panic) => Ok(fault::number_panicked(
                number,
                &panic,
                &self.cluster,
                &self.writer,
                &self.process,
            )
            .await),
        }
    }

    async fn number_if_due(&self, number: Arc<PhoneNumber>) -> Result<RequeueAfter, kube::Error> {
        let setbacks = &self.schedule.setbacks;
        if !self.cluster.caches.has_begun() {
            return Ok(None);
        }
        self.cluster.observations.first_seen(&number);
        if let Some(wait) = setbacks.wait(number.as_ref()) {
            return Ok(Some(wait));
        }
        let Some(_turn) = self.schedule.slots.take(&number) else {
            return Ok(Some(ASKS_AGAIN_AFTER));
        };
        // It may have changed, or gone, since it was passed in.
        let Some(number) = self.cluster.caches.number(&number) else {
            return Ok(None);
        };
        let passed = number::reconcile(
            Arc::clone(&number),
            &self.cluster,
            &self.providers,
            &self.writer,
            &self.quotas,
            &self.process,
        )
        .await;
        if passed.is_ok() {
            setbacks.over(number.as_ref());
        }
        passed
    }

    /// Makes one reconcile of `account`.
    ///
    /// # Errors
    /// Those of the API server; [`Reconciler::after_error`] tells when to try again.
    pub async fn account(
        &self,
        account: Arc<ProviderAccount>,
    ) -> Result<RequeueAfter, kube::Error> {
        self.any_account(account).await
    }

    /// Makes one reconcile of `account`.
    ///
    /// # Errors
    /// Those of the API server; [`Reconciler::after_error`] tells when to try again.
    pub async fn cluster_account(
        &self,
        account: Arc<ClusterProviderAccount>,
    ) -> Result<RequeueAfter, kube::Error> {
        self.any_account(account).await
    }

    async fn any_account<A: AnyAccount>(
        &self,
        account: Arc<A>,
    ) -> Result<RequeueAfter, kube::Error> {
        match panics::caught(self.account_if_due(Arc::clone(&account))).await {
            Ok(passed) => passed,
            Err(panic) => {
                let due = self.schedule.setbacks.panicked(account.as_ref());
                fault::account_panicked(account, &panic, &self.writer, &self.process).await;
                Ok(due)
            }
        }
    }

    async fn account_if_due<A: AnyAccount>(
        &self,
        account: Arc<A>,
    ) -> Result<RequeueAfter, kube::Error> {
        let setbacks = &self.schedule.setbacks;
        if !self.cluster.caches.has_begun() {
            return Ok(None);
        }
        if let Some(wait) = setbacks.wait(account.as_ref()) {
            return Ok(Some(wait));
        }
        let passed = account::reconcile(
            Arc::clone(&account),
            &self.cluster,
            &self.providers,
            &self.writer,
            &self.schedule.checks,
            &self.process,
        )
        .await;
        if passed.is_ok() {
            setbacks.over(account.as_ref());
        }
        passed
    }

    /// When a reconcile of `object` that ended with `error` is repeated. A conflict means that somebody else wrote first: the
    /// reconcile is repeated on what they wrote.
    pub fn after_error<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        error: &kube::Error,
    ) -> RequeueAfter {
        self.schedule.setbacks.add(object, error)
    }

    /// Shows that the queues move.
    pub(super) fn beat(&self) {
        self.heartbeat.beat();
    }

    /// Reads the Secrets in use and wakes what a changed one matters to; does nothing before [`Reconciler::begin`]. To be
    /// called every [`REREAD_AFTER`].
    pub async fn reread_secrets(&self) {
        if !self.cluster.caches.has_begun() {
            return;
        }
        fault::survived_round("reading of Secrets", &self.process.metrics, async {
            let in_use = self.cluster.secrets_in_use();
            let changed: BTreeSet<_> = self.cluster.secrets.refresh(&in_use).await;
            self.providers.keep_credentials(&changed, &self.cluster);
            if !changed.is_empty() {
                self.requeue_users_of_secrets(&changed);
            }
            self.clean_up();
        })
        .await;
    }

    /// Makes no more reconciles of numbers, also not those that wait for their turn: the next leader makes them. Reconciles under
    /// way go on.
    pub(super) fn stop(&self) {
        self.schedule.slots.end();
    }

    /// Gives back what is counted and will not be used, and finishes writing Events. To be called when nothing is in flight any more.
    pub async fn end(&self) {
        if let Some(now) = self.process.time.now() {
            self.quotas.give_back(now).await;
        }
        self.writer.events.finish().await;
    }

    fn clean_up(&self) {
        let now = self.process.clock.now();
        let mut cleaned_up = lock(&self.cleaned_up);
        if now.since(*cleaned_up) <= CLEAN_UP_AFTER {
            return;
        }
        *cleaned_up = now;
        self.forget_what_is_gone();
    }

    /// Forgets what is remembered of objects that do not exist any more.
    fn forget_what_is_gone(&self) {
        let numbers = self.cluster.caches.numbers.iter().flat_map(Store::state);
        let live: BTreeSet<_> = numbers.filter_map(|number| number.uid()).collect();
        self.cluster.observations.retain(|uid| live.contains(uid));
        let caches = &self.cluster.caches;
        let setbacks = &self.schedule.setbacks;
        setbacks.retain::<PhoneNumber>(|namespace, name| is_in(&caches.numbers, namespace, name));
        setbacks
            .retain::<ProviderAccount>(|namespace, name| is_in(&caches.accounts, namespace, name));
        setbacks.retain::<ClusterProviderAccount>(|namespace, name| {
            is_in(&caches.cluster_accounts, namespace, name)
        });
        let accounts = caches.accounts.iter().flat_map(Store::state);
        let cluster_accounts = caches.cluster_accounts.iter().flat_map(Store::state);
        let live: BTreeSet<_> = accounts
            .filter_map(|account| account.uid())
            .chain(cluster_accounts.filter_map(|account| account.uid()))
            .collect();
        self.schedule
            .checks
            .inventory
            .retain(|uid| live.contains(uid));
        lock(&self.labels)
            .retain(|name, _| find(&caches.namespaces, &ObjectRef::new(name)).is_some());
        let since = self.process.unsettled_since();
        self.cluster.caches.index.forget_claims_before(since);
        let exists = |key: &AccountKey| self.cluster.account_status(key).is_some();
        self.cluster.openings.retain(exists);
        if let Some(now) = self.process.time.now() {
            self.quotas.forget_idle(now);
        }
        let live = self.cluster.account_labels();
        self.process
            .metrics
            .keep_accounts(|account| live.contains(account));
    }
}

fn is_in<K>(caches: &[Store<K>], namespace: Option<&str>, name: &str) -> bool
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let mut reference = ObjectRef::new(name);
    reference.namespace = namespace.map(str::to_owned);
    find(caches, &reference).is_some()
}

#[cfg(test)]
pub(crate) mod tests;
