//! The custom resource definitions. Is that of PhoneNumbers being deleted? That deletes every PhoneNumber, although nobody meant to
//! release the numbers. Do all three keep what this program reads and writes?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client, ResourceExt};

use super::errors::shared_error;
use crate::api::{self, GROUP};
use crate::clock::Clock;
use crate::flight::Flight;

/// What the API server says of the definition. Many that ask at once share an answer, but nobody gets one that was asked
/// for before they asked: the definition is marked as deleted before any PhoneNumber is.
pub(crate) struct CrdGuard {
    api: Api<CustomResourceDefinition>,
    answers: Flight<Result<bool, Arc<kube::Error>>>,
    /// True once it was said that the definition may not be read.
    has_warned: AtomicBool,
}

impl CrdGuard {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            api: Api::all(client),
            answers: Flight::default(),
            has_warned: AtomicBool::new(false),
        }
    }

    /// True while the definition is being deleted.
    ///
    /// # Errors
    /// Those of the API server, except where the operator may not look at definitions (watching single namespaces).
    pub(crate) async fn is_deleted(&self, clock: &dyn Clock) -> Result<bool, kube::Error> {
        let ask = |_| async { self.ask().await.map_err(Arc::new) };
        let answer = self.answers.after_now(clock, ask).await;
        answer.map_err(shared_error)
    }

    /// The fields of this version that the API server drops, because an installed definition is older; none where it may not
    /// be read. Each with its kind.
    ///
    /// # Errors
    /// Those of the API server.
    pub(crate) async fn lacks(&self) -> Result<Vec<String>, kube::Error> {
        let mut found = Vec::new();
        for ours in api::definitions().map_err(kube::Error::SerdeError)? {
            let installed = match self.api.get_opt(&ours.name_any()).await {
                Err(kube::Error::Api(status)) if status.code == 403 => None,
                installed => installed?,
            };
            let Some(installed) = installed else { continue };
            let lacking = api::lacking(&ours, &installed).map_err(kube::Error::SerdeError)?;
            let kind = &ours.spec.names.kind;
            found.extend(lacking.iter().map(|field| format!("{kind} {field}")));
        }
        Ok(found)
    }

    async fn ask(&self) -> Result<bool, kube::Error> {
        let name = format!("phonenumbers.{GROUP}");
        match self.api.get_metadata_opt(&name).await {
            Ok(definition) => Ok(definition
                .is_none_or(|definition| definition.metadata.deletion_timestamp.is_some())),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                if !self.has_warned.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "may not read the definition of PhoneNumbers: its deletion would release every number"
                    );
                }
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
    use crate::cluster::errors::tests::hanging;
    use kube::client::Body;
    use serde_json::json;
    use std::sync::atomic::AtomicUsize;
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

    /// What was logged.
    #[derive(Clone, Default)]
    struct Said(Arc<std::sync::Mutex<Vec<u8>>>);

    impl std::io::Write for Said {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn that_the_definition_may_not_be_read_is_said_once() {
        let service = tower::service_fn(|_: http::Request<Body>| async {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden",
                "message": "no", "code": 403});
            let body = Body::from(serde_json::to_vec(&status).unwrap());
            let response = http::Response::builder().status(403).body(body);
            Ok::<_, std::convert::Infallible>(response.unwrap())
        });
        let definition = CrdGuard::new(Client::new(service, "default"));
        let said = Said::default();
        let sink = said.clone();
        let log = tracing_subscriber::fmt().with_writer(move || sink.clone());
        let _guard = tracing::subscriber::set_default(log.finish());
        for _ in 0..3 {
            assert!(!definition.is_deleted(&BootClock).await.unwrap());
        }
        let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            said.matches("may not read the definition").count(),
            1,
            "{said}"
        );
    }

    #[tokio::test]
    async fn an_answer_serves_those_that_asked_before_it_was_asked_for_and_nobody_else() {
        let asked = Arc::new(AtomicUsize::new(0));
        let definition = CrdGuard::new(server(Arc::clone(&asked)));
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
        let definition = CrdGuard::new(hanging(&asked));
        let begun = tokio::time::Instant::now();
        let many = (0..50).map(|_| definition.is_deleted(&BootClock));
        let answers = futures::future::join_all(many).await;
        assert!(answers.into_iter().all(|answer| answer.is_err()));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert_eq!(begun.elapsed(), Duration::from_secs(20));
    }
}
