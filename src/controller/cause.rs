//! What a step is called in traces, and why it writes at a provider in the words of the audit line. Decides nothing.

use super::pass::Pass;
use super::plan::Step;
use crate::api::owner;
use crate::provider::http::AuditContext;

/// The cause of what happens before any step. Nothing is written there.
pub(super) const TO_RESOLVE: &str = "";

/// The cause of `step`.
pub(super) fn of(step: &Step, pass: &Pass) -> AuditContext {
    let is_leaving = pass.facts.deleting;
    let reason = match step {
        Step::Buy => "declared, and the account holds no number for it".to_owned(),
        Step::Adopt(_) => "adoptionPolicy Adopt, and nobody has marked the number".to_owned(),
        Step::Assign(id) => format!("assistant {id} is declared"),
        Step::Unassign(id) if is_leaving => format!("being deleted, and assistant {id} answers"),
        Step::Unassign(id) => format!("assistant {id} is not declared any more"),
        Step::RestoreMark(_) => "the recorded number has lost its mark".to_owned(),
        Step::Rename(_) => "it is not known whether the number was bought on the claim".to_owned(),
        Step::Disclaim(_) => "the purchase met a number that the account held before".to_owned(),
        Step::Configure(_, fields) => {
            let fields: Vec<_> = fields.iter().map(ToString::to_string).collect();
            format!("not as declared: {}", fields.join(", "))
        }
        Step::SetWebhook(_) => {
            "its account manages the webhook of this connection or profile".to_owned()
        }
        Step::AttachPapers(..) => "the order lacks papers, and this group is declared".to_owned(),
        Step::Cancel(_) => "being deleted, and its order is pending".to_owned(),
        Step::Release(_) => "being deleted, and the number is to be released".to_owned(),
        Step::Fetch(_)
        | Step::AnnounceRelease(_)
        | Step::Look
        | Step::Count
        | Step::Offer
        | Step::Choose
        | Step::AddFinalizer
        | Step::Claim { .. }
        | Step::LastLook
        | Step::Record(_)
        | Step::RecordOrder(_)
        | Step::Announce(_)
        | Step::RemoveFinalizer(_)
        | Step::Rest(_) => String::new(),
    };
    AuditContext {
        object: owner(pass.object.as_ref()).to_string(),
        generation: pass.facts.generation,
        reason,
        cost: cost(step, pass),
    }
}

/// The step as the name of a span.
pub(super) fn word(step: &Step) -> &'static str {
    match step {
        Step::Fetch(_) => "fetch",
        Step::Look => "look",
        Step::Count => "count",
        Step::Offer => "offer",
        Step::Choose => "choose",
        Step::AddFinalizer => "add_finalizer",
        Step::Claim { .. } => "claim",
        Step::LastLook => "last_look",
        Step::Buy => "buy",
        Step::Adopt(_) => "adopt",
        Step::Record(_) => "record",
        Step::RecordOrder(_) => "record_order",
        Step::Unassign(_) => "unassign",
        Step::Announce(_) => "announce",
        Step::Assign(_) => "assign",
        Step::Rename(_) => "rename",
        Step::Disclaim(_) => "disclaim",
        Step::RestoreMark(_) => "restore_mark",
        Step::Configure(..) => "configure",
        Step::SetWebhook(_) => "set_webhook",
        Step::AttachPapers(..) => "attach_papers",
        Step::Cancel(_) => "cancel",
        Step::AnnounceRelease(_) => "announce_release",
        Step::Release(_) => "release",
        Step::RemoveFinalizer(_) => "remove_finalizer",
        Step::Rest(_) => "rest",
    }
}

/// What is paid each month from now on, or no longer.
fn cost(step: &Step, pass: &Pass) -> Option<String> {
    match step {
        Step::Buy => {
            let offer = pass.facts.seen.offer.as_ref()?.as_ref()?;
            let price = offer.price.as_ref()?;
            Some(format!("{} {} a month", price.monthly, price.currency))
        }
        Step::Release(_) | Step::Cancel(_) => {
            let cost = pass.object.status.as_ref()?.cost.as_ref()?;
            Some(format!("{} {} a month", cost.monthly, cost.currency))
        }
        _ => None,
    }
}
