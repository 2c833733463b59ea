//! A Kubernetes operator that buys, configures and releases phone numbers from `PhoneNumber` manifests.
//!
//! What is true of numbers and their providers, whatever holds them, is the crate [`telephony`]. The custom resources are the
//! crate [`phonenumber_api`]. Here is what the operator does with them.
//!
//! | module | its one thing |
//! |---|---|
//! | `outcome` | what a reconcile of a number begins and ends with |
//! | `cluster` | what Kubernetes holds, as far as this process knows, and what writes there |
//! | `reconcile` | what is done with a number, and with an account |
//! | [`controller`] | when it is done |
//! | [`leader`] | the Lease |
//! | [`server_time`] | the API server's clock, and clients that tell it |
//! | [`telemetry`] | logs, metrics, traces and health |
//! | `program` | the operator put together; on Linux alone |

mod cluster;
pub mod controller;
pub mod leader;
mod outcome;
#[cfg(target_os = "linux")]
pub mod program;
mod reconcile;
pub mod server_time;
pub mod telemetry;

pub use phonenumber_api as api;
pub use telephony::{
    account, burki, claim, clock, endpoints, flight, number, panics, provider, random, safeguards,
    shown,
};
