//! What an account has left to spend, asked for when it is needed and not known well enough.

use std::time::Duration;

use super::Account;
use crate::number::{Amount, Balance, Price};
use crate::provider::Error;

/// How long a balance serves that is only shown, or that is enough.
const SERVES: Duration = Duration::from_secs(600);

/// How long a balance serves that is too little, or that could not be read: somebody may have paid.
const SHORTAGE_SERVES: Duration = Duration::from_secs(60);

impl Account {
    /// The balance as read within ten minutes; `None` if the provider does not tell it to this credential.
    ///
    /// # Errors
    /// Those of the provider, for a minute.
    pub async fn balance(&self) -> Result<Option<Balance>, Error> {
        self.balance_while(|_| true).await
    }

    /// The same, read within one minute if an older one does not leave `minimum` after a purchase at `price`.
    ///
    /// # Errors
    /// As [`Account::balance`].
    pub async fn balance_for(
        &self,
        price: Option<&Price>,
        minimum: Amount,
    ) -> Result<Option<Balance>, Error> {
        self.balance_while(|balance| balance.covers(price, minimum))
            .await
    }

    async fn balance_while(
        &self,
        is_enough: impl Fn(&Balance) -> bool,
    ) -> Result<Option<Balance>, Error> {
        let now = self.clock.now();
        let serves = |put, answer: &Result<Option<Balance>, Error>| {
            let lifetime = match answer {
                Ok(told) if told.as_ref().is_none_or(&is_enough) => SERVES,
                _ => SHORTAGE_SERVES,
            };
            now.since(put) < lifetime
        };
        let ask = |_| self.call(self.provider_api.balance());
        self.balance.last_or(self.clock.as_ref(), serves, ask).await
    }
}
