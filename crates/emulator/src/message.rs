//! Requests and replies, independent of how they travel.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use serde_json::{Value, json};

/// A request as all sides see it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, `POST`, `PATCH` or `DELETE`.
    pub method: String,
    /// The path, not decoded.
    pub path: String,
    /// The query, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The parts of the path.
    pub fn segments(&self) -> Vec<&str> {
        self.path
            .split('/')
            .filter(|part| !part.is_empty())
            .collect()
    }

    /// A query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        url::form_urlencoded::parse(&self.body)
            .into_owned()
            .collect()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// User name and password of Basic authentication.
    pub fn basic(&self) -> Option<(String, String)> {
        let encoded = self.authorization.as_deref()?.strip_prefix("Basic ")?;
        let decoded = base64::prelude::BASE64_STANDARD.decode(encoded).ok()?;
        let text = String::from_utf8(decoded).ok()?;
        text.split_once(':')
            .map(|(user, password)| (user.to_owned(), password.to_owned()))
    }

    /// The token of Bearer authentication.
    pub fn bearer(&self) -> Option<&str> {
        self.authorization.as_deref()?.strip_prefix("Bearer ")
    }

    /// Path, query and body as one text, for faults that concern one number.
    pub fn text(&self) -> String {
        let query: Vec<_> = self
            .query
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let body =
            url::form_urlencoded::parse(&self.body).map(|(key, value)| format!("{key}={value}"));
        let body: Vec<_> = body.collect();
        format!("{} {} {}", self.path, query.join("&"), body.join("&"))
    }
}

/// An answer as all sides give it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// More headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How many bytes are said to come, if not those of the body.
    pub said_length: Option<usize>,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".into())],
            body: value.to_string().into_bytes(),
            said_length: None,
        }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            said_length: None,
        }
    }

    pub(super) fn html(status: u16) -> Self {
        Self {
            status,
            headers: vec![("content-type", "text/html".into())],
            body: b"<html><body>proxy error</body></html>".to_vec(),
            said_length: None,
        }
    }

    /// 429 in Twilio's form; the other sides' clients go by the status.
    pub(super) fn throttled(after: Option<Duration>) -> Self {
        let body = json!({"code": 20429, "message": "Too Many Requests", "status": 429,
            "errors": [{"code": "10011", "title": "Too many requests"}]});
        let mut reply = Self::json(429, &body);
        reply
            .headers
            .extend(after.map(|after| ("retry-after", after.as_secs().to_string())));
        reply
    }

    pub(super) fn truncated(mut self) -> Self {
        self.said_length = Some(self.body.len());
        self.body.truncate(self.body.len() / 2);
        self
    }

    pub(super) fn oversized(mut self) -> Self {
        self.body.resize(6 << 20, b' ');
        self
    }
}

/// A time as HTTP and the Twilio API of 2010 write it.
pub(super) fn http_date(at: SystemTime) -> String {
    httpdate::fmt_http_date(at)
}

/// A time as RFC 2822 writes it.
pub(super) fn rfc2822(at: SystemTime) -> String {
    httpdate::fmt_http_date(at).replace("GMT", "+0000")
}

/// A time as ISO 8601 writes it.
pub(super) fn iso8601(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .unwrap_or_default()
        .to_string()
}
