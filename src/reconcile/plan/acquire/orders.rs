//! An order that could bring the number.

use jiff::Timestamp;

use super::super::{
    ASK_AGAIN_AFTER, Facts, Outcome, PERSON_AGAIN_AFTER, Retry, SHOWN_WITHIN, Setup, Step, wait,
};
use super::absent;
use crate::api::Reason;
use crate::claim::Stored;
use crate::provider::{Order, OrderPapers, OrderState};

pub(super) fn ordered(facts: &Facts, order: &Order, looked_at: Option<Timestamp>) -> Step {
    if !facts.finalizer {
        return Step::AddFinalizer;
    }
    let recorded = facts.record.order_id.as_ref() == Some(&order.id);
    match order.state {
        OrderState::Failure => order_failed(facts, order, recorded, looked_at),
        _ if !recorded => Step::RecordOrder(Box::new(order.clone())),
        OrderState::Pending if order.papers > OrderPapers::Met => papers(facts, order),
        OrderState::Pending => wait(
            Reason::OrderPending,
            format!("Order {} for {} is not finished.", order.id, facts.title()),
            Retry::Backoff,
        ),
        OrderState::Success if facts.is_overdue(order) => wait(
            Reason::Lost,
            format!(
                "Order {} bought {}, which the account has not shown since: it was released or ported away, or the \
                 provider hides it. It is not bought again. If it is shown, this clears itself; to give it up, delete \
                 this PhoneNumber.",
                order.id,
                facts.title()
            ),
            Retry::After(facts.waits.interval),
        ),
        // A listing that ran meanwhile may have passed it by; so soon that is not worth a word.
        OrderState::Success if facts.age_of(order).is_some_and(|age| age < SHOWN_WITHIN) => {
            Step::Done(Outcome::KeepStatus(ASK_AGAIN_AFTER))
        }
        OrderState::Success => wait(
            Reason::Verifying,
            format!(
                "Order {} bought {}, which the account does not show yet.",
                order.id,
                facts.title()
            ),
            Retry::Backoff,
        ),
    }
}

/// An order waits for papers. A group that was declared since it was placed is attached to it.
fn papers(facts: &Facts, order: &Order) -> Step {
    let (provider, title) = (facts.provider, facts.title());
    let group = facts.configuration.as_ref().ok();
    let group = group.and_then(|configuration| configuration.papers.requirement_group_id.clone());
    if let Some(group) = group.filter(|group| {
        order.papers > OrderPapers::UnderReview
            && facts.record.requirement_group.as_ref() != Some(group)
    }) {
        let setup = Setup::RegulatoryDocuments(order.id.clone(), group.clone());
        let step = Step::AttachPapers(Box::new(order.clone()), group);
        return facts.unless_refused(&setup, step);
    }
    let what = match order.papers {
        OrderPapers::Met | OrderPapers::UnderReview => {
            return wait(
                Reason::OrderPending,
                format!(
                    "{provider} reviews the papers of order {} for {title}. Nothing is paid meanwhile.",
                    order.id
                ),
                Retry::After(facts.waits.interval),
            );
        }
        OrderPapers::Missing => "lacks papers that the regulator wants",
        OrderPapers::Rejected => "has papers that were rejected",
    };
    wait(
        Reason::RegulatoryRequirement,
        format!(
            "Order {} for {title} {what}. Nothing is paid until they are approved. Hand them in at {provider} for this \
             order, or set spec.telnyx.requirementGroupId to a fulfilled requirement group, which is then attached to \
             it. To let go of it, delete this PhoneNumber, which cancels the order.",
            order.id
        ),
        Retry::After(facts.waits.interval),
    )
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
        return absent(facts, looked_at, false);
    };
    let of_this_claim = order.reference.ends_with(&claim.nonce);
    let left = PERSON_AGAIN_AFTER
        .checked_sub(facts.since(claim.at))
        .unwrap_or_default();
    let changed = facts.record.observed_generation != Some(facts.generation);
    if !of_this_claim || left.is_zero() || facts.findings.token || (recorded && changed) {
        // What became of the attempt of this claim is known then.
        return absent(facts, looked_at, of_this_claim);
    }
    if !recorded {
        return Step::RecordOrder(Box::new(order.clone()));
    }
    wait(
        Reason::OrderFailed,
        format!(
            "Order {} for {} was refused; the provider gives no reason. Nothing was bought. It is ordered again half an \
             hour after the claim, or when the spec changes.",
            order.id,
            facts.title()
        ),
        Retry::After(left),
    )
}
