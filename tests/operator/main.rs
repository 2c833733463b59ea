//! The operator on a real control plane, against an emulated phone company: processes, RBAC and sockets as in production.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod accounts;
mod adoption;
mod audit;
mod cluster;
mod deletion;
mod drift;
mod limits;
mod main_job;
mod pictures;
mod prices;
mod prometheus;
mod reasons;
mod replicas;
mod search;
mod secrets;
mod signals;
mod told;
mod traces;
mod trust;
mod upgrade;
