//! Carries out one step, and writes what it learned into the facts. Decides nothing.

mod look;
mod settle;
mod spend;

use std::sync::Arc;

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::context::Context;
use super::pass::{Pass, Stop};
use super::plan::{Farewell, Step};
use crate::api::{NUMBER_FINALIZER, PhoneNumber, finalizers_of, has_finalizer};
use crate::number::{Holding, Origin, Whose};
use crate::sabotage::{Safeguard, stands};

use look::{choose, count, fetch, look, offer, price_of};
use settle::{
    announce, announce_release, assign, attach_papers, configure, disclaim, release, rename,
    restore_mark, set_webhook, unassign,
};
use spend::{adopt, buy, claim, last_look};

/// How soon a pass is repeated that was overtaken by a change of its resource.
pub(super) const AFTER_A_CHANGE: std::time::Duration = std::time::Duration::from_millis(100);

/// What may be found changed besides the settings of a number, as labels of metrics.
pub(super) const ASSISTANT: &str = "assistant";

pub(super) const MARK: &str = "mark";

/// Whether what is held is written down before the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checkpoint {
    NotNeeded,
    Needed,
}

/// Carries out `step`.
pub(super) async fn perform(
    step: Step,
    pass: &mut Pass,
    context: &Context,
) -> Result<Checkpoint, Stop> {
    match step {
        Step::Record(holding) => return record(*holding, pass).await,
        Step::RecordOrder(order) => {
            pass.facts.record.order_id = Some(order.id.clone());
            pass.order = Some(*order);
            return Ok(Checkpoint::Needed);
        }
        Step::Fetch(id) => fetch(&id, pass, context).await?,
        Step::Look => look(pass, context).await?,
        Step::Count => count(pass, context).await?,
        Step::Offer => offer(pass).await?,
        Step::Choose => choose(pass, context).await?,
        Step::AddFinalizer => add_finalizer(pass, context).await?,
        Step::Claim { intent, since } => claim(intent, since, pass, context).await?,
        Step::LastLook => last_look(pass, context).await?,
        Step::Buy => buy(pass, context).await?,
        Step::Adopt(id) => adopt(&id, pass, context).await?,
        Step::Unassign(assistant) => unassign(assistant, pass).await?,
        Step::Announce(assistant) => announce(assistant, pass, context).await?,
        Step::Assign(assistant) => assign(assistant, pass, context).await?,
        Step::Rename(id) => rename(&id, pass, context).await?,
        Step::Disclaim(id) => disclaim(&id, pass, context).await?,
        Step::RestoreMark(id) => restore_mark(&id, pass, context).await?,
        Step::Configure(id, fields) => configure(&id, &fields, pass, context).await?,
        Step::SetWebhook(webhook) => set_webhook(&webhook, pass).await?,
        Step::AttachPapers(order, group) => attach_papers(&order, &group, pass, context).await?,
        Step::Cancel(order) => {
            let account = pass.account()?;
            account.call_first(account.company().cancel(&order)).await?;
            pass.facts.seen.cancelled = true;
            pass.facts.seen.look = None;
        }
        Step::AnnounceRelease(id) => announce_release(&id, pass, context).await?,
        Step::Release(id) => release(&id, pass, context).await?,
        Step::RemoveFinalizer(farewell) => remove_finalizer(farewell, pass, context).await?,
        Step::Rest(rest) => return Err(Stop::Rest(rest)),
    }
    Ok(Checkpoint::NotNeeded)
}

async fn patch(
    pass: &mut Pass,
    context: &Context,
    metadata: serde_json::Value,
) -> Result<(), Stop> {
    let namespace = pass.object.namespace().unwrap_or_default();
    let api = Api::<PhoneNumber>::namespaced(context.clients.writes.clone(), &namespace);
    let body = Patch::Merge(json!({ "metadata": metadata }));
    let object = Arc::new(
        api.patch(&pass.object.name_any(), &PatchParams::default(), &body)
            .await?,
    );
    context.wrote(&object, true);
    pass.facts.finalizer = has_finalizer(object.as_ref(), NUMBER_FINALIZER);
    pass.object = object;
    Ok(())
}

async fn add_finalizer(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let metadata = json!({
        "resourceVersion": pass.object.resource_version(),
        "finalizers": finalizers_of(pass.object.as_ref(), NUMBER_FINALIZER, true),
    });
    patch(pass, context, metadata).await
}

async fn record(holding: Holding, pass: &mut Pass) -> Result<Checkpoint, Stop> {
    let was_ordered = pass.facts.record.order_id.is_some();
    pass.facts.record.id = Some(holding.id.clone());
    pass.facts.number = Some(holding.number);
    let was_adopted = pass.facts.mark.whose(&holding.marked_text) == Whose::Ours(Origin::Adopted);
    if was_adopted && stands(Safeguard::AdoptedMark) {
        pass.take_over();
    }
    let account = pass.account()?;
    pass.facts
        .record
        .account_id
        .get_or_insert_with(|| account.identity().account.clone());
    let claim = pass.facts.claim.claim();
    let is_told = claim.is_some_and(|claim| claim.price.is_some());
    if !is_told && pass.attempt.is_none() && !pass.facts.deleting {
        // It is paid already and nothing holds it up: where no price can be had, none is told.
        let price = price_of(&holding.number, &account, pass).await;
        pass.price = price.unwrap_or_default();
    }
    pass.holds(holding);
    if was_ordered && !pass.facts.deleting {
        // The order that is written down leads back to the number: the id is written with what the pass comes to.
        return Ok(Checkpoint::NotNeeded);
    }
    Ok(Checkpoint::Needed)
}

/// Lets the resource go, by a patch that fails if it has changed since the decision.
async fn remove_finalizer(
    farewell: Farewell,
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let finalizers = finalizers_of(pass.object.as_ref(), NUMBER_FINALIZER, false);
    let metadata =
        json!({ "resourceVersion": pass.object.resource_version(), "finalizers": finalizers });
    patch(pass, context, metadata).await?;
    // A number that is kept may still be hidden.
    if farewell.leaves_nothing() {
        context.memories.settled(&pass.object);
    }
    if farewell == Farewell::NeverBought {
        context.fuses.never_bought(&pass.object).await;
    }
    pass.farewell = Some(farewell);
    Ok(())
}
