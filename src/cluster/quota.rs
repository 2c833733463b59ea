//! The hourly quotas: how many numbers may be bought, adopted and released in any 60 minutes, for each account at a provider, by all
//! resources and processes together.
//!
//! One ConfigMap holds the counts, in slots of a minute. A process takes a few at once, by compare-and-swap, before it uses them. What
//! it took and did not use before it died stays counted: never too few, at most a few too many.
//!
//! A slot that was not used is put back. Repeated attempts of one resource on one number can succeed only once, so they move one slot
//! along. The slot is known in memory alone: a process that has just started counts a repeated attempt once more.

mod exceeded;
mod stored;
mod taken;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};

use super::errors::shared_error;
use super::requeuer::Requeuer;
use crate::api::PhoneNumber;
use crate::number::AccountId;
use crate::panics::lock;
use crate::safeguards::{Safeguard, is_enabled};
pub(crate) use exceeded::{QuotaExceeded, QuotaKind};
use stored::{Keys, Slots, WINDOW, copy_of, full, key, minute_of, read, total, write};
use taken::{Shared, Standing};

/// The ConfigMap in the operator's namespace.
const OBJECT: &str = "phonenumber-operator-limits";

/// The most that is taken at once.
const MOST_AT_ONCE: i64 = 20;

/// How often a lost race is run again.
const TRIES: usize = 10;

/// The right to one deed. Its slot stays counted if this is dropped.
#[must_use = "a slot whose deed did not take place is put back"]
pub(crate) struct Slot {
    quota: Shared,
    minute: i64,
    uid: String,
    what: String,
    /// True if an earlier attempt on the same may have taken place, for which this slot counts too.
    in_doubt: bool,
}

/// The quotas of every account.
pub(crate) struct HourlyQuotas {
    api: Api<ConfigMap>,
    requeuer: Requeuer,
    by_account: Mutex<HashMap<(AccountId, QuotaKind), Shared>>,
    /// The counts as they were last read or written, by the key of the quota; `None` before they were read.
    seen: Mutex<Option<HashMap<String, Option<Slots>>>>,
}

impl HourlyQuotas {
    pub(crate) fn new(client: Client, namespace: &str, requeuer: Requeuer) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            requeuer,
            by_account: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Reads how much is used, for those who only want to know.
    ///
    /// # Errors
    /// Those of the API server.
    pub(crate) async fn read_again(&self) -> Result<(), kube::Error> {
        let found = self.api.get_opt(OBJECT).await?;
        self.saw(&found.unwrap_or_default());
        Ok(())
    }

    /// How many deeds count in the 60 minutes before `now`, as far as this process has seen; `None` if it has not. What
    /// cannot be read counts as more than any limit.
    ///
    /// `account` are the ids of the account; what was counted under each counts.
    pub(crate) fn used(
        &self,
        account: &[AccountId],
        deed: QuotaKind,
        now: Timestamp,
    ) -> Option<i64> {
        let since = minute_of(now).saturating_sub(WINDOW);
        let in_window = |slots: &Slots| {
            slots
                .iter()
                .filter(|(minute, _)| **minute > since)
                .fold(0_i64, |sum, (_, count)| sum.saturating_add(*count))
        };
        let seen = lock(&self.seen);
        let seen = seen.as_ref()?;
        let mut used = 0_i64;
        for id in account {
            let quota = self.quota(id, deed);
            let unused = quota
                .quota
                .try_lock()
                .map_or(0, |quota| in_window(&quota.unused));
            let counted = match seen.get(&key(id, deed)) {
                None => 0,
                Some(None) => return Some(i64::MAX),
                Some(Some(slots)) => in_window(slots),
            };
            used = used.saturating_add(counted.saturating_sub(unused));
        }
        Some(used.max(0))
    }

    /// Forgets the quotas of which nothing is taken and for which nobody waits.
    pub(crate) fn forget_idle(&self, now: Timestamp) {
        let begins = minute_of(now).saturating_sub(WINDOW);
        let mut all = lock(&self.by_account);
        all.retain(|_, shared| {
            let Ok(quota) = shared.quota.try_lock() else {
                return true;
            };
            let mut unused = quota.unused.iter();
            let is_idle = unused.all(|(minute, left)| *left == 0 || *minute <= begins)
                && quota.standing.values().all(|it| it.minute <= begins)
                && quota.waiting.values().all(|since| *since <= begins);
            Arc::strong_count(shared) > 1 || !is_idle
        });
    }

    fn saw(&self, object: &ConfigMap) {
        let data = object.data.iter().flatten();
        let slots = data.map(|(key, text)| (key.clone(), read(Some(text))));
        let slots = Some(slots.collect());
        *lock(&self.seen) = slots;
    }

    /// Takes the right to one deed of `object` on `what`, if fewer than `limit` were done in the 60 minutes before `now`.
    /// What was counted under the other `names` of the account counts.
    /// A repeated attempt on the same moves its slot along. So does an attempt instead of one on what `came_to_nothing`.
    ///
    /// # Errors
    /// Those of the API server.
    pub(crate) async fn take(
        &self,
        (account, names): (&AccountId, &[AccountId]),
        deed: QuotaKind,
        limit: i64,
        now: Timestamp,
        object: &PhoneNumber,
        (what, came_to_nothing): (&str, Option<&str>),
    ) -> Result<Result<Slot, QuotaExceeded>, kube::Error> {
        let mut others = Vec::new();
        for name in names.iter().filter(|name| *name != account) {
            let key = key(name, deed);
            self.give_back_of(&self.quota(name, deed), &key, now)
                .await?;
            others.push(key);
        }
        // A process that knows the account by this name alone reads it there.
        let copies: Vec<String> = others.iter().map(|key| copy_of(key)).collect();
        let key = key(account, deed);
        if others.is_empty() {
            others.push(copy_of(&key));
        }
        let shared = self.quota(account, deed);
        let failures = shared.failures.load(Ordering::Relaxed);
        let mut quota = shared.quota.lock().await;
        let minute = minute_of(now);
        let begins = minute.saturating_sub(WINDOW);
        quota
            .standing
            .retain(|_, standing| standing.minute > begins);
        quota.waiting.retain(|_, since| *since > begins);
        let reference = ObjectRef::from_obj(object);
        let uid = object.uid().unwrap_or_default();
        let before = quota.moves(&uid, what, came_to_nothing);
        let slot = Slot {
            quota: Arc::clone(&shared),
            minute,
            uid: uid.clone(),
            what: what.to_owned(),
            in_doubt: before.as_ref().is_some_and(|before| before.in_doubt),
        };
        if let Some(left) = quota.unused.get_mut(&minute).filter(|left| **left > 0) {
            *left -= 1;
            if let Some(before) = before {
                let left = quota.unused.entry(before.minute).or_default();
                *left = left.saturating_add(1);
            }
            quota.waiting.remove(&reference);
            return Ok(Ok(slot));
        }
        // A failure serves all that waited for it.
        if let Some(error) = &quota.failed
            && shared.failures.load(Ordering::Relaxed) != failures
        {
            let error = shared_error(Arc::clone(error));
            if let Some(before) = before {
                quota.standing.insert(uid, before);
            }
            return Err(error);
        }
        let wanted = (limit / 10).clamp(1, MOST_AT_ONCE);
        // Not kept over the write: if its reply is lost, too much is counted, and never too little.
        let unused = std::mem::take(&mut quota.unused);
        let mut back = unused.clone();
        if let Some(before) = &before {
            let left = back.entry(before.minute).or_default();
            *left = left.saturating_add(1);
        }
        let keys = Keys {
            own: &key,
            others: &others,
            copies: &copies,
        };
        let added = match self.add(keys, now, limit, wanted, &back).await {
            Ok(added) => added,
            Err(error) => {
                let error = Arc::new(error);
                quota.failed = Some(Arc::clone(&error));
                shared.failures.fetch_add(1, Ordering::Relaxed);
                return Err(shared_error(error));
            }
        };
        Ok(match added {
            Ok(got) => {
                quota.unused = Slots::from([(minute, got.saturating_sub(1))]);
                quota.waiting.remove(&reference);
                Ok(slot)
            }
            Err(full) => {
                quota.unused = unused;
                quota.waiting.insert(reference, minute);
                if let Some(before) = before {
                    quota.standing.insert(uid, before);
                }
                Err(full)
            }
        })
    }

    /// Puts back the slot of a deed that did not take place. It stands if an earlier attempt on the same may have.
    pub(crate) async fn put_back(&self, slot: Slot) {
        let Slot {
            quota,
            minute,
            uid,
            what,
            in_doubt,
        } = slot;
        if in_doubt {
            let standing = Standing {
                what,
                minute,
                in_doubt,
            };
            quota.quota.lock().await.standing.insert(uid, standing);
        } else {
            let next = quota.quota.lock().await.put_back(minute);
            self.requeue(&next);
        }
    }

    /// Remembers the slot of an attempt that may have taken place, which the next one on the same moves along.
    pub(crate) async fn may_stand(&self, slot: Slot) {
        Self::remember(slot, true).await;
    }

    /// Remembers the slot of an order that was placed and may fail.
    pub(crate) async fn was_ordered(&self, slot: Slot) {
        Self::remember(slot, false).await;
    }

    async fn remember(slot: Slot, in_doubt: bool) {
        let standing = Standing {
            what: slot.what,
            minute: slot.minute,
            in_doubt: in_doubt || slot.in_doubt,
        };
        let mut quota = slot.quota.quota.lock().await;
        quota.standing.insert(slot.uid, standing);
    }

    /// Puts back the slot of an order of `object` that failed, unless an earlier attempt on `what` may have taken place.
    pub(crate) async fn order_failed(&self, account: &AccountId, object: &PhoneNumber, what: &str) {
        let shared = self.quota(account, QuotaKind::Purchase);
        let mut quota = shared.quota.lock().await;
        let uid = object.uid().unwrap_or_default();
        let failed = |standing: &Standing| standing.what == what && !standing.in_doubt;
        if !quota.standing.get(&uid).is_some_and(failed) {
            return;
        }
        if let Some(standing) = quota.standing.remove(&uid) {
            let next = quota.put_back(standing.minute);
            self.requeue(&next);
        }
    }

    /// Puts back the slot of `object`, which certainly bought nothing.
    pub(crate) async fn never_bought(&self, object: &PhoneNumber) {
        let uid = object.uid().unwrap_or_default();
        for ((_, deed), shared) in self.all() {
            if deed == QuotaKind::Purchase {
                let mut quota = shared.quota.lock().await;
                if let Some(standing) = quota.standing.remove(&uid) {
                    let next = quota.put_back(standing.minute);
                    self.requeue(&next);
                }
            }
        }
    }

    fn requeue(&self, waiting: &[ObjectRef<PhoneNumber>]) {
        for reference in waiting {
            self.requeuer.number_at(reference);
        }
    }

    /// Gives back everything that was taken and not used, as a program that ends does.
    pub(crate) async fn give_back(&self, now: Timestamp) {
        for ((account, deed), shared) in self.all() {
            let key = key(&account, deed);
            if let Err(error) = self.give_back_of(&shared, &key, now).await {
                tracing::warn!(%error, "what was taken of the limits is not returned");
            }
        }
    }

    async fn give_back_of(
        &self,
        shared: &Shared,
        key: &str,
        now: Timestamp,
    ) -> Result<(), kube::Error> {
        let mut quota = shared.quota.lock().await;
        if quota.unused.values().all(|left| *left == 0) {
            return Ok(());
        }
        let back = std::mem::take(&mut quota.unused);
        let keys = Keys {
            own: key,
            others: &[],
            copies: &[],
        };
        let added = self.add(keys, now, i64::MAX, 0, &back);
        added.await.map(drop)
    }

    fn quota(&self, account: &AccountId, deed: QuotaKind) -> Shared {
        let mut all = lock(&self.by_account);
        Arc::clone(all.entry((account.clone(), deed)).or_default())
    }

    fn all(&self) -> Vec<((AccountId, QuotaKind), Shared)> {
        let all = lock(&self.by_account);
        all.iter()
            .map(|(key, quota)| (key.clone(), Arc::clone(quota)))
            .collect()
    }

    /// Takes `unused` out of its slots and adds up to `wanted` to that of `now`, as far as `limit` lets with what is counted
    /// under the other keys, in one write; or says why not even one is let.
    async fn add(
        &self,
        Keys {
            own: key,
            others,
            copies,
        }: Keys<'_>,
        now: Timestamp,
        limit: i64,
        wanted: i64,
        unused: &Slots,
    ) -> Result<Result<i64, QuotaExceeded>, kube::Error> {
        let minute = minute_of(now);
        for attempt in 1.. {
            let found = self.api.get_opt(OBJECT).await?;
            let exists = found.is_some();
            let mut object = found.unwrap_or_else(|| ConfigMap {
                metadata: ObjectMeta {
                    name: Some(OBJECT.to_owned()),
                    ..ObjectMeta::default()
                },
                ..ConfigMap::default()
            });
            self.saw(&object);
            let data = object.data.get_or_insert_default();
            let Some(mut slots) = read(data.get(key).map(String::as_str)) else {
                return Ok(Err(QuotaExceeded::Unreadable(key.to_owned())));
            };
            slots.retain(|at, _| *at > minute.saturating_sub(WINDOW));
            for (at, left) in unused {
                if let Some(count) = slots.get_mut(at) {
                    *count = count.saturating_sub(*left).max(0);
                }
            }
            let mut counted = slots.clone();
            for other in others {
                let Some(slots) = read(data.get(other).map(String::as_str)) else {
                    return Ok(Err(QuotaExceeded::Unreadable(other.clone())));
                };
                let begins = minute.saturating_sub(WINDOW);
                for (at, count) in slots.iter().filter(|(at, _)| **at > begins) {
                    let all = counted.entry(*at).or_default();
                    *all = all.saturating_add(*count);
                }
            }
            let got = wanted.min(limit.saturating_sub(total(&counted)));
            if wanted > 0 && got <= 0 {
                return Ok(Err(full(&counted, limit, now)));
            }
            let slot = slots.entry(minute).or_default();
            *slot = slot.saturating_add(got);
            for key in std::iter::once(key).chain(copies.iter().map(String::as_str)) {
                data.insert(key.to_owned(), write(&slots));
            }
            object.metadata.managed_fields = None;
            if !is_enabled(Safeguard::CountBySwap) {
                object.metadata.resource_version = None;
            }
            let written = if exists {
                self.api
                    .replace(OBJECT, &PostParams::default(), &object)
                    .await
            } else {
                self.api.create(&PostParams::default(), &object).await
            };
            match written {
                Ok(written) => {
                    self.saw(&written);
                    return Ok(Ok(got));
                }
                Err(kube::Error::Api(error)) if error.code == 409 && attempt < TRIES => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Err(full(&Slots::new(), limit, now)))
    }
}

#[cfg(test)]
mod tests;
