//! Does a definition in a cluster keep what this version reads and writes? Pure.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use serde_json::Value;

/// A schema with this keeps fields that it does not name.
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// The versions and fields of `ours` that the definition in the cluster, `installed`, does not have, such as `.status.id`: the API
/// server drops them.
///
/// # Errors
/// If a schema has no JSON form.
pub fn lacking(
    ours: &CustomResourceDefinition,
    installed: &CustomResourceDefinition,
) -> Result<Vec<String>, serde_json::Error> {
    let mut found = Vec::new();
    for version in &ours.spec.versions {
        let mut served = installed.spec.versions.iter().filter(|it| it.served);
        let Some(theirs) = served.find(|theirs| theirs.name == version.name) else {
            found.push(format!("version {}", version.name));
            continue;
        };
        let schema = |of: &CustomResourceDefinitionVersion| {
            let schema = of.schema.as_ref();
            serde_json::to_value(schema.and_then(|schema| schema.open_api_v3_schema.as_ref()))
        };
        compare(&schema(version)?, &schema(theirs)?, "", &mut found);
    }
    Ok(found)
}

fn compare(ours: &Value, theirs: &Value, path: &str, found: &mut Vec<String>) {
    if theirs.get(PRESERVE) == Some(&Value::Bool(true)) {
        return;
    }
    let fields = ours.get("properties").and_then(Value::as_object);
    for (name, field) in fields.into_iter().flatten() {
        let path = format!("{path}.{name}");
        match theirs.get("properties").and_then(|fields| fields.get(name)) {
            Some(known) => compare(field, known, &path, found),
            None => found.push(path),
        }
    }
    for below in ["items", "additionalProperties"] {
        if let (Some(ours), Some(theirs)) = (ours.get(below), theirs.get(below)) {
            compare(ours, theirs, path, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_that_an_older_definition_would_drop_are_named() {
        let ours = &crate::definitions().unwrap()[0];
        assert!(lacking(ours, ours).unwrap().is_empty());
        let whole = serde_json::to_value(ours).unwrap();
        let with = |change: &dyn Fn(&mut Value)| {
            let mut older = whole.clone();
            change(&mut older);
            lacking(ours, &serde_json::from_value(older).unwrap()).unwrap()
        };
        let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
        let without = |path: &str, name: &str| {
            with(&|older| {
                let fields = older.pointer_mut(&format!("{fields}{path}")).unwrap();
                fields.as_object_mut().unwrap().remove(name).unwrap();
            })
        };
        assert_eq!(without("", "attempt"), [".status.attempt"]);
        assert_eq!(without("", "id"), [".status.id"]);
        let below = without("/attempt/properties", "outcome");
        assert_eq!(below, [".status.attempt.outcome"]);
        let of_items = without("/conditions/items/properties", "reason");
        assert_eq!(of_items, [".status.conditions.reason"]);
        let renamed = with(&|older| older["spec"]["versions"][0]["name"] = json!("v1"));
        assert_eq!(renamed, ["version v1alpha1"]);
        let unserved = with(&|older| older["spec"]["versions"][0]["served"] = json!(false));
        assert_eq!(unserved, ["version v1alpha1"]);
        let keeps_all = with(&|older| {
            let schema = json!({"type": "object", PRESERVE: true});
            older["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema;
        });
        assert!(keeps_all.is_empty());
    }
}
