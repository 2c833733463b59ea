//! The number is recorded: keep it as declared.

use super::obtain::mark_on;
use super::{
    ABSENCE_CONFIRMED_AFTER, ASK_AGAIN_AFTER, Again, Facts, MOST_REPAIRS, PERSON_AGAIN_AFTER, Rest,
    Step, wait,
};
use crate::api::Reason;
use crate::number::{Holding, NumberId, Whose};
use crate::sabotage::{Safeguard, stands};

pub(super) fn hold(facts: &Facts, id: &NumberId) -> Step {
    if !facts.finalizer {
        return Step::AddFinalizer;
    }
    if let Some(step) = facts.account_blocker() {
        return step;
    }
    match &facts.seen.fetched {
        None if facts.memory.verified => assistant(facts).unwrap_or(Step::Rest(Rest::Ready)),
        None => Step::Fetch(id.clone()),
        Some(None) => missing(facts, id),
        Some(Some(holding)) => held(facts, id, holding),
    }
}

fn missing(facts: &Facts, id: &NumberId) -> Step {
    let missing_for = facts.memory.missing_for.unwrap_or_default();
    if missing_for < ABSENCE_CONFIRMED_AFTER && stands(Safeguard::ConfirmedAbsence) {
        return Step::Rest(Rest::Unchanged(ABSENCE_CONFIRMED_AFTER - missing_for));
    }
    wait(
        Reason::Lost,
        format!(
            "{} ({id}) is no longer in the account. It is not bought again. If it comes back, this clears itself; \
             to give it up, delete this PhoneNumber; to hold another number, create another PhoneNumber.",
            facts.title()
        ),
        Again::After(facts.waits.interval),
    )
}

fn held(facts: &Facts, id: &NumberId, holding: &Holding) -> Step {
    let whose = facts.mark.whose(&holding.marked_text);
    if whose == Whose::Foreign && stands(Safeguard::ForeignMark) {
        return wait(
            Reason::OwnedByAnother,
            format!(
                "{} ({id}) carries another owner's mark ({}). It is left alone. Deleting this PhoneNumber does not \
                 release it.",
                holding.number,
                mark_on(holding)
            ),
            Again::After(facts.waits.interval),
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
            Again::After(PERSON_AGAIN_AFTER),
        );
    }
    if let Some(step) = assistant(facts) {
        return step;
    }
    let configuration = match &facts.configuration {
        Ok(configuration) => configuration,
        Err(blocker) => return facts.blocked(blocker),
    };
    let differences = configuration.differences(holding);
    if differences.is_empty() && !holding.active {
        return wait(
            Reason::OrderPending,
            format!("The provider is still setting {} up.", facts.title()),
            Again::After(ASK_AGAIN_AFTER),
        );
    }
    if differences.is_empty() {
        return Step::Rest(Rest::Ready);
    }
    if facts.memory.fighting && !facts.seen.configured {
        let fields: Vec<_> = differences.iter().map(ToString::to_string).collect();
        return wait(
            Reason::DriftFight,
            format!(
                "Somebody has undone {MOST_REPAIRS} repairs of {} within an hour; now its {} differs. Nothing more is \
                 written until the spec of this PhoneNumber changes. Find out who sets the number up at {}.",
                facts.title(),
                fields.join(", "),
                facts.provider
            ),
            Again::After(PERSON_AGAIN_AFTER),
        );
    }
    if whose == Whose::Unmarked && !facts.seen.marked {
        return Step::RestoreMark(id.clone());
    }
    if facts.seen.configured || whose == Whose::Unmarked {
        let fields: Vec<_> = differences.iter().map(ToString::to_string).collect();
        return wait(
            Reason::Configuring,
            format!(
                "The provider does not show the declared {} yet.",
                fields.join(", ")
            ),
            Again::Backoff,
        );
    }
    Step::Configure(id.clone(), differences)
}

/// Who answers comes before the webhooks, because Burki rewrites them when it takes a number.
/// An assistant that cannot be asked about is no reason to disturb an assignment that stands.
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
            (Some(announced), Some(wanted)) if announced == wanted => Some(Step::Assign(wanted)),
            (Some(announced), _) => Some(Step::Unassign(announced)),
            (None, wanted) => wanted.map(Step::Announce),
        },
    }
}
