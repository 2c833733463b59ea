//! The limits of one account at a provider: the lowest of each, of all ProviderAccounts and ClusterProviderAccounts that open
//! it now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::plan::{self, Allowed, Budget};
use super::purchasers::Opened;
use crate::account::Account;
use crate::api::{
    AccountKey, AccountKind, AccountStatus, Adoption, Limits, Money, PhoneNumber, Reason,
    account_name,
};
use crate::cluster::Cluster;
use crate::cluster::any_account::AnyAccount;
use crate::number::{AccountId, Amount, Currency, Kind};

/// The limits of one account at a provider.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccountLimits {
    pub(crate) purchases_per_hour: i64,
    pub(crate) releases_per_hour: i64,
    pub(super) release_delay: Duration,
    pub(crate) max_numbers: Option<i64>,
    /// What the numbers that are billed in a currency may cost each month. Amounts are not converted, so each holds.
    pub(crate) monthly_cost: BTreeMap<Currency, Amount>,
    /// What a number that is billed in a currency may cost once.
    pub(super) upfront_cost: BTreeMap<Currency, Amount>,
    /// The countries that all allow; `None` where nobody restricts them.
    pub(super) countries: Option<BTreeSet<String>>,
    /// The kinds that all allow; `None` where nobody restricts them.
    pub(crate) kinds: Option<BTreeSet<Kind>>,
    /// Which numbers may be taken over; `None` where no account says it.
    pub(super) adoption: Option<Adoption>,
    pub(super) max_concurrent_requests: usize,
    /// Who restricts countries, and kinds, for people.
    pub(super) countries_by: BTreeSet<String>,
    pub(super) kinds_by: BTreeSet<String>,
}

impl AccountLimits {
    /// The limits that one account declares, which is called `title`. An empty list restricts nothing.
    pub(crate) fn of(declared: &Limits, title: &str) -> Self {
        let monthly = declared.max_monthly_cost.as_ref().and_then(limit_of);
        let upfront = declared.max_upfront_cost.as_ref().and_then(limit_of);
        let by = |is_empty: bool| {
            let title = (!is_empty).then(|| title.to_owned());
            title.into_iter().collect()
        };
        Self {
            purchases_per_hour: i64::from(declared.purchases_per_hour),
            releases_per_hour: i64::from(declared.releases_per_hour),
            release_delay: declared.release_delay(),
            max_numbers: declared.max_numbers,
            monthly_cost: monthly.into_iter().collect(),
            upfront_cost: upfront.into_iter().collect(),
            countries: listed(&declared.allowed_countries),
            kinds: listed(&declared.allowed_types),
            adoption: declared.adoption,
            max_concurrent_requests: usize::try_from(declared.max_concurrent_requests)
                .unwrap_or_default()
                .max(1),
            countries_by: by(declared.allowed_countries.is_empty()),
            kinds_by: by(declared.allowed_types.is_empty()),
        }
    }

    /// The lower of each limit, and the longer delay.
    fn and(mut self, other: Self) -> Self {
        add_lower(&mut self.monthly_cost, other.monthly_cost);
        add_lower(&mut self.upfront_cost, other.upfront_cost);
        self.countries_by.extend(other.countries_by);
        self.kinds_by.extend(other.kinds_by);
        let most = self.max_concurrent_requests;
        Self {
            purchases_per_hour: self.purchases_per_hour.min(other.purchases_per_hour),
            releases_per_hour: self.releases_per_hour.min(other.releases_per_hour),
            release_delay: self.release_delay.max(other.release_delay),
            max_numbers: match (self.max_numbers, other.max_numbers) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
            countries: shared(self.countries, other.countries),
            kinds: shared(self.kinds, other.kinds),
            adoption: match (self.adoption, other.adoption) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            },
            max_concurrent_requests: most.min(other.max_concurrent_requests),
            ..self
        }
    }
}

/// The account at the provider that `status` names.
fn id_of(status: Option<&AccountStatus>) -> Option<AccountId> {
    let id = status?.account_id.as_ref()?;
    Some(AccountId::new(id.clone()))
}

/// The currency and the amount of a limit. An amount that cannot be read allows nothing.
pub(crate) fn limit_of(money: &Money) -> Option<(Currency, Amount)> {
    let amount = Amount::read(&money.amount).unwrap_or_default();
    Some((Currency::new(&money.currency)?, amount))
}

/// Adds the limits of `others`; of two in one currency the lower holds.
fn add_lower(limits: &mut BTreeMap<Currency, Amount>, others: BTreeMap<Currency, Amount>) {
    for (currency, amount) in others {
        let lowest = limits.entry(currency).or_insert(amount);
        *lowest = (*lowest).min(amount);
    }
}

fn listed<T: Ord + Clone>(list: &[T]) -> Option<BTreeSet<T>> {
    (!list.is_empty()).then(|| list.iter().cloned().collect())
}

/// What both allow, which may be nothing.
fn shared<T: Ord + Clone>(
    one: Option<BTreeSet<T>>,
    other: Option<BTreeSet<T>>,
) -> Option<BTreeSet<T>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.intersection(&other).cloned().collect()),
        (one, other) => one.or(other),
    }
}

impl Cluster {
    /// The limits of `account`, which the account `key` with the limits `own` opens. It heeds them from now on in what it is
    /// asked.
    pub(super) fn limits_of(
        &self,
        account: &Account,
        key: &AccountKey,
        own: &Limits,
    ) -> AccountLimits {
        let limits = self.lowest_limits(&account.names(), key, own);
        account.limit_requests(limits.max_concurrent_requests);
        limits
    }

    /// `own`, or the lower limits of others that open the account with these ids too.
    pub(crate) fn lowest_limits(
        &self,
        account: &[AccountId],
        key: &AccountKey,
        own: &Limits,
    ) -> AccountLimits {
        let mut limits = AccountLimits::of(own, &title(key, key));
        for (other, declared, named) in self.declared_limits() {
            if self.is_opened_by(&other, account) {
                limits = limits.and(AccountLimits::of(&declared, &title(&other, key)));
            } else if named.is_some_and(|id| account.contains(&id)) {
                // A credential that does not work any more must not end a delay: a release cannot be undone.
                limits.release_delay = limits.release_delay.max(declared.release_delay());
            }
        }
        limits
    }

    /// What `declared` sets a limit to for `number`, and how much of it is used in `account`.
    pub(super) fn limits_on(
        &self,
        number: &PhoneNumber,
        declared: &AccountLimits,
        account: Option<&Arc<Account>>,
    ) -> plan::Limits {
        let is_limited = declared.max_numbers.is_some() || !declared.monthly_cost.is_empty();
        let used = account.filter(|_| is_limited).map(|account| {
            let names = account.names();
            let tally = account.tally(&self.claims_excluding(number, names.clone()));
            (names, tally)
        });
        let held = used.as_ref().map(|(_, tally)| tally.numbers);
        let index = &self.caches.index;
        let costs = declared
            .monthly_cost
            .iter()
            .filter_map(|(currency, amount)| {
                let (names, tally) = used.as_ref()?;
                let spent = index.cost_excluding(number, names, currency);
                let budget = Budget {
                    amount: *amount,
                    currency: currency.clone(),
                };
                Some((budget, spent.plus(tally.monthly)))
            });
        let upfront = declared.upfront_cost.iter();
        let upfront = upfront.map(|(currency, amount)| Budget {
            amount: *amount,
            currency: currency.clone(),
        });
        plan::Limits {
            countries: declared.countries.clone().map(|values| Allowed {
                values,
                by: declared.countries_by.clone(),
            }),
            kinds: declared.kinds.clone().map(|values| Allowed {
                values,
                by: declared.kinds_by.clone(),
            }),
            adoption: declared
                .adoption
                .unwrap_or(Adoption::unless_said(account_name(number).0)),
            numbers: declared.max_numbers.zip(held),
            monthly_cost: costs.collect(),
            upfront_cost: upfront.collect(),
        }
    }

    /// Every account with its limits, and the account at the provider that its status names.
    fn declared_limits(&self) -> Vec<(AccountKey, Limits, Option<AccountId>)> {
        self.caches.accounts_as(
            |it| {
                (
                    it.key(),
                    it.spec.account.limits.clone(),
                    id_of(it.status.as_ref()),
                )
            },
            |it| {
                (
                    it.key(),
                    it.spec.account.limits.clone(),
                    id_of(it.status.as_ref()),
                )
            },
        )
    }

    /// True if the account `key` opens the account with these ids at the provider.
    fn is_opened_by(&self, key: &AccountKey, account: &[AccountId]) -> bool {
        matches!(self.opened_by(key), Opened::Account(id) if account.contains(&id))
    }

    /// The resources that wait for a limit of the account with these ids at the provider.
    pub(crate) fn waiting_in(&self, account: &[AccountId]) -> Vec<Arc<PhoneNumber>> {
        let accounts = self.caches.accounts_as(AnyAccount::key, AnyAccount::key);
        let openers = accounts
            .iter()
            .filter(|key| self.is_opened_by(key, account));
        let users = openers.flat_map(|key| self.users(key));
        users.filter(|user| waits_for_a_limit(user)).collect()
    }
}

/// True if nothing but a limit keeps the number from what it wants.
pub(crate) fn waits_for_a_limit(number: &PhoneNumber) -> bool {
    let mut conditions = number.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|condition| {
        let reason = Reason::read(&condition.reason);
        matches!(
            reason,
            Some(Reason::LimitReached | Reason::ReleaseLimitReached | Reason::ReleaseDelayed)
        )
    })
}

/// What an account is called where people read that use the account `viewer`: who has no key of their own is told nothing of
/// other namespaces.
pub(super) fn title(key: &AccountKey, viewer: &AccountKey) -> String {
    let is_shared = viewer.kind == AccountKind::ClusterProviderAccount;
    let name = &key.name;
    match (key.kind, &key.namespace) {
        (AccountKind::ClusterProviderAccount, _) => format!("ClusterProviderAccount {name}"),
        (AccountKind::ProviderAccount, Some(namespace)) if !is_shared => {
            format!("ProviderAccount {namespace}/{name}")
        }
        _ => "an account of another namespace".to_owned(),
    }
}

#[cfg(test)]
mod tests;
