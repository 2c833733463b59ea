//! Which PhoneNumbers count as what.

use serde_json::{Value, json};

use super::*;
use crate::claim::ANNOTATION;

fn number(spec: Value, status: Value) -> PhoneNumber {
    let mut whole = json!({"provider": "twilio", "phoneNumber": "+12125550100"});
    let added = spec.as_object().cloned().unwrap_or_default();
    whole.as_object_mut().unwrap().extend(added);
    serde_json::from_value(json!({
        "apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
        "metadata": {"name": "nyc", "namespace": "support", "uid": "u1"},
        "spec": whole, "status": status,
    }))
    .unwrap()
}

fn with_reason(reason: &str) -> Value {
    json!([{"type": "Ready", "status": "False", "reason": reason, "message": "",
        "lastTransitionTime": "2026-01-02T03:04:05Z"}])
}

fn claimed(mut number: PhoneNumber) -> PhoneNumber {
    let claim = Claim::to_buy(
        "+12125550100".parse().unwrap(),
        AccountId::new("AC1"),
        &owner(&number),
        "u1",
        "nonce-1".into(),
        jiff::Timestamp::UNIX_EPOCH,
        jiff::Timestamp::UNIX_EPOCH,
    );
    let text = claim.to_annotation().unwrap();
    number.annotations_mut().insert(ANNOTATION.to_owned(), text);
    number
}

#[test]
fn a_claim_is_open_until_it_is_known_what_became_of_it() {
    let attempt = |outcome: &str, nonce: &str| json!({"nonce": nonce, "number": "+12125550100", "outcome": outcome});
    for (status, open) in [
        (json!({}), true),
        (json!({"conditions": with_reason("Verifying")}), true),
        (
            json!({"conditions": with_reason("CredentialsInvalid")}),
            true,
        ),
        (json!({"conditions": with_reason("AlreadyOwned")}), false),
        (
            json!({"conditions": with_reason("Verifying"), "id": "PN1"}),
            false,
        ),
        (
            json!({"conditions": with_reason("Verifying"), "orderId": "O1"}),
            false,
        ),
        (
            json!({"conditions": with_reason("ProviderUnavailable"), "attempt": attempt("NotSent", "nonce-1")}),
            false,
        ),
        (
            json!({"conditions": with_reason("ProviderUnavailable"), "attempt": attempt("Rejected", "earlier")}),
            true,
        ),
        (
            json!({"conditions": with_reason("Verifying"), "attempt": attempt("Unknown", "nonce-1")}),
            true,
        ),
    ] {
        let number = number(json!({}), status.clone());
        assert_eq!(open_since(&number), None, "without a claim: {status}");
        assert_eq!(open_since(&claimed(number)).is_some(), open, "{status}");
    }
}

#[test]
fn a_number_is_in_one_state() {
    for (spec, status, wanted, why) in [
        (json!({}), json!({}), "working", "Pending"),
        (
            json!({}),
            json!({"conditions": with_reason("Ready")}),
            "ready",
            "Ready",
        ),
        (
            json!({}),
            json!({"conditions": with_reason("LimitReached")}),
            "waiting",
            "LimitReached",
        ),
        (
            json!({}),
            json!({"conditions": with_reason("Lost")}),
            "stalled",
            "Lost",
        ),
        (
            json!({}),
            json!({"conditions": with_reason("made up")}),
            "working",
            "Pending",
        ),
        (
            json!({"suspend": true}),
            json!({"conditions": with_reason("Lost")}),
            "suspended",
            "Lost",
        ),
    ] {
        let number = number(spec, status);
        assert_eq!(
            (state(&number), reason(&number).to_string().as_str()),
            (wanted, why)
        );
    }
    let mut leaving = number(json!({"suspend": true}), json!({}));
    leaving.metadata.deletion_timestamp =
        serde_json::from_value(json!("2026-01-02T03:04:05Z")).unwrap();
    assert_eq!(state(&leaving), "deleting");
}

#[test]
fn only_what_is_held_costs_and_currencies_are_not_mixed() {
    let cost = |currency: &str| json!({"monthly": "1.15", "upfront": "0", "currency": currency});
    let mut figures = AccountMetrics::default();
    for (currency, id) in [
        ("USD", Some("PN1")),
        ("USD", Some("PN2")),
        ("EUR", Some("PN3")),
        ("USD", None),
    ] {
        count(
            &number(json!({}), json!({"id": id, "cost": cost(currency)})),
            &mut figures,
            None,
        );
    }
    assert_eq!(
        figures.monthly_cost,
        BTreeMap::from([("EUR".to_owned(), 1.15), ("USD".to_owned(), 2.3)])
    );
}

#[test]
fn the_oldest_open_claim_tells_the_age() {
    let mut figures = AccountMetrics::default();
    let now = Timestamp::from_second(90).unwrap();
    count(&number(json!({}), json!({})), &mut figures, Some(now));
    assert_eq!(
        (figures.unknown_outcomes, figures.unknown_outcome_age),
        (0, 0.0)
    );
    let open = claimed(number(json!({}), json!({})));
    count(&open, &mut figures, Some(now));
    assert_eq!(
        (figures.unknown_outcomes, figures.unknown_outcome_age),
        (1, 90.0)
    );
}
