//! Purchases that are under way, and those whose number or cost is not counted elsewhere yet: so that many purchases at
//! once never pass a limit together, and two never go for one number.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rust_decimal::Decimal;

use super::{Account, Shared, lock};
use crate::clock::Instant;
use crate::number::E164;
use crate::sabotage::{Safeguard, stands};

/// How long a purchase is counted here that is never counted elsewhere: longer than any purchase stays unseen.
const COUNTS_FOR: Duration = Duration::from_secs(3600);

struct Purchase {
    /// What it will cost every month.
    monthly: Decimal,
    /// Since when it is counted.
    since: Instant,
    /// For whom, while it is under way.
    under_way: Option<String>,
}

/// Why a purchase may not begin.
#[derive(Debug, PartialEq, Eq)]
pub enum NotNow {
    /// It would pass a limit.
    OverLimit,
    /// The number is being bought or taken over for somebody else, who is named.
    UnderWay(String),
}

/// What the resources of an account tell of purchases, all but the one in question.
pub struct Told<'a> {
    /// The numbers that the one in question holds or went for: an earlier attempt does not count against a later one.
    pub own: BTreeSet<String>,
    /// What others have claimed and may have bought, perhaps by a process that is gone, with what it costs each month.
    pub claimed: Vec<(E164, Decimal)>,
    /// True if what the number costs is counted as held.
    pub is_counted: Box<dyn Fn(&E164) -> bool + 'a>,
}

/// What an account's limits are compared with.
pub struct Tally {
    /// The numbers that the account holds, as far as that is known, and those that are being bought or may have been.
    pub numbers: i64,
    /// What of those costs each month that is not counted as held.
    pub monthly: Decimal,
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
            Some(before) => purchases.insert(self.number.clone(), before),
            None => purchases.remove(&self.number),
        };
    }
}

impl Account {
    /// What the account holds and may have bought, without what is the own of the one in question.
    pub fn tally(&self, told: &Told<'_>) -> Tally {
        self.shared
            .tally(&lock(&self.shared.purchases.0), None, told)
    }

    /// Counts a purchase of `number` at `monthly` for `whom`, if `may` agrees to what the account then holds and may have
    /// bought. Whoever asks at the same time sees the other's.
    ///
    /// # Errors
    /// [`NotNow`]; nothing is counted then.
    pub fn spend(
        self: &Arc<Self>,
        number: &E164,
        whom: &str,
        monthly: Decimal,
        told: &Told<'_>,
        may: impl FnOnce(Tally) -> bool,
    ) -> Result<Spending, NotNow> {
        let now = self.clock.now();
        let inventory = &self.shared.inventory;
        let mut purchases = lock(&self.shared.purchases.0);
        purchases.retain(|number, purchase| {
            let is_seen = || inventory.has(number) && (told.is_counted)(number);
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
            under_way: Some(whom.to_owned()),
        };
        let before = purchases.insert(number.clone(), purchase);
        let agreed = may(self.shared.tally(&purchases, Some(number), told));
        drop(purchases);
        let spending = Spending {
            shared: Arc::clone(&self.shared),
            number: number.clone(),
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
        self.and_unseen(lock(&self.purchases.0).keys())
    }

    fn and_unseen<'a>(&self, numbers: impl Iterator<Item = &'a E164>) -> i64 {
        let unseen = numbers.filter(|number| !self.inventory.has(number));
        i64::try_from(self.inventory.len() + unseen.count()).unwrap_or(i64::MAX)
    }

    fn tally(
        &self,
        purchases: &HashMap<E164, Purchase>,
        going_for: Option<&E164>,
        told: &Told<'_>,
    ) -> Tally {
        let claimed = told.claimed.iter();
        let claimed = claimed.map(|(number, monthly)| (number, *monthly));
        let remembered = purchases.iter();
        let remembered = remembered.map(|(number, purchase)| (number, purchase.monthly));
        let is_others = |number: &E164| !told.own.contains(number.as_str());
        let all: HashMap<_, _> = claimed
            .chain(remembered)
            .filter(|(number, _)| Some(*number) == going_for || is_others(number))
            .collect();
        let uncounted = all.iter().filter(|(number, _)| !(told.is_counted)(number));
        Tally {
            numbers: self.and_unseen(all.keys().copied()),
            monthly: uncounted.map(|(_, monthly)| *monthly).sum(),
        }
    }
}
