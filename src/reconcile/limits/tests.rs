//! Several accounts that open one account at a provider.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::account::OtherClaims;
use crate::api::owner;
use crate::claim::{ANNOTATION, Claim, Intent};
use crate::controller::reconciler::tests::{World, number};
use crate::number::{Amount, E164, Price};

const NUMBER: &str = "+12125550101";

/// An account of this namespace, or a ClusterProviderAccount, with the status of one that opens AC1.
fn account(namespace: Option<&str>, name: &str, limits: Value, ready: (&str, &str)) -> Value {
    let (status, reason) = ready;
    json!({
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "twilio"}}, "limits": limits,
            "allowedNamespaces": {"matchLabels": {"team": "one"}}},
        "status": {"accountId": "AC1", "conditions": [{"type": "Ready", "status": status, "reason": reason,
            "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z"}]},
    })
}

const READY: (&str, &str) = ("True", "Ready");

fn ids(id: &str) -> Vec<AccountId> {
    vec![AccountId::new(id)]
}

/// The limits of `a/twilio`, which opens AC1 as `b/twilio` does.
fn lowest(own: Value, other: Value, of_other: (&str, &str)) -> AccountLimits {
    let mut world = World::new();
    let own: Limits = serde_json::from_value(own).unwrap();
    let whole = serde_json::to_value(&own).unwrap();
    world.account(account(Some("a"), "twilio", whole, READY));
    world.account(account(Some("b"), "twilio", other, of_other));
    let key = AccountKey {
        kind: AccountKind::ProviderAccount,
        namespace: Some("a".into()),
        name: "twilio".into(),
    };
    world.cluster.lowest_limits(&ids("AC1"), &key, &own)
}

#[tokio::test]
async fn the_lowest_of_each_limit_holds_whichever_account_has_it() {
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let table = [
        ("purchasesPerHour", json!(7), json!(3)),
        ("releasesPerHour", json!(7), json!(3)),
        ("releaseDelay", json!("90m"), json!("2h")),
        ("maxNumbers", json!(7), json!(3)),
        ("maxMonthlyCost", usd("10"), usd("9.99")),
        ("maxUpfrontCost", usd("10"), usd("9.99")),
        ("allowedCountries", json!(["US", "CA"]), json!(["CA", "US"])),
        (
            "allowedTypes",
            json!(["local", "mobile"]),
            json!(["mobile"]),
        ),
        ("adoption", json!("Orphans"), json!("Unmarked")),
        ("adoption", json!("Unmarked"), json!("Never")),
        ("maxConcurrentRequests", json!(7), json!(3)),
    ];
    for (limit, high, low) in table {
        let shown = |limits: &AccountLimits| match limit {
            "purchasesPerHour" => limits.purchases_per_hour.to_string(),
            "releasesPerHour" => limits.releases_per_hour.to_string(),
            "releaseDelay" => format!("{:?}", limits.release_delay),
            "maxNumbers" => format!("{:?}", limits.max_numbers),
            "maxMonthlyCost" => format!("{:?}", limits.monthly_cost),
            "maxUpfrontCost" => format!("{:?}", limits.upfront_cost),
            "allowedCountries" => format!("{:?}", limits.countries),
            "allowedTypes" => format!("{:?}", limits.kinds),
            "adoption" => format!("{:?}", limits.adoption),
            _ => limits.max_concurrent_requests.to_string(),
        };
        let alone: Limits = serde_json::from_value(json!({limit: low})).unwrap();
        let wanted = shown(&AccountLimits::of(&alone, ""));
        for (own, other) in [
            (json!({limit: high}), json!({limit: low})),
            (json!({limit: low}), json!({limit: high})),
            (json!({}), json!({limit: low})),
            (json!({limit: low}), json!({})),
        ] {
            let limits = lowest(own.clone(), other.clone(), READY);
            assert_eq!(shown(&limits), wanted, "{own} {other}");
        }
    }
    let euros = json!({"maxMonthlyCost": {"amount": "5", "currency": "EUR"}});
    let both = lowest(json!({"maxMonthlyCost": usd("10")}), euros, READY);
    assert_eq!(
        both.monthly_cost.len(),
        2,
        "amounts are not converted, so both hold"
    );
}

#[tokio::test]
async fn what_no_two_accounts_allow_is_nothing_and_not_everything() {
    for (limit, one, other) in [
        ("allowedCountries", json!(["US"]), json!(["GB"])),
        ("allowedTypes", json!(["local"]), json!(["mobile"])),
    ] {
        let limits = lowest(json!({limit: one}), json!({limit: other}), READY);
        let (allowed, by) = match limit {
            "allowedCountries" => (limits.countries.map(|it| it.len()), limits.countries_by),
            _ => (limits.kinds.map(|it| it.len()), limits.kinds_by),
        };
        assert_eq!(allowed, Some(0), "{limit}");
        let both = ["ProviderAccount a/twilio", "ProviderAccount b/twilio"];
        assert_eq!(by, both.map(str::to_owned).into(), "{limit}");
    }
    // A third one does not make it more.
    let third: Limits = serde_json::from_value(json!({"allowedCountries": ["FR"]})).unwrap();
    let none = lowest(
        json!({"allowedCountries": ["US"]}),
        json!({"allowedCountries": ["GB"]}),
        READY,
    );
    let all = none.and(AccountLimits::of(&third, "c"));
    assert_eq!(all.countries.map(|it| it.len()), Some(0));
    let nobody = lowest(json!({"allowedCountries": []}), json!({}), READY);
    assert_eq!(nobody.countries, None, "an empty list restricts nothing");
}

#[tokio::test]
async fn what_may_be_taken_over_depends_on_the_kind_of_account_unless_it_says_it() {
    let world = World::new();
    let own = json!({});
    let shared =
        json!({"spec": {"accountRef": {"kind": "ClusterProviderAccount", "name": "shared"}}});
    for (refers, declared, wanted) in [
        (&own, json!({}), Adoption::Orphans),
        (&own, json!({"adoption": "Never"}), Adoption::Never),
        (&shared, json!({}), Adoption::Never),
        (&shared, json!({"adoption": "Unmarked"}), Adoption::Unmarked),
    ] {
        let title = format!("{refers} {declared}");
        let declared: Limits = serde_json::from_value(declared).unwrap();
        let declared = AccountLimits::of(&declared, "");
        let number = number("a", NUMBER, refers.clone());
        let limits = world.cluster.limits_on(&number, &declared, None);
        assert_eq!(limits.adoption, wanted, "{title}");
    }
}

#[tokio::test]
async fn only_accounts_that_open_it_now_limit_it() {
    let zero = json!({"purchasesPerHour": 0});
    for (ready, counts) in [
        (READY, true),
        (("False", "ProviderUnavailable"), true),
        (("False", "InventorySuspect"), true),
        (("False", "CredentialsInvalid"), false),
        (("False", "CredentialsMissing"), false),
    ] {
        let limits = lowest(json!({}), zero.clone(), ready);
        let wanted = if counts { 0 } else { 100 };
        assert_eq!(limits.purchases_per_hour, wanted, "{ready:?}");
    }
}

/// A release cannot be undone: a credential that fails ends no delay.
#[tokio::test]
async fn the_delay_of_an_account_that_opened_it_once_holds() {
    for ready in [
        READY,
        ("False", "CredentialsInvalid"),
        ("False", "CredentialsMissing"),
    ] {
        let limits = lowest(json!({}), json!({"releaseDelay": "72h"}), ready);
        assert_eq!(limits.release_delay.as_secs(), 72 * 3_600, "{ready:?}");
    }
}

#[tokio::test]
async fn who_uses_a_shared_account_is_not_told_of_other_namespaces() {
    let mut world = World::new();
    let restricts = |country: &str| json!({"allowedCountries": [country]});
    world.cluster_account(account(None, "shared", restricts("US"), READY));
    world.account(account(Some("b"), "secret-team", restricts("GB"), READY));
    let key = AccountKey {
        kind: AccountKind::ClusterProviderAccount,
        namespace: None,
        name: "shared".into(),
    };
    let own: Limits = serde_json::from_value(restricts("US")).unwrap();
    let limits = world.cluster.lowest_limits(&ids("AC1"), &key, &own);
    let by = [
        "ClusterProviderAccount shared",
        "an account of another namespace",
    ];
    assert_eq!(limits.countries_by, by.map(str::to_owned).into());
}

fn claimed(mut number: PhoneNumber, account: &str, uid: &str, at: Timestamp) -> PhoneNumber {
    let claim = Claim::to_buy(
        NUMBER.parse().unwrap(),
        AccountId::new(account),
        &owner(&number),
        uid,
        "n1".into(),
        at,
        at,
    );
    assert_eq!(claim.intent, Intent::Buy);
    let claim = claim.at_price(Price::read("1000", "0", "USD"));
    let text = claim.to_annotation().unwrap();
    number
        .metadata
        .annotations
        .get_or_insert_default()
        .insert(ANNOTATION.to_owned(), text);
    number
}

/// Counts what it is told.
#[derive(Default)]
struct Counting(usize);

impl crate::account::ClaimVisitor for Counting {
    fn version(&self) -> crate::account::Version {
        crate::account::Version::default()
    }

    fn visit(&mut self, _: &E164, _: Amount, _: bool) -> bool {
        self.0 += 1;
        false
    }
}

#[tokio::test]
async fn a_claim_counts_only_in_the_account_that_its_resource_opens() {
    let mut world = World::new();
    world.account(account(Some("support"), "twilio", json!({}), READY));
    let mut elsewhere = account(Some("support"), "other", json!({}), READY);
    elsewhere["status"]["accountId"] = json!("AC2");
    world.account(elsewhere);
    world.cluster_account(account(None, "shared", json!({}), READY));
    let refers = |name: &str| json!({"spec": {"accountRef": {"name": name}}});
    let shared =
        json!({"spec": {"accountRef": {"kind": "ClusterProviderAccount", "name": "shared"}}});
    let mut new = account(Some("support"), "new", json!({}), READY);
    new["status"] = json!(null);
    world.account(new.clone());
    new["metadata"]["name"] = json!("new-at-telnyx");
    new["spec"]["provider"] = json!("telnyx");
    world.account(new);
    let at_telnyx =
        |name: &str| json!({"spec": {"provider": "telnyx", "accountRef": {"name": name}}});
    let now = Timestamp::now();
    let mut version = 1;
    for (change, account, counts) in [
        (refers("twilio"), "AC1", 1),
        (refers("other"), "AC1", 0),
        (refers("nowhere"), "AC1", 0),
        (at_telnyx("twilio"), "AC1", 0),
        // Accounts that were not tried yet may open any at their provider.
        (refers("new"), "AC1", 1),
        (at_telnyx("new-at-telnyx"), "AC1", 0),
        // The namespace is not allowed.
        (shared, "AC1", 0),
        (refers("other"), "AC2", 0),
    ] {
        let mut made_up = claimed(number("other", NUMBER, change.clone()), account, "x", now);
        // Each is another version of the resource.
        version += 1;
        made_up.metadata.resource_version = Some(version.to_string());
        world.list(std::slice::from_ref(&made_up));
        let others = world
            .cluster
            .claims_excluding(&number("asks", NUMBER, json!({})), ids("AC1"));
        let mut count = Counting::default();
        others.visit_claims(&mut count);
        assert_eq!(count.0, counts, "{change} {account}");
    }
}

#[tokio::test]
async fn only_who_could_buy_a_number_keeps_others_from_it() {
    let now = Timestamp::now();
    let ago = now - jiff::SignedDuration::from_hours(1);
    let refers = |name: &str| json!({"spec": {"accountRef": {"name": name}}});
    let plain = |change: Value| {
        let mut older = number("older", NUMBER, change);
        older.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(ago));
        older
    };
    let suspended = json!({"spec": {"suspend": true}});
    let at_telnyx = json!({"spec": {"provider": "telnyx", "accountRef": {"name": "at-telnyx"}}});
    let mut held_at_telnyx = at_telnyx.clone();
    held_at_telnyx["status"] = json!({"id": "1", "phoneNumber": NUMBER});
    let held = |account: &str| json!({"status": {"id": "PN1", "accountId": account, "phoneNumber": NUMBER}});
    let ages = jiff::Timestamp::UNIX_EPOCH;
    for (older, is_rival, why) in [
        (plain(json!({})), true, "it was there first"),
        (plain(refers("nowhere")), false, "no account"),
        (
            plain(refers("other")),
            false,
            "another account at the provider",
        ),
        (
            plain(refers("new")),
            true,
            "an account that was not tried yet",
        ),
        (
            plain(at_telnyx),
            false,
            "an account of another provider that was not tried yet",
        ),
        (plain(held_at_telnyx), false, "it holds it elsewhere still"),
        (plain(suspended.clone()), false, "suspended"),
        (
            claimed(plain(suspended.clone()), "AC1", "uid-older", now),
            true,
            "suspended, but it may have bought it",
        ),
        (plain(held("AC1")), true, "it holds it"),
        (plain(held("AC2")), false, "it holds it elsewhere"),
        (
            claimed(plain(refers("nowhere")), "AC1", "uid-older", now),
            false,
            "a claim without an account",
        ),
        (
            claimed(plain(suspended.clone()), "AC1", "uid-older", ages),
            false,
            "a claim before its resource",
        ),
        (
            claimed(plain(suspended.clone()), "AC1", "x", ages),
            false,
            "a claim of a resource of long ago",
        ),
        (
            claimed(
                plain(suspended),
                "AC1",
                "uid-older",
                now + jiff::SignedDuration::from_hours(1),
            ),
            false,
            "a claim of the future",
        ),
    ] {
        let mut world = World::new();
        world.learn_time().await;
        world.account(account(Some("support"), "twilio", json!({}), READY));
        let mut elsewhere = account(Some("support"), "other", json!({}), READY);
        elsewhere["status"]["accountId"] = json!("AC2");
        world.account(elsewhere);
        let mut new = account(Some("support"), "new", json!({}), READY);
        new["status"] = json!(null);
        world.account(new);
        let mut telnyx = account(Some("support"), "at-telnyx", json!({}), READY);
        telnyx["spec"]["provider"] = json!("telnyx");
        telnyx["status"] = json!(null);
        world.account(telnyx);
        let mut later = number("later", NUMBER, json!({}));
        later.metadata.creation_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
        world.list(&[older, later.clone()]);
        let rival = world.cluster.competing_claim(&later, &ids("AC1"));
        assert_eq!(rival.is_some(), is_rival, "{why}");
        let candidate = NUMBER.parse().unwrap();
        let is_free = world.cluster.is_free(&candidate, &later, &ids("AC1"));
        assert_eq!(is_free, !is_rival, "{why}");
        if let Some(rival) = rival {
            assert_eq!(rival, "PhoneNumber support/older");
        }
    }
}

#[tokio::test]
async fn a_rival_of_another_namespace_is_not_named() {
    let mut world = World::new();
    for namespace in ["support", "tenant"] {
        world.account(account(Some(namespace), "twilio", json!({}), READY));
    }
    let elsewhere =
        json!({"metadata": {"namespace": "tenant", "creationTimestamp": "2026-01-01T00:00:00Z"}});
    let mine = number(
        "mine",
        NUMBER,
        json!({"metadata": {"creationTimestamp": "2026-02-01T00:00:00Z"}}),
    );
    let rival = number("secret", NUMBER, elsewhere);
    assert_ne!(AccountKey::of(&mine), AccountKey::of(&rival));
    world.list(&[rival, mine.clone()]);
    let named = world.cluster.competing_claim(&mine, &ids("AC1")).unwrap();
    assert_eq!(named, "a PhoneNumber of another namespace");
}
