//! What this process has taken from the quotas, and who waits for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use kube::runtime::reflector::ObjectRef;

use super::stored::Slots;
use crate::api::PhoneNumber;

/// How many of those that wait are requeued when a slot is put back: those that were told last may be gone.
const REQUEUED: usize = 3;

/// What this process has taken from one quota.
#[derive(Default)]
pub(super) struct HourlyQuota {
    /// What was taken and is not used, by the minute it was taken for. It may be used in that minute, and goes back after it.
    pub(super) unused: Slots,
    /// The slots of attempts that may have taken place, by the UID of the resource.
    pub(super) standing: HashMap<String, Standing>,
    /// Those that were told that no more may be done, and when.
    pub(super) waiting: HashMap<ObjectRef<PhoneNumber>, i64>,
    /// Why a write of its count failed last.
    pub(super) failed: Option<Arc<kube::Error>>,
}

/// A slot of an attempt that may have taken place, or of an order that may yet fail.
pub(super) struct Standing {
    pub(super) what: String,
    pub(super) minute: i64,
    pub(super) in_doubt: bool,
}

pub(super) type Shared = Arc<Turnstile>;

/// One quota, of which one reconcile at a time takes.
#[derive(Default)]
pub(super) struct Turnstile {
    pub(super) quota: tokio::sync::Mutex<HourlyQuota>,
    /// How many writes of its count have failed.
    pub(super) failures: AtomicU64,
}

impl HourlyQuota {
    /// Puts one slot of `minute` back, and returns those that may use it.
    pub(super) fn put_back(&mut self, minute: i64) -> Vec<ObjectRef<PhoneNumber>> {
        let left = self.unused.entry(minute).or_default();
        *left = left.saturating_add(1);
        let mut waiting: Vec<_> = self.waiting.iter().collect();
        waiting.sort_by_key(|(_, since)| **since);
        let next: Vec<_> = waiting
            .into_iter()
            .take(REQUEUED)
            .map(|(reference, _)| reference.clone())
            .collect();
        next.iter().for_each(|reference| {
            self.waiting.remove(reference);
        });
        next
    }

    /// The slot that an attempt of the resource `uid` on `what` moves along, instead of being counted besides: that of an
    /// earlier one on the same, or on what certainly came to nothing.
    pub(super) fn moves(
        &mut self,
        uid: &str,
        what: &str,
        came_to_nothing: Option<&str>,
    ) -> Option<Standing> {
        let standing = self.standing.remove(uid)?;
        let is_same = standing.what == what;
        let in_doubt = standing.in_doubt && is_same;
        (is_same || came_to_nothing == Some(standing.what.as_str())).then_some(Standing {
            in_doubt,
            ..standing
        })
    }
}
