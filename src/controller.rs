//! The controllers: what is done with a number, and with an account.
//!
//! A pass over a number is `resolve -> (plan -> perform)* -> report`; `plan` decides, the others do not. [`Reconciler`]
//! makes passes, [`run`] drives it by kube's watches and queues.

mod account;
mod any_account;
mod audit;
mod caches;
mod checks;
mod cluster;
mod collector;
mod conditions;
mod crd_guard;
mod errors;
mod events;
mod fault;
mod index;
mod inspect;
mod limits;
mod number;
mod observations;
mod openings;
mod perform;
pub(crate) mod plan;
mod process;
mod providers;
mod pulse;
mod purchasers;
mod queues;
mod quota;
mod reconciler;
mod report;
mod requeuer;
mod resolve;
mod rivals;
mod schedule;
mod secrets;
mod setbacks;
mod slots;
mod standby;
mod state;
mod webhooks;
mod writer;

use std::sync::Arc;

use crate::account::{Accounts, Directory};
use crate::chance::Chance;
use crate::clock::Clock;
use crate::server_time::Clients;
use crate::telemetry::Heartbeat;
use crate::telemetry::metrics::Metrics;

pub use crate::pass::RequeueAfter;
pub use caches::Caches;
pub use process::Settings;
pub use queues::{
    ACCOUNT_DEBOUNCE, Ended, MOST_PASSES, account_triggers, cached, number_triggers, run,
};
pub use reconciler::{REREAD_AFTER, Reconciler};
pub use requeuer::Requeuer;

/// What the controllers are made of.
pub struct Parts {
    /// What the flags say.
    pub settings: Settings,
    /// The clock of all limits.
    pub clock: Arc<dyn Clock>,
    /// What nonces and jitter are drawn from.
    pub chance: Chance,
    /// The API server.
    pub clients: Clients,
    /// The providers.
    pub accounts: Accounts,
    /// The assistant directory.
    pub directory: Directory,
    /// Beats while the controllers move.
    pub heartbeat: Heartbeat,
    /// What is counted and measured.
    pub metrics: Metrics,
}
