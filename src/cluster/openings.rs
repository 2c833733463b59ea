//! Which account at a provider each ProviderAccount and ClusterProviderAccount opens now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::account::Account;
use crate::api::{AccountKey, Reason, StatusReason};
use crate::number::AccountId;
use crate::panics::lock;

/// What the present credential of each account opens, as reconciles of this process found; `None` if it opens nothing.
#[derive(Default)]
pub(crate) struct Openings(Mutex<HashMap<AccountKey, Option<AccountId>>>);

impl Openings {
    /// Notes what came of opening the account `key` with its present credential. Returns what it opened before, if that is
    /// something else now. Where no answer came nothing changes.
    pub(crate) fn note(
        &self,
        key: &AccountKey,
        opened: &Result<Arc<Account>, StatusReason>,
    ) -> Option<AccountId> {
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

    /// What the present credential of the account `key` opens, if this process has tried it: nothing, or this account.
    pub(crate) fn found(&self, key: &AccountKey) -> Option<Option<AccountId>> {
        self.lock().get(key).cloned()
    }

    /// Forgets accounts that do not exist.
    pub(crate) fn retain(&self, exists: impl Fn(&AccountKey) -> bool) {
        self.lock().retain(|key, _| exists(key));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AccountKey, Option<AccountId>>> {
        lock(&self.0)
    }
}

/// True for the reasons of a credential that is missing or refused. A provider that does not answer is no reason: what was
/// opened before counts.
pub(crate) fn opens_nothing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::CredentialsMissing | Reason::CredentialsInvalid
    )
}
