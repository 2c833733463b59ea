//! Real watches of kube over an API server in memory, on a paused clock.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Bytes;
use futures::channel::mpsc;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::super::reconciler::tests::{World, number};
use super::*;
use crate::telemetry::metrics::Metrics;
use telephony::testing::TokioClock;

/// How the API server treats watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Healthy,
    /// The answer begins, and nothing follows.
    Silent,
    /// Not even an answer comes.
    Deaf,
    /// A connection that is idle for so long is reset.
    Cuts(Duration),
    Denies,
}

/// An API server that has PhoneNumbers.
struct Server {
    objects: Mutex<Vec<Value>>,
    mood: Mutex<Mood>,
    requests: AtomicUsize,
}

impl Server {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            objects: Mutex::default(),
            mood: Mutex::new(mood),
            requests: AtomicUsize::default(),
        })
    }

    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn is_now(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn create(&self, name: &str) {
        let mut objects = self.objects.lock().unwrap();
        let version = (objects.len() + 1).to_string();
        objects.push(json!({
            "apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
            "metadata": {"name": name, "namespace": "support", "uid": name, "resourceVersion": version, "generation": 1},
            "spec": {"provider": "twilio", "phoneNumber": "+12125550100"},
        }));
    }

    fn from(&self, version: usize) -> Vec<Value> {
        let objects = self.objects.lock().unwrap();
        objects.get(version..).unwrap_or_default().to_vec()
    }

    fn requests(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }

    fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request.uri()).await) }
        });
        Client::new(service, "default")
    }

    async fn answer(
        self: Arc<Self>,
        uri: &http::Uri,
    ) -> Response<UnsyncBoxBody<Bytes, std::io::Error>> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let query = uri.query().unwrap_or_default().as_bytes();
        let query: std::collections::HashMap<_, _> =
            url::form_urlencoded::parse(query).into_owned().collect();
        let mood = self.mood();
        if mood == Mood::Deaf {
            std::future::pending::<()>().await;
        }
        if mood == Mood::Denies {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "may not watch", "reason": "Forbidden", "code": 403});
            let denied = Response::builder().status(403);
            return denied.body(text(&status)).unwrap();
        }
        if !query.contains_key("watch") {
            let objects = self.from(0);
            let list = json!({"kind": "PhoneNumberList", "apiVersion": "telephony.burki.dev/v1alpha1",
                "metadata": {"resourceVersion": objects.len().to_string()}, "items": objects});
            return Response::new(text(&list));
        }
        let version: usize = query["resourceVersion"].parse().unwrap();
        let lasts: u64 = query["timeoutSeconds"].parse().unwrap();
        let events = self.watch(version, Duration::from_secs(lasts));
        Response::new(StreamBody::new(events).boxed_unsync())
    }

    fn watch(
        self: Arc<Self>,
        version: usize,
        lasts: Duration,
    ) -> impl Stream<Item = std::io::Result<Frame<Bytes>>> {
        let (mood, begun) = (self.mood(), Instant::now());
        futures::stream::unfold(Some(version), move |version| {
            let server = Arc::clone(&self);
            async move {
                let version = version?;
                let idle = Instant::now();
                loop {
                    if mood == Mood::Silent {
                        std::future::pending::<()>().await;
                    }
                    if let Some(object) = server.from(version).first() {
                        let line = format!("{}\n", json!({"type": "ADDED", "object": object}));
                        return Some((Ok(Frame::data(line.into())), Some(version + 1)));
                    }
                    if begun.elapsed() >= lasts {
                        return None;
                    }
                    if matches!(mood, Mood::Cuts(after) if idle.elapsed() >= after) {
                        let reset = std::io::ErrorKind::ConnectionReset;
                        return Some((Err(reset.into()), None));
                    }
                    sleep(Duration::from_millis(500)).await;
                }
            }
        })
    }
}

fn text(value: &Value) -> UnsyncBoxBody<Bytes, std::io::Error> {
    let body = Full::from(value.to_string());
    body.map_err(|never| match never {}).boxed_unsync()
}

/// A watch of the server, and the names that it has shown.
fn seen(pulses: &Pulses, server: &Arc<Server>, namespace: &str) -> mpsc::UnboundedReceiver<String> {
    let (sender, names) = mpsc::unbounded();
    let (_store, events) = watch(
        pulses,
        &server.client(),
        Some(namespace),
        api_in::<PhoneNumber>,
    );
    tokio::spawn(async move {
        let mut events = std::pin::pin!(events.applied_objects());
        while let Some(object) = events.next().await {
            let name = object.unwrap().metadata.name.unwrap();
            sender.unbounded_send(name).unwrap();
        }
    });
    names
}

fn pulses() -> (Arc<Pulses>, Metrics) {
    let pulses = Arc::new(Pulses::new(Arc::new(TokioClock::default())));
    let metrics = Metrics::default();
    metrics.listen(&pulses);
    (pulses, metrics)
}

/// For how many seconds the metric says that the watch of `namespace` has heard nothing.
fn silence(metrics: &Metrics, namespace: &str) -> f64 {
    let text = metrics.text().unwrap();
    let series =
        format!("phonenumber_watch_silence_seconds{{kind=\"PhoneNumber\",scope=\"{namespace}\"}} ");
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(&series)).unwrap();
    value.parse().unwrap()
}

async fn within(seconds: u64, names: &mut mpsc::UnboundedReceiver<String>, wanted: &str) {
    let name = timeout(Duration::from_secs(seconds), names.next()).await;
    assert_eq!(
        name.ok().flatten().as_deref(),
        Some(wanted),
        "in {seconds} s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_hears_nothing_is_begun_again() {
    for mood in [Mood::Silent, Mood::Deaf] {
        let (pulses, metrics) = pulses();
        let server = Server::new(Mood::Healthy);
        server.create("before");
        let mut names = seen(&pulses, &server, "support");
        within(1, &mut names, "before").await;
        server.is_now(mood);
        sleep(Duration::from_secs(600)).await;
        assert!(silence(&metrics, "support") < 60.0 || mood == Mood::Deaf);
        assert!(server.requests() < 30);
        server.create("meanwhile");
        server.is_now(Mood::Healthy);
        within(60, &mut names, "meanwhile").await;
        assert!(silence(&metrics, "support") < 60.0);
    }
}

/// Five namespaces are watched through something that resets each connection that is idle for 30 s.
#[tokio::test(start_paused = true)]
async fn watches_whose_idle_connections_are_cut_stay_live() {
    let (pulses, metrics) = pulses();
    let server = Server::new(Mood::Cuts(Duration::from_secs(30)));
    let namespaces = ["a", "b", "c", "d", "e"];
    let mut watches: Vec<_> = namespaces
        .iter()
        .map(|namespace| seen(&pulses, &server, namespace))
        .collect();
    for minutes in [40, 1, 3] {
        sleep(Duration::from_secs(60 * minutes)).await;
        let name = format!("after-{minutes}");
        server.create(&name);
        for names in &mut watches {
            within(5, names, &name).await;
        }
    }
    assert!(namespaces.iter().all(|it| silence(&metrics, it) < 60.0));
    let requests = server.requests();
    assert!(requests < 5 * 44 * 60 / 25, "{requests}");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_denied_is_tried_again_soon_but_not_all_the_time() {
    let (pulses, metrics) = pulses();
    let server = Server::new(Mood::Denies);
    server.create("nyc");
    let mut names = seen(&pulses, &server, "support");
    sleep(Duration::from_secs(600)).await;
    let requests = server.requests();
    assert!((50..80).contains(&requests), "{requests} in ten minutes");
    assert!(silence(&metrics, "support") >= 600.0, "the metric tells");
    server.is_now(Mood::Healthy);
    within(11, &mut names, "nyc").await;
}

/// What a Secret or an account wakes has nothing to do with whether numbers can be watched.
#[tokio::test(start_paused = true)]
async fn a_watch_that_fails_holds_up_nothing_that_is_woken() {
    let (pulses, _metrics) = pulses();
    let server = Server::new(Mood::Healthy);
    server.create("nyc");
    let (store, events) = watch(
        &pulses,
        &server.client(),
        Some("support"),
        api_in::<PhoneNumber>,
    );
    let (wake, woken) = unbounded();
    let (passes, mut passed) = mpsc::unbounded();
    let controller = Controller::for_stream(triggers(events, |_| true, number_fingerprint), store)
        .reconcile_on(woken);
    let pass = move |number: Arc<PhoneNumber>, _: Arc<()>| {
        passes
            .unbounded_send(number.metadata.name.clone().unwrap())
            .unwrap();
        async { Ok::<_, Infallible>(Action::await_change()) }
    };
    let run = controller.run(pass, |_, _, _| Action::await_change(), Arc::new(()));
    tokio::spawn(run.for_each(|_| async {}));
    within(1, &mut passed, "nyc").await;
    server.is_now(Mood::Denies);
    for _ in 0..60 {
        sleep(Duration::from_secs(10)).await;
        wake.unbounded_send(ObjectRef::new("nyc").within("support"))
            .unwrap();
        within(1, &mut passed, "nyc").await;
    }
}

/// A restored manifest without claim and finalizer: kube has to compare it with what a reconcile has written.
#[tokio::test]
async fn an_object_that_is_set_back_to_what_it_was_before_a_pass_is_due() {
    let world = World::new();
    let observations = &world.cluster.observations;
    let at = |version: &str, finalizers: Value| {
        let change = json!({"metadata": {"resourceVersion": version, "generation": 1, "finalizers": finalizers}});
        let mut object = serde_json::to_value(number("nyc", "+12125550100", json!({}))).unwrap();
        for (field, value) in change["metadata"].as_object().unwrap() {
            object["metadata"][field] = value.clone();
        }
        serde_json::from_value::<PhoneNumber>(object).unwrap()
    };
    let bare = at("5", json!([]));
    let written = at("6", json!(["telephony.burki.dev/release"]));
    let restored = at("7", json!([]));
    let (events, told) = unbounded();
    let cluster = Arc::clone(&world.cluster);
    let is_foreign_change = move |number: &PhoneNumber| !cluster.observations.knows(number);
    let mut due = std::pin::pin!(triggers(told, is_foreign_change, number_fingerprint));
    let version = |due: Option<Result<PhoneNumber, watcher::Error>>| {
        due.and_then(Result::ok)
            .and_then(|it| it.metadata.resource_version)
    };
    events.unbounded_send(Ok(Event::Apply(bare))).unwrap();
    assert_eq!(version(due.next().await).as_deref(), Some("5"));
    observations.written(&Arc::new(written.clone()), true);
    events.unbounded_send(Ok(Event::Apply(written))).unwrap();
    assert!(
        due.next().now_or_never().is_none(),
        "a reconcile wakes nobody"
    );
    events.unbounded_send(Ok(Event::Apply(restored))).unwrap();
    assert_eq!(version(due.next().await).as_deref(), Some("7"));
}

/// Otherwise a reconcile would be made over what the cache had before, or none over what is new, and no other be due.
#[tokio::test]
async fn what_a_list_of_several_pages_shows_is_due_once_the_cache_has_it() {
    let object = |name: &str, phone_number: &str, version: &str| {
        let generation: i64 = version.parse().unwrap();
        let change = json!({"metadata": {"resourceVersion": version, "generation": generation}});
        number(name, phone_number, change)
    };
    let (told, events) = mpsc::unbounded();
    let tell = |event| told.unbounded_send(Ok(event)).unwrap();
    let (store, events) = cached::<PhoneNumber>(events);
    let mut due = Box::pin(triggers(events, |_| true, number_fingerprint));
    let declared = |name: &str| {
        let found = store.get(&ObjectRef::new(name).within("support"))?;
        found.spec.phone_number.clone()
    };
    tell(Event::Init);
    tell(Event::InitApply(object("a", "+12125550101", "1")));
    tell(Event::InitDone);
    due.next().await.unwrap().unwrap();
    // A list that fails after its first page is begun again.
    for ends in [false, true] {
        tell(Event::Init);
        tell(Event::InitApply(object("a", "+12125550102", "2")));
        tell(Event::InitApply(object("b", "+12125550103", "3")));
        assert!(
            due.next().now_or_never().is_none(),
            "the next page may take its time"
        );
        if ends {
            tell(Event::InitDone);
        }
    }
    for (name, wanted) in [("a", "+12125550102"), ("b", "+12125550103")] {
        let next = due.next().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(next.metadata.name.as_deref(), Some(name));
        assert_eq!(declared(name).as_deref(), Some(wanted));
    }
    assert!(due.next().now_or_never().is_none());
}
