//! Orders of an earlier resource of the same name, whose number has been released since.

use super::*;

/// An order that was fulfilled for an earlier resource, at second 0.
fn fulfilled() -> Option<Order> {
    Some(Order {
        reference: format!("{}.n0", mark()),
        created: Some(at(0)),
        ..order(OrderState::Success)
    })
}

/// A resource of the same name, `seconds` after that order.
fn again(seconds: i64) -> Facts {
    Facts {
        now: at(seconds),
        provider: Provider::Telnyx,
        finalizer: true,
        ..looked(fresh(), None, fulfilled())
    }
}

#[test]
fn a_number_that_an_earlier_resource_gave_back_is_obtained_anew() {
    assert_eq!(plan(&again(600)), Step::CheckAvailability);
    let mut claimed = again(600);
    claimed.claim = Stored::Ours(claim_at(600));
    claimed.findings.token = true;
    assert_eq!(plan(&claimed), Step::VerifyBeforePurchase);
}

#[test]
fn a_number_that_an_earlier_resource_ordered_just_now_is_waited_for() {
    assert!(matches!(plan(&again(599)), Step::RecordOrder(_)));
}

#[test]
fn an_order_of_the_present_claim_or_of_the_record_is_never_history() {
    let mut ours = again(100_000);
    ours.claim = Stored::Ours(claim_at(0));
    assert!(matches!(plan(&ours), Step::RecordOrder(_)));
    let mut recorded = again(599);
    recorded.record.order_id = Some(OrderId::new("o1"));
    assert_eq!(reason(&plan(&recorded)), Some(Reason::Verifying));
    recorded.now = at(100_000);
    assert_eq!(reason(&plan(&recorded)), Some(Reason::Lost));
}

/// The claim was stripped, and the status tells of the attempt.
#[test]
fn an_order_of_the_attempt_in_doubt_is_never_history() {
    for (nonce, is_its_own) in [("n0", true), ("n1", false)] {
        let mut facts = again(100_000);
        facts.memory.doubt = Some(Doubt {
            number: number(),
            account_id: None,
            since: at(0),
            age: Duration::from_secs(100_000),
            nonce: Some(nonce.to_owned()),
            claim: None,
        });
        let step = plan(&facts);
        assert_eq!(matches!(step, Step::RecordOrder(_)), is_its_own, "{step:?}");
    }
}

#[test]
fn a_number_that_somebody_bought_after_an_earlier_resource_gave_it_back_is_not_ours() {
    let mut bought_by_hand = holding();
    bought_by_hand.marked_text = String::new();
    bought_by_hand.created = Some(at(90_000));
    let mut facts = again(100_000);
    facts.findings.look.as_mut().unwrap().holding = Some(bought_by_hand);
    assert_eq!(reason(&plan(&facts)), Some(Reason::AlreadyOwned));
    facts.deleting = true;
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::NotPurchased)
    );
}

#[test]
fn the_order_of_an_earlier_resource_does_not_hold_up_a_deletion() {
    let mut facts = again(600);
    facts.deleting = true;
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::NotPurchased)
    );
    facts.now = at(599);
    assert_eq!(reason(&plan(&facts)), Some(Reason::Releasing));
}

/// Where the claim is lost, the number that an order has brought is distinguished from one that was released and bought again.
#[test]
fn what_an_order_has_brought_and_nobody_has_marked_blocks_its_search() {
    const DAY: i64 = 24 * 3600;
    let order = order(OrderState::Success);
    let facts = fresh();
    for (came, is_its) in [(-62, false), (-59, true), (DAY, true), (DAY + 1, false)] {
        let number = Holding {
            created: Some(at(came)),
            marked_text: String::new(),
            ..holding()
        };
        assert_eq!(facts.brought_unmarked(&order, &number), is_its, "{came}");
    }
    let marked = Holding {
        created: Some(at(1)),
        ..holding()
    };
    assert!(!facts.brought_unmarked(&order, &marked));
}

/// The API server's clock, as one process knows it, may be minutes off the provider's. The provider's clock decides how old an
/// order is that the provider has dated.
#[test]
fn an_order_without_a_claim_is_as_old_as_the_providers_clock_says() {
    for (provider_now, now) in [(599, 100_000), (600, 0)] {
        let is_over = provider_now == 600;
        let mut facts = again(now);
        facts.provider_now = Some(at(provider_now));
        let is_history = !matches!(plan(&facts), Step::RecordOrder(_));
        assert_eq!(is_history, is_over, "{provider_now}");
        facts.record.order_id = Some(OrderId::new("o1"));
        let wanted = [Reason::Verifying, Reason::Lost][usize::from(is_over)];
        assert_eq!(reason(&plan(&facts)), Some(wanted), "{provider_now}");
        facts.deleting = true;
        let wanted = [Reason::Releasing, Reason::ReleaseBlocked][usize::from(is_over)];
        assert_eq!(reason(&plan(&facts)), Some(wanted), "{provider_now}");
    }
}
