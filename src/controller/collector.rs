//! The metrics of each account, read from caches and observations when Prometheus scrapes. Decides nothing, waits for nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::Store;

use crate::api::{AccountBalance, Class, PhoneNumber, Reason, condition, owner, reason_of};
use crate::claim::{Claim, Stored};
use crate::clock::Instant;
use crate::cluster::Cluster;
use crate::cluster::any_account::AnyAccount;
use crate::cluster::process::Process;
use crate::cluster::quota::{HourlyQuotas, QuotaKind};
use crate::number::{AccountId, Amount};
use crate::reconcile::limits::{AccountLimits, limit_of};
use crate::reconcile::providers::Providers;
use crate::telemetry::metrics::{AccountMetrics, Source};

/// The figures of every account that is looked after.
pub(super) struct MetricsCollector {
    cluster: Arc<Cluster>,
    providers: Arc<Providers>,
    quotas: Arc<HourlyQuotas>,
    process: Process,
    /// An account that was never listed is as old as this.
    since: Instant,
}

impl MetricsCollector {
    /// The figures of a replica that leads from now on.
    pub(super) fn new(
        cluster: Arc<Cluster>,
        providers: Arc<Providers>,
        quotas: Arc<HourlyQuotas>,
        process: Process,
    ) -> Self {
        Self {
            since: process.clock.now(),
            cluster,
            providers,
            quotas,
            process,
        }
    }

    fn of_account<A: AnyAccount>(&self, account: &A) -> AccountMetrics {
        let status = account.status();
        let id = status
            .and_then(|status| status.account_id.clone())
            .map(AccountId::new);
        let known = id.as_ref().and_then(|id| self.providers.accounts.known(id));
        let listed = known.as_ref().and_then(|known| known.listed);
        let age = self.process.clock.now().since(listed.unwrap_or(self.since));
        let mut figures = AccountMetrics {
            account: account.label(),
            ready: status.and_then(|status| {
                let mut conditions = status.conditions.iter();
                let ready = conditions.find(|found| found.type_ == condition::READY)?;
                Some((ready.status == "True", ready.reason.clone()))
            }),
            inventory_age: Some(age.as_secs_f64()),
            ..AccountMetrics::default()
        };
        if let Some(status) = status {
            for (mark, count) in [
                ("managed", status.managed),
                ("unmanaged", status.unmanaged),
                ("orphaned", status.orphaned),
                ("foreign", status.foreign),
            ] {
                figures.inventory.extend(count.map(|count| (mark, count)));
            }
        }
        let balance = status.and_then(|status| status.balance.as_ref());
        let balance = balance.and_then(AccountBalance::read);
        figures.balance = balance.map(|it| (it.currency.to_string(), it.to_f64()));
        let warning = account.spec().balance.as_ref();
        let warning = warning.and_then(|it| it.warn_below.as_ref());
        let warning = warning.and_then(limit_of);
        figures.balance_warning =
            warning.map(|(currency, amount)| (currency.to_string(), amount.to_f64()));
        let names = id.as_ref().map(|id| self.providers.names_of(id));
        let names = names.unwrap_or_default();
        let limits = self
            .cluster
            .lowest_limits(&names, &account.key(), &account.spec().limits);
        let held = known.map(|known| known.numbers);
        figures.limits = self.limits(&names, held, &limits);
        figures
    }

    /// What each limit allows, and what of it is left.
    fn limits(
        &self,
        account: &[AccountId],
        held: Option<i64>,
        limits: &AccountLimits,
    ) -> Vec<(&'static str, f64, f64)> {
        if account.is_empty() {
            return Vec::new();
        }
        let mut shown = Vec::new();
        let per_hour = [
            (
                "purchasesPerHour",
                QuotaKind::Purchase,
                limits.purchases_per_hour,
            ),
            (
                "releasesPerHour",
                QuotaKind::Release,
                limits.releases_per_hour,
            ),
        ];
        for (name, deed, limit) in per_hour {
            let now = self.process.time.now();
            if let Some(used) = now.and_then(|now| self.quotas.used(account, deed, now)) {
                let left = limit.saturating_sub(used).max(0);
                shown.push((name, limit as f64, left as f64));
            }
        }
        if let (Some(most), Some(held)) = (limits.max_numbers, held) {
            shown.push(("maxNumbers", most as f64, (most - held).max(0) as f64));
        }
        for (currency, most) in &limits.monthly_cost {
            let spent = self.cluster.caches.index.cost_of(account, currency);
            let left = most.less(spent);
            shown.push(("maxMonthlyCost", most.to_f64(), left.to_f64()));
        }
        shown
    }
}

impl Source for MetricsCollector {
    fn figures(&self) -> Vec<AccountMetrics> {
        let caches = &self.cluster.caches;
        let accounts = caches.accounts_as(|it| self.of_account(it), |it| self.of_account(it));
        let mut all: BTreeMap<String, AccountMetrics> = accounts
            .into_iter()
            .map(|figures| (figures.account.clone(), figures))
            .collect();
        let now = self.process.time.now();
        for number in caches.numbers.iter().flat_map(Store::state) {
            let account = self.cluster.account_label(&number);
            let figures = all
                .entry(account.clone())
                .or_insert_with(|| AccountMetrics {
                    account,
                    ..AccountMetrics::default()
                });
            count(&number, figures, now);
        }
        all.into_values().collect()
    }
}

/// Adds one PhoneNumber to the figures of its account.
fn count(number: &PhoneNumber, figures: &mut AccountMetrics, now: Option<Timestamp>) {
    let state = (state(number), reason(number).to_string());
    *figures.numbers.entry(state).or_default() += 1;
    if let Some(since) = open_since(number) {
        figures.unknown_outcomes += 1;
        let age = now.map_or(0.0, |now| now.duration_since(since).as_secs_f64());
        figures.unknown_outcome_age = figures.unknown_outcome_age.max(age);
    }
    let status = number.status.as_ref().filter(|status| status.id.is_some());
    if let Some(cost) = status.and_then(|status| status.cost.as_ref())
        && let Some(monthly) = Amount::read(&cost.monthly)
    {
        *figures
            .monthly_cost
            .entry(cost.currency.clone())
            .or_default() += monthly.to_f64();
    }
}

/// The reason of Ready, which keeps its word while the resource is suspended.
fn reason(number: &PhoneNumber) -> Reason {
    let status = number.status.as_ref();
    let known = status.and_then(|status| reason_of(&status.conditions, condition::READY));
    known.unwrap_or(Reason::Pending)
}

fn state(number: &PhoneNumber) -> &'static str {
    if number.metadata.deletion_timestamp.is_some() {
        return "deleting";
    }
    if number.spec.suspend {
        return "suspended";
    }
    match reason(number).class() {
        Class::Settled => "ready",
        Class::Working => "working",
        Class::Waiting => "waiting",
        Class::Stalled => "stalled",
    }
}

/// Since when the number is claimed and nobody knows whether it was bought: nothing is recorded, the last attempt was not
/// certain to have bought nothing, and what it waits for is a look at the account, or what a look needs. A claim that cannot be read
/// may be as old as its resource.
fn open_since(number: &PhoneNumber) -> Option<Timestamp> {
    let status = number.status.as_ref();
    if status.is_some_and(|status| status.id.is_some() || status.order_id.is_some()) {
        return None;
    }
    let uid = number.uid().unwrap_or_default();
    let (nonce, since) = match Claim::read(number.annotations(), &owner(number), &uid) {
        Stored::Nothing => return None,
        Stored::Ours(claim) | Stored::EarlierUid(claim) => (Some(claim.nonce), claim.since),
        Stored::Unreadable | Stored::Newer(_) => {
            let created = number.creation_timestamp().map(|time| time.0);
            (None, created.unwrap_or_default())
        }
    };
    let attempt = status.and_then(|status| status.attempt.as_ref());
    let known_not_purchased = attempt.is_some_and(|attempt| {
        Some(&attempt.nonce) == nonce.as_ref() && attempt.outcome.is_in_vain()
    });
    let waits_for_a_look = matches!(
        reason(number),
        Reason::Pending
            | Reason::Purchasing
            | Reason::Verifying
            | Reason::RateLimited
            | Reason::ProviderUnavailable
            | Reason::InternalError
            | Reason::AccountNotFound
            | Reason::AccountNotAllowed
            | Reason::CredentialsMissing
            | Reason::CredentialsInvalid
            | Reason::AccountMismatch
            | Reason::AccountUnidentified
    );
    (waits_for_a_look && !known_not_purchased).then_some(since)
}

#[cfg(test)]
mod tests;
