//! What this process remembers of each resource during its term. All of it may be lost: then more is looked up, and
//! nothing is taken for certain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;

use super::plan::{Again, MOST_REPAIRS, Memory, Rest};
use crate::api::PhoneNumber;
use crate::claim::Stored;
use crate::clock::{Clock, Instant};

/// The first and the longest wait of a backoff.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// The longest wait for what changes within seconds.
const SOON: Duration = Duration::from_secs(15);

/// How long a repair counts.
const REPAIRS_COUNT_FOR: Duration = Duration::from_secs(3600);

/// The memories of all resources, by UID.
pub(super) struct Memories {
    clock: Arc<dyn Clock>,
    by_uid: Mutex<HashMap<String, Box<Entry>>>,
}

#[derive(Default)]
struct Entry {
    /// The nonce of the last claim, if this process wrote the first claim and all since, and each was in vain.
    in_vain: Option<String>,
    /// True if this process has made an attempt that is not known to have been in vain.
    doubtful: bool,
    unreadable_since: Option<Instant>,
    missing_since: Option<Instant>,
    ordered_at: Option<Instant>,
    release_sent: bool,
    first_seen: Option<Instant>,
    verified: Option<Verified>,
    /// When what somebody changed was last repaired, and in which generation.
    repairs: Vec<(Instant, i64)>,
    /// The generation in which repairs were undone too often.
    fighting: Option<i64>,
    /// True if Burki has the number on no assistant or on another one, whatever the status says.
    unassigned: bool,
    failures: u32,
    latest: Option<Arc<PhoneNumber>>,
    /// The version that our last write made on nothing but what its pass knew.
    known: u128,
}

/// What was verified: this configuration, with this assistant, in this generation, on the number as it was seen.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Verified {
    /// A hash of what the provider showed.
    pub(super) seen: u64,
    /// A hash of what was wanted: thousands of these are kept.
    pub(super) configuration: u64,
    pub(super) assistant: Option<i64>,
    pub(super) generation: i64,
}

impl Memories {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            by_uid: Mutex::default(),
        }
    }

    /// `object`, or the later version that this process has written since.
    pub(super) fn latest(&self, object: Arc<PhoneNumber>) -> Arc<PhoneNumber> {
        self.newer(&object).unwrap_or(object)
    }

    /// True if `object` is not later than what a pass has written that knew all that there was.
    pub(super) fn knows(&self, object: &PhoneNumber) -> bool {
        let entries = self.lock();
        let entry = entries.get(&uid(object));
        entry.is_some_and(|entry| version(object) <= entry.known)
    }

    /// The version that our own write made, if it is later than what the cache shows as `object`. It is forgotten if not.
    pub(super) fn newer(&self, object: &PhoneNumber) -> Option<Arc<PhoneNumber>> {
        let mut entries = self.lock();
        let latest = &mut entries.get_mut(&uid(object))?.latest;
        latest.take_if(|latest| version(latest) <= version(object));
        latest.clone()
    }

    /// Remembers the version that our own write made, and whether the pass that wrote it knew all that it holds.
    pub(super) fn written(&self, object: &Arc<PhoneNumber>, is_known: bool) {
        self.entry(object, |entry| {
            entry.latest = Some(Arc::clone(object));
            if is_known {
                entry.known = version(object);
            }
        });
    }

    /// What a decision may use.
    pub(super) fn recall(
        &self,
        object: &PhoneNumber,
        claim: &Stored,
        wanted: Option<&Verified>,
    ) -> Memory {
        let now = self.clock.now();
        self.entry(object, |entry| {
            if *claim == Stored::Unreadable {
                entry.unreadable_since.get_or_insert(now);
            }
            let since = |instant: Option<Instant>| instant.map(|instant| now.since(instant));
            Memory {
                never_bought: match claim {
                    Stored::Ours(claim) => entry.in_vain.as_ref() == Some(&claim.nonce),
                    _ => false,
                },
                unreadable_for: since(entry.unreadable_since).unwrap_or_default(),
                missing_for: since(entry.missing_since),
                ordered_for: since(entry.ordered_at),
                release_sent: entry.release_sent,
                fighting: entry.fighting.is_some() && entry.fighting == object.metadata.generation,
                verified: wanted.is_some() && entry.verified.as_ref() == wanted,
            }
        })
    }

    /// Remembers that the claim in `before` was replaced by one that is about to be attempted. True if every attempt
    /// before it was certainly in vain.
    pub(super) fn claimed(&self, object: &PhoneNumber, before: &Stored) -> bool {
        self.entry(object, |entry| {
            let clean = match before {
                Stored::Nothing => !entry.doubtful,
                Stored::Ours(claim) => entry.in_vain.as_ref() == Some(&claim.nonce),
                Stored::EarlierUid(_) | Stored::Unreadable | Stored::Newer(_) => false,
            };
            entry.in_vain = None;
            entry.doubtful = true;
            clean
        })
    }

    /// Remembers that the attempt of the claim with this nonce was certainly in vain, as all before it were.
    pub(super) fn in_vain(&self, object: &PhoneNumber, nonce: &str) {
        self.entry(object, |entry| {
            entry.in_vain = Some(nonce.to_owned());
            entry.doubtful = false;
        });
    }

    /// Remembers that an order was placed just now.
    pub(super) fn ordered(&self, object: &PhoneNumber) {
        let now = self.clock.now();
        self.entry(object, |entry| entry.ordered_at = Some(now));
    }

    /// Remembers whether the recorded id was there, and returns how long it has been missing.
    pub(super) fn fetched(&self, object: &PhoneNumber, there: bool) -> Option<Duration> {
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

    /// Remembers that the provider was asked to release the recorded id.
    pub(super) fn release_sent(&self, object: &PhoneNumber) {
        self.entry(object, |entry| entry.release_sent = true);
    }

    /// Remembers that the number was seen as it is wanted.
    pub(super) fn verified(&self, object: &PhoneNumber, verified: Option<Verified>) {
        self.entry(object, |entry| entry.verified = verified);
    }

    /// The hash of what the provider showed when the number was last seen as it is wanted.
    pub(super) fn verified_as(&self, object: &PhoneNumber) -> Option<u64> {
        let entries = self.lock();
        let entry = entries.get(&uid(object))?;
        entry.verified.as_ref().map(|verified| verified.seen)
    }

    /// Remembers that the number is being set up. True if it was right in this generation, and is repaired by that.
    pub(super) fn repairs(&self, object: &PhoneNumber) -> bool {
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
            if entry.repairs.len() >= MOST_REPAIRS {
                entry.fighting = Some(generation);
            }
            true
        })
    }

    /// Remembers whether Burki has the number on another assistant than the status says, or on none.
    pub(super) fn unassigned(&self, object: &PhoneNumber, unassigned: bool) {
        self.entry(object, |entry| entry.unassigned = unassigned);
    }

    /// True if Burki has the number on another assistant than the status says, or on none.
    pub(super) fn is_unassigned(&self, object: &PhoneNumber) -> bool {
        self.entry(object, |entry| entry.unassigned)
    }

    /// When this process first saw the resource: now, if it has not.
    pub(super) fn first_seen(&self, object: &PhoneNumber) -> Instant {
        let now = self.clock.now();
        self.entry(object, |entry| *entry.first_seen.get_or_insert(now))
    }

    /// When a pass that ended so is repeated. `jitter` lies between 0 and 1.
    pub(super) fn again(&self, object: &PhoneNumber, rest: &Rest, jitter: f64) -> Option<Duration> {
        let (first, longest) = BACKOFF;
        let longest = match rest {
            Rest::Wait {
                again: Again::Soon, ..
            } => SOON,
            _ => longest,
        };
        let backs_off = matches!(
            rest,
            Rest::Wait {
                again: Again::Backoff | Again::Soon,
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
        match rest {
            // The account's listings wake it if something has changed.
            Rest::Nothing | Rest::Ready | Rest::Suspended => None,
            Rest::Unchanged(wait) => Some(*wait),
            Rest::Wait {
                again: Again::After(wait),
                ..
            } => Some(*wait + first.mul_f64(jitter)),
            Rest::Wait {
                again: Again::Backoff | Again::Soon,
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
    pub(super) fn forget(&self, object: &PhoneNumber) {
        self.lock().remove(&uid(object));
    }

    /// Forgets every resource whose UID is not among `live`.
    pub(super) fn retain(&self, live: impl Fn(&str) -> bool) {
        self.lock().retain(|uid, _| live(uid));
    }

    fn entry<T>(&self, object: &PhoneNumber, change: impl FnOnce(&mut Entry) -> T) -> T {
        change(self.lock().entry(uid(object)).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Box<Entry>>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn uid(object: &PhoneNumber) -> String {
    object.uid().unwrap_or_default()
}

/// Resource versions of one resource can be compared as numbers since Kubernetes 1.35 (KEP-5504).
fn version(object: &PhoneNumber) -> u128 {
    object
        .metadata
        .resource_version
        .as_deref()
        .and_then(|version| version.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::BootClock;

    fn at_version(version: &str) -> Arc<PhoneNumber> {
        let object = json!({
            "metadata": {"name": "nyc", "namespace": "support", "uid": "1", "resourceVersion": version},
            "spec": {"provider": "twilio", "phoneNumber": "+12125550100"},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    /// A status that was written over somebody's change tells nothing of that change: schedules found that it was missed.
    #[test]
    fn what_was_written_over_a_change_that_nobody_knew_is_news() {
        let memories = Memories::new(Arc::new(BootClock));
        assert!(!memories.knows(&at_version("5")), "nothing was written");
        memories.written(&at_version("7"), true);
        assert!(memories.knows(&at_version("5")) && memories.knows(&at_version("7")));
        assert!(!memories.knows(&at_version("8")));
        // Version 8 is somebody's.
        memories.written(&at_version("9"), false);
        assert!(!memories.knows(&at_version("8")));
        assert_eq!(memories.latest(at_version("8")), at_version("9"));
    }
}
