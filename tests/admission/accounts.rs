//! Every rule for a ProviderAccount and a ClusterProviderAccount.

use serde_json::{Value, json};

use crate::manifests::{Kind, least, with_spec};
use crate::row::{
    Row, Transition, at, between, length, money, object_name, one_of, pattern, row,
    telnyx_connection, telnyx_ids,
};

pub fn rows(kind: Kind) -> Vec<Row> {
    const PAIRED: &str = "spec: Required value: twilio must be set with provider twilio, telnyx with provider telnyx, and not the other";
    const ORIGIN: &str = r"^https?://[^\s/?#@]+$";
    const BASE: &str = r"^https://[^\s/?#@]+(/[^\s?#]*)?$";
    let twilio = || least(kind, "twilio", "row");
    let telnyx = || least(kind, "telnyx", "row");
    let burki = || {
        with_spec(
            twilio(),
            &json!({"burki": {"credentialsSecretRef": {"name": "b"}}}),
        )
    };
    let webhooks = || with_spec(twilio(), &json!({"webhooks": {"baseUrl": "https://h"}}));
    let keys = json!({"credentialsSecretRef": {"name": "keys"}});
    let mut bare = twilio();
    bare["spec"] = json!({"provider": "twilio"});
    let mut without_provider = twilio();
    without_provider["spec"]
        .as_object_mut()
        .unwrap()
        .remove("provider");

    let mut rows = vec![
        row(
            "there is a provider",
            without_provider,
            json!({"provider": "twilio"}),
            json!({}),
            "spec.provider: Required value",
        ),
        row(
            "the provider's own part is there",
            bare,
            json!({"twilio": keys}),
            json!({}),
            PAIRED,
        ),
        row(
            "twilio's part is not telnyx's",
            twilio(),
            json!({}),
            json!({"provider": "telnyx"}),
            PAIRED,
        ),
        row(
            "telnyx's part is not twilio's",
            telnyx(),
            json!({}),
            json!({"provider": "twilio"}),
            PAIRED,
        ),
        row(
            "twilio comes without telnyx",
            twilio(),
            json!({}),
            json!({"telnyx": keys}),
            PAIRED,
        ),
        row(
            "telnyx comes without twilio",
            telnyx(),
            json!({}),
            json!({"twilio": keys}),
            PAIRED,
        ),
        row(
            "the key of telnyx does not go to burki",
            telnyx(),
            json!({"burki": {"credentialsSecretRef": {"name": "burki"}}}),
            json!({"burki": {"credentialsSecretRef": telnyx()["spec"]["telnyx"]["credentialsSecretRef"]}}),
            "spec: Forbidden: burki must have a Secret of its own: otherwise the Telnyx key is sent to Burki",
        ),
        row(
            "webhooks have a base",
            twilio(),
            json!({"webhooks": {"baseUrl": "https://h"}}),
            json!({"webhooks": {}}),
            "spec.webhooks.baseUrl: Required value",
        ),
    ];
    rows.extend(one_of(
        telnyx(),
        "telnyx.connectionWebhook",
        "Ignore",
        &["Verify", "Manage"],
    ));
    rows.extend(one_of(
        twilio(),
        "limits.adoption",
        "Always",
        &["Never", "Unmarked", "Orphans"],
    ));
    let foreign =
        "spec.provider: Unsupported value: \"vonage\": supported values: \"twilio\", \"telnyx\"";
    rows.push(row(
        "there are two providers",
        twilio(),
        json!({}),
        json!({"provider": "vonage"}),
        foreign,
    ));
    for (base, part) in [
        (twilio(), "twilio"),
        (telnyx(), "telnyx"),
        (burki(), "burki"),
    ] {
        let reference = format!("{part}.credentialsSecretRef");
        let name = format!("{reference}.name");
        let mut without = base.clone();
        without["spec"][part] = json!({});
        rows.push(row(
            format!("{part} has credentials"),
            without.clone(),
            at(&name, "keys"),
            json!({}),
            format!("spec.{reference}: Required value"),
        ));
        rows.push(row(
            format!("the Secret of {part} has a name"),
            without,
            at(&name, "keys"),
            at(&reference, json!({})),
            format!("spec.{name}: Required value"),
        ));
        rows.extend(object_name(base, &name));
    }
    rows.extend(telnyx_ids(telnyx(), "messagingProfileId"));
    rows.extend(telnyx_connection(telnyx()));
    for (good, bad) in [
        ("http://127.0.0.1:8080", "https://api.burki.dev/"),
        ("https://burki.example.com", "burki.example.com"),
        (
            "https://[::1]:8443",
            "https://user:secret@burki.example.com",
        ),
    ] {
        rows.push(pattern(burki(), "burki.url", good, bad, ORIGIN));
    }
    rows.push(length(burki(), "burki.url", 256, |n| {
        format!("http://{}", "h".repeat(n - 7))
    }));
    for (good, bad) in [
        ("https://voice.example.com", "http://voice.example.com"),
        ("https://h:8443/a/b/", "https://user:secret@h"),
        ("https://h/", "https://h?x=y"),
        ("https://h/a@b", "https://h/a?x=y"),
    ] {
        rows.push(pattern(twilio(), "webhooks.baseUrl", good, bad, BASE));
    }
    rows.push(length(twilio(), "webhooks.baseUrl", 512, |n| {
        format!("https://{}", "h".repeat(n - 8))
    }));
    for path in ["webhooks.voicePath", "webhooks.smsPath"] {
        rows.push(pattern(webhooks(), path, "/sms?a=b", "sms", r"^/[^\s]*$"));
        rows.push(pattern(webhooks(), path, "/", "/a b", r"^/[^\s]*$"));
        rows.push(length(webhooks(), path, 256, |n| {
            format!("/{}", "p".repeat(n - 1))
        }));
    }
    rows.extend(between(
        twilio(),
        "limits.purchasesPerHour",
        0,
        Some(1_000_000),
    ));
    rows.extend(between(
        twilio(),
        "limits.releasesPerHour",
        0,
        Some(1_000_000),
    ));
    rows.extend(between(twilio(), "limits.maxNumbers", 0, Some(1_000_000)));
    rows.extend(between(
        twilio(),
        "limits.maxConcurrentRequests",
        1,
        Some(256),
    ));
    rows.extend(money(twilio(), "balance.warnBelow"));
    rows.extend(money(twilio(), "balance.minimum"));
    rows.extend(money(twilio(), "limits.maxMonthlyCost"));
    rows.extend(money(twilio(), "limits.maxUpfrontCost"));
    let delay = "limits.releaseDelay";
    for (good, bad) in [("72h", "3d"), ("1h30m", "30m1h"), ("90m", "-90m")] {
        let forms = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$";
        rows.push(pattern(twilio(), delay, good, bad, forms));
    }
    rows.push(length(twilio(), delay, 16, |n| {
        format!("{}h", "1".repeat(n - 1))
    }));
    rows.push(row(
        format!("{delay} is not empty"),
        twilio(),
        at(delay, "0s"),
        at(delay, ""),
        format!(
            r#"spec.{delay}: Invalid value: "": spec.{delay} in body should be at least 2 chars long"#
        ),
    ));
    let limited = |field: &str, values: Vec<Value>| json!({"limits": {field: values}});
    for (field, good, bad, says) in [
        (
            "allowedCountries",
            "US",
            "us",
            r#"spec.limits.allowedCountries[0]: Invalid value: "us": spec.limits.allowedCountries[0] in body should match '^[A-Z]{2}$'"#,
        ),
        (
            "allowedCountries",
            "US",
            "USA",
            "spec.limits.allowedCountries[0]: Too long: may not be more than 2 bytes",
        ),
        (
            "allowedTypes",
            "local",
            "national",
            r#"spec.limits.allowedTypes[0]: Unsupported value: "national": supported values: "local", "mobile", "tollFree""#,
        ),
        (
            "allowedTypes",
            "mobile",
            "Local",
            r#"spec.limits.allowedTypes[0]: Unsupported value: "Local": supported values: "local", "mobile", "tollFree""#,
        ),
        (
            "allowedTypes",
            "tollFree",
            "tollfree",
            r#"spec.limits.allowedTypes[0]: Unsupported value: "tollfree": supported values: "local", "mobile", "tollFree""#,
        ),
    ] {
        rows.push(row(
            format!("{field} may hold {good} and not {bad}"),
            twilio(),
            limited(field, vec![json!(good)]),
            limited(field, vec![json!(bad)]),
            says,
        ));
    }
    for (field, value) in [("allowedCountries", "US"), ("allowedTypes", "local")] {
        rows.push(row(
            format!("{field} holds at most 64"),
            twilio(),
            limited(field, vec![json!(value); 64]),
            limited(field, vec![json!(value); 65]),
            format!("spec.limits.{field}: Too many: 65: must have at most 64 items"),
        ));
        rows.push(row(
            format!("{field} is absent or holds something"),
            twilio(),
            limited(field, vec![json!(value)]),
            limited(field, Vec::new()),
            format!("spec.limits.{field}: Invalid value: 0: spec.limits.{field} in body should have at least 1 items"),
        ));
    }
    if kind == Kind::ClusterProviderAccount {
        let some =
            |requirement: Value| json!({"allowedNamespaces": {"matchExpressions": [requirement]}});
        rows.push(row(
            "a requirement names a label",
            twilio(),
            some(json!({"key": "team", "operator": "Exists"})),
            some(json!({"operator": "Exists"})),
            "spec.allowedNamespaces.matchExpressions[0].key: Required value",
        ));
        rows.push(row(
            "a requirement says what it asks of the label",
            twilio(),
            some(json!({"key": "team", "operator": "In", "values": ["voice"]})),
            some(json!({"key": "team"})),
            "spec.allowedNamespaces.matchExpressions[0].operator: Required value",
        ));
        let requirement = |key: &str, operator: &str, values: &[String]| {
            some(json!({"key": key, "operator": operator, "values": values}))
        };
        let path = "spec.allowedNamespaces.matchExpressions";
        for operator in ["In", "NotIn", "Exists", "DoesNotExist"] {
            rows.push(row(
                format!("a label is compared by {operator}"),
                twilio(),
                requirement("team", operator, &[]),
                requirement("team", "Foo", &[]),
                format!(
                    "{path}[0].operator: Unsupported value: \"Foo\": supported values: \"In\", \"NotIn\", \
                     \"Exists\", \"DoesNotExist\""
                ),
            ));
        }
        rows.push(row(
            "a label has a name",
            twilio(),
            requirement("x", "Exists", &[]),
            requirement("", "Exists", &[]),
            format!(r#"{path}[0].key: Invalid value: "": {path}[0].key in body should be at least 1 chars long"#),
        ));
        rows.push(row(
            "a label's name is at most 317 characters long",
            twilio(),
            requirement(&"a".repeat(317), "Exists", &[]),
            requirement(&"a".repeat(318), "Exists", &[]),
            format!("{path}[0].key: Too long: may not be more than 317 bytes"),
        ));
        rows.push(row(
            "a label's value is at most 63 characters long",
            twilio(),
            requirement("team", "In", &["a".repeat(63)]),
            requirement("team", "In", &["a".repeat(64)]),
            format!("{path}[0].values[0]: Too long: may not be more than 63 bytes"),
        ));
        let many = |n: usize| -> Vec<String> { (0..n).map(|at| format!("v{at}")).collect() };
        rows.push(row(
            "a label has at most 64 values",
            twilio(),
            requirement("team", "In", &many(64)),
            requirement("team", "In", &many(65)),
            format!("{path}[0].values: Too many: 65: must have at most 64 items"),
        ));
        let requirements = |n: usize| {
            let each = json!({"key": "team", "operator": "Exists"});
            json!({"allowedNamespaces": {"matchExpressions": vec![each; n]}})
        };
        rows.push(row(
            "there are at most 64 requirements",
            twilio(),
            requirements(64),
            requirements(65),
            format!("{path}: Too many: 65: must have at most 64 items"),
        ));
        let labels = |n: usize| {
            let labels: serde_json::Map<_, _> =
                many(n).into_iter().map(|name| (name, json!("x"))).collect();
            json!({"allowedNamespaces": {"matchLabels": labels}})
        };
        rows.push(row(
            "there are at most 64 labels",
            twilio(),
            labels(64),
            labels(65),
            "spec.allowedNamespaces.matchLabels: Too many: 65: must have at most 64 items",
        ));
        rows.push(row(
            "no namespaces, all of them, or those with labels",
            twilio(),
            json!({"allowedNamespaces": {}}),
            json!({"allowedNamespaces": {"matchLabels": {"team": 1}}}),
            r#"spec.allowedNamespaces.matchLabels.team: Invalid value: "integer": spec.allowedNamespaces.matchLabels.team in body must be of type string: "integer""#,
        ));
    }
    rows
}

pub fn transitions(kind: Kind) -> Vec<Transition> {
    let other = json!({
        "provider": "telnyx",
        "twilio": null,
        "telnyx": {"credentialsSecretRef": {"name": "keys"}},
    });
    vec![Transition {
        rule: "a provider stays",
        existing: least(kind, "twilio", "account"),
        accepted: json!({"twilio": {"credentialsSecretRef": {"name": "others"}}}),
        refused: other,
        message: "spec.provider: Forbidden: must not be changed: create another account",
    }]
}
