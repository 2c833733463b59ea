//! The Secrets that accounts refer to, read one by one and again every few seconds; never listed or watched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use secrecy::SecretString;

use crate::api::AccountSpec;
use crate::clock::{Clock, Instant};
use crate::number::Provider;
use crate::panics::lock;

/// How often Secrets in use are read again, so that a changed one takes effect within 10 s.
pub(crate) const REREAD_AFTER: Duration = Duration::from_secs(5);

/// How many Secrets are read at once.
const READ_AT_ONCE: usize = 8;

/// A Secret's namespace and name.
pub(crate) type SecretName = (String, String);

/// A Secret's keys.
pub(super) type Keys = Arc<BTreeMap<String, SecretString>>;

pub(crate) struct Secrets {
    client: Client,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<SecretName, Known>>,
    /// Why the last reading of each failed, of those that cannot be read.
    unreadable: Mutex<HashMap<SecretName, String>>,
}

struct Known {
    read: Instant,
    version: Option<String>,
    keys: Option<Keys>,
    /// What it held when it last existed: numbers may have to be released while their namespace is torn down.
    last: Option<Keys>,
}

impl Secrets {
    pub(crate) fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            clock,
            known: Mutex::default(),
            unreadable: Mutex::default(),
        }
    }

    /// The keys of a Secret as they were not longer ago than the time between two readings; `None` if it does not exist.
    pub(crate) async fn keys(&self, name: &SecretName) -> Result<Option<Keys>, kube::Error> {
        let now = self.clock.now();
        if let Some(known) = self.lock().get(name)
            && now.since(known.read) < REREAD_AFTER
        {
            return Ok(known.keys.clone());
        }
        self.read(name).await?;
        Ok(self.lock().get(name).and_then(|known| known.keys.clone()))
    }

    /// The keys of a Secret, or those it had when it last existed: to release with, never to spend with.
    pub(crate) async fn keys_to_release_with(
        &self,
        name: &SecretName,
    ) -> Result<Option<Keys>, kube::Error> {
        let keys = self.keys(name).await?;
        Ok(keys.or_else(|| self.lock().get(name).and_then(|known| known.last.clone())))
    }

    /// What reconciles may find in a Secret: its keys as last read, and those to release with.
    pub(crate) fn held(&self, name: &SecretName) -> Vec<Keys> {
        let known = self.lock();
        let held = known.get(name).map(|known| [&known.keys, &known.last]);
        held.into_iter().flatten().flatten().cloned().collect()
    }

    /// The version of a Secret as it was last read.
    pub(crate) fn version(&self, name: &SecretName) -> Option<String> {
        self.lock().get(name)?.version.clone()
    }

    /// Reads every Secret in `in_use` again, forgets the others, and returns those that changed.
    pub(crate) async fn refresh(&self, in_use: &BTreeSet<SecretName>) -> BTreeSet<SecretName> {
        self.lock().retain(|name, _| in_use.contains(name));
        lock(&self.unreadable).retain(|name, _| in_use.contains(name));
        let mut changed = BTreeSet::new();
        let reads = in_use.iter().cloned().map(|name| async move {
            let read = self.read(&name).await;
            (name, read)
        });
        // One that is not answered holds up no other for long.
        let mut reads = futures::stream::iter(reads).buffer_unordered(READ_AT_ONCE);
        while let Some((name, read)) = reads.next().await {
            self.log(&name, read.as_ref().err());
            if let Ok(true) = read {
                changed.insert(name);
            }
        }
        changed
    }

    /// Logs that a Secret cannot be read, once for each cause, and that it can be read again.
    fn log(&self, name: &SecretName, error: Option<&kube::Error>) {
        let (namespace, secret) = name;
        let mut unreadable = lock(&self.unreadable);
        let Some(error) = error.map(ToString::to_string) else {
            if unreadable.remove(name).is_some() {
                tracing::info!(namespace, secret, "the Secret can be read again");
            }
            return;
        };
        if unreadable.get(name) != Some(&error) {
            tracing::warn!(namespace, secret, error, "cannot read Secret");
            unreadable.insert(name.clone(), error);
        }
    }

    /// Reads one Secret; true if it was known and is different now.
    async fn read(&self, name: &SecretName) -> Result<bool, kube::Error> {
        let secret = Api::<Secret>::namespaced(self.client.clone(), &name.0)
            .get_opt(&name.1)
            .await?;
        let version = secret
            .as_ref()
            .and_then(|secret| secret.metadata.resource_version.clone());
        let keys = secret.map(|secret| Arc::new(texts(secret)));
        let mut known = self.lock();
        let before = known.remove(name);
        let changed = before
            .as_ref()
            .is_some_and(|before| before.version != version);
        let last = keys
            .clone()
            .or_else(|| before.and_then(|before| before.last));
        known.insert(
            name.clone(),
            Known {
                read: self.clock.now(),
                version,
                keys,
                last,
            },
        );
        Ok(changed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SecretName, Known>> {
        lock(&self.known)
    }
}

fn texts(secret: Secret) -> BTreeMap<String, SecretString> {
    let values = secret.data.unwrap_or_default();
    values
        .into_iter()
        .filter_map(|(key, value)| {
            Some((key, SecretString::from(String::from_utf8(value.0).ok()?)))
        })
        .collect()
}

/// The Secrets of an account whose Secrets live in `namespace`.
pub(crate) fn secrets_of(spec: &AccountSpec, namespace: &str) -> Vec<SecretName> {
    let burki = spec
        .burki
        .as_ref()
        .map(|burki| &burki.credentials_secret_ref);
    let burki = burki.map(|secret| (namespace.to_owned(), secret.name.clone()));
    let credentials = credentials_secret(spec, namespace);
    credentials.into_iter().chain(burki).collect()
}

/// The Secret that opens an account whose Secrets live in `namespace`.
pub(crate) fn credentials_secret(spec: &AccountSpec, namespace: &str) -> Option<SecretName> {
    let twilio = spec.twilio.as_ref();
    let telnyx = spec.telnyx.as_ref();
    let reference = match spec.provider {
        Provider::Twilio => twilio.map(|twilio| &twilio.credentials_secret_ref),
        Provider::Telnyx => telnyx.map(|telnyx| &telnyx.credentials_secret_ref),
    };
    reference.map(|reference| (namespace.to_owned(), reference.name.clone()))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kube::client::Body;
    use serde_json::json;

    use super::*;
    use crate::clock::BootClock;

    /// What was logged.
    #[derive(Clone, Default)]
    pub(crate) struct Said(Arc<Mutex<Vec<u8>>>);

    impl Said {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Said {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Its first three readings are denied, the next two are refused otherwise, and then it is there.
    fn client() -> Client {
        let reads = Arc::new(AtomicUsize::new(0));
        let service = tower::service_fn(move |_: http::Request<Body>| {
            let (code, body) = match reads.fetch_add(1, Ordering::Relaxed) {
                0..3 => (
                    403,
                    json!({"kind": "Status", "message": "denied", "code": 403}),
                ),
                3..5 => (
                    500,
                    json!({"kind": "Status", "message": "broken", "code": 500}),
                ),
                _ => (
                    200,
                    json!({"metadata": {"name": "twilio", "resourceVersion": "1"}}),
                ),
            };
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            let response = http::Response::builder().status(code).body(body).unwrap();
            std::future::ready(Ok::<_, std::convert::Infallible>(response))
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_read_is_said_once_for_each_cause() {
        let secrets = Secrets::new(client(), Arc::new(BootClock));
        let said = Said::default();
        let sink = said.clone();
        let log = tracing_subscriber::fmt().with_writer(move || sink.clone());
        let _guard = tracing::subscriber::set_default(log.finish());
        let in_use = BTreeSet::from([("support".to_owned(), "twilio".to_owned())]);
        for _ in 0..8 {
            secrets.refresh(&in_use).await;
        }
        let said = said.text();
        assert_eq!(said.matches("cannot read Secret").count(), 2, "{said}");
        assert_eq!(said.matches("can be read again").count(), 1, "{said}");
        assert!(secrets.unreadable.lock().unwrap().is_empty());
    }
}
