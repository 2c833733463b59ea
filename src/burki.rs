//! The assistant directory: who answers a number at Burki.
//!
//! Answers hold other people's secrets, so only the fields below are decoded, and bodies are never logged.
//! Works with the open-source server and the hosted one; what differs is said where it matters.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use crate::number::E164;
use crate::provider::http::{Answer, Body, Call, Client, Failure, Method, Session, TransportError};

/// The longest friendly name that Burki takes, in characters.
const MAX_NAME: usize = 100;

/// One organization at Burki, opened by one key.
#[derive(Clone)]
pub struct Burki {
    session: Arc<Session>,
    host: String,
}

impl fmt::Debug for Burki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Burki")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// An assistant that can answer numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assistant {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// False only if it was switched off: an assistant whose `is_active` is null was never switched off.
    pub active: bool,
    /// The Telnyx connection that it wants its numbers on, if the directory shows one.
    pub telnyx_connection_id: Option<String>,
}

/// What became of an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// The assistant answers the number.
    Done,
    /// Another assistant has the number; the directory's message.
    OnAnother(String),
    /// The directory will not assign this number; its message.
    Impossible(String),
}

/// Why the directory did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The key is wrong, revoked or not permitted.
    #[error("the key was refused: {0}")]
    Unauthorized(String),
    /// Too many requests; wait at least this long if the directory said so.
    #[error("the directory asks to slow down")]
    Throttled(Option<Duration>),
    /// No usable answer: try again later.
    #[error("the directory is not available: {0}")]
    Unavailable(String),
    /// An answer came that cannot be understood.
    #[error("the directory's answer cannot be understood: {0}")]
    Unreadable(String),
    /// The directory's own refusal.
    #[error("the directory refused: {0}")]
    Refused(String),
    /// This process may not write (any more).
    #[error("this process may not write: {0}")]
    Shut(&'static str),
}

impl From<Failure> for DirectoryError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Shut(why) => Self::Shut(why),
            Failure::Elsewhere | Failure::Transport(TransportError::TooLarge) => {
                Self::Unreadable(failure.to_string())
            }
            Failure::Transport(_) => Self::Unavailable(failure.to_string()),
        }
    }
}

#[derive(Deserialize)]
struct AssistantBody {
    id: i64,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    is_active: Option<bool>,
    #[serde(default)]
    telnyx_config: Value,
}

impl From<AssistantBody> for Assistant {
    fn from(body: AssistantBody) -> Self {
        let connection = body
            .telnyx_config
            .get("connection_id")
            .and_then(Value::as_str);
        Self {
            id: body.id,
            name: body.name.unwrap_or_default(),
            active: body.is_active != Some(false),
            telnyx_connection_id: connection.filter(|id| !id.is_empty()).map(str::to_owned),
        }
    }
}

impl Burki {
    /// The organization that `key` opens at `origin`. The key goes to no other host.
    pub fn new(client: Client, origin: Url, key: SecretString) -> Self {
        let host = String::from(origin);
        let authorization = SecretString::from(format!("Bearer {}", key.expose_secret()));
        let session = Session::new(
            "burki",
            client,
            vec![host.clone()],
            authorization,
            vec![key],
        );
        Self {
            session: Arc::new(session),
            host,
        }
    }

    /// The assistant `id`; `None` if the organization has none with this id.
    ///
    /// # Errors
    /// Every [`DirectoryError`] but `Shut`.
    pub async fn assistant(&self, id: i64) -> Result<Option<Assistant>, DirectoryError> {
        let body: Option<AssistantBody> = self.read(&format!("/api/v1/assistants/{id}")).await?;
        match body {
            Some(body) if body.id != id => Err(DirectoryError::Unreadable(
                "it is about another assistant".into(),
            )),
            body => Ok(body.map(Assistant::from)),
        }
    }

    /// The organization's own Telnyx connection. The open-source server has no such call: `None`.
    ///
    /// # Errors
    /// Every [`DirectoryError`] but `Shut`.
    pub async fn organization_connection(&self) -> Result<Option<String>, DirectoryError> {
        #[derive(Deserialize)]
        struct Organization {
            #[serde(default)]
            telnyx_connection_id: Option<String>,
        }
        let organization: Option<Organization> = self.read("/api/v1/organization").await?;
        let connection = organization.and_then(|organization| organization.telnyx_connection_id);
        Ok(connection.filter(|id| !id.is_empty()))
    }

    /// Makes the assistant `id` answer `number`. Burki rewrites the number's webhooks at the provider meanwhile.
    ///
    /// # Errors
    /// Every [`DirectoryError`]. A refusal that concerns the number is [`Assigned::Impossible`].
    pub async fn assign(
        &self,
        number: &E164,
        id: i64,
        name: Option<&str>,
    ) -> Result<Assigned, DirectoryError> {
        #[derive(Deserialize)]
        struct Outcome {
            success: bool,
            #[serde(default)]
            message: Option<String>,
        }
        let name: Option<String> = name.map(|name| name.chars().take(MAX_NAME).collect());
        let body = json!({ "phone_number": number, "friendly_name": name, "auto_sync": true });
        let path = format!("/api/v1/assistants/{id}/phone-numbers/assign-by-number");
        let answer = self.post("assign", number, &path, &body).await?;
        if let (400 | 404 | 422, Some(detail)) = (answer.response.status, detail(&answer)) {
            return Ok(Assigned::Impossible(self.session.presentable(&detail)));
        }
        let outcome: Outcome = self.body(&answer)?;
        if outcome.success {
            return Ok(Assigned::Done);
        }
        // The body of a refusal does not say in a readable way who has the number.
        let message = self
            .session
            .presentable(&outcome.message.unwrap_or_default());
        match self.assigned_to(number).await? {
            Some(other) if other == id => Ok(Assigned::Done),
            Some(_) => Ok(Assigned::OnAnother(message)),
            None => Ok(Assigned::Impossible(message)),
        }
    }

    /// Makes the assistant `id` no longer answer `number`. That it did not, or does not exist, is no error.
    ///
    /// # Errors
    /// Every [`DirectoryError`].
    pub async fn unassign(&self, number: &E164, id: i64) -> Result<(), DirectoryError> {
        let path = format!("/api/v1/assistants/{id}/phone-numbers/unassign-by-number");
        let answer = self
            .post(
                "unassign",
                number,
                &path,
                &json!({ "phone_number": number }),
            )
            .await?;
        if let (400 | 404, Some(_)) = (answer.response.status, detail(&answer)) {
            return Ok(());
        }
        self.body::<Value>(&answer).map(drop)
    }

    /// The assistant that answers `number`, if one does.
    ///
    /// # Errors
    /// Every [`DirectoryError`] but `Shut`.
    pub async fn assigned_to(&self, number: &E164) -> Result<Option<i64>, DirectoryError> {
        let path = format!("/api/v1/assistants/by-phone/%2B{}", number.digits());
        let body: Option<AssistantBody> = self.read(&path).await?;
        Ok(body.map(|body| body.id))
    }

    async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, DirectoryError> {
        let answer = self
            .session
            .get(self.session.url(&self.host, path, &[])?)
            .await?;
        if answer.response.status == 404 && detail(&answer).is_some() {
            return Ok(None);
        }
        self.body(&answer).map(Some)
    }

    async fn post(
        &self,
        operation: &'static str,
        number: &E164,
        path: &str,
        body: &Value,
    ) -> Result<Answer, DirectoryError> {
        let call = Call {
            method: Method::Post,
            url: self.session.url(&self.host, path, &[])?,
            body: Some(Body::json(body)),
            operation,
            subject: number.as_str(),
        };
        Ok(self.session.write(call).await?)
    }

    fn body<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, DirectoryError> {
        let response = &answer.response;
        let text = || match detail(answer) {
            Some(detail) => format!(
                "HTTP {}: {}",
                response.status,
                self.session.presentable(&detail)
            ),
            None => format!("HTTP {} without Burki's error body", response.status),
        };
        match response.status {
            200 | 201 => response.decode().map_err(DirectoryError::Unreadable),
            401 | 403 => Err(DirectoryError::Unauthorized(text())),
            429 => Err(DirectoryError::Throttled(response.retry_after())),
            400..=499 if detail(answer).is_some() => Err(DirectoryError::Refused(text())),
            400.. => Err(DirectoryError::Unavailable(text())),
            status => Err(DirectoryError::Unreadable(format!(
                "HTTP {status} was not expected"
            ))),
        }
    }
}

/// The text of Burki's own error body: `{"detail": "…"}`, or a list of `{"msg": "…"}` where a field is wrong.
fn detail(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        detail: Value,
    }
    let body: Body = serde_json::from_slice(&answer.response.body).ok()?;
    match body.detail {
        Value::String(text) => Some(text),
        Value::Array(fields) => {
            let texts = fields
                .iter()
                .filter_map(|field| field.get("msg").and_then(Value::as_str));
            Some(texts.collect::<Vec<_>>().join("; "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::http::fake::{Fake, NUMBER, json, text};

    const KEY: &str = "fake-burki-key";

    fn burki(fake: &Arc<Fake>) -> Burki {
        let origin = "https://burki.example.com".parse().unwrap();
        Burki::new(fake.client(), origin, SecretString::from(KEY))
    }

    fn number() -> E164 {
        NUMBER.parse().unwrap()
    }

    #[tokio::test]
    async fn only_an_assistant_that_was_switched_off_is_inactive() {
        for (is_active, active) in [
            (json!(true), true),
            (json!(null), true),
            (json!(false), false),
        ] {
            let body = json!({"id": 101, "name": "Ann", "is_active": is_active, "api_keys": {"x": "fake"}});
            let found = burki(&Fake::with([json(200, body)]))
                .assistant(101)
                .await
                .unwrap();
            let expected = Assistant {
                id: 101,
                name: "Ann".into(),
                active,
                telnyx_connection_id: None,
            };
            assert_eq!(found, Some(expected));
        }
    }

    #[tokio::test]
    async fn the_connection_of_an_assistant_is_read_if_it_is_there() {
        for (config, connection) in [
            (json!({"connection_id": "11"}), Some("11")),
            (json!({"connection_id": ""}), None),
            (json!({"connection_id": 11}), None),
            (json!("11"), None),
            (json!(null), None),
        ] {
            let body = json!({"id": 101, "telnyx_config": config});
            let found = burki(&Fake::with([json(200, body)]))
                .assistant(101)
                .await
                .unwrap();
            assert_eq!(
                found.unwrap().telnyx_connection_id.as_deref(),
                connection,
                "{config}"
            );
        }
    }

    #[tokio::test]
    async fn absence_is_concluded_from_burkis_own_404_alone() {
        let own = || {
            json(
                404,
                json!({"detail": "Assistant with ID 101 not found in your organization"}),
            )
        };
        assert_eq!(burki(&Fake::with([own()])).assistant(101).await, Ok(None));
        assert_eq!(
            burki(&Fake::with([own()])).organization_connection().await,
            Ok(None)
        );
        assert_eq!(
            burki(&Fake::with([own()])).assigned_to(&number()).await,
            Ok(None)
        );
        for answer in [
            text(404, "<html>"),
            json(404, json!({})),
            json(200, json!({"id": 102})),
            text(200, "[]"),
        ] {
            assert!(burki(&Fake::with([answer])).assistant(101).await.is_err());
        }
    }

    #[tokio::test]
    async fn errors_are_named_for_what_to_do_next() {
        let detail = || json!({"detail": format!("no {KEY}")});
        for (answer, error) in [
            (
                json(401, detail()),
                DirectoryError::Unauthorized("HTTP 401: no [redacted]".into()),
            ),
            (
                json(403, detail()),
                DirectoryError::Unauthorized("HTTP 403: no [redacted]".into()),
            ),
            (json(429, detail()), DirectoryError::Throttled(None)),
            (
                json(422, json!({"detail": [{"msg": "a"}, {"msg": "b"}]})),
                DirectoryError::Refused("HTTP 422: a; b".into()),
            ),
            (
                text(400, "no"),
                DirectoryError::Unavailable("HTTP 400 without Burki's error body".into()),
            ),
            (
                json(500, detail()),
                DirectoryError::Unavailable("HTTP 500: no [redacted]".into()),
            ),
            (
                text(307, ""),
                DirectoryError::Unreadable("HTTP 307 was not expected".into()),
            ),
            (
                Err(TransportError::Lost("reset".into())),
                DirectoryError::Unavailable("no answer: reset".into()),
            ),
        ] {
            assert_eq!(
                burki(&Fake::with([answer])).assistant(101).await,
                Err(error)
            );
        }
    }

    #[tokio::test]
    async fn whether_a_number_is_assigned_is_read_from_the_body() {
        let refused = || json(200, json!({"success": false, "message": "taken"}));
        let holder = |id: i64| json(200, json!({"id": id}));
        let nobody = json(404, json!({"detail": "none"}));
        for (answers, assigned) in [
            (vec![json(200, json!({"success": true}))], Assigned::Done),
            (vec![refused(), holder(101)], Assigned::Done),
            (
                vec![refused(), holder(102)],
                Assigned::OnAnother("taken".into()),
            ),
            (
                vec![refused(), nobody],
                Assigned::Impossible("taken".into()),
            ),
            (
                vec![json(404, json!({"detail": "unknown number"}))],
                Assigned::Impossible("unknown number".into()),
            ),
        ] {
            let fake = Fake::with(answers);
            let name = "n".repeat(120);
            assert_eq!(
                burki(&fake).assign(&number(), 101, Some(&name)).await,
                Ok(assigned)
            );
            let body = format!(
                "Post /api/v1/assistants/101/phone-numbers/assign-by-number \
                 {{\"auto_sync\":true,\"friendly_name\":\"{}\",\"phone_number\":\"{NUMBER}\"}}",
                "n".repeat(100)
            );
            assert_eq!(fake.asked()[0], body);
        }
        for answer in [
            json(200, json!({})),
            text(200, ""),
            text(404, "<html>"),
            json(500, json!({"detail": "x"})),
        ] {
            assert!(
                burki(&Fake::with([answer]))
                    .assign(&number(), 101, None)
                    .await
                    .is_err()
            );
        }
    }

    #[tokio::test]
    async fn a_number_that_is_not_assigned_is_unassigned_already() {
        for (answer, done) in [
            (json(200, json!({"success": true})), true),
            (json(400, json!({"detail": "not assigned"})), true),
            (json(404, json!({"detail": "unknown"})), true),
            (text(404, "<html>"), false),
            (json(401, json!({"detail": "no"})), false),
            (text(500, ""), false),
        ] {
            assert_eq!(
                burki(&Fake::with([answer]))
                    .unassign(&number(), 101)
                    .await
                    .is_ok(),
                done
            );
        }
    }

    #[tokio::test]
    async fn writes_pass_the_gate_and_reads_do_not() {
        let fake = Fake::with([json(404, json!({"detail": "none"}))]);
        let client = fake.client_with(|| Err("it does not lead"));
        let origin = "https://burki.example.com".parse().unwrap();
        let burki = Burki::new(client, origin, SecretString::from(KEY));
        let shut = DirectoryError::Shut("it does not lead");
        assert_eq!(burki.assign(&number(), 101, None).await, Err(shut.clone()));
        assert_eq!(burki.unassign(&number(), 101).await, Err(shut));
        assert_eq!(burki.assigned_to(&number()).await, Ok(None));
        assert_eq!(
            fake.asked(),
            ["Get /api/v1/assistants/by-phone/%2B12125551234"]
        );
        assert!(!format!("{burki:?}").contains(KEY));
    }
}
