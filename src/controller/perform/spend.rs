//! Claims a number, pays for it or takes it over, and counts what that costs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use serde_json::json;

use super::super::context::Context;
use super::super::fuse::{Deed, Slot};
use super::super::pass::{Pass, Purchase, Stop};
use super::super::plan::obtain::refusal;
use super::super::plan::{Again, Attempt, Limits, Look, Rest};
use super::super::report;
use super::super::rivals::named_for;
use super::patch;
use crate::account::{Account, NotNow, SEARCH_HOLDS, Spending, Tally, Urgency};
use crate::api::{AttemptOutcome, AttemptStatus, NUMBER_FINALIZER, Reason, finalizers_of, owner};
use crate::claim::{ANNOTATION, Claim, Intent, Stored, Token};
use crate::number::{Amount, Configuration, Currency, NumberId, Price};
use crate::provider::{Error, OrderState, Refusal, RefusalKind, Reply, Unmarked};
use crate::sabotage::{Safeguard, stands};

/// Writes the claim together with the finalizer, in one patch that fails if anybody else has written since.
pub(super) async fn claim(
    intent: Intent,
    since: Option<jiff::Timestamp>,
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let account = pass.account()?;
    let offer = pass.facts.seen.offer.as_ref().and_then(Option::as_ref);
    let price = offer.and_then(|offer| offer.price.clone());
    let permit = account.permit(Urgency::First).await?;
    let spending = reserve(&account, intent, price.as_ref(), pass, context)?;
    // Who was there first may have come while this pass looked and waited.
    pass.facts.rival = context.rival_of(&pass.object, &account.names());
    if let Some(stop) = pass.facts.rival_blocker(Again::Backoff)
        && stands(Safeguard::FirstComeFirstServed)
    {
        return Err(Stop::Rest(stop));
    }
    let slot = take(&account, intent, pass, context).await?;
    let (token, claim) = match store(intent, since, price, &account, pass, context).await {
        Ok(stored) => stored,
        Err(stop) => {
            // Without the stored claim nothing can be bought.
            context.fuses.put_back(slot).await;
            return Err(stop);
        }
    };
    let alone = context
        .memories
        .claimed(&pass.object, &pass.facts.claim, &claim);
    pass.facts.memory.never_bought = false;
    pass.facts.claim = Stored::Ours(claim);
    pass.facts.seen.token = true;
    pass.facts.seen.last_look = None;
    pass.facts.seen.attempt = None;
    pass.purchase = Some(Purchase {
        token,
        alone,
        permit,
        slot,
        spending,
    });
    // What a search has just shown needs no other look.
    let is_news = |asked| context.clock.now().since(asked) < SEARCH_HOLDS;
    if intent == Intent::Buy && pass.chosen_at.take().is_some_and(is_news) {
        pass.facts.seen.last_look = Some(None);
    }
    Ok(())
}

/// Sends the claim, and returns it with the token that its stored form yields.
async fn store(
    intent: Intent,
    since: Option<jiff::Timestamp>,
    price: Option<Price>,
    account: &Account,
    pass: &mut Pass,
    context: &Context,
) -> Result<(Token, Claim), Stop> {
    let number = pass.number()?;
    let at = context.time.now().unwrap_or(pass.facts.now);
    let attempts = match &pass.facts.claim {
        Stored::Ours(before) if !pass.facts.memory.never_bought => before.attempts_on(&number),
        _ => 0,
    };
    let mut nonce = context.chance.nonce();
    if let (Stored::Ours(before), Some(_)) = (&pass.facts.claim, since) {
        nonce = before.next_nonce(&nonce);
    }
    let claim = Claim::to_buy(
        number,
        account.identity().account.clone(),
        &owner(pass.object.as_ref()),
        &pass.object.uid().unwrap_or_default(),
        nonce,
        at,
        since
            .or_else(|| account.company().provider_time())
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
        .map_err(|error| Stop::Api(kube::Error::SerdeError(error)))?;
    let sent = context.clock.now();
    let metadata = json!({
        "resourceVersion": pass.object.resource_version(),
        "annotations": { ANNOTATION: text },
        "finalizers": finalizers_of(pass.object.as_ref(), NUMBER_FINALIZER, true),
    });
    patch(pass, context, metadata).await?;
    let stored = Token::from_reply(pass.object.annotations(), claim.clone(), sent);
    let token = stored.ok_or_else(|| {
        Stop::from(Error::Invariant(
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
    pass: &mut Pass,
    context: &Context,
) -> Result<Spending, Stop> {
    let monthly = match intent {
        Intent::Buy => price.map_or(Amount::ZERO, |price| price.monthly),
        Intent::Adopt => Amount::ZERO,
    };
    let names = account.names();
    let limits = &pass.facts.limits;
    let is_limited = intent == Intent::Buy && limits.are_of_what_is_held();
    let mut over = None;
    let may = is_limited.then_some(|tally: Tally| {
        over = is_over(limits, tally.numbers, |currency| {
            let index = &context.stores.index;
            let spent = index.cost_besides(&pass.object, &names, currency);
            spent.plus(tally.monthly)
        });
        over.is_none()
    });
    let reserved = account.spend(
        &pass.number()?,
        &owner(pass.object.as_ref()),
        monthly,
        &context.told_besides(&pass.object, names.clone()),
        may,
    );
    reserved.map_err(|why| match why {
        NotNow::OverLimit => reached(over.unwrap_or_default(), pass.facts.waits.interval),
        NotNow::UnderWay(rival) => {
            let namespace = pass.object.namespace().unwrap_or_default();
            pass.facts.rival = Some(named_for(&rival, &namespace));
            let stop = pass.facts.rival_blocker(Again::Backoff);
            Stop::Rest(stop.unwrap_or(Rest::Nothing))
        }
    })
}

/// What an attempt counts as.
fn deed(intent: Intent) -> Deed {
    match intent {
        Intent::Buy => Deed::Purchase,
        Intent::Adopt => Deed::Adoption,
    }
}

/// Counts the attempt against what may be bought, or taken over, in an hour.
async fn take(
    account: &Account,
    intent: Intent,
    pass: &Pass,
    context: &Context,
) -> Result<Slot, Stop> {
    let deed = deed(intent);
    let id = &account.identity().account;
    let limit = pass.resolved.limits.purchases_per_hour;
    let now = context.time.now().unwrap_or(pass.facts.now);
    let number = pass.number()?;
    // Another number is claimed instead only where it is certain that the claimed one was not bought.
    let before = match &pass.facts.claim {
        Stored::Ours(claim) => Some(claim.number.as_str()),
        _ => None,
    };
    let what = (number.as_str(), before);
    let fuses = &context.fuses;
    let names = account.names();
    let taken = fuses.take((id, names.as_slice()), deed, limit, now, &pass.object, what);
    taken.await?.map_err(|full| {
        let interval = pass.facts.waits.interval;
        let (message, again) = full.told(id, deed, limit, now, interval);
        reached(message, again)
    })
}

fn reached(message: String, again: Duration) -> Stop {
    Stop::Rest(Rest::Wait {
        reason: Reason::LimitReached,
        message,
        again: Again::After(again),
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

pub(super) async fn last_look(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let number = pass.number()?;
    let adopting =
        matches!(&pass.facts.claim, Stored::Ours(claim) if claim.intent == Intent::Adopt);
    let Some(purchase) = &pass.purchase else {
        return Err(Stop::from(Error::Invariant(
            "there is no claim to look for",
        )));
    };
    let found = account.find_under(&purchase.permit, &number).await;
    match found {
        Ok(holding) => {
            pass.facts.recorded_by = holding
                .as_ref()
                .and_then(|holding| context.recorder_of(&pass.object, &holding.id));
            if holding.is_some() && !adopting {
                unused(pass, context).await;
            }
            pass.facts.seen.last_look = Some(holding);
            Ok(())
        }
        Err(error) => {
            unused(pass, context).await;
            Err(error.into())
        }
    }
}

/// Drops a token that was not spent: nothing was sent under its claim.
async fn unused(pass: &mut Pass, context: &Context) {
    if let Some(purchase) = pass.purchase.take() {
        in_vain(&purchase.token.claim().nonce, purchase.alone, pass, context);
        pass.facts.seen.token = false;
        context.fuses.put_back(purchase.slot).await;
    }
}

fn in_vain(nonce: &str, alone: bool, pass: &mut Pass, context: &Context) {
    if alone {
        context.memories.in_vain(&pass.object, nonce);
    }
    pass.facts.memory.never_bought = alone;
}

pub(super) async fn buy(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let configuration = pass.facts.configuration.clone().map_err(Stop::from)?;
    let Some(Purchase {
        token,
        alone,
        permit: _permit,
        slot,
        spending,
    }) = pass.purchase.take()
    else {
        return Err(Stop::from(Error::Invariant("there is no claim to buy on")));
    };
    pass.facts.seen.token = false;
    let claim = token.claim().clone();
    let sent = context.clock.now();
    let reply = account.company().buy(token, &configuration).await;
    let (label, word) = (
        context.account_label(&pass.object),
        report::outcome_label(&reply),
    );
    context.metrics.purchased(label, word);
    if matches!(reply, Reply::Rejected(_) | Reply::NotSent(_)) {
        in_vain(&claim.nonce, alone, pass, context);
    }
    match &reply {
        Reply::Bought(_) => {}
        Reply::Ordered(_) => context.fuses.was_ordered(slot).await,
        Reply::Unknown(_) => context.fuses.may_stand(slot).await,
        Reply::Rejected(_) | Reply::Refused(_) | Reply::NotSent(_) => {
            context.fuses.put_back(slot).await;
        }
    }
    if matches!(
        reply,
        Reply::Bought(_) | Reply::Ordered(_) | Reply::Unknown(_)
    ) {
        spending.stands();
    }
    if let Some(candidate) = &mut pass.candidate
        && is_settled(&reply)
    {
        candidate.tried(&claim.number, context.clock.now());
    }
    let mut attempt = report::attempt(&claim, report::outcome(&reply));
    match reply {
        Reply::Bought(holding) => {
            context.memories.bought(&pass.object, &holding.id);
            if account.was_known(&holding.id, sent) && stands(Safeguard::ProofOfPurchase) {
                context.memories.met(&pass.object, &holding.id);
                pass.facts.memory.met = Some(holding.id.clone());
            }
            let holding = account.saw(*holding);
            pass.saw(
                Look {
                    holding: Some(holding.clone()),
                    at: Some(pass.facts.now),
                    ..Look::default()
                },
                context,
            );
            if !pass.facts.is_bought(&holding) {
                attempt.outcome = AttemptOutcome::Unknown;
            }
        }
        Reply::Ordered(order) => {
            context.memories.ordered(&pass.object);
            pass.facts.record.requirement_group = configuration.papers.requirement_group_id;
            pass.order = Some(order.clone());
            let pending = order.state == OrderState::Pending;
            pass.facts.seen.look = pending.then_some(Look {
                order: Some(order),
                at: Some(pass.facts.now),
                ..Look::default()
            });
        }
        Reply::Rejected(mut refusal) => {
            if refusal.kind == RefusalKind::TakesNoMessages {
                let configuration = pass.facts.configuration.as_mut();
                if configuration.is_ok_and(Configuration::leave_out_messages) {
                    let number = claim.number;
                    context.memories.takes_no_messages(&pass.object, number);
                } else {
                    refusal.kind = RefusalKind::Invalid;
                }
            }
            refused(&mut attempt, &refusal, pass);
            pass.facts.seen.attempt = Some(Attempt::Rejected(refusal));
        }
        Reply::Refused(refusal) => {
            refused(&mut attempt, &refusal, pass);
            pass.facts.seen.attempt = Some(Attempt::Refused(refusal));
        }
        Reply::NotSent(error) => {
            pass.attempt = Some(attempt);
            let Err(error) = account.heed::<Infallible>(Err(error));
            return Err(Stop::from(error));
        }
        Reply::Unknown(text) => pass.facts.seen.attempt = Some(Attempt::Unknown(text)),
    }
    pass.attempt = Some(attempt);
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
fn refused(attempt: &mut AttemptStatus, refused: &Refusal, pass: &Pass) {
    let (reason, _) = refusal(refused.kind);
    attempt.code = Some(refused.code.clone());
    attempt.reason = Some(reason.to_string());
    attempt.message = Some(refused.to_string());
    attempt.request = Some(pass.resolved.request(pass.facts.generation));
    let before = pass.object.status.as_ref();
    let before = before.and_then(|status| status.attempt.as_ref());
    let same = before.filter(|before| {
        before.number == attempt.number
            && before.outcome == attempt.outcome
            && before.code == attempt.code
            && before.request == attempt.request
    });
    attempt.repeated = same.map(|before| before.repeated.unwrap_or(1).saturating_add(1));
}

/// Puts our mark on a number that the account holds already and that nobody has marked.
pub(super) async fn adopt(id: &NumberId, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let seen = pass
        .facts
        .seen
        .look
        .as_ref()
        .and_then(|look| look.holding.clone());
    let now = pass.facts.seen.last_look.clone().flatten();
    let (Some(seen), Some(now), Some(purchase)) = (seen, now, pass.purchase.take()) else {
        return Err(Stop::from(Error::Invariant(
            "there is no claim to take it over on",
        )));
    };
    pass.facts.seen.token = false;
    let nobodys = Unmarked::abandoned(&now, &seen).filter(|unmarked| unmarked.id() == id);
    let overtaken = match &nobodys {
        _ if !purchase.token.is_fresh(context.clock.now()) => {
            Some("the claim was written too long ago")
        }
        None => Some("the number has just changed"),
        Some(_) => None,
    };
    let (Some(nobodys), None) = (nobodys, overtaken) else {
        context.fuses.put_back(purchase.slot).await;
        let why = overtaken.unwrap_or("the number has just changed");
        return Err(Stop::from(Error::Overtaken(why)));
    };
    pass.take_over();
    let text = pass
        .facts
        .mark
        .with_name(pass.facts.provider, &pass.resolved.name);
    // Under the claim's permit: with one more each, as many as there are permits would wait for each other for ever.
    let marked = account.heed(account.company().mark(&nobodys, &text).await);
    match &marked {
        Ok(_) => {}
        Err(error) if error.is_without_effect() => context.fuses.put_back(purchase.slot).await,
        Err(_) => context.fuses.may_stand(purchase.slot).await,
    }
    drop(purchase.permit);
    let holding = marked?;
    let holding = account.saw(holding);
    pass.saw(
        Look {
            holding: Some(holding),
            at: Some(pass.facts.now),
            ..Look::default()
        },
        context,
    );
    Ok(())
}
