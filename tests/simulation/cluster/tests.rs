//! The store behaves as Kubernetes does in what the operator relies on; `tests/operator` shows the same of the real one.

use super::*;

fn cluster() -> Cluster {
    Cluster::new(SystemTime::UNIX_EPOCH)
}

fn place() -> Place {
    Place::number("support", "nyc")
}

#[tokio::test]
async fn who_writes_on_what_has_changed_is_refused() {
    let cluster = cluster();
    let first = cluster.create(&place(), json!({"spec": {"a": 1}})).unwrap();
    let patch = json!({"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "spec": {"a": 2}});
    let second = cluster.patch(&place(), &patch).unwrap();
    assert_eq!(second["metadata"]["generation"], 2);
    assert_eq!(cluster.patch(&place(), &patch), Err(CONFLICT));
    assert_eq!(cluster.replace(&place(), first.clone()), Err(CONFLICT));
    assert_eq!(cluster.replace_status(&place(), &first), Err(CONFLICT));
    let none = json!({"metadata": {"resourceVersion": second["metadata"]["resourceVersion"]}});
    assert_eq!(
        cluster.patch(&place(), &none),
        Ok(second),
        "nothing changes"
    );
}

#[tokio::test]
async fn a_status_is_written_by_itself() {
    let cluster = cluster();
    let mut object = cluster
        .create(&place(), json!({"spec": {}, "status": {"x": 1}}))
        .unwrap();
    assert!(object["status"].get("x").is_none());
    object["status"] = json!({"id": "PN1"});
    object["spec"] = json!({"other": true});
    let written = cluster.replace_status(&place(), &object).unwrap();
    assert_eq!(written["status"]["id"], "PN1");
    assert_eq!(written["spec"], json!({}));
    assert_eq!(written["metadata"]["generation"], 1);
    let patched = cluster.patch(&place(), &json!({"status": null})).unwrap();
    assert_eq!(patched["status"]["id"], "PN1");
}

#[tokio::test]
async fn a_finalizer_holds_what_is_deleted_and_cannot_be_added_then() {
    let cluster = cluster();
    let created = json!({"metadata": {"finalizers": ["x"]}});
    cluster.create(&place(), created).unwrap();
    cluster.delete(&place()).unwrap();
    assert!(cluster.get(&place()).unwrap()["metadata"]["deletionTimestamp"].is_string());
    let more = json!({"metadata": {"finalizers": ["x", "y"]}});
    assert_eq!(cluster.patch(&place(), &more), Err(INVALID));
    cluster
        .patch(&place(), &json!({"metadata": {"finalizers": []}}))
        .unwrap();
    assert_eq!(cluster.get(&place()), None);
    assert!(cluster.since(0).last().unwrap().deleted);
}
