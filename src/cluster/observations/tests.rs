//! Tests of `observations`.

use serde_json::json;

use super::*;
use crate::api::owner;
use crate::claim::Claim;
use crate::clock::BootClock;
use crate::number::AccountId;
use crate::outcome::Doubt;
use telephony::testing::ManualClock;

fn at_version(version: &str) -> Arc<PhoneNumber> {
    let object = json!({
        "metadata": {"name": "nyc", "namespace": "support", "uid": "1", "resourceVersion": version},
        "spec": {"provider": "twilio", "phoneNumber": "+12125550100"},
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

/// A status that was written over somebody's change tells nothing of that change: schedules found that it was missed.
#[test]
fn what_was_written_over_a_change_that_nobody_knew_is_news() {
    let observations = Observations::new(Arc::new(BootClock));
    assert!(!observations.knows(&at_version("5")), "nothing was written");
    observations.written(&at_version("7"), true);
    assert!(observations.knows(&at_version("5")) && observations.knows(&at_version("7")));
    assert!(!observations.knows(&at_version("8")));
    // Version 8 is somebody's.
    observations.written(&at_version("9"), false);
    assert!(!observations.knows(&at_version("8")));
    assert_eq!(observations.latest(at_version("8")), at_version("9"));
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

fn claim() -> Claim {
    let number = "+12125550100".parse().unwrap();
    let account = AccountId::new("AC1");
    let name = owner(at_version("1").as_ref());
    Claim::to_buy(number, account, &name, "1", "n1".into(), time(0), time(5))
}

fn with_uid(uid: &str) -> PhoneNumber {
    let mut object = PhoneNumber::clone(&at_version("1"));
    object.metadata.uid = Some(uid.to_owned());
    object
}

/// Without it, the period in which a purchase may be hidden would never end.
#[test]
fn a_takeover_after_attempts_is_known_for_as_long_as_they_are() {
    let clock = Arc::new(ManualClock::default());
    let observations = Observations::new(clock.clone());
    let known_for = |claim: Claim| {
        let stored = Stored::Ours(claim);
        let object = with_uid("1");
        observations.recall(&object, &stored, None).claim_known_for
    };
    let takeover = || claim().to_adopt();
    for seconds in [0, 70] {
        clock.set(seconds);
        let known = Duration::from_secs(seconds);
        assert_eq!(known_for(takeover().after(1)), known);
    }
    assert_eq!(known_for(takeover()), Duration::ZERO, "nothing was spent");
}

#[test]
fn an_attempt_is_remembered_by_name_when_its_claim_or_its_resource_goes() {
    let clock = Arc::new(ManualClock::default());
    let observations = Observations::new(clock.clone());
    let (old, new) = (with_uid("1"), with_uid("2"));
    let known_for = |object: &PhoneNumber| {
        let stored = Stored::Ours(claim());
        observations.recall(object, &stored, None).claim_known_for
    };
    assert_eq!(known_for(&old), Duration::ZERO);
    clock.set(70);
    assert_eq!(known_for(&old), Duration::from_secs(70));
    observations.forget(&old);
    let doubt = |stored| observations.doubt(&new, &stored, time(0), None);
    let account = Some(claim().account_id);
    for (object, stored, account_id) in [
        (&new, Stored::Nothing, account.clone()),
        (&old, Stored::Unreadable, account),
        // An attempt of an earlier resource does not tell what this one has claimed.
        (&new, Stored::Unreadable, None),
    ] {
        let doubt = observations.doubt(object, &stored, time(0), None).unwrap();
        assert_eq!(doubt.number, claim().number);
        assert_eq!(doubt.account_id, account_id, "{stored:?}");
        assert_eq!((doubt.since, doubt.age), (time(5), Duration::from_secs(70)));
    }
    assert_eq!(doubt(Stored::Ours(claim())), None);
    observations.known_not_purchased(&old, "n1");
    assert_eq!(doubt(Stored::Nothing), None);
    known_for(&old);
    assert_eq!(
        doubt(Stored::Nothing),
        None,
        "it is known to have been in vain"
    );
}

#[test]
fn what_is_recorded_is_no_doubt_and_what_is_adopted_never_was_one() {
    let observations = Observations::new(Arc::new(BootClock));
    let object = with_uid("1");
    let adopts = Stored::Ours(claim().to_adopt());
    observations.recall(&object, &adopts, None);
    assert_eq!(
        observations.doubt(&object, &Stored::Nothing, time(0), None),
        None
    );
    observations.recall(&object, &Stored::Ours(claim()), None);
    let mut recorded = object.clone();
    recorded.status = serde_json::from_value(json!({"id": "PN1"})).unwrap();
    observations.recall(&recorded, &Stored::Ours(claim()), None);
    assert_eq!(
        observations.doubt(&object, &Stored::Nothing, time(0), None),
        None
    );
}

#[test]
fn the_status_tells_of_an_attempt_whose_claim_is_gone() {
    let observations = Observations::new(Arc::new(BootClock));
    for (outcome, earlier, is_doubt) in [
        ("Unknown", None, true),
        ("Ordered", None, true),
        ("Bought", None, true),
        // A code that is not known: it may have taken place.
        ("Refused", None, true),
        ("Rejected", None, false),
        ("NotSent", None, false),
        ("Rejected", Some(1), true),
        ("NotSent", Some(2), true),
    ] {
        let mut object = with_uid("1");
        let attempt = json!({"nonce": "n1", "number": "+12125550100", "accountId": "AC1", "outcome": outcome,
            "earlier": earlier, "at": time(0)});
        object.status = serde_json::from_value(json!({ "attempt": attempt })).unwrap();
        let found = observations.doubt(&object, &Stored::Nothing, time(90), Some(time(1000)));
        let expected = Doubt {
            number: "+12125550100".parse().unwrap(),
            account_id: Some(AccountId::new("AC1")),
            since: time(910),
            age: Duration::from_secs(90),
            nonce: Some("n1".into()),
            claim: None,
        };
        assert_eq!(found, is_doubt.then_some(expected), "{outcome} {earlier:?}");
    }
}

/// Another process renames the number in the same seconds, just before this one.
#[test]
fn a_date_that_another_has_moved_is_no_date_that_does_not_move() {
    let clock = Arc::new(ManualClock::default());
    let observations = Observations::new(clock.clone());
    let (object, id) = (with_uid("1"), NumberId::new("PN1"));
    let unmoved = |second, date| {
        clock.set(second);
        observations.renamed(&object, &id, false, Some(time(date)))
    };
    assert_eq!(unmoved(1, 1), Duration::ZERO);
    assert_eq!(unmoved(9, 1), Duration::from_secs(8));
    assert_eq!(unmoved(12, 12), Duration::ZERO);
    assert_eq!(unmoved(30, 30), Duration::ZERO);
    assert_eq!(unmoved(41, 30), Duration::from_secs(11));
    observations.renamed(&object, &id, true, None);
    assert_eq!(unmoved(50, 30), Duration::ZERO);
}
