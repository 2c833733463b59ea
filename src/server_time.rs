//! The clients of the API server, and its clock as the `Date` of its replies tells it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{DATE, HeaderMap};
use axum::http::{Request, Response, StatusCode};
use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service};

use crate::clock::{Clock, Instant, RemoteClock};
use crate::panics::lock;

/// How long a write may take to connect, and then to be answered: an order of magnitude more than a slow API server needs.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a read may go without a byte from the API server: longer than a watch is asked to last.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The clients of the API server.
#[derive(Clone)]
pub struct Clients {
    /// For reads and watches. Repeats what the API server was too busy for, for minutes.
    pub reads: Client,
    /// For writes. Repeats nothing, and gives up after seconds.
    pub writes: Client,
    /// The API server's clock, by the replies to both.
    pub time: ServerTime,
}

impl Clients {
    /// Clients that speak to `service` instead of a network. Nothing is repeated, and nothing is given up.
    pub fn over<S, B>(service: S, clock: Arc<dyn Clock>) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Send + Clone + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let time = ServerTime::new(clock);
        let client = Client::new(time.layer(service), "default");
        Self {
            reads: client.clone(),
            writes: client,
            time,
        }
    }
}

/// Makes the clients. Must be called on the runtime that they are used on.
///
/// # Errors
/// If `config` cannot be used: certificates, credentials or proxy.
pub fn clients(config: Config, clock: Arc<dyn Clock>) -> kube::Result<Clients> {
    let time = ServerTime::new(clock);
    let mut reads = config.clone();
    reads.read_timeout = Some(READ_TIMEOUT);
    reads.write_timeout = Some(READ_TIMEOUT);
    // Else the time that a connection was idle would count.
    reads.reset_reader_on_write = true;
    let mut writes = config;
    writes.default_retry = false;
    writes.connect_timeout = Some(WRITE_TIMEOUT);
    writes.read_timeout = Some(WRITE_TIMEOUT);
    writes.write_timeout = Some(WRITE_TIMEOUT);
    writes.reset_reader_on_write = true;
    Ok(Clients {
        reads: ClientBuilder::try_from(reads)?.with_layer(&time).build(),
        writes: ClientBuilder::try_from(writes)?.with_layer(&time).build(),
        time,
    })
}

/// The API server's clock, as a [`RemoteClock`]. All clones are one.
#[derive(Clone)]
pub struct ServerTime {
    clock: Arc<dyn Clock>,
    heard: Arc<Mutex<RemoteClock>>,
}

impl ServerTime {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            heard: Arc::default(),
        }
    }

    /// The API server's present time. `None` before the first reply.
    pub fn now(&self) -> Option<Timestamp> {
        self.lock().time_at(self.clock.now())
    }

    fn read(&self, status: StatusCode, headers: &HeaderMap, sent: Instant) {
        // What is in between answers with errors of its own.
        if let Some(date) = date(headers).filter(|_| !status.is_server_error()) {
            self.lock().hear(date, sent, self.clock.now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, RemoteClock> {
        lock(&self.heard)
    }
}

/// Reads the date of every reply.
impl<S> Layer<S> for ServerTime {
    type Service = Timed<S>;

    fn layer(&self, inner: S) -> Timed<S> {
        Timed {
            inner,
            time: self.clone(),
        }
    }
}

/// A service whose replies tell the time.
#[derive(Clone)]
pub struct Timed<S> {
    inner: S,
    time: ServerTime,
}

impl<S, Q, P> Service<Request<Q>> for Timed<S>
where
    S: Service<Request<Q>, Response = Response<P>>,
    S::Future: Send + 'static,
{
    type Response = Response<P>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<P>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let time = self.time.clone();
        let sent = time.clock.now();
        let asked = self.inner.call(request);
        Box::pin(async move {
            let response = asked.await?;
            time.read(response.status(), response.headers(), sent);
            Ok(response)
        })
    }
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    Timestamp::try_from(httpdate::parse_http_date(date).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{BootClock, FIRST_REPLIES};
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::{Json, Router};
    use jiff::SignedDuration;
    use serde_json::json;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use telephony::testing::ManualClock;
    use tower::{ServiceExt, service_fn};

    const NOON: &str = "Tue, 24 Nov 2026 12:00:00 GMT";

    async fn reply_with(time: &ServerTime, status: u16, date: Option<&'static str>) {
        let server = service_fn(move |_: Request<Body>| async move {
            let mut response = Response::builder().status(status);
            if let Some(date) = date {
                response = response.header(DATE, date);
            }
            Ok::<_, Infallible>(response.body(Body::empty()).unwrap())
        });
        let request = Request::new(Body::empty());
        let response = time.layer(server).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "the reply is passed on");
    }

    fn noon(seconds: i64) -> Timestamp {
        let noon: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        noon + SignedDuration::from_secs(seconds)
    }

    fn up(seconds: u64) -> Instant {
        Instant::since_boot(Duration::from_secs(seconds))
    }

    /// A clock that has heard at noon, `up` 1000 s, what it needs to count as known.
    fn known() -> (Arc<ManualClock>, ServerTime) {
        let clock = Arc::new(ManualClock::default());
        clock.set(1000);
        let time = ServerTime::new(clock.clone());
        for _ in 0..FIRST_REPLIES {
            time.lock().hear(noon(0), up(1000), up(1000));
        }
        (clock, time)
    }

    #[tokio::test]
    async fn the_servers_time_goes_on_from_its_reply() {
        let clock = Arc::new(ManualClock::default());
        let time = ServerTime::new(clock.clone());
        assert_eq!(time.now(), None);
        reply_with(&time, 200, Some(NOON)).await;
        assert_eq!(time.now(), Some(noon(0)));
        clock.set(90);
        assert_eq!(time.clone().now(), Some(noon(90)));
    }

    #[tokio::test]
    async fn a_reply_without_a_readable_date_or_of_an_intermediary_changes_nothing() {
        let time = ServerTime::new(Arc::new(ManualClock::default()));
        for (status, date) in [
            (200, None),
            (200, Some("yesterday")),
            (200, Some("")),
            (503, Some(NOON)),
            (502, Some(NOON)),
        ] {
            reply_with(&time, status, date).await;
            assert_eq!(time.now(), None, "{status} {date:?}");
        }
        reply_with(&time, 404, Some(NOON)).await;
        assert_eq!(time.now(), Some(noon(0)));
    }

    #[test]
    fn the_first_reply_alone_does_not_decide() {
        let clock = Arc::new(ManualClock::default());
        let time = ServerTime::new(clock);
        for date in [600, 0, 0] {
            time.lock().hear(noon(date), up(0), up(0));
        }
        assert_eq!(time.now(), Some(noon(0)));
    }

    #[test]
    fn no_single_reply_makes_the_clock_jump() {
        for date in [noon(610), noon(-590), noon(86_400)] {
            let (clock, time) = known();
            clock.set(1010);
            time.lock().hear(date, up(1010), up(1010));
            let off = time.now().unwrap().duration_until(noon(10)).abs();
            assert!(off <= SignedDuration::from_secs(1), "{off} after {date}");
            // The next right one sets it right again.
            clock.set(1020);
            time.lock().hear(noon(20), up(1020), up(1020));
            let off = time.now().unwrap().duration_until(noon(20)).abs();
            assert!(off <= SignedDuration::from_secs(1), "{off} after {date}");
        }
    }

    /// It says what the time was when the server wrote it, which was any time since the request.
    #[test]
    fn a_reply_that_was_held_up_changes_nothing() {
        let (clock, time) = known();
        clock.set(1060);
        time.lock().hear(noon(1), up(1000), up(1060));
        assert_eq!(time.now(), Some(noon(60)));
        // Nor one that came before another and is noted after it.
        time.lock().hear(noon(5), up(1005), up(1005));
        assert_eq!(time.now(), Some(noon(60)));
    }

    #[test]
    fn of_two_servers_that_disagree_none_decides_at_once_and_a_server_is_followed_slowly() {
        let (clock, time) = known();
        for at in (1010..1600).step_by(10) {
            clock.set(at);
            let ahead = if at % 20 == 0 { 600 } else { 0 };
            let date = noon(i64::try_from(at).unwrap() - 1000 + ahead);
            time.lock().hear(date, up(at), up(at));
        }
        let off = time.now().unwrap().duration_until(noon(590)).abs();
        assert!(off <= SignedDuration::from_secs(2), "{off}");
        let (clock, time) = known();
        for at in (1010..=2000).step_by(10) {
            clock.set(at);
            let date = noon(i64::try_from(at).unwrap() - 1000 + 60);
            time.lock().hear(date, up(at), up(at));
        }
        let off = time.now().unwrap().duration_until(noon(1060)).abs();
        assert!(off <= SignedDuration::from_secs(1), "{off}");
    }

    /// A server that is too busy for the first request.
    async fn busy_server(asked: Arc<AtomicUsize>) -> Config {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let answer = move || {
            let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
            async move {
                if first {
                    (
                        StatusCode::TOO_MANY_REQUESTS,
                        Json(json!({"kind": "Status", "code": 429})),
                    )
                } else {
                    (
                        StatusCode::OK,
                        Json(
                            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
                        ),
                    )
                }
            }
        };
        let router = Router::new().fallback(answer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Config::new(format!("http://{address}").parse().unwrap())
    }

    #[tokio::test]
    async fn reads_are_repeated_and_writes_are_not() {
        for (writes, requests) in [(false, 2), (true, 1)] {
            let asked = Arc::new(AtomicUsize::new(0));
            let Clients {
                reads,
                writes: writer,
                time,
            } = clients(busy_server(Arc::clone(&asked)).await, Arc::new(BootClock)).unwrap();
            let client = if writes { writer } else { reads };
            assert_eq!(client.list_core_api_versions().await.is_err(), writes);
            assert_eq!(asked.load(Ordering::Relaxed), requests);
            let off = time.now().unwrap().duration_until(Timestamp::now()).abs();
            assert!(off < SignedDuration::from_secs(30), "{off}");
        }
    }
}
