//! Input that nobody honest sends: replies of both companies and of the directory, marks, claims, numbers and links, made up
//! at random and by bending valid ones. Nothing of it may panic, spend, or be taken for an answer.
//!
//! What goes on over the wire (bodies that are too long, too slow or cut off, redirects, listings that loop) is in
//! `tests/providers`.

#![cfg(test)]

mod bent;
mod company;
mod directory;
mod links;
mod purchases;
mod reads;
mod values;

use proptest::test_runner::{Config, FileFailurePersistence, RngSeed};

/// `cases` inputs, the same in every run, so that no run fails at random. `PROPTEST_CASES` tries that many, and new ones.
/// What failed is kept beside the test, to be committed and tried first from then on.
fn config(cases: u32) -> Config {
    let explored = std::env::var("PROPTEST_CASES").ok();
    let explored = explored.map(|text| text.parse::<u32>().expect("PROPTEST_CASES is a number"));
    Config {
        cases: explored.unwrap_or(cases),
        rng_seed: explored.map_or(RngSeed::Fixed(1), |_| RngSeed::Random),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..Config::default()
    }
}
