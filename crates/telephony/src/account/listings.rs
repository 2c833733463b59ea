//! What an account holds: listings that many share, looks for one number, and what is known from either.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::Account;
use super::credentials::Fingerprint;
use super::inventory::{self, ListedNumber};
use super::permits::{Permit, Priority};
use crate::clock::Instant;
use crate::number::{E164, Holding, Mark, NumberId, Provider, Settings, Shown};
use crate::panics::lock;
use crate::provider::Error;

/// How often an account is listed in a row until two listings agree.
const MOST_LISTINGS: usize = 3;

/// How many numbers are asked for alone after a listing that has hidden what was known of them.
const MOST_LOOKS_BEHIND: usize = 50;

impl Account {
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
        let mut found = self.note_rate_limit(self.provider_api.find(number).await)?;
        if found.is_none()
            && let Some(known) = self.shared.inventory.by_number(number)
        {
            let fetched = self.note_rate_limit(self.provider_api.fetch(&known.id).await)?;
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
    pub(super) async fn list_again(&self) -> Result<(), Error> {
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
        marked.iter_mut().for_each(|held| self.complete(held));
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
        let found = self.note_rate_limit(self.provider_api.fetch(id).await)?;
        if found.is_none() {
            self.shared.inventory.gone(id, None);
        }
        Ok(found.map(|holding| self.saw(holding)))
    }

    /// `holding` with what is known of the number beside what its provider shows with it.
    pub(super) fn known(&self, holding: Option<Holding>) -> Option<Holding> {
        let mut holding = holding?;
        self.complete(&mut holding);
        Some(holding)
    }

    /// Puts the messaging service that the number was seen in, and what is registered for its messages, into `holding`.
    pub(super) fn complete(&self, holding: &mut Holding) {
        let services = &self.shared.services;
        services.put_into(holding);
        let all_are_seen = services.all_were_seen_since(self.stale_since());
        self.shared.messaging.put_into(holding, all_are_seen);
    }

    /// Lists the account, unless a listing that began at `not_before` or later is known or under way.
    ///
    /// # Errors
    /// Those of the provider; all callers that waited for the listing share them.
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
    pub(super) fn is_answered_by<T>(
        &self,
        credential: &Fingerprint,
        outcome: &Result<T, Error>,
    ) -> bool {
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
        self.complete(&mut holding);
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
    pub fn survey(&self) -> Vec<ListedNumber> {
        self.shared.inventory.survey()
    }

    /// Every number that the account is known to hold.
    pub fn holdings(&self) -> Vec<Holding> {
        self.shared.inventory.holdings()
    }

    /// How many calls a listing takes.
    pub(super) fn pages(&self) -> usize {
        let page = match self.provider_api.provider() {
            Provider::Twilio => 1000,
            Provider::Telnyx => 250,
        };
        self.shared.inventory.len() / page + 1
    }
}

/// Two listings of one account differ by more than what may come and go.
pub(super) fn disagreement() -> Error {
    Error::Unreadable("its listings do not agree on what the account holds".into())
}

/// A hash of everything that a provider shows of a number.
pub fn fingerprint(holding: &Holding) -> u64 {
    let mut hasher = DefaultHasher::new();
    holding.hash(&mut hasher);
    hasher.finish()
}
