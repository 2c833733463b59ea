//! A list of what numbers cost, as it is kept in a file beside the manifests. Pure.

use jiff::{SignedDuration, Timestamp};
use phonenumber_api::{AccountKey, AccountKind};
use serde::{Deserialize, Serialize};
use telephony::number::{Kind, Price, Provider};

/// The version of the form of the file.
const VERSION: &str = "telephony.burki.dev/v1";

/// What the file is.
const KIND: &str = "PriceList";

/// Prices older than this are warned of.
const FRESH_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is known of a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Quote {
    /// Nobody has asked for it.
    NotAsked,
    /// The provider was asked and names none.
    Unpriced,
    /// It is this.
    Price(Price),
}

impl Quote {
    /// The price, where it is known.
    pub(crate) fn price(&self) -> Option<&Price> {
        match self {
            Self::Price(price) => Some(price),
            Self::NotAsked | Self::Unpriced => None,
        }
    }
}

/// What numbers of accounts cost, by country and type. The order is fixed, so that two lists can be compared line by line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PriceList {
    api_version: String,
    kind: String,
    /// When the providers were asked.
    pub(crate) generated: Timestamp,
    /// The accounts.
    pub(crate) accounts: Vec<AccountPrices>,
}

/// What numbers of one account cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AccountPrices {
    /// Its kind.
    pub(crate) kind: AccountKind,
    /// Its namespace, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) namespace: Option<String>,
    /// Its name.
    pub(crate) name: String,
    /// Where it buys.
    pub(crate) provider: Provider,
    /// The prices.
    pub(crate) prices: Vec<Entry>,
}

/// What a number of this type costs in this country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Texts", into = "Texts")]
pub(crate) struct Entry {
    /// ISO 3166 alpha-2.
    pub(crate) country: String,
    /// The type.
    pub(crate) kind: Kind,
    /// The price; `None` where the provider names none.
    pub(crate) price: Option<Price>,
}

/// The form of an entry in JSON. A price is there whole or not at all.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    country: String,
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    monthly: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upfront: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
}

impl From<Entry> for Texts {
    fn from(entry: Entry) -> Self {
        let price = entry.price.as_ref();
        Self {
            country: entry.country,
            kind: entry.kind,
            monthly: price.map(|price| price.monthly.to_string()),
            upfront: price.map(|price| price.upfront.to_string()),
            currency: price.map(|price| price.currency.to_string()),
        }
    }
}

impl TryFrom<Texts> for Entry {
    type Error = String;

    fn try_from(texts: Texts) -> Result<Self, String> {
        let price = match (&texts.monthly, &texts.upfront, &texts.currency) {
            (None, None, None) => None,
            (Some(monthly), Some(upfront), Some(currency)) => {
                let price = Price::read(monthly, upfront, currency);
                Some(
                    price.ok_or_else(|| {
                        format!("{monthly} and {upfront} {currency} are not a price")
                    })?,
                )
            }
            _ => return Err("a price has monthly, upfront and currency, or none of them".into()),
        };
        Ok(Self {
            country: texts.country,
            kind: texts.kind,
            price,
        })
    }
}

impl PriceList {
    /// The list of what `accounts` were asked for at `generated`.
    pub(crate) fn new(generated: Timestamp, mut accounts: Vec<AccountPrices>) -> Self {
        for account in &mut accounts {
            let key = |entry: &Entry| (entry.country.clone(), entry.kind);
            account.prices.sort_by_cached_key(key);
            account.prices.dedup_by_key(|entry| key(entry));
        }
        let key = |account: &AccountPrices| {
            let kind = account.kind.to_string();
            (kind, account.namespace.clone(), account.name.clone())
        };
        accounts.sort_by_cached_key(key);
        Self {
            api_version: VERSION.to_owned(),
            kind: KIND.to_owned(),
            generated: Timestamp::from_second(generated.as_second()).unwrap_or(generated),
            accounts,
        }
    }

    /// The list in `text`; the error says what is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let list: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if (list.api_version.as_str(), list.kind.as_str()) != (VERSION, KIND) {
            return Err(format!("it is not a {KIND} of {VERSION}"));
        }
        Ok(list)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// If it has no JSON form.
    pub(crate) fn text(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// What a number of this type costs in this country, bought with `account`.
    pub(crate) fn quote(&self, account: &AccountKey, country: &str, kind: Kind) -> Quote {
        let is_it = |listed: &&AccountPrices| {
            (listed.kind, &listed.namespace, &listed.name)
                == (account.kind, &account.namespace, &account.name)
        };
        let prices = self.accounts.iter().find(is_it).map(|found| &found.prices);
        let mut entries = prices.into_iter().flatten();
        match entries.find(|entry| entry.country == country && entry.kind == kind) {
            None => Quote::NotAsked,
            Some(entry) => entry.price.clone().map_or(Quote::Unpriced, Quote::Price),
        }
    }

    /// How many days old the list is, if it is too old to be relied on.
    pub(crate) fn days_if_old(&self, now: Timestamp) -> Option<i64> {
        let age = now.duration_since(self.generated);
        (age > FRESH_FOR).then(|| age.as_hours() / 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(country: &str, kind: Kind, price: Option<&str>) -> Entry {
        Entry {
            country: country.to_owned(),
            kind,
            price: price.map(|monthly| Price::read(monthly, "0", "USD").unwrap()),
        }
    }

    fn account(name: &str, prices: Vec<Entry>) -> AccountPrices {
        AccountPrices {
            kind: AccountKind::ProviderAccount,
            namespace: Some("support".into()),
            name: name.into(),
            provider: Provider::Twilio,
            prices,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn key(name: &str) -> AccountKey {
        AccountKey {
            kind: AccountKind::ProviderAccount,
            namespace: Some("support".into()),
            name: name.into(),
        }
    }

    #[test]
    fn a_list_is_sorted_and_reads_back_as_it_was_written() {
        let prices = vec![
            entry("US", Kind::TollFree, None),
            entry("US", Kind::Local, Some("1.150")),
            entry("GB", Kind::Local, Some("1")),
        ];
        let accounts = vec![account("twilio", prices), account("eu", vec![])];
        let list = PriceList::new(at("2026-11-25T10:00:00.123Z"), accounts);
        let text = list.text().unwrap();
        let wanted = r#"{
  "apiVersion": "telephony.burki.dev/v1",
  "kind": "PriceList",
  "generated": "2026-11-25T10:00:00Z",
  "accounts": [
    {
      "kind": "ProviderAccount",
      "namespace": "support",
      "name": "eu",
      "provider": "twilio",
      "prices": []
    },
    {
      "kind": "ProviderAccount",
      "namespace": "support",
      "name": "twilio",
      "provider": "twilio",
      "prices": [
        {
          "country": "GB",
          "type": "local",
          "monthly": "1",
          "upfront": "0",
          "currency": "USD"
        },
        {
          "country": "US",
          "type": "local",
          "monthly": "1.15",
          "upfront": "0",
          "currency": "USD"
        },
        {
          "country": "US",
          "type": "tollFree"
        }
      ]
    }
  ]
}
"#;
        assert_eq!(text, wanted);
        assert_eq!(PriceList::read(&text), Ok(list.clone()));
        let monthly = |country, kind| {
            let quote = list.quote(&key("twilio"), country, kind);
            quote.price().map(|price| price.monthly.to_string())
        };
        assert_eq!(monthly("US", Kind::Local).as_deref(), Some("1.15"));
        let quote = |country, kind| list.quote(&key("twilio"), country, kind);
        assert_eq!(quote("US", Kind::TollFree), Quote::Unpriced);
        assert_eq!(quote("US", Kind::Mobile), Quote::NotAsked);
        let other = list.quote(&key("other"), "US", Kind::Local);
        assert_eq!(other, Quote::NotAsked);
    }

    #[test]
    fn what_is_no_list_or_holds_no_price_is_refused() {
        let list = PriceList::new(at("2026-11-25T10:00:00Z"), vec![]);
        let text = list.text().unwrap();
        for (from, to) in [
            ("PriceList", "List"),
            ("/v1", "/v2"),
            ("\"accounts\": []", "\"accounts\": [], \"more\": 1"),
            ("2026-11-25T10:00:00Z", "yesterday"),
        ] {
            assert!(PriceList::read(&text.replace(from, to)).is_err(), "{to}");
        }
        for texts in [
            r#"{"country": "US", "type": "local", "monthly": "1"}"#,
            r#"{"country": "US", "type": "local", "monthly": "-1", "upfront": "0", "currency": "USD"}"#,
            r#"{"country": "US", "type": "other"}"#,
        ] {
            assert!(serde_json::from_str::<Entry>(texts).is_err(), "{texts}");
        }
    }

    #[test]
    fn a_list_is_old_after_thirty_days() {
        let list = PriceList::new(at("2026-10-01T00:00:00Z"), vec![]);
        assert_eq!(list.days_if_old(at("2026-10-31T00:00:00Z")), None);
        assert_eq!(list.days_if_old(at("2026-11-01T00:00:00Z")), Some(31));
        assert_eq!(list.days_if_old(at("2026-09-01T00:00:00Z")), None);
    }
}
