use super::*;
use crate::plan::situation::AccountFacts;
use crate::prices::list::{AccountPrices, Entry, PriceList};
use jiff::Timestamp;
use phonenumber_api::{AccountKind, ClusterProviderAccount, ProviderAccount};
use serde_json::{Value, json};
use telephony::number::{
    AccountId, Installation, Kind as NumberKind, Mark, Origin, Price, Provider,
};

const N: &str = "+12125551234";
const M: &str = "+12125551235";

fn owner(name: &str) -> Owner {
    Owner {
        namespace: "support".into(),
        name: name.into(),
    }
}

fn key(name: &str) -> AccountKey {
    AccountKey {
        kind: AccountKind::ProviderAccount,
        namespace: Some("support".into()),
        name: name.into(),
    }
}

fn number(name: &str, change: Value) -> PhoneNumber {
    let mut spec = json!({"provider": "twilio", "phoneNumber": N});
    for (field, value) in change.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let object = json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
        "metadata": {"name": name, "namespace": "support"}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

fn price(monthly: &str) -> Price {
    Price::read(monthly, "0", "USD").unwrap()
}

fn facts(change: Value) -> AccountFacts {
    let mut spec = json!({"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "twilio"}},
        "webhooks": {"baseUrl": "https://voice.example.com"}});
    for (field, value) in change.as_object().unwrap() {
        spec[field] = value.clone();
    }
    let object = json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "ProviderAccount",
        "metadata": {"name": "twilio"}, "spec": spec});
    let account: ProviderAccount = serde_json::from_value(object).unwrap();
    AccountFacts {
        spec: account.spec.account,
        allowed: None,
        id: Some(AccountId::new("AC1")),
        numbers: None,
        cost: None,
        holdings: Some(BTreeMap::new()),
    }
}

fn limits(limits: Value) -> AccountFacts {
    facts(json!({"limits": limits}))
}

fn around(account: Option<AccountFacts>) -> Surroundings {
    let entry = |kind, monthly: Option<&str>| Entry {
        country: "US".into(),
        kind,
        price: monthly.map(price),
    };
    let prices = AccountPrices {
        kind: AccountKind::ProviderAccount,
        namespace: Some("support".into()),
        name: "twilio".into(),
        provider: Provider::Twilio,
        prices: vec![
            entry(NumberKind::Local, Some("1.15")),
            entry(NumberKind::TollFree, None),
        ],
    };
    Surroundings {
        accounts: [(key("twilio"), account)].into(),
        prices: Some(PriceList::new(Timestamp::UNIX_EPOCH, vec![prices])),
        installation: Some(Installation::new("here")),
        everybody: Some(vec![owner("other")]),
        ..Surroundings::default()
    }
}

fn held(change: Value, came: Came) -> Standing {
    Standing {
        number: number("a", change),
        holds: Some(Held {
            number: Some(N.into()),
            price: Some(price("1.15")),
            origin: came,
            account_id: Some(AccountId::new("AC1")),
            is_uncertain: false,
        }),
        is_owned: false,
        created: None,
        waits: None,
    }
}

fn wanted_as(objects: &[(&str, Value)]) -> After {
    let wanted = objects.iter().map(|(name, change)| {
        let wanted = Wanted {
            number: Ok(number(name, change.clone())),
            notes: Vec::new(),
        };
        (owner(name), wanted)
    });
    wanted.collect()
}

/// Each verdict in short: the name, the action and the reason.
fn shown(verdicts: &[Verdict]) -> Vec<String> {
    let line = |verdict: &Verdict| {
        let reason = verdict.reason.as_deref().unwrap_or_default();
        format!("{} {} {reason}", verdict.owner.name, verdict.action.word())
            .trim_end()
            .to_owned()
    };
    verdicts.iter().map(line).collect()
}

fn one(change: Value, around: &Surroundings) -> String {
    let verdicts = decide(&Before::new(), &wanted_as(&[("a", change)]), around);
    shown(&verdicts)[0].clone()
}

#[test]
fn a_new_object_is_bought_unless_something_forbids_it() {
    let cost = |amount: &str, currency: &str| json!({"maxMonthlyCost": {"amount": amount, "currency": currency}});
    let fee = |amount: &str, currency: &str| json!({"maxUpfrontCost": {"amount": amount, "currency": currency}});
    let adopt = json!({"adoptionPolicy": "Adopt"});
    let any = || Some(facts(json!({})));
    let telnyx = || {
        let mut facts = facts(
            json!({"provider": "telnyx", "telnyx": {"credentialsSecretRef": {"name": "telnyx"}}}),
        );
        facts.spec.twilio = None;
        Some(facts)
    };
    for (change, account, wanted) in [
        (json!({}), any(), "a buy"),
        (json!({}), None, "a refuse AccountNotFound"),
        (json!({}), telnyx(), "a refuse InvalidSpec"),
        (
            json!({"assistantId": 7}),
            any(),
            "a refuse AssistantUnverifiable",
        ),
        (
            json!({}),
            Some(facts(json!({"webhooks": null}))),
            "a refuse WebhookBaseMissing",
        ),
        (
            json!({}),
            Some(limits(
                json!({"allowedCountries": ["US"], "allowedTypes": ["local"]}),
            )),
            "a buy",
        ),
        (
            json!({}),
            Some(limits(json!({"allowedCountries": ["GB"]}))),
            "a refuse LimitReached",
        ),
        (
            json!({}),
            Some(limits(json!({"allowedTypes": ["mobile"]}))),
            "a refuse LimitReached",
        ),
        (
            json!({}),
            Some(limits(json!({"maxNumbers": 0}))),
            "a refuse LimitReached",
        ),
        (json!({}), Some(limits(json!({"maxNumbers": 1}))), "a buy"),
        (
            json!({}),
            Some(limits(json!({"purchasesPerHour": 0}))),
            "a refuse LimitReached",
        ),
        (
            json!({}),
            Some(limits(cost("1.14", "USD"))),
            "a refuse LimitReached",
        ),
        (json!({}), Some(limits(cost("1.15", "USD"))), "a buy"),
        (
            json!({}),
            Some(limits(cost("9", "EUR"))),
            "a refuse PriceUnknown",
        ),
        (cost("1.15", "USD"), any(), "a buy"),
        (cost("1.14", "USD"), any(), "a refuse CostLimitExceeded"),
        (cost("9", "EUR"), any(), "a refuse PriceUnknown"),
        (fee("0", "USD"), any(), "a buy"),
        (fee("9", "EUR"), any(), "a refuse PriceUnknown"),
        (json!({}), Some(limits(fee("0", "USD"))), "a buy"),
        (
            json!({}),
            Some(limits(fee("9", "EUR"))),
            "a refuse PriceUnknown",
        ),
        (json!({"suspend": true}), any(), "a keep Suspended"),
        (json!({"suspend": true}), None, "a refuse AccountNotFound"),
        (adopt, any(), "a buy"),
    ] {
        assert_eq!(one(change.clone(), &around(account)), wanted, "{change}");
    }
    let toll_free = |limit: Value| {
        let mut change = json!({"phoneNumber": "+18005550123"});
        if !limit.is_null() {
            change["maxMonthlyCost"] = limit;
        }
        one(change, &around(any()))
    };
    let limit = json!({"amount": "9", "currency": "USD"});
    assert_eq!(toll_free(limit.clone()), "a refuse PriceUnknown");
    assert_eq!(toll_free(Value::Null), "a buy");
    // A price that nobody asked for is no refusal.
    let mut without = around(any());
    without.prices = None;
    assert_eq!(one(json!({"maxMonthlyCost": limit}), &without), "a buy");
}

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
fn one_of_several_objects_gets_a_number_and_one_that_holds_it_comes_first() {
    let any = || around(Some(facts(json!({}))));
    let two = wanted_as(&[
        ("a", json!({})),
        ("b", json!({})),
        ("c", json!({"phoneNumber": M})),
    ]);
    let verdicts = decide(&Before::new(), &two, &any());
    assert_eq!(
        shown(&verdicts),
        ["a buy", "b refuse ClaimedByAnother", "c buy"]
    );
    let before: Before = [(owner("b"), held(json!({}), Came::Bought))].into();
    let verdicts = decide(&before, &two, &any());
    assert_eq!(
        shown(&verdicts),
        ["a refuse ClaimedByAnother", "b keep", "c buy"]
    );
    // One that is suspended stands in nobody's way.
    let suspended = wanted_as(&[("a", json!({"suspend": true})), ("b", json!({}))]);
    let verdicts = decide(&Before::new(), &suspended, &any());
    assert_eq!(shown(&verdicts), ["a keep Suspended", "b buy"]);
    // A number moves from one object to another by a release and a purchase, or by a takeover.
    let moved = |change: Value, policy: Value| {
        let before: Before = [(owner("old"), held(policy, Came::Bought))].into();
        shown(&decide(&before, &wanted_as(&[("new", change)]), &any()))
    };
    let retain = || json!({"deletionPolicy": "Retain"});
    assert_eq!(moved(json!({}), json!({})), ["new buy", "old release"]);
    assert_eq!(
        moved(json!({}), retain()),
        ["new refuse OwnedByAnother", "old retain"]
    );
    let adopt = json!({"adoptionPolicy": "Adopt"});
    assert_eq!(moved(adopt, retain()), ["new adopt", "old retain"]);
}

#[test]
fn limits_count_what_is_held_less_what_is_released() {
    let cost = json!({"maxMonthlyCost": {"amount": "2.30", "currency": "USD"}});
    for (limit, released, wanted) in [
        (
            json!({"maxNumbers": 2}),
            false,
            ["b buy", "c refuse LimitReached"],
        ),
        (json!({"maxNumbers": 2}), true, ["b buy", "c buy"]),
        (cost.clone(), false, ["b buy", "c refuse LimitReached"]),
        (cost, true, ["b buy", "c buy"]),
    ] {
        let before: Before = [(owner("a"), held(json!({}), Came::Bought))].into();
        let other = |digit: &str| json!({"phoneNumber": format!("+1212555600{digit}")});
        let mut after = wanted_as(&[("a", json!({})), ("b", other("1")), ("c", other("2"))]);
        if released {
            after.remove(&owner("a"));
        }
        let verdicts = decide(&before, &after, &around(Some(limits(limit.clone()))));
        assert_eq!(shown(&verdicts)[1..], wanted, "{limit} {released}");
    }
    // What the account has that no object holds counts too.
    let mut full = limits(json!({"maxNumbers": 7}));
    full.numbers = Some(7);
    assert_eq!(one(json!({}), &around(Some(full))), "a refuse LimitReached");
}

#[test]
fn a_shared_account_serves_the_namespaces_that_it_allows() {
    let shared = AccountKey {
        kind: AccountKind::ClusterProviderAccount,
        namespace: None,
        name: "shared".into(),
    };
    let change = json!({"accountRef": {"kind": "ClusterProviderAccount", "name": "shared"}});
    let selector = |selector: Value| {
        let object = json!({"metadata": {"name": "shared"}, "spec": {"provider": "twilio", "allowedNamespaces": selector}});
        let account: ClusterProviderAccount = serde_json::from_value(object).unwrap();
        account.spec.allowed_namespaces
    };
    for (allowed, labels, wanted, notes) in [
        (
            Value::Null,
            Some(json!({})),
            "a refuse AccountNotAllowed",
            0,
        ),
        (json!({}), Some(json!({})), "a buy", 0),
        (json!({}), None, "a buy", 0),
        (
            json!({"matchLabels": {"a": "b"}}),
            Some(json!({"a": "b"})),
            "a buy",
            0,
        ),
        (
            json!({"matchLabels": {"a": "b"}}),
            Some(json!({})),
            "a refuse AccountNotAllowed",
            0,
        ),
        (json!({"matchLabels": {"a": "b"}}), None, "a buy", 1),
    ] {
        let mut around = around(None);
        let mut facts = facts(json!({}));
        facts.allowed = selector(allowed.clone());
        around.accounts.insert(shared.clone(), Some(facts));
        if let Some(labels) = labels {
            let labels = serde_json::from_value(labels).unwrap();
            around.namespaces.insert("support".into(), labels);
        }
        let verdicts = decide(
            &Before::new(),
            &wanted_as(&[("a", change.clone())]),
            &around,
        );
        assert_eq!(shown(&verdicts), [wanted], "{allowed}");
        assert_eq!(verdicts[0].notes.len(), notes, "{allowed}");
    }
}

#[test]
fn purchases_beyond_those_of_an_hour_are_told_to_wait() {
    let objects = ["a", "b", "c"].map(|name| {
        let digit = name.bytes().next().unwrap() % 10;
        (name, json!({"phoneNumber": format!("+1212555600{digit}")}))
    });
    let around = around(Some(limits(json!({"purchasesPerHour": 2}))));
    let verdicts = decide(&Before::new(), &wanted_as(&objects), &around);
    let notes: Vec<_> = verdicts.iter().map(|verdict| verdict.notes.len()).collect();
    assert_eq!(notes, [0, 0, 1]);
    assert!(
        verdicts[2].notes[0].contains("after about 1 h"),
        "{verdicts:?}"
    );
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
