//! The flags of the commands that ask a provider: which cluster, where the providers are, and how the answer is printed.

use clap::{Args, ValueEnum};
use serde_json::Value;
use telephony::account::Endpoints;
use telephony::endpoints::EndpointOptions;

use super::cluster::Connection;
use super::error::Error;
use super::manifest;

/// How accounts are reached, and how the answer is printed.
#[derive(Args, Debug)]
pub(super) struct Scope {
    /// How to print: a table with more columns, manifests, or the names of the manifests. Default: a table.
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) output: Option<Output>,

    /// Print tables without headings.
    #[arg(long)]
    pub(super) no_headers: bool,

    #[command(flatten)]
    pub(super) reach: Reach,
}

/// How the cluster and the providers are reached.
#[derive(Args, Clone, Debug)]
pub(super) struct Reach {
    /// The namespace of the operator, where the Secrets of ClusterProviderAccounts are.
    #[arg(
        long,
        env = "PHONENUMBER_OPERATOR_NAMESPACE",
        default_value = "phonenumber-operator-system",
        value_name = "NAMESPACE"
    )]
    pub(super) operator_namespace: String,

    #[command(flatten)]
    endpoints: EndpointOptions,

    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Wide,
    Yaml,
    Json,
    Name,
}

/// What is printed: a table, or manifests in some way.
pub(super) enum Form {
    Table,
    Manifests(fn(&[Value]) -> Result<String, Error>),
}

impl Output {
    pub(super) fn form(self) -> Form {
        match self {
            Self::Wide => Form::Table,
            Self::Yaml => Form::Manifests(manifest::yaml),
            Self::Json => Form::Manifests(manifest::list),
            Self::Name => Form::Manifests(manifest::resource_names),
        }
    }
}

impl Reach {
    /// Where the providers are.
    pub(super) fn endpoints(&self) -> Result<Endpoints, Error> {
        let endpoints = self.endpoints.endpoints();
        let (endpoints, _) = endpoints.map_err(|error| Error::Flag(error.to_string()))?;
        Ok(endpoints)
    }
}
