//! What is registered for the messages of numbers, by number.

use std::collections::HashMap;

use crate::number::{E164, Registration};

/// What is registered, by number.
pub type Registrations = HashMap<E164, Registration>;

/// Notes a registration of `number`, unless a better one is noted.
pub(super) fn keep_best(
    registrations: &mut Registrations,
    number: E164,
    registration: Registration,
) {
    let best = match registrations.remove(&number) {
        Some(other) => other.or(registration),
        None => registration,
    };
    registrations.insert(number, best);
}
