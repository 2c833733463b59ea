//! The chart renders, and `config/install.yaml` is what it renders.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::path::Path;
use std::process::Command;

fn helm(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new(root.join("tests/helm/build"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{error}");
    let helm = String::from_utf8(built.stdout).unwrap();
    let output = Command::new(helm.trim())
        .args(arguments)
        .current_dir(root)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "helm {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

const CHART: &str = "charts/phonenumber-operator";
const NAMESPACE: &str = "phonenumber-operator-system";

fn rendered(more: &[&str]) -> String {
    let arguments = [
        &[
            "template",
            "phonenumber-operator",
            CHART,
            "--namespace",
            NAMESPACE,
        ],
        more,
    ]
    .concat();
    helm(&arguments)
}

#[test]
fn the_chart_has_no_faults_that_helm_knows_of() {
    helm(&["lint", "--strict", CHART]);
}

#[test]
fn the_manifests_for_those_without_helm_are_what_the_chart_renders() {
    let head = format!(
        "# The chart with its defaults; `make generate` renders it.\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n"
    );
    let wanted = format!(
        "{head}{}",
        rendered(&[]).replace(
            "app.kubernetes.io/managed-by: Helm",
            "app.kubernetes.io/managed-by: kubectl"
        )
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/install.yaml");
    if std::env::var_os("GENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "config/install.yaml is stale: run `make generate`"
    );
}

#[test]
fn the_definitions_can_be_left_out_and_stay_when_the_release_goes() {
    assert_eq!(
        rendered(&[])
            .matches("kind: CustomResourceDefinition")
            .count(),
        3
    );
    assert_eq!(
        rendered(&[])
            .matches("helm.sh/resource-policy: keep")
            .count(),
        3
    );
    assert!(!rendered(&["--set", "crds.install=false"]).contains("kind: CustomResourceDefinition"));
}

#[test]
fn the_admission_policy_can_be_left_out() {
    assert!(rendered(&[]).contains("kind: ValidatingAdmissionPolicyBinding"));
    assert!(!rendered(&["--set", "admission.enabled=false"]).contains("ValidatingAdmissionPolicy"));
}
