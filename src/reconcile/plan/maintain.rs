//! The number is recorded: the operator keeps it as declared.

use super::acquire::held::mark_on;
use super::{
    ABSENCE_CONFIRMED_AFTER, ASK_AGAIN_AFTER, Facts, MAX_REPAIRS, Outcome, PERSON_AGAIN_AFTER,
    Retry, Setup, Step, messages, wait,
};
use crate::api::Reason;
use crate::number::{Holding, Line, NumberId, Whose};
use crate::safeguards::{Safeguard, is_enabled};

pub(super) fn maintain(facts: &Facts, id: &NumberId) -> Step {
    if !facts.finalizer {
        return Step::AddFinalizer;
    }
    if let Some(step) = facts.account_blocker() {
        return step;
    }
    match &facts.findings.fetched {
        None if facts.memory.verified && facts.webhooks.is_empty() => {
            assistant(facts).unwrap_or(Step::Done(Outcome::Ready))
        }
        None => Step::FetchById(id.clone()),
        Some(None) => missing(facts, id),
        Some(Some(holding)) => held(facts, id, holding),
    }
}

fn missing(facts: &Facts, id: &NumberId) -> Step {
    let missing_for = facts.memory.missing_for.unwrap_or_default();
    if missing_for < ABSENCE_CONFIRMED_AFTER && is_enabled(Safeguard::ConfirmedAbsence) {
        return Step::Done(Outcome::KeepStatus(ABSENCE_CONFIRMED_AFTER - missing_for));
    }
    wait(
        Reason::Lost,
        format!(
            "{} ({id}) is no longer in the account. It is not bought again. If it comes back, this clears itself; \
             to give it up, delete this PhoneNumber; to hold another number, create another PhoneNumber.",
            facts.title()
        ),
        Retry::After(facts.waits.interval),
    )
}

fn held(facts: &Facts, id: &NumberId, holding: &Holding) -> Step {
    let whose = facts.mark.whose(&holding.marked_text);
    if whose == Whose::Foreign && is_enabled(Safeguard::ForeignMark) {
        return wait(
            Reason::OwnedByAnother,
            format!(
                "{} ({id}) carries another owner's mark ({}). It is left alone. Deleting this PhoneNumber does not \
                 release it.",
                holding.number,
                mark_on(holding)
            ),
            Retry::After(facts.waits.interval),
        );
    }
    if facts
        .number
        .as_ref()
        .is_some_and(|number| holding.number != *number)
    {
        return wait(
            Reason::InvalidSpec,
            format!(
                "The account holds {} for this PhoneNumber, which declares {}.",
                holding.number,
                facts.title()
            ),
            Retry::After(PERSON_AGAIN_AFTER),
        );
    }
    if let Some(step) = assistant(facts) {
        return step;
    }
    let configuration = match &facts.configuration {
        Ok(configuration) => configuration,
        Err(blocker) => return facts.blocked(blocker),
    };
    if let Some(step) = facts.webhook_step() {
        return step;
    }
    let differences = configuration.differences(holding);
    if differences.is_empty() {
        return line(facts, holding)
            .or_else(|| messages::check(facts))
            .or_else(|| messages::diverted(facts, configuration, holding))
            .or_else(|| messages::required(facts, configuration, holding))
            .unwrap_or(Step::Done(Outcome::Ready));
    }
    if facts.memory.configuration_conflict && !facts.findings.configured {
        let fields: Vec<_> = differences.iter().map(ToString::to_string).collect();
        return wait(
            Reason::ConfigurationConflict,
            format!(
                "Somebody has undone {MAX_REPAIRS} repairs of {} within an hour; now its {} differs. Nothing more is \
                 written until the spec of this PhoneNumber changes. Find out who sets the number up at {}.",
                facts.title(),
                fields.join(", "),
                facts.provider
            ),
            Retry::After(PERSON_AGAIN_AFTER),
        );
    }
    if whose == Whose::Unmarked && !facts.findings.marked {
        return Step::RestoreMark(id.clone());
    }
    if facts.findings.configured || whose == Whose::Unmarked {
        let fields: Vec<_> = differences.iter().map(ToString::to_string).collect();
        return wait(
            Reason::Configuring,
            format!(
                "The provider does not show the declared {} yet.",
                fields.join(", ")
            ),
            Retry::Backoff,
        );
    }
    let setup = Setup::Number(Box::new(configuration.clone()), differences.clone());
    facts.unless_refused(&setup, Step::Configure(id.clone(), differences))
}

/// What stands in the way of a number that is set up as declared, by its state at the provider.
fn line(facts: &Facts, holding: &Holding) -> Option<Step> {
    let (provider, title) = (facts.provider, facts.title());
    let (reason, message, again) = match &holding.line {
        Line::Live => return None,
        Line::Other(_) if facts.record.is_ready => return None,
        Line::Coming => (
            Reason::OrderPending,
            format!("The provider is still setting {title} up."),
            ASK_AGAIN_AFTER,
        ),
        Line::Other(word) => (
            Reason::OrderPending,
            format!(
                "The provider shows {title} as {word:?}, a state that this operator does not know. It waits for the \
                 state to change."
            ),
            facts.waits.interval,
        ),
        Line::PapersUnderReview => (
            Reason::OrderPending,
            format!("{provider} reviews the papers for {title}. Nothing is to be done meanwhile."),
            facts.waits.interval,
        ),
        Line::PapersMissing => (
            Reason::RegulatoryRequirement,
            format!(
                "{title} is held and paid, and lacks papers that the regulator wants. Hand them in at {provider}, at \
                 the requirements of this number; else it may be switched off."
            ),
            PERSON_AGAIN_AFTER,
        ),
        Line::PapersRejected => (
            Reason::RegulatoryRequirement,
            format!(
                "{title} is held and paid, and its papers were rejected. Correct them at {provider}, at the \
                 requirements of this number, and hand them in again; else it may be switched off."
            ),
            PERSON_AGAIN_AFTER,
        ),
        Line::EmergencyOnly => (
            Reason::EmergencyOnly,
            format!(
                "{title} is held and paid, and {provider} lets it make emergency calls only. Ask {provider} why."
            ),
            PERSON_AGAIN_AFTER,
        ),
        Line::PortingOut => (
            Reason::PortOutPending,
            format!(
                "Another company has asked to take {title} over. Unless the port-out order is rejected at {provider} \
                 within a day, the number is gone."
            ),
            facts.waits.interval,
        ),
    };
    Some(wait(reason, message, Retry::After(again)))
}

/// Who answers comes before the webhooks, because Burki rewrites them when it takes a number.
/// An assistant that cannot be asked about is no reason to disturb an assignment that stands. Each assignment is announced in
/// its own reconcile, also where the status announces it already: that write shows that the assistant is still declared.
fn assistant(facts: &Facts) -> Option<Step> {
    let wanted = match &facts.assistant {
        Some((wanted, Ok(()))) => Some(*wanted),
        Some((_, Err(_))) | None => None,
    };
    match (facts.record.assistant, &facts.assistant) {
        (Some(assigned), Some((wanted, able))) if assigned == *wanted => match able {
            Err(blocker) if blocker.reason != Reason::AssistantUnverifiable => {
                Some(facts.blocked(blocker))
            }
            _ => None,
        },
        (_, Some((_, Err(blocker)))) => Some(facts.blocked(blocker)),
        (Some(assigned), _) => Some(Step::Unassign(assigned)),
        (None, _) => match (facts.record.assigning, wanted) {
            (Some(announced), wanted) if Some(announced) != wanted => {
                Some(Step::Unassign(announced))
            }
            (announced, Some(wanted))
                if facts.findings.announced == Some(wanted)
                    || (announced == Some(wanted) && !is_enabled(Safeguard::Announcement)) =>
            {
                Some(Step::Assign(wanted))
            }
            (_, wanted) => wanted.map(Step::RecordPendingAssignment),
        },
    }
}
