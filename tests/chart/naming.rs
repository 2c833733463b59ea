//! Names, labels and annotations of what the chart renders, and what a catalogue of charts shows of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use test_support::helm::{CHART, EVERYTHING, TWO_NAMESPACES, objects, of_kind, rendered, the};
use test_support::kubectl::OPERATOR_NAMESPACE;
use test_support::root;

/// Kind and name of each object that is in a namespace, or of each that is not.
fn names(objects: &[Value], is_in_a_namespace: bool) -> BTreeSet<String> {
    let namespace = |object: &&Value| object["metadata"]["namespace"].is_string();
    let objects = objects
        .iter()
        .filter(|it| namespace(it) == is_in_a_namespace);
    let named = |it: &Value| format!("{} {}", it["kind"], it["metadata"]["name"]);
    objects.map(named).collect()
}

#[test]
fn another_name_is_that_of_every_object_in_a_namespace_and_of_no_other() {
    for scope in [&[][..], TWO_NAMESPACES] {
        let values = [EVERYTHING, scope].concat();
        let before = objects(&rendered(&values));
        for (setting, name) in [
            (&["--set=nameOverride=voice"][..], "voice"),
            (&["--set=fullnameOverride=voice"], "voice"),
            (
                &["--set=nameOverride=sound", "--set=fullnameOverride=voice"],
                "voice",
            ),
        ] {
            let after = objects(&rendered(&[&values[..], setting].concat()));
            assert_eq!(names(&after, false), names(&before, false));
            let wanted = names(&before, true);
            let wanted = wanted
                .iter()
                .map(|it| it.replace("phonenumber-operator", name));
            assert_eq!(names(&after, true), wanted.collect());
        }
    }
}

#[test]
fn the_account_of_the_operator_has_one_name_wherever_it_is_named() {
    for (values, name) in [
        (&[][..], "phonenumber-operator"),
        (&["--set=fullnameOverride=voice"], "voice"),
        (&["--set=serviceAccount.name=caller"], "caller"),
        (
            &[
                "--set=fullnameOverride=voice",
                "--set=serviceAccount.name=caller",
            ],
            "caller",
        ),
    ] {
        for scope in [&[][..], TWO_NAMESPACES] {
            let text = rendered(&[values, scope].concat());
            let all = objects(&text);
            assert_eq!(the(&all, "ServiceAccount")["metadata"]["name"], name);
            let pod = &the(&all, "Deployment")["spec"]["template"]["spec"];
            assert_eq!(pod["serviceAccountName"], name);
            let bindings = [
                of_kind(&all, "ClusterRoleBinding"),
                of_kind(&all, "RoleBinding"),
            ];
            for binding in bindings.concat() {
                assert_eq!(binding["subjects"][0]["name"], name, "{binding}");
            }
            let user = format!("system:serviceaccount:{OPERATOR_NAMESPACE}:");
            let users = text.matches(&user).count();
            assert!(users > 0, "no policy names the operator");
            let whole = text.matches(&format!("{user}{name}'")).count();
            assert_eq!(whole, users, "every policy names {name}");
        }
    }
}

#[test]
fn labels_of_all_are_on_every_object_and_give_way_to_its_own() {
    let all = objects(&rendered(EVERYTHING));
    for object in &all {
        if object["kind"] == "CustomResourceDefinition" {
            continue;
        }
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/part-of"], "telephony", "{object}");
        assert_eq!(labels["app.kubernetes.io/name"], "phonenumber-operator");
        assert_eq!(labels["example.com/team"], "platform");
    }
    let deployment = the(&all, "Deployment");
    let pod = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(pod["app.kubernetes.io/part-of"], "telephony");
    assert_eq!(pod["example.com/team"], "voice");
    // What is selected by cannot be changed later.
    let selector = deployment["spec"]["selector"]["matchLabels"]
        .as_object()
        .unwrap();
    assert_eq!(selector.len(), 2);
}

#[test]
fn annotations_are_where_they_were_set() {
    let all = objects(&rendered(EVERYTHING));
    let deployment = the(&all, "Deployment");
    assert_eq!(
        deployment["metadata"]["annotations"],
        json!({"example.com/restart": "auto"})
    );
    let pod = &deployment["spec"]["template"]["metadata"]["annotations"];
    assert_eq!(pod["example.com/note"], "x");
    assert_eq!(pod["example.com/restart"], json!(null));
    let account = the(&all, "ServiceAccount");
    assert_eq!(
        account["metadata"]["annotations"],
        json!({"example.com/role": "none"})
    );
}

#[test]
fn the_monitor_scrapes_as_it_was_set() {
    let endpoint = |values: &[&str]| {
        the(&objects(&rendered(values)), "ServiceMonitor")["spec"]["endpoints"][0].clone()
    };
    assert_eq!(
        endpoint(&["--set=metrics.serviceMonitor.enabled=true"]),
        json!({"port": "metrics", "path": "/metrics"})
    );
    assert_eq!(
        endpoint(EVERYTHING),
        json!({
            "port": "metrics", "path": "/metrics", "interval": "30s", "scheme": "https",
            "tlsConfig": {"insecureSkipVerify": false},
            "relabelings": [{"action": "labeldrop", "regex": "pod"}],
        })
    );
}

#[test]
fn the_catalogue_lists_the_definitions_that_are_installed() {
    let chart = std::fs::read_to_string(root().join(CHART).join("Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&chart).unwrap();
    let listed = chart["annotations"]["artifacthub.io/crds"]
        .as_str()
        .unwrap();
    let listed: Vec<Value> = serde_saphyr::from_str(listed).unwrap();
    let listed: BTreeSet<_> = listed
        .iter()
        .map(|it| format!("{} {} {}", it["kind"], it["name"], it["version"]))
        .collect();
    let all = objects(&rendered(&[]));
    let installed = of_kind(&all, "CustomResourceDefinition");
    let installed = installed.iter().map(|it| {
        let spec = &it["spec"];
        let (kind, version) = (&spec["names"]["kind"], &spec["versions"][0]["name"]);
        format!("{kind} {} {version}", it["metadata"]["name"])
    });
    assert_eq!(listed, installed.collect());
}
