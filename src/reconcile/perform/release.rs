//! Releases a number: the write that decides on it, and the one request.

use super::super::plan::{PERSON_AGAIN_AFTER, Step};
use super::super::report;
use super::super::state::{Interrupted, ReconcileState, Release};
use super::AFTER_A_CHANGE;
use crate::account::{Account, Priority};
use crate::api::{PhoneNumber, Reason};
use crate::claim::{ReleaseToken, TOKEN_LIFETIME};
use crate::cluster::Cluster;
use crate::cluster::errors::is_conflict;
use crate::cluster::process::Process;
use crate::cluster::quota::{HourlyQuotas, QuotaKind, Slot};
use crate::cluster::writer::Writer;
use crate::number::NumberId;
use crate::outcome::{Outcome, Retry};
use crate::provider::{Error, Released};
use crate::safeguards::{Safeguard, is_enabled};
use crate::server_time::ServerTime;
use crate::telemetry::metrics::Metrics;
use kube::{Api, ResourceExt};
use std::sync::Arc;
use std::time::Duration;

/// Takes the right to release the number: a permit, a place among those of the hour, and a write of the status that fails if
/// anybody has changed the object since the release was decided. A look that is old by then is repeated.
pub(super) async fn record_release(
    id: &NumberId,
    state: &mut ReconcileState,
    cluster: &Cluster,
    writer: &Writer,
    quotas: &HourlyQuotas,
    process: &Process,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    state.ours(id)?;
    let permit = account.permit(Priority::High).await?;
    let slot = take(id, &account, state, quotas, &process.time).await?;
    let sent = process.clock.now();
    let fenced = if is_enabled(Safeguard::ReleaseFence) {
        report::fence(state, &Step::Release(id.clone()), cluster, writer, process).await
    } else {
        Ok(())
    };
    let status = state.object.status.as_ref();
    let recorded = status.and_then(|status| status.id.as_deref());
    let token = match &fenced {
        Ok(()) => ReleaseToken::of_reply(recorded, id, sent),
        Err(_) => None,
    };
    let Some(token) = token else {
        quotas.put_back(slot).await;
        return Err(match fenced {
            Ok(()) => Error::Overtaken("the number is not recorded any more").into(),
            Err(error) if is_conflict(&error) => read_again(state, cluster).await?,
            Err(error) => error.into(),
        });
    };
    state.release = Some(Release {
        token,
        slot,
        permit,
    });
    state.facts.findings.release_token = true;
    let age = state.looked_at.map(|at| process.clock.now().since(at));
    if age.is_none_or(|age| age >= TOKEN_LIFETIME) {
        state.facts.findings.fetched = None;
    }
    Ok(())
}

/// Reads the object that somebody has changed, whatever the watch has brought of that: the next reconcile decides on it.
pub(super) async fn read_again(
    state: &ReconcileState,
    cluster: &Cluster,
) -> Result<Interrupted, Interrupted> {
    let namespace = state.object.namespace().unwrap_or_default();
    let api = Api::<PhoneNumber>::namespaced(cluster.reads.clone(), &namespace);
    if let Some(live) = api.get_opt(&state.object.name_any()).await? {
        cluster.wrote(&Arc::new(live), false);
    }
    Ok(Interrupted::Outcome(Outcome::KeepStatus(AFTER_A_CHANGE)))
}

/// Drops the right to a release that was not sent.
pub(super) async fn unreleased(state: &mut ReconcileState, quotas: &HourlyQuotas) {
    if let Some(release) = state.release.take() {
        state.facts.findings.release_token = false;
        quotas.put_back(release.slot).await;
    }
}

/// What a release that did not take effect took of its limit goes back.
pub(super) async fn release(
    id: &NumberId,
    state: &mut ReconcileState,
    cluster: &Cluster,
    quotas: &HourlyQuotas,
    metrics: &Metrics,
) -> Result<(), Interrupted> {
    let account = state.account()?;
    let ours = state.ours(id)?;
    let Some(Release {
        token,
        slot,
        permit,
    }) = state.release.take()
    else {
        return Err(Error::Invariant("there is no right to release the number").into());
    };
    state.facts.findings.release_token = false;
    let released = account.note_rate_limit(account.provider_api().release(ours, token).await);
    drop(permit);
    let word = match &released {
        Ok(Released::Confirmed) => "confirmed",
        Ok(Released::Absent) => "absent",
        Err(Error::Refused(_) | Error::Unauthorized(_)) => "refused",
        Err(_) => "failed",
    };
    let label = cluster.account_label(&state.object);
    metrics.released(label, word);
    match &released {
        Ok(Released::Confirmed) => cluster.observations.released(&state.object, true),
        // A replica that lags behind says so too.
        Ok(Released::Absent) => quotas.put_back(slot).await,
        Err(error) => {
            cluster.observations.released(&state.object, false);
            if error.is_without_effect() {
                quotas.put_back(slot).await;
            } else {
                quotas.may_stand(slot).await;
            }
        }
    }
    match released {
        Ok(Released::Confirmed) => {
            account.released(id);
            state.facts.findings.released = true;
            Ok(())
        }
        Ok(Released::Absent) => {
            state.facts.memory.missing_for = cluster.observations.fetched(&state.object, false);
            state.facts.findings.fetched = Some(None);
            Ok(())
        }
        Err(Error::Refused(refusal) | Error::Unauthorized(refusal)) => {
            let message = format!(
                "{} refuses to release {}: {refusal}. Remove the cause there, or set spec.deletionPolicy: Retain.",
                state.facts.provider,
                state.facts.title()
            );
            cluster
                .observations
                .release_refused(&state.object, message.clone());
            Err(blocked(message, PERSON_AGAIN_AFTER))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn blocked(message: String, again: Duration) -> Interrupted {
    Interrupted::Outcome(Outcome::Wait {
        reason: Reason::ReleaseBlocked,
        message,
        retry: Retry::After(again),
    })
}

/// Counts the release against what may be released in an hour. What the provider refused before says so also while it
/// waits for that limit. Where another process has recorded a refusal that this one does not remember, that stands.
pub(super) async fn take(
    id: &NumberId,
    account: &Account,
    state: &ReconcileState,
    quotas: &HourlyQuotas,
    time: &ServerTime,
) -> Result<Slot, Interrupted> {
    let limit = state.resolved.limits.releases_per_hour;
    let now = time.now().unwrap_or(state.facts.now);
    let account_id = &account.identity().account;
    let what = (id.as_str(), None);
    let names = account.names();
    let whose = (account_id, names.as_slice());
    let taken = quotas.take(whose, QuotaKind::Release, limit, now, &state.object, what);
    taken.await?.map_err(|full| {
        let interval = state.facts.waits.interval;
        let (message, again) = full.message(account_id, QuotaKind::Release, limit, now, interval);
        match &state.facts.memory.release_refused {
            Some((refused, _)) => blocked(format!("{refused} {message}"), again),
            None if state.facts.record.is_blocked => {
                Interrupted::Outcome(Outcome::KeepStatus(again))
            }
            None => Interrupted::Outcome(Outcome::Wait {
                reason: Reason::ReleaseLimitReached,
                message,
                retry: Retry::After(again),
            }),
        }
    })
}
