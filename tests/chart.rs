//! What the chart renders, and the files that are made from it: `config/install.yaml` and its README.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "chart/pod.rs"]
mod pod;
#[path = "chart/rendering.rs"]
mod rendering;
#[path = "chart/signals.rs"]
mod signals;
#[path = "chart/values.rs"]
mod values;
