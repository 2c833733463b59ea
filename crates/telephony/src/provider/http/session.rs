//! One credential and the hosts it may go to: the only place where the two meet. The place where every write passes the
//! gate and leaves its audit line.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use url::Url;

use super::audit::Audit;
use super::text::presentable;
use super::{
    Body, Client, Method, Request, RequestOutcome, Response, SPANS, SendGuard, TIMEOUT,
    TransportError,
};
use crate::clock::{Clock, Instant, RemoteClock};
use crate::panics::lock;
use crate::provider::Error;
use crate::shown;

/// A credential, the hosts it opens, and what their clocks say.
pub(crate) struct Session {
    provider: &'static str,
    client: Client,
    hosts: Vec<String>,
    authorization: SecretString,
    secrets: Vec<SecretString>,
    time: Mutex<RemoteClock>,
}

/// A request, and how it is spoken of.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<Body>,
    /// The verb for the audit line and the metrics.
    pub(crate) operation: &'static str,
    /// The number or the id that it is about.
    pub(crate) subject: &'a str,
    /// Reads the id of what is created from the answer.
    pub(crate) id_in: Option<fn(&Response) -> Option<String>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The gate is shut; nothing was sent.
    WriteNotAllowed(&'static str),
    /// The URL leads to a host that the credential must not go to; nothing was sent.
    Elsewhere,
    /// What the transport says.
    Transport(TransportError),
}

impl Failure {
    /// True if the provider cannot have seen the request.
    pub(crate) fn is_before_sending(&self) -> bool {
        match self {
            Self::WriteNotAllowed(_)
            | Self::Elsewhere
            | Self::Transport(TransportError::NotSent(_)) => true,
            Self::Transport(TransportError::Lost(_) | TransportError::TooLarge) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WriteNotAllowed(why) => write!(f, "this process may not write: {why}"),
            Self::Elsewhere => f.write_str("a link leads to another host"),
            Self::Transport(error) => error.fmt(f),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::WriteNotAllowed(why) => Self::WriteNotAllowed(why),
            Failure::Elsewhere | Failure::Transport(TransportError::TooLarge) => {
                Self::Unreadable(failure.to_string())
            }
            Failure::Transport(TransportError::NotSent(_)) => Self::NotSent(failure.to_string()),
            Failure::Transport(TransportError::Lost(_)) => Self::Unavailable(failure.to_string()),
        }
    }
}

impl Session {
    /// A session with `provider` whose credential goes to `hosts` alone. `secrets` are what must never be shown,
    /// in every form in which a provider could echo it.
    pub(crate) fn new(
        provider: &'static str,
        client: Client,
        hosts: Vec<String>,
        authorization: SecretString,
        secrets: Vec<SecretString>,
    ) -> Self {
        Self {
            provider,
            client,
            hosts,
            authorization,
            secrets,
            time: Mutex::default(),
        }
    }

    /// The URL of `path`, which begins with a slash, under `host`, and `query` behind it.
    pub(crate) fn url(
        &self,
        host: &str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Url, Failure> {
        let mut url = self.link(host, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    /// The URL that a link in an answer of `host` leads to: a path, or a whole URL of a host of this session.
    pub(crate) fn link(&self, host: &str, link: &str) -> Result<Url, Failure> {
        let whole = if link.starts_with('/') {
            format!("{}{link}", host.trim_end_matches('/'))
        } else {
            link.to_owned()
        };
        let url = Url::parse(&whole).map_err(|_| Failure::Elsewhere)?;
        if self.opens(&url) {
            Ok(url)
        } else {
            Err(Failure::Elsewhere)
        }
    }

    fn opens(&self, url: &Url) -> bool {
        let is_of =
            |host: &String| Url::parse(host).is_ok_and(|host| host.origin() == url.origin());
        url.username().is_empty() && url.password().is_none() && self.hosts.iter().any(is_of)
    }

    /// Reads `url`; `operation` is the verb for the metrics.
    pub(crate) async fn get(&self, operation: &'static str, url: Url) -> Result<Answer, Failure> {
        let call = Call {
            method: Method::Get,
            url,
            body: None,
            operation,
            subject: "",
            id_in: None,
        };
        self.exchange(call, TIMEOUT, None).await
    }

    /// Sends an ordinary write.
    pub(crate) async fn write(&self, call: Call<'_>) -> Result<Answer, Failure> {
        self.exchange(call, TIMEOUT, None).await
    }

    /// Sends a write that spends money.
    pub(crate) async fn purchase(&self, call: Call<'_>) -> Result<Answer, Failure> {
        self.exchange(call, self.client.purchase_timeout, None)
            .await
    }

    /// Sends a write that gives a number away, before `ends` or not at all.
    pub(crate) async fn release(&self, call: Call<'_>, ends: Instant) -> Result<Answer, Failure> {
        self.exchange(call, TIMEOUT, Some(ends)).await
    }

    async fn exchange(
        &self,
        call: Call<'_>,
        limit: Duration,
        ends: Option<Instant>,
    ) -> Result<Answer, Failure> {
        let span = tracing::info_span!(
            target: SPANS,
            "call",
            otel.kind = "client",
            provider = self.provider,
            operation = call.operation,
            outcome = Empty,
            http.response.status_code = Empty,
            request_id = Empty,
        );
        self.sent(call, limit, ends, &span)
            .instrument(span.clone())
            .await
    }

    async fn sent(
        &self,
        call: Call<'_>,
        limit: Duration,
        ends: Option<Instant>,
        span: &Span,
    ) -> Result<Answer, Failure> {
        if !self.opens(&call.url) {
            return Err(Failure::Elsewhere);
        }
        let mut audit = None;
        if call.method != Method::Get {
            (self.client.gate)().map_err(Failure::WriteNotAllowed)?;
            audit = Some(Audit::new(self.provider, call.operation, call.subject));
        }
        let sent = self.client.clock.now();
        let request = Request {
            method: call.method,
            url: call.url,
            authorization: self.authorization.clone(),
            body: call.body,
            departure: self.departure(sent, limit, ends),
        };
        let result = tokio::time::timeout(limit, self.client.transport.send(request)).await;
        let came = self.client.clock.now();
        let result = result
            .unwrap_or_else(|_| {
                Err(TransportError::Lost(format!(
                    "none within {} s",
                    limit.as_secs_f32()
                )))
            })
            .map_err(|error| self.hide(error));
        if let Some(audit) = &mut audit {
            audit.outcome = match &result {
                Ok(response) => response.status.to_string(),
                Err(error) => error.to_string(),
            };
            let response = result.as_ref().ok();
            audit.request_id = response.and_then(|response| self.request_id(response));
            let id = call.id_in.zip(response).and_then(|(id_in, it)| id_in(it));
            audit.id = id.map(|id| self.presentable(&id));
        }
        let outcome = match &result {
            Ok(response) => RequestOutcome::of_status(response.status),
            Err(TransportError::NotSent(_)) => RequestOutcome::NotSent,
            Err(TransportError::Lost(_) | TransportError::TooLarge) => RequestOutcome::NoAnswer,
        };
        span.record("outcome", outcome.word());
        if let Ok(response) = &result {
            span.record("http.response.status_code", response.status);
            span.record("request_id", self.request_id(response));
        }
        if let Some(observer) = &self.client.observer {
            observer.requested(self.provider, call.operation, outcome, came.since(sent));
        }
        let response = result.map_err(Failure::Transport)?;
        if let Some(date) = response.date() {
            let mut time = lock(&self.time);
            time.hear(date, sent, came);
        }
        Ok(Answer { response })
    }

    /// Lets a request leave while the gate is open, before `ends`, and only in the time that the request has: a caller that waits for
    /// that time to pass may rely on it.
    fn departure(&self, sent: Instant, limit: Duration, ends: Option<Instant>) -> SendGuard {
        let (gate, clock) = (self.client.gate.clone(), self.client.clock.clone());
        SendGuard::through(Arc::new(move || {
            gate()?;
            let now = clock.now();
            if now.since(sent) < limit && ends.is_none_or(|ends| now < ends) {
                Ok(())
            } else {
                Err("it was held up for too long")
            }
        }))
    }

    fn hide(&self, error: TransportError) -> TransportError {
        match error {
            TransportError::NotSent(text) => TransportError::NotSent(self.presentable(&text)),
            TransportError::Lost(text) => TransportError::Lost(self.presentable(&text)),
            TransportError::TooLarge => TransportError::TooLarge,
        }
    }

    /// What of the provider's `text` may be shown: at most 300 characters, without secrets.
    pub(crate) fn presentable(&self, text: &str) -> String {
        presentable(text, &self.secrets)
    }

    /// The code of an error as it may be shown; `None` if the text is no code.
    pub(crate) fn code(&self, code: &str) -> Option<String> {
        shown::code(&self.presentable(code)).map(str::to_owned)
    }

    /// The provider's own id of the request, for its support: at most 64 characters, without secrets.
    pub(crate) fn request_id(&self, response: &Response) -> Option<String> {
        let id = self.presentable(&response.request_id()?);
        Some(shown::line(&id, 64))
    }

    /// The present time of the hosts of this session, as their answers tell it.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        let time = lock(&self.time);
        time.time_at(self.clock().now())
    }

    /// The clock that tokens are measured by.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.client.clock()
    }
}

/// `id` if it can stand in a path as it is: ids of both providers are letters, digits, hyphens and underscores.
pub(crate) fn segment(id: &str) -> Result<&str, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !id.is_empty() && id.len() <= 128 && id.bytes().all(plain) {
        Ok(id)
    } else {
        let shown: String = id.chars().take(40).collect();
        Err(Error::Unreadable(format!("{shown:?} is not an id")))
    }
}

#[cfg(test)]
mod tests;
