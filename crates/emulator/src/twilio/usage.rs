//! The resources Call and Message, as listings. Source: `twilio_api_v2010.json`.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::carrier::World;
use crate::message::{Reply, Request, rfc2822};
use crate::usage::{Record, RecordKind, found};

pub(super) fn list(world: &World, kind: RecordKind, account: &str, request: &Request) -> Reply {
    let (rows, since) = match kind {
        RecordKind::Call => ("calls", "StartTime>"),
        RecordKind::Message => ("messages", "DateSent>"),
    };
    let since = match request.query(since) {
        None => None,
        // The filter is a day, and means that day or later.
        Some(day) => match format!("{day}T00:00:00Z").parse() {
            Ok(since) => Some(since),
            Err(_) => return super::error(400, 20001, "The date is not YYYY-MM-DD"),
        },
    };
    let size = request.query("PageSize").and_then(|size| size.parse().ok());
    let found = found(
        &world.records,
        world.state.switches.records_oldest_first,
        kind,
        request.query("From"),
        request.query("To"),
        since,
    );
    let is_own = |record: &&&Record| {
        let number = |number: &str| {
            let place = world.numbers.place_of(number);
            place.and_then(|place| world.numbers.get(place))
        };
        let sides = [number(&record.from), number(&record.to)];
        sides
            .iter()
            .flatten()
            .any(|number| number.account == account)
    };
    let shown = found.iter().filter(is_own).take(size.unwrap_or(50));
    let shown: Vec<Value> = shown.map(|record| row(record)).collect();
    Reply::json(200, &json!({rows: shown}))
}

fn row(record: &Record) -> Value {
    let at = rfc2822(SystemTime::from(record.at));
    json!({"from": record.from, "to": record.to, "date_created": at, "status": "completed"})
}
