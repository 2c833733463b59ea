//! Sets up, assigns and releases a number that is held.

use std::sync::Arc;
use std::time::Duration;

use kube::{Api, ResourceExt};

use super::super::context::Context;
use super::super::fuse::{Deed, Slot};
use super::super::pass::{Pass, Release, Stop};
use super::super::plan::{
    Again, ManagedWebhook, PERSON_AGAIN_AFTER, RefusedSetup, Rest, Setup, Step,
};
use super::super::report;
use super::super::setbacks::is_conflict;
use super::{AFTER_A_CHANGE, ASSISTANT, MARK};
use crate::account::{Account, Urgency};
use crate::api::{PhoneNumber, Reason, owner};
use crate::burki::{Assigned, DirectoryError};
use crate::claim::{ReleaseToken, TOKEN_LIFETIME};
use crate::number::{Field, Holding, NumberId};
use crate::provider::{Error, Home, Order, RefusalKind, Released, Renamed, Unmarked, Unproven};
use crate::sabotage::{Safeguard, stands};

/// On deletion a number is released even if Burki cannot be told.
pub(super) async fn unassign(assistant: i64, pass: &mut Pass) -> Result<(), Stop> {
    let result = match &pass.resolved.burki {
        Some(burki) => burki.unassign(&pass.number()?, assistant).await,
        None => Err(DirectoryError::Unavailable(
            "the account has no usable spec.burki".into(),
        )),
    };
    match result {
        Err(error @ DirectoryError::Shut(_)) => return Err(directory_stop(&error)),
        Err(error) if !pass.facts.deleting => return Err(directory_stop(&error)),
        Err(error) => {
            let number = owner(pass.object.as_ref());
            tracing::warn!(%number, assistant, %error, "the number is released without being unassigned");
        }
        Ok(()) => {}
    }
    pass.facts.record.assistant = None;
    pass.facts.record.assigning = None;
    Ok(())
}

fn directory_stop(error: &DirectoryError) -> Stop {
    let again = match error {
        DirectoryError::Shut(why) => return Stop::from(Error::Shut(why)),
        DirectoryError::Throttled(Some(pause)) => Again::After(*pause),
        _ => Again::Backoff,
    };
    let message = format!("Burki cannot be told who answers: {error}.");
    Stop::Rest(Rest::Wait {
        reason: Reason::AssistantUnverifiable,
        message,
        again,
    })
}

/// Writes down which assistant Burki is going to be told of, by a write of the status that fails if anybody has changed the
/// object since: the assistant may not be declared any more.
pub(super) async fn announce(
    assistant: i64,
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    pass.facts.record.assigning = Some(assistant);
    match report::fence(pass, &Step::Assign(assistant), context).await {
        Ok(()) => Ok(()),
        Err(error) if is_conflict(&error) => Err(read_again(pass, context).await?),
        Err(error) => Err(error.into()),
    }
}

/// Burki rewrites the provider's webhooks when it takes a number, so the number is looked at again. What was announced too long
/// ago is announced again.
pub(super) async fn assign(assistant: i64, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let announced_at = pass.announced_at;
    let is_late = || {
        let age = announced_at.map(|at| context.clock.now().since(at));
        age.is_none_or(|age| age >= TOKEN_LIFETIME) && stands(Safeguard::Announcement)
    };
    let late = || {
        Stop::from(Error::Overtaken(
            "the assignment was announced too long ago",
        ))
    };
    let Some(burki) = &pass.resolved.burki else {
        return Err(directory_stop(&DirectoryError::Unavailable(
            "the account has no usable spec.burki".into(),
        )));
    };
    let number = &pass.number()?;
    let name = Some(pass.resolved.name.as_str());
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
            if context.memories.is_unassigned(&pass.object) {
                context.metrics.drifted(ASSISTANT);
            }
            pass.facts.record.assistant = Some(assistant);
            pass.facts.record.assigning = None;
            context.memories.unassigned(&pass.object, false);
            pass.facts.seen.assigned = true;
            pass.facts.seen.fetched = None;
            pass.facts.memory.verified = false;
            pass.facts.seen.configured = false;
            Ok(())
        }
        Assigned::OnAnother(text) | Assigned::Impossible(text) => Err(Stop::Rest(Rest::Wait {
            reason: Reason::AssistantUnverifiable,
            message: format!("Burki does not put {number} on assistant {assistant}: {text}."),
            again: Again::After(pass.facts.waits.interval),
        })),
    }
}

/// Changes the name of a number with our mark, which stays in it, to learn when that was by the clock that dates the number.
pub(super) async fn rename(id: &NumberId, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let found = pass.found(id)?;
    let mark = pass.facts.mark.clone();
    let whole = mark.with_name(pass.facts.provider, &pass.resolved.name);
    let short = format!("[{mark}]");
    // A name that stays the same may move no date.
    let name = if found.marked_text == whole {
        short
    } else {
        whole
    };
    let at = write_name(&found, &name, pass, context).await?;
    pass.facts.seen.renamed = Some(at);
    pass.facts.memory.unmoved_for = context.memories.renamed(&pass.object, id, at.is_some());
    let holding = pass.found(id)?;
    if pass.facts.is_older(&holding) {
        context.memories.met(&pass.object, id);
        pass.facts.memory.met = Some(id.clone());
    }
    Ok(())
}

/// Marks a number that our purchase only wrote over as one that we did not buy.
pub(super) async fn disclaim(
    id: &NumberId,
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let found = pass.found(id)?;
    let mark = pass.facts.mark.adopted();
    let name = mark.with_name(pass.facts.provider, &pass.resolved.name);
    let number = owner(pass.object.as_ref());
    tracing::warn!(%number, %id, "a purchase met a number that the account held before; it is marked as not bought");
    write_name(&found, &name, pass, context).await.map(drop)
}

async fn write_name(
    found: &Holding,
    name: &str,
    pass: &mut Pass,
    context: &Context,
) -> Result<Option<jiff::Timestamp>, Stop> {
    let account = pass.account()?;
    let unproven = Unproven::prove(found, &pass.facts.mark)
        .ok_or_else(|| Stop::from(Error::Invariant("the number does not carry our mark")))?;
    let Renamed { holding, at } = account
        .call(account.company().rename(&unproven, name))
        .await?;
    let holding = account.saw(holding);
    pass.read_clocks(context);
    let seen = &mut pass.facts.seen;
    let look = seen.look.iter_mut();
    let places = look.flat_map(|look| [&mut look.holding, &mut look.marked]);
    for place in places.flatten().chain(seen.last_look.iter_mut().flatten()) {
        if place.id == holding.id {
            *place = holding.clone();
        }
    }
    Ok(at)
}

pub(super) async fn restore_mark(
    id: &NumberId,
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let account = pass.account()?;
    let unmarked = Unmarked::prove(&pass.held(id)?, &pass.facts.mark, id)
        .ok_or_else(|| Stop::from(Error::Invariant("the number is marked")))?;
    let text = pass
        .facts
        .mark
        .with_name(pass.facts.provider, &pass.resolved.name);
    let holding = account
        .call(account.company().mark(&unmarked, &text))
        .await?;
    let holding = account.saw(holding);
    pass.counts_repair(context);
    context.metrics.drifted(MARK);
    pass.facts.seen.marked = true;
    pass.looked_at = Some(context.clock.now());
    pass.holds(holding);
    Ok(())
}

pub(super) async fn configure(
    id: &NumberId,
    fields: &[Field],
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let account = pass.account()?;
    let configuration = pass.facts.configuration.clone().map_err(Stop::from)?;
    let ours = pass.ours(id)?;
    let is_repair = pass.counts_repair(context);
    match account
        .call(account.company().configure(&ours, &configuration))
        .await
    {
        Ok(holding) => {
            if is_repair {
                let repaired = fields.iter();
                repaired.for_each(|field| context.metrics.drifted(field.label()));
            }
            let holding = account.saw(holding);
            pass.facts.seen.configured = true;
            pass.holds(holding);
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
                pass.facts.title()
            );
            let setup = Setup::Number(Box::new(configuration), fields.to_vec());
            Err(refused(setup, reason, message, pass, context))
        }
        Err(error) => Err(error.into()),
    }
}

/// Remembers what was refused, so that it is not asked for again before its time.
fn refused(setup: Setup, reason: Reason, message: String, pass: &Pass, context: &Context) -> Stop {
    let left = PERSON_AGAIN_AFTER;
    context.memories.refused(
        &pass.object,
        RefusedSetup {
            setup,
            reason,
            message: message.clone(),
            left,
        },
    );
    Stop::Rest(Rest::Wait {
        reason,
        message,
        again: Again::After(left),
    })
}

/// Sets a webhook that the account manages. Others that see the same meanwhile do not write it again.
pub(super) async fn set_webhook(webhook: &ManagedWebhook, pass: &mut Pass) -> Result<(), Stop> {
    let ManagedWebhook { home, id, url } = webhook;
    let account = pass.account()?;
    let why = match account.set_webhook(*home, id, url).await {
        Ok(Some(now)) if now.leads_to(url) => {
            if *home == Home::Connection {
                pass.resolved.webhook_url = Some(url.clone());
            }
            pass.facts.webhooks.retain(|other| other != webhook);
            return Ok(());
        }
        Ok(_) => "Telnyx does not show it yet".to_owned(),
        Err(Error::Refused(refusal)) => refusal.to_string(),
        Err(error) => return Err(error.into()),
    };
    Err(Stop::Rest(Rest::Wait {
        reason: Reason::ConnectionWebhookMismatch,
        message: format!(
            "The webhook of the Telnyx {home} {id} is not {url} and cannot be set: {why}. Set it at Telnyx."
        ),
        again: Again::After(pass.facts.waits.interval),
    }))
}

/// Attaches a requirement group to an order that lacks papers, and lets the order be looked at again.
pub(super) async fn attach_papers(
    order: &Order,
    group: &str,
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let account = pass.account()?;
    let company = account.company();
    match account
        .call(company.attach_requirement_group(order, group))
        .await
    {
        Ok(()) => {
            pass.facts.record.requirement_group = Some(group.to_owned());
            pass.facts.seen.look = None;
            Ok(())
        }
        Err(Error::Refused(refusal)) => {
            let message = format!(
                "Requirement group {group} cannot be attached to order {} for {}: {refusal}. Telnyx takes only a \
                 fulfilled group for the same country and type. Nothing is paid.",
                order.id,
                pass.facts.title()
            );
            let setup = Setup::Papers(order.id.clone(), group.to_owned());
            let reason = Reason::RegulatoryRequirement;
            Err(refused(setup, reason, message, pass, context))
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes the right to release the number: a permit, a place among those of the hour, and a write of the status that fails if
/// anybody has changed the object since the release was decided. A look that is old by then is repeated.
pub(super) async fn announce_release(
    id: &NumberId,
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let account = pass.account()?;
    pass.ours(id)?;
    let permit = account.permit(Urgency::First).await?;
    let slot = take(id, &account, pass, context).await?;
    let sent = context.clock.now();
    let fenced = if stands(Safeguard::ReleaseFence) {
        report::fence(pass, &Step::Release(id.clone()), context).await
    } else {
        Ok(())
    };
    let status = pass.object.status.as_ref();
    let recorded = status.and_then(|status| status.id.as_deref());
    let token = match &fenced {
        Ok(()) => ReleaseToken::of_reply(recorded, id, sent),
        Err(_) => None,
    };
    let Some(token) = token else {
        context.fuses.put_back(slot).await;
        return Err(match fenced {
            Ok(()) => Error::Overtaken("the number is not recorded any more").into(),
            Err(error) if is_conflict(&error) => read_again(pass, context).await?,
            Err(error) => error.into(),
        });
    };
    pass.release = Some(Release {
        token,
        slot,
        permit,
    });
    pass.facts.seen.release_token = true;
    let age = pass.looked_at.map(|at| context.clock.now().since(at));
    if age.is_none_or(|age| age >= TOKEN_LIFETIME) {
        pass.facts.seen.fetched = None;
    }
    Ok(())
}

/// Reads the object that somebody has changed, whatever the watch has brought of that: the next pass decides on it.
async fn read_again(pass: &Pass, context: &Context) -> Result<Stop, Stop> {
    let namespace = pass.object.namespace().unwrap_or_default();
    let api = Api::<PhoneNumber>::namespaced(context.clients.reads.clone(), &namespace);
    if let Some(live) = api.get_opt(&pass.object.name_any()).await? {
        context.wrote(&Arc::new(live), false);
    }
    Ok(Stop::Rest(Rest::Unchanged(AFTER_A_CHANGE)))
}

/// Drops the right to a release that was not sent.
pub(super) async fn unreleased(pass: &mut Pass, context: &Context) {
    if let Some(release) = pass.release.take() {
        pass.facts.seen.release_token = false;
        context.fuses.put_back(release.slot).await;
    }
}

/// What a release that did not take effect took of its limit goes back.
pub(super) async fn release(id: &NumberId, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let ours = pass.ours(id)?;
    let Some(Release {
        token,
        slot,
        permit,
    }) = pass.release.take()
    else {
        return Err(Error::Invariant("there is no right to release the number").into());
    };
    pass.facts.seen.release_token = false;
    let released = account.heed(account.company().release(ours, token).await);
    drop(permit);
    let word = match &released {
        Ok(Released::Confirmed) => "confirmed",
        Ok(Released::Absent) => "absent",
        Err(Error::Refused(_) | Error::Unauthorized(_)) => "refused",
        Err(_) => "failed",
    };
    let label = context.account_label(&pass.object);
    context.metrics.released(label, word);
    match &released {
        Ok(Released::Confirmed) => context.memories.released(&pass.object, true),
        // A replica that lags behind says so too.
        Ok(Released::Absent) => context.fuses.put_back(slot).await,
        Err(error) => {
            context.memories.released(&pass.object, false);
            if error.is_without_effect() {
                context.fuses.put_back(slot).await;
            } else {
                context.fuses.may_stand(slot).await;
            }
        }
    }
    match released {
        Ok(Released::Confirmed) => {
            account.released(id);
            pass.facts.seen.released = true;
            Ok(())
        }
        Ok(Released::Absent) => {
            pass.facts.memory.missing_for = context.memories.fetched(&pass.object, false);
            pass.facts.seen.fetched = Some(None);
            Ok(())
        }
        Err(Error::Refused(refusal) | Error::Unauthorized(refusal)) => {
            let message = format!(
                "{} refuses to release {}: {refusal}. Remove the cause there, or set spec.deletionPolicy: Retain.",
                pass.facts.provider,
                pass.facts.title()
            );
            context
                .memories
                .release_refused(&pass.object, message.clone());
            Err(blocked(message, PERSON_AGAIN_AFTER))
        }
        Err(error) => Err(error.into()),
    }
}

fn blocked(message: String, again: Duration) -> Stop {
    Stop::Rest(Rest::Wait {
        reason: Reason::ReleaseBlocked,
        message,
        again: Again::After(again),
    })
}

/// Counts the release against what may be released in an hour. What the provider refused before says so also while it
/// waits for that limit.
async fn take(
    id: &NumberId,
    account: &Account,
    pass: &Pass,
    context: &Context,
) -> Result<Slot, Stop> {
    let limit = pass.resolved.limits.releases_per_hour;
    let now = context.time.now().unwrap_or(pass.facts.now);
    let account_id = &account.identity().account;
    let what = (id.as_str(), None);
    let fuses = &context.fuses;
    let names = account.names();
    let whose = (account_id, names.as_slice());
    let taken = fuses.take(whose, Deed::Release, limit, now, &pass.object, what);
    taken.await?.map_err(|full| {
        let interval = pass.facts.waits.interval;
        let (message, again) = full.told(account_id, Deed::Release, limit, now, interval);
        match &pass.facts.memory.release_refused {
            Some((refused, _)) => blocked(format!("{refused} {message}"), again),
            None => Stop::Rest(Rest::Wait {
                reason: Reason::ReleaseLimitReached,
                message,
                again: Again::After(again),
            }),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_stops_says_nothing_of_burki() {
        let stopping = directory_stop(&DirectoryError::Shut("it does not lead"));
        assert!(matches!(stopping, Stop::Rest(Rest::Unchanged(_))));
        let away = directory_stop(&DirectoryError::Unavailable("no answer".into()));
        let Stop::Rest(Rest::Wait { reason, .. }) = away else {
            unreachable!("it is said");
        };
        assert_eq!(reason, Reason::AssistantUnverifiable);
    }
}
