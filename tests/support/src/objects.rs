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

/// Merges `change` into `value` as a JSON merge patch does.
pub fn merge(value: &mut Value, change: Value) {
    match (value, change) {
        (Value::Object(value), Value::Object(change)) => {
            for (key, change) in change {
                if change.is_null() {
                    value.remove(&key);
                } else {
                    merge(value.entry(key).or_insert(Value::Null), change);
                }
            }
        }
        (value, change) => *value = change,
    }
}
