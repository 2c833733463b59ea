//! PhoneNumber manifests that buy what a search has shown, such that admission accepts them as they are. Pure.

use std::collections::HashSet;

use serde_json::{Value, json};
use telephony::number::{Kind, Offer, Price, Search};

use super::manifest::{Destination, label, object};

/// The longest beginning that a person may choose.
const LONGEST_PREFIX: usize = 30;

/// How much of an account's name is in a name. With a hyphen before it and another before a count, it leaves room for the
/// digits of a number.
const MOST_OF_ACCOUNT: usize = 12;

/// What manifests say besides what is bought.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// How their names begin; `None` tells it from the search.
    pub(super) prefix: Option<String>,
    /// The assistant that answers.
    pub(super) assistant: Option<i64>,
    /// True: each names the very number.
    pub(super) pin: bool,
}

/// The beginning of names that `text` is; the error says what it may be.
pub(super) fn prefix(text: &str) -> Result<String, String> {
    if text.len() <= LONGEST_PREFIX && !text.is_empty() && label(text) == text {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "it is 1 to {LONGEST_PREFIX} small letters, digits and single hyphens between them"
        ))
    }
}

/// How the names begin that belong to each of `accounts`, all different: with the account in them where there are several.
pub(super) fn stems(terms: &Terms, search: &Search, accounts: &[&str]) -> Vec<String> {
    let kind = match search.kind {
        Kind::Local => "local",
        Kind::Mobile => "mobile",
        Kind::TollFree => "tollfree",
    };
    let told = || format!("{}-{kind}", search.country.to_ascii_lowercase());
    let prefix = terms.prefix.clone().unwrap_or_else(told);
    if accounts.len() < 2 {
        return vec![prefix];
    }
    let mut used = HashSet::new();
    let mut stems = Vec::new();
    for account in accounts {
        let mut account = label(account);
        account.truncate(MOST_OF_ACCOUNT);
        let account = match account.trim_end_matches('-') {
            "" => "account",
            name => name,
        };
        let first = format!("{prefix}-{account}");
        let more = (2..).map(|count| format!("{first}-{count}"));
        let mut candidates = std::iter::once(first.clone()).chain(more);
        if let Some(stem) = candidates.find(|stem| !used.contains(stem)) {
            used.insert(stem.clone());
            stems.push(stem);
        }
    }
    stems
}

/// A manifest for each of `offers`, which one account was shown for `search`.
pub(super) fn manifests(
    offers: &[Offer],
    search: &Search,
    to: &Destination,
    stem: &str,
    terms: &Terms,
) -> Vec<Value> {
    let manifest = |(at, offer): (usize, &Offer)| {
        let mut spec = match terms.pin {
            true => json!({"phoneNumber": offer.number}),
            false => json!({"search": search}),
        };
        let mut set = |field: &str, value: Value| {
            if let Some(spec) = spec.as_object_mut() {
                spec.insert(field.to_owned(), value);
            }
        };
        if let Some(assistant) = terms.assistant {
            set("assistantId", json!(assistant));
        }
        if let Some(most) = ceiling(offers, offer).filter(|_| !terms.pin) {
            let most =
                json!({"amount": most.monthly.to_string(), "currency": most.currency.as_str()});
            set("maxMonthlyCost", most);
        }
        let name = match terms.pin {
            true => format!("{stem}-{}", offer.number.digits()),
            false => format!("{stem}-{}", at.saturating_add(1)),
        };
        object(&name, to, spec)
    };
    offers.iter().enumerate().map(manifest).collect()
}

/// The highest monthly price of `offers` in the currency of `offer`, or in that of the first which has a price; `None` if
/// none has.
fn ceiling<'a>(offers: &'a [Offer], offer: &'a Offer) -> Option<&'a Price> {
    let prices = || offers.iter().filter_map(|offer| offer.price.as_ref());
    let currency = &offer.price.as_ref().or_else(|| prices().next())?.currency;
    let alike = prices().filter(|price| price.currency == *currency);
    alike.max_by_key(|price| price.monthly)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::yaml;
    use phonenumber_api::{AccountKind, PhoneNumberSpec};
    use telephony::number::{Description, Provider};

    fn search(country: &str) -> Search {
        let search =
            json!({"country": country, "areaCode": "030", "contains": "12", "locality": "no"});
        serde_json::from_value(search).unwrap()
    }

    fn offer(number: &str, price: Option<(&str, &str)>) -> Offer {
        Offer {
            number: number.parse().unwrap(),
            price: price.map(|(monthly, currency)| Price::read(monthly, "1", currency).unwrap()),
            description: Description::default(),
        }
    }

    fn to(account: &str) -> Destination {
        Destination {
            namespace: "support".into(),
            provider: Provider::Telnyx,
            kind: AccountKind::ProviderAccount,
            account: account.into(),
        }
    }

    fn terms(pin: bool) -> Terms {
        Terms {
            prefix: None,
            assistant: Some(42),
            pin,
        }
    }

    fn offers() -> [Offer; 4] {
        [
            offer("+12125550100", Some(("0.9", "EUR"))),
            offer("+12125550101", Some(("1", "USD"))),
            offer("+12125550102", Some(("2.50", "USD"))),
            offer("+12125550103", None),
        ]
    }

    #[test]
    fn a_manifest_asks_for_what_was_searched_and_costs_at_most_what_was_shown() {
        let search = search("NO");
        let made = manifests(&offers(), &search, &to("telnyx"), "no-local", &terms(false));
        let told: Vec<_> = made
            .iter()
            .map(|made| {
                let cost = &made["spec"]["maxMonthlyCost"];
                let cost = format!("{} {}", cost["amount"], cost["currency"]);
                (made["metadata"]["name"].clone(), cost.replace('"', ""))
            })
            .collect();
        let wanted = [
            ("no-local-1", "0.9 EUR"),
            ("no-local-2", "2.5 USD"),
            ("no-local-3", "2.5 USD"),
            ("no-local-4", "0.9 EUR"),
        ];
        assert_eq!(
            told,
            wanted.map(|(name, cost)| (json!(name), cost.to_owned()))
        );
        assert_eq!(made[0]["metadata"]["namespace"], "support");
        // The text is read as it was meant: NO is no false, and 030 no number.
        let texts = yaml(&made).unwrap();
        for document in texts.split("---\n").skip(1) {
            let read: Value = serde_saphyr::from_str(document).unwrap();
            let spec: PhoneNumberSpec = serde_json::from_value(read["spec"].clone()).unwrap();
            assert_eq!(spec.search.as_ref(), Some(&search), "{document}");
            assert_eq!((spec.assistant_id, spec.phone_number), (Some(42), None));
            assert!(spec.account_ref.is_none() && !document.contains("adoptionPolicy"));
        }
        let unknown = [offer("+12125550100", None)];
        let made = manifests(&unknown, &search, &to("telnyx"), "no-local", &terms(false));
        assert_eq!(made[0]["spec"]["maxMonthlyCost"], Value::Null);
    }

    #[test]
    fn a_pinned_manifest_names_the_very_number_and_is_called_after_it() {
        let made = manifests(
            &offers(),
            &search("US"),
            &to("other"),
            "us-local",
            &terms(true),
        );
        let first = json!({"apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
            "metadata": {"name": "us-local-12125550100", "namespace": "support"},
            "spec": {"provider": "telnyx", "phoneNumber": "+12125550100", "assistantId": 42,
                "accountRef": {"kind": "ProviderAccount", "name": "other"}}});
        assert_eq!((made.len(), &made[0]), (4, &first));
    }

    #[test]
    fn names_are_labels_that_tell_accounts_apart() {
        let search = search("US");
        let told = terms(true);
        assert_eq!(stems(&told, &search, &["twilio"]), ["us-local"]);
        let two = stems(&told, &search, &["twilio", "telnyx"]);
        assert_eq!(two, ["us-local-twilio", "us-local-telnyx"]);
        let long = "a-very.long-account".repeat(9);
        let accounts = [
            &long,
            "a-very-long-",
            "a.very-long.",
            "...",
            "---",
            "a",
            "A",
        ];
        let chosen = Terms {
            prefix: Some(prefix(&"p".repeat(LONGEST_PREFIX)).unwrap()),
            ..told
        };
        let stems = stems(&chosen, &search, &accounts);
        let mut names = HashSet::new();
        for stem in &stems {
            for offer in offers().iter().chain([&offer("+123456789012345", None)]) {
                let made = manifests(
                    std::slice::from_ref(offer),
                    &search,
                    &to("a"),
                    stem,
                    &chosen,
                );
                let name = made[0]["metadata"]["name"].as_str().unwrap().to_owned();
                assert!(name.len() <= 63 && label(&name) == name, "{name}");
                assert!(names.insert(name.clone()), "{name}");
            }
        }
        assert_eq!(names.len(), accounts.len() * 5);
    }

    #[test]
    fn a_prefix_is_the_beginning_of_a_label() {
        for good in ["a", "9", "sales-nyc", &"x".repeat(LONGEST_PREFIX)] {
            assert_eq!(prefix(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "-a",
            "a-",
            "a--b",
            "A",
            "a.b",
            "ä",
            "a b",
            &"x".repeat(31),
        ] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }
}
