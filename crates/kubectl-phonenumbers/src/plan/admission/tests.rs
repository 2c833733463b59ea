use super::*;

fn definitions() -> Definitions {
    Definitions::of_this_version().unwrap()
}

fn object(kind: Kind, spec: Value) -> Value {
    json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": kind.to_string(),
        "metadata": {"name": "row", "namespace": "support"}, "spec": spec})
}

fn number(spec: Value) -> Value {
    object(Kind::PhoneNumber, spec)
}

/// A change that a rule judges: the old spec and its status, the good and the bad new spec, and what is said of the bad one.
struct Row {
    kind: Kind,
    old: Option<(Value, Value)>,
    good: Value,
    bad: Value,
    says: &'static str,
}

fn row(good: Value, bad: Value, says: &'static str) -> Row {
    Row {
        kind: Kind::PhoneNumber,
        old: None,
        good,
        bad,
        says,
    }
}

fn change(old: Value, good: Value, bad: Value, says: &'static str) -> Row {
    Row {
        old: Some((old, json!({}))),
        ..row(good, bad, says)
    }
}

fn rows() -> Vec<Row> {
    const N: &str = "+12125551234";
    let twilio = json!({"provider": "twilio", "phoneNumber": N});
    let with = |change: Value| {
        let mut spec = twilio.clone();
        for (field, value) in change.as_object().unwrap() {
            spec[field] = value.clone();
        }
        spec
    };
    let search = |capabilities: &[&str]| json!({"provider": "twilio", "search": {"country": "US", "capabilities": capabilities}});
    let telnyx = |group: Value| json!({"provider": "telnyx", "phoneNumber": N, "telnyx": group});
    let account = |more: Value| {
        let mut spec =
            json!({"provider": "telnyx", "telnyx": {"credentialsSecretRef": {"name": "telnyx"}}});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        spec
    };
    let mut rows = vec![
        row(
            twilio.clone(),
            with(json!({"search": {"country": "US"}})),
            "one of phoneNumber and search must be set",
        ),
        row(
            with(json!({"adoptionPolicy": "Adopt"})),
            json!({"provider": "twilio", "search": {"country": "US"}, "adoptionPolicy": "Adopt"}),
            "Adopt must come with spec.phoneNumber",
        ),
        row(
            with(json!({"twilio": {}})),
            json!({"provider": "telnyx", "phoneNumber": N, "twilio": {}}),
            "must not be set unless provider is twilio",
        ),
        row(
            telnyx(json!({})),
            with(json!({"telnyx": {}})),
            "must not be set unless provider is telnyx",
        ),
        row(
            with(json!({"friendlyName": "é".repeat(18)})),
            with(json!({"friendlyName": "é".repeat(19)})),
            "must have at most 36 bytes",
        ),
        row(
            with(json!({"friendlyName": "pn1"})),
            with(json!({"friendlyName": "a pn1. b"})),
            "must not contain pn1.",
        ),
        change(
            twilio.clone(),
            with(json!({"assistantId": 7})),
            with(json!({"phoneNumber": "+12125551235"})),
            "spec.phoneNumber: must not be changed",
        ),
        change(
            twilio.clone(),
            twilio.clone(),
            json!({"provider": "telnyx", "phoneNumber": N}),
            "spec.provider: must not be changed",
        ),
        // The order of a set does not matter.
        change(
            search(&["voice", "sms"]),
            search(&["sms", "voice"]),
            search(&["sms"]),
            "spec.search: must not be changed",
        ),
        Row {
            old: Some((search(&[]), json!({"id": "PN1", "phoneNumber": N}))),
            ..row(
                twilio.clone(),
                with(json!({"phoneNumber": "+12125551235"})),
                "spec.search and spec.phoneNumber must not be exchanged",
            )
        },
        Row {
            old: Some((
                telnyx(json!({"requirementGroupId": "a"})),
                json!({"id": "1"}),
            )),
            ..row(
                telnyx(json!({"requirementGroupId": "a", "billingGroupId": "b"})),
                telnyx(json!({"requirementGroupId": "b"})),
                "requirementGroupId must not be changed after the purchase",
            )
        },
    ];
    let sid = format!("MG{}", "0".repeat(32));
    let texts = [
        json!({"webhooks": {"smsUrl": "https://voice.example.com/sms"}}),
        json!({"twilio": {"messagingServiceSid": sid}}),
        json!({"provider": "telnyx", "telnyx": {"messagingProfileId": "mp-1"}}),
    ];
    for wanted in texts {
        let mut unwanted = wanted.clone();
        unwanted["messaging"] = json!("None");
        rows.push(row(
            with(wanted),
            with(unwanted),
            "must not be set with messaging None",
        ));
    }
    for kind in [Kind::ProviderAccount, Kind::ClusterProviderAccount] {
        let of_kind = |row: Row| Row { kind, ..row };
        let burki =
            |secret: &str| account(json!({"burki": {"credentialsSecretRef": {"name": secret}}}));
        rows.push(of_kind(row(
            account(json!({})),
            account(json!({"provider": "twilio"})),
            "twilio must be set with provider twilio",
        )));
        rows.push(of_kind(row(
            burki("burki"),
            burki("telnyx"),
            "burki must have a Secret of its own",
        )));
        rows.push(of_kind(change(
            account(json!({})),
            account(json!({"webhooks": {"baseUrl": "https://voice.example.com"}})),
            json!({"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "twilio"}}}),
            "spec.provider: must not be changed",
        )));
    }
    rows
}

#[test]
fn each_rule_lets_what_it_should_pass_and_refuses_the_rest() {
    let definitions = definitions();
    let rows = rows();
    for row in &rows {
        let old = row.old.as_ref().map(|(spec, status)| {
            let mut old = object(row.kind, spec.clone());
            old["status"] = status.clone();
            definitions.check(row.kind, &old, None).object
        });
        let old = old.map(|mut old| {
            if let Some((_, status)) = &row.old {
                old["status"] = status.clone();
            }
            old
        });
        let check = |spec: &Value| {
            let old = old.as_ref().map(|object| Old {
                object,
                has_status: true,
            });
            definitions.check(row.kind, &object(row.kind, spec.clone()), old)
        };
        let good = check(&row.good);
        assert_eq!(good.refusals, Vec::<String>::new(), "{}", row.says);
        assert_eq!(good.unchecked, Vec::<String>::new(), "{}", row.says);
        let bad = check(&row.bad).refusals;
        assert!(
            bad.iter().any(|it| it.contains(row.says)),
            "{} {bad:?}",
            row.says
        );
    }
    let mut messages = Vec::new();
    for definition in definitions.kinds.values() {
        collect(&definition.schema, &mut messages);
    }
    assert!(messages.len() >= 15, "{messages:?}");
    for message in messages {
        let is_tried = rows.iter().any(|row| {
            let says = row.says.split_once(": ").map_or(row.says, |(_, says)| says);
            message.contains(says)
        });
        assert!(is_tried, "no row tries the rule that says: {message}");
    }
}

/// The messages of all rules in `schema`.
fn collect(schema: &Value, messages: &mut Vec<String>) {
    if let Some(rules) = schema.get("x-kubernetes-validations") {
        let rules = rules.as_array().unwrap().iter();
        messages.extend(rules.map(|rule| rule["message"].as_str().unwrap().to_owned()));
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|it| collect(it, messages)),
        Value::Array(items) => items.iter().for_each(|it| collect(it, messages)),
        _ => {}
    }
}

#[test]
fn defaults_are_filled_in_and_what_is_unknown_is_named() {
    let spec = json!({"provider": "twilio", "phoneNumber": "+12125551234", "suspended": true});
    let mut manifest = number(spec);
    manifest["status"] = json!({"id": "PN1"});
    let checked = definitions().check(Kind::PhoneNumber, &manifest, None);
    assert_eq!(checked.refusals, Vec::<String>::new());
    assert_eq!(checked.unknown, ["spec.suspended"]);
    assert_eq!(checked.object["spec"]["adoptionPolicy"], "Never");
    assert_eq!(checked.object["spec"].get("suspended"), None);
    assert_eq!(
        checked.object["status"].get("id"),
        None,
        "only the operator writes a status"
    );
}

#[test]
fn what_has_a_wrong_form_or_name_is_refused() {
    let mut manifest = number(json!({"provider": "vonage", "phoneNumber": 12125551234_u64}));
    manifest["metadata"]["name"] = json!("A");
    let checked = definitions().check(Kind::PhoneNumber, &manifest, None);
    let starts: Vec<_> = checked
        .refusals
        .iter()
        .map(|it| it.split(':').next().unwrap())
        .collect();
    assert_eq!(
        starts,
        ["metadata.name", "spec.phoneNumber", "spec.provider"]
    );
}

#[test]
fn what_depends_on_a_status_that_nobody_knows_is_not_decided() {
    let definitions = definitions();
    let old = number(json!({"provider": "twilio", "search": {"country": "US"}}));
    let check = |spec: Value, has_status: bool| {
        let old = Old {
            object: &old,
            has_status,
        };
        definitions.check(Kind::PhoneNumber, &number(spec), Some(old))
    };
    let pinned = json!({"provider": "twilio", "phoneNumber": "+12125551234"});
    let open = check(pinned.clone(), false);
    assert_eq!(open.refusals, Vec::<String>::new());
    assert!(
        open.unchecked[0].contains("depends on the status in the cluster"),
        "{open:?}"
    );
    assert_eq!(check(pinned, true).refusals.len(), 1);
    let other = json!({"provider": "telnyx", "search": {"country": "US"}});
    assert_eq!(check(other, false).refusals.len(), 1);
}
