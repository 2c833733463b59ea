//! Turns: how many passes of each account are under way, so that an account that is slow delays no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::index::{Key, account_key};
use crate::api::PhoneNumber;

pub(super) struct Turns {
    most: usize,
    by_account: Mutex<HashMap<Key, Arc<Semaphore>>>,
}

impl Turns {
    /// At most `most` passes of each account at once.
    pub(super) fn new(most: u16) -> Self {
        Self {
            most: usize::from(most),
            by_account: Mutex::default(),
        }
    }

    /// Waits until a pass over `number` may be made; it lasts until the turn is dropped.
    pub(super) async fn wait_for(&self, number: &PhoneNumber) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut by_account = self
                .by_account
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let turns = by_account
                .entry(account_key(number))
                .or_insert_with(|| Arc::new(Semaphore::new(self.most)));
            Arc::clone(turns)
        };
        // It is never closed.
        turns.acquire_owned().await.ok()
    }
}
