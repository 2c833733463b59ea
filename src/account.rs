//! Provider accounts at run time: which credential opens which account, how many requests are under way in it, and what
//! was lately learned of it. Everything is kept by the *provider's* account id, since several credentials, in several
//! namespaces, may open one account. Knows no Kubernetes.

mod cached;
mod credentials;
mod directory;
mod looks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::{Clock, Instant};
use crate::number::{AccountId, E164, Holding};
use crate::provider::http::Client;
use crate::provider::telnyx::Telnyx;
use crate::provider::twilio::Twilio;
use crate::provider::{Error, Identity, PhoneCompany, Webhook};

use cached::Cached;
pub use credentials::{Credentials, Fingerprint, MissingKey, api_key};
pub use directory::Directory;
use looks::Looks;

/// How many requests may be under way in one account. Twilio limits concurrency
/// (<https://www.twilio.com/docs/errors/20429>), without a published number.
const MAX_CONCURRENT_REQUESTS: usize = 16;

/// How long an account is left alone after a 429 that does not say for how long.
const PAUSE_AFTER_429: Duration = Duration::from_secs(2);

/// Where the phone companies are. `None` is the company's own hosts.
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
    by_credential: Mutex<HashMap<Fingerprint, Arc<Slot>>>,
    by_id: Mutex<HashMap<AccountId, Arc<Traffic>>>,
}

struct Slot {
    company: Arc<dyn PhoneCompany>,
    opened: tokio::sync::Mutex<Option<(Instant, Arc<Account>)>>,
}

/// The requests under way in one account.
struct Traffic {
    permits: Arc<Semaphore>,
    paused_until: Mutex<Option<Instant>>,
}

/// The right to have one request under way.
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

/// One provider account, opened by one credential.
pub struct Account {
    identity: Identity,
    company: Arc<dyn PhoneCompany>,
    traffic: Arc<Traffic>,
    clock: Arc<dyn Clock>,
    looks: Looks,
    connections: Cached<String, Result<Option<Webhook>, Error>>,
    profiles: Cached<String, Result<Option<Webhook>, Error>>,
}

impl Accounts {
    /// Accounts reached through `client`, whose identity is proved anew after each `interval`.
    pub fn new(
        client: Client,
        endpoints: Endpoints,
        clock: Arc<dyn Clock>,
        interval: Duration,
    ) -> Self {
        Self {
            client,
            endpoints,
            clock,
            interval,
            by_credential: Mutex::default(),
            by_id: Mutex::default(),
        }
    }

    /// The account that `credentials` open, proved not longer ago than the interval.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if they open none. An account that was proved before is returned even if the provider is
    /// not available now: what is asked of it next will tell.
    pub async fn open(&self, credentials: &Credentials) -> Result<Arc<Account>, Error> {
        let slot = self.slot(credentials);
        let mut opened = slot.opened.lock().await;
        if let Some((at, account)) = opened.as_ref()
            && self.clock.now().since(*at) < self.interval
        {
            return Ok(Arc::clone(account));
        }
        match slot.company.identify().await {
            Ok(identity) => {
                let account = match opened.take() {
                    Some((_, account)) if account.identity == identity => account,
                    _ => Arc::new(self.account(identity, Arc::clone(&slot.company))),
                };
                *opened = Some((self.clock.now(), Arc::clone(&account)));
                Ok(account)
            }
            Err(error @ (Error::Unauthorized(_) | Error::Refused(_))) => {
                *opened = None;
                Err(error)
            }
            Err(error) => opened
                .as_ref()
                .map(|(_, account)| Arc::clone(account))
                .ok_or(error),
        }
    }

    /// Forgets how `credentials` fared, so that they are tried anew.
    pub fn forget(&self, credentials: &Credentials) {
        lock(&self.by_credential).remove(&credentials.fingerprint());
    }

    fn slot(&self, credentials: &Credentials) -> Arc<Slot> {
        let company = || -> Arc<dyn PhoneCompany> {
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
        let mut slots = lock(&self.by_credential);
        let slot = slots.entry(credentials.fingerprint()).or_insert_with(|| {
            Arc::new(Slot {
                company: company(),
                opened: tokio::sync::Mutex::default(),
            })
        });
        Arc::clone(slot)
    }

    /// An account that was known by a hash of its key goes on under its own id once that is known.
    fn account(&self, identity: Identity, company: Arc<dyn PhoneCompany>) -> Account {
        let mut by_id = lock(&self.by_id);
        let known = by_id
            .get(&identity.account)
            .or_else(|| identity.alias.as_ref().and_then(|alias| by_id.get(alias)))
            .cloned();
        let traffic = known.unwrap_or_else(|| {
            Arc::new(Traffic {
                permits: Arc::new(Semaphore::new(MAX_CONCURRENT_REQUESTS)),
                paused_until: Mutex::default(),
            })
        });
        by_id.insert(identity.account.clone(), Arc::clone(&traffic));
        // Slightly less than the interval, so that whoever asks once an interval gets a fresh answer.
        let lifetime = self.interval.mul_f64(0.9);
        Account {
            identity,
            company,
            traffic,
            clock: Arc::clone(&self.clock),
            looks: Looks::default(),
            connections: Cached::new(Arc::clone(&self.clock), lifetime),
            profiles: Cached::new(Arc::clone(&self.clock), lifetime),
        }
    }
}

impl Account {
    /// Which account it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the company can do, for calls made under a [`Permit`].
    pub fn company(&self) -> &dyn PhoneCompany {
        self.company.as_ref()
    }

    /// Waits for the right to have a request under way.
    ///
    /// # Errors
    /// [`Error::Throttled`] while the account is paused after a 429.
    pub async fn permit(&self) -> Result<Permit, Error> {
        let now = self.clock.now();
        if let Some(until) = *lock(&self.traffic.paused_until)
            && until > now
        {
            return Err(Error::Throttled(Some(until.since(now))));
        }
        let permit = Arc::clone(&self.traffic.permits).acquire_owned().await;
        permit
            .map(|permit| Permit { _permit: permit })
            .map_err(|_| Error::Shut("the program ends"))
    }

    /// Makes one call of `company` under a permit of its own.
    ///
    /// # Errors
    /// Those of the call; a 429 pauses the account.
    pub async fn call<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let _permit = self.permit().await?;
        self.heed(call.await)
    }

    /// Pauses the account if `result` is a 429, and passes it on.
    ///
    /// # Errors
    /// Those in `result`.
    pub fn heed<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::Throttled(pause)) = &result {
            *lock(&self.traffic.paused_until) =
                Some(self.clock.now() + pause.unwrap_or(PAUSE_AFTER_429));
        }
        result
    }

    /// Looks for `number`, now: alone, or by one listing that many waiting looks share.
    ///
    /// # Errors
    /// Those of the provider. Nothing may be concluded from an error.
    pub async fn look(
        self: &Arc<Self>,
        number: &E164,
        messaging_service: Option<&str>,
    ) -> Result<Option<Holding>, Error> {
        match messaging_service {
            Some(service) => self.call(self.company.find(number, Some(service))).await,
            None => self.looks.look(self, number).await,
        }
    }

    /// The connection `id`, as seen not longer ago than the interval. With `managed`, its webhook is set to that URL
    /// first if it differs.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn connection(
        &self,
        id: &str,
        managed: Option<&str>,
    ) -> Result<Option<Webhook>, Error> {
        let check = async {
            let found = self.call(self.company.connection(id)).await?;
            match (managed, found) {
                (Some(url), Some(found)) if found.url.as_deref() != Some(url) => {
                    self.call(self.company.set_connection_webhook(id, url))
                        .await?;
                    self.call(self.company.connection(id)).await
                }
                (_, found) => Ok(found),
            }
        };
        self.connections
            .get_or(format!("{id} {}", managed.unwrap_or_default()), check)
            .await
    }

    /// The messaging profile `id`, in the same way.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn messaging_profile(
        &self,
        id: &str,
        managed: Option<&str>,
    ) -> Result<Option<Webhook>, Error> {
        let check = async {
            let found = self.call(self.company.messaging_profile(id)).await?;
            match (managed, found) {
                (Some(url), Some(found)) if found.url.as_deref() != Some(url) => {
                    self.call(self.company.set_messaging_profile_webhook(id, url))
                        .await?;
                    self.call(self.company.messaging_profile(id)).await
                }
                (_, found) => Ok(found),
            }
        };
        self.profiles
            .get_or(format!("{id} {}", managed.unwrap_or_default()), check)
            .await
    }
}

/// A lock whose holder panicked holds values that are still whole: they are only ever replaced.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
