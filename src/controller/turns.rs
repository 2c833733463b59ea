//! Turns: how many passes of each account are under way, so that an account that is slow delays no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::index::{Key, account_key};
use crate::api::PhoneNumber;

pub(super) struct Turns {
    most: usize,
    /// `None` once there are no more turns.
    by_account: Mutex<Option<HashMap<Key, Arc<Semaphore>>>>,
}

impl Turns {
    /// At most `most` passes of each account at once.
    pub(super) fn new(most: u16) -> Self {
        Self {
            most: usize::from(most),
            by_account: Mutex::new(Some(HashMap::new())),
        }
    }

    /// Waits until a pass over `number` may be made; it lasts until the turn is dropped. `None` if none may be made any more.
    pub(super) async fn wait_for(&self, number: &PhoneNumber) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut by_account = self.by_account();
            let turns = by_account
                .as_mut()?
                .entry(account_key(number))
                .or_insert_with(|| Arc::new(Semaphore::new(self.most)));
            Arc::clone(turns)
        };
        turns.acquire_owned().await.ok()
    }

    /// Gives no more turns, also not to those that wait. Passes under way keep theirs.
    pub(super) fn end(&self) {
        let by_account = self.by_account().take();
        by_account
            .iter()
            .flat_map(HashMap::values)
            .for_each(|turns| turns.close());
    }

    fn by_account(&self) -> MutexGuard<'_, Option<HashMap<Key, Arc<Semaphore>>>> {
        self.by_account
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use serde_json::json;

    use super::*;

    fn number(account: &str) -> PhoneNumber {
        serde_json::from_value(json!({
            "metadata": {"name": "nyc", "namespace": "support"},
            "spec": {"provider": "twilio", "accountRef": {"name": account}},
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn who_waits_when_turns_end_gets_none_and_who_has_one_keeps_it() {
        let turns = Turns::new(1);
        let (number, another) = (number("twilio"), number("another"));
        let kept = turns.wait_for(&number).await.unwrap();
        let mut waiting = Box::pin(turns.wait_for(&number));
        assert!((&mut waiting).now_or_never().is_none(), "one at a time");
        turns.end();
        assert!(waiting.await.is_none());
        drop(kept);
        assert!(turns.wait_for(&number).await.is_none());
        assert!(turns.wait_for(&another).await.is_none(), "not yet heard of");
    }
}
