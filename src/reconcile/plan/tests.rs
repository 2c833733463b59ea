mod adopting;
mod choosing;
mod costs;
mod departing;
mod evidence;
mod history;
mod messages;
mod orders;
mod recorded;
mod refusals;
mod rules;
mod setup;

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::api::{Adoption, DeletionPolicy, Reason, StatusReason};
use crate::claim::{Claim, Intent, Stored};
use crate::number::{
    AccountId, Configuration, Description, E164, Field, Holding, Installation, Line, Mark,
    Messaging, NumberId, Offer, OrderId, Origin, Owner, Price, Provider, RegulatoryDocuments,
    Routing, Search, Settings, TwilioSettings,
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
        upfront_budget: None,
        minimum_balance: None,
        messaging: Messaging::BestEffort,
        sms_url: None,
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
        is_listed: false,
        release_due: None,
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
        findings: Findings {
            messages_checked: true,
            ..Findings::default()
        },
    }
}

fn offer() -> Offer {
    Offer {
        number: number(),
        price: None,
        description: Description::default(),
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

fn unmarked() -> Holding {
    Holding {
        marked_text: "(212) 555-1234".into(),
        created: Some(at(-9000)),
        ..holding()
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
