//! One credential and the hosts it may go to: the only place where the two meet. The place where every write passes the
//! gate and leaves its audit line.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use url::Url;

use super::text::presentable;
use super::{Body, Client, Departure, Method, Request, Response, TIMEOUT, TransportError};
use crate::clock::{Clock, Instant};
use crate::provider::Error;

/// A credential, the hosts it opens, and what their clocks say.
pub(crate) struct Session {
    company: &'static str,
    client: Client,
    hosts: Vec<String>,
    authorization: SecretString,
    secrets: Vec<SecretString>,
    time: Mutex<Option<(Timestamp, Instant)>>,
}

/// A request, and how it is spoken of.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<Body>,
    /// The verb for the audit line.
    pub(crate) operation: &'static str,
    /// The number or the id that it is about.
    pub(crate) subject: &'a str,
}

/// An answer, and how long the company took for it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) took: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The gate is shut; nothing was sent.
    Shut(&'static str),
    /// The URL leads to a host that the credential must not go to; nothing was sent.
    Elsewhere,
    /// What the transport says.
    Transport(TransportError),
}

impl Failure {
    /// True if the company cannot have seen the request.
    pub(crate) fn is_before_sending(&self) -> bool {
        match self {
            Self::Shut(_) | Self::Elsewhere | Self::Transport(TransportError::NotSent(_)) => true,
            Self::Transport(TransportError::Lost(_) | TransportError::TooLarge) => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shut(why) => write!(f, "this process may not write: {why}"),
            Self::Elsewhere => f.write_str("a link leads to another host"),
            Self::Transport(error) => error.fmt(f),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Shut(why) => Self::Shut(why),
            Failure::Elsewhere | Failure::Transport(TransportError::TooLarge) => {
                Self::Unreadable(failure.to_string())
            }
            Failure::Transport(TransportError::NotSent(_) | TransportError::Lost(_)) => {
                Self::Unavailable(failure.to_string())
            }
        }
    }
}

impl Session {
    /// A session with `company` whose credential goes to `hosts` alone. `secrets` are what must never be shown,
    /// in every form in which a company could echo it.
    pub(crate) fn new(
        company: &'static str,
        client: Client,
        hosts: Vec<String>,
        authorization: SecretString,
        secrets: Vec<SecretString>,
    ) -> Self {
        Self {
            company,
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

    /// Reads `url`.
    pub(crate) async fn get(&self, url: Url) -> Result<Answer, Failure> {
        let call = Call {
            method: Method::Get,
            url,
            body: None,
            operation: "read",
            subject: "",
        };
        self.exchange(call, TIMEOUT).await
    }

    /// Sends an ordinary write.
    pub(crate) async fn write(&self, call: Call<'_>) -> Result<Answer, Failure> {
        self.exchange(call, TIMEOUT).await
    }

    /// Sends a write that spends money.
    pub(crate) async fn purchase(&self, call: Call<'_>) -> Result<Answer, Failure> {
        self.exchange(call, self.client.purchase_timeout).await
    }

    async fn exchange(&self, call: Call<'_>, limit: Duration) -> Result<Answer, Failure> {
        if !self.opens(&call.url) {
            return Err(Failure::Elsewhere);
        }
        let mut audit = None;
        if call.method != Method::Get {
            (self.client.gate)().map_err(Failure::Shut)?;
            audit = Some(Audit {
                company: self.company,
                operation: call.operation,
                subject: call.subject,
                outcome: "given up before an answer came".into(),
                request_id: None,
            });
        }
        let sent = self.client.clock.now();
        let request = Request {
            method: call.method,
            url: call.url,
            authorization: self.authorization.clone(),
            body: call.body,
            departure: self.departure(sent, limit),
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
            audit.request_id = result
                .as_ref()
                .ok()
                .and_then(|answer| self.request_id(answer));
        }
        let response = result.map_err(Failure::Transport)?;
        if let Some(date) = response.date() {
            *self.time.lock().unwrap_or_else(PoisonError::into_inner) = Some((date, came));
        }
        Ok(Answer {
            response,
            took: came.since(sent),
        })
    }

    /// Lets a body leave while the gate is open, and only in the time that the request has: whoever waits for that time to
    /// pass may rely on it.
    fn departure(&self, sent: Instant, limit: Duration) -> Departure {
        let (gate, clock) = (self.client.gate.clone(), self.client.clock.clone());
        Departure::through(Arc::new(move || {
            gate()?;
            if clock.now().since(sent) < limit {
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

    /// What of the company's `text` may be shown: at most 300 characters, without secrets.
    pub(crate) fn presentable(&self, text: &str) -> String {
        presentable(text, &self.secrets)
    }

    /// The company's own id of the request, for its support: at most 64 characters, without secrets.
    pub(crate) fn request_id(&self, response: &Response) -> Option<String> {
        let id = self.presentable(&response.request_id()?);
        Some(id.chars().take(64).collect())
    }

    /// The company's present time, reckoned from its last answer; at most a second and the way of that answer late.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        let (date, at) = (*self.time.lock().unwrap_or_else(PoisonError::into_inner))?;
        let elapsed = SignedDuration::try_from(self.clock().now().since(at)).ok()?;
        date.checked_add(elapsed).ok()
    }

    /// The clock that tokens are measured by.
    pub(crate) fn clock(&self) -> &dyn Clock {
        self.client.clock()
    }
}

/// `id` if it can stand in a path as it is: ids of both companies are letters, digits, hyphens and underscores.
pub(crate) fn segment(id: &str) -> Result<&str, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !id.is_empty() && id.len() <= 128 && id.bytes().all(plain) {
        Ok(id)
    } else {
        let shown: String = id.chars().take(40).collect();
        Err(Error::Unreadable(format!("{shown:?} is not an id")))
    }
}

/// Writes its line when it goes, so that no way out forgets it.
struct Audit<'a> {
    company: &'static str,
    operation: &'static str,
    subject: &'a str,
    outcome: String,
    request_id: Option<String>,
}

impl Drop for Audit<'_> {
    fn drop(&mut self) {
        tracing::info!(
            target: "audit",
            company = self.company,
            operation = self.operation,
            subject = self.subject,
            outcome = self.outcome,
            request_id = self.request_id,
            "provider write"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use async_trait::async_trait;
    use serde_json::json;

    use super::super::Transport;
    use super::super::fake::{Fake, json, text};
    use super::*;
    use crate::clock::BootClock;

    const HOST: &str = "https://api.example.com/base/";

    fn session(client: Client) -> Session {
        let secret = SecretString::from("fake-key");
        Session::new(
            "example",
            client,
            vec![HOST.into()],
            SecretString::from("Bearer fake-key"),
            vec![secret],
        )
    }

    #[test]
    fn a_request_id_is_short_and_printable_and_shows_no_secret() {
        let session = session(Fake::with([]).client());
        let long = "x".repeat(500);
        let split = format!("{}fake-\u{1}key", "x".repeat(59));
        let cut = format!("{}[redac", "x".repeat(59));
        let table = [
            ("twilio-request-id", "RQ1", Some("RQ1")),
            ("x-request-id", " a b\u{7f} ", Some("ab")),
            ("x-request-id", "", None),
            ("x-request-id", &long, Some(&long[..64])),
            ("x-request-id", "fake-key", Some("[redacted]")),
            ("x-request-id", &split, Some(&cut[..64])),
            ("x-other", "1", None),
        ];
        for (name, value, id) in table {
            let response = Response {
                headers: vec![(name.to_owned(), value.to_owned())],
                ..Response::default()
            };
            assert_eq!(session.request_id(&response).as_deref(), id, "{value}");
        }
    }

    fn write(session: &Session) -> Call<'static> {
        Call {
            method: Method::Delete,
            url: session.url(HOST, "/x", &[]).unwrap(),
            body: None,
            operation: "release",
            subject: "PN1",
        }
    }

    #[test]
    fn a_link_stays_on_its_host() {
        let session = session(Fake::with([]).client());
        let base = "https://api.example.com/base";
        for (link, url) in [
            ("/x?y=1", Some(format!("{base}/x?y=1"))),
            (
                "//evil.example.com/x",
                Some(format!("{base}//evil.example.com/x")),
            ),
            (
                "/\\evil.example.com",
                Some(format!("{base}//evil.example.com")),
            ),
            (
                "https://api.example.com/x",
                Some("https://api.example.com/x".into()),
            ),
            (
                "https://api.example.com:443/x",
                Some("https://api.example.com/x".into()),
            ),
            ("http://api.example.com/x", None),
            ("https://api.example.com.evil.example/x", None),
            ("https://api.example.com@evil.example/x", None),
            ("https://evil.example/https://api.example.com", None),
            ("file:///etc/passwd", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(
                session.link(HOST, link).ok().map(String::from),
                url,
                "{link}"
            );
        }
    }

    #[tokio::test]
    async fn a_credential_goes_to_no_other_host() {
        let fake = Fake::with([]);
        let session = session(fake.client());
        let elsewhere = "https://evil.example.com/".parse().unwrap();
        assert_eq!(
            session.get(elsewhere).await.unwrap_err(),
            Failure::Elsewhere
        );
        assert!(fake.asked().is_empty());
    }

    #[tokio::test]
    async fn a_shut_gate_stops_writes_and_purchases_but_not_reads() {
        let fake = Fake::with([text(200, "")]);
        let session = session(fake.client_with(|| Err("no")));
        assert_eq!(
            session.write(write(&session)).await.unwrap_err(),
            Failure::Shut("no")
        );
        assert_eq!(
            session.purchase(write(&session)).await.unwrap_err(),
            Failure::Shut("no")
        );
        assert!(session.get(write(&session).url).await.is_ok());
        assert_eq!(fake.asked().len(), 1);
    }

    struct Silent;

    #[async_trait]
    impl Transport for Silent {
        async fn send(&self, _: Request) -> Result<Response, TransportError> {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_ends_and_may_have_arrived() {
        let purchase_timeout = Duration::from_secs(30);
        let client = Client::new(
            Arc::new(Silent),
            Arc::new(|| Ok(())),
            Arc::new(BootClock),
            purchase_timeout,
        );
        let session = session(client);
        let start = tokio::time::Instant::now();
        let failure = session.purchase(write(&session)).await.unwrap_err();
        assert_eq!(start.elapsed().as_secs(), 30);
        assert!(!failure.is_before_sending());
        assert_eq!(failure.to_string(), "no answer: none within 30 s");
        let start = tokio::time::Instant::now();
        assert!(session.write(write(&session)).await.is_err());
        assert!(session.get(write(&session).url).await.is_err());
        assert_eq!(start.elapsed().as_secs(), 20);
    }

    #[tokio::test]
    async fn the_companys_time_goes_on_between_answers() {
        let fake = Fake::with([text(200, ""), Err(TransportError::Lost("reset".into()))]);
        let session = session(fake.client());
        assert_eq!(session.time(), None);
        session.get(write(&session).url).await.unwrap();
        assert_eq!(session.time(), "2026-01-02T03:04:05Z".parse().ok());
        assert!(session.get(write(&session).url).await.is_err());
        assert_eq!(session.time(), "2026-01-02T03:04:06Z".parse().ok());
    }

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn each_write_leaves_one_audit_line_without_secrets() {
        let log = Log::default();
        let sink = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || sink.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let fake = Fake::with([
            json(200, json!({})),
            json(204, json!({})),
            Err(TransportError::Lost("reset after fake-key".into())),
        ]);
        let session = session(fake.client());
        session.get(write(&session).url).await.unwrap();
        session.write(write(&session)).await.unwrap();
        session.write(write(&session)).await.unwrap_err();
        drop(session.write(write(&session)));
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let told: Vec<_> = lines
            .iter()
            .map(|line| (&line["target"], &line["fields"]))
            .map(|(target, fields)| {
                json!([
                    target,
                    fields["operation"],
                    fields["subject"],
                    fields["outcome"],
                    fields["request_id"]
                ])
            })
            .collect();
        assert_eq!(
            told,
            [
                json!(["audit", "release", "PN1", "204", "req-1"]),
                json!([
                    "audit",
                    "release",
                    "PN1",
                    "no answer: reset after [redacted]",
                    null
                ]),
            ]
        );
        assert!(!text.contains("fake-key"));
    }
}
