//! What leaves a session, what does not, and what is said of it.

use std::io::Write;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use tracing_subscriber::fmt::format::FmtSpan;

use super::*;
use crate::clock::BootClock;
use crate::provider::http::fake::{Fake, json, text};
use crate::provider::http::{AuditContext, RequestObserver, Transport, with_audit_context};

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
        id_in: None,
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
        session.get("fetch", elsewhere).await.unwrap_err(),
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
        Failure::WriteNotAllowed("no")
    );
    assert_eq!(
        session.purchase(write(&session)).await.unwrap_err(),
        Failure::WriteNotAllowed("no")
    );
    assert!(session.get("fetch", write(&session).url).await.is_ok());
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
    assert!(session.get("fetch", write(&session).url).await.is_err());
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test]
async fn the_companys_time_goes_on_between_answers() {
    let fake = Fake::with([text(200, ""), Err(TransportError::Lost("reset".into()))]);
    let session = session(fake.client());
    assert_eq!(session.time(), None);
    session.get("fetch", write(&session).url).await.unwrap();
    assert_eq!(session.time(), "2026-01-02T03:04:05Z".parse().ok());
    assert!(session.get("fetch", write(&session).url).await.is_err());
    assert_eq!(session.time(), "2026-01-02T03:04:06Z".parse().ok());
}

#[tokio::test]
async fn each_request_is_counted_by_operation_and_outcome() {
    let fake = Fake::with([
        json(200, json!({})),
        json(429, json!({})),
        Err(TransportError::NotSent("refused".into())),
        Err(TransportError::TooLarge),
    ]);
    let counts = Arc::new(Counts::default());
    let session = session(fake.client().observed_by(counts.clone()));
    let url = write(&session).url;
    session.get("list", url.clone()).await.unwrap();
    session.write(write(&session)).await.unwrap();
    session.get("list", url.clone()).await.unwrap_err();
    session.get("list", url).await.unwrap_err();
    let told = lock(&counts.0).clone();
    assert_eq!(
        told,
        [
            ("example", "list", RequestOutcome::Ok),
            ("example", "release", RequestOutcome::Throttled),
            ("example", "list", RequestOutcome::NotSent),
            ("example", "list", RequestOutcome::NoAnswer),
        ]
    );
}

/// What was told of requests.
#[derive(Default)]
struct Counts(Mutex<Vec<(&'static str, &'static str, RequestOutcome)>>);

impl RequestObserver for Counts {
    fn requested(
        &self,
        provider: &'static str,
        operation: &'static str,
        outcome: RequestOutcome,
        _: Duration,
    ) {
        lock(&self.0).push((provider, operation, outcome));
    }
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
    session.get("fetch", write(&session).url).await.unwrap();
    let audited = AuditContext {
        object: "support/nyc".into(),
        generation: 3,
        reason: "being deleted".into(),
        cost: Some("1.15 USD a month".into()),
    };
    let mut call = write(&session);
    call.id_in = Some(|response| Some(format!("id of {}", response.status)));
    with_audit_context(audited, session.write(call))
        .await
        .unwrap();
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
                [
                    &fields["object"],
                    &fields["generation"],
                    &fields["reason"],
                    &fields["id"],
                    &fields["cost"]
                ],
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
            json!([
                "audit",
                [
                    "support/nyc",
                    3,
                    "being deleted",
                    "id of 204",
                    "1.15 USD a month"
                ],
                "release",
                "PN1",
                "204",
                "req-1"
            ]),
            json!([
                "audit",
                ["", 0, "", null, null],
                "release",
                "PN1",
                "no answer: reset after [redacted]",
                null
            ]),
        ]
    );
    assert!(!text.contains("fake-key"));
}

#[tokio::test]
async fn a_call_is_a_span_with_the_companys_id_of_the_request() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_span_events(FmtSpan::CLOSE)
        .with_env_filter(SPANS)
        .with_writer(move || writer.clone())
        .finish();
    {
        let _guard = tracing::subscriber::set_default(subscriber);
        let session = session(Fake::with([json(204, json!({}))]).client());
        session.write(write(&session)).await.unwrap();
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let closed: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let [closed] = closed.as_slice() else {
        panic!("{text}");
    };
    assert_eq!(closed["span"]["name"], "call");
    for (name, value) in [
        ("provider", json!("example")),
        ("operation", json!("release")),
        ("outcome", json!("ok")),
        ("request_id", json!("req-1")),
        ("http.response.status_code", json!(204)),
    ] {
        assert_eq!(closed["span"][name], value, "{name}: {text}");
    }
    assert!(
        !text.contains("fake-key") && !text.contains("PN1"),
        "{text}"
    );
}
