//! Answers kept for a while, asked for once however many wait for them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::lock;
use crate::clock::Clock;
use crate::flight::Flight;

/// Answers by key. Failures are answers too, so that what is down is asked no more often than what is up.
pub(super) struct Cached<K, V> {
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    entries: Mutex<HashMap<K, Arc<Flight<V>>>>,
}

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
        let entry = Arc::clone(lock(&self.entries).entry(key).or_default());
        let clock = self.clock.as_ref();
        let serves = |put, _: &V| clock.now().since(put) < self.lifetime;
        entry.last_or(clock, serves, |_| ask).await
    }
}

impl<K: Eq + Hash, V> Cached<K, V> {
    /// Forgets the answer for `key`.
    pub(super) fn forget(&self, key: &K) {
        lock(&self.entries).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Instant;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Instant {
            Instant::since_boot(Duration::from_secs(self.0.load(Ordering::Relaxed)))
        }
    }

    #[tokio::test]
    async fn many_askers_share_one_question_until_the_answer_is_old() {
        let clock = Arc::new(Hand::default());
        let cached = Cached::new(clock.clone(), Duration::from_secs(60));
        let asked = AtomicU64::new(0);
        let ask = || async { asked.fetch_add(1, Ordering::Relaxed) };
        let answers = futures::future::join_all((0..5).map(|_| cached.get_or("a", ask()))).await;
        assert_eq!(answers, [0; 5]);
        clock.0.store(59, Ordering::Relaxed);
        assert_eq!(cached.get_or("a", ask()).await, 0);
        assert_eq!(cached.get_or("b", ask()).await, 1);
        clock.0.store(60, Ordering::Relaxed);
        assert_eq!(cached.get_or("a", ask()).await, 2);
    }
}
