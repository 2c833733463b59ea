//! The chart on a real API server: what it installs is accepted, upgraded, rolled back and uninstalled; who may do what; and
//! what happens to numbers meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "../support/control_plane.rs"]
mod control_plane;
#[path = "../support/emulator.rs"]
mod emulator;
mod gitops;
#[path = "../support/helm.rs"]
mod helm;
mod lifecycle;
mod moves;
mod office;
mod people;
mod release;
mod rights;
