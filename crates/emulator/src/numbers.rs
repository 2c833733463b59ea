//! The numbers that accounts have, in the order in which they got them, each found by itself and by its id without going
//! through all of them.

use std::collections::{BTreeMap, HashMap};

use serde::{Serialize, Serializer};

use tokio::time::Instant;

use super::carrier::Number;

/// Every number that an account has. A place is not used again.
#[derive(Debug, Default)]
pub struct Numbers {
    rows: BTreeMap<usize, Number>,
    by_number: HashMap<String, usize>,
    by_id: HashMap<String, usize>,
    next: usize,
}

impl Numbers {
    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Number> {
        self.rows.values()
    }

    /// Shows every number in listings from `at` on and not before. Where `at` has come, its id leads to it too.
    pub fn list_from(&mut self, at: Instant) {
        for number in self.rows.values_mut() {
            let shown = &mut number.shown;
            (shown.listed, shown.found) = (at, at);
            shown.fetched = shown.fetched.min(at);
            shown.until = shown.sold;
        }
    }

    /// The number at a place.
    pub fn get(&self, at: usize) -> Option<&Number> {
        self.rows.get(&at)
    }

    /// The number at a place, to change its settings. What it is found by is changed by [`Numbers::replace`].
    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Number> {
        self.rows.get_mut(&at)
    }

    /// The place of the number that is so written.
    pub(super) fn place_of(&self, number: &str) -> Option<usize> {
        self.by_number.get(number).copied()
    }

    /// The place of the number with this id.
    pub(super) fn place_of_id(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// Adds a number, and returns its place.
    pub(super) fn push(&mut self, number: Number) -> usize {
        let at = self.next;
        self.next += 1;
        self.put(at, number);
        at
    }

    /// Puts `number` in the place of another.
    pub(super) fn replace(&mut self, at: usize, number: Number) {
        self.remove(at);
        self.put(at, number);
    }

    /// Takes out the number at a place.
    pub(super) fn remove(&mut self, at: usize) -> Option<Number> {
        let number = self.rows.remove(&at)?;
        self.by_number.remove(&number.phone_number);
        self.by_id.remove(&number.id);
        Some(number)
    }

    fn put(&mut self, at: usize, number: Number) {
        self.by_number.insert(number.phone_number.clone(), at);
        self.by_id.insert(number.id.clone(), at);
        self.rows.insert(at, number);
    }
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
