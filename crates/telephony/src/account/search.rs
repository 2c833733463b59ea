//! Candidates: numbers on sale that searches have shown, each given to one reconcile at a time.
//!
//! A page is taken for what a provider shows of its stock, never for the stock: about 30 rows, perhaps always the same ones
//! until they are sold. A page that is used up is asked for again; nothing is on sale only if an answer has no fitting row.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use super::{Account, Shared, lock};
use crate::clock::Instant;
use crate::number::{E164, Offer, Price, Search};
use crate::provider::Error;
use crate::random::Random;
use crate::safeguards::{Safeguard, is_enabled};

/// How long what a search has shown may be bought without looking again.
pub const SEARCH_HOLDS: Duration = Duration::from_secs(10);

/// How long an answer without a candidate stands for all that want the same.
const NEWS: Duration = Duration::from_secs(1);

/// How long a page that was given out is not asked for again while most of it is still being bought.
const PACE: Duration = Duration::from_secs(1);

/// How long a reconcile waits for candidates. It has a turn of its account, which others wait for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a number that a purchase was sent for is not given out again by this process: the provider may go on showing it.
const TRIED_FOR: Duration = Duration::from_secs(600);

/// What a search came to.
pub enum Found {
    /// This number.
    Candidate(Candidate),
    /// The provider shows nothing that is as wanted.
    Nothing,
    /// Everything that was found is being bought for others, or a purchase of it was sent a short time ago.
    AllTaken,
    /// Everything that is left costs too much; the lowest price.
    TooDear(Price),
}

/// A number that no other reconcile is given while this is kept.
pub struct Candidate {
    /// The number, with its price if the search tells it.
    pub offer: Offer,
    /// When the search began that showed it.
    pub asked: Instant,
    /// What keeps it from others.
    pub reservation: Reservation,
}

/// Keeps a number from other reconciles until this is dropped, or for [`TRIED_FOR`] if a purchase of it was sent.
pub struct Reservation {
    shared: Arc<Shared>,
    number: E164,
    tried_at: Option<Instant>,
}

impl Reservation {
    /// Notes that a purchase of `number` was sent, at `now`, and that it is not to be sent again for another: it was bought,
    /// may have been bought, or is not on sale. Does nothing for another number.
    pub fn tried(&mut self, number: &E164, now: Instant) {
        if *number == self.number {
            self.tried_at = Some(now);
            self.settle();
        }
    }

    fn settle(&self) {
        let candidates = &self.shared.candidates;
        match self.tried_at {
            Some(at) => {
                lock(&candidates.given).insert(self.number, Given::Tried(at));
            }
            None => {
                lock(&candidates.given).remove(&self.number);
            }
        }
        candidates.settled.notify_waiters();
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.tried_at.is_none() {
            self.settle();
        }
    }
}

/// What searches of one account have shown, and which numbers were given out.
#[derive(Default)]
pub(super) struct Candidates {
    shelves: Mutex<HashMap<Search, Arc<Shelf>>>,
    given: Mutex<HashMap<E164, Given>>,
    /// Told whenever a number that was given out is bought or comes back.
    settled: Notify,
}

#[derive(Clone, Copy)]
enum Given {
    /// To a reconcile that may buy it.
    Out,
    /// A purchase of it was sent at this instant.
    Tried(Instant),
}

/// All that want the same.
#[derive(Default)]
struct Shelf {
    page: Mutex<Page>,
    /// Held by the one that searches for all of them.
    turn: tokio::sync::Mutex<()>,
}

/// The last answer to a search.
#[derive(Default)]
struct Page {
    /// When the search began; `None` before the first that worked.
    asked: Option<Instant>,
    rows: Vec<Row>,
    /// How many of the rows were given out.
    given: usize,
    /// How long after it was asked for it is asked for again, if nothing of it can be given out.
    gap: Duration,
    /// When the last search ended that did not work, and how.
    failed: Option<(Instant, Error)>,
}

struct Row {
    offer: Offer,
    /// True if its digits are as wanted; `None` before anybody has looked, which is slow.
    fits: Option<bool>,
}

/// What a page comes to for one that wants something of it.
enum Pick {
    Candidate(Offer),
    Taken,
    TooDear(Price),
    Nothing,
}

impl Candidates {
    /// Gives `number` out, unless somebody has it.
    fn give(&self, number: &E164) -> bool {
        let mut given = lock(&self.given);
        if given.contains_key(number) && is_enabled(Safeguard::Reservation) {
            return false;
        }
        given.insert(*number, Given::Out);
        true
    }

    fn forget_old(&self, now: Instant) {
        lock(&self.given).retain(|_, given| match given {
            Given::Out => true,
            Given::Tried(at) => now.since(*at) < TRIED_FOR,
        });
        lock(&self.shelves).retain(|_, shelf| {
            // Somebody uses it, or may soon.
            Arc::strong_count(shelf) > 1 || lock(&shelf.page).is_fresh(now)
        });
    }
}

impl Page {
    /// True if the search for it began at `came` or later.
    fn began_at_or_after(&self, came: Instant) -> bool {
        self.asked.is_some_and(|asked| asked >= came)
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.asked
            .is_some_and(|asked| now.since(asked) < SEARCH_HOLDS)
    }

    fn is_news(&self, now: Instant) -> bool {
        self.asked.is_some_and(|asked| now.since(asked) < NEWS)
    }

    /// Takes over what a search that began at `asked` has shown.
    fn show(&mut self, asked: Instant, offers: Vec<Offer>) {
        self.gap = match self.given {
            0 => (self.gap * 2).clamp(PACE / 2, SEARCH_HOLDS),
            _ => PACE / 2,
        };
        self.asked = Some(asked);
        let rows = offers.into_iter();
        self.rows = rows.map(|offer| Row { offer, fits: None }).collect();
        self.given = 0;
        self.failed = None;
    }

    /// Picks one of the rows that nobody has, and gives it out.
    fn pick(
        &mut self,
        search: &Search,
        candidates: &Candidates,
        random: &Random,
        is_free: &impl Fn(&E164) -> bool,
        is_cheap: &impl Fn(&Price) -> bool,
    ) -> Pick {
        let len = self.rows.len();
        let first = random.below(len);
        let mut is_any_taken = false;
        let mut lowest: Option<Price> = None;
        let (before, after) = self.rows.split_at_mut(first);
        for row in after.iter_mut().chain(before) {
            let number = row.offer.number;
            if !*row.fits.get_or_insert_with(|| search.fits(&number)) {
                continue;
            }
            match &row.offer.price {
                Some(price) if !is_cheap(price) => {
                    let parts = |price: &Price| (price.monthly, price.upfront);
                    let is_lower = |lowest: &Price| parts(price) < parts(lowest);
                    if lowest.as_ref().is_none_or(is_lower) {
                        lowest = Some(price.clone());
                    }
                }
                _ if is_free(&number) && candidates.give(&number) => {
                    self.given += 1;
                    return Pick::Candidate(row.offer.clone());
                }
                _ => is_any_taken = true,
            }
        }
        match lowest {
            _ if is_any_taken => Pick::Taken,
            Some(price) => Pick::TooDear(price),
            None => Pick::Nothing,
        }
    }

    /// How long it is not asked for again at `now`, if all of it is taken. Where a purchase was sent for half of it since, the
    /// next answer has as many new rows.
    fn rests_for(&self, candidates: &Candidates, now: Instant) -> Duration {
        let Some(asked) = self.asked else {
            return Duration::ZERO;
        };
        let given = lock(&candidates.given);
        let fitting = self.rows.iter().filter(|row| row.fits != Some(false));
        let (mut all, mut settled) = (0, 0);
        for row in fitting {
            all += 1;
            let is_settled = |given: &Given| matches!(given, Given::Tried(at) if *at >= asked);
            settled += usize::from(given.get(&row.offer.number).is_some_and(is_settled));
        }
        let wait = match self.given {
            _ if settled * 2 >= all => Duration::ZERO,
            0 => self.gap,
            _ => PACE,
        };
        wait.saturating_sub(now.since(asked))
    }
}

impl Account {
    /// What the provider shows of its stock that is as `search` wants it, as far as its answer tells; the digits are not
    /// checked, see [`Search::fits`]. Nothing is kept from others.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn on_sale(&self, search: &Search) -> Result<Vec<Offer>, Error> {
        self.call(self.provider_api.search(search)).await
    }

    /// Picks a number on sale that is as `search` wants it, that `is_free` and that `is_cheap`, and keeps it from others. One
    /// search serves all that want the same for [`SEARCH_HOLDS`], and one runs at a time; the pick is random, so that two
    /// programs that buy alike seldom meet.
    ///
    /// # Errors
    /// Those of the provider; all that wait for the same search share them.
    pub async fn choose(
        &self,
        search: &Search,
        random: &Random,
        is_free: impl Fn(&E164) -> bool + Send + Sync,
        is_cheap: impl Fn(&Price) -> bool + Send + Sync,
    ) -> Result<Found, Error> {
        let candidates = &self.shared.candidates;
        let came = self.clock.now();
        let shelf = Arc::clone(lock(&candidates.shelves).entry(search.clone()).or_default());
        // `Err` says how long it makes no sense to search again.
        let look = || -> Result<Found, Duration> {
            let now = self.clock.now();
            let mut page = lock(&shelf.page);
            let is_for_us = page.began_at_or_after(came);
            let Some(asked) = page.asked.filter(|_| is_for_us || page.is_fresh(now)) else {
                return Err(Duration::ZERO);
            };
            // What was shown a while ago may have changed; what was just shown is what there is, and so is what was asked for
            // us, however long the answer took.
            let is_news = is_for_us || page.is_news(now);
            match page.pick(search, candidates, random, &is_free, &is_cheap) {
                Pick::Candidate(offer) => {
                    let reservation = Reservation {
                        shared: Arc::clone(&self.shared),
                        number: offer.number,
                        tried_at: None,
                    };
                    Ok(Found::Candidate(Candidate {
                        offer,
                        asked,
                        reservation,
                    }))
                }
                Pick::Nothing if is_news => Ok(Found::Nothing),
                Pick::TooDear(price) if is_news => Ok(Found::TooDear(price)),
                Pick::Nothing | Pick::TooDear(_) => Err(Duration::ZERO),
                Pick::Taken => Err(page.rests_for(candidates, now)),
            }
        };
        if let Ok(found) = look() {
            return Ok(found);
        }
        let _turn = shelf.turn.lock().await;
        loop {
            let mut settled = std::pin::pin!(candidates.settled.notified());
            settled.as_mut().enable();
            let rest = match look() {
                Ok(found) => return Ok(found),
                Err(rest) => rest,
            };
            if let Some((ended, error)) = &lock(&shelf.page).failed
                && *ended >= came
            {
                return Err(error.clone());
            }
            let now = self.clock.now();
            let patience = PATIENCE.saturating_sub(now.since(came));
            if patience.is_zero() && lock(&shelf.page).began_at_or_after(came) {
                return Ok(Found::AllTaken);
            }
            if rest.is_zero() {
                candidates.forget_old(now);
                let searched = self.call(self.provider_api.search(search)).await;
                let mut page = lock(&shelf.page);
                match searched {
                    Ok(offers) => page.show(now, offers),
                    Err(error) => {
                        page.failed = Some((self.clock.now(), error.clone()));
                        return Err(error);
                    }
                }
                continue;
            }
            if patience.is_zero() || rest > patience && lock(&shelf.page).given == 0 {
                return Ok(Found::AllTaken);
            }
            // Whether it was told or time is over, it is looked again.
            let _ = tokio::time::timeout(rest.min(patience), settled).await;
        }
    }
}

#[cfg(test)]
mod tests;
