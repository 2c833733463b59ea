//! Money: what a number costs. Decimal, never floating. Pure.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

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

/// What a number costs. In JSON its amounts are decimal texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Texts", try_from = "Texts")]
pub struct Price {
    /// Every month.
    pub monthly: Decimal,
    /// Once, with the purchase.
    pub upfront: Decimal,
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
    /// A price from the decimal texts of a provider; `None` unless both are plain amounts that are not negative.
    pub fn read(monthly: &str, upfront: &str, currency: &str) -> Option<Self> {
        let amount = |text: &str| {
            let amount = Decimal::from_str_exact(text.trim()).ok()?;
            (!amount.is_sign_negative()).then(|| amount.normalize())
        };
        Some(Self {
            monthly: amount(monthly)?,
            upfront: amount(upfront)?,
            currency: Currency::new(currency)?,
        })
    }
}

/// A number that is on sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The number.
    pub number: super::E164,
    /// What it costs, where the offer itself tells.
    pub price: Option<Price>,
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
}
