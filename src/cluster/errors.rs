//! What errors of the API server mean, and how many share one.

use std::sync::Arc;

/// Somebody else wrote first, which is no failure of anything.
pub(crate) fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 || status.code == 404)
}

/// The error that many share who waited for one request.
pub(super) fn shared_error(error: Arc<kube::Error>) -> kube::Error {
    match error.as_ref() {
        kube::Error::Api(status) => kube::Error::Api(status.clone()),
        _ => kube::Error::Service(Box::new(error)),
    }
}
