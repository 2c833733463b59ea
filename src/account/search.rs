//! Candidates: numbers on sale that searches have shown, each given to one resource only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Account, lock};
use crate::chance::Chance;
use crate::clock::Instant;
use crate::number::{E164, Offer, Price, Search};
use crate::provider::Error;
use crate::sabotage::{Safeguard, stands};

/// How long what a search has shown may be bought without looking again.
pub const SEARCH_HOLDS: Duration = Duration::from_secs(10);

/// How long it is not searched again for what a search did not show.
const NEWS: Duration = Duration::from_secs(1);

/// How long a number that was given out, or refused, is not given out again by this process.
const RESERVED_FOR: Duration = Duration::from_secs(600);

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This number, shown by a search that began at this instant.
    Candidate(Offer, Instant),
    /// Nothing on sale is as wanted.
    Nothing,
    /// Everything that was found is given to others.
    AllTaken,
    /// Everything that was found costs too much; the lowest price.
    TooDear(Price),
}

/// What searches of one account have shown, and which numbers were given out.
#[derive(Default)]
pub(super) struct Candidates {
    shown: Mutex<HashMap<Search, Arc<tokio::sync::Mutex<Shown>>>>,
    reserved: Mutex<HashMap<E164, (String, Instant)>>,
}

#[derive(Default)]
struct Shown {
    asked: Option<Instant>,
    offers: Vec<Offer>,
}

impl Candidates {
    /// Gives `number` to the resource with this uid, unless another has it.
    fn reserve(&self, number: &E164, uid: &str, now: Instant) -> bool {
        let mut reserved = lock(&self.reserved);
        let is_free = reserved
            .get(number)
            .is_none_or(|(_, at)| now.since(*at) >= RESERVED_FOR);
        if is_free || !stands(Safeguard::Reservation) {
            reserved.insert(number.clone(), (uid.to_owned(), now));
        }
        is_free || !stands(Safeguard::Reservation)
    }

    fn forget_old(&self, now: Instant) {
        lock(&self.reserved).retain(|_, (_, at)| now.since(*at) < RESERVED_FOR);
    }
}

impl Account {
    /// Picks a number on sale that is as `search` wants it, that `is_free` and that `is_cheap`, and gives it to the
    /// resource with this uid. One search serves all that want the same for [`SEARCH_HOLDS`]; the pick is random, so that
    /// two programs that buy alike seldom meet.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn choose(
        &self,
        search: &Search,
        uid: &str,
        chance: &Chance,
        is_free: impl Fn(&E164) -> bool + Send,
        is_cheap: impl Fn(&Price) -> bool + Send,
    ) -> Result<Found, Error> {
        let candidates = &self.shared.candidates;
        let shown = Arc::clone(lock(&candidates.shown).entry(search.clone()).or_default());
        let mut shown = shown.lock().await;
        loop {
            let now = self.clock.now();
            let age = shown.asked.map(|asked| now.since(asked));
            if age.is_none_or(|age| age >= SEARCH_HOLDS) {
                candidates.forget_old(now);
                shown.offers = self.call(self.company.search(search)).await?;
                shown.asked = Some(now);
            }
            let found = pick(
                &mut shown,
                candidates,
                (uid, chance),
                now,
                &is_free,
                &is_cheap,
            );
            // What was shown a while ago may be used up; what was just shown is all there is.
            let is_news = shown.asked.is_none_or(|asked| now.since(asked) < NEWS);
            if matches!(found, Found::Candidate(..)) || is_news {
                return Ok(found);
            }
            shown.asked = None;
        }
    }
}

fn pick(
    shown: &mut Shown,
    candidates: &Candidates,
    (uid, chance): (&str, &Chance),
    now: Instant,
    is_free: &impl Fn(&E164) -> bool,
    is_cheap: &impl Fn(&Price) -> bool,
) -> Found {
    let asked = shown.asked.unwrap_or(now);
    let cheap: Vec<usize> = (0..shown.offers.len())
        .filter(|at| {
            let price = shown.offers.get(*at).and_then(|offer| offer.price.as_ref());
            price.is_none_or(is_cheap)
        })
        .collect();
    if cheap.is_empty() {
        let prices = shown.offers.iter().filter_map(|offer| offer.price.clone());
        return prices
            .min_by_key(|price| price.monthly)
            .map_or(Found::Nothing, Found::TooDear);
    }
    let mut left = cheap;
    while !left.is_empty() {
        let at = left.swap_remove(chance.below(left.len()));
        let Some(offer) = shown.offers.get(at) else {
            break;
        };
        if is_free(&offer.number) && candidates.reserve(&offer.number, uid, now) {
            let offer = if stands(Safeguard::Reservation) {
                shown.offers.swap_remove(at)
            } else {
                offer.clone()
            };
            return Found::Candidate(offer, asked);
        }
    }
    Found::AllTaken
}
