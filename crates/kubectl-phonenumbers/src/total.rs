//! Sums of what numbers cost, by currency. Amounts are never converted. Pure.

use std::collections::BTreeMap;

use phonenumber_api::{CostStatus, MonthlyCost};
use telephony::number::{Amount, Currency, Price};

/// Sums by currency, and how many numbers have no known price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Total {
    sums: BTreeMap<Currency, Sum>,
    /// How many numbers have no known price.
    pub(super) unpriced: usize,
}

/// What numbers with prices in one currency cost together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) numbers: usize,
    pub(super) monthly: Amount,
    pub(super) upfront: Amount,
}

/// The price in a status; `None` where it has none, or one that cannot be read.
pub(super) fn price(cost: Option<&CostStatus>) -> Option<Price> {
    let cost = cost?;
    Price::read(&cost.monthly, &cost.upfront, &cost.currency)
}

/// The price of which the monthly part alone is known; `None` where there is none, or one that cannot be read.
pub(super) fn monthly_price(cost: Option<&MonthlyCost>) -> Option<Price> {
    let cost = cost?;
    Price::read(&cost.amount, "0", &cost.currency)
}

impl Total {
    /// Adds what a number costs.
    pub(super) fn add(&mut self, price: Option<&Price>) {
        let Some(price) = price else {
            self.unpriced = self.unpriced.saturating_add(1);
            return;
        };
        let sum = self.sums.entry(price.currency.clone()).or_default();
        sum.numbers = sum.numbers.saturating_add(1);
        sum.monthly = sum.monthly.plus(price.monthly);
        sum.upfront = sum.upfront.plus(price.upfront);
    }

    /// Each currency with its sum, by its code.
    pub(super) fn sums(&self) -> impl Iterator<Item = (&Currency, &Sum)> {
        self.sums.iter()
    }

    /// The monthly sums in words, such as `2.30 USD and 1 EUR a month`, with how many numbers have no known price.
    pub(super) fn monthly(&self) -> String {
        let mut parts: Vec<String> = self
            .sums()
            .map(|(currency, sum)| format!("{} {currency}", sum.monthly))
            .collect();
        if parts.is_empty() && self.unpriced == 0 {
            return "nothing".to_owned();
        }
        if let Some(last) = parts.last_mut() {
            last.push_str(" a month");
        }
        if self.unpriced > 0 {
            parts.push(format!("{} without a known price", self.unpriced));
        }
        parts.join(" and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_add_up_to_the_cent_by_currency_and_unknown_ones_are_counted() {
        let mut total = Total::default();
        assert_eq!(total.monthly(), "nothing");
        for price in [
            Some(["1.15", "0", "USD"]),
            Some(["1.15", "2.5", "USD"]),
            Some(["0.1", "0.2", "EUR"]),
            None,
        ] {
            let price = price.map(|[monthly, upfront, currency]| {
                Price::read(monthly, upfront, currency).unwrap()
            });
            total.add(price.as_ref());
        }
        let sums: Vec<_> = total
            .sums()
            .map(|(currency, sum)| {
                format!("{} {} {} {currency}", sum.numbers, sum.monthly, sum.upfront)
            })
            .collect();
        assert_eq!(sums, ["1 0.1 0.2 EUR", "2 2.30 2.5 USD"]);
        assert_eq!(
            total.monthly(),
            "0.1 EUR and 2.30 USD a month and 1 without a known price"
        );
    }

    #[test]
    fn a_cost_that_cannot_be_read_is_unknown() {
        let cost = |monthly: &str| CostStatus {
            monthly: monthly.into(),
            upfront: "0".into(),
            currency: "USD".into(),
            display: None,
        };
        assert!(price(Some(&cost("1.15"))).is_some());
        assert_eq!(price(Some(&cost("a lot"))), None);
        assert_eq!(price(None), None);
    }
}
