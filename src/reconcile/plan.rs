//! Decides the next step for one number. Everything is decided here and nothing is done: no I/O, no clock, no
//! randomness. `perform` carries a step out and comes back with what it learned.

pub(crate) mod acquire;
mod facts;
mod limits;
mod maintain;
pub(crate) mod messages;
pub(crate) mod release;
mod step;
mod title;

use std::time::Duration;

use jiff::Timestamp;

use crate::outcome::{Doubt, MAX_REPAIRS, Memory, Outcome, Retry, Setup, Timeouts, clock_time};

pub use facts::{Attempt, Facts, Findings, Lookup, ManagedWebhook, Record, Refused, SearchResult};
pub use limits::{Allowed, Budget, Limits};
pub(crate) use step::wait;
pub use step::{FinalizerRemoval, Step};
use title::Title;

/// How long a recorded number must have been missing, by the provider's own 404, before it counts as gone.
pub const ABSENCE_CONFIRMED_AFTER: Duration = Duration::from_secs(60);

/// How far a creation date may lie outside of the time of an attempt, by another clock, while both clocks count as one.
const DATE_TOLERANCE: Duration = Duration::from_secs(2);

/// How far the dates of one purchase in several records of a provider may lie apart.
const RECORDS_APART: Duration = Duration::from_secs(60);

/// How long after its order a number comes at most, as far as an order counts whose claim is lost.
const BROUGHT_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// How far a creation date may lie before an attempt by the clock that dates it: how long ago the attempt was is known by
/// another clock, which shows whole seconds.
const ATTEMPT_TOLERANCE: Duration = Duration::from_secs(5);

/// How long a number is renamed before it counts as one whose date does not move with its name. Dates are whole seconds.
const MOVES_WITHIN: Duration = Duration::from_secs(10);

/// The least time that this process has known a claim, by its own clock, before it lets the claim go. The dates of replies may be
/// of several servers.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// How long a number that is not on sale is left alone.
pub const NOT_ON_SALE_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// How many candidates of a search are tried in one reconcile.
const MOST_CANDIDATES: usize = 5;

/// How long a cause that needs a person, and that nobody tells us of, is left alone.
pub const PERSON_AGAIN_AFTER: Duration = Duration::from_secs(1800);

/// How often one code that is not known must come for a refusal of its own: then it is left alone as any other.
const REFUSED_FOR_GOOD: i64 = 3;

/// The longest pause between attempts on one number that may have bought it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);

/// How many attempts are made on a candidate of a search that may have bought it. After the last the visibility period
/// passes, and another candidate is chosen.
const ATTEMPTS_ON_A_CANDIDATE: u32 = 4;

/// How soon an open question is asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// An order is not asked about sooner than this.
const ORDER_TAKES: Duration = Duration::from_millis(500);

/// A wait that is longer than this is planned again in between: no timer runs for months.
const LONGEST_TIMER: Duration = Duration::from_secs(24 * 3600);

/// Within this time of its claim a number that was ordered need not be shown yet: nothing is said of it.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);

/// The next step for `facts`.
pub fn plan(facts: &Facts) -> Step {
    let step = match (facts.deleting, &facts.record.id) {
        (true, _) if !facts.finalizer => Step::Done(Outcome::NotManaged),
        (true, _) => release::release(facts),
        (false, Some(id)) => maintain::maintain(facts, id),
        (false, None) => acquire::acquire(facts),
    };
    if facts.suspended && (step.writes() || step == Step::Done(Outcome::Ready)) {
        Step::Done(Outcome::Suspended)
    } else {
        step
    }
}

fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

/// True if `earlier` lies before `later` by more than `apart`.
fn is_before(earlier: Option<Timestamp>, later: Timestamp, apart: Duration) -> bool {
    earlier.is_some_and(|earlier| elapsed(earlier, later) > apart)
}

#[cfg(test)]
mod tests;
