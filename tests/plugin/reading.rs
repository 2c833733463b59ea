//! What the plugin says of PhoneNumbers: one in full, why it is not as wanted, what deletion does, and what all cost.

use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::world::World;

use crate::plugin::{Ran, leave_unheld, phonenumbers, phonenumbers_as, user};

const NUMBERS: &str = "phonenumbers.telephony.burki.dev";
const ACCOUNTS: &str = "provideraccounts.telephony.burki.dev";

#[tokio::test(flavor = "multi_thread")]
async fn status_shows_a_number_in_full_with_the_rights_that_the_reference_names() {
    let plane = ControlPlane::shared().await;
    let world = World::new("status").await;
    let namespace = world.namespace.clone();
    let declared = json!({"friendlyName": "NYC", "assistantId": 101});
    world
        .create("nyc", "twilio", "+12125556201", declared)
        .await;
    world.until_ready("nyc").await;
    world.until_event("nyc", "Purchased").await;
    let rights = [("get", NUMBERS), ("get", ACCOUNTS), ("list", "events")];
    let whole = user(plane, &namespace, "whole", &rights, &[]).await;
    let before = world.emulator.requests().await;
    let ask = |kubeconfig, arguments: &[&str]| {
        phonenumbers_as(kubeconfig, plane, &world.emulator, arguments)
    };
    let text = ask(&whole, &["status", "pn/nyc"]).worked();
    let value = |name: &str| {
        let name = format!("{name}:");
        let mut lines = text.lines().map(str::trim);
        let line = lines.find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("{name} {text}"))
            .trim()
            .to_owned()
    };
    assert_eq!(value("Namespace"), namespace);
    assert_eq!(value("Number"), "+12125556201");
    assert_eq!(value("Origin"), "Bought");
    assert_eq!(value("Monthly"), "1.15 USD");
    assert_eq!(value("Calls"), "https://voice.example.com/twiml");
    assert_eq!(value("Differs"), "<none>");
    assert_eq!(value("Next Try"), "<none>");
    assert!(value("Mark").starts_with("pn1."), "{text}");
    assert!(value("On Deletion").starts_with("Release: "), "{text}");
    for part in [
        "Conditions:",
        "Purchased",
        "AssistantAssigned",
        "Events:",
        "Intent:",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let half = user(plane, &namespace, "half", &[("get", NUMBERS)], &[]).await;
    let text = ask(&half, &["status", "nyc"]).worked();
    for right in ["get provideraccounts", "list events"] {
        let wanted = format!("<unknown>: you may not {right}");
        assert!(text.contains(&wanted), "{wanted}: {text}");
    }
    let nobody = user(plane, &namespace, "nobody", &[], &[]).await;
    let line = ask(&nobody, &["status", "nyc"]).failed();
    assert!(
        line.starts_with("you may not get phonenumbers in namespace"),
        "{line}"
    );
    let line = ask(&whole, &["why", "nosuch"]).failed();
    let wanted = format!("PhoneNumber {namespace}/nosuch does not exist. kubectl get phonenumbers");
    assert!(line.starts_with(&wanted), "{line}");
    // It is Ready, and its texts are blocked.
    let text = ask(&whole, &["why", "nyc"]).worked();
    assert!(text.contains("MessagingReady is False"), "{text}");
    assert!(text.contains("CampaignMissing"), "{text}");
    world.change("nyc", json!({"messaging": "None"})).await;
    world
        .until("nyc", "without messages", |number| {
            let shown = serde_json::to_value(number).unwrap();
            !shown["status"]["conditions"]
                .to_string()
                .contains("MessagingReady")
        })
        .await;
    let fine = ask(&whole, &["why", "nyc"]);
    assert_eq!((fine.code, fine.output.as_str()), (0, ""));
    assert!(fine.error.contains("is as wanted"), "{fine:?}");
    let after = world.emulator.requests().await;
    let of_providers = |requests: &std::collections::BTreeMap<String, u64>| -> Vec<String> {
        let named = requests.keys().filter(|name| name.contains("search"));
        named.cloned().collect()
    };
    assert_eq!(of_providers(&before), of_providers(&after));
}

#[tokio::test(flavor = "multi_thread")]
async fn why_prints_the_runbook_with_the_values_of_the_object() {
    let plane = ControlPlane::shared().await;
    let world = World::new("why").await;
    let most = json!({"maxMonthlyCost": {"amount": "0.50", "currency": "USD"}});
    world.create("dear", "twilio", "+12125556211", most).await;
    world.until_reason("dear", "CostLimitExceeded").await;
    let own = ["why", "dear", "-n", &world.namespace];
    let text = phonenumbers(plane, &world.emulator, &own).worked();
    for part in [
        "Reason:",
        "CostLimitExceeded",
        "number: +12125556211",
        "spec.maxMonthlyCost: {\"amount\":\"0.50\",\"currency\":\"USD\"}",
        "Paid meanwhile: Nothing.",
        "To do: Raise the limit",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_is_foretold_and_costs_are_summed_to_the_cent() {
    let plane = ControlPlane::shared().await;
    let world = World::new("foretold").await;
    let namespace = world.namespace.clone();
    for (name, number, change) in [
        ("gone", "+12125556221", json!({"assistantId": 101})),
        ("kept", "+12125556222", json!({"deletionPolicy": "Retain"})),
        ("held", "+12125556223", json!({"deletionProtection": true})),
        ("none", "+12125556224", json!({"suspend": true})),
    ] {
        world.create(name, "twilio", number, change).await;
    }
    for name in ["gone", "kept", "held"] {
        world.until_ready(name).await;
    }
    let reader = user(plane, &namespace, "reader", &[("list", NUMBERS)], &[]).await;
    let ask = |arguments: &[&str]| phonenumbers_as(&reader, plane, &world.emulator, arguments);
    let preview = ask(&["release-preview"]);
    let rows = preview.rows();
    let fates: Vec<_> = rows.iter().map(|row| row.get(2).cloned()).collect();
    let wanted = ["ON-DELETION", "Release", "Blocked", "Retain", "<none>"];
    let wanted: Vec<_> = wanted.iter().map(|it| Some((*it).to_owned())).collect();
    assert_eq!(fates[..5], wanted, "{preview:?}");
    assert_eq!(
        preview.output.lines().last().unwrap(),
        "Numbers released for good: 1 (1.15 USD a month), blocked: 1 (1.15 USD a month), kept in the account: 1 (1.15 USD a month)."
    );
    let folder = tempfile::tempdir().unwrap();
    let kind = "apiVersion: telephony.burki.dev/v1alpha1\nkind: PhoneNumber\n";
    let text = format!("{kind}metadata: {{name: kept}}\n---\n{kind}metadata: {{name: nosuch}}\n");
    std::fs::write(folder.path().join("numbers.yaml"), text).unwrap();
    let rights = [("get", NUMBERS)];
    let getter = user(plane, &namespace, "getter", &rights, &[]).await;
    let place = folder.path().to_str().unwrap();
    let of_folder = ["release-preview", "-f", place, "--no-headers"];
    let of_folder = phonenumbers_as(&getter, plane, &world.emulator, &of_folder);
    let rows = of_folder.rows();
    assert_eq!(
        rows[0][..3],
        [&format!("{namespace}/kept"), "+12125556222", "Retain"]
    );
    assert!(
        rows[1].contains(&"it is not in the cluster".to_owned()),
        "{of_folder:?}"
    );
    // What was foretold is what happens.
    world.delete("gone").await;
    world.delete("kept").await;
    world.until_gone("gone").await;
    world.until_gone("kept").await;
    assert_eq!(world.emulator.releases("+12125556221").await, 1);
    assert_eq!(world.emulator.releases("+12125556222").await, 0);

    let everywhere = ask(&["cost", "-A"]).failed();
    assert!(
        everywhere.starts_with("you may not list phonenumbers in the whole cluster"),
        "{everywhere}"
    );
    world
        .create("more", "twilio", "+12125556225", json!({}))
        .await;
    world.until_ready("more").await;
    let cost = ask(&["cost", "--no-headers"]);
    assert_eq!(cost.rows(), [[namespace.as_str(), "2", "2.30", "0", "USD"]]);
    assert!(
        cost.error
            .starts_with("Numbers that no PhoneNumber holds are left out: you may not list"),
        "{cost:?}"
    );
    let json: Value =
        serde_json::from_str(&ask(&["cost", "--by", "assistant", "-ojson"]).worked()).unwrap();
    assert_eq!(json["groups"][0]["group"], Value::Null);
    let csv = ask(&["cost", "-o", "csv", "--by=provider"]).worked();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("BilledCost,BillingCurrency,"), "{csv}");
    assert_eq!(lines.len(), 3);
    assert!(lines[1].starts_with("1.15,USD,"), "{csv}");
    let none = ask(&["cost", "-l", "team=nosuch"]);
    assert_eq!((none.code, none.output.as_str()), (0, ""));
    assert!(none.error.contains("No numbers are held"), "{none:?}");
    for arguments in [&["cost", "--by", "team"][..], &["cost", "-o", "xml"]] {
        let Ran { code, .. } = ask(arguments);
        assert_eq!(code, 2, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_phone_number_holds_is_paid_too_and_has_rows_of_its_own() {
    let plane = ControlPlane::shared().await;
    let world = World::new("unheld").await;
    let namespace = world.namespace.clone();
    let retain = json!({"deletionPolicy": "Retain"});
    for (name, number) in [("kept", "+12125556231"), ("left", "+12125556232")] {
        world.create(name, "twilio", number, retain.clone()).await;
        world.until_ready(name).await;
    }
    leave_unheld(&world, "left", "+12125556233").await;
    let rights = [("list", NUMBERS), ("list", ACCOUNTS)];
    let reader = user(plane, &namespace, "reader", &rights, &[]).await;
    let ask = |arguments: &[&str]| phonenumbers_as(&reader, plane, &world.emulator, arguments);
    let cost = ask(&["cost", "--no-headers"]);
    let [unmanaged, orphaned] =
        ["unmanaged", "orphaned"].map(|list| format!("<{list}> {namespace}/twilio"));
    let wanted = [
        [&namespace, "1", "1.15", "0", "USD"],
        [&unmanaged, "1", "1.15", "<unknown>", "USD"],
        [&orphaned, "1", "1.15", "<unknown>", "USD"],
        ["<total>", "3", "3.45", "0", "USD"],
    ];
    assert_eq!(cost.rows(), wanted);
    assert_eq!(cost.error, "");
    let csv = ask(&["cost", "-o", "csv", "--no-headers"]).worked();
    assert_eq!(csv.lines().count(), 3, "{csv}");
    assert!(csv.contains("unheld"), "{csv}");
    let of_team = ask(&["cost", "-l", "team=nosuch"]);
    assert_eq!((of_team.code, of_team.output.as_str()), (0, ""));
}
