//! A control plane, an emulated phone company that takes its time, and the operator as a cluster would run it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{DeleteParams, ListParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, ResourceExt};
use phonenumber_operator::api::{PhoneNumber, ProviderAccount};
use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::emulator::{Emulator, TWILIO_ACCOUNT};
use test_support::kubectl::{OPERATOR_NAMESPACE, install};
use test_support::objects::create;
use test_support::process::Process;
use test_support::program;

use crate::audit::{self, Audit, Writes};
use crate::process::cpu_seconds;

/// How long the phone company takes for every request, in milliseconds.
const LATENCY: u64 = 20;

/// How often the operator looks at its accounts.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// How many requests to the phone company an account allows at once.
pub const REQUESTS_OF_AN_ACCOUNT: usize = 32;

/// How many requests that create or delete objects are under way at once.
const REQUESTS_AT_ONCE: usize = 16;

const TWILIO_TOKEN: &str = "emulator-token";

/// The keys of the account that most is bought in.
pub fn twilio_keys() -> Value {
    json!({"accountSid": TWILIO_ACCOUNT, "authToken": TWILIO_TOKEN})
}

/// Numbers at Twilio by search.
pub fn twilio_search() -> Value {
    json!({"provider": "twilio", "search": {"country": "US", "areaCode": "212"}})
}

/// Which limits an account sets on what it holds. They are never reached, but counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Limits {
    /// On the number of numbers, and on their cost.
    All,
    /// On the number of numbers: a limit on the cost buys nothing whose price is not known.
    Numbers,
    /// None.
    None,
}

/// What ends first is first.
pub struct World {
    pub operator: Option<Process>,
    pub emulator: Emulator,
    pub client: Client,
    audit: Audit,
    before: BTreeMap<String, u64>,
    cpu_before: f64,
    plane: ControlPlane,
    folder: tempfile::TempDir,
}

/// What was asked for in some time.
pub struct Spent {
    /// Of the phone company, by operation.
    pub calls: BTreeMap<String, u64>,
    /// Of the API server.
    pub writes: Writes,
    /// The processor seconds that the API server took for all that it did.
    pub api_server_cpu: f64,
}

impl Spent {
    /// All calls at the phone company.
    pub fn all_calls(&self) -> f64 {
        self.calls.values().sum::<u64>() as f64
    }

    /// The calls of one operation.
    pub fn calls(&self, operation: &str) -> f64 {
        self.calls.get(operation).copied().unwrap_or_default() as f64
    }
}

impl World {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plane = ControlPlane::start_with(audit::options(folder.path()))
            .await
            .expect("a control plane");
        let state = folder.path().join("state.json");
        std::fs::write(
            &state,
            json!({"switches": {"latencyMs": LATENCY}}).to_string(),
        )
        .unwrap();
        install(&plane);
        Self {
            operator: None,
            emulator: Emulator::start_with(&["--state", state.to_str().unwrap()]),
            client: plane.admin_client().await.unwrap(),
            audit: Audit::open(folder.path()),
            before: BTreeMap::new(),
            cpu_before: 0.0,
            plane,
            folder,
        }
    }

    /// A namespace with nothing in it.
    pub async fn namespace(&self, name: &str) {
        let named = json!({"metadata": {"name": name}});
        create::<Namespace>(&Api::all(self.client.clone()), named).await;
    }

    /// A namespace with an account for `provider` that limits next to nothing, opened by `keys`.
    pub async fn account(&self, namespace: &str, provider: &str, keys: Value) {
        self.limited_account(namespace, provider, keys, Limits::All)
            .await;
    }

    /// The same with `limits` on what it holds.
    pub async fn limited_account(
        &self,
        namespace: &str,
        provider: &str,
        keys: Value,
        limits: Limits,
    ) {
        self.namespace(namespace).await;
        let secret = json!({"metadata": {"name": provider}, "stringData": keys});
        create::<Secret>(&Api::namespaced(self.client.clone(), namespace), secret).await;
        let mut opened = json!({"credentialsSecretRef": {"name": provider}});
        if provider == "telnyx" {
            opened["connectionWebhook"] = json!("Manage");
            opened["connectionId"] = keys["connection"].clone();
        }
        let mut account = json!({"metadata": {"name": provider}, "spec": {
            "provider": provider, provider: opened,
            "webhooks": {"baseUrl": "https://voice.example.com"},
            "limits": {
                "purchasesPerHour": 1_000_000, "releasesPerHour": 1_000_000, "maxConcurrentRequests": REQUESTS_OF_AN_ACCOUNT,
            },
        }});
        if limits != Limits::None {
            account["spec"]["limits"]["maxNumbers"] = json!(1_000_000);
        }
        if limits == Limits::All {
            let most = json!({"amount": "10000000", "currency": "USD"});
            account["spec"]["limits"]["maxMonthlyCost"] = most;
        }
        create::<ProviderAccount>(&Api::namespaced(self.client.clone(), namespace), account).await;
    }

    pub fn numbers(&self, namespace: &str) -> Api<PhoneNumber> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Creates a PhoneNumber, and returns when that was done.
    pub async fn number(&self, namespace: &str, name: &str, spec: Value) -> Instant {
        let object = json!({"metadata": {"name": name}, "spec": spec});
        create(&self.numbers(namespace), object).await;
        Instant::now()
    }

    /// Creates `count` PhoneNumbers with the same spec, several at a time, and returns when each was there.
    pub async fn many(
        &self,
        namespace: &str,
        count: usize,
        spec: &Value,
    ) -> Vec<(String, Instant)> {
        let creating = stream::iter(0..count).map(|at| async move {
            let name = format!("number-{at:05}");
            let there = self.number(namespace, &name, spec.clone()).await;
            (name, there)
        });
        let mut creating = std::pin::pin!(creating.buffer_unordered(REQUESTS_AT_ONCE));
        let mut created = Vec::with_capacity(count);
        let mut told = Instant::now();
        while let Some(one) = creating.next().await {
            created.push(one);
            if told.elapsed() > Duration::from_secs(3) {
                told = Instant::now();
                println!("  ... {} of {count} are created", created.len());
            }
        }
        created
    }

    /// Deletes every PhoneNumber of a namespace, several at a time. One request for all would be cut off by the API server
    /// after a minute.
    pub async fn delete_all(&self, namespace: &str) {
        let numbers = self.numbers(namespace);
        let all = numbers
            .list_metadata(&ListParams::default())
            .await
            .unwrap()
            .items;
        let delete = |number: PartialObjectMeta<PhoneNumber>| {
            let numbers = numbers.clone();
            async move {
                let name = number.name_any();
                numbers.delete(&name, &DeleteParams::default()).await
            }
        };
        let mut deleting = std::pin::pin!(
            stream::iter(all)
                .map(delete)
                .buffer_unordered(REQUESTS_AT_ONCE)
        );
        while let Some(deleted) = deleting.next().await {
            deleted.unwrap();
        }
    }

    /// Starts the operator, which looks at its accounts every `interval`, and returns its process id.
    pub async fn start_operator(&mut self, interval: Duration, flags: &[&str]) -> u32 {
        let mut command = Command::new(program("phonenumber-operator"));
        command
            .arg("run")
            .args(self.emulator.endpoint_flags())
            .arg(format!("--inventory-interval={}s", interval.as_secs()))
            .args(["--listen=127.0.0.1:0", "--leader-elect=false"])
            // As the chart has it.
            .arg("--log-format=json")
            .args(flags);
        let log = self.log();
        self.start_logging_to(&log, command).await
    }

    /// The plain operator of `peer/`, built if it is missing.
    pub fn built_peer() -> String {
        let build = test_support::root().join("tests/bench/peer/build");
        let built = Command::new(build)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(built.status.success(), "the plain operator is not built");
        String::from_utf8(built.stdout).unwrap().trim().to_owned()
    }

    /// Starts the plain operator for one namespace, and returns its process id.
    pub async fn start_peer(&mut self, program: &str, namespace: &str) -> u32 {
        let mut command = Command::new(program);
        command
            .args(["-namespace", namespace, "-twilio", &self.emulator.twilio])
            .env("TWILIO_ACCOUNT_SID", TWILIO_ACCOUNT)
            .env("TWILIO_AUTH_TOKEN", TWILIO_TOKEN);
        let log = self.folder.path().join(format!("{namespace}.log"));
        self.start_logging_to(&log, command).await
    }

    /// Starts an operator with the rights of the chart's ServiceAccount in place of the one that runs.
    async fn start_logging_to(&mut self, log: &Path, mut command: Command) -> u32 {
        let kubeconfig = self
            .plane
            .kubeconfig_for_service_account(OPERATOR_NAMESPACE, "phonenumber-operator")
            .await
            .unwrap();
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let id = child.id();
        self.operator = Some(Process(child));
        id
    }

    /// Kills the operator without warning.
    pub fn kill_operator(&mut self) {
        self.operator = None;
    }

    /// A copy of the operator's log that stays.
    pub fn kept_log(&self) -> PathBuf {
        let kept = std::env::temp_dir().join("phonenumber-operator-bench.log");
        std::fs::copy(self.log(), &kept).unwrap();
        kept
    }

    /// Where the operator logs to.
    fn log(&self) -> PathBuf {
        self.folder.path().join("operator.log")
    }

    /// Counts from here on.
    pub async fn begin(&mut self) {
        self.before = self.emulator.requests().await;
        self.cpu_before = self.api_server_cpu();
        self.audit.writes_except("");
    }

    /// What was counted since [`World::begin`].
    pub async fn end(&mut self) -> Spent {
        self.end_except("").await
    }

    /// The same without the writes to what is called `name`.
    pub async fn end_except(&mut self, name: &str) -> Spent {
        let after = self.emulator.requests().await;
        let calls = after.into_iter().map(|(operation, times)| {
            let before = self.before.get(&operation).copied().unwrap_or_default();
            (operation, times - before)
        });
        Spent {
            calls: calls.filter(|(_, times)| *times > 0).collect(),
            writes: self.audit.writes_except(name),
            api_server_cpu: self.api_server_cpu() - self.cpu_before,
        }
    }

    fn api_server_cpu(&self) -> f64 {
        cpu_seconds(self.plane.api_server_id().expect("it runs"))
    }

    /// How often an operation was asked for at the phone company.
    pub async fn asked(&self, operation: &str) -> u64 {
        let requests = self.emulator.requests().await;
        requests.get(operation).copied().unwrap_or_default()
    }

    /// Waits until the operator has listed an account `times` times and is done with it.
    pub async fn passes(&self, operation: &str, times: usize) {
        const STILL: Duration = Duration::from_millis(1500);
        let (mut seen, mut since, mut passes) = (self.asked(operation).await, Instant::now(), 0);
        let begun = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = self.asked(operation).await;
            if now != seen {
                passes += usize::from(since.elapsed() >= STILL);
                (seen, since) = (now, Instant::now());
            } else if passes >= times && since.elapsed() >= STILL {
                return;
            }
            let most = INTERVAL * u32::try_from(times + 3).unwrap();
            assert!(begun.elapsed() < most, "{passes} of {times} listings came");
        }
    }
}
