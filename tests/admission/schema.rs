//! Every rule of the definitions in `crds/`, read from the files, so that none is left without a case.

use std::fs;

use serde_json::Value;
use test_support::root;

use crate::manifests::Kind;

/// Keywords that limit no value of a field by themselves.
const HARMLESS: &[&str] = &[
    "additionalProperties",
    "default",
    "description",
    "format",
    "items",
    "properties",
    "title",
    "type",
    // How managers share a value, not what it may be.
    "x-kubernetes-map-type",
    // Collected by `messages`.
    "x-kubernetes-validations",
];

/// What the API server says when a limit of one field is broken: the field, and words about it.
pub struct Limit {
    pub field: String,
    pub words: String,
}

/// The schema of the whole object.
pub fn schema(kind: Kind) -> Value {
    let file = root().join(format!("crds/{}.yaml", kind.plural()));
    let definition: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let versions = definition["spec"]["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1, "these tests know one version");
    versions[0]["schema"]["openAPIV3Schema"].clone()
}

/// The message of every CEL rule, wherever it is in the schema.
pub fn messages(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(fields) => {
            let rules = schema["x-kubernetes-validations"].as_array();
            let own = rules.into_iter().flatten().map(|rule| {
                let message = rule["message"].as_str();
                message.expect("a rule without a message").to_owned()
            });
            own.chain(fields.values().flat_map(messages)).collect()
        }
        Value::Array(values) => values.iter().flat_map(messages).collect(),
        _ => Vec::new(),
    }
}

/// Every limit of the spec. People do not write the status, and the API server ignores it when they do.
pub fn limits(schema: &Value) -> Vec<Limit> {
    let mut limits = required(schema, "");
    walk(&schema["properties"]["spec"], "spec", &mut limits);
    limits
}

fn required(schema: &Value, prefix: &str) -> Vec<Limit> {
    let names = schema["required"].as_array().into_iter().flatten();
    names
        .map(|name| Limit {
            field: format!("{prefix}{}", name.as_str().unwrap()),
            words: "Required value".to_owned(),
        })
        .collect()
}

fn walk(schema: &Value, field: &str, limits: &mut Vec<Limit>) {
    for (keyword, value) in schema.as_object().unwrap() {
        let words = match keyword.as_str() {
            "required" => {
                limits.extend(required(schema, &format!("{field}.")));
                continue;
            }
            "enum" => {
                let values = value.as_array().unwrap().iter();
                let values: Vec<_> = values.map(Value::to_string).collect();
                format!("supported values: {}", values.join(", "))
            }
            "pattern" => format!("should match '{}'", value.as_str().unwrap()),
            "maxLength" => format!("may not be more than {value} bytes"),
            "maxItems" | "maxProperties" => format!("must have at most {value} items"),
            "minItems" => format!("should have at least {value} items"),
            "x-kubernetes-list-type" => match value.as_str() {
                Some("set") => "Duplicate value".to_owned(),
                _ => continue,
            },
            "minLength" => format!("should be at least {value} chars long"),
            "minimum" => {
                let least = value.as_f64().unwrap();
                format!("should be greater than or equal to {least}")
            }
            "maximum" => {
                let most = value.as_f64().unwrap();
                format!("should be less than or equal to {most}")
            }
            keyword if HARMLESS.contains(&keyword) => continue,
            keyword => panic!("{field}: how does the API server word a broken {keyword}?"),
        };
        let field = field.to_owned();
        limits.push(Limit { field, words });
    }
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        walk(below, &format!("{field}.{name}"), limits);
    }
    if let Some(items) = schema.get("items") {
        walk(items, &format!("{field}[0]"), limits);
    }
    if let Some(values) = schema.get("additionalProperties") {
        walk(values, &format!("{field}.key"), limits);
    }
}
