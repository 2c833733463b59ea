//! What the plugin says of an installation: whether it fits together, its versions, and a support bundle.

use std::collections::BTreeMap;
use std::fs;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use test_support::control_plane::ControlPlane;
use test_support::objects::create;
use test_support::world::World;

use crate::plugin::{phonenumbers, phonenumbers_as, user};

/// The state of each check, by its name.
fn states(rows: &[Vec<String>]) -> BTreeMap<String, String> {
    let rows = rows.iter().skip(1);
    rows.map(|row| (row[1].clone(), row[0].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_fine_what_is_bad_and_what_may_not_be_read() {
    let plane = ControlPlane::shared().await;
    let world = World::new("checked").await;
    let namespace = world.namespace.clone();
    world
        .until_account("twilio", |account| {
            account["status"]["accountId"].is_string()
        })
        .await;
    // The operator of this world has neither a Deployment nor a Lease here.
    let here = [
        "check",
        "-n",
        &namespace,
        "--operator-namespace",
        &namespace,
    ];
    let ask = || phonenumbers(plane, &world.emulator, &here);
    let found = ask();
    assert_eq!(found.code, 1, "{found:?}");
    let seen = states(&found.rows());
    let lease = format!("lease {namespace}/phonenumber-operator");
    for (check, state) in [
        ("definition phonenumbers", "ok"),
        ("definition clusterprovideraccounts", "ok"),
        ("policy phonenumber-operator-deletion", "ok"),
        (&format!("operator in {namespace}"), "bad"),
        (&lease, "bad"),
        (&format!("ProviderAccount {namespace}/twilio"), "ok"),
    ] {
        assert_eq!(
            seen.get(check).map(String::as_str),
            Some(state),
            "{check}: {found:?}"
        );
    }
    let now = jiff::Timestamp::now();
    let held = json!({"metadata": {"name": "phonenumber-operator"},
        "spec": {"holderIdentity": "replica-1", "leaseDurationSeconds": 15, "renewTime": format!("{now:.6}")}});
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), &namespace);
    create(&leases, held).await;
    assert_eq!(
        states(&ask().rows()).get(&lease).map(String::as_str),
        Some("ok")
    );
    let version = ["version", "--operator-namespace", &namespace];
    let version = phonenumbers(plane, &world.emulator, &version).worked();
    assert!(
        version.contains("replica-1") && version.contains("v1alpha1"),
        "{version}"
    );

    let nobody = user(plane, &namespace, "nobody", &[], &[]).await;
    let found = phonenumbers_as(&nobody, plane, &world.emulator, &here);
    assert_eq!(found.code, 1);
    let seen = states(&found.rows());
    assert!(seen.values().all(|state| state == "unknown"), "{found:?}");
    assert!(
        found
            .output
            .contains("you may not get customresourcedefinitions"),
        "{found:?}"
    );
    let version = phonenumbers_as(&nobody, plane, &world.emulator, &["version"]).worked();
    assert!(
        version.contains("<unknown>: you may not get leases"),
        "{version}"
    );
    let client = ["version", "--client", "--kubeconfig", "/nonexistent"];
    let client = phonenumbers(plane, &world.emulator, &client).worked();
    assert_eq!(client.lines().count(), 1, "{client}");
    leases
        .delete("phonenumber-operator", &DeleteParams::default())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_no_secret_masks_numbers_and_says_what_it_could_not_read() {
    let plane = ControlPlane::shared().await;
    let world = World::new("reported").await;
    let namespace = world.namespace.clone();
    let url = "https://voice.example.com/a?token=fake-secret";
    let webhooks = json!({"webhooks": {"voiceUrl": url, "smsUrl": url}});
    world
        .create("us-12125556231", "twilio", "+12125556231", webhooks)
        .await;
    world.until_ready("us-12125556231").await;
    world.until_event("us-12125556231", "Purchased").await;
    let rights = [
        ("list", "phonenumbers.telephony.burki.dev"),
        ("list", "provideraccounts.telephony.burki.dev"),
        ("list", "events"),
    ];
    let reader = user(plane, &namespace, "reader", &rights, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("report");
    let place = place.to_str().unwrap();
    let ask = |more: &[&str]| {
        let own = ["report", "--out", place];
        phonenumbers_as(&reader, plane, &world.emulator, &[&own, more].concat())
    };
    let written = ask(&["--mask"]);
    assert_eq!(written.code, 0, "{written:?}");
    assert!(
        written.error.contains("could not be read: see errors.txt"),
        "{written:?}"
    );
    let mut whole = String::new();
    for entry in fs::read_dir(place).unwrap() {
        whole.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    assert!(
        whole.contains("us-*********31") && whole.contains("+*********31"),
        "{whole}"
    );
    for secret in [
        "12125556231",
        "fake-secret",
        "emulator-token",
        "managedFields",
    ] {
        assert!(!whole.contains(secret), "{secret}");
    }
    let errors = fs::read_to_string(format!("{place}/errors.txt")).unwrap();
    for part in [
        "clusterprovideraccounts.yaml: you may not list",
        "pods.yaml: you may not list",
    ] {
        assert!(errors.contains(part), "{errors}");
    }
    assert!(ask(&[]).failed().contains("is not empty"));

    let archive = format!("{place}.tar");
    let own = ["report", "-n", &namespace, "--out", &archive];
    let admin = || phonenumbers(plane, &world.emulator, &own);
    assert_eq!(admin().code, 0);
    let bytes = fs::read(&archive).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for part in [
        "phonenumbers-report/phonenumbers.yaml",
        "+12125556231",
        "reason: Purchased",
    ] {
        assert!(text.contains(part), "{part}");
    }
    assert!(
        !text.contains("fake-secret"),
        "a query is no part of a report"
    );
    assert!(
        admin().failed().contains("cannot write"),
        "nothing is written over"
    );
}
