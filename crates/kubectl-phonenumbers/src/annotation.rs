//! The claim that the operator writes on a PhoneNumber before money is spent, as far as a person wants to know it. It is read from the
//! annotation as text: nothing here could make one. Pure.

use jiff::Timestamp;
use kube::ResourceExt;
use phonenumber_api::{GROUP, PhoneNumber, owner};
use serde_json::Value;

/// What the annotation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Annotation {
    /// There is none, or it was copied from another object.
    Absent,
    /// A claim.
    Claimed(Claimed),
    /// A claim that this version cannot read.
    Unreadable,
}

/// A claim that can be read. Texts are as they were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    /// `buy` or `adopt`.
    pub(super) intent: String,
    pub(super) number: String,
    pub(super) account_id: String,
    /// The attempt that it is for; empty if the claim does not say.
    pub(super) nonce: String,
    pub(super) at: Option<Timestamp>,
    /// How many attempts before this one may have bought the number.
    pub(super) attempts_before: u64,
    /// False if it is of an earlier object of the same name.
    pub(super) is_of_this_object: bool,
}

impl Annotation {
    /// The annotation of `number`.
    pub(super) fn of(number: &PhoneNumber) -> Self {
        let Some(text) = number.annotations().get(&format!("{GROUP}/claim")) else {
            return Self::Absent;
        };
        let claim: Value = serde_json::from_str(text).unwrap_or_default();
        let field = |name: &str| claim.get(name).and_then(Value::as_str).map(str::to_owned);
        let owner_found = field("owner");
        let is_known = claim.get("version").and_then(Value::as_u64) == Some(1);
        let (Some(owner_found), true) = (owner_found, is_known) else {
            return Self::Unreadable;
        };
        if owner_found != owner(number).to_string() {
            return Self::Absent;
        }
        let (Some(intent), Some(claimed)) = (field("intent"), field("number")) else {
            return Self::Unreadable;
        };
        Self::Claimed(Claimed {
            intent,
            number: claimed,
            account_id: field("accountId").unwrap_or_default(),
            nonce: field("nonce").unwrap_or_default(),
            at: field("at").and_then(|at| at.parse().ok()),
            attempts_before: claim
                .get("attemptsBefore")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
            is_of_this_object: field("uid") == number.uid(),
        })
    }

    /// True if a purchase may have been sent for it.
    pub(super) fn may_have_bought(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::Claimed(claim) => claim.intent != "adopt" || claim.attempts_before > 0,
            Self::Unreadable => true,
        }
    }

    /// True if it is the claim for the attempt with this nonce.
    pub(super) fn is_for(&self, nonce: &str) -> bool {
        matches!(self, Self::Claimed(claim) if !claim.nonce.is_empty() && claim.nonce == nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use telephony::claim::{Claim, Intent};
    use telephony::number::AccountId;

    fn number(claim: &str) -> PhoneNumber {
        let annotations = json!({"telephony.burki.dev/claim": claim});
        serde_json::from_value(json!({
            "metadata": {"name": "nyc", "namespace": "support", "uid": "u", "annotations": annotations},
            "spec": {"provider": "twilio", "phoneNumber": "+12125550100"}}))
        .unwrap()
    }

    fn claim() -> Claim {
        Claim {
            version: 1,
            intent: Intent::Buy,
            number: "+12125550100".parse().unwrap(),
            account_id: AccountId::new("AC1"),
            owner: "support/nyc".into(),
            uid: "u".into(),
            nonce: "n".into(),
            at: "2026-11-25T00:00:00Z".parse().unwrap(),
            since: "2026-11-25T00:00:00Z".parse().unwrap(),
            price: None,
            attempts_before: 2,
        }
    }

    #[test]
    fn what_the_operator_writes_is_read() {
        let written = claim();
        let found = Annotation::of(&number(&written.to_annotation().unwrap()));
        let Annotation::Claimed(found) = found else {
            panic!("{found:?}");
        };
        assert_eq!(found.intent, "buy");
        assert_eq!(found.number, written.number.as_str());
        assert_eq!(found.account_id, written.account_id.as_str());
        assert_eq!(found.nonce, written.nonce);
        assert_eq!(found.at, Some(written.at));
        assert_eq!(found.attempts_before, 2);
        assert!(found.is_of_this_object);
    }

    #[test]
    fn only_a_claim_of_this_name_counts_and_one_in_doubt_may_have_bought() {
        let text = |claim: &Claim| claim.to_annotation().unwrap();
        let copied = Claim {
            owner: "support/la".into(),
            ..claim()
        };
        assert_eq!(Annotation::of(&number(&text(&copied))), Annotation::Absent);
        let earlier = Claim {
            uid: "v".into(),
            ..claim()
        };
        let earlier = Annotation::of(&number(&text(&earlier)));
        assert!(matches!(&earlier, Annotation::Claimed(it) if !it.is_of_this_object));
        for (intent, attempts_before, wanted) in [
            (Intent::Buy, 0, true),
            (Intent::Adopt, 0, false),
            (Intent::Adopt, 1, true),
        ] {
            let claim = Claim {
                intent,
                attempts_before,
                ..claim()
            };
            assert_eq!(claim.may_have_bought(), wanted);
            let found = Annotation::of(&number(&text(&claim)));
            assert_eq!(
                found.may_have_bought(),
                wanted,
                "{intent:?} {attempts_before}"
            );
        }
        for unreadable in ["", "{}", "{\"version\": 2}", "no"] {
            let found = Annotation::of(&number(unreadable));
            assert_eq!(found, Annotation::Unreadable, "{unreadable}");
            assert!(found.may_have_bought());
        }
    }
}
