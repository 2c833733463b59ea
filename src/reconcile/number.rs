//! One reconcile of one `PhoneNumber`: resolve, then plan and perform step by step, then report.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;
use tracing::Instrument;

use super::audit;
use super::fault;
use super::limits::limit_of;
use super::perform::{AFTER_A_CHANGE, Checkpoint, perform};
use super::plan::{Budget, Facts, Step, plan};
use super::providers::Providers;
use super::report;
use super::resolve::{Resolved, resolve};
use super::state::{Interrupted, ReconcileState};
use crate::account::{Account, fingerprint};
use crate::api::{
    AdoptionPolicy, AttemptOutcome, Money, NUMBER_FINALIZER, PhoneNumber, Reason, condition,
    has_finalizer, owner,
};
use crate::claim::{Claim, Intent, Stored};
use crate::cluster::Cluster;
use crate::cluster::observations::{Observations, Verified};
use crate::cluster::process::Process;
use crate::cluster::quota::HourlyQuotas;
use crate::cluster::writer::Writer;
use crate::number::{
    AccountId, Capability, Configuration, E164, Messaging, NumberId, OrderId, Origin, Search,
};
use crate::outcome::{Memory, Outcome, RequeueAfter};
use crate::provider::Error;
use crate::provider::http::{AuditContext, with_audit_context};
use crate::telemetry::traces::SPANS;

/// The kind as a label of metrics.
const KIND: &str = "PhoneNumber";

/// More steps than any reconcile needs; a reconcile that takes more is going round in circles.
const MOST_STEPS: usize = 32;

/// Reconciles `number` once.
///
/// # Errors
/// Those of the API server; the reconcile is then repeated.
pub(crate) async fn reconcile(
    number: Arc<PhoneNumber>,
    cluster: &Cluster,
    providers: &Providers,
    writer: &Writer,
    quotas: &HourlyQuotas,
    process: &Process,
) -> Result<RequeueAfter, kube::Error> {
    let begun = process.clock.now();
    // Boxed, so that those that wait take little memory.
    let span = tracing::info_span!(
        target: SPANS,
        "reconcile",
        kind = KIND,
        namespace = number.namespace(),
        name = number.name_any(),
        generation = number.metadata.generation,
    );
    let passed = Box::pin(
        reconcile_now(
            Arc::clone(&number),
            cluster,
            providers,
            writer,
            quotas,
            process,
        )
        .instrument(span),
    )
    .await;
    process.count_reconcile(KIND, begun, &passed);
    passed
}

async fn reconcile_now(
    number: Arc<PhoneNumber>,
    cluster: &Cluster,
    providers: &Providers,
    writer: &Writer,
    quotas: &HourlyQuotas,
    process: &Process,
) -> Result<RequeueAfter, kube::Error> {
    let number = cluster.observations.latest(number);
    let audited = AuditContext {
        object: owner(number.as_ref()).to_string(),
        generation: number.metadata.generation.unwrap_or_default(),
        reason: audit::TO_RESOLVE.to_owned(),
        cost: None,
    };
    let span = tracing::info_span!(target: SPANS, "step", step = "resolve");
    let begun =
        with_audit_context(audited, begin(&number, cluster, providers, process)).instrument(span);
    let Some(mut state) = begun.await? else {
        return Ok(Some(std::time::Duration::from_secs(1)));
    };
    let mut stop = Interrupted::from(Error::Invariant("no end of steps was found"));
    for _ in 0..MOST_STEPS {
        stop = match plan(&state.facts) {
            Step::Done(outcome) => Interrupted::Outcome(outcome),
            step => {
                let audited = audit::of(&step, &state);
                let span = tracing::info_span!(target: SPANS, "step", step = step.name());
                let performed = with_audit_context(
                    audited,
                    perform(step, &mut state, cluster, writer, quotas, process),
                );
                match performed.instrument(span).await {
                    Ok(Checkpoint::NotNeeded) => continue,
                    Ok(Checkpoint::Needed) => {
                        match checkpoint(&mut state, cluster, writer, process).await {
                            Ok(()) => continue,
                            Err(stop) => stop,
                        }
                    }
                    Err(stop) => stop,
                }
            }
        };
        break;
    }
    let outcome = match stop {
        Interrupted::Outcome(outcome) => outcome,
        Interrupted::Api(error) => return Err(error),
    };
    if let Outcome::Wait {
        reason, message, ..
    } = &outcome
    {
        fault::note(*reason, message, state.object.as_ref(), &process.metrics);
        if reason.is_failure() {
            process.metrics.failed(KIND, reason.to_string());
        }
    }
    let span = tracing::info_span!(target: SPANS, "step", step = "report");
    report::report(&mut state, &outcome, cluster, writer, process)
        .instrument(span)
        .await?;
    remember(&state, &outcome, &cluster.observations);
    let jitter = process.random.fraction();
    Ok(cluster
        .observations
        .requeue_after(&state.object, &outcome, jitter))
}

/// Writes down what is held now, and what is next. Where somebody else has written meanwhile, the reconcile ends: what they want may
/// be something else.
async fn checkpoint(
    state: &mut ReconcileState,
    cluster: &Cluster,
    writer: &Writer,
    process: &Process,
) -> Result<(), Interrupted> {
    let mut next = plan(&state.facts);
    if let Step::RecordPendingAssignment(assistant) = next {
        // The write announces it too.
        state.facts.record.assigning = Some(assistant);
        next = plan(&state.facts);
    }
    if next == Step::CheckMessages {
        next = with_known_messages(state);
    }
    let next = match next {
        Step::Done(outcome) => outcome,
        step => report::under_way(&step),
    };
    if report::record(state, &next, cluster, writer, process).await? {
        return Err(Interrupted::Outcome(Outcome::KeepStatus(AFTER_A_CHANGE)));
    }
    Ok(())
}

/// What is next by what is known already of the messages of the number: nothing is asked before what is held is written down. What
/// is not known is asked afterwards, and keeps a number from being Ready only where messages are required.
fn with_known_messages(state: &mut ReconcileState) -> Step {
    let held = state.facts.findings.fetched.clone().flatten();
    let (Ok(account), Some(holding)) = (&state.resolved.account, held) else {
        return Step::CheckMessages;
    };
    let holding = account.with_known_messaging(holding);
    let is_known = account.knows_messaging_of(&holding);
    state.holds(holding);
    if !is_known && state.facts.messaging == Messaging::Required {
        return Step::CheckMessages;
    }
    state.facts.findings.messages_checked = true;
    let next = plan(&state.facts);
    state.facts.findings.messages_checked = is_known;
    next
}

fn remember(state: &ReconcileState, outcome: &Outcome, observations: &Observations) {
    match outcome {
        Outcome::Ready => {
            if let Some(Some(holding)) = &state.facts.findings.fetched {
                let seen = fingerprint(holding);
                let verified = wanted(&state.facts, seen);
                observations.verified(&state.object, verified);
            }
        }
        Outcome::NotManaged => observations.forget(&state.object),
        Outcome::Wait { .. } => observations.verified(&state.object, None),
        Outcome::Suspended | Outcome::KeepStatus(_) => {}
    }
}

/// What is verified when the number is as `facts` want it.
fn wanted(facts: &Facts, seen: u64) -> Option<Verified> {
    Some(Verified {
        seen,
        configuration: hash_of(facts.configuration.as_ref().ok()?, facts.sms_url.as_deref()),
        assistant: facts.assistant.as_ref().map(|(id, _)| *id),
        generation: facts.generation,
    })
}

fn hash_of(configuration: &Configuration, sms_url: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (configuration, sms_url).hash(&mut hasher);
    hasher.finish()
}

/// True if the number was taken over, or is about to be. What was claimed to be bought after the one that was taken over was
/// lost is bought.
fn is_adopted(number: &PhoneNumber, claim: &Stored) -> bool {
    let status = number.status.as_ref();
    let recorded = status.filter(|status| status.is_adopted());
    match claim.claim().map(|claim| claim.intent) {
        Some(Intent::Adopt) => true,
        Some(Intent::Buy) => recorded.is_some_and(|status| status.id.is_some()),
        None => recorded.is_some(),
    }
}

/// Gathers the facts of a reconcile. `None` while the API server's time is not known.
async fn begin(
    number: &Arc<PhoneNumber>,
    cluster: &Cluster,
    providers: &Providers,
    process: &Process,
) -> Result<Option<ReconcileState>, kube::Error> {
    let resolved = resolve(number, cluster, providers, &process.settings).await?;
    let Some(now) = process.time.now() else {
        return Ok(None);
    };
    let annotations = number.annotations();
    let uid = number.uid().unwrap_or_default();
    let claim = Claim::read(annotations, &owner(number.as_ref()), &uid);
    let deleting = number.metadata.deletion_timestamp.is_some();
    let mut facts = Facts {
        number: number_in_question(number, &claim),
        search: searched(number),
        budget: budget(number.spec.max_monthly_cost.as_ref()),
        upfront_budget: budget(number.spec.max_upfront_cost.as_ref()),
        minimum_balance: budget(resolved.minimum_balance()),
        messaging: number.spec.messaging,
        sms_url: resolved.sms_url.clone(),
        adopts: number.spec.adoption_policy == AdoptionPolicy::Adopt,
        adopted: false,
        limits: cluster.limits_on(number, &resolved.limits, resolved.account.as_ref().ok()),
        provider: number.spec.provider,
        mark: resolved.mark.clone(),
        now,
        provider_now: resolved
            .account
            .as_ref()
            .ok()
            .and_then(|account| account.provider_api().provider_time()),
        generation: number.metadata.generation.unwrap_or_default(),
        deleting,
        is_listed: false,
        release_due: release_due(number, &resolved),
        finalizer: has_finalizer(number.as_ref(), NUMBER_FINALIZER),
        claim,
        suspended: number.spec.suspend,
        protected: number.spec.deletion_protection,
        owned: !number.owner_references().is_empty(),
        deletion_policy: number.spec.deletion_policy,
        definition_deleted: deleting
            && cluster.crd_guard.is_deleted(process.clock.as_ref()).await?,
        record: record(number, &resolved, &cluster.observations),
        memory: Memory::default(),
        waits: process.waits(),
        account: resolved
            .account
            .as_ref()
            .map(|account| account.identity().clone())
            .map_err(Clone::clone),
        configuration: resolved.configuration.clone(),
        webhooks: resolved.webhooks.clone(),
        assistant: resolved
            .assistant
            .as_ref()
            .map(|(id, assistant)| (*id, assistant.as_ref().map(|_| ()).map_err(Clone::clone))),
        rival: rival(number, &resolved, cluster),
        recorded_by: None,
        findings: super::plan::Findings::default(),
    };
    if is_adopted(number, &facts.claim) {
        facts.set_origin(Origin::Adopted);
    }
    if let (Ok(configuration), Some(in_question)) = (&mut facts.configuration, &facts.number)
        && cluster
            .observations
            .is_without_messages(number, in_question)
    {
        configuration.leave_out_messages();
    }
    let seen = match (&resolved.account, &facts.record.id) {
        (Ok(account), Some(id)) => account.fingerprint(id),
        _ => None,
    };
    facts.is_listed = seen.is_some();
    let verified = seen.and_then(|seen| wanted(&facts, seen));
    facts.memory = cluster
        .observations
        .recall(number, &facts.claim, verified.as_ref());
    let provider_now = facts.provider_now;
    facts.memory.doubt = cluster
        .observations
        .doubt(number, &facts.claim, now, provider_now);
    let doubted = facts.memory.doubt.as_ref().map(|doubt| doubt.number);
    facts.number = facts.number.or(doubted);
    Ok(Some(ReconcileState::new(
        Arc::clone(number),
        facts,
        resolved,
    )))
}

/// Who was first to want the number. Where the account is not known nothing is bought anyway.
fn rival(number: &PhoneNumber, resolved: &Resolved, cluster: &Cluster) -> Option<String> {
    let account = resolved.account.as_ref().ok()?;
    cluster.competing_claim(number, &account.names())
}

/// The number that is declared; for a search the one that is held, or that the claim is on.
fn number_in_question(number: &PhoneNumber, claim: &Stored) -> Option<E164> {
    let status = number.status.as_ref();
    let held = status
        .filter(|status| status.id.is_some())
        .and_then(|status| status.phone_number.as_deref());
    let named = number.spec.phone_number.as_deref().or(held);
    match named {
        Some(named) => named.parse().ok(),
        None => claim.claim().map(|claim| claim.number),
    }
}

/// What is searched for: where messages are required, a number that can text.
fn searched(number: &PhoneNumber) -> Option<Search> {
    let mut search = number.spec.search.clone()?;
    let is_wanted = search.capabilities.contains(&Capability::Sms);
    if number.spec.messaging == Messaging::Required && !is_wanted {
        search.capabilities.push(Capability::Sms);
    }
    Some(search)
}

/// When the account allows to release the number of an object that is being deleted: never, as far as no later time can be told.
fn release_due(number: &PhoneNumber, resolved: &Resolved) -> Option<Timestamp> {
    let deleted = number.metadata.deletion_timestamp.as_ref()?;
    let due = deleted.0.checked_add(resolved.limits.release_delay);
    Some(due.unwrap_or(Timestamp::MAX))
}

/// The budget that a limit sets.
fn budget(money: Option<&Money>) -> Option<Budget> {
    let (currency, amount) = limit_of(money?)?;
    Some(Budget { amount, currency })
}

/// The account that the status names, by the id that `account`, which is the same, is proved to have: a hash of a key ends with
/// the key.
pub(super) fn pinned(status: Option<String>, account: Option<&Account>) -> Option<AccountId> {
    let pinned = AccountId::new(status?);
    let proved = account.filter(|account| account.identity().proved);
    let same = proved.filter(|account| account.names().contains(&pinned));
    Some(same.map_or(pinned, |account| account.identity().account.clone()))
}

fn record(
    number: &PhoneNumber,
    resolved: &Resolved,
    observations: &Observations,
) -> super::plan::Record {
    let status = number.status.clone().unwrap_or_default();
    let generation = number.metadata.generation.unwrap_or_default();
    let refused = status.attempt.and_then(|attempt| {
        let is_certain = match attempt.outcome {
            AttemptOutcome::Rejected => true,
            AttemptOutcome::Refused => false,
            _ => return None,
        };
        Some(super::plan::Refused {
            reason: Reason::read(attempt.reason.as_deref()?)?,
            message: attempt.message?,
            is_certain,
            times: attempt.repeated.unwrap_or(1),
            is_same: attempt.request? == resolved.request(generation),
            nonce: attempt.nonce,
        })
    });
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|found| found.type_ == condition::READY);
    let is_ready = ready.is_some_and(|found| found.status == "True");
    let blocked = ready.filter(|found| Reason::read(&found.reason) == Some(Reason::ReleaseBlocked));
    let is_blocked = blocked.is_some() && status.observed_generation == Some(generation);
    let requirement_group = status.telnyx.and_then(|telnyx| telnyx.requirement_group_id);
    let (assistant, assigning) = match status.assistant {
        Some(told) if told.pending || observations.is_unassigned(number) => (None, Some(told.id)),
        told => (told.map(|told| told.id), None),
    };
    super::plan::Record {
        id: status.id.map(NumberId::new),
        order_id: status.order_id.map(OrderId::new),
        requirement_group,
        account_id: pinned(
            status.account_id,
            resolved.account.as_ref().ok().map(Arc::as_ref),
        ),
        assistant,
        assigning,
        refused,
        observed_generation: status.observed_generation,
        is_ready,
        is_blocked,
    }
}
