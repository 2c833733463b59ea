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
    /// What the keys were last found to be good for.
    verdicts: Cached<(Fingerprint, About), Result<(), DirectoryError>>,
}

/// What a key may read, or may not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum About {
    Assistants,
    Organization,
}

impl Directory {
    /// A directory reached through `client`, whose answers are kept for `interval`.
    pub fn new(client: Client, clock: Arc<dyn Clock>, interval: Duration) -> Self {
        let lifetime = interval.mul_f64(0.9);
        Self {
            client,
            assistants: Cached::new(Arc::clone(&clock), lifetime),
            connections: Cached::new(Arc::clone(&clock), lifetime),
            verdicts: Cached::new(clock, lifetime),
        }
    }

    /// The answer to `ask`. A key that was refused stays refused for the interval, whatever is asked; while nobody knows how a
    /// key fares, one question is asked and the others wait.
    async fn under<T, F>(
        &self,
        place: (Fingerprint, About),
        ask: impl Fn() -> F,
    ) -> Result<T, DirectoryError>
    where
        F: Future<Output = Result<T, DirectoryError>>,
    {
        let mut first = None;
        let verdict = self.verdicts.get_or(place.clone(), async {
            let answer = ask().await;
            let verdict = match &answer {
                Err(error @ DirectoryError::Unauthorized(_)) => Err(error.clone()),
                _ => Ok(()),
            };
            first = Some(answer);
            verdict
        });
        verdict.await?;
        if let Some(answer) = first {
            return answer;
        }
        let answer = ask().await;
        if matches!(answer, Err(DirectoryError::Unauthorized(_))) {
            self.verdicts.forget(&place);
        }
        answer
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
        let place = (fingerprint.clone(), About::Assistants);
        let ask = self.under(place, move || {
            let burki = burki.clone();
            async move { burki.assistant(id).await }
        });
        // Boxed, as it is nested deeply.
        self.assistants
            .get_or((fingerprint, id), Box::pin(ask))
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
        let place = (fingerprint.clone(), About::Organization);
        let ask = self.under(place, move || {
            let burki = burki.clone();
            async move { burki.organization_connection().await }
        });
        self.connections.get_or(fingerprint, Box::pin(ask)).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::http::fake::{Fake, json};
    use crate::provider::http::{Response, TransportError};

    fn refused() -> Result<Response, TransportError> {
        json(401, json!({"detail": "Invalid API key"}))
    }

    /// A second goes by with each request.
    #[tokio::test]
    async fn a_refused_key_is_asked_with_once_however_many_assistants_are_wanted() {
        let there = json(200, json!({"id": 7, "name": "Ann"}));
        let fake = Fake::with([refused(), refused(), there]);
        let directory = Directory::new(fake.client(), fake.clone(), Duration::from_secs(60));
        let origin: Url = "https://burki.example.com".parse().unwrap();
        let ask = async |key: &str| {
            let key = SecretString::from(key);
            let asked = (0..9).map(|id| directory.assistant(&origin, &key, id));
            futures::future::join_all(asked).await
        };
        for _ in 0..3 {
            for answer in ask("wrong").await {
                assert!(matches!(answer, Err(DirectoryError::Unauthorized(_))));
            }
        }
        assert_eq!(fake.asked().len(), 1);
        // What the Secret holds now is another key, and is tried at once.
        ask("other").await;
        assert_eq!(fake.asked().len(), 2);
        // An interval later the first is tried once more.
        fake.may_leave_after(60);
        let key = SecretString::from("wrong");
        let found = directory.assistant(&origin, &key, 7).await;
        assert_eq!(found.unwrap().unwrap().name, "Ann");
    }

    #[tokio::test]
    async fn a_key_that_is_refused_later_is_tried_once_more_and_no_longer() {
        let there = json(200, json!({"id": 0, "name": "Ann"}));
        let fake = Fake::with([there, refused(), refused()]);
        let directory = Directory::new(fake.client(), fake.clone(), Duration::from_secs(60));
        let origin: Url = "https://burki.example.com".parse().unwrap();
        let key = SecretString::from("key");
        for id in 0..9 {
            let answer = directory.assistant(&origin, &key, id).await;
            assert_eq!(answer.is_ok(), id == 0, "{id}");
        }
        assert_eq!(fake.asked().len(), 3);
    }
}
