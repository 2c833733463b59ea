//! The carrier's book: every effect that took place, in order, and how often each operation was asked for.

use std::collections::BTreeMap;

use serde::Serialize;

/// What took place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// An account paid for a number.
    Purchase,
    /// An order was accepted.
    Order,
    /// An order was cancelled.
    Cancel,
    /// A number's settings changed.
    Configure,
    /// A number was given back.
    Release,
    /// An assistant took a number.
    Assign,
    /// An assistant let go of a number.
    Unassign,
    /// A requirement group was attached to an order.
    Papers,
    /// A connection's or a messaging profile's webhook changed.
    Webhook,
}

/// One effect.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Its place in the book, from 1.
    pub at: usize,
    /// When, by the carrier's clock, in ISO 8601.
    pub time: String,
    /// What.
    pub deed: Deed,
    /// twilio, telnyx or burki; `console` for what somebody did by hand.
    pub by: &'static str,
    /// The account, or the assistant.
    pub account: String,
    /// The number, or the id of what is not a number.
    pub number: String,
    /// The id of the number, or of the order.
    pub id: String,
    /// The text that carries the mark.
    pub reference: String,
}

/// The book.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Every effect, in order.
    pub entries: Vec<Entry>,
    /// How often each operation was asked for, by `side operation`.
    pub requests: BTreeMap<String, u64>,
    /// How many requests are under way on each side, and the most that ever were.
    pub in_flight: BTreeMap<&'static str, (u64, u64)>,
}
