//! Claims a number, pays for it or takes it over, and counts what that costs.

mod adopt;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use serde_json::json;

use super::super::plan::acquire::refusal;
use super::super::plan::{Attempt, Limits, Lookup};
use super::super::report;
use super::super::rivals::named_for;
use super::super::state::{Interrupted, Purchase, ReconcileState};
use super::patch;
use crate::account::{Account, BeginError, PendingPurchase, Priority, SEARCH_HOLDS, Usage};
use crate::api::{AttemptOutcome, AttemptStatus, NUMBER_FINALIZER, Reason, finalizers_of, owner};
use crate::claim::{ANNOTATION, Claim, Intent, Stored, Token};
use crate::cluster::Cluster;
use crate::cluster::observations::Observations;
use crate::cluster::process::Process;
use crate::cluster::quota::{HourlyQuotas, QuotaKind, Slot};
use crate::cluster::writer::Writer;
use crate::number::{Amount, Configuration, Currency, Origin, Price};
use crate::outcome::{Outcome, Retry};
use crate::provider::{Error, OrderState, Refusal, RefusalKind, Reply};
use crate::safeguards::{Safeguard, is_enabled};
use crate::server_time::ServerTime;
pub(super) use adopt::adopt;

/// Writes the claim together with the finalizer, in one patch that fails if anybody else has written since.
pub(super) async fn claim(
    intent: Intent,
    since: Option<jiff::Timestamp>,
    state: &mut ReconcileState,
    cluster: &Cluster,
    writer: &Writer,
    quotas: &HourlyQuotas,
    process: &Process,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let offer = state.facts.findings.offer.as_ref().and_then(Option::as_ref);
    let price = offer.and_then(|offer| offer.price.clone());
    let permit = account.permit(Priority::High).await?;
    let spending = reserve(&account, intent, price.as_ref(), state, cluster)?;
    // Who was there first may have come while this reconcile looked and waited.
    state.facts.rival = cluster.competing_claim(&state.object, &account.names());
    if let Some(stop) = state.facts.rival_blocker(Retry::Backoff)
        && is_enabled(Safeguard::FirstComeFirstServed)
    {
        return Err(Interrupted::Outcome(stop));
    }
    let slot = take(&account, intent, state, quotas, &process.time).await?;
    let (token, claim) = match store(intent, since, price, state, cluster, writer, process).await {
        Ok(stored) => stored,
        Err(stop) => {
            // Without the stored claim nothing can be bought.
            quotas.put_back(slot).await;
            return Err(stop);
        }
    };
    let is_clean = cluster
        .observations
        .claimed(&state.object, &state.facts.claim, &claim);
    let alone = is_clean && state.facts.memory.doubt.is_none();
    state.facts.memory.never_bought = false;
    state.facts.claim = Stored::Ours(claim);
    if intent == Intent::Buy {
        state.facts.set_origin(Origin::Bought);
    }
    state.facts.findings.token = true;
    state.facts.findings.last_look = None;
    state.facts.findings.attempt = None;
    state.purchase = Some(Purchase {
        token,
        alone,
        permit,
        slot,
        spending,
    });
    // What a search has just shown needs no other look.
    let is_recent = |asked| process.clock.now().since(asked) < SEARCH_HOLDS;
    if intent == Intent::Buy && state.chosen_at.take().is_some_and(is_recent) {
        state.facts.findings.last_look = Some(None);
    }
    Ok(())
}

/// Sends the claim, and returns it with the token that its stored form yields.
async fn store(
    intent: Intent,
    since: Option<jiff::Timestamp>,
    price: Option<Price>,
    state: &mut ReconcileState,
    cluster: &Cluster,
    writer: &Writer,
    process: &Process,
) -> Result<(Token, Claim), Interrupted> {
    let account = state.account()?;
    let number = state.number()?;
    let at = process.time.now().unwrap_or(state.facts.now);
    let attempts = match &state.facts.claim {
        Stored::Ours(before) if !state.facts.memory.never_bought => before.attempts_on(&number),
        Stored::Nothing => {
            let doubt = state.facts.memory.doubt.as_ref();
            u32::from(doubt.is_some_and(|doubt| doubt.number == number))
        }
        _ => 0,
    };
    let mut nonce = process.random.nonce();
    if let (Stored::Ours(before), Some(_)) = (&state.facts.claim, since) {
        nonce = before.next_nonce(&nonce);
    }
    let claim = Claim::to_buy(
        number,
        account.identity().account.clone(),
        &owner(state.object.as_ref()),
        &state.object.uid().unwrap_or_default(),
        nonce,
        at,
        since
            .or_else(|| account.provider_api().provider_time())
            .unwrap_or(at),
    )
    .at_price(price)
    .after(attempts);
    let claim = match intent {
        Intent::Buy => claim,
        Intent::Adopt => claim.to_adopt(),
    };
    let text = claim
        .to_annotation()
        .map_err(|error| Interrupted::Api(kube::Error::SerdeError(error)))?;
    let sent = process.clock.now();
    let metadata = json!({
        "resourceVersion": state.object.resource_version(),
        "annotations": { ANNOTATION: text },
        "finalizers": finalizers_of(state.object.as_ref(), NUMBER_FINALIZER, true),
    });
    patch(state, cluster, writer, metadata).await?;
    let stored = Token::from_reply(state.object.annotations(), claim.clone(), sent);
    let token = stored.ok_or_else(|| {
        Interrupted::from(Error::Invariant(
            "the claim was not stored as it was written",
        ))
    })?;
    Ok((token, claim))
}

/// Keeps the number for this resource while it is bought or taken over, and counts a purchase against the account's limits;
/// or says who has it, or which limit is reached. What is taken over is counted already.
fn reserve(
    account: &Arc<Account>,
    intent: Intent,
    price: Option<&Price>,
    state: &mut ReconcileState,
    cluster: &Cluster,
) -> Result<PendingPurchase, Interrupted> {
    let monthly = match intent {
        Intent::Buy => price.map_or(Amount::ZERO, |price| price.monthly),
        Intent::Adopt => Amount::ZERO,
    };
    let names = account.names();
    let limits = &state.facts.limits;
    let is_limited = intent == Intent::Buy && limits.are_of_what_is_held();
    let mut over = None;
    let may = is_limited.then_some(|tally: Usage| {
        over = is_over(limits, tally.numbers, |currency| {
            let index = &cluster.caches.index;
            let spent = index.cost_excluding(&state.object, &names, currency);
            spent.plus(tally.monthly)
        });
        over.is_none()
    });
    let reserved = account.spend(
        &state.number()?,
        &owner(state.object.as_ref()),
        monthly,
        &cluster.claims_excluding(&state.object, names.clone()),
        may,
    );
    reserved.map_err(|why| match why {
        BeginError::OverLimit => reached(over.unwrap_or_default(), state.facts.waits.interval),
        BeginError::UnderWay(rival) => {
            let namespace = state.object.namespace().unwrap_or_default();
            state.facts.rival = Some(named_for(&rival, &namespace));
            let stop = state.facts.rival_blocker(Retry::Backoff);
            Interrupted::Outcome(stop.unwrap_or(Outcome::NotManaged))
        }
    })
}

/// What an attempt counts as.
fn deed(intent: Intent) -> QuotaKind {
    match intent {
        Intent::Buy => QuotaKind::Purchase,
        Intent::Adopt => QuotaKind::Adoption,
    }
}

/// Counts the attempt against what may be bought, or taken over, in an hour.
async fn take(
    account: &Account,
    intent: Intent,
    state: &ReconcileState,
    quotas: &HourlyQuotas,
    time: &ServerTime,
) -> Result<Slot, Interrupted> {
    let deed = deed(intent);
    let id = &account.identity().account;
    let limit = state.resolved.limits.purchases_per_hour;
    let now = time.now().unwrap_or(state.facts.now);
    let number = state.number()?;
    // Another number is claimed instead only where it is certain that the claimed one was not bought.
    let before = match &state.facts.claim {
        Stored::Ours(claim) => Some(claim.number.as_str()),
        _ => None,
    };
    let what = (number.as_str(), before);
    let names = account.names();
    let taken = quotas.take(
        (id, names.as_slice()),
        deed,
        limit,
        now,
        &state.object,
        what,
    );
    taken.await?.map_err(|full| {
        let interval = state.facts.waits.interval;
        let (message, again) = full.message(id, deed, limit, now, interval);
        reached(message, again)
    })
}

fn reached(message: String, again: Duration) -> Interrupted {
    Interrupted::Outcome(Outcome::Wait {
        reason: Reason::LimitReached,
        message,
        retry: Retry::After(again),
    })
}

/// The limit that the account would pass with this many numbers, and with the cost that `cost` tells.
fn is_over(limits: &Limits, numbers: i64, cost: impl Fn(&Currency) -> Amount) -> Option<String> {
    if let Some((most, _)) = limits.numbers
        && numbers > most
    {
        return Some(format!(
            "With what is being bought the account holds {most} numbers, as many as it may (spec.limits.maxNumbers). \
             This goes on when a number is released or the limit is raised."
        ));
    }
    let mut budgets = limits.monthly_cost.iter().map(|(budget, _)| budget);
    let passed = budgets.find(|budget| cost(&budget.currency) > budget.amount)?;
    Some(format!(
        "With what is being bought the account's numbers cost as much as they may, {} {} a month \
         (spec.limits.maxMonthlyCost of the account). This goes on when a number is released or the limit is raised.",
        passed.amount, passed.currency
    ))
}

pub(super) async fn verify_before_purchase(
    state: &mut ReconcileState,
    cluster: &Cluster,
    quotas: &HourlyQuotas,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let number = state.number()?;
    let adopting =
        matches!(&state.facts.claim, Stored::Ours(claim) if claim.intent == Intent::Adopt);
    let Some(purchase) = &state.purchase else {
        return Err(Interrupted::from(Error::Invariant(
            "there is no claim to look for",
        )));
    };
    let found = account.find_under(&purchase.permit, &number).await;
    match found {
        Ok(holding) => {
            state.facts.recorded_by = holding
                .as_ref()
                .and_then(|holding| cluster.recorder_of(&state.object, &holding.id));
            if holding.is_some() && !adopting {
                unused(state, &cluster.observations, quotas).await;
            }
            state.facts.findings.last_look = Some(holding);
            Ok(())
        }
        Err(error) => {
            unused(state, &cluster.observations, quotas).await;
            Err(error.into())
        }
    }
}

/// Drops a token that was not spent: nothing was sent under its claim.
async fn unused(state: &mut ReconcileState, observations: &Observations, quotas: &HourlyQuotas) {
    if let Some(purchase) = state.purchase.take() {
        known_not_purchased(
            &purchase.token.claim().nonce,
            purchase.alone,
            state,
            observations,
        );
        state.facts.findings.token = false;
        quotas.put_back(purchase.slot).await;
    }
}

fn known_not_purchased(
    nonce: &str,
    alone: bool,
    state: &mut ReconcileState,
    observations: &Observations,
) {
    if alone {
        observations.known_not_purchased(&state.object, nonce);
    }
    state.facts.memory.never_bought = alone;
}

pub(super) async fn buy(
    state: &mut ReconcileState,
    cluster: &Cluster,
    quotas: &HourlyQuotas,
    process: &Process,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let configuration = state.configuration()?;
    let Some(Purchase {
        token,
        alone,
        permit: _permit,
        slot,
        spending,
    }) = state.purchase.take()
    else {
        return Err(Interrupted::from(Error::Invariant(
            "there is no claim to buy on",
        )));
    };
    state.facts.findings.token = false;
    let claim = token.claim().clone();
    let sent = process.clock.now();
    let reply = account.provider_api().buy(token, &configuration).await;
    let (label, word) = (
        cluster.account_label(&state.object),
        report::outcome_label(&reply),
    );
    process.metrics.purchased(label, word);
    if matches!(reply, Reply::Rejected(_) | Reply::NotSent(_)) {
        known_not_purchased(&claim.nonce, alone, state, &cluster.observations);
    }
    match &reply {
        Reply::Bought(_) => {}
        Reply::Ordered(_) => quotas.was_ordered(slot).await,
        Reply::Unknown(_) => quotas.may_stand(slot).await,
        Reply::Rejected(_) | Reply::Refused(_) | Reply::NotSent(_) => {
            quotas.put_back(slot).await;
        }
    }
    if matches!(
        reply,
        Reply::Bought(_) | Reply::Ordered(_) | Reply::Unknown(_)
    ) {
        spending.stands();
        if let Some(price) = &claim.price {
            account.spent(price);
        }
    }
    if let Some(candidate) = &mut state.candidate
        && is_settled(&reply)
    {
        candidate.tried(&claim.number, process.clock.now());
    }
    let mut attempt = report::attempt(&claim, report::outcome(&reply));
    match reply {
        Reply::Bought(holding) => {
            cluster.observations.bought(&state.object, &holding.id);
            if account.was_known(&holding.id, sent) && is_enabled(Safeguard::ProofOfPurchase) {
                cluster.observations.met(&state.object, &holding.id);
                state.facts.memory.met = Some(holding.id.clone());
            }
            let holding = account.saw(*holding);
            state.saw(
                Lookup {
                    holding: Some(holding.clone()),
                    at: Some(state.facts.now),
                    ..Lookup::default()
                },
                cluster,
                &process.time,
            );
            if !state.facts.is_bought(&holding) {
                attempt.outcome = AttemptOutcome::Unknown;
            }
        }
        Reply::Ordered(order) => {
            cluster.observations.ordered(&state.object);
            state.facts.record.requirement_group = configuration.papers.requirement_group_id;
            state.order = Some(order.clone());
            let pending = order.state == OrderState::Pending;
            state.facts.findings.look = pending.then_some(Lookup {
                order: Some(order),
                at: Some(state.facts.now),
                ..Lookup::default()
            });
        }
        Reply::Rejected(mut refusal) => {
            if refusal.kind == RefusalKind::TakesNoMessages {
                let configuration = state.facts.configuration.as_mut();
                if configuration.is_ok_and(Configuration::leave_out_messages) {
                    let number = claim.number;
                    cluster
                        .observations
                        .takes_no_messages(&state.object, number);
                } else {
                    refusal.kind = RefusalKind::Invalid;
                }
            }
            refused(&mut attempt, &refusal, state);
            state.facts.findings.attempt = Some(Attempt::Rejected(refusal));
        }
        Reply::Refused(refusal) => {
            refused(&mut attempt, &refusal, state);
            state.facts.findings.attempt = Some(Attempt::Refused(refusal));
        }
        Reply::NotSent(error) => {
            state.attempt = Some(attempt);
            let Err(error) = account.note_rate_limit::<Infallible>(Err(error));
            return Err(Interrupted::from(error));
        }
        Reply::Unknown(text) => state.facts.findings.attempt = Some(Attempt::Unknown(text)),
    }
    state.attempt = Some(attempt);
    Ok(())
}

/// True if the number is not to be tried for another: it is bought, may be, or is not on sale.
fn is_settled(reply: &Reply) -> bool {
    match reply {
        Reply::Bought(_) | Reply::Ordered(_) | Reply::Refused(_) | Reply::Unknown(_) => true,
        Reply::Rejected(refusal) => refusal.kind == RefusalKind::NotOnSale,
        Reply::NotSent(_) => false,
    }
}

/// What the status is to say of a refusal, so that it is not provoked again before its time, by whatever process.
fn refused(attempt: &mut AttemptStatus, refused: &Refusal, state: &ReconcileState) {
    let (reason, _) = refusal(refused.kind);
    attempt.code = Some(refused.code.clone());
    attempt.reason = Some(reason.to_string());
    attempt.message = Some(refused.to_string());
    attempt.request = Some(state.resolved.request(state.facts.generation));
    let before = state.object.status.as_ref();
    let before = before.and_then(|status| status.attempt.as_ref());
    let same = before.filter(|before| {
        before.number == attempt.number
            && before.outcome == attempt.outcome
            && before.code == attempt.code
            && before.request == attempt.request
    });
    attempt.repeated = same.map(|before| before.repeated.unwrap_or(1).saturating_add(1));
}
