//! Refusals that were recorded, and what became of the status since.

use super::*;
use crate::provider::RefusalKind;

/// A refusal of the attempt at second 0 that certainly bought nothing.
pub(super) fn certain(why: Reason) -> Refused {
    Refused {
        nonce: "n1".into(),
        reason: why,
        message: "21422: gone (request RQ1)".into(),
        is_certain: true,
        times: 1,
        is_same: true,
    }
}

/// The same with a code that is not known, which has come so many times.
fn unknown(times: i64) -> Refused {
    Refused {
        is_certain: false,
        message: "21999: no (request RQ1)".into(),
        times,
        ..certain(Reason::InvalidSpec)
    }
}

/// A resource whose purchase was refused at second 0, looked at `seconds` later.
fn refused(refused: Refused, seconds: i64) -> Facts {
    let mut facts = claimed();
    facts.now = at(seconds);
    facts.record.refused = Some(refused);
    looked(facts, None, None)
}

fn waits(facts: &Facts) -> (Reason, String, u64) {
    match plan(facts) {
        Step::Done(Outcome::Wait {
            reason,
            message,
            retry: Retry::After(wait),
        }) => (reason, message, wait.as_secs()),
        step => panic!("{step:?}"),
    }
}

#[test]
fn a_new_leader_lets_a_refusal_stand_and_says_it_again() {
    let facts = refused(certain(Reason::NumberNotAvailable), 3);
    let (reason, message, left) = waits(&facts);
    assert_eq!((reason, left), (Reason::NumberNotAvailable, 597));
    assert_eq!(
        message,
        "+12125551234 was not bought: 21422: gone (request RQ1)."
    );
}

#[test]
fn after_a_refused_candidate_another_is_searched_for_in_the_next_pass() {
    let mut facts = refused(certain(Reason::NumberNotAvailable), 1);
    facts.search = Some(choosing::search());
    facts.memory.never_bought = true;
    assert_eq!(plan(&facts), Step::SearchAndReserve);
}

#[test]
fn a_refusal_that_is_not_known_is_looked_after_repeated_and_then_left_alone() {
    // At 35 s the account was looked at, and a first refusal is not taken for the last word.
    let (reason, message, left) = waits(&refused(unknown(1), 10));
    assert_eq!((reason, left), (Reason::Verifying, 25));
    assert!(message.contains("21999: no (request RQ1)"), "{message}");
    assert_eq!(plan(&refused(unknown(1), 35)), Step::CheckAvailability);
    for seconds in [10, 60, 1799] {
        let (reason, message, left) = waits(&refused(unknown(3), seconds));
        assert_eq!(reason, Reason::InvalidSpec, "after {seconds} s");
        assert_eq!(i64::try_from(left).unwrap(), 1800 - seconds);
        for part in ["21999: no (request RQ1)", "3 times", "UTC", "delete"] {
            assert!(message.contains(part), "{message}");
        }
    }
    assert_eq!(plan(&refused(unknown(3), 1800)), Step::CheckAvailability);
}

#[test]
fn what_was_refused_is_asked_for_at_once_when_it_has_changed() {
    for kept in [certain(Reason::InvalidSpec), unknown(1), unknown(9)] {
        let changed = Refused {
            is_same: false,
            ..kept
        };
        assert_eq!(plan(&refused(changed.clone(), 35)), Step::CheckAvailability);
        let mut other = refused(changed, 35);
        other.record.refused.as_mut().unwrap().is_same = true;
        assert_ne!(
            plan(&other),
            Step::Claim {
                intent: Intent::Buy,
                since: None
            }
        );
    }
}

#[test]
fn a_refusal_of_an_earlier_attempt_says_nothing_of_this_one() {
    let other = Refused {
        nonce: "n0".into(),
        ..certain(Reason::InvalidSpec)
    };
    let (reason, _, _) = waits(&refused(other.clone(), 10));
    assert_eq!(reason, Reason::Verifying);
    assert_eq!(plan(&refused(other, 35)), Step::CheckAvailability);
}

/// A resource after so many attempts that may have bought its number, the last of them at second 0.
fn attempted(attempts: u32, seconds: i64) -> Facts {
    let mut facts = claimed();
    facts.now = at(seconds);
    facts.claim = Stored::Ours(claim_at(0).after(attempts - 1));
    looked(facts, None, None)
}

#[test]
fn the_pause_between_attempts_that_may_have_bought_a_number_doubles_up_to_half_an_hour() {
    for (attempts, pause) in [
        (1, 35),
        (2, 70),
        (3, 140),
        (4, 280),
        (5, 560),
        (6, 1120),
        (7, 1800),
        (u32::MAX, 1800),
    ] {
        let early = attempted(attempts, pause - 1);
        assert_eq!(reason(&plan(&early)), Some(Reason::Verifying), "{attempts}");
        assert_eq!(
            plan(&attempted(attempts, pause)),
            Step::CheckAvailability,
            "{attempts}"
        );
    }
}

/// Any of the attempts may have bought it, so the visibility period passes after the last of them.
#[test]
fn a_candidate_that_may_have_been_bought_is_given_up_after_some_attempts() {
    let search = |attempts, seconds| {
        let mut facts = attempted(attempts, seconds);
        facts.search = Some(choosing::search());
        plan(&facts)
    };
    for (attempts, pause) in [(1, 35), (2, 70), (3, 140)] {
        assert_eq!(
            reason(&search(attempts, pause - 1)),
            Some(Reason::Verifying)
        );
        assert_eq!(
            search(attempts, pause),
            Step::CheckAvailability,
            "it is tried again"
        );
    }
    for attempts in [4, 5, 100] {
        assert_eq!(reason(&search(attempts, 599)), Some(Reason::Verifying));
        assert_eq!(search(attempts, 600), Step::SearchAndReserve, "{attempts}");
    }
}

#[test]
fn a_release_that_was_refused_is_told_and_left_alone_for_half_an_hour() {
    let mut facts = recorded();
    facts.deleting = true;
    facts.findings.fetched = Some(Some(holding()));
    let id = NumberId::new("PN1");
    assert_eq!(plan(&facts), Step::RecordRelease(id.clone()));
    let message = "twilio refuses to release it: no.".to_owned();
    for (minutes, left) in [(0, Some(1800)), (29, Some(60)), (30, None), (90, None)] {
        let ago = Duration::from_secs(minutes * 60);
        facts.memory.release_refused = Some((message.clone(), ago));
        match left {
            Some(left) => {
                assert_eq!(
                    waits(&facts),
                    (Reason::ReleaseBlocked, message.clone(), left)
                );
            }
            None => assert_eq!(plan(&facts), Step::RecordRelease(id.clone())),
        }
    }
}

#[test]
fn a_blocker_is_asked_about_again_when_its_cause_may_be_gone() {
    let table = [
        (Reason::ProviderUnavailable, Retry::Backoff),
        (Reason::RateLimited, Retry::Backoff),
        (Reason::CredentialsMissing, Retry::After(PERSON_AGAIN_AFTER)),
        (
            Reason::ConnectionMissing,
            Retry::After(fresh().waits.interval),
        ),
    ];
    for (reason, expected) in table {
        let facts = Facts {
            account: Err(StatusReason::new(reason, "why")),
            ..recorded()
        };
        let Step::Done(Outcome::Wait { retry, .. }) = plan(&facts) else {
            panic!("{reason} stops everything")
        };
        assert_eq!(retry, expected, "{reason}");
    }
}

#[test]
fn a_message_names_the_number_or_what_is_searched() {
    let mut facts = recorded();
    assert_eq!(facts.title(), "+12125551234");
    facts.number = None;
    assert_eq!(facts.title(), "the number");
    let search = serde_json::json!({"country": "US", "type": "tollFree"});
    facts.search = Some(serde_json::from_value(search).unwrap());
    assert!(facts.title().ends_with("number in US"), "{}", facts.title());
}

#[test]
fn each_kind_of_refusal_has_the_reason_that_names_what_to_mend() {
    for (kind, wanted) in [
        (RefusalKind::NotOnSale, Reason::NumberNotAvailable),
        (
            RefusalKind::InsufficientBalance,
            Reason::InsufficientBalance,
        ),
        (
            RefusalKind::PurchasingNotEnabled,
            Reason::PurchasingNotEnabled,
        ),
        (RefusalKind::Regulatory, Reason::RegulatoryRequirement),
        (RefusalKind::Unauthorized, Reason::CredentialsInvalid),
        (RefusalKind::ReferenceMissing, Reason::ConnectionNotFound),
        (RefusalKind::Invalid, Reason::InvalidSpec),
        (RefusalKind::Unlisted, Reason::InvalidSpec),
    ] {
        let mut facts = claimed();
        facts.findings.attempt = Some(Attempt::Rejected(Refusal {
            kind,
            code: "1".into(),
            text: "the provider's own words".into(),
            request_id: None,
        }));
        let (reason, message, _) = waits(&facts);
        assert_eq!(reason, wanted, "{kind:?}");
        assert!(message.contains("the provider's own words"), "{message}");
    }
}
