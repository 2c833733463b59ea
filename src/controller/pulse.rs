//! Whether watches are alive: when each last heard anything of the API server, and the end of those that hear nothing.
//!
//! A watch whose connection was cut without a word, or whose server stands still, looks like one of objects that nobody
//! changes.

use std::fmt::Display;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::Request;
use http_body::{Frame, SizeHint};
use kube::Client;
use kube::client::Body;
use kube::runtime::utils::Backoff;
use tokio::time::{Instant as Timer, Sleep, sleep};
use tower::BoxError;

use crate::clock::{Clock, Instant};
use crate::panics::lock;
use crate::telemetry::metrics::{Listener, Silence};

/// After how many seconds the API server is asked to end a watch: an end is heard, however little changes. Bookmarks come
/// about once a minute, and an API server that has just started sends none.
pub(super) const WATCH_SECONDS: u32 = 45;

/// How long a request may go without an answer, and an answer without its next part. A list takes a few seconds, a watch at
/// most [`WATCH_SECONDS`]. kube ends a watch without a word 5 s after it should have ended.
const SILENCE: Duration = Duration::from_secs(49);

/// The first and the longest pause after an error of a watch.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// After this long without an error pauses begin again. Some networks cut each connection that is idle for 30 s.
const QUIET: Duration = Duration::from_secs(20);

/// All watches of a process.
pub(super) struct Pulses {
    clock: Arc<dyn Clock>,
    all: Mutex<Vec<Arc<Pulse>>>,
}

/// One watch.
pub(super) struct Pulse {
    kind: String,
    /// Empty if all namespaces are watched.
    namespace: String,
    clock: Arc<dyn Clock>,
    heard: Mutex<Instant>,
    /// What was logged since the watch last heard anything.
    logged: Mutex<Option<String>>,
}

impl Pulses {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            all: Mutex::default(),
        }
    }

    /// The pulse of a watch that begins now.
    pub(super) fn of(&self, kind: &str, namespace: Option<&str>) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse {
            kind: kind.to_owned(),
            namespace: namespace.unwrap_or_default().to_owned(),
            clock: Arc::clone(&self.clock),
            heard: Mutex::new(self.clock.now()),
            logged: Mutex::default(),
        });
        lock(&self.all).push(Arc::clone(&pulse));
        pulse
    }
}

impl Listener for Pulses {
    fn silences(&self) -> Vec<Silence> {
        let now = self.clock.now();
        let all = lock(&self.all);
        let silences = all.iter().map(|pulse| Silence {
            kind: pulse.kind.clone(),
            namespace: pulse.namespace.clone(),
            seconds: now.since(*lock(&pulse.heard)).as_secs_f64(),
        });
        silences.collect()
    }
}

impl Pulse {
    /// `client` for this watch alone: its requests end after [`SILENCE`], and its pulse beats with what they bring.
    pub(super) fn listen(self: &Arc<Self>, client: Client) -> Client {
        let pulse = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, pulse) = (client.clone(), Arc::clone(&pulse));
            async move {
                let answer = tokio::time::timeout(SILENCE, client.send(request)).await;
                let response = answer.map_err(|_| pulse.silent())??;
                // A watch that is refused hears nothing of its objects.
                let counts = response.status().is_success();
                if counts {
                    pulse.beat();
                }
                let heard = |body| Heard {
                    body,
                    pulse,
                    counts,
                    timer: Box::pin(sleep(SILENCE)),
                };
                Ok::<_, BoxError>(response.map(heard))
            }
        });
        Client::new(service, "default")
    }

    /// Logs an error of the watch, once until it hears something.
    pub(super) fn failed(&self, error: &impl Display) {
        let text = error.to_string();
        let mut logged = lock(&self.logged);
        if logged.as_ref() != Some(&text) {
            let Self {
                kind, namespace, ..
            } = self;
            tracing::warn!(
                kind,
                namespace,
                error = text,
                "cannot watch; it is tried again"
            );
            *logged = Some(text);
        }
    }

    fn beat(&self) {
        *lock(&self.heard) = self.clock.now();
        *lock(&self.logged) = None;
    }

    /// The error of a watch that heard nothing for too long. kube begins it again at once where it stood.
    fn silent(&self) -> io::Error {
        let Self {
            kind, namespace, ..
        } = self;
        let seconds = SILENCE.as_secs();
        tracing::warn!(
            kind,
            namespace,
            seconds,
            "a watch heard nothing of the API server; it is begun again"
        );
        let text = format!("the API server was silent for {seconds} s");
        io::Error::new(io::ErrorKind::UnexpectedEof, text)
    }
}

/// The body of an answer.
struct Heard {
    body: Body,
    pulse: Arc<Pulse>,
    /// False for the text of a refusal.
    counts: bool,
    timer: Pin<Box<Sleep>>,
}

impl http_body::Body for Heard {
    type Data = axum::body::Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, BoxError>>> {
        let heard = self.get_mut();
        match Pin::new(&mut heard.body).poll_frame(context) {
            Poll::Ready(frame) => {
                if frame.as_ref().is_none_or(Result::is_ok) {
                    if heard.counts {
                        heard.pulse.beat();
                    }
                    heard.timer.as_mut().reset(Timer::now() + SILENCE);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                ready!(heard.timer.as_mut().poll(context));
                Poll::Ready(Some(Err(heard.pulse.silent().into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Pauses between the errors of one watch. kube's own are forgotten at the beginning of each list, also of one that fails, and
/// remembered for two minutes otherwise.
#[derive(Default)]
pub(super) struct Pauses {
    errors: u32,
    last: Option<Timer>,
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let (first, longest) = PAUSES;
        if self.last.is_some_and(|last| last.elapsed() > QUIET) {
            self.errors = 0;
        }
        let pause = first.saturating_mul(1 << self.errors.min(16)).min(longest);
        self.errors = self.errors.saturating_add(1);
        self.last = Some(Timer::now() + pause);
        Some(pause)
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {}
}
