//! A namespace with a person, and the operator's token, for the policies.

use std::path::PathBuf;

use serde_json::{Value, json};
use test_support::command::Printed;
use test_support::control_plane::client_for;
use test_support::kubectl::OPERATOR_NAMESPACE;

use crate::cluster::{Cluster, poll};
use crate::manifests::{Kind, least};

/// A namespace with a person who may edit numbers and accounts, and the operator's own token.
pub struct Office {
    pub cluster: Cluster,
    editor: PathBuf,
    operator: PathBuf,
}

impl Office {
    pub async fn new(name: &str) -> Self {
        let cluster = Cluster::new(name).await;
        let namespace = cluster.namespace.clone();
        let resources = "--resource=phonenumbers.telephony.burki.dev,phonenumbers.telephony.burki.dev/status,provideraccounts.telephony.burki.dev";
        let account = format!("--serviceaccount={namespace}:editor");
        for arguments in [
            &["create", "serviceaccount", "editor"][..],
            &["create", "role", "editor", "--verb=*", resources],
            &["create", "rolebinding", "editor", "--role=editor", &account],
        ] {
            cluster.kubectl(arguments).unwrap();
        }
        let plane = cluster.plane;
        let operator = plane
            .kubeconfig_for_service_account(OPERATOR_NAMESPACE, "phonenumber-operator")
            .await
            .unwrap();
        let editor = plane
            .kubeconfig_for_service_account(&namespace, "editor")
            .await
            .unwrap();
        let office = Self {
            cluster,
            editor,
            operator,
        };
        office.await_policy();
        office
    }

    /// A policy takes effect a moment after it was installed.
    fn await_policy(&self) {
        self.restore(&held("probe"));
        let remove = [
            "annotate",
            "pn",
            "probe",
            "telephony.burki.dev/claim-",
            "--dry-run=server",
        ];
        poll("the policy", || self.as_editor(&remove, None).is_err());
    }

    pub fn as_editor(&self, arguments: &[&str], manifest: Option<&Value>) -> Printed {
        let manifest = manifest.map(Value::to_string);
        self.cluster
            .kubectl_of(Some(&self.editor), arguments, manifest.as_deref())
    }

    pub fn as_operator(&self, arguments: &[&str]) -> Printed {
        self.cluster
            .kubectl_of(Some(&self.operator), arguments, None)
    }

    /// One request, as the operator sends it: kubectl would read the object first, for which it has no right.
    pub async fn patch_as_operator(&self, kind: Kind, name: &str, patch: &str) -> Printed {
        let path = format!("{}/{name}", kind.path(&self.cluster.namespace));
        let request = http::Request::patch(path)
            .header("content-type", "application/merge-patch+json")
            .body(patch.as_bytes().to_vec())
            .unwrap();
        let client = client_for(&self.operator).await.unwrap();
        match client.request_text(request).await {
            Ok(text) => Ok(text),
            Err(kube::Error::Api(status)) => Err(status.message.clone()),
            Err(error) => panic!("{error}"),
        }
    }

    /// As a restore from backup does, by somebody who is not the operator.
    pub fn restore(&self, manifest: &Value) {
        self.as_editor(&["create", "-f", "-"], Some(manifest))
            .unwrap();
    }

    /// The claim and the finalizers of a number.
    pub fn kept(&self, name: &str) -> (Value, Value) {
        let metadata = &self.cluster.get(Kind::PhoneNumber, name)["metadata"];
        (
            metadata["annotations"]["telephony.burki.dev/claim"].clone(),
            metadata["finalizers"].clone(),
        )
    }

    pub fn is_gone(&self, name: &str) -> bool {
        let arguments = ["get", "pn", name, "--ignore-not-found", "-o", "name"];
        self.cluster.kubectl(&arguments).unwrap().is_empty()
    }
}

pub fn plain(name: &str) -> Value {
    least(Kind::PhoneNumber, "twilio", name)
}

/// A number that the operator has claimed.
pub fn held(name: &str) -> Value {
    let mut manifest = plain(name);
    manifest["metadata"]["annotations"] = json!({"telephony.burki.dev/claim": "{}"});
    manifest["metadata"]["finalizers"] = json!(["telephony.burki.dev/release"]);
    manifest
}
