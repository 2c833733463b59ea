//! What a number may cost, by its own limits and by those of the account.

use super::choosing::{budget, buys, chosen, price, searching};
use super::*;
use crate::number::{Amount, Balance, Description};

#[test]
fn a_limit_on_cost_refuses_what_is_dearer_or_of_unknown_price() {
    for (known, expected) in [
        (Some(price("2.00", "USD")), None),
        (Some(price("2.01", "USD")), Some(Reason::CostLimitExceeded)),
        (Some(price("1.00", "EUR")), Some(Reason::PriceUnknown)),
        (None, Some(Reason::PriceUnknown)),
    ] {
        let mut facts = looked(fresh(), None, None);
        facts.budget = Some(budget("2"));
        facts.findings.offer = Some(Some(Offer {
            number: number(),
            price: known.clone(),
            description: Description::default(),
        }));
        let step = plan(&facts);
        assert_eq!(reason(&step), expected, "{known:?}");
        if expected.is_none() {
            assert_eq!(step, buys(None));
        }
        facts.budget = None;
        assert_eq!(
            plan(&facts),
            buys(None),
            "without a limit no price is needed"
        );
        facts.limits.monthly_cost = vec![(budget("10"), Amount::read("8").unwrap())];
        let with_the_account = match expected {
            Some(Reason::CostLimitExceeded) => Some(Reason::LimitReached),
            other => other,
        };
        assert_eq!(reason(&plan(&facts)), with_the_account, "{known:?}");
    }
}

#[test]
fn a_limit_on_the_setup_fee_refuses_what_is_dearer_or_of_unknown_price() {
    let fee = |upfront: &str, currency: &str| Price::read("1", upfront, currency).unwrap();
    for (known, expected) in [
        (Some(fee("2.00", "USD")), None),
        (Some(fee("2.01", "USD")), Some(Reason::CostLimitExceeded)),
        (Some(fee("0", "EUR")), Some(Reason::PriceUnknown)),
        (None, Some(Reason::PriceUnknown)),
    ] {
        for is_of_the_account in [false, true] {
            let mut facts = looked(fresh(), None, None);
            if is_of_the_account {
                facts.limits.upfront_cost = vec![budget("2")];
            } else {
                facts.upfront_budget = Some(budget("2"));
            }
            facts.findings.offer = Some(Some(Offer {
                number: number(),
                price: known.clone(),
                description: Description::default(),
            }));
            assert!(facts.limits_price());
            let expected = match expected {
                Some(Reason::CostLimitExceeded) if is_of_the_account => Some(Reason::LimitReached),
                other => other,
            };
            let step = plan(&facts);
            assert_eq!(reason(&step), expected, "{known:?}");
            if let Step::Done(Outcome::Wait { message, .. }) = &step {
                assert!(message.contains("maxUpfrontCost"), "{message}");
            } else {
                assert_eq!(step, buys(None));
            }
        }
    }
}

/// A candidate is another one at each reconcile: the status would be written each time.
#[test]
fn what_a_limit_on_cost_says_names_the_number_that_is_declared_and_no_candidate() {
    for (facts, named) in [
        (looked(fresh(), None, None), number().to_string()),
        (chosen(), "a local number in US".to_owned()),
    ] {
        for known in [None, Some(price("1", "EUR")), Some(price("3", "USD"))] {
            let mut facts = facts.clone();
            facts.budget = Some(budget("2"));
            facts.findings.offer = Some(Some(Offer {
                number: number(),
                price: known,
                description: Description::default(),
            }));
            let Step::Done(Outcome::Wait { message, .. }) = plan(&facts) else {
                panic!("{:?}", plan(&facts));
            };
            assert!(message.contains(&named), "{message}");
            assert_eq!(
                message.contains(number().as_str()),
                facts.search.is_none(),
                "{message}"
            );
        }
    }
}

#[test]
fn a_search_whose_account_has_spent_its_budget_is_told_so_by_a_price_alone() {
    let mut facts = searching();
    facts.limits.monthly_cost = vec![(budget("10"), Amount::read("9.5").unwrap())];
    assert!(!facts.may_cost(&price("1", "USD")));
    assert!(facts.may_cost(&price("0.5", "USD")));
    assert!(!facts.may_cost(&price("0.5", "EUR")));
    facts.findings.choice = Some(SearchResult::TooDear(price("1", "USD")));
    assert_eq!(reason(&plan(&facts)), Some(Reason::LimitReached));
}

#[test]
fn what_leaves_too_little_in_the_account_is_not_claimed() {
    let left = |amount: &str, currency: &str| Some(Balance::read(amount, currency).unwrap());
    let (none, five) = (None, Some(budget("5")));
    for (known, minimum, expected) in [
        (None, &none, None),
        // Not asked, which only where nothing depends on it.
        (Some(left("2", "USD")), &none, None),
        (
            Some(left("1.99", "USD")),
            &none,
            Some("does not suffice for"),
        ),
        (Some(left("-1", "USD")), &none, Some("does not suffice for")),
        (Some(left("0", "EUR")), &none, None),
        (Some(None), &none, None),
        (Some(left("7", "USD")), &five, None),
        (Some(left("6.99", "USD")), &five, Some("if 5 is to stay")),
        (Some(left("100", "EUR")), &five, Some("not converted")),
        (Some(None), &five, Some("does not tell")),
    ] {
        for mut facts in [looked(fresh(), None, None), chosen()] {
            facts.findings.offer = Some(Some(Offer {
                number: number(),
                price: Some(Price::read("1", "1", "USD").unwrap()),
                description: Description::default(),
            }));
            facts.findings.balance = known.clone();
            facts.minimum_balance = minimum.clone();
            let step = plan(&facts);
            match (&step, expected) {
                (
                    Step::Done(Outcome::Wait {
                        reason, message, ..
                    }),
                    Some(said),
                ) => {
                    assert_eq!(*reason, Reason::InsufficientBalance);
                    assert!(message.contains(said), "{message}");
                }
                (step, None) => assert_eq!(*step, buys(None), "{known:?} {minimum:?}"),
                (step, Some(said)) => panic!("{step:?} instead of {said}"),
            }
        }
    }
}
