//! Refusals that were recorded, and what became of the status since.

use super::*;

/// A resource whose purchase was refused at second 0, `seconds` later, with this reason in its status.
fn refused(why: Reason, seconds: i64) -> Facts {
    let mut facts = claimed();
    facts.now = at(seconds);
    facts.record.observed_generation = Some(1);
    facts.record.refused = Some(Refused {
        nonce: "n1".into(),
        reason: why,
    });
    facts
}

#[test]
fn a_new_leader_lets_a_refusal_stand() {
    let facts = looked(refused(Reason::NumberNotAvailable, 3), None, None);
    assert_eq!(
        plan(&facts),
        Step::Rest(Rest::Unchanged(Duration::from_secs(597)))
    );
}

#[test]
fn after_a_refused_candidate_another_is_searched_for_in_the_next_pass() {
    for why in [Reason::NumberNotAvailable, Reason::Searching] {
        let mut facts = looked(refused(why, 1), None, None);
        facts.search = Some(choosing::search());
        facts.memory.never_bought = true;
        assert_eq!(plan(&facts), Step::Choose, "{why}");
    }
}

#[test]
fn a_refusal_that_the_status_no_longer_tells_is_found_out_anew() {
    for why in [
        Reason::ProviderUnavailable,
        Reason::RateLimited,
        Reason::Verifying,
        Reason::AssistantUnverifiable,
    ] {
        let mut facts = refused(why, 60);
        facts.memory.never_bought = true;
        assert_eq!(plan(&facts), Step::Look, "{why}");
        let mut looked = looked(facts, None, None);
        looked.memory.never_bought = false;
        assert_eq!(plan(&looked), Step::Offer, "{why}");
    }
}

#[test]
fn a_blocker_is_asked_about_again_when_its_cause_may_be_gone() {
    let table = [
        (Reason::ProviderUnavailable, Again::Backoff),
        (Reason::RateLimited, Again::Backoff),
        (Reason::CredentialsMissing, Again::After(PERSON_AGAIN_AFTER)),
        (
            Reason::ConnectionMissing,
            Again::After(fresh().waits.interval),
        ),
    ];
    for (reason, expected) in table {
        let facts = Facts {
            account: Err(Blocker::new(reason, "why")),
            ..recorded()
        };
        let Step::Rest(Rest::Wait { again, .. }) = plan(&facts) else {
            panic!("{reason} stops everything")
        };
        assert_eq!(again, expected, "{reason}");
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
