//! The fields in which two specs differ. Pure.

use std::collections::BTreeSet;

use serde_json::Value;

/// The paths of the fields in which the spec `new` differs from the spec `old`, sorted. A field that is not there is like null.
pub(super) fn differing(old: &Value, new: &Value) -> Vec<String> {
    let mut paths = BTreeSet::new();
    compare("spec", old, new, &mut paths);
    paths.into_iter().collect()
}

fn compare(path: &str, old: &Value, new: &Value, paths: &mut BTreeSet<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for name in old.keys().chain(new.keys()) {
                let of = |fields: &serde_json::Map<String, Value>| {
                    fields.get(name).cloned().unwrap_or_default()
                };
                compare(&format!("{path}.{name}"), &of(old), &of(new), paths);
            }
        }
        (old, new) if old != new => {
            paths.insert(path.to_owned());
        }
        _ => {}
    }
}
