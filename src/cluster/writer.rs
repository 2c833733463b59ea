//! What writes to Kubernetes.

use kube::Client;

use super::events::Events;

/// What a function takes that writes to Kubernetes. The count of an hour is written by [`super::quota::HourlyQuotas`].
pub(crate) struct Writer {
    /// Repeats nothing, and gives up after seconds.
    pub(crate) client: Client,
    pub(crate) events: Events,
}
