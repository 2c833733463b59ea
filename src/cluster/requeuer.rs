//! Requeues objects: the ways into the queues of the controllers.

use std::sync::{Arc, Mutex, MutexGuard};

use futures::channel::mpsc::UnboundedSender;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use crate::api::{AccountKey, AccountKind, ClusterProviderAccount, PhoneNumber, ProviderAccount};
use crate::panics::lock;

/// The ways into the queues. Clones are one and the same.
#[derive(Clone, Default)]
pub struct Requeuer(Arc<Mutex<Channels>>);

#[derive(Default)]
struct Channels {
    numbers: Vec<UnboundedSender<ObjectRef<PhoneNumber>>>,
    accounts: Vec<UnboundedSender<ObjectRef<ProviderAccount>>>,
    cluster_accounts: Vec<UnboundedSender<ObjectRef<ClusterProviderAccount>>>,
}

impl Requeuer {
    /// Numbers that are woken are sent to `channel` too. The listener ignores what its cache does not hold.
    pub fn add_numbers(&self, channel: UnboundedSender<ObjectRef<PhoneNumber>>) {
        self.lock().numbers.push(channel);
    }

    /// The same for accounts.
    pub fn add_accounts(&self, channel: UnboundedSender<ObjectRef<ProviderAccount>>) {
        self.lock().accounts.push(channel);
    }

    /// The same for cluster accounts.
    pub fn add_cluster_accounts(
        &self,
        channel: UnboundedSender<ObjectRef<ClusterProviderAccount>>,
    ) {
        self.lock().cluster_accounts.push(channel);
    }

    /// Wakes `number`.
    pub(crate) fn number(&self, number: &PhoneNumber) {
        self.number_at(&ObjectRef::from_obj(number));
    }

    /// Wakes the number that `reference` leads to.
    pub(super) fn number_at(&self, reference: &ObjectRef<PhoneNumber>) {
        for channel in &self.lock().numbers {
            // A channel is closed only when its queue has ended.
            let _ = channel.unbounded_send(reference.clone());
        }
    }

    /// Wakes `numbers`, in the order of their names.
    pub(crate) fn numbers(&self, numbers: impl IntoIterator<Item = Arc<PhoneNumber>>) {
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_by_cached_key(|number| (number.namespace(), number.name_any()));
        numbers.iter().for_each(|number| self.number(number));
    }

    /// Wakes the account that `key` names: it may be in use now, or not any more.
    pub(crate) fn account_at(&self, key: &AccountKey) {
        match key.kind {
            AccountKind::ProviderAccount => {
                let namespace = key.namespace.clone().unwrap_or_default();
                self.account(ObjectRef::new(&key.name).within(&namespace));
            }
            AccountKind::ClusterProviderAccount => self.cluster_account(ObjectRef::new(&key.name)),
        }
    }

    /// Wakes an account.
    pub(crate) fn account(&self, account: ObjectRef<ProviderAccount>) {
        for channel in &self.lock().accounts {
            let _ = channel.unbounded_send(account.clone());
        }
    }

    /// Wakes a cluster account.
    pub(crate) fn cluster_account(&self, account: ObjectRef<ClusterProviderAccount>) {
        for channel in &self.lock().cluster_accounts {
            let _ = channel.unbounded_send(account.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        lock(&self.0)
    }
}
