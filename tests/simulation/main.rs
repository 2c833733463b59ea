//! The program's own reconcile, account and cache code in a world that is all in memory: Kubernetes, the phone company and
//! time itself. One thread, one seed.

#![cfg(test)]

mod api_server;
mod audit;
mod classes;
mod cluster;
mod line;
mod marks;
mod matrix;
mod operator;
mod page;
mod process;
mod safeguards;
mod schedule;
mod traces;
mod watched;
mod world;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Once, OnceLock};
use std::time::Duration;

use phonenumber_operator::server_time::Clients;
use serde_json::json;

use operator::{Driver, Options};
use world::{World, is_ready};

#[tokio::test(start_paused = true)]
async fn a_number_is_bought_kept_and_released() {
    let mut world = World::new(1, json!({}));
    world.start(Options::default());
    world.number(
        "nyc",
        json!({"provider": "twilio", "phoneNumber": "+12125550001", "assistantId": 101}),
    );
    world.number(
        "bos",
        json!({"provider": "telnyx", "phoneNumber": "+16175550001"}),
    );
    world
        .run_until("both Ready", |world| {
            is_ready(&world.get("nyc")) && is_ready(&world.get("bos"))
        })
        .await;
    world.run_for(Duration::from_secs(600)).await;
    world.delete("nyc");
    world.delete("bos");
    world
        .run_until("both gone", |world| {
            world.get("nyc").is_null() && world.get("bos").is_null()
        })
        .await;
    println!("{}", world.shown());
    println!("{} calls in {:?}", world.stage.count(), world.elapsed());
}

/// The tests of the control plane hold the real one to the same.
#[tokio::test(start_paused = true)]
async fn the_simulated_api_server_answers_as_the_real_one_does() {
    let world = World::new(1, json!({}));
    let server = api_server::ApiServer {
        cluster: world.cluster.clone(),
        process: process::Process::new(0, world.stage.clone(), world.random.clone()),
    };
    let clients = Clients::over(server, Arc::clone(&world.clock));
    let cluster = world.cluster.clone();
    test_support::conformance::conforms(clients.reads, "conformance", || cluster.compact()).await;
}

/// Plays in a runtime of its own, whose time goes by only while everything waits.
fn in_simulated_time<T>(play: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(play)
}

/// How many of a hundred things that can be excused may be.
const MOST_EXCUSED: f64 = 3.0;

/// In how many schedules so much is judged that the share of what is excused means something.
const ENOUGH: u64 = 100;

fn given(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap())
}

/// `SEED` plays one schedule, `SCHEDULES` so many, from the seed `FIRST` on.
#[test]
fn money_is_spent_once_whatever_happens() {
    expect_panics();
    if let Some(seed) = given("SEED") {
        if let Err(faults) = in_simulated_time(schedule::play(seed, Driver::Seeded)) {
            panic!("{faults}");
        }
        return;
    }
    let (first, count) = (
        given("FIRST").unwrap_or(0),
        given("SCHEDULES").unwrap_or(100),
    );
    play_all(first..first + count, Driver::Seeded);
}

/// The same with the program's own watches and queues, which no seed decides: one schedule in fifty.
#[test]
fn money_is_spent_once_by_the_programs_own_queues() {
    expect_panics();
    let count = given("SCHEDULES").unwrap_or(100) / 50;
    play_all(0..count.max(10), Driver::Kube);
}

fn play_all(seeds: Range<u64>, driver: Driver) {
    let (next, sums) = (AtomicU64::new(seeds.start), Mutex::new(Sums::default()));
    at_once(|| {
        let seed = next.fetch_add(1, Relaxed);
        let is_one = seeds.contains(&seed);
        let played = is_one.then(|| in_simulated_time(schedule::play(seed, driver)))?;
        sums.lock().unwrap().add(played);
        Some(())
    });
    let sums = sums.into_inner().unwrap();
    let count = seeds.end - seeds.start;
    let excused: usize = sums.excused.values().sum();
    let share = 100.0 * excused as f64 / sums.judged.max(1) as f64;
    println!(
        "{count} schedules, {} requests, {} purchases, {} failed; of {} judgements {excused} excused ({share:.2} %): {:?}",
        sums.calls, sums.purchases, sums.failed, sums.judged, sums.excused
    );
    assert_eq!(sums.failed, 0);
    if count >= ENOUGH {
        assert!(
            share <= MOST_EXCUSED,
            "{share:.2} % of what was judged is excused"
        );
    }
}

#[derive(Default)]
struct Sums {
    calls: usize,
    purchases: usize,
    failed: usize,
    judged: usize,
    excused: BTreeMap<&'static str, usize>,
}

impl Sums {
    fn add(&mut self, played: Result<schedule::Played, String>) {
        match played {
            Ok(played) => {
                self.calls += played.calls.len();
                self.purchases += played.purchases;
                self.judged += played.judged;
                for (excuse, count) in played.excused {
                    *self.excused.entry(excuse).or_default() += count;
                }
            }
            Err(faults) => {
                self.failed += 1;
                println!("{faults}\n");
            }
        }
    }
}

/// Says nothing of the panics that schedules cause.
fn expect_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let said = info.payload_as_str();
            let is_expected = said.is_some_and(|said| said.starts_with(process::PANIC));
            if !is_expected {
                others(info);
            }
        }));
    });
}

/// A seed that failed fails again.
#[test]
fn one_seed_is_one_story() {
    expect_panics();
    for seed in 1..=200 {
        let play = || {
            in_simulated_time(schedule::play(seed, Driver::Seeded))
                .unwrap()
                .calls
        };
        let (first, second) = (play(), play());
        let differs = first.iter().zip(&second).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.len(), second.len());
    }
}

/// Every request of every kind of work, with every end that it can have, and whoever goes on afterwards. What came of it is
/// a table of docs/explanation/crash-safety.md.
#[test]
fn whatever_dies_at_whatever_point_money_is_spent_once() {
    let next = AtomicUsize::new(0);
    let rows: Vec<_> = matrix::JOBS.iter().map(|_| OnceLock::new()).collect();
    at_once(|| {
        let at = next.fetch_add(1, Relaxed);
        let job = matrix::JOBS.get(at)?;
        let _ = rows[at].set(matrix::play(job));
        Some(())
    });
    let rows: Vec<_> = rows.into_iter().filter_map(OnceLock::into_inner).collect();
    let failed: Vec<_> = rows.iter().flat_map(|row| &row.failed).collect();
    for fault in failed.iter().take(5) {
        println!("{fault}\n");
    }
    assert!(failed.is_empty(), "{} combinations failed", failed.len());
    page::compare("matrix", &matrix::table(&rows));
}

/// Calls `work` on every core until it has nothing more to do.
fn at_once(work: impl Fn() -> Option<()> + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| while work().is_some() {});
        }
    });
}
