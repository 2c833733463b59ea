//! Purchases that are under way, and those whose number or cost is not counted elsewhere yet: so that many purchases at
//! once never pass a limit together, and two never go for one number.

use std::collections::HashMap;
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
    /// How many numbers the account holds, as far as that is known, and with them those that are being bought.
    pub fn held_or_being_bought(&self) -> i64 {
        self.shared.held_or_being_bought()
    }

    /// What those purchases cost each month of which `is_counted` says that they are not counted elsewhere.
    pub fn being_spent(&self, is_counted: impl Fn(&E164) -> bool) -> Decimal {
        spent(&lock(&self.shared.purchases.0), is_counted)
    }

    /// Counts a purchase of `number` at `monthly` for `whom`, if `may` agrees to how many numbers the account then holds, and
    /// to what the purchases that are not counted elsewhere then cost. Whoever asks at the same time sees the other's.
    ///
    /// # Errors
    /// [`NotNow`]; nothing is counted then.
    pub fn spend(
        self: &Arc<Self>,
        number: &E164,
        whom: &str,
        monthly: Decimal,
        is_counted: impl Fn(&E164) -> bool,
        may: impl FnOnce(i64, Decimal) -> bool,
    ) -> Result<Spending, NotNow> {
        let now = self.clock.now();
        let inventory = &self.shared.inventory;
        let mut purchases = lock(&self.shared.purchases.0);
        purchases.retain(|number, purchase| {
            let is_seen = || inventory.has(number) && is_counted(number);
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
        let agreed = may(
            self.shared.counted(&purchases),
            spent(&purchases, is_counted),
        );
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
    /// As [`Account::held_or_being_bought`].
    pub(super) fn held_or_being_bought(&self) -> i64 {
        self.counted(&lock(&self.purchases.0))
    }

    fn counted(&self, purchases: &HashMap<E164, Purchase>) -> i64 {
        let inventory = &self.inventory;
        let unseen = purchases.keys().filter(|number| !inventory.has(number));
        i64::try_from(inventory.len() + unseen.count()).unwrap_or(i64::MAX)
    }
}

fn spent(purchases: &HashMap<E164, Purchase>, is_counted: impl Fn(&E164) -> bool) -> Decimal {
    let uncounted = purchases.iter().filter(|(number, _)| !is_counted(number));
    uncounted.map(|(_, purchase)| purchase.monthly).sum()
}
