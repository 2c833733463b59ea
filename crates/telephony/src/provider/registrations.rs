//! What is registered for the messages of numbers, by number.

use std::collections::HashMap;

use crate::number::{E164, Registration};
use crate::shown;

/// The longest word of a state that is shown.
const LONGEST_WORD: usize = 40;

/// What is registered, by number.
pub type Registrations = HashMap<E164, Registration>;

/// Notes a registration of `number`, unless a better one is noted.
pub(super) fn keep_best(
    registrations: &mut Registrations,
    number: E164,
    registration: Registration,
) {
    let best = better(registrations.remove(&number), registration);
    registrations.insert(number, best);
}

/// The better of the two, where there are two.
pub(super) fn better(known: Option<Registration>, registration: Registration) -> Registration {
    match known {
        Some(known) => known.or(registration),
        None => registration,
    }
}

/// A provider's word for a state, as people may see it.
pub(super) fn short(word: &str) -> String {
    shown::line(word, LONGEST_WORD)
}
