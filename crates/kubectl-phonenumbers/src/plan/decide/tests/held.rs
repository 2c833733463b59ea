//! What becomes of a number that is held.

use super::*;

#[test]
fn a_held_number_is_refused_what_cannot_be_set_up() {
    let assistant = |id: i64| json!({"assistantId": id});
    let bare = || facts(json!({}));
    let nowhere = || facts(json!({"webhooks": null}));
    let suspended = || json!({"assistantId": 7, "suspend": true});
    for (old, new, account, wanted) in [
        (
            json!({}),
            assistant(7),
            bare(),
            "a refuse AssistantUnverifiable",
        ),
        (
            assistant(6),
            assistant(7),
            bare(),
            "a refuse AssistantUnverifiable",
        ),
        // An assignment that stands is not asked about.
        (assistant(7), assistant(7), bare(), "a keep"),
        (json!({}), suspended(), bare(), "a change"),
        (
            json!({}),
            json!({}),
            nowhere(),
            "a refuse WebhookBaseMissing",
        ),
        (
            json!({}),
            json!({"webhooks": {"voiceUrl": "https://v.example.com", "smsUrl": "https://v.example.com"}}),
            nowhere(),
            "a change",
        ),
        (
            json!({}),
            json!({"webhooks": {"voiceUrl": "https://v.example.com"}, "messaging": "None"}),
            nowhere(),
            "a change",
        ),
    ] {
        let before: Before = [(owner("a"), held(old.clone(), Came::Bought))].into();
        let after = wanted_as(&[("a", new.clone())]);
        let verdicts = decide(&before, &after, &around(Some(account)));
        assert_eq!(shown(&verdicts), [wanted], "{old} {new}");
        assert!(wanted == "a keep" || !verdicts[0].is_old, "{old} {new}");
    }
    // The status knows better than the spec.
    let mut pending = held(assistant(7), Came::Bought);
    pending.number.status = serde_json::from_value(json!({"assistant": {"id": 6}})).unwrap();
    let after = wanted_as(&[("a", assistant(7))]);
    let verdicts = decide(
        &[(owner("a"), pending)].into(),
        &after,
        &around(Some(bare())),
    );
    assert_eq!(shown(&verdicts), ["a refuse AssistantUnverifiable"]);
}

#[test]
fn an_object_that_goes_does_with_its_number_what_its_deletion_does() {
    let protected = || json!({"deletionProtection": true});
    let policy = |policy: &str| json!({"deletionPolicy": policy});
    for (change, came, wanted) in [
        (json!({}), Came::Bought, "a release"),
        (json!({}), Came::Adopted, "a retain"),
        (json!({}), Came::Either, "a release"),
        (policy("Retain"), Came::Bought, "a retain"),
        (policy("Release"), Came::Adopted, "a release"),
        (protected(), Came::Bought, "a refuse ReleaseProtected"),
        (protected(), Came::Adopted, "a retain"),
        (json!({"suspend": true}), Came::Bought, "a refuse Suspended"),
        (json!({"suspend": true}), Came::Adopted, "a retain"),
    ] {
        let before = [(owner("a"), held(change.clone(), came))].into();
        let verdicts = decide(&before, &After::new(), &around(None));
        assert_eq!(shown(&verdicts), [wanted], "{change} {came:?}");
    }
    let nothing = Standing {
        holds: None,
        ..held(protected(), Came::Bought)
    };
    let verdicts = decide(
        &[(owner("a"), nothing)].into(),
        &After::new(),
        &around(None),
    );
    assert_eq!(shown(&verdicts), ["a forget"]);
}

#[test]
fn a_release_says_how_long_it_can_be_undone() {
    let release = || json!({"deletionPolicy": "Release"});
    for (delay, change, is_told) in [
        (json!({"releaseDelay": "72h"}), json!({}), true),
        (json!({"releaseDelay": "72h"}), release(), false),
        (json!({"releaseDelay": "0s"}), json!({}), false),
        (json!({}), json!({}), false),
    ] {
        let before = [(owner("a"), held(change, Came::Bought))].into();
        let verdicts = decide(&before, &After::new(), &around(Some(limits(delay.clone()))));
        assert_eq!(shown(&verdicts), ["a release"], "{delay}");
        let mut notes = verdicts[0].notes.iter();
        assert_eq!(notes.any(|note| note.contains("72h")), is_told, "{delay}");
    }
}

#[test]
fn an_object_that_stays_names_the_fields_that_change() {
    let before = || -> Before { [(owner("a"), held(json!({}), Came::Bought))].into() };
    let any = around(Some(facts(json!({}))));
    let to = |change: Value, around: &Surroundings| {
        let verdicts = decide(&before(), &wanted_as(&[("a", change)]), around);
        let verdict = verdicts[0].clone();
        (
            shown(&verdicts)[0].clone(),
            verdict.changes,
            verdict.on_deletion,
        )
    };
    let none = Vec::<String>::new;
    assert_eq!(
        to(json!({}), &any),
        ("a keep".into(), none(), Some("Release"))
    );
    let changes =
        json!({"webhooks": {"voiceUrl": "https://a.example.com"}, "deletionProtection": true});
    let fields = ["spec.deletionProtection", "spec.webhooks"].map(str::to_owned);
    assert_eq!(
        to(changes, &any),
        ("a change".into(), fields.to_vec(), Some("Blocked"))
    );
    let (shown, ..) = to(json!({}), &around(None));
    assert_eq!(shown, "a refuse AccountNotFound");
    let mut elsewhere = around(Some(facts(json!({}))));
    let mut other = facts(json!({}));
    other.id = Some(AccountId::new("AC2"));
    elsewhere.accounts.insert(key("other"), Some(other));
    let moved = json!({"accountRef": {"name": "other"}});
    assert_eq!(to(moved, &elsewhere).0, "a refuse AccountMismatch");
    let refused = Wanted {
        number: Err("no".into()),
        notes: vec![],
    };
    let verdicts = decide(&before(), &[(owner("a"), refused)].into(), &any);
    assert_eq!(super::tests::shown(&verdicts), ["a refuse Invalid"]);
}

#[test]
fn a_refusal_that_was_there_before_is_an_old_one() {
    let waiting = |waits: &str| Standing {
        holds: None,
        waits: Some(waits.into()),
        ..held(json!({}), Came::Bought)
    };
    let full = || around(Some(limits(json!({"maxNumbers": 0}))));
    let is_old = |waits: &str, change: Value| {
        let before = [(owner("a"), waiting(waits))].into();
        decide(&before, &wanted_as(&[("a", change)]), &full())[0].is_old
    };
    assert!(is_old("LimitReached", json!({})));
    assert!(!is_old("NoNumbersFound", json!({})));
    assert!(!is_old("LimitReached", json!({"friendlyName": "x"})));
}

#[test]
fn a_held_number_that_loses_its_account_is_newly_refused() {
    let is_old = |waits: Option<&str>| {
        let standing = Standing {
            waits: waits.map(str::to_owned),
            ..held(json!({}), Came::Bought)
        };
        let verdicts = decide(
            &[(owner("a"), standing)].into(),
            &wanted_as(&[("a", json!({}))]),
            &around(None),
        );
        assert_eq!(shown(&verdicts), ["a refuse AccountNotFound"]);
        verdicts[0].is_old
    };
    assert!(!is_old(None));
    assert!(!is_old(Some("Ready")));
    assert!(is_old(Some("AccountNotFound")));
}

#[test]
fn only_a_release_that_is_certain_and_not_put_off_saves_at_once() {
    let release = || json!({"deletionPolicy": "Release"});
    let delay = || json!({"releaseDelay": "72h"});
    for (limits_of, change, came, wanted) in [
        (Some(json!({})), json!({}), Came::Bought, true),
        (Some(json!({})), json!({}), Came::Either, false),
        (Some(json!({})), release(), Came::Either, true),
        (Some(json!({})), release(), Came::Adopted, true),
        (Some(delay()), json!({}), Came::Bought, false),
        (Some(delay()), release(), Came::Bought, true),
        (
            Some(json!({"releasesPerHour": 0})),
            release(),
            Came::Bought,
            false,
        ),
        (None, json!({}), Came::Bought, false),
    ] {
        let before = [(owner("a"), held(change.clone(), came))].into();
        let account = limits_of.clone().map(limits);
        let verdicts = decide(&before, &After::new(), &around(account));
        assert_eq!(shown(&verdicts), ["a release"]);
        let found = verdicts[0].saves_at_once;
        assert_eq!(found, wanted, "{limits_of:?} {change} {came:?}");
    }
}

#[test]
fn an_object_that_is_being_deleted_buys_nothing_and_says_how_to_keep_its_number() {
    let waiting = || Standing {
        waits: Some("ReleaseDelayed".into()),
        ..held(json!({}), Came::Bought)
    };
    let nothing = Standing {
        holds: None,
        ..waiting()
    };
    let retain = json!({"deletionPolicy": "Retain"});
    let of = |standing: &Standing, change: Value| {
        let wanted = Wanted {
            number: Ok(number("a", change)),
            notes: Vec::new(),
        };
        deleted(&owner("a"), standing, &wanted)
    };
    for (standing, change, wanted, is_old, says) in [
        (
            waiting(),
            json!({}),
            "a refuse ReleaseDelayed",
            true,
            "gitops.md#undo-a-deletion",
        ),
        (
            waiting(),
            json!({"friendlyName": "x"}),
            "a refuse ReleaseDelayed",
            false,
            "spec.deletionPolicy to Retain",
        ),
        (waiting(), retain, "a keep", false, "stays in the account"),
        (
            nothing,
            json!({}),
            "a refuse ReleaseDelayed",
            true,
            "being deleted",
        ),
    ] {
        let verdict = of(&standing, change);
        assert_eq!(shown(std::slice::from_ref(&verdict)), [wanted]);
        assert_eq!(verdict.is_old, is_old, "{wanted}");
        assert!(verdict.why.contains(says), "{}", verdict.why);
    }
}
