//! What the API server says to people: every rule of the custom resource definitions, every default, and the policies of
//! the chart. On a real control plane, with what `config/install.yaml` installs; no operator runs.

#![cfg(test)]

mod accounts;
mod cluster;
mod columns;
mod deletion;
mod manifests;
mod numbers;
mod office;
mod policy;
mod reading;
mod refusals;
mod roles;
mod row;
mod rules;
mod schema;
mod spending;
