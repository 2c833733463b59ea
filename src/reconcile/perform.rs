//! Carries out one step, and writes what it learned into the facts. Decides nothing.

mod look;
mod release;
mod settle;
mod spend;

use std::sync::Arc;

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::plan::{FinalizerRemoval, Step};
use super::state::{Interrupted, ReconcileState};
use crate::api::{NUMBER_FINALIZER, PhoneNumber, finalizers_of, has_finalizer};
use crate::cluster::Cluster;
use crate::cluster::process::Process;
use crate::cluster::quota::HourlyQuotas;
use crate::cluster::writer::Writer;
use crate::number::{Holding, Origin, Whose};
use crate::safeguards::{Safeguard, is_enabled};

use look::{
    check_availability, check_messages, count, fetch_by_id, lookup, price_of, search_and_reserve,
};
use release::{record_release, release};
use settle::{
    assign, attach_papers, configure, disclaim, record_pending_assignment, rename, restore_mark,
    set_webhook, unassign,
};
use spend::{adopt, buy, claim, verify_before_purchase};

/// How soon a reconcile is repeated that was overtaken by a change of its resource.
pub(super) const AFTER_A_CHANGE: std::time::Duration = std::time::Duration::from_millis(100);

/// What may be found changed other than the settings of a number, as labels of metrics.
pub(crate) const ASSISTANT: &str = "assistant";

pub(crate) const MARK: &str = "mark";

/// Whether what is held is written down before the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checkpoint {
    NotNeeded,
    Needed,
}

/// Carries out `step`.
pub(super) async fn perform(
    step: Step,
    state: &mut ReconcileState,
    cluster: &Cluster,
    writer: &Writer,
    quotas: &HourlyQuotas,
    process: &Process,
) -> Result<Checkpoint, Interrupted> {
    match step {
        Step::Record(holding) => return record(*holding, state).await,
        Step::RecordOrder(order) => {
            state.facts.record.order_id = Some(order.id.clone());
            state.order = Some(*order);
            return Ok(Checkpoint::Needed);
        }
        Step::FetchById(id) => {
            fetch_by_id(
                &id,
                state,
                &cluster.observations,
                quotas,
                process.clock.as_ref(),
            )
            .await?
        }
        Step::Lookup => lookup(state, cluster, quotas, process).await?,
        Step::Count => count(state, cluster).await?,
        Step::CheckMessages => check_messages(state).await?,
        Step::CheckAvailability => check_availability(state).await?,
        Step::SearchAndReserve => search_and_reserve(state, cluster, &process.random).await?,
        Step::AddFinalizer => add_finalizer(state, cluster, writer).await?,
        Step::Claim { intent, since } => {
            claim(intent, since, state, cluster, writer, quotas, process).await?
        }
        Step::VerifyBeforePurchase => verify_before_purchase(state, cluster, quotas).await?,
        Step::Buy => buy(state, cluster, quotas, process).await?,
        Step::Adopt(id) => adopt(&id, state, cluster, quotas, process).await?,
        Step::Unassign(assistant) => unassign(assistant, state).await?,
        Step::RecordPendingAssignment(assistant) => {
            record_pending_assignment(assistant, state, cluster, writer, process).await?
        }
        Step::Assign(assistant) => assign(assistant, state, &cluster.observations, process).await?,
        Step::Rename(id) => rename(&id, state, &cluster.observations, &process.time).await?,
        Step::Disclaim(id) => disclaim(&id, state, &process.time).await?,
        Step::RestoreMark(id) => restore_mark(&id, state, &cluster.observations, process).await?,
        Step::Configure(id, fields) => {
            configure(&id, &fields, state, &cluster.observations, &process.metrics).await?
        }
        Step::SetWebhook(webhook) => set_webhook(&webhook, state).await?,
        Step::AttachPapers(order, group) => {
            attach_papers(&order, &group, state, &cluster.observations).await?
        }
        Step::Cancel(order) => {
            let account = state.account()?;
            account
                .call_urgent(account.provider_api().cancel(&order))
                .await?;
            state.facts.findings.cancelled = true;
            state.facts.findings.look = None;
        }
        Step::RecordRelease(id) => {
            record_release(&id, state, cluster, writer, quotas, process).await?
        }
        Step::Release(id) => release(&id, state, cluster, quotas, &process.metrics).await?,
        Step::RemoveFinalizer(removal) => {
            remove_finalizer(removal, state, cluster, writer, quotas).await?
        }
        Step::Done(outcome) => return Err(Interrupted::Outcome(outcome)),
    }
    Ok(Checkpoint::NotNeeded)
}

async fn patch(
    state: &mut ReconcileState,
    cluster: &Cluster,
    writer: &Writer,
    metadata: serde_json::Value,
) -> Result<(), Interrupted> {
    let namespace = state.object.namespace().unwrap_or_default();
    let api = Api::<PhoneNumber>::namespaced(writer.client.clone(), &namespace);
    let body = Patch::Merge(json!({ "metadata": metadata }));
    let object = Arc::new(
        api.patch(&state.object.name_any(), &PatchParams::default(), &body)
            .await?,
    );
    cluster.wrote(&object, true);
    state.facts.finalizer = has_finalizer(object.as_ref(), NUMBER_FINALIZER);
    state.object = object;
    Ok(())
}

async fn add_finalizer(
    state: &mut ReconcileState,
    cluster: &Cluster,
    writer: &Writer,
) -> Result<(), Interrupted> {
    let metadata = json!({
        "resourceVersion": state.object.resource_version(),
        "finalizers": finalizers_of(state.object.as_ref(), NUMBER_FINALIZER, true),
    });
    patch(state, cluster, writer, metadata).await
}

async fn record(holding: Holding, state: &mut ReconcileState) -> Result<Checkpoint, Interrupted> {
    let was_ordered = state.facts.record.order_id.is_some();
    state.facts.record.id = Some(holding.id.clone());
    state.facts.number = Some(holding.number);
    let was_adopted = state.facts.mark.whose(&holding.marked_text) == Whose::Ours(Origin::Adopted);
    if was_adopted && is_enabled(Safeguard::AdoptedMark) {
        state.facts.set_origin(Origin::Adopted);
    }
    let account = state.account()?;
    state
        .facts
        .record
        .account_id
        .get_or_insert_with(|| account.identity().account.clone());
    let claim = state.facts.claim.claim();
    let is_told = claim.is_some_and(|claim| claim.price.is_some());
    if !is_told && state.attempt.is_none() && !state.facts.deleting {
        // It is paid already and nothing holds it up: where no price can be had, none is told.
        let price = price_of(&holding.number, &account, state).await;
        state.price = price.unwrap_or_default();
    }
    state.holds(holding);
    if was_ordered && !state.facts.deleting {
        // The order that is written down leads back to the number: the id is written with the outcome of the reconcile.
        return Ok(Checkpoint::NotNeeded);
    }
    Ok(Checkpoint::Needed)
}

/// Lets the resource go, by a patch that fails if it has changed since the decision.
async fn remove_finalizer(
    removal: FinalizerRemoval,
    state: &mut ReconcileState,
    cluster: &Cluster,
    writer: &Writer,
    quotas: &HourlyQuotas,
) -> Result<(), Interrupted> {
    let finalizers = finalizers_of(state.object.as_ref(), NUMBER_FINALIZER, false);
    let metadata =
        json!({ "resourceVersion": state.object.resource_version(), "finalizers": finalizers });
    patch(state, cluster, writer, metadata).await?;
    // A number that is kept may still be hidden.
    if removal.leaves_nothing() {
        cluster.observations.settled(&state.object);
    }
    if removal == FinalizerRemoval::NotPurchased {
        quotas.never_bought(&state.object).await;
    }
    state.removal = Some(removal);
    Ok(())
}
