//! Tests of `inventory`.

use super::*;
use crate::number::{Installation, Line, Origin, Owner, TelnyxSettings, TwilioSettings};

fn at(seconds: u64) -> Instant {
    Instant::since_boot(Duration::from_secs(seconds))
}

fn mark() -> Mark {
    let owner = Owner {
        namespace: "support".into(),
        name: "nyc".into(),
    };
    Mark::new(Origin::Bought, &Installation::new("here"), &owner)
}

fn holding(id: &str, name: &str) -> Holding {
    Holding {
        id: NumberId::new(id),
        number: format!("+1212555000{}", id.len()).parse().unwrap(),
        marked_text: name.to_owned(),
        created: None,
        line: Line::Live,
        settings: Settings::Twilio(TwilioSettings::default()),
    }
}

/// A whole listing that takes a second.
fn list(inventory: &Inventory, begun: u64, holdings: Vec<Holding>) -> Vec<NumberId> {
    let is_whole = true;
    inventory.install(at(begun), at(begun + 1), Listing { holdings, is_whole })
}

fn names(inventory: &Inventory) -> Vec<String> {
    let state = lock(&inventory.state);
    let rows = state.rows.values();
    let mut names: Vec<_> = rows.map(|row| row.holding.marked_text.clone()).collect();
    names.sort();
    names
}

#[test]
fn what_a_call_has_shown_since_a_listing_began_is_newer_than_the_listing() {
    let inventory = Inventory::default();
    list(
        &inventory,
        1,
        vec![holding("a", "old"), holding("bb", "other")],
    );
    inventory.saw(&holding("a", "new"), at(11));
    list(&inventory, 10, vec![holding("a", "old")]);
    assert_eq!(names(&inventory), ["new"]);
    list(&inventory, 20, vec![holding("a", "newest")]);
    assert_eq!(names(&inventory), ["newest"]);
}

#[test]
fn what_is_known_stays_known_since_it_was_first_shown() {
    let inventory = Inventory::default();
    let was_known = |at_second| inventory.was_known(&NumberId::new("a"), at(at_second));
    assert!(!was_known(9));
    list(&inventory, 1, vec![holding("a", "x")]);
    for _ in 0..2 {
        assert!(
            was_known(3) && !was_known(2),
            "a listing shows it once it has ended"
        );
        inventory.saw(&holding("a", "y"), at(5));
        list(&inventory, 6, vec![holding("a", "x")]);
    }
}

#[test]
fn a_listing_does_not_bring_back_what_was_released() {
    let inventory = Inventory::default();
    list(&inventory, 1, vec![holding("a", "mine")]);
    inventory.gone(&NumberId::new("a"), Some(at(15)));
    list(&inventory, 10, vec![holding("a", "mine")]);
    inventory.saw(&holding("a", "mine"), at(16));
    assert_eq!(names(&inventory), [""; 0]);
    assert_eq!(inventory.by_number(&holding("a", "").number), None);
}

#[test]
fn the_version_tells_whether_a_number_may_have_got_lost() {
    let inventory = Inventory::default();
    let mut before = inventory.version();
    let mut may_be_lost = || {
        let now = inventory.version();
        std::mem::replace(&mut before, now) != now
    };
    list(&inventory, 1, vec![holding("a", "x"), holding("bb", "y")]);
    assert!(may_be_lost());
    list(&inventory, 1, vec![holding("bb", "y")]);
    assert!(may_be_lost(), "within one tick of the clock too");
    inventory.saw(&holding("ccc", "z"), at(2));
    inventory.gone(&NumberId::new("bb"), Some(at(3)));
    assert!(!may_be_lost(), "one has come, one was released");
    inventory.gone(&NumberId::new("ccc"), None);
    assert!(may_be_lost());
}

#[test]
fn numbers_are_found_by_their_mark_as_it_is_now() {
    let inventory = Inventory::default();
    let marked = mark().with_name(crate::number::Provider::Twilio, "nyc");
    list(
        &inventory,
        1,
        vec![holding("a", &marked), holding("bb", "plain")],
    );
    assert_eq!(inventory.by_mark(&mark().adopted()).len(), 1);
    inventory.saw(&holding("a", "renamed"), at(2));
    assert!(inventory.by_mark(&mark()).is_empty());
    inventory.saw(&holding("bb", &marked), at(3));
    assert_eq!(inventory.by_mark(&mark())[0].id, NumberId::new("bb"));
}

#[test]
fn a_profile_that_a_listing_hides_is_as_it_was_and_is_told_of() {
    let inventory = Inventory::default();
    let with = |profile: Shown<Option<&str>>| {
        let profile = match profile {
            Shown::Known(profile) => Shown::Known(profile.map(str::to_owned)),
            Shown::Unknown => Shown::Unknown,
        };
        Holding {
            settings: Settings::Telnyx(TelnyxSettings {
                messaging_profile_id: profile,
                ..TelnyxSettings::default()
            }),
            ..holding("a", "x")
        }
    };
    let id = NumberId::new("a");
    let known = |inventory: &Inventory| match inventory.by_id(&id)?.settings {
        Settings::Telnyx(settings) => Some(settings.messaging_profile_id),
        Settings::Twilio(_) => None,
    };
    assert!(list(&inventory, 1, vec![with(Shown::Unknown)]).is_empty());
    assert_eq!(known(&inventory), Some(Shown::Unknown));
    list(&inventory, 2, vec![with(Shown::Known(Some("mp-1")))]);
    let hidden = list(&inventory, 3, vec![with(Shown::Unknown)]);
    assert_eq!(hidden, std::slice::from_ref(&id));
    assert_eq!(known(&inventory), Some(Shown::Known(Some("mp-1".into()))));
    inventory.saw(&with(Shown::Known(None)), at(4));
    let hidden = list(&inventory, 5, vec![with(Shown::Unknown)]);
    assert!(hidden.is_empty());
    assert_eq!(known(&inventory), Some(Shown::Known(None)));
}

#[test]
fn a_number_is_absent_when_two_listings_agree_that_it_is() {
    let inventory = Inventory::default();
    let lacks = |id: &str| {
        let id = NumberId::new(id);
        inventory.lacks(|holding| holding.id == id)
    };
    assert!(!lacks("a"));
    list(&inventory, 1, Vec::new());
    assert!(!lacks("a"), "one listing may be wrong");
    list(&inventory, 3, vec![holding("a", "x")]);
    assert!(lacks("bb") && !inventory.survey().is_empty());
    list(&inventory, 5, Vec::new());
    assert!(!lacks("a"), "they do not agree");
    assert!(lacks("bb"));
    list(&inventory, 7, Vec::new());
    assert!(lacks("a"));
}

#[test]
fn a_listing_that_is_not_whole_or_lacks_a_tenth_is_no_witness() {
    let ids: Vec<String> = (1..10).map(|length| "x".repeat(length)).collect();
    let some = |from: usize| ids[from..].iter().map(|id| holding(id, "y")).collect();
    for (is_whole, from) in [(false, 1), (true, 4)] {
        let inventory = Inventory::default();
        let first = ids[0].as_str();
        let lacks_it = || inventory.lacks(|it| it.id.as_str() == first);
        list(&inventory, 1, some(0));
        list(&inventory, 3, some(0));
        let holdings = some(from);
        inventory.install(at(5), at(6), Listing { holdings, is_whole });
        assert!(!lacks_it());
        list(&inventory, 7, some(from));
        assert!(!lacks_it(), "only one witness lacks it: {is_whole}");
        list(&inventory, 9, some(from));
        assert!(lacks_it());
    }
    let inventory = Inventory::default();
    for begun in [1, 3, 5] {
        let holdings = Vec::new();
        let is_whole = false;
        inventory.install(at(begun), at(begun + 1), Listing { holdings, is_whole });
        assert!(!inventory.lacks(|_| true));
    }
}

#[test]
fn a_number_with_two_ids_is_found_by_the_younger_one() {
    let same = |id: &str, created: i64| Holding {
        id: NumberId::new(id),
        created: Timestamp::from_second(created).ok(),
        ..holding("a", "x")
    };
    for rows in [["old", "new"], ["new", "old"]] {
        let inventory = Inventory::default();
        let created = |id| if id == "old" { 1 } else { 2 };
        for id in rows {
            inventory.saw(&same(id, created(id)), at(1));
        }
        inventory.gone(&NumberId::new("old"), Some(at(2)));
        let found = inventory.by_number(&same("new", 2).number);
        assert_eq!(found.unwrap().id, NumberId::new("new"), "{rows:?}");
    }
}

#[test]
fn of_two_numbers_with_one_mark_the_older_comes_first_and_namesakes_are_told_apart() {
    let marked = |id: &str, created: i64, installation: &str| {
        let owner = Owner {
            namespace: "support".into(),
            name: "nyc".into(),
        };
        let mark = Mark::new(Origin::Bought, &Installation::new(installation), &owner);
        Holding {
            created: Timestamp::from_second(created).ok(),
            ..holding(id, &mark.to_string())
        }
    };
    let inventory = Inventory::default();
    let rows = vec![
        marked("a", 3, "here"),
        marked("bb", 2, "here"),
        marked("ccc", 1, "there"),
    ];
    list(&inventory, 1, rows);
    let ids =
        |found: Vec<Holding>| -> Vec<String> { found.iter().map(|it| it.id.to_string()).collect() };
    assert_eq!(ids(inventory.by_mark(&mark())), ["bb", "a"]);
    let namesake = || inventory.by_namesake(&mark()).map(|it| it.id.to_string());
    assert_eq!(namesake().as_deref(), Some("ccc"));
    for (begun, rest) in [(3, Some("ccc")), (5, None)] {
        list(&inventory, begun, Vec::new());
        assert_eq!(namesake().as_deref(), rest, "one listing may be wrong");
    }
}

#[test]
fn a_number_counts_as_held_until_two_witnesses_say_that_it_is_gone() {
    let inventory = Inventory::default();
    let number = holding("a", "").number;
    let counts = || (inventory.counted(), inventory.counts(&number));
    list(&inventory, 1, vec![holding("a", "x")]);
    assert!(!inventory.is_counted(), "one listing may be wrong");
    list(&inventory, 3, Vec::new());
    assert!(inventory.is_counted() && inventory.has_vanished());
    assert_eq!(counts(), (1, true));
    list(&inventory, 5, vec![holding("a", "x")]);
    assert_eq!((counts(), inventory.has_vanished()), ((1, true), false));
    list(&inventory, 7, Vec::new());
    list(&inventory, 9, Vec::new());
    assert_eq!((counts(), inventory.has_vanished()), ((0, false), false));
    // One call says so, and a listing agrees.
    list(&inventory, 11, vec![holding("a", "x")]);
    inventory.gone(&NumberId::new("a"), None);
    assert_eq!((counts(), inventory.by_number(&number)), ((1, true), None));
    inventory.saw(&holding("a", "x"), at(12));
    assert_eq!((counts(), inventory.has_vanished()), ((1, true), false));
    inventory.gone(&NumberId::new("a"), None);
    list(&inventory, 13, Vec::new());
    assert_eq!(counts(), (0, false));
    // A release of our own needs no other witness.
    list(&inventory, 15, vec![holding("a", "x")]);
    list(&inventory, 17, Vec::new());
    inventory.gone(&NumberId::new("a"), Some(at(19)));
    assert_eq!(counts(), (0, false));
}

#[test]
fn no_two_inventories_are_taken_for_one() {
    let (one, other) = (Inventory::default(), Inventory::default());
    assert_ne!(one.version(), other.version());
    let before = one.version();
    one.gone(&NumberId::new("PN1".to_owned()), None);
    assert_ne!(one.version(), before);
    assert_ne!(one.version(), other.version());
}
