//! Marks, claims and numbers from texts that anybody can write.

use std::collections::BTreeMap;

use phonenumber_operator::claim::{ANNOTATION, Claim, Stored, Token};
use phonenumber_operator::clock::Instant;
use phonenumber_operator::number::{AccountId, E164, Installation, Mark, Origin, Owner, Whose};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bent::{any_json, bent};
use crate::config;

fn owner(name: &str) -> Owner {
    Owner {
        namespace: "support".into(),
        name: name.into(),
    }
}

fn claim() -> Claim {
    let at = "2026-01-02T03:04:05Z".parse().unwrap();
    let number = "+12125551234".parse().unwrap();
    let account = AccountId::new("AC1");
    Claim::to_buy(number, account, &owner("nyc"), "u1", "n1".into(), at, at)
}

fn stored(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(ANNOTATION.to_owned(), text.to_owned())])
}

fn any_mark() -> impl Strategy<Value = Mark> {
    let origin = prop_oneof![Just(Origin::Bought), Just(Origin::Adopted)];
    (origin, "[a-z0-9-]{1,36}", "[a-z0-9-]{1,63}")
        .prop_map(|(origin, id, name)| Mark::new(origin, &Installation::new(id), &owner(&name)))
}

/// Texts that nearly hold a mark, and any other.
fn marked() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{0,10}p[na]1\\.[a-z2-7]{4,8}\\.[a-z2-7]{11,15}\\PC{0,10}",
        "(p[na]1\\.|[a-z2-7]{6}|\\.|[a-z2-7]{13}|é|\\[| ){0,12}",
    ]
}

fn stored_claim() -> impl Strategy<Value = String> {
    let valid: Value = serde_json::to_value(claim()).unwrap();
    prop_oneof![
        4 => bent(valid).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        1 => any_json().prop_map(|value| value.to_string()),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(config(2000))]

    #[test]
    fn a_mark_is_only_found_where_it_stands(text in marked()) {
        let ours = Mark::new(Origin::Bought, &Installation::new("i"), &owner("nyc"));
        match Mark::find_in(&text) {
            Some(found) => prop_assert!(text.contains(&found.to_string())),
            None => prop_assert_eq!(ours.whose(&text), Whose::Unmarked),
        }
        if let Whose::Ours(origin) = ours.whose(&text) {
            let mark = if origin == Origin::Bought { ours } else { ours.adopted() };
            prop_assert!(text.contains(&mark.to_string()));
        }
    }

    #[test]
    fn a_mark_is_found_between_whatever_is_no_part_of_it(
        mark in any_mark(), before in "\\PC{0,20}", after in "\\PC{0,20}"
    ) {
        prop_assume!(Mark::find_in(&before).is_none());
        let text = format!("{before} [{mark}] {after}");
        prop_assert_eq!(Mark::find_in(&text), Some(mark.clone()));
        prop_assert_eq!(mark.whose(&text), Whose::Ours(mark.origin()));
    }

    #[test]
    fn a_mark_that_goes_on_is_none(mark in any_mark(), more in "[A-Za-z0-9]") {
        prop_assert_eq!(Mark::find_in(&format!("{mark}{more}")), None);
        prop_assert_eq!(Mark::find_in(&format!("{more}{mark}")), None);
    }

    #[test]
    fn a_stored_text_is_never_taken_for_no_claim(text in stored_claim()) {
        let read = Claim::read(&stored(&text), &owner("nyc"), "u1");
        let value: Option<Value> = serde_json::from_str(&text).ok();
        match read {
            Stored::Nothing => {
                // Only what a manifest was copied with.
                let value = value.unwrap();
                prop_assert!(value["owner"].is_string() && value["owner"] != "support/nyc");
                prop_assert!(serde_json::from_value::<Claim>(value).is_ok());
            }
            Stored::Ours(found) => {
                prop_assert_eq!(&found.owner, "support/nyc");
                prop_assert_eq!(&found.uid, "u1");
                prop_assert_eq!(found.version, 1);
            }
            Stored::EarlierUid(found) => prop_assert!(found.uid != "u1"),
            Stored::Newer(version) => prop_assert!(version > 1),
            Stored::Unreadable => {}
        }
    }

    #[test]
    fn a_token_comes_of_no_reply_that_shows_another_claim(text in stored_claim()) {
        let sent = Instant::since_boot(std::time::Duration::from_secs(9));
        let made = Token::from_reply(&stored(&text), claim(), sent);
        let is_same = serde_json::from_str::<Claim>(&text).is_ok_and(|found| found == claim());
        prop_assert_eq!(made.is_some(), is_same);
    }

    #[test]
    fn a_number_is_plus_and_digits_or_it_is_refused(
        text in prop_oneof![any::<String>(), "\\+?[0-9]{0,18}", "[+＋]?[0-9 ()٠-٩-]{5,18}"]
    ) {
        let is_number = text.strip_prefix('+').is_some_and(|digits| {
            let count = digits.chars().count();
            (7..=15).contains(&count) && !digits.starts_with('0') && digits.chars().all(|c| "0123456789".contains(c))
        });
        let read = text.parse::<E164>();
        prop_assert_eq!(read.is_ok(), is_number);
        prop_assert_eq!(serde_json::from_value::<E164>(json!(text)).is_ok(), is_number);
        match read {
            Ok(number) => prop_assert_eq!(number.to_string(), text),
            Err(error) => prop_assert!(error.to_string().chars().count() < 400),
        }
    }
}

/// What once was, or nearly was, taken for something else.
#[test]
fn texts_that_only_look_like_a_claim_are_possible_attempts() {
    for text in [
        "",
        " ",
        "null",
        "[]",
        "{}",
        "1",
        "\"version\"",
        r#"{"version":1}"#,
        r#"{"version":-9223372036854775808}"#,
        r#"{"version":1.0}"#,
        r#"{"version":"1"}"#,
        r#"{"version":1,"version":1}"#,
        "{\"version\":1,\"owner\":\"somebody/else\"}",
    ] {
        let read = Claim::read(&stored(text), &owner("nyc"), "u1");
        assert_eq!(read, Stored::Unreadable, "{text}");
    }
}
