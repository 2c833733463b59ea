//! What an installation of the operator has in a cluster, by the names that its chart gives.

use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use phonenumber_api::GROUP;

use super::cluster::Cluster;
use super::error::Error;

/// What the chart labels its objects with.
pub(super) const SELECTOR: &str = "app.kubernetes.io/name=phonenumber-operator";

/// The name of the Lease, and of the Deployment.
pub(super) const LEASE: &str = "phonenumber-operator";

/// The plurals of the kinds, in the order of the definitions.
pub(super) const KINDS: &[&str] = &[
    "phonenumbers",
    "provideraccounts",
    "clusterprovideraccounts",
];

/// Where the operator runs.
#[derive(Args, Clone, Debug)]
pub(super) struct OperatorNamespace {
    /// The namespace of the operator.
    #[arg(
        id = "operator_namespace",
        long = "operator-namespace",
        env = "PHONENUMBER_OPERATOR_NAMESPACE",
        default_value = "phonenumber-operator-system",
        value_name = "NAMESPACE"
    )]
    pub(super) name: String,
}

/// Each kind with its definition in the cluster; `None` where it has none.
pub(super) async fn definitions(
    cluster: &Cluster,
) -> Vec<(
    &'static str,
    Result<Option<CustomResourceDefinition>, Error>,
)> {
    let mut found = Vec::new();
    for kind in KINDS {
        let name = format!("{kind}.{GROUP}");
        found.push((*kind, cluster.find(None, &name).await));
    }
    found
}
