//! Sets up and assigns a number that is held.

use super::super::plan::{ManagedWebhook, PERSON_AGAIN_AFTER, Step};
use super::super::report;
use super::super::state::{Interrupted, ReconcileState};
use super::release::read_again;
use super::{ASSISTANT, MARK};
use crate::api::{Reason, owner};
use crate::burki::{Assigned, DirectoryError};
use crate::claim::TOKEN_LIFETIME;
use crate::cluster::Cluster;
use crate::cluster::errors::is_conflict;
use crate::cluster::observations::Observations;
use crate::cluster::process::Process;
use crate::cluster::writer::Writer;
use crate::number::{Field, Holding, NumberId};
use crate::outcome::{Outcome, RefusedSetup, Retry, Setup};
use crate::provider::{Error, Order, RefusalKind, Renamed, Unmarked, Unproven, WebhookOwner};
use crate::safeguards::{Safeguard, is_enabled};
use crate::server_time::ServerTime;
use crate::telemetry::metrics::Metrics;

/// On deletion a number is released even if Burki cannot be told.
pub(super) async fn unassign(
    assistant: i64,
    state: &mut ReconcileState,
) -> Result<(), Interrupted> {
    let result = match &state.resolved.burki {
        Some(burki) => burki.unassign(&state.number()?, assistant).await,
        None => Err(DirectoryError::Unavailable(
            "the account has no usable spec.burki".into(),
        )),
    };
    match result {
        Err(error @ DirectoryError::WriteNotAllowed(_)) => return Err(directory_stop(&error)),
        Err(error) if !state.facts.deleting => return Err(directory_stop(&error)),
        Err(error) => {
            let number = owner(state.object.as_ref());
            tracing::warn!(%number, assistant, %error, "the number is released without being unassigned");
        }
        Ok(()) => {}
    }
    state.facts.record.assistant = None;
    state.facts.record.assigning = None;
    Ok(())
}

fn directory_stop(error: &DirectoryError) -> Interrupted {
    let retry = match error {
        DirectoryError::WriteNotAllowed(why) => {
            return Interrupted::from(Error::WriteNotAllowed(why));
        }
        DirectoryError::Throttled(Some(pause)) => Retry::After(*pause),
        _ => Retry::Backoff,
    };
    let message = format!("Burki cannot be told who answers: {error}.");
    Interrupted::Outcome(Outcome::Wait {
        reason: Reason::AssistantUnverifiable,
        message,
        retry,
    })
}

/// Writes down which assistant Burki is going to be told of, by a write of the status that fails if anybody has changed the
/// object since: the assistant may not be declared any more.
pub(super) async fn record_pending_assignment(
    assistant: i64,
    state: &mut ReconcileState,
    cluster: &Cluster,
    writer: &Writer,
    process: &Process,
) -> Result<(), Interrupted> {
    state.facts.record.assigning = Some(assistant);
    match report::fence(state, &Step::Assign(assistant), cluster, writer, process).await {
        Ok(()) => Ok(()),
        Err(error) if is_conflict(&error) => Err(read_again(state, cluster).await?),
        Err(error) => Err(error.into()),
    }
}

/// Burki rewrites the provider's webhooks when it takes a number, so the number is looked at again. What was announced too long
/// ago is announced again.
pub(super) async fn assign(
    assistant: i64,
    state: &mut ReconcileState,
    observations: &Observations,
    process: &Process,
) -> Result<(), Interrupted> {
    let announced_at = state.announced_at;
    let is_late = || {
        let age = announced_at.map(|at| process.clock.now().since(at));
        age.is_none_or(|age| age >= TOKEN_LIFETIME) && is_enabled(Safeguard::Announcement)
    };
    let late = || {
        Interrupted::from(Error::Overtaken(
            "the assignment was announced too long ago",
        ))
    };
    let Some(burki) = &state.resolved.burki else {
        return Err(directory_stop(&DirectoryError::Unavailable(
            "the account has no usable spec.burki".into(),
        )));
    };
    let number = &state.number()?;
    let name = Some(state.resolved.name.as_str());
    if is_late() {
        return Err(late());
    }
    let mut assigned = burki
        .assign(number, assistant, name)
        .await
        .map_err(|error| directory_stop(&error))?;
    if let Assigned::OnAnother(_) = assigned
        && let Some(other) = burki
            .assigned_to(number)
            .await
            .map_err(|error| directory_stop(&error))?
        && other != assistant
    {
        burki
            .unassign(number, other)
            .await
            .map_err(|error| directory_stop(&error))?;
        if is_late() {
            return Err(late());
        }
        assigned = burki
            .assign(number, assistant, name)
            .await
            .map_err(|error| directory_stop(&error))?;
    }
    match assigned {
        Assigned::Done => {
            if observations.is_unassigned(&state.object) {
                process.metrics.drifted(ASSISTANT);
            }
            state.facts.record.assistant = Some(assistant);
            state.facts.record.assigning = None;
            observations.unassigned(&state.object, false);
            state.facts.findings.assigned = true;
            state.facts.findings.fetched = None;
            state.facts.memory.verified = false;
            state.facts.findings.configured = false;
            Ok(())
        }
        Assigned::OnAnother(text) | Assigned::Impossible(text) => {
            Err(Interrupted::Outcome(Outcome::Wait {
                reason: Reason::AssistantUnverifiable,
                message: format!("Burki does not put {number} on assistant {assistant}: {text}."),
                retry: Retry::After(state.facts.waits.interval),
            }))
        }
    }
}

/// Changes the name of a number with our mark, which stays in it, to learn when that was by the clock that dates the number.
pub(super) async fn rename(
    id: &NumberId,
    state: &mut ReconcileState,
    observations: &Observations,
    time: &ServerTime,
) -> Result<(), Interrupted> {
    let found = state.found(id)?;
    let mark = state.facts.mark.clone();
    let whole = mark.with_name(state.facts.provider, &state.resolved.name);
    let short = format!("[{mark}]");
    // A name that stays the same may move no date.
    let name = if found.marked_text == whole {
        short
    } else {
        whole
    };
    let (at, dated) = write_name(&found, &name, state, time).await?;
    state.facts.findings.renamed = Some(at);
    let date = dated.filter(|_| at.is_none());
    state.facts.memory.unmoved_for = observations.renamed(&state.object, id, at.is_some(), date);
    let holding = state.found(id)?;
    if state.facts.is_older(&holding) {
        observations.met(&state.object, id);
        state.facts.memory.met = Some(id.clone());
    } else if state.facts.is_bought(&holding) {
        observations.proved(&state.object, id);
        state.facts.memory.proved = Some(id.clone());
    }
    Ok(())
}

/// Marks a number that our purchase only wrote over as one that we did not buy.
pub(super) async fn disclaim(
    id: &NumberId,
    state: &mut ReconcileState,
    time: &ServerTime,
) -> Result<(), Interrupted> {
    let found = state.found(id)?;
    let mark = state.facts.mark.adopted();
    let name = mark.with_name(state.facts.provider, &state.resolved.name);
    let number = owner(state.object.as_ref());
    tracing::warn!(%number, %id, "a purchase met a number that the account held before; it is marked as not bought");
    write_name(&found, &name, state, time).await.map(drop)
}

async fn write_name(
    found: &Holding,
    name: &str,
    state: &mut ReconcileState,
    time: &ServerTime,
) -> Result<(Option<jiff::Timestamp>, Option<jiff::Timestamp>), Interrupted> {
    let account = state.account()?;
    let unproven = Unproven::prove(found, &state.facts.mark)
        .ok_or_else(|| Interrupted::from(Error::Invariant("the number does not carry our mark")))?;
    let Renamed { holding, at, dated } = account
        .call(account.provider_api().rename(&unproven, name))
        .await?;
    let holding = account.saw(holding);
    state.read_clocks(time);
    let seen = &mut state.facts.findings;
    let look = seen.look.iter_mut();
    let places = look.flat_map(|look| [&mut look.holding, &mut look.marked]);
    for place in places.flatten().chain(seen.last_look.iter_mut().flatten()) {
        if place.id == holding.id {
            *place = holding.clone();
        }
    }
    Ok((at, dated))
}

pub(super) async fn restore_mark(
    id: &NumberId,
    state: &mut ReconcileState,
    observations: &Observations,
    process: &Process,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let unmarked = Unmarked::prove(&state.held(id)?, &state.facts.mark, id)
        .ok_or_else(|| Interrupted::from(Error::Invariant("the number is marked")))?;
    let text = state
        .facts
        .mark
        .with_name(state.facts.provider, &state.resolved.name);
    let holding = account
        .call(account.provider_api().mark(&unmarked, &text))
        .await?;
    let holding = account.saw(holding);
    state.counts_repair(observations);
    process.metrics.drifted(MARK);
    state.facts.findings.marked = true;
    state.looked_at = Some(process.clock.now());
    state.holds(holding);
    Ok(())
}

pub(super) async fn configure(
    id: &NumberId,
    fields: &[Field],
    state: &mut ReconcileState,
    observations: &Observations,
    metrics: &Metrics,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let configuration = state.configuration()?;
    let ours = state.ours(id)?;
    let is_repair = state.counts_repair(observations);
    match account
        .call(account.provider_api().configure(&ours, &configuration))
        .await
    {
        Ok(holding) => {
            if is_repair {
                let repaired = fields.iter();
                repaired.for_each(|field| metrics.drifted(field.label()));
            }
            let holding = account.saw(holding);
            state.facts.findings.configured = true;
            state.holds(holding);
            Ok(())
        }
        Err(Error::Refused(refusal)) => {
            let reason = match refusal.kind {
                RefusalKind::ReferenceMissing => Reason::ConnectionNotFound,
                RefusalKind::Regulatory => Reason::RegulatoryRequirement,
                _ => Reason::InvalidSpec,
            };
            let message = format!(
                "{} cannot be set up as declared: {refusal}.",
                state.facts.title()
            );
            let setup = Setup::Number(Box::new(configuration), fields.to_vec());
            Err(refused(setup, reason, message, state, observations))
        }
        Err(error) => Err(error.into()),
    }
}

/// Remembers what was refused, so that it is not asked for again before its time.
fn refused(
    setup: Setup,
    reason: Reason,
    message: String,
    state: &ReconcileState,
    observations: &Observations,
) -> Interrupted {
    let left = PERSON_AGAIN_AFTER;
    observations.refused(
        &state.object,
        RefusedSetup {
            setup,
            reason,
            message: message.clone(),
            left,
        },
    );
    Interrupted::Outcome(Outcome::Wait {
        reason,
        message,
        retry: Retry::After(left),
    })
}

/// Sets a webhook that the account manages. Others that see the same meanwhile do not write it again.
pub(super) async fn set_webhook(
    webhook: &ManagedWebhook,
    state: &mut ReconcileState,
) -> Result<(), Interrupted> {
    let ManagedWebhook { home, id, url } = webhook;
    let account = state.account()?;
    let why = match account.set_webhook(*home, id, url).await {
        Ok(Some(now)) if now.leads_to(url) => {
            if *home == WebhookOwner::Connection {
                state.resolved.webhook_url = Some(url.clone());
            }
            state.facts.webhooks.retain(|other| other != webhook);
            return Ok(());
        }
        Ok(_) => "Telnyx does not show it yet".to_owned(),
        Err(Error::Refused(refusal)) => refusal.to_string(),
        Err(error) => return Err(error.into()),
    };
    Err(Interrupted::Outcome(Outcome::Wait {
        reason: Reason::ConnectionWebhookMismatch,
        message: format!(
            "The webhook of the Telnyx {home} {id} is not {url} and cannot be set: {why}. Set it at Telnyx."
        ),
        retry: Retry::After(state.facts.waits.interval),
    }))
}

/// Attaches a requirement group to an order that lacks papers, and lets the order be looked at again.
pub(super) async fn attach_papers(
    order: &Order,
    group: &str,
    state: &mut ReconcileState,
    observations: &Observations,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let provider_api = account.provider_api();
    match account
        .call(provider_api.attach_requirement_group(order, group))
        .await
    {
        Ok(()) => {
            state.facts.record.requirement_group = Some(group.to_owned());
            state.facts.findings.look = None;
            Ok(())
        }
        Err(Error::Refused(refusal)) => {
            let message = format!(
                "Requirement group {group} cannot be attached to order {} for {}: {refusal}. Telnyx takes only a \
                 fulfilled group for the same country and type. Nothing is paid.",
                order.id,
                state.facts.title()
            );
            let setup = Setup::RegulatoryDocuments(order.id.clone(), group.to_owned());
            let reason = Reason::RegulatoryRequirement;
            Err(refused(setup, reason, message, state, observations))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
