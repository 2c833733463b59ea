//! The custom resources, exactly as users see them: `kubectl explain` shows the comments on the fields. Nothing here
//! reads or writes a cluster.

mod account;
mod deletion;
mod lacking;
mod phone_number;
mod reason;
mod refs;
mod status_reason;
mod word;

pub use account::{
    AccountBalance, AccountSpec, AccountStatus, Adoption, BalanceSpec, BurkiRef,
    ClusterProviderAccount, ClusterProviderAccountSpec, ConnectionWebhook, LabelOperator,
    LabelRequirement, Limits, Money, MonthlyCost, NamespaceSelector, ProviderAccount,
    ProviderAccountSpec, SecretRef, TelnyxAccount, TwilioAccount, UnheldNumber, WebhookBase,
};
pub use deletion::Deletion;
pub use lacking::lacking;
pub use phone_number::{
    AccountKind, AccountRef, AccountRefStatus, AdoptionPolicy, AssistantStatus, AttemptStatus,
    CapabilitiesStatus, CostStatus, DeletionPolicy, PhoneNumber, PhoneNumberSpec,
    PhoneNumberStatus, TelnyxOptions, TelnyxStatus, TwilioOptions, TwilioStatus, Webhooks,
};
pub use reason::{Class, Reason};
pub use refs::{
    ACCOUNT_FINALIZER, AccountKey, NUMBER_FINALIZER, account_name, finalizers_of, has_finalizer,
    owner,
};
pub use status_reason::StatusReason;
pub use word::{AttemptOutcome, NumberOrigin, OnDeletion, OrderStatus};

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

/// The API group of every kind.
pub const GROUP: &str = "telephony.burki.dev";

/// The condition types. The first three are what kstatus reads.
pub mod condition {
    /// True if the number is bought, configured at this generation and assigned.
    pub const READY: &str = "Ready";
    /// True while the operator works or waits.
    pub const RECONCILING: &str = "Reconciling";
    /// True when a person must act.
    pub const STALLED: &str = "Stalled";
    /// True once the provider's id of the number is recorded.
    pub const PURCHASED: &str = "Purchased";
    /// True if the webhooks were read back as declared.
    pub const WEBHOOKS_CONFIGURED: &str = "WebhooksConfigured";
    /// True if Burki has the number on the declared assistant.
    pub const ASSISTANT_ASSIGNED: &str = "AssistantAssigned";
    /// Nothing is known that keeps messages from getting through. Unknown if that cannot be read; absent if no messages are wanted.
    pub const MESSAGING_READY: &str = "MessagingReady";
}

/// The reason of the condition of this type, if there is one with a reason that this version knows.
pub fn reason_of(conditions: &[Condition], kind: &str) -> Option<Reason> {
    let found = conditions.iter().find(|found| found.type_ == kind)?;
    Reason::read(&found.reason)
}

/// The custom resource definitions, in the order in which `crds/` lists them.
///
/// # Errors
/// If a definition has no JSON form; the test that compares `crds/` would fail too.
pub fn definitions() -> Result<Vec<CustomResourceDefinition>, serde_json::Error> {
    [
        PhoneNumber::crd(),
        ProviderAccount::crd(),
        ClusterProviderAccount::crd(),
    ]
    .into_iter()
    .map(finish)
    .collect()
}

/// Makes a generated definition one that Kubernetes users expect: `null` is refused rather than stored, and an object
/// has a status from its first moment, because kstatus takes an object without one for done.
fn finish(
    mut definition: CustomResourceDefinition,
) -> Result<CustomResourceDefinition, serde_json::Error> {
    definition.metadata.labels = Some(BTreeMap::from([(
        "app.kubernetes.io/name".to_owned(),
        "phonenumber-operator".to_owned(),
    )]));
    let mut value = serde_json::to_value(definition)?;
    forbid_null(&mut value);
    bound_conditions(&mut value);
    let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    if let Some(fields) = value.pointer_mut(fields).and_then(Value::as_object_mut) {
        fields.values_mut().for_each(record_is_atomic);
    }
    if let Some(status) =
        value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/status")
        && let Some(status) = status.as_object_mut()
    {
        let waiting = |kind: &str, status: &str| {
            json!({"type": kind, "status": status, "reason": Reason::Pending.to_string(),
                   "message": "Waiting for the operator.", "lastTransitionTime": "1970-01-01T00:00:00Z"})
        };
        let conditions = json!([
            waiting(condition::READY, "Unknown"),
            waiting(condition::RECONCILING, "True")
        ]);
        status.insert("default".into(), json!({"conditions": conditions}));
    }
    serde_json::from_value(value)
}

/// Has the API server keep track of a record in a status, or of an item of a list there, as a whole: the operator alone writes
/// it. A condition is still owned one by one, by its type.
fn record_is_atomic(field: &mut Value) {
    let record = match field.get_mut("items") {
        Some(_) => field.get_mut("items"),
        None => Some(field),
    };
    if let Some(record) = record.and_then(Value::as_object_mut)
        && record.get("type") == Some(&json!("object"))
    {
        record.insert("x-kubernetes-map-type".into(), json!("atomic"));
    }
}

/// Holds conditions to the limits that `metav1.Condition` states.
fn bound_conditions(definition: &mut Value) {
    let items = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/conditions/items/properties";
    let Some(fields) = definition.pointer_mut(items) else {
        return;
    };
    for (name, bounds) in [
        (
            "type",
            json!({"maxLength": 316,
                "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$"}),
        ),
        ("status", json!({"enum": ["True", "False", "Unknown"]})),
        (
            "reason",
            json!({"minLength": 1, "maxLength": 1024, "pattern": r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"}),
        ),
        ("message", json!({"maxLength": 32768})),
        ("observedGeneration", json!({"minimum": 0})),
    ] {
        if let (Some(field), Some(bounds)) = (
            fields.get_mut(name).and_then(Value::as_object_mut),
            bounds.as_object(),
        ) {
            field.extend(bounds.clone());
        }
    }
}

fn forbid_null(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("nullable");
            fields.values_mut().for_each(forbid_null);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        _ => {}
    }
}
