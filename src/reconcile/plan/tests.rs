mod choosing;
mod departing;
mod evidence;
mod history;
mod refusals;
mod setup;

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::api::{Adoption, DeletionPolicy, Reason, StatusReason};
use crate::claim::{Claim, Intent, Stored};
use crate::number::{
    AccountId, Configuration, E164, Field, Holding, Installation, Line, Mark, NumberId, Offer,
    OrderId, Origin, Owner, Price, Provider, RegulatoryDocuments, Routing, Search, Settings,
    TwilioSettings,
};
use crate::provider::{Identity, Order, OrderPapers, OrderState, Refusal, WebhookOwner};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

fn number() -> E164 {
    "+12125551234".parse().unwrap()
}

fn owner() -> Owner {
    Owner {
        namespace: "support".into(),
        name: "nyc".into(),
    }
}

fn mark() -> Mark {
    Mark::new(Origin::Bought, &Installation::new("here"), &owner())
}

fn configuration() -> Configuration {
    Configuration {
        name: "nyc".into(),
        mark: mark(),
        routing: Routing::Twilio {
            voice_url: "https://v/twiml".into(),
            sms_url: Some("https://v/twiml".into()),
            messaging_service_sid: None,
        },
        papers: RegulatoryDocuments::default(),
    }
}

fn identity() -> Identity {
    Identity {
        account: AccountId::new("AC1"),
        alias: None,
        proved: true,
    }
}

/// A resource that was just created and that nothing stands in the way of.
fn fresh() -> Facts {
    Facts {
        number: Some(number()),
        search: None,
        budget: None,
        adopts: false,
        adopted: false,
        limits: Limits {
            adoption: Adoption::Orphans,
            ..Limits::default()
        },
        provider: Provider::Twilio,
        mark: mark(),
        now: at(0),
        provider_now: None,
        generation: 1,
        deleting: false,
        finalizer: false,
        claim: Stored::Nothing,
        suspended: false,
        protected: false,
        owned: false,
        deletion_policy: None,
        definition_deleted: false,
        record: Record::default(),
        memory: Memory {
            claim_known_for: Duration::from_secs(60),
            ..Memory::default()
        },
        waits: Timeouts {
            interval: Duration::from_secs(60),
            purchase: Duration::from_secs(35),
            visibility: Duration::from_secs(600),
        },
        account: Ok(identity()),
        configuration: Ok(configuration()),
        webhooks: Vec::new(),
        assistant: None,
        rival: None,
        recorded_by: None,
        findings: Findings::default(),
    }
}

fn offer() -> Offer {
    Offer {
        number: number(),
        price: None,
    }
}

fn claim_at(seconds: i64) -> Claim {
    Claim::to_buy(
        number(),
        AccountId::new("AC1"),
        &owner(),
        "u1",
        "n1".into(),
        at(seconds),
        at(seconds),
    )
}

/// A resource that was claimed at second 0 and of which nothing else is known.
fn claimed() -> Facts {
    Facts {
        finalizer: true,
        claim: Stored::Ours(claim_at(0)),
        ..fresh()
    }
}

/// A resource whose number is recorded, and whose assistant is 101.
fn recorded() -> Facts {
    let mut facts = claimed();
    facts.record.id = Some(NumberId::new("PN1"));
    facts.record.account_id = Some(AccountId::new("AC1"));
    facts
}

fn holding() -> Holding {
    Holding {
        id: NumberId::new("PN1"),
        number: number(),
        marked_text: configuration().marked_text(),
        created: Some(at(1)),
        line: Line::Live,
        settings: Settings::Twilio(TwilioSettings {
            voice_url: Some("https://v/twiml".into()),
            sms_url: Some("https://v/twiml".into()),
            voice_by_post: true,
            sms_by_post: true,
            ..TwilioSettings::default()
        }),
    }
}

fn order(state: OrderState) -> Order {
    Order {
        id: OrderId::new("o1"),
        reference: format!("{}.n1", mark()),
        state,
        sub_orders: vec!["s1".into()],
        papers: OrderPapers::Met,
        numbers: vec![number()],
        created: Some(at(1)),
    }
}

fn looked(mut facts: Facts, holding: Option<Holding>, order: Option<Order>) -> Facts {
    facts.findings.look = Some(Lookup {
        holding,
        order,
        at: Some(facts.now),
        ..Lookup::default()
    });
    facts
}

fn reason(step: &Step) -> Option<Reason> {
    match step {
        Step::Done(Outcome::Wait { reason, .. }) => Some(*reason),
        _ => None,
    }
}

#[test]
fn a_purchase_is_look_then_claim_then_look_then_buy() {
    let mut facts = fresh();
    assert_eq!(plan(&facts), Step::Lookup);
    facts = looked(facts, None, None);
    assert_eq!(plan(&facts), Step::CheckAvailability);
    facts.findings.offer = Some(Some(offer()));
    assert_eq!(
        plan(&facts),
        Step::Claim {
            intent: Intent::Buy,
            since: None
        }
    );
    facts.finalizer = true;
    facts.claim = Stored::Ours(claim_at(0));
    facts.findings.token = true;
    assert_eq!(plan(&facts), Step::VerifyBeforePurchase);
    facts.findings.last_look = Some(None);
    assert_eq!(plan(&facts), Step::Buy);
    facts.findings.token = false;
    facts.findings.look = Some(Lookup {
        holding: Some(holding()),
        at: Some(at(1)),
        ..Lookup::default()
    });
    assert_eq!(plan(&facts), Step::Record(Box::new(holding())));
}

#[test]
fn an_attempt_that_may_have_succeeded_is_looked_for_before_it_is_repeated() {
    for (now, repeated) in [
        (0, false),
        (10, false),
        (34, false),
        (35, true),
        (3600, true),
    ] {
        let mut facts = claimed();
        facts.now = at(now);
        assert_eq!(plan(&facts), Step::Lookup);
        facts = looked(facts, None, None);
        facts.findings.offer = Some(Some(offer()));
        let step = plan(&facts);
        if repeated {
            assert_eq!(
                step,
                Step::Claim {
                    intent: Intent::Buy,
                    since: Some(at(0))
                },
                "after {now} s"
            );
        } else {
            assert_eq!(reason(&step), Some(Reason::Verifying), "after {now} s");
        }
    }
}

#[test]
fn an_attempt_that_was_certainly_in_vain_is_repeated_without_waiting() {
    let mut facts = looked(claimed(), None, None);
    assert_eq!(reason(&plan(&facts)), Some(Reason::Verifying));
    facts.memory.never_bought = true;
    assert_eq!(plan(&facts), Step::CheckAvailability);
}

#[test]
fn a_refusal_is_not_provoked_again_before_its_time() {
    let table = [
        (Reason::NumberNotAvailable, 599, false),
        (Reason::NumberNotAvailable, 600, true),
        (Reason::InsufficientBalance, 1799, false),
        (Reason::InsufficientBalance, 1800, true),
    ];
    for (why, now, again) in table {
        for never_bought in [true, false] {
            let mut facts = claimed();
            facts.now = at(now);
            facts.memory.never_bought = never_bought;
            facts.record.refused = Some(refusals::certain(why));
            if never_bought && !again {
                assert_eq!(
                    reason(&plan(&facts)),
                    Some(why),
                    "{why} at {now} needs no look"
                );
            }
            facts = looked(facts, None, None);
            facts.findings.offer = Some(Some(offer()));
            assert_eq!(
                matches!(plan(&facts), Step::Claim { .. }),
                again,
                "{why} at {now}, {never_bought}"
            );
            facts.record.refused.as_mut().unwrap().is_same = false;
            assert!(
                matches!(plan(&facts), Step::Claim { .. }),
                "what has changed is tried at once"
            );
        }
    }
}

#[test]
fn what_the_account_holds_decides_whether_anything_is_bought() {
    let with = |change: fn(&mut Holding)| {
        let mut holding = holding();
        change(&mut holding);
        holding
    };
    let foreign =
        |holding: &mut Holding| holding.marked_text = "x [pn1.aaaaaa.bbbbbbbbbbbbb]".into();
    let unmarked = |holding: &mut Holding| holding.marked_text = "(212) 555-1234".into();
    let table = [
        (with(|_| {}), Ok(())),
        (with(unmarked), Err(Reason::AlreadyOwned)),
        (with(foreign), Err(Reason::OwnedByAnother)),
        (with(|holding| holding.created = Some(at(-2))), Ok(())),
        (with(|holding| holding.created = None), Ok(())),
    ];
    for (holding, outcome) in table {
        let facts = looked(claimed(), Some(holding.clone()), None);
        match outcome {
            Ok(()) => assert_eq!(plan(&facts), Step::Record(Box::new(holding))),
            Err(why) => assert_eq!(reason(&plan(&facts)), Some(why), "{holding:?}"),
        }
    }
    let mut elsewhere = looked(claimed(), Some(holding()), None);
    elsewhere.recorded_by = Some("other/nyc".into());
    assert_eq!(reason(&plan(&elsewhere)), Some(Reason::OwnedByAnother));
}

#[test]
fn a_number_that_was_retained_is_taken_up_again_without_a_purchase() {
    let mut retained = holding();
    retained.created = Some(at(-86_400));
    let facts = looked(fresh(), Some(retained.clone()), None);
    assert_eq!(plan(&facts), Step::AddFinalizer);
    let facts = Facts {
        finalizer: true,
        ..facts
    };
    assert_eq!(plan(&facts), Step::Record(Box::new(retained)));
}

#[test]
fn a_claim_that_is_not_simply_ours_never_spends() {
    let earlier = Facts {
        claim: Stored::EarlierUid(claim_at(-90_000)),
        finalizer: true,
        ..fresh()
    };
    assert_eq!(
        reason(&plan(&looked(earlier.clone(), None, None))),
        Some(Reason::Lost)
    );
    assert_eq!(
        plan(&Facts {
            finalizer: false,
            ..earlier
        }),
        Step::AddFinalizer
    );
    let newer = Facts {
        claim: Stored::Newer(2),
        finalizer: true,
        ..fresh()
    };
    assert_eq!(reason(&plan(&newer)), Some(Reason::InvalidSpec));
    let mut unreadable = looked(
        Facts {
            claim: Stored::Unreadable,
            finalizer: true,
            ..fresh()
        },
        None,
        None,
    );
    unreadable.findings.offer = Some(Some(offer()));
    assert_eq!(reason(&plan(&unreadable)), Some(Reason::InvalidSpec));
    unreadable.record.account_id = Some(AccountId::new("AC1"));
    assert_eq!(reason(&plan(&unreadable)), Some(Reason::Verifying));
    unreadable.memory.unreadable_for = Duration::from_secs(600);
    assert_eq!(
        plan(&unreadable),
        Step::Claim {
            intent: Intent::Buy,
            since: None
        }
    );
}

#[test]
fn blockers_gate_spending_and_not_looking() {
    let blocker = StatusReason::new(Reason::AssistantNotFound, "no");
    let mut facts = fresh();
    facts.assistant = Some((101, Err(blocker.clone())));
    assert_eq!(reason(&plan(&facts)), Some(Reason::AssistantNotFound));
    let mut facts = claimed();
    facts.assistant = Some((101, Err(blocker.clone())));
    assert_eq!(plan(&facts), Step::Lookup);
    facts.now = at(100);
    assert_eq!(
        reason(&plan(&looked(facts.clone(), None, None))),
        Some(Reason::AssistantNotFound)
    );
    assert!(matches!(
        plan(&looked(facts, Some(holding()), None)),
        Step::Record(_)
    ));
    let rival = Facts {
        rival: Some("a/b".into()),
        ..fresh()
    };
    assert_eq!(reason(&plan(&rival)), Some(Reason::ClaimedByAnother));
    let webhook = Facts {
        configuration: Err(StatusReason::new(Reason::WebhookBaseMissing, "no")),
        ..fresh()
    };
    assert_eq!(reason(&plan(&webhook)), Some(Reason::WebhookBaseMissing));
}

#[test]
fn another_account_than_the_pinned_one_is_never_asked() {
    let other = Ok(Identity {
        account: AccountId::new("AC2"),
        alias: None,
        proved: true,
    });
    for facts in [
        claimed(),
        recorded(),
        Facts {
            deleting: true,
            ..recorded()
        },
        Facts {
            deleting: true,
            ..claimed()
        },
    ] {
        let facts = Facts {
            account: other.clone(),
            ..facts
        };
        assert_eq!(reason(&plan(&facts)), Some(Reason::AccountMismatch));
    }
    let renamed = Ok(Identity {
        account: AccountId::new("org"),
        alias: Some(AccountId::new("AC1")),
        proved: true,
    });
    assert_eq!(
        plan(&Facts {
            account: renamed,
            ..claimed()
        }),
        Step::Lookup
    );
}

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

#[test]
fn a_recorded_number_that_is_missing_is_lost_only_after_a_second_404_and_never_bought_again() {
    let mut facts = recorded();
    assert_eq!(plan(&facts), Step::FetchById(NumberId::new("PN1")));
    facts.findings.fetched = Some(None);
    facts.memory.missing_for = Some(Duration::from_secs(20));
    let left = Duration::from_secs(40);
    assert_eq!(plan(&facts), Step::Done(Outcome::KeepStatus(left)));
    facts.memory.missing_for = Some(Duration::from_secs(60));
    assert_eq!(reason(&plan(&facts)), Some(Reason::Lost));
    facts.findings.fetched = Some(Some(holding()));
    assert_eq!(plan(&facts), Step::Done(Outcome::Ready));
}

#[test]
fn what_was_seen_as_it_is_wanted_is_not_fetched_again() {
    let mut facts = recorded();
    facts.memory.verified = true;
    assert_eq!(plan(&facts), Step::Done(Outcome::Ready));
}

#[test]
fn a_fight_is_left_to_the_other_and_the_last_repair_is_waited_for() {
    let mut facts = recorded();
    let mut changed = holding();
    changed.settings = Settings::Twilio(TwilioSettings::default());
    facts.findings.fetched = Some(Some(changed));
    assert!(matches!(plan(&facts), Step::Configure(..)));
    facts.memory.configuration_conflict = true;
    assert_eq!(reason(&plan(&facts)), Some(Reason::ConfigurationConflict));
    facts.findings.configured = true;
    assert_eq!(reason(&plan(&facts)), Some(Reason::Configuring));
}

#[test]
fn who_answers_is_settled_before_the_webhooks() {
    let mut drifted = holding();
    drifted.settings = Settings::Twilio(TwilioSettings::default());
    let mut facts = recorded();
    facts.findings.fetched = Some(Some(drifted));
    facts.assistant = Some((102, Ok(())));
    facts.record.assistant = Some(101);
    assert_eq!(plan(&facts), Step::Unassign(101));
    facts.record.assistant = None;
    assert_eq!(plan(&facts), Step::RecordPendingAssignment(102));
    facts.record.assigning = Some(102);
    assert_eq!(
        plan(&facts),
        Step::RecordPendingAssignment(102),
        "what an earlier pass has announced may not be declared any more"
    );
    facts.findings.announced = Some(102);
    assert_eq!(plan(&facts), Step::Assign(102));
    facts.record.assistant = Some(102);
    facts.record.assigning = None;
    assert!(matches!(plan(&facts), Step::Configure(..)));
    facts.assistant = None;
    assert_eq!(plan(&facts), Step::Unassign(102));
    facts.assistant = Some((
        102,
        Err(StatusReason::new(Reason::AssistantUnverifiable, "down")),
    ));
    assert!(
        matches!(plan(&facts), Step::Configure(..)),
        "an assignment that stands is not disturbed"
    );
    facts.assistant = Some((
        102,
        Err(StatusReason::new(Reason::AssistantInactive, "off")),
    ));
    assert_eq!(reason(&plan(&facts)), Some(Reason::AssistantInactive));
}

#[test]
fn a_number_with_a_foreign_mark_is_neither_configured_nor_released() {
    let mut foreign = holding();
    foreign.marked_text = "x [pn1.aaaaaa.bbbbbbbbbbbbb]".into();
    let mut facts = recorded();
    facts.findings.fetched = Some(Some(foreign));
    assert_eq!(reason(&plan(&facts)), Some(Reason::OwnedByAnother));
    facts.deleting = true;
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::NotOwned)
    );
}

#[test]
fn a_renamed_number_gets_its_mark_back_before_anything_else_is_done_with_it() {
    let mut renamed = holding();
    renamed.marked_text = "my number".into();
    for deleting in [false, true] {
        let mut facts = Facts {
            deleting,
            ..recorded()
        };
        facts.findings.fetched = Some(Some(renamed.clone()));
        assert_eq!(plan(&facts), Step::RestoreMark(NumberId::new("PN1")));
        facts.findings.marked = true;
        assert!(matches!(plan(&facts), Step::Done(Outcome::Wait { .. })));
    }
}

/// Every combination of a few facts: whatever else is true, these rules hold.
#[test]
fn no_combination_of_facts_breaks_the_rules_of_spending() {
    let claims = [
        Stored::Nothing,
        Stored::Ours(claim_at(0)),
        Stored::EarlierUid(claim_at(0)),
        Stored::Unreadable,
        Stored::Newer(2),
    ];
    let mut checked = 0;
    for claim in claims {
        for bits in 0_u32..1 << 11 {
            let bit = |at: u32| bits & (1 << at) != 0;
            let mut facts = Facts {
                claim: claim.clone(),
                ..fresh()
            };
            facts.finalizer = bit(0);
            facts.deleting = bit(1);
            facts.suspended = bit(2);
            facts.memory.never_bought = bit(3);
            facts.findings.token = bit(4);
            facts.findings.last_look = bit(5).then_some(None);
            facts.findings.offer = Some(bit(6).then(offer));
            facts.rival = bit(7).then(|| "a/b".into());
            facts.now = at(if bit(8) { 4000 } else { 5 });
            facts.adopts = bit(9);
            facts.search = bit(10).then(choosing::search);
            if bit(10) && claim == Stored::Nothing {
                facts.number = None;
            }
            for look in [None, Some(None), Some(Some(holding()))] {
                let facts = match look.clone() {
                    None => facts.clone(),
                    Some(holding) => looked(facts.clone(), holding, None),
                };
                let step = plan(&facts);
                checked += 1;
                if step == Step::Buy {
                    assert!(
                        facts.findings.token,
                        "no purchase without a stored claim: {facts:?}"
                    );
                    assert_eq!(
                        facts.findings.last_look,
                        Some(None),
                        "no purchase without a last look: {facts:?}"
                    );
                }
                if matches!(step, Step::Adopt(_)) {
                    assert!(facts.findings.token && facts.adopts, "{facts:?}");
                }
                let claims_to_adopt = matches!(
                    step,
                    Step::Claim {
                        intent: Intent::Adopt,
                        ..
                    }
                );
                if matches!(step, Step::Buy | Step::Claim { .. }) && !claims_to_adopt {
                    assert!(!facts.deleting && facts.rival.is_none(), "{facts:?}");
                    assert_eq!(
                        look,
                        Some(None),
                        "nothing is bought that was not looked for: {facts:?}"
                    );
                    assert!(
                        !matches!(facts.claim, Stored::Newer(_) | Stored::EarlierUid(_)),
                        "{facts:?}"
                    );
                }
                assert!(!(facts.suspended && step.writes()), "{facts:?}");
                if matches!(step, Step::Record(_)) {
                    assert!(
                        facts.finalizer,
                        "nothing is recorded without the finalizer: {facts:?}"
                    );
                }
            }
        }
    }
    assert_eq!(checked, 5 * 2048 * 3);
}
