//! What a pass comes to, and how conditions say it: alike on every kind. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{Reason, condition};
use crate::shown::{self, MOST_OF_MESSAGE};

/// A reason, and a sentence that names the next step.
pub(super) struct Verdict {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Verdict {
    /// Sets a condition. Where a person must act, its message names the section of the documentation that says how.
    pub(super) fn say(
        &self,
        conditions: &mut Vec<Condition>,
        kind: &str,
        truth: bool,
        generation: Option<i64>,
        now: Timestamp,
    ) {
        let status = if truth { "True" } else { "False" };
        let before = conditions
            .iter()
            .position(|found| found.type_ == kind)
            .map(|at| conditions.remove(at));
        let since = match before {
            Some(before) if before.status == status => before.last_transition_time,
            _ => Time(seconds(now)),
        };
        let message = shown::line(&self.message, MOST_OF_MESSAGE);
        let message = if truth && kind == condition::STALLED {
            format!("{message} See {}.", self.reason.section())
        } else {
            message
        };
        conditions.push(Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_string(),
            message,
            observed_generation: generation,
            last_transition_time: since,
        });
        conditions.sort_by_key(|found| order_of(&found.type_));
    }
}

fn order_of(kind: &str) -> usize {
    let order = [
        condition::READY,
        condition::RECONCILING,
        condition::STALLED,
        condition::PURCHASED,
        condition::WEBHOOKS_CONFIGURED,
        condition::ASSISTANT_ASSIGNED,
    ];
    order
        .iter()
        .position(|known| *known == kind)
        .unwrap_or(order.len())
}

/// Kubernetes keeps times to the second.
pub(super) fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_bounded_and_shows_all_that_it_says() {
        let message = format!("a\u{202e}b\u{1b}[2J\n{}", "x".repeat(100_000));
        let verdict = Verdict {
            reason: Reason::OwnedByAnother,
            message,
        };
        let mut conditions = Vec::new();
        verdict.say(
            &mut conditions,
            condition::READY,
            false,
            None,
            Timestamp::UNIX_EPOCH,
        );
        let message = &conditions[0].message;
        assert!(message.starts_with("ab [2J x"), "{message}");
        assert_eq!(message.chars().count(), MOST_OF_MESSAGE);
    }
}
