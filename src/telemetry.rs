//! What the program tells about itself: its log, its metrics, its traces, and whether it is alive and ready.
//!
//! Alive means that every part of it still moves; a provider that is down does not make it dead.

pub mod metrics;
mod server;
pub mod traces;

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::clock::{Clock, Instant};
use crate::panics::lock;
use metrics::Metrics;
use traces::Traces;

/// kube logs every failed request as an error of its own, without saying what it was for. The caller of the request logs
/// what matters. kube's span around each reconcile names the object once more, and would be formatted whether a line is
/// written or not. Spans of [`traces::SPANS`] are for traces alone. What was written at a provider is logged at every
/// level, unless a directive names `audit` itself.
const UNLESS_DIRECTED: &str =
    "kube_client::client::builder=off,kube_runtime::controller=warn,spans=off,audit=info";

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text an event, coloured on a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is neither a level nor a list of directives.
    #[error(
        "{0:?} is not a log level (error, warn, info, debug, trace) or a list of directives such as info,kube=debug"
    )]
    Level(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// The process has a log already.
    #[error("the log is set up already")]
    Repeated(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Logs to standard error from now on, from `level` upwards: a level, or directives as in `RUST_LOG`. What the log leaves
/// out is traced all the same.
///
/// # Errors
/// If `level` cannot be understood, or the process logs already.
pub fn init(format: LogFormat, level: &str, traces: Option<&Traces>) -> Result<(), LogError> {
    let filter = filter(level)?;
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => log
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => log.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let mut layers = vec![log];
    layers.extend(traces.map(Traces::layer));
    let subscriber = Registry::default().with(layers);
    subscriber
        .try_init()
        .map_err(|error| LogError::Repeated(error.into()))
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let wrong = |error| LogError::Level(level.to_owned(), error);
    // Taken for a target, a misspelt level would silence the log. Taken for a level, nothing would mean errors alone.
    if !level.contains(['=', ',', '[']) {
        let named = if level.is_empty() { "nothing" } else { level };
        named
            .parse::<LevelFilter>()
            .map_err(|error| wrong(error.into()))?;
    }
    EnvFilter::try_new(format!("{UNLESS_DIRECTED},{level}")).map_err(|error| wrong(error.into()))
}

/// Whether the program is alive and ready. All clones are one.
#[derive(Clone)]
pub struct Health(Arc<Parts>);

struct Parts {
    clock: Arc<dyn Clock>,
    ready: AtomicBool,
    hearts: Mutex<Vec<Arc<Heart>>>,
}

struct Heart {
    name: &'static str,
    max_age: Duration,
    beat: Mutex<Instant>,
}

impl Health {
    /// Of a program that is alive and not ready yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Parts {
            clock,
            ready: AtomicBool::new(false),
            hearts: Mutex::default(),
        }))
    }

    /// A part of the program that is alive from now on, as long as it beats at least every `max_age`.
    /// A part that is dropped counts as one that beats no more.
    pub fn heartbeat(&self, name: &'static str, max_age: Duration) -> Heartbeat {
        let heart = Arc::new(Heart {
            name,
            max_age,
            beat: Mutex::new(self.0.clock.now()),
        });
        lock(&self.0.hearts).push(Arc::clone(&heart));
        Heartbeat {
            heart,
            clock: Arc::clone(&self.0.clock),
        }
    }

    /// Says that the program is ready.
    pub fn set_ready(&self) {
        self.0.ready.store(true, Ordering::Relaxed);
    }

    /// `/livez` and `/readyz`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .with_state(self.clone())
    }

    /// One line for each part that has stopped.
    fn stalled(&self) -> Vec<String> {
        let now = self.0.clock.now();
        let hearts = lock(&self.0.hearts);
        let ages = hearts
            .iter()
            .map(|heart| (heart, now.since(*lock(&heart.beat))));
        ages.filter(|(heart, age)| *age > heart.max_age)
            .map(|(heart, age)| {
                let (name, age, allowed) = (heart.name, age.as_secs(), heart.max_age.as_secs());
                format!("{name} has not moved for {age} s, {allowed} s are allowed\n")
            })
            .collect()
    }
}

/// A part of the program that shows that it moves.
#[derive(Clone)]
pub struct Heartbeat {
    heart: Arc<Heart>,
    clock: Arc<dyn Clock>,
}

impl Heartbeat {
    /// Shows that this part moves.
    pub fn beat(&self) {
        *lock(&self.heart.beat) = self.clock.now();
    }
}

async fn livez(State(health): State<Health>) -> (StatusCode, String) {
    let stalled = health.stalled();
    if stalled.is_empty() {
        (StatusCode::OK, "ok\n".into())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, stalled.concat())
    }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.0.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

async fn scrape(State(metrics): State<Metrics>) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Answers for `health`, and with `metrics` at `/metrics`, until the process ends: also while it finishes its work after a
/// signal.
///
/// # Errors
/// None at present; what fails on one connection is dropped with it.
pub async fn serve(listener: TcpListener, health: Health, metrics: Metrics) -> std::io::Result<()> {
    let scraped = Router::new()
        .route("/metrics", get(scrape))
        .with_state(metrics);
    server::answer(listener, health.router().merge(scraped)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use telephony::testing::ManualClock;
    use tower::ServiceExt;

    async fn ask(health: &Health, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = health.router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_program_is_ready_once_it_says_so() {
        let health = Health::new(Arc::new(ManualClock::default()));
        assert_eq!(ask(&health, "/readyz").await.0, 503);
        assert_eq!(ask(&health, "/livez").await.0, 200);
        health.clone().set_ready();
        assert_eq!(ask(&health, "/readyz").await, (200, "ok\n".into()));
    }

    #[tokio::test]
    async fn one_part_that_stopped_makes_the_program_dead_until_it_moves_again() {
        let clock = Arc::new(ManualClock::default());
        let health = Health::new(clock.clone());
        let (lease, work) = (
            health.heartbeat("lease", Duration::from_secs(30)),
            health.heartbeat("work", Duration::from_secs(60)),
        );
        clock.advance(Duration::from_secs(30));
        assert_eq!(ask(&health, "/livez").await, (200, "ok\n".into()));
        clock.advance(Duration::from_secs(1));
        let stalled = "lease has not moved for 31 s, 30 s are allowed\n";
        assert_eq!(ask(&health, "/livez").await, (503, stalled.into()));
        lease.clone().beat();
        assert_eq!(ask(&health, "/livez").await.0, 200);
        clock.advance(Duration::from_secs(30));
        let (status, text) = ask(&health, "/livez").await;
        assert!(
            status == 503 && text.starts_with("work ") && text.lines().count() == 1,
            "{text}"
        );
        work.beat();
        assert_eq!(ask(&health, "/livez").await.0, 200);
    }

    #[tokio::test]
    async fn a_part_that_is_gone_counts_as_stopped() {
        let clock = Arc::new(ManualClock::default());
        let health = Health::new(clock.clone());
        drop(health.heartbeat("lease", Duration::from_secs(30)));
        clock.advance(Duration::from_secs(31));
        assert_eq!(ask(&health, "/livez").await.0, 503);
    }

    #[tokio::test]
    async fn a_standing_program_that_is_not_ready_is_alive() {
        let health = Health::new(Arc::new(ManualClock::default()));
        assert_eq!(ask(&health, "/livez").await.0, 200);
        assert_eq!(ask(&health, "/elsewhere").await.0, 404);
    }

    #[tokio::test]
    async fn health_and_metrics_are_served_over_http() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health::new(Arc::new(ManualClock::default()));
        tokio::spawn(serve(listener, health, Metrics::default()));
        for (path, kind, end) in [
            ("/livez", "text/plain", "ok\n"),
            ("/metrics", metrics::CONTENT_TYPE, "# EOF\n"),
        ] {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
                .await
                .unwrap();
            let mut answer = String::new();
            tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer)
                .await
                .unwrap();
            let begins = answer.starts_with("HTTP/1.1 200 OK\r\n");
            assert!(
                begins
                    && answer.contains(&format!("content-type: {kind}"))
                    && answer.ends_with(end),
                "{answer}"
            );
        }
    }

    #[test]
    fn the_span_of_a_reconcile_costs_nothing_unless_somebody_asks_for_it() {
        for (level, is_wanted) in [
            ("info", false),
            ("debug", false),
            ("info,kube_runtime::controller=info", true),
        ] {
            let subscriber = Registry::default().with(filter(level).unwrap());
            let (span, warning) = tracing::subscriber::with_default(subscriber, || {
                (
                    tracing::enabled!(target: "kube_runtime::controller", tracing::Level::INFO),
                    tracing::enabled!(target: "kube_runtime::controller", tracing::Level::WARN),
                )
            });
            assert_eq!((span, warning), (is_wanted, true), "{level}");
        }
    }

    #[test]
    fn writes_are_told_at_every_level() {
        for (level, told) in [
            ("error", true),
            ("off", true),
            ("info", true),
            ("info,audit=off", false),
        ] {
            let subscriber = Registry::default().with(filter(level).unwrap());
            let is_told = tracing::subscriber::with_default(
                subscriber,
                || tracing::enabled!(target: "audit", tracing::Level::INFO),
            );
            assert_eq!(is_told, told, "{level}");
        }
    }

    #[test]
    fn levels_and_directives_are_understood() {
        for level in [
            "info",
            "warn,kube=debug",
            "phonenumber_operator=trace",
            "DEBUG",
            "off",
        ] {
            assert!(filter(level).is_ok(), "{level}");
        }
        for level in ["", "verbose", "loud=very", "a=b=c"] {
            let error = filter(level).unwrap_err().to_string();
            assert!(error.contains(level), "{error}");
        }
    }
}
