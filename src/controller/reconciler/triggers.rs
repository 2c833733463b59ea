//! What the change of one object means for others: which of them are due because of it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;

use super::Reconciler;
use crate::api::{AccountKind, ClusterProviderAccount, PhoneNumber, ProviderAccount, account_name};
use crate::cluster::Cluster;
use crate::cluster::any_account::AnyAccount;
use crate::cluster::caches::find;
use crate::cluster::secrets::{SecretName, secrets_of};
use crate::number::AccountId;
use crate::panics::lock;
use crate::reconcile::fault;
use crate::reconcile::limits::waits_for_a_limit;

impl Reconciler {
    /// Takes note of what the watch of numbers told, after the cache has.
    pub fn saw_number(&self, event: &Event<PhoneNumber>) {
        fault::survived("watch of PhoneNumbers", &self.process.metrics, || {
            self.take_note_of(event);
        });
    }

    fn take_note_of(&self, event: &Event<PhoneNumber>) {
        match event {
            Event::Apply(number) => {
                self.cluster.note(number);
                // What forbade another to claim its number may not any more.
                if self.is_foreign_change(number) {
                    self.cluster.requeue_others_that_declare(number);
                }
            }
            Event::InitApply(number) => self.cluster.note(number),
            Event::Delete(number) => {
                // It may have changed in what nobody has seen.
                self.cluster.note(number);
                self.cluster
                    .forget(self.cluster.caches.index.remove(number));
                self.schedule.setbacks.over(number);
            }
            Event::InitDone => self.saw_all(),
            Event::Init => {}
        }
    }

    /// What a list does not show any more is gone without an event.
    fn saw_all(&self) {
        let caches = &self.cluster.caches;
        let gone = caches
            .index
            .keep(|reference| find(&caches.numbers, reference).is_some());
        // The list of another namespace may be under way: what it has shown so far is in no cache yet, and noted at its end.
        for number in caches.numbers.iter().flat_map(Store::state) {
            self.cluster.note(&number);
        }
        gone.into_iter().for_each(|gone| self.cluster.forget(gone));
    }

    /// True if `number`, as a watch has it, is news: a reconcile that has written this version or a later one knew it.
    pub fn is_foreign_change(&self, number: &PhoneNumber) -> bool {
        !self.cluster.observations.knows(number)
    }

    /// Wakes the numbers that use an account that has changed.
    pub fn requeue_users_of(&self, account: &ProviderAccount) {
        fault::survived("watch of ProviderAccounts", &self.process.metrics, || {
            self.requeue_users(account);
        });
    }

    /// Wakes the numbers that use a cluster account that has changed.
    pub fn wake_users_of_cluster_account(&self, account: &ClusterProviderAccount) {
        fault::survived(
            "watch of ClusterProviderAccounts",
            &self.process.metrics,
            || {
                self.requeue_users(account);
            },
        );
    }

    /// A namespace's labels decide which ClusterProviderAccounts it may use.
    pub fn saw_namespace(&self, event: &Event<PartialObjectMeta<Namespace>>) {
        let has_other_labels = |namespace: &PartialObjectMeta<Namespace>| {
            let labels = namespace.labels().clone();
            let before = lock(&self.labels).insert(namespace.name_any(), labels);
            before.as_ref() != Some(namespace.labels())
        };
        let changed = match event {
            // Those wait that refer to an account which allows some namespaces.
            Event::InitDone if !self.knew_namespaces.swap(true, Ordering::Relaxed) => {
                fault::survived("watch of namespaces", &self.process.metrics, || {
                    let is_shared = |number: &PhoneNumber| {
                        account_name(number).0 == AccountKind::ClusterProviderAccount
                    };
                    self.cluster.requeue_numbers(is_shared);
                });
                return;
            }
            // A list that shows what is known requeues nothing.
            Event::Apply(namespace) | Event::InitApply(namespace)
                if has_other_labels(namespace) =>
            {
                namespace
            }
            Event::Delete(namespace) => {
                lock(&self.labels).remove(&namespace.name_any());
                return;
            }
            Event::Apply(_) | Event::InitApply(_) | Event::Init | Event::InitDone => return,
        };
        let name = Some(changed.name_any());
        let is_in = |number: &PhoneNumber| number.namespace() == name;
        fault::survived("watch of namespaces", &self.process.metrics, || {
            self.cluster.requeue_numbers(is_in);
        });
    }

    fn requeue_users<A: AnyAccount>(&self, account: &A) {
        for user in self.cluster.users(&account.key()) {
            self.cluster.requeuer.number(&user);
        }
        self.requeue_what_waits_for_limits_of(account);
    }

    /// The lowest limit holds for all that open the same account at the provider.
    fn requeue_what_waits_for_limits_of<A: AnyAccount>(&self, account: &A) {
        let status = account.status();
        let id = status.and_then(|status| status.account_id.clone());
        let id = id.map(AccountId::new);
        for user in id
            .iter()
            .flat_map(|id| self.cluster.waiting_in(&self.providers.names_of(id)))
        {
            self.cluster.requeuer.number(&user);
        }
    }

    /// The limits of an account that is gone hold no more.
    pub(in crate::controller) fn saw_account<A: AnyAccount>(&self, event: &Event<A>) {
        fault::survived("watch of accounts", &self.process.metrics, || match event {
            Event::Delete(account) => self.requeue_what_waits_for_limits_of(account),
            // One may be gone without an event.
            Event::InitDone if self.cluster.caches.has_begun() => {
                self.cluster.requeue_numbers(waits_for_a_limit);
            }
            Event::InitDone | Event::Init | Event::InitApply(_) | Event::Apply(_) => {}
        });
    }

    pub(super) fn requeue_users_of_secrets(&self, changed: &BTreeSet<SecretName>) {
        let Cluster {
            caches, requeuer, ..
        } = self.cluster.as_ref();
        let settings = &self.process.settings;
        let is_changed = |secrets: Vec<SecretName>| secrets.iter().any(|it| changed.contains(it));
        for account in caches.accounts.iter().flat_map(Store::state) {
            let namespace = account.namespace().unwrap_or_default();
            if is_changed(secrets_of(&account.spec.account, &namespace)) {
                self.requeue_users(account.as_ref());
                requeuer.account(ObjectRef::from_obj(account.as_ref()));
            }
        }
        for account in caches.cluster_accounts.iter().flat_map(Store::state) {
            if is_changed(secrets_of(
                &account.spec.account,
                &settings.operator_namespace,
            )) {
                self.requeue_users(account.as_ref());
                requeuer.cluster_account(ObjectRef::from_obj(account.as_ref()));
            }
        }
    }
}
