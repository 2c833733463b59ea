//! Numbers whose namespace goes, whose cluster is lost, and that move: nothing is bought twice, nothing released unasked.

use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::emulator::Emulator;
use test_support::kubectl::{kubectl, try_kubectl};
use test_support::process::Process;
use tokio::sync::OnceCell;

use crate::office::{
    account_in, apply, condition, get, install, namespace, number, operator, until, until_gone,
    until_ready,
};

/// How long nothing may stay in deletion without saying why.
const PATIENCE_SECONDS: u64 = 60;

/// A control plane with the chart and Kubernetes' own controllers. Each test has an operator for its own namespaces.
async fn cluster() -> &'static ControlPlane {
    static CLUSTER: OnceCell<ControlPlane> = OnceCell::const_new();
    CLUSTER
        .get_or_init(|| async {
            let plane = ControlPlane::start().await.unwrap();
            plane.start_controller_manager().await.unwrap();
            install(&plane, &[]);
            plane
        })
        .await
}

/// The flags of an operator that looks after these namespaces alone.
fn flags<'a>(installation: &'a str, namespaces: &'a str) -> [String; 3] {
    [
        format!("--installation-id={installation}"),
        format!("--watch-namespace={namespaces}"),
        "--leader-elect=false".to_owned(),
    ]
}

async fn operator_for(
    plane: &ControlPlane,
    emulator: &Emulator,
    installation: &str,
    namespaces: &str,
) -> Process {
    let flags = flags(installation, namespaces);
    operator(plane, emulator, &flags.each_ref().map(String::as_str)).await
}

/// A namespace with an account and one number, Ready.
async fn furnish(plane: &ControlPlane, emulator: &Emulator, place: &str, e164: &str, more: Value) {
    namespace(plane, place);
    account_in(plane, emulator, place, "twilio");
    let mut spec = json!({"provider": "twilio", "phoneNumber": e164});
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    apply(plane, &number(place, "nyc", spec));
    until_ready(plane, place, "nyc").await;
}

/// Merges `patch` into the number that [`furnish`] has made.
fn change(plane: &ControlPlane, place: &str, patch: &str) {
    let patch = ["patch", "pn", "nyc", "--type=merge", "-p", patch];
    kubectl(plane, &[&patch[..], &["-n", place]].concat());
}

fn delete(plane: &ControlPlane, what: &[&str]) {
    kubectl(plane, &[&["delete", "--wait=false"][..], what].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_goes_in_every_order_of_secret_account_and_number() {
    const ORDERS: [&[&str]; 7] = [
        &[],
        &["secret", "account", "number"],
        &["secret", "number", "account"],
        &["account", "secret", "number"],
        &["account", "number", "secret"],
        &["number", "secret", "account"],
        &["number", "account", "secret"],
    ];
    let plane = cluster().await;
    let emulator = Emulator::start();
    let places: Vec<String> = (0..ORDERS.len()).map(|at| format!("order-{at}")).collect();
    let _operator = operator_for(plane, &emulator, "orders", &places.join(",")).await;
    let e164 = |at: usize| format!("+1212555200{at}");
    for (at, place) in places.iter().enumerate() {
        furnish(
            plane,
            &emulator,
            place,
            &e164(at),
            json!({"assistantId": 101}),
        )
        .await;
    }
    for (place, order) in places.iter().zip(ORDERS) {
        for what in order {
            match *what {
                "secret" => delete(plane, &["secret", "--all", "-n", place]),
                "account" => delete(plane, &["pacc", "--all", "-n", place]),
                _ => delete(plane, &["pn", "--all", "-n", place]),
            }
        }
        delete(plane, &["namespace", place]);
    }
    for (at, place) in places.iter().enumerate() {
        let took = until_gone(plane, &["namespace", place]).await;
        assert!(
            took.as_secs() < PATIENCE_SECONDS,
            "{:?}: {took:?}",
            ORDERS[at]
        );
        assert_eq!(emulator.releases(&e164(at)).await, 1, "{:?}", ORDERS[at]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_cannot_go_says_why_and_what_to_do() {
    let plane = cluster().await;
    let emulator = Emulator::start();
    let (keyless, protected) = ("keyless", "protected");
    let both = format!("{keyless},{protected}");
    let first = operator_for(plane, &emulator, "stuck", &both).await;
    furnish(plane, &emulator, keyless, "+12125552101", json!({})).await;
    furnish(
        plane,
        &emulator,
        protected,
        "+12125552102",
        json!({"deletionProtection": true}),
    )
    .await;
    // Nobody remembers the key of an account whose Secret went while no operator ran.
    drop(first);
    delete(plane, &["secret", "--all", "-n", keyless]);
    let _second = operator_for(plane, &emulator, "stuck", &both).await;
    for place in [keyless, protected] {
        delete(plane, &["namespace", place]);
    }
    for (place, reason, way_out) in [
        (keyless, "CredentialsMissing", "deletionPolicy"),
        (protected, "ReleaseProtected", "deletionProtection"),
    ] {
        let mut ready = Value::Null;
        let took = until(reason, async || {
            ready = condition(&get(plane, &["pn", "nyc", "-n", place]), "Ready");
            ready["reason"] == reason
                && ready["message"]
                    .as_str()
                    .unwrap_or_default()
                    .contains(way_out)
        })
        .await;
        assert!(took.as_secs() < PATIENCE_SECONDS, "{place}: {took:?}");
    }
    // The namespace itself tells what it waits for.
    until("what the namespace waits for", async || {
        let waits = get(plane, &["namespace", keyless]);
        let remaining = condition(&waits, "NamespaceFinalizersRemaining");
        let message = remaining["message"].as_str().unwrap_or_default();
        message.contains("telephony.burki.dev/release")
    })
    .await;
    for (place, patch) in [
        (keyless, r#"{"spec": {"deletionPolicy": "Retain"}}"#),
        (protected, r#"{"spec": {"deletionProtection": false}}"#),
    ] {
        change(plane, place, patch);
    }
    for (place, e164, releases) in [(keyless, "+12125552101", 0), (protected, "+12125552102", 1)] {
        until_gone(plane, &["namespace", place]).await;
        assert_eq!(emulator.releases(e164).await, releases, "{place}");
    }
}

/// With the real garbage collector: an owner that does not exist takes its dependents away, whoever has named it.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_owner_takes_away_keeps_its_number_unless_the_spec_says_release() {
    let plane = ControlPlane::start().await.unwrap();
    // Its policies would refuse the owner.
    install(&plane, &["--set=admission.enabled=false"]);
    plane.start_controller_manager().await.unwrap();
    let emulator = Emulator::start();
    let _operator = operator_for(&plane, &emulator, "owners", "owned").await;
    let (kept, released) = ("+12125552111", "+12125552112");
    furnish(&plane, &emulator, "owned", kept, json!({})).await;
    let spec = json!({"provider": "twilio", "phoneNumber": released, "deletionPolicy": "Release"});
    apply(&plane, &number("owned", "asked", spec));
    until_ready(&plane, "owned", "asked").await;

    for role in ["viewer", "editor"] {
        let of = format!("--clusterrole=phonenumber-{role}");
        let bind = ["create", "rolebinding", role, &of, "--user=editor", "-n"];
        kubectl(&plane, &[&bind[..], &["owned"]].concat());
    }
    let by = ["-n", "owned", "--as=editor"];
    let delete = ["delete", "pn", "nyc", "--wait=false"];
    let error = try_kubectl(&plane, &[&delete[..], &by].concat()).unwrap_err();
    assert!(error.contains("forbidden"), "{error}");
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "none",
        "uid": "00000000-0000-4000-8000-000000000000"});
    let patch = json!({"metadata": {"ownerReferences": [owner]}}).to_string();
    for name in ["nyc", "asked"] {
        let patch = ["patch", "pn", name, "--type=merge", "-p", &patch];
        kubectl(&plane, &[&patch[..], &by].concat());
    }
    for (name, e164, releases, reason, told) in [
        ("nyc", kept, 0, "Retained", "deleted while it had owners"),
        ("asked", released, 1, "Released", "was released"),
    ] {
        until_gone(&plane, &["pn", name, "-n", "owned"]).await;
        assert_eq!(emulator.releases(e164).await, releases, "{name}");
        let is_held = !emulator.number(e164).await.is_null();
        assert_eq!(is_held, releases == 0, "{name}");
        until(&format!("the Event {reason} on {name}"), async || {
            let events = get(&plane, &["events", "-n", "owned"]);
            let mut events = events["items"].as_array().into_iter().flatten();
            events.any(|event| {
                event["involvedObject"]["name"] == name
                    && event["reason"] == reason
                    && event["message"]
                        .as_str()
                        .is_some_and(|it| it.contains(told))
            })
        })
        .await;
    }
}

/// A manifest as backup tools store it: without what the API server assigns, and without status.
fn backed_up(plane: &ControlPlane, place: &str) -> Value {
    let mut object = get(plane, &["pn", "nyc", "-n", place]);
    object.as_object_mut().unwrap().remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| {
        ["name", "namespace", "annotations", "finalizers", "labels"].contains(&key.as_str())
    });
    object
}

/// Takes the number out of a cluster for good, as docs/how-to/move-a-number.md says: Retain first, then the deletion.
async fn let_go(plane: &ControlPlane, place: &str) {
    let retain = r#"{"spec": {"deletionPolicy": "Retain"}}"#;
    change(plane, place, retain);
    delete(plane, &["pn", "nyc", "-n", place]);
    until_gone(plane, &["pn", "nyc", "-n", place]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_restored_without_status_is_found_by_its_mark_also_in_a_new_cluster() {
    let old = cluster().await;
    let emulator = Emulator::start();
    let e164 = "+12125552201";
    let first = operator_for(old, &emulator, "restored", "restored").await;
    furnish(
        old,
        &emulator,
        "restored",
        e164,
        json!({"assistantId": 101}),
    )
    .await;
    let id = get(old, &["pn", "nyc", "-n", "restored"])["status"]["id"].clone();
    let backup = backed_up(old, "restored");
    let mut from_git = backup.clone();
    for field in ["annotations", "finalizers"] {
        from_git["metadata"].as_object_mut().unwrap().remove(field);
    }
    // The old cluster is lost.
    drop(first);
    let new = ControlPlane::start().await.unwrap();
    install(&new, &[]);
    let _second = operator_for(&new, &emulator, "restored", "restored").await;
    namespace(&new, "restored");
    account_in(&new, &emulator, "restored", "twilio");
    for manifest in [backup, from_git] {
        apply(&new, &manifest);
        let found = until_ready(&new, "restored", "nyc").await;
        assert_eq!(found["status"]["id"], id);
        assert_eq!(found["status"]["origin"], "Bought", "then and now");
        assert_eq!(emulator.purchases(e164).await, 1);
        let_go(&new, "restored").await;
    }
    assert_eq!(emulator.releases(e164).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_moves_to_another_namespace_and_to_another_installation() {
    let plane = cluster().await;
    let emulator = Emulator::start();
    let e164 = "+12125552301";
    let _here = operator_for(plane, &emulator, "here", "from,to").await;
    furnish(plane, &emulator, "from", e164, json!({"assistantId": 101})).await;
    let id = get(plane, &["pn", "nyc", "-n", "from"])["status"]["id"].clone();
    let spec = json!({"provider": "twilio", "phoneNumber": e164, "assistantId": 101, "adoptionPolicy": "Adopt"});
    let held = async |place: &str| {
        let found = until_ready(plane, place, "nyc").await;
        assert_eq!(found["status"]["id"], id, "{place}");
        assert_eq!(
            (
                emulator.purchases(e164).await,
                emulator.releases(e164).await
            ),
            (1, 0),
            "{place}"
        );
    };
    let arrives_in = |place: &str| {
        namespace(plane, place);
        account_in(plane, &emulator, place, "twilio");
        apply(plane, &number(place, "nyc", spec.clone()));
    };

    // While it is still there it is nobody else's, whatever the newcomer declares.
    arrives_in("to");
    until("a refusal", async || {
        let ready = condition(&get(plane, &["pn", "nyc", "-n", "to"]), "Ready");
        ["ClaimedByAnother", "OwnedByAnother"]
            .contains(&ready["reason"].as_str().unwrap_or_default())
    })
    .await;
    let_go(plane, "from").await;
    held("to").await;

    // Another installation never takes a mark that is not its own: a person takes it off first.
    let_go(plane, "to").await;
    let _there = operator_for(plane, &emulator, "there", "elsewhere").await;
    arrives_in("elsewhere");
    until("a refusal", async || {
        condition(&get(plane, &["pn", "nyc", "-n", "elsewhere"]), "Ready")["reason"]
            == "OwnedByAnother"
    })
    .await;
    emulator.edit(e164, json!({"friendly_name": "NYC"})).await;
    held("elsewhere").await;
}
