//! A namespace of its own on the shared control plane, with an operator process and an emulated phone company.
//!
//! The operator runs with the token of the chart's ServiceAccount, under the RBAC of `config/install.yaml`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Event, Namespace, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use phonenumber_operator::api::{PhoneNumber, ProviderAccount, condition};
use serde::Serialize;
use serde_json::{Value, json};
use test_support::control_plane::{ControlPlane, client_for, config_for};
use test_support::emulator::{Emulator, Process, is_purchase, number_of};
use tokio::sync::OnceCell;

/// A Telnyx connection of the emulator's world.
pub const CONNECTION: &str = "1293384261075731499";

/// A number that nobody can buy.
pub const TAKEN: &str = "+12125559999";

/// The accounts whose keys the Secrets of a [`World`] hold.
pub const TWILIO_ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const TELNYX_ACCOUNT: &str = "00000000-0000-4000-8000-000000000001";

/// The namespace that `config/install.yaml` installs into.
pub const OPERATOR_NAMESPACE: &str = "phonenumber-operator-system";

/// How often numbers are looked at.
const INTERVAL: &str = "--inventory-interval";

/// Longer than anything that a test waits for on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// How much of an operator's log a failed test shows.
const LAST_LINES: usize = 60;

/// Where the operators of a world log to. A test that fails shows the end of it.
pub struct Log(pub PathBuf);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(log) = std::fs::read_to_string(&self.0)
        {
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
            println!("the operator's last words:\n{}", last.join("\n"));
        }
    }
}

pub struct World {
    pub client: Client,
    pub namespace: String,
    pub emulator: Emulator,
    pub operator: Option<Process>,
    /// The accounts that the Secrets `twilio` and `telnyx` open.
    pub twilio: String,
    pub telnyx: String,
    /// Deletes protected numbers too, as Kubernetes' own controllers do.
    breaking_the_glass: Client,
    kubeconfig: PathBuf,
    flags: Vec<String>,
    pub log: Option<Log>,
}

/// The operator as Cargo has just built it, or the one to be tested instead.
fn program() -> OsString {
    std::env::var_os("OPERATOR")
        .unwrap_or_else(|| test_support::program("phonenumber-operator").into())
}

static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// Applies `config/install.yaml`.
async fn install(plane: &ControlPlane) {
    kubectl(plane, &["apply", "--server-side", "-f", "config/install.yaml"]);
    let selector = "app.kubernetes.io/name=phonenumber-operator";
    let wait = [
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        "crd",
        "-l",
        selector,
    ];
    kubectl(plane, &wait);
}

/// A client for the administrator as a member of the group that the admission policies let pass.
async fn breaking_the_glass(plane: &ControlPlane) -> Client {
    let mut config = config_for(&plane.kubeconfig_for_admin()).await.unwrap();
    let groups = ["system:masters", "phonenumber-operator:break-glass"];
    config.auth_info.impersonate = Some("admin".to_owned());
    config.auth_info.impersonate_groups = Some(groups.map(str::to_owned).to_vec());
    Client::try_from(config).unwrap()
}

/// Runs kubectl, and returns what it prints.
pub fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> String {
    let output = plane.kubectl().args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

impl World {
    /// A namespace with accounts `twilio` and `telnyx`, and a running operator that looks at every number once a second.
    pub async fn new(name: &str) -> Self {
        Self::with(name, &[]).await
    }

    /// The same, with more flags for the operator.
    pub async fn with(name: &str, flags: &[&str]) -> Self {
        let plane = ControlPlane::shared().await;
        INSTALLED.get_or_init(|| install(plane)).await;
        let namespace = format!("{name}-{:x}", rand::random::<u32>());
        let own = [
            "--watch-namespace",
            &namespace,
            "--installation-id",
            &namespace,
        ];
        let flags = [&own, flags].concat();
        let accounts = [TWILIO_ACCOUNT, TELNYX_ACCOUNT].map(str::to_owned);
        Self::in_namespace(plane, &namespace, Emulator::start(), accounts, &flags).await
    }

    /// The same at a company where nobody else has these accounts: what is counted for them is counted for this world
    /// alone.
    pub async fn alone(name: &str, flags: &[&str]) -> Self {
        let plane = ControlPlane::shared().await;
        INSTALLED.get_or_init(|| install(plane)).await;
        let namespace = format!("{name}-{:x}", rand::random::<u32>());
        let own = [
            "--watch-namespace",
            &namespace,
            "--installation-id",
            &namespace,
        ];
        let flags = [&own, flags].concat();
        let twilio = format!("AC{:032x}", rand::random::<u128>());
        let telnyx = format!("00000000-0000-4000-8000-{:012x}", rand::random::<u32>());
        let state = json!({
            "twilio": [{"sid": twilio, "token": "emulator-token"},
                {"sid": "AC00000000000000000000000000000002", "token": "emulator-token-2"}],
            "telnyx": [{"organization": telnyx, "key": "emulator-key", "connection": CONNECTION}],
        });
        let file = plane.folder().join(format!("{namespace}.json"));
        std::fs::write(&file, state.to_string()).unwrap();
        let emulator = Emulator::start_with(&["--state", file.to_str().unwrap()]);
        Self::in_namespace(plane, &namespace, emulator, [twilio, telnyx], &flags).await
    }

    /// The same on a control plane of its own, with an operator that looks after all namespaces.
    pub async fn cluster_wide(plane: &ControlPlane, emulator: Emulator, flags: &[&str]) -> Self {
        install(plane).await;
        let accounts = [TWILIO_ACCOUNT, TELNYX_ACCOUNT].map(str::to_owned);
        Self::in_namespace(plane, "world", emulator, accounts, flags).await
    }

    async fn in_namespace(
        plane: &ControlPlane,
        namespace: &str,
        emulator: Emulator,
        [twilio, telnyx]: [String; 2],
        flags: &[&str],
    ) -> Self {
        let kubeconfig = plane
            .kubeconfig_for_service_account(OPERATOR_NAMESPACE, "phonenumber-operator")
            .await
            .unwrap();
        let mut world = Self {
            client: plane.admin_client().await.unwrap(),
            breaking_the_glass: breaking_the_glass(plane).await,
            namespace: namespace.to_owned(),
            emulator,
            operator: None,
            twilio,
            telnyx,
            kubeconfig,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            log: Some(Log(plane.folder().join(format!("{namespace}.log")))),
        };
        world.create_namespace(namespace, json!({})).await;
        let twilio = json!({"accountSid": world.twilio, "authToken": "emulator-token"});
        world.secret("twilio", twilio).await;
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
        // Only what the account itself names is managed; most numbers name the connection themselves.
        let webhook =
            json!({"webhook": "https://voice.example.com/telnyx-webhook", "apiVersion": "2"});
        let path = format!("/console/connections/{CONNECTION}");
        world.emulator.post(&path, webhook).await;
        world.start_operator();
        world
    }

    /// The same company and the same operator, seen from another namespace.
    pub fn in_other_namespace(&self, namespace: &str) -> Self {
        Self {
            client: self.client.clone(),
            breaking_the_glass: self.breaking_the_glass.clone(),
            namespace: namespace.to_owned(),
            emulator: self.emulator.clone(),
            operator: None,
            twilio: self.twilio.clone(),
            telnyx: self.telnyx.clone(),
            kubeconfig: self.kubeconfig.clone(),
            flags: Vec::new(),
            log: None,
        }
    }

    pub async fn create_namespace(&self, name: &str, labels: Value) {
        let body = json!({"metadata": {"name": name, "labels": labels}});
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = serde_json::from_value(body).unwrap();
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .unwrap();
    }

    /// Starts an operator.
    pub fn start_operator(&mut self) {
        self.operator = Some(self.spawn_operator(&[]));
    }

    /// Starts one more operator process with `more` flags.
    pub fn spawn_operator(&self, more: &[&str]) -> Process {
        let mut command = self.operator_command(more);
        if let Some(Log(log)) = &self.log {
            let file = std::fs::File::options().create(true).append(true).open(log);
            let file = file.unwrap();
            command.stdout(file.try_clone().unwrap()).stderr(file);
        }
        Process(command.spawn().unwrap())
    }

    /// How an operator process with `more` flags is started.
    pub fn operator_command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .arg("run")
            .args([
                "--provider-endpoint",
                &format!("twilio={}", self.emulator.twilio),
            ])
            .args([
                "--provider-endpoint",
                &format!("telnyx={}", self.emulator.telnyx),
            ])
            .args([
                "--provider-endpoint",
                &format!("burki={}", self.emulator.burki),
            ])
            .args(["--allow-burki-origin", &self.emulator.burki])
            .args(["--purchase-timeout", "2s", "--purchase-visibility", "10s"])
            .args(&self.flags)
            .args(more)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null());
        for (flag, value) in [
            (INTERVAL, "1s"),
            ("--leader-elect", "false"),
            ("--listen", "127.0.0.1:0"),
        ] {
            let mut given = self
                .flags
                .iter()
                .map(String::as_str)
                .chain(more.iter().copied());
            if !given.any(|given| given == flag) {
                command.args([flag, value]);
            }
        }
        command
    }

    /// Kills the operator without warning.
    pub fn kill_operator(&mut self) {
        self.operator = None;
    }

    /// The token that operators show to the API server.
    pub fn token(&self) -> String {
        let text = std::fs::read_to_string(&self.kubeconfig).unwrap();
        let kubeconfig: Value = serde_json::from_str(&text).unwrap();
        kubeconfig["users"][0]["user"]["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub fn numbers(&self) -> Api<PhoneNumber> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The PhoneNumbers, by the right of the operator: admission lets nobody else touch its finalizer.
    pub async fn numbers_as_operator(&self) -> Api<PhoneNumber> {
        let client = client_for(&self.kubeconfig).await.unwrap();
        Api::namespaced(client, &self.namespace)
    }

    pub fn accounts(&self) -> Api<ProviderAccount> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a Secret, or sets all its keys.
    pub async fn secret(&self, name: &str, keys: Value) {
        let body = json!({"metadata": {"name": name}, "stringData": keys});
        let secret: Secret = serde_json::from_value(body).unwrap();
        let secrets = self.secrets();
        let written = match secrets.get_opt(name).await.unwrap() {
            Some(_) => secrets.replace(name, &PostParams::default(), &secret).await,
            None => secrets.create(&PostParams::default(), &secret).await,
        };
        written.unwrap();
    }

    pub async fn delete_secret(&self, name: &str) {
        self.secrets()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Creates an account named like its provider, with `change` merged into its spec.
    pub async fn account(&self, provider: &str, change: Value) {
        self.account_named(provider, provider, change).await;
    }

    /// Creates an account at `provider`, with `change` merged into its spec.
    pub async fn account_named(&self, name: &str, provider: &str, change: Value) {
        let mut spec = json!({
            "provider": provider,
            provider: {"credentialsSecretRef": {"name": provider}},
            "webhooks": {"baseUrl": "https://voice.example.com"},
            // Many tests share one operator namespace, and with it the counts.
            "limits": {"purchasesPerHour": 100_000, "releasesPerHour": 100_000},
            "burki": {"url": self.emulator.burki, "credentialsSecretRef": {"name": "burki"}},
        });
        merge(&mut spec, change);
        let body = json!({"metadata": {"name": name}, "spec": spec});
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
        let spec = json!({"provider": provider, "phoneNumber": number});
        self.declare(name, spec, change).await;
    }

    /// Creates a PhoneNumber that wants any number that is as `search` says, with `change` merged into its spec.
    pub async fn create_wanting(&self, name: &str, provider: &str, search: Value, change: Value) {
        let spec = json!({"provider": provider, "search": search});
        self.declare(name, spec, change).await;
    }

    async fn declare(&self, name: &str, mut spec: Value, change: Value) {
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
        Api::<PhoneNumber>::namespaced(self.breaking_the_glass.clone(), &self.namespace)
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
        self.until_within(PATIENCE, name, what, done).await
    }

    /// The same with a patience of its own.
    pub async fn until_within(
        &self,
        patience: Duration,
        name: &str,
        what: &str,
        done: impl Fn(&PhoneNumber) -> bool,
    ) -> PhoneNumber {
        let ask = async || self.numbers().get(name).await;
        until_answered(patience, &format!("{name} is not {what}"), ask, done).await
    }

    /// Waits until `done` says so of the account, which is null once it is gone.
    pub async fn until_account(&self, name: &str, done: impl Fn(&Value) -> bool) -> Value {
        let ask = async || {
            let account = self.accounts().get_opt(name).await?;
            Ok(serde_json::to_value(account).unwrap())
        };
        until_answered(PATIENCE, &format!("{name} does not become so"), ask, done).await
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
        let ask = async || self.numbers().get_opt(name).await;
        let is_gone = |number: &Option<PhoneNumber>| number.is_none();
        until_answered(PATIENCE, &format!("{name} is still there"), ask, is_gone).await;
    }

    /// Waits until the company says so.
    pub async fn until_company(&self, what: &str, done: impl AsyncFn(&Emulator) -> bool) {
        let begun = Instant::now();
        while !done(&self.emulator).await {
            assert!(begun.elapsed() < PATIENCE, "this did not come: {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until `number` is sold, or ordered.
    pub async fn until_purchased(&self, number: &str) {
        self.until_company("a purchase", async |company| {
            let ledger = company.ledger().await;
            ledger.iter().any(|entry| {
                number_of(entry) == number && (is_purchase(entry) || entry["deed"] == "order")
            })
        })
        .await;
    }

    /// Waits until the company has `number` as in `wanted`.
    pub async fn until_company_sees(&self, number: &str, wanted: &Value) {
        self.until_company(&wanted.to_string(), async |company| {
            company.number(number).await == *wanted
        })
        .await;
    }

    /// Somebody buys `number` by hand, in the account whose key the Secrets hold.
    pub async fn bought_by_somebody_else(&self, provider: &str, number: &str) {
        let account = match provider {
            "twilio" => &self.twilio,
            _ => &self.telnyx,
        };
        let purchase = json!({"provider": provider, "account": account, "number": number});
        self.emulator.post("/console/buy", purchase).await;
    }

    /// The effects at the provider and the directory so far.
    pub async fn effects(&self) -> usize {
        self.emulator.ledger().await.len()
    }

    /// The purchases that were tried so far.
    pub async fn attempts(&self) -> u64 {
        let requests = self.emulator.requests().await;
        let tried = requests.iter().filter(|(name, _)| name.ends_with(" buy"));
        tried.map(|(_, times)| times).sum()
    }

    /// How often an operation was asked for so far, by `side operation`.
    pub async fn asked(&self, operation: &str) -> u64 {
        let requests = self.emulator.requests().await;
        requests.get(operation).copied().unwrap_or_default()
    }

    /// Every number that was paid for by the operator so far.
    pub async fn bought(&self) -> Vec<String> {
        let ledger = self.emulator.ledger().await;
        let bought = ledger
            .iter()
            .filter(|entry| is_purchase(entry) && entry["by"] != "console");
        bought.map(number_of).collect()
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

/// Asks until `done` agrees with the answer, and returns it. `what` is said of the last one when patience is over. A busy machine
/// may leave a question unanswered.
async fn until_answered<T: Serialize>(
    patience: Duration,
    what: &str,
    ask: impl AsyncFn() -> kube::Result<T>,
    done: impl Fn(&T) -> bool,
) -> T {
    let begun = Instant::now();
    loop {
        let answer = ask().await;
        match answer {
            Ok(answer) if done(&answer) => return answer,
            _ => {}
        }
        assert!(begun.elapsed() < patience, "{what}: {}", shown(&answer));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// An answer on one line, without what only the API server wants to know.
fn shown<T: Serialize>(answer: &kube::Result<T>) -> String {
    let mut value = match answer {
        Ok(object) => serde_json::to_value(object).unwrap(),
        Err(error) => return error.to_string(),
    };
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    value.to_string()
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

/// The number that a PhoneNumber holds.
pub fn held(number: &PhoneNumber) -> String {
    let status = number.status.as_ref();
    status
        .and_then(|status| status.phone_number.clone())
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
