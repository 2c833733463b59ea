//! The number is not recorded yet: find it, or buy it once.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    ASK_AGAIN_AFTER, Again, Attempt, Facts, NOT_ON_SALE_AGAIN_AFTER, PERSON_AGAIN_AFTER, Rest,
    Step, wait,
};
use crate::api::Reason;
use crate::claim::{ANNOTATION, Stored};
use crate::number::{Holding, Whose};
use crate::provider::{Order, OrderState, RefusalKind};

pub(super) fn obtain(facts: &Facts) -> Step {
    let untouched = facts.claim == Stored::Nothing && facts.record.order_id.is_none();
    if let Stored::Newer(version) = facts.claim {
        return wait(
            Reason::InvalidSpec,
            format!(
                "The claim on this PhoneNumber has version {version}, which this operator does not understand. Nothing \
                 is bought. Run the operator that wrote it, or a later one."
            ),
            Again::After(PERSON_AGAIN_AFTER),
        );
    }
    if let Some(attempt) = &facts.seen.attempt {
        return attempted(facts, attempt);
    }
    if let Some(step) = facts.account_blocker() {
        return step;
    }
    if !untouched && !facts.finalizer {
        return Step::AddFinalizer;
    }
    if untouched && let Some(step) = facts.spending_blocker() {
        return step;
    }
    if facts.memory.never_bought
        && facts.seen.look.is_none()
        && let Some(step) = refused_not_long_ago(facts)
    {
        return step;
    }
    let Some(look) = &facts.seen.look else {
        return Step::Look;
    };
    let holding = look
        .holding
        .as_ref()
        .or(facts.seen.last_look.as_ref().and_then(Option::as_ref));
    match (holding, &look.order) {
        (Some(holding), order) => held(facts, holding, order.as_ref()),
        (None, Some(order)) => ordered(facts, order, look.at),
        (None, None) => absent(facts, look.at),
    }
}

/// The reason that stands for a refusal of a purchase, and how long it is left alone.
pub(crate) fn refusal(kind: RefusalKind) -> (Reason, Duration) {
    match kind {
        RefusalKind::NotOnSale => (Reason::NumberNotAvailable, NOT_ON_SALE_AGAIN_AFTER),
        RefusalKind::InsufficientBalance => (Reason::InsufficientBalance, PERSON_AGAIN_AFTER),
        RefusalKind::PurchasingNotEnabled => (Reason::PurchasingNotEnabled, PERSON_AGAIN_AFTER),
        RefusalKind::Regulatory => (Reason::RegulatoryRequirement, PERSON_AGAIN_AFTER),
        RefusalKind::Unauthorized => (Reason::CredentialsInvalid, PERSON_AGAIN_AFTER),
        RefusalKind::ReferenceMissing => (Reason::ConnectionNotFound, PERSON_AGAIN_AFTER),
        RefusalKind::Invalid => (Reason::InvalidSpec, PERSON_AGAIN_AFTER),
    }
}

fn attempted(facts: &Facts, attempt: &Attempt) -> Step {
    match attempt {
        Attempt::Rejected(refused) => {
            let (reason, again) = refusal(refused.kind);
            wait(
                reason,
                format!("{} was not bought: {refused}.", facts.number),
                Again::After(again),
            )
        }
        Attempt::Unknown(text) => wait(
            Reason::Verifying,
            format!(
                "It is not known whether {} was bought ({text}). The account is being looked at.",
                facts.number
            ),
            Again::After(ASK_AGAIN_AFTER),
        ),
    }
}

/// A refusal is not provoked again before its time, unless the spec has changed since.
fn refused_not_long_ago(facts: &Facts) -> Option<Step> {
    let (Stored::Ours(claim), Some(refused)) = (&facts.claim, &facts.record.refused) else {
        return None;
    };
    let pause = match refused.reason {
        Reason::NumberNotAvailable => NOT_ON_SALE_AGAIN_AFTER,
        _ => PERSON_AGAIN_AFTER,
    };
    let left = pause
        .checked_sub(facts.since(claim.at))
        .filter(|left| !left.is_zero())?;
    let same = facts.record.observed_generation == Some(facts.generation)
        && claim.nonce == refused.nonce
        && facts
            .account
            .as_ref()
            .ok()
            .map(|identity| &identity.account)
            == Some(&claim.account_id);
    same.then_some(Step::Rest(Rest::Unchanged(left)))
}

fn held(facts: &Facts, holding: &Holding, order: Option<&Order>) -> Step {
    if let Some(owner) = &facts.recorded_by {
        return wait(
            Reason::OwnedByAnother,
            format!(
                "{} belongs to PhoneNumber {owner}. It is left alone.",
                holding.number
            ),
            Again::After(facts.waits.interval),
        );
    }
    if facts.is_ours(holding, order) {
        return if facts.finalizer {
            Step::Record(Box::new(holding.clone()))
        } else {
            Step::AddFinalizer
        };
    }
    match (facts.mark.whose(&holding.marked_text), order) {
        (Whose::Unmarked, Some(order)) if order.state == OrderState::Pending => {
            ordered(facts, order, None)
        }
        (Whose::Foreign, _) => wait(
            Reason::OwnedByAnother,
            format!(
                "The account holds {} for another owner ({:?}). It is left alone.",
                holding.number, holding.marked_text
            ),
            Again::After(facts.waits.interval),
        ),
        _ => wait(
            Reason::AlreadyOwned,
            format!(
                "The account holds {} ({}) already and this PhoneNumber did not buy it. It is left alone. Delete this \
                 PhoneNumber, or release the number at the provider.",
                holding.number, holding.id
            ),
            Again::After(facts.waits.interval),
        ),
    }
}

fn ordered(facts: &Facts, order: &Order, looked_at: Option<Timestamp>) -> Step {
    if !facts.finalizer {
        return Step::AddFinalizer;
    }
    let recorded = facts.record.order_id.as_ref() == Some(&order.id);
    match order.state {
        OrderState::Failure => order_failed(facts, order, recorded, looked_at),
        _ if !recorded => Step::RecordOrder(Box::new(order.clone())),
        OrderState::Pending if order.requirements_open => wait(
            Reason::RegulatoryRequirement,
            format!(
                "Order {} for {} waits for regulatory requirements. Fulfil them at the provider.",
                order.id, facts.number
            ),
            Again::After(facts.waits.interval),
        ),
        OrderState::Pending => wait(
            Reason::OrderPending,
            format!("Order {} for {} is not finished.", order.id, facts.number),
            Again::Backoff,
        ),
        OrderState::Success => wait(
            Reason::Verifying,
            format!(
                "Order {} bought {}, which the account does not show yet.",
                order.id, facts.number
            ),
            Again::Backoff,
        ),
    }
}

/// A refused order costs nothing. The same number is ordered again after a pause, or when the spec changes; an order of
/// an earlier claim says nothing about this one.
fn order_failed(
    facts: &Facts,
    order: &Order,
    recorded: bool,
    looked_at: Option<Timestamp>,
) -> Step {
    let Stored::Ours(claim) = &facts.claim else {
        return absent(facts, looked_at);
    };
    let left = PERSON_AGAIN_AFTER
        .checked_sub(facts.since(claim.at))
        .unwrap_or_default();
    let changed = facts.record.observed_generation != Some(facts.generation);
    if !order.reference.ends_with(&claim.nonce)
        || left.is_zero()
        || facts.seen.token
        || (recorded && changed)
    {
        return absent(facts, looked_at);
    }
    if !recorded {
        return Step::RecordOrder(Box::new(order.clone()));
    }
    wait(
        Reason::OrderFailed,
        format!(
            "Order {} for {} was refused; the provider gives no reason. Nothing was bought. It is ordered again half an \
             hour after the claim, or when the spec changes.",
            order.id, facts.number
        ),
        Again::After(left),
    )
}

/// No number, and no order that could bring it: spend, unless an attempt may still be under way.
fn absent(facts: &Facts, looked_at: Option<Timestamp>) -> Step {
    let mut since = None;
    match &facts.claim {
        Stored::EarlierUid(_) => {
            return wait(
                Reason::Lost,
                format!(
                    "This PhoneNumber was restored with the claim of an earlier one, and {} is not in the account. It is \
                     not bought again. To buy it, delete this PhoneNumber and create it without the annotation \
                     {ANNOTATION}.",
                    facts.number
                ),
                Again::After(facts.waits.interval),
            );
        }
        Stored::Nothing | Stored::Newer(_) => {}
        Stored::Unreadable => {
            if !facts.seen.token
                && let Some(step) = doubt(facts, facts.memory.unreadable_for)
            {
                return step;
            }
        }
        Stored::Ours(claim) => {
            since = Some(claim.since);
            let elapsed = looked_at
                .map(|at| super::elapsed(claim.at, at))
                .unwrap_or_default();
            let certain = facts.memory.never_bought || facts.seen.token;
            if !certain && let Some(step) = doubt(facts, elapsed) {
                return step;
            }
        }
    }
    if let Some(step) = facts.spending_blocker() {
        return step;
    }
    if facts.seen.token {
        return if facts.seen.last_look.is_none() {
            Step::LastLook
        } else {
            Step::Buy
        };
    }
    if let Some(step) = refused_not_long_ago(facts) {
        return step;
    }
    match facts.seen.offered {
        None => Step::Offer,
        Some(false) => wait(
            Reason::NumberNotAvailable,
            format!("{} is not on sale.", facts.number),
            Again::After(NOT_ON_SALE_AGAIN_AFTER),
        ),
        Some(true) => Step::Claim { since },
    }
}

fn doubt(facts: &Facts, elapsed: Duration) -> Option<Step> {
    let left = facts
        .waits
        .purchase
        .checked_sub(elapsed)
        .filter(|left| !left.is_zero())?;
    Some(wait(
        Reason::Verifying,
        format!(
            "A purchase of {} may be under way. It is looked for until that is certain, and only then tried again.",
            facts.number
        ),
        Again::After(left.min(ASK_AGAIN_AFTER)),
    ))
}
