//! What the API server does with an object before it evaluates rules: it drops fields that the schema does not know, and refuses
//! values of a wrong form. Pure. It knows what the schemas of this project use, and no more of OpenAPI.

use std::collections::HashMap;

use regex::Regex;
use serde_json::{Map, Value};

/// The patterns of a schema, each compiled once.
#[derive(Debug, Default)]
pub(super) struct Patterns(HashMap<String, Regex>);

impl Patterns {
    /// The patterns in `schema`.
    ///
    /// # Errors
    /// If one is no regular expression.
    pub(super) fn of(schema: &Value) -> Result<Self, regex::Error> {
        let mut patterns = Self::default();
        patterns.collect(schema)?;
        Ok(patterns)
    }

    fn collect(&mut self, schema: &Value) -> Result<(), regex::Error> {
        match schema {
            Value::Object(fields) => {
                if let Some(Value::String(pattern)) = fields.get("pattern") {
                    self.0.insert(pattern.clone(), Regex::new(pattern)?);
                }
                fields.values().try_for_each(|value| self.collect(value))
            }
            Value::Array(items) => items.iter().try_for_each(|value| self.collect(value)),
            _ => Ok(()),
        }
    }
}

/// [`prune`] for a whole object: what every object has stays, whatever its schema says of it.
pub(super) fn prune_object(object: &mut Value, schema: &Value) -> Vec<String> {
    let common = |fields: &mut Map<String, Value>| {
        ["apiVersion", "kind", "metadata"].map(|name| fields.remove_entry(name))
    };
    let kept = object.as_object_mut().map(common);
    let unknown = prune(object, schema);
    if let Some(fields) = object.as_object_mut() {
        fields.extend(kept.into_iter().flatten().flatten());
    }
    unknown
}

/// Takes out of `value` what `schema` does not know, and returns the paths of that. Null goes where a default takes its place.
fn prune(value: &mut Value, schema: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.unwrap_or(&empty);
    if let Value::Object(fields) = value {
        for (name, schema) in properties {
            match fields.get_mut(name) {
                Some(Value::Null) if schema.get("default").is_some() => {
                    fields.remove(name);
                }
                Some(field) => unknown.extend(prune_at(name, field, schema)),
                None => {}
            }
        }
        if properties.is_empty() || schema.get("additionalProperties").is_some() {
            return unknown;
        }
        let strange: Vec<String> = fields.keys().cloned().collect();
        for name in strange
            .iter()
            .filter(|name| !properties.contains_key(*name))
        {
            fields.remove(name);
            unknown.push(name.clone());
        }
    }
    unknown
}

fn prune_at(name: &str, field: &mut Value, schema: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    if let (Value::Array(items), Some(schema)) = (&mut *field, schema.get("items")) {
        for (at, item) in items.iter_mut().enumerate() {
            let of_item = prune(item, schema).into_iter();
            unknown.extend(of_item.map(|path| format!("{name}[{at}].{path}")));
        }
    }
    let of_field = prune(field, schema).into_iter();
    unknown.extend(of_field.map(|path| format!("{name}.{path}")));
    unknown
}

/// What is wrong with the form of `value`, which stands at `path`, by `schema`.
pub(super) fn faults(
    value: &Value,
    schema: &Value,
    path: &str,
    patterns: &Patterns,
) -> Vec<String> {
    let wrong = |why: String| vec![format!("{path}: {why}")];
    if let Some(kind) = schema.get("type").and_then(Value::as_str)
        && !is_of(value, kind)
    {
        return wrong(format!("must be of type {kind}, and is {value}"));
    }
    if let Some(Value::Array(words)) = schema.get("enum")
        && !words.contains(value)
    {
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        return wrong(format!("{value} is not one of {}", words.join(", ")));
    }
    let bound = |field: &str| schema.get(field).and_then(Value::as_f64);
    match value {
        Value::String(text) => {
            let length = text.chars().count();
            faults_of_size(length, "characters", bound("minLength"), bound("maxLength"))
                .or_else(|| unlike(text, schema, patterns))
                .map_or_else(Vec::new, wrong)
        }
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or_default();
            let is_low = bound("minimum").is_some_and(|least| number < least);
            let is_high = bound("maximum").is_some_and(|most| number > most);
            match (is_low, is_high) {
                (true, _) => wrong(format!("{value} is too low")),
                (_, true) => wrong(format!("{value} is too high")),
                _ => Vec::new(),
            }
        }
        Value::Array(items) => {
            let size = faults_of_size(items.len(), "items", bound("minItems"), bound("maxItems"));
            let twice = repeated(items, schema);
            let mut found = size.or(twice).map_or_else(Vec::new, wrong);
            if let Some(schema) = schema.get("items") {
                for (at, item) in items.iter().enumerate() {
                    found.extend(faults(item, schema, &format!("{path}[{at}]"), patterns));
                }
            }
            found
        }
        Value::Object(fields) => faults_of_fields(fields, schema, path, patterns),
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

fn faults_of_fields(
    fields: &Map<String, Value>,
    schema: &Value,
    path: &str,
    patterns: &Patterns,
) -> Vec<String> {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    let most = schema.get("maxProperties").and_then(Value::as_f64);
    let size = faults_of_size(fields.len(), "fields", None, most);
    let mut found: Vec<String> = size
        .map(|why| format!("{path}: {why}"))
        .into_iter()
        .collect();
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(format!("{} is missing", below(name)));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, field) in fields {
        let known = properties.and_then(|properties| properties.get(name));
        if let Some(schema) = known.or_else(|| schema.get("additionalProperties")) {
            found.extend(faults(field, schema, &below(name), patterns));
        }
    }
    found
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

fn faults_of_size(
    size: usize,
    what: &str,
    least: Option<f64>,
    most: Option<f64>,
) -> Option<String> {
    let counted = u32::try_from(size).map_or(f64::MAX, f64::from);
    match (least, most) {
        (Some(least), _) if counted < least => Some(format!("must have at least {least} {what}")),
        (_, Some(most)) if counted > most => Some(format!("must have at most {most} {what}")),
        _ => None,
    }
}

fn unlike(text: &str, schema: &Value, patterns: &Patterns) -> Option<String> {
    let pattern = schema.get("pattern")?.as_str()?;
    let is_like = patterns.0.get(pattern).is_some_and(|it| it.is_match(text));
    (!is_like).then(|| format!("{text:?} must match {pattern}"))
}

fn repeated(items: &[Value], schema: &Value) -> Option<String> {
    let is_set = schema.get("x-kubernetes-list-type").and_then(Value::as_str) == Some("set");
    let twice = items.iter().enumerate().find(|(at, item)| {
        let before = items.get(..*at).unwrap_or_default();
        before.contains(item)
    });
    let (_, item) = twice.filter(|_| is_set)?;
    Some(format!("{item} is there twice"))
}

/// Puts the items of sets in order: for a rule two sets are equal whatever their order.
pub(super) fn order_sets(value: &mut Value, schema: &Value) {
    match value {
        Value::Array(items) => {
            if schema.get("x-kubernetes-list-type").and_then(Value::as_str) == Some("set") {
                items.sort_by_cached_key(ToString::to_string);
            }
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| order_sets(item, schema));
            }
        }
        Value::Object(fields) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, schema) in properties.into_iter().flatten() {
                if let Some(field) = fields.get_mut(name) {
                    order_sets(field, schema);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string", "pattern": "^[a-zé]+$", "maxLength": 3, "minLength": 1},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
            "kind": {"type": "string", "enum": ["a", "b"], "default": "a"},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "minItems": 1, "maxItems": 2,
                "items": {"type": "string"}},
            "labels": {"type": "object", "maxProperties": 1, "additionalProperties": {"type": "string"}},
            "deep": {"type": "array", "items": {"type": "object", "properties": {"on": {"type": "boolean"}}}},
        }})
    }

    fn found(value: Value) -> Vec<String> {
        let schema = schema();
        faults(&value, &schema, "", &Patterns::of(&schema).unwrap())
    }

    #[test]
    fn each_form_is_asked_for() {
        let good = json!({"name": "éé", "count": 9, "kind": "b", "set": ["y", "x"], "labels": {"a": "b"},
            "deep": [{"on": true}]});
        assert_eq!(found(good), Vec::<String>::new());
        for (wrong, says) in [
            (json!({}), "name is missing"),
            (json!({"name": 7}), "name: must be of type string, and is 7"),
            (
                json!({"name": null}),
                "name: must be of type string, and is null",
            ),
            (json!({"name": ""}), "name: must have at least 1 characters"),
            (
                json!({"name": "éééé"}),
                "name: must have at most 3 characters",
            ),
            (json!({"name": "A"}), "name: \"A\" must match ^[a-zé]+$"),
            (json!({"name": "a", "count": 0}), "count: 0 is too low"),
            (json!({"name": "a", "count": 10}), "count: 10 is too high"),
            (
                json!({"name": "a", "count": 1.5}),
                "count: must be of type integer, and is 1.5",
            ),
            (
                json!({"name": "a", "kind": "c"}),
                "kind: \"c\" is not one of \"a\", \"b\"",
            ),
            (
                json!({"name": "a", "set": []}),
                "set: must have at least 1 items",
            ),
            (
                json!({"name": "a", "set": ["a", "b", "c"]}),
                "set: must have at most 2 items",
            ),
            (
                json!({"name": "a", "set": ["a", "a"]}),
                "set: \"a\" is there twice",
            ),
            (
                json!({"name": "a", "set": [1]}),
                "set[0]: must be of type string, and is 1",
            ),
            (
                json!({"name": "a", "labels": {"a": 1}}),
                "labels.a: must be of type string, and is 1",
            ),
            (
                json!({"name": "a", "labels": {"a": "", "b": ""}}),
                "labels: must have at most 1 fields",
            ),
            (
                json!({"name": "a", "deep": [{"on": 1}]}),
                "deep[0].on: must be of type boolean, and is 1",
            ),
        ] {
            assert_eq!(found(wrong.clone()), [says], "{wrong}");
        }
    }

    #[test]
    fn unknown_fields_go_and_are_named() {
        let mut value = json!({"name": "a", "nmae": 1, "kind": null, "labels": {"any": "x"},
            "deep": [{"on": true, "of": 1}]});
        assert_eq!(prune(&mut value, &schema()), ["deep[0].of", "nmae"]);
        let kept = json!({"name": "a", "labels": {"any": "x"}, "deep": [{"on": true}]});
        assert_eq!(value, kept);
    }

    #[test]
    fn sets_are_put_in_order() {
        let mut value = json!({"set": ["y", "x"], "deep": [2, 1]});
        order_sets(&mut value, &schema());
        assert_eq!(value, json!({"set": ["x", "y"], "deep": [2, 1]}));
    }
}
