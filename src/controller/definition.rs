//! Whether the definition of PhoneNumbers is being deleted, which deletes every PhoneNumber: nobody meant to release them.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};

use crate::api::GROUP;
use crate::clock::Clock;
use crate::flight::Flight;

/// What the API server says of the definition. Many that ask at once share an answer, but nobody gets one that was asked
/// for before they asked: the definition is marked as deleted before any PhoneNumber is.
pub(super) struct Definition {
    api: Api<CustomResourceDefinition>,
    answers: Flight<Result<bool, Arc<kube::Error>>>,
}

impl Definition {
    pub(super) fn new(client: Client) -> Self {
        Self {
            api: Api::all(client),
            answers: Flight::default(),
        }
    }

    /// True while the definition is being deleted.
    ///
    /// # Errors
    /// Those of the API server, except where the operator may not look at definitions (watching single namespaces).
    pub(super) async fn is_deleted(&self, clock: &dyn Clock) -> Result<bool, kube::Error> {
        let ask = |_| async { self.ask().await.map_err(Arc::new) };
        let answer = self.answers.after_now(clock, ask).await;
        answer.map_err(|error| match error.as_ref() {
            kube::Error::Api(status) => kube::Error::Api(status.clone()),
            _ => kube::Error::Service(Box::new(error)),
        })
    }

    async fn ask(&self) -> Result<bool, kube::Error> {
        let name = format!("phonenumbers.{GROUP}");
        match self.api.get_metadata_opt(&name).await {
            Ok(definition) => Ok(definition
                .is_none_or(|definition| definition.metadata.deletion_timestamp.is_some())),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::warn!(
                    "may not read the definition of PhoneNumbers: its deletion would release every number"
                );
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootClock;
    use kube::client::Body;
    use serde_json::json;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// An API server that takes a while, and whose definition is deleted from the third request on.
    fn server(asked: Arc<AtomicUsize>) -> Client {
        let service = tower::service_fn(move |_: http::Request<Body>| {
            let times = asked.fetch_add(1, Ordering::Relaxed) + 1;
            async move {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut metadata = json!({"name": "phonenumbers.telephony.burki.dev"});
                if times >= 3 {
                    metadata["deletionTimestamp"] = json!("2026-11-24T10:00:00Z");
                }
                let object = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata});
                let body = Body::from(serde_json::to_vec(&object).unwrap());
                Ok::<_, std::convert::Infallible>(http::Response::new(body))
            }
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn an_answer_serves_those_that_asked_before_it_was_asked_for_and_nobody_else() {
        let asked = Arc::new(AtomicUsize::new(0));
        let definition = Definition::new(server(Arc::clone(&asked)));
        let many = (0..50).map(|_| definition.is_deleted(&BootClock));
        let answers = futures::future::join_all(many).await;
        assert!(answers.into_iter().all(|answer| !answer.unwrap()));
        assert_eq!(
            asked.load(Ordering::Relaxed),
            2,
            "the first, and one for all that waited"
        );
        assert!(definition.is_deleted(&BootClock).await.unwrap());
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    /// Each deletion asks, so an API server that does not answer would be waited for once after another.
    #[tokio::test(start_paused = true)]
    async fn a_failure_serves_all_that_waited_for_it() {
        let asked = Arc::new(AtomicUsize::new(0));
        let requests = Arc::clone(&asked);
        let service = tower::service_fn(move |_: http::Request<Body>| {
            requests.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Err::<http::Response<Body>, _>(std::io::Error::other("cut off"))
            }
        });
        let definition = Definition::new(Client::new(service, "default"));
        let begun = tokio::time::Instant::now();
        let many = (0..50).map(|_| definition.is_deleted(&BootClock));
        let answers = futures::future::join_all(many).await;
        assert!(answers.into_iter().all(|answer| answer.is_err()));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert_eq!(begun.elapsed(), Duration::from_secs(20));
    }
}
