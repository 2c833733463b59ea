//! Whether the API server accepts an object: by the schema of its custom resource definition and by the rules in it. Pure.
//!
//! The chart's ValidatingAdmissionPolicies are not evaluated: they depend on who asks.

use std::collections::BTreeMap;

use kube_cel::{CompiledSchema, ErrorKind, ValidationError, Validator, compile_schema};
use regex::Regex;
use serde_json::{Value, json};

use super::manifests::Kind;
use super::structure::{Patterns, faults, order_sets, prune_object};
use crate::error::Error;

/// Where the schema stands in a definition. There is one version.
const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

/// The names of objects, as Kubernetes wants them.
const NAME: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// The longest name of an object.
const LONGEST_NAME: usize = 253;

/// The custom resource definitions, ready to check objects with.
pub(super) struct Definitions {
    kinds: BTreeMap<Kind, Definition>,
    validator: Validator,
    name: Regex,
}

struct Definition {
    schema: Value,
    compiled: CompiledSchema,
    patterns: Patterns,
}

/// An object before it is changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Old<'a> {
    /// The object.
    pub(super) object: &'a Value,
    /// True if its status is in it; false if there is none to know.
    pub(super) has_status: bool,
}

/// What the API server makes of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Checked {
    /// The object as it is stored: with defaults, without unknown fields, with the status that it had.
    pub(super) object: Value,
    /// Why it is refused; empty if it is accepted.
    pub(super) refusals: Vec<String>,
    /// What it has that is not stored.
    pub(super) unknown: Vec<String>,
    /// The rules whose answer depends on what is not known here.
    pub(super) unchecked: Vec<String>,
}

impl Definitions {
    /// The definitions of this version.
    ///
    /// # Errors
    /// If one has no JSON form or a pattern that is no regular expression.
    pub(super) fn of_this_version() -> Result<Self, Error> {
        let broken = |why: String| Error::Manifest(format!("the definitions are broken: {why}"));
        let definitions =
            phonenumber_api::definitions().map_err(|error| broken(error.to_string()))?;
        let mut kinds = BTreeMap::new();
        for definition in definitions {
            let kind = match definition.spec.names.kind.as_str() {
                "PhoneNumber" => Kind::PhoneNumber,
                "ProviderAccount" => Kind::ProviderAccount,
                _ => Kind::ClusterProviderAccount,
            };
            let value =
                serde_json::to_value(&definition).map_err(|error| broken(error.to_string()))?;
            let schema = value.pointer(SCHEMA).cloned().unwrap_or_default();
            let patterns = Patterns::of(&schema).map_err(|error| broken(error.to_string()))?;
            let compiled = compile_schema(&schema);
            let definition = Definition {
                schema,
                compiled,
                patterns,
            };
            kinds.insert(kind, definition);
        }
        let name = Regex::new(NAME).map_err(|error| broken(error.to_string()))?;
        Ok(Self {
            kinds,
            validator: Validator::new(),
            name,
        })
    }

    /// What the API server makes of `object`, which replaces `old` if that exists.
    pub(super) fn check(&self, kind: Kind, object: &Value, old: Option<Old<'_>>) -> Checked {
        let Some(definition) = self.kinds.get(&kind) else {
            return Checked {
                object: object.clone(),
                ..Checked::default()
            };
        };
        let schema = &definition.schema;
        let mut object = object.clone();
        let status = old.and_then(|old| old.object.get("status"));
        replace_status(&mut object, status);
        let unknown = prune_object(&mut object, schema);
        let object = kube_cel::apply_defaults(schema, &object);
        let mut refusals: Vec<String> = self.misnamed(&object).into_iter().collect();
        refusals.extend(faults(&object, schema, "", &definition.patterns));
        let mut unchecked = Vec::new();
        if refusals.is_empty() {
            (refusals, unchecked) = self.by_rules(definition, &object, old);
        }
        Checked {
            object,
            refusals,
            unknown,
            unchecked,
        }
    }

    fn misnamed(&self, object: &Value) -> Option<String> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let is_name = name.is_some_and(|it| it.len() <= LONGEST_NAME && self.name.is_match(it));
        (!is_name).then(|| {
            "metadata.name: must be small letters, digits, '-' and '.', and begin and end with a letter or digit"
                .to_owned()
        })
    }

    /// What the rules refuse, and what they cannot decide.
    fn by_rules(
        &self,
        definition: &Definition,
        object: &Value,
        old: Option<Old<'_>>,
    ) -> (Vec<String>, Vec<String>) {
        let before = old.map(|old| old.object);
        let broken = self.broken_rules(definition, object, before);
        let mut refusals = Vec::new();
        let mut unchecked = Vec::new();
        for error in broken.iter() {
            match error.kind {
                ErrorKind::ValidationFailure => refusals.push(error.to_string()),
                _ => unchecked.push(format!("not checked: {error} ({})", error.rule)),
            }
        }
        // What depends on a status that nobody knows here is not decided.
        if let Some(old) = old.filter(|old| !old.has_status) {
            let mut held = old.object.clone();
            let number = object.pointer("/spec/phoneNumber").cloned();
            let number = number.unwrap_or_else(|| json!("+10000000000"));
            replace_status(&mut held, Some(&json!({"id": "x", "phoneNumber": number})));
            let if_held = self.broken_rules(definition, object, Some(&held));
            let differs = |one: &[ValidationError], other: &[ValidationError]| {
                let only = one.iter().filter(|error| !other.contains(error));
                only.map(ToString::to_string).collect::<Vec<_>>()
            };
            let only_without = differs(&broken, &if_held);
            refusals.retain(|refusal| !only_without.contains(refusal));
            let only_with = differs(&if_held, &broken);
            let open = only_without.into_iter().chain(only_with);
            unchecked.extend(open.map(|rule| {
                format!("not checked, because it depends on the status in the cluster: {rule}")
            }));
        }
        (refusals, unchecked)
    }

    fn broken_rules(
        &self,
        definition: &Definition,
        object: &Value,
        old: Option<&Value>,
    ) -> Vec<ValidationError> {
        let ordered = |value: &Value| {
            let mut value = kube_cel::apply_defaults(&definition.schema, value);
            order_sets(&mut value, &definition.schema);
            value
        };
        let (object, old) = (ordered(object), old.map(ordered));
        let checked = self
            .validator
            .validate_compiled(&definition.compiled, &object, old.as_ref());
        checked
            .err()
            .map(|errors| errors.into_vec())
            .unwrap_or_default()
    }
}

/// Only the operator writes a status: what a manifest says of it is not stored.
fn replace_status(object: &mut Value, status: Option<&Value>) {
    if let Value::Object(fields) = object {
        match status {
            Some(status) => fields.insert("status".to_owned(), status.clone()),
            None => fields.remove("status"),
        };
    }
}

#[cfg(test)]
mod tests;
