//! The numbers of an account that no PhoneNumber holds, as its status lists them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions::seconds;
use crate::account::{Account, ListedNumber};
use crate::api::{MonthlyCost, UnheldNumber};
use crate::number::{Kind, Price};
use crate::shown::{self, MOST as MOST_OF_TEXT};

/// How many numbers a list of the status shows at most.
pub(super) const MOST: usize = 100;

/// The prices of one pass over an account.
pub(super) struct Prices<'a> {
    account: &'a Account,
    known: BTreeMap<(String, Kind), Option<Price>>,
    is_answering: bool,
}

impl<'a> Prices<'a> {
    pub(super) fn of(account: &'a Account) -> Self {
        Self {
            account,
            known: BTreeMap::new(),
            is_answering: true,
        }
    }

    /// The first of `found`, with their prices. One that cannot be read now stays as `before` shows it. After the first request that
    /// fails no other is made: the next pass asks again.
    pub(super) async fn add_to(
        &mut self,
        found: &[ListedNumber],
        before: &[UnheldNumber],
    ) -> Vec<UnheldNumber> {
        let mut listed = Vec::new();
        for number in found.iter().take(MOST) {
            let id = shown::line(number.id.as_str(), MOST_OF_TEXT);
            // The API server takes no date before year 0.
            let since = number
                .created
                .filter(|since| *since >= Timestamp::UNIX_EPOCH);
            let before = before.iter().find(|before| before.id == id);
            let monthly_cost = match self.price(number).await {
                Ok(price) => price.map(|price| {
                    MonthlyCost::new(price.monthly.to_string(), price.currency.to_string())
                }),
                Err(Unread) => before.and_then(|before| before.monthly_cost.clone()),
            };
            listed.push(UnheldNumber {
                phone_number: number.number.to_string(),
                id,
                since: since.map(|since| Time(seconds(since))),
                monthly_cost,
            });
        }
        listed
    }

    async fn price(&mut self, number: &ListedNumber) -> Result<Option<Price>, Unread> {
        let place = number.number.place();
        let Some((country, kind)) = place.and_then(|place| Some((place.country, place.kind?)))
        else {
            return Ok(None);
        };
        if let Some(price) = self.known.get(&(country.clone(), kind)) {
            return Ok(price.clone());
        }
        if !self.is_answering {
            return Err(Unread);
        }
        match self.account.price(&country, kind).await {
            Ok(price) => {
                self.known.insert((country, kind), price.clone());
                Ok(price)
            }
            Err(error) => {
                self.is_answering = false;
                tracing::debug!(%error, country, "the price of a number that nobody holds was not read");
                Err(Unread)
            }
        }
    }
}

/// The price cannot be read now.
struct Unread;
