//! Looks: at the number, at orders, at what is on sale. Nothing is written.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;

use super::super::context::Context;
use super::super::pass::{Pass, Stop};
use super::super::plan::obtain::refusal;
use super::super::plan::{
    ABSENCE_CONFIRMED_AFTER, Again, Choice, Look, NOT_ON_SALE_AGAIN_AFTER, Rest,
};
use super::settle::unreleased;
use crate::account::{Account, Candidate, Found};
use crate::api::{AccountKind, PhoneNumber, Reason, account_name};
use crate::claim::Stored;
use crate::clock::Instant;
use crate::number::{E164, Holding, Kind, Mark, NumberId, Owner, Place, Price, Provider};
use crate::provider::{Error, Order, OrderState, Ours, RefusalKind};
use crate::sabotage::{Safeguard, stands};

/// How long a listing of orders serves those that ask for the first time. Who asks again wants to see a change.
const ORDERS_SERVE: Duration = Duration::from_secs(1);

/// The name that the resource had whose number this one takes over.
const FORMERLY: &str = "telephony.burki.dev/formerly";

/// A number that is kept may be known from a listing; one that goes is asked for, and one of which the listing does not show
/// what is declared.
pub(super) async fn fetch(id: &NumberId, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    if let Some(release) = &pass.release {
        let asked = context.clock.now();
        let fetched = account.held_now(&release.permit, id).await;
        let is_ours = matches!(&fetched, Ok(Some(holding)) if Ours::prove(holding, &pass.facts.mark, id).is_some());
        if !is_ours {
            unreleased(pass, context).await;
        }
        fetched_as(fetched?, asked, pass, context);
        return Ok(());
    }
    if let Some(service) = pass.messaging_service().filter(|_| !pass.facts.deleting) {
        account.know_members(&service).await?;
    }
    let asked = context.clock.now();
    let known = !pass.facts.deleting && !pass.facts.seen.assigned;
    let not_before = known.then(|| context.memories.first_seen(&pass.object));
    let mut fetched = account.held(id, not_before).await?;
    if let (Ok(configuration), Some(holding)) = (&pass.facts.configuration, &fetched)
        && configuration.lacks(holding)
    {
        fetched = account.held(id, None).await?;
    }
    fetched_as(fetched, asked, pass, context);
    Ok(())
}

fn fetched_as(fetched: Option<Holding>, asked: Instant, pass: &mut Pass, context: &Context) {
    let missing_for = context.memories.fetched(&pass.object, fetched.is_some());
    if missing_for.is_some_and(|missing_for| missing_for >= ABSENCE_CONFIRMED_AFTER)
        && let (Ok(account), Some(number)) = (&pass.resolved.account, &pass.facts.number)
    {
        account.stop_counting(number);
    }
    pass.facts.memory.missing_for = missing_for;
    pass.facts.seen.fetched = Some(fetched);
    pass.looked_at = Some(asked);
}

/// Asks whether the number is on sale, and what it costs.
pub(super) async fn offer(pass: &mut Pass) -> Result<(), Stop> {
    let account = pass.account()?;
    let number = pass.number()?;
    let asked = account.call(account.company().offer(&number)).await;
    let mut offer = asked.map_err(|error| not_searched(error, pass))?;
    if let Some(offer) = &mut offer
        && offer.price.is_none()
    {
        offer.price = price_of(&number, &account, pass).await?;
    }
    pass.facts.seen.offer = Some(offer);
    Ok(())
}

/// A search that is refused finds nothing, or is wrong: the provider works.
fn not_searched(error: Error, pass: &Pass) -> Stop {
    let Error::Refused(refused) = error else {
        return Stop::from(error);
    };
    let (provider, title) = (pass.facts.provider, pass.facts.title());
    let (reason, message) = match (refused.kind, &pass.facts.search) {
        (RefusalKind::NotOnSale, Some(_)) => (
            Reason::NoNumbersFound,
            format!(
                "{provider} offers nothing where spec.search looks: {refused}. It is searched for again every 10 minutes."
            ),
        ),
        (RefusalKind::NotOnSale, None) => (
            Reason::NumberNotAvailable,
            format!("{title} is not on sale: {refused}."),
        ),
        (kind, search) => {
            let (reason, _) = refusal(kind);
            let field = search
                .as_ref()
                .map_or("spec.phoneNumber", |_| "spec.search");
            let message = format!(
                "{provider} refuses to search for {title} ({field}): {refused}. Delete this PhoneNumber and create it with \
                 another {field}, or mend what the provider names. It is searched for again every 10 minutes."
            );
            (reason, message)
        }
    };
    Stop::Rest(Rest::Wait {
        reason,
        message,
        again: Again::After(NOT_ON_SALE_AGAIN_AFTER),
    })
}

/// The price of `number` by the company's list, as [`price`] has it.
pub(super) async fn price_of(
    number: &E164,
    account: &Account,
    pass: &Pass,
) -> Result<Option<Price>, Stop> {
    let Some(Place {
        country,
        kind: Some(kind),
        ..
    }) = number.place()
    else {
        return Ok(None);
    };
    price(account, &country, kind, pass).await
}

/// The price by the company's list. Where nothing depends on it, a list that cannot be read stops nothing.
async fn price(
    account: &Account,
    country: &str,
    kind: Kind,
    pass: &Pass,
) -> Result<Option<Price>, Stop> {
    let matters = pass.facts.budget.is_some() || !pass.facts.limits.monthly_cost.is_empty();
    match account.price(country, kind).await {
        Err(error) if matters => Err(error.into()),
        listed => Ok(listed.unwrap_or_default()),
    }
}

/// Searches, and picks a candidate that becomes the number in question.
pub(super) async fn choose(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let Some(search) = pass.facts.search.clone() else {
        return Err(Stop::from(Error::Invariant("nothing is searched for")));
    };
    let listed = price(&account, &search.country, search.kind, pass).await?;
    // The candidate before this one was refused, or is somebody else's.
    let seen = &pass.facts.seen;
    let held = seen.look.as_ref().and_then(|look| look.holding.as_ref());
    let held = held.or(seen.last_look.as_ref().and_then(Option::as_ref));
    let is_lost = held.is_some_and(|held| pass.facts.number == Some(held.number));
    if pass.facts.seen.attempt.take().is_some() || is_lost {
        pass.facts.seen.refused_candidates += 1;
    }
    let facts = &pass.facts;
    let is_cheap = |price: &Price| facts.may_cost(price);
    // Where the price list says it, nothing needs to be searched for.
    if let Some(price) = listed.clone().filter(|price| !is_cheap(price)) {
        pass.facts.seen.choice = Some(Choice::TooDear(price));
        return Ok(());
    }
    let (object, names) = (Arc::clone(&pass.object), account.names());
    let is_free =
        |number: &E164| context.is_free(number, &object, &names) || !stands(Safeguard::Reservation);
    // The one before was refused, or comes back.
    pass.candidate = None;
    let found = account
        .choose(&search, &context.chance, is_free, is_cheap)
        .await
        .map_err(|error| not_searched(error, pass))?;
    pass.facts.seen.offer = None;
    pass.facts.seen.last_look = None;
    pass.facts.seen.choice = Some(match found {
        Found::Candidate(Candidate {
            mut offer,
            asked,
            reservation,
        }) => {
            pass.candidate = Some(reservation);
            pass.facts.number = Some(offer.number);
            pass.facts.record.order_id = None;
            pass.order = None;
            // What was seen so far was seen of another number.
            pass.facts.recorded_by = None;
            if let Some(look) = &mut pass.facts.seen.look {
                look.holding = None;
                look.order = None;
                look.orphaned = false;
            }
            offer.price = offer.price.or(listed);
            pass.facts.seen.offer = Some(Some(offer));
            pass.chosen_at = Some(asked);
            Choice::Chosen
        }
        Found::Nothing => Choice::NoneFound,
        Found::AllTaken => Choice::AllTaken,
        Found::TooDear(price) => Choice::TooDear(price),
    });
    Ok(())
}

/// Looks at the number and, at Telnyx, at what became of our orders for it. A pending order has brought no number yet.
/// A search that has no number yet is looked up by its mark, in a listing.
pub(super) async fn look(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let at = context.time.now();
    let not_before = if pass.facts.is_untouched() {
        context.memories.first_seen(&pass.object)
    } else {
        context.clock.now()
    };
    let mark = pass.facts.mark.clone();
    let mut is_doubted = false;
    if pass.facts.number.is_none() {
        let mut marked = account.marked(&mark, not_before).await?;
        marked.retain(|holding| pass.facts.counts(holding));
        if marked.is_empty() {
            pass.facts.number = ordered_number(&account, pass, context).await?;
            is_doubted = pass.facts.memory.doubt.is_some();
        }
        let look = Look {
            holding: marked.into_iter().next(),
            namesake: account.namesake(&mark),
            at,
            ..Look::default()
        };
        if pass.facts.number.is_none() {
            pass.saw(look, context);
            return Ok(());
        }
    }
    let number = pass.number()?;
    // What else carries our mark, and how many numbers there are, is known only from a listing.
    if account.listed().is_none() {
        account.list(not_before).await?;
    }
    let order = match pass.facts.provider {
        Provider::Twilio => None,
        // It is not waited for without end: its number may have been given back.
        Provider::Telnyx if is_doubted => None,
        Provider::Telnyx => our_order(&account, &number, pass).await?,
    };
    let is = |state| order.as_ref().is_some_and(|order| order.state == state);
    if is(OrderState::Failure) {
        account.stop_counting(&number);
        let id = &account.identity().account;
        let object = &pass.object;
        context
            .fuses
            .order_failed(id, object, number.as_str())
            .await;
    }
    let pending = is(OrderState::Pending);
    let mut holding = if pending {
        None
    } else {
        account.look(&number, not_before).await?
    };
    // What is not listed yet may be found by the id that the answer to its purchase told.
    if holding.is_none()
        && let Some(id) = context.memories.bought_as(&pass.object)
    {
        let fetch = account.company().fetch(&id);
        let fetched = account.call(fetch).await?;
        holding = fetched.filter(|fetched| fetched.number == number);
    }
    let mut marked = account.known_marked(&mark);
    marked.retain(|marked| {
        let is_recorded = context.recorder_of(&pass.object, &marked.id).is_some();
        marked.number != number && pass.facts.counts(marked) && !is_recorded
    });
    let orphaned = match &holding {
        Some(holding) if pass.facts.adopts => {
            is_orphan(holding, &mark, &pass.object, context).await?
        }
        _ => false,
    };
    let look = Look {
        holding,
        marked: marked.into_iter().next(),
        namesake: account.namesake(&mark),
        orphaned,
        order,
        at,
    };
    pass.saw(look, context);
    Ok(())
}

/// Counts what the account holds. At a limit, a number that only the last listing lacks is looked for in another at once.
pub(super) async fn count(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    account.count().await?;
    pass.facts.seen.counted = true;
    let declared = &pass.resolved.limits;
    pass.facts.limits = context.limits_on(&pass.object, declared, Some(&account));
    let numbers = pass.facts.limits.numbers;
    if numbers.is_some_and(|(most, held)| held >= most) {
        account.count_again().await?;
        pass.facts.limits = context.limits_on(&pass.object, declared, Some(&account));
    }
    Ok(())
}

/// The number that an order of ours for this search is on, or has brought, where no claim tells of it: the resource was lost
/// with its claim and declared again, and the number itself carries no mark yet. What an order has brought that is not shown may
/// be hidden, or have been given back: it is a doubt.
///
/// That is asked once for each name. Of what it has seen a claim on, this process knows.
async fn ordered_number(
    account: &Arc<Account>,
    pass: &mut Pass,
    context: &Context,
) -> Result<Option<E164>, Stop> {
    let recorded = pass.facts.record.order_id.clone();
    if recorded.is_none() && context.memories.knows_orders(&pass.object) {
        return Ok(None);
    }
    let not_before = context.memories.first_seen(&pass.object);
    let not_before = not_before.max(context.clock.now().before(ORDERS_SERVE));
    for order in account.marked_orders(&pass.facts.mark, not_before).await? {
        let Some(number) = order.numbers.first() else {
            continue;
        };
        if order.state == OrderState::Pending || recorded.as_ref() == Some(&order.id) {
            return Ok(Some(*number));
        }
        let not_before = context.memories.first_seen(&pass.object);
        let held = account.look(number, not_before).await?;
        if held.is_some_and(|held| pass.facts.brought_unmarked(&order, &held)) {
            return Ok(Some(*number));
        }
        pass.facts.memory.doubt = pass.facts.doubt_of(&order, account.identity());
        if pass.facts.memory.doubt.is_some() {
            return Ok(Some(*number));
        }
    }
    context.memories.learned_orders(&pass.object);
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
    context: &Context,
) -> Result<bool, kube::Error> {
    let Some(mark) = Mark::find_in(&holding.marked_text) else {
        return Ok(false);
    };
    let installation = &context.settings.installation;
    let is_own = mark.same_owner(own);
    if is_own || !mark.is_of(installation) || context.is_owned(&mark) {
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
    Ok(!context.is_owned_now(&mark).await?)
}

async fn our_order(
    account: &Arc<Account>,
    number: &E164,
    pass: &Pass,
) -> Result<Option<Order>, Stop> {
    let claim = match &pass.facts.claim {
        Stored::Ours(claim) => Some(claim),
        _ => None,
    };
    let since = claim.map(|claim| claim.since);
    let finished = pass.order.clone();
    let finished = finished.filter(|order| order.state != OrderState::Pending);
    let recorded = pass.facts.record.order_id.as_ref();
    let open = pass.order.as_ref().map(|order| &order.id).or(recorded);
    let known = match (finished, open, since) {
        (Some(order), ..) => Some(order),
        (None, Some(id), Some(since)) => account.order(id, since).await?,
        (None, Some(id), None) => account.call(account.company().order(id)).await?,
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
                .company()
                .find_order(&pass.facts.mark, number, claim),
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
            let is_orphan = is_orphan(&holding, &mark, &asks, &world.context);
            let title = format!("{namespace}/{name}: {:?}", asks.metadata.annotations);
            assert_eq!(is_orphan.await.unwrap(), is_taken, "{title}");
        }
    }
}
