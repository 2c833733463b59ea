//! One table of what a person may write and what is refused, with the words of the refusal. Every rule and every limit of the
//! definitions has a row, or a test fails.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::manifests::{Kind, least, least_as_stored};
use crate::row::{Row, Transition};
use crate::schema::{limits, messages, schema};
use crate::{accounts, numbers};

const UNTRIED: &str = ", <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation]";

fn rows(kind: Kind) -> Vec<Row> {
    let accepted = least(kind, "twilio", "row");
    let mut refused = accepted.clone();
    refused.as_object_mut().unwrap().remove("spec");
    let mut rows = match kind {
        Kind::PhoneNumber => numbers::rows(),
        _ => accounts::rows(kind),
    };
    rows.push(Row {
        rule: "there is a spec".to_owned(),
        accepted,
        refused,
        message: "spec: Required value".to_owned(),
    });
    rows
}

fn transitions(kind: Kind) -> Vec<Transition> {
    match kind {
        Kind::PhoneNumber => numbers::transitions(),
        _ => accounts::transitions(kind),
    }
}

/// What the API server says is wrong, without the object's name, and without its remark that a limit was broken so badly that
/// no CEL rule was tried. A second complaint would stay, so that equality shows that there is one.
fn complaint(manifest: &Value, message: &str) -> String {
    let kind = Kind::of(manifest).name();
    let name = &manifest["metadata"]["name"];
    let all = message
        .strip_prefix(&format!("{kind}.telephony.burki.dev {name} is invalid: "))
        .unwrap_or(message);
    all.strip_prefix('[')
        .and_then(|list| list.strip_suffix(UNTRIED))
        .unwrap_or(all)
        .to_owned()
}

/// Both sides of every row, with all that went wrong.
async fn judge(cluster: &Cluster, rows: &[Row]) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in rows {
        let rule = &row.rule;
        if let Err(message) = cluster.try_create(&row.accepted).await {
            wrong.push(format!("{rule}\n  should be accepted, but: {message}"));
        }
        match cluster.try_create(&row.refused).await {
            Ok(_) => wrong.push(format!("{rule}\n  should be refused: {}", row.refused)),
            Err(message) if complaint(&row.refused, &message) == row.message => {}
            Err(message) => wrong.push(format!(
                "{rule}\n  expected: {}\n  says:     {message}",
                row.message
            )),
        }
    }
    wrong
}

#[tokio::test]
async fn every_rule_for_new_objects_accepts_and_refuses() {
    let cluster = Cluster::new("rules").await;
    for kind in Kind::ALL {
        let wrong = judge(&cluster, &rows(kind)).await;
        assert!(wrong.is_empty(), "{kind:?}\n{}", wrong.join("\n"));
    }
}

#[tokio::test]
async fn every_rule_for_changes_accepts_and_refuses() {
    let cluster = Cluster::new("transitions").await;
    for kind in Kind::ALL {
        for transition in transitions(kind) {
            let rule = transition.rule;
            cluster.create(&transition.existing).await.unwrap();
            let name = transition.existing["metadata"]["name"].as_str().unwrap();
            if let Some(status) = transition.existing.get("status") {
                cluster.set_status(kind, name, status).await.expect(rule);
            }
            cluster
                .try_change(kind, name, &transition.accepted)
                .await
                .expect(rule);
            let refused = cluster.try_change(kind, name, &transition.refused).await;
            let message = complaint(&transition.existing, &refused.expect_err(rule));
            assert_eq!(message, transition.message, "{kind:?}: {rule}");
        }
    }
}

/// A change of these is a change of the number's settings, never a new purchase: none may be frozen by mistake.
#[tokio::test]
async fn all_other_fields_may_be_set_changed_and_removed() {
    let cluster = Cluster::new("changes").await;
    let mut existing = least(Kind::PhoneNumber, "telnyx", "changed");
    cluster.create(&existing).await.unwrap();
    for [one, other] in [
        ["shared", "other"].map(|name| json!({"accountRef": {"name": name}})),
        [101, 102].map(|id| json!({"assistantId": id})),
        ["NYC", "LA"].map(|name| json!({"friendlyName": name})),
        ["https://a", "https://b"].map(|url| json!({"webhooks": {"voiceUrl": url, "smsUrl": url}})),
        ["1", "2"].map(|id| json!({"telnyx": {"connectionId": id, "billingGroupId": id}})),
        ["Release", "Retain"].map(|policy| json!({"deletionPolicy": policy})),
        [true, false].map(|on| json!({"deletionProtection": on})),
        [true, false].map(|on| json!({"suspend": on})),
        ["Required", "None"].map(|wish| json!({"messaging": wish})),
        ["Adopt", "Never"].map(|policy| json!({"adoptionPolicy": policy})),
        ["1", "2"].map(|amount| json!({"maxMonthlyCost": {"amount": amount, "currency": "USD"}})),
    ] {
        let field = one.as_object().unwrap().keys().next().unwrap().clone();
        for change in [one, other, json!({ field: null })] {
            existing = cluster
                .change(Kind::PhoneNumber, "changed", &change)
                .await
                .unwrap();
        }
    }
    assert_eq!(existing["spec"], least_as_stored("telnyx"));
}

#[test]
fn no_rule_and_no_limit_is_without_a_refusal() {
    for kind in Kind::ALL {
        let schema = schema(kind);
        let rows = rows(kind);
        let transitions = transitions(kind);
        let expected: Vec<&str> = rows
            .iter()
            .map(|row| row.message.as_str())
            .chain(transitions.iter().map(|transition| transition.message))
            .collect();
        let messages = messages(&schema);
        let limits = limits(&schema);
        assert!(
            messages.len() > 1 && limits.len() > 10,
            "{kind:?}: not read"
        );
        for message in messages {
            assert!(
                expected.iter().any(|words| words.contains(&message)),
                "{kind:?}: nothing expects {message:?}"
            );
        }
        for limit in limits {
            let (field, words) = (&limit.field, &limit.words);
            assert!(
                expected
                    .iter()
                    .any(|expected| expected.starts_with(&format!("{field}: "))
                        && expected.contains(words)),
                "{kind:?}: nothing expects {field}: {words}"
            );
        }
    }
}
