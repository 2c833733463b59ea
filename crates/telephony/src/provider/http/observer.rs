//! What observes the requests to providers.

use std::time::Duration;

/// How a request to a provider ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome {
    /// With success.
    Ok,
    /// With 404, which answers a question as often as it is an error.
    NotFound,
    /// With another 4xx.
    Rejected,
    /// With 429.
    Throttled,
    /// With anything else.
    Failed,
    /// Without an answer that can be read, though the provider may have had the request.
    NoAnswer,
    /// Before anything was sent.
    NotSent,
}

impl RequestOutcome {
    /// Of an answer with this HTTP status.
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Ok,
            404 => Self::NotFound,
            429 => Self::Throttled,
            400..=499 => Self::Rejected,
            _ => Self::Failed,
        }
    }

    /// The word for it, as the label has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::Rejected => "rejected",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::NoAnswer => "no_answer",
            Self::NotSent => "not_sent",
        }
    }
}

/// Observes each request to a provider when the request has ended.
pub trait RequestObserver: Send + Sync {
    /// A request of `provider` for `operation` ended so, and took so long.
    fn requested(
        &self,
        provider: &'static str,
        operation: &'static str,
        outcome: RequestOutcome,
        took: Duration,
    );
}
