//! Sets conditions, in the same way on every kind. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{Reason, StatusReason, condition};
use crate::shown::{self, MOST_OF_MESSAGE};

/// Sets a condition. Where a person must act, its message names the section of the documentation that says how. Reconciling and
/// Stalled are left out where they would be False, as kstatus reads them, except that a suspended object has Reconciling.
pub(super) fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: &str,
    truth: bool,
    why: &StatusReason,
    generation: Option<i64>,
    now: Timestamp,
) {
    let is_left_out = match kind {
        condition::RECONCILING => !truth && why.reason != Reason::Suspended,
        condition::STALLED => !truth,
        _ => false,
    };
    if is_left_out {
        conditions.retain(|found| found.type_ != kind);
        return;
    }
    let status = if truth { "True" } else { "False" };
    put(conditions, kind, status, why, generation, now);
}

/// Sets a condition of which the truth is not known.
pub(super) fn set_unknown(
    conditions: &mut Vec<Condition>,
    kind: &str,
    why: &StatusReason,
    generation: Option<i64>,
    now: Timestamp,
) {
    put(conditions, kind, "Unknown", why, generation, now);
}

fn put(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: &str,
    why: &StatusReason,
    generation: Option<i64>,
    now: Timestamp,
) {
    let message = shown::line(&why.message, MOST_OF_MESSAGE);
    let message = if kind == condition::STALLED && status == "True" {
        format!("{message} See {}.", why.reason.section())
    } else {
        message
    };
    let before = conditions
        .iter()
        .position(|found| found.type_ == kind)
        .map(|at| conditions.remove(at));
    let since = match before {
        Some(before) if before.status == status => before.last_transition_time,
        _ => Time(seconds(now)),
    };
    conditions.push(Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: why.reason.to_string(),
        message,
        observed_generation: generation,
        last_transition_time: since,
    });
    conditions.sort_by_key(|found| order_of(&found.type_));
}

fn order_of(kind: &str) -> usize {
    let order = [
        condition::READY,
        condition::RECONCILING,
        condition::STALLED,
        condition::PURCHASED,
        condition::WEBHOOKS_CONFIGURED,
        condition::ASSISTANT_ASSIGNED,
        condition::MESSAGING_READY,
    ];
    order
        .iter()
        .position(|known| *known == kind)
        .unwrap_or(order.len())
}

/// Kubernetes keeps times to the second.
pub(crate) fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_under_way_and_not_stalled_says_nothing_of_it() {
        let mut conditions = Vec::new();
        let mut set = |kind, truth, reason| {
            let why = StatusReason::new(reason, "so it is".to_owned());
            let now = Timestamp::UNIX_EPOCH;
            set_condition(&mut conditions, kind, truth, &why, None, now);
            let shown = conditions.iter();
            shown
                .map(|it| (it.type_.clone(), it.status.clone()))
                .collect::<Vec<_>>()
        };
        let is = |kind: &str, status: &str| vec![(kind.to_owned(), status.to_owned())];
        let reconciling = condition::RECONCILING;
        assert_eq!(
            set(reconciling, true, Reason::Verifying),
            is(reconciling, "True")
        );
        assert_eq!(set(reconciling, false, Reason::Ready), []);
        assert_eq!(
            set(reconciling, false, Reason::Suspended),
            is(reconciling, "False")
        );
        assert_eq!(set(reconciling, false, Reason::Ready), []);
        assert_eq!(set(condition::STALLED, false, Reason::Suspended), []);
    }

    #[test]
    fn a_message_is_bounded_and_shows_all_that_it_says() {
        let message = format!("a\u{202e}b\u{1b}[2J\n{}", "x".repeat(100_000));
        let why = StatusReason::new(Reason::OwnedByAnother, message);
        let mut conditions = Vec::new();
        set_condition(
            &mut conditions,
            condition::READY,
            false,
            &why,
            None,
            Timestamp::UNIX_EPOCH,
        );
        let message = &conditions[0].message;
        assert!(message.starts_with("ab [2J x"), "{message}");
        assert_eq!(message.chars().count(), MOST_OF_MESSAGE);
    }
}
