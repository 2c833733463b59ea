//! What is kept from one check of an account's inventory to the next.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Instant;
use crate::panics::lock;

/// How often the figures of an account are written at most.
const FIGURES_AFTER: Duration = Duration::from_secs(60);

/// What the last checks of all accounts saw.
#[derive(Default)]
pub(crate) struct Checks {
    pub(crate) inventory: InventoryChecks,
    pub(super) dependencies: DependencyCache,
}

/// When each account was last inspected, and its figures were last written.
#[derive(Default)]
pub(crate) struct InventoryChecks(Mutex<HashMap<String, Inspection>>);

#[derive(Clone, Copy, Default)]
struct Inspection {
    /// When the listing began that was last compared.
    compared: Option<Instant>,
    written: Option<Instant>,
    /// How many recorded numbers were missing then.
    missing: usize,
    /// Where among the assigned numbers the next share begins.
    cursor: usize,
}

impl InventoryChecks {
    /// True if the listing that began at `listed` was not compared yet for the account with this uid; it now is.
    pub(crate) fn begins(&self, uid: &str, listed: Option<Instant>) -> bool {
        self.change(uid, |inspection| {
            std::mem::replace(&mut inspection.compared, listed) != listed
        })
    }

    /// Notes how many recorded numbers are missing from the account with this uid.
    pub(super) fn misses(&self, uid: &str, missing: usize) {
        self.change(uid, |inspection| inspection.missing = missing);
    }

    /// How many recorded numbers were missing from the account with this uid.
    pub(super) fn missing(&self, uid: &str) -> usize {
        self.change(uid, |inspection| inspection.missing)
    }

    /// True if the figures of the account with this uid may be written at `now`.
    pub(super) fn may_write(&self, uid: &str, now: Instant) -> bool {
        self.change(uid, |inspection| {
            inspection
                .written
                .is_none_or(|written| now.since(written) >= FIGURES_AFTER)
        })
    }

    /// Notes that the figures of the account with this uid are written at `now`.
    pub(crate) fn writes(&self, uid: &str, now: Instant) {
        self.change(uid, |inspection| inspection.written = Some(now));
    }

    /// The next `share` of `len` places, going round.
    pub(super) fn next_share(&self, uid: &str, share: usize, len: usize) -> Vec<usize> {
        self.change(uid, |inspection| {
            let begin = inspection.cursor;
            inspection.cursor = (begin + share).checked_rem(len).unwrap_or_default();
            let places =
                (begin..begin + share).map(|place| place.checked_rem(len).unwrap_or_default());
            places.collect()
        })
    }

    /// Forgets accounts whose uid is not among `live`.
    pub(crate) fn retain(&self, live: impl Fn(&str) -> bool) {
        let mut all = lock(&self.0);
        all.retain(|uid, _| live(uid));
    }

    fn change<T>(&self, uid: &str, change: impl FnOnce(&mut Inspection) -> T) -> T {
        let mut all = lock(&self.0);
        change(all.entry(uid.to_owned()).or_default())
    }
}

/// How many answers are kept; each is of one assistant and routing that resources want, or once wanted.
const MOST_ANSWERS: usize = 100_000;

/// What resources that want the same assistant and the same routing were last answered.
#[derive(Default)]
pub(super) struct DependencyCache(Mutex<HashMap<u64, u64>>);

impl DependencyCache {
    /// True if the answer is another than the last one. Where too many questions were asked since, it is not known.
    pub(crate) fn changed(&self, question: u64, answer: u64) -> bool {
        let mut dependencies = lock(&self.0);
        if dependencies.len() >= MOST_ANSWERS && !dependencies.contains_key(&question) {
            dependencies.clear();
        }
        dependencies
            .insert(question, answer)
            .is_some_and(|before| before != answer)
    }
}
