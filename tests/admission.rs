//! What the API server says to people: every rule of the custom resource definitions, every default, and the policies of
//! the chart. On a real control plane, with what `config/install.yaml` installs; no operator runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "admission/accounts.rs"]
mod accounts;
#[path = "admission/cluster.rs"]
mod cluster;
#[path = "admission/deletion.rs"]
mod deletion;
#[path = "admission/manifests.rs"]
mod manifests;
#[path = "admission/numbers.rs"]
mod numbers;
#[path = "admission/policy.rs"]
mod policy;
#[path = "admission/reading.rs"]
mod reading;
#[path = "admission/row.rs"]
mod row;
#[path = "admission/rules.rs"]
mod rules;
#[path = "admission/schema.rs"]
mod schema;
#[path = "admission/spending.rs"]
mod spending;
