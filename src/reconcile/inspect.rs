//! Compares an account's inventory with its PhoneNumbers once an interval: requeues those that drifted, and counts.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;

use super::checks::{DependencyCache, InventoryChecks};
use super::providers::Providers;
use super::resolve::resolve;
use crate::account::{Account, ListedNumber};
use crate::api::{MonthlyCost, PhoneNumber, Reason};
use crate::clock::Instant;
use crate::cluster::Cluster;
use crate::cluster::caches::Caches;
use crate::cluster::index::Key;
use crate::cluster::process::Settings;
use crate::number::{Amount, E164, Installation, Messaging, NumberId, Provider};
use crate::provider::Error;

/// What an account holds, in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InventoryCounts {
    /// Numbers that a resource of ours holds.
    pub(crate) managed: i64,
    /// Numbers without any operator's mark, by number.
    pub(crate) unmanaged: Vec<ListedNumber>,
    /// Numbers with our mark that no resource holds, by number.
    pub(crate) orphaned: Vec<ListedNumber>,
    /// Numbers with the mark of another installation.
    pub(crate) foreign: i64,
    /// What the managed numbers cost each month; `None` while no price is known.
    pub(crate) monthly_cost: Option<MonthlyCost>,
}

/// In which time Burki is asked about each assignment once.
const ASSIGNMENTS_ASKED_IN: Duration = Duration::from_secs(3600);

/// Wakes the users of the account whose number is not as it was when they were last found to be right. Returns how many
/// recorded numbers are not listed, and are not known to be lost.
pub(super) fn requeue_drifted(
    account: &Account,
    users: &[Arc<PhoneNumber>],
    cluster: &Cluster,
) -> usize {
    let identity = account.identity();
    let mut former = account.names();
    former.retain(|id| identity.proved && *id != identity.account);
    let mut missing = 0;
    for user in users {
        let status = user.status.as_ref();
        let Some(id) = status.and_then(|status| status.id.clone()) else {
            continue;
        };
        let seen = account.fingerprint(&NumberId::new(id));
        let is_lost = status.is_some_and(|status| {
            let mut conditions = status.conditions.iter();
            conditions.any(|found| Reason::read(&found.reason) == Some(Reason::Lost))
        });
        if seen.is_none() && !is_lost {
            missing += 1;
        }
        // What was recorded before the account was identified is recorded under its id then.
        let pinned = status.and_then(|status| status.account_id.as_deref());
        let is_former = |pinned: &str| former.iter().any(|id| id.as_str() == pinned);
        let is_renamed = pinned.is_some_and(is_former);
        let is_right =
            !is_renamed && seen.is_some() && seen == cluster.observations.verified_as(user);
        if !is_right && !user.spec.suspend {
            cluster.requeuer.number(user);
        }
    }
    missing
}

/// Looks into the messaging services that the users of a Twilio account declare, and into all of them if a user that wants messages
/// declares none. Returns why that cannot be done, for people: nothing else depends on it.
pub(super) async fn look_into_services(
    account: &Account,
    users: &[Arc<PhoneNumber>],
    not_before: Instant,
) -> Option<String> {
    if account.provider_api().provider() != Provider::Twilio {
        return None;
    }
    let mut declared = BTreeSet::new();
    let mut others = false;
    for user in users.iter().filter(|user| wants_messages(user)) {
        let service = user.spec.twilio.as_ref();
        match service.and_then(|options| options.messaging_service_sid.as_ref()) {
            Some(service) => {
                declared.insert(service.clone());
            }
            None => others = true,
        }
    }
    if declared.is_empty() && !others {
        return None;
    }
    let looked = account.look_into_services(&declared, others, not_before);
    let error = looked.await.err()?;
    tracing::info!(account = %account.identity().account, %error, "messaging services were not read");
    let why = match error {
        Error::Unauthorized(_) | Error::Refused(_) => {
            "The credential may not read messaging services"
        }
        _ => "Messaging services cannot be read now",
    };
    Some(format!(
        "{why}, so it is not seen when one takes the messages of a number."
    ))
}

/// Reads again what the messages of the users' numbers depend on: once for all numbers of a messaging service, a profile or an
/// account. What cannot be read now stays as it was known.
pub(super) async fn look_at_messaging(
    account: &Account,
    users: &[Arc<PhoneNumber>],
    not_before: Instant,
) {
    let held = users.iter().filter(|user| wants_messages(user));
    let held = held.filter_map(|user| user.status.as_ref()?.id.clone());
    let held: Vec<_> = held.map(NumberId::new).collect();
    if let Err(error) = account.refresh_messaging(&held, not_before).await {
        tracing::info!(account = %account.identity().account, %error, "what messages depend on was not read");
    }
}

fn wants_messages(user: &PhoneNumber) -> bool {
    user.spec.messaging != Messaging::None && user.metadata.deletion_timestamp.is_none()
}

/// Asks about each distinct assistant and connection that the users of an account want, by one of them, and wakes all of
/// them when the answer has changed.
///
/// # Errors
/// Those of the API server.
pub(super) async fn requeue_on_dependency_change(
    users: &[Arc<PhoneNumber>],
    cluster: &Cluster,
    providers: &Providers,
    settings: &Settings,
    dependencies: &DependencyCache,
) -> Result<(), kube::Error> {
    let mut alike: BTreeMap<u64, Vec<&Arc<PhoneNumber>>> = BTreeMap::new();
    for user in users {
        if user.metadata.deletion_timestamp.is_none() {
            alike.entry(question(user)).or_default().push(user);
        }
    }
    for (question, users) in alike {
        let Some(first) = users.first() else { continue };
        let resolved = resolve(first, cluster, providers, settings).await?;
        let routing = resolved
            .configuration
            .map(|configuration| configuration.routing);
        let assistant = resolved
            .assistant
            .map(|(_, assistant)| assistant.map(|assistant| assistant.telnyx_connection_id));
        let blockers = [
            routing.as_ref().err(),
            assistant
                .as_ref()
                .and_then(|assistant| assistant.as_ref().err()),
        ];
        let no_answer = blockers.iter().flatten().any(|blocker| {
            matches!(
                blocker.reason,
                Reason::ProviderUnavailable | Reason::RateLimited | Reason::AssistantUnverifiable
            )
        });
        if no_answer {
            continue;
        }
        let webhooks = resolved.webhooks;
        let answer = hash(&format!("{routing:?} {webhooks:?} {assistant:?}"));
        let is_changed = dependencies.changed(question, answer);
        // A webhook that was never seen right is set for the numbers that share it. What holds none sets it before it buys.
        let is_wanted = |user: &PhoneNumber| !webhooks.is_empty() && has_number(user);
        for user in users {
            if is_changed || is_wanted(user) {
                cluster.requeuer.number(user);
            }
        }
    }
    Ok(())
}

fn has_number(user: &PhoneNumber) -> bool {
    let status = user.status.as_ref();
    status.is_some_and(|status| status.id.is_some())
}

/// A hash of everything that what a resource is answered depends on.
fn question(number: &PhoneNumber) -> u64 {
    let spec = &number.spec;
    hash(&format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        number.namespace(),
        spec.provider,
        spec.account_ref,
        spec.assistant_id,
        spec.webhooks,
        spec.messaging,
        spec.twilio,
        spec.telnyx
    ))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Asks Burki who answers some of the numbers, so that each is asked about once in [`ASSIGNMENTS_ASKED_IN`]; it has no
/// listing of them. Wakes those that another assistant answers, or none.
///
/// # Errors
/// Those of the API server.
pub(super) async fn requeue_reassigned(
    uid: &str,
    users: &[Arc<PhoneNumber>],
    cluster: &Cluster,
    providers: &Providers,
    settings: &Settings,
    checks: &InventoryChecks,
) -> Result<(), kube::Error> {
    let is_assigned = |user: &&Arc<PhoneNumber>| {
        let assigned = user
            .status
            .as_ref()
            .and_then(|status| status.assistant.as_ref())
            .filter(|assigned| !assigned.pending);
        let declared = user.spec.assistant_id;
        let stands = user.metadata.deletion_timestamp.is_none() && !user.spec.suspend;
        stands && declared.is_some() && assigned.map(|assigned| assigned.id) == declared
    };
    let mut assigned: Vec<_> = users.iter().filter(is_assigned).collect();
    assigned.sort_by_cached_key(|user| (user.namespace(), user.name_any()));
    let passes = ASSIGNMENTS_ASKED_IN.as_secs_f64() / settings.interval.as_secs_f64().max(1.0);
    let share = assigned.len().div_ceil((passes as usize).max(1));
    for place in checks.next_share(uid, share, assigned.len()) {
        let Some(user) = assigned.get(place) else {
            continue;
        };
        let held = user
            .status
            .as_ref()
            .and_then(|status| status.phone_number.as_deref());
        let resolved = resolve(user, cluster, providers, settings).await?;
        // A key that may not read the assistant is not tried on the number.
        let may_ask = matches!(resolved.assistant, Some((_, Ok(_))));
        let burki = resolved.burki.filter(|_| may_ask);
        let (Some(Ok(number)), Some(burki)) = (held.map(str::parse::<E164>), burki) else {
            continue;
        };
        if let Ok(found) = burki.assigned_to(&number).await
            && found != user.spec.assistant_id
        {
            cluster.observations.unassigned(user, true);
            cluster.requeuer.number(user);
        }
    }
    Ok(())
}

/// Counts what the account holds.
pub(super) fn count(
    account: &Account,
    caches: &Caches,
    installation: &Installation,
) -> InventoryCounts {
    let mut figures = InventoryCounts::default();
    let mut held = HashSet::new();
    let mut costs: Vec<(Amount, String)> = Vec::new();
    for number in account.survey() {
        let Some(mark) = &number.mark else {
            figures.unmanaged.push(number);
            continue;
        };
        if !mark.is_of(installation) {
            figures.foreign += 1;
            continue;
        }
        let owner = caches.first(&Key::Marked(mark.owner().to_owned()));
        let recorded = owner
            .as_ref()
            .and_then(|owner| owner.status.as_ref()?.id.as_deref());
        // Two numbers may carry one mark; the resource holds the one that it has recorded.
        let is_held =
            owner.is_some() && recorded.is_none_or(|recorded| recorded == number.id.as_str());
        if !is_held || !held.insert(mark.owner().to_owned()) {
            figures.orphaned.push(number);
            continue;
        }
        figures.managed += 1;
        let cost = owner.and_then(|owner| owner.status.as_ref()?.cost.clone());
        costs.extend(cost.and_then(|cost| Some((Amount::read(&cost.monthly)?, cost.currency))));
    }
    figures.monthly_cost = sum(&costs);
    for numbers in [&mut figures.unmanaged, &mut figures.orphaned] {
        numbers.sort_by(|one, other| (&one.number, &one.id).cmp(&(&other.number, &other.id)));
    }
    figures
}

/// The sum; a provider bills an account in one currency.
fn sum(costs: &[(Amount, String)]) -> Option<MonthlyCost> {
    let (_, currency) = costs.first()?;
    let same = costs.iter().filter(|(_, other)| other == currency);
    let amount: Amount = same.map(|(amount, _)| *amount).sum();
    Some(MonthlyCost::new(format!("{amount:.2}"), currency.clone()))
}

#[cfg(test)]
mod tests {
    use crate::account::is_suspect;

    #[test]
    fn a_few_missing_numbers_are_news_and_many_are_suspect() {
        for (missing, all, suspect) in [
            (0, 0, false),
            (3, 3, false),
            (4, 4, true),
            (10, 100, false),
            (11, 100, true),
        ] {
            assert_eq!(is_suspect(missing, all), suspect, "{missing} of {all}");
        }
    }
}
