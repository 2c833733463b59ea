//! The shared control plane with the operator installed, and two ways to talk to it: kubectl, as people do, and single
//! requests for the tables.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use kube::Client;
use serde_json::{Value, json};
use test_support::command::{Printed, run_with};
use test_support::control_plane::ControlPlane;
use test_support::kubectl::{install, kubectl};
use tokio::sync::OnceCell;

use crate::manifests::Kind;

/// Longer than anything takes on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(100);

/// A namespace of one test.
pub struct Cluster {
    pub plane: &'static ControlPlane,
    pub namespace: String,
    client: Client,
}

static INSTALLED: OnceCell<()> = OnceCell::const_new();

impl Cluster {
    /// An empty namespace whose name begins with `name`.
    pub async fn new(name: &str) -> Self {
        let plane = ControlPlane::shared().await;
        INSTALLED.get_or_init(async || install(plane)).await;
        let cluster = Self {
            plane,
            namespace: format!("{name}-{:x}", rand::random::<u32>()),
            client: plane.admin_client().await.unwrap(),
        };
        kubectl(plane, &["create", "namespace", &cluster.namespace]);
        cluster
    }

    /// kubectl as the administrator, in this namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Printed {
        self.kubectl_of(None, arguments, None)
    }

    /// The same, with this manifest for `-f -`.
    pub fn kubectl_with(&self, arguments: &[&str], manifest: &Value) -> Printed {
        self.kubectl_of(None, arguments, Some(&manifest.to_string()))
    }

    /// kubectl with this kubeconfig.
    pub fn kubectl_of(
        &self,
        kubeconfig: Option<&PathBuf>,
        arguments: &[&str],
        manifest: Option<&str>,
    ) -> Printed {
        let mut command = self.plane.kubectl();
        if let Some(kubeconfig) = kubeconfig {
            command.env("KUBECONFIG", kubeconfig);
        }
        command
            .args(["--namespace", &self.namespace])
            .args(arguments);
        run_with(&mut command, manifest.unwrap_or_default())
    }

    /// The object as the API server shows it.
    pub fn get(&self, kind: Kind, name: &str) -> Value {
        let printed = self.kubectl(&["get", kind.plural(), name, "-o", "json"]);
        serde_json::from_str(&printed.unwrap()).unwrap()
    }

    /// Asks the API server whether it would create this, unknown fields being an error. `Err` is what it says.
    pub async fn try_create(&self, manifest: &Value) -> Result<Value, String> {
        self.create_with(manifest, "?dryRun=All&fieldValidation=Strict")
            .await
    }

    pub async fn create(&self, manifest: &Value) -> Result<Value, String> {
        self.create_with(manifest, "?fieldValidation=Strict").await
    }

    async fn create_with(&self, manifest: &Value, query: &str) -> Result<Value, String> {
        let path = Kind::of(manifest).path(&self.namespace);
        self.request(
            "POST",
            &format!("{path}{query}"),
            "application/json",
            manifest,
        )
        .await
    }

    /// Asks the API server whether it would merge this into the spec of an object that exists.
    pub async fn try_change(&self, kind: Kind, name: &str, spec: &Value) -> Result<Value, String> {
        self.change_with(kind, name, spec, "?dryRun=All&fieldValidation=Strict")
            .await
    }

    pub async fn change(&self, kind: Kind, name: &str, spec: &Value) -> Result<Value, String> {
        self.change_with(kind, name, spec, "?fieldValidation=Strict")
            .await
    }

    /// Merges this into the status, as the operator does.
    pub async fn set_status(
        &self,
        kind: Kind,
        name: &str,
        status: &Value,
    ) -> Result<Value, String> {
        let path = format!("{}/{name}/status", kind.path(&self.namespace));
        let patch = json!({"status": status});
        self.request("PATCH", &path, "application/merge-patch+json", &patch)
            .await
    }

    async fn change_with(
        &self,
        kind: Kind,
        name: &str,
        spec: &Value,
        query: &str,
    ) -> Result<Value, String> {
        let path = format!("{}/{name}{query}", kind.path(&self.namespace));
        let patch = json!({"spec": spec});
        self.request("PATCH", &path, "application/merge-patch+json", &patch)
            .await
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        content: &str,
        body: &Value,
    ) -> Result<Value, String> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content)
            .body(body.to_string().into_bytes())
            .unwrap();
        match self.client.request(request).await {
            Ok(answer) => Ok(answer),
            Err(kube::Error::Api(status)) => Err(status.message.clone()),
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }
}

/// Repeats this until it is so.
pub fn poll(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(POLL_EVERY);
    }
}
