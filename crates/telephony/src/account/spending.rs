//! Purchases that are under way, and those whose number or cost is not counted elsewhere yet: so that many purchases at
//! once never pass a limit together, and two never claim one number.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::inventory::Inventory;
use super::{Account, Shared, Version, lock};
use crate::clock::Instant;
use crate::number::{Amount, E164, Holding, Owner};
use crate::safeguards::{Safeguard, is_enabled};

struct Purchase {
    /// What it will cost every month.
    monthly: Amount,
    /// Since when it is counted.
    since: Instant,
    /// For whom, while it is under way.
    under_way: Option<Owner>,
    /// True once a listing has shown the number: what listings show counts from then on, also that it is gone.
    was_listed: bool,
}

impl Purchase {
    /// True if it is under way, or may be hidden still.
    fn counts(&self, now: Instant, visibility: Duration) -> bool {
        self.under_way.is_some() || now.since(self.since) < visibility
    }
}

/// Why a purchase may not begin.
#[derive(Debug, PartialEq, Eq)]
pub enum BeginError {
    /// It would pass a limit.
    OverLimit,
    /// The number is being bought or taken over for somebody else, who is named.
    UnderWay(Owner),
}

/// Visits the claims on numbers in an account, and counts them.
pub trait ClaimVisitor {
    /// What it knows of the account.
    fn version(&self) -> Version;

    /// Visits one claim: its number, what the number costs each month, and whether that is counted as held. True if the account
    /// is known to hold the number, as long as [`ClaimVisitor::version`] stays the same.
    fn visit(&mut self, number: &E164, monthly: Amount, is_counted: bool) -> bool;
}

/// What all resources of an account but one claim and hold.
pub trait OtherClaims {
    /// True if the one resource holds or claimed the number: an earlier attempt does not count against a later one.
    fn is_own(&self, number: &E164) -> bool;

    /// True if what the number costs is counted as held.
    fn is_counted(&self, number: &E164) -> bool;

    /// Visits what the others have claimed and may have bought, perhaps in a process that has ended.
    fn visit_claims(&self, visitor: &mut dyn ClaimVisitor);
}

/// What an account's limits are compared with.
pub struct Usage {
    /// The numbers that the account holds, as far as that is known, and those that are being bought or may have been.
    pub numbers: i64,
    /// What of those costs each month that is not counted as held.
    pub monthly: Amount,
}

/// The purchases of an account, by number.
#[derive(Default)]
pub(super) struct Purchases(Mutex<HashMap<E164, Purchase>>);

/// A purchase under way. It is counted until this is dropped, or longer if it may have taken place. Until then nobody else may
/// claim its number.
pub struct PendingPurchase {
    shared: Arc<Shared>,
    number: E164,
    before: Option<Purchase>,
    stands: bool,
}

impl PendingPurchase {
    /// Goes on counting the purchase: it took place, or may have.
    pub fn stands(mut self) {
        self.stands = true;
        self.shared.with_purchases(|purchases| {
            if let Some(purchase) = purchases.get_mut(&self.number) {
                purchase.under_way = None;
            }
        });
    }
}

impl Drop for PendingPurchase {
    fn drop(&mut self) {
        if self.stands {
            return;
        }
        let before = self.before.take();
        self.shared.with_purchases(|purchases| match before {
            Some(before) => purchases.insert(self.number, before),
            None => purchases.remove(&self.number),
        });
    }
}

impl Account {
    /// What the account holds and may have bought, without what is the own of the one in question.
    pub fn tally(&self, others: &dyn OtherClaims) -> Usage {
        let (shared, now) = (&self.shared, self.clock.now());
        shared.with_current_purchases(now, |purchases| shared.tally(purchases, None, others))
    }

    /// Counts a purchase of `number` at `monthly` for `whom`, if `may`, where there is a limit, agrees to what the account
    /// then holds and may have bought. Of two callers at the same time each sees the purchase of the other.
    ///
    /// # Errors
    /// [`BeginError`]; nothing is counted then.
    pub fn spend(
        self: &Arc<Self>,
        number: &E164,
        whom: &Owner,
        monthly: Amount,
        others: &dyn OtherClaims,
        may: Option<impl FnOnce(Usage) -> bool>,
    ) -> Result<PendingPurchase, BeginError> {
        let now = self.clock.now();
        let inventory = &self.shared.inventory;
        let noted = self.shared.with_current_purchases(now, |purchases| {
            purchases.retain(|number, purchase| {
                let is_counted = || purchase.monthly == Amount::ZERO || others.is_counted(number);
                let is_seen = || inventory.has(number) && is_counted();
                purchase.under_way.is_some() || !is_seen()
            });
            let other = purchases.get(number);
            if let Some(whom) = other.and_then(|purchase| purchase.under_way.clone())
                && is_enabled(Safeguard::OneAtATime)
            {
                return Err(BeginError::UnderWay(whom));
            }
            let purchase = Purchase {
                monthly,
                since: now,
                under_way: Some(whom.clone()),
                was_listed: false,
            };
            let before = purchases.insert(*number, purchase);
            let tally = || self.shared.tally(purchases, Some(number), others);
            Ok((before, may.is_none_or(|may| may(tally()))))
        });
        let (before, agreed) = noted?;
        let spending = PendingPurchase {
            shared: Arc::clone(&self.shared),
            number: *number,
            before,
            stands: false,
        };
        agreed.then_some(spending).ok_or(BeginError::OverLimit)
    }

    /// Stops counting the purchase of `number`, which came to nothing after all, or whose number is gone.
    pub fn stop_counting(&self, number: &E164) {
        self.shared.forget_purchase(number);
    }
}

impl Shared {
    /// How many numbers the account holds, as far as that is known, and with them those that are being bought.
    pub(super) fn held_or_being_bought(&self, now: Instant) -> i64 {
        self.with_current_purchases(now, |purchases| {
            let unseen = purchases.iter().filter(|(number, purchase)| {
                !purchase.was_listed && !self.inventory.counts(number)
            });
            self.held_and(unseen.count())
        })
    }

    /// Stops counting the purchase of `number`, unless one is under way.
    pub(super) fn forget_purchase(&self, number: &E164) {
        self.with_purchases(|purchases| {
            let purchase = purchases.get(number);
            if purchase.is_some_and(|purchase| purchase.under_way.is_none()) {
                purchases.remove(number);
            }
        });
    }

    /// Notes what a listing that began at `begun` shows.
    pub(super) fn saw_listed(&self, begun: Instant, holdings: &[Holding]) {
        self.with_purchases(|purchases| {
            if purchases.is_empty() {
                return;
            }
            for holding in holdings {
                if let Some(purchase) = purchases.get_mut(&holding.number)
                    && begun >= purchase.since
                {
                    purchase.was_listed = true;
                }
            }
        });
    }

    /// True if a purchase is counted.
    pub(super) fn counts_purchases(&self, now: Instant) -> bool {
        self.with_current_purchases(now, |purchases| !purchases.is_empty())
    }

    /// Counts the purchases of `other` too, which is the same account, now and from now on.
    pub(super) fn takes_over(&self, other: &Self) {
        let purchases = Arc::clone(&lock(&self.purchases));
        let mut place = lock(&other.purchases);
        if Arc::ptr_eq(&place, &purchases) {
            return;
        }
        let taken = std::mem::take(&mut *lock(&place.0));
        let mut all = lock(&purchases.0);
        for (number, purchase) in taken {
            let known = all.get(&number);
            if known.is_none_or(|known| known.under_way.is_none()) {
                all.insert(number, purchase);
            }
        }
        drop(all);
        *place = purchases;
    }

    /// Works on the purchases, which nobody else changes meanwhile.
    fn with_purchases<T>(&self, work: impl FnOnce(&mut HashMap<E164, Purchase>) -> T) -> T {
        let purchases = lock(&self.purchases);
        let mut purchases = lock(&purchases.0);
        work(&mut purchases)
    }

    /// Runs `work` on the purchases that count at `now`, and forgets all others.
    fn with_current_purchases<T>(
        &self,
        now: Instant,
        work: impl FnOnce(&mut HashMap<E164, Purchase>) -> T,
    ) -> T {
        self.with_purchases(|purchases| {
            purchases.retain(|_, purchase| purchase.counts(now, self.visibility));
            work(purchases)
        })
    }

    /// How many numbers count as held, and so many more.
    fn held_and(&self, more: usize) -> i64 {
        i64::try_from(self.inventory.counted().saturating_add(more)).unwrap_or(i64::MAX)
    }

    fn tally(
        &self,
        purchases: &HashMap<E164, Purchase>,
        going_for: Option<&E164>,
        others: &dyn OtherClaims,
    ) -> Usage {
        let mut count = Count {
            inventory: &self.inventory,
            version: self.inventory.version(),
            others,
            going_for,
            unseen: HashSet::new(),
            uncounted: HashMap::new(),
        };
        others.visit_claims(&mut count);
        for (number, purchase) in purchases {
            if purchase.was_listed && !self.inventory.counts(number) {
                continue;
            }
            count.visit(number, purchase.monthly, others.is_counted(number));
        }
        Usage {
            numbers: self.held_and(count.unseen.len()),
            monthly: count.uncounted.into_values().sum(),
        }
    }
}

/// Counts the numbers that are not known to be held, and those whose cost is not counted as held.
struct Count<'a> {
    inventory: &'a Inventory,
    version: Version,
    others: &'a dyn OtherClaims,
    going_for: Option<&'a E164>,
    unseen: HashSet<E164>,
    uncounted: HashMap<E164, Amount>,
}

impl ClaimVisitor for Count<'_> {
    fn version(&self) -> Version {
        self.version
    }

    fn visit(&mut self, number: &E164, monthly: Amount, is_counted: bool) -> bool {
        let is_held = self.inventory.counts(number);
        let is_own = Some(number) != self.going_for && self.others.is_own(number);
        if !is_own && !is_held {
            self.unseen.insert(*number);
        }
        if !is_own && !is_counted {
            // Of two claims on it one may tell no price.
            let most = self.uncounted.entry(*number).or_insert(monthly);
            *most = monthly.max(*most);
        }
        is_held
    }
}
