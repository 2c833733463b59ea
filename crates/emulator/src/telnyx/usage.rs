//! Detail records. Source: `GET /detail_records` of `openapi/spec3.yml`. Of records of calls the fields are not specified.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::carrier::World;
use crate::message::{Reply, Request};
use crate::usage::{Record, RecordKind, found};

pub(super) fn list(world: &World, request: &Request) -> Reply {
    let kind = match request.query("filter[record_type]") {
        Some("call-control") => RecordKind::Call,
        Some("messaging") => RecordKind::Message,
        // There are such types, and nothing of them takes place here.
        Some("sip-trunking" | "fax" | "webrtc" | "conference") => {
            return super::page(Vec::<&Record>::new(), row, request);
        }
        _ => {
            return super::error(
                400,
                "10015",
                "Bad Request",
                "filter[record_type] is required",
            );
        }
    };
    let since = match request.query("filter[date_range]").map(days) {
        None => None,
        Some(Some(days)) => {
            let since = world
                .now()
                .checked_sub(days)
                .unwrap_or(SystemTime::UNIX_EPOCH);
            Timestamp::try_from(since).ok()
        }
        Some(None) => {
            return super::error(400, "10015", "Bad Request", "filter[date_range] is unknown");
        }
    };
    let side = |name: &str| request.query(name);
    let found = found(
        &world.records,
        world.state.switches.records_oldest_first,
        kind,
        side("filter[cli]"),
        side("filter[cld]"),
        since,
    );
    super::page(found, row, request)
}

/// The days of a range such as `last_30_days`.
fn days(range: &str) -> Option<Duration> {
    let days = range.strip_prefix("last_")?.strip_suffix("_days")?;
    Some(Duration::from_secs(days.parse::<u64>().ok()? * 24 * 3600))
}

fn row(record: &Record) -> Value {
    let mut row = json!({"cli": record.from, "cld": record.to, "status": "delivered"});
    let field = match record.kind {
        RecordKind::Call => "finished_at",
        RecordKind::Message => "created_at",
    };
    if let Some(row) = row.as_object_mut() {
        row.insert(field.to_owned(), json!(record.at.to_string()));
    }
    row
}
