//! Faults of the operator itself: a reconcile that panics, a rule of its own that does not hold. Each costs one reconcile of one
//! object: it is logged, counted, shown on the object, and tried again after a growing pause.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::PostParams;
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::conditions::set_condition;
use crate::api::{PhoneNumber, Reason, StatusReason, condition, reason_of};
use crate::cluster::Cluster;
use crate::cluster::any_account::AnyAccount;
use crate::cluster::events::{Events, PendingEvent};
use crate::cluster::process::Process;
use crate::cluster::writer::Writer;
use crate::outcome::{Outcome, RequeueAfter, Retry};
use crate::panics;
use crate::server_time::ServerTime;
use crate::telemetry::metrics::{Fault, LOOP, Metrics};

/// What may panic too: nothing may end the queue that the reconcile came from.
const SHOWING: &str = "showing that a reconcile panicked";

/// Logs and counts what a reconcile of `object` ended with, if it is a fault of the operator.
pub(crate) fn note<K: Resource<DynamicType = ()>>(
    reason: Reason,
    message: &str,
    object: &K,
    metrics: &Metrics,
) {
    if reason != Reason::InternalError {
        return;
    }
    let (kind, name) = (K::kind(&()), object.name_any());
    tracing::error!(%kind, namespace = object.namespace(), name, message, "a fault of the operator ended a reconcile");
    metrics.broke(kind, Fault::Invariant);
}

/// Takes note of something that belongs to no reconcile. A panic in it is logged and counted, and costs no more than that.
pub(crate) fn survived(what: &str, metrics: &Metrics, work: impl FnOnce()) {
    survive(what, panics::caught_at_once(work), metrics);
}

/// Makes one round of a loop; a panic in it is logged and counted, and the next round is made all the same.
pub(crate) async fn survived_round(what: &str, metrics: &Metrics, round: impl Future<Output = ()>) {
    survive(what, panics::caught(round).await, metrics);
}

fn survive(what: &str, ended: Result<(), String>, metrics: &Metrics) {
    if let Err(panic) = ended {
        tracing::error!(what, panic, "a loop of the operator panicked and goes on");
        metrics.broke(LOOP.into(), Fault::Panic);
    }
}

/// Shows on `number` that a reconcile of it panicked, and tells when the next one is due.
pub(crate) async fn number_panicked(
    number: Arc<PhoneNumber>,
    panic: &str,
    cluster: &Cluster,
    writer: &Writer,
    process: &Process,
) -> RequeueAfter {
    pass_panicked(number.as_ref(), panic, &process.metrics);
    let number = cluster.caches.number(&number).unwrap_or(number);
    let number = cluster.observations.latest(number);
    let outcome = Outcome::Wait {
        reason: Reason::InternalError,
        message: String::new(),
        retry: Retry::Backoff,
    };
    let due = cluster
        .observations
        .requeue_after(&number, &outcome, process.random.fraction());
    let namespace = number.namespace().unwrap_or_default();
    let api = Api::namespaced(writer.client.clone(), &namespace);
    survived_round(SHOWING, &process.metrics, async {
        if let Some(written) = show(
            number.as_ref(),
            api,
            conditions_of,
            &writer.events,
            &process.time,
        )
        .await
        {
            cluster.wrote(&Arc::new(written), false);
        }
    })
    .await;
    due
}

fn conditions_of(number: &mut PhoneNumber) -> &mut Vec<Condition> {
    &mut number.status.get_or_insert_default().conditions
}

/// Shows on `account` that a reconcile of it panicked.
pub(crate) async fn account_panicked<A: AnyAccount>(
    account: Arc<A>,
    panic: &str,
    writer: &Writer,
    process: &Process,
) {
    pass_panicked(account.as_ref(), panic, &process.metrics);
    let api = account.api(&writer.client);
    survived_round(SHOWING, &process.metrics, async {
        show(
            account.as_ref(),
            api,
            A::conditions,
            &writer.events,
            &process.time,
        )
        .await;
    })
    .await;
}

fn pass_panicked<K: Resource<DynamicType = ()>>(object: &K, panic: &str, metrics: &Metrics) {
    let (kind, name) = (K::kind(&()), object.name_any());
    tracing::error!(%kind, namespace = object.namespace(), name, panic, "a reconcile panicked");
    metrics.broke(kind, Fault::Panic);
}

/// Writes the reason into the conditions of `object`, unless they have it or somebody else has written since. What a panic
/// says stays in the log: it may hold anything that the reconcile knew.
async fn show<K>(
    object: &K,
    api: Api<K>,
    conditions: impl Fn(&mut K) -> &mut Vec<Condition>,
    events: &Events,
    time: &ServerTime,
) -> Option<K>
where
    K: Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned + Debug,
{
    let now = time.now()?;
    let mut shown = object.clone();
    let before = conditions(&mut shown).clone();
    let why = StatusReason {
        reason: Reason::InternalError,
        message: "The operator failed while it worked on this object. What was bought before is still paid, and what was \
                  under way is looked up. It is tried again after a pause. This is a fault of the operator: please \
                  report it with the error in its log."
            .to_owned(),
    };
    let generation = object.meta().generation;
    for (kind, truth) in [
        (condition::READY, false),
        (condition::RECONCILING, true),
        (condition::STALLED, false),
    ] {
        set_condition(conditions(&mut shown), kind, truth, &why, generation, now);
    }
    if *conditions(&mut shown) == before {
        return None;
    }
    shown.meta_mut().managed_fields = None;
    let written = api
        .replace_status(&object.name_any(), &PostParams::default(), &shown)
        .await;
    // The next reconcile that panics tries to show it too.
    let written = written
        .inspect_err(|error| tracing::debug!(%error, "cannot show that a reconcile panicked"))
        .ok()?;
    if reason_of(&before, condition::READY) != Some(Reason::InternalError) {
        events.record(PendingEvent {
            about: object.object_ref(&()),
            is_warning: true,
            reason: Reason::InternalError.to_string(),
            action: "Reconcile",
            note: why.message,
            at: now,
        });
    }
    Some(written)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::secrets::tests::Said;
    use crate::controller::reconciler::tests::{World, number};

    #[tokio::test]
    async fn a_broken_rule_is_logged_with_its_object_and_counted() {
        let world = World::new();
        let said = Said::default();
        let sink = said.clone();
        let log = tracing_subscriber::fmt().with_writer(move || sink.clone());
        let _guard = tracing::subscriber::set_default(log.finish());
        let object = number("nyc", "+12125550101", json!({}));
        let counted = || {
            let text = world.process.metrics.text().unwrap();
            let counts = |line: &&str| {
                let name = "phonenumber_internal_errors_total{";
                line.starts_with(name)
                    && line.contains(r#"kind="PhoneNumber""#)
                    && line.contains(r#"cause="invariant""#)
            };
            let line = text.lines().find(counts).map(str::to_owned);
            line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        };
        for (reason, times) in [
            (Reason::ProviderUnavailable, 0),
            (Reason::InternalError, 1),
            (Reason::InternalError, 2),
        ] {
            note(
                reason,
                "no end of steps was found",
                &object,
                &world.process.metrics,
            );
            assert_eq!(counted().unwrap_or_default(), times);
        }
        let said = said.text();
        assert_eq!(said.matches("ERROR").count(), 2, "{said}");
        for part in ["support", "nyc", "no end of steps was found"] {
            assert!(said.contains(part), "{said}");
        }
    }
}
