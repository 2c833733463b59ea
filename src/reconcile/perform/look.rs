//! Looks: at the number, at orders, at what is on sale. Nothing is written.

mod choose;
mod messages;

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;

use super::super::plan::{ABSENCE_CONFIRMED_AFTER, Lookup};
use super::super::state::{Interrupted, ReconcileState};
use super::release::unreleased;
use crate::account::Account;
use crate::api::{AccountKind, PhoneNumber, account_name};
use crate::claim::Stored;
use crate::clock::{Clock, Instant};
use crate::cluster::Cluster;
use crate::cluster::observations::Observations;
use crate::cluster::process::Process;
use crate::cluster::quota::HourlyQuotas;
use crate::number::{E164, Holding, Installation, Mark, NumberId, Owner, Provider};
use crate::provider::{Order, OrderState, Ours};
pub(super) use choose::{check_availability, price_of, search_and_reserve};
pub(super) use messages::check_messages;

/// How long a listing of orders serves all that ask.
const ORDERS_SERVE: Duration = Duration::from_secs(5);

/// The name that the resource had whose number this one takes over.
const FORMERLY: &str = "telephony.burki.dev/formerly";

/// A number that is kept may be known from a listing; one that goes is asked for, and one of which the listing does not show
/// what is declared.
pub(super) async fn fetch_by_id(
    id: &NumberId,
    state: &mut ReconcileState,
    observations: &Observations,
    quotas: &HourlyQuotas,
    clock: &dyn Clock,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    if let Some(release) = &state.release {
        let asked = clock.now();
        let fetched = account.held_now(&release.permit, id).await;
        let is_ours = matches!(&fetched, Ok(Some(holding)) if Ours::prove(holding, &state.facts.mark, id).is_some());
        if !is_ours {
            unreleased(state, quotas).await;
        }
        fetched_as(fetched?, asked, state, observations);
        return Ok(());
    }
    if let Some(service) = state.messaging_service().filter(|_| !state.facts.deleting) {
        account.know_members(&service).await?;
    }
    let asked = clock.now();
    let known = !state.facts.deleting && !state.facts.findings.assigned;
    let not_before = known.then(|| observations.first_seen(&state.object));
    let mut fetched = account.held(id, not_before).await?;
    if let (Ok(configuration), Some(holding)) = (&state.facts.configuration, &fetched)
        && configuration.lacks(holding)
    {
        fetched = account.held(id, None).await?;
    }
    fetched_as(fetched, asked, state, observations);
    Ok(())
}

fn fetched_as(
    fetched: Option<Holding>,
    asked: Instant,
    state: &mut ReconcileState,
    observations: &Observations,
) {
    let missing_for = observations.fetched(&state.object, fetched.is_some());
    if missing_for.is_some_and(|missing_for| missing_for >= ABSENCE_CONFIRMED_AFTER)
        && let (Ok(account), Some(number)) = (&state.resolved.account, &state.facts.number)
    {
        account.stop_counting(number);
    }
    state.facts.memory.missing_for = missing_for;
    state.facts.findings.fetched = Some(fetched);
    state.looked_at = Some(asked);
}

/// Looks at the number and, at Telnyx, at what became of our orders for it. A pending order has brought no number yet.
/// A search that has no number yet is looked up by its mark, in a listing.
pub(super) async fn lookup(
    state: &mut ReconcileState,
    cluster: &Cluster,
    quotas: &HourlyQuotas,
    process: &Process,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let at = process.time.now();
    let not_before = if state.facts.is_untouched() {
        cluster.observations.first_seen(&state.object)
    } else {
        process.clock.now()
    };
    let mark = state.facts.mark.clone();
    let mut is_doubted = false;
    if state.facts.number.is_none() {
        let mut marked = account.marked(&mark, not_before).await?;
        marked.retain(|holding| state.facts.counts(holding));
        if marked.is_empty() {
            state.facts.number = ordered_number(
                &account,
                state,
                &cluster.observations,
                process.clock.as_ref(),
            )
            .await?;
            is_doubted = state.facts.memory.doubt.is_some();
        }
        let look = Lookup {
            holding: marked.into_iter().next(),
            namesake: account.namesake(&mark),
            at,
            ..Lookup::default()
        };
        if state.facts.number.is_none() {
            state.saw(look, cluster, &process.time);
            return Ok(());
        }
    }
    let number = state.number()?;
    // What else carries our mark, and how many numbers there are, is known only from a listing.
    if account.listed().is_none() {
        account.list(not_before).await?;
    }
    let order = match state.facts.provider {
        Provider::Twilio => None,
        // It is not waited for without end: its number may have been released.
        Provider::Telnyx if is_doubted => None,
        Provider::Telnyx => our_order(&account, &number, state).await?,
    };
    let is = |state| order.as_ref().is_some_and(|order| order.state == state);
    if is(OrderState::Failure) {
        account.stop_counting(&number);
        let id = &account.identity().account;
        let object = &state.object;
        quotas.order_failed(id, object, number.as_str()).await;
    }
    let pending = is(OrderState::Pending);
    let mut holding = if pending {
        None
    } else {
        account.look(&number, not_before).await?
    };
    // What is not listed yet may be found by the id that the answer to its purchase told.
    if holding.is_none()
        && let Some(id) = cluster.observations.bought_as(&state.object)
    {
        let fetch = account.provider_api().fetch(&id);
        let fetched = account.call(fetch).await?;
        holding = fetched.filter(|fetched| fetched.number == number);
    }
    let mut marked = account.known_marked(&mark);
    marked.retain(|marked| {
        let is_recorded = cluster.recorder_of(&state.object, &marked.id).is_some();
        marked.number != number && state.facts.counts(marked) && !is_recorded
    });
    let orphaned = match &holding {
        Some(holding) if state.facts.adopts => {
            is_orphan(
                holding,
                &mark,
                &state.object,
                cluster,
                &process.settings.installation,
            )
            .await?
        }
        _ => false,
    };
    let look = Lookup {
        holding,
        marked: marked.into_iter().next(),
        namesake: account.namesake(&mark),
        orphaned,
        order,
        at,
    };
    state.saw(look, cluster, &process.time);
    Ok(())
}

/// Counts what the account holds. At a limit, a number that only the last listing lacks is looked for in another at once.
pub(super) async fn count(
    state: &mut ReconcileState,
    cluster: &Cluster,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    account.count().await?;
    state.facts.findings.counted = true;
    let declared = &state.resolved.limits;
    state.facts.limits = cluster.limits_on(&state.object, declared, Some(&account));
    let numbers = state.facts.limits.numbers;
    if numbers.is_some_and(|(most, held)| held >= most) {
        account.count_again().await?;
        state.facts.limits = cluster.limits_on(&state.object, declared, Some(&account));
    }
    Ok(())
}

/// The number that an order of ours for this search is on, or has brought, where no claim tells of it: the resource was lost
/// with its claim and declared again, and the number itself carries no mark yet. What an order has brought that is not shown may
/// be hidden, or have been released: it is a doubt.
///
/// That is asked once for each name. Of what it has seen a claim on, this process knows.
async fn ordered_number(
    account: &Arc<Account>,
    state: &mut ReconcileState,
    observations: &Observations,
    clock: &dyn Clock,
) -> Result<Option<E164>, Interrupted> {
    let recorded = state.facts.record.order_id.clone();
    if recorded.is_none() && observations.knows_orders(&state.object) {
        return Ok(None);
    }
    let not_before = observations.first_seen(&state.object);
    let not_before = not_before.max(clock.now().before(ORDERS_SERVE));
    for order in account.marked_orders(&state.facts.mark, not_before).await? {
        let Some(number) = order.numbers.first() else {
            continue;
        };
        if order.state == OrderState::Pending || recorded.as_ref() == Some(&order.id) {
            return Ok(Some(*number));
        }
        let not_before = observations.first_seen(&state.object);
        let held = account.look(number, not_before).await?;
        if held.is_some_and(|held| state.facts.brought_unmarked(&order, &held)) {
            return Ok(Some(*number));
        }
        state.facts.memory.doubt = state.facts.doubt_of(&order, account.identity());
        if state.facts.memory.doubt.is_some() {
            return Ok(Some(*number));
        }
    }
    observations.learned_orders(&state.object);
    Ok(None)
}

/// True if `holding` is marked for a resource of this installation that does not exist: neither in the caches nor, asked
/// now, at the API server. `object` with the mark `own` would take it over.
///
/// In a ClusterProviderAccount it must have been a resource of the same namespace. A mark does not tell that, so `object`
/// names it in the annotation [`FORMERLY`].
async fn is_orphan(
    holding: &Holding,
    own: &Mark,
    object: &PhoneNumber,
    cluster: &Cluster,
    installation: &Installation,
) -> Result<bool, kube::Error> {
    let Some(mark) = Mark::find_in(&holding.marked_text) else {
        return Ok(false);
    };
    let is_own = mark.same_owner(own);
    if is_own || !mark.is_of(installation) || cluster.is_owned(&mark) {
        return Ok(false);
    }
    let (kind, _) = account_name(object);
    if kind == AccountKind::ClusterProviderAccount {
        let former = object.annotations().get(FORMERLY).map(|name| Owner {
            namespace: object.namespace().unwrap_or_default(),
            name: name.clone(),
        });
        let former = former.map(|former| Mark::new(mark.origin(), installation, &former));
        if !former.is_some_and(|former| former.same_owner(&mark)) {
            return Ok(false);
        }
    }
    Ok(!cluster.is_owned_now(&mark).await?)
}

async fn our_order(
    account: &Arc<Account>,
    number: &E164,
    state: &ReconcileState,
) -> Result<Option<Order>, Interrupted> {
    let claim = match &state.facts.claim {
        Stored::Ours(claim) => Some(claim),
        _ => None,
    };
    let since = claim.map(|claim| claim.since);
    let finished = state.order.clone();
    let finished = finished.filter(|order| order.state != OrderState::Pending);
    let recorded = state.facts.record.order_id.as_ref();
    let open = state.order.as_ref().map(|order| &order.id).or(recorded);
    let known = match (finished, open, since) {
        (Some(order), ..) => Some(order),
        (None, Some(id), Some(since)) => account.order(id, since).await?,
        (None, Some(id), None) => account.call(account.provider_api().order(id)).await?,
        (None, None, _) => None,
    };
    if let Some(order) = &known
        && order.state != OrderState::Failure
    {
        return Ok(known);
    }
    let found = account
        .call(
            account
                .provider_api()
                .find_order(&state.facts.mark, number, claim),
        )
        .await?;
    Ok(found.or(known))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::owner;
    use crate::controller::reconciler::tests::{World, number};
    use crate::number::{Installation, Line, Origin, Settings, TwilioSettings};

    const NUMBER: &str = "+12125550101";

    /// A number that is marked for `owner` of this installation.
    fn marked_for(namespace: &str, name: &str) -> Holding {
        let owner = Owner {
            namespace: namespace.into(),
            name: name.into(),
        };
        let mark = Mark::new(Origin::Bought, &Installation::new("test"), &owner);
        Holding {
            id: NumberId::new("PN1"),
            number: NUMBER.parse().unwrap(),
            marked_text: format!("{name} [{mark}]"),
            created: None,
            line: Line::Live,
            settings: Settings::Twilio(TwilioSettings::default()),
        }
    }

    #[tokio::test]
    async fn in_a_shared_account_only_orphans_of_the_same_namespace_are_taken_over() {
        let own = json!({});
        let shared = |more: Value| {
            json!({"metadata": {"annotations": more},
                "spec": {"accountRef": {"kind": "ClusterProviderAccount", "name": "shared"}}})
        };
        let formerly = |name: &str| shared(json!({FORMERLY: name}));
        for (asks, namespace, name, is_taken) in [
            (&own, "support", "gone", true),
            // A ProviderAccount is the namespace's own.
            (&own, "sales", "gone", true),
            (&own, "support", "there", false),
            (&shared(json!({})), "support", "gone", false),
            (&formerly("gone"), "support", "gone", true),
            (&formerly("gone"), "sales", "gone", false),
            (&formerly("gone"), "support", "other", false),
            (&formerly("there"), "support", "there", false),
        ] {
            let mut world = World::new();
            world.list(&[number("there", "+12125550102", json!({}))]);
            let asks = number("asks", NUMBER, asks.clone());
            let installation = Installation::new("test");
            let mark = Mark::new(Origin::Bought, &installation, &owner(&asks));
            let holding = marked_for(namespace, name);
            let is_orphan = is_orphan(&holding, &mark, &asks, &world.cluster, &installation);
            let title = format!("{namespace}/{name}: {:?}", asks.metadata.annotations);
            assert_eq!(is_orphan.await.unwrap(), is_taken, "{title}");
        }
    }
}
