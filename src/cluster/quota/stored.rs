//! How the counts of a quota are written in the ConfigMap, and what they add up to.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::exceeded::{QuotaExceeded, QuotaKind};
use crate::number::AccountId;

/// How long a slot counts, in minutes: 60, its own minute, and one more, since what was taken at its end may be done in
/// the next one.
pub(super) const WINDOW: i64 = 62;

/// The counts of one quota, by minute.
pub(super) type Slots = BTreeMap<i64, i64>;

pub(super) fn minute_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(60)
}

/// The key of a quota in the ConfigMap.
pub(super) fn key(account: &AccountId, deed: QuotaKind) -> String {
    format!("{account}.{}", deed.word())
}

/// The key under which a copy is kept of what counts for the account under another name than that of `key`. An account at Telnyx
/// that has lost its last number is known by its credential alone after a restart.
pub(super) fn copy_of(key: &str) -> String {
    format!("{key}.copy")
}

/// Keys of a quota in the ConfigMap.
pub(super) struct Keys<'a> {
    /// Where it is counted.
    pub(super) own: &'a str,
    /// What is counted there counts too.
    pub(super) others: &'a [String],
    /// Where a copy of its slots is kept.
    pub(super) copies: &'a [String],
}

pub(super) fn total(slots: &Slots) -> i64 {
    let counts = slots.values();
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

/// When one more may be done: at the end of the first minute that leaves room for it.
pub(super) fn full(slots: &Slots, limit: i64, now: Timestamp) -> QuotaExceeded {
    let used = total(slots);
    let mut left = used;
    let frees = slots.iter().find_map(|(minute, count)| {
        left = left.saturating_sub(*count);
        (left < limit).then_some(*minute)
    });
    let at = frees
        .unwrap_or(minute_of(now))
        .saturating_add(WINDOW)
        .saturating_mul(60);
    // What stands in a minute to come was not written by an operator.
    let seconds = at.saturating_sub(now.as_second()).clamp(1, WINDOW * 60);
    QuotaExceeded::Used {
        used,
        again: Duration::from_secs(u64::try_from(seconds).unwrap_or(1)),
    }
}

/// `minute:count`, separated by spaces; `None` if it is anything else.
pub(super) fn read(text: Option<&str>) -> Option<Slots> {
    let pairs = text.unwrap_or_default().split_ascii_whitespace();
    let slots = pairs.map(|pair| {
        let (minute, count) = pair.split_once(':')?;
        let count: i64 = count.parse().ok().filter(|count| *count >= 0)?;
        Some((minute.parse().ok()?, count))
    });
    slots.collect()
}

pub(super) fn write(slots: &Slots) -> String {
    let pairs: Vec<_> = slots
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(minute, count)| format!("{minute}:{count}"))
        .collect();
    pairs.join(" ")
}
