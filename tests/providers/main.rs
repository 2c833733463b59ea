//! Both phone companies over real sockets: what goes out, what is made of what comes back, and what never goes out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod listener;
mod setup;
mod wire;
