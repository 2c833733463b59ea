//! Orders that are waited for, and orders that fail.

use super::*;

#[test]
fn what_was_ordered_a_moment_ago_is_neither_asked_about_nor_complained_of() {
    let unchanged = |millis| Step::Done(Outcome::KeepStatus(Duration::from_millis(millis)));
    let mut ordered = Facts {
        provider: Provider::Telnyx,
        ..claimed()
    };
    ordered.record.order_id = Some(OrderId::new("o1"));
    ordered.memory.ordered_for = Some(Duration::from_millis(200));
    assert_eq!(plan(&ordered), unchanged(300));
    ordered.findings.token = true;
    assert_eq!(plan(&ordered), Step::Lookup, "there is a claim to buy on");
    ordered.findings.token = false;
    ordered.memory.ordered_for = Some(Duration::from_millis(500));
    assert_eq!(plan(&ordered), Step::Lookup);
    let mut brought = looked(ordered, None, Some(order(OrderState::Success)));
    brought.now = at(9);
    assert_eq!(plan(&brought), unchanged(2000));
    brought.now = at(10);
    assert_eq!(reason(&plan(&brought)), Some(Reason::Verifying));
}

#[test]
fn an_order_is_waited_for_and_not_repeated() {
    let telnyx = |facts: Facts| Facts {
        provider: Provider::Telnyx,
        ..facts
    };
    let pending = telnyx(looked(
        Facts {
            now: at(60),
            ..claimed()
        },
        None,
        Some(order(OrderState::Pending)),
    ));
    assert!(matches!(plan(&pending), Step::RecordOrder(_)));
    let mut known = pending;
    known.record.order_id = Some(OrderId::new("o1"));
    assert_eq!(reason(&plan(&known)), Some(Reason::OrderPending));
    let mut papers_missing = order(OrderState::Pending);
    papers_missing.papers = OrderPapers::Missing;
    assert_eq!(
        reason(&plan(&looked(known.clone(), None, Some(papers_missing)))),
        Some(Reason::RegulatoryRequirement)
    );
    known.findings.look = Some(Lookup {
        order: Some(order(OrderState::Success)),
        ..Lookup::default()
    });
    assert_eq!(
        reason(&plan(&known)),
        Some(Reason::Verifying),
        "a bought number that is not listed is not bought again"
    );
    known.now = at(600);
    assert_eq!(
        reason(&plan(&known)),
        Some(Reason::Lost),
        "neither is one that is not listed for as long as a provider may hide it"
    );
    known.deleting = true;
    assert_eq!(
        reason(&plan(&known)),
        Some(Reason::ReleaseBlocked),
        "nor is it let go unseen"
    );
    known.now = at(599);
    assert_eq!(reason(&plan(&known)), Some(Reason::Releasing));
    // A date that was wrong when it was claimed, or is wrong now, puts nothing off for longer than the same time of our own.
    for (known_for, wanted) in [(599, Reason::Releasing), (600, Reason::ReleaseBlocked)] {
        known.now = at(-3600);
        known.memory.claim_known_for = Duration::from_secs(known_for);
        assert_eq!(reason(&plan(&known)), Some(wanted), "known for {known_for}");
    }
    known.deleting = false;
    assert_eq!(reason(&plan(&known)), Some(Reason::Lost));
    let mut arrived = holding();
    arrived.marked_text = String::new();
    let early = telnyx(looked(
        claimed(),
        Some(arrived.clone()),
        Some(order(OrderState::Pending)),
    ));
    assert!(
        matches!(plan(&early), Step::RecordOrder(_)),
        "what our order is about to bring is nobody else's"
    );
    let brought = telnyx(looked(
        claimed(),
        Some(arrived.clone()),
        Some(order(OrderState::Success)),
    ));
    assert!(
        matches!(plan(&brought), Step::Record(_)),
        "an order of ours proves the number before it is marked"
    );
    arrived.created = Some(at(-90_000));
    let older = telnyx(looked(
        claimed(),
        Some(arrived),
        Some(order(OrderState::Success)),
    ));
    assert_eq!(reason(&plan(&older)), Some(Reason::AlreadyOwned));
}

#[test]
fn a_failed_order_is_told_and_repeated_after_a_pause() {
    let mut facts = looked(claimed(), None, Some(order(OrderState::Failure)));
    facts.now = at(60);
    assert!(matches!(plan(&facts), Step::RecordOrder(_)));
    facts.record.order_id = Some(OrderId::new("o1"));
    facts.record.observed_generation = Some(1);
    assert_eq!(reason(&plan(&facts)), Some(Reason::OrderFailed));
    let mut changed = facts.clone();
    changed.generation = 2;
    assert_eq!(
        plan(&changed),
        Step::CheckAvailability,
        "a changed spec is tried at once"
    );
    let mut claimed_again = facts.clone();
    claimed_again.findings.token = true;
    assert_eq!(plan(&claimed_again), Step::VerifyBeforePurchase);
    facts.now = at(1800);
    facts = looked(facts, None, Some(order(OrderState::Failure)));
    facts.findings.offer = Some(Some(offer()));
    assert_eq!(
        plan(&facts),
        Step::Claim {
            intent: Intent::Buy,
            since: Some(at(0))
        }
    );
}
