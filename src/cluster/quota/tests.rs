//! Tests of `quota`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::cluster::errors::tests::hanging;

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
    let (message, _) = full(&slots, 5, now).message(
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
        self.try_to_take(name, what, minutes).await.unwrap()
    }

    async fn try_to_take(
        &self,
        name: &str,
        what: (&str, Option<&str>),
        minutes: i64,
    ) -> Result<Result<Slot, QuotaExceeded>, kube::Error> {
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
        taken.await
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
    let asked = Arc::new(AtomicUsize::new(0));
    let asking = Asked {
        quotas: HourlyQuotas::new(hanging(&asked), "operator", Requeuer::default()),
        limit: 100,
    };
    let fails = async |name: &str| asking.try_to_take(name, (name, None), 0).await.is_err();
    let begun = tokio::time::Instant::now();
    let names: Vec<String> = (0..50).map(|at| format!("n{at}")).collect();
    let failed = futures::future::join_all(names.iter().map(|name| fails(name))).await;
    assert!(failed.into_iter().all(|failed| failed));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(begun.elapsed(), Duration::from_secs(10));
    assert!(fails("later").await, "the next one asks again");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
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
    let (message, again) = full.message(
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
