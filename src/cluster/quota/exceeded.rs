//! What is counted in an hour, and why no more may be done in this one.

use std::time::Duration;

use jiff::Timestamp;

use super::OBJECT;
use crate::number::AccountId;
use crate::outcome::clock_time;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum QuotaKind {
    /// A purchase.
    Purchase,
    /// A number that is taken over.
    Adoption,
    /// A release.
    Release,
}

impl QuotaKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Purchase => "purchases",
            Self::Adoption => "adoptions",
            Self::Release => "releases",
        }
    }
}

/// Why no more may be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QuotaExceeded {
    /// As many were done in the last 60 minutes as may be.
    Used {
        /// How many.
        used: i64,
        /// How long until one more may be done.
        again: Duration,
    },
    /// The count with this key cannot be read, so it may be anything.
    Unreadable(String),
}

impl QuotaExceeded {
    /// What a person should know, and when to try again. The time in the text stays the same while a resource waits. An unreadable
    /// count is read again after each `interval`.
    pub(crate) fn message(
        &self,
        account: &AccountId,
        deed: QuotaKind,
        limit: i64,
        now: Timestamp,
        interval: Duration,
    ) -> (String, Duration) {
        let (done, field) = match deed {
            QuotaKind::Purchase => ("bought", "spec.limits.purchasesPerHour"),
            QuotaKind::Adoption => ("taken over", "spec.limits.purchasesPerHour"),
            QuotaKind::Release => ("released", "spec.limits.releasesPerHour"),
        };
        match self {
            Self::Used { used, again } => {
                let message = format!(
                    "{used} numbers were {done} in the last 60 minutes in account {account}, and {limit} may be \
                     ({field}). The next may be {done} at {}.",
                    clock_time(now, *again)
                );
                (message, *again)
            }
            Self::Unreadable(key) => {
                let message = format!(
                    "The operator cannot read how many numbers were {done} in the last 60 minutes in account \
                     {account}: the entry {key} of ConfigMap {OBJECT} in the operator's namespace is not as the operator \
                     writes it. No number is {done} in this account ({field}). Remove that entry; counting then begins \
                     at zero."
                );
                (message, interval)
            }
        }
    }
}
