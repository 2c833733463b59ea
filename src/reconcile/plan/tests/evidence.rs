//! Whose a number is, and whether an attempt may still have brought one.

use super::*;
use crate::api::DeletionPolicy;
use crate::provider::RefusalKind;

fn created(seconds: i64) -> Holding {
    Holding {
        created: Some(at(seconds)),
        ..holding()
    }
}

/// A claim of second 0 is looked at in second 20 and shows this number; the provider's clock says this.
fn found(holding: &Holding, provider_now: Option<i64>) -> Facts {
    let mut facts = Facts {
        now: at(20),
        provider_now: provider_now.map(at),
        ..claimed()
    };
    facts.memory.claim_known_for = Duration::from_secs(20);
    looked(facts, Some(holding.clone()), None)
}

#[test]
fn a_number_that_came_with_the_attempt_by_both_clocks_is_ours() {
    for (seconds, is_clear) in [(-3, false), (-2, true), (20, true), (22, true), (23, false)] {
        let number = created(seconds);
        let step = plan(&found(&number, None));
        let expected = if is_clear {
            Step::Record(Box::new(number))
        } else {
            Step::Rename(NumberId::new("PN1"))
        };
        assert_eq!(step, expected, "created in second {seconds}");
    }
}

/// The clock of the rows lies behind or ahead of the dates of answers; what it says of itself tells.
#[test]
fn a_number_is_dated_by_the_clock_of_its_row_alone() {
    for apart in [-600, -60, -5, 60, 600] {
        for (seconds, is_ours) in [
            (0, true),
            (19, true),
            (-5, true),
            (-6, false),
            (-600, false),
        ] {
            let number = created(seconds + apart);
            let mut facts = found(&number, None);
            facts.findings.renamed = Some(Some(at(20 + apart)));
            let step = plan(&facts);
            if is_ours {
                assert_eq!(step, Step::Record(Box::new(number)), "{seconds} {apart}");
            } else if !matches!(step, Step::Record(_)) {
                assert_eq!(
                    step,
                    Step::Disclaim(NumberId::new("PN1")),
                    "{seconds} {apart}"
                );
            } else {
                // By both clocks it came with the attempt.
                assert!((-2..=22).contains(&(seconds + apart)));
            }
        }
    }
}

/// How old the attempt is does not tell whether the change of the name fell into the second of an earlier change.
#[test]
fn what_the_clock_of_the_row_does_not_show_is_asked_again_and_then_not_ours() {
    for now in [9, 20, 600] {
        for (unmoved_for, is_clear) in [(0, false), (9, false), (10, true)] {
            let mut facts = found(&created(-600), None);
            facts.now = at(now);
            facts.memory.unmoved_for = Duration::from_secs(unmoved_for);
            facts.findings.renamed = Some(None);
            let step = plan(&facts);
            if is_clear {
                assert_eq!(step, Step::Disclaim(NumberId::new("PN1")));
            } else {
                assert_eq!(
                    reason(&step),
                    Some(Reason::Verifying),
                    "{now} {unmoved_for}"
                );
            }
        }
    }
}

/// The provider tells no date, and the API server's clock was set back after the claim. The number was renamed 143 s after it came.
#[test]
fn a_clock_that_went_back_disowns_nothing() {
    for (now, known_for, expected) in [
        (-640, 0, None),
        (-640, 137, None),
        (-640, 138, Some(true)),
        (100, 0, Some(false)),
        (100, 138, Some(true)),
        (138, 0, Some(true)),
    ] {
        let number = created(-3);
        let mut facts = found(&number, None);
        facts.now = at(now);
        facts.memory.claim_known_for = Duration::from_secs(known_for);
        facts.findings.renamed = Some(Some(at(140)));
        let step = plan(&facts);
        match expected {
            None => assert_eq!(reason(&step), Some(Reason::Verifying), "{now} {known_for}"),
            Some(true) => assert_eq!(step, Step::Record(Box::new(number)), "{now} {known_for}"),
            Some(false) => assert_eq!(step, Step::Disclaim(NumberId::new("PN1"))),
        }
    }
}

#[test]
fn what_was_found_to_be_ours_is_not_asked_again() {
    let mut facts = found(&created(-600), None);
    facts.memory.proved = Some(NumberId::new("PN1"));
    assert!(matches!(plan(&facts), Step::Record(_)));
    facts.memory.proved = Some(NumberId::new("PN2"));
    assert_eq!(plan(&facts), Step::Rename(NumberId::new("PN1")));
}

#[test]
fn an_id_that_was_known_before_the_purchase_is_not_ours_whatever_its_date() {
    let mut facts = found(&created(1), None);
    facts.memory.met = Some(NumberId::new("PN1"));
    assert_eq!(plan(&facts), Step::Disclaim(NumberId::new("PN1")));
    facts.memory.met = Some(NumberId::new("PN2"));
    assert!(matches!(plan(&facts), Step::Record(_)));
}

#[test]
fn an_order_at_telnyx_overwrites_nothing_so_its_mark_is_proof() {
    let mut facts = found(&created(-600), None);
    facts.provider = Provider::Telnyx;
    assert!(matches!(plan(&facts), Step::Record(_)));
}

#[test]
fn a_claim_of_an_earlier_uid_dates_a_number_too() {
    let mut facts = found(&created(-600), None);
    facts.claim = Stored::EarlierUid(claim_at(0));
    assert_eq!(plan(&facts), Step::Rename(NumberId::new("PN1")));
}

/// The mark says that it was not bought. Only `Adopt` acts on that, and nothing releases it.
#[test]
fn a_number_that_was_written_over_is_kept_whatever_happens() {
    let kept = Holding {
        marked_text: format!("nyc [{}]", mark().adopted()),
        ..created(-600)
    };
    for claim in [
        Stored::Ours(claim_at(0)),
        Stored::EarlierUid(claim_at(0)),
        Stored::Nothing,
    ] {
        let mut facts = found(&kept, None);
        facts.claim = claim.clone();
        facts.deletion_policy = Some(DeletionPolicy::Release);
        let step = plan(&facts);
        assert_eq!(reason(&step), Some(Reason::AlreadyOwned), "{claim:?}");
        facts.deleting = true;
        assert_eq!(
            plan(&facts),
            Step::RemoveFinalizer(FinalizerRemoval::NotPurchased),
            "{claim:?}"
        );
        facts.adopts = true;
        assert_eq!(
            plan(&facts),
            Step::RemoveFinalizer(FinalizerRemoval::NotPurchased)
        );
        facts.deleting = false;
        assert_eq!(plan(&facts), Step::Record(Box::new(kept.clone())));
    }
}

/// So it is kept, unless somebody says otherwise once it is recorded.
#[test]
fn a_number_that_was_taken_over_is_found_by_its_mark_where_all_else_is_lost() {
    let kept = Holding {
        marked_text: format!("nyc [{}]", mark().adopted()),
        ..created(-600)
    };
    let mut facts = found(&kept, None);
    facts.claim = Stored::Nothing;
    assert_eq!(plan(&facts), Step::Record(Box::new(kept)));
}

#[test]
fn a_number_that_was_written_over_is_disclaimed_before_its_resource_goes() {
    let mut facts = found(&created(-600), None);
    facts.deleting = true;
    assert_eq!(plan(&facts), Step::Rename(NumberId::new("PN1")));
    facts.findings.renamed = Some(Some(at(20)));
    assert_eq!(plan(&facts), Step::Disclaim(NumberId::new("PN1")));
}

/// Mexico's numbers, for one, were asked for with a 1 and are shown without it.
#[test]
fn a_number_that_is_written_otherwise_is_said_and_released() {
    let other = |seconds| Holding {
        number: "+525512345678".parse().unwrap(),
        ..created(seconds)
    };
    let with = |marked: Holding, deleting| {
        let mut facts = found(&marked, None);
        facts.deleting = deleting;
        facts.findings.look = Some(Lookup {
            marked: Some(marked),
            at: Some(facts.now),
            ..Lookup::default()
        });
        facts
    };
    let Step::Done(Outcome::Wait {
        reason, message, ..
    }) = plan(&with(other(1), false))
    else {
        panic!("it says so");
    };
    assert_eq!(reason, Reason::AlreadyOwned);
    assert!(message.contains("brought +525512345678"), "{message}");
    assert_eq!(
        plan(&with(other(1), true)),
        Step::Record(Box::new(other(1)))
    );
    // One that was kept of an earlier life is not released by this one.
    let mut facts = with(other(-600), true);
    assert_eq!(plan(&facts), Step::Rename(NumberId::new("PN1")));
    facts.findings.renamed = Some(Some(at(20)));
    assert_eq!(super::reason(&plan(&facts)), Some(Reason::Verifying));
    let mut facts = with(other(-600), true);
    facts.provider = Provider::Telnyx;
    assert_eq!(super::reason(&plan(&facts)), Some(Reason::Verifying));
}

#[test]
fn the_visibility_period_needs_the_dates_and_a_minute_of_our_own_time() {
    for (date, known, is_over) in [
        (599, 599, false),
        (600, 59, false),
        (600, 60, true),
        (0, 599, false),
        (0, 600, true),
        (-3600, 600, true),
        (86_400, 0, false),
    ] {
        let mut facts = claimed();
        facts.now = at(date);
        facts.deleting = true;
        facts.memory.claim_known_for = Duration::from_secs(known);
        let step = plan(&looked(facts, None, None));
        assert_eq!(
            step == Step::RemoveFinalizer(FinalizerRemoval::NotPurchased),
            is_over,
            "{date} by dates, {known} by our own clock"
        );
    }
}

fn doubt(age: u64) -> Doubt {
    Doubt {
        number: number(),
        account_id: Some(AccountId::new("AC1")),
        since: at(-i64::try_from(age).unwrap()),
        age: Duration::from_secs(age),
        nonce: Some("n1".into()),
        claim: None,
    }
}

#[test]
fn an_attempt_without_its_claim_is_waited_out_like_one_with_it() {
    for (age, claims) in [(34, false), (35, true)] {
        let mut facts = fresh();
        facts.finalizer = true;
        facts.memory.doubt = Some(doubt(age));
        facts = looked(facts, None, None);
        facts.findings.offer = Some(Some(offer()));
        let step = plan(&facts);
        if claims {
            let since = Some(doubt(age).since);
            let intent = Intent::Buy;
            assert_eq!(step, Step::Claim { intent, since });
        } else {
            assert_eq!(reason(&step), Some(Reason::Verifying));
        }
    }
    for (age, is_over) in [(599, false), (600, true)] {
        let mut facts = looked(fresh(), None, None);
        facts.deleting = true;
        facts.finalizer = true;
        facts.memory.doubt = Some(doubt(age));
        let is_gone = plan(&facts) == Step::RemoveFinalizer(FinalizerRemoval::NotPurchased);
        assert_eq!(is_gone, is_over, "{age}");
    }
    let mut facts = looked(fresh(), None, None);
    facts.memory.doubt = Some(Doubt {
        account_id: Some(AccountId::new("AC2")),
        ..doubt(700)
    });
    facts.finalizer = false;
    assert_eq!(plan(&facts), Step::AddFinalizer);
    facts.finalizer = true;
    assert_eq!(reason(&plan(&facts)), Some(Reason::AccountMismatch));
}

/// Two processes that both believe to lead would write against each other.
#[test]
fn who_remembers_an_attempt_says_the_same_of_anothers_number_as_who_does_not() {
    let unmarked = Holding {
        marked_text: "by hand".into(),
        ..holding()
    };
    let rival = Some("PhoneNumber support/rival".to_owned());
    let blocked = Some((
        101,
        Err(StatusReason::new(Reason::AssistantNotFound, "none")),
    ));
    for (rival, assistant) in [(rival, None), (None, blocked)] {
        for recorded_by in [None, Some("PhoneNumber support/rival".to_owned())] {
            let mut facts = fresh();
            facts.finalizer = true;
            facts.rival.clone_from(&rival);
            facts.assistant.clone_from(&assistant);
            let knows_nothing = plan(&facts);
            facts.memory.doubt = Some(doubt(700));
            let mut remembers = looked(facts, Some(unmarked.clone()), None);
            remembers.recorded_by = recorded_by;
            assert_eq!(plan(&remembers), knows_nothing);
            remembers.memory.doubt = None;
            remembers.claim = claimed().claim;
            assert_ne!(plan(&remembers), knows_nothing, "a claim is evidence");
        }
    }
}

/// The same of another number, which carries the mark of the resource: the one that the attempt was on, or another.
#[test]
fn who_remembers_an_attempt_says_the_same_of_another_number_with_its_mark() {
    let other: E164 = "+12125550009".parse().unwrap();
    let rival = Some("PhoneNumber support/rival".to_owned());
    for rival in [None, rival] {
        for attempted in [number(), other] {
            let mut facts = Facts {
                provider: Provider::Telnyx,
                finalizer: true,
                rival: rival.clone(),
                ..fresh()
            };
            facts.findings.look = Some(Lookup {
                marked: Some(Holding {
                    number: other,
                    ..holding()
                }),
                at: Some(facts.now),
                ..Lookup::default()
            });
            let knows_nothing = plan(&facts);
            let wanted = [Reason::AlreadyOwned, Reason::ClaimedByAnother];
            let wanted = wanted[usize::from(rival.is_some())];
            assert_eq!(reason(&knows_nothing), Some(wanted));
            facts.memory.doubt = Some(Doubt {
                number: attempted,
                ..doubt(700)
            });
            assert_eq!(plan(&facts), knows_nothing, "{rival:?} {attempted}");
        }
    }
}

#[test]
fn a_claim_that_cannot_be_read_needs_its_account_and_the_whole_period() {
    let mut facts = fresh();
    facts.finalizer = true;
    facts.claim = Stored::Unreadable;
    facts = looked(facts, None, None);
    facts.findings.offer = Some(Some(offer()));
    facts.memory.unreadable_for = Duration::from_secs(6000);
    assert_eq!(reason(&plan(&facts)), Some(Reason::InvalidSpec));
    for (known, buys) in [(599, false), (600, true)] {
        facts.memory.doubt = Some(doubt(700));
        facts.memory.unreadable_for = Duration::from_secs(known);
        assert_eq!(matches!(plan(&facts), Step::Claim { .. }), buys, "{known}");
    }
    let shown = looked(facts, Some(holding()), None);
    assert!(matches!(plan(&shown), Step::Record(_)), "a look goes on");
}

#[test]
fn a_number_of_the_same_name_in_another_installation_blocks_a_search() {
    let there = crate::number::Installation::new("there");
    let namesake = Holding {
        marked_text: Mark::new(Origin::Bought, &there, &owner()).to_string(),
        ..holding()
    };
    let mut facts = fresh();
    facts.search = Some(choosing::search());
    facts.number = None;
    facts = looked(facts, None, None);
    facts.findings.look.as_mut().unwrap().namesake = Some(namesake.clone());
    let Step::Done(Outcome::Wait {
        reason, message, ..
    }) = plan(&facts)
    else {
        panic!("nothing is bought");
    };
    assert_eq!(reason, Reason::OwnedByAnother);
    assert!(message.contains("--installation-id"), "{message}");
    // So does the declared number itself.
    let facts = looked(fresh(), Some(namesake), None);
    let Step::Done(Outcome::Wait { message, .. }) = plan(&facts) else {
        panic!("nothing is bought");
    };
    assert!(message.contains("--installation-id"), "{message}");
}

#[test]
fn an_attempt_that_certainly_brought_nothing_does_not_date_the_next_one() {
    for (never_bought, since) in [(true, None), (false, Some(at(0)))] {
        let mut facts = looked(
            Facts {
                now: at(35),
                ..claimed()
            },
            None,
            None,
        );
        facts.memory.never_bought = never_bought;
        facts.findings.offer = Some(Some(offer()));
        let intent = Intent::Buy;
        assert_eq!(plan(&facts), Step::Claim { intent, since });
        // The provider refuses SMS webhooks on the number.
        facts.findings.attempt = Some(choosing::refused(RefusalKind::TakesNoMessages));
        assert_eq!(plan(&facts), Step::Claim { intent, since });
    }
}
