//! A team comes over with the numbers that it has: listed, put into manifests, applied as they are, adopted.

use std::collections::{BTreeMap, BTreeSet};

use kube::Api;
use kube::api::ListParams;
use phonenumber_operator::api::PhoneNumber;
use serde_json::{Value, json};

use crate::control_plane::{ControlPlane, Options};
use crate::emulator::{Emulator, is_purchase};
use crate::plugin::{apply, kubectl_with_plugin, phonenumbers, phonenumbers_as, ran, user};
use crate::world::{CONNECTION, TELNYX_ACCOUNT, TWILIO_ACCOUNT, World};

/// What people name their numbers.
const NAMES: &[&str] = &[
    "NYC Support",
    "NYC Support",
    "nyc-support",
    "(212) 555-1234",
    "",
    "yes",
    "null",
    "1e3",
    "0x1F",
    "2026-11-25",
    "---\nkind: Secret\nmetadata: {name: evil}",
    "[old] pn1. line # 1: 'x' \"y\" \\ %",
    "\u{1b}[2J\u{202e}evil",
    "日本語 サポート",
    "A name that is a good deal longer than the 36 bytes which are left for it",
    "ééééééééééééééééééééééééé",
    "Taken",
];

fn twilio_number(at: usize) -> String {
    format!("+1212555{:04}", 3000 + at)
}

fn telnyx_number(at: usize) -> String {
    format!("+1617555{:04}", 3000 + at)
}

/// Somebody buys numbers by hand, and names them.
async fn bought_by_hand(emulator: &Emulator) {
    for (at, name) in NAMES.iter().enumerate() {
        for (provider, account, number, field) in [
            ("twilio", TWILIO_ACCOUNT, twilio_number(at), "friendly_name"),
            (
                "telnyx",
                TELNYX_ACCOUNT,
                telnyx_number(at),
                "customer_reference",
            ),
        ] {
            let purchase = json!({"provider": provider, "account": account, "number": number});
            emulator.post("/console/buy", purchase).await;
            emulator.edit(&number, json!({field: name})).await;
        }
    }
    let shown =
        json!({"voice_url": "https://user:fake-secret@old.example.com/voice?key=fake-secret"});
    emulator.edit(&twilio_number(0), shown).await;
}

/// What was asked of the providers since it was asked for `before` times.
async fn asked_since(emulator: &Emulator, before: &BTreeMap<String, u64>) -> Vec<String> {
    let mut requests = emulator.requests().await;
    requests.retain(|name, times| {
        before.get(name) != Some(times)
            && (name.starts_with("twilio") || name.starts_with("telnyx"))
    });
    requests.into_keys().collect()
}

/// The verbs that this user was seen with at the API server.
fn verbs(audit_log: &std::path::Path, user: &str) -> BTreeSet<String> {
    let log = std::fs::read_to_string(audit_log).unwrap();
    let events = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["user"]["username"] == user)
        .map(|event| event["verb"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_numbers_come_over_by_manifests_that_apply_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let audit_log = folder.path().join("audit.log");
    let options = Options {
        audit_log: Some(audit_log.clone()),
        ..Options::default()
    };
    let plane = ControlPlane::start_with(options).await.unwrap();
    let mut world = World::cluster_wide(&plane, Emulator::start(), &[]).await;
    let connection = json!({"telnyx": {"connectionId": CONNECTION}});
    world.change_account("telnyx", connection).await;
    // Its name is what a manifest would be called.
    let search = json!({"phoneNumber": null, "suspend": true, "search": {"country": "US"}});
    world.create("taken", "twilio", "", search).await;
    bought_by_hand(&world.emulator).await;

    let rules = [
        ("get", "provideraccounts.telephony.burki.dev"),
        ("list", "phonenumbers.telephony.burki.dev"),
        ("get", "secrets"),
    ];
    let reader = user(&plane, "world", "reader", &rules, &[]).await;
    world.kill_operator();
    let emulator = &world.emulator;
    let before = (emulator.ledger().await, emulator.requests().await);
    let ask = |arguments: &[&str]| phonenumbers_as(&reader, &plane, emulator, arguments);

    let listed = ran(kubectl_with_plugin(&plane, emulator).args(["plugin", "list"]));
    assert!(listed.output.contains("kubectl-phonenumbers"), "{listed:?}");
    let table = ask(&["unmanaged", "twilio"]);
    let rows = table.rows();
    assert_eq!(rows[0], ["NUMBER", "ID", "FRIENDLY NAME", "AGE"]);
    assert_eq!(rows.len(), 1 + NAMES.len(), "{}", table.output);
    assert_eq!(rows[1][0], twilio_number(0));
    assert_eq!(rows[1][2], "NYC Support");
    let bare = ask(&["unmanaged", "pacc/twilio", "--no-headers", "-n", "world"]);
    let first = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(first(&bare.rows()), first(&rows[1..]));
    let wide = ask(&["unmanaged", "twilio", "-owide"]).worked();
    assert!(wide.contains("https://old.example.com/voice?…"), "{wide}");
    assert!(
        !wide.contains("fake-secret") && !wide.contains('\u{1b}'),
        "{wide}"
    );
    assert!(
        ask(&["unmanaged", "telnyx"])
            .worked()
            .contains("CUSTOMER REFERENCE")
    );
    let names = ask(&["unmanaged", "twilio", "-o", "name"]).worked();
    assert!(
        names.contains("phonenumber.telephony.burki.dev/number-12125553003\n"),
        "{names}"
    );
    let yaml = ask(&["unmanaged", "twilio", "-o", "yaml"]).worked();
    let said = apply(&plane, &yaml);
    assert_eq!(said.matches(" created").count(), NAMES.len(), "{said}");
    // The names that the others have now are taken.
    let list = ask(&["unmanaged", "telnyx", "-o", "json"]).worked();
    let said = apply(&plane, &list);
    assert_eq!(said.matches(" created").count(), NAMES.len(), "{said}");
    let again = ask(&["unmanaged", "telnyx", "-o", "yaml"]);
    assert_eq!((again.code, again.output.as_str()), (0, ""));
    assert_eq!(
        again.error.matches("declares it already").count(),
        NAMES.len()
    );

    let verbs = verbs(&audit_log, "system:serviceaccount:world:reader");
    assert_eq!(verbs.into_iter().collect::<Vec<_>>(), ["get", "list"]);
    assert_eq!(emulator.ledger().await, before.0);
    let asked = asked_since(emulator, &before.1).await;
    assert_eq!(asked, ["telnyx list", "telnyx profiles", "twilio list"]);

    world.start_operator();
    let emulator = &world.emulator;
    let numbers: Api<PhoneNumber> = Api::namespaced(world.client.clone(), "world");
    let numbers = numbers.list(&ListParams::default()).await.unwrap().items;
    for number in &numbers {
        let name = number.metadata.name.as_deref().unwrap();
        if name == "taken" {
            continue;
        }
        let number = world.until_ready(name).await;
        assert!(number.status.unwrap().adopted, "{name}");
    }
    let bought: Vec<_> = emulator.ledger().await;
    let bought = bought.iter().filter(|entry| is_purchase(entry));
    assert!(bought.clone().all(|entry| entry["by"] == "console"));
    assert_eq!(bought.count(), 2 * NAMES.len());
    let first = emulator.number(&twilio_number(0)).await;
    let first = first["friendly_name"].as_str().unwrap();
    assert!(first.starts_with("NYC Support [pa1."), "{first}");

    for account in ["twilio", "telnyx"] {
        let rest = phonenumbers(&plane, emulator, &["unmanaged", account, "-n", "world"]);
        assert_eq!(rest.output, "");
        assert_eq!(
            rest.error,
            format!("No unmanaged numbers found in ProviderAccount world/{account}.\n")
        );
    }
    let none = phonenumbers(&plane, emulator, &["orphans", "twilio", "-n", "world"]);
    assert_eq!(none.output, "", "{none:?}");
}
