//! What is known of one credential: which account it opens, or why it opens none. Many resources use one credential, and
//! one request serves all of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Account, PAUSE_AFTER_429, lock};
use crate::clock::{Clock, Instant};
use crate::flight::Flight;
use crate::provider::{Error, Identity, ProviderApi};

/// For how many intervals an account counts as opened after that was proved.
const PROVED_FOR: f64 = 1.5;

/// The first and the longest pause after an identification that came to no verdict.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A credential, and what asking about it came to.
pub(super) struct Opening {
    pub(super) provider_api: Arc<dyn ProviderApi>,
    flight: Flight<Result<Arc<Account>, Error>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    opened: Option<Arc<Account>>,
    /// Why the last identification failed, and until when there is no other.
    failed: Option<(Instant, Error)>,
    /// How many in a row came to no verdict.
    failures: u32,
}

/// When a credential was last proved to open its account, and whether a call has been refused since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Proof {
    at: Instant,
    doubted: bool,
    /// True if the credential opened the account in spite of a refusal: it lacks single rights.
    confirmed: bool,
}

impl Proof {
    pub(super) fn new(at: Instant) -> Self {
        Self {
            at,
            doubted: false,
            confirmed: false,
        }
    }

    /// A call at `at` has shown the account.
    pub(super) fn renew(&mut self, at: Instant) {
        self.at = self.at.max(at);
    }

    /// A call was refused for want of a right.
    pub(super) fn doubt(&mut self) {
        self.doubted = true;
    }

    fn stands(&self, now: Instant, interval: Duration) -> bool {
        now.since(self.at) < interval.mul_f64(PROVED_FOR) && (!self.doubted || self.confirmed)
    }
}

impl Opening {
    pub(super) fn new(provider_api: Arc<dyn ProviderApi>) -> Self {
        Self {
            provider_api,
            flight: Flight::default(),
            state: Mutex::default(),
        }
    }

    /// The account, as it is known or as `identify` shows it. `account` makes it of an identity.
    pub(super) async fn open<F>(
        &self,
        clock: &dyn Clock,
        interval: Duration,
        identify: impl FnOnce(Option<Arc<Account>>) -> F,
        account: impl FnOnce(Identity) -> Account,
    ) -> Result<Arc<Account>, Error>
    where
        F: Future<Output = Result<Identity, Error>>,
    {
        if let Some(known) = self.known(clock.now(), interval) {
            return known;
        }
        let ask = |_| async {
            // It may have become known just before this question.
            if let Some(known) = self.known(clock.now(), interval) {
                return known;
            }
            let before = lock(&self.state).opened.clone();
            let identified = identify(before).await;
            self.judge(identified, clock.now(), interval, account)
        };
        self.flight.join(clock, ask).await
    }

    /// Lets the next caller ask, however the last identification ended.
    pub(super) fn forget_failure(&self) {
        let mut state = lock(&self.state);
        state.failed = None;
        state.failures = 0;
    }

    /// What needs no request: an account that was proved lately, or the verdict that stands.
    fn known(&self, now: Instant, interval: Duration) -> Option<Result<Arc<Account>, Error>> {
        let state = lock(&self.state);
        if let Some(account) = &state.opened
            && lock(&account.proof).stands(now, interval)
        {
            return Some(Ok(Arc::clone(account)));
        }
        let (until, error) = state.failed.as_ref()?;
        (now < *until).then(|| match &state.opened {
            // What is asked of it next shows whether it still is.
            Some(account) => Ok(Arc::clone(account)),
            None => Err(error.clone()),
        })
    }

    fn judge(
        &self,
        identified: Result<Identity, Error>,
        now: Instant,
        interval: Duration,
        account: impl FnOnce(Identity) -> Account,
    ) -> Result<Arc<Account>, Error> {
        let mut state = lock(&self.state);
        let error = match identified {
            Ok(identity) => {
                let known = state.opened.take();
                let account = known
                    .filter(|known| known.identity == identity || known.identity.covers(&identity))
                    .unwrap_or_else(|| Arc::new(account(identity)));
                {
                    let mut proof = lock(&account.proof);
                    let confirmed = proof.doubted;
                    *proof = Proof {
                        confirmed,
                        ..Proof::new(now)
                    };
                }
                *state = State {
                    opened: Some(Arc::clone(&account)),
                    ..State::default()
                };
                return Ok(account);
            }
            Err(error) => error,
        };
        let pause = match &error {
            Error::Unauthorized(_) | Error::Refused(_) => {
                state.opened = None;
                state.failures = 0;
                interval
            }
            Error::Throttled(pause) => pause.unwrap_or(PAUSE_AFTER_429),
            Error::Unavailable(_)
            | Error::NotSent(_)
            | Error::Unreadable(_)
            | Error::WriteNotAllowed(_)
            | Error::Overtaken(_)
            | Error::Invariant(_) => {
                let (first, longest) = PAUSES;
                let doublings = state.failures.min(16);
                state.failures = state.failures.saturating_add(1);
                first.saturating_mul(1 << doublings).min(longest)
            }
        };
        state.failed = Some((now + pause, error.clone()));
        state.opened.clone().ok_or(error)
    }
}
