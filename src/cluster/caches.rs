//! The caches that watches fill. The operator decides nothing before all that matter are filled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};

use super::index::{Index, Key};
use crate::api::{AccountKey, AccountKind, ClusterProviderAccount, PhoneNumber, ProviderAccount};

/// How long a list of namespaces is waited for.
const NAMESPACES_TAKE: Duration = Duration::from_secs(10);

/// The caches, one of each kind for each watched namespace.
#[derive(Default)]
pub struct Caches {
    pub(crate) numbers: Vec<Store<PhoneNumber>>,
    pub(crate) accounts: Vec<Store<ProviderAccount>>,
    pub(crate) cluster_accounts: Vec<Store<ClusterProviderAccount>>,
    pub(crate) namespaces: Vec<Store<PartialObjectMeta<Namespace>>>,
    pub(crate) index: Index,
    begun: AtomicBool,
}

impl Caches {
    /// Caches that something else than [`super::run`] fills.
    pub fn new(
        numbers: Store<PhoneNumber>,
        accounts: Store<ProviderAccount>,
        cluster_accounts: Store<ClusterProviderAccount>,
        namespaces: Store<PartialObjectMeta<Namespace>>,
    ) -> Self {
        Self {
            numbers: vec![numbers],
            accounts: vec![accounts],
            cluster_accounts: vec![cluster_accounts],
            namespaces: vec![namespaces],
            ..Self::default()
        }
    }

    /// Waits until every cache holds what its first list returned. For namespaces, whose labels matter to some resources
    /// alone, it waits no longer than [`NAMESPACES_TAKE`]. To be called once, in the task that fills the caches: a
    /// cache wakes only the last of those that wait for it.
    pub(crate) async fn fill(&self) {
        let mut waits: Vec<BoxFuture<'_, ()>> = Vec::new();
        waits.extend(
            self.numbers
                .iter()
                .map(|store| store.wait_until_ready().map(drop).boxed()),
        );
        waits.extend(
            self.accounts
                .iter()
                .map(|store| store.wait_until_ready().map(drop).boxed()),
        );
        waits.extend(
            self.cluster_accounts
                .iter()
                .map(|store| store.wait_until_ready().map(drop).boxed()),
        );
        let namespaces = self.namespaces.iter().map(Store::wait_until_ready);
        let namespaces = futures::future::join_all(namespaces);
        waits.push(
            tokio::time::timeout(NAMESPACES_TAKE, namespaces)
                .map(drop)
                .boxed(),
        );
        futures::future::join_all(waits).await;
    }

    /// Notes that the caches are filled and up to date, and that this process leads.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
    }

    /// True after [`Caches::begin`]. Nothing may be decided before.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// The ProviderAccount of this name, as it is in the caches now.
    pub(super) fn account(&self, name: &str, namespace: &str) -> Option<Arc<ProviderAccount>> {
        find(&self.accounts, &ObjectRef::new(name).within(namespace))
    }

    /// The ClusterProviderAccount of this name, as it is in the caches now.
    pub(super) fn cluster_account(&self, name: &str) -> Option<Arc<ClusterProviderAccount>> {
        find(&self.cluster_accounts, &ObjectRef::new(name))
    }

    /// What `namespaced` or `shared` makes of the account `key`; `None` if it does not exist.
    pub(crate) fn account_as<T>(
        &self,
        key: &AccountKey,
        namespaced: impl FnOnce(&ProviderAccount) -> T,
        shared: impl FnOnce(&ClusterProviderAccount) -> T,
    ) -> Option<T> {
        match key.kind {
            AccountKind::ProviderAccount => {
                let namespace = key.namespace.as_deref().unwrap_or_default();
                self.account(&key.name, namespace)
                    .map(|account| namespaced(&account))
            }
            AccountKind::ClusterProviderAccount => self
                .cluster_account(&key.name)
                .map(|account| shared(&account)),
        }
    }

    /// What `namespaced` and `shared` make of every account of the two kinds.
    pub(crate) fn accounts_as<T>(
        &self,
        namespaced: impl Fn(&ProviderAccount) -> T,
        shared: impl Fn(&ClusterProviderAccount) -> T,
    ) -> Vec<T> {
        let own = self.accounts.iter().flat_map(Store::state);
        let own = own.map(|account| namespaced(&account));
        let all = self.cluster_accounts.iter().flat_map(Store::state);
        own.chain(all.map(|account| shared(&account))).collect()
    }

    /// True if the namespaces are known, with their labels.
    pub(super) fn knows_namespaces(&self) -> bool {
        let mut caches = self.namespaces.iter();
        caches.all(|store| store.wait_until_ready().now_or_never().is_some())
    }

    /// `number` as it is in the caches now.
    pub(crate) fn number(&self, number: &PhoneNumber) -> Option<Arc<PhoneNumber>> {
        find(&self.numbers, &ObjectRef::from_obj(number))
    }

    /// A resource that the index has under `key`.
    pub(crate) fn first(&self, key: &Key) -> Option<Arc<PhoneNumber>> {
        self.found(key).into_iter().next()
    }

    /// The resources that the index has under `key`, as they are in the caches now.
    pub(crate) fn found(&self, key: &Key) -> Vec<Arc<PhoneNumber>> {
        let references = self.index.get(key);
        let numbers = references
            .iter()
            .filter_map(|reference| self.numbers.iter().find_map(|store| store.get(reference)));
        numbers.collect()
    }
}

/// What one of these caches has under `reference`.
pub(crate) fn find<K>(caches: &[Store<K>], reference: &ObjectRef<K>) -> Option<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    caches.iter().find_map(|store| store.get(reference))
}
