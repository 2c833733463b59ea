//! What an account has left to spend, asked for when it is needed and not known well enough.

use std::time::Duration;

use super::{Account, lock};
use crate::number::{Amount, Balance, Price};
use crate::provider::Error;

/// How long a balance serves that is only shown, or that is enough.
const SERVES: Duration = Duration::from_secs(600);

/// How long a balance serves that is too little, or that could not be read: somebody may have paid.
const SHORTAGE_SERVES: Duration = Duration::from_secs(60);

impl Account {
    /// The balance as read within ten minutes, less what was bought since; `None` if the provider does not tell it to this credential.
    /// It was read within one minute if it does not leave `minimum` after a purchase at `price`.
    ///
    /// # Errors
    /// Those of the provider, for a minute.
    pub async fn balance_for(
        &self,
        price: Option<&Price>,
        minimum: Amount,
    ) -> Result<Option<Balance>, Error> {
        let now = self.clock.now();
        let serves = |put, answer: &Result<Option<Balance>, Error>| {
            let is_enough = |told: &Balance| self.less_spent(told).covers(price, minimum);
            let lifetime = match answer {
                Ok(told) if told.as_ref().is_none_or(is_enough) => SERVES,
                _ => SHORTAGE_SERVES,
            };
            now.since(put) < lifetime
        };
        let ask = |_| async {
            let told = self.call(self.provider_api.balance()).await;
            lock(&self.spent).clear();
            told
        };
        let told = self
            .balance
            .last_or(self.clock.as_ref(), serves, ask)
            .await?;
        Ok(told.map(|told| self.less_spent(&told)))
    }

    /// Notes a purchase at `price`, which took place or may have: the balance that was read before it does not show it.
    pub fn spent(&self, price: &Price) {
        let mut spent = lock(&self.spent);
        let sum = spent.entry(price.currency.clone()).or_default();
        *sum = sum.plus(price.upfront).plus(price.monthly);
    }

    fn less_spent(&self, told: &Balance) -> Balance {
        let spent = lock(&self.spent).get(&told.currency).copied();
        Balance {
            left: told.left.less(spent.unwrap_or_default()),
            ..told.clone()
        }
    }
}
