//! The line that every write leaves: who wanted it, what was written, why, to which id, at what cost, and what came of it.
//!
//! Who and why are known far above the request, so they travel with the task: whoever starts writes says [`because`].

use std::sync::Arc;

tokio::task_local! {
    static CAUSE: Arc<Cause>;
}

/// What a provider is written to for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// `namespace/name` of the resource.
    pub who: String,
    /// Its generation.
    pub generation: i64,
    /// Why it is written.
    pub why: String,
    /// What is paid from now on, or no longer, as far as that is known.
    pub cost: Option<String>,
}

/// Runs `work`, whose writes have this `cause`, unless something within says another.
pub async fn because<T>(cause: Cause, work: impl Future<Output = T>) -> T {
    CAUSE.scope(Arc::new(cause), work).await
}

/// Writes its line when it goes, so that no way out forgets it.
pub(super) struct Audit<'a> {
    pub(super) company: &'static str,
    pub(super) operation: &'static str,
    pub(super) subject: &'a str,
    pub(super) outcome: String,
    /// The id that the answer gives to what was created.
    pub(super) id: Option<String>,
    pub(super) request_id: Option<String>,
    cause: Arc<Cause>,
}

impl<'a> Audit<'a> {
    /// The line of a write that is about to be sent.
    pub(super) fn new(company: &'static str, operation: &'static str, subject: &'a str) -> Self {
        Self {
            company,
            operation,
            subject,
            outcome: "given up before an answer came".into(),
            id: None,
            request_id: None,
            cause: CAUSE.try_with(Arc::clone).unwrap_or_default(),
        }
    }
}

impl Drop for Audit<'_> {
    fn drop(&mut self) {
        let Cause {
            who,
            generation,
            why,
            cost,
        } = self.cause.as_ref();
        tracing::info!(
            target: "audit",
            who,
            generation,
            company = self.company,
            operation = self.operation,
            subject = self.subject,
            why,
            id = self.id,
            cost,
            outcome = self.outcome,
            request_id = self.request_id,
            "provider write"
        );
    }
}
