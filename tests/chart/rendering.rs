//! Which objects there are.

use serde_json::json;
use test_support::helm::{
    CHART, EVERYTHING, TWO_NAMESPACES, compare, helm, objects, of_kind, rendered, the, try_rendered,
};
use test_support::kubectl::OPERATOR_NAMESPACE;
use test_support::root;

#[test]
fn the_chart_has_no_faults_that_helm_knows_of() {
    helm(&["lint", "--strict", CHART]).unwrap();
}

#[test]
fn the_manifests_for_those_without_helm_are_what_the_chart_renders() {
    let head = format!(
        "# The chart with its defaults; `make generate` renders it.\napiVersion: v1\nkind: Namespace\nmetadata:\n  \
         name: {OPERATOR_NAMESPACE}\n  labels:\n    pod-security.kubernetes.io/enforce: restricted\n"
    );
    let wanted = rendered(&[]).replace(
        "app.kubernetes.io/managed-by: Helm",
        "app.kubernetes.io/managed-by: kubectl",
    );
    compare("config/install.yaml", &format!("{head}{wanted}"));
}

#[test]
fn the_definitions_can_be_left_out_and_stay_when_the_release_goes() {
    let all = objects(&rendered(&[]));
    let definitions = of_kind(&all, "CustomResourceDefinition");
    assert_eq!(definitions.len(), 3);
    for definition in definitions {
        let kept = &definition["metadata"]["annotations"]["helm.sh/resource-policy"];
        assert_eq!(kept, "keep");
    }
    let without = objects(&rendered(&["--set", "crds.install=false"]));
    assert!(of_kind(&without, "CustomResourceDefinition").is_empty());
    assert_eq!(without.len(), all.len() - 3);
}

#[test]
fn every_switch_leaves_out_what_it_names_and_nothing_else() {
    let all = objects(&rendered(EVERYTHING));
    for (switch, kinds) in [
        (
            "admission.enabled=false",
            &[
                "ValidatingAdmissionPolicy",
                "ValidatingAdmissionPolicyBinding",
            ][..],
        ),
        ("networkPolicy.enabled=false", &["NetworkPolicy"]),
        (
            "podDisruptionBudget.enabled=false",
            &["PodDisruptionBudget"],
        ),
        ("replicas=1", &["PodDisruptionBudget"]),
        ("metrics.serviceMonitor.enabled=false", &["ServiceMonitor"]),
        ("metrics.prometheusRule.enabled=false", &["PrometheusRule"]),
        ("metrics.dashboard.enabled=false", &["ConfigMap"]),
        ("rbac.userRoles=false", &["ClusterRole"]),
    ] {
        let without = objects(&rendered(&[EVERYTHING, &["--set", switch]].concat()));
        let gone: Vec<&str> = all
            .iter()
            .filter(|object| {
                let same = |other: &&serde_json::Value| {
                    other["kind"] == object["kind"]
                        && other["metadata"]["name"] == object["metadata"]["name"]
                };
                !without.iter().any(|other| same(&other))
            })
            .map(|object| object["kind"].as_str().unwrap())
            .collect();
        assert!(!gone.is_empty(), "{switch}");
        assert!(
            gone.iter().all(|kind| kinds.contains(kind)),
            "{switch}: {gone:?}"
        );
    }
}

#[test]
fn a_release_for_some_namespaces_has_rights_there_and_none_elsewhere() {
    let all = objects(&rendered(TWO_NAMESPACES));
    let everywhere: Vec<_> = of_kind(&all, "ClusterRoleBinding")
        .iter()
        .map(|binding| binding["roleRef"]["name"].clone())
        .collect();
    assert_eq!(
        everywhere,
        [format!("phonenumber-operator-{OPERATOR_NAMESPACE}")]
    );
    let role = of_kind(&all, "ClusterRole");
    let role = role
        .iter()
        .find(|role| role["metadata"]["name"] == everywhere[0])
        .unwrap();
    let read_the_definition = json!([{
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "resourceNames": ["phonenumbers.telephony.burki.dev", "provideraccounts.telephony.burki.dev", "clusterprovideraccounts.telephony.burki.dev"],
        "verbs": ["get"],
    }]);
    assert_eq!(role["rules"], read_the_definition);

    let bound: Vec<_> = of_kind(&all, "RoleBinding")
        .iter()
        .map(|binding| binding["metadata"]["namespace"].clone())
        .collect();
    assert_eq!(
        bound,
        [json!("acme"), json!("globex"), json!(OPERATOR_NAMESPACE)]
    );
    let cluster_wide = objects(&rendered(&[]));
    let of_role = |objects: &[serde_json::Value], kind: &str, name: &str, namespace: &str| {
        let roles = of_kind(objects, kind);
        let role = roles.iter().find(|role| {
            role["metadata"]["name"] == name
                && (namespace.is_empty() || role["metadata"]["namespace"] == namespace)
        });
        role.unwrap()["rules"].as_array().unwrap().clone()
    };
    // What it may do there, it may do everywhere where it looks after all namespaces.
    let wide = of_role(&cluster_wide, "ClusterRole", "phonenumber-operator", "");
    for rule in of_role(&all, "Role", "phonenumber-operator", "acme") {
        assert!(wide.contains(&rule), "{rule}");
        assert!(!rule.to_string().contains("clusterprovideraccounts"));
    }
}

#[test]
fn what_cannot_work_is_refused_with_a_reason() {
    for (values, message) in [
        (
            &["--set-json=watchNamespaces=[\"acme\"]"][..],
            "watchNamespaces needs flags.installationId",
        ),
        (
            &["--set=flags.leaderElect=false"],
            "replicas that do not take turns work against each other",
        ),
        (
            &["--set=flags.providerEndpoints.twilio=http://emulator.example.com"],
            "flags.providerEndpoints.twilio is plain http, and flags.allowInsecureEndpoints is false",
        ),
        (
            &["--set=flags.inventoryInterval=25h"],
            "flags.inventoryInterval is longer than 24h",
        ),
        (
            &["--set=flags.purchaseTimeout=601s,flags.purchaseVisibility=1h"],
            "flags.purchaseTimeout is longer than 10m",
        ),
        (
            &["--set=flags.purchaseVisibility=34s"],
            "flags.purchaseVisibility must be at least 5s more than flags.purchaseTimeout",
        ),
        (
            &["--set=flags.purchaseTimeout=10m"],
            "flags.purchaseVisibility must be at least 5s more than flags.purchaseTimeout",
        ),
        (&["--set=flags.purchaseVisibility=169h"], "and at most 168h"),
    ] {
        let error = try_rendered(values).unwrap_err();
        assert!(error.contains(message), "{values:?}: {error}");
    }
    rendered(&["--set=flags.leaderElect=false", "--set=replicas=1"]);
    rendered(&["--set=flags.purchaseTimeout=2s,flags.purchaseVisibility=7s"]);
}

/// Resource versions may be compared as numbers since then (KEP-5504), and the operator does.
#[test]
fn the_oldest_kubernetes_is_the_same_in_the_chart_and_in_the_docs() {
    for (version, is_enough) in [("1.34.9", false), ("1.35.0", true)] {
        let rendered = try_rendered(&["--kube-version", version]);
        assert_eq!(rendered.is_ok(), is_enough, "{version}: {rendered:?}");
    }
    for page in ["README.md", "docs/how-to/install.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        assert!(text.contains("It needs Kubernetes 1.35 or later"), "{page}");
    }
}

#[test]
fn secrets_are_read_one_by_one_and_by_name_where_names_are_given() {
    for (values, names) in [
        (&[][..], json!(null)),
        (EVERYTHING, json!(["twilio", "burki"])),
    ] {
        let all = objects(&rendered(values));
        let roles = all.iter().filter(|object| object["rules"].is_array());
        let rules = roles.flat_map(|role| role["rules"].as_array().unwrap());
        let secrets: Vec<_> = rules
            .filter(|rule| {
                rule["resources"]
                    .as_array()
                    .unwrap()
                    .contains(&json!("secrets"))
            })
            .collect();
        assert_eq!(secrets.len(), 1);
        assert_eq!(secrets[0]["verbs"], json!(["get"]));
        assert_eq!(secrets[0]["resourceNames"], names);
    }
}

#[test]
fn only_metrics_come_in_and_only_dns_the_api_server_and_tls_go_out() {
    let all = objects(&rendered(&[]));
    let policy = &the(&all, "NetworkPolicy")["spec"];
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    let ports = |rules: &serde_json::Value| -> Vec<serde_json::Value> {
        let rules = rules.as_array().unwrap().iter();
        let ports = rules.flat_map(|rule| rule["ports"].as_array().unwrap());
        ports.map(|port| port["port"].clone()).collect()
    };
    assert_eq!(ports(&policy["ingress"]), [json!("metrics")]);
    assert_eq!(
        ports(&policy["egress"]),
        [json!(53), json!(53), json!(443), json!(6443), json!(443)]
    );
    let pod = &the(&all, "Deployment")["spec"]["template"];
    for (label, value) in policy["podSelector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&pod["metadata"]["labels"][label], value);
    }
}

/// The policy on countries compares calling codes: those of the library that the operator itself uses.
#[test]
fn the_calling_codes_of_countries_are_up_to_date() {
    let mut codes: Vec<String> = phonenumber::metadata::DATABASE
        .iter()
        .filter(|region| {
            region.id().len() == 2 && region.id().bytes().all(|byte| byte.is_ascii_uppercase())
        })
        .map(|region| format!("'{}': '{}'", region.id(), region.country_code()))
        .collect();
    codes.sort();
    assert!(codes.len() > 200);
    let lines: Vec<String> = codes.chunks(8).map(|line| line.join(", ")).collect();
    let text = format!("{{{}}}\n", lines.join(",\n"));
    compare(&format!("{CHART}/files/calling-codes.txt"), &text);
}
