//! What the account has already and nobody owns, or another does.

use super::choosing::allowed;
use super::*;
use crate::number::Kind;

#[test]
fn an_unmarked_number_is_adopted_by_claim_look_and_mark() {
    let never = looked(fresh(), Some(unmarked()), None);
    assert_eq!(reason(&plan(&never)), Some(Reason::AlreadyOwned));
    let mut facts = Facts {
        adopts: true,
        ..never
    };
    let claims = Step::Claim {
        intent: Intent::Adopt,
        since: None,
    };
    assert_eq!(plan(&facts), claims);
    facts.claim = Stored::Ours(claim_at(0).to_adopt());
    facts.finalizer = true;
    facts.findings.token = true;
    assert_eq!(plan(&facts), Step::VerifyBeforePurchase);
    facts.findings.last_look = Some(Some(unmarked()));
    assert_eq!(plan(&facts), Step::Adopt(NumberId::new("PN1")));
    facts.findings.last_look = Some(Some(holding()));
    assert_eq!(
        reason(&plan(&facts)),
        Some(Reason::Verifying),
        "it has changed meanwhile"
    );
    facts.findings.last_look = Some(None);
    assert_ne!(
        plan(&facts),
        Step::Buy,
        "what is gone is not bought on a claim to adopt"
    );
    let claimed_to_adopt = Facts {
        claim: Stored::Ours(claim_at(0).to_adopt()),
        ..claimed()
    };
    assert_eq!(
        plan(&looked(claimed_to_adopt, None, None)),
        Step::CheckAvailability,
        "nothing was spent on such a claim, so nothing is waited for"
    );

    let marked = Holding {
        marked_text: mark().adopted().with_name(Provider::Twilio, "nyc"),
        ..unmarked()
    };
    let facts = looked(
        Facts {
            adopts: true,
            finalizer: true,
            claim: Stored::Ours(claim_at(0).to_adopt()),
            ..fresh()
        },
        Some(marked.clone()),
        None,
    );
    assert_eq!(
        plan(&facts),
        Step::Record(Box::new(marked)),
        "however old the number is"
    );
}

/// A number of the account may be another tenant's, and its name is what they call it.
#[test]
fn the_name_of_a_number_of_another_owner_is_not_shown() {
    let there = Installation::new("there");
    let other = Owner {
        namespace: "tenant".into(),
        name: "secret".into(),
    };
    for mark in [
        Mark::new(Origin::Bought, &Installation::new("here"), &other),
        Mark::new(Origin::Bought, &there, &other),
        Mark::new(Origin::Bought, &there, &owner()),
    ] {
        let foreign = Holding {
            marked_text: format!("Board hotline [{mark}]"),
            ..holding()
        };
        let mut kept = recorded();
        kept.findings.fetched = Some(Some(foreign.clone()));
        for facts in [looked(fresh(), Some(foreign), None), kept] {
            let Step::Done(Outcome::Wait {
                reason, message, ..
            }) = plan(&facts)
            else {
                panic!("it is left alone");
            };
            assert_eq!(reason, Reason::OwnedByAnother);
            assert!(message.contains(&mark.to_string()), "{message}");
            assert!(!message.contains("hotline"), "{message}");
        }
    }
}

#[test]
fn a_foreign_mark_is_replaced_only_if_it_is_nobodys() {
    let foreign = Holding {
        marked_text: "x [pn1.aaaaaa.bbbbbbbbbbbbb]".into(),
        ..unmarked()
    };
    let mut facts = looked(
        Facts {
            adopts: true,
            ..fresh()
        },
        Some(foreign),
        None,
    );
    assert_eq!(reason(&plan(&facts)), Some(Reason::OwnedByAnother));
    facts.findings.look.as_mut().unwrap().orphaned = true;
    assert!(matches!(
        plan(&facts),
        Step::Claim {
            intent: Intent::Adopt,
            ..
        }
    ));
}

#[test]
fn what_was_adopted_is_not_given_back_unless_somebody_says_so() {
    let marked = Holding {
        marked_text: mark().adopted().with_name(Provider::Twilio, "nyc"),
        ..unmarked()
    };
    // The status is lost: only the mark tells.
    let mut facts = Facts {
        deleting: true,
        ..recorded()
    };
    facts.findings.fetched = Some(Some(marked.clone()));
    assert_eq!(
        plan(&facts),
        Step::RemoveFinalizer(FinalizerRemoval::Retained)
    );
    facts.deletion_policy = Some(DeletionPolicy::Release);
    assert_eq!(plan(&facts), Step::RecordRelease(NumberId::new("PN1")));

    // Deleted in the middle of an adoption: the mark is on, and nothing is recorded.
    let facts = looked(
        Facts {
            deleting: true,
            claim: Stored::Ours(claim_at(0).to_adopt()),
            ..claimed()
        },
        Some(marked),
        None,
    );
    assert!(matches!(plan(&facts), Step::Record(_)));
    let unmarked = looked(
        Facts {
            deleting: true,
            claim: Stored::Ours(claim_at(0).to_adopt()),
            ..claimed()
        },
        Some(unmarked()),
        None,
    );
    assert_eq!(
        plan(&unmarked),
        Step::RemoveFinalizer(FinalizerRemoval::NotPurchased)
    );
}

#[test]
fn an_account_says_what_may_be_taken_over() {
    let orphan = Holding {
        marked_text: "x [pn1.aaaaaa.bbbbbbbbbbbbb]".into(),
        ..unmarked()
    };
    for (allowed, takes_unmarked, takes_orphans) in [
        (Adoption::Never, false, false),
        (Adoption::Unmarked, true, false),
        (Adoption::Orphans, true, true),
    ] {
        for (holding, takes) in [
            (unmarked(), takes_unmarked),
            (orphan.clone(), takes_orphans),
        ] {
            let mut facts = looked(fresh(), Some(holding), None);
            facts.adopts = true;
            facts.limits.adoption = allowed;
            facts.findings.look.as_mut().unwrap().orphaned = true;
            let step = plan(&facts);
            assert_eq!(matches!(step, Step::Claim { .. }), takes, "{step:?}");
            let is_limited = reason(&step) == Some(Reason::LimitReached);
            assert_eq!(is_limited, !takes, "{step:?}");
        }
    }
}

#[test]
fn what_may_not_be_bought_is_not_taken_over() {
    let limited = |change: &dyn Fn(&mut Limits)| {
        let mut facts = looked(fresh(), Some(unmarked()), None);
        facts.adopts = true;
        change(&mut facts.limits);
        let is_due = facts.limits.numbers.is_some();
        assert_eq!(plan(&facts) == Step::Count, is_due);
        facts.findings.counted = true;
        reason(&plan(&facts)) == Some(Reason::LimitReached)
    };
    assert!(limited(
        &|limits| limits.countries = Some(allowed(&["FR".to_owned()]))
    ));
    assert!(!limited(
        &|limits| limits.countries = Some(allowed(&["US".to_owned()]))
    ));
    assert!(limited(
        &|limits| limits.kinds = Some(allowed(&[Kind::TollFree]))
    ));
    assert!(limited(&|limits| limits.numbers = Some((10, 11))));
    let full = |limits: &mut Limits| limits.numbers = Some((10, 10));
    assert!(!limited(&full), "it is one of the ten");
}
