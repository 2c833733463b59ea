//! A support bundle: what a cluster says of an installation, without Secrets, in files on this machine. What could not be read is in
//! a file too.

use std::path::PathBuf;

use clap::Args;
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Resource;
use kube::api::ListParams;
use phonenumber_api::{ClusterProviderAccount, GROUP, PhoneNumber, ProviderAccount};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cluster::{Cluster, Connection, Selection};
use super::colour::Colours;
use super::error::Error;
use super::folder::{TextFile, write_archive, write_folder};
use super::mask::{Mask, each_text};
use super::operator::{LEASE, OperatorNamespace, SELECTOR};
use super::redaction::without_secrets;
use super::{Answer, check, manifest, version};

/// The folder in the archive.
const FOLDER: &str = "phonenumbers-report";

/// The file that says what could not be read.
const ERRORS: &str = "errors.txt";

/// Where `kubectl apply` keeps what was applied last: a copy of the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The variables of the operator's own flags. Values of others are not reported.
const OWN_VARIABLES: &str = "PHONENUMBER_";

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// Where to write: a file that ends in .tar, or else a folder. Neither may exist, except an empty folder.
    #[arg(long, value_name = "PLACE")]
    out: PathBuf,

    /// Mask phone numbers: all digits but the last two.
    #[arg(long)]
    mask: bool,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    operator: OperatorNamespace,

    #[command(flatten)]
    connection: Connection,
}

/// What is gathered for the bundle.
#[derive(Default)]
struct Bundle {
    /// Files of objects.
    objects: Vec<(&'static str, Vec<Value>)>,
    /// Files of text.
    texts: Vec<(&'static str, String)>,
    /// What could not be read, a line each.
    errors: Vec<String>,
}

pub(super) async fn report(request: Request) -> Result<Answer, Error> {
    let cluster = Cluster::open(request.connection).await?;
    let namespace = &request.operator.name;
    let mut bundle = Bundle::default();
    bundle.of_people(&cluster, &request.selection).await;
    bundle.of_operator(&cluster, namespace).await;
    let versions = version::describe(&cluster, namespace).await;
    bundle.texts.push(("version.txt", versions));
    let checks = check::findings(&cluster, namespace, &request.selection, &mut bundle.errors);
    let checks = check::table_of(&checks.await, false, Colours::Off);
    bundle.texts.push(("check.txt", checks));
    let unread = bundle.errors.len();
    let files = bundle.files(request.mask)?;
    let is_archive = request.out.extension().is_some_and(|it| it == "tar");
    match is_archive {
        true => write_archive(&request.out, FOLDER, &files)?,
        false => write_folder(&request.out, &files)?,
    }
    let place = request.out.display();
    let mut notes = vec![format!("Wrote {} files to {place}.", files.len())];
    if unread > 0 {
        notes.push(format!(
            "{unread} parts could not be read: see {ERRORS} there."
        ));
    }
    Ok(Answer {
        notes,
        ..Answer::default()
    })
}

impl Bundle {
    /// What people declare, and the Events of it.
    async fn of_people(&mut self, cluster: &Cluster, selection: &Selection) {
        let here = (!selection.all_namespaces).then(|| cluster.namespace());
        let labels = || {
            let mut labels = ListParams::default();
            labels.label_selector.clone_from(&selection.selector);
            labels
        };
        self.add::<PhoneNumber>(cluster, "phonenumbers.yaml", here, labels())
            .await;
        self.add::<ProviderAccount>(cluster, "provideraccounts.yaml", here, labels())
            .await;
        let file = "clusterprovideraccounts.yaml";
        self.add::<ClusterProviderAccount>(cluster, file, None, labels())
            .await;
        let all = ListParams::default();
        self.add::<Event>(cluster, "events.yaml", here, all).await;
        if let Some((_, events)) = self.objects.last_mut() {
            events.retain(is_about_us);
        }
    }

    /// What the operator consists of.
    async fn of_operator(&mut self, cluster: &Cluster, namespace: &str) {
        let here = Some(namespace);
        let labels = || ListParams::default().labels(SELECTOR);
        self.add::<Deployment>(cluster, "deployments.yaml", here, labels())
            .await;
        self.add::<Pod>(cluster, "pods.yaml", here, labels()).await;
        let lease = ListParams::default().fields(&format!("metadata.name={LEASE}"));
        self.add::<Lease>(cluster, "leases.yaml", here, lease).await;
        self.add::<ValidatingAdmissionPolicy>(cluster, "policies.yaml", None, labels())
            .await;
        let file = "policy-bindings.yaml";
        self.add::<ValidatingAdmissionPolicyBinding>(cluster, file, None, labels())
            .await;
    }

    async fn add<K>(
        &mut self,
        cluster: &Cluster,
        file: &'static str,
        namespace: Option<&str>,
        params: ListParams,
    ) where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let found = cluster.values::<K>(namespace, params).await;
        let mut found = found.unwrap_or_else(|error| {
            self.errors.push(format!("{file}: {error}"));
            Vec::new()
        });
        found.iter_mut().for_each(clean);
        self.objects.push((file, found));
    }

    /// Every file, without what may be secret, and with masked numbers if `is_masked`.
    fn files(mut self, is_masked: bool) -> Result<Vec<TextFile>, Error> {
        let mut mask = Mask::default();
        for (_, objects) in &self.objects {
            objects.iter().for_each(|object| mask.learn(object));
        }
        let change = |text: &str| match is_masked {
            true => mask.apply(&without_secrets(text)),
            false => without_secrets(text),
        };
        let mut files = Vec::new();
        for (name, objects) in &mut self.objects {
            objects
                .iter_mut()
                .for_each(|object| each_text(object, &change));
            files.push(((*name).to_owned(), manifest::yaml(objects)?));
        }
        let errors: String = self.errors.iter().map(|line| format!("{line}\n")).collect();
        self.texts.push((ERRORS, errors));
        let texts = self.texts.iter();
        files.extend(texts.map(|(name, text)| ((*name).to_owned(), change(text))));
        Ok(files)
    }
}

/// True for an Event about one of our kinds.
fn is_about_us(event: &Value) -> bool {
    let version = event.pointer("/involvedObject/apiVersion");
    let version = version.and_then(Value::as_str).unwrap_or_default();
    version.split('/').next() == Some(GROUP)
}

/// Takes away what only the API server needs, copies of the object, and values of variables that are not the operator's.
fn clean(object: &mut Value) {
    if let Some(metadata) = object
        .pointer_mut("/metadata")
        .and_then(Value::as_object_mut)
    {
        metadata.remove("managedFields");
        let annotations = metadata.get_mut("annotations");
        if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
    }
    hide_variables(object);
}

fn hide_variables(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(hide_variables),
        Value::Object(fields) => {
            let variables = fields.get_mut("env").and_then(Value::as_array_mut);
            for variable in variables.into_iter().flatten() {
                let name = variable.get("name").and_then(Value::as_str);
                let is_own = name.is_some_and(|name| name.starts_with(OWN_VARIABLES));
                if let Some(value) = variable.get_mut("value").filter(|_| !is_own) {
                    *value = Value::from("<not reported>");
                }
            }
            fields.values_mut().for_each(hide_variables);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_secret_is_left_in_an_object() {
        let applied = "{\"spec\": \"fake-secret\"}";
        let mut object = json!({
            "metadata": {"managedFields": [{}], "annotations": {LAST_APPLIED: applied, "a": "b"}},
            "spec": {"template": {"spec": {"containers": [{"env": [
                {"name": "HTTPS_PROXY", "value": "http://user:fake-secret@proxy"},
                {"name": "TOKEN", "value": "fake-secret"},
                {"name": "PHONENUMBER_LISTEN", "value": "0.0.0.0:8080"},
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}]}}}});
        clean(&mut object);
        let text = object.to_string();
        assert!(
            !text.contains("fake-secret") && !text.contains("managedFields"),
            "{text}"
        );
        for kept in ["0.0.0.0:8080", "metadata.name", "\"a\":\"b\""] {
            assert!(text.contains(kept), "{text}");
        }
    }

    #[test]
    fn files_show_no_secret_of_a_url_and_masked_numbers_in_every_text() {
        let number = json!({"metadata": {"name": "us-local-12125550123"},
            "spec": {"phoneNumber": "+12125550123", "webhooks": {"voiceUrl": "https://v.example.com/?token=fake-secret"}}});
        let bundle = || Bundle {
            objects: vec![("phonenumbers.yaml", vec![number.clone()])],
            texts: vec![("check.txt", "number +12125550123".to_owned())],
            errors: vec!["pods.yaml: no".to_owned()],
        };
        let whole = |masked| {
            let files = bundle().files(masked).unwrap();
            let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["phonenumbers.yaml", "check.txt", "errors.txt"]);
            files.into_iter().map(|(_, text)| text).collect::<String>()
        };
        let plain = whole(false);
        assert!(plain.contains("+12125550123") && plain.contains("pods.yaml: no"));
        assert!(!plain.contains("fake-secret"), "{plain}");
        let masked = whole(true);
        assert!(
            !masked.contains("2125550123") && masked.contains("us-local-*********23"),
            "{masked}"
        );
    }

    #[test]
    fn events_of_other_kinds_are_left_out() {
        let event = |version: &str| json!({"involvedObject": {"apiVersion": version}});
        assert!(is_about_us(&event("telephony.burki.dev/v1alpha1")));
        assert!(!is_about_us(&event("v1")) && !is_about_us(&json!({})));
    }
}
