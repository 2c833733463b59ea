//! The object and the reason of a step, in the words of the audit line. Decides nothing.

use super::plan::Step;
use super::state::ReconcileState;
use crate::api::owner;
use crate::provider::http::AuditContext;

/// The reason of what happens before any step. Nothing is written there.
pub(super) const TO_RESOLVE: &str = "";

/// The object and the reason of `step`.
pub(super) fn of(step: &Step, state: &ReconcileState) -> AuditContext {
    let is_leaving = state.facts.deleting;
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
        Step::FetchById(_)
        | Step::RecordRelease(_)
        | Step::Lookup
        | Step::Count
        | Step::CheckAvailability
        | Step::CheckMessages
        | Step::SearchAndReserve
        | Step::AddFinalizer
        | Step::Claim { .. }
        | Step::VerifyBeforePurchase
        | Step::Record(_)
        | Step::RecordOrder(_)
        | Step::RecordPendingAssignment(_)
        | Step::RemoveFinalizer(_)
        | Step::Done(_) => String::new(),
    };
    AuditContext {
        object: owner(state.object.as_ref()).to_string(),
        generation: state.facts.generation,
        reason,
        cost: cost(step, state),
    }
}

/// What is paid each month from now on, or no longer.
fn cost(step: &Step, state: &ReconcileState) -> Option<String> {
    match step {
        Step::Buy => {
            let offer = state.facts.findings.offer.as_ref()?.as_ref()?;
            let price = offer.price.as_ref()?;
            Some(format!("{} {} a month", price.monthly, price.currency))
        }
        Step::Release(_) | Step::Cancel(_) => {
            let cost = state.object.status.as_ref()?.cost.as_ref()?;
            Some(format!("{} {} a month", cost.monthly, cost.currency))
        }
        _ => None,
    }
}
