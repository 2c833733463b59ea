//! Money: what a number costs. Decimal, never floating, and without arithmetic that can overflow. Pure.

#![deny(clippy::arithmetic_side_effects)]

use std::fmt;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use super::{Capabilities, E164};

/// A currency, as ISO 4217, such as `USD`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(String);

impl Currency {
    /// The currency with this code, in whatever case; `None` unless it is three letters.
    pub fn new(code: &str) -> Option<Self> {
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_code.then(|| Self(code.to_ascii_uppercase()))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An amount of money, zero or more. A text is an amount only below [`Amount::LIMIT`] and with at most
/// [`Amount::MOST_DECIMALS`] decimals. A sum may be larger.
///
/// Amounts have no `+` and no `-`: a text from outside must not be able to overflow anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Every amount that is read is lower. No number at any provider costs a millionth of it.
    pub const LIMIT: u32 = 1_000_000_000;

    /// The most decimals of an amount that is read, zeros at its end aside.
    pub const MOST_DECIMALS: u32 = 6;

    /// The amount that a plain decimal text names; `None` for a text that is no amount.
    pub fn read(text: &str) -> Option<Self> {
        let amount = Decimal::from_str_exact(text.trim()).ok()?.normalize();
        let is_amount = !amount.is_sign_negative()
            && amount < Decimal::from(Self::LIMIT)
            && amount.scale() <= Self::MOST_DECIMALS;
        is_amount.then_some(Self(amount))
    }

    /// The sum of two amounts. A sum that cannot be represented is the largest amount.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// What is left of this amount without `other`; zero if `other` is larger.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(Decimal::ZERO))
    }

    /// The nearest floating number, for metrics.
    pub fn to_f64(self) -> f64 {
        self.0.to_f64().unwrap_or_default()
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::plus)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a number costs. In JSON its amounts are decimal texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Texts", try_from = "Texts")]
pub struct Price {
    /// Every month.
    pub monthly: Amount,
    /// Once, with the purchase.
    pub upfront: Amount,
    /// In this currency.
    pub currency: Currency,
}

/// The form of a price in JSON.
#[derive(Serialize, Deserialize)]
struct Texts {
    monthly: String,
    upfront: String,
    currency: String,
}

impl From<Price> for Texts {
    fn from(price: Price) -> Self {
        Self {
            monthly: price.monthly.to_string(),
            upfront: price.upfront.to_string(),
            currency: price.currency.0,
        }
    }
}

impl TryFrom<Texts> for Price {
    type Error = &'static str;

    fn try_from(texts: Texts) -> Result<Self, Self::Error> {
        Self::read(&texts.monthly, &texts.upfront, &texts.currency).ok_or("not a price")
    }
}

impl Price {
    /// A price from the decimal texts of a provider; `None` unless both are amounts.
    pub fn read(monthly: &str, upfront: &str, currency: &str) -> Option<Self> {
        Some(Self {
            monthly: Amount::read(monthly)?,
            upfront: Amount::read(upfront)?,
            currency: Currency::new(currency)?,
        })
    }
}

/// What an account has left to spend, which may be less than nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// What is left; zero if money is owed.
    pub left: Amount,
    /// What is owed; zero if something is left.
    pub owed: Amount,
    /// In this currency.
    pub currency: Currency,
}

impl Balance {
    /// A balance from the texts of a provider, to the last of [`Amount::MOST_DECIMALS`] decimals; `None` unless it is one.
    pub fn read(amount: &str, currency: &str) -> Option<Self> {
        let amount = Decimal::from_str_exact(amount.trim()).ok()?;
        let amount = amount.trunc_with_scale(Amount::MOST_DECIMALS).normalize();
        let size = Amount(amount.abs());
        if size >= Amount(Decimal::from(Amount::LIMIT)) {
            return None;
        }
        let is_owed = amount.is_sign_negative();
        let (left, owed) = if is_owed {
            (Amount::ZERO, size)
        } else {
            (size, Amount::ZERO)
        };
        let currency = Currency::new(currency)?;
        Some(Self {
            left,
            owed,
            currency,
        })
    }

    /// True if more is left, or less is owed, than in `other`, or if that is in another currency.
    pub fn is_more_than(&self, other: &Self) -> bool {
        let rank = |it: &Self| (it.left, std::cmp::Reverse(it.owed));
        self.currency != other.currency || rank(self) > rank(other)
    }

    /// What a purchase at `price` asks for at once, as far as that is known in this currency.
    pub fn cost_of(&self, price: Option<&Price>) -> Amount {
        let price = price.filter(|price| price.currency == self.currency);
        price.map_or(Amount::ZERO, |price| price.upfront.plus(price.monthly))
    }

    /// True if at least `minimum` is left after a purchase at `price`.
    pub fn covers(&self, price: Option<&Price>, minimum: Amount) -> bool {
        self.owed == Amount::ZERO && self.left >= self.cost_of(price).plus(minimum)
    }

    /// The nearest floating number, for metrics.
    pub fn to_f64(&self) -> f64 {
        self.left.to_f64() - self.owed.to_f64()
    }

    /// The amount, with a minus sign where money is owed.
    pub fn amount(&self) -> String {
        if self.owed == Amount::ZERO {
            self.left.to_string()
        } else {
            format!("-{}", self.owed)
        }
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount(), self.currency)
    }
}

/// A number that is on sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The number.
    pub number: E164,
    /// What it costs, where the offer itself tells.
    pub price: Option<Price>,
    /// What else the offer tells.
    pub description: Description,
}

/// What an offer tells of its number besides the price. A provider's texts are as they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// What the number can do, as far as the offer says so.
    pub capabilities: Capabilities,
    /// The place that it belongs to.
    pub locality: Option<String>,
    /// The state or province.
    pub region: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        let price = Price::read("1.15000", "0", "usd").unwrap();
        assert_eq!(price.monthly.to_string(), "1.15");
        assert_eq!(price.upfront.to_string(), "0");
        assert_eq!(price.currency.as_str(), "USD");
        for (monthly, upfront, currency) in [
            ("", "0", "USD"),
            ("1,15", "0", "USD"),
            ("-1", "0", "USD"),
            ("79228162514264337593543950335", "0", "USD"),
            ("0", "1000000000", "USD"),
            ("1.0000001", "0", "USD"),
            ("1", "NaN", "USD"),
            ("1", "0", "US"),
            ("1", "0", "U$D"),
        ] {
            assert_eq!(
                Price::read(monthly, upfront, currency),
                None,
                "{monthly} {upfront} {currency}"
            );
        }
    }

    #[test]
    fn a_balance_may_be_owed_and_is_read_or_unknown() {
        let read = |text: &str| Balance::read(text, "usd").map(|it| it.to_string());
        for (text, shown) in [
            ("100.00", Some("100 USD")),
            (" 0.05 ", Some("0.05 USD")),
            ("-4.10", Some("-4.1 USD")),
            ("0", Some("0 USD")),
            ("-0.00000001", Some("0 USD")),
            ("12.34567891", Some("12.345678 USD")),
            ("1000000000", None),
            ("-79228162514264337593543950335", None),
            ("NaN", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), shown, "{text}");
        }
        assert_eq!(Balance::read("1", "dollars"), None);
        let balance = |text: &str, currency: &str| Balance::read(text, currency).unwrap();
        for (more, less) in [("2", "1"), ("0", "-1"), ("-1", "-2"), ("1", "-5")] {
            let (more, less) = (balance(more, "USD"), balance(less, "USD"));
            assert!(more.is_more_than(&less) && !less.is_more_than(&more));
            assert!(!more.is_more_than(&more));
        }
        assert!(balance("1", "EUR").is_more_than(&balance("2", "USD")));
    }

    #[test]
    fn a_balance_covers_what_leaves_enough() {
        let one = Amount::read("1").unwrap();
        let price = |currency| Price::read("1.15", "0.85", currency);
        let balance = |text: &str| Balance::read(text, "USD").unwrap();
        assert!(balance("3").covers(price("USD").as_ref(), one));
        assert!(!balance("2.99").covers(price("USD").as_ref(), one));
        assert!(balance("1").covers(price("EUR").as_ref(), one));
        assert!(balance("0").covers(None, Amount::ZERO));
        assert!(!balance("-0.01").covers(None, Amount::ZERO));
    }

    #[test]
    fn no_sum_of_amounts_overflows() {
        let most = Amount::read("999999999.999999").unwrap();
        let mut sum = most;
        for _ in 0..200 {
            sum = sum.plus(sum);
        }
        assert_eq!(sum, sum.plus(most));
        assert_eq!(most.less(sum), Amount::ZERO);
        assert!([sum, most, sum].into_iter().sum::<Amount>() >= sum);
        let amounts = ["1.15", "2.850"].map(|text| Amount::read(text).unwrap());
        assert_eq!(amounts.into_iter().sum::<Amount>().to_string(), "4.00");
    }
}
