//! The status of a number, as the facts of a reconcile make it. Pure.

use crate::api::{
    AccountRefStatus, AssistantStatus, AttemptOutcome, AttemptStatus, CapabilitiesStatus, Class,
    CostStatus, Deletion, NumberOrigin, OnDeletion, OrderStatus, PhoneNumberStatus, Reason,
    StatusReason, TelnyxStatus, TwilioStatus, account_name, condition,
};
use crate::claim::{Claim, Stored};
use crate::number::{Configuration, Holding, Line, Messaging, Price, Settings, Shown};
use crate::outcome::Outcome;
use crate::provider::{OrderState, Reply};
use crate::reconcile::conditions::{seconds, set_condition, set_unknown};
use crate::reconcile::plan::Facts;
use crate::reconcile::plan::messages::{Verdict, destination, verdict};
use crate::reconcile::plan::release::on_deletion;
use crate::reconcile::state::{ReconcileState, order_id};
use crate::shown::{self, MOST, MOST_OF_MESSAGE};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// How a purchase ended, as the status says it.
pub(crate) fn outcome(reply: &Reply) -> AttemptOutcome {
    match reply {
        Reply::Bought(_) => AttemptOutcome::Bought,
        Reply::Ordered(_) => AttemptOutcome::Ordered,
        Reply::Rejected(_) => AttemptOutcome::Rejected,
        Reply::Refused(_) => AttemptOutcome::Refused,
        Reply::NotSent(_) => AttemptOutcome::NotSent,
        Reply::Unknown(_) => AttemptOutcome::Unknown,
    }
}

/// The same as the label of a metric.
pub(crate) fn outcome_label(reply: &Reply) -> &'static str {
    match reply {
        Reply::Bought(_) => "bought",
        Reply::Ordered(_) => "ordered",
        Reply::Rejected(_) => "rejected",
        Reply::Refused(_) => "refused",
        Reply::NotSent(_) => "not_sent",
        Reply::Unknown(_) => "unknown",
    }
}

/// The status of an attempt on `claim`.
pub(crate) fn attempt(claim: &Claim, outcome: AttemptOutcome) -> AttemptStatus {
    AttemptStatus {
        nonce: claim.nonce.clone(),
        number: claim.number.to_string(),
        account_id: Some(claim.account_id.to_string()),
        outcome,
        code: None,
        reason: None,
        message: None,
        repeated: None,
        request: None,
        earlier: (claim.attempts_before > 0).then_some(i64::from(claim.attempts_before)),
        at: Some(Time(seconds(claim.at))),
    }
}

pub(super) fn status(
    before: &PhoneNumberStatus,
    state: &ReconcileState,
    rest: &Outcome,
    now: Timestamp,
) -> PhoneNumberStatus {
    let facts = &state.facts;
    let mut status = before.clone();
    status.observed_generation = Some(facts.generation);
    status.id = facts.record.id.as_ref().map(ToString::to_string);
    status.account_id = facts.record.account_id.as_ref().map(ToString::to_string);
    status.order_id = order_id(state).map(|id| id.to_string());
    let in_doubt = || attempt_in_doubt(before.attempt.as_ref(), facts);
    if let Some(attempt) = state.attempt.clone().or_else(in_doubt) {
        status.attempt = Some(attempt);
    }
    let assistant = facts.record.assistant.or(facts.record.assigning);
    let assistant = assistant.or_else(|| may_answer(facts));
    status.assistant = assistant.map(|id| AssistantStatus {
        id,
        pending: facts.record.assistant.is_none(),
        name: match &state.resolved.assistant {
            Some((wanted, Ok(assistant))) if *wanted == id => {
                Some(shown::line(&assistant.name, MOST))
            }
            _ => before
                .assistant
                .as_ref()
                .filter(|assistant| assistant.id == id)
                .and_then(|a| a.name.clone()),
        },
    });
    status.adopted = facts.adopted;
    let is_held = status.id.is_some() || status.order_id.is_some();
    status.origin = (is_held || facts.adopted).then_some(match facts.adopted {
        true => NumberOrigin::Adopted,
        false => NumberOrigin::Bought,
    });
    status.on_deletion = is_held.then(|| match on_deletion(facts) {
        Deletion::Releases => OnDeletion::Release,
        Deletion::Retains | Deletion::RetainsOwned => OnDeletion::Retain,
        Deletion::Waits => OnDeletion::Blocked,
    });
    let (kind, name) = account_name(&state.object);
    status.account_ref = Some(AccountRefStatus {
        kind: kind.to_string(),
        name,
    });
    status.cost = cost(before, state);
    // A candidate is nobody's until it is claimed.
    let number = match &facts.search {
        Some(_) if facts.record.id.is_none() => facts.claim.claim().map(|claim| &claim.number),
        _ => facts.number.as_ref(),
    };
    status.phone_number = number.map(ToString::to_string);
    let holding = facts.findings.fetched.as_ref().and_then(Option::as_ref);
    if let Some(holding) = holding {
        status.phone_number = Some(holding.number.to_string());
        show(holding, &mut status);
    }
    if status.telnyx.is_some() || status.order_id.is_some() {
        let telnyx = status.telnyx.get_or_insert_with(TelnyxStatus::default);
        telnyx.order_id.clone_from(&status.order_id);
        telnyx
            .requirement_group_id
            .clone_from(&facts.record.requirement_group);
        telnyx.webhook_url = state
            .resolved
            .webhook_url
            .clone()
            .or(telnyx.webhook_url.take());
        if let Some(order) = &state.order {
            telnyx.order_status = Some(match order.state {
                OrderState::Pending => OrderStatus::Pending,
                OrderState::Success => OrderStatus::Completed,
                OrderState::Failure => OrderStatus::Failed,
            });
        }
    }
    conditions(&mut status.conditions, state, rest, now);
    status
}

/// The attempt of this resource that may have bought a number and that `recorded`, the attempt in the status, does not show. A
/// replaced object loses its claim and keeps its status.
fn attempt_in_doubt(recorded: Option<&AttemptStatus>, facts: &Facts) -> Option<AttemptStatus> {
    if facts.record.id.is_some() || facts.memory.never_bought {
        return None;
    }
    let claim = match &facts.claim {
        Stored::Ours(claim) => {
            (recorded.is_none_or(|recorded| recorded.nonce != claim.nonce)).then_some(claim)?
        }
        // Two processes may remember different attempts: what the status says stays.
        Stored::Nothing if recorded.is_none_or(AttemptStatus::bought_nothing) => {
            facts.memory.doubt.as_ref()?.claim.as_ref()?
        }
        _ => return None,
    };
    claim
        .may_have_bought()
        .then(|| attempt(claim, AttemptOutcome::Unknown))
}

/// The declared assistant, if Burki has it and an earlier resource of this name has claimed a number: it may answer that number
/// before this resource has seen it.
pub(super) fn may_answer(facts: &Facts) -> Option<i64> {
    let (wanted, able) = facts.assistant.as_ref()?;
    let is_restored = matches!(facts.claim, Stored::EarlierUid(_));
    (is_restored && able.is_ok()).then_some(*wanted)
}

/// What the number costs that is held, or may have been bought: as the claim says, whatever became of the status since, or as
/// it was when the number was found.
pub(super) fn cost(before: &PhoneNumberStatus, state: &ReconcileState) -> Option<CostStatus> {
    let facts = &state.facts;
    let was_refused = matches!(&state.order, Some(order) if order.state == OrderState::Failure);
    if was_refused && facts.record.id.is_none() {
        return None;
    }
    let is_spent = facts.record.id.is_some()
        || order_id(state).is_some()
        || matches!(&state.attempt, Some(attempt) if !attempt.outcome.is_in_vain());
    let claim = facts.claim.claim();
    let price = claim
        .filter(|claim| is_spent && facts.number.as_ref() == Some(&claim.number))
        .and_then(|claim| claim.price.as_ref());
    let shown = |price: &Price| CostStatus {
        monthly: price.monthly.to_string(),
        upfront: price.upfront.to_string(),
        currency: price.currency.to_string(),
        display: None,
    };
    let claimed = price.map(shown).or_else(|| before.cost.clone());
    let cost = claimed.or_else(|| state.price.as_ref().map(shown))?;
    // An earlier version of the operator did not record how it is displayed.
    let display = Some(format!("{} {}", cost.monthly, cost.currency));
    Some(CostStatus { display, ..cost })
}

pub(super) fn show(holding: &Holding, status: &mut PhoneNumberStatus) {
    let url = |text: &str| shown::line(text, MOST_OF_MESSAGE);
    let id = |text: &str| shown::line(text, MOST);
    let date_created = holding.created.map(|at| Time(seconds(at)));
    match &holding.settings {
        Settings::Twilio(settings) => {
            let capabilities = settings.capabilities.unwrap_or_default();
            status.twilio = Some(TwilioStatus {
                sid: holding.id.to_string(),
                friendly_name: shown::line(&holding.marked_text, MOST),
                voice_url: settings.voice_url.as_deref().map(url),
                sms_url: settings.sms_url.as_deref().map(url),
                capabilities: CapabilitiesStatus {
                    voice: capabilities.voice,
                    sms: capabilities.sms,
                    mms: capabilities.mms,
                    fax: capabilities.fax,
                },
                date_created,
            });
        }
        Settings::Telnyx(settings) => {
            let telnyx = status.telnyx.get_or_insert_with(TelnyxStatus::default);
            telnyx.phone_number_id = Some(holding.id.to_string());
            telnyx.connection_id = settings.connection_id.as_deref().map(id);
            if let Shown::Known(profile) = &settings.messaging_profile_id {
                telnyx.messaging_profile_id = profile.as_deref().map(id);
            }
            telnyx.date_created = date_created;
        }
    }
}

pub(super) fn conditions(
    conditions: &mut Vec<Condition>,
    state: &ReconcileState,
    rest: &Outcome,
    now: Timestamp,
) {
    let facts = &state.facts;
    let (ready, why) = match rest {
        Outcome::Ready => (
            Some(true),
            StatusReason {
                reason: Reason::Ready,
                message: ready(state),
            },
        ),
        Outcome::Wait {
            reason, message, ..
        } => (
            Some(false),
            StatusReason {
                reason: *reason,
                message: message.clone(),
            },
        ),
        Outcome::Suspended | Outcome::NotManaged | Outcome::KeepStatus(_) => (
            None,
            StatusReason {
                reason: Reason::Suspended,
                message: "spec.suspend is true: nothing is written at the provider.".into(),
            },
        ),
    };
    let class = why.reason.class();
    let mut set = |kind: &str, truth: bool, why: &StatusReason| {
        set_condition(conditions, kind, truth, why, Some(facts.generation), now);
    };
    if let Some(ready) = ready {
        set(condition::READY, ready, &why);
    }
    set(
        condition::RECONCILING,
        matches!(class, Class::Working | Class::Waiting),
        &why,
    );
    set(condition::STALLED, class == Class::Stalled, &why);
    let purchased = match (&facts.record.id, &why.reason) {
        (Some(_), Reason::Lost) => StatusReason {
            reason: Reason::Lost,
            message: "The number is gone from the account.".into(),
        },
        (Some(_), _) => StatusReason {
            reason: Reason::Ready,
            message: "The account holds it.".into(),
        },
        (None, reason) => StatusReason {
            reason: *reason,
            message: "No number is recorded.".into(),
        },
    };
    set(
        condition::PURCHASED,
        facts.record.id.is_some() && why.reason != Reason::Lost,
        &purchased,
    );
    let holding = facts.findings.fetched.as_ref().and_then(Option::as_ref);
    let configured = match (&facts.configuration, holding) {
        // Nobody resolves what a deleted object wants: what was said of it before stays.
        _ if facts.deleting => None,
        (Ok(configuration), Some(holding))
            if facts.webhooks.is_empty() && configuration.differences(holding).is_empty() =>
        {
            Some(webhooks(configuration, holding))
        }
        (_, None) if facts.record.id.is_some() => None,
        _ => Some(Err(StatusReason {
            reason: why.reason,
            message: "The webhooks are not set as declared.".into(),
        })),
    };
    if let Some(configured) = configured {
        let truth = configured.is_ok();
        let (Ok(why) | Err(why)) = configured;
        set(condition::WEBHOOKS_CONFIGURED, truth, &why);
    }
    messaging(conditions, facts, now);
    match &facts.assistant {
        None => conditions.retain(|found| found.type_ != condition::ASSISTANT_ASSIGNED),
        Some((wanted, _)) => {
            let assigned = facts.record.assistant == Some(*wanted);
            let why = if assigned {
                StatusReason::new(Reason::Ready, format!("Assistant {wanted} answers."))
            } else {
                let message = format!("Assistant {wanted} does not answer yet.");
                StatusReason::new(why.reason, message)
            };
            set_condition(
                conditions,
                condition::ASSISTANT_ASSIGNED,
                assigned,
                &why,
                Some(facts.generation),
                now,
            );
        }
    }
}

/// What is said of the messages of a number that is held. What was not looked at in this reconcile, or cannot be read
/// now, stays as it was said.
fn messaging(conditions: &mut Vec<Condition>, facts: &Facts, now: Timestamp) {
    let kind = condition::MESSAGING_READY;
    if facts.messaging == Messaging::None {
        conditions.retain(|found| found.type_ != kind);
        return;
    }
    if facts.findings.messages_unread {
        return;
    }
    let holding = facts.findings.fetched.as_ref().and_then(Option::as_ref);
    let (Ok(configuration), Some(holding), true) = (
        &facts.configuration,
        holding,
        facts.findings.messages_checked,
    ) else {
        return;
    };
    let generation = Some(facts.generation);
    match verdict(facts, configuration, holding) {
        Verdict::NotWanted => {}
        Verdict::Unknown(why) => set_unknown(conditions, kind, &why, generation, now),
        Verdict::Blocked(why) => set_condition(conditions, kind, false, &why, generation, now),
        Verdict::GetThrough => {
            let message = "Nothing is known that stops messages.".to_owned();
            let why = StatusReason::new(Reason::Ready, message);
            set_condition(conditions, kind, true, &why, generation, now);
        }
    }
}

/// What is said of the webhooks of a number that is set up as declared: a messaging service may still take its messages.
pub(super) fn webhooks(
    configuration: &Configuration,
    holding: &Holding,
) -> Result<StatusReason, StatusReason> {
    if let Some((service, _)) = configuration.diverted(holding) {
        return Err(StatusReason {
            reason: Reason::ConnectionWebhookMismatch,
            message: format!(
                "Messages do not reach the declared SMS webhook: messaging service {} {}.",
                service.sid,
                destination(service)
            ),
        });
    }
    let takes_messages = match &holding.settings {
        Settings::Twilio(settings) => settings.takes_messages(),
        Settings::Telnyx(_) => true,
    };
    let message = if takes_messages {
        "Read back as declared."
    } else {
        "The voice webhook was read back as declared. The number takes no messages."
    };
    Ok(StatusReason {
        reason: Reason::Ready,
        message: message.into(),
    })
}

/// What is said of a number that is Ready.
pub(super) fn ready(state: &ReconcileState) -> String {
    let message = format!("{} is bought and set up as declared.", state.facts.title());
    let holding = state
        .facts
        .findings
        .fetched
        .as_ref()
        .and_then(Option::as_ref);
    match holding.map(|holding| &holding.line) {
        Some(Line::Other(word)) => format!(
            "{message} The provider shows it as {word:?}, a state that this operator does not know."
        ),
        _ => message,
    }
}
