//! What the chart renders, and the files that are made from it: `config/install.yaml` and its README.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod pod;
mod rendering;
mod signals;
mod values;
