//! The purchases that resources may have made, by the name of the resource: they are remembered also if the resource goes.

use std::time::Duration;

use jiff::Timestamp;

use super::{Observations, uid};
use crate::api::{PhoneNumber, owner};
use crate::claim::{Claim, Stored};
use crate::clock::Instant;
use crate::number::AccountId;
use crate::outcome::Doubt;
use crate::panics::lock;

/// A purchase that may have been made.
pub(super) struct Attempt {
    pub(super) claim: Claim,
    /// When this process first knew of it.
    pub(super) known: Instant,
}

impl Observations {
    /// How long this process has known the attempt that the claim on `object` tells of. It is remembered also if the claim, or
    /// the resource, goes.
    pub(super) fn attempted(&self, object: &PhoneNumber, claim: &Stored, now: Instant) -> Duration {
        let is_recorded = object.status.iter().any(|status| status.id.is_some());
        if is_recorded {
            self.settled(object);
        }
        let (Stored::Ours(claim) | Stored::EarlierUid(claim)) = claim else {
            return Duration::ZERO;
        };
        self.learned_orders(object);
        let known_not_purchased = self.entry(object, |entry| entry.known_not_purchased.clone());
        if is_recorded
            || !claim.may_have_bought()
            || known_not_purchased.as_ref() == Some(&claim.nonce)
        {
            return Duration::ZERO;
        }
        let mut attempts = lock(&self.attempts);
        let known = attempts
            .get(&owner(object))
            .filter(|attempt| attempt.claim.nonce == claim.nonce)
            .map(|attempt| attempt.known);
        if known.is_none() {
            let claim = claim.clone();
            attempts.insert(owner(object), Box::new(Attempt { claim, known: now }));
        }
        known.map_or(Duration::ZERO, |known| now.since(known))
    }

    /// The purchase that a resource of the name of `object` may have made, where `claim` does not tell of one: as this process
    /// remembers it, or else as the status tells it. `now` and `provider_now` are the times of the API server and of the
    /// provider. The account of a claim that cannot be read is known only from what `object` itself has claimed.
    pub(crate) fn doubt(
        &self,
        object: &PhoneNumber,
        claim: &Stored,
        now: Timestamp,
        provider_now: Option<Timestamp>,
    ) -> Option<Doubt> {
        let is_recorded = object.status.iter().any(|status| status.id.is_some());
        if is_recorded || !matches!(claim, Stored::Nothing | Stored::Unreadable) {
            return None;
        }
        let clock = self.clock.now();
        let remembered = lock(&self.attempts).get(&owner(object)).map(|it| {
            let is_own = it.claim.uid == uid(object);
            let is_its_account = *claim == Stored::Nothing || is_own;
            Doubt {
                number: it.claim.number,
                account_id: is_its_account.then(|| it.claim.account_id.clone()),
                since: it.claim.since,
                age: clock.since(it.known),
                nonce: is_own.then(|| it.claim.nonce.clone()),
                claim: is_own.then(|| it.claim.clone()),
            }
        });
        remembered.or_else(|| {
            let attempt = object.status.as_ref()?.attempt.as_ref()?;
            if attempt.bought_nothing() {
                return None;
            }
            let at = attempt.at.as_ref()?.0;
            let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
            let since = provider_now.unwrap_or(now).checked_sub(age).ok()?;
            Some(Doubt {
                number: attempt.number.parse().ok()?,
                account_id: attempt.account_id.clone().map(AccountId::new),
                since,
                age,
                nonce: Some(attempt.nonce.clone()),
                claim: None,
            })
        })
    }

    /// Remembers that it is known what became of every attempt of the resource.
    pub(crate) fn settled(&self, object: &PhoneNumber) {
        lock(&self.attempts).remove(&owner(object));
    }

    /// Remembers that the claim in `before` was replaced by `claim`, which is about to be attempted. True if every attempt
    /// before it certainly bought nothing.
    pub(crate) fn claimed(&self, object: &PhoneNumber, before: &Stored, claim: &Claim) -> bool {
        self.attempted(object, &Stored::Ours(claim.clone()), self.clock.now());
        self.entry(object, |entry| {
            let clean = match before {
                Stored::Nothing => !entry.doubtful,
                Stored::Ours(claim) => entry.known_not_purchased.as_ref() == Some(&claim.nonce),
                Stored::EarlierUid(_) | Stored::Unreadable | Stored::Newer(_) => false,
            };
            entry.known_not_purchased = None;
            entry.doubtful = true;
            clean
        })
    }

    /// Remembers that the attempt of the claim with this nonce certainly bought nothing, as all before it.
    pub(crate) fn known_not_purchased(&self, object: &PhoneNumber, nonce: &str) {
        self.settled(object);
        self.entry(object, |entry| {
            entry.known_not_purchased = Some(nonce.to_owned());
            entry.doubtful = false;
        });
    }

    /// Remembers that an order was placed just now.
    pub(crate) fn ordered(&self, object: &PhoneNumber) {
        let now = self.clock.now();
        self.entry(object, |entry| entry.ordered_at = Some(now));
    }

    /// Remembers that the provider has no order of a resource of this name that this process does not know.
    pub(crate) fn learned_orders(&self, object: &PhoneNumber) {
        lock(&self.ordered).insert(owner(object), self.clock.now());
    }

    /// True if this process knows what resources of this name have ordered: it has asked, or has seen a claim.
    pub(crate) fn knows_orders(&self, object: &PhoneNumber) -> bool {
        lock(&self.ordered).contains_key(&owner(object))
    }
}
