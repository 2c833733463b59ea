//! A Kubernetes operator that buys, configures and releases phone numbers from `PhoneNumber` manifests.
//!
//! | module | its one thing |
//! |---|---|
//! | [`api`] | the custom resources |
//! | [`number`] | values that every layer shares |
//! | [`claim`] | what is stored before money is spent |
//! | [`clock`] | the clock that safety limits are measured by |
//! | [`chance`] | randomness, as a value |
//! | [`provider`] | what a provider can do, and its two adapters |
//! | [`burki`] | the assistant directory |
//! | [`account`] | provider accounts at run time |
//! | [`controller`] | what is done with a number, and with an account |
//! | [`leader`] | the Lease |
//! | [`sabotage`] | safeguards that a test can take out |
//! | [`server_time`] | the API server's clock, and clients that tell it |
//! | [`shown`] | what of a text from outside may be shown |
//! | `endpoints` | the flags that divert requests to an emulator |
//! | `flight` | one question at a time, whose answer all share who wait |
//! | [`panics`] | what is logged of a panic, and how far it goes |
//! | [`telemetry`] | logs, metrics, traces and health |
//! | `program` | the operator put together; on Linux alone |
//! | [`cli`] | the kubectl plugin |

pub mod account;
pub mod api;
pub mod burki;
pub mod chance;
pub mod claim;
pub mod cli;
pub mod clock;
pub mod controller;
mod endpoints;
mod flight;
pub mod leader;
pub mod number;
pub mod panics;
#[cfg(target_os = "linux")]
pub mod program;
pub mod provider;
pub mod sabotage;
pub mod server_time;
pub mod shown;
pub mod telemetry;
