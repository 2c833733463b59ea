//! A namespace of its own on the shared control plane, with an operator process and an emulated phone company.
//!
//! The operator runs with the token of the chart's ServiceAccount, under the RBAC of `config/install.yaml`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, Namespace, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use phonenumber_operator::api::{PhoneNumber, ProviderAccount, condition};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::control_plane::ControlPlane;

/// The namespace that `config/install.yaml` installs into.
pub const OPERATOR_NAMESPACE: &str = "phonenumber-operator-system";

/// Longer than anything that a test waits for on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kills its process when dropped.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An emulator process and where its four sides listen.
pub struct Emulator {
    pub twilio: String,
    pub telnyx: String,
    pub burki: String,
    pub control: String,
    http: reqwest::Client,
    _process: Process,
}

impl Emulator {
    pub fn start() -> Self {
        let listen = "127.0.0.1:0";
        let mut child = Command::new(env!("CARGO_BIN_EXE_phonenumber-emulator"))
            .args([
                "--twilio",
                listen,
                "--telnyx",
                listen,
                "--burki",
                listen,
                "--control",
                listen,
                "--exit-with-parent",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut addresses = std::collections::BTreeMap::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while addresses.len() < 4 {
            let line = lines
                .next()
                .expect("the emulator tells where it listens")
                .unwrap();
            let (side, url) = line.split_once(' ').unwrap();
            addresses.insert(side.to_owned(), url.trim_end_matches('/').to_owned());
        }
        std::thread::spawn(move || lines.for_each(drop));
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            twilio: addresses["twilio"].clone(),
            telnyx: addresses["telnyx"].clone(),
            burki: addresses["burki"].clone(),
            control: addresses["control"].clone(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            _process: Process(child),
        }
    }

    pub async fn get(&self, path: &str) -> Value {
        let reply = self
            .http
            .get(format!("{}{path}", self.control))
            .send()
            .await
            .unwrap();
        let status = reply.status();
        let text = reply.text().await.unwrap();
        assert!(status.is_success(), "GET {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn send(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let request = self
            .http
            .request(method.clone(), format!("{}{path}", self.control));
        let reply = request
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let status = reply.status();
        let text = reply.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.send(reqwest::Method::POST, path, body).await
    }
}

pub struct World {
    pub plane: &'static ControlPlane,
    pub client: Client,
    pub namespace: String,
    pub emulator: Emulator,
    pub operator: Option<Process>,
    kubeconfig: std::path::PathBuf,
    flags: Vec<String>,
}

static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// Applies `config/install.yaml` to the shared control plane, once.
pub async fn install(plane: &ControlPlane) {
    INSTALLED
        .get_or_init(|| async {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/install.yaml");
            let output = plane
                .kubectl()
                .args(["apply", "--server-side", "-f", file])
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let crds = [
                "phonenumbers",
                "provideraccounts",
                "clusterprovideraccounts",
            ];
            for crd in crds {
                let name = format!("crd/{crd}.telephony.burki.dev");
                let wait = [
                    "wait",
                    "--for=condition=Established",
                    "--timeout=60s",
                    &name,
                ];
                assert!(
                    plane
                        .kubectl()
                        .args(wait)
                        .output()
                        .unwrap()
                        .status
                        .success()
                );
            }
        })
        .await;
}

impl World {
    /// A namespace with accounts `twilio` and `telnyx`, and a running operator that looks at every number once a second.
    pub async fn new(name: &str) -> Self {
        Self::with(name, &[]).await
    }

    /// The same, with more flags for the operator.
    pub async fn with(name: &str, flags: &[&str]) -> Self {
        let plane = ControlPlane::shared().await;
        install(plane).await;
        let client = plane.admin_client().await.unwrap();
        let namespace = format!("{name}-{:x}", rand::random::<u32>());
        let body = json!({"metadata": {"name": namespace}});
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces
            .create(
                &PostParams::default(),
                &serde_json::from_value(body).unwrap(),
            )
            .await
            .unwrap();
        let kubeconfig = plane
            .kubeconfig_for_service_account(OPERATOR_NAMESPACE, "phonenumber-operator")
            .await
            .unwrap();
        let emulator = Emulator::start();
        let mut world = Self {
            plane,
            client,
            namespace,
            emulator,
            operator: None,
            kubeconfig,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        world.secret("twilio", json!({"accountSid": "AC00000000000000000000000000000001", "authToken": "emulator-token"})).await;
        world
            .secret("telnyx", json!({"apiKey": "emulator-key"}))
            .await;
        world
            .secret("burki", json!({"apiKey": "emulator-burki-key"}))
            .await;
        world.account("twilio", json!({})).await;
        world
            .account("telnyx", json!({"telnyx": {"connectionWebhook": "Manage"}}))
            .await;
        world.start_operator();
        world
    }

    /// Starts an operator; it looks after this namespace alone.
    pub fn start_operator(&mut self) {
        self.operator = Some(self.spawn_operator(&[]));
    }

    /// Starts one more operator process with `more` flags.
    pub fn spawn_operator(&self, more: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_phonenumber-operator"));
        command
            .arg("run")
            .args([
                "--watch-namespace",
                &self.namespace,
                "--installation-id",
                &self.namespace,
            ])
            .args([
                "--provider-endpoint",
                &format!("twilio={}", self.emulator.twilio),
            ])
            .args([
                "--provider-endpoint",
                &format!("telnyx={}", self.emulator.telnyx),
            ])
            .args(["--allow-burki-origin", &self.emulator.burki])
            .args([
                "--inventory-interval",
                "1s",
                "--leader-elect",
                "false",
                "--listen",
                "127.0.0.1:0",
            ])
            .args(["--purchase-timeout", "2s", "--purchase-visibility", "10s"])
            .args(&self.flags)
            .args(more)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null());
        if std::env::var_os("SHOW_LOGS").is_none() {
            command.stdout(Stdio::null()).stderr(Stdio::null());
        }
        Process(command.spawn().unwrap())
    }

    /// Kills the operator without warning.
    pub fn kill_operator(&mut self) {
        self.operator = None;
    }

    pub fn numbers(&self) -> Api<PhoneNumber> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn accounts(&self) -> Api<ProviderAccount> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates or replaces a Secret.
    pub async fn secret(&self, name: &str, keys: Value) {
        let _ = self.secrets().delete(name, &DeleteParams::default()).await;
        let body = json!({"metadata": {"name": name}, "stringData": keys});
        self.secrets()
            .create(
                &PostParams::default(),
                &serde_json::from_value(body).unwrap(),
            )
            .await
            .unwrap();
    }

    /// Creates an account named like its provider, with `change` merged into its spec.
    pub async fn account(&self, provider: &str, change: Value) {
        let mut spec = json!({
            "provider": provider,
            provider: {"credentialsSecretRef": {"name": provider}},
            "webhooks": {"baseUrl": "https://voice.example.com"},
            "burki": {"url": self.emulator.burki, "credentialsSecretRef": {"name": "burki"}},
        });
        merge(&mut spec, change);
        let body = json!({"metadata": {"name": provider}, "spec": spec});
        self.accounts()
            .create(
                &PostParams::default(),
                &serde_json::from_value(body).unwrap(),
            )
            .await
            .unwrap();
    }

    pub async fn change_account(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.accounts()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Creates a PhoneNumber with `change` merged into its spec.
    pub async fn create(&self, name: &str, provider: &str, number: &str, change: Value) {
        let mut spec = json!({"provider": provider, "phoneNumber": number});
        merge(&mut spec, change);
        let body = json!({"metadata": {"name": name}, "spec": spec});
        self.numbers()
            .create(
                &PostParams::default(),
                &serde_json::from_value(body).unwrap(),
            )
            .await
            .unwrap();
    }

    pub async fn change(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.numbers()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub async fn delete(&self, name: &str) {
        self.numbers()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    pub async fn number(&self, name: &str) -> PhoneNumber {
        self.numbers().get(name).await.unwrap()
    }

    /// Waits until `done` says so of the PhoneNumber.
    pub async fn until(
        &self,
        name: &str,
        what: &str,
        done: impl Fn(&PhoneNumber) -> bool,
    ) -> PhoneNumber {
        let begun = Instant::now();
        loop {
            let number = self.number(name).await;
            if done(&number) {
                return number;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{name} is not {what}: {}",
                serde_json::to_string_pretty(&number.status).unwrap()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the PhoneNumber is Ready at its present generation.
    pub async fn until_ready(&self, name: &str) -> PhoneNumber {
        self.until(name, "Ready", |number| {
            let status = number.status.clone().unwrap_or_default();
            status.observed_generation == number.metadata.generation
                && reason(number) == "Ready"
                && truth(number, condition::READY) == "True"
        })
        .await
    }

    /// Waits until the PhoneNumber has this reason.
    pub async fn until_reason(&self, name: &str, wanted: &str) -> PhoneNumber {
        self.until(name, wanted, |number| reason(number) == wanted)
            .await
    }

    /// Waits until the PhoneNumber is gone.
    pub async fn until_gone(&self, name: &str) {
        let begun = Instant::now();
        while let Some(number) = self.numbers().get_opt(name).await.unwrap() {
            assert!(
                begun.elapsed() < PATIENCE,
                "{name} is still there: {:?}",
                number.status
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The reasons of the Events on `name`.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let list = events.list(&ListParams::default()).await.unwrap();
        list.items
            .into_iter()
            .filter(|event| event.involved_object.name.as_deref() == Some(name))
            .filter_map(|event| event.reason)
            .collect()
    }
}

/// The reason of the Ready condition.
pub fn reason(number: &PhoneNumber) -> String {
    found(number, condition::READY)
        .map(|found| found.reason)
        .unwrap_or_default()
}

/// The message of the Ready condition.
pub fn message(number: &PhoneNumber) -> String {
    found(number, condition::READY)
        .map(|found| found.message)
        .unwrap_or_default()
}

/// The status of a condition.
pub fn truth(number: &PhoneNumber, kind: &str) -> String {
    found(number, kind)
        .map(|found| found.status)
        .unwrap_or_default()
}

fn found(
    number: &PhoneNumber,
    kind: &str,
) -> Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    number
        .status
        .as_ref()?
        .conditions
        .iter()
        .find(|found| found.type_ == kind)
        .cloned()
}

/// The resource version, which every write changes.
pub fn version(number: &PhoneNumber) -> String {
    number.resource_version().unwrap()
}

/// Merges `change` into `value` as a JSON merge patch does.
pub fn merge(value: &mut Value, change: Value) {
    match (value, change) {
        (Value::Object(value), Value::Object(change)) => {
            for (key, change) in change {
                if change.is_null() {
                    value.remove(&key);
                } else {
                    merge(value.entry(key).or_insert(Value::Null), change);
                }
            }
        }
        (value, change) => *value = change,
    }
}
