//! The program's own reconcile, account and cache code in a world that is all in memory: Kubernetes, the phone company and
//! time itself. One thread, one seed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod api_server;
mod audit;
mod cluster;
mod line;
mod matrix;
mod operator;
mod page;
mod process;
mod safeguards;
mod schedule;
mod traces;
mod watched;
mod world;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::json;

use operator::Options;
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

/// Plays in a runtime of its own, whose time goes by only while everything waits.
fn in_simulated_time<T>(play: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(play)
}

/// `SEED` plays one schedule, `SCHEDULES` so many.
#[test]
fn money_is_spent_once_whatever_happens() {
    let given = |name: &str| {
        let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
        Some(text.parse::<u64>().unwrap())
    };
    if let Some(seed) = given("SEED") {
        if let Err(faults) = in_simulated_time(schedule::play(seed)) {
            panic!("{faults}");
        }
        return;
    }
    let count = given("SCHEDULES").unwrap_or(100);
    let (next, sums) = (AtomicU64::new(0), Mutex::new(Sums::default()));
    at_once(|| {
        let seed = next.fetch_add(1, Relaxed);
        let played = (seed < count).then(|| in_simulated_time(schedule::play(seed)))?;
        sums.lock().unwrap().add(played);
        Some(())
    });
    let Sums {
        calls,
        purchases,
        failed,
    } = sums.into_inner().unwrap();
    println!("{count} schedules, {calls} requests, {purchases} purchases, {failed} failed");
    assert_eq!(failed, 0);
}

#[derive(Default)]
struct Sums {
    calls: usize,
    purchases: usize,
    failed: usize,
}

impl Sums {
    fn add(&mut self, played: Result<schedule::Played, String>) {
        match played {
            Ok(played) => {
                self.calls += played.calls.len();
                self.purchases += played.purchases;
            }
            Err(faults) => {
                self.failed += 1;
                println!("{faults}\n");
            }
        }
    }
}

/// A seed that failed fails again.
#[test]
fn one_seed_is_one_story() {
    for seed in 1..=200 {
        let play = || in_simulated_time(schedule::play(seed)).unwrap().calls;
        let (first, second) = (play(), play());
        let differs = first.iter().zip(&second).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.len(), second.len());
    }
}

/// Every request of every kind of work, with every end that it can have, and whoever goes on afterwards. What came of it is
/// a table of docs/crash-safety.md.
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
