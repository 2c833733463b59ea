//! Objects of a cluster, written as JSON.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Creates an object, and returns it as the API server has it.
pub async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize,
{
    let object: K = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap()
}

/// Merges `spec` into the spec of an object.
pub async fn change_spec<K>(api: &Api<K>, name: &str, spec: Value)
where
    K: Clone + Debug + DeserializeOwned,
{
    let patch = Patch::Merge(json!({"spec": spec}));
    let changed = api.patch(name, &PatchParams::default(), &patch).await;
    changed.unwrap();
}

/// Merges `patch` into `value` as RFC 7386 says: what is null in it is removed.
pub fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        value.clone_from(patch);
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    let Value::Object(fields) = value else {
        return;
    };
    for (name, change) in patch {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), change);
        }
    }
}
