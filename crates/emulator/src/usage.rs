//! Calls and messages that took place, as a test says so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A call or a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    /// Whether it is a call or a message.
    pub(super) kind: RecordKind,
    /// The number that called or sent.
    pub(super) from: String,
    /// The number that was called or sent to.
    pub(super) to: String,
    /// When it took place.
    pub(super) at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RecordKind {
    Call,
    Message,
}

/// Those of `records` that are of this kind, from and to these numbers and since a time: the latest first, or the oldest.
pub(super) fn found<'a>(
    records: &'a [Record],
    is_oldest_first: bool,
    kind: RecordKind,
    from: Option<&str>,
    to: Option<&str>,
    since: Option<Timestamp>,
) -> Vec<&'a Record> {
    let mut found: Vec<_> = records
        .iter()
        .filter(|record| record.kind == kind)
        .filter(|record| from.is_none_or(|from| record.from == from))
        .filter(|record| to.is_none_or(|to| record.to == to))
        .filter(|record| since.is_none_or(|since| record.at >= since))
        .collect();
    found.sort_by_key(|record| record.at);
    if !is_oldest_first {
        found.reverse();
    }
    found
}
