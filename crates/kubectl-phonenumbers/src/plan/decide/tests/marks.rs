//! What an account has already, by the marks on it.

use super::*;

#[test]
fn what_the_account_has_already_is_taken_over_or_left_alone() {
    let here = Installation::new("here");
    let mark = |name: &str| Some(Mark::new(Origin::Bought, &here, &owner(name)));
    let foreign = Some(Mark::new(
        Origin::Bought,
        &Installation::new("there"),
        &owner("gone"),
    ));
    for (mark, never, adopt, limited) in [
        (
            None,
            "a refuse AlreadyOwned",
            "a adopt",
            "a refuse LimitReached",
        ),
        (mark("a"), "a adopt", "a adopt", "a adopt"),
        (
            mark("gone"),
            "a refuse OwnedByAnother",
            "a adopt",
            "a refuse LimitReached",
        ),
        (
            mark("other"),
            "a refuse OwnedByAnother",
            "a refuse OwnedByAnother",
            "a refuse OwnedByAnother",
        ),
        (
            foreign,
            "a refuse OwnedByAnother",
            "a refuse OwnedByAnother",
            "a refuse OwnedByAnother",
        ),
    ] {
        let at = |limits_: Value| {
            let mut facts = limits(limits_);
            facts.holdings = Some([(N.to_owned(), mark.clone())].into());
            around(Some(facts))
        };
        let adopts = || json!({"adoptionPolicy": "Adopt"});
        assert_eq!(one(json!({}), &at(json!({}))), never, "{mark:?}");
        assert_eq!(one(adopts(), &at(json!({}))), adopt, "{mark:?}");
        assert_eq!(
            one(adopts(), &at(json!({"adoption": "Never"}))),
            limited,
            "{mark:?}"
        );
        // What it costs stops no adoption.
        let dear = json!({"maxMonthlyCost": {"amount": "1", "currency": "USD"}});
        assert_eq!(one(adopts(), &at(dear)), adopt, "{mark:?}");
    }
    let mut unknown = facts(json!({}));
    unknown.holdings = None;
    let after = wanted_as(&[("a", json!({"adoptionPolicy": "Adopt"}))]);
    let verdicts = decide(&Before::new(), &after, &around(Some(unknown)));
    assert_eq!(shown(&verdicts), ["a adopt"]);
    assert!(verdicts[0].may_buy && verdicts[0].notes[0].contains("it is bought if"));
}

#[test]
fn a_number_with_the_own_mark_is_taken_back_or_keeps_others_from_being_bought() {
    let search =
        |area: &str| json!({"phoneNumber": null, "search": {"country": "US", "areaCode": area}});
    let release = |mut change: Value| {
        change["deletionPolicy"] = json!("Release");
        change
    };
    let (here, there) = (Installation::new("here"), Installation::new("there"));
    for (mark, change, wanted, on_deletion) in [
        (
            (&here, "a", Origin::Bought),
            search("212"),
            "a adopt",
            Some("Release"),
        ),
        (
            (&here, "a", Origin::Adopted),
            search("212"),
            "a adopt",
            Some("Retain"),
        ),
        // It was taken over once, and is not released by the way.
        (
            (&here, "a", Origin::Adopted),
            release(search("212")),
            "a refuse LimitReached",
            None,
        ),
        (
            (&here, "a", Origin::Adopted),
            release(json!({"phoneNumber": M})),
            "a refuse AlreadyOwned",
            None,
        ),
        (
            (&here, "a", Origin::Adopted),
            json!({"phoneNumber": M}),
            "a adopt",
            Some("Retain"),
        ),
        (
            (&here, "a", Origin::Bought),
            search("415"),
            "a refuse AlreadyOwned",
            None,
        ),
        (
            (&here, "a", Origin::Bought),
            json!({"phoneNumber": N}),
            "a refuse AlreadyOwned",
            None,
        ),
        (
            (&here, "other", Origin::Bought),
            search("212"),
            "a refuse LimitReached",
            None,
        ),
        (
            (&there, "a", Origin::Bought),
            search("212"),
            "a refuse LimitReached",
            None,
        ),
    ] {
        let (installation, name, origin) = mark;
        let held = Mark::new(origin, installation, &owner(name));
        // What is full already takes back what belongs to it.
        let mut account = limits(json!({"maxNumbers": 1}));
        account.numbers = Some(1);
        account.holdings = Some([(M.to_owned(), Some(held))].into());
        let after = wanted_as(&[("a", change.clone())]);
        let verdicts = decide(&Before::new(), &after, &around(Some(account)));
        assert_eq!(shown(&verdicts), [wanted], "{mark:?} {change}");
        assert_eq!(verdicts[0].on_deletion, on_deletion, "{mark:?} {change}");
        if wanted == "a adopt" {
            assert_eq!(
                (verdicts[0].wanted.as_str(), verdicts[0].may_buy),
                (M, false)
            );
        }
    }
}
