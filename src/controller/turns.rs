//! Turns: how many passes of each account are under way, so that an account that is slow delays no other.
//!
//! Who gets no turn does not wait in a pass of its own, of which kube asks each one again whenever any of them moves: it is
//! woken when a turn is free.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;

use super::index::{Key, account_key};
use super::wakers::Wakers;
use crate::api::PhoneNumber;

/// When a number that waits asks by itself: whoever was woken instead of it may be gone.
pub(super) const ASKS_AGAIN_AFTER: Duration = Duration::from_secs(30);

pub(super) struct Turns {
    most: usize,
    wakers: Wakers,
    /// `None` once there are no more turns.
    by_account: Mutex<Option<HashMap<Key, Queue>>>,
}

/// The turns of one account.
#[derive(Default)]
struct Queue {
    out: usize,
    /// Who waits, first come first.
    order: VecDeque<ObjectRef<PhoneNumber>>,
    waiting: HashSet<ObjectRef<PhoneNumber>>,
}

/// The right to make a pass, until it is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    key: Key,
}

impl Turns {
    /// At most `most` passes of each account at once.
    pub(super) fn new(most: u16, wakers: Wakers) -> Arc<Self> {
        Arc::new(Self {
            most: usize::from(most),
            wakers,
            by_account: Mutex::new(Some(HashMap::new())),
        })
    }

    /// The right to make a pass over `number` now. `None` if it is not its turn: it is woken when it is, unless there are no
    /// more turns.
    pub(super) fn take(self: &Arc<Self>, number: &PhoneNumber) -> Option<Turn> {
        let mut by_account = self.by_account();
        let key = account_key(number);
        let queue = by_account.as_mut()?.entry(key.clone()).or_default();
        if queue.out < self.most {
            queue.out += 1;
            return Some(Turn {
                turns: Arc::clone(self),
                key,
            });
        }
        let reference = ObjectRef::from_obj(number);
        if queue.waiting.insert(reference.clone()) {
            queue.order.push_back(reference);
        }
        None
    }

    /// Gives no more turns, also not to those that wait. Passes under way keep theirs.
    pub(super) fn end(&self) {
        self.by_account().take();
    }

    fn give_back(&self, key: &Key) {
        let next = {
            let mut by_account = self.by_account();
            let Some(queue) = by_account.as_mut().and_then(|all| all.get_mut(key)) else {
                return;
            };
            queue.out = queue.out.saturating_sub(1);
            let next = queue.order.pop_front();
            next.inspect(|next| {
                queue.waiting.remove(next);
            })
        };
        if let Some(next) = next {
            self.wakers.number_at(&next);
        }
    }

    fn by_account(&self) -> MutexGuard<'_, Option<HashMap<Key, Queue>>> {
        self.by_account
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.give_back(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc::{UnboundedReceiver, unbounded};
    use serde_json::json;

    use super::*;

    fn number(name: &str, account: &str) -> PhoneNumber {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "support"},
            "spec": {"provider": "twilio", "accountRef": {"name": account}},
        }))
        .unwrap()
    }

    fn turns(most: u16) -> (Arc<Turns>, UnboundedReceiver<ObjectRef<PhoneNumber>>) {
        let (wake, woken) = unbounded();
        let wakers = Wakers::default();
        wakers.add_numbers(wake);
        (Turns::new(most, wakers), woken)
    }

    #[test]
    fn who_waits_is_woken_in_its_order_and_once() {
        let (turns, mut woken) = turns(1);
        let mut next = || woken.try_recv().ok().map(|number| number.name);
        let [a, b, c] = ["a", "b", "c"].map(|name| number(name, "twilio"));
        let turn = turns.take(&a).unwrap();
        assert!(turns.take(&b).is_none());
        assert!(turns.take(&c).is_none());
        assert!(turns.take(&b).is_none(), "it waits already");
        assert!(
            turns.take(&number("d", "another")).is_some(),
            "no other is delayed"
        );
        assert_eq!(next(), None);
        drop(turn);
        assert_eq!(next(), Some("b".into()));
        let turn = turns.take(&b).unwrap();
        drop(turn);
        assert_eq!(next(), Some("c".into()));
        drop(turns.take(&c));
        assert_eq!(next(), None, "nobody waits any more");
    }

    #[test]
    fn when_turns_end_nobody_is_woken_and_who_has_one_keeps_it() {
        let (turns, mut woken) = turns(1);
        let [a, b] = ["a", "b"].map(|name| number(name, "twilio"));
        let kept = turns.take(&a).unwrap();
        assert!(turns.take(&b).is_none());
        turns.end();
        drop(kept);
        assert!(woken.try_recv().is_err());
        assert!(turns.take(&b).is_none());
        assert!(
            turns.take(&number("d", "another")).is_none(),
            "not yet heard of"
        );
    }
}
