//! A namespace of its own on the shared control plane, with an operator process and an emulated phone company.
//!
//! The operator runs with the token of the chart's ServiceAccount, under the RBAC of `config/install.yaml`.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::control_plane::{ControlPlane, config_for};
use crate::emulator::{CONNECTION, Emulator, TELNYX_ACCOUNT, TWILIO_ACCOUNT};
use crate::kubectl::{OPERATOR_NAMESPACE, install};
use crate::objects::create;
use crate::process::Process;

pub use operator::Log;
pub use status::{held, message, reason, truth, version};

mod company;
mod objects;
mod operator;
mod status;
mod until;

/// See the module.
pub struct World {
    /// A client for the administrator.
    pub client: Client,
    /// The namespace of the objects.
    pub namespace: String,
    /// The phone company.
    pub emulator: Emulator,
    /// The operator process, while one runs.
    pub operator: Option<Process>,
    /// The account that the Secret `twilio` opens.
    pub twilio: String,
    /// The account that the Secret `telnyx` opens.
    pub telnyx: String,
    /// Where operators of this world log to.
    pub log: Option<Log>,
    /// Deletes protected numbers too, as Kubernetes' own controllers do.
    breaking_the_glass: Client,
    kubeconfig: PathBuf,
    flags: Vec<String>,
}

static INSTALLED: OnceCell<()> = OnceCell::const_new();

/// A client for the administrator as a member of the group that the admission policies let pass.
async fn breaking_the_glass(plane: &ControlPlane) -> Client {
    let mut config = config_for(&plane.kubeconfig_for_admin()).await.unwrap();
    let groups = ["system:masters", "phonenumber-operator:break-glass"];
    config.auth_info.impersonate = Some("admin".to_owned());
    config.auth_info.impersonate_groups = Some(groups.map(str::to_owned).to_vec());
    Client::try_from(config).unwrap()
}

/// The flags of an operator that looks after this namespace alone, and more.
fn flags_for<'a>(namespace: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let own = [
        "--watch-namespace",
        namespace,
        "--installation-id",
        namespace,
    ];
    [&own, more].concat()
}

/// The shared control plane with the operator installed, and a name for a namespace on it.
async fn place(name: &str) -> (&'static ControlPlane, String) {
    let plane = ControlPlane::shared().await;
    INSTALLED.get_or_init(async || install(plane)).await;
    (plane, format!("{name}-{:x}", rand::random::<u32>()))
}

impl World {
    /// A namespace with accounts `twilio` and `telnyx`, and a running operator that looks at every number once a second.
    pub async fn new(name: &str) -> Self {
        Self::with(name, &[]).await
    }

    /// The same, with more flags for the operator.
    pub async fn with(name: &str, flags: &[&str]) -> Self {
        let (plane, namespace) = place(name).await;
        let flags = flags_for(&namespace, flags);
        let accounts = [TWILIO_ACCOUNT, TELNYX_ACCOUNT].map(str::to_owned);
        Self::in_namespace(plane, &namespace, Emulator::start(), accounts, &flags).await
    }

    /// The same at a company where nobody else has these accounts: what is counted for them is counted for this world
    /// alone.
    pub async fn alone(name: &str, flags: &[&str]) -> Self {
        let (plane, namespace) = place(name).await;
        let flags = flags_for(&namespace, flags);
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
        install(plane);
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

    /// Creates a namespace with these labels.
    pub async fn create_namespace(&self, name: &str, labels: Value) {
        let body = json!({"metadata": {"name": name, "labels": labels}});
        create::<Namespace>(&Api::all(self.client.clone()), body).await;
    }
}
