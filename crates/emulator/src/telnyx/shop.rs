//! What Telnyx sells, with the price of each number: `available_phone_numbers`.

use serde_json::json;
use tokio::time::Instant;

use super::super::carrier::World;
use super::super::catalogue::{Kind, Offer, Wish, monthly};
use super::super::message::{Reply, Request};
use super::{MOST, error};

/// Shows numbers; only those that were shown can be ordered.
pub(super) fn search(world: &mut World, organization: &str, request: &Request) -> Reply {
    let filter = |name: &str| {
        request
            .query(&format!("filter[{name}]"))
            .unwrap_or_default()
    };
    let country = filter("country_code");
    if country.is_empty() {
        return error(
            400,
            "10015",
            "Bad request",
            "filter[country_code] is required",
        );
    }
    let kind = match filter("phone_number_type") {
        "" => None,
        "local" => Some(Kind::Local),
        "mobile" => Some(Kind::Mobile),
        "toll_free" => Some(Kind::TollFree),
        _ => return shown(Vec::new()),
    };
    let area = filter("national_destination_code");
    let pattern = |how: &str| {
        request
            .query(&format!("filter[phone_number][{how}]"))
            .unwrap_or_default()
    };
    let (begins, contains, ends) = (
        pattern("starts_with"),
        pattern("contains"),
        pattern("ends_with"),
    );
    // There are no wildcards.
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if ![begins, contains, ends].into_iter().all(is_digits) {
        return shown(Vec::new());
    }
    let limit = filter("limit").parse().unwrap_or(20);
    let begin = format!("{area}{begins}");
    let wish = Wish {
        country,
        kind,
        begin: &begin,
        end: if ends.is_empty() { contains } else { ends },
        limit: std::cmp::min(limit, MOST),
    };
    let features: Vec<&str> = filter("features")
        .split(',')
        .filter(|it| !it.is_empty())
        .collect();
    let named = |wanted: &str, place: &str| wanted.is_empty() || wanted.eq_ignore_ascii_case(place);
    let fits = |offer: &Offer| {
        // Patterns are of what follows the area, where one is asked for.
        let Some(rest) = offer.national.strip_prefix(area) else {
            return false;
        };
        let can = offer_features(offer);
        rest.starts_with(begins)
            && rest.contains(contains)
            && rest.ends_with(ends)
            && named(filter("locality"), offer.locality)
            && named(filter("administrative_area"), offer.region)
            && features.iter().all(|feature| can.contains(feature))
    };
    let offers = world.offers(&wish, fits);
    let now = Instant::now();
    for offer in &offers {
        world
            .searched
            .insert((organization.to_owned(), offer.number.clone()), now);
    }
    let mut rows: Vec<_> = offers
        .iter()
        .map(|offer| row(world, offer, country, false))
        .collect();
    if world.state.switches.best_effort && filter("best_effort") != "false" {
        let near = Wish {
            country,
            kind: None,
            begin: "",
            end: "",
            limit: 3,
        };
        let near = world.offers(&near, |offer| !offer.national.starts_with(area));
        rows.extend(near.iter().map(|offer| row(world, offer, country, true)));
    }
    if world.state.switches.best_effort {
        rows.extend(offers.first().map(|offer| {
            let mut hidden = row(world, offer, country, false);
            if let Some(number) = hidden.get_mut("phone_number") {
                let end = offer.number.len().saturating_sub(7);
                *number = json!(format!(
                    "{}xxxxxxx",
                    offer.number.get(..end).unwrap_or_default()
                ));
            }
            hidden
        }));
    }
    shown(rows)
}

fn shown(rows: Vec<serde_json::Value>) -> Reply {
    let best_effort = rows
        .iter()
        .filter(|row| row.get("best_effort") == Some(&json!(true)));
    let metadata = json!({"total_results": rows.len(), "best_effort_results": best_effort.count()});
    Reply::json(
        200,
        &json!({"data": rows, "metadata": metadata, "meta": metadata}),
    )
}

fn offer_features(offer: &Offer) -> Vec<&'static str> {
    let can = offer.abilities;
    let features = [
        ("voice", can.voice),
        ("sms", can.sms),
        ("mms", can.mms),
        ("fax", can.fax),
    ];
    let able = features.into_iter().filter(|(_, able)| *able);
    able.map(|(name, _)| name).collect()
}

fn row(world: &World, offer: &Offer, country: &str, best_effort: bool) -> serde_json::Value {
    let features: Vec<_> = offer_features(offer)
        .into_iter()
        .map(|name| json!({ "name": name }))
        .collect();
    let switches = &world.state.switches;
    let price = switches
        .monthly_price
        .as_deref()
        .unwrap_or(monthly("telnyx", offer.kind));
    let cost = (!switches.prices_unknown).then(
        || json!({"upfront_cost": "1.00000", "monthly_cost": price, "currency": switches.currency}),
    );
    let region = |kind: &str, name: &str| json!({"region_type": kind, "region_name": name});
    json!({"record_type": "available_phone_number", "phone_number": offer.number,
        "best_effort": best_effort, "quickship": true, "reservable": true, "vanity_format": "",
        "features": features, "cost_information": cost,
        "region_information": [region("country_code", country), region("state", offer.region),
            region("rate_center", &offer.locality.to_uppercase())]})
}
