//! When something is done with a number or an account: the watches, the queues and the pauses. [`Reconciler`] makes reconciles,
//! [`run`] drives it by kube's watches and queues.

mod collector;
mod pulse;
mod queues;
pub(crate) mod reconciler;
mod schedule;
mod setbacks;
mod standby;

use std::sync::Arc;

use crate::account::{Accounts, Directory};
use crate::clock::Clock;
use crate::random::Random;
use crate::server_time::Clients;
use crate::telemetry::Heartbeat;
use crate::telemetry::metrics::Metrics;

pub use crate::cluster::caches::Caches;
pub use crate::cluster::process::Settings;
pub use crate::cluster::requeuer::Requeuer;
pub use crate::outcome::RequeueAfter;
pub use queues::{
    ACCOUNT_DEBOUNCE, Ended, MOST_PASSES, account_triggers, cached, number_triggers, run,
};
pub use reconciler::{REREAD_AFTER, Reconciler};

/// What the controllers are made of.
pub struct Parts {
    /// What the flags say.
    pub settings: Settings,
    /// The clock of all limits.
    pub clock: Arc<dyn Clock>,
    /// What nonces and jitter are drawn from.
    pub random: Random,
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
