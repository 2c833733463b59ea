//! The election: on a simulated API server that loses and delays whatever it can, in simulated time, and on a real one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]


use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::{Api, Client};
use phonenumber_operator::chance::Chance;
use phonenumber_operator::clock::{BootClock, Clock, Instant};
use phonenumber_operator::leader::{Elector, HEARTBEAT_MAX_AGE, LEASE, RENEW_DEADLINE, Term};
use phonenumber_operator::server_time::clients;
use phonenumber_operator::telemetry::Health;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use test_support::control_plane::{ControlPlane, config_for};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

const NAME: &str = "operator";

/// How long a takeover may take that need not wait for the Lease to run out: two looks, and a machine that compiles.
const AT_ONCE: Duration = Duration::from_secs(5);

// ---------------------------------------------------------------- simulated

/// Tokio's paused clock, as seconds since boot.
struct Simulated(tokio::time::Instant);

impl Clock for Simulated {
    fn now(&self) -> Instant {
        Instant::since_boot(self.0.elapsed())
    }
}

fn simulated_clock() -> Arc<dyn Clock> {
    Arc::new(Simulated(tokio::time::Instant::now()))
}

/// An API server that has room for one Lease, and compares and swaps as the real one does.
#[derive(Default)]
struct Server {
    lease: Mutex<Option<Lease>>,
    version: AtomicU64,
    writes: AtomicUsize,
}

impl Server {
    fn answer(&self, method: &Method, body: &[u8]) -> Response<Body> {
        let mut stored = self.lease.lock().unwrap();
        match *method {
            Method::GET => match &*stored {
                Some(lease) => reply(StatusCode::OK, lease),
                None => refusal(StatusCode::NOT_FOUND),
            },
            Method::POST if stored.is_some() => refusal(StatusCode::CONFLICT),
            Method::POST | Method::PUT => {
                let mut lease: Lease = serde_json::from_slice(body).unwrap();
                let current = stored
                    .as_ref()
                    .and_then(|lease| lease.metadata.resource_version.clone());
                if *method == Method::PUT && current.is_none() {
                    return refusal(StatusCode::NOT_FOUND);
                }
                if *method == Method::PUT {
                    assert!(
                        lease.metadata.resource_version.is_some(),
                        "a replacement that compares nothing"
                    );
                }
                if lease.metadata.resource_version != current {
                    return refusal(StatusCode::CONFLICT);
                }
                self.writes.fetch_add(1, Ordering::Relaxed);
                let version = self.version.fetch_add(1, Ordering::Relaxed);
                lease.metadata.resource_version = Some(version.to_string());
                *stored = Some(lease.clone());
                reply(StatusCode::OK, &lease)
            }
            _ => panic!("an elector has no use for {method}"),
        }
    }

    /// A client whose every request meets with what `fate` says.
    fn client(self: &Arc<Self>, fate: impl FnMut(&Method) -> Fate + Send + 'static) -> Client {
        let (server, fate) = (Arc::clone(self), Arc::new(Mutex::new(fate)));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (server, fate) = (Arc::clone(&server), Arc::clone(&fate));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let fate = (fate.lock().unwrap())(&head.method);
                // What was sent goes its way, whether or not somebody still waits for the answer.
                let under_way = tokio::spawn(async move {
                    sleep(fate.there).await;
                    let answer = fate.arrives.then(|| server.answer(&head.method, &body));
                    sleep(fate.back).await;
                    match answer {
                        Some(answer) if fate.returns => answer,
                        _ => std::future::pending().await,
                    }
                });
                Ok::<_, Infallible>(under_way.await.unwrap())
            }
        });
        Client::new(service, "default")
    }
}

fn reply(status: StatusCode, body: &impl serde::Serialize) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::from(serde_json::to_vec(body).unwrap()))
        .unwrap()
}

fn refusal(status: StatusCode) -> Response<Body> {
    let reason = if status == StatusCode::CONFLICT {
        "Conflict"
    } else {
        "NotFound"
    };
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status.as_u16()});
    reply(status, &body)
}

/// What becomes of one request.
#[derive(Clone, Copy)]
struct Fate {
    there: Duration,
    arrives: bool,
    back: Duration,
    returns: bool,
}

const SMOOTH: Fate = Fate {
    there: Duration::from_millis(5),
    arrives: true,
    back: Duration::from_millis(5),
    returns: true,
};
const LOST_REPLY: Fate = Fate {
    returns: false,
    ..SMOOTH
};
const LOST: Fate = Fate {
    arrives: false,
    ..SMOOTH
};

impl Fate {
    /// Mostly smooth in good times; in bad times anything.
    fn random(random: &mut StdRng, bad: bool) -> Self {
        let slow = Duration::from_millis(random.random_range(0..20_000));
        match random.random_range(0..10) {
            0 | 1 if bad => LOST,
            2 | 3 if bad => LOST_REPLY,
            4 | 5 if bad => Self {
                there: slow,
                ..SMOOTH
            },
            6 | 7 if bad => Self {
                back: slow,
                ..SMOOTH
            },
            _ => SMOOTH,
        }
    }
}

/// The terms of all candidates so far. Checks at every step of simulated time that no two hold.
#[derive(Clone, Default)]
struct Terms(Arc<Mutex<Vec<Term>>>);

impl Terms {
    fn add(&self, term: &Term) {
        self.0.lock().unwrap().push(term.clone());
    }

    fn holding(&self, now: Instant) -> usize {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|term| term.holds(now))
            .count()
    }
}

/// Ten minutes of three candidates that lead for a while, then step down or crash, on a bad network.
async fn ten_minutes(seed: u64) -> (usize, usize) {
    let clock = simulated_clock();
    let server = Arc::new(Server::default());
    let terms = Terms::default();
    let candidates: Vec<_> = (0..3)
        .map(|candidate| {
            let (clock, server, terms) = (Arc::clone(&clock), Arc::clone(&server), terms.clone());
            tokio::spawn(async move {
                let mut random = StdRng::seed_from_u64(seed * 10 + candidate);
                loop {
                    let mut fates = StdRng::seed_from_u64(random.random());
                    let weather = Arc::clone(&clock);
                    let client = server.client(move |_| {
                        // Half a minute of good weather, half a minute of bad.
                        let bad = weather
                            .now()
                            .since(Instant::since_boot(Duration::ZERO))
                            .as_secs()
                            % 60
                            >= 30;
                        Fate::random(&mut fates, bad)
                    });
                    let term = Elector::new(
                        client,
                        "default",
                        NAME,
                        Arc::clone(&clock),
                        Chance::of_system(),
                    )
                    .acquire()
                    .await;
                    terms.add(&term);
                    let enough = Duration::from_millis(random.random_range(0..60_000));
                    tokio::select! {
                        () = term.lost() => {}
                        () = sleep(enough) => term.step_down().await,
                    }
                    assert!(!term.holds(clock.now()));
                    sleep(Duration::from_millis(random.random_range(0..10_000))).await;
                }
            })
        })
        .collect();
    let mut led = 0;
    for _ in 0..6000 {
        sleep(Duration::from_millis(100)).await;
        let holding = terms.holding(clock.now());
        assert!(
            holding <= 1,
            "{holding} terms hold at once with seed {seed} at {:?}",
            clock.now()
        );
        led += holding;
    }
    candidates.iter().for_each(tokio::task::JoinHandle::abort);
    let count = terms.0.lock().unwrap().len();
    (count, led)
}

#[tokio::test(start_paused = true)]
async fn no_two_lead_at_once_whatever_is_lost_or_late() {
    for seed in 0..40 {
        let (terms, led) = ten_minutes(seed).await;
        assert!(
            terms >= 5,
            "hardly anybody ever led: {terms} terms with seed {seed}"
        );
        assert!(
            led >= 1500,
            "nobody led for most of the time: {led} of 6000 looks with seed {seed}"
        );
    }
}

async fn lead(client: Client, clock: &Arc<dyn Clock>) -> Term {
    Elector::new(
        client,
        "default",
        NAME,
        Arc::clone(clock),
        Chance::of_system(),
    )
    .acquire()
    .await
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_not_lost_by_a_renewal_whose_answer_is() {
    let (clock, server) = (simulated_clock(), Arc::new(Server::default()));
    let mut writes = 0;
    let client = server.client(move |method| {
        writes += usize::from(*method != Method::GET);
        // The first takes the Lease; of the renewals, every third is answered never.
        if *method != Method::GET && writes % 3 == 0 {
            LOST_REPLY
        } else {
            SMOOTH
        }
    });
    let term = lead(client, &clock).await;
    for _ in 0..600 {
        sleep(Duration::from_millis(500)).await;
        assert!(term.holds(clock.now()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_hears_nothing_ends_at_the_deadline_and_the_next_leads_after_the_lease() {
    for fate in [LOST, LOST_REPLY] {
        let (clock, server) = (simulated_clock(), Arc::new(Server::default()));
        let (cut, is_cut) = watch::channel(false);
        let client = server.client(move |_| if *is_cut.borrow() { fate } else { SMOOTH });
        let term = lead(client, &clock).await;
        let next = tokio::spawn({
            let (clock, server) = (Arc::clone(&clock), Arc::clone(&server));
            async move { (lead(server.client(|_| SMOOTH), &clock).await, clock.now()) }
        });
        sleep(Duration::from_secs(60)).await;
        cut.send(true).unwrap();
        let from = clock.now();
        term.lost().await;
        let lost = clock.now();
        assert!(lost.since(from) <= RENEW_DEADLINE, "{:?}", lost.since(from));
        assert!(
            lost.since(from) >= RENEW_DEADLINE - Duration::from_secs(3),
            "{:?}",
            lost.since(from)
        );
        let (_, led) = next.await.unwrap();
        assert!(
            led.since(lost) >= LEASE - RENEW_DEADLINE,
            "{:?}",
            led.since(lost)
        );
        assert!(
            led.since(from) < LEASE + RENEW_DEADLINE + Duration::from_secs(2),
            "{:?}",
            led.since(from)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_term_is_counted_from_when_the_last_renewal_was_sent_not_from_its_answer() {
    // The write that takes the Lease, then a renewal, is answered 4 s later; nothing is answered after it.
    for late in [1, 2] {
        let (clock, server) = (simulated_clock(), Arc::new(Server::default()));
        let (sends, mut sent) = watch::channel(Vec::new());
        let sending = Arc::clone(&clock);
        let client = server.client(move |method| {
            if *method == Method::GET {
                return SMOOTH;
            }
            sends.send_modify(|sends| sends.push(sending.now()));
            match sends.borrow().len().cmp(&late) {
                std::cmp::Ordering::Less => SMOOTH,
                std::cmp::Ordering::Equal => Fate {
                    back: Duration::from_secs(4),
                    ..SMOOTH
                },
                std::cmp::Ordering::Greater => LOST,
            }
        });
        let term = lead(client, &clock).await;
        let last = sent.wait_for(|sent| sent.len() == late).await.unwrap()[late - 1];
        let before_its_end = last + (RENEW_DEADLINE - Duration::from_millis(100));
        sleep(before_its_end.since(clock.now())).await;
        assert!(term.holds(clock.now()));
        sleep(Duration::from_millis(101)).await;
        assert!(!term.holds(clock.now()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_never_takes_the_lease_back_from_another() {
    let (clock, server) = (simulated_clock(), Arc::new(Server::default()));
    let term = lead(server.client(|_| SMOOTH), &clock).await;
    let edited = {
        let mut lease = server.lease.lock().unwrap();
        let lease = lease.as_mut().unwrap();
        lease.metadata.resource_version = Some("edited".into());
        lease.spec.as_mut().unwrap().holder_identity = Some("another".into());
        lease.clone()
    };
    timeout(AT_ONCE, term.lost()).await.unwrap();
    term.step_down().await;
    assert!(!term.holds(clock.now()));
    assert_eq!(server.lease.lock().unwrap().clone(), Some(edited));
}

#[tokio::test(start_paused = true)]
async fn an_elector_is_alive_while_the_api_server_is_not() {
    let (clock, server) = (simulated_clock(), Arc::new(Server::default()));
    let health = Health::new(Arc::clone(&clock));
    let (cut, is_cut) = watch::channel(true);
    let client = server.client(move |_| if *is_cut.borrow() { LOST } else { SMOOTH });
    let heartbeat = health.heartbeat("lease", HEARTBEAT_MAX_AGE);
    let elector = Elector::new(
        client,
        "default",
        NAME,
        Arc::clone(&clock),
        Chance::of_system(),
    )
    .with_heartbeat(heartbeat);
    let waiting = tokio::spawn(elector.acquire());
    for second in 0..120 {
        sleep(Duration::from_secs(1)).await;
        let request = Request::get("/livez")
            .body(axum::body::Body::empty())
            .unwrap();
        let answer = health.router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "after {second} s");
        if second == 60 {
            cut.send(false).unwrap();
        }
    }
    assert!(waiting.await.unwrap().holds(clock.now()));
}

#[tokio::test(start_paused = true)]
async fn a_dead_api_server_does_not_keep_a_process_from_ending() {
    let (clock, server) = (simulated_clock(), Arc::new(Server::default()));
    let (cut, is_cut) = watch::channel(false);
    let term = lead(
        server.client(move |_| if *is_cut.borrow() { LOST } else { SMOOTH }),
        &clock,
    )
    .await;
    cut.send(true).unwrap();
    let from = clock.now();
    term.step_down().await;
    assert!(clock.now().since(from) <= Duration::from_secs(5));
    term.lost().await;
    // And a second time, by another clone.
    term.clone().step_down().await;
}

#[tokio::test(start_paused = true)]
async fn a_term_does_not_hold_while_it_is_given_back() {
    let (clock, server) = (simulated_clock(), Arc::new(Server::default()));
    let term = lead(
        server.client(|_| Fate {
            there: Duration::from_secs(1),
            ..SMOOTH
        }),
        &clock,
    )
    .await;
    assert!(term.holds(clock.now()));
    let stepping_down = tokio::spawn({
        let term = term.clone();
        async move { term.step_down().await }
    });
    tokio::task::yield_now().await;
    assert!(!term.holds(clock.now()));
    stepping_down.await.unwrap();
    let lease = server.lease.lock().unwrap().clone().unwrap();
    assert_eq!(lease.spec.unwrap().holder_identity, None);
}

#[tokio::test(start_paused = true)]
async fn a_term_that_ends_as_it_begins_gives_the_lease_back() {
    // Which of two things it notices first is drawn.
    for _ in 0..20 {
        let (clock, server) = (simulated_clock(), Arc::new(Server::default()));
        let term = lead(server.client(|_| SMOOTH), &clock).await;
        term.step_down().await;
        let lease = server.lease.lock().unwrap().clone().unwrap();
        assert_eq!(lease.spec.unwrap().holder_identity, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_term_that_nobody_has_any_more_is_not_renewed() {
    let (clock, server) = (simulated_clock(), Arc::new(Server::default()));
    drop(lead(server.client(|_| SMOOTH), &clock).await);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(server.writes.load(Ordering::Relaxed), 1);
    let lease = server.lease.lock().unwrap().clone().unwrap();
    assert!(
        lease.spec.unwrap().holder_identity.is_some(),
        "only a step down gives it back"
    );
}

/// A machine that slept: its time since boot has gone on, its timers have not.
struct Slept(Arc<dyn Clock>, Mutex<Duration>);

impl Clock for Slept {
    fn now(&self) -> Instant {
        self.0.now() + *self.1.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_frozen_past_its_deadline_never_holds_again() {
    let clock = Arc::new(Slept(simulated_clock(), Mutex::default()));
    let server = Arc::new(Server::default());
    let term = Elector::new(
        server.client(|_| SMOOTH),
        "default",
        NAME,
        clock.clone(),
        Chance::of_system(),
    )
    .acquire()
    .await;
    assert!(term.holds(clock.now()));
    *clock.1.lock().unwrap() += RENEW_DEADLINE;
    assert!(
        !term.holds(clock.now()),
        "at once, before any timer went off"
    );
    term.lost().await;
    sleep(Duration::from_secs(60)).await;
    assert!(!term.holds(clock.now()));
}

#[tokio::test(start_paused = true)]
async fn without_election_a_term_always_holds() {
    let term = Term::unopposed();
    term.step_down().await;
    assert!(
        timeout(Duration::from_secs(3600), term.lost())
            .await
            .is_err()
    );
    assert!(term.holds(Instant::since_boot(Duration::from_secs(u64::MAX))));
}

// --------------------------------------------------------------------- real

/// A namespace of the shared control plane, for one election.
struct Election {
    control_plane: &'static ControlPlane,
    namespace: &'static str,
    admin: Client,
}

impl Election {
    async fn in_namespace(namespace: &'static str) -> Self {
        let control_plane = ControlPlane::shared().await;
        let admin = control_plane.admin_client().await.unwrap();
        let metadata = ObjectMeta {
            name: Some(namespace.into()),
            ..ObjectMeta::default()
        };
        let object = Namespace {
            metadata,
            ..Namespace::default()
        };
        Api::all(admin.clone())
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
        Self {
            control_plane,
            namespace,
            admin,
        }
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.admin.clone(), self.namespace)
    }

    async fn candidate(&self) -> Elector {
        self.candidate_through(self.control_plane.api_server_address())
            .await
    }

    async fn candidate_through(&self, address: SocketAddr) -> Elector {
        let mut config = config_for(&self.control_plane.kubeconfig_for_admin())
            .await
            .unwrap();
        config.cluster_url = format!("https://{address}").parse().unwrap();
        let clients = clients(config, Arc::new(BootClock)).unwrap();
        Elector::new(
            clients.writes,
            self.namespace,
            NAME,
            Arc::new(BootClock),
            Chance::of_system(),
        )
    }

    /// Another candidate that starts to wait now, and tells when it leads.
    async fn successor(&self) -> tokio::task::JoinHandle<(Term, Instant)> {
        let candidate = self.candidate().await;
        let waiting = tokio::spawn(async move { (candidate.acquire().await, BootClock.now()) });
        // It must have seen the Lease as it is now.
        sleep(Duration::from_millis(1500)).await;
        waiting
    }
}

#[tokio::test]
async fn of_many_that_start_together_one_leads_and_the_rest_follow_one_by_one() {
    let election = Election::in_namespace("together").await;
    let leading = Arc::new(AtomicUsize::new(0));
    let mut candidates = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (candidate, leading) = (election.candidate().await, Arc::clone(&leading));
        candidates.spawn(async move {
            let term = candidate.acquire().await;
            assert_eq!(leading.fetch_add(1, Ordering::SeqCst), 0, "another leads");
            sleep(Duration::from_millis(200)).await;
            assert!(term.holds(BootClock.now()));
            leading.fetch_sub(1, Ordering::SeqCst);
            term.step_down().await;
            assert!(!term.holds(BootClock.now()));
        });
    }
    let all = async {
        while let Some(ended) = candidates.join_next().await {
            ended.unwrap();
        }
    };
    timeout(6 * AT_ONCE, all)
        .await
        .expect("they did not follow at once");
    let lease = election.leases().get(NAME).await.unwrap().spec.unwrap();
    assert_eq!(
        (lease.holder_identity, lease.lease_transitions),
        (None, Some(5))
    );
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_taken_at_once_again_and_again() {
    let election = Election::in_namespace("graceful").await;
    let mut term = election.candidate().await.acquire().await;
    for _ in 0..6 {
        let successor = election.successor().await;
        assert!(term.holds(BootClock.now()) && !successor.is_finished());
        term.step_down().await;
        let stopped = BootClock.now();
        let (next, led) = timeout(AT_ONCE, successor)
            .await
            .expect("the takeover took too long")
            .unwrap();
        assert!(led >= stopped && next.holds(BootClock.now()) && !term.holds(BootClock.now()));
        term = next;
    }
}

#[tokio::test]
async fn the_lease_of_a_crashed_process_is_taken_when_it_has_run_out() {
    let election = Election::in_namespace("crash").await;
    let mut term = election.candidate().await.acquire().await;
    for _ in 0..2 {
        let successor = election.successor().await;
        // A last look at the term, and what it looked like from outside, before it is gone with all its tasks.
        let crashed = BootClock.now();
        drop(term);
        let (next, led) = timeout(2 * LEASE, successor)
            .await
            .expect("nobody took over")
            .unwrap();
        // It was renewed for the last time up to 2 s before.
        let waited = led.since(crashed);
        assert!(waited >= LEASE - Duration::from_secs(3), "{waited:?}");
        term = next;
    }
    assert!(term.holds(BootClock.now()));
    let lease = election.leases().get(NAME).await.unwrap().spec.unwrap();
    assert_eq!(lease.lease_transitions, Some(2));
}

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Not,
    /// Connections are closed and new ones refused.
    Closed,
    /// Connections stay open, and nothing passes.
    Silent,
}

/// A TCP proxy in front of `server`, which can be cut.
async fn proxy(server: SocketAddr) -> (SocketAddr, watch::Sender<Cut>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (cut, mut is_cut) = watch::channel(Cut::Not);
    tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        let mut kept = Vec::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (mut client, _) = accepted.unwrap();
                    if *is_cut.borrow() == Cut::Silent {
                        kept.push(client);
                        continue;
                    }
                    let mut silent = is_cut.clone();
                    connections.spawn(async move {
                        let mut upstream = TcpStream::connect(server).await.unwrap();
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {}
                            () = async { drop(silent.wait_for(|cut| *cut == Cut::Silent).await) } => std::future::pending().await,
                        }
                    });
                }
                // Ends the listener and all connections.
                () = async { drop(is_cut.wait_for(|cut| *cut == Cut::Closed).await) } => return,
            }
        }
    });
    (address, cut)
}

async fn cut_off(namespace: &'static str, how: Cut) {
    let election = Election::in_namespace(namespace).await;
    let (address, cut) = proxy(election.control_plane.api_server_address()).await;
    let term = election.candidate_through(address).await.acquire().await;
    let successor = election.successor().await;
    cut.send(how).unwrap();
    let from = BootClock.now();
    // What a controller would do: ask before each write, and stop when the term is lost.
    let mut last_held = from;
    let mut lost = Box::pin(term.lost());
    while timeout(Duration::from_millis(20), &mut lost).await.is_err() {
        if term.holds(BootClock.now()) {
            last_held = BootClock.now();
        }
        assert!(
            !successor.is_finished(),
            "taken over while the old leader did not know"
        );
    }
    let stopped = BootClock.now();
    assert!(stopped.since(from) < LEASE, "{:?}", stopped.since(from));
    assert!(
        last_held.since(from) <= RENEW_DEADLINE,
        "{:?}",
        last_held.since(from)
    );
    let (_, led) = timeout(2 * LEASE, successor)
        .await
        .expect("nobody took over")
        .unwrap();
    assert!(led > stopped && !term.holds(led));
    assert!(
        led.since(from) >= LEASE - Duration::from_secs(3),
        "{:?}",
        led.since(from)
    );
}

#[tokio::test]
async fn a_leader_that_is_cut_off_stops_before_another_leads() {
    tokio::join!(
        cut_off("refused", Cut::Closed),
        cut_off("silent", Cut::Silent)
    );
}

async fn taken_by_hand(namespace: &'static str, holder: serde_json::Value) {
    let election = Election::in_namespace(namespace).await;
    let term = election.candidate().await.acquire().await;
    let successor = election.successor().await;
    let edit = json!({"spec": {"holderIdentity": holder}});
    election
        .leases()
        .patch(NAME, &PatchParams::default(), &Patch::Merge(edit))
        .await
        .unwrap();
    let edited = BootClock.now();
    timeout(AT_ONCE, term.lost())
        .await
        .expect("it did not notice");
    assert!(!term.holds(BootClock.now()));
    let (_, led) = timeout(2 * LEASE, successor)
        .await
        .expect("nobody took over")
        .unwrap();
    assert!(
        led.since(edited) >= LEASE - Duration::from_millis(100),
        "{:?}",
        led.since(edited)
    );
}

#[tokio::test]
async fn a_lease_that_somebody_edited_is_lost_and_nobody_takes_it_at_once() {
    tokio::join!(
        taken_by_hand("edited", json!("somebody")),
        taken_by_hand("emptied", json!(null))
    );
}

#[tokio::test]
async fn a_label_on_the_lease_changes_nothing_and_stays() {
    let election = Election::in_namespace("labelled").await;
    let term = election.candidate().await.acquire().await;
    let before = election.leases().get(NAME).await.unwrap();
    let edit = json!({"metadata": {"labels": {"team": "voice"}}});
    election
        .leases()
        .patch(NAME, &PatchParams::default(), &Patch::Merge(edit))
        .await
        .unwrap();
    assert!(
        timeout(AT_ONCE, term.lost()).await.is_err(),
        "lost by a label"
    );
    assert!(term.holds(BootClock.now()));
    term.step_down().await;
    let after = election.leases().get(NAME).await.unwrap();
    assert_eq!(after.metadata.labels.unwrap()["team"], "voice");
    assert!(after.spec.unwrap().renew_time > before.spec.unwrap().renew_time);
}

#[tokio::test]
async fn a_lease_that_was_deleted_is_lost() {
    let election = Election::in_namespace("deleted").await;
    let term = election.candidate().await.acquire().await;
    election
        .leases()
        .delete(NAME, &DeleteParams::default())
        .await
        .unwrap();
    timeout(AT_ONCE, term.lost())
        .await
        .expect("it did not notice");
    assert!(!term.holds(BootClock.now()));
    assert!(
        election.leases().get_opt(NAME).await.unwrap().is_none(),
        "the lost Lease was made again"
    );
}

#[tokio::test]
async fn the_api_servers_clock_is_read_from_its_replies() {
    let control_plane = ControlPlane::shared().await;
    let config = config_for(&control_plane.kubeconfig_for_admin())
        .await
        .unwrap();
    let clients = clients(config, Arc::new(BootClock)).unwrap();
    assert_eq!(clients.time.now(), None);
    clients.reads.apiserver_version().await.unwrap();
    // The same machine, hence the same time.
    let off = clients
        .time
        .now()
        .unwrap()
        .duration_until(jiff::Timestamp::now())
        .abs();
    assert!(off < jiff::SignedDuration::from_secs(3), "{off}");
}
