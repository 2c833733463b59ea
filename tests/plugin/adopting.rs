//! A team comes over with the numbers that it has: listed, put into manifests, applied as they are, adopted.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::{Value, json};
use test_support::control_plane::{ControlPlane, Options};
use test_support::emulator::{CONNECTION, Emulator, is_purchase};
use test_support::world::World;

use crate::plugin::{apply, kubectl_with_plugin, phonenumbers, phonenumbers_as, ran, user};

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

/// How many more there are at Telnyx, without a name of their own: more than a page in all.
const NAMELESS: usize = 240;

fn twilio_number(at: usize) -> String {
    format!("+1212555{:04}", 3000 + at)
}

fn telnyx_number(at: usize) -> String {
    format!("+1617555{:04}", 3000 + at)
}

/// Somebody buys this many numbers by hand at each provider, and names the first of them.
async fn bought_by_hand(world: &World, twilio: usize, telnyx: usize) {
    for at in 0..twilio.max(telnyx) {
        let numbers = [
            ("twilio", twilio, twilio_number(at), "friendly_name"),
            ("telnyx", telnyx, telnyx_number(at), "customer_reference"),
        ];
        for (provider, count, number, field) in numbers {
            if at >= count {
                continue;
            }
            world.bought_by_somebody_else(provider, &number).await;
            if let Some(name) = NAMES.get(at) {
                world.emulator.edit(&number, json!({field: name})).await;
            }
        }
    }
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
async fn numbers_are_listed_in_every_form_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let audit_log = folder.path().join("audit.log");
    let options = Options {
        audit_log: Some(audit_log.clone()),
        ..Options::default()
    };
    let plane = ControlPlane::start_with(options).await.unwrap();
    let mut world = World::cluster_wide(&plane, Emulator::start(), &[]).await;
    world.kill_operator();
    bought_by_hand(&world, NAMES.len(), NAMES.len()).await;
    let old =
        json!({"voice_url": "https://user:fake-secret@old.example.com/voice?key=fake-secret"});
    world.emulator.edit(&twilio_number(0), old).await;
    let rules = [
        ("get", "provideraccounts.telephony.burki.dev"),
        ("list", "phonenumbers.telephony.burki.dev"),
        ("get", "secrets"),
    ];
    let reader = user(&plane, "world", "reader", &rules, &[]).await;
    let emulator = &world.emulator;
    let before = (emulator.ledger().await, emulator.requests().await);
    let ask = |arguments: &[&str]| phonenumbers_as(&reader, &plane, emulator, arguments);

    let listed = ran(kubectl_with_plugin(&plane, emulator).args(["plugin", "list"]));
    assert!(listed.output.contains("kubectl-phonenumbers"), "{listed:?}");
    let rows = ask(&["unmanaged", "--live", "twilio"]).rows();
    assert_eq!(rows[0], ["NUMBER", "ID", "FRIENDLY NAME", "AGE"]);
    assert_eq!(rows.len(), 1 + NAMES.len());
    assert_eq!(
        (&rows[1][0], &rows[1][2]),
        (&twilio_number(0), &"NYC Support".to_owned())
    );
    let bare = ask(&[
        "unmanaged",
        "--live",
        "pacc/twilio",
        "--no-headers",
        "-n",
        "world",
    ])
    .rows();
    let first = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(first(&bare), first(&rows[1..]));
    let wide = ask(&["unmanaged", "--live", "twilio", "-owide"]).worked();
    assert!(wide.contains("https://old.example.com/voice?…"), "{wide}");
    assert!(
        !wide.contains("fake-secret") && !wide.contains('\u{1b}'),
        "{wide}"
    );
    let telnyx = ask(&["unmanaged", "--live", "telnyx"]).rows();
    assert_eq!(telnyx[0], ["NUMBER", "ID", "CUSTOMER REFERENCE", "AGE"]);
    let names = ask(&["unmanaged", "--live", "twilio", "-o", "name"]).worked();
    let name = "phonenumber.telephony.burki.dev/number-12125553003\n";
    assert!(names.contains(name), "{names}");
    let yaml = ask(&["unmanaged", "--live", "twilio", "-o", "yaml"]).worked();
    assert_eq!(yaml.matches("---\n").count(), NAMES.len(), "{yaml}");
    let list = ask(&["unmanaged", "--live", "telnyx", "-o", "json"]).worked();
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), NAMES.len());

    let verbs = verbs(&audit_log, "system:serviceaccount:world:reader");
    assert_eq!(verbs.into_iter().collect::<Vec<_>>(), ["get", "list"]);
    assert_eq!(emulator.ledger().await, before.0);
    let asked = asked_since(emulator, &before.1).await;
    assert_eq!(asked, ["telnyx list", "telnyx profiles", "twilio list"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_numbers_come_over_by_manifests_that_apply_as_they_are() {
    let plane = ControlPlane::shared().await;
    let world = World::new("coming").await;
    let connection = json!({"telnyx": {"connectionId": CONNECTION}});
    world.change_account("telnyx", connection).await;
    // Its name is what a manifest would be called.
    let search = json!({"phoneNumber": null, "suspend": true, "search": {"country": "US"}});
    world.create("taken", "twilio", "", search).await;
    let (twilio, telnyx) = (NAMES.len(), NAMES.len() + NAMELESS);
    bought_by_hand(&world, twilio, telnyx).await;
    let ask = |account: &str, form: &str| {
        let arguments = [
            "unmanaged",
            "--live",
            account,
            "-n",
            &world.namespace,
            "-o",
            form,
        ];
        phonenumbers(plane, &world.emulator, &arguments)
    };

    let said = apply(plane, &ask("twilio", "yaml").worked());
    assert_eq!(said.matches(" created").count(), twilio, "{said}");
    // The names that these have now are taken.
    let said = apply(plane, &ask("telnyx", "json").worked());
    assert_eq!(said.matches(" created").count(), telnyx, "{said}");
    let numbers = world.numbers().list(&ListParams::default()).await.unwrap();
    let names = numbers.iter().map(|number| number.name_any());
    for name in names.filter(|name| name != "taken") {
        let number = world.until_ready(&name).await;
        assert!(number.status.unwrap().adopted, "{name}");
    }

    let ledger = world.emulator.ledger().await;
    let bought = ledger.iter().filter(|entry| is_purchase(entry));
    let (by_hand, others): (Vec<_>, Vec<_>) = bought.partition(|entry| entry["by"] == "console");
    assert_eq!(by_hand.len(), twilio + telnyx);
    assert_eq!(others, Vec::<&Value>::new());
    let first = world.emulator.number(&twilio_number(0)).await;
    let first = first["friendly_name"].as_str().unwrap();
    assert!(first.starts_with("NYC Support [pa1."), "{first}");
    for account in ["twilio", "telnyx"] {
        let rest = ask(account, "wide");
        assert_eq!(rest.output, "");
        let title = format!("ProviderAccount {}/{account}", world.namespace);
        let wanted = format!("No unmanaged numbers found in {title}.\n");
        assert_eq!(rest.error, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_a_manifest_declares_already_is_left_out() {
    let plane = ControlPlane::shared().await;
    let world = World::new("declared").await;
    bought_by_hand(&world, 1, 0).await;
    let number = twilio_number(0);
    world.create("ours", "twilio", &number, json!({})).await;
    world.until_reason("ours", "AlreadyOwned").await;
    let arguments = [
        "unmanaged",
        "--live",
        "twilio",
        "-n",
        &world.namespace,
        "-o",
        "yaml",
    ];
    let left = phonenumbers(plane, &world.emulator, &arguments);
    assert_eq!((left.code, left.output.as_str()), (0, ""));
    let wanted = format!(
        "{number} is left out: PhoneNumber {}/ours declares it already. To take it over there, set adoptionPolicy: Adopt.\n",
        world.namespace
    );
    assert_eq!(left.error, wanted);
}
