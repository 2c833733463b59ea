//! The name, kind, labels and help of each metric: the only place that knows them. docs/reference/metrics.md is made from it.

use std::borrow::Cow;

/// The labels of one series, in the order of its description.
pub(super) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, and begins at nothing with each process.
    Counter,
    /// What is now.
    Gauge,
    /// How often something took at most so long.
    Histogram,
}

/// A metric as Prometheus shows it. Units stand in the name.
#[derive(Debug)]
pub struct Description {
    /// The whole name; of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells, without a full stop.
    pub help: &'static str,
}

impl Description {
    /// The name under which it is registered: the encoder appends what a kind's name must end with.
    pub(super) fn base(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }

    /// The series with these values of its labels.
    pub(super) fn with<const N: usize>(&self, values: [Cow<'static, str>; N]) -> Labels {
        debug_assert_eq!(self.labels.len(), N, "{}", self.name);
        self.labels.iter().copied().zip(values).collect()
    }
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal $labels:tt $help:literal;)*) => {
        $(
            pub(super) const $constant: Description = Description {
                name: $name,
                kind: Kind::$kind,
                labels: &$labels,
                help: $help,
            };
        )*

        /// Every metric, money first.
        pub const ALL: &[&Description] = &[$(&$constant),*];
    };
}

metrics! {
    MONTHLY_COST: Gauge "phonenumber_monthly_cost" ["account", "currency"]
        "What the numbers that PhoneNumbers hold cost each month, as far as prices are known, in units of the currency";
    BALANCE: Gauge "phonenumber_account_balance" ["account", "currency"]
        "What the account has left to spend at the provider, credit included at Telnyx, in units of the currency; none if it does not tell";
    BALANCE_WARNING: Gauge "phonenumber_account_balance_warning" ["account", "currency"]
        "spec.balance.warnBelow of the account, in units of the currency";
    PURCHASES: Counter "phonenumber_purchases_total" ["account", "outcome"]
        "Purchases that were tried: bought, ordered, rejected, refused, not_sent or unknown";
    RELEASES: Counter "phonenumber_releases_total" ["account", "outcome"]
        "Releases that were tried: confirmed, absent (it was gone already), refused or failed";
    UNKNOWN_OUTCOMES: Gauge "phonenumber_unknown_outcomes_open" ["account"]
        "Claimed numbers of which it is not known whether they were bought";
    UNKNOWN_OUTCOME_AGE: Gauge "phonenumber_unknown_outcome_age_seconds" ["account"]
        "Time since the first attempt at that of these numbers that was tried first; 0 if there is none";
    LIMIT: Gauge "phonenumber_limit" ["account", "limit"]
        "What spec.limits of the account allows, the lowest where several accounts open one; monthly cost in units of its currency";
    LIMIT_REMAINING: Gauge "phonenumber_limit_remaining" ["account", "limit"]
        "How much of a limit is left: of purchasesPerHour and releasesPerHour in the last 60 minutes";
    NUMBERS: Gauge "phonenumber_numbers" ["account", "state", "reason"]
        "PhoneNumbers by state (ready, working, waiting, stalled, suspended or deleting) and reason";
    INVENTORY: Gauge "phonenumber_inventory_numbers" ["account", "mark"]
        "Numbers in the account at the provider: managed, unmanaged (no mark), orphaned (our mark and no PhoneNumber) or foreign (the mark of another installation)";
    DRIFT: Counter "phonenumber_drift_total" ["field"]
        "Settings of verified numbers that somebody else had changed and that were set back";
    ACCOUNT_READY: Gauge "phonenumber_account_ready" ["account", "reason"]
        "1 if the account is Ready, 0 if not, with its reason";
    INVENTORY_AGE: Gauge "phonenumber_inventory_age_seconds" ["account"]
        "Time since the account's numbers were last listed at the provider, or since this replica leads";
    PROVIDER_REQUESTS: Counter "phonenumber_provider_requests_total" ["provider", "operation", "outcome"]
        "Requests to twilio, telnyx and burki: ok, not_found, rejected, throttled, failed, no_answer or not_sent";
    PROVIDER_REQUEST_DURATION: Histogram "phonenumber_provider_request_duration_seconds" ["provider", "operation"]
        "How long requests to providers took, to the end of the answer";
    RECONCILE_DURATION: Histogram "phonenumber_reconcile_duration_seconds" ["kind"]
        "How long reconciles of an object took, waits for the account's requests included";
    RECONCILE_FAILURES: Counter "phonenumber_reconcile_failures_total" ["kind", "reason"]
        "Reconciles that ended with a reason that asks for a person or for the provider, or with KubernetesApi";
    INTERNAL_ERRORS: Counter "phonenumber_internal_errors_total" ["kind", "cause"]
        "Faults of the operator itself: reconciles of an object, or rounds of a loop (kind loop), that panicked or broke a rule (invariant)";
    OBJECTS_FAILING: Gauge "phonenumber_objects_failing" ["kind"]
        "Objects whose last reconcile the API server failed; each is tried again after a pause that grows to 5 minutes";
    DEFINITION_LACKS: Gauge "phonenumber_definition_fields_missing" []
        "Fields of our kinds that this version knows and that the installed definitions drop, because they are older";
    WATCH_SILENCE: Gauge "phonenumber_watch_silence_seconds" ["kind", "scope"]
        "Time since a watch last heard anything of the API server, normally less than a minute; scope is the watched namespace, or empty";
    LEADER: Gauge "phonenumber_leader" []
        "1 on the replica that leads, 0 on one that waits; only the leader shows figures of accounts";
    BUILD_INFO: Gauge "phonenumber_build_info" ["version"]
        "Always 1; the label tells which version runs";
}
