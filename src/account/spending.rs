//! Purchases that are under way, and those whose number or cost is not counted elsewhere yet: so that many purchases at
//! once never pass a limit together, and two never go for one number.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::inventory::Inventory;
use super::{Account, Shared, Version, lock};
use crate::clock::Instant;
use crate::number::{Amount, E164, Owner};
use crate::sabotage::{Safeguard, stands};

/// How long a purchase is counted here that is never counted elsewhere: longer than any purchase stays unseen.
const COUNTS_FOR: Duration = Duration::from_secs(3600);

struct Purchase {
    /// What it will cost every month.
    monthly: Amount,
    /// Since when it is counted.
    since: Instant,
    /// For whom, while it is under way.
    under_way: Option<Owner>,
}

/// Why a purchase may not begin.
#[derive(Debug, PartialEq, Eq)]
pub enum NotNow {
    /// It would pass a limit.
    OverLimit,
    /// The number is being bought or taken over for somebody else, who is named.
    UnderWay(Owner),
}

/// Who counts what an account holds, and asks what was claimed in it besides.
pub trait Asker {
    /// What it knows of the account.
    fn version(&self) -> Version;

    /// Is told a number that somebody has claimed, what it costs each month, and whether that is counted as held. True if the
    /// account is known to hold it, as long as [`Asker::version`] stays the same.
    fn told(&mut self, number: &E164, monthly: Amount, is_counted: bool) -> bool;
}

/// What the resources of an account tell of purchases, all but the one in question.
pub trait Told {
    /// True if the one in question holds or went for the number: an earlier attempt does not count against a later one.
    fn is_own(&self, number: &E164) -> bool;

    /// True if what the number costs is counted as held.
    fn is_counted(&self, number: &E164) -> bool;

    /// Tells what others have claimed and may have bought, perhaps by a process that is gone.
    fn tell_claims(&self, asker: &mut dyn Asker);
}

/// What an account's limits are compared with.
pub struct Tally {
    /// The numbers that the account holds, as far as that is known, and those that are being bought or may have been.
    pub numbers: i64,
    /// What of those costs each month that is not counted as held.
    pub monthly: Amount,
}

/// The purchases of an account, by number.
#[derive(Default)]
pub(super) struct Purchases(Mutex<HashMap<E164, Purchase>>);

impl Purchases {
    /// Stops counting the purchase of `number`, unless one is under way.
    pub(super) fn forget(&self, number: &E164) {
        let mut purchases = lock(&self.0);
        let purchase = purchases.get(number);
        if purchase.is_some_and(|purchase| purchase.under_way.is_none()) {
            purchases.remove(number);
        }
    }
}

/// A purchase under way. It is counted until this is dropped, or longer if it may have taken place. Until then nobody else may
/// go for its number.
pub struct Spending {
    shared: Arc<Shared>,
    number: E164,
    before: Option<Purchase>,
    stands: bool,
}

impl Spending {
    /// Goes on counting the purchase: it took place, or may have.
    pub fn stands(mut self) {
        self.stands = true;
        if let Some(purchase) = lock(&self.shared.purchases.0).get_mut(&self.number) {
            purchase.under_way = None;
        }
    }
}

impl Drop for Spending {
    fn drop(&mut self) {
        if self.stands {
            return;
        }
        let mut purchases = lock(&self.shared.purchases.0);
        match self.before.take() {
            Some(before) => purchases.insert(self.number, before),
            None => purchases.remove(&self.number),
        };
    }
}

impl Account {
    /// What the account holds and may have bought, without what is the own of the one in question.
    pub fn tally(&self, told: &dyn Told) -> Tally {
        self.shared
            .tally(&lock(&self.shared.purchases.0), None, told)
    }

    /// Counts a purchase of `number` at `monthly` for `whom`, if `may`, where there is a limit, agrees to what the account
    /// then holds and may have bought. Whoever asks at the same time sees the other's.
    ///
    /// # Errors
    /// [`NotNow`]; nothing is counted then.
    pub fn spend(
        self: &Arc<Self>,
        number: &E164,
        whom: &Owner,
        monthly: Amount,
        told: &dyn Told,
        may: Option<impl FnOnce(Tally) -> bool>,
    ) -> Result<Spending, NotNow> {
        let now = self.clock.now();
        let inventory = &self.shared.inventory;
        let mut purchases = lock(&self.shared.purchases.0);
        purchases.retain(|number, purchase| {
            let is_seen = || inventory.has(number) && told.is_counted(number);
            purchase.under_way.is_some() || (now.since(purchase.since) < COUNTS_FOR && !is_seen())
        });
        let other = purchases.get(number);
        if let Some(whom) = other.and_then(|purchase| purchase.under_way.clone())
            && stands(Safeguard::OneAtATime)
        {
            return Err(NotNow::UnderWay(whom));
        }
        let purchase = Purchase {
            monthly,
            since: now,
            under_way: Some(whom.clone()),
        };
        let before = purchases.insert(*number, purchase);
        let agreed = may.is_none_or(|may| may(self.shared.tally(&purchases, Some(number), told)));
        drop(purchases);
        let spending = Spending {
            shared: Arc::clone(&self.shared),
            number: *number,
            before,
            stands: false,
        };
        agreed.then_some(spending).ok_or(NotNow::OverLimit)
    }

    /// Stops counting the purchase of `number`, which came to nothing after all.
    pub fn never_bought(&self, number: &E164) {
        self.shared.purchases.forget(number);
    }
}

impl Shared {
    /// How many numbers the account holds, as far as that is known, and with them those that are being bought.
    pub(super) fn held_or_being_bought(&self) -> i64 {
        let purchases = lock(&self.purchases.0);
        let unseen = purchases
            .keys()
            .filter(|number| !self.inventory.has(number));
        self.held_and(unseen.count())
    }

    /// How many numbers the account is known to hold, and so many more.
    fn held_and(&self, more: usize) -> i64 {
        i64::try_from(self.inventory.len().saturating_add(more)).unwrap_or(i64::MAX)
    }

    fn tally(
        &self,
        purchases: &HashMap<E164, Purchase>,
        going_for: Option<&E164>,
        told: &dyn Told,
    ) -> Tally {
        let mut count = Count {
            inventory: &self.inventory,
            version: self.inventory.version(),
            besides: told,
            going_for,
            unseen: HashSet::new(),
            uncounted: HashMap::new(),
        };
        told.tell_claims(&mut count);
        for (number, purchase) in purchases {
            count.told(number, purchase.monthly, told.is_counted(number));
        }
        Tally {
            numbers: self.held_and(count.unseen.len()),
            monthly: count.uncounted.into_values().sum(),
        }
    }
}

/// Counts the numbers that are not known to be held, and those whose cost is not counted as held.
struct Count<'a> {
    inventory: &'a Inventory,
    version: Version,
    besides: &'a dyn Told,
    going_for: Option<&'a E164>,
    unseen: HashSet<E164>,
    uncounted: HashMap<E164, Amount>,
}

impl Asker for Count<'_> {
    fn version(&self) -> Version {
        self.version
    }

    fn told(&mut self, number: &E164, monthly: Amount, is_counted: bool) -> bool {
        let is_held = self.inventory.has(number);
        let is_own = Some(number) != self.going_for && self.besides.is_own(number);
        if !is_own && !is_held {
            self.unseen.insert(*number);
        }
        if !is_own && !is_counted {
            self.uncounted.insert(*number, monthly);
        }
        is_held
    }
}
