//! The account and its numbers as `kubectl get` shows them, and what a listing of the account brings to light.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::kubectl::kubectl;
use test_support::world::{World, reason, version};

use crate::reasons::stalled;

/// The columns of the one row that begins with `name`.
fn row(shown: &str, name: &str) -> Vec<String> {
    let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_shows_what_it_holds_and_what_that_costs() {
    let plane = ControlPlane::shared().await;
    let world = World::alone("audit", &[]).await;
    world
        .create(
            "kept",
            "twilio",
            "+12125558101",
            json!({"deletionPolicy": "Retain"}),
        )
        .await;
    world
        .create("second", "twilio", "+12125558102", json!({}))
        .await;
    world
        .create(
            "third",
            "twilio",
            "+12125558103",
            json!({"assistantId": 101}),
        )
        .await;
    for name in ["kept", "second", "third"] {
        world.until_ready(name).await;
    }
    world.delete("kept").await;
    world.until_gone("kept").await;
    world
        .bought_by_somebody_else("twilio", "+12125558104")
        .await;
    world
        .emulator
        .post(
            "/console/buy",
            json!({"provider": "twilio", "account": world.twilio, "number": "+12125558105"}),
        )
        .await;
    // The figures change at most once a minute.
    let wanted = json!({"managed": 2, "unmanaged": 2, "orphaned": 1});
    let figures = |account: &Value| {
        let status = &account["status"];
        json!({"managed": status["managed"], "unmanaged": status["unmanaged"], "orphaned": status["orphaned"]})
    };
    let mut writes = 0;
    let mut last = Value::Null;
    let begun = std::time::Instant::now();
    loop {
        let account = world.accounts().get("twilio").await.unwrap();
        let account = serde_json::to_value(account).unwrap();
        if figures(&account) != last {
            last = figures(&account);
            writes += 1;
        }
        if last == wanted {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(150), "{account:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let account = world.accounts().get("twilio").await.unwrap();
    let account = serde_json::to_value(account).unwrap();
    let listed = |field: &str| {
        let listed = account["status"][field].as_array().unwrap().iter();
        let listed = listed.inspect(|number| {
            assert!(number["since"].is_string(), "{number}");
            assert!(number["id"].as_str().unwrap().starts_with("PN"), "{number}");
            assert_eq!(number["monthlyCost"]["display"], "1.15 USD");
        });
        listed
            .map(|number| number["phoneNumber"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed("unmanagedNumbers"), ["+12125558104", "+12125558105"]);
    assert_eq!(listed("orphanedNumbers"), ["+12125558101"]);
    let minutes = begun.elapsed().as_secs() / 60;
    assert!(
        writes <= minutes + 2,
        "{writes} changes in {minutes} minutes"
    );
    let namespace = world.namespace.as_str();
    let shown = kubectl(plane, &["get", "provideraccounts", "-n", namespace]);
    let heads = row(&shown, "NAME");
    assert_eq!(
        heads[..9],
        [
            "NAME",
            "READY",
            "REASON",
            "PROVIDER",
            "ACCOUNT-ID",
            "MANAGED",
            "UNMANAGED",
            "ORPHANED",
            "MONTHLY"
        ]
    );
    assert_eq!(
        row(&shown, "twilio")[1..10],
        [
            "True",
            "Ready",
            "twilio",
            &world.twilio,
            "2",
            "2",
            "1",
            "2.30",
            "USD"
        ]
    );

    let shown = kubectl(
        plane,
        &["get", "phonenumbers", "-n", namespace, "-o", "wide"],
    );
    let heads = row(&shown, "NAME");
    assert_eq!(
        heads[1..],
        [
            "NUMBER",
            "PROVIDER",
            "ASSISTANT",
            "READY",
            "REASON",
            "MESSAGES",
            "SUSPEND",
            "DELETION",
            "MONTHLY",
            "AGE",
            "MESSAGE",
            "ID",
            "ORDER",
            "SETUP",
            "CURRENCY",
            "ACCOUNT",
            "ACCOUNT-ID"
        ]
    );
    let third = row(&shown, "third");
    assert_eq!(
        third[1..11],
        [
            "+12125558103",
            "twilio",
            "101",
            "True",
            "Ready",
            "False",
            "false",
            "Release",
            "1.15",
            "USD"
        ]
    );
    for word in [world.twilio.as_str(), "twilio"] {
        assert!(third.iter().any(|column| column == word), "{third:?}");
    }

    // Listings go on, and nothing is written.
    let listings = world.asked("twilio list").await;
    let before = world.accounts().get("twilio").await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(world.asked("twilio list").await > listings + 2);
    let after = world.accounts().get("twilio").await.unwrap();
    assert_eq!(
        before.metadata.resource_version,
        after.metadata.resource_version
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_wakes_only_what_differs() {
    let world = World::alone("differs", &[]).await;
    for at in 0..10 {
        let number = format!("+1212555820{at}");
        world
            .create(&format!("n{at}"), "twilio", &number, json!({}))
            .await;
    }
    let mut before = Vec::new();
    for at in 0..10 {
        before.push(version(&world.until_ready(&format!("n{at}")).await));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = async |operation| world.asked(&format!("twilio {operation}")).await;
    let (fetched, changed) = (asked("fetch").await, asked("configure").await);
    world
        .emulator
        .edit(
            "+12125558203",
            json!({"voice_url": "https://elsewhere.example.com/"}),
        )
        .await;
    world
        .until_company("the repair", async |company| {
            company.number("+12125558203").await["voice_url"] == "https://voice.example.com/twiml"
        })
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(asked("configure").await - changed, 1);
    assert!(
        asked("fetch").await - fetched <= 1,
        "the others are known from the listing"
    );
    for at in (0..10).filter(|at| *at != 3) {
        let number = world.number(&format!("n{at}")).await;
        assert_eq!(version(&number), before[at], "n{at}");
    }
}

fn is_ready(wanted: &'static str, why: &'static str) -> impl Fn(&Value) -> bool {
    move |account: &Value| {
        let conditions = account["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|found| {
            found["type"] == "Ready" && found["status"] == wanted && found["reason"] == why
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_are_missing_at_once_are_suspect_and_what_is_seen_again_is_lost_no_more() {
    let world = World::alone("suspect", &[]).await;
    let number = |at: usize| format!("+1212555830{at}");
    for at in 0..6 {
        world
            .create(&format!("n{at}"), "twilio", &number(at), json!({}))
            .await;
    }
    for at in 0..6 {
        world.until_ready(&format!("n{at}")).await;
    }
    world
        .until_account("twilio", is_ready("True", "Ready"))
        .await;
    // They are moved to another account, and come back.
    let move_to = async |account: &str| {
        for at in 0..5 {
            world
                .emulator
                .edit(&number(at), json!({"account": account}))
                .await;
        }
    };
    move_to("AC00000000000000000000000000000002").await;
    world
        .until_account("twilio", is_ready("False", "InventorySuspect"))
        .await;
    let account = world.accounts().get("twilio").await.unwrap();
    let account = serde_json::to_value(account).unwrap();
    assert!(
        account["status"].to_string().contains("5 of 6"),
        "{account:#}"
    );
    for at in 0..6 {
        let kept = world.number(&format!("n{at}")).await;
        assert_eq!(
            reason(&kept),
            "Ready",
            "nothing is concluded from a listing"
        );
    }
    for at in 0..5 {
        let patience = Duration::from_secs(150);
        world
            .until_within(patience, &format!("n{at}"), "Lost", |number| {
                reason(number) == "Lost"
            })
            .await;
    }
    world
        .until_account("twilio", is_ready("True", "Ready"))
        .await;
    move_to(&world.twilio).await;
    for at in 0..5 {
        world.until_ready(&format!("n{at}")).await;
    }
    assert_eq!(world.bought().await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_is_gone_is_lost_and_never_bought_again() {
    let world = World::new("lost").await;
    world
        .create("hidden", "twilio", "+12125550091", json!({}))
        .await;
    world
        .create("gone", "twilio", "+12125550092", json!({}))
        .await;
    let id = world
        .until_ready("hidden")
        .await
        .status
        .unwrap()
        .id
        .unwrap();
    world.until_ready("gone").await;
    world
        .emulator
        .edit(
            "+12125550091",
            json!({"id": "PN000000000000000000000000000000ff"}),
        )
        .await;
    world
        .emulator
        .send(
            reqwest::Method::DELETE,
            "/console/numbers/+12125550092",
            Value::Null,
        )
        .await;
    for name in ["hidden", "gone"] {
        world.until_reason(name, "Lost").await;
    }
    stalled(
        &world,
        "gone",
        "Lost",
        &["not bought again", "delete this PhoneNumber"],
    )
    .await;
    world.emulator.edit("+12125550091", json!({"id": id})).await;
    world.until_ready("hidden").await;
    world.delete("gone").await;
    world.until_gone("gone").await;
    for number in ["+12125550091", "+12125550092"] {
        assert_eq!(world.emulator.purchases(number).await, 1, "{number}");
    }
}
