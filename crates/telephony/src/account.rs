//! Provider accounts at run time: which credential opens which account, how many requests are under way in it, and what
//! was lately learned of it. Everything is kept by the *provider's* account id, since several credentials, in several
//! namespaces, may open one account. Knows no Kubernetes.

mod accounts;
mod balance;
mod cached;
mod credentials;
mod directory;
mod inventory;
mod listings;
mod looks;
mod messaging;
mod opening;
mod orders;
mod permits;
mod search;
mod services;
mod spending;
mod webhooks;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::{Clock, Instant};
use crate::flight::Flight;
use crate::number::{
    AccountId, Amount, Balance, Currency, E164, Kind, MessagingService, Price, Webhook,
};
use crate::panics::lock;
use crate::provider::{Error, Identity, LastUse, Period, ProviderApi, WebhookOwner};

pub use accounts::{Accounts, Endpoints, Known};
use cached::Cached;
pub use credentials::{Credentials, Fingerprint, MissingKey, api_key};
pub use directory::Directory;
use inventory::Inventory;
pub use inventory::{ListedNumber, Version, is_suspect};
pub use listings::fingerprint;
use looks::Looks;
use messaging::{MessagingFacts, MessagingQuestion};
use opening::Proof;
use orders::Orders;
use permits::Permits;
pub use permits::{Permit, Priority};
use search::Candidates;
pub use search::{Candidate, Found, Reservation, SEARCH_HOLDS};
use services::Services;
use spending::Purchases;
pub use spending::{BeginError, ClaimVisitor, OtherClaims, PendingPurchase, Usage};

/// How long an account is left alone after a 429 that does not say for how long.
const PAUSE_AFTER_429: Duration = Duration::from_secs(2);

/// What all credentials of one account share: the requests under way in it, and what it holds.
struct Shared {
    /// The ids that it has been known by: its own, and hashes of the keys that open it.
    names: Mutex<BTreeSet<AccountId>>,
    permits: Arc<Permits>,
    paused_until: Mutex<Option<Instant>>,
    inventory: Inventory,
    /// With whose credential the account was listed, and the outcome.
    listing: Flight<(Fingerprint, Result<(), Error>)>,
    services: Services,
    messaging: MessagingFacts,
    looks: Looks,
    orders: Orders,
    candidates: Candidates,
    prices: Cached<(String, Kind), Result<Option<Price>, Error>>,
    /// Those of the account that has taken this one over, once both have proved to be one.
    purchases: Mutex<Arc<Purchases>>,
    /// How long a purchase may be hidden, and so counts where nothing has shown it.
    visibility: Duration,
}

/// One provider account, opened by one credential.
pub struct Account {
    identity: Identity,
    credential: Fingerprint,
    provider_api: Arc<dyn ProviderApi>,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    proof: Mutex<Proof>,
    webhooks: Cached<(WebhookOwner, String), Result<Option<Webhook>, Error>>,
    services: Cached<(), Result<Arc<[MessagingService]>, Error>>,
    service_by_sid: Cached<String, Result<Option<MessagingService>, Error>>,
    balance: Flight<Result<Option<Balance>, Error>>,
    /// What purchases since the balance was read have cost at once.
    spent: Mutex<HashMap<Currency, Amount>>,
    member_looks: Cached<String, Result<(), Error>>,
    messaging_looks: Cached<MessagingQuestion, Result<(), Error>>,
    /// How old the last listing may be where limits are counted by it.
    interval: Duration,
}

impl Shared {
    fn names(&self) -> Vec<AccountId> {
        lock(&self.names).iter().cloned().collect()
    }
}

impl Account {
    /// Which account it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The ids that it has been known by: what was counted under one of them counts.
    pub fn names(&self) -> Vec<AccountId> {
        self.shared.names()
    }

    /// What the provider can do, for calls made under a [`Permit`].
    pub fn provider_api(&self) -> &dyn ProviderApi {
        self.provider_api.as_ref()
    }

    /// Waits for the right to have a request under way.
    ///
    /// # Errors
    /// [`Error::Throttled`] while the account is paused after a 429.
    pub async fn permit(&self, priority: Priority) -> Result<Permit, Error> {
        self.shared.permit(self.clock.as_ref(), priority).await
    }

    /// Makes one call of [`Account::provider_api`] under a permit of its own.
    ///
    /// # Errors
    /// Those of the call; a 429 pauses the account.
    pub async fn call<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let _permit = self.permit(Priority::Normal).await?;
        self.note_rate_limit(call.await)
    }

    /// The same for a call that gives a number back, or stops one from being bought: it goes first.
    ///
    /// # Errors
    /// As [`Account::call`].
    pub async fn call_urgent<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let _permit = self.permit(Priority::High).await?;
        self.note_rate_limit(call.await)
    }

    /// Pauses the account if `result` is a 429, doubts the credential if it was refused, and passes `result` on.
    ///
    /// # Errors
    /// Those in `result`.
    pub fn note_rate_limit<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        match &result {
            Err(Error::Throttled(pause)) => {
                let until = self.clock.now() + pause.unwrap_or(PAUSE_AFTER_429);
                let mut paused_until = lock(&self.shared.paused_until);
                *paused_until = (*paused_until).max(Some(until));
            }
            Err(Error::Unauthorized(_)) => lock(&self.proof).doubt(),
            _ => {}
        }
        result
    }

    /// What a number of this kind costs in a country, by the provider's price list, as read within a day; `None` if it has
    /// none or does not tell.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn price(&self, country: &str, kind: Kind) -> Result<Option<Price>, Error> {
        let key = (country.to_owned(), kind);
        let asked = self
            .shared
            .prices
            .get_or(
                key.clone(),
                self.call(self.provider_api.price(country, kind)),
            )
            .await;
        if asked.is_err() {
            self.shared.prices.forget(&key);
        }
        asked
    }

    /// When `number` was used last, as [`ProviderApi::last_use`] says.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn last_use(&self, number: &E164, period: Period) -> Result<LastUse, Error> {
        self.call(self.provider_api.last_use(number, period)).await
    }

    /// Lets at most `most` requests be under way from now on.
    pub fn limit_requests(&self, most: usize) {
        self.shared.permits.resize(most);
    }
}

impl Shared {
    /// Waits for the right to have a request under way.
    async fn permit(&self, clock: &dyn Clock, priority: Priority) -> Result<Permit, Error> {
        self.goes_on(clock.now())?;
        let permit = self.permits.acquire(priority).await;
        // A 429 may have come meanwhile.
        self.goes_on(clock.now())?;
        permit.ok_or(Error::WriteNotAllowed("the program ends"))
    }

    /// [`Error::Throttled`] while the account is paused after a 429.
    fn goes_on(&self, now: Instant) -> Result<(), Error> {
        match *lock(&self.paused_until) {
            Some(until) if until > now => Err(Error::Throttled(Some(until.since(now)))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
