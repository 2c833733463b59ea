//! Which account at a provider each ProviderAccount and ClusterProviderAccount opens now, and so who can buy in it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::context::Context;
use super::index::{Credible, Key, account_key};
use super::plan::Blocker;
use crate::account::Account;
use crate::api::{AccountKind, AccountStatus, PhoneNumber, Reason, condition, reason_of};
use crate::number::{AccountId, Provider};
use crate::panics::lock;

/// What the present credential of each account opens, as passes of this process found; `None` if it opens nothing.
#[derive(Default)]
pub(super) struct Openings(Mutex<HashMap<Key, Option<AccountId>>>);

impl Openings {
    /// Notes what came of opening the account `key` with its present credential. Returns what it opened before, if that is
    /// something else now. Where no answer came nothing changes.
    fn note(&self, key: &Key, opened: &Result<Arc<Account>, Blocker>) -> Option<AccountId> {
        let now = match opened {
            Ok(account) => Some(&account.identity().account),
            Err(blocker) if opens_nothing(blocker.reason) => None,
            Err(_) => return None,
        };
        let mut all = self.lock();
        match all.get(key) {
            Some(known) if known.as_ref() == now => None,
            _ => all.insert(key.clone(), now.cloned()).flatten(),
        }
    }

    /// Forgets accounts that do not exist.
    pub(super) fn retain(&self, exists: impl Fn(&Key) -> bool) {
        self.lock().retain(|key, _| exists(key));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Option<AccountId>>> {
        lock(&self.0)
    }
}

/// What an account opens.
pub(super) enum Opened {
    /// The account with this id at the provider.
    Account(AccountId),
    /// Its credential is missing or refused.
    Nothing,
    /// It was not tried yet, or no answer came.
    Unknown,
}

/// True for the reasons of a credential that is missing or refused. A provider that does not answer is no reason: what was
/// opened before counts.
fn opens_nothing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::CredentialsMissing | Reason::CredentialsInvalid
    )
}

impl Context {
    /// Notes what came of opening the account `key` with its present credential. Where it opened another one before, its limits
    /// hold there no more.
    pub(super) fn opened(&self, key: &Key, opened: &Result<Arc<Account>, Blocker>) {
        if let Some(before) = self.openings.note(key, opened) {
            let waiting = self.waiting_in(&before);
            waiting.iter().for_each(|user| self.wakers.number(user));
        }
    }

    /// What the account `key` opens: as this process found, else as its status tells.
    pub(super) fn opened_by(&self, key: &Key) -> Opened {
        if let Some(found) = self.openings.lock().get(key) {
            return found.clone().map_or(Opened::Nothing, Opened::Account);
        }
        let status = self.account_status(key).unwrap_or_default();
        let is_refused = reason_of(&status.conditions, condition::READY).is_some_and(opens_nothing);
        match status.account_id {
            _ if is_refused => Opened::Nothing,
            Some(id) => Opened::Account(AccountId::new(id)),
            None => Opened::Unknown,
        }
    }

    /// The status of the account `key`; `None` if it does not exist. One without a status has an empty one.
    pub(super) fn account_status(&self, key: &Key) -> Option<AccountStatus> {
        let Key::Account(kind, namespace, name) = key else {
            return None;
        };
        let status = match kind {
            AccountKind::ProviderAccount => {
                let namespace = namespace.as_deref().unwrap_or_default();
                let reference = ObjectRef::new(name).within(namespace);
                let mut stores = self.stores.accounts.iter();
                let account = stores.find_map(|store| store.get(&reference))?;
                account.status.clone()
            }
            AccountKind::ClusterProviderAccount => {
                let reference = ObjectRef::new(name);
                let mut stores = self.stores.cluster_accounts.iter();
                let account = stores.find_map(|store| store.get(&reference))?;
                account.status.clone()
            }
        };
        Some(status.unwrap_or_default())
    }

    /// True if the account that `number` refers to exists, is for its provider and its namespace, and opens the account with
    /// these ids, as far as is known.
    pub(super) fn can_buy_in(&self, number: &PhoneNumber, account: &[AccountId]) -> bool {
        let namespace = number.namespace().unwrap_or_default();
        let provider = self.provider_of(&account_key(number), &namespace, account);
        provider == Some(number.spec.provider)
    }

    /// The same for many, each account and namespace of which is looked at once.
    pub(super) fn credible(&self, account: Vec<AccountId>) -> Credible<'_> {
        let known: RefCell<HashMap<Key, HashMap<String, Option<Provider>>>> = RefCell::default();
        Box::new(move |namespace, key, provider| {
            let mut known = known.borrow_mut();
            let found = known.get(key).and_then(|found| found.get(namespace));
            let found = found.copied().unwrap_or_else(|| {
                let found = self.provider_of(key, namespace, &account);
                let all = known.entry(key.clone()).or_default();
                all.insert(namespace.to_owned(), found);
                found
            });
            found == Some(provider)
        })
    }

    /// The provider of the account `key`, if resources of `namespace` can buy with it in the account with these ids.
    fn provider_of(&self, key: &Key, namespace: &str, account: &[AccountId]) -> Option<Provider> {
        let Key::Account(kind, _, name) = key else {
            return None;
        };
        let view = self.account_at(*kind, name.clone(), namespace.to_owned());
        let view = view.ok().filter(|view| !view.is_forbidden())?;
        let may_open = match self.opened_by(key) {
            Opened::Account(id) => account.contains(&id),
            Opened::Nothing => false,
            // Nobody has tried yet; somebody soon will.
            Opened::Unknown => true,
        };
        may_open.then_some(view.spec.provider)
    }
}

#[cfg(test)]
mod tests;
