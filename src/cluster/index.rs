//! Which resources declare a number, have recorded an id, or use an account: found without going through all of them.

#![deny(clippy::arithmetic_side_effects)]

mod claims;
mod excluding;

pub(crate) use excluding::Credible;

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use self::claims::{Claimed, Claims};
use crate::api::{AccountKey, OrderStatus, PhoneNumber, owner};
use crate::claim::Claim;
use crate::cluster::resource_version;
use crate::number::{AccountId, Amount, Currency, E164, Installation, Mark, Origin};
use crate::panics::lock;

type Reference = ObjectRef<PhoneNumber>;

/// What resources are found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// The number that the spec declares, or that is claimed or held for a search.
    Declared(String),
    /// The id that the status has recorded.
    Recorded(String),
    /// The part of a mark that names it.
    Marked(String),
    /// The account that it refers to.
    Account(AccountKey),
}

/// References by key. A reference may be of an object that is gone or has changed: the caller that follows it looks again.
#[derive(Default)]
pub(crate) struct Index(Mutex<Maps>);

/// Thousands of resources have a handful of keys each, so a reference and a key are kept once, and shared.
#[derive(Default)]
struct Maps {
    by_key: HashMap<Arc<Key>, Found>,
    entries: HashMap<Arc<Reference>, Entry>,
    /// The sums of the costs, by account and currency.
    sums: HashMap<(String, String), Amount>,
    claims: Claims,
}

/// What was noted under a key: mostly it is one.
#[allow(
    clippy::box_collection,
    reason = "there are thousands of the one, and a few of the others"
)]
enum Found {
    One(Arc<Reference>),
    Many(Box<BTreeSet<Named>>),
}

/// A reference, ordered by namespace and name: which of several comes first decides what people are told.
#[derive(PartialEq, Eq)]
struct Named(Arc<Reference>);

impl Named {
    fn name(&self) -> (&Option<String>, &str) {
        (&self.0.namespace, &self.0.name)
    }
}

impl Ord for Named {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(&other.name())
    }
}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What was noted of a resource.
#[derive(Default)]
struct Entry {
    keys: Box<[Arc<Key>]>,
    cost: Option<Cost>,
    /// The version of which all was noted; 0 if there is none.
    version: u128,
}

/// What the number of a resource costs each month.
#[derive(Clone, PartialEq, Eq)]
struct Cost {
    account: String,
    currency: String,
    monthly: Amount,
}

/// What has changed about a resource that is noted as it is now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// True if it did not refer to its account before.
    pub(super) is_new_user: bool,
    /// The account that it referred to before, if that is another one.
    pub(crate) left: Option<AccountKey>,
    /// The numbers that it went for or held before, and does not any more.
    pub(super) freed: Vec<String>,
}

/// A resource that is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) reference: Reference,
    /// The account that it referred to.
    pub(crate) account: Option<AccountKey>,
    /// The numbers that it went for or held.
    pub(super) freed: Vec<String>,
}

impl Cost {
    fn is_in(&self, account: &[AccountId]) -> bool {
        account.iter().any(|id| id.as_str() == self.account)
    }
}

impl Index {
    /// Notes `number` as it is now. What was claimed before `since` is settled by now; what was claimed after `until`, which lies
    /// in the future, is made up.
    pub(super) fn put(&self, number: &PhoneNumber, since: Timestamp, until: Timestamp) -> Noted {
        let version = resource_version(number.metadata.resource_version.as_deref());
        // Each write of ours is seen several times: in its answer, as the next one begins, and by the watch. What was settled
        // when a version was noted stays settled.
        let noted = |maps: &Maps| Some(maps.entries.get(&reference_to(number))?.version);
        if version > 0 && noted(&self.lock()) == Some(version) {
            return Noted::default();
        }
        let claim = claim_of(number);
        let keys = keys_of(number, claim.as_ref());
        let cost = cost_of(number, claim.as_ref());
        // A claim that is left out may count later.
        let is_early = |claim: &Claim| claim.at > until;
        let version = if claim.as_ref().is_some_and(is_early) {
            0
        } else {
            version
        };
        let claim = claim.filter(|claim| !is_early(claim));
        let claimed = claim.and_then(|claim| claimed(number, claim, cost.is_some()));
        let mut maps = self.lock();
        let (reference, before) = maps.take(number);
        maps.take_cost(before.cost.as_ref());
        maps.add_cost(cost.as_ref());
        match claimed.filter(|claimed| claimed.at >= since) {
            Some(claimed) => maps.claims.put(&reference, claimed),
            None => maps.claims.remove(&reference),
        }
        let account = AccountKey::of(number);
        let left = before.account().filter(|left| **left != account);
        let freed = before.numbers();
        let freed = freed.filter(|freed| !keys.iter().any(|key| key.is_number(freed)));
        let noted = Noted {
            is_new_user: before.account() != Some(&account),
            left: left.cloned(),
            freed: freed.cloned().collect(),
        };
        let is_same = before.keys.iter().map(Arc::as_ref).eq(keys.iter());
        let keys = if is_same {
            before.keys
        } else {
            maps.drop_keys(&reference, &before.keys);
            let keys = keys.into_iter();
            keys.map(|key| maps.add_key(key, &reference)).collect()
        };
        let entry = Entry {
            keys,
            cost,
            version,
        };
        maps.entries.insert(reference, entry);
        noted
    }

    /// Forgets `number`.
    pub(crate) fn remove(&self, number: &PhoneNumber) -> Gone {
        self.lock().remove(&reference_to(number))
    }

    /// Forgets what is not there any more.
    pub(crate) fn keep(&self, is_there: impl Fn(&Reference) -> bool) -> Vec<Gone> {
        let mut maps = self.lock();
        let gone = maps.entries.keys().filter(|reference| !is_there(reference));
        let gone: Vec<_> = gone.cloned().collect();
        gone.iter()
            .map(|reference| maps.remove(reference))
            .collect()
    }

    /// What was noted under `key`.
    pub(crate) fn get(&self, key: &Key) -> Vec<Arc<Reference>> {
        match self.lock().by_key.get(key) {
            None => Vec::new(),
            Some(Found::One(reference)) => vec![Arc::clone(reference)],
            Some(Found::Many(references)) => references
                .iter()
                .map(|named| Arc::clone(&named.0))
                .collect(),
        }
    }

    /// The first of what was noted under `key` that `find` makes something of.
    pub(crate) fn find<T>(
        &self,
        key: &Key,
        mut find: impl FnMut(&Reference) -> Option<T>,
    ) -> Option<T> {
        match self.lock().by_key.get(key)? {
            Found::One(reference) => find(reference),
            Found::Many(references) => references.iter().find_map(|named| find(&named.0)),
        }
    }

    /// What the numbers of the account with these ids cost each month, as far as statuses tell it and in this currency.
    pub(crate) fn cost_of(&self, account: &[AccountId], currency: &Currency) -> Amount {
        self.lock().cost_of(account, currency)
    }

    /// The same without what the number of `excluded` costs.
    pub(crate) fn cost_excluding(
        &self,
        excluded: &PhoneNumber,
        account: &[AccountId],
        currency: &Currency,
    ) -> Amount {
        let maps = self.lock();
        let own = maps.entries.get(&reference_to(excluded));
        let own = own.and_then(|entry| entry.cost.as_ref());
        let own = own.filter(|cost| cost.is_in(account) && cost.currency == currency.as_str());
        let own = own.map(|cost| cost.monthly).unwrap_or_default();
        maps.cost_of(account, currency).less(own)
    }

    /// Forgets what was claimed before `since`: it is settled by now.
    pub(crate) fn forget_claims_before(&self, since: Timestamp) {
        self.lock().claims.forget_before(since);
    }

    fn lock(&self) -> MutexGuard<'_, Maps> {
        lock(&self.0)
    }
}

impl Key {
    fn is_number(&self, number: &str) -> bool {
        matches!(self, Self::Declared(known) if known == number)
    }
}

impl Entry {
    /// The account that the resource refers to.
    fn account(&self) -> Option<&AccountKey> {
        self.keys.iter().find_map(|key| match key.as_ref() {
            Key::Account(account) => Some(account),
            _ => None,
        })
    }

    /// The numbers that the resource claims or holds.
    fn numbers(&self) -> impl Iterator<Item = &String> {
        self.keys.iter().filter_map(|key| match key.as_ref() {
            Key::Declared(number) => Some(number),
            _ => None,
        })
    }
}

impl Maps {
    /// Forgets what was noted of a resource.
    fn remove(&mut self, reference: &Reference) -> Gone {
        let (reference, before) = match self.entries.remove_entry(reference) {
            Some(known) => known,
            None => (Arc::new(reference.clone()), Entry::default()),
        };
        self.take_cost(before.cost.as_ref());
        self.drop_keys(&reference, &before.keys);
        self.claims.remove(&reference);
        Gone {
            reference: reference.as_ref().clone(),
            account: before.account().cloned(),
            freed: before.numbers().cloned().collect(),
        }
    }

    /// Takes out what was noted of `number`, to be put back.
    fn take(&mut self, number: &PhoneNumber) -> (Arc<Reference>, Entry) {
        let reference = reference_to(number);
        let known = self.entries.remove_entry(&reference);
        known.unwrap_or_else(|| (Arc::new(reference), Entry::default()))
    }

    /// As [`Index::cost_of`].
    fn cost_of(&self, account: &[AccountId], currency: &Currency) -> Amount {
        let sums = account.iter().filter_map(|id| {
            let key = (id.to_string(), currency.to_string());
            self.sums.get(&key).copied()
        });
        sums.sum()
    }

    /// What was claimed, and whether another than `excluded` that has claimed or holds a number tells what it costs.
    fn claims_and_counts_excluding<'a>(
        &'a mut self,
        excluded: &'a Reference,
    ) -> (&'a mut Claims, impl Fn(&E164) -> bool + 'a) {
        let Self {
            by_key,
            entries,
            claims,
            ..
        } = self;
        let counts = |reference: &Arc<Reference>| {
            let entry = entries.get(reference);
            **reference != *excluded && entry.is_some_and(|entry| entry.cost.is_some())
        };
        let is_counted = move |number: &E164| match by_key.get(&Key::Declared(number.to_string())) {
            None => false,
            Some(Found::One(holder)) => counts(holder),
            Some(Found::Many(holders)) => holders.iter().any(|named| counts(&named.0)),
        };
        (claims, is_counted)
    }

    fn add_cost(&mut self, cost: Option<&Cost>) {
        if let Some(cost) = cost {
            let sum = self.sum_with(cost);
            *sum = sum.plus(cost.monthly);
        }
    }

    fn take_cost(&mut self, cost: Option<&Cost>) {
        if let Some(cost) = cost {
            let sum = self.sum_with(cost);
            *sum = sum.less(cost.monthly);
            if *sum == Amount::ZERO {
                let key = (cost.account.clone(), cost.currency.clone());
                self.sums.remove(&key);
            }
        }
    }

    fn sum_with(&mut self, cost: &Cost) -> &mut Amount {
        let key = (cost.account.clone(), cost.currency.clone());
        self.sums.entry(key).or_default()
    }

    fn add_key(&mut self, key: Key, reference: &Arc<Reference>) -> Arc<Key> {
        let Some((known, found)) = self.by_key.remove_entry(&key) else {
            let key = Arc::new(key);
            let found = Found::One(Arc::clone(reference));
            self.by_key.insert(Arc::clone(&key), found);
            return key;
        };
        let mut references = match found {
            Found::One(other) => Box::new(BTreeSet::from([Named(other)])),
            Found::Many(references) => references,
        };
        references.insert(Named(Arc::clone(reference)));
        self.by_key
            .insert(Arc::clone(&known), Found::Many(references));
        known
    }

    fn drop_keys(&mut self, reference: &Arc<Reference>, keys: &[Arc<Key>]) {
        for key in keys {
            let is_empty = match self.by_key.get_mut(key) {
                None => false,
                Some(Found::One(_)) => true,
                Some(Found::Many(references)) => {
                    references.remove(&Named(Arc::clone(reference)));
                    references.is_empty()
                }
            };
            if is_empty {
                self.by_key.remove(key);
            }
        }
    }
}

/// The claim of the resource, under whichever UID it was made.
pub(super) fn claim_of(number: &PhoneNumber) -> Option<Claim> {
    let uid = number.uid().unwrap_or_default();
    let stored = Claim::read(number.annotations(), &owner(number), &uid);
    stored.claim().cloned()
}

fn reference_to(number: &PhoneNumber) -> Reference {
    let namespace = number.namespace().unwrap_or_default();
    ObjectRef::new(&number.name_any()).within(&namespace)
}

/// What is kept of a claim that may have bought its number.
fn claimed(number: &PhoneNumber, claim: Claim, is_counted: bool) -> Option<Claimed> {
    if !claim.may_have_bought() {
        return None;
    }
    let status = number.status.as_ref();
    let attempt = status.and_then(|status| status.attempt.as_ref());
    if attempt.is_some_and(|it| it.nonce == claim.nonce && it.outcome.is_in_vain()) {
        return None;
    }
    let telnyx = status.and_then(|status| status.telnyx.as_ref());
    let order = telnyx.and_then(|telnyx| telnyx.order_status.as_ref());
    Some(Claimed {
        account: claim.account_id,
        user: Arc::new((AccountKey::of(number), number.spec.provider)),
        number: claim.number,
        monthly: claim.price.map(|price| price.monthly).unwrap_or_default(),
        at: match order {
            // As good as of now, however long it takes.
            Some(OrderStatus::Pending) => Timestamp::MAX,
            _ => claim.at,
        },
        is_counted,
    })
}

/// What is being bought counts too, in the account that its claim is on.
fn cost_of(number: &PhoneNumber, claim: Option<&Claim>) -> Option<Cost> {
    let status = number.status.as_ref()?;
    let cost = status.cost.as_ref()?;
    let claimed_in = || claim.map(|claim| claim.account_id.to_string());
    Some(Cost {
        account: status.account_id.clone().or_else(claimed_in)?,
        currency: cost.currency.clone(),
        monthly: Amount::read(&cost.monthly)?,
    })
}

/// The numbers that a resource claims or holds.
pub(super) fn numbers_of(number: &PhoneNumber) -> BTreeSet<String> {
    numbers_with(number, claim_of(number).as_ref())
}

fn numbers_with(number: &PhoneNumber, claim: Option<&Claim>) -> BTreeSet<String> {
    let status = number.status.as_ref();
    let held = status.and_then(|status| status.phone_number.clone());
    let claimed = claim.map(|claim| claim.number.to_string());
    let declared = number.spec.phone_number.clone();
    [declared, held, claimed].into_iter().flatten().collect()
}

fn keys_of(number: &PhoneNumber, claim: Option<&Claim>) -> Vec<Key> {
    let recorded = number.status.as_ref().and_then(|status| status.id.clone());
    let mark = Mark::new(Origin::Bought, &Installation::new(""), &owner(number));
    let account = Key::Account(AccountKey::of(number));
    let mut keys = vec![Key::Marked(mark.owner().to_owned()), account];
    keys.extend(numbers_with(number, claim).into_iter().map(Key::Declared));
    keys.extend(recorded.map(Key::Recorded));
    keys
}

#[cfg(test)]
mod tests;
