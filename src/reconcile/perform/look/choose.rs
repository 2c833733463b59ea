//! Finds out what is on sale, what it costs, and which number a search chooses.

use std::sync::Arc;

use super::messages::{CanText, can_text, prepare};
use crate::account::{Account, Candidate, Found};
use crate::api::Reason;
use crate::cluster::Cluster;
use crate::number::{Amount, Balance, E164, Kind, Offer, Place, Price, Provider};
use crate::outcome::{Outcome, Retry};
use crate::provider::{Error, RefusalKind};
use crate::random::Random;
use crate::reconcile::plan::acquire::refusal;
use crate::reconcile::plan::{NOT_ON_SALE_AGAIN_AFTER, SearchResult};
use crate::reconcile::state::{Interrupted, ReconcileState};
use crate::safeguards::{Safeguard, is_enabled};

/// Asks whether the number is on sale, and what it costs.
pub(in crate::reconcile::perform) async fn check_availability(
    state: &mut ReconcileState,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let number = state.number()?;
    let asked = account.call(account.provider_api().offer(&number)).await;
    let mut offer = asked.map_err(|error| not_searched(error, state))?;
    if let Some(offer) = &mut offer
        && offer.price.is_none()
    {
        offer.price = price_of(&number, &account, state).await?;
    }
    if let Some(on_sale) = &offer {
        let asked = can_text(on_sale, &account, state).await;
        match asked.map_err(|error| not_searched(error, state))? {
            CanText::NotAsked => {}
            CanText::Known(can) => state.facts.findings.can_text = Some(can),
            CanText::NotOnSale => offer = None,
        }
    }
    if let Some(offer) = &offer {
        before_claim(offer, &account, state).await?;
    }
    state.facts.findings.offer = Some(offer);
    Ok(())
}

/// Learns what a purchase of what is offered depends on beside its price, and what is to be written down with it.
async fn before_claim(
    offer: &Offer,
    account: &Account,
    state: &mut ReconcileState,
) -> Result<(), Interrupted> {
    prepare(&offer.number, account, state).await;
    let price = offer.price.as_ref();
    state.facts.findings.balance = balance_for(price, account, state).await?;
    Ok(())
}

/// The balance, if a purchase at `price` depends on it: where the account says what must stay, and at Telnyx, which sells nothing
/// beyond it. Where only Telnyx's own word would be anticipated, a balance that cannot be read stops nothing.
async fn balance_for(
    price: Option<&Price>,
    account: &Account,
    state: &ReconcileState,
) -> Result<Option<Option<Balance>>, Interrupted> {
    let minimum = state.facts.minimum_balance.as_ref();
    if minimum.is_none() && state.facts.provider == Provider::Twilio {
        return Ok(None);
    }
    let least = minimum.map_or(Amount::ZERO, |minimum| minimum.amount);
    match account.balance_for(price, least).await {
        Err(error) if minimum.is_some() => Err(error.into()),
        known => Ok(known.ok()),
    }
}

/// A search that is refused finds nothing, or is wrong: the provider works.
fn not_searched(error: Error, state: &ReconcileState) -> Interrupted {
    let Error::Refused(refused) = error else {
        return Interrupted::from(error);
    };
    let (provider, title) = (state.facts.provider, state.facts.title());
    let (reason, message) = match (refused.kind, &state.facts.search) {
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
    Interrupted::Outcome(Outcome::Wait {
        reason,
        message,
        retry: Retry::After(NOT_ON_SALE_AGAIN_AFTER),
    })
}

/// The price of `number` by the provider's list, as [`price`] has it.
pub(in crate::reconcile::perform) async fn price_of(
    number: &E164,
    account: &Account,
    state: &ReconcileState,
) -> Result<Option<Price>, Interrupted> {
    let Some(Place {
        country,
        kind: Some(kind),
        ..
    }) = number.place()
    else {
        return Ok(None);
    };
    price(account, &country, kind, state).await
}

/// The price by the provider's list. Where nothing depends on it, a list that cannot be read stops nothing.
async fn price(
    account: &Account,
    country: &str,
    kind: Kind,
    state: &ReconcileState,
) -> Result<Option<Price>, Interrupted> {
    let matters = state.facts.limits_price();
    match account.price(country, kind).await {
        Err(error) if matters => Err(error.into()),
        listed => Ok(listed.unwrap_or_default()),
    }
}

/// Searches, and picks a candidate that becomes the number in question.
pub(in crate::reconcile::perform) async fn search_and_reserve(
    state: &mut ReconcileState,
    cluster: &Cluster,
    random: &Random,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let Some(search) = state.facts.search.clone() else {
        return Err(Interrupted::from(Error::Invariant(
            "nothing is searched for",
        )));
    };
    let listed = price(&account, &search.country, search.kind, state).await?;
    // The candidate before this one was refused, or is somebody else's.
    let seen = &state.facts.findings;
    let held = seen.look.as_ref().and_then(|look| look.holding.as_ref());
    let held = held.or(seen.last_look.as_ref().and_then(Option::as_ref));
    let is_lost = held.is_some_and(|held| state.facts.number == Some(held.number));
    if state.facts.findings.attempt.take().is_some() || is_lost {
        state.facts.findings.refused_candidates += 1;
    }
    let facts = &state.facts;
    let is_cheap = |price: &Price| facts.may_cost(price);
    // Where the price list says it, nothing needs to be searched for.
    if let Some(price) = listed.clone().filter(|price| !is_cheap(price)) {
        state.facts.findings.choice = Some(SearchResult::TooDear(price));
        return Ok(());
    }
    let (object, names) = (Arc::clone(&state.object), account.names());
    let is_free = |number: &E164| {
        cluster.is_free(number, &object, &names) || !is_enabled(Safeguard::Reservation)
    };
    // The one before was refused, or comes back.
    state.candidate = None;
    let found = account
        .choose(&search, random, is_free, is_cheap)
        .await
        .map_err(|error| not_searched(error, state))?;
    state.facts.findings.offer = None;
    state.facts.findings.last_look = None;
    state.facts.findings.choice = Some(match found {
        Found::Candidate(Candidate {
            mut offer,
            asked,
            reservation,
        }) => {
            state.candidate = Some(reservation);
            state.facts.number = Some(offer.number);
            state.facts.record.order_id = None;
            state.order = None;
            // What was seen so far was seen of another number.
            state.facts.recorded_by = None;
            if let Some(look) = &mut state.facts.findings.look {
                look.holding = None;
                look.order = None;
                look.orphaned = false;
            }
            offer.price = offer.price.or(listed);
            before_claim(&offer, &account, state).await?;
            state.facts.findings.offer = Some(Some(offer));
            state.chosen_at = Some(asked);
            SearchResult::Chosen
        }
        Found::Nothing => SearchResult::NoneFound,
        Found::AllTaken => SearchResult::AllTaken,
        Found::TooDear(price) => SearchResult::TooDear(price),
    });
    Ok(())
}
