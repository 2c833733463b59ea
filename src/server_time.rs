//! The clients of the API server, and its clock as the `Date` of its replies tells it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::{DATE, HeaderMap};
use axum::http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::util::MapResponseLayer;
use tower::{BoxError, Layer, Service};

use crate::clock::{Clock, Instant};

/// How long a write may take to connect, and then to be answered: an order of magnitude more than a slow API server needs.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

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
        let client = Client::new(time.layer().layer(service), "default");
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
    let mut writes = config.clone();
    writes.default_retry = false;
    writes.connect_timeout = Some(WRITE_TIMEOUT);
    writes.read_timeout = Some(WRITE_TIMEOUT);
    writes.write_timeout = Some(WRITE_TIMEOUT);
    // Else the time that a connection was idle would count.
    writes.reset_reader_on_write = true;
    Ok(Clients {
        reads: ClientBuilder::try_from(config)?
            .with_layer(&time.layer())
            .build(),
        writes: ClientBuilder::try_from(writes)?
            .with_layer(&time.layer())
            .build(),
        time,
    })
}

/// The API server's clock. All clones are one.
///
/// # Caveats
/// It is up to a second and the way of the reply behind, may step back by as much, and jumps by what several API servers
/// disagree.
#[derive(Clone)]
pub struct ServerTime {
    clock: Arc<dyn Clock>,
    /// The last date, and when it came.
    last: Arc<Mutex<Option<(Timestamp, Instant)>>>,
}

impl ServerTime {
    fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            last: Arc::default(),
        }
    }

    /// The API server's present time: the date of its last reply and what has gone by since. `None` before the first.
    pub fn now(&self) -> Option<Timestamp> {
        let (date, came) = (*self.lock())?;
        let elapsed = SignedDuration::try_from(self.clock.now().since(came)).ok()?;
        date.checked_add(elapsed).ok()
    }

    /// A layer that reads the date of every reply.
    fn layer<B>(
        &self,
    ) -> MapResponseLayer<impl Fn(Response<B>) -> Response<B> + Clone + Send + 'static> {
        let time = self.clone();
        MapResponseLayer::new(move |response: Response<B>| {
            time.read(response.headers());
            response
        })
    }

    fn read(&self, headers: &HeaderMap) {
        if let Some(date) = date(headers) {
            *self.lock() = Some((date, self.clock.now()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Timestamp, Instant)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = headers.get(DATE)?.to_str().ok()?;
    Timestamp::try_from(httpdate::parse_http_date(date).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootClock;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::{Json, Router};
    use serde_json::json;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
    use tower::{ServiceExt, service_fn};

    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Instant {
            Instant::since_boot(Duration::from_secs(self.0.load(Ordering::Relaxed)))
        }
    }

    async fn reply_with(time: &ServerTime, date: Option<&'static str>) {
        let server = service_fn(move |_: Request<Body>| async move {
            let mut response = Response::builder().status(503);
            if let Some(date) = date {
                response = response.header(DATE, date);
            }
            Ok::<_, Infallible>(response.body(Body::empty()).unwrap())
        });
        let response = time
            .layer()
            .layer(server)
            .oneshot(Request::new(Body::empty()))
            .await
            .unwrap();
        assert_eq!(response.status(), 503, "the reply is passed on");
    }

    #[tokio::test]
    async fn the_servers_time_goes_on_from_its_last_reply() {
        let hand = Arc::new(Hand::default());
        let time = ServerTime::new(hand.clone());
        assert_eq!(time.now(), None);
        reply_with(&time, Some("Tue, 24 Nov 2026 10:00:00 GMT")).await;
        assert_eq!(time.now(), Some("2026-11-24T10:00:00Z".parse().unwrap()));
        hand.0.store(90, Ordering::Relaxed);
        assert_eq!(
            time.clone().now(),
            Some("2026-11-24T10:01:30Z".parse().unwrap())
        );
        reply_with(&time, Some("Tue, 24 Nov 2026 10:01:20 GMT")).await;
        assert_eq!(
            time.now(),
            Some("2026-11-24T10:01:20Z".parse().unwrap()),
            "the last reply counts"
        );
    }

    #[tokio::test]
    async fn a_reply_without_a_readable_date_changes_nothing() {
        let time = ServerTime::new(Arc::new(Hand::default()));
        for date in [None, Some("yesterday"), Some("")] {
            reply_with(&time, date).await;
            assert_eq!(time.now(), None, "{date:?}");
        }
        reply_with(&time, Some("Tue, 24 Nov 2026 10:00:00 GMT")).await;
        reply_with(&time, None).await;
        assert_eq!(time.now(), Some("2026-11-24T10:00:00Z".parse().unwrap()));
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
