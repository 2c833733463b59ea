//! The hourly quotas: how many numbers may be bought, adopted and released in any 60 minutes, for each account at a provider, by all
//! resources and processes together.
//!
//! One ConfigMap holds the counts, in slots of a minute. A process takes a few at once, by compare-and-swap, before it uses them. What
//! it took and did not use before it died stays counted: never too few, at most a few too many.
//!
//! A slot that was not used is put back. Repeated attempts of one resource on one number can succeed only once, so they move one slot
//! along. The slot is known in memory alone: a process that has just started counts a repeated attempt once more.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};

use super::plan::clock_time;
use super::requeuer::Requeuer;
use super::setbacks::shared as shared_error;
use crate::api::PhoneNumber;
use crate::number::AccountId;
use crate::panics::lock;
use crate::sabotage::{Safeguard, stands};

/// The ConfigMap in the operator's namespace.
const OBJECT: &str = "phonenumber-operator-limits";

/// How long a slot counts, in minutes: 60, its own minute, and one more, since what was taken at its end may be done in
/// the next one.
const WINDOW: i64 = 62;

/// The most that is taken at once.
const MOST_AT_ONCE: i64 = 20;

/// How often a lost race is run again.
const TRIES: usize = 10;

/// How many of those that wait are requeued when a slot is put back: those that were told last may be gone.
const REQUEUED: usize = 3;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum QuotaKind {
    /// A purchase.
    Purchase,
    /// A number that is taken over.
    Adoption,
    /// A release.
    Release,
}

impl QuotaKind {
    fn word(self) -> &'static str {
        match self {
            Self::Purchase => "purchases",
            Self::Adoption => "adoptions",
            Self::Release => "releases",
        }
    }
}

/// Why no more may be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum QuotaExceeded {
    /// As many were done in the last 60 minutes as may be.
    Used {
        /// How many.
        used: i64,
        /// How long until one more may be done.
        again: Duration,
    },
    /// The count with this key cannot be read, so it may be anything.
    Unreadable(String),
}

impl QuotaExceeded {
    /// What a person should know, and when to try again. The time that is told stays the same while it is waited for. An unreadable count is looked at after each `interval`.
    pub(super) fn told(
        &self,
        account: &AccountId,
        deed: QuotaKind,
        limit: i64,
        now: Timestamp,
        interval: Duration,
    ) -> (String, Duration) {
        let (done, field) = match deed {
            QuotaKind::Purchase => ("bought", "spec.limits.purchasesPerHour"),
            QuotaKind::Adoption => ("taken over", "spec.limits.purchasesPerHour"),
            QuotaKind::Release => ("released", "spec.limits.releasesPerHour"),
        };
        match self {
            Self::Used { used, again } => {
                let message = format!(
                    "{used} numbers were {done} in the last 60 minutes in account {account}, and {limit} may be \
                     ({field}). The next may be {done} at {}.",
                    clock_time(now, *again)
                );
                (message, *again)
            }
            Self::Unreadable(key) => {
                let message = format!(
                    "The operator cannot read how many numbers were {done} in the last 60 minutes in account \
                     {account}: the entry {key} of ConfigMap {OBJECT} in the operator's namespace is not as the operator \
                     writes it. No number is {done} in this account ({field}). Remove that entry; counting then begins \
                     at zero."
                );
                (message, interval)
            }
        }
    }
}

/// The right to one deed. Its slot stays counted if this is dropped.
#[must_use = "a slot whose deed did not take place is put back"]
pub(super) struct Slot {
    quota: Shared,
    minute: i64,
    uid: String,
    what: String,
    /// True if an earlier attempt on the same may have taken place, for which this slot counts too.
    in_doubt: bool,
}

/// The quotas of every account.
pub(super) struct HourlyQuotas {
    api: Api<ConfigMap>,
    requeuer: Requeuer,
    by_account: Mutex<HashMap<(AccountId, QuotaKind), Shared>>,
    /// The counts as they were last read or written, by the key of the quota; `None` before they were read.
    seen: Mutex<Option<HashMap<String, Option<Slots>>>>,
}

/// What this process has taken from one quota.
#[derive(Default)]
struct HourlyQuota {
    /// What was taken and is not used, by the minute it was taken for. It may be used in that minute, and goes back after it.
    unused: Slots,
    /// The slots of attempts that may have taken place, by the UID of the resource.
    standing: HashMap<String, Standing>,
    /// Those that were told that no more may be done, and when.
    waiting: HashMap<ObjectRef<PhoneNumber>, i64>,
    /// Why a write of its count failed last.
    failed: Option<Arc<kube::Error>>,
}

/// A slot of an attempt that may have taken place, or of an order that may yet fail.
struct Standing {
    what: String,
    minute: i64,
    in_doubt: bool,
}

type Shared = Arc<Turnstile>;

/// One quota, of which one pass at a time takes.
#[derive(Default)]
struct Turnstile {
    quota: tokio::sync::Mutex<HourlyQuota>,
    /// How many writes of its count have failed.
    failures: AtomicU64,
}

/// The counts of one quota, by minute.
type Slots = BTreeMap<i64, i64>;

impl HourlyQuota {
    /// Puts one slot of `minute` back, and returns those that may use it.
    fn put_back(&mut self, minute: i64) -> Vec<ObjectRef<PhoneNumber>> {
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
    fn moves(&mut self, uid: &str, what: &str, came_to_nothing: Option<&str>) -> Option<Standing> {
        let standing = self.standing.remove(uid)?;
        let is_same = standing.what == what;
        let in_doubt = standing.in_doubt && is_same;
        (is_same || came_to_nothing == Some(standing.what.as_str())).then_some(Standing {
            in_doubt,
            ..standing
        })
    }
}

impl HourlyQuotas {
    pub(super) fn new(client: Client, namespace: &str, requeuer: Requeuer) -> Self {
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
    pub(super) async fn read_again(&self) -> Result<(), kube::Error> {
        let found = self.api.get_opt(OBJECT).await?;
        self.saw(&found.unwrap_or_default());
        Ok(())
    }

    /// How many deeds count in the 60 minutes before `now`, as far as this process has seen; `None` if it has not. What
    /// cannot be read counts as more than any limit.
    ///
    /// `account` are the ids of the account; what was counted under each counts.
    pub(super) fn used(
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
    pub(super) fn forget_idle(&self, now: Timestamp) {
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
    pub(super) async fn take(
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
    pub(super) async fn put_back(&self, slot: Slot) {
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
    pub(super) async fn may_stand(&self, slot: Slot) {
        Self::remember(slot, true).await;
    }

    /// Remembers the slot of an order that was placed and may fail.
    pub(super) async fn was_ordered(&self, slot: Slot) {
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
    pub(super) async fn order_failed(&self, account: &AccountId, object: &PhoneNumber, what: &str) {
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
    pub(super) async fn never_bought(&self, object: &PhoneNumber) {
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
    pub(super) async fn give_back(&self, now: Timestamp) {
        for ((account, deed), shared) in self.all() {
            let key = key(&account, deed);
            if let Err(error) = self.give_back_of(&shared, &key, now).await {
                tracing::warn!(%error, "what was taken of the limits is not given back");
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
            if !stands(Safeguard::CountBySwap) {
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

fn minute_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(60)
}

/// The key of a quota in the ConfigMap.
fn key(account: &AccountId, deed: QuotaKind) -> String {
    format!("{account}.{}", deed.word())
}

/// The key under which a copy is kept of what counts for the account under another name than that of `key`. An account at Telnyx
/// that has lost its last number is known by its credential alone after a restart.
fn copy_of(key: &str) -> String {
    format!("{key}.copy")
}

/// Keys of a quota in the ConfigMap.
struct Keys<'a> {
    /// Where it is counted.
    own: &'a str,
    /// What is counted there counts too.
    others: &'a [String],
    /// Where a copy of its slots is kept.
    copies: &'a [String],
}

fn total(slots: &Slots) -> i64 {
    let counts = slots.values();
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

/// When one more may be done: at the end of the first minute that leaves room for it.
fn full(slots: &Slots, limit: i64, now: Timestamp) -> QuotaExceeded {
    let used = total(slots);
    let mut left = used;
    let frees = slots.iter().find_map(|(minute, count)| {
        left = left.saturating_sub(*count);
        (left < limit).then_some(*minute)
    });
    let at = frees
        .unwrap_or(minute_of(now))
        .saturating_add(WINDOW)
        .saturating_mul(60);
    // What stands in a minute to come was not written by an operator.
    let seconds = at.saturating_sub(now.as_second()).clamp(1, WINDOW * 60);
    QuotaExceeded::Used {
        used,
        again: Duration::from_secs(u64::try_from(seconds).unwrap_or(1)),
    }
}

/// `minute:count`, separated by spaces; `None` if it is anything else.
fn read(text: Option<&str>) -> Option<Slots> {
    let pairs = text.unwrap_or_default().split_ascii_whitespace();
    let slots = pairs.map(|pair| {
        let (minute, count) = pair.split_once(':')?;
        let count: i64 = count.parse().ok().filter(|count| *count >= 0)?;
        Some((minute.parse().ok()?, count))
    });
    slots.collect()
}

fn write(slots: &Slots) -> String {
    let pairs: Vec<_> = slots
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(minute, count)| format!("{minute}:{count}"))
        .collect();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn slots_are_read_as_they_were_written() {
        let slots = Slots::from([(29_000_000, 3), (29_000_001, 1)]);
        assert_eq!(write(&slots), "29000000:3 29000001:1");
        assert_eq!(read(Some(&write(&slots))), Some(slots));
        assert_eq!(read(None), Some(Slots::new()));
        for unreadable in ["x", "1:y", "2:-5", "3:4 5", "1:99999999999999999999"] {
            assert_eq!(read(Some(unreadable)), None, "{unreadable}");
        }
    }

    fn again(slots: &Slots, limit: i64, now: Timestamp) -> i64 {
        match full(slots, limit, now) {
            QuotaExceeded::Used { again, .. } => i64::try_from(again.as_secs()).unwrap(),
            QuotaExceeded::Unreadable(key) => panic!("{key}"),
        }
    }

    #[test]
    fn a_blown_quota_tells_when_it_goes_on() {
        let now = Timestamp::from_second(100 * 60 + 30).unwrap();
        let slots = Slots::from([(50, 2), (70, 3)]);
        assert_eq!(again(&slots, 5, now), (50 + 62) * 60 - (100 * 60 + 30));
        assert_eq!(again(&slots, 2, now), (70 + 62) * 60 - (100 * 60 + 30));
        let (message, _) = full(&slots, 5, now).told(
            &AccountId::new("AC1"),
            QuotaKind::Release,
            5,
            now,
            Duration::ZERO,
        );
        assert!(message.starts_with("5 numbers were released"), "{message}");
    }

    #[test]
    fn counts_that_nobody_wrote_overflow_nowhere() {
        let now = Timestamp::from_second(100 * 60).unwrap();
        let most = Slots::from([(100, i64::MAX), (101, i64::MAX), (i64::MAX, 1)]);
        assert_eq!(again(&most, 5, now), 62 * 60);
        assert_eq!(again(&Slots::from([(i64::MIN, 9)]), 5, now), 1);
    }

    #[test]
    fn what_is_done_late_counts_for_sixty_minutes_all_the_same() {
        // Taken in the last second of minute 10, and done by the end of the next.
        let done = (10 + 2) * 60;
        let slots = Slots::from([(10, 1)]);
        let asked = Timestamp::from_second(69 * 60).unwrap();
        let frees = asked.as_second() + again(&slots, 1, asked);
        assert!(frees - done >= 60 * 60, "{} s", frees - done);
    }

    #[tokio::test]
    async fn what_was_taken_and_is_not_used_counts_as_left() {
        let quotas = quotas(&Arc::default());
        let (account, now) = (
            AccountId::new("AC1"),
            Timestamp::from_second(100 * 60).unwrap(),
        );
        let used = |deed| quotas.used(std::slice::from_ref(&account), deed, now);
        assert_eq!(used(QuotaKind::Purchase), None, "nothing was read yet");
        let data = [
            ("AC1.purchases", "30:5 50:2 100:20"),
            ("AC2.purchases", "100:9"),
            ("AC1.releases", "100:9 damaged"),
        ];
        let data = data.map(|(key, slots)| (key.to_owned(), slots.to_owned()));
        quotas.saw(&ConfigMap {
            data: Some(data.into()),
            ..ConfigMap::default()
        });
        assert_eq!(used(QuotaKind::Purchase), Some(22));
        assert_eq!(
            used(QuotaKind::Release),
            Some(i64::MAX),
            "it may be anything"
        );
        let quota = quotas.quota(&account, QuotaKind::Purchase);
        quota.quota.lock().await.unused = Slots::from([(100, 8)]);
        assert_eq!(used(QuotaKind::Purchase), Some(14));
    }

    fn quotas(loses: &Arc<AtomicBool>) -> HourlyQuotas {
        HourlyQuotas::new(stored(loses), "operator", Requeuer::default())
    }

    fn number(name: &str) -> PhoneNumber {
        let object = serde_json::json!({
            "metadata": {"name": name, "namespace": "support", "uid": name},
            "spec": {"provider": "twilio", "phoneNumber": "+12125550100"},
        });
        serde_json::from_value(object).unwrap()
    }

    /// The quota of purchases in one account of which `limit` are let, asked `minutes` after it began.
    struct Asked {
        quotas: HourlyQuotas,
        limit: i64,
    }

    impl Asked {
        fn new(limit: i64) -> Self {
            let quotas = quotas(&Arc::default());
            Self { quotas, limit }
        }

        fn at(minutes: i64) -> Timestamp {
            Timestamp::from_second((100 + minutes) * 60).unwrap()
        }

        async fn take_instead(
            &self,
            name: &str,
            what: (&str, Option<&str>),
            minutes: i64,
        ) -> Result<Slot, QuotaExceeded> {
            let (account, object) = (AccountId::new("AC1"), number(name));
            let (limit, now) = (self.limit, Self::at(minutes));
            let taken = self.quotas.take(
                (&account, &[]),
                QuotaKind::Purchase,
                limit,
                now,
                &object,
                what,
            );
            taken.await.unwrap()
        }

        async fn take(&self, name: &str, what: &str, minutes: i64) -> Option<Slot> {
            self.take_instead(name, (what, None), minutes).await.ok()
        }

        fn used(&self, minutes: i64) -> i64 {
            let used = self.quotas.used(
                &[AccountId::new("AC1")],
                QuotaKind::Purchase,
                Self::at(minutes),
            );
            used.unwrap()
        }
    }

    /// One ConfigMap that lives in memory, whatever is asked. The reply to a write is lost while `loses` says so.
    fn stored(loses: &Arc<AtomicBool>) -> Client {
        let loses = Arc::clone(loses);
        let object = Arc::new(Mutex::new(None::<Vec<u8>>));
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (object, loses) = (Arc::clone(&object), Arc::clone(&loses));
            async move {
                let reads = request.method() == http::Method::GET;
                let body = request.into_body().collect_bytes().await.unwrap();
                let mut object = object.lock().unwrap();
                if !reads {
                    *object = Some(body.to_vec());
                    if loses.load(Ordering::Relaxed) {
                        return Err(std::io::Error::other("connection reset"));
                    }
                }
                let missing = br#"{"kind":"Status","code":404,"reason":"NotFound","message":"","status":"Failure"}"#;
                let (status, body) = match object.as_ref() {
                    Some(found) => (200, found.clone()),
                    None => (404, missing.to_vec()),
                };
                let answer = http::Response::builder().status(status);
                Ok(answer.body(kube::client::Body::from(body)).unwrap())
            }
        });
        Client::new(service, "default")
    }

    #[tokio::test]
    async fn what_was_counted_for_an_organization_counts_for_its_key_alone() {
        let (organization, key) = (AccountId::new("org"), AccountId::new("key-1"));
        let both = [organization.clone(), key.clone()];
        let (loses, now) = (Arc::default(), Asked::at(0));
        let client = stored(&loses);
        let restarted = || HourlyQuotas::new(client.clone(), "operator", Requeuer::default());
        let take =
            async |quotas: &HourlyQuotas, account: &AccountId, names: &[AccountId], name: &str| {
                let object = number(name);
                let taken = quotas.take(
                    (account, names),
                    QuotaKind::Purchase,
                    2,
                    now,
                    &object,
                    (name, None),
                );
                taken.await.unwrap().is_ok()
            };
        assert!(take(&restarted(), &key, &both[1..], "a").await);
        assert!(take(&restarted(), &organization, &both, "b").await);
        // Its last number is gone: nothing tells whose key it is.
        assert!(!take(&restarted(), &key, &both[1..], "c").await);
        assert!(!take(&restarted(), &organization, &both, "d").await);
    }

    /// Those that wait for the count would be let to the API server one after another.
    #[tokio::test(start_paused = true)]
    async fn a_failure_to_count_serves_all_that_waited_for_it() {
        let asked = Arc::new(AtomicU64::new(0));
        let requests = Arc::clone(&asked);
        let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            requests.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Err::<http::Response<kube::client::Body>, _>(std::io::Error::other("cut off"))
            }
        });
        let client = Client::new(service, "default");
        let asking = Asked {
            quotas: HourlyQuotas::new(client, "operator", Requeuer::default()),
            limit: 100,
        };
        let begun = tokio::time::Instant::now();
        let names: Vec<String> = (0..50).map(|at| format!("n{at}")).collect();
        let account = AccountId::new("AC1");
        let taken = names.iter().map(|name| {
            let (quotas, account) = (&asking.quotas, &account);
            async move {
                let object = number(name);
                let accounts = (account, std::slice::from_ref(account));
                let taken = quotas.take(
                    accounts,
                    QuotaKind::Purchase,
                    100,
                    Asked::at(0),
                    &object,
                    (name, None),
                );
                taken.await.is_err()
            }
        });
        let failed = futures::future::join_all(taken).await;
        assert!(failed.into_iter().all(|failed| failed));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert_eq!(begun.elapsed(), Duration::from_secs(10));
        assert!(!taken_after_all(&asking).await, "the next one asks again");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    async fn taken_after_all(asking: &Asked) -> bool {
        let (account, object) = (AccountId::new("AC1"), number("later"));
        let accounts = (&account, std::slice::from_ref(&account));
        let taken = asking.quotas.take(
            accounts,
            QuotaKind::Purchase,
            asking.limit,
            Asked::at(0),
            &object,
            ("+1", None),
        );
        taken.await.is_ok()
    }

    #[tokio::test]
    async fn what_was_put_back_can_be_taken_again_also_in_the_next_minute() {
        let asked = Asked::new(1);
        let slot = asked.take("a", "+1", 0).await.unwrap();
        assert!(asked.take("b", "+2", 1).await.is_none(), "it is used");
        asked.quotas.put_back(slot).await;
        let slot = asked.take("b", "+2", 1).await;
        assert!(slot.is_some());
        assert!(asked.take("c", "+3", 1).await.is_none(), "it is used again");
        assert_eq!(asked.used(1), 1);
    }

    #[tokio::test]
    async fn repeated_attempts_on_one_number_count_once_and_as_late_as_the_last() {
        let asked = Asked::new(1);
        for minutes in 0..70 {
            let slot = asked.take("a", "+1", minutes).await.unwrap();
            assert_eq!(asked.used(minutes), 1);
            asked.quotas.may_stand(slot).await;
        }
        // The last of them may be the one that bought the number.
        assert!(asked.take("b", "+2", 130).await.is_none());
        assert!(asked.take("b", "+2", 132).await.is_some());
    }

    #[tokio::test]
    async fn a_refused_attempt_after_one_in_doubt_puts_back_nothing() {
        let asked = Asked::new(1);
        let slot = asked.take("a", "+1", 0).await.unwrap();
        asked.quotas.may_stand(slot).await;
        let slot = asked.take("a", "+1", 1).await.unwrap();
        asked.quotas.put_back(slot).await;
        assert!(asked.take("b", "+2", 2).await.is_none(), "the first stands");
        let slot = asked.take("a", "+1", 3).await;
        assert!(slot.is_some(), "and is moved along");
        assert_eq!(asked.used(3), 1);
    }

    #[tokio::test]
    async fn another_number_of_the_same_resource_counts_besides_unless_the_first_came_to_nothing() {
        for (came_to_nothing, may) in [(None, false), (Some("+9"), false), (Some("+1"), true)] {
            let asked = Asked::new(1);
            let slot = asked.take("a", "+1", 0).await.unwrap();
            asked.quotas.may_stand(slot).await;
            let taken = asked.take_instead("a", ("+2", came_to_nothing), 1).await;
            assert_eq!(taken.is_ok(), may, "{came_to_nothing:?}");
            if let Ok(slot) = taken {
                asked.quotas.put_back(slot).await;
                assert!(asked.take("b", "+3", 2).await.is_some(), "nothing stands");
            }
        }
    }

    #[tokio::test]
    async fn an_order_that_fails_and_a_resource_that_never_bought_put_their_slots_back() {
        let account = AccountId::new("AC1");
        let asked = Asked::new(1);
        let slot = asked.take("a", "+1", 0).await.unwrap();
        asked.quotas.was_ordered(slot).await;
        asked
            .quotas
            .order_failed(&account, &number("a"), "+1")
            .await;
        let slot = asked.take("a", "+1", 1).await.unwrap();
        asked.quotas.may_stand(slot).await;
        asked
            .quotas
            .order_failed(&account, &number("a"), "+1")
            .await;
        assert!(asked.take("b", "+2", 1).await.is_none(), "it is in doubt");
        asked.quotas.never_bought(&number("a")).await;
        assert!(asked.take("b", "+2", 1).await.is_some());
    }

    #[tokio::test]
    async fn those_that_wait_are_requeued_when_a_slot_is_put_back() {
        let (wake, mut woken) = futures::channel::mpsc::unbounded();
        let requeuer = Requeuer::default();
        requeuer.add_numbers(wake);
        let quotas = HourlyQuotas::new(stored(&Arc::default()), "operator", requeuer);
        let asked = Asked { quotas, limit: 1 };
        let slot = asked.take("a", "+1", 0).await.unwrap();
        assert!(asked.take("b", "+2", 0).await.is_none());
        assert!(woken.try_recv().is_err());
        asked.quotas.put_back(slot).await;
        assert_eq!(woken.try_recv().unwrap().name, "b");
        assert!(woken.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_count_that_cannot_be_read_is_full_and_says_where_it_is() {
        let asked = Asked::new(100);
        let slot = asked.take("a", "+1", 0).await;
        assert!(slot.is_some());
        let mut damaged = asked.quotas.api.get(OBJECT).await.unwrap();
        damaged.data = Some([("AC1.purchases".to_owned(), "100:1 1o1:1".to_owned())].into());
        let form = PostParams::default();
        let written = asked.quotas.api.replace(OBJECT, &form, &damaged).await;
        written.unwrap();
        let Err(full) = asked.take_instead("b", ("+2", None), 1).await else {
            panic!("it counts as full")
        };
        let account = AccountId::new("AC1");
        let (message, again) = full.told(
            &account,
            QuotaKind::Purchase,
            100,
            Asked::at(1),
            Duration::from_secs(60),
        );
        for part in ["AC1.purchases", OBJECT, "Remove that entry"] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(again, Duration::from_secs(60));
    }

    #[tokio::test]
    async fn what_was_counted_before_the_account_was_identified_counts() {
        let quotas = quotas(&Arc::default());
        let (hash, id) = (AccountId::new("key-1"), AccountId::new("O1"));
        let names = [hash.clone(), id.clone()];
        let take = async |account: &AccountId, names: &[AccountId], second: i64| {
            let now = Timestamp::from_second(100 * 60 + second).unwrap();
            let object = number(&second.to_string());
            let what = ("+1", None);
            let taken = quotas.take(
                (account, names),
                QuotaKind::Purchase,
                20,
                now,
                &object,
                what,
            );
            taken.await.unwrap().is_ok()
        };
        // Two are taken at once, and what is not used is not counted.
        for second in 0..9 {
            assert!(take(&hash, std::slice::from_ref(&hash), second).await);
        }
        for second in 9..20 {
            assert!(take(&id, &names, second).await, "{second}");
        }
        assert!(!take(&id, &names, 20).await);
        let now = Timestamp::from_second(100 * 60 + 21).unwrap();
        assert_eq!(quotas.used(&names, QuotaKind::Purchase, now), Some(20));
    }

    #[tokio::test]
    async fn what_was_given_back_by_a_write_whose_reply_was_lost_is_not_given_back_again() {
        let loses = Arc::new(AtomicBool::new(false));
        let quotas = quotas(&loses);
        let (account, object) = (AccountId::new("AC1"), number("a"));
        let take = async |minute: i64| {
            let now = Timestamp::from_second(minute * 60).unwrap();
            let taken = quotas.take(
                (&account, &[]),
                QuotaKind::Purchase,
                30,
                now,
                &object,
                ("+1", None),
            );
            taken.await.map(|taken| taken.is_ok())
        };
        // Three are counted in minute 100, and one is done.
        assert!(take(100).await.unwrap());
        loses.store(true, Ordering::Relaxed);
        assert!(take(101).await.is_err());
        loses.store(false, Ordering::Relaxed);
        assert!(take(101).await.unwrap());
        let seen = quotas.seen.lock().unwrap();
        let slots = seen.as_ref().unwrap().get("AC1.purchases").unwrap();
        assert_eq!(
            slots.as_ref().unwrap().get(&100),
            Some(&1),
            "what was done stays counted"
        );
    }

    #[tokio::test]
    async fn a_quota_is_forgotten_once_nothing_of_it_counts() {
        let asked = Asked::new(1);
        let slot = asked.take("a", "+1", 0).await.unwrap();
        let forget = |minute| {
            asked.quotas.forget_idle(Asked::at(minute));
            asked.quotas.by_account.lock().unwrap().is_empty()
        };
        assert!(!forget(0), "it is in use");
        asked.quotas.may_stand(slot).await;
        assert!(!forget(WINDOW - 1), "it may have been bought");
        assert!(forget(WINDOW));
    }
}
