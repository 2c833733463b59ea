//! One operator for a whole cluster: the examples as they are, accounts for many namespaces, and what it costs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use phonenumber_operator::api::{ClusterProviderAccount, PhoneNumber};
use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::emulator::{CONNECTION, Emulator, TWILIO_ACCOUNT};
use test_support::kubectl::{OPERATOR_NAMESPACE, kubectl};
use test_support::root;
use test_support::world::{World, message, reason};

/// Every example: files that are applied alone, and folders that are applied as a whole.
fn examples() -> Vec<[String; 2]> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("examples")];
    while let Some(folder) = folders.pop() {
        let entries: Vec<_> = folder
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        if let Some(kustomization) = entries
            .iter()
            .find(|path| path.ends_with("kustomization.yaml"))
        {
            // A base has no namespace; overlays use it.
            if std::fs::read_to_string(kustomization)
                .unwrap()
                .contains("\nnamespace:")
            {
                found.push(["-k".to_owned(), folder.display().to_string()]);
            }
            continue;
        }
        for path in entries {
            // Of other tools' kinds; tests/installation holds the first, and the tests of the plugin the second.
            if path.ends_with("gitops") || path.ends_with("ci") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                found.push(["-f".to_owned(), path.display().to_string()]);
            }
        }
    }
    // An account before what refers to it, as a person would do; the operator does not mind.
    found.sort_by_key(|[_, path]| (!path.contains("account"), path.clone()));
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_becomes_ready_as_it_is() {
    let plane = ControlPlane::start().await.unwrap();
    let world = World::cluster_wide(&plane, Emulator::start(), &[]).await;
    let examples = examples();
    assert!(examples.len() >= 9, "{examples:?}");
    // adopt.yaml is about a number that the account has already.
    const BY_HAND: &str = "+12125550130";
    world.bought_by_somebody_else("twilio", BY_HAND).await;
    // retain.yaml and search.yaml use the account of one-number.yaml, which sorts before them.
    for [how, path] in &examples {
        kubectl(&plane, &["apply", "--validate=strict", how, path]);
    }
    kubectl(
        &plane,
        &[
            "wait",
            "--for=condition=Ready",
            "phonenumbers",
            "--all",
            "-A",
            "--timeout=90s",
        ],
    );
    let numbers: Api<PhoneNumber> = Api::all(world.client.clone());
    let numbers = numbers.list(&Default::default()).await.unwrap().items;
    assert!(numbers.len() >= examples.len() - 1, "{}", numbers.len());
    for number in &numbers {
        let held = number
            .status
            .as_ref()
            .unwrap()
            .phone_number
            .as_ref()
            .unwrap();
        assert_eq!(world.emulator.purchases(held).await, 1);
        assert_eq!(number.status.as_ref().unwrap().adopted, held == BY_HAND);
        let assistant = world.emulator.assistant_of(held).await;
        assert_eq!(assistant, number.spec.assistant_id, "{}", number.name_any());
    }
    // Applying them again changes nothing.
    let effects = world.effects().await;
    for [how, path] in &examples {
        let said = kubectl(&plane, &["apply", how, path]);
        // kubectl never sees stringData in what the API server has, so it calls Secrets configured.
        let mut changed = said.lines().filter(|line| !line.starts_with("secret/"));
        assert!(changed.all(|line| !line.ends_with("configured")), "{said}");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.effects().await, effects);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_account_serves_the_namespaces_that_it_allows() {
    let plane = ControlPlane::start().await.unwrap();
    let world = World::cluster_wide(&plane, Emulator::start(), &[]).await;
    let secret = json!({"metadata": {"name": "shared"}, "stringData":
        {"accountSid": TWILIO_ACCOUNT, "authToken": "emulator-token"}});
    let secrets = Api::namespaced(world.client.clone(), OPERATOR_NAMESPACE);
    let secret: k8s_openapi::api::core::v1::Secret = serde_json::from_value(secret).unwrap();
    secrets
        .create(&PostParams::default(), &secret)
        .await
        .unwrap();
    let account = json!({"metadata": {"name": "shared"}, "spec": {
        "provider": "twilio",
        "twilio": {"credentialsSecretRef": {"name": "shared"}},
        "webhooks": {"baseUrl": "https://voice.example.com"},
        "allowedNamespaces": {"matchLabels": {"brand": "acme"}},
    }});
    let accounts: Api<ClusterProviderAccount> = Api::all(world.client.clone());
    let account = serde_json::from_value(account).unwrap();
    accounts
        .create(&PostParams::default(), &account)
        .await
        .unwrap();
    world
        .create_namespace("acme", json!({"brand": "acme"}))
        .await;
    world.create_namespace("globex", json!({})).await;
    let numbers = |namespace: &str| Api::<PhoneNumber>::namespaced(world.client.clone(), namespace);
    let number = |number: &str| -> PhoneNumber {
        serde_json::from_value(json!({"metadata": {"name": "nyc"}, "spec": {
            "phoneNumber": number, "provider": "twilio",
            "accountRef": {"kind": "ClusterProviderAccount", "name": "shared"},
        }}))
        .unwrap()
    };
    let until = async |namespace: &str, wanted: &str| {
        for _ in 0..300 {
            let found = numbers(namespace).get("nyc").await.unwrap();
            if reason(&found) == wanted {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "{namespace}/nyc is not {wanted}: {:?}",
            numbers(namespace).get("nyc").await.unwrap().status
        );
    };
    for (namespace, e164) in [("acme", "+12125552001"), ("globex", "+12125552002")] {
        numbers(namespace)
            .create(&PostParams::default(), &number(e164))
            .await
            .unwrap();
    }
    until("acme", "Ready").await;
    let refused = until("globex", "AccountNotAllowed").await;
    assert!(
        message(&refused).contains("allowedNamespaces"),
        "{}",
        message(&refused)
    );
    assert_eq!(world.emulator.purchases("+12125552002").await, 0);
    // The label is what is missing, and nothing but the namespace changes.
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let label = Patch::Merge(json!({"metadata": {"labels": {"brand": "acme"}}}));
    namespaces
        .patch("globex", &PatchParams::default(), &label)
        .await
        .unwrap();
    until("globex", "Ready").await;

    // Who loses the right buys nothing more, and still gives back what it has.
    let label = Patch::Merge(json!({"metadata": {"labels": {"brand": null}}}));
    namespaces
        .patch("globex", &PatchParams::default(), &label)
        .await
        .unwrap();
    let mut second = number("+12125552003");
    second.metadata.name = Some("second".to_owned());
    numbers("globex")
        .create(&PostParams::default(), &second)
        .await
        .unwrap();
    let globex = world.in_other_namespace("globex");
    globex.until_reason("second", "AccountNotAllowed").await;
    for name in ["nyc", "second"] {
        globex.delete(name).await;
    }
    for name in ["nyc", "second"] {
        globex.until_gone(name).await;
    }
    for (e164, times) in [
        ("+12125552001", 0),
        ("+12125552002", 1),
        ("+12125552003", 0),
    ] {
        assert_eq!(world.emulator.releases(e164).await, times, "{e164}");
    }
    assert_eq!(world.emulator.purchases("+12125552003").await, 0);
}

/// How often the API server was asked, by verb and resource, of the kinds of this project.
async fn writes(world: &World) -> BTreeMap<String, u64> {
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let metrics = world.client.request_text(request).await.unwrap();
    let mut found = BTreeMap::new();
    for line in metrics
        .lines()
        .filter(|line| line.starts_with("apiserver_request_total{"))
    {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap_or(("", ""));
            rest.split_once('"')
                .map(|(value, _)| value.to_owned())
                .unwrap_or_default()
        };
        let count: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        let verb = label("verb");
        if label("resource") == "phonenumbers" && ["PUT", "PATCH", "APPLY"].contains(&verb.as_str())
        {
            *found
                .entry(format!("{verb} {}", label("subresource")))
                .or_default() += count as u64;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_takes_two_writes_and_the_fewest_calls() {
    let plane = ControlPlane::start().await.unwrap();
    let mut world =
        World::cluster_wide(&plane, Emulator::start(), &["--inventory-interval", "60s"]).await;
    world
        .emulator
        .post("/switches", json!({"orderMs": 0}))
        .await;
    world
        .until_account("twilio", |account| {
            account["status"]["accountId"].is_string()
        })
        .await;
    world
        .until_account("telnyx", |account| {
            account["status"]["accountId"].is_string()
        })
        .await;
    // These are looked at once an interval, however many numbers there are.
    let shared = [
        "profiles",
        "connection",
        "application",
        "balance",
        "services",
        "members",
        "campaigns",
        "verifications",
    ];
    let total = |counts: &BTreeMap<String, u64>, prefix: &str| -> u64 {
        counts
            .iter()
            .filter(|(name, _)| name.starts_with(prefix))
            .filter(|(name, _)| !shared.iter().any(|shared| name.ends_with(shared)))
            .map(|(_, count)| count)
            .sum()
    };
    let steps: [(&str, &str, usize, Value, f64, f64); 4] = [
        ("batch", "twilio", 60, json!({}), 2.0, 2.1),
        (
            "assigned",
            "twilio",
            10,
            json!({"assistantId": 101}),
            3.0,
            5.5,
        ),
        (
            "one",
            "telnyx",
            1,
            json!({"telnyx": {"connectionId": CONNECTION}}),
            3.0,
            8.0,
        ),
        ("alone", "twilio", 1, json!({}), 2.0, 3.0),
    ];
    for (at, (name, provider, count, spec, most_writes, most_calls)) in
        steps.into_iter().enumerate()
    {
        let (before, asked) = (writes(&world).await, world.emulator.requests().await);
        // A batch is there at once, as after a merge; single ones come while the operator runs.
        if name == "batch" {
            world.kill_operator();
        }
        for number in 0..count {
            let e164 = format!("+1212555{}{number:03}", at + 3);
            world
                .create(&format!("{name}{number}"), provider, &e164, spec.clone())
                .await;
        }
        if name == "batch" {
            world.start_operator();
        }
        for number in 0..count {
            world.until_ready(&format!("{name}{number}")).await;
        }
        let (after, answered) = (writes(&world).await, world.emulator.requests().await);
        let each = |now: u64, then: u64| (now - then) as f64 / count as f64;
        let written = each(total(&after, ""), total(&before, ""));
        let called = each(total(&answered, provider), total(&asked, provider));
        println!(
            "{name}: {written} writes and {called} calls for each of {count} at {provider}: {asked:?} {answered:?}"
        );
        assert!(
            written <= most_writes,
            "{name}: {written} writes: {before:?} {after:?}"
        );
        assert!(
            called <= most_calls,
            "{name}: {called} calls: {asked:?} {answered:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steady_state_costs_one_listing_an_interval_and_no_write() {
    let plane = ControlPlane::start().await.unwrap();
    let mut world = World::cluster_wide(&plane, Emulator::start(), &[]).await;
    const COUNT: usize = 40;
    for at in 0..COUNT {
        let spec = json!({"assistantId": 101});
        world
            .create(
                &format!("n{at}"),
                "twilio",
                &format!("+12125557{at:03}"),
                spec,
            )
            .await;
    }
    for at in 0..COUNT {
        world.until_ready(&format!("n{at}")).await;
    }
    // What their creation still causes.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let twilio = |requests: &BTreeMap<String, u64>| -> (u64, u64) {
        let calls = requests
            .iter()
            .filter(|(name, _)| name.starts_with("twilio "));
        let calls = calls.map(|(_, count)| count).sum();
        (
            calls,
            requests.get("twilio list").copied().unwrap_or_default(),
        )
    };
    let (before, asked) = (writes(&world).await, world.emulator.requests().await);
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (after, answered) = (writes(&world).await, world.emulator.requests().await);
    // Each interval of a second: one listing, one of the messaging services, and one of the numbers in the only service.
    let intervals = begun.elapsed().as_secs() + 2;
    let (calls, listings) = (
        twilio(&answered).0 - twilio(&asked).0,
        twilio(&answered).1 - twilio(&asked).1,
    );
    assert!(listings >= 3, "it is still looked at: {listings}");
    assert!(
        calls <= 3 * intervals,
        "{calls} calls for {COUNT} numbers in {intervals} intervals: {answered:?}"
    );
    assert_eq!(before, after, "nothing is written");

    world.kill_operator();
    let asked = world.emulator.requests().await;
    world.start_operator();
    world
        .create("new", "twilio", "+12125557999", json!({"assistantId": 101}))
        .await;
    world.until_ready("new").await;
    let (again, answered) = (writes(&world).await, world.emulator.requests().await);
    let written = again.values().sum::<u64>() - after.values().sum::<u64>();
    assert_eq!(
        written, 3,
        "only the new one is written to: {after:?} {again:?}"
    );
    let fetched = |requests: &BTreeMap<String, u64>| {
        requests.get("twilio fetch").copied().unwrap_or_default()
    };
    assert!(
        fetched(&answered) - fetched(&asked) <= 1,
        "no number is asked for alone but the new one: {answered:?}"
    );
}
