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
