//! Answers kept for a while, asked for once however many wait for them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock;
use crate::clock::{Clock, Instant};
use crate::flight::Flight;

/// Answers by key. Failures are answers too, so that what is down is asked no more often than what is up.
pub(super) struct Cached<K, V> {
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    entries: Mutex<HashMap<K, Arc<Flight<V>>>>,
}

/// So many answers are kept before old ones are looked for.
const FEW: usize = 64;

impl<K: Eq + Hash, V: Clone> Cached<K, V> {
    pub(super) fn new(clock: Arc<dyn Clock>, lifetime: Duration) -> Self {
        Self {
            clock,
            lifetime,
            entries: Mutex::default(),
        }
    }

    /// The answer for `key`, from `ask` unless it is kept.
    pub(super) async fn get_or(&self, key: K, ask: impl Future<Output = V>) -> V {
        self.get_if_or(key, |_| true, ask).await
    }

    /// The answer for `key` to a question that was put at `not_before` or later, from `ask` unless one is kept.
    pub(super) async fn get_since(
        &self,
        key: K,
        not_before: Instant,
        ask: impl Future<Output = V>,
    ) -> V {
        let entry = self.entry(key);
        let serves = |put, _: &V| put >= not_before;
        entry.last_or(self.clock.as_ref(), serves, |_| ask).await
    }

    /// The answer for `key`, from `ask` unless one is kept that is `right`.
    pub(super) async fn get_if_or(
        &self,
        key: K,
        right: impl Fn(&V) -> bool,
        ask: impl Future<Output = V>,
    ) -> V {
        let entry = self.entry(key);
        let clock = self.clock.as_ref();
        let serves = |put, value: &V| clock.now().since(put) < self.lifetime && right(value);
        entry.last_or(clock, serves, |_| ask).await
    }
}

impl<K: Eq + Hash, V: Clone> Cached<K, V> {
    /// The entry of `key`. Before one is added, those are forgotten that are old and that nobody waits for: keys may be
    /// anything that somebody once declared.
    fn entry(&self, key: K) -> Arc<Flight<V>> {
        let mut entries = lock(&self.entries);
        let is_full = entries.len() >= FEW && entries.len().is_power_of_two();
        if is_full && !entries.contains_key(&key) {
            let now = self.clock.now();
            let is_fresh = |put| now.since(put) < self.lifetime;
            entries.retain(|_, entry| {
                Arc::strong_count(entry) > 1 || entry.answered().is_some_and(is_fresh)
            });
        }
        Arc::clone(entries.entry(key).or_default())
    }

    /// Forgets the answer for `key`.
    pub(super) fn forget(&self, key: &K) {
        lock(&self.entries).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test]
    async fn many_askers_share_one_question_until_the_answer_is_old() {
        let clock = Arc::new(ManualClock::default());
        let cached = Cached::new(clock.clone(), Duration::from_secs(60));
        let asked = AtomicU64::new(0);
        let ask = || async { asked.fetch_add(1, Ordering::Relaxed) };
        let answers = futures::future::join_all((0..5).map(|_| cached.get_or("a", ask()))).await;
        assert_eq!(answers, [0; 5]);
        clock.set(59);
        assert_eq!(cached.get_or("a", ask()).await, 0);
        assert_eq!(cached.get_or("b", ask()).await, 1);
        clock.set(60);
        assert_eq!(cached.get_or("a", ask()).await, 2);
        let changes = (0..5).map(|_| cached.get_if_or("a", |answer| *answer > 2, ask()));
        assert_eq!(futures::future::join_all(changes).await, [3; 5]);
        assert_eq!(cached.get_or("a", ask()).await, 3);
    }

    #[tokio::test]
    async fn old_answers_are_forgotten_however_many_keys_there_were() {
        let clock = Arc::new(ManualClock::default());
        let cached = Cached::new(clock.clone(), Duration::from_secs(60));
        let most = 2 * FEW;
        for key in 0..100 * most as u64 {
            clock.set(60 * (key / FEW as u64));
            assert_eq!(cached.get_or(key, async { key }).await, key);
            let kept = lock(&cached.entries).len();
            assert!(kept <= most, "{kept} after {key}");
        }
        // What is not old yet is kept.
        let last = 100 * most as u64 - 1;
        assert_eq!(cached.get_or(last, async { 0 }).await, last);
    }
}
