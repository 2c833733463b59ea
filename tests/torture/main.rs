//! Real processes under torture: the operator is killed and frozen, the API server is killed, and the company loses replies,
//! while numbers are bought, changed and released. In the end the company's ledger must show that money was spent once.
//!
//! `make test` plays a short form, `make torture` the whole. `SEED` plays the same order of work and blows again; which
//! instruction a blow meets is up to the machine.

#![cfg(test)]

mod audit;
mod storm;
mod work;

use rand::SeedableRng;
use rand::rngs::StdRng;

use storm::Storm;
use work::Work;

/// How much is done, and how much of it is disturbed.
struct Size {
    resources: usize,
    kills: usize,
    freezes: usize,
    restarts: usize,
}

const SHORT: Size = Size {
    resources: 40,
    kills: 6,
    freezes: 1,
    restarts: 1,
};

const WHOLE: Size = Size {
    resources: 300,
    kills: 55,
    freezes: 4,
    restarts: 4,
};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_bought_twice_or_lost_or_touched_that_is_not_ours_whatever_is_killed() {
    let size = match std::env::var("TORTURE").as_deref() {
        Ok("whole") => WHOLE,
        _ => SHORT,
    };
    let seed = match std::env::var("SEED") {
        Ok(text) if !text.is_empty() => text.parse().expect("SEED is a number"),
        _ => rand::random(),
    };
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let work = Work::new(size.resources, &mut random);
    let mut storm = Storm::begin(random).await;
    storm.sell_to_others(&work).await;
    storm
        .rage(&work, size.kills, size.freezes, size.restarts)
        .await;
    storm.calm_down(&work).await;
    let found = audit::read(&storm, &work).await;
    println!("{}{found}", storm.suffered());
    found.judge();
}
