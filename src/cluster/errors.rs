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

#[cfg(test)]
pub(super) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use kube::Client;
    use kube::client::Body;

    use super::*;

    /// An API server that answers nothing for ten seconds, and cuts the connection then. `asked` counts its requests.
    pub(crate) fn hanging(asked: &Arc<AtomicUsize>) -> Client {
        let requests = Arc::clone(asked);
        let service = tower::service_fn(move |_: http::Request<Body>| {
            requests.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Err::<http::Response<Body>, _>(std::io::Error::other("cut off"))
            }
        });
        Client::new(service, "default")
    }
}
