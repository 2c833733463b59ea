//! The resource is being deleted: the operator releases the number if it is ours, and touches nothing else.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    ABSENCE_CONFIRMED_AFTER, ASK_AGAIN_AFTER, Facts, FinalizerRemoval, LONGEST_TIMER, Outcome,
    PERSON_AGAIN_AFTER, Retry, Step, Title, wait,
};
use crate::api::{Deletion, Reason};
use crate::claim::Stored;
use crate::number::{NumberId, Origin, Whose};
use crate::provider::OrderState;
use crate::safeguards::{Safeguard, is_enabled};

/// What the deletion of the object does to its number, as the spec is now.
pub(crate) fn on_deletion(facts: &Facts) -> Deletion {
    Deletion::of(
        facts.deletion_policy,
        facts.adopted,
        facts.owned,
        facts.protected,
    )
}

pub(super) fn release(facts: &Facts) -> Step {
    if facts.definition_deleted {
        return Step::RemoveFinalizer(FinalizerRemoval::DefinitionDeleted);
    }
    let deletion = on_deletion(facts);
    if deletion == Deletion::Retains {
        return Step::RemoveFinalizer(FinalizerRemoval::Retained);
    }
    if facts.findings.released {
        return Step::RemoveFinalizer(FinalizerRemoval::Released);
    }
    let nothing_recorded = facts.record.id.is_none() && facts.record.order_id.is_none();
    if nothing_recorded && facts.memory.never_bought {
        return Step::RemoveFinalizer(FinalizerRemoval::NotPurchased);
    }
    match deletion {
        Deletion::Retains => return Step::RemoveFinalizer(FinalizerRemoval::Retained),
        Deletion::RetainsOwned => return Step::RemoveFinalizer(FinalizerRemoval::Owned),
        Deletion::Waits => {
            return wait(
                Reason::ReleaseProtected,
                format!(
                    "{} is not released because spec.deletionProtection is true. Set it to false to release the number, \
                     or set spec.deletionPolicy to Retain to keep it in the account.",
                    facts.title()
                ),
                Retry::After(PERSON_AGAIN_AFTER),
            );
        }
        Deletion::Releases => {}
    }
    if facts.suspended {
        return Step::Done(Outcome::Suspended);
    }
    if let Some(step) = facts.account_blocker() {
        return with_the_way_out(step);
    }
    if let Some(step) = delayed(facts) {
        return step;
    }
    match &facts.record.id {
        Some(id) => recorded(facts, id),
        None => unrecorded(facts),
    }
}

/// A number that the account holds is kept for as long as the account delays releases, unless the spec says Release. What no listing
/// shows is fetched first: a number that is gone has nothing to wait for.
fn delayed(facts: &Facts) -> Option<Step> {
    let is_fetched = matches!(facts.findings.fetched, Some(Some(_)));
    if !facts.is_listed && !is_fetched {
        return None;
    }
    let due = facts.release_due?;
    let left = Duration::try_from(due.duration_since(facts.now)).unwrap_or_default();
    let waits = facts.deletion_policy.is_none() && !left.is_zero();
    (waits && is_enabled(Safeguard::ReleaseDelay)).then(|| {
        wait(
            Reason::ReleaseDelayed,
            format!(
                "{} is released at {} (spec.limits.releaseDelay of the account). Until then nothing is changed at it. To keep \
                 the number in the account, set spec.deletionPolicy: Retain. To release it now, set spec.deletionPolicy: \
                 Release.",
                facts.title(),
                due.strftime("%Y-%m-%d %H:%M:%S UTC"),
            ),
            Retry::After(left.min(LONGEST_TIMER)),
        )
    })
}

/// What stands in the way of a release is told together with how to do without one.
pub(crate) fn with_the_way_out(step: Step) -> Step {
    match step {
        Step::Done(Outcome::Wait {
            reason,
            message,
            retry,
        }) => Step::Done(Outcome::Wait {
            reason,
            message: format!(
                "The number cannot be released. {message} To let go of it without releasing it, set \
                 spec.deletionPolicy: Retain."
            ),
            retry,
        }),
        other => other,
    }
}

fn recorded(facts: &Facts, id: &NumberId) -> Step {
    let holding = match &facts.findings.fetched {
        None => return Step::FetchById(id.clone()),
        Some(None) => return gone(facts, id),
        Some(Some(holding)) => holding,
    };
    match facts.mark.whose(&holding.marked_text) {
        Whose::Foreign if is_enabled(Safeguard::ForeignMark) => {
            Step::RemoveFinalizer(FinalizerRemoval::NotOwned)
        }
        Whose::Unmarked if facts.findings.marked => wait(
            Reason::Releasing,
            format!("The provider does not show the mark on {id} yet."),
            Retry::Backoff,
        ),
        Whose::Unmarked => Step::RestoreMark(id.clone()),
        // The mark tells, also where the status was lost.
        Whose::Ours(Origin::Adopted)
            if facts.deletion_policy.is_none() && is_enabled(Safeguard::AdoptedMark) =>
        {
            Step::RemoveFinalizer(FinalizerRemoval::Retained)
        }
        Whose::Ours(_) | Whose::Foreign => {
            if let Some(step) = delayed(facts) {
                return step;
            }
            match facts.record.assistant.or(facts.record.assigning) {
                Some(assistant) => Step::Unassign(assistant),
                None if facts.findings.release_token => Step::Release(id.clone()),
                None => still_refused(facts).unwrap_or_else(|| Step::RecordRelease(id.clone())),
            }
        }
    }
}

/// A release that was refused is not asked for again before its time, unless the spec has changed since.
fn still_refused(facts: &Facts) -> Option<Step> {
    let (message, ago) = facts.memory.release_refused.as_ref()?;
    let left = PERSON_AGAIN_AFTER.checked_sub(*ago)?;
    (!left.is_zero()).then(|| wait(Reason::ReleaseBlocked, message.clone(), Retry::After(left)))
}

/// A number just bought may not be shown yet, so one 404 is not enough, unless it follows a release that the provider confirmed.
/// After a release without an answer the number may be there still.
fn gone(facts: &Facts, id: &NumberId) -> Step {
    if facts.memory.is_released {
        return Step::RemoveFinalizer(FinalizerRemoval::Released);
    }
    let missing_for = facts.memory.missing_for.unwrap_or_default();
    let confirmed_after = if is_enabled(Safeguard::ConfirmedAbsence) {
        ABSENCE_CONFIRMED_AFTER
    } else {
        Duration::ZERO
    };
    match confirmed_after.checked_sub(missing_for) {
        None | Some(Duration::ZERO) => Step::RemoveFinalizer(FinalizerRemoval::AlreadyAbsent),
        Some(left) => wait(
            Reason::Releasing,
            format!(
                "The provider says that it has no {id}. It is asked once more before this PhoneNumber goes."
            ),
            Retry::After(left),
        ),
    }
}

fn unrecorded(facts: &Facts) -> Step {
    let Some(look) = &facts.findings.look else {
        return Step::Lookup;
    };
    let found = look.holding.as_ref();
    let found = found.filter(|_| facts.recorded_by.is_none());
    let found = found.map(|holding| (holding, facts.title_to(holding, facts.order(look))));
    // What was bought may be written otherwise than it was asked for.
    let marked = look.marked.as_ref();
    let marked = marked.map(|holding| (holding, facts.title_to_other(holding)));
    for (holding, title) in found.into_iter().chain(marked) {
        if let Some(step) = facts.settle_title(title, &holding.id) {
            return step;
        }
        if title == Title::Ours {
            return Step::Record(Box::new(holding.clone()));
        }
        // A number is bought once: who had it before was not this resource.
        let attempted = facts.attempted_since().map(|(number, _)| number);
        if title == Title::Kept && attempted == Some(holding.number) {
            return Step::RemoveFinalizer(FinalizerRemoval::NotPurchased);
        }
    }
    match facts.order(look) {
        Some(order) if order.state == OrderState::Pending && !facts.findings.cancelled => {
            Step::Cancel(Box::new(order.clone()))
        }
        Some(order) if order.state == OrderState::Success && facts.is_overdue(order) => wait(
            Reason::ReleaseBlocked,
            format!(
                "Order {} bought {}, which the account has not shown since: it was released or ported away, or the \
                 provider hides it. Look for it there. To let this PhoneNumber go without a release, set \
                 spec.deletionPolicy: Retain.",
                order.id,
                facts.title()
            ),
            Retry::After(facts.waits.interval),
        ),
        Some(order) if order.state != OrderState::Failure => wait(
            Reason::Releasing,
            format!(
                "Order {} for {} is not finished; what it brings is released.",
                order.id,
                facts.title()
            ),
            Retry::After(ASK_AGAIN_AFTER),
        ),
        Some(_) | None => doubt(facts, look.at.unwrap_or(facts.now)),
    }
}

/// Nothing of ours is to be seen. It is let go when a purchase of ours would have been seen by now.
fn doubt(facts: &Facts, looked_at: Timestamp) -> Step {
    let left = match &facts.claim {
        Stored::Nothing => match &facts.memory.doubt {
            None => return Step::RemoveFinalizer(FinalizerRemoval::NotPurchased),
            Some(doubt) => facts.waits.visibility.saturating_sub(doubt.age),
        },
        Stored::Newer(version) => {
            return wait(
                Reason::ReleaseBlocked,
                format!(
                    "The claim on this PhoneNumber has version {version}, which this operator does not understand. Run \
                     the operator that wrote it, or set spec.deletionPolicy: Retain."
                ),
                Retry::After(PERSON_AGAIN_AFTER),
            );
        }
        Stored::Unreadable => {
            let unreadable_for = facts.memory.unreadable_for;
            facts.waits.visibility.saturating_sub(unreadable_for)
        }
        // Nothing was spent on it, and the number does not carry our mark.
        Stored::Ours(claim) | Stored::EarlierUid(claim) if !claim.may_have_bought() => {
            return Step::RemoveFinalizer(FinalizerRemoval::NotPurchased);
        }
        Stored::Ours(claim) | Stored::EarlierUid(claim) => facts.hidden_for(claim, looked_at),
    };
    match left {
        left if left.is_zero() || !is_enabled(Safeguard::Doubt) => {
            Step::RemoveFinalizer(FinalizerRemoval::NotPurchased)
        }
        left => wait(
            Reason::Verifying,
            format!(
                "A purchase of {} may still show up. It is looked for until ten minutes (or what --purchase-visibility \
                 says) after the claim, before this PhoneNumber goes.",
                facts.title()
            ),
            Retry::After(left.min(Duration::from_secs(5))),
        ),
    }
}
