use super::*;
use crate::colour::Colours;
use crate::plan::manifests::Manifest;
use crate::plan::render::Report;
use crate::prices::list::{AccountPrices, Entry};
use serde_json::json;
use telephony::number::{Kind as NumberKind, Price, Provider};

fn side(objects: &[(Kind, &str, Value)]) -> Manifests {
    let manifest = |(kind, name, spec): &(Kind, &str, Value)| {
        let object = json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": kind.to_string(),
            "metadata": {"name": name, "namespace": "support"}, "spec": spec});
        let manifest = Manifest {
            object,
            place: "f, document 1".into(),
        };
        ((*kind, "support".to_owned(), (*name).to_owned()), manifest)
    };
    objects.iter().map(manifest).collect()
}

fn account(limits: Value) -> (Kind, &'static str, Value) {
    let spec = json!({"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "twilio"}},
        "webhooks": {"baseUrl": "https://voice.example.com"}, "limits": limits});
    (Kind::ProviderAccount, "twilio", spec)
}

fn number(name: &'static str, end: u8, change: Value) -> (Kind, &'static str, Value) {
    let mut spec = json!({"provider": "twilio", "phoneNumber": format!("+121255512{end:02}")});
    for (field, value) in change.as_object().unwrap() {
        spec[field] = value.clone();
    }
    (Kind::PhoneNumber, name, spec)
}

fn prices() -> PriceList {
    let entry = Entry {
        country: "US".into(),
        kind: NumberKind::Local,
        price: Price::read("1.15", "0", "USD"),
    };
    let prices = AccountPrices {
        kind: AccountKind::ProviderAccount,
        namespace: Some("support".into()),
        name: "twilio".into(),
        provider: Provider::Twilio,
        prices: vec![entry],
    };
    PriceList::new(jiff::Timestamp::UNIX_EPOCH, vec![prices])
}

fn report(new: &Manifests, base: &Manifests) -> Report {
    let definitions = Definitions::of_this_version().unwrap();
    let decided = decide(new, base, Some(prices()), &definitions);
    Report::new(decided.verdicts, |_| Vec::new(), decided.notes, false)
}

fn lines(report: &Report) -> Vec<String> {
    let line = |verdict: &Verdict| {
        let reason = verdict.reason.as_deref().unwrap_or_default();
        let line = format!("{} {} {reason}", verdict.action.word(), verdict.owner.name);
        line.trim_end().to_owned()
    };
    report.verdicts.iter().map(line).collect()
}

#[test]
fn both_sides_are_compared_object_by_object_and_cent_by_cent() {
    let base = side(&[
        account(json!({})),
        number("stays", 1, json!({})),
        number("changes", 2, json!({})),
        number("goes", 3, json!({})),
        number("retained", 4, json!({"deletionPolicy": "Retain"})),
        number("protected", 5, json!({"deletionProtection": true})),
        number("resumed", 6, json!({"suspend": true})),
        number("renamed", 7, json!({})),
    ]);
    let new = side(&[
        account(json!({"allowedTypes": ["local"]})),
        number("stays", 1, json!({})),
        number("changes", 2, json!({"friendlyName": "x"})),
        number("resumed", 6, json!({})),
        number("renamed", 8, json!({})),
        number("new", 9, json!({})),
        number("adopted", 10, json!({"adoptionPolicy": "Adopt"})),
        (
            Kind::PhoneNumber,
            "mobile",
            json!({"provider": "twilio", "search": {"country": "US", "type": "mobile"}}),
        ),
        number("broken", 11, json!({"telnyx": {}})),
    ]);
    let report = report(&new, &base);
    assert_eq!(
        lines(&report),
        [
            "refuse broken Invalid",
            "refuse mobile LimitReached",
            "refuse protected ReleaseProtected",
            "refuse renamed Invalid",
            "buy new",
            "adopt adopted",
            "release goes",
            "retain retained",
            "change twilio",
            "change changes",
            "change resumed",
            "keep stays",
        ]
    );
    assert_eq!(
        report.sentence(),
        "4 refused, 1 bought, 1 adopted, 1 released, 1 retained, 3 changed, 1 kept: +0.00 USD a month."
    );
    assert_eq!(report.code(), 3);
}

#[test]
fn the_exit_code_says_whether_something_is_spent_or_refused() {
    let with = |numbers: &[(Kind, &'static str, Value)]| {
        let all = [&[account(json!({"maxNumbers": 1}))], numbers].concat();
        side(&all)
    };
    let (a, b) = (|| number("a", 1, json!({})), || number("b", 2, json!({})));
    for (base, new, code) in [
        (with(&[a()]), with(&[a()]), 0),
        (
            with(&[a()]),
            with(&[number("a", 1, json!({"friendlyName": "x"}))]),
            0,
        ),
        (with(&[]), with(&[a()]), 2),
        (with(&[a()]), with(&[]), 2),
        (with(&[a()]), with(&[a(), b()]), 3),
        // It was refused before.
        (with(&[a(), b()]), with(&[a(), b()]), 0),
        (with(&[a(), b()]), with(&[b()]), 2),
    ] {
        assert_eq!(report(&new, &base).code(), code);
    }
}

#[test]
fn an_account_that_is_not_in_the_manifests_is_not_checked_and_one_that_was_taken_away_is_missing() {
    let with = side(&[account(json!({}))]);
    let alone = side(&[number("a", 1, json!({}))]);
    let unknown = report(&alone, &side(&[]));
    assert_eq!(lines(&unknown), ["buy a"]);
    assert!(unknown.verdicts[0].notes[0].contains("is not known here"));
    let gone = report(&alone, &with);
    assert_eq!(lines(&gone), ["refuse a AccountNotFound", "change twilio"]);
}

#[test]
fn an_account_that_is_new_goes_or_changes_is_listed_with_its_fields() {
    let with = |limits: Value| side(&[account(limits)]);
    let none = side(&[]);
    for (base, new, wanted) in [
        (with(json!({})), with(json!({})), vec![]),
        (none.clone(), with(json!({})), vec!["new account"]),
        (with(json!({})), none, vec!["the account goes"]),
        (
            with(json!({"maxNumbers": 3})),
            with(json!({"maxNumbers": 2, "releaseDelay": "72h"})),
            vec!["of the account: spec.limits.maxNumbers, spec.limits.releaseDelay"],
        ),
    ] {
        let report = report(&new, &base);
        let found: Vec<_> = report.verdicts.iter().map(|it| it.why.as_str()).collect();
        assert_eq!(found, wanted);
        assert_eq!(report.code(), 0);
        for why in wanted {
            assert!(report.table(false, Colours::Off).contains(why));
            assert!(report.json().unwrap().contains(why));
            assert!(report.markdown().contains(why));
        }
    }
}

#[test]
fn a_refused_account_stays_as_it_is() {
    let base = side(&[account(json!({"maxNumbers": 0}))]);
    let wrong = account(json!({"maxNumbers": -1}));
    let report = report(&side(&[wrong, number("a", 1, json!({}))]), &base);
    assert_eq!(
        lines(&report),
        ["refuse twilio Invalid", "refuse a LimitReached"]
    );
}

#[test]
fn a_suspended_object_may_hold_a_number_and_may_buy_one_once_it_is_resumed() {
    let with = |change: Value| side(&[account(json!({})), number("a", 1, change)]);
    let suspended = || with(json!({"suspend": true}));
    for (new, wanted, code, passed) in [
        (suspended(), "keep a", 0, 0),
        (with(json!({})), "change a", 2, 1),
        (side(&[account(json!({}))]), "refuse a Suspended", 3, 0),
    ] {
        let definitions = Definitions::of_this_version().unwrap();
        let decided = decide(&new, &suspended(), Some(prices()), &definitions);
        let maxima = crate::plan::money::Maxima {
            monthly: vec!["1USD".parse().unwrap()],
            upfront: Vec::new(),
        };
        let maxima = |totals: &_| maxima.passed(totals);
        let with_maxima = Report::new(decided.verdicts, maxima, Vec::new(), false);
        let report = report(&new, &suspended());
        assert_eq!(lines(&report), [wanted]);
        assert_eq!(report.code(), code, "{wanted}");
        assert_eq!(with_maxima.passed.len(), passed, "{wanted}");
        let notes = &report.verdicts[0].notes;
        assert!(
            notes.iter().any(|note| note.contains("suspended")),
            "{notes:?}"
        );
    }
}
