//! The election: on a simulated API server that loses and delays whatever it can, in simulated time, and on a real one.

#![cfg(test)]

mod real;
mod server;
mod simulated;

use std::time::Duration;

/// The name of the Lease.
const NAME: &str = "operator";

/// How long a takeover may take that need not wait for the Lease to run out: two looks, and a machine that compiles.
const AT_ONCE: Duration = Duration::from_secs(5);
