//! Every account that a credential in use opens, and which credentials open the same one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::cached::Cached;
use super::credentials::{Credentials, Fingerprint};
use super::inventory::Inventory;
use super::looks::Looks;
use super::messaging::MessagingFacts;
use super::opening::{Opening, Proof};
use super::orders::Orders;
use super::permits::{Permits, Priority};
use super::search::Candidates;
use super::services::Services;
use super::{Account, Shared};
use crate::clock::{Clock, Instant};
use crate::flight::Flight;
use crate::number::AccountId;
use crate::panics::lock;
use crate::provider::http::Client;
use crate::provider::telnyx::Telnyx;
use crate::provider::twilio::Twilio;
use crate::provider::{Error, Identity, ProviderApi};

/// How many requests may be under way in one account that sets no limit. Twilio limits concurrency
/// (<https://www.twilio.com/docs/errors/20429>), without a published number.
const MAX_CONCURRENT_REQUESTS: usize = 16;

/// How long prices are kept.
const PRICES_HOLD: Duration = Duration::from_secs(24 * 3600);

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
    pub(super) by_credential: Mutex<HashMap<Fingerprint, Arc<Opening>>>,
    pub(super) by_id: Mutex<HashMap<AccountId, Arc<Shared>>>,
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

    pub(super) fn opening(&self, credentials: &Credentials) -> Arc<Opening> {
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
    pub(super) fn account(
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
                messaging: MessagingFacts::default(),
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
        // Slightly less than the interval, so that a caller that asks once an interval gets a fresh answer.
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
            balance: Flight::default(),
            spent: Mutex::default(),
            messaging_looks: Cached::new(Arc::clone(&self.clock), lifetime),
            service_by_sid: Cached::new(Arc::clone(&self.clock), lifetime),
            member_looks: Cached::new(Arc::clone(&self.clock), lifetime),
            interval: self.interval,
        }
    }
}
