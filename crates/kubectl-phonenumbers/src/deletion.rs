//! What the deletion of a PhoneNumber does to its number, as docs/reference/deletion.md says. Pure.

use std::fmt;

use kube::ResourceExt;
use phonenumber_api::{Deletion, OnDeletion, PhoneNumber};

use super::annotation::Annotation;

/// What becomes of the number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// It is released, for good.
    Release,
    /// A purchase may have brought one: the operator looks for it first.
    Unclear,
    /// The deletion is refused or waits; the number stays.
    Blocked,
    /// It stays in the account.
    Retain,
    /// There is none.
    Nothing,
    /// A word of a later version of the operator.
    Other(String),
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Release => "Release",
            Self::Unclear => "<unknown>",
            Self::Blocked => "Blocked",
            Self::Retain => "Retain",
            Self::Nothing => super::table::NONE,
            Self::Other(word) => word,
        })
    }
}

/// What the deletion of `number` does, and why. What the operator says of this generation holds; before that, the spec decides.
pub(super) fn fate(number: &PhoneNumber) -> (Fate, String) {
    let status = number.status.as_ref();
    let is_held = status.is_some_and(|status| status.id.is_some() || status.order_id.is_some());
    if !is_held {
        return unheld(number);
    }
    let (fate, why) = by_spec(number);
    let said = status
        .filter(|status| status.observed_generation == number.metadata.generation)
        .and_then(|status| status.on_deletion.clone());
    let said = match said {
        Some(OnDeletion::Release) if number.spec.suspend => Fate::Blocked,
        Some(OnDeletion::Release) => Fate::Release,
        Some(OnDeletion::Retain) => Fate::Retain,
        Some(OnDeletion::Blocked) => Fate::Blocked,
        Some(OnDeletion::Other(word)) => Fate::Other(word),
        None => return (fate, why),
    };
    match said == fate {
        true => (fate, why),
        false => (said, "the operator says so in status.onDeletion".to_owned()),
    }
}

fn by_spec(number: &PhoneNumber) -> (Fate, String) {
    let spec = &number.spec;
    let status = number.status.as_ref();
    let is_adopted = status.is_some_and(phonenumber_api::PhoneNumberStatus::is_adopted);
    let is_owned = !number.owner_references().is_empty();
    let policy = spec.deletion_policy;
    let (fate, why) = match Deletion::of(policy, is_adopted, is_owned, spec.deletion_protection) {
        Deletion::Retains if policy.is_some() => (Fate::Retain, "deletionPolicy is Retain"),
        Deletion::Retains => (
            Fate::Retain,
            "it was adopted, and deletionPolicy is not set",
        ),
        Deletion::RetainsOwned => (Fate::Retain, "it has owners, and deletionPolicy is not set"),
        Deletion::Waits => (Fate::Blocked, "deletionProtection is true"),
        Deletion::Releases if spec.suspend => (
            Fate::Blocked,
            "suspend is true: once it is false, the number is released",
        ),
        Deletion::Releases if policy.is_some() => (Fate::Release, "deletionPolicy is Release"),
        Deletion::Releases => (
            Fate::Release,
            "it was bought, and deletionPolicy is not set",
        ),
    };
    (fate, why.to_owned())
}

/// A number that is not recorded may have been bought all the same.
fn unheld(number: &PhoneNumber) -> (Fate, String) {
    let claim = Annotation::of(number);
    let is_claimed = claim.may_have_bought();
    let attempt = number.status.as_ref().and_then(|it| it.attempt.as_ref());
    // What is known of an earlier attempt says nothing of the one that is claimed.
    let has_failed = attempt.is_some_and(|it| it.bought_nothing() && claim.is_for(&it.nonce));
    let is_open = (is_claimed && !has_failed) || attempt.is_some_and(|it| !it.bought_nothing());
    if !is_open {
        return (Fate::Nothing, "no number is held".to_owned());
    }
    match by_spec(number) {
        (Fate::Release, _) => {
            let why = "a purchase may have brought a number: it is looked for, and released";
            (Fate::Unclear, why.to_owned())
        }
        decided => decided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn number(change: &[(&str, Value)]) -> PhoneNumber {
        let mut whole = json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
            "metadata": {"name": "nyc", "namespace": "support", "generation": 1, "uid": "u"},
            "spec": {"provider": "twilio", "phoneNumber": "+12125550100"},
            "status": {"observedGeneration": 1, "id": "PN1"}});
        for (pointer, value) in change {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            whole.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    /// The rows are those of the table in docs/reference/deletion.md.
    #[test]
    fn each_row_of_the_table_of_deletion_is_foretold() {
        let page = include_str!("../../../docs/reference/deletion.md");
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| true") || line.starts_with("| false"));
        let mut count = 0;
        for row in rows {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, suspend, protection, policy, _, bought, adopted, _] = cells[..] else {
                panic!("{row}");
            };
            for (origin, wanted) in [("Bought", bought), ("Adopted", adopted)] {
                let wanted = match wanted {
                    "released, then the object goes" => Fate::Release,
                    "kept in the account; the object goes" => Fate::Retain,
                    waits if waits.starts_with("kept; the object waits") => Fate::Blocked,
                    other => panic!("{other}"),
                };
                let policy = match policy {
                    "unset" => Value::Null,
                    policy => json!(policy),
                };
                let is = |text: &str| json!(text == "true");
                let number = number(&[
                    ("/spec/suspend", is(suspend)),
                    ("/spec/deletionProtection", is(protection)),
                    ("/spec/deletionPolicy", policy),
                    ("/status/origin", json!(origin)),
                ]);
                assert_eq!(fate(&number).0, wanted, "{origin}: {row}");
                count += 1;
            }
        }
        assert_eq!(count, 24);
    }

    #[test]
    fn the_operators_word_holds_for_its_generation_alone() {
        let retain = ("/status/onDeletion", json!("Retain"));
        let (said, why) = fate(&number(std::slice::from_ref(&retain)));
        assert_eq!(said, Fate::Retain);
        assert!(why.contains("status.onDeletion"), "{why}");
        let newer = number(&[retain, ("/metadata/generation", json!(2))]);
        assert_eq!(fate(&newer).0, Fate::Release);
        let blocked = number(&[
            ("/status/onDeletion", json!("Release")),
            ("/spec/suspend", json!(true)),
        ]);
        assert_eq!(fate(&blocked).0, Fate::Blocked);
        let later = number(&[("/status/onDeletion", json!("Sell"))]);
        assert_eq!(fate(&later).0.to_string(), "Sell");
    }

    #[test]
    fn an_owner_keeps_the_number_unless_the_policy_says_release() {
        let owner = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}]);
        let owned = ("/metadata/ownerReferences", owner);
        assert_eq!(fate(&number(std::slice::from_ref(&owned))).0, Fate::Retain);
        let release = number(&[owned, ("/spec/deletionPolicy", json!("Release"))]);
        assert_eq!(fate(&release).0, Fate::Release);
    }

    #[test]
    fn without_a_number_nothing_is_lost_unless_a_purchase_is_open() {
        let attempt = |outcome: &str| {
            let attempt = json!({"nonce": "n", "number": "+12125550100", "outcome": outcome});
            [("/status/id", Value::Null), ("/status/attempt", attempt)]
        };
        assert_eq!(
            fate(&number(&[("/status/id", Value::Null)])).0,
            Fate::Nothing
        );
        assert_eq!(fate(&number(&attempt("Rejected"))).0, Fate::Nothing);
        assert_eq!(fate(&number(&attempt("Unknown"))).0, Fate::Unclear);
        let annotations = json!({"telephony.burki.dev/claim": "{\"version\": 9}"});
        let claimed = [
            ("/status/id", Value::Null),
            ("/metadata/annotations", annotations),
        ];
        assert_eq!(fate(&number(&claimed)).0, Fate::Unclear);
        let claim = |nonce: &str| {
            let claim = json!({"version": 1, "intent": "buy", "number": "+12125550100",
                "accountId": "AC1", "owner": "support/nyc", "uid": "u", "nonce": nonce});
            json!({"telephony.burki.dev/claim": claim.to_string()})
        };
        for (nonce, wanted) in [
            ("n", Fate::Nothing),
            ("later", Fate::Unclear),
            ("", Fate::Unclear),
        ] {
            let claimed = [
                &attempt("Rejected")[..],
                &[("/metadata/annotations", claim(nonce))],
            ];
            assert_eq!(fate(&number(&claimed.concat())).0, wanted, "{nonce}");
        }
        let kept = [&claimed[..], &[("/spec/deletionPolicy", json!("Retain"))]].concat();
        assert_eq!(fate(&number(&kept)).0, Fate::Retain);
    }
}
