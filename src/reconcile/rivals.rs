//! Which resources want one number, and which has priority. Only resources compete that hold the number, or could buy it in the same
//! account at the provider; others block nobody. So a number can move from one provider to another.

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::api::{PhoneNumber, owner};
use crate::claim::{Claim, Stored};
use crate::cluster::Cluster;
use crate::cluster::index::Key;
use crate::cluster::process::CLOCKS_DIFFER_BY;
use crate::number::{AccountId, E164, NumberId, Owner};

/// Who comes first: who has recorded the number, or else claimed it first, or else is older.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    is_not_recorded: bool,
    claimed_at: Timestamp,
    created: Option<Timestamp>,
    owner: (Option<String>, String),
}

impl Cluster {
    /// The other resource that claims the same number in the account with these ids and was there first, as `number` may
    /// name it. A restore makes a resource that may have bought the number look young.
    pub(super) fn competing_claim(
        &self,
        number: &PhoneNumber,
        account: &[AccountId],
    ) -> Option<String> {
        let declared = number.spec.phone_number.as_deref()?;
        let (mine, _) = self.place(number, declared, account);
        let others = self.found(&Key::Declared(declared.to_owned()));
        let mut rivals = others.iter().filter(|other| {
            let (place, competes) = self.place(other, declared, account);
            is_another_here(other, number) && competes && place < mine
        });
        rivals.next().map(|other| named(other.as_ref(), number))
    }

    /// True if no other resource than `asks` holds this number, or claims it, in the account with these ids.
    pub(super) fn is_free(&self, number: &E164, asks: &PhoneNumber, account: &[AccountId]) -> bool {
        let found = self.caches.found(&Key::Declared(number.to_string()));
        found.iter().all(|other| {
            !is_another_here(other, asks) || !self.place(other, number.as_str(), account).1
        })
    }

    /// The other live resource that has recorded the number with this id, as `number` may name it.
    pub(super) fn recorder_of(&self, number: &PhoneNumber, id: &NumberId) -> Option<String> {
        let recorded = |other: &PhoneNumber| {
            let status = other.status.as_ref();
            status.and_then(|status| status.id.as_deref()) == Some(id.as_str())
        };
        let found = self.found(&Key::Recorded(id.as_str().to_owned()));
        let mut others = found
            .iter()
            .filter(|other| other.uid() != number.uid() && recorded(other));
        others.next().map(|other| named(other.as_ref(), number))
    }

    /// The place of a resource among those that claim `declared` in the account with these ids, and whether it competes.
    fn place(&self, number: &PhoneNumber, declared: &str, account: &[AccountId]) -> (Place, bool) {
        let declares = number.spec.phone_number.as_deref() == Some(declared);
        let holds = number.status.as_ref().is_some_and(|status| {
            let is_here = |pinned: &String| account.iter().any(|id| id.as_str() == pinned);
            status.id.is_some()
                && (declares || status.phone_number.as_deref() == Some(declared))
                && status.account_id.as_ref().is_none_or(is_here)
        });
        let can_buy = || self.can_buy_in(number, account);
        let claimed_at = self
            .plausible_claim(number)
            .filter(|claim| claim.number.as_str() == declared)
            .filter(|claim| account.contains(&claim.account_id) && can_buy())
            .map(|claim| claim.at);
        let has_one = number.status.as_ref().is_some_and(|it| it.id.is_some());
        let is_going = number.metadata.deletion_timestamp.is_some();
        let may_buy = declares && !has_one && !is_going && !number.spec.suspend;
        // A search claims what it has recorded or claimed.
        let competes = holds || claimed_at.is_some() || (may_buy && can_buy());
        let place = Place {
            is_not_recorded: !holds,
            claimed_at: claimed_at.unwrap_or(Timestamp::MAX),
            created: number.creation_timestamp().map(|time| time.0),
            owner: (number.namespace(), number.name_any()),
        };
        (place, competes)
    }

    /// The claim of `number`, if it can lead to a purchase: it was not made in the future, nor before its resource. What an
    /// earlier resource of this name has claimed is not bought any more, but may be under way for a while.
    fn plausible_claim(&self, number: &PhoneNumber) -> Option<Claim> {
        let uid = number.uid().unwrap_or_default();
        let owner = owner(number);
        let (claim, earliest) = match Claim::read(number.annotations(), &owner, &uid) {
            Stored::Ours(claim) => {
                let created = number.creation_timestamp().map(|time| time.0);
                let differ = SignedDuration::try_from(CLOCKS_DIFFER_BY).unwrap_or_default();
                let earliest = created.and_then(|created| created.checked_sub(differ).ok());
                (claim, earliest.unwrap_or(Timestamp::MIN))
            }
            Stored::EarlierUid(claim) => (claim, self.unsettled_since()),
            Stored::Nothing | Stored::Unreadable | Stored::Newer(_) => return None,
        };
        (earliest..=self.claims_until())
            .contains(&claim.at)
            .then_some(claim)
    }
}

/// True if `other` is another resource than `number`, at the same provider.
fn is_another_here(other: &PhoneNumber, number: &PhoneNumber) -> bool {
    other.uid() != number.uid() && other.spec.provider == number.spec.provider
}

/// The name of `other` for those who may read the status of `number`: not that of another namespace.
fn named(other: &PhoneNumber, number: &PhoneNumber) -> String {
    let owner = owner(other);
    named_for(&owner, &number.namespace().unwrap_or_default())
}

/// The name of a PhoneNumber for people of `namespace`.
pub(super) fn named_for(owner: &Owner, namespace: &str) -> String {
    if owner.namespace == namespace {
        format!("PhoneNumber {owner}")
    } else {
        "a PhoneNumber of another namespace".to_owned()
    }
}
