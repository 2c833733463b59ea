//! A control plane with kubectl, Helm, an emulated phone company and the operator under the token of the chart's
//! ServiceAccount.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use test_support::command::{Printed, run};
use test_support::control_plane::ControlPlane;
use test_support::emulator::{CONNECTION, Emulator, TWILIO_ACCOUNT};
use test_support::helm::{self, CHART};
use test_support::kubectl::{OPERATOR_NAMESPACE, kubectl, kubectl_with, until_kinds_are_known};
use test_support::process::Process;
use test_support::{program, root, wait};

/// Longer than anything takes on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_secs(90);

pub const RELEASE: &str = "phonenumber-operator";

/// The object as JSON; null if there is none.
pub fn get(plane: &ControlPlane, arguments: &[&str]) -> Value {
    let flags = ["get", "--ignore-not-found", "-o", "json"];
    let text = kubectl(plane, &[&flags[..], arguments].concat());
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

pub fn apply(plane: &ControlPlane, manifest: &Value) {
    let arguments = ["apply", "--server-side", "-f", "-"];
    kubectl_with(plane, &arguments, &manifest.to_string());
}

/// Helm against this control plane, in the namespace that the chart is for.
pub fn helm_on(plane: &ControlPlane, arguments: &[&str]) -> Printed {
    let mut command = Command::new(helm::program());
    command
        .args(arguments)
        .args(["--namespace", OPERATOR_NAMESPACE])
        .env("KUBECONFIG", plane.kubeconfig_for_admin())
        .env("HOME", plane.folder())
        .current_dir(root());
    run(&mut command)
}

/// Installs the chart as a person would do, and waits until its kinds are known.
pub fn install(plane: &ControlPlane, values: &[&str]) {
    let arguments = ["install", RELEASE, CHART, "--create-namespace"];
    helm_on(plane, &[&arguments[..], values].concat()).unwrap();
    until_kinds_are_known(plane);
}

/// Repeats this until it is so, and returns how long that took.
pub async fn until(what: &str, done: impl AsyncFnMut() -> bool) -> Duration {
    wait::until(PATIENCE, what, done).await
}

/// Starts an operator with the token of the chart's ServiceAccount; `more` flags win over those given here.
pub async fn operator(plane: &ControlPlane, emulator: &Emulator, more: &[&str]) -> Process {
    let kubeconfig = plane
        .kubeconfig_for_service_account(OPERATOR_NAMESPACE, "phonenumber-operator")
        .await
        .unwrap();
    let mut command = Command::new(program("phonenumber-operator"));
    command
        .arg("run")
        .args(emulator.endpoint_flags())
        .args(["--allow-burki-origin", &emulator.burki])
        .args(["--listen", "127.0.0.1:0", "--inventory-interval", "1s"])
        .args(["--purchase-timeout", "2s", "--purchase-visibility", "10s"])
        .args(more)
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null());
    if std::env::var_os("SHOW_LOGS").is_none() {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    Process(command.spawn().unwrap())
}

/// Asks a process to end, and waits until it has.
pub async fn stop(mut process: Process) {
    process.signal("TERM");
    process.until_ended(PATIENCE).await;
}

/// A namespace with the Secrets of the emulator's accounts.
pub fn namespace(plane: &ControlPlane, name: &str) {
    let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    apply(plane, &manifest);
    let twilio = json!({"accountSid": TWILIO_ACCOUNT, "authToken": "emulator-token"});
    secret(plane, name, "twilio", twilio);
    secret(plane, name, "telnyx", json!({"apiKey": "emulator-key"}));
    secret(
        plane,
        name,
        "burki",
        json!({"apiKey": "emulator-burki-key"}),
    );
}

pub fn secret(plane: &ControlPlane, namespace: &str, name: &str, keys: Value) {
    let metadata = json!({"name": name, "namespace": namespace});
    let kind =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": keys});
    apply(plane, &kind);
}

/// A ProviderAccount named like its provider.
pub fn account_in(plane: &ControlPlane, emulator: &Emulator, namespace: &str, provider: &str) {
    let place = json!({"namespace": namespace});
    account(plane, emulator, "ProviderAccount", place, provider);
}

/// An account of this kind named like its provider.
pub fn account(
    plane: &ControlPlane,
    emulator: &Emulator,
    kind: &str,
    place: Value,
    provider: &str,
) {
    let mut metadata = json!({"name": provider});
    metadata
        .as_object_mut()
        .unwrap()
        .extend(place.as_object().unwrap().clone());
    let mut spec = json!({
        "provider": provider,
        provider: {"credentialsSecretRef": {"name": provider}},
        "webhooks": {"baseUrl": "https://voice.example.com"},
        "burki": {"url": emulator.burki, "credentialsSecretRef": {"name": "burki"}},
    });
    if provider == "telnyx" {
        spec["telnyx"]["connectionWebhook"] = json!("Manage");
        spec["telnyx"]["connectionId"] = json!(CONNECTION);
    }
    if kind == "ClusterProviderAccount" {
        spec["allowedNamespaces"] = json!({});
    }
    apply(
        plane,
        &json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}),
    );
}

/// A PhoneNumber manifest.
pub fn number(namespace: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "telephony.burki.dev/v1alpha1",
        "kind": "PhoneNumber",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    })
}

/// A condition of an object; null if it has none of this type.
pub fn condition(object: &Value, kind: &str) -> Value {
    let conditions = object["status"]["conditions"].as_array();
    let mut found = conditions
        .into_iter()
        .flatten()
        .filter(|found| found["type"] == kind);
    found.next().cloned().unwrap_or(Value::Null)
}

/// Waits until the PhoneNumber is Ready at its present generation.
pub async fn until_ready(plane: &ControlPlane, namespace: &str, name: &str) -> Value {
    let what = format!("{namespace}/{name} is Ready");
    let ask = async || {
        let object = get(plane, &["pn", name, "-n", namespace]);
        let is_observed =
            object["status"]["observedGeneration"] == object["metadata"]["generation"];
        match is_observed && condition(&object, "Ready")["status"] == "True" {
            true => Ok(object),
            false => Err(object["status"].to_string()),
        }
    };
    wait::until_ok(PATIENCE, &what, ask).await
}

pub async fn until_gone(plane: &ControlPlane, arguments: &[&str]) -> Duration {
    until(&format!("{arguments:?} gone"), async || {
        get(plane, arguments).is_null()
    })
    .await
}
