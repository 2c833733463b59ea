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
            reserved.insert(*number, (uid.to_owned(), now));
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
                search,
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
    search: &Search,
    shown: &mut Shown,
    candidates: &Candidates,
    (uid, chance): (&str, &Chance),
    now: Instant,
    is_free: &impl Fn(&E164) -> bool,
    is_cheap: &impl Fn(&Price) -> bool,
) -> Found {
    let asked = shown.asked.unwrap_or(now);
    let fits = |offer: &Offer| search.fits(&offer.number);
    let mut is_cheap = |offer: &Offer| offer.price.as_ref().is_none_or(is_cheap);
    let (mut left, dear): (Vec<usize>, Vec<usize>) =
        (0..shown.offers.len()).partition(|at| shown.offers.get(*at).is_some_and(&mut is_cheap));
    let mut is_any_taken = false;
    while !left.is_empty() {
        let at = left.swap_remove(chance.below(left.len()));
        let Some(offer) = shown.offers.get(at).filter(|offer| fits(offer)) else {
            continue;
        };
        if is_free(&offer.number) && candidates.reserve(&offer.number, uid, now) {
            let offer = if stands(Safeguard::Reservation) {
                shown.offers.swap_remove(at)
            } else {
                offer.clone()
            };
            return Found::Candidate(offer, asked);
        }
        is_any_taken = true;
    }
    if is_any_taken {
        return Found::AllTaken;
    }
    let dear = dear.iter().filter_map(|at| shown.offers.get(*at));
    let mut dear: Vec<_> = dear
        .filter_map(|offer| Some((offer.price.as_ref()?, offer)))
        .collect();
    dear.sort_by_key(|(price, _)| price.monthly);
    let lowest = dear.into_iter().find(|(_, offer)| fits(offer));
    lowest.map_or(Found::Nothing, |(price, _)| Found::TooDear(price.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::Amount;

    fn offer(number: &str, monthly: &str) -> Offer {
        Offer {
            number: number.parse().unwrap(),
            price: Price::read(monthly, "0", "USD"),
        }
    }

    #[test]
    fn only_what_fits_in_every_point_is_given_out_and_only_once() {
        let search = r#"{"country": "US", "areaCode": "212", "contains": "5550"}"#;
        let search: Search = serde_json::from_str(search).unwrap();
        let misfits = [
            "+13125550102",
            "+12125551104",
            "+18005550100",
            "+442125550100",
        ];
        let misfits = misfits.map(|number| offer(number, "0.50"));
        let now = Instant::since_boot(Duration::from_secs(1));
        let candidates = Candidates::default();
        let found = |offers: &[Offer]| {
            let mut shown = Shown {
                asked: None,
                offers: [&misfits, offers].concat(),
            };
            let chance = Chance::seeded(1);
            let is_cheap = |price: &Price| Amount::read("2").is_some_and(|two| price.monthly < two);
            let who = ("u1", &chance);
            pick(
                &search,
                &mut shown,
                &candidates,
                who,
                now,
                &|_| true,
                &is_cheap,
            )
        };
        let (cheap, dear) = (offer("+12125550100", "1.15"), offer("+12125550101", "2.50"));
        assert_eq!(found(&[]), Found::Nothing);
        let price = dear.price.clone().unwrap();
        assert_eq!(found(std::slice::from_ref(&dear)), Found::TooDear(price));
        let both = [dear, cheap.clone()];
        assert_eq!(found(&both), Found::Candidate(cheap, now));
        assert_eq!(found(&both), Found::AllTaken);
    }
}
