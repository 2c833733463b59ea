//! Who can buy in which account at a provider, as far as the accounts tell and this process has found.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use kube::ResourceExt;

use super::providers::Providers;
use crate::account::{Account, OtherClaims};
use crate::api::{AccountKey, AccountStatus, PhoneNumber, StatusReason, condition, reason_of};
use crate::cluster::Cluster;
use crate::cluster::index::Credible;
use crate::cluster::openings::opens_nothing;
use crate::number::{AccountId, Provider};

/// What an account opens.
pub(super) enum Opened {
    /// The account with this id at the provider.
    Account(AccountId),
    /// Its credential is missing or refused.
    Nothing,
    /// It was not tried yet, or no answer came.
    Unknown,
}

impl Cluster {
    /// Notes what came of opening the account `key` with its present credential. Where it opened another one before, its limits
    /// hold there no more.
    pub(super) fn opened(
        &self,
        key: &AccountKey,
        opened: &Result<Arc<Account>, StatusReason>,
        providers: &Providers,
    ) {
        if let Some(before) = self.openings.note(key, opened) {
            let waiting = self.waiting_in(&providers.names_of(&before));
            waiting.iter().for_each(|user| self.requeuer.number(user));
        }
    }

    /// What the account `key` opens: as this process found, else as its status tells.
    pub(super) fn opened_by(&self, key: &AccountKey) -> Opened {
        if let Some(found) = self.openings.found(key) {
            return found.map_or(Opened::Nothing, Opened::Account);
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
    pub(crate) fn account_status(&self, key: &AccountKey) -> Option<AccountStatus> {
        let caches = &self.caches;
        let status = caches.account_as(key, |it| it.status.clone(), |it| it.status.clone());
        status.map(Option::unwrap_or_default)
    }

    /// True if the account that `number` refers to exists, is for its provider and its namespace, and opens the account with
    /// these ids, as far as is known.
    pub(super) fn can_buy_in(&self, number: &PhoneNumber, account: &[AccountId]) -> bool {
        let namespace = number.namespace().unwrap_or_default();
        let provider = self.provider_of(&AccountKey::of(number), &namespace, account);
        provider == Some(number.spec.provider)
    }

    /// The same for many, and an account at `here`. Each account and namespace of theirs is looked at once.
    fn credible(&self, account: Vec<AccountId>, here: Provider) -> Credible<'_> {
        let known: RefCell<HashMap<AccountKey, HashMap<String, Option<Provider>>>> =
            RefCell::default();
        Box::new(move |namespace, key, provider| {
            let mut known = known.borrow_mut();
            let found = known.get(key).and_then(|found| found.get(namespace));
            let found = found.copied().unwrap_or_else(|| {
                let found = self.provider_of(key, namespace, &account);
                let all = known.entry(key.clone()).or_default();
                all.insert(namespace.to_owned(), found);
                found
            });
            found == Some(provider) && provider == here
        })
    }

    /// The provider of the account `key`, if resources of `namespace` can buy with it in the account with these ids.
    fn provider_of(
        &self,
        key: &AccountKey,
        namespace: &str,
        account: &[AccountId],
    ) -> Option<Provider> {
        let view = self.account_at(key.kind, key.name.clone(), namespace.to_owned());
        let view = view.ok().filter(|view| !view.is_forbidden())?;
        let may_open = match self.opened_by(key) {
            Opened::Account(id) => account.contains(&id),
            Opened::Nothing => false,
            // Nobody has tried yet; somebody soon will.
            Opened::Unknown => true,
        };
        may_open.then_some(view.spec.provider)
    }

    /// What the resources other than `number` tell of purchases in the account with these ids.
    pub(super) fn claims_excluding<'a>(
        &'a self,
        number: &PhoneNumber,
        account: Vec<AccountId>,
    ) -> impl OtherClaims + use<'a> {
        let since = self.unsettled_since();
        let credible = self.credible(account.clone(), number.spec.provider);
        self.caches
            .index
            .claims_excluding(number, account, since, credible)
    }
}

#[cfg(test)]
mod tests;
