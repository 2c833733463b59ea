//! The audit line of every write: for which object, what was written, the reason, to which id, at what cost, and the outcome.
//!
//! Object and reason are known far above the request, so they travel with the task: see [`with_audit_context`].

use std::sync::Arc;

tokio::task_local! {
    static CONTEXT: Arc<AuditContext>;
}

/// The object and the reason of the writes of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditContext {
    /// `namespace/name` of the object, with its kind if it is an account.
    pub object: String,
    /// Its generation.
    pub generation: i64,
    /// The reason of the write, in words.
    pub reason: String,
    /// What is paid from now on, or no longer, as far as that is known.
    pub cost: Option<String>,
}

/// Runs `work`. The audit lines of its writes have this `context`, unless a part of it sets another.
pub async fn with_audit_context<T>(context: AuditContext, work: impl Future<Output = T>) -> T {
    CONTEXT.scope(Arc::new(context), work).await
}

/// Writes its line when it goes, so that no way out forgets it.
pub(super) struct Audit<'a> {
    pub(super) provider: &'static str,
    pub(super) operation: &'static str,
    pub(super) subject: &'a str,
    pub(super) outcome: String,
    /// The id that the answer gives to what was created.
    pub(super) id: Option<String>,
    pub(super) request_id: Option<String>,
    context: Arc<AuditContext>,
}

impl<'a> Audit<'a> {
    /// The line of a write that is about to be sent.
    pub(super) fn new(provider: &'static str, operation: &'static str, subject: &'a str) -> Self {
        Self {
            provider,
            operation,
            subject,
            outcome: "given up before an answer came".into(),
            id: None,
            request_id: None,
            context: CONTEXT.try_with(Arc::clone).unwrap_or_default(),
        }
    }
}

impl Drop for Audit<'_> {
    fn drop(&mut self) {
        let AuditContext {
            object,
            generation,
            reason,
            cost,
        } = self.context.as_ref();
        tracing::info!(
            target: "audit",
            object,
            generation,
            provider = self.provider,
            operation = self.operation,
            subject = self.subject,
            reason,
            id = self.id,
            cost,
            outcome = self.outcome,
            request_id = self.request_id,
            "provider write"
        );
    }
}
