//! A plan and a list of prices need few rights, say what they could not read, and write nothing.

use std::fs;

use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::world::World;

use crate::plugin::{phonenumbers, phonenumbers_as, user};

const NUMBER: &str = "+12125554321";

/// A manifest in a file.
fn manifest(folder: &tempfile::TempDir, spec: &Value) -> String {
    let object = json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
        "metadata": {"name": "new"}, "spec": spec});
    let file = folder.path().join("new.json");
    fs::write(&file, object.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_read_no_secret_plans_without_prices_and_no_provider_is_asked() {
    let plane = ControlPlane::shared().await;
    let mut world = World::new("rights").await;
    world
        .until_account("twilio", |account| account["status"]["managed"] == 0)
        .await;
    world.kill_operator();
    let folder = tempfile::tempdir().unwrap();
    let file = manifest(
        &folder,
        &json!({"provider": "twilio", "phoneNumber": NUMBER}),
    );
    let namespace = world.namespace.clone();
    let plan = ["plan", "-f", &file, "--against-cluster", "-n", &namespace];
    let few = [
        ("list", "phonenumbers.telephony.burki.dev"),
        ("get", "provideraccounts.telephony.burki.dev"),
    ];
    let few = user(plane, &namespace, "few", &few, &[]).await;
    let before = world.emulator.requests().await;
    let without = phonenumbers_as(&few, plane, &world.emulator, &plan);
    assert_eq!(without.code, 2, "{without:?}");
    assert_eq!(
        without.rows()[1][..5],
        ["buy", &format!("{namespace}/new"), NUMBER, "twilio", "-"]
    );
    assert!(
        without.error.contains("you may not get the Secret twilio"),
        "{without:?}"
    );
    assert_eq!(world.emulator.requests().await, before);
    let limited = [&plan[..], &["--max-monthly-increase", "5USD"]].concat();
    let limited = phonenumbers_as(&few, plane, &world.emulator, &limited);
    assert_eq!(limited.code, 3, "{limited:?}");

    // With a file of prices it needs no Secret at all.
    let prices = [
        "prices",
        "twilio",
        "--country",
        "US",
        "-o",
        "json",
        "-n",
        &namespace,
    ];
    let prices = phonenumbers(plane, &world.emulator, &prices).worked();
    let list = folder.path().join("prices.list");
    fs::write(&list, prices).unwrap();
    let before = world.emulator.requests().await;
    let with = [&plan[..], &["--prices", list.to_str().unwrap()]].concat();
    let with = phonenumbers_as(&few, plane, &world.emulator, &with);
    assert_eq!(with.rows()[1][4..7], ["1.15", "0", "USD"]);
    assert_eq!(world.emulator.requests().await, before);

    let none = user(plane, &namespace, "none", &[], &[]).await;
    let refused = phonenumbers_as(&none, plane, &world.emulator, &plan).failed();
    assert!(
        refused.starts_with("you may not list phonenumbers in namespace"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_those_of_the_countries_that_the_account_allows_or_its_numbers_are_in() {
    let plane = ControlPlane::shared().await;
    let world = World::new("prices").await;
    let ask = |arguments: &[&str]| {
        let here = ["-n", world.namespace.as_str()];
        phonenumbers(
            plane,
            &world.emulator,
            &[&["prices"], arguments, &here].concat(),
        )
    };
    let nowhere = ask(&["twilio"]).failed();
    assert!(
        nowhere.contains("Name countries with --country"),
        "{nowhere}"
    );
    let suspended = json!({"suspend": true});
    world
        .create("gb", "twilio", "+442079460141", suspended)
        .await;
    let countries = |rows: Vec<Vec<String>>| -> Vec<String> {
        let mut countries: Vec<_> = rows.into_iter().skip(1).map(|row| row[2].clone()).collect();
        countries.dedup();
        countries
    };
    assert_eq!(countries(ask(&["twilio"]).rows()), ["GB"]);
    let allowed = json!({"limits": {"allowedCountries": ["US", "CA"], "allowedTypes": ["local", "tollFree"]}});
    world.change_account("twilio", allowed).await;
    let shown = ask(&["twilio"]);
    assert_eq!(
        shown.rows()[1..],
        [
            ["twilio", "twilio", "CA", "local", "1.15", "0", "USD"],
            ["twilio", "twilio", "CA", "tollFree", "2.15", "0", "USD"],
            ["twilio", "twilio", "US", "local", "1.15", "0", "USD"],
            ["twilio", "twilio", "US", "tollFree", "2.15", "0", "USD"],
        ]
    );
    let telnyx = ask(&["telnyx", "--country", "US", "--no-headers"]);
    assert_eq!(
        telnyx.rows()[0],
        ["telnyx", "telnyx", "US", "local", "1", "1", "USD"]
    );
    assert!(
        telnyx.error.contains("Telnyx has no price list"),
        "{telnyx:?}"
    );
}
