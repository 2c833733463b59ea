//! The slots of accounts: how many reconciles of each account run at once. A slow account delays no other.
//!
//! A future that waits inside a reconcile is polled whenever the controller's task wakes, so thousands of them cost quadratic
//! time. A number without a slot returns at once, and is requeued when a slot is free.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use kube::runtime::reflector::ObjectRef;

use super::requeuer::Requeuer;
use crate::api::{AccountKey, PhoneNumber};
use crate::panics::lock;

/// When a number that waits asks by itself: the number that was woken instead may be gone.
pub(crate) const ASKS_AGAIN_AFTER: Duration = Duration::from_secs(30);

pub(crate) struct AccountSlots {
    most: usize,
    requeuer: Requeuer,
    /// `None` once there are no more slots.
    by_account: Mutex<Option<HashMap<AccountKey, Queue>>>,
}

/// The slots of one account.
#[derive(Default)]
struct Queue {
    out: usize,
    /// Who waits, first come first, among some that do not wait any more.
    order: VecDeque<ObjectRef<PhoneNumber>>,
    waiting: HashSet<ObjectRef<PhoneNumber>>,
}

impl Queue {
    /// Takes out who has waited longest.
    fn next(&mut self) -> Option<ObjectRef<PhoneNumber>> {
        while let Some(next) = self.order.pop_front() {
            if self.waiting.remove(&next) {
                return Some(next);
            }
        }
        None
    }
}

/// The right to make a reconcile, until it is dropped.
pub(crate) struct SlotGuard {
    slots: Arc<AccountSlots>,
    key: AccountKey,
}

impl AccountSlots {
    /// At most `most` reconciles of each account at once.
    pub(crate) fn new(most: u16, requeuer: Requeuer) -> Arc<Self> {
        Arc::new(Self {
            most: usize::from(most),
            requeuer,
            by_account: Mutex::new(Some(HashMap::new())),
        })
    }

    /// The right to make a reconcile of `number` now. `None` if it is not its turn: it is woken when it is, unless there are no
    /// more slots.
    pub(crate) fn take(self: &Arc<Self>, number: &PhoneNumber) -> Option<SlotGuard> {
        let mut by_account = self.by_account();
        let key = AccountKey::of(number);
        let queue = by_account.as_mut()?.entry(key.clone()).or_default();
        let reference = ObjectRef::from_obj(number);
        if queue.out < self.most {
            queue.out += 1;
            // It may wait, and have come by itself.
            queue.waiting.remove(&reference);
            return Some(SlotGuard {
                slots: Arc::clone(self),
                key,
            });
        }
        if queue.waiting.insert(reference.clone()) {
            queue.order.push_back(reference);
        }
        None
    }

    /// Lets another have the turn that `number`, which is gone or does not refer to this account any more, may have been woken
    /// for.
    pub(crate) fn left(&self, account: &AccountKey, number: &ObjectRef<PhoneNumber>) {
        self.requeue_next(account, |queue| {
            queue.waiting.remove(number);
        });
    }

    /// Gives no more slots, also not to those that wait. Reconciles under way keep theirs.
    pub(crate) fn end(&self) {
        self.by_account().take();
    }

    /// Wakes who has waited longest, if there is a turn after this `change`.
    fn requeue_next(&self, key: &AccountKey, change: impl FnOnce(&mut Queue)) {
        let next = {
            let mut by_account = self.by_account();
            let Some(queue) = by_account.as_mut().and_then(|all| all.get_mut(key)) else {
                return;
            };
            change(queue);
            let next = (queue.out < self.most).then(|| queue.next()).flatten();
            let is_idle = queue.out == 0 && queue.waiting.is_empty();
            if is_idle && let Some(all) = by_account.as_mut() {
                all.remove(key);
            }
            next
        };
        if let Some(next) = next {
            self.requeuer.number_at(&next);
        }
    }

    fn by_account(&self) -> MutexGuard<'_, Option<HashMap<AccountKey, Queue>>> {
        lock(&self.by_account)
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.slots.requeue_next(&self.key, |queue| {
            queue.out = queue.out.saturating_sub(1);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc::{UnboundedReceiver, unbounded};
    use kube::ResourceExt;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use serde_json::json;

    use super::*;

    fn number(name: &str, account: &str) -> PhoneNumber {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "support"},
            "spec": {"provider": "twilio", "accountRef": {"name": account}},
        }))
        .unwrap()
    }

    fn slots(most: u16) -> (Arc<AccountSlots>, UnboundedReceiver<ObjectRef<PhoneNumber>>) {
        let (wake, woken) = unbounded();
        let requeuer = Requeuer::default();
        requeuer.add_numbers(wake);
        (AccountSlots::new(most, requeuer), woken)
    }

    #[test]
    fn who_waits_is_woken_in_its_order_and_once() {
        let (slots, mut woken) = slots(1);
        let mut next = || woken.try_recv().ok().map(|number| number.name);
        let [a, b, c] = ["a", "b", "c"].map(|name| number(name, "twilio"));
        let turn = slots.take(&a).unwrap();
        assert!(slots.take(&b).is_none());
        assert!(slots.take(&c).is_none());
        assert!(slots.take(&b).is_none(), "it waits already");
        assert!(
            slots.take(&number("d", "another")).is_some(),
            "no other is delayed"
        );
        assert_eq!(next(), None);
        drop(turn);
        assert_eq!(next(), Some("b".into()));
        let turn = slots.take(&b).unwrap();
        drop(turn);
        assert_eq!(next(), Some("c".into()));
        drop(slots.take(&c));
        assert_eq!(next(), None, "nobody waits any more");
    }

    /// One has the only turn, and three wait behind it.
    fn three_behind_one(slots: &Arc<AccountSlots>) -> (SlotGuard, [PhoneNumber; 3]) {
        let turn = slots.take(&number("a", "twilio")).unwrap();
        let waiting = ["b", "c", "d"].map(|name| number(name, "twilio"));
        assert!(waiting.iter().all(|number| slots.take(number).is_none()));
        (turn, waiting)
    }

    /// Deletions of thousands stood still for half a minute at a time.
    #[test]
    fn who_came_by_itself_and_is_gone_leaves_its_turn_to_those_that_wait() {
        let (slots, mut woken) = slots(1);
        let mut next = || woken.try_recv().ok().map(|number| number.name);
        let (turn, [b, c, _]) = three_behind_one(&slots);
        drop(turn);
        assert_eq!(next(), Some("b".into()));
        // Before b comes, c does, for another reason.
        let turn = slots.take(&c).unwrap();
        assert!(slots.take(&b).is_none());
        drop(turn);
        assert_eq!(next(), Some("d".into()), "and not c, which may be gone");
        assert_eq!(next(), None);
    }

    #[test]
    fn who_is_gone_before_its_turn_leaves_it_to_those_that_wait() {
        let (slots, mut woken) = slots(1);
        let mut next = || woken.try_recv().ok().map(|number| number.name);
        let (turn, [b, c, _]) = three_behind_one(&slots);
        slots.left(&AccountKey::of(&b), &ObjectRef::from_obj(&b));
        assert_eq!(next(), None, "it is a's turn");
        drop(turn);
        assert_eq!(next(), Some("c".into()));
        slots.left(&AccountKey::of(&c), &ObjectRef::from_obj(&c));
        assert_eq!(next(), Some("d".into()));
    }

    /// Numbers come by themselves too, end, and go, in any order: each that was told to wait is woken at last.
    #[test]
    fn nobody_waits_while_there_are_slots() {
        for seed in 0..1000 {
            let mut random = StdRng::seed_from_u64(seed);
            let (slots, mut woken) = slots(random.random_range(1..4));
            let mut alive: Vec<_> = (0..20)
                .map(|n| number(&format!("n{n}"), "twilio"))
                .collect();
            let mut by_itself: Vec<_> = alive.iter().map(ResourceExt::name_any).collect();
            by_itself.extend_from_within(..10);
            let mut passes: Vec<(PhoneNumber, SlotGuard)> = Vec::new();
            let mut waiting = HashSet::new();
            let mut idle = 0;
            while idle < 100 {
                idle += 1;
                let comes = match random.random_range(0..5) {
                    0 => by_itself.pop(),
                    1 => woken.try_recv().ok().map(|number| number.name),
                    2 if !passes.is_empty() => {
                        let at = random.random_range(0..passes.len());
                        let (number, turn) = passes.swap_remove(at);
                        drop(turn);
                        if random.random_ratio(4, 5) {
                            slots.left(&AccountKey::of(&number), &ObjectRef::from_obj(&number));
                        } else {
                            alive.push(number);
                        }
                        idle = 0;
                        None
                    }
                    3 if !alive.is_empty() && random.random_ratio(1, 20) => {
                        let number = alive.swap_remove(random.random_range(0..alive.len()));
                        waiting.remove(&number.name_any());
                        slots.left(&AccountKey::of(&number), &ObjectRef::from_obj(&number));
                        None
                    }
                    _ => None,
                };
                // Nobody comes that is gone or under way.
                let Some(comes) = comes else { continue };
                let place = alive.iter().position(|number| number.name_any() == comes);
                let Some(place) = place else { continue };
                idle = 0;
                match slots.take(&alive[place]) {
                    Some(turn) => {
                        waiting.remove(&comes);
                        passes.push((alive.swap_remove(place), turn));
                    }
                    None => {
                        waiting.insert(comes);
                    }
                }
            }
            assert!(passes.is_empty() && by_itself.is_empty(), "seed {seed}");
            assert!(waiting.is_empty(), "seed {seed}: {waiting:?} wait");
        }
    }

    #[test]
    fn when_turns_end_nobody_is_woken_and_who_has_one_keeps_it() {
        let (slots, mut woken) = slots(1);
        let [a, b] = ["a", "b"].map(|name| number(name, "twilio"));
        let kept = slots.take(&a).unwrap();
        assert!(slots.take(&b).is_none());
        slots.end();
        drop(kept);
        assert!(woken.try_recv().is_err());
        assert!(slots.take(&b).is_none());
        assert!(
            slots.take(&number("d", "another")).is_none(),
            "not yet heard of"
        );
    }
}
