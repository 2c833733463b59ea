//! Searches, and the limits of an account.

use super::*;
use crate::number::{Amount, Capabilities, Capability, Currency, Kind};
use crate::provider::RefusalKind;

pub(super) fn search() -> Search {
    Search {
        country: "US".into(),
        kind: Kind::Local,
        area_code: Some("212".into()),
        contains: None,
        locality: None,
        region: None,
        capabilities: vec![Capability::Voice],
    }
}

pub(super) fn price(monthly: &str, currency: &str) -> Price {
    Price::read(monthly, "0", currency).unwrap()
}

pub(super) fn budget(amount: &str) -> Budget {
    Budget {
        amount: Amount::read(amount).unwrap(),
        currency: Currency::new("USD").unwrap(),
    }
}

/// A search that has found nothing of its own in the account.
pub(super) fn searching() -> Facts {
    let facts = Facts {
        number: None,
        search: Some(search()),
        ..fresh()
    };
    looked(facts, None, None)
}

pub(super) fn chosen() -> Facts {
    let mut facts = searching();
    facts.number = Some(number());
    facts.findings.choice = Some(SearchResult::Chosen);
    facts.findings.offer = Some(Some(offer()));
    facts
}

pub(super) fn buys(since: Option<Timestamp>) -> Step {
    Step::Claim {
        intent: Intent::Buy,
        since,
    }
}

pub(super) fn refused(kind: RefusalKind) -> Attempt {
    Attempt::Rejected(Refusal {
        kind,
        code: "21422".into(),
        text: "not available".into(),
        request_id: None,
    })
}

#[test]
fn a_search_is_look_then_choose_then_claim_then_buy() {
    let unlooked = Facts {
        number: None,
        search: Some(search()),
        ..fresh()
    };
    assert_eq!(plan(&unlooked), Step::Lookup);
    assert_eq!(plan(&searching()), Step::SearchAndReserve);
    let mut facts = chosen();
    assert_eq!(plan(&facts), buys(None));
    facts.claim = Stored::Ours(claim_at(0));
    facts.finalizer = true;
    facts.findings.token = true;
    assert_eq!(
        plan(&facts),
        Step::VerifyBeforePurchase,
        "an answer that is too old needs another look"
    );
    facts.findings.last_look = Some(None);
    assert_eq!(plan(&facts), Step::Buy);
}

#[test]
fn what_a_search_comes_to_is_told() {
    for (choice, expected) in [
        (SearchResult::NoneFound, Reason::NoNumbersFound),
        (SearchResult::AllTaken, Reason::Searching),
        (
            SearchResult::TooDear(price("3", "USD")),
            Reason::CostLimitExceeded,
        ),
        (
            SearchResult::TooDear(price("1", "EUR")),
            Reason::PriceUnknown,
        ),
    ] {
        let mut facts = searching();
        facts.budget = Some(budget("2"));
        facts.findings.choice = Some(choice);
        assert_eq!(reason(&plan(&facts)), Some(expected));
    }
}

#[test]
fn a_candidate_that_was_certainly_not_bought_is_replaced_and_a_doubtful_one_is_not() {
    let mut facts = chosen();
    facts.claim = Stored::Ours(claim_at(0));
    facts.finalizer = true;
    facts.findings.attempt = Some(refused(RefusalKind::NotOnSale));
    facts.memory.never_bought = true;
    assert_eq!(plan(&facts), Step::SearchAndReserve);
    facts.findings.refused_candidates = MOST_CANDIDATES;
    assert_eq!(reason(&plan(&facts)), Some(Reason::Searching));
    facts.findings.refused_candidates = 0;
    facts.memory.never_bought = false;
    assert_eq!(reason(&plan(&facts)), Some(Reason::Verifying));
    facts.findings.attempt = Some(refused(RefusalKind::InsufficientBalance));
    assert_eq!(reason(&plan(&facts)), Some(Reason::InsufficientBalance));
}

#[test]
fn a_doubtful_candidate_is_tried_again_and_replaced_only_when_it_would_have_been_seen() {
    let after = |seconds: i64| {
        let mut facts = Facts {
            claim: Stored::Ours(claim_at(0)),
            finalizer: true,
            number: Some(number()),
            now: at(seconds),
            ..searching()
        };
        facts.findings.look = None;
        looked(facts, None, None)
    };
    assert_eq!(reason(&plan(&after(34))), Some(Reason::Verifying));
    assert_eq!(
        plan(&after(36)),
        Step::CheckAvailability,
        "the same number again"
    );
    let mut same = after(36);
    same.findings.offer = Some(Some(offer()));
    assert_eq!(plan(&same), buys(Some(at(0))));
    assert_eq!(plan(&after(601)), Step::SearchAndReserve);
}

#[test]
fn a_resource_whose_mark_is_on_a_number_never_buys_a_second() {
    let able = TwilioSettings {
        capabilities: Some(Capabilities {
            voice: true,
            ..Capabilities::default()
        }),
        ..TwilioSettings::default()
    };
    let fitting = Holding {
        settings: Settings::Twilio(able),
        ..holding()
    };
    let facts = Facts {
        finalizer: true,
        ..searching()
    };
    let found = looked(facts.clone(), Some(fitting.clone()), None);
    assert_eq!(plan(&found), Step::Record(Box::new(fitting)));
    let unfit = Holding {
        number: "+13125551234".parse().unwrap(),
        ..holding()
    };
    let found = looked(facts, Some(unfit), None);
    assert_eq!(reason(&plan(&found)), Some(Reason::AlreadyOwned));

    let mut exact = looked(fresh(), None, None);
    exact.findings.look.as_mut().unwrap().marked = Some(Holding {
        number: "+13125551234".parse().unwrap(),
        ..holding()
    });
    assert_eq!(reason(&plan(&exact)), Some(Reason::AlreadyOwned));
}

pub(super) fn allowed<T: Ord + Clone>(values: &[T]) -> Allowed<T> {
    Allowed {
        values: values.iter().cloned().collect(),
        by: ["ProviderAccount a/one", "ProviderAccount b/two"]
            .map(str::to_owned)
            .into(),
    }
}

#[test]
fn what_two_accounts_do_not_allow_together_names_both() {
    let mut facts = looked(fresh(), None, None);
    facts.limits.countries = Some(allowed(&[]));
    let said = |facts: &Facts| match plan(facts) {
        Step::Done(Outcome::Wait { message, .. }) => message,
        step => panic!("{step:?}"),
    };
    for words in [
        "ProviderAccount a/one and ProviderAccount b/two",
        "allowedCountries",
        "This goes on when",
    ] {
        assert!(said(&facts).contains(words), "{}", said(&facts));
    }
    facts.limits.countries = Some(allowed(&["GB".to_owned()]));
    assert!(said(&facts).contains("GB only"), "{}", said(&facts));
}

#[test]
fn an_account_limits_countries_kinds_and_numbers() {
    let table: [(Limits, Option<Reason>); 8] = [
        (Limits::default(), None),
        (
            Limits {
                countries: Some(allowed(&["US".to_owned(), "CA".to_owned()])),
                kinds: Some(allowed(&[Kind::Local])),
                numbers: Some((3, 2)),
                ..Limits::default()
            },
            None,
        ),
        (
            Limits {
                countries: Some(allowed(&["GB".to_owned()])),
                ..Limits::default()
            },
            Some(Reason::LimitReached),
        ),
        (
            Limits {
                kinds: Some(allowed(&[Kind::TollFree])),
                ..Limits::default()
            },
            Some(Reason::LimitReached),
        ),
        // Nothing is allowed by all, which is not the same as no limit.
        (
            Limits {
                countries: Some(allowed(&[])),
                ..Limits::default()
            },
            Some(Reason::LimitReached),
        ),
        (
            Limits {
                kinds: Some(allowed(&[])),
                ..Limits::default()
            },
            Some(Reason::LimitReached),
        ),
        (
            Limits {
                numbers: Some((2, 2)),
                ..Limits::default()
            },
            Some(Reason::LimitReached),
        ),
        (
            Limits {
                numbers: Some((0, 0)),
                ..Limits::default()
            },
            Some(Reason::LimitReached),
        ),
    ];
    for (limits, expected) in table {
        for facts in [looked(fresh(), None, None), searching()] {
            let mut facts = Facts {
                limits: limits.clone(),
                ..facts
            };
            let is_due = limits.numbers.is_some();
            assert_eq!(plan(&facts) == Step::Count, is_due, "{limits:?}");
            facts.findings.counted = true;
            let step = plan(&facts);
            assert_eq!(reason(&step), expected, "{limits:?}");
        }
    }
}

#[test]
fn a_refused_candidate_that_an_earlier_attempt_may_have_bought_is_not_claimed_again_and_again() {
    let mut facts = Facts {
        number: Some(number()),
        search: Some(search()),
        now: at(60),
        ..claimed()
    };
    facts.record.refused = Some(refusals::certain(Reason::NumberNotAvailable));
    facts = looked(facts, None, None);
    facts.findings.look.as_mut().unwrap().at = Some(at(60));
    let waits = |facts: &Facts| match plan(facts) {
        Step::Done(Outcome::Wait {
            reason: Reason::Verifying,
            retry,
            ..
        }) => Some(retry),
        _ => None,
    };
    let interval = Retry::After(facts.waits.interval);
    assert_eq!(waits(&facts), Some(interval));
    facts.findings.look.as_mut().unwrap().at = Some(at(590));
    let left = Retry::After(Duration::from_secs(10));
    assert_eq!(waits(&facts), Some(left));
    facts.findings.look.as_mut().unwrap().at = Some(at(600));
    assert_eq!(
        plan(&facts),
        Step::SearchAndReserve,
        "its absence is certain then"
    );
}

/// The candidate that is claimed, as the last look before the purchase or the look after it shows it.
fn claimed_candidate() -> Facts {
    Facts {
        search: Some(search()),
        claim: Stored::Ours(claim_at(0)),
        finalizer: true,
        ..fresh()
    }
}

#[test]
fn a_candidate_that_is_somebody_elses_is_replaced_in_the_same_pass() {
    let older = Some(at(-90));
    let by_hand = Holding {
        marked_text: "(212) 555-1234".into(),
        ..holding()
    };
    let foreign = Holding {
        marked_text: "x [pn1.aaaaaa.bbbbbbbbbbbbb]".into(),
        ..holding()
    };
    let overwritten = Holding {
        created: older,
        marked_text: mark().adopted().to_string(),
        ..holding()
    };
    for (found, is_certain, step) in [
        (foreign.clone(), false, Some(Step::SearchAndReserve)),
        // Paid perhaps, if dates mislead.
        (overwritten, false, None),
        (
            Holding {
                created: older,
                ..by_hand.clone()
            },
            false,
            Some(Step::SearchAndReserve),
        ),
        // Ours perhaps, and somebody has renamed it.
        (by_hand.clone(), false, None),
        (by_hand, true, Some(Step::SearchAndReserve)),
        (holding(), false, Some(Step::Record(Box::new(holding())))),
    ] {
        let mut facts = looked(claimed_candidate(), Some(found.clone()), None);
        facts.memory.never_bought = is_certain;
        let planned = plan(&facts);
        match step {
            Some(step) => assert_eq!(planned, step, "{found:?} {is_certain}"),
            None => assert_eq!(reason(&planned), Some(Reason::AlreadyOwned)),
        }
        // Seen only by the last look before the purchase.
        facts.findings.look.as_mut().unwrap().holding = None;
        facts.findings.last_look = Some(Some(found));
        if planned == Step::SearchAndReserve {
            facts.findings.choice = Some(SearchResult::Chosen);
            facts.findings.offer = Some(Some(offer()));
            assert_eq!(plan(&facts), Step::SearchAndReserve);
            facts.findings.choice = Some(SearchResult::AllTaken);
            assert_eq!(reason(&plan(&facts)), Some(Reason::Searching));
        }
    }
    // Another resource has recorded it.
    let mut facts = looked(claimed_candidate(), Some(holding()), None);
    facts.recorded_by = Some("PhoneNumber support/other".into());
    assert_eq!(plan(&facts), Step::SearchAndReserve);
    facts.findings.refused_candidates = MOST_CANDIDATES;
    assert_eq!(reason(&plan(&facts)), Some(Reason::Searching));
    // A number that is declared has no other.
    let exact = looked(claimed(), Some(foreign), None);
    assert_eq!(reason(&plan(&exact)), Some(Reason::OwnedByAnother));
}

/// The claim was on another candidate: neither its pause nor its age are the new one's.
#[test]
fn the_candidate_that_replaces_a_claimed_one_is_claimed_at_once_and_as_the_first_attempt() {
    let mut facts = looked(claimed_candidate(), None, None);
    facts.now = at(5);
    assert_eq!(reason(&plan(&facts)), Some(Reason::Verifying));
    facts.number = Some("+12125559999".parse().unwrap());
    facts.findings.offer = Some(Some(offer()));
    facts.findings.choice = Some(SearchResult::Chosen);
    let since = None;
    let intent = Intent::Buy;
    assert_eq!(plan(&facts), Step::Claim { intent, since });
}

/// The order that brought it may be missing from the listing of orders.
#[test]
fn a_candidate_at_telnyx_without_a_mark_is_replaced_once_its_order_would_be_shown() {
    let unmarked = Holding {
        created: Some(at(-600)),
        ..unmarked()
    };
    for (known_for, is_replaced) in [(599, false), (600, true)] {
        let mut facts = looked(claimed_candidate(), Some(unmarked.clone()), None);
        facts.provider = Provider::Telnyx;
        facts.memory.claim_known_for = Duration::from_secs(known_for);
        let step = plan(&facts);
        assert_eq!(step == Step::SearchAndReserve, is_replaced, "{step:?}");
    }
}
