//! Rendered and installed: the API server takes every form of it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use test_support::command::run;
use test_support::control_plane::ControlPlane;
use test_support::helm::{CHART, EVERYTHING, TWO_NAMESPACES, objects, of_kind, rendered, the};
use test_support::kubectl::{OPERATOR_NAMESPACE, kubectl, try_kubectl_with, until_kinds_are_known};
use test_support::root;

use crate::office::{RELEASE, apply, get, helm_on, install, number, until};

/// Stand-ins for the Prometheus operator's definitions.
fn definitions_of_prometheus(plane: &ControlPlane) {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    for (kind, plural) in [
        ("ServiceMonitor", "servicemonitors"),
        ("PrometheusRule", "prometheusrules"),
    ] {
        let name = format!("{plural}.monitoring.coreos.com");
        apply(
            plane,
            &json!({
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": name},
                "spec": {
                    "group": "monitoring.coreos.com", "scope": "Namespaced",
                    "names": {"kind": kind, "plural": plural},
                    "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
                },
            }),
        );
        let crd = format!("crd/{name}");
        kubectl(plane, &["wait", "--for=condition=Established", &crd]);
    }
}

fn namespaces(plane: &ControlPlane) {
    for name in [OPERATOR_NAMESPACE, "acme", "globex"] {
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        let metadata = json!({"name": name, "labels": labels});
        apply(
            plane,
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}),
        );
    }
}

/// The pod of a rendered Deployment, as the Deployment's controller would create it.
fn pod(text: &str) -> Value {
    let template = the(&objects(text), "Deployment")["spec"]["template"].clone();
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"]});
    pod["metadata"]["name"] = json!("operator");
    pod["metadata"]["namespace"] = json!(OPERATOR_NAMESPACE);
    pod
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_what_every_switch_renders() {
    let plane = ControlPlane::shared().await;
    definitions_of_prometheus(plane);
    namespaces(plane);
    let dry_run = [
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--server-side",
        "-f",
        "-",
    ];
    let everything = [EVERYTHING, TWO_NAMESPACES].concat();
    let forms: &[&[&str]] = &[
        &[],
        EVERYTHING,
        TWO_NAMESPACES,
        &everything,
        &["--set=admission.enabled=false"],
        &["--set=networkPolicy.enabled=false"],
        &["--set=podDisruptionBudget.enabled=false"],
        &["--set=metrics.serviceMonitor.enabled=true"],
        &["--set=metrics.prometheusRule.enabled=true"],
        &["--set=rbac.userRoles=false"],
        &["--set=crds.install=false"],
        &["--set=replicas=1", "--set=flags.leaderElect=false"],
        &[
            "--set=fullnameOverride=voice",
            "--set=serviceAccount.name=caller",
        ],
        &["--set=topologySpread="],
        &["--set=topologySpread=DoNotSchedule"],
        &["--set=replicas=0"],
    ];
    for form in forms {
        let text = rendered(form);
        let accepted = try_kubectl_with(plane, &dry_run, &text);
        let accepted = accepted.unwrap_or_else(|error| panic!("{form:?}: {error}"));
        assert_eq!(
            accepted.lines().count(),
            objects(&text).len(),
            "{form:?}: {accepted}"
        );
    }
    let overlay = ["apply", "-k", "config", "--dry-run=server", "--server-side"];
    let accepted = kubectl(plane, &overlay);
    assert_eq!(accepted.lines().count(), objects(&rendered(&[])).len() + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_is_accepted_where_pod_security_is_restricted() {
    let plane = ControlPlane::shared().await;
    namespaces(plane);
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "phonenumber-operator", "namespace": OPERATOR_NAMESPACE}});
    apply(plane, &account);
    let create = ["create", "--dry-run=server", "-f", "-"];
    for form in [&[][..], EVERYTHING] {
        let accepted = try_kubectl_with(plane, &create, &pod(&rendered(form)).to_string());
        accepted.unwrap_or_else(|error| panic!("{form:?}: {error}"));
    }
    // And without any one of its restrictions it is not.
    let sound = pod(&rendered(&[]));
    for (restriction, value) in [
        ("/spec/securityContext/runAsNonRoot", json!(false)),
        (
            "/spec/securityContext/seccompProfile/type",
            json!("Unconfined"),
        ),
        (
            "/spec/containers/0/securityContext/allowPrivilegeEscalation",
            json!(true),
        ),
        (
            "/spec/containers/0/securityContext/capabilities/drop",
            json!([]),
        ),
    ] {
        let mut loose = sound.clone();
        *loose.pointer_mut(restriction).unwrap() = value;
        let error = try_kubectl_with(plane, &create, &loose.to_string()).unwrap_err();
        assert!(
            error.contains("violates PodSecurity \"restricted:latest\""),
            "{restriction}: {error}"
        );
    }
}

/// What a release has put into the cluster, without the definitions.
fn installed(plane: &ControlPlane) -> Vec<String> {
    let kinds = "serviceaccounts,services,deployments,networkpolicies,poddisruptionbudgets,roles,rolebindings,\
                 clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings";
    let own = format!("app.kubernetes.io/instance={RELEASE}");
    let flags = ["get", kinds, "-A", "-l", &own, "-o", "name"];
    let text = kubectl(plane, &flags);
    text.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_installed_upgraded_rolled_back_and_uninstalled() {
    let plane = ControlPlane::start().await.unwrap();
    install(&plane, &[]);
    let first = installed(&plane);
    let all = objects(&rendered(&[]));
    assert_eq!(
        first.len(),
        all.len() - of_kind(&all, "CustomResourceDefinition").len()
    );
    let notes = helm_on(&plane, &["get", "notes", RELEASE]).unwrap();
    assert!(notes.contains("--clusterrole=phonenumber-buyer"), "{notes}");
    assert!(!notes.contains("WARNING"), "{notes}");
    for open in ["networkPolicy.metricsFrom", "networkPolicy.apiServerCIDRs"] {
        assert!(notes.contains(open), "{open} is named: {notes}");
    }
    let deployment = || {
        get(
            &plane,
            &[
                "deployment",
                "phonenumber-operator",
                "-n",
                OPERATOR_NAMESPACE,
            ],
        )
    };
    let replicas = || deployment()["spec"]["replicas"].clone();

    let change = [
        "--set=replicas=3",
        "--set=admission.enabled=false",
        "--set=networkPolicy.enabled=false",
    ];
    helm_on(
        &plane,
        &[&["upgrade", RELEASE, CHART][..], &change].concat(),
    )
    .unwrap();
    assert_eq!(replicas(), 3);
    assert!(installed(&plane).len() < first.len());
    let notes = helm_on(&plane, &["get", "notes", RELEASE]).unwrap();
    assert!(
        notes.contains("WARNING: admission.enabled is false"),
        "{notes}"
    );

    helm_on(&plane, &["rollback", RELEASE, "1"]).unwrap();
    assert_eq!(replicas(), 2);
    assert_eq!(installed(&plane), first);

    helm_on(&plane, &["uninstall", RELEASE]).unwrap();
    assert_eq!(installed(&plane), Vec::<String>::new());
    for kind in [
        "phonenumbers",
        "provideraccounts",
        "clusterprovideraccounts",
    ] {
        let definition = get(&plane, &["crd", &format!("{kind}.telephony.burki.dev")]);
        assert!(
            definition["metadata"]["deletionTimestamp"].is_null() && definition.is_object(),
            "{kind}"
        );
    }

    // Another release takes the definitions over only where it is told to.
    let other = ["install", "other", CHART];
    let error = helm_on(&plane, &other).unwrap_err();
    assert!(error.contains("invalid ownership metadata"), "{error}");
    helm_on(
        &plane,
        &[&other[..], &["--set=crds.install=false"]].concat(),
    )
    .unwrap();
    // Two releases that look after the same would work against each other.
    let second = [
        "install",
        "second",
        CHART,
        "--set=crds.install=false",
        "--set=rbac.userRoles=false",
    ];
    let error = helm_on(&plane, &second).unwrap_err();
    assert!(error.contains("invalid ownership metadata"), "{error}");
    helm_on(&plane, &["uninstall", "other"]).unwrap();
    // The first comes back to its own.
    helm_on(&plane, &["install", RELEASE, CHART]).unwrap();
    until_kinds_are_known(&plane);
    until("the objects of the first release", async || {
        installed(&plane) == first
    })
    .await;
}

/// The commands of docs/how-to/install.md that hand the definitions over to a release.
fn commands_of_the_docs() -> String {
    let page = std::fs::read_to_string(root().join("docs/how-to/install.md")).unwrap();
    let (_, rest) = page
        .split_once("### Definitions that are there already\n")
        .unwrap();
    let (_, rest) = rest.split_once("\n```\n").unwrap();
    rest.split_once("\n```\n").unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kubectl_has_applied_is_handed_over_to_a_release() {
    let plane = ControlPlane::start().await.unwrap();
    kubectl(&plane, &["apply", "--server-side", "-k", "config"]);
    until_kinds_are_known(&plane);
    let spec = json!({"provider": "twilio", "phoneNumber": "+12125551234", "suspend": true});
    apply(&plane, &number("default", "nyc", spec));
    let uid = || get(&plane, &["pn", "nyc", "-n", "default"])["metadata"]["uid"].clone();
    let first = uid();
    assert!(first.is_string());

    let take = ["install", RELEASE, CHART];
    let error = helm_on(&plane, &take).unwrap_err();
    assert!(error.contains("invalid ownership metadata"), "{error}");
    let flags = ["--take-ownership", "--server-side=false"];
    helm_on(&plane, &[&take[..], &flags].concat()).unwrap();
    let all = objects(&rendered(&[]));
    assert_eq!(
        installed(&plane).len(),
        all.len() - of_kind(&all, "CustomResourceDefinition").len()
    );
    // It is a release like any other from now on.
    helm_on(&plane, &["upgrade", RELEASE, CHART, "--set=replicas=3"]).unwrap();
    let deployment = [
        "deployment",
        "phonenumber-operator",
        "-n",
        OPERATOR_NAMESPACE,
    ];
    assert_eq!(get(&plane, &deployment)["spec"]["replicas"], 3);
    helm_on(&plane, &["uninstall", RELEASE]).unwrap();

    // The definitions stay, and their keys name a release that is gone. Somebody has applied others since.
    let earlier = [
        "--server-side",
        "--force-conflicts",
        "-f",
        "tests/upgrade/crds",
    ];
    kubectl(&plane, &[&["apply"][..], &earlier].concat());
    let other = ["install", "other", CHART, "--server-side=false"];
    let error = helm_on(&plane, &other).unwrap_err();
    assert!(error.contains("invalid ownership metadata"), "{error}");
    let commands = commands_of_the_docs();
    let name = format!("release-name={RELEASE}");
    assert_eq!(commands.matches(&name).count(), 1, "{commands}");
    let commands = commands.replace(&name, "release-name=other");
    let program = plane.kubectl();
    let folder = Path::new(program.get_program()).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-ec", &commands])
        .envs(
            program
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        )
        .env("PATH", format!("{}:{path}", folder.display()));
    run(shell.current_dir(root())).unwrap();
    helm_on(&plane, &other).unwrap();
    let definition = get(&plane, &["crd", "phonenumbers.telephony.burki.dev"]);
    let newer = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/onDeletion";
    assert!(definition.pointer(newer).is_some(), "it is the chart's");
    assert_eq!(uid(), first, "no PhoneNumber was deleted");
}
