//! The operator's rights, compared with what it asks of the API server over a run that exercises everything.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use test_support::control_plane::{ControlPlane, Options};
use test_support::emulator::{CONNECTION, Emulator, TWILIO_ACCOUNT};
use test_support::helm::CHART;
use test_support::kubectl::{OPERATOR_NAMESPACE, OPERATOR_USER, kubectl, try_kubectl};

use crate::office::{
    RELEASE, account, account_in, apply, get, helm_on, install, namespace, number, operator,
    secret, stop, until, until_gone, until_ready,
};

/// `group/resource verb`.
type Right = String;

/// The rights that the roles of the release grant to the operator.
fn granted(plane: &ControlPlane) -> BTreeSet<Right> {
    let mut found = BTreeSet::new();
    for kind in ["clusterrolebinding", "rolebinding"] {
        let bindings = get(plane, &[kind, "-A"]);
        let bindings = bindings["items"].as_array().unwrap().iter();
        for binding in
            bindings.filter(|binding| binding["subjects"][0]["name"] == "phonenumber-operator")
        {
            let role = &binding["roleRef"];
            let name = format!(
                "{}/{}",
                role["kind"].as_str().unwrap(),
                role["name"].as_str().unwrap()
            );
            let namespace = binding["metadata"]["namespace"]
                .as_str()
                .unwrap_or(OPERATOR_NAMESPACE);
            let role = get(plane, &[&name, "-n", namespace]);
            for rule in role["rules"].as_array().unwrap() {
                for (group, resource, verb) in product(rule) {
                    found.insert(format!("{group}/{resource} {verb}"));
                }
            }
        }
    }
    found
}

fn product(rule: &Value) -> Vec<(String, String, String)> {
    let words = |name: &str| -> Vec<String> {
        let words = rule[name].as_array().unwrap().iter();
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let mut found = Vec::new();
    for group in words("apiGroups") {
        for resource in words("resources") {
            for verb in words("verbs") {
                found.push((group.clone(), resource.clone(), verb));
            }
        }
    }
    found
}

/// What the operator asked for, and the requests that were forbidden.
fn asked(log: &std::path::Path) -> (BTreeSet<Right>, Vec<String>) {
    let (mut rights, mut forbidden) = (BTreeSet::new(), Vec::new());
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        if event["user"]["username"] != OPERATOR_USER {
            continue;
        }
        let Some(resource) = event["objectRef"]["resource"].as_str() else {
            // A path that is not a resource, such as /version, which everybody may ask for.
            continue;
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let subresource = match event["objectRef"]["subresource"].as_str() {
            Some(name) => format!("/{name}"),
            None => String::new(),
        };
        let group = text(&event["objectRef"]["apiGroup"]);
        let verb = text(&event["verb"]);
        if event["responseStatus"]["code"] == 403 {
            forbidden.push(format!("{verb} {}", event["requestURI"]));
        }
        rights.insert(format!("{group}/{resource}{subresource} {verb}"));
    }
    (rights, forbidden)
}

/// Everything that the operator does, in a namespace that is empty.
async fn exercise(plane: &ControlPlane, emulator: &Emulator, place: &str, digit: u8) {
    namespace(plane, place);
    account_in(plane, emulator, place, "twilio");
    account_in(plane, emulator, place, "telnyx");
    let exact = |at: u8| format!("+1212555{digit}{at:03}");
    let purchase = json!({"provider": "twilio", "account": TWILIO_ACCOUNT, "number": exact(3)});
    emulator.post("/console/buy", purchase).await;
    let telnyx = json!({"connectionId": CONNECTION});
    let numbers = [
        (
            "exact",
            json!({"provider": "twilio", "phoneNumber": exact(1), "assistantId": 101}),
        ),
        (
            "search",
            json!({"provider": "twilio", "search": {"country": "US", "areaCode": "212"}}),
        ),
        (
            "adopt",
            json!({"provider": "twilio", "phoneNumber": exact(3), "adoptionPolicy": "Adopt"}),
        ),
        (
            "order",
            json!({"provider": "telnyx", "phoneNumber": exact(4), "telnyx": telnyx}),
        ),
        (
            "retain",
            json!({"provider": "twilio", "phoneNumber": exact(5), "deletionPolicy": "Retain"}),
        ),
    ];
    for (name, spec) in &numbers {
        apply(plane, &number(place, name, spec.clone()));
    }
    for (name, _) in numbers.iter().filter(|(name, _)| *name != "search") {
        until_ready(plane, place, name).await;
    }
    // Whatever is on sale: what is asked of the API server is the same.
    until("an answer to the search", async || {
        get(plane, &["pn", "search", "-n", place])["status"]["observedGeneration"] == 1
    })
    .await;
    let reassign = r#"{"spec": {"assistantId": 102}}"#;
    kubectl(
        plane,
        &[
            "patch",
            "pn",
            "exact",
            "-n",
            place,
            "--type=merge",
            "-p",
            reassign,
        ],
    );
    until_ready(plane, place, "exact").await;
    // Somebody changes the object while its purchase is under way: what is recorded is read again.
    let slow = json!({"dialect": "twilio", "operation": "buy", "kind": "hang-after-commit", "seconds": 1, "times": 1});
    emulator.fault(slow).await;
    let spec = json!({"provider": "twilio", "phoneNumber": exact(6)});
    apply(plane, &number(place, "contended", spec));
    until("a claim", async || {
        let object = get(plane, &["pn", "contended", "-n", place]);
        object["metadata"]["annotations"]["telephony.burki.dev/claim"].is_string()
    })
    .await;
    kubectl(
        plane,
        &["label", "pn", "contended", "-n", place, "team=voice"],
    );
    until_ready(plane, place, "contended").await;
}

/// Deletes every number of the namespace, then its accounts.
async fn clear(plane: &ControlPlane, place: &str) {
    for kind in ["pn", "pacc"] {
        kubectl(
            plane,
            &["delete", kind, "--all", "-n", place, "--wait=false"],
        );
        until(&format!("an end of the {kind} of {place}"), async || {
            get(plane, &[kind, "-n", place])["items"][0].is_null()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_uses_every_right_that_it_has_and_misses_none() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let options = Options {
        audit_log: Some(log.clone()),
        ..Options::default()
    };
    let plane = ControlPlane::start_with(options).await.unwrap();
    install(&plane, &[]);
    let emulator = Emulator::start();
    let first = operator(&plane, &emulator, &[]).await;
    exercise(&plane, &emulator, "acme", 1).await;

    // An account of the cluster, used by a number.
    for (name, keys) in [
        (
            "twilio",
            json!({"accountSid": TWILIO_ACCOUNT, "authToken": "emulator-token"}),
        ),
        ("burki", json!({"apiKey": "emulator-burki-key"})),
    ] {
        secret(&plane, OPERATOR_NAMESPACE, name, keys);
    }
    account(
        &plane,
        &emulator,
        "ClusterProviderAccount",
        json!({}),
        "twilio",
    );
    let of_cluster = json!({"kind": "ClusterProviderAccount", "name": "twilio"});
    let spec =
        json!({"provider": "twilio", "phoneNumber": "+12125551900", "accountRef": of_cluster});
    apply(&plane, &number("acme", "shared", spec));
    until_ready(&plane, "acme", "shared").await;
    until("the account is kept while it is used", async || {
        let account = get(&plane, &["clusterprovideraccount", "twilio"]);
        account["metadata"]["finalizers"][0] == "telephony.burki.dev/in-use"
    })
    .await;

    // Another replica takes over, and finishes the work.
    let second = operator(&plane, &emulator, &[]).await;
    stop(first).await;
    clear(&plane, "acme").await;
    kubectl(
        &plane,
        &["delete", "clusterprovideraccount", "twilio", "--wait=false"],
    );
    until_gone(&plane, &["clusterprovideraccount", "twilio"]).await;
    stop(second).await;

    let (used, forbidden) = asked(&log);
    assert_eq!(forbidden, Vec::<String>::new());
    let granted_before = granted(&plane);
    let unused: Vec<_> = granted_before.difference(&used).collect();
    let missing: Vec<_> = used.difference(&granted_before).collect();
    assert!(
        unused.is_empty() && missing.is_empty(),
        "unused: {unused:?}; missing: {missing:?}"
    );

    // A release for one namespace gets along with rights in that namespace.
    namespace(&plane, "globex");
    let values = [
        "--set-json=watchNamespaces=[\"globex\"]",
        "--set=flags.installationId=globex",
    ];
    helm_on(
        &plane,
        &[&["upgrade", RELEASE, CHART][..], &values].concat(),
    )
    .unwrap();
    let flags = ["--watch-namespace=globex", "--installation-id=globex"];
    let third = operator(&plane, &emulator, &flags).await;
    exercise(&plane, &emulator, "globex", 2).await;
    clear(&plane, "globex").await;
    stop(third).await;
    let (_, forbidden) = asked(&log);
    assert_eq!(forbidden, Vec::<String>::new());
    let narrow = granted(&plane);
    assert!(
        narrow.is_subset(&granted_before) && narrow.len() < granted_before.len(),
        "{narrow:?}"
    );
    let token = plane
        .kubeconfig_for_service_account(OPERATOR_NAMESPACE, "phonenumber-operator")
        .await
        .unwrap();
    let of_others = [
        "get",
        "pn",
        "-n",
        "acme",
        "--kubeconfig",
        token.to_str().unwrap(),
    ];
    let error = try_kubectl(&plane, &of_others).unwrap_err();
    assert!(error.contains("forbidden"), "{error}");
}
