//! What a Lease says, and what follows from it for a replica that waits and for the leader. Pure: no I/O, time comes in as a value.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

use crate::clock::Instant;
use crate::panics::lock;

/// How long a Lease that nobody renews stays taken. The rest of a failover takes 2 s, and 20 s are promised.
pub const LEASE: Duration = Duration::from_secs(15);

/// How long after it sent its last renewal a leader stops writing. The 5 s up to [`LEASE`] are for a request that was
/// let through at the last moment to reach the provider, and for clocks that run at slightly different speeds.
pub const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// The longest time for which a Lease that nobody renews stays taken, whatever it says.
const LONGEST_LEASE: Duration = Duration::from_secs(300);

/// The smallest valid duration: of a Lease that was released.
const RELEASED_SECONDS: i32 = 1;

/// Until when the holder may write.
pub(super) struct Tenure(Mutex<Option<Instant>>);

impl Tenure {
    /// The tenure from the write that took the Lease, which was sent at `sent`.
    pub(super) fn begin(sent: Instant) -> Self {
        Self(Mutex::new(Some(sent)))
    }

    /// True until [`RENEW_DEADLINE`] has gone by since the last renewal was sent.
    pub(super) fn holds(&self, now: Instant) -> bool {
        !self.remaining(now).is_zero()
    }

    /// How long it still holds if it is not renewed.
    pub(super) fn remaining(&self, now: Instant) -> Duration {
        let since_renewal = self.lock().map(|sent| now.since(sent));
        since_renewal.map_or(Duration::ZERO, |elapsed| {
            RENEW_DEADLINE.saturating_sub(elapsed)
        })
    }

    /// Notes at `now` that the renewal sent at `sent` was answered. False if the tenure is over: it ends for good when
    /// its time goes by without an answer.
    pub(super) fn renew(&self, sent: Instant, now: Instant) -> bool {
        if !self.holds(now) {
            self.end();
            return false;
        }
        let mut renewed = self.lock();
        *renewed = renewed.map(|before| before.max(sent));
        renewed.is_some()
    }

    /// Ends it for good.
    pub(super) fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.0)
    }
}

/// What a candidate should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// There is no Lease.
    Create,
    /// The Lease is free, or was not renewed in time.
    Take,
    /// Another may be leading.
    Wait,
}

/// What a candidate has seen of a Lease that is not free.
#[derive(Default)]
pub(super) struct Watching(Option<Sighting>);

struct Sighting {
    /// The resource version; `None` for a Lease that was there and is gone.
    version: Option<String>,
    /// When this version was first seen.
    at: Instant,
    /// How long it may go without another version.
    patience: Duration,
}

impl Watching {
    /// What to do about `lease`, which was read not later than `now`.
    pub(super) fn next_move(
        &mut self,
        lease: Option<&Lease>,
        identity: &str,
        now: Instant,
    ) -> Move {
        let Some(lease) = lease else {
            // Deleted under a leader, who goes on until its next renewal. Nobody led what was never seen.
            let gone = self.0.as_ref().map(|sighting| sighting.patience);
            return match gone {
                Some(patience) if !self.ran_out(None, patience, now) => Move::Wait,
                _ => Move::Create,
            };
        };
        let Some(version) = version(lease) else {
            return Move::Wait;
        };
        let is_ours = holder(lease) == Some(identity);
        if is_ours || is_released(lease) || self.ran_out(Some(version), patience(lease), now) {
            Move::Take
        } else {
            Move::Wait
        }
    }

    /// True if `version` has been the same for `patience`.
    fn ran_out(&mut self, version: Option<&str>, patience: Duration, now: Instant) -> bool {
        match &self.0 {
            Some(seen) if seen.version.as_deref() == version => now.since(seen.at) >= seen.patience,
            _ => {
                self.0 = Some(Sighting {
                    version: version.map(str::to_owned),
                    at: now,
                    patience,
                });
                false
            }
        }
    }
}

/// How long a change of `lease` keeps it taken: what its holder says, but not less than what we would, and never so long
/// that nobody leads after an edit by hand.
fn patience(lease: &Lease) -> Duration {
    let declared = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    Duration::from_secs(
        declared
            .and_then(|seconds| u64::try_from(seconds).ok())
            .unwrap_or_default(),
    )
    .clamp(LEASE, LONGEST_LEASE)
}

/// True if its holder gave `lease` back. A holder edited away by hand may still be leading.
fn is_released(lease: &Lease) -> bool {
    let seconds = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    holder(lease).is_none() && seconds == Some(RELEASED_SECONDS)
}

/// Who has `lease`, if anybody.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// The version that a replacement of `lease` must name.
pub(super) fn version(lease: &Lease) -> Option<&str> {
    lease
        .metadata
        .resource_version
        .as_deref()
        .filter(|version| !version.is_empty())
}

/// `lease` with `identity` as its new holder.
pub(super) fn taken(lease: Lease, name: &str, identity: &str, at: Timestamp) -> Lease {
    let mut lease = renewed(lease, identity, at);
    lease.metadata.name = Some(name.to_owned());
    let spec = lease.spec.get_or_insert_default();
    spec.acquire_time = Some(MicroTime(at));
    spec.lease_transitions = Some(
        spec.lease_transitions
            .map_or(0, |count| count.saturating_add(1)),
    );
    lease
}

/// `lease` as its holder renews it.
pub(super) fn renewed(lease: Lease, identity: &str, at: Timestamp) -> Lease {
    let spec = LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE.as_secs()).ok(),
        renew_time: Some(MicroTime(at)),
        ..lease.spec.unwrap_or_default()
    };
    Lease {
        spec: Some(spec),
        ..lease
    }
}

/// `lease` without a holder, for anybody to take at once.
pub(super) fn released(lease: Lease, at: Timestamp) -> Lease {
    let spec = LeaseSpec {
        holder_identity: None,
        lease_duration_seconds: Some(RELEASED_SECONDS),
        renew_time: Some(MicroTime(at)),
        ..lease.spec.unwrap_or_default()
    };
    Lease {
        spec: Some(spec),
        ..lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::since_boot(Duration::from_secs(seconds))
    }

    fn lease(version: &str, holder: Option<&str>, seconds: i32) -> Lease {
        let mut lease = Lease::default();
        lease.metadata.resource_version = Some(version.into());
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = holder.map(str::to_owned);
        spec.lease_duration_seconds = Some(seconds);
        // Of a clock that is years ahead: it must not matter.
        spec.renew_time = Some(MicroTime("2099-01-01T00:00:00Z".parse().unwrap()));
        lease
    }

    /// The moves of a fresh candidate called `b` that sees these leases at these seconds.
    fn moves(looks: &[(u64, Option<Lease>)]) -> Vec<Move> {
        let mut watching = Watching::default();
        looks
            .iter()
            .map(|(seconds, lease)| watching.next_move(lease.as_ref(), "b", at(*seconds)))
            .collect()
    }

    #[test]
    fn a_lease_is_taken_when_it_has_not_changed_for_its_duration_since_it_was_first_seen() {
        let same = || Some(lease("1", Some("a"), 15));
        let looks = [(100, same()), (101, same()), (114, same()), (115, same())];
        assert_eq!(
            moves(&looks),
            [Move::Wait, Move::Wait, Move::Wait, Move::Take]
        );
    }

    #[test]
    fn every_change_of_the_lease_starts_the_wait_again() {
        let looks = [
            (0, Some(lease("1", Some("a"), 15))),
            (14, Some(lease("2", Some("a"), 15))),
            (28, Some(lease("2", Some("a"), 15))),
            (29, Some(lease("3", Some("c"), 15))),
            (43, Some(lease("3", Some("c"), 15))),
            (44, Some(lease("3", Some("c"), 15))),
        ];
        assert_eq!(
            moves(&looks),
            [
                Move::Wait,
                Move::Wait,
                Move::Wait,
                Move::Wait,
                Move::Wait,
                Move::Take
            ]
        );
    }

    #[test]
    fn a_candidate_that_was_frozen_believes_only_what_it_reads_afterwards() {
        let looks = [
            (0, Some(lease("1", Some("a"), 15))),
            (1000, Some(lease("500", Some("a"), 15))),
        ];
        assert_eq!(moves(&looks), [Move::Wait, Move::Wait]);
    }

    #[test]
    fn a_longer_duration_than_ours_is_respected_and_a_shorter_one_is_not() {
        let long = || Some(lease("1", Some("a"), 60));
        assert_eq!(
            moves(&[(0, long()), (59, long()), (60, long())]),
            [Move::Wait, Move::Wait, Move::Take]
        );
        for seconds in [1, 0, -5] {
            let short = || Some(lease("1", Some("a"), seconds));
            assert_eq!(
                moves(&[(0, short()), (14, short()), (15, short())]),
                [Move::Wait, Move::Wait, Move::Take]
            );
        }
    }

    #[test]
    fn a_lease_that_was_given_back_is_taken_at_once_and_one_that_lost_its_holder_by_hand_is_not() {
        for holder in [None, Some("")] {
            assert_eq!(moves(&[(0, Some(lease("1", holder, 1)))]), [Move::Take]);
            assert_eq!(moves(&[(0, Some(lease("1", holder, 15)))]), [Move::Wait]);
        }
        assert_eq!(
            moves(&[(
                0,
                Some(released(lease("1", Some("a"), 15), Timestamp::UNIX_EPOCH))
            )]),
            [Move::Take]
        );
        let empty = Lease {
            spec: None,
            ..lease("1", None, 1)
        };
        assert_eq!(moves(&[(0, Some(empty))]), [Move::Wait]);
    }

    #[test]
    fn a_lease_that_was_taken_without_an_answer_is_taken_again() {
        assert_eq!(moves(&[(0, Some(lease("1", Some("b"), 15)))]), [Move::Take]);
    }

    #[test]
    fn a_missing_lease_is_created_at_once_unless_it_was_seen_before() {
        assert_eq!(moves(&[(0, None)]), [Move::Create]);
        let looks = [
            (0, Some(lease("1", Some("a"), 15))),
            (10, None),
            (24, None),
            (25, None),
        ];
        assert_eq!(
            moves(&looks),
            [Move::Wait, Move::Wait, Move::Wait, Move::Create]
        );
    }

    #[test]
    fn a_lease_that_says_years_runs_out_in_minutes() {
        let years = || Some(lease("1", Some("a"), i32::MAX));
        let looks = [(0, years()), (299, years()), (300, years())];
        assert_eq!(moves(&looks), [Move::Wait, Move::Wait, Move::Take]);
    }

    #[test]
    fn nothing_is_replaced_without_a_version() {
        let mut unversioned = lease("", None, 1);
        assert_eq!(moves(&[(0, Some(unversioned.clone()))]), [Move::Wait]);
        unversioned.metadata.resource_version = None;
        assert_eq!(
            moves(&[(0, Some(unversioned.clone())), (99, Some(unversioned))]),
            [Move::Wait, Move::Wait]
        );
    }

    #[test]
    fn a_tenure_holds_until_the_deadline_after_its_last_renewal_was_sent() {
        let tenure = Tenure::begin(at(100));
        assert!(tenure.holds(at(100)) && tenure.holds(at(109)) && !tenure.holds(at(110)));
        assert!(tenure.renew(at(105), at(109)));
        assert!(tenure.holds(at(114)) && !tenure.holds(at(115)));
        assert_eq!(tenure.remaining(at(112)), Duration::from_secs(3));
    }

    #[test]
    fn an_earlier_renewal_that_is_answered_later_shortens_nothing() {
        let tenure = Tenure::begin(at(100));
        assert!(tenure.renew(at(106), at(107)) && tenure.renew(at(102), at(108)));
        assert!(tenure.holds(at(115)));
    }

    #[test]
    fn a_tenure_that_was_over_never_comes_back() {
        let tenure = Tenure::begin(at(100));
        assert!(
            !tenure.renew(at(109), at(110)),
            "the answer came when the tenure was over"
        );
        assert!(!tenure.holds(at(110)) && !tenure.holds(at(100)));
        assert!(!tenure.renew(at(110), at(110)));
        let ended = Tenure::begin(at(100));
        ended.end();
        assert!(!ended.holds(at(100)) && !ended.renew(at(101), at(101)) && !ended.holds(at(101)));
    }

    #[test]
    fn taking_counts_the_transition_and_keeps_what_others_wrote() {
        let mut before = lease("7", Some("a"), 60);
        before.metadata.labels = Some([("team".into(), "voice".into())].into());
        before.spec.get_or_insert_default().lease_transitions = Some(4);
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let after = taken(before.clone(), "lease", "b", now);
        assert_eq!((holder(&after), version(&after)), (Some("b"), Some("7")));
        assert_eq!(after.metadata.labels, before.metadata.labels);
        let spec = after.spec.unwrap();
        assert_eq!(
            (spec.lease_transitions, spec.lease_duration_seconds),
            (Some(5), Some(15))
        );
        assert_eq!(
            (spec.acquire_time, spec.renew_time),
            (Some(MicroTime(now)), Some(MicroTime(now)))
        );
    }
}
