//! The fuses: how many numbers may be bought and released in any 60 minutes, for each account at a provider, whichever
//! resources and processes do it.
//!
//! Counted in slots of a minute in one ConfigMap, and taken there by compare-and-swap before use, a few at once. What a
//! process took and did not use before it died stays counted: never too few, at most a few too many.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::number::AccountId;
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

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Deed {
    /// A purchase.
    Purchase,
    /// A number that is taken over.
    Adoption,
    /// A release.
    Release,
}

impl Deed {
    fn word(self) -> &'static str {
        match self {
            Self::Purchase => "purchases",
            Self::Adoption => "adoptions",
            Self::Release => "releases",
        }
    }
}

/// A fuse has blown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blown {
    /// How many were done in the last 60 minutes.
    pub(super) used: i64,
    /// How long until one more may be done.
    pub(super) again: Duration,
}

/// The fuses of every account.
pub(super) struct Fuses {
    api: Api<ConfigMap>,
    unused: Mutex<HashMap<(AccountId, Deed), Unused>>,
    /// The counts as they were last read or written, by the key of the fuse; `None` before they were read.
    seen: Mutex<Option<HashMap<String, Slots>>>,
}

/// What was taken and is not used, by the minute it was taken for. It may be used in that minute, and goes back after it.
type Unused = Arc<tokio::sync::Mutex<Slots>>;

/// The counts of one fuse, by minute.
type Slots = BTreeMap<i64, i64>;

impl Fuses {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            unused: Mutex::default(),
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

    /// How many deeds count in the 60 minutes before `now`, as far as this process has seen; `None` if it has not.
    ///
    /// `account` are the ids of the account; what was counted under each counts.
    pub(super) fn used(&self, account: &[AccountId], deed: Deed, now: Timestamp) -> Option<i64> {
        let since = minute_of(now) - WINDOW;
        let in_window =
            |slots: &Slots| -> i64 { slots.range(since + 1..).map(|(_, count)| count).sum() };
        let unused = account.iter().map(|id| {
            let unused = self.unused(id, deed);
            unused.try_lock().map_or(0, |unused| in_window(&unused))
        });
        let unused: i64 = unused.sum();
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.as_ref()?;
        let counted = account
            .iter()
            .map(|id| seen.get(&key(id, deed)).map_or(0, in_window));
        Some((counted.sum::<i64>() - unused).max(0))
    }

    fn saw(&self, object: &ConfigMap) {
        let data = object.data.iter().flatten();
        let slots = data.map(|(key, text)| (key.clone(), read(Some(text))));
        let slots = Some(slots.collect());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = slots;
    }

    /// Takes the right to one deed in the account `account`, if fewer than `limit` were done in the 60 minutes before `now`. What
    /// was counted under the other `names` of the account counts.
    ///
    /// # Errors
    /// Those of the API server.
    pub(super) async fn take(
        &self,
        account: &AccountId,
        names: &[AccountId],
        deed: Deed,
        limit: i64,
        now: Timestamp,
    ) -> Result<Result<(), Blown>, kube::Error> {
        let others = names.iter().filter(|name| *name != account);
        let others: Vec<_> = others.map(|name| (name, key(name, deed))).collect();
        for (name, key) in &others {
            self.give_back_of(name, deed, key, now).await?;
        }
        let others: Vec<_> = others.into_iter().map(|(_, key)| key).collect();
        let unused = self.unused(account, deed);
        let mut unused = unused.lock().await;
        let minute = minute_of(now);
        if let Some(left) = unused.get_mut(&minute).filter(|left| **left > 0) {
            *left -= 1;
            return Ok(Ok(()));
        }
        let key = key(account, deed);
        let wanted = (limit / 10).clamp(1, MOST_AT_ONCE);
        // Not kept over the write: if its reply is lost, too much is counted, and never too little.
        let back = std::mem::take(&mut *unused);
        Ok(
            match self
                .add(&key, &others, minute, limit, wanted, &back)
                .await?
            {
                Ok(got) => {
                    *unused = Slots::from([(minute, got - 1)]);
                    Ok(())
                }
                Err(used) => {
                    *unused = back;
                    Err(blown(&used, limit, now))
                }
            },
        )
    }

    /// Gives back what was taken at `taken` for a deed that certainly did not take place.
    pub(super) async fn put_back(&self, account: &AccountId, deed: Deed, taken: Timestamp) {
        let unused = self.unused(account, deed);
        *unused.lock().await.entry(minute_of(taken)).or_default() += 1;
    }

    /// Gives back everything that was taken and not used, as a program that ends does.
    pub(super) async fn give_back(&self, now: Timestamp) {
        let all: Vec<_> = {
            let all = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
            all.keys().cloned().collect()
        };
        for (account, deed) in all {
            let key = key(&account, deed);
            if let Err(error) = self.give_back_of(&account, deed, &key, now).await {
                tracing::warn!(%error, "what was taken of the limits is not given back");
            }
        }
    }

    async fn give_back_of(
        &self,
        account: &AccountId,
        deed: Deed,
        key: &str,
        now: Timestamp,
    ) -> Result<(), kube::Error> {
        let unused = self.unused(account, deed);
        let mut unused = unused.lock().await;
        if unused.values().all(|left| *left == 0) {
            return Ok(());
        }
        let back = std::mem::take(&mut *unused);
        let added = self.add(key, &[], minute_of(now), i64::MAX, 0, &back);
        added.await.map(drop)
    }

    fn unused(&self, account: &AccountId, deed: Deed) -> Unused {
        let mut all = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry((account.clone(), deed)).or_default())
    }

    /// Takes `unused` out of its slots and adds up to `wanted` to that of `minute`, as far as `limit` lets with what is counted
    /// under the keys `others`, in one write; all slots if it lets none.
    async fn add(
        &self,
        key: &str,
        others: &[String],
        minute: i64,
        limit: i64,
        wanted: i64,
        unused: &Slots,
    ) -> Result<Result<i64, Slots>, kube::Error> {
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
            let data = object.data.get_or_insert_default();
            let mut slots = read(data.get(key).map(String::as_str));
            slots.retain(|at, _| *at > minute - WINDOW);
            for (at, left) in unused {
                if let Some(count) = slots.get_mut(at) {
                    *count = (*count - left).max(0);
                }
            }
            let mut counted = slots.clone();
            for other in others {
                let slots = read(data.get(other).map(String::as_str));
                for (at, count) in slots.range(minute - WINDOW + 1..) {
                    let all = counted.entry(*at).or_default();
                    *all = all.saturating_add(*count);
                }
            }
            let used = counted
                .values()
                .fold(0, |used: i64, count| used.saturating_add(*count));
            let got = wanted.min(limit.saturating_sub(used));
            if wanted > 0 && got <= 0 {
                return Ok(Err(counted));
            }
            let slot = slots.entry(minute).or_default();
            *slot = slot.saturating_add(got);
            data.insert(key.to_owned(), write(&slots));
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
        Ok(Err(Slots::new()))
    }
}

fn minute_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(60)
}

/// The key of a fuse in the ConfigMap.
fn key(account: &AccountId, deed: Deed) -> String {
    format!("{account}.{}", deed.word())
}

fn blown(slots: &Slots, limit: i64, now: Timestamp) -> Blown {
    let used: i64 = slots.values().sum();
    // The first minute whose end leaves room for one more.
    let mut left = used;
    let frees = slots.iter().find_map(|(minute, count)| {
        left -= count;
        (left < limit).then_some(*minute)
    });
    let at = (frees.unwrap_or(minute_of(now)) + WINDOW) * 60;
    let seconds = u64::try_from(at - now.as_second()).unwrap_or_default();
    Blown {
        used,
        again: Duration::from_secs(seconds.max(1)),
    }
}

/// `minute:count`, separated by spaces. What cannot be read counts as nothing.
fn read(text: Option<&str>) -> Slots {
    let pairs = text.unwrap_or_default().split_ascii_whitespace();
    let slots = pairs.filter_map(|pair| {
        let (minute, count) = pair.split_once(':')?;
        let count: i64 = count.parse().ok()?;
        Some((minute.parse().ok()?, count.max(0)))
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
        assert_eq!(read(Some(&write(&slots))), slots);
        assert_eq!(read(Some("x 1:y 2:-5 3:4")), Slots::from([(2, 0), (3, 4)]));
        assert_eq!(read(None), Slots::new());
    }

    #[test]
    fn a_blown_fuse_tells_when_it_goes_on() {
        let now = Timestamp::from_second(100 * 60 + 30).unwrap();
        let slots = Slots::from([(50, 2), (70, 3)]);
        let wait = |limit| blown(&slots, limit, now).again.as_secs();
        assert_eq!(wait(5), (50 + 62) * 60 - (100 * 60 + 30));
        assert_eq!(wait(2), (70 + 62) * 60 - (100 * 60 + 30));
        assert_eq!(blown(&slots, 5, now).used, 5);
    }

    #[test]
    fn what_is_done_late_counts_for_sixty_minutes_all_the_same() {
        // Taken in the last second of minute 10, and done by the end of the next.
        let done = (10 + 2) * 60;
        let slots = Slots::from([(10, 1)]);
        let asked = Timestamp::from_second(69 * 60).unwrap();
        let frees = asked.as_second() + blown(&slots, 1, asked).again.as_secs() as i64;
        assert!(frees - done >= 60 * 60, "{} s", frees - done);
    }

    #[tokio::test]
    async fn what_was_taken_and_is_not_used_counts_as_left() {
        let service = tower::service_fn(|_: http::Request<kube::client::Body>| async {
            let answer = http::Response::new(kube::client::Body::empty());
            Ok::<_, std::convert::Infallible>(answer)
        });
        let fuses = Fuses::new(Client::new(service, "default"), "operator");
        let (account, now) = (
            AccountId::new("AC1"),
            Timestamp::from_second(100 * 60).unwrap(),
        );
        let used = |deed| fuses.used(std::slice::from_ref(&account), deed, now);
        assert_eq!(used(Deed::Purchase), None, "nothing was read yet");
        let data = [
            ("AC1.purchases", "30:5 50:2 100:20"),
            ("AC2.purchases", "100:9"),
        ];
        let data = data.map(|(key, slots)| (key.to_owned(), slots.to_owned()));
        fuses.saw(&ConfigMap {
            data: Some(data.into()),
            ..ConfigMap::default()
        });
        assert_eq!(used(Deed::Purchase), Some(22));
        assert_eq!(used(Deed::Release), Some(0));
        let unused = fuses.unused(&account, Deed::Purchase);
        *unused.lock().await = Slots::from([(100, 8)]);
        assert_eq!(used(Deed::Purchase), Some(14));
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
    async fn what_was_put_back_can_be_taken_again_also_in_the_next_minute() {
        let fuses = Fuses::new(stored(&Arc::default()), "operator");
        let account = AccountId::new("AC1");
        let at = |second: i64| Timestamp::from_second(100 * 60 + second).unwrap();
        let take = async |second| {
            let taken = fuses
                .take(&account, &[], Deed::Purchase, 1, at(second))
                .await;
            taken.unwrap().is_ok()
        };
        assert!(take(59).await);
        assert!(!take(61).await, "it is used");
        fuses.put_back(&account, Deed::Purchase, at(59)).await;
        assert!(take(61).await);
        assert!(!take(62).await, "it is used once more");
        assert_eq!(
            fuses.used(std::slice::from_ref(&account), Deed::Purchase, at(62)),
            Some(1)
        );
    }

    #[tokio::test]
    async fn what_was_counted_before_the_account_was_identified_counts() {
        let fuses = Fuses::new(stored(&Arc::default()), "operator");
        let (hash, id) = (AccountId::new("key-1"), AccountId::new("O1"));
        let names = [hash.clone(), id.clone()];
        let take = async |account: &AccountId, names: &[AccountId], second: i64| {
            let now = Timestamp::from_second(100 * 60 + second).unwrap();
            let taken = fuses.take(account, names, Deed::Purchase, 20, now).await;
            taken.unwrap().is_ok()
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
        assert_eq!(fuses.used(&names, Deed::Purchase, now), Some(20));
    }

    #[tokio::test]
    async fn what_was_given_back_by_a_write_whose_reply_was_lost_is_not_given_back_again() {
        let loses = Arc::new(AtomicBool::new(false));
        let fuses = Fuses::new(stored(&loses), "operator");
        let account = AccountId::new("AC1");
        let take = async |minute: i64| {
            let now = Timestamp::from_second(minute * 60).unwrap();
            fuses.take(&account, &[], Deed::Purchase, 30, now).await
        };
        // Three are counted in minute 100, and one is done.
        assert_eq!(take(100).await.unwrap(), Ok(()));
        loses.store(true, Ordering::Relaxed);
        assert!(take(101).await.is_err());
        loses.store(false, Ordering::Relaxed);
        assert_eq!(take(101).await.unwrap(), Ok(()));
        let seen = fuses.seen.lock().unwrap();
        let slots = seen.as_ref().unwrap().get("AC1.purchases").unwrap();
        assert_eq!(slots.get(&100), Some(&1), "what was done stays counted");
    }
}
