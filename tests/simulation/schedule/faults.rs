//! Loses, delays and spoils requests, as the classes of a schedule and its rate decide.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use phonenumber_operator::random::Random;
use tokio::time::Instant;

use crate::classes::Class;
use crate::process::{Call, Fate, Script, Wrong};

/// Loses, delays and spoils requests.
pub(super) struct Faults {
    pub(super) random: Random,
    pub(super) rate: f64,
    pub(super) classes: BTreeSet<Class>,
    pub(super) kept: Arc<Mutex<Vec<(Instant, String)>>>,
    pub(super) state: Mutex<FaultState>,
}

#[derive(Default)]
pub(super) struct FaultState {
    /// How many of the next status writes are refused, and with what.
    refused: (usize, u16),
    /// The lists whose last answer was wrong: who asked whom for what.
    wrong: HashSet<(usize, &'static str, String)>,
    /// When each process got its last wrong list of a side.
    misled: HashMap<(usize, &'static str), Instant>,
    /// What was denied once.
    denied: HashSet<String>,
    panics: usize,
}

/// For how long after a wrong list a process gets right ones.
const RIGHT_FOR: Duration = Duration::from_secs(30);

/// So many reconciles of a schedule panic at most.
const MOST_PANICS: usize = 8;

impl Faults {
    pub(super) fn into_script(self) -> Script {
        Arc::new(move |call: &Call| self.special(call).unwrap_or_else(|| self.common()))
    }

    fn yes(&self, class: Class, percent: usize) -> bool {
        self.classes.contains(&class) && self.random.below(100) < percent
    }

    /// What a class does to a request.
    fn special(&self, call: &Call) -> Option<Fate> {
        let mut state = self.state.lock().unwrap();
        let state = &mut *state;
        if state.panics < MOST_PANICS && self.yes(Class::Panics, 1) {
            state.panics += 1;
            return Some(Fate::Panics);
        }
        match (call.side, call.operation.as_str()) {
            ("kubernetes", "put phonenumbers/status") => {
                let (left, code) = state.refused;
                state.refused.0 = left.saturating_sub(1);
                (left > 0).then_some(Fate::Refused(code))
            }
            ("twilio" | "telnyx", "buy") => {
                if self.yes(Class::RefusedStatus, 50) {
                    let code = [422, 413, 403][self.random.below(3)];
                    state.refused = (1 + self.random.below(20), code);
                }
                self.purchase()
            }
            ("twilio" | "telnyx", "release") => {
                if self.yes(Class::FalseReleases, 30) {
                    let kept = (Instant::now(), call.about.clone());
                    self.kept.lock().unwrap().push(kept);
                    return Some(Fate::Ignored);
                }
                let is_refused = self.yes(Class::UnknownRefusals, 20);
                is_refused.then_some(Fate::Refused(400))
            }
            ("twilio" | "telnyx", "fetch") => {
                let denies = self.yes(Class::FalseAbsence, 20);
                let is_first = denies && state.denied.insert(call.about.clone());
                is_first.then_some(Fate::Refused(404))
            }
            ("twilio" | "telnyx", "list" | "orders") => {
                let list = (call.process, call.side, call.about.clone());
                let (who, now) = ((call.process, call.side), Instant::now());
                let misled = state.misled.get(&who);
                let is_soon = misled.is_some_and(|at| now.duration_since(*at) < RIGHT_FOR);
                if !state.wrong.insert(list.clone()) || is_soon || !self.yes(Class::WrongPages, 30)
                {
                    // Two answers in a row to one question are not both wrong, nor two of one decision.
                    state.wrong.remove(&list);
                    return None;
                }
                state.misled.insert(who, now);
                let wrongs = [Wrong::Empty, Wrong::Shifted, Wrong::Short, Wrong::Stale];
                Some(Fate::Wrong(wrongs[self.random.below(wrongs.len())]))
            }
            ("burki", "assign") => {
                let lies = self.yes(Class::FalseAssignments, 30);
                lies.then_some(Fate::Ignored)
            }
            _ => None,
        }
    }

    fn purchase(&self) -> Option<Fate> {
        if self.yes(Class::UnknownRefusals, 30) {
            return Some(Fate::Refused(400));
        }
        if !self.yes(Class::LatePurchases, 40) {
            return None;
        }
        let late = Duration::from_secs(20 + self.random.below(100) as u64);
        Some(match self.random.below(3) {
            0 => Fate::Twice,
            _ => Fate::Delayed(late),
        })
    }

    /// What happens in every schedule, at its rate.
    fn common(&self) -> Fate {
        let random = &self.random;
        if random.fraction() >= self.rate {
            return Fate::Answered;
        }
        match random.below(20) {
            0..=2 => Fate::NotSent,
            3..=7 => Fate::ReplyLost,
            8..=9 => Fate::RequestLost,
            10..=11 => Fate::Proxy(502),
            12 => Fate::Refused(429),
            13 => Fate::Cut,
            14..=15 => Fate::Slow(Duration::from_millis(1 + random.below(40_000) as u64)),
            16 => Fate::Late(Duration::from_millis(1 + random.below(3_000) as u64)),
            17 => Fate::CrashBefore,
            _ => Fate::CrashAfter,
        }
    }
}
