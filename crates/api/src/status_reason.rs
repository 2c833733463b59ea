//! What a condition says: a reason, and a sentence for people.

use super::Reason;

/// Why a resource is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReason {
    /// The stable reason.
    pub reason: Reason,
    /// The cause and the next step.
    pub message: String,
}

impl StatusReason {
    /// This reason and message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}
