//! On a simulated API server, in simulated time.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Method, Request, StatusCode};
use kube::Client;
use phonenumber_operator::clock::{Clock, Instant};
use phonenumber_operator::leader::{Elector, HEARTBEAT_MAX_AGE, LEASE, RENEW_DEADLINE, Term};
use phonenumber_operator::random::Random;
use phonenumber_operator::telemetry::Health;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use telephony::testing::TokioClock;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use crate::server::{Fate, LOST, LOST_REPLY, SMOOTH, Server};
use crate::{AT_ONCE, NAME};

fn clock() -> Arc<dyn Clock> {
    Arc::new(TokioClock::default())
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
    let clock = clock();
    let begun = clock.now();
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
                        let bad = weather.now().since(begun).as_secs() % 60 >= 30;
                        Fate::random(&mut fates, bad)
                    });
                    let term = Elector::new(
                        client,
                        "default",
                        NAME,
                        Arc::clone(&clock),
                        Random::of_system(),
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
        Random::of_system(),
    )
    .acquire()
    .await
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_not_lost_by_a_renewal_whose_answer_is() {
    let (clock, server) = (clock(), Arc::new(Server::default()));
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
        let (clock, server) = (clock(), Arc::new(Server::default()));
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
        let (clock, server) = (clock(), Arc::new(Server::default()));
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
    let (clock, server) = (clock(), Arc::new(Server::default()));
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
    let (clock, server) = (clock(), Arc::new(Server::default()));
    let health = Health::new(Arc::clone(&clock));
    let (cut, is_cut) = watch::channel(true);
    let client = server.client(move |_| if *is_cut.borrow() { LOST } else { SMOOTH });
    let heartbeat = health.heartbeat("lease", HEARTBEAT_MAX_AGE);
    let elector = Elector::new(
        client,
        "default",
        NAME,
        Arc::clone(&clock),
        Random::of_system(),
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
    let (clock, server) = (clock(), Arc::new(Server::default()));
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
    let (clock, server) = (clock(), Arc::new(Server::default()));
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
        let (clock, server) = (clock(), Arc::new(Server::default()));
        let term = lead(server.client(|_| SMOOTH), &clock).await;
        term.step_down().await;
        let lease = server.lease.lock().unwrap().clone().unwrap();
        assert_eq!(lease.spec.unwrap().holder_identity, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_term_that_nobody_has_any_more_is_not_renewed() {
    let (clock, server) = (clock(), Arc::new(Server::default()));
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
    let clock = Arc::new(Slept(clock(), Mutex::default()));
    let server = Arc::new(Server::default());
    let term = Elector::new(
        server.client(|_| SMOOTH),
        "default",
        NAME,
        clock.clone(),
        Random::of_system(),
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
