//! Writes down what a reconcile came to: the status, with one PUT and only when it changed, Events on transitions, a log line.
//! Decides nothing.

mod render;
mod transitions;

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::PostParams;
use kube::{Api, ResourceExt};

use self::render::status;
pub(crate) use self::render::{attempt, outcome, outcome_label};
use self::transitions::{report_removal, transitions};
use super::plan::Step;
use super::state::ReconcileState;
use crate::api::{PhoneNumber, PhoneNumberStatus, Reason, condition};
use crate::cluster::Cluster;
use crate::cluster::process::Process;
use crate::cluster::writer::Writer;
use crate::outcome::{Outcome, Retry};

/// How often a status PUT that met another write is repeated on the newer object.
const TRIES: usize = 3;

/// Writes down what was bought, before anything else is done with it; `next` is how the reconcile would end if it ended now. Where
/// nothing else is to be done, this already is the final status. True if somebody else has written meanwhile: what was decided
/// before may not hold any more.
///
/// # Errors
/// Those of the API server.
pub(super) async fn record(
    state: &mut ReconcileState,
    next: &Outcome,
    cluster: &Cluster,
    writer: &Writer,
    process: &Process,
) -> Result<bool, kube::Error> {
    write(state, next, Put::IfChanged, cluster, writer, process).await
}

/// Writes down that `step` is about to be carried out, also where the status says so already: the write fails if anybody has
/// written since the version that it was decided on.
///
/// # Errors
/// Those of the API server, a conflict among them.
pub(super) async fn fence(
    state: &mut ReconcileState,
    step: &Step,
    cluster: &Cluster,
    writer: &Writer,
    process: &Process,
) -> Result<(), kube::Error> {
    write(state, &under_way(step), Put::Once, cluster, writer, process)
        .await
        .map(drop)
}

/// When a status is written.
#[derive(Clone, Copy, PartialEq)]
enum Put {
    /// If it changes. Where it tells of a deed, others' changes do not keep it from being written.
    IfChanged,
    /// In any case, and only on the version that the reconcile knows.
    Once,
}

/// How the status shows that `step` is next.
pub(super) fn under_way(step: &Step) -> Outcome {
    let (reason, message) = match step {
        Step::RecordPendingAssignment(_) | Step::Assign(_) | Step::Unassign(_) => {
            (Reason::Assigning, "Burki is told who answers.")
        }
        Step::RecordRelease(_) | Step::Release(_) | Step::Cancel(_) => {
            (Reason::Releasing, "The number is being released.")
        }
        Step::Configure(..) | Step::RestoreMark(_) | Step::SetWebhook(_) => {
            (Reason::Configuring, "The number is set up.")
        }
        _ => (Reason::Verifying, "The number is looked at."),
    };
    Outcome::Wait {
        reason,
        message: message.to_owned(),
        retry: Retry::Backoff,
    }
}

/// Reports how a reconcile ended.
///
/// # Errors
/// Those of the API server.
pub(super) async fn report(
    state: &mut ReconcileState,
    rest: &Outcome,
    cluster: &Cluster,
    writer: &Writer,
    process: &Process,
) -> Result<(), kube::Error> {
    if let Some(removal) = state.removal {
        let now = process.time.now().unwrap_or(state.facts.now);
        report_removal(removal, state, &writer.events, now);
        return Ok(());
    }
    match rest {
        Outcome::NotManaged | Outcome::KeepStatus(_) => Ok(()),
        Outcome::Wait { reason, .. } if transient(*reason) && was_ready(&state.object) => Ok(()),
        Outcome::Ready | Outcome::Suspended | Outcome::Wait { .. } => {
            write(state, rest, Put::IfChanged, cluster, writer, process)
                .await
                .map(drop)
        }
    }
}

fn transient(reason: Reason) -> bool {
    matches!(reason, Reason::ProviderUnavailable | Reason::RateLimited)
}

fn was_ready(object: &PhoneNumber) -> bool {
    let Some(status) = &object.status else {
        return false;
    };
    let ready = |found: &Condition| found.type_ == condition::READY && found.status == "True";
    object.metadata.deletion_timestamp.is_none()
        && status.observed_generation == object.metadata.generation
        && status.conditions.iter().any(ready)
}

async fn write(
    state: &mut ReconcileState,
    rest: &Outcome,
    put: Put,
    cluster: &Cluster,
    writer: &Writer,
    process: &Process,
) -> Result<bool, kube::Error> {
    let before = state.object.status.clone().unwrap_or_default();
    let now = process.time.now().unwrap_or(state.facts.now);
    let mut status = status(&before, state, rest, now);
    if status == before && put == Put::IfChanged {
        return Ok(false);
    }
    let may_repeat = put == Put::IfChanged;
    let tells_of_a_deed = state.attempt.is_some()
        || status.id != before.id
        || status.order_id != before.order_id
        || status.assistant != before.assistant;
    let namespace = state.object.namespace().unwrap_or_default();
    let api = Api::<PhoneNumber>::namespaced(writer.client.clone(), &namespace);
    let name = state.object.name_any();
    let mut object = PhoneNumber::clone(&state.object);
    let mut has_changed = false;
    let sent = process.clock.now();
    for attempt in 1..=TRIES {
        object.status = Some(status.clone());
        object.metadata.managed_fields = None;
        match api
            .replace_status(&name, &PostParams::default(), &object)
            .await
        {
            Ok(written) => {
                state.object = Arc::new(written);
                break;
            }
            // What only waits is decided again, and what a deed has come to must be written whatever others have.
            Err(kube::Error::Api(error))
                if error.code == 409 && attempt < TRIES && tells_of_a_deed && may_repeat =>
            {
                has_changed = true;
                object = api.get(&name).await?;
                let live = object.status.clone().unwrap_or_default();
                if state.attempt.is_none() {
                    status.attempt.clone_from(&live.attempt);
                }
                keep_what_is_not_ours(&mut status, &before, &live);
                let recorded = object.status.as_ref().and_then(|status| status.id.clone());
                let other = object.uid() != state.object.uid()
                    || (recorded.is_some() && recorded != status.id);
                if other {
                    return Err(kube::Error::Api(error));
                }
            }
            Err(error) => return Err(error),
        }
    }
    if !has_changed {
        state.facts.findings.announced = state.facts.record.assigning;
        state.announced_at = Some(sent);
    }
    cluster.wrote(&state.object, !has_changed);
    let now = process.time.now().unwrap_or(state.facts.now);
    transitions(&before, &status, state, &writer.events, now);
    Ok(has_changed)
}

/// Keeps in `status`, which follows on `before`, what another process has recorded meanwhile in `live` and this reconcile did not
/// change: an assistant that is not named is never taken off the number.
fn keep_what_is_not_ours(
    status: &mut PhoneNumberStatus,
    before: &PhoneNumberStatus,
    live: &PhoneNumberStatus,
) {
    if status.assistant == before.assistant {
        status.assistant.clone_from(&live.assistant);
    }
    if status.order_id == before.order_id {
        status.order_id.clone_from(&live.order_id);
    }
}

#[cfg(test)]
mod tests;
