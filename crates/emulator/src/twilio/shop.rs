//! What Twilio sells and for how much: `AvailablePhoneNumbers`, and the countries of the Pricing API
//! (`twilio_pricing_v1.json` of <https://github.com/twilio/twilio-oai>).

use serde_json::{Value, json};

use super::super::carrier::World;
use super::super::catalogue::{Kind, Offer, Wish, calling_code, countries, has, monthly};
use super::super::message::{Reply, Request};
use super::not_found;

/// How many numbers a search shows, unless a switch says otherwise. The specification allows pages of 1000; in practice 30 were
/// shown (<https://github.com/twilio/twilio-node/issues/316>, <https://github.com/twilio/twilio-php/issues/632>).
const SHOWN: usize = 30;

/// The kinds, by their last path segment and by the word of the price list.
const KINDS: [(&str, Kind, &str); 3] = [
    ("Local", Kind::Local, "local"),
    ("Mobile", Kind::Mobile, "mobile"),
    ("TollFree", Kind::TollFree, "toll free"),
];

/// The countries, one country, or the numbers of one kind in it.
pub(super) fn search(world: &World, account: &str, request: &Request) -> Reply {
    let path = request.path.trim_end_matches(".json");
    let base = format!("/2010-04-01/Accounts/{account}/AvailablePhoneNumbers");
    let shown = |(code, name): (&str, &str)| {
        let kinds = KINDS.iter().filter(|(_, kind, _)| has(code, *kind));
        let uris: serde_json::Map<_, _> = kinds
            .map(|(segment, _, word)| {
                let uri = format!("{base}/{code}/{segment}.json");
                (word.replace(' ', "_"), json!(uri))
            })
            .collect();
        json!({"country_code": code, "country": name, "beta": false, "uri": format!("{base}/{code}.json"),
            "subresource_uris": uris})
    };
    let rest: Vec<&str> = path
        .strip_prefix(base.as_str())
        .unwrap_or_default()
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    match rest.as_slice() {
        [] => {
            let rows: Vec<_> = countries().map(shown).collect();
            Reply::json(200, &json!({"countries": rows, "uri": request.path}))
        }
        [country] => countries()
            .find(|(code, _)| code == country)
            .map_or_else(|| not_found(request), |it| Reply::json(200, &shown(it))),
        [country, segment] => {
            let kind = KINDS.iter().find(|(known, ..)| known == segment);
            match kind {
                Some((_, kind, _)) if has(country, *kind) => {
                    numbers(world, country, *kind, request)
                }
                _ => not_found(request),
            }
        }
        _ => not_found(request),
    }
}

fn numbers(world: &World, country: &str, kind: Kind, request: &Request) -> Reply {
    let pattern = Pattern::read(request.query("Contains").unwrap_or_default());
    // Only the United States and Canada have area codes here.
    let area = request
        .query("AreaCode")
        .filter(|_| ["US", "CA"].contains(&country))
        .unwrap_or_default();
    let (begin, end) = pattern.hints(calling_code(country));
    let limit = request
        .query("PageSize")
        .and_then(|size| size.parse().ok())
        .unwrap_or(50);
    let wish = Wish {
        country,
        kind: Some(kind),
        begin: if area.is_empty() { begin } else { area },
        end,
        limit: std::cmp::min(limit, world.state.switches.on_sale.unwrap_or(SHOWN)),
    };
    let is = |name: &str| request.query(name) == Some("true");
    let named = |name: &str, place: &str| {
        request
            .query(name)
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(place))
    };
    let fits = |offer: &Offer| {
        let can = offer.abilities;
        offer.national.starts_with(area)
            && pattern.fits(&offer.number)
            && named("InLocality", offer.locality)
            && named("InRegion", offer.region)
            && (can.voice || !is("VoiceEnabled"))
            && (can.sms || !is("SmsEnabled"))
            && (can.mms || !is("MmsEnabled"))
            && (can.fax || !is("FaxEnabled"))
    };
    let rows: Vec<_> = world.offers(&wish, fits).iter().map(|offer| {
        let can = offer.abilities;
        // Here some of the keys are in upper case.
        json!({"phone_number": offer.number, "friendly_name": offer.number, "iso_country": country,
            "capabilities": {"voice": can.voice, "SMS": can.sms, "MMS": can.mms, "fax": can.fax},
            "address_requirements": "none", "beta": false, "locality": or_null(offer.locality),
            "region": or_null(offer.region), "postal_code": null, "rate_center": null, "lata": null,
            "latitude": null, "longitude": null})
    }).collect();
    Reply::json(
        200,
        &json!({"available_phone_numbers": rows, "uri": request.path}),
    )
}

fn or_null(text: &str) -> Value {
    if text.is_empty() {
        Value::Null
    } else {
        json!(text)
    }
}

/// The pattern of `Contains`: `+` at its beginning and `$` at its end hold it to the number's, `*` is one digit, `%` any.
struct Pattern {
    text: String,
}

impl Pattern {
    fn read(text: &str) -> Self {
        Self {
            text: text.to_owned(),
        }
    }

    fn fits(&self, number: &str) -> bool {
        let begins = self.text.starts_with('+');
        let ends = self.text.ends_with('$');
        let inner = self.text.trim_start_matches('+').trim_end_matches('$');
        let pattern = match (begins, ends) {
            (true, true) => inner.to_owned(),
            (true, false) => format!("{inner}%"),
            (false, true) => format!("%{inner}"),
            (false, false) => format!("%{inner}%"),
        };
        matches(
            pattern.as_bytes(),
            number.trim_start_matches('+').as_bytes(),
        )
    }

    /// How national numbers that fit begin and end, as far as the pattern says so in plain digits.
    fn hints(&self, calling_code: &str) -> (&str, &str) {
        let inner = self.text.trim_start_matches('+').trim_end_matches('$');
        let is_digit = |c: char| c.is_ascii_digit();
        let (begin, rest) = match self.text.starts_with('+') {
            true => inner.split_at(inner.find(|c| !is_digit(c)).unwrap_or(inner.len())),
            false => ("", inner),
        };
        let end = rest.rsplit(|c| !is_digit(c)).next().unwrap_or_default();
        (begin.strip_prefix(calling_code).unwrap_or_default(), end)
    }
}

fn matches(pattern: &[u8], digits: &[u8]) -> bool {
    match (pattern.split_first(), digits.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((b'%', after)), rest) => {
            matches(after, digits) || rest.is_some_and(|(_, rest)| matches(pattern, rest))
        }
        (Some((wanted, after)), Some((digit, rest))) => {
            (wanted == digit || *wanted == b'*') && matches(after, rest)
        }
        (Some(_), None) => false,
    }
}

/// The price list: all countries, or what each kind of number costs in one.
pub(super) fn pricing(world: &World, request: &Request) -> Reply {
    let base = "https://pricing.twilio.com/v1/PhoneNumbers/Countries";
    let segments = request.segments();
    let Some(wanted) = segments.get(3) else {
        let rows: Vec<_> = countries()
            .map(|(code, name)| {
                json!({"country": name, "iso_country": code, "url": format!("{base}/{code}")})
            })
            .collect();
        let meta = json!({"page": 0, "page_size": 50, "first_page_url": base, "previous_page_url": null,
            "url": base, "next_page_url": null, "key": "countries"});
        return Reply::json(200, &json!({"countries": rows, "meta": meta}));
    };
    let Some((code, name)) = countries().find(|(code, _)| code == wanted) else {
        return not_found(request);
    };
    let switches = &world.state.switches;
    let kinds = KINDS
        .iter()
        .filter(|(_, kind, _)| has(code, *kind) && !switches.prices_unknown);
    let prices: Vec<_> = kinds
        .map(|(_, kind, word)| {
            let price = switches
                .monthly_price
                .as_deref()
                .unwrap_or(monthly("twilio", *kind));
            json!({"number_type": word, "base_price": price, "current_price": price})
        })
        .collect();
    Reply::json(
        200,
        &json!({"country": name, "iso_country": code, "phone_number_prices": prices,
            "price_unit": switches.currency, "url": format!("{base}/{code}")}),
    )
}
