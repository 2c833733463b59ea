//! Listings that are answered with 200 and are not as things are.

use std::time::Duration;

use serde_json::{Value, json};

use super::carrier::World;
use super::faults::Wrong;
use super::message::{Reply, Request};

/// The keys of a page's rows: Twilio's and Telnyx's.
const ROWS: [&str; 2] = ["incoming_phone_numbers", "data"];

/// The number that a purchase is for; empty if it names none.
pub(super) fn number_in(request: &Request) -> String {
    let in_json = |body: Value| {
        let row = body.get("phone_numbers")?.get(0)?.get("phone_number")?;
        row.as_str().map(str::to_owned)
    };
    let form = request.form().remove("PhoneNumber");
    form.or_else(|| in_json(request.json())).unwrap_or_default()
}

/// A listing, made wrong. Anything else is left as it is.
pub(super) fn list(world: &World, wrong: Wrong, reply: Reply) -> Reply {
    let Ok(mut body) = serde_json::from_slice::<Value>(&reply.body) else {
        return reply;
    };
    let key = ROWS
        .into_iter()
        .find(|key| body.get(key).is_some_and(Value::is_array));
    let rows = key.and_then(|key| body.get_mut(key));
    let Some(rows) = rows.and_then(Value::as_array_mut) else {
        return reply;
    };
    let all = rows.len();
    match wrong {
        Wrong::Empty => rows.clear(),
        Wrong::Short => rows.truncate(all / 2),
        Wrong::Shifted => drop(rows.drain(..all.min(1))),
        Wrong::Stale(time) => rows.retain(|row| !is_younger(world, row, time)),
        Wrong::Total => {}
    }
    let left = rows.len();
    let total = |meta: &Value| meta.get("total_results").and_then(Value::as_u64);
    if let Some(meta) = body.get_mut("meta")
        && let Some(before) = total(meta)
    {
        let lost = u64::try_from(all - left).unwrap_or_default();
        let (results, pages) = match wrong {
            Wrong::Empty => (0, Some(0)),
            // The page lacks rows that the total counts.
            Wrong::Short => (before, None),
            Wrong::Shifted | Wrong::Stale(_) => (before.saturating_sub(lost), None),
            Wrong::Total => (before + 1, None),
        };
        put(meta, "total_results", json!(results));
        if let Some(pages) = pages {
            put(meta, "total_pages", json!(pages));
        }
    }
    if wrong == Wrong::Empty && body.get("next_page_uri").is_some() {
        put(&mut body, "next_page_uri", Value::Null);
    }
    Reply::json(reply.status, &body)
}

fn put(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

/// True if the row is of a number that was bought in the last `time`.
fn is_younger(world: &World, row: &Value, time: Duration) -> bool {
    let id = ["sid", "id"]
        .into_iter()
        .find_map(|key| row.get(key)?.as_str());
    let place = id.and_then(|id| world.numbers.place_of_id(id));
    let number = place.and_then(|at| world.numbers.get(at));
    number.is_some_and(|number| number.shown.sold.elapsed() < time)
}
