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
mod process;
mod schedule;
mod traces;
mod world;

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
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    if let Some(seed) = number("SEED") {
        if let Err(faults) = in_simulated_time(schedule::play(seed)) {
            panic!("{faults}");
        }
        return;
    }
    let mut failed = 0;
    let (mut calls, mut purchases) = (0, 0);
    let count = number("SCHEDULES").unwrap_or(100);
    for seed in 0..count {
        match in_simulated_time(schedule::play(seed)) {
            Ok(played) => {
                calls += played.calls;
                purchases += played.purchases;
            }
            Err(faults) => {
                failed += 1;
                println!("{faults}\n");
            }
        }
    }
    println!("{count} schedules, {calls} requests, {purchases} purchases, {failed} failed");
    assert_eq!(failed, 0);
}

/// Every request of every kind of work, with every end that it can have, and whoever goes on afterwards.
#[test]
fn whatever_dies_at_whatever_point_money_is_spent_once() {
    let rows: Vec<_> = matrix::JOBS.iter().map(matrix::play).collect();
    let table = matrix::table(&rows);
    println!("{table}");
    let failed: Vec<_> = rows.iter().flat_map(|row| &row.failed).collect();
    for fault in failed.iter().take(5) {
        println!("{fault}\n");
    }
    assert!(failed.is_empty(), "{} combinations failed", failed.len());
}
