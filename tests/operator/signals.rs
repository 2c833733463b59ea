//! What an operator tells about itself while it works: metrics, health and the audit lines of what it wrote.

use std::fs::File;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::emulator::{Emulator, TAKEN};
use test_support::kubectl::{OPERATOR_NAMESPACE, kubectl};
use test_support::process::Process;
use test_support::world::{World, reason};

use crate::running::Running;

const NUMBER: &str = "+12125558801";
const ANOTHER: &str = "+12125558802";

/// Longer than a lease that nobody gave back.
const TAKEOVER: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread")]
async fn purchases_releases_and_refusals_are_counted_and_every_write_is_accounted_for() {
    let plane = ControlPlane::shared().await;
    let mut world = World::alone("signals", &[]).await;
    world.kill_operator();
    let told = Running::start(&world, plane.folder(), "alone", None, &[]);
    let account = format!("account=\"{}/twilio\"", world.namespace);
    let series = |name: &str, more: &str| format!("phonenumber_{name}{{{account}{more}}}");

    let limits =
        json!({"maxNumbers": 50, "maxMonthlyCost": {"amount": "100.00", "currency": "USD"}});
    world
        .change_account("twilio", json!({"limits": limits}))
        .await;
    let spec = json!({"deletionPolicy": "Release", "assistantId": 101});
    world.create("nyc", "twilio", NUMBER, spec).await;
    world.create("second", "twilio", ANOTHER, json!({})).await;
    world.create("taken", "twilio", TAKEN, json!({})).await;
    for name in ["nyc", "second"] {
        world.until_ready(name).await;
    }
    world.until_reason("taken", "NumberNotAvailable").await;
    let right = world.emulator.number(ANOTHER).await;
    let edit = json!({"voice_url": "https://elsewhere.example.com"});
    world.emulator.edit(ANOTHER, edit).await;
    world.until_company_sees(ANOTHER, &right).await;
    told.until(&series("numbers", ",state=\"ready\",reason=\"Ready\""), 2.0)
        .await;
    told.until(&series("monthly_cost", ",currency=\"USD\""), 2.3)
        .await;
    world.delete("nyc").await;
    world.until_gone("nyc").await;

    told.until(&series("monthly_cost", ",currency=\"USD\""), 1.15)
        .await;
    told.until(&series("inventory_numbers", ",mark=\"orphaned\""), 0.0)
        .await;
    for (series, value) in [
        (series("purchases_total", ",outcome=\"bought\""), 2.0),
        (series("purchases_total", ",outcome=\"rejected\""), 1.0),
        (series("releases_total", ",outcome=\"confirmed\""), 1.0),
        ("phonenumber_drift_total{field=\"voice_url\"}".to_owned(), 1.0),
        (series("unknown_outcomes_open", ""), 0.0),
        (series("account_ready", ",reason=\"Ready\""), 1.0),
        (series("numbers", ",state=\"stalled\",reason=\"NumberNotAvailable\""), 1.0),
        (series("limit", ",limit=\"purchasesPerHour\""), 100_000.0),
        (series("limit_remaining", ",limit=\"purchasesPerHour\""), 99_998.0),
        (series("limit_remaining", ",limit=\"releasesPerHour\""), 99_999.0),
        (series("limit", ",limit=\"maxMonthlyCost\""), 100.0),
        (series("limit_remaining", ",limit=\"maxMonthlyCost\""), 98.85),
        (series("limit_remaining", ",limit=\"maxNumbers\""), 49.0),
        ("phonenumber_leader".to_owned(), 1.0),
        (
            "phonenumber_provider_requests_total{provider=\"twilio\",operation=\"buy\",outcome=\"ok\"}".to_owned(),
            2.0,
        ),
        (
            "phonenumber_provider_requests_total{provider=\"burki\",operation=\"assign\",outcome=\"ok\"}".to_owned(),
            1.0,
        ),
    ] {
        told.until(&series, value).await;
    }
    let metrics = told.metrics().await;
    let age = metrics[&series("inventory_age_seconds", "")];
    assert!(age < 10.0, "listed {age} s ago");
    let passes = "phonenumber_reconcile_duration_seconds_count{kind=\"PhoneNumber\"}";
    assert!(metrics[passes] >= 3.0);
    let failures =
        "phonenumber_reconcile_failures_total{kind=\"PhoneNumber\",reason=\"NumberNotAvailable\"}";
    assert!(metrics[failures] >= 1.0, "{metrics:#?}");

    let (_, text) = told.ask("/metrics").await.unwrap();
    for secret in [
        NUMBER,
        ANOTHER,
        TAKEN,
        &NUMBER[1..],
        &world.twilio,
        "PN",
        "emulator-token",
        "emulator-burki-key",
    ] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }

    let audit = told.audit();
    let line = |operation: &str, subject: &str| {
        let fits = |line: &&Value| line["operation"] == operation && line["subject"] == subject;
        audit
            .iter()
            .find(fits)
            .cloned()
            .unwrap_or_else(|| panic!("no {operation} of {subject}: {audit:#?}"))
    };
    let bought = line("buy", NUMBER);
    assert_eq!(bought["object"], format!("{}/nyc", world.namespace));
    assert_eq!(bought["generation"], 1);
    assert_eq!(
        bought["reason"],
        "declared, and the account holds no number for it"
    );
    assert_eq!(bought["cost"], "1.15 USD a month");
    assert_eq!(bought["outcome"], "201");
    let id = bought["id"].as_str().unwrap();
    assert!(id.starts_with("PN"), "{bought}");
    let released = line("release", id);
    assert_eq!(released["object"], bought["object"]);
    assert_eq!(
        released["reason"],
        "being deleted, and the number is to be released"
    );
    assert_eq!(released["cost"], "1.15 USD a month");
    assert_eq!(line("buy", TAKEN)["id"], Value::Null);
    assert_eq!(
        line("assign", NUMBER)["reason"],
        "assistant 101 is declared"
    );
    assert_eq!(
        line("unassign", NUMBER)["reason"],
        "being deleted, and assistant 101 answers"
    );
    for line in &audit {
        let is_said = |field: &str| line[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(
            is_said("object") && is_said("reason") && line["generation"] != 0,
            "{line}"
        );
    }
    // Each request that may change something has its line.
    let requests = world.emulator.requests().await;
    let writes = [
        " buy",
        " release",
        " configure",
        " mark",
        " assign",
        " unassign",
        " attach",
    ];
    let writes = requests
        .iter()
        .filter(|(name, _)| writes.iter().any(|verb| name.ends_with(verb)));
    let sent: u64 = writes.map(|(_, times)| times).sum();
    assert_eq!(told.audit().len() as u64, sent, "{requests:?} {audit:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_waits_is_ready_once_its_caches_are_filled_and_takes_over_warm() {
    let plane = ControlPlane::start().await.unwrap();
    let mut world =
        World::cluster_wide(&plane, Emulator::start(), &["--installation-id", "standby"]).await;
    world.kill_operator();
    let folder = plane.folder();
    let more = ["--leader-elect", "true"];
    let first = Running::start(&world, folder, "first", None, &more);
    first.until("phonenumber_leader", 1.0).await;
    first.until_ready().await;
    world.create("nyc", "twilio", NUMBER, json!({})).await;
    world.until_ready("nyc").await;

    let second = Running::start(&world, folder, "second", None, &more);
    second.until_ready().await;
    // One that may not watch has nothing in its caches. It is alive all the same.
    kubectl(
        &plane,
        &[
            "create",
            "serviceaccount",
            "nobody",
            "-n",
            OPERATOR_NAMESPACE,
        ],
    );
    let nobody = plane
        .kubeconfig_for_service_account(OPERATOR_NAMESPACE, "nobody")
        .await
        .unwrap();
    let blind = Running::start(&world, folder, "blind", Some(&nobody), &more);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(blind.ask("/readyz").await.unwrap().0, 503);
    assert_eq!(blind.ask("/livez").await.unwrap().0, 200);
    drop(blind);

    world.create("second", "twilio", ANOTHER, json!({})).await;
    world.until_ready("second").await;
    let waiting = second.metrics().await;
    assert_eq!(waiting["phonenumber_leader"], 0.0);
    let acts =
        |series: &&String| series.contains("provider_requests") || series.contains("account=");
    assert_eq!(
        waiting.keys().find(acts),
        None,
        "only the leader acts, and shows accounts"
    );
    assert_eq!(second.ask("/livez").await.unwrap().0, 200);

    let Running { process, .. } = first;
    drop(process);
    second
        .until_within(TAKEOVER, "phonenumber_leader", 1.0)
        .await;
    world
        .create("third", "twilio", "+12125558803", json!({}))
        .await;
    world.until_ready("third").await;
    assert_eq!(world.bought().await.len(), 3);
    let account = format!("account=\"{}/twilio\"", world.namespace);
    let numbers = format!("phonenumber_numbers{{{account},state=\"ready\",reason=\"Ready\"}}");
    second.until(&numbers, 3.0).await;
    assert_eq!(reason(&world.number("nyc").await), "Ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let mut world = World::new("log").await;
    world.kill_operator();
    let (reader, unread) = std::io::pipe().unwrap();
    drop(reader);
    let full = File::options().write(true).open("/dev/full").unwrap();
    for (at, log) in [Stdio::from(unread), Stdio::from(full)]
        .into_iter()
        .enumerate()
    {
        let mut command = world.operator_command(&["--log-level", "debug"]);
        command.stdout(Stdio::null()).stderr(log);
        let mut operator = Process(command.spawn().unwrap());
        let (name, number) = (format!("n{at}"), format!("+1212555881{at}"));
        world.create(&name, "twilio", &number, json!({})).await;
        world.until_ready(&name).await;
        assert_eq!(operator.0.try_wait().unwrap(), None, "it still runs");
        assert_eq!(world.emulator.purchases(&number).await, 1);
    }
}
