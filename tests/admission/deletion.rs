//! The policies that keep numbers and definitions from being deleted: what they refuse, and that Kubernetes' own controllers
//! and changes that delete nothing pass.

use serde_json::json;
use test_support::command::Printed;

use crate::cluster::{Cluster, poll};
use crate::manifests::{Kind, least};

pub const PROTECTED: &str = "spec.deletionProtection is true: a released number cannot be had back. To release it, set \
     deletionProtection to false, then delete; to let the object go and keep the number in the account, set \
     spec.deletionPolicy to Retain as well";
pub const DEFINITION: &str = "deleting this definition deletes every object of its kind in the cluster, and with it the \
     record of numbers that are paid for. If that is what you want, annotate the definition with \
     telephony.burki.dev/allow-delete=true first";
const BREAK_GLASS: [&str; 2] = ["--as=admin", "--as-group=phonenumber-operator:break-glass"];
const MASTERS: &str = "--as-group=system:masters";

fn refused(what: &str, printed: Printed, message: &str) {
    let error = printed.expect_err(what);
    assert!(error.contains(message), "{what}: {error}");
}

async fn office(name: &str) -> Cluster {
    let cluster = Cluster::new(name).await;
    number(&cluster, "probe", true).await;
    let delete = ["delete", "pn", "probe", "--dry-run=server"];
    poll("the policy", || cluster.kubectl(&delete).is_err());
    cluster
}

/// A number that something keeps, so that its deletion can be seen.
async fn number(cluster: &Cluster, name: &str, protected: bool) {
    let mut manifest = least(Kind::PhoneNumber, "twilio", name);
    manifest["spec"]["deletionProtection"] = json!(protected);
    manifest["metadata"]["finalizers"] = json!(["example.com/keeps-it"]);
    cluster.create(&manifest).await.unwrap();
}

fn is_in_deletion(cluster: &Cluster, name: &str) -> bool {
    cluster.get(Kind::PhoneNumber, name)["metadata"]["deletionTimestamp"].is_string()
}

#[tokio::test]
async fn a_protected_number_is_not_deleted_in_any_way() {
    let cluster = office("protected").await;
    number(&cluster, "other", false).await;
    let path = Kind::PhoneNumber.path(&cluster.namespace);
    let (one, selected) = (
        format!("{path}/probe"),
        format!("{path}?labelSelector=x%21%3Dy"),
    );
    let table: &[&[&str]] = &[
        &["delete", "pn", "probe", "--wait=false"],
        &["delete", "pn", "probe", "--wait=false", "--now"],
        &["delete", "pn", "probe", "--wait=false", "--cascade=orphan"],
        &["delete", "pn", "--all", "--wait=false"],
        &["delete", "pn", "-l", "x!=y", "--wait=false"],
        &["delete", "--raw", &one],
        &["delete", "--raw", &path],
        &["delete", "--raw", &selected],
    ];
    for arguments in table {
        refused(
            &format!("{arguments:?}"),
            cluster.kubectl(arguments),
            PROTECTED,
        );
        assert!(!is_in_deletion(&cluster, "probe"), "{arguments:?}");
    }
    // The same request deletes what is not protected.
    assert!(is_in_deletion(&cluster, "other"));
}

#[tokio::test]
async fn a_number_without_protection_is_deleted_and_so_is_one_that_lost_it() {
    let cluster = office("open").await;
    let patch = ["patch", "pn", "probe", "--type=merge", "-p"];
    let off = r#"{"spec": {"deletionProtection": false}}"#;
    cluster.kubectl(&[&patch[..], &[off]].concat()).unwrap();
    cluster
        .kubectl(&["delete", "pn", "probe", "--wait=false"])
        .unwrap();
    assert!(is_in_deletion(&cluster, "probe"));
    // Protected again while it goes: that and everything else that deletes nothing passes.
    let on = r#"{"spec": {"deletionProtection": true}}"#;
    for arguments in [
        [&patch[..], &[on]].concat(),
        vec!["label", "pn", "probe", "team=voice"],
        vec!["annotate", "pn", "probe", "example.com/note=x"],
        [&patch[..], &[r#"{"metadata": {"finalizers": null}}"#]].concat(),
    ] {
        cluster.kubectl(&arguments).unwrap();
    }
    let gone = ["get", "pn", "probe", "--ignore-not-found", "-o", "name"];
    assert_eq!(cluster.kubectl(&gone).unwrap(), "");
}

#[tokio::test]
async fn in_an_emergency_a_protected_number_is_deleted() {
    let cluster = office("emergency").await;
    let delete = ["delete", "pn", "probe", "--wait=false", MASTERS];
    refused(
        "no group",
        cluster.kubectl(&[&delete[..], &["--as=admin"]].concat()),
        PROTECTED,
    );
    cluster
        .kubectl(&[&delete[..], &BREAK_GLASS].concat())
        .unwrap();
    assert!(is_in_deletion(&cluster, "probe"));
}

#[tokio::test]
async fn kubernetes_own_controllers_delete_protected_numbers_with_their_namespace_and_their_owner()
{
    let cluster = office("controllers").await;
    cluster.plane.start_controller_manager().await.unwrap();
    cluster.kubectl(&["create", "configmap", "owner"]).unwrap();
    let uid = [
        "get",
        "configmap",
        "owner",
        "-o",
        "jsonpath={.metadata.uid}",
    ];
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": cluster.kubectl(&uid).unwrap()});
    let mut owned = least(Kind::PhoneNumber, "twilio", "owned");
    owned["spec"]["deletionProtection"] = json!(true);
    owned["metadata"]["finalizers"] = json!(["example.com/keeps-it"]);
    owned["metadata"]["ownerReferences"] = json!([owner]);
    cluster.create(&owned).await.unwrap();
    cluster.kubectl(&["delete", "configmap", "owner"]).unwrap();
    poll("garbage collection", || is_in_deletion(&cluster, "owned"));
    assert!(!is_in_deletion(&cluster, "probe"));

    let namespace = cluster.namespace.clone();
    cluster
        .kubectl(&["delete", "namespace", &namespace, "--wait=false"])
        .unwrap();
    poll("the namespace controller", || {
        is_in_deletion(&cluster, "probe")
    });
    for name in ["owned", "probe"] {
        let finalizers = r#"{"metadata": {"finalizers": null}}"#;
        cluster
            .kubectl(&["patch", "pn", name, "--type=merge", "-p", finalizers])
            .unwrap();
    }
    poll("the end of the namespace", || {
        let get = [
            "get",
            "namespace",
            &namespace,
            "--ignore-not-found",
            "-o",
            "name",
        ];
        cluster.kubectl(&get).unwrap().is_empty()
    });
}

#[tokio::test]
async fn a_definition_goes_only_by_permission() {
    let cluster = office("definitions").await;
    let crd = |kind: Kind| format!("{}.telephony.burki.dev", kind.plural());
    for kind in Kind::ALL {
        let name = crd(kind);
        let delete = ["delete", "crd", &name, "--dry-run=server"];
        refused(&name, cluster.kubectl(&delete), DEFINITION);
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All&fieldSelector=metadata.name%3D";
        let many = format!("{path}{name}");
        refused(
            &name,
            cluster.kubectl(&["delete", "--raw", &many]),
            DEFINITION,
        );
        cluster
            .kubectl(&[&delete[..], &BREAK_GLASS, &[MASTERS]].concat())
            .unwrap();
        // Its other changes pass.
        cluster
            .kubectl(&["label", "crd", &name, "example.com/note=x"])
            .unwrap();
    }
    let name = crd(Kind::ClusterProviderAccount);
    let delete = ["delete", "crd", &name, "--dry-run=server"];
    for (value, allowed) in [("false", false), ("true", true)] {
        let annotation = format!("telephony.burki.dev/allow-delete={value}");
        cluster
            .kubectl(&["annotate", "crd", &name, &annotation, "--overwrite"])
            .unwrap();
        assert_eq!(cluster.kubectl(&delete).is_ok(), allowed, "{value}");
    }
    let remove = [
        "annotate",
        "crd",
        &name,
        "telephony.burki.dev/allow-delete-",
    ];
    cluster.kubectl(&remove).unwrap();

    let foreign = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"}, "spec": {"group": "example.com", "scope": "Cluster",
            "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
    cluster
        .kubectl_with(&["create", "-f", "-"], &foreign)
        .unwrap();
    cluster
        .kubectl(&["delete", "crd", "things.example.com", "--wait=false"])
        .unwrap();
}
