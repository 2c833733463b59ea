//! What a row of the tables is, and the rows that are alike for many fields.

use serde_json::{Value, json};

use crate::manifests::with_spec;

/// A rule for new objects: two manifests, one on each side of it.
pub struct Row {
    pub rule: String,
    pub accepted: Value,
    pub refused: Value,
    /// All that is said about it.
    pub message: String,
}

/// A rule for changes: an object that exists, and two changes to it.
pub struct Transition {
    pub rule: &'static str,
    pub existing: Value,
    pub accepted: Value,
    pub refused: Value,
    pub message: &'static str,
}

/// Two changes to the spec of one manifest.
pub fn row(
    rule: impl Into<String>,
    base: Value,
    accepted: Value,
    refused: Value,
    message: impl Into<String>,
) -> Row {
    Row {
        rule: rule.into(),
        accepted: with_spec(base.clone(), &accepted),
        refused: with_spec(base, &refused),
        message: message.into(),
    }
}

/// `{"a": {"b": value}}` of `a.b`.
pub fn at(path: &str, value: impl Into<Value>) -> Value {
    path.rsplit('.')
        .fold(value.into(), |below, name| json!({ name: below }))
}

/// Text of at most `most` characters, and text of one more.
pub fn length(base: Value, path: &str, most: usize, text: impl Fn(usize) -> String) -> Row {
    row(
        format!("{path} is at most {most} characters long"),
        base,
        at(path, text(most)),
        at(path, text(most + 1)),
        format!("spec.{path}: Too long: may not be more than {most} bytes"),
    )
}

pub fn some_text(base: Value, path: &str) -> Row {
    row(
        format!("{path} is not empty"),
        base,
        at(path, "x"),
        at(path, ""),
        format!(
            r#"spec.{path}: Invalid value: "": spec.{path} in body should be at least 1 chars long"#
        ),
    )
}

pub fn pattern(base: Value, path: &str, good: &str, bad: &str, pattern: &str) -> Row {
    row(
        format!("{path} matches {pattern}: {good:?} does, {bad:?} does not"),
        base,
        at(path, good),
        at(path, bad),
        format!(
            "spec.{path}: Invalid value: {bad:?}: spec.{path} in body should match '{pattern}'"
        ),
    )
}

pub fn one_of(base: Value, path: &str, bad: &str, values: &[&str]) -> Vec<Row> {
    let supported: Vec<_> = values.iter().map(|value| format!("{value:?}")).collect();
    let row = |value: &&str| {
        row(
            format!("{path} may be {value}"),
            base.clone(),
            at(path, *value),
            at(path, bad),
            format!(
                "spec.{path}: Unsupported value: {bad:?}: supported values: {}",
                supported.join(", ")
            ),
        )
    };
    values.iter().map(row).collect()
}

/// Names of objects, as Kubernetes wants them.
pub fn object_name(base: Value, path: &str) -> Vec<Row> {
    let name = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$";
    vec![
        pattern(base.clone(), path, "x", "", name),
        pattern(base.clone(), path, "a-1.b", "../b?x=y", name),
        length(base, path, 253, |n| "a".repeat(n)),
    ]
}

/// An amount in a currency.
pub fn money(base: Value, path: &str) -> Vec<Row> {
    let (amount, currency) = (format!("{path}.amount"), format!("{path}.currency"));
    let base = with_spec(
        base,
        &at(path, json!({"amount": "2.00", "currency": "USD"})),
    );
    let digits = r"^[0-9]{1,9}(\.[0-9]{1,6})?$";
    vec![
        pattern(base.clone(), &amount, "2", "-1", digits),
        pattern(base.clone(), &amount, "0.000001", "1,5", digits),
        length(base.clone(), &amount, 16, |n| {
            format!("123456789.{}", "1".repeat(n - 10))
        }),
        pattern(base.clone(), &currency, "EUR", "usd", "^[A-Z]{3}$"),
        length(base.clone(), &currency, 3, |n| "E".repeat(n)),
        row(
            format!("{path} has an amount"),
            base.clone(),
            json!({}),
            at(&amount, Value::Null),
            format!("spec.{amount}: Required value"),
        ),
        row(
            format!("{path} has a currency"),
            base,
            json!({}),
            at(&currency, Value::Null),
            format!("spec.{currency}: Required value"),
        ),
    ]
}

/// A whole number between two bounds.
pub fn between(base: Value, path: &str, least: i64, most: Option<i64>) -> Vec<Row> {
    let says = |bad: i64, how: &str, bound: i64| {
        format!(
            "spec.{path}: Invalid value: {bad}: spec.{path} in body should be {how} than or equal to {bound}"
        )
    };
    let mut rows = vec![row(
        format!("{path} is at least {least}"),
        base.clone(),
        at(path, least),
        at(path, least - 1),
        says(least - 1, "greater", least),
    )];
    rows.extend(most.map(|most| {
        row(
            format!("{path} is at most {most}"),
            base,
            at(path, most),
            at(path, most + 1),
            says(most + 1, "less", most),
        )
    }));
    rows
}

pub fn telnyx_ids(base: Value, field: &str) -> Vec<Row> {
    let path = format!("telnyx.{field}");
    let id = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
    vec![
        pattern(base.clone(), &path, id, "a_b", "^[0-9a-zA-Z-]+$"),
        pattern(base.clone(), &path, "0", "", "^[0-9a-zA-Z-]+$"),
        length(base, &path, 64, |n| "a".repeat(n)),
    ]
}

pub fn telnyx_connection(base: Value) -> Vec<Row> {
    let path = "telnyx.connectionId";
    vec![
        pattern(base.clone(), path, "1293384261075731499", "id", "^[0-9]+$"),
        pattern(base.clone(), path, "0", "", "^[0-9]+$"),
        length(base, path, 32, |n| "1".repeat(n)),
    ]
}
