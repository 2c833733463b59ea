//! The kubectl plugin on a real control plane, found and run by kubectl itself, against an emulated phone company.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod adopting;
mod errors;
mod orphans;
mod plugin;
