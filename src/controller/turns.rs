//! Turns: how many passes of each account are under way, so that an account that is slow delays no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::context::account_name;
use crate::api::{AccountKind, PhoneNumber};

type Key = (AccountKind, Option<String>, String);

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
        let (kind, name) = account_name(number);
        let namespace = match kind {
            AccountKind::ProviderAccount => number.namespace(),
            AccountKind::ClusterProviderAccount => None,
        };
        let turns = {
            let mut by_account = self
                .by_account
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let turns = by_account
                .entry((kind, namespace, name))
                .or_insert_with(|| Arc::new(Semaphore::new(self.most)));
            Arc::clone(turns)
        };
        // It is never closed.
        turns.acquire_owned().await.ok()
    }
}
