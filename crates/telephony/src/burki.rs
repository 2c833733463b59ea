//! The assistant directory: who answers a number at Burki.
//!
//! Answers hold other people's secrets, so only the fields below are decoded, and bodies are never logged.
//! Works with the open-source server and the hosted one; what differs is said where it matters.

#[cfg(test)]
mod tests;

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
    WriteNotAllowed(&'static str),
}

impl From<Failure> for DirectoryError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::WriteNotAllowed(why) => Self::WriteNotAllowed(why),
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
        let body: Option<AssistantBody> = self
            .read("assistant", &format!("/api/v1/assistants/{id}"))
            .await?;
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
        let organization: Option<Organization> =
            self.read("organization", "/api/v1/organization").await?;
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
        let body: Option<AssistantBody> = self.read("assigned_to", &path).await?;
        Ok(body.map(|body| body.id))
    }

    async fn read<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
    ) -> Result<Option<T>, DirectoryError> {
        let answer = self
            .session
            .get(operation, self.session.url(&self.host, path, &[])?)
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
            id_in: None,
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
    let body: Body = answer.response.object().ok()?;
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
