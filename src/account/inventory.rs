//! What an account holds, as its last listing and our own calls since have shown it.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use super::lock;
use crate::clock::Instant;
use crate::number::{E164, Holding, Mark, NumberId, Settings};
use crate::provider::Error;

/// A released number may be listed a little longer.
const RELEASED_FOR: Duration = Duration::from_secs(300);

/// What an account holds.
#[derive(Default)]
pub(super) struct Inventory {
    state: Mutex<State>,
    /// Held while a listing runs: one at a time.
    listing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// When the last listing that worked began.
    listed: Option<Instant>,
    /// When the last listing began, and how it ended.
    last: Option<(Instant, Result<(), Error>)>,
    rows: HashMap<NumberId, Row>,
    by_number: HashMap<E164, NumberId>,
    released: HashMap<NumberId, Instant>,
    /// The numbers of each messaging service that somebody declares.
    members: HashMap<String, HashSet<NumberId>>,
}

struct Row {
    holding: Holding,
    /// When the call that showed it began.
    asked: Instant,
}

/// A number in the account: its id, itself, and the mark on it.
pub type Surveyed = (NumberId, E164, Option<Mark>);

impl Inventory {
    /// When the last listing that worked began.
    pub(super) fn listed(&self) -> Option<Instant> {
        lock(&self.state).listed
    }

    /// How many numbers are known.
    pub(super) fn len(&self) -> usize {
        lock(&self.state).rows.len()
    }

    /// The messaging services whose members are known.
    pub(super) fn services(&self) -> Vec<String> {
        lock(&self.state).members.keys().cloned().collect()
    }

    /// Notes which numbers are in a messaging service.
    pub(super) fn set_members(&self, service: &str, members: HashSet<NumberId>) {
        lock(&self.state)
            .members
            .insert(service.to_owned(), members);
    }

    /// Waits until no listing runs, and keeps others from beginning one.
    pub(super) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.listing.lock().await
    }

    /// How the last listing ended, if it began at `not_before` or later.
    pub(super) fn outcome(&self, not_before: Instant) -> Option<Result<(), Error>> {
        let state = lock(&self.state);
        let (begun, outcome) = state.last.as_ref()?;
        (*begun >= not_before).then(|| outcome.clone())
    }

    /// Takes over a listing that began at `begun`. What our own calls have shown since is newer.
    pub(super) fn install(&self, begun: Instant, holdings: Vec<Holding>) {
        let mut state = lock(&self.state);
        let State {
            rows,
            by_number,
            released,
            ..
        } = &mut *state;
        released.retain(|_, at| begun.since(*at) < RELEASED_FOR);
        let mut newer: HashMap<_, _> = std::mem::take(rows)
            .into_iter()
            .filter(|(_, row)| row.asked >= begun)
            .collect();
        for holding in holdings {
            if !released.contains_key(&holding.id) && !newer.contains_key(&holding.id) {
                let row = Row {
                    holding,
                    asked: begun,
                };
                rows.insert(row.holding.id.clone(), row);
            }
        }
        rows.extend(newer.drain());
        *by_number = rows
            .values()
            .map(|row| (row.holding.number.clone(), row.holding.id.clone()))
            .collect();
        state.listed = Some(begun);
        state.last = Some((begun, Ok(())));
    }

    /// Notes that a listing that began at `begun` failed.
    pub(super) fn failed(&self, begun: Instant, error: Error) {
        lock(&self.state).last = Some((begun, Err(error)));
    }

    /// Notes what a call that began at `asked` has shown of one number, and of its being in `service`.
    pub(super) fn saw(&self, holding: &Holding, service: Option<&str>, asked: Instant) {
        let mut state = lock(&self.state);
        if state.released.contains_key(&holding.id) {
            return;
        }
        state
            .by_number
            .insert(holding.number.clone(), holding.id.clone());
        let row = Row {
            holding: holding.clone(),
            asked,
        };
        state.rows.insert(holding.id.clone(), row);
        if let (Some(service), Settings::Twilio(settings)) = (service, &holding.settings)
            && let Some(members) = state.members.get_mut(service)
        {
            if settings.in_messaging_service {
                members.insert(holding.id.clone());
            } else {
                members.remove(&holding.id);
            }
        }
    }

    /// Notes that the provider says that there is no number with this id (any more).
    pub(super) fn gone(&self, id: &NumberId, released: Option<Instant>) {
        let mut state = lock(&self.state);
        if let Some(row) = state.rows.remove(id) {
            state.by_number.remove(&row.holding.number);
        }
        if let Some(at) = released {
            state.released.insert(id.clone(), at);
        }
    }

    /// The number with this id, and whether it is in `service`. `None` also if the members of `service` are not known.
    pub(super) fn by_id(&self, id: &NumberId, service: Option<&str>) -> Option<Holding> {
        let state = lock(&self.state);
        let mut holding = state.rows.get(id)?.holding.clone();
        if let (Some(service), Settings::Twilio(settings)) = (service, &mut holding.settings) {
            settings.in_messaging_service = state.members.get(service)?.contains(id);
        }
        Some(holding)
    }

    /// The number, if the account has it; `service` as above.
    pub(super) fn by_number(&self, number: &E164, service: Option<&str>) -> Option<Holding> {
        let id = lock(&self.state).by_number.get(number).cloned()?;
        self.by_id(&id, service)
    }

    /// The numbers that carry `mark`, or the same owner's other mark.
    pub(super) fn by_mark(&self, mark: &Mark) -> Vec<Holding> {
        let state = lock(&self.state);
        let marked = state.rows.values().filter(|row| {
            Mark::find_in(&row.holding.marked_text).is_some_and(|found| found.same_owner(mark))
        });
        marked.map(|row| row.holding.clone()).collect()
    }

    /// Everything that is known.
    pub(super) fn survey(&self) -> Vec<Surveyed> {
        let state = lock(&self.state);
        let rows = state.rows.values().map(|row| {
            let holding = &row.holding;
            let mark = Mark::find_in(&holding.marked_text);
            (holding.id.clone(), holding.number.clone(), mark)
        });
        rows.collect()
    }
}
