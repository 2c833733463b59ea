//! What Kubernetes has, as far as this process knows: caches, own writes, observations; and what is asked of all of them.

pub(crate) mod any_account;
pub(crate) mod caches;
pub(crate) mod crd_guard;
pub(crate) mod errors;
pub(crate) mod events;
pub(crate) mod index;
pub(crate) mod observations;
pub(crate) mod openings;
pub(crate) mod process;
pub(crate) mod quota;
pub(crate) mod requeuer;
pub(crate) mod secrets;
pub(crate) mod slots;
pub(crate) mod writer;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ListParams;
use kube::core::{PartialObjectMeta, Selector, SelectorExt};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Client, ResourceExt};

use crate::api::{
    AccountKey, AccountKind, AccountSpec, AccountStatus, ClusterProviderAccount, PhoneNumber,
    Reason, StatusReason, account_name, owner,
};
use crate::number::{AccountId, Mark, Origin};
use crate::telemetry::metrics::NO_ACCOUNT;
use any_account::AnyAccount;
use caches::{Caches, find};
use crd_guard::CrdGuard;
use index::{Gone, Key, numbers_of};
use observations::Observations;
use openings::Openings;
use process::Process;
use requeuer::Requeuer;
use secrets::{SecretName, Secrets, secrets_of};
use slots::AccountSlots;

/// What Kubernetes has, as far as this process knows: what its watches show, what its own writes made of that, and what it has
/// observed of each object. It reads and wakes; it writes nothing.
pub(crate) struct Cluster {
    process: Process,
    slots: Arc<AccountSlots>,
    pub(crate) reads: Client,
    pub(crate) caches: Caches,
    pub(crate) observations: Observations,
    /// What the accounts open, as reconciles of this process found.
    pub(crate) openings: Openings,
    pub(crate) secrets: Secrets,
    pub(crate) crd_guard: CrdGuard,
    pub(crate) requeuer: Requeuer,
}

/// A resource version as a number; 0 where there is none. Those of one resource can be compared as numbers since Kubernetes 1.35
/// (KEP-5504), and no two objects of one kind ever have the same.
pub(crate) fn resource_version(text: Option<&str>) -> u128 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// An account as a PhoneNumber refers to it.
pub(crate) struct AccountView {
    pub(crate) spec: AccountSpec,
    /// Where its Secrets live.
    pub(crate) namespace: String,
    /// Its kind and name, for messages.
    pub(crate) title: String,
    /// Why nothing may be bought with it from the namespace of the PhoneNumber.
    pub(crate) denied: Option<StatusReason>,
}

impl AccountView {
    /// True if nothing may be bought with it from the namespace of the PhoneNumber, for certain.
    pub(crate) fn is_forbidden(&self) -> bool {
        let denied = self.denied.as_ref();
        denied.is_some_and(|denied| denied.reason == Reason::AccountNotAllowed)
    }
}

impl Cluster {
    /// A cluster that is read through `reads` and shown by `caches`. A number that leaves an account leaves the queue of that
    /// account in `slots`.
    pub(crate) fn new(
        process: Process,
        reads: Client,
        caches: Caches,
        requeuer: Requeuer,
        slots: Arc<AccountSlots>,
    ) -> Self {
        Self {
            observations: Observations::new(Arc::clone(&process.clock)),
            openings: Openings::default(),
            secrets: Secrets::new(reads.clone(), Arc::clone(&process.clock)),
            crd_guard: CrdGuard::new(reads.clone()),
            process,
            slots,
            reads,
            caches,
            requeuer,
        }
    }

    /// What is claimed after that was made up, whatever the clocks.
    pub(crate) fn claims_until(&self) -> Timestamp {
        self.process.claims_until()
    }

    /// What was bought before that is listed by now, and what was not never was.
    pub(crate) fn unsettled_since(&self) -> Timestamp {
        self.process.unsettled_since()
    }

    /// The account that `number` refers to.
    pub(crate) fn account_of(&self, number: &PhoneNumber) -> Result<AccountView, StatusReason> {
        let namespace = number.namespace().unwrap_or_default();
        let (kind, name) = account_name(number);
        let view = self.account_at(kind, name, namespace)?;
        if view.spec.provider != number.spec.provider {
            return Err(StatusReason::new(
                Reason::InvalidSpec,
                format!(
                    "{} is for provider {}, this PhoneNumber for {}.",
                    view.title, view.spec.provider, number.spec.provider
                ),
            ));
        }
        Ok(view)
    }

    /// The account of this kind and name that a PhoneNumber in `namespace` refers to.
    pub(crate) fn account_at(
        &self,
        kind: AccountKind,
        name: String,
        namespace: String,
    ) -> Result<AccountView, StatusReason> {
        let not_found = || {
            let message = match kind {
                AccountKind::ProviderAccount => {
                    format!("ProviderAccount {name} does not exist in namespace {namespace}.")
                }
                AccountKind::ClusterProviderAccount => {
                    format!("ClusterProviderAccount {name} does not exist.")
                }
            };
            StatusReason::new(Reason::AccountNotFound, message)
        };
        Ok(match kind {
            AccountKind::ProviderAccount => {
                let account = self.caches.account(&name, &namespace);
                AccountView {
                    spec: account.ok_or_else(not_found)?.spec.account.clone(),
                    title: format!("ProviderAccount {namespace}/{name}"),
                    namespace,
                    denied: None,
                }
            }
            AccountKind::ClusterProviderAccount => {
                let account = self.caches.cluster_account(&name);
                let account = account.ok_or_else(not_found)?;
                let denied = match self.allows(&account, &namespace) {
                    Some(true) => None,
                    Some(false) => Some(StatusReason::new(
                        Reason::AccountNotAllowed,
                        format!(
                            "ClusterProviderAccount {name} does not allow namespace {namespace} (spec.allowedNamespaces)."
                        ),
                    )),
                    None => Some(StatusReason::new(
                        Reason::Pending,
                        format!(
                            "The operator could not list namespaces yet, so it does not know whether \
                             ClusterProviderAccount {name} allows namespace {namespace}. Nothing is bought before."
                        ),
                    )),
                };
                AccountView {
                    spec: account.spec.account.clone(),
                    title: format!("ClusterProviderAccount {name}"),
                    namespace: self.process.settings.operator_namespace.clone(),
                    denied,
                }
            }
        })
    }

    /// Whether `account` may be used from `namespace`; `None` while namespaces are not known.
    fn allows(&self, account: &ClusterProviderAccount, namespace: &str) -> Option<bool> {
        let Some(allowed) = &account.spec.allowed_namespaces else {
            return Some(false);
        };
        let Ok(selector) = Selector::try_from(LabelSelector::from(allowed)) else {
            return Some(false);
        };
        match find(&self.caches.namespaces, &ObjectRef::new(namespace)) {
            Some(meta) => Some(selector.matches(meta.labels())),
            None => self.caches.knows_namespaces().then_some(false),
        }
    }

    /// The resources that the index has under `key`, each as the cache or a later write of ours shows it.
    pub(crate) fn found(&self, key: &Key) -> Vec<Arc<PhoneNumber>> {
        let found = self.caches.found(key).into_iter();
        found
            .map(|number| self.observations.latest(number))
            .collect()
    }

    /// The resources that declare this number.
    pub(crate) fn declarers(&self, number: &str) -> Vec<Arc<PhoneNumber>> {
        let mut found = self.found(&Key::Declared(number.to_owned()));
        found.retain(|other| other.spec.phone_number.as_deref() == Some(number));
        found
    }

    /// True if a resource that is known has `mark`.
    pub(crate) fn is_owned(&self, mark: &Mark) -> bool {
        self.caches
            .first(&Key::Marked(mark.owner().to_owned()))
            .is_some()
    }

    /// True if the API server, asked now, has a resource with `mark`.
    ///
    /// # Errors
    /// Those of the API server.
    pub(crate) async fn is_owned_now(&self, mark: &Mark) -> Result<bool, kube::Error> {
        let scopes: Vec<Api<PhoneNumber>> = if self.process.settings.watch_namespaces.is_empty() {
            vec![Api::all(self.reads.clone())]
        } else {
            let namespaces = self.process.settings.watch_namespaces.iter();
            let api = |namespace: &String| Api::namespaced(self.reads.clone(), namespace);
            namespaces.map(api).collect()
        };
        for api in scopes {
            let mut page = ListParams::default().limit(500);
            loop {
                let found = api.list_metadata(&page).await?;
                let installation = &self.process.settings.installation;
                let is_owner = |object: &PartialObjectMeta<PhoneNumber>| {
                    Mark::new(Origin::Bought, installation, &owner(object)).same_owner(mark)
                };
                if found.items.iter().any(is_owner) {
                    return Ok(true);
                }
                match found.metadata.continue_ {
                    Some(next) if !next.is_empty() => page = page.continue_token(&next),
                    _ => break,
                }
            }
        }
        Ok(false)
    }

    /// The PhoneNumbers that refer to an account.
    pub(crate) fn users(&self, account: &AccountKey) -> Vec<Arc<PhoneNumber>> {
        let mut found = self.caches.found(&Key::Account(account.clone()));
        found.retain(|number| AccountKey::of(number) == *account);
        found
    }

    /// True if a PhoneNumber refers to an account.
    pub(crate) fn is_used(&self, account: &AccountKey) -> bool {
        let is_user = |reference: &ObjectRef<PhoneNumber>| {
            let number = find(&self.caches.numbers, reference)?;
            (AccountKey::of(&number) == *account).then_some(())
        };
        let key = Key::Account(account.clone());
        self.caches.index.find(&key, is_user).is_some()
    }

    /// Remembers the version of a PhoneNumber that our own write made, until the cache has it; and whether the reconcile that
    /// wrote it knew all that it holds.
    pub(crate) fn wrote(&self, number: &Arc<PhoneNumber>, is_known: bool) {
        self.observations.written(number, is_known);
        if let Some(cached) = self.caches.number(number) {
            self.note(&cached);
        }
    }

    /// Notes a PhoneNumber that the cache has, as it shows it or as a later write of ours has made it, and wakes what waits for
    /// that.
    pub(crate) fn note(&self, cached: &PhoneNumber) {
        let newer = self.observations.newer(cached);
        let number = newer.as_deref().unwrap_or(cached);
        let (since, until) = (self.unsettled_since(), self.claims_until());
        let noted = self.caches.index.put(number, since, until);
        // All accounts are woken when this begins.
        if noted.is_new_user && self.caches.has_begun() {
            self.requeuer.account_at(&AccountKey::of(number));
        }
        if let Some(left) = &noted.left {
            self.slots.left(left, &ObjectRef::from_obj(number));
            self.requeuer.account_at(left);
        }
        self.requeue_declarers(&noted.freed);
    }

    /// Wakes every PhoneNumber that `wanted` picks.
    pub(crate) fn requeue_numbers(&self, wanted: impl Fn(&PhoneNumber) -> bool) {
        let numbers = self.caches.numbers.iter().flat_map(Store::state);
        self.requeuer
            .numbers(numbers.filter(|number| wanted(number)));
    }

    /// Wakes what waits for a PhoneNumber that is gone.
    pub(crate) fn forget(&self, gone: Gone) {
        if let Some(account) = &gone.account {
            self.slots.left(account, &gone.reference);
            self.requeuer.account_at(account);
        }
        self.requeue_declarers(&gone.freed);
    }

    fn requeue_declarers(&self, numbers: &[String]) {
        let others = numbers.iter().flat_map(|number| self.declarers(number));
        others.for_each(|other| self.requeuer.number(&other));
    }

    /// Wakes the other resources that declare the numbers that `number` claims or holds.
    pub(crate) fn requeue_others_that_declare(&self, number: &PhoneNumber) {
        let numbers = numbers_of(number);
        let others = numbers.iter().flat_map(|number| self.declarers(number));
        let others = others.filter(|other| other.uid() != number.uid());
        others.for_each(|other| self.requeuer.number(&other));
    }

    /// The Secrets that accounts refer to.
    pub(crate) fn secrets_in_use(&self) -> BTreeSet<SecretName> {
        let accounts = self.account_specs();
        accounts
            .into_iter()
            .flat_map(|(spec, namespace)| secrets_of(&spec, &namespace))
            .collect()
    }

    /// The accounts at providers that accounts open, as their statuses tell.
    pub(crate) fn account_ids(&self) -> impl Iterator<Item = AccountId> {
        let id = |status: &Option<AccountStatus>| status.as_ref()?.account_id.clone();
        let ids = self
            .caches
            .accounts_as(|it| id(&it.status), |it| id(&it.status));
        ids.into_iter().flatten().map(AccountId::new)
    }

    /// What every account says, and where its Secrets live.
    pub(crate) fn account_specs(&self) -> Vec<(AccountSpec, String)> {
        let operators = &self.process.settings.operator_namespace;
        self.caches.accounts_as(
            |it| (it.spec.account.clone(), it.namespace().unwrap_or_default()),
            |it| (it.spec.account.clone(), operators.clone()),
        )
    }

    /// The `account` labels of the accounts that exist.
    pub(crate) fn account_labels(&self) -> BTreeSet<String> {
        let labels = self
            .caches
            .accounts_as(AnyAccount::label, AnyAccount::label);
        labels.into_iter().collect()
    }

    /// The `account` label of the metrics of `number`: bounded by the accounts that exist.
    pub(crate) fn account_label(&self, number: &PhoneNumber) -> String {
        let key = AccountKey::of(number);
        let label = self
            .caches
            .account_as(&key, AnyAccount::label, AnyAccount::label);
        label.unwrap_or_else(|| NO_ACCOUNT.to_owned())
    }
}
