//! Tests of `index`.

use super::*;
use crate::account::{ClaimVisitor, OtherClaims, Version};
use crate::api::PhoneNumberStatus;
use crate::claim::Intent;
use serde_json::json;

/// What the claims cost that it is told.
#[derive(Default)]
struct Costs(Vec<String>);

impl ClaimVisitor for Costs {
    fn version(&self) -> Version {
        Version::default()
    }

    fn visit(&mut self, _: &E164, monthly: Amount, is_counted: bool) -> bool {
        assert!(!is_counted, "no status tells what it costs");
        self.0.push(monthly.to_string());
        false
    }
}

fn number(name: &str, id: Option<&str>) -> PhoneNumber {
    let mut number: PhoneNumber = serde_json::from_value(json!({
        "apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
        "metadata": {"name": name, "namespace": "support"},
        "spec": {"provider": "twilio", "phoneNumber": "+12125550100"},
    }))
    .unwrap();
    number.status = Some(PhoneNumberStatus {
        id: id.map(str::to_owned),
        ..PhoneNumberStatus::default()
    });
    number
}

#[test]
fn a_resource_is_found_by_what_it_is_now() {
    let index = Index::default();
    let declared = Key::Declared("+12125550100".into());
    let recorded = Key::Recorded("PN1".into());
    index.put(&number("a", None), Timestamp::MIN, Timestamp::MAX);
    index.put(&number("b", Some("PN1")), Timestamp::MIN, Timestamp::MAX);
    assert_eq!(index.get(&declared).len(), 2);
    assert_eq!(
        index
            .get(&Key::Account(AccountKey::of(&number("a", None))))
            .len(),
        2
    );
    assert_eq!(index.get(&recorded).len(), 1);
    index.put(&number("b", Some("PN2")), Timestamp::MIN, Timestamp::MAX);
    assert!(index.get(&recorded).is_empty());
    index.remove(&number("b", None));
    assert_eq!(
        index.get(&declared),
        [Arc::new(ObjectRef::new("a").within("support"))]
    );
    index.remove(&number("a", None));
    let maps = index.lock();
    assert!(maps.by_key.is_empty() && maps.entries.is_empty());
}

#[test]
fn a_version_is_noted_once_unless_something_of_it_was_left_out() {
    let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let mut one = number("one", None);
    one.metadata.resource_version = Some("7".into());
    let owner = owner(&one);
    let claim = Claim::to_buy(
        "+12125550100".parse().unwrap(),
        AccountId::new("AC1"),
        &owner,
        "u1",
        "n1".into(),
        at,
        at,
    );
    let claim = claim.to_annotation().unwrap();
    one.annotations_mut()
        .insert(crate::claim::ANNOTATION.into(), claim);
    let index = Index::default();
    let is_counted = || {
        let mut costs = Costs::default();
        let account = vec![AccountId::new("AC1")];
        let nobody = number("nobody", None);
        let others = index.claims_excluding(&nobody, account, at, Box::new(|_, _, _| true));
        others.visit_claims(&mut costs);
        costs.0.len() == 1
    };
    let before = at - jiff::SignedDuration::from_secs(1);
    assert!(index.put(&one, at, before).is_new_user);
    assert!(!is_counted(), "it is made up as long as it lies ahead");
    index.put(&one, at, at);
    assert!(is_counted());
    index.lock().claims.remove(&reference_to(&one));
    index.put(&one, at, at);
    assert!(!is_counted(), "nothing is done for what is known");
    one.metadata.resource_version = Some("8".into());
    index.put(&one, at, at);
    assert!(is_counted());
}

#[test]
fn what_others_claimed_of_late_counts_unless_it_came_to_nothing() {
    let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let number = |name: &str, intent: Intent, earlier: u32, status: serde_json::Value| {
        let mut number = number(name, None);
        let declared = "+12125550100".parse().unwrap();
        let account = AccountId::new("AC1");
        let claim = Claim::to_buy(
            declared,
            account,
            &owner(&number),
            "u1",
            "n1".into(),
            at,
            at,
        );
        let claim = Claim { intent, ..claim }.after(earlier);
        let claim = claim.at_price(crate::number::Price::read("1.15", "0", "USD"));
        let annotations = number.annotations_mut();
        annotations.insert(
            crate::claim::ANNOTATION.into(),
            claim.to_annotation().unwrap(),
        );
        number.status = serde_json::from_value(status).unwrap();
        number
    };
    let attempt = |nonce: &str, outcome: &str| json!({"attempt": {"nonce": nonce, "number": "+12125550100", "outcome": outcome}});
    let hour = |hours: i64| at + jiff::SignedDuration::from_hours(hours);
    let mut after_another = attempt("n1", "Rejected");
    after_another["attempt"]["earlier"] = json!(1);
    let pending = json!({"telnyx": {"orderStatus": "pending"}});
    for (intent, earlier, status, since, counts) in [
        (Intent::Buy, 0, json!({}), at, true),
        (Intent::Buy, 0, json!({"id": "PN1"}), at, true),
        (Intent::Buy, 0, attempt("n1", "Unknown"), at, true),
        (Intent::Buy, 0, attempt("n0", "Rejected"), at, true),
        (Intent::Buy, 0, attempt("n1", "Rejected"), at, false),
        // What is refused costs the neighbours nothing, however often it is tried.
        (Intent::Buy, 1, after_another, at, false),
        (Intent::Buy, 0, json!({}), hour(1), false),
        (Intent::Buy, 0, pending, hour(1), true),
        (Intent::Adopt, 0, json!({}), at, false),
        // What is taken over after an attempt may be its purchase.
        (Intent::Adopt, 1, json!({}), at, true),
    ] {
        let index = Index::default();
        let one = number("one", intent, earlier, status.clone());
        index.put(&one, Timestamp::MIN, Timestamp::MAX);
        let other = number("other", Intent::Buy, 0, json!({}));
        let claimed = |besides, account| {
            let mut costs = Costs::default();
            let account = vec![AccountId::new(account)];
            let others = index.claims_excluding(besides, account, since, Box::new(|_, _, _| true));
            others.visit_claims(&mut costs);
            costs.0
        };
        let wanted = if counts { vec!["1.15"] } else { vec![] };
        assert_eq!(claimed(&other, "AC1"), wanted, "{intent:?} {status}");
        assert!(claimed(&one, "AC1").is_empty() && claimed(&other, "AC2").is_empty());
        let mut without = one.clone();
        without.annotations_mut().clear();
        index.put(&without, Timestamp::MIN, Timestamp::MAX);
        assert!(claimed(&other, "AC1").is_empty(), "it has let go of it");
        index.put(&one, Timestamp::MIN, Timestamp::MAX);
        assert_eq!(claimed(&other, "AC1"), wanted, "{intent:?} {status}");
        index.remove(&one);
        assert!(claimed(&other, "AC1").is_empty());
    }
}
