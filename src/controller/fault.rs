//! Faults of the operator itself: a rule of its own that does not hold. The pass ends, and the fault is logged, counted and
//! shown on the object.

use kube::{Resource, ResourceExt};

use super::context::Context;
use super::plan::Blocker;
use crate::api::Reason;
use crate::telemetry::metrics::Fault;

/// What a rule that does not hold means for the object of a pass.
pub(super) fn blocker(why: &str) -> Blocker {
    Blocker::new(
        Reason::InternalError,
        format!(
            "A rule of the operator does not hold: {why}. Nothing was sent for this step, and what was bought before \
             is still paid. It is tried again, each time later. This is a fault of the operator: please report it with \
             the error in its log."
        ),
    )
}

/// Logs and counts what a pass over `object` ended with, if it is a fault of the operator.
pub(super) fn note<K: Resource<DynamicType = ()>>(
    reason: Reason,
    message: &str,
    object: &K,
    context: &Context,
) {
    if reason != Reason::InternalError {
        return;
    }
    let (kind, name) = (K::kind(&()), object.name_any());
    tracing::error!(%kind, namespace = object.namespace(), name, message, "a fault of the operator ended a pass");
    context.metrics.broke(kind, Fault::Invariant);
}
