//! How numbers on sale are searched for at Twilio, and what they cost. Pure.

use serde::Deserialize;
use serde_json::Value;

use super::wire::capabilities;
use crate::number::{Capability, Description, E164, Kind, Offer, Price, Search};

/// The last segment of the path of a kind.
pub(super) fn segment(kind: Kind) -> &'static str {
    match kind {
        Kind::Local => "Local",
        Kind::Mobile => "Mobile",
        Kind::TollFree => "TollFree",
    }
}

/// The filters that find what `search` wants.
pub(super) fn query(search: &Search) -> Vec<(&'static str, String)> {
    let mut query = vec![("PageSize", super::PAGE_SIZE.to_owned())];
    // `AreaCode` "applies to only phone numbers in the US and Canada".
    let is_filter = ["US", "CA"].contains(&search.country.as_str());
    match (&search.area_code, &search.contains) {
        (Some(area), contains) if is_filter => {
            query.push(("AreaCode", area.clone()));
            query.extend(contains.clone().map(|digits| ("Contains", digits)));
        }
        (Some(area), contains) => query.push((
            "Contains",
            pattern(&search.country, area, contains.as_deref()),
        )),
        (None, contains) => query.extend(contains.clone().map(|digits| ("Contains", digits))),
    }
    let places = [
        ("InLocality", &search.locality),
        ("InRegion", &search.region),
    ];
    let places = places
        .into_iter()
        .filter_map(|(name, place)| Some((name, place.clone()?)));
    query.extend(places);
    let enabled = search.capabilities.iter().map(|capability| {
        let name = match capability {
            Capability::Voice => "VoiceEnabled",
            Capability::Sms => "SmsEnabled",
            Capability::Mms => "MmsEnabled",
            Capability::Fax => "FaxEnabled",
        };
        (name, "true".to_owned())
    });
    query.extend(enabled);
    query
}

/// The pattern of numbers that begin with an area: a leading plus sign holds it to the beginning, `%` is any digits.
/// Digits that are also wanted are looked for behind the area.
fn pattern(country: &str, area: &str, contains: Option<&str>) -> String {
    let code = phonenumber::metadata::DATABASE
        .by_id(country)
        .map(|country| country.country_code().to_string())
        .unwrap_or_default();
    match contains {
        Some(digits) if !area.contains(digits) => format!("+{code}{area}%{digits}"),
        _ => format!("+{code}{area}"),
    }
}

/// A page of numbers on sale. It tells no price.
#[derive(Deserialize)]
pub(super) struct Available {
    available_phone_numbers: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    phone_number: String,
    #[serde(default)]
    iso_country: Option<String>,
    #[serde(default)]
    capabilities: Value,
    #[serde(default)]
    locality: Value,
    #[serde(default)]
    region: Value,
}

impl Available {
    /// Those numbers that can do what `search` wants, in its country.
    pub(super) fn offers(self, search: &Search) -> Vec<Offer> {
        let rows = self.available_phone_numbers.into_iter();
        let fitting = rows.filter_map(|row| {
            let number: E164 = row.phone_number.parse().ok()?;
            let is_there = row
                .iso_country
                .is_none_or(|country| country == search.country);
            let capabilities = capabilities(&row.capabilities);
            let place = |value: &Value| value.as_str().map(str::to_owned);
            let fits = is_there && search.is_met_by(&capabilities);
            fits.then(|| Offer {
                number,
                price: None,
                description: Description {
                    capabilities,
                    locality: place(&row.locality),
                    region: place(&row.region),
                },
            })
        });
        fitting.collect()
    }
}

/// What each kind of number costs in a country, every month. There is nothing else to pay.
#[derive(Deserialize)]
pub(super) struct PriceList {
    #[serde(default)]
    price_unit: Option<String>,
    #[serde(default)]
    phone_number_prices: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    number_type: String,
    #[serde(default)]
    current_price: Value,
}

impl PriceList {
    /// The price of a kind; `None` unless it is told as an amount. Amounts were seen as text; the specification calls
    /// them numbers.
    pub(super) fn price(&self, kind: Kind) -> Option<Price> {
        let word = match kind {
            Kind::Local => "local",
            Kind::Mobile => "mobile",
            Kind::TollFree => "toll free",
        };
        let listed = self
            .phone_number_prices
            .iter()
            .find(|listed| listed.number_type.eq_ignore_ascii_case(word))?;
        let amount = match &listed.current_price {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Price::read(&amount, "0", self.price_unit.as_deref()?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::number::Capabilities;

    fn search(change: Value) -> Search {
        let mut whole = json!({"country": "US", "capabilities": ["voice", "sms"]});
        for (key, value) in change.as_object().unwrap() {
            whole[key] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn every_wish_has_its_filter() {
        let table = [
            (json!({}), "VoiceEnabled=true SmsEnabled=true"),
            (
                json!({"areaCode": "212", "contains": "555", "capabilities": ["mms", "fax"]}),
                "AreaCode=212 Contains=555 MmsEnabled=true FaxEnabled=true",
            ),
            (
                json!({"locality": "New York", "region": "NY", "capabilities": []}),
                "InLocality=New York InRegion=NY",
            ),
            (
                json!({"country": "GB", "areaCode": "161", "capabilities": []}),
                "Contains=+44161",
            ),
            (
                json!({"country": "GB", "areaCode": "161", "contains": "555", "capabilities": []}),
                "Contains=+44161%555",
            ),
            (
                json!({"country": "PR", "areaCode": "787", "contains": "87", "capabilities": []}),
                "Contains=+1787",
            ),
        ];
        for (change, wanted) in table {
            let query = query(&search(change.clone()));
            let shown: Vec<_> = query
                .iter()
                .skip(1)
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            assert_eq!(shown.join(" "), wanted, "{change}");
        }
    }

    #[test]
    fn only_what_can_do_what_is_wanted_is_offered() {
        let page = json!({"available_phone_numbers": [
            {"phone_number": "+12125550100", "iso_country": "US", "capabilities": {"voice": true, "SMS": true, "fax": false},
                "locality": "New York", "region": null},
            {"phone_number": "+12125550101", "iso_country": "US", "capabilities": {"voice": true, "SMS": false}},
            {"phone_number": "+12125550103", "iso_country": "CA", "capabilities": {"voice": true, "sms": true}},
            {"phone_number": "212-LETTERS", "capabilities": {"voice": true, "sms": true}},
            {"phone_number": "+12125550105"},
        ]});
        let page: Available = serde_json::from_value(page).unwrap();
        let offers = page.offers(&search(json!({"areaCode": "212", "contains": "5550"})));
        let offer = Offer {
            number: "+12125550100".parse().unwrap(),
            price: None,
            description: Description {
                capabilities: Capabilities {
                    voice: true,
                    sms: true,
                    ..Capabilities::default()
                },
                locality: Some("New York".into()),
                region: None,
            },
        };
        assert_eq!(offers, [offer]);
    }

    #[test]
    fn a_price_is_read_exactly_whether_it_is_text_or_a_number() {
        let list = |price: Value| -> PriceList {
            serde_json::from_value(json!({"price_unit": "usd", "phone_number_prices": [
                {"number_type": "local", "base_price": "9.99", "current_price": price},
                {"number_type": "Toll Free", "current_price": "2.15"},
            ]}))
            .unwrap()
        };
        let told = |price: Value, kind| {
            let price = list(price).price(kind)?;
            Some(format!("{} {}", price.monthly, price.currency))
        };
        assert_eq!(
            told(json!("1.15"), Kind::Local).as_deref(),
            Some("1.15 USD")
        );
        assert_eq!(told(json!(1.15), Kind::Local).as_deref(), Some("1.15 USD"));
        assert_eq!(
            told(json!("1.15"), Kind::TollFree).as_deref(),
            Some("2.15 USD")
        );
        assert_eq!(told(json!(null), Kind::Local), None);
        assert_eq!(told(json!("about 1"), Kind::Local), None);
        assert_eq!(told(json!("1.15"), Kind::Mobile), None);
    }
}
