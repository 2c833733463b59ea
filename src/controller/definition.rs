//! Whether the definition of PhoneNumbers is being deleted, which deletes every PhoneNumber: nobody meant to release them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};

use crate::api::GROUP;
use crate::clock::{Clock, Instant};

/// What the API server says of the definition. Many that ask at once share an answer, but nobody gets one that was asked
/// for before they asked: the definition is marked as deleted before any PhoneNumber is.
pub(super) struct Definition {
    api: Api<CustomResourceDefinition>,
    /// When the last answer was asked for, and what it was.
    last: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

impl Definition {
    pub(super) fn new(client: Client) -> Self {
        Self {
            api: Api::all(client),
            last: tokio::sync::Mutex::default(),
        }
    }

    /// True while the definition is being deleted.
    ///
    /// # Errors
    /// Those of the API server, except where the operator may not look at definitions (watching single namespaces).
    pub(super) async fn is_deleted(&self, clock: &dyn Clock) -> Result<bool, kube::Error> {
        let wanted = clock.now();
        let mut last = self.last.lock().await;
        if let Some((asked, is_deleted)) = *last
            && asked > wanted
        {
            return Ok(is_deleted);
        }
        let asked = clock.now();
        let is_deleted = self.ask().await?;
        *last = Some((asked, is_deleted));
        Ok(is_deleted)
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
    use std::sync::Arc;
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
}
