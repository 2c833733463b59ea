//! The versions of the plugin, of the definitions in the cluster, and of the operator there, as far as they may be read.

use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt;
use kube::api::ListParams;

use super::Answer;
use super::cluster::{Cluster, Connection};
use super::description::Description;
use super::error::Error;
use super::operator::{self, OperatorNamespace};
use super::status::unreadable;
use super::table::{NONE, shown};

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// Ask no cluster: the version of the plugin alone.
    #[arg(long)]
    client: bool,

    #[command(flatten)]
    operator: OperatorNamespace,

    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn version(request: Request) -> Result<Answer, Error> {
    let output = match request.client {
        true => of_plugin().text(),
        false => match Cluster::open(request.connection).await {
            Ok(cluster) => describe(&cluster, &request.operator.name).await,
            Err(error) => {
                let mut text = of_plugin();
                text.field("Cluster", unreadable(&error));
                text.text()
            }
        },
    };
    Ok(Answer {
        output,
        ..Answer::default()
    })
}

/// The versions of the plugin and of what is in the cluster, where the operator is in `namespace`.
pub(super) async fn describe(cluster: &Cluster, namespace: &str) -> String {
    let mut text = of_plugin();
    of_cluster(cluster, namespace, &mut text).await;
    text.text()
}

fn of_plugin() -> Description {
    let mut text = Description::default();
    text.field("Plugin", env!("CARGO_PKG_VERSION"));
    text
}

async fn of_cluster(cluster: &Cluster, namespace: &str, text: &mut Description) {
    let definitions = operator::definitions(cluster).await;
    let definitions = definitions
        .into_iter()
        .map(|(name, found)| (name, found.map_or_else(|error| unreadable(&error), served)));
    text.section("Definitions", definitions.collect());
    let mut notes = Vec::new();
    let selector = ListParams::default().labels(operator::SELECTOR);
    let found = cluster.list_in(Some(namespace), selector, &mut notes).await;
    let operator = found.map_or_else(
        |error| unreadable(&error),
        |found: Vec<Deployment>| images(&found),
    );
    text.field("Operator", operator);
    let lease: Result<Option<Lease>, Error> = cluster.find(Some(namespace), operator::LEASE).await;
    let leader = lease.map_or_else(|error| unreadable(&error), |lease| holder(lease.as_ref()));
    text.field("Leader", leader);
}

/// The versions of a definition that are served.
fn served(definition: Option<CustomResourceDefinition>) -> String {
    let Some(definition) = definition else {
        return NONE.to_owned();
    };
    let versions = definition.spec.versions.iter().filter(|it| it.served);
    let versions: Vec<&str> = versions.map(|it| it.name.as_str()).collect();
    shown(&versions.join(", "))
}

/// The images that operators run, with how many replicas are ready.
fn images(found: &[Deployment]) -> String {
    let one = |found: &Deployment| {
        let pod = found.spec.template.spec.as_ref();
        let containers = pod.map_or(&[][..], |pod| &pod.containers);
        let images: Vec<&str> = containers
            .iter()
            .filter_map(|it| it.image.as_deref())
            .collect();
        let ready = found.status.as_ref().and_then(|it| it.ready_replicas);
        let wanted = found.spec.replicas.unwrap_or(1);
        let ready = ready.unwrap_or_default();
        shown(&format!(
            "{} in Deployment {}, {ready} of {wanted} ready",
            images.join(", "),
            found.name_any()
        ))
    };
    let all: Vec<String> = found.iter().map(one).collect();
    match all.is_empty() {
        true => NONE.to_owned(),
        false => all.join("; "),
    }
}

/// The replica that holds the Lease.
fn holder(lease: Option<&Lease>) -> String {
    let spec = lease.and_then(|lease| lease.spec.as_ref());
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
    shown(holder.unwrap_or_default())
}
