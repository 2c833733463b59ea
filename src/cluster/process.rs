//! What this process is started with: settings, clocks, randomness, metrics. None of it reaches Kubernetes or a provider.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::errors::is_conflict;
use crate::clock::{Clock, Instant};
use crate::number::Installation;
use crate::outcome::Timeouts;
use crate::random::Random;
use crate::server_time::ServerTime;
use crate::telemetry::metrics::{KUBERNETES_API, Metrics};

/// What the flags of the program say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespaces whose resources are looked after; empty means all.
    pub watch_namespaces: Vec<String>,
    /// Where the operator runs, and where the Secrets of ClusterProviderAccounts live.
    pub operator_namespace: String,
    /// The identity of this installation, part of every mark.
    pub installation: Installation,
    /// How often each number is looked at.
    pub interval: Duration,
    /// How long a purchase request may take.
    pub purchase_timeout: Duration,
    /// How long a purchase may stay invisible.
    pub purchase_visibility: Duration,
    /// How many resources of one account are worked on at once.
    pub concurrency: u16,
    /// The Burki origins that are allowed in addition to <https://api.burki.dev>.
    pub burki_origins: Vec<String>,
    /// Where requests for <https://api.burki.dev> go instead.
    pub burki_endpoint: Option<url::Url>,
}

/// How far the present may lie before a claim that was just made.
pub(crate) const CLOCKS_DIFFER_BY: Duration = Duration::from_secs(60);

/// What this process is started with. A clone is cheap.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The API server's time.
    pub(crate) time: ServerTime,
    pub(crate) random: Random,
    pub(crate) metrics: Metrics,
}

impl Process {
    /// Counts a reconcile of an object of this `kind` that began at `begun`. A conflict is no failure: somebody else wrote first.
    pub(crate) fn count_reconcile<T>(
        &self,
        kind: &'static str,
        begun: Instant,
        passed: &Result<T, kube::Error>,
    ) {
        self.metrics.reconciled(kind, self.clock.now().since(begun));
        if let Err(error) = passed
            && !is_conflict(error)
        {
            self.metrics.failed(kind, KUBERNETES_API.to_owned());
        }
    }

    pub(crate) fn waits(&self) -> Timeouts {
        Timeouts {
            interval: self.settings.interval,
            purchase: self.settings.purchase_timeout + crate::claim::TOKEN_LIFETIME,
            visibility: self.settings.purchase_visibility,
        }
    }

    /// What is claimed after that was made up, whatever the clocks.
    pub(super) fn claims_until(&self) -> Timestamp {
        let now = self.time.now();
        let until = now.and_then(|now| now.checked_add(CLOCKS_DIFFER_BY).ok());
        until.unwrap_or(Timestamp::MAX)
    }

    /// What was bought before that is listed by now, and what was not never was.
    pub(crate) fn unsettled_since(&self) -> Timestamp {
        let now = self.time.now();
        let since = now.and_then(|now| now.checked_sub(self.settings.purchase_visibility).ok());
        since.unwrap_or(Timestamp::MIN)
    }
}
