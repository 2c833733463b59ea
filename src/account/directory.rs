//! The assistant directory, asked once an interval about each assistant however many numbers want it.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Fingerprint;
use super::cached::Cached;
use crate::burki::{Assistant, Burki, DirectoryError};
use crate::clock::Clock;
use crate::provider::http::Client;

/// Every Burki organization that an account refers to.
pub struct Directory {
    client: Client,
    assistants: Cached<(Fingerprint, i64), Result<Option<Assistant>, DirectoryError>>,
    connections: Cached<Fingerprint, Result<Option<String>, DirectoryError>>,
}

impl Directory {
    /// A directory reached through `client`, whose answers are kept for `interval`.
    pub fn new(client: Client, clock: Arc<dyn Clock>, interval: Duration) -> Self {
        let lifetime = interval.mul_f64(0.9);
        Self {
            client,
            assistants: Cached::new(Arc::clone(&clock), lifetime),
            connections: Cached::new(clock, lifetime),
        }
    }

    /// The organization that `key` opens at `origin`.
    pub fn open(&self, origin: Url, key: SecretString) -> Burki {
        Burki::new(self.client.clone(), origin, key)
    }

    /// The assistant `id`, as seen not longer ago than the interval.
    ///
    /// # Errors
    /// Those of the directory.
    pub async fn assistant(
        &self,
        origin: &Url,
        key: &SecretString,
        id: i64,
    ) -> Result<Option<Assistant>, DirectoryError> {
        let fingerprint = Fingerprint::of(&[origin.as_str(), key.expose_secret()]);
        let burki = self.open(origin.clone(), key.clone());
        self.assistants
            .get_or((fingerprint, id), async move { burki.assistant(id).await })
            .await
    }

    /// The organization's Telnyx connection, as seen not longer ago than the interval.
    ///
    /// # Errors
    /// Those of the directory.
    pub async fn organization_connection(
        &self,
        origin: &Url,
        key: &SecretString,
    ) -> Result<Option<String>, DirectoryError> {
        let fingerprint = Fingerprint::of(&[origin.as_str(), key.expose_secret()]);
        let burki = self.open(origin.clone(), key.clone());
        self.connections
            .get_or(
                fingerprint,
                async move { burki.organization_connection().await },
            )
            .await
    }
}
