//! Events and log lines on changes of the status.

use crate::api::{PhoneNumberStatus, Reason, condition, owner};
use crate::cluster::events::{Events, PendingEvent};
use crate::reconcile::plan::FinalizerRemoval;
use crate::reconcile::state::ReconcileState;
use jiff::Timestamp;
use kube::Resource;

pub(super) fn transitions(
    before: &PhoneNumberStatus,
    after: &PhoneNumberStatus,
    state: &ReconcileState,
    events: &Events,
    now: Timestamp,
) {
    if let (None, Some(id)) = (&before.id, &after.id) {
        let account = after.account_id.as_deref().unwrap_or("unknown");
        let note = format!(
            "{} is held in account {account} as {id}.",
            state.facts.title()
        );
        tell(state, events, now, false, "Purchased", "Purchase", note);
    }
    let is_bought = before.id.is_none() && after.id.is_some();
    let shown = |status: &PhoneNumberStatus, kind: &str| {
        let found = status
            .conditions
            .iter()
            .find(|found| found.type_ == kind)
            .cloned();
        found.map(|found| (found.status, found.reason, found.message))
    };
    // A suspension leaves Ready as it is, and shows in Reconciling.
    for kind in [condition::READY, condition::RECONCILING] {
        let (old, new) = (shown(before, kind), shown(after, kind));
        let word = |found: &Option<(String, String, String)>| {
            found.clone().map(|(status, reason, _)| (status, reason))
        };
        let Some((_, reason, message)) = new.clone().filter(|_| word(&old) != word(&new)) else {
            continue;
        };
        let known = Reason::read(&reason);
        if kind == condition::RECONCILING && known != Some(Reason::Suspended) {
            continue;
        }
        let stalled = after
            .conditions
            .iter()
            .any(|found| found.type_ == condition::STALLED && found.status == "True");
        tracing::info!(number = %owner(state.object.as_ref()), reason, message, "state changed");
        // That it was bought, and needs nothing more, is one piece of news.
        if !(is_bought && known == Some(Reason::Ready)) {
            tell(state, events, now, stalled, &reason, "Reconcile", message);
        }
    }
}

pub(super) fn report_removal(
    removal: FinalizerRemoval,
    state: &ReconcileState,
    events: &Events,
    now: Timestamp,
) {
    let number = state.facts.title();
    let (reason, note) = match removal {
        FinalizerRemoval::Released => ("Released", format!("{number} was released.")),
        FinalizerRemoval::Retained => (
            "Retained",
            format!("{number} stays in the account, by deletionPolicy Retain."),
        ),
        FinalizerRemoval::Owned => (
            "Retained",
            format!(
                "{number}, if it was bought, stays in the account and is still paid: the PhoneNumber was deleted while it had owners, and \
                 spec.deletionPolicy was not set. Release it at the provider."
            ),
        ),
        FinalizerRemoval::DefinitionDeleted => (
            "Retained",
            format!(
                "{number} stays in the account, because the resource definition is being deleted."
            ),
        ),
        FinalizerRemoval::NotPurchased => (
            "NotPurchased",
            format!("{number} was never bought for this PhoneNumber."),
        ),
        FinalizerRemoval::AlreadyAbsent => (
            "AlreadyAbsent",
            format!("{number} was not in the account any more."),
        ),
        FinalizerRemoval::NotOwned => (
            "NotOwned",
            format!("{number} carries another owner's mark and was not released."),
        ),
    };
    tracing::info!(number = %owner(state.object.as_ref()), reason, note, "let go");
    tell(state, events, now, false, reason, "Delete", note);
}

pub(super) fn tell(
    state: &ReconcileState,
    events: &Events,
    now: Timestamp,
    is_warning: bool,
    reason: &str,
    action: &'static str,
    note: String,
) {
    events.record(PendingEvent {
        about: state.object.object_ref(&()),
        is_warning,
        reason: reason.to_owned(),
        action,
        note,
        at: now,
    });
}
