//! Provider accounts at run time: which credential opens which account, how many requests are under way in it, and what
//! was lately learned of it. Everything is kept by the *provider's* account id, since several credentials, in several
//! namespaces, may open one account. Knows no Kubernetes.

mod cached;
mod credentials;
mod directory;
mod inventory;
mod looks;
mod opening;
mod orders;
mod permits;
mod search;
mod services;
mod spending;
mod webhooks;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::{Clock, Instant};
use crate::flight::Flight;
use crate::number::{
    AccountId, E164, Holding, Kind, Mark, MessagingService, NumberId, Price, Provider, Settings,
    Shown,
};
use crate::panics::lock;
use crate::provider::http::Client;
use crate::provider::telnyx::Telnyx;
use crate::provider::twilio::Twilio;
use crate::provider::{Error, Identity, ProviderApi, Webhook, WebhookOwner};

use cached::Cached;
pub use credentials::{Credentials, Fingerprint, MissingKey, api_key};
pub use directory::Directory;
use inventory::Inventory;
pub use inventory::{Surveyed, Version, is_suspect};
use looks::Looks;
use opening::{Opening, Proof};
use orders::Orders;
use permits::Permits;
pub use permits::{Permit, Priority};
use search::Candidates;
pub use search::{Candidate, Found, Reservation, SEARCH_HOLDS};
use services::Services;
use spending::Purchases;
pub use spending::{Asker, BeginError, PendingPurchase, Told, Usage};

/// How many requests may be under way in one account that sets no limit. Twilio limits concurrency
/// (<https://www.twilio.com/docs/errors/20429>), without a published number.
const MAX_CONCURRENT_REQUESTS: usize = 16;

/// How long prices are kept.
const PRICES_HOLD: Duration = Duration::from_secs(24 * 3600);

/// How long an account is left alone after a 429 that does not say for how long.
const PAUSE_AFTER_429: Duration = Duration::from_secs(2);

/// How often an account is listed in a row until two listings agree.
const MOST_LISTINGS: usize = 3;
/// How many numbers are asked for alone after a listing that has hidden what was known of them.
const MOST_LOOKS_BEHIND: usize = 50;

/// Where the providers are. `None` is the provider's own hosts.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    /// Instead of every Twilio host.
    pub twilio: Option<url::Url>,
    /// Instead of the Telnyx host.
    pub telnyx: Option<url::Url>,
}

/// Every account that a credential in use opens.
pub struct Accounts {
    client: Client,
    endpoints: Endpoints,
    clock: Arc<dyn Clock>,
    interval: Duration,
    visibility: Duration,
    by_credential: Mutex<HashMap<Fingerprint, Arc<Opening>>>,
    by_id: Mutex<HashMap<AccountId, Arc<Shared>>>,
}

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
    looks: Looks,
    orders: Orders,
    candidates: Candidates,
    prices: Cached<(String, Kind), Result<Option<Price>, Error>>,
    /// Those of the account that has taken this one over, once both have proved to be one.
    purchases: Mutex<Arc<Purchases>>,
    /// How long a purchase may be hidden, and so counts where nothing has shown it.
    visibility: Duration,
}

/// What is known of an account without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The ids that it has been known by.
    pub names: Vec<AccountId>,
    /// When the last listing that worked began.
    pub listed: Option<Instant>,
    /// How many numbers it holds, and with them those that are being bought.
    pub numbers: i64,
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
    member_looks: Cached<String, Result<(), Error>>,
    /// How old the last listing may be where limits are counted by it.
    interval: Duration,
}

impl Accounts {
    /// Accounts reached through `client`, which are listed after each `interval`. What is bought is listed within `visibility`.
    pub fn new(
        client: Client,
        endpoints: Endpoints,
        clock: Arc<dyn Clock>,
        interval: Duration,
        visibility: Duration,
    ) -> Self {
        Self {
            client,
            endpoints,
            clock,
            interval,
            visibility,
            by_credential: Mutex::default(),
            by_id: Mutex::default(),
        }
    }

    /// The account that `credentials` open, proved not longer ago than one and a half intervals: a listing may prove it.
    /// All that use one credential share the request and its outcome. A refusal stands for an interval.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if they open none. An account that was proved before is returned even if the provider is
    /// not available now: what is asked of it next will tell.
    pub async fn open(&self, credentials: &Credentials) -> Result<Arc<Account>, Error> {
        let opening = self.opening(credentials);
        let provider_api = &opening.provider_api;
        let identify = |known: Option<Arc<Account>>| async move {
            match (known, self.named_by(credentials)) {
                (Some(account), _) => account.call(provider_api.identify()).await,
                // Nothing proves yet that the credential belongs to this account: its answers pause nobody else.
                (None, Some(shared)) => {
                    let _permit = shared.permit(self.clock.as_ref(), Priority::Normal).await?;
                    provider_api.identify().await
                }
                (None, None) => provider_api.identify().await,
            }
        };
        let account = |identity| {
            let credential = credentials.fingerprint();
            self.account(identity, credential, Arc::clone(provider_api))
        };
        opening
            .open(self.clock.as_ref(), self.interval, identify, account)
            .await
    }

    /// Lets the credential with this fingerprint be tried at once, however it fared: its Secret was written.
    pub fn try_again(&self, credential: &Fingerprint) {
        if let Some(opening) = lock(&self.by_credential).get(credential) {
            opening.forget_failure();
        }
    }

    /// Forgets every credential that is not `in_use`, and what is known of accounts that no credential opens and of which
    /// `is_known` knows no id. Where a purchase counts that may not be listed yet, that is remembered until it is settled.
    pub fn keep_only(&self, in_use: &HashSet<Fingerprint>, is_known: impl Fn(&AccountId) -> bool) {
        lock(&self.by_credential).retain(|credential, _| in_use.contains(credential));
        let now = self.clock.now();
        let mut by_id = lock(&self.by_id);
        let mut names: HashMap<*const Shared, usize> = HashMap::new();
        for shared in by_id.values() {
            let count = names.entry(Arc::as_ptr(shared)).or_default();
            *count = count.saturating_add(1);
        }
        by_id.retain(|_, shared| {
            let is_opened = names.get(&Arc::as_ptr(shared)) < Some(&Arc::strong_count(shared));
            is_opened || shared.names().iter().any(&is_known) || shared.counts_purchases(now)
        });
    }

    /// The account that a credential names, if it is known: Twilio's hold its id.
    fn named_by(&self, credentials: &Credentials) -> Option<Arc<Shared>> {
        match credentials {
            Credentials::Twilio(credentials) => {
                let id = AccountId::new(credentials.account_sid.as_str());
                lock(&self.by_id).get(&id).map(Arc::clone)
            }
            Credentials::Telnyx(_) => None,
        }
    }

    /// What is known of the account with this id at the provider, if it was opened.
    pub fn known(&self, id: &AccountId) -> Option<Known> {
        let shared = lock(&self.by_id).get(id).map(Arc::clone)?;
        Some(Known {
            names: shared.names(),
            listed: shared.inventory.listed(),
            numbers: shared.held_or_being_bought(self.clock.now()),
        })
    }

    fn opening(&self, credentials: &Credentials) -> Arc<Opening> {
        let provider_api = || -> Arc<dyn ProviderApi> {
            match credentials {
                Credentials::Twilio(credentials) => Arc::new(Twilio::new(
                    self.client.clone(),
                    credentials.clone(),
                    self.endpoints.twilio.clone(),
                )),
                Credentials::Telnyx(key) => Arc::new(Telnyx::new(
                    self.client.clone(),
                    key.clone(),
                    self.endpoints.telnyx.clone(),
                )),
            }
        };
        let mut openings = lock(&self.by_credential);
        let opening = openings
            .entry(credentials.fingerprint())
            .or_insert_with(|| Arc::new(Opening::new(provider_api())));
        Arc::clone(opening)
    }

    /// An account that was known by a hash of its key goes on under its own id once that is known.
    fn account(
        &self,
        identity: Identity,
        credential: Fingerprint,
        provider_api: Arc<dyn ProviderApi>,
    ) -> Account {
        let mut by_id = lock(&self.by_id);
        let by_alias = identity.alias.as_ref().and_then(|alias| by_id.get(alias));
        let by_alias = by_alias.cloned();
        let known = by_id.get(&identity.account).cloned();
        // Two keys may prove to open one account only after both have bought.
        if let (Some(known), Some(other)) = (&known, &by_alias)
            && !Arc::ptr_eq(known, other)
        {
            known.takes_over(other);
        }
        let shared = known.or(by_alias).unwrap_or_else(|| {
            Arc::new(Shared {
                names: Mutex::default(),
                permits: Permits::new(MAX_CONCURRENT_REQUESTS),
                paused_until: Mutex::default(),
                inventory: Inventory::default(),
                listing: Flight::default(),
                services: Services::default(),
                looks: Looks::default(),
                orders: Orders::default(),
                candidates: Candidates::default(),
                prices: Cached::new(Arc::clone(&self.clock), PRICES_HOLD),
                purchases: Mutex::default(),
                visibility: self.visibility,
            })
        });
        let ids = [Some(&identity.account), identity.alias.as_ref()];
        for id in ids.into_iter().flatten() {
            by_id.insert(id.clone(), Arc::clone(&shared));
            lock(&shared.names).insert(id.clone());
        }
        // Slightly less than the interval, so that whoever asks once an interval gets a fresh answer.
        let lifetime = self.interval.mul_f64(0.9);
        Account {
            identity,
            credential,
            provider_api,
            shared,
            clock: Arc::clone(&self.clock),
            proof: Mutex::new(Proof::new(self.clock.now())),
            webhooks: Cached::new(Arc::clone(&self.clock), lifetime),
            services: Cached::new(Arc::clone(&self.clock), lifetime),
            service_by_sid: Cached::new(Arc::clone(&self.clock), lifetime),
            member_looks: Cached::new(Arc::clone(&self.clock), lifetime),
            interval: self.interval,
        }
    }
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
        self.heed(call.await)
    }

    /// The same for a call that gives a number back, or stops one from being bought: it goes first.
    ///
    /// # Errors
    /// As [`Account::call`].
    pub async fn call_first<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let _permit = self.permit(Priority::High).await?;
        self.heed(call.await)
    }

    /// Pauses the account if `result` is a 429, doubts the credential if it was refused, and passes `result` on.
    ///
    /// # Errors
    /// Those in `result`.
    pub fn heed<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
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

    /// Looks for `number`: in what is known if that was asked for at `not_before` or later, else alone, or by one
    /// listing that many waiting looks share.
    ///
    /// # Errors
    /// Those of the provider. Nothing may be concluded from an error.
    pub async fn look(
        self: &Arc<Self>,
        number: &E164,
        not_before: Instant,
    ) -> Result<Option<Holding>, Error> {
        let inventory = &self.shared.inventory;
        if inventory
            .listed()
            .is_some_and(|listed| listed >= not_before)
        {
            return Ok(self.known(inventory.by_number(number)));
        }
        self.look_in_a_round(number).await
    }

    /// Asks for `number` alone, now.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn find(&self, number: &E164) -> Result<Option<Holding>, Error> {
        let permit = self.permit(Priority::Normal).await?;
        self.find_under(&permit, number).await
    }

    /// The same, under a permit that the caller has. A number that a listing has shown and this does not is asked for by its
    /// id.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn find_under(&self, _: &Permit, number: &E164) -> Result<Option<Holding>, Error> {
        let mut found = self.heed(self.provider_api.find(number).await)?;
        if found.is_none()
            && let Some(known) = self.shared.inventory.by_number(number)
        {
            let fetched = self.heed(self.provider_api.fetch(&known.id).await)?;
            if fetched.is_none() {
                self.shared.inventory.gone(&known.id, None);
            }
            found = fetched.filter(|holding| holding.number == *number);
        }
        Ok(found.map(|holding| self.saw(holding)))
    }

    /// The numbers that carry `mark`, oldest first, in a listing that began at `not_before` or later. None is an answer only
    /// where an earlier listing agrees, also on the numbers of resources of the same name in other installations.
    ///
    /// # Errors
    /// Those of the provider; [`Error::Unreadable`] if its listings do not agree.
    pub async fn marked(&self, mark: &Mark, not_before: Instant) -> Result<Vec<Holding>, Error> {
        self.list(not_before).await?;
        let inventory = &self.shared.inventory;
        for _ in 0..MOST_LISTINGS {
            let found = self.known_marked(mark);
            if !found.is_empty() || inventory.lacks(|it| inventory::is_of_name(it, mark)) {
                return Ok(found);
            }
            self.list_again().await?;
        }
        Err(disagreement())
    }

    /// A number that carries the mark of a resource of the same name in another installation. One that a single listing lacks
    /// is still there.
    pub fn namesake(&self, mark: &Mark) -> Option<Holding> {
        self.shared.inventory.by_namesake(mark)
    }

    /// True if the account was known before `at` to hold a number with this id.
    pub fn was_known(&self, id: &NumberId, at: Instant) -> bool {
        self.shared.inventory.was_known(id, at)
    }

    /// Lists the account by a listing that begins after the last one that worked has ended.
    async fn list_again(&self) -> Result<(), Error> {
        let ended = self.shared.inventory.ended();
        self.list(ended.unwrap_or_else(|| self.clock.now())).await
    }

    /// Lists the account until two listings have shown how many numbers it holds: one alone may be wrong. The last one is not
    /// older than an interval, also where this process stood still meanwhile.
    ///
    /// # Errors
    /// Those of the provider; [`Error::Unreadable`] if its listings cannot be relied on.
    pub async fn count(&self) -> Result<(), Error> {
        self.list(self.clock.now().before(self.interval)).await?;
        for _ in 0..MOST_LISTINGS {
            if self.shared.inventory.is_counted() {
                return Ok(());
            }
            self.list_again().await?;
        }
        let is_counted = self.shared.inventory.is_counted();
        is_counted.then_some(()).ok_or_else(disagreement)
    }

    /// Lists the account once more if a number counts as held that the last listing lacks: the next one decides.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn count_again(&self) -> Result<(), Error> {
        if self.shared.inventory.has_vanished() {
            self.list_again().await?;
        }
        Ok(())
    }

    /// The numbers that are known to carry `mark`, however long ago that was seen.
    pub fn known_marked(&self, mark: &Mark) -> Vec<Holding> {
        let mut marked = self.shared.inventory.by_mark(mark);
        let services = &self.shared.services;
        marked.iter_mut().for_each(|held| services.put_into(held));
        marked
    }

    /// The number with this id: as it is known, if that was asked for at `not_before` or later, else asked for now.
    /// Absence is never concluded from a listing.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn held(
        &self,
        id: &NumberId,
        not_before: Option<Instant>,
    ) -> Result<Option<Holding>, Error> {
        let inventory = &self.shared.inventory;
        if let Some(not_before) = not_before {
            self.list(not_before).await?;
            if let Some(holding) = self.known(inventory.by_id(id)) {
                return Ok(Some(holding));
            }
        }
        let permit = self.permit(Priority::Normal).await?;
        self.held_now(&permit, id).await
    }

    /// The number with this id, asked for now under a permit that is at hand.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn held_now(
        &self,
        _permit: &Permit,
        id: &NumberId,
    ) -> Result<Option<Holding>, Error> {
        let found = self.heed(self.provider_api.fetch(id).await)?;
        if found.is_none() {
            self.shared.inventory.gone(id, None);
        }
        Ok(found.map(|holding| self.saw(holding)))
    }

    /// `holding` with the messaging service that the number was seen in.
    fn known(&self, holding: Option<Holding>) -> Option<Holding> {
        let mut holding = holding?;
        self.shared.services.put_into(&mut holding);
        Some(holding)
    }

    /// Lists the account, unless a listing that began at `not_before` or later is known or under way.
    ///
    /// # Errors
    /// Those of the provider; whoever waited for the listing shares them.
    pub async fn list(&self, not_before: Instant) -> Result<(), Error> {
        let inventory = &self.shared.inventory;
        if inventory
            .listed()
            .is_some_and(|listed| listed >= not_before)
        {
            return Ok(());
        }
        // A failure serves as long as a success: what is down is listed no more often than what is up.
        let serves = |begun, (credential, outcome): &(Fingerprint, Result<(), Error>)| {
            begun >= not_before && self.is_answered_by(credential, outcome)
        };
        let list = |begun| async move { (self.credential.clone(), self.list_now(begun).await) };
        let listing = &self.shared.listing;
        let (_, outcome) = listing.last_or(self.clock.as_ref(), serves, list).await;
        outcome
    }

    /// True if what was answered to a request with `credential` is an answer to this account's too: what one credential may not
    /// do says nothing of others.
    fn is_answered_by<T>(&self, credential: &Fingerprint, outcome: &Result<T, Error>) -> bool {
        let is_refused = matches!(outcome, Err(Error::Unauthorized(_) | Error::Refused(_)));
        !is_refused || *credential == self.credential
    }

    async fn list_now(&self, begun: Instant) -> Result<(), Error> {
        let inventory = &self.shared.inventory;
        let listing = self.call(self.provider_api.list()).await?;
        // Every page of a Twilio listing names the account, and the adapter has compared them.
        if self.provider_api.provider() == Provider::Twilio {
            lock(&self.proof).renew(begun);
        }
        self.shared.saw_listed(begun, &listing.holdings);
        let hidden = inventory.install(begun, self.clock.now(), listing);
        self.look_behind(&hidden).await;
        Ok(())
    }

    /// Asks alone for numbers whose messaging profile the last listing has hidden, until one shows that it still has its
    /// own: the listing was incomplete then. The others are as they were before it.
    async fn look_behind(&self, hidden: &[NumberId]) {
        for id in hidden.iter().take(MOST_LOOKS_BEHIND) {
            let Ok(Some(found)) = self.call(self.provider_api.fetch(id)).await else {
                return;
            };
            let is_shown = match &found.settings {
                Settings::Telnyx(settings) => {
                    matches!(settings.messaging_profile_id, Shown::Known(Some(_)))
                }
                Settings::Twilio(_) => true,
            };
            self.saw(found);
            if is_shown {
                return;
            }
        }
    }

    /// When the last listing that worked began.
    pub fn listed(&self) -> Option<Instant> {
        self.shared.inventory.listed()
    }

    /// Notes what a call has just shown of a number, and returns it with the messaging service that it was seen in.
    pub fn saw(&self, mut holding: Holding) -> Holding {
        let now = self.clock.now();
        let services = &self.shared.services;
        if let Settings::Twilio(settings) = &mut holding.settings
            && let Some(service) = settings.messaging_service.take()
        {
            services.attached(&holding.id, &service.sid, now);
        }
        self.shared.inventory.saw(&holding, now);
        services.put_into(&mut holding);
        holding
    }

    /// Notes that the number with this id was released now.
    pub fn released(&self, id: &NumberId) {
        let inventory = &self.shared.inventory;
        if let Some(holding) = inventory.by_id(id) {
            self.shared.forget_purchase(&holding.number);
        }
        self.shared.services.gone(id);
        inventory.gone(id, Some(self.clock.now()));
    }

    /// A hash of everything that is known of the number with this id; `None` if it is not known.
    pub fn fingerprint(&self, id: &NumberId) -> Option<u64> {
        let known = self.known(self.shared.inventory.by_id(id));
        known.map(|holding| fingerprint(&holding))
    }

    /// Everything that the account is known to hold.
    pub fn survey(&self) -> Vec<Surveyed> {
        self.shared.inventory.survey()
    }

    /// Every number that the account is known to hold.
    pub fn holdings(&self) -> Vec<Holding> {
        self.shared.inventory.holdings()
    }

    /// How many calls a listing takes.
    fn pages(&self) -> usize {
        let page = match self.provider_api.provider() {
            Provider::Twilio => 1000,
            Provider::Telnyx => 250,
        };
        self.shared.inventory.len() / page + 1
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

/// Two listings of one account differ by more than what may come and go.
fn disagreement() -> Error {
    Error::Unreadable("its listings do not agree on what the account holds".into())
}

/// A hash of everything that a provider shows of a number.
pub fn fingerprint(holding: &Holding) -> u64 {
    let mut hasher = DefaultHasher::new();
    holding.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
