//! The Secrets that accounts refer to, read one by one and again every few seconds; never listed or watched.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use secrecy::SecretString;

use crate::clock::{Clock, Instant};

/// How often Secrets in use are read again, so that a changed one takes effect within 10 s.
pub(super) const REREAD_AFTER: Duration = Duration::from_secs(5);

/// How many Secrets are read at once.
const READ_AT_ONCE: usize = 8;

/// A Secret's namespace and name.
pub(super) type SecretName = (String, String);

/// A Secret's keys.
pub(super) type Keys = Arc<BTreeMap<String, SecretString>>;

pub(super) struct Secrets {
    client: Client,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<SecretName, Known>>,
}

struct Known {
    read: Instant,
    version: Option<String>,
    keys: Option<Keys>,
    /// What it held when it last existed: numbers may have to be released while their namespace is torn down.
    last: Option<Keys>,
}

impl Secrets {
    pub(super) fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self {
            client,
            clock,
            known: Mutex::default(),
        }
    }

    /// The keys of a Secret as they were not longer ago than the time between two readings; `None` if it does not exist.
    pub(super) async fn keys(&self, name: &SecretName) -> Result<Option<Keys>, kube::Error> {
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
    pub(super) async fn keys_to_release_with(
        &self,
        name: &SecretName,
    ) -> Result<Option<Keys>, kube::Error> {
        let keys = self.keys(name).await?;
        Ok(keys.or_else(|| self.lock().get(name).and_then(|known| known.last.clone())))
    }

    /// What passes may find in a Secret: its keys as last read, and those to release with.
    pub(super) fn held(&self, name: &SecretName) -> Vec<Keys> {
        let known = self.lock();
        let held = known.get(name).map(|known| [&known.keys, &known.last]);
        held.into_iter().flatten().flatten().cloned().collect()
    }

    /// The version of a Secret as it was last read.
    pub(super) fn version(&self, name: &SecretName) -> Option<String> {
        self.lock().get(name)?.version.clone()
    }

    /// Reads every Secret in `in_use` again, forgets the others, and returns those that changed.
    pub(super) async fn refresh(&self, in_use: &BTreeSet<SecretName>) -> BTreeSet<SecretName> {
        self.lock().retain(|name, _| in_use.contains(name));
        let mut changed = BTreeSet::new();
        let reads = in_use.iter().cloned().map(|name| async move {
            let read = self.read(&name).await;
            (name, read)
        });
        // One that is not answered holds up no other for long.
        let mut reads = futures::stream::iter(reads).buffer_unordered(READ_AT_ONCE);
        while let Some((name, read)) = reads.next().await {
            match read {
                Ok(true) => {
                    changed.insert(name);
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(namespace = name.0, secret = name.1, %error, "cannot read Secret")
                }
            }
        }
        changed
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

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SecretName, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
