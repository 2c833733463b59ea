mod held;
mod marks;

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
