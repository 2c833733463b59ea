//! What the chart's roles allow beside editing: to add owners, to restore claims, and to adopt from an account of the cluster.

use serde_json::{Value, json};
use test_support::command::Printed;

use crate::cluster::{Cluster, poll};
use crate::manifests::Kind;
use crate::office::{Office, held, plain};

pub const WAITS: &str = "this PhoneNumber is being deleted, and the change releases its number: only a user who may delete \
                     PhoneNumbers in this namespace may set spec.deletionPolicy to Release, or spec.deletionProtection or \
                     spec.suspend to false";
pub const OWNERS: &str = "a PhoneNumber is deleted with its owners, and its number is released: only a user who may delete \
                      PhoneNumbers in this namespace may add or change metadata.ownerReferences";
pub const RESTORES: &str = "the annotation telephony.burki.dev/claim says that a number may be paid already: only a user who may \
                        restore PhoneNumbers in this namespace (role phonenumber-restorer) may create one with it. Remove it \
                        from the manifest";
pub const ADOPTION: &str = "only a user who may adopt PhoneNumbers in this namespace (role phonenumber-adopter) may take over a \
                        number of a ClusterProviderAccount";

/// A person with the chart's own roles in a namespace, as `kubectl create rolebinding` gives them.
fn person(cluster: &Cluster, name: &str, roles: &[&str]) -> String {
    for role in roles {
        let binding = format!("{name}-{role}");
        let (role, user) = (format!("--clusterrole={role}"), format!("--user={name}"));
        let arguments = ["create", "rolebinding", &binding, &role, &user];
        cluster.kubectl(&arguments).unwrap();
    }
    format!("--as={name}")
}

fn forbidden(what: &str, printed: Printed, message: &str) {
    let error = printed.expect_err(what);
    assert!(error.contains(message), "{what}: {error}");
}

/// With a real garbage collector: what an owner reference does is shown, not supposed.
#[tokio::test]
async fn who_may_not_delete_sets_no_owner() {
    let office = Office::new("owners").await;
    let cluster = &office.cluster;
    cluster.plane.start_controller_manager().await.unwrap();
    let editor = person(
        cluster,
        "editor",
        &["phonenumber-editor", "phonenumber-buyer"],
    );
    let releaser = person(
        cluster,
        "releaser",
        &["phonenumber-editor", "phonenumber-releaser"],
    );
    let mut kept = plain("kept");
    kept["metadata"]["finalizers"] = json!(["example.com/keeps-it"]);
    office.restore(&kept);
    let gone = json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone",
        "uid": "00000000-0000-4000-8000-000000000000"}]);
    let patch = json!({"metadata": {"ownerReferences": gone}}).to_string();
    let set = ["patch", "pn", "kept", "--type=merge", "-p", &patch];
    poll("the policy", || {
        let printed = cluster.kubectl(&[&set[..], &[&editor, "--dry-run=server"]].concat());
        printed.is_err_and(|error| error.contains(OWNERS))
    });
    forbidden(
        "delete",
        cluster.kubectl(&["delete", "pn", "kept", &editor]),
        "cannot delete",
    );
    forbidden(
        "patch",
        cluster.kubectl(&[&set[..], &[&editor]].concat()),
        OWNERS,
    );
    let mut owned = plain("owned");
    owned["metadata"]["ownerReferences"] = gone;
    let create = ["create", "-f", "-", &editor];
    forbidden("create", cluster.kubectl_with(&create, &owned), OWNERS);
    // What sets no owner passes.
    cluster.kubectl_with(&create, &plain("free")).unwrap();
    cluster
        .kubectl(&["label", "pn", "kept", "team=voice", &editor])
        .unwrap();
    assert!(cluster.get(Kind::PhoneNumber, "kept")["metadata"]["deletionTimestamp"].is_null());

    cluster.kubectl(&[&set[..], &[&releaser]].concat()).unwrap();
    poll("garbage collection", || {
        cluster.get(Kind::PhoneNumber, "kept")["metadata"]["deletionTimestamp"].is_string()
    });
    cluster
        .kubectl(&["label", "pn", "kept", "team-", &editor])
        .unwrap();

    // What ends the wait of a deleted object releases its number.
    let change = |spec: Value, who: &str| {
        let patch = json!({ "spec": spec }).to_string();
        let patch = ["patch", "pn", "kept", "--type=merge", "-p", &patch, who];
        cluster.kubectl(&patch)
    };
    let waits = json!({"deletionProtection": true, "suspend": true});
    change(waits, &editor).unwrap();
    let ends = [
        json!({"deletionPolicy": "Release"}),
        json!({"deletionProtection": false}),
        json!({"suspend": false}),
    ];
    for spec in &ends {
        forbidden("patch", change(spec.clone(), &editor), WAITS);
    }
    change(json!({"friendlyName": "NYC"}), &editor).unwrap();
    for spec in ends {
        change(spec, &releaser).unwrap();
    }
    // Keeping the number is for every editor.
    change(json!({"deletionPolicy": "Retain"}), &editor).unwrap();
}

#[tokio::test]
async fn who_may_not_restore_creates_no_claim() {
    let office = Office::new("restores").await;
    let cluster = &office.cluster;
    let buyer = person(cluster, "buyer", &["phonenumber-buyer"]);
    let restorer = person(
        cluster,
        "restorer",
        &["phonenumber-buyer", "phonenumber-restorer"],
    );
    let create =
        |user: &str, manifest: &Value| cluster.kubectl_with(&["create", "-f", "-", user], manifest);
    poll("the policy", || {
        create(&buyer, &held("held")).is_err_and(|error| error.contains(RESTORES))
    });
    create(&buyer, &plain("plain")).unwrap();
    create(&restorer, &held("held")).unwrap();
}

#[tokio::test]
async fn who_may_not_adopt_takes_nothing_over_from_a_cluster_account() {
    let office = Office::new("adoption").await;
    let cluster = &office.cluster;
    let buyer = person(
        cluster,
        "buyer",
        &["phonenumber-editor", "phonenumber-buyer"],
    );
    let adopter = person(
        cluster,
        "adopter",
        &[
            "phonenumber-editor",
            "phonenumber-buyer",
            "phonenumber-adopter",
        ],
    );
    let adopting = |name: &str, kind: &str, policy: &str| {
        let mut manifest = plain(name);
        manifest["spec"]["adoptionPolicy"] = json!(policy);
        manifest["spec"]["accountRef"] = json!({"kind": kind, "name": "shared"});
        manifest
    };
    let create =
        |user: &str, manifest: &Value| cluster.kubectl_with(&["create", "-f", "-", user], manifest);
    let (of_all, own) = ("ClusterProviderAccount", "ProviderAccount");
    poll("the policy", || {
        create(&buyer, &adopting("shared", of_all, "Adopt"))
            .is_err_and(|error| error.contains(ADOPTION))
    });
    create(&buyer, &adopting("own", own, "Adopt")).unwrap();
    create(&buyer, &adopting("bought", of_all, "Never")).unwrap();
    create(&adopter, &adopting("shared", of_all, "Adopt")).unwrap();
    let patch = |user: &str, name: &str, patch: &str| {
        cluster.kubectl(&["patch", "pn", name, "--type=merge", "-p", patch, user])
    };
    let takes_over = r#"{"spec": {"adoptionPolicy": "Adopt"}}"#;
    forbidden("patch", patch(&buyer, "bought", takes_over), ADOPTION);
    let account = r#"{"spec": {"accountRef": {"kind": "ClusterProviderAccount"}}}"#;
    forbidden("account", patch(&buyer, "own", account), ADOPTION);
    // Once it is allowed, its other fields are anybody's to edit.
    patch(&buyer, "shared", r#"{"spec": {"assistantId": 101}}"#).unwrap();
}
