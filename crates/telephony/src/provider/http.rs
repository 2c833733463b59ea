//! HTTP to one provider: the limits that every request has, and where a credential may go.
//!
//! Nothing here retries, follows a redirect or knows what a body means.

mod audit;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod network;
mod observer;
mod session;
mod text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use url::Url;

use super::Error;
use crate::clock::Clock;

pub use audit::{AuditContext, with_audit_context};
pub use network::Reqwest;
pub use observer::{RequestObserver, RequestOutcome};
pub(crate) use session::{Answer, Call, Failure, Session, segment};

/// The target of every span that is exported. The log does not show them: its lines say the same.
pub const SPANS: &str = "spans";

/// The largest body that is read. The longest page of either provider has about 1.5 MB.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// The longest listing that is followed: a million numbers at Twilio, 250 000 at Telnyx.
pub(crate) const MAX_PAGES: usize = 1000;

/// The most that is read of one listing, in bytes of its pages: some 50 000 numbers. What a provider sends must not take the
/// memory of the process.
const MOST_LISTED: usize = 128 * 1024 * 1024;

/// The most rows of one listing.
const MOST_ROWS: usize = 100_000;

/// How long reads and ordinary writes may take, body included. Both providers answer these within a second or two.
const TIMEOUT: Duration = Duration::from_secs(10);

/// No provider's request to slow down is taken for longer than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How much of one listing was read.
#[derive(Default)]
pub(crate) struct Listed {
    bytes: usize,
    rows: usize,
}

impl Listed {
    /// Counts one page.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if the listing is longer than may be read. Nothing may be concluded from what was read.
    pub(crate) fn page(&mut self, bytes: usize, rows: usize) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.rows = self.rows.saturating_add(rows);
        if self.bytes > MOST_LISTED || self.rows > MOST_ROWS {
            return Err(Error::Unreadable(format!(
                "a listing is longer than {MOST_ROWS} rows or {} MiB; nothing is concluded from it",
                MOST_LISTED >> 20
            )));
        }
        Ok(())
    }
}

/// Asked before every request that is not a read; `Err` says why this process may not write (any more).
pub type WriteGate = Arc<dyn Fn() -> Result<(), &'static str> + Send + Sync>;

/// How requests get to a provider and answers back.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends `request` at most once and reads the whole answer. The caller sets the time limit, by dropping the future.
    ///
    /// # Errors
    /// [`TransportError::NotSent`] only if not one byte of the request can have reached the provider.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;
}

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Create; at Twilio also change.
    Post,
    /// Change.
    Patch,
    /// Remove.
    Delete,
}

/// A request. Its `Debug` form does not show the credential.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is done.
    pub method: Method,
    /// To what.
    pub url: Url,
    /// The value of the `Authorization` header.
    pub authorization: SecretString,
    /// The body, if there is one.
    pub body: Option<Body>,
    /// Whether it may still leave.
    pub departure: SendGuard,
}

/// Asked when a write is about to leave, which may be long after the request was made: a process can be frozen in between,
/// or wait for a connection, while another one takes over and judges what this one has done.
#[derive(Clone)]
pub struct SendGuard(WriteGate);

impl SendGuard {
    /// Lets everything leave that `gate` lets through.
    pub fn through(gate: WriteGate) -> Self {
        Self(gate)
    }

    /// Lets everything leave.
    pub fn free() -> Self {
        Self(Arc::new(|| Ok(())))
    }

    /// Asked by whatever sends a request, when it is about to leave.
    ///
    /// # Errors
    /// Why it must not leave any more.
    pub fn ask(&self) -> Result<(), &'static str> {
        (self.0)()
    }
}

impl fmt::Debug for SendGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Departure")
    }
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    /// The value of the `Content-Type` header.
    pub content_type: &'static str,
    /// The body itself.
    pub text: String,
}

impl Body {
    /// An HTML form, as Twilio wants it.
    pub(crate) fn form(fields: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        Self {
            content_type: "application/x-www-form-urlencoded",
            text,
        }
    }

    /// A JSON value, as Telnyx and Burki want it.
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self {
            content_type: "application/json",
            text: value.to_string(),
        }
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, at most [`MAX_BODY`] long.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The provider cannot have seen the request: no address, no connection, no TLS.
    #[error("no connection: {0}")]
    NotSent(String),
    /// The provider may have acted on the request.
    #[error("no answer: {0}")]
    Lost(String),
    /// An answer came that is longer than [`MAX_BODY`].
    #[error("the answer is longer than {} MiB", MAX_BODY >> 20)]
    TooLarge,
}

impl Response {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.trim())
    }

    /// The body as a JSON object, the only thing that any provider answers with. Without the check a list would be read as
    /// the fields of `T` in their order.
    pub(crate) fn object<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        if self.body.trim_ascii_start().starts_with(b"{") {
            serde_json::from_slice(&self.body)
        } else {
            // The error says where the body stops being one.
            let object = serde_json::from_slice::<serde_json::Map<_, _>>(&self.body)?;
            serde_json::from_value(object.into())
        }
    }

    /// The body as a JSON object. What cannot be read is described without being shown.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, String> {
        self.object().map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!(
                "HTTP {} with a body that is not as documented at line {line}, column {column}",
                self.status
            )
        })
    }

    /// The provider's time when it answered, to the second below.
    pub(crate) fn date(&self) -> Option<Timestamp> {
        let date = httpdate::parse_http_date(self.header("date")?).ok()?;
        Timestamp::try_from(date).ok()
    }

    /// How long the provider asks us to wait: `Retry-After` in seconds or as a date, else Telnyx's
    /// `x-ratelimit-reset` in seconds
    /// (<https://developers.telnyx.com/development/api-fundamentals/reliability/rate-limiting>).
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let seconds = |text: &str| {
            let seconds = text.parse::<f64>().ok()?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        let until = |text: &str| {
            let at = Timestamp::try_from(httpdate::parse_http_date(text).ok()?).ok()?;
            Duration::try_from(at.duration_since(self.date()?)).ok()
        };
        let retry_after = self.header("retry-after");
        retry_after
            .and_then(|text| seconds(text).or_else(|| until(text)))
            .or_else(|| self.header("x-ratelimit-reset").and_then(seconds))
            .map(|pause| pause.min(LONGEST_PAUSE))
    }

    /// The provider's own id of the request, in printable characters. [`Session::request_id`] is what may be shown of it.
    fn request_id(&self) -> Option<String> {
        let id = self
            .header("twilio-request-id")
            .or_else(|| self.header("x-request-id"))?;
        let id: String = id.chars().filter(char::is_ascii_graphic).collect();
        (!id.is_empty()).then_some(id)
    }
}

/// What all sessions of this process share: the way out, the gate, the clock and the purchase timeout.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    gate: WriteGate,
    clock: Arc<dyn Clock>,
    purchase_timeout: Duration,
    observer: Option<Arc<dyn RequestObserver>>,
}

impl Client {
    /// Requests go out through `transport`, and those that write only while `gate` is open. A purchase may take
    /// `purchase_timeout`, all else 10 s.
    pub fn new(
        transport: Arc<dyn Transport>,
        gate: WriteGate,
        clock: Arc<dyn Clock>,
        purchase_timeout: Duration,
    ) -> Self {
        Self {
            transport,
            gate,
            clock,
            purchase_timeout,
            observer: None,
        }
    }

    /// The same client, whose requests `observer` observes.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn RequestObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The clock that tokens are measured by.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Headers = [(&'static str, &'static str)];

    fn response(headers: &[(&str, &str)]) -> Response {
        let headers = headers
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        Response {
            status: 429,
            headers,
            body: Vec::new(),
        }
    }

    #[test]
    fn a_request_to_slow_down_is_read_in_every_form() {
        let date = ("date", "Thu, 30 Jul 2015 23:19:04 GMT");
        let table: [(&Headers, Option<u64>); 9] = [
            (&[], None),
            (&[("retry-after", "7")], Some(7)),
            (
                &[("retry-after", "Thu, 30 Jul 2015 23:19:14 GMT"), date],
                Some(10),
            ),
            (&[("retry-after", "Thu, 30 Jul 2015 23:19:14 GMT")], None),
            (
                &[("retry-after", "Thu, 30 Jul 2015 23:00:00 GMT"), date],
                None,
            ),
            (&[("x-ratelimit-reset", "3")], Some(3)),
            (
                &[("retry-after", "soon"), ("x-ratelimit-reset", "3")],
                Some(3),
            ),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "1e300")], None),
        ];
        for (headers, seconds) in table {
            assert_eq!(
                response(headers).retry_after(),
                seconds.map(Duration::from_secs),
                "{headers:?}"
            );
        }
        let long = response(&[("retry-after", "999999")]);
        assert_eq!(long.retry_after(), Some(LONGEST_PAUSE));
    }

    #[test]
    fn a_request_does_not_show_its_credential() {
        let request = Request {
            method: Method::Get,
            url: "https://api.example.com/".parse().unwrap(),
            authorization: SecretString::from("Bearer fake-secret"),
            body: None,
            departure: SendGuard::free(),
        };
        assert!(!format!("{request:?}").contains("fake-secret"));
    }
}
