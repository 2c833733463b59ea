//! What this process has seen of each resource during its term. All of it may be lost: the operator then looks again, and
//! takes nothing for certain.

mod attempts;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use crate::api::PhoneNumber;
use crate::claim::Stored;
use crate::clock::{Clock, Instant};
use crate::cluster::resource_version;
use crate::number::{E164, NumberId, Owner};
use crate::outcome::{MAX_REPAIRS, Memory, Outcome, RefusedSetup, Retry};
use crate::panics::lock;
use attempts::Attempt;

/// The first and the longest wait of a backoff.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The longest wait for what changes within seconds.
const SOON: Duration = Duration::from_secs(15);

/// How long a repair counts.
const REPAIRS_COUNT_FOR: Duration = Duration::from_secs(3600);

/// The observations of all resources, by UID.
pub(crate) struct Observations {
    clock: Arc<dyn Clock>,
    by_uid: Mutex<HashMap<String, Box<Entry>>>,
    /// The purchases that resources of each name may have made, also of one that is gone.
    attempts: Mutex<HashMap<Owner, Box<Attempt>>>,
    /// The names of whose orders this process knows, and since when.
    ordered: Mutex<HashMap<Owner, Instant>>,
}

/// How long an attempt is remembered whose resource is gone: longer than any provider hides a purchase.
const ATTEMPTS_COUNT_FOR: Duration = Duration::from_secs(24 * 3600);

#[derive(Default)]
struct Entry {
    /// The nonce of the last claim, if this process wrote the first claim and all since, and no attempt bought anything.
    known_not_purchased: Option<String>,
    /// True if this process has made an attempt that may have bought a number.
    doubtful: bool,
    unreadable_since: Option<Instant>,
    missing_since: Option<Instant>,
    ordered_at: Option<Instant>,
    /// The id that the answer to a purchase told.
    bought_as: Option<NumberId>,
    /// An id that was known before the purchase that was answered with it.
    met: Option<NumberId>,
    /// An id that was found to be what an attempt of the resource brought.
    proved: Option<NumberId>,
    /// The number whose date a change of its name did not move, that date, and since when.
    unmoved: Option<(NumberId, Option<Timestamp>, Instant)>,
    /// True if the provider confirmed the last release of the number.
    is_released: bool,
    /// When the provider last refused to release the number, in which generation, and what is to be said of it.
    release_refused: Option<(Instant, i64, String)>,
    first_seen: Option<Instant>,
    verified: Option<Verified>,
    /// When what somebody changed was last repaired, and in which generation.
    repairs: Vec<(Instant, i64)>,
    /// The generation in which repairs were undone too often.
    configuration_conflict: Option<i64>,
    /// What the provider has refused to set up, and when.
    refused: Option<(Instant, RefusedSetup)>,
    /// The number that takes no messages, by the provider's refusal.
    takes_no_messages: Option<E164>,
    /// True if Burki has the number on no assistant or on another one, whatever the status says.
    unassigned: bool,
    failures: u32,
    latest: Option<Arc<PhoneNumber>>,
    /// The version that our last write made on nothing but what its reconcile knew.
    known: u128,
}

/// What was verified: this configuration, with this assistant, in this generation, on the number as it was seen.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Verified {
    /// A hash of what the provider showed.
    pub(crate) seen: u64,
    /// A hash of what was wanted: thousands of these are kept.
    pub(crate) configuration: u64,
    pub(crate) assistant: Option<i64>,
    pub(crate) generation: i64,
}

impl Observations {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            by_uid: Mutex::default(),
            attempts: Mutex::default(),
            ordered: Mutex::default(),
        }
    }

    /// `object`, or the later version that this process has written since.
    pub(crate) fn latest(&self, object: Arc<PhoneNumber>) -> Arc<PhoneNumber> {
        self.newer(&object).unwrap_or(object)
    }

    /// True if `object` is not later than what a reconcile has written that knew all that there was.
    pub(crate) fn knows(&self, object: &PhoneNumber) -> bool {
        let entries = self.lock();
        let entry = entries.get(&uid(object));
        entry.is_some_and(|entry| version(object) <= entry.known)
    }

    /// The version that our own write made, if it is later than what the cache shows as `object`. It is forgotten if not.
    pub(crate) fn newer(&self, object: &PhoneNumber) -> Option<Arc<PhoneNumber>> {
        let mut entries = self.lock();
        let latest = &mut entries.get_mut(&uid(object))?.latest;
        latest.take_if(|latest| version(latest) <= version(object));
        latest.clone()
    }

    /// Remembers the version that our own write made, and whether the reconcile that wrote it knew all that it holds.
    pub(crate) fn written(&self, object: &Arc<PhoneNumber>, is_known: bool) {
        self.entry(object, |entry| {
            entry.latest = Some(Arc::clone(object));
            if is_known {
                entry.known = version(object);
            }
        });
    }

    /// What a decision may use.
    pub(crate) fn recall(
        &self,
        object: &PhoneNumber,
        claim: &Stored,
        wanted: Option<&Verified>,
    ) -> Memory {
        let now = self.clock.now();
        let claim_known_for = self.attempted(object, claim, now);
        self.entry(object, |entry| {
            if *claim == Stored::Unreadable {
                entry.unreadable_since.get_or_insert(now);
            }
            let since = |instant: Option<Instant>| instant.map(|instant| now.since(instant));
            Memory {
                never_bought: match claim {
                    Stored::Ours(claim) => entry.known_not_purchased.as_ref() == Some(&claim.nonce),
                    _ => false,
                },
                unreadable_for: since(entry.unreadable_since).unwrap_or_default(),
                claim_known_for,
                doubt: None,
                met: entry.met.clone(),
                proved: entry.proved.clone(),
                unmoved_for: Duration::ZERO,
                missing_for: since(entry.missing_since),
                ordered_for: since(entry.ordered_at),
                is_released: entry.is_released,
                release_refused: entry
                    .release_refused
                    .as_ref()
                    .filter(|(_, generation, _)| Some(*generation) == object.metadata.generation)
                    .map(|(at, _, message)| (message.clone(), now.since(*at))),
                refused: entry.refused.as_ref().and_then(|(at, refused)| {
                    let left = refused.left.checked_sub(now.since(*at))?;
                    (!left.is_zero()).then(|| RefusedSetup {
                        left,
                        ..refused.clone()
                    })
                }),
                configuration_conflict: entry.configuration_conflict.is_some()
                    && entry.configuration_conflict == object.metadata.generation,
                verified: wanted.is_some() && entry.verified.as_ref() == wanted,
            }
        })
    }

    /// Remembers the id that the answer to a purchase told.
    pub(crate) fn bought(&self, object: &PhoneNumber, id: &NumberId) {
        self.entry(object, |entry| entry.bought_as = Some(id.clone()));
    }

    /// The id that the answer to the last purchase told.
    pub(crate) fn bought_as(&self, object: &PhoneNumber) -> Option<NumberId> {
        self.entry(object, |entry| entry.bought_as.clone())
    }

    /// Remembers that the account had the number with this id before the resource asked for it.
    pub(crate) fn met(&self, object: &PhoneNumber, id: &NumberId) {
        self.entry(object, |entry| entry.met = Some(id.clone()));
    }

    /// Remembers that the number with this id is what an attempt of the resource brought.
    pub(crate) fn proved(&self, object: &PhoneNumber, id: &NumberId) {
        self.entry(object, |entry| entry.proved = Some(id.clone()));
    }

    /// Remembers whether a change of the number's name has moved its date, and returns for how long none has. A date that another
    /// process has moved meanwhile is no date that does not move.
    pub(crate) fn renamed(
        &self,
        object: &PhoneNumber,
        id: &NumberId,
        moved: bool,
        date: Option<Timestamp>,
    ) -> Duration {
        let now = self.clock.now();
        self.entry(object, |entry| {
            if moved {
                entry.unmoved = None;
                return Duration::ZERO;
            }
            let before = entry.unmoved.take();
            let before = before.filter(|(of, known, _)| of == id && *known == date);
            let since = before.map_or(now, |(_, _, since)| since);
            entry.unmoved = Some((id.clone(), date, since));
            now.since(since)
        })
    }

    /// Remembers whether the recorded id was there, and returns how long it has been missing.
    pub(crate) fn fetched(&self, object: &PhoneNumber, there: bool) -> Option<Duration> {
        let now = self.clock.now();
        self.entry(object, |entry| {
            entry.missing_since = if there {
                None
            } else {
                Some(entry.missing_since.unwrap_or(now))
            };
            entry.missing_since.map(|since| now.since(since))
        })
    }

    /// Remembers whether the provider confirmed the last release of the recorded id.
    pub(crate) fn released(&self, object: &PhoneNumber, is_released: bool) {
        self.entry(object, |entry| entry.is_released = is_released);
    }

    /// Remembers that the provider refused to release the number, and what is to be said of it.
    pub(crate) fn release_refused(&self, object: &PhoneNumber, message: String) {
        let now = self.clock.now();
        let generation = object.metadata.generation.unwrap_or_default();
        self.entry(object, |entry| {
            entry.release_refused = Some((now, generation, message));
        });
    }

    /// Remembers that the number was seen as it is wanted.
    pub(crate) fn verified(&self, object: &PhoneNumber, verified: Option<Verified>) {
        self.entry(object, |entry| entry.verified = verified);
    }

    /// The hash of what the provider showed when the number was last seen as it is wanted.
    pub(crate) fn verified_as(&self, object: &PhoneNumber) -> Option<u64> {
        let entries = self.lock();
        let entry = entries.get(&uid(object))?;
        entry.verified.as_ref().map(|verified| verified.seen)
    }

    /// Remembers that the number is being set up. True if it was right in this generation, and is repaired by that.
    pub(crate) fn repairs(&self, object: &PhoneNumber) -> bool {
        let now = self.clock.now();
        let generation = object.metadata.generation.unwrap_or_default();
        self.entry(object, |entry| {
            let was_right = entry
                .verified
                .as_ref()
                .is_some_and(|verified| verified.generation == generation);
            if !was_right {
                return false;
            }
            entry
                .repairs
                .retain(|(at, when)| *when == generation && now.since(*at) < REPAIRS_COUNT_FOR);
            entry.repairs.push((now, generation));
            if entry.repairs.len() >= MAX_REPAIRS {
                entry.configuration_conflict = Some(generation);
            }
            true
        })
    }

    /// Remembers what the provider has just refused to set up.
    pub(crate) fn refused(&self, object: &PhoneNumber, refused: RefusedSetup) {
        let now = self.clock.now();
        self.entry(object, |entry| entry.refused = Some((now, refused)));
    }

    /// Remembers that the provider has refused an SMS webhook on this number.
    pub(crate) fn takes_no_messages(&self, object: &PhoneNumber, number: E164) {
        self.entry(object, |entry| entry.takes_no_messages = Some(number));
    }

    /// True if the provider has refused an SMS webhook on this number.
    pub(crate) fn is_without_messages(&self, object: &PhoneNumber, number: &E164) -> bool {
        self.entry(object, |entry| {
            entry.takes_no_messages.as_ref() == Some(number)
        })
    }

    /// Remembers whether Burki has the number on another assistant than the status says, or on none.
    pub(crate) fn unassigned(&self, object: &PhoneNumber, unassigned: bool) {
        self.entry(object, |entry| entry.unassigned = unassigned);
    }

    /// True if Burki has the number on another assistant than the status says, or on none.
    pub(crate) fn is_unassigned(&self, object: &PhoneNumber) -> bool {
        self.entry(object, |entry| entry.unassigned)
    }

    /// When this process first saw the resource: now, if it has not.
    pub(crate) fn first_seen(&self, object: &PhoneNumber) -> Instant {
        let now = self.clock.now();
        self.entry(object, |entry| *entry.first_seen.get_or_insert(now))
    }

    /// When a reconcile that ended so is repeated. `jitter` lies between 0 and 1.
    pub(crate) fn requeue_after(
        &self,
        object: &PhoneNumber,
        outcome: &Outcome,
        jitter: f64,
    ) -> Option<Duration> {
        let (first, longest) = BACKOFF;
        let longest = match outcome {
            Outcome::Wait {
                retry: Retry::Soon, ..
            } => SOON,
            _ => longest,
        };
        let backs_off = matches!(
            outcome,
            Outcome::Wait {
                retry: Retry::Backoff | Retry::Soon,
                ..
            }
        );
        let failures = self.entry(object, |entry| {
            entry.failures = if backs_off {
                entry.failures.saturating_add(1)
            } else {
                0
            };
            entry.failures
        });
        match outcome {
            // The account's listings wake it if something has changed.
            Outcome::NotManaged | Outcome::Ready | Outcome::Suspended => None,
            Outcome::KeepStatus(wait) => Some(*wait),
            Outcome::Wait {
                retry: Retry::After(wait),
                ..
            } => Some(*wait + first.mul_f64(jitter)),
            Outcome::Wait {
                retry: Retry::Backoff | Retry::Soon,
                ..
            } => {
                let doubled = first
                    .saturating_mul(1 << failures.saturating_sub(1).min(16))
                    .min(longest);
                Some(doubled.mul_f64(0.5 + jitter / 2.0))
            }
        }
    }

    /// Forgets a resource that is gone.
    pub(crate) fn forget(&self, object: &PhoneNumber) {
        self.lock().remove(&uid(object));
    }

    /// Forgets every resource whose UID is not among `live`.
    pub(crate) fn retain(&self, live: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| live(uid));
        let now = self.clock.now();
        let counts = |attempt: &Attempt| now.since(attempt.known) < ATTEMPTS_COUNT_FOR;
        lock(&self.attempts).retain(|_, attempt| counts(attempt));
        lock(&self.ordered).retain(|_, since| now.since(*since) < ATTEMPTS_COUNT_FOR);
    }

    fn entry<T>(&self, object: &PhoneNumber, change: impl FnOnce(&mut Entry) -> T) -> T {
        change(self.lock().entry(uid(object)).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Box<Entry>>> {
        lock(&self.by_uid)
    }
}

fn uid(object: &PhoneNumber) -> String {
    object.uid().unwrap_or_default()
}

fn version(object: &PhoneNumber) -> u128 {
    resource_version(object.metadata.resource_version.as_deref())
}

#[cfg(test)]
mod tests;
