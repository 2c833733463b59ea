//! What an account holds, as its last listing and our own calls since have shown it.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::lock;
use crate::clock::Instant;
use crate::number::{E164, Holding, Mark, NumberId, Settings, Shown};
use crate::provider::Listing;
use crate::safeguards::{Safeguard, is_enabled};

/// A released number may be listed a little longer.
const RELEASED_FOR: Duration = Duration::from_secs(300);

/// How many listings must lack a number before it counts as absent, where nothing was asked for by itself: one may be stale,
/// or lack a page, and still be answered with 200.
const NEEDED_WITNESSES: u8 = 2;

/// True if so many numbers are missing at once that rather the listing is to be doubted.
pub fn is_suspect(missing: usize, all: usize) -> bool {
    missing > (all / 10).max(3)
}

/// Which numbers are known: while this is the same, more may have come, and none is gone but what was released. No two
/// inventories ever have the same, also not one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u64);

impl Default for Version {
    /// What is known from now on, after numbers may have got lost.
    fn default() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }
}

/// What an account holds.
#[derive(Default)]
pub(super) struct Inventory {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When the last listing that worked began.
    listed: Option<Instant>,
    version: Version,
    /// When the last listing that worked ended.
    ended: Option<Instant>,
    /// How many listings were witnesses of what the account lacks, up to two.
    witnesses: u8,
    /// True if the last listing was no such witness.
    is_doubtful: bool,
    /// What was known, and the last listing or the last call lacks.
    vanished: Vanished,
    rows: HashMap<NumberId, Box<Row>>,
    by_number: HashMap<E164, NumberId>,
    /// The numbers that carry the marks of resources of each name, of whatever installation.
    by_owner: HashMap<String, Vec<NumberId>>,
    released: HashMap<NumberId, Instant>,
}

struct Row {
    holding: Holding,
    /// When the call that showed it ended: a listing that began before may be older. Of a listing, when it began.
    seen: Instant,
    /// When it was first known.
    known: Instant,
}

/// Numbers that were known and are said to be gone, by one witness, and that nothing has shown since.
#[derive(Default)]
struct Vanished {
    by_id: HashMap<NumberId, Holding>,
    /// How many there are of each number.
    numbers: HashMap<E164, usize>,
}

impl Vanished {
    fn put(&mut self, holding: Holding) {
        let number = holding.number;
        if self.by_id.insert(holding.id.clone(), holding).is_none() {
            let count = self.numbers.entry(number).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn take(&mut self, id: &NumberId) {
        let Some(holding) = self.by_id.remove(id) else {
            return;
        };
        if let Some(count) = self.numbers.get_mut(&holding.number) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.numbers.remove(&holding.number);
            }
        }
    }
}

/// A number of an account, as its listings show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedNumber {
    /// The provider's id of it.
    pub id: NumberId,
    /// The number.
    pub number: E164,
    /// The operator's mark on it, if it has one.
    pub mark: Option<Mark>,
    /// When the account got it, by the provider's clock; `None` if the provider did not say.
    pub created: Option<Timestamp>,
}

impl Inventory {
    /// When the last listing that worked began.
    pub(super) fn listed(&self) -> Option<Instant> {
        lock(&self.state).listed
    }

    /// Which numbers are known.
    pub(super) fn version(&self) -> Version {
        lock(&self.state).version
    }

    /// How many numbers are known.
    pub(super) fn len(&self) -> usize {
        lock(&self.state).rows.len()
    }

    /// When the last listing that worked ended; a listing that begins then or later is another one.
    pub(super) fn ended(&self) -> Option<Instant> {
        lock(&self.state).ended
    }

    /// True if the last two listings that can be witnesses of an absence both lack what `is_it` picks.
    pub(super) fn lacks(&self, is_it: impl Fn(&Holding) -> bool) -> bool {
        let state = lock(&self.state);
        let needed = if is_enabled(Safeguard::SecondListing) {
            NEEDED_WITNESSES
        } else {
            1
        };
        state.witnesses >= needed && !state.vanished.by_id.values().any(is_it)
    }

    /// True if two listings were witnesses of what the account lacks: how many numbers it holds is known then.
    pub(super) fn is_counted(&self) -> bool {
        lock(&self.state).witnesses >= NEEDED_WITNESSES || !is_enabled(Safeguard::SecondListing)
    }

    /// True if a number that was known is said to be gone by one witness.
    pub(super) fn has_vanished(&self) -> bool {
        !lock(&self.state).vanished.by_id.is_empty()
    }

    /// How many numbers count as held: those that are known, and those that one witness says are gone.
    pub(super) fn counted(&self) -> usize {
        let state = lock(&self.state);
        state.rows.len().saturating_add(state.vanished.by_id.len())
    }

    /// True if the number counts as held.
    pub(super) fn counts(&self, number: &E164) -> bool {
        let state = lock(&self.state);
        state.by_number.contains_key(number) || state.vanished.numbers.contains_key(number)
    }

    /// Takes over a listing that ran from `begun` to `ended`. What our own calls have shown since is newer, and what the
    /// listing does not show of a number is as it was. Returns the numbers of which it does not show what is known to have
    /// been set.
    pub(super) fn install(
        &self,
        begun: Instant,
        ended: Instant,
        listing: Listing,
    ) -> Vec<NumberId> {
        let mut state = lock(&self.state);
        state.bear_witness(begun, &listing);
        state.ended = Some(ended.max(begun + Duration::from_nanos(1)));
        let holdings = listing.holdings;
        let State { rows, released, .. } = &mut *state;
        released.retain(|_, at| begun.since(*at) < RELEASED_FOR);
        let known: HashMap<_, _> = rows
            .iter()
            .map(|(id, row)| (id.clone(), row.known))
            .collect();
        let (mut newer, older): (HashMap<_, _>, HashMap<_, _>) = std::mem::take(rows)
            .into_iter()
            .partition(|(_, row)| row.seen >= begun);
        let mut hidden = Vec::new();
        for mut holding in holdings {
            let before = older.get(&holding.id).map(|row| &row.holding);
            if keep_what_is_hidden(&mut holding, before) {
                hidden.push(holding.id.clone());
            }
            if !released.contains_key(&holding.id) && !newer.contains_key(&holding.id) {
                let known = known.get(&holding.id).copied().unwrap_or(ended);
                let row = Row {
                    holding,
                    seen: begun,
                    known,
                };
                rows.insert(row.holding.id.clone(), Box::new(row));
            }
        }
        rows.extend(newer.drain());
        state.reindex();
        state.listed = Some(begun);
        state.version = Version::default();
        hidden
    }

    /// Notes what a call that ended at `seen` has shown of one number.
    pub(super) fn saw(&self, holding: &Holding, seen: Instant) {
        let mut state = lock(&self.state);
        if state.released.contains_key(&holding.id) {
            return;
        }
        let known = state.rows.get(&holding.id).map_or(seen, |row| row.known);
        state.vanished.take(&holding.id);
        state.take_out(&holding.id);
        state.put_into_indexes(holding);
        let row = Row {
            holding: holding.clone(),
            seen,
            known,
        };
        state.rows.insert(holding.id.clone(), Box::new(row));
    }

    /// Notes that the provider says that there is no number with this id (any more). One that was not released counts as held
    /// until a listing lacks it too.
    pub(super) fn gone(&self, id: &NumberId, released: Option<Instant>) {
        let mut state = lock(&self.state);
        let known = state.take_out(id);
        match (released, known) {
            (Some(at), _) => {
                state.vanished.take(id);
                state.released.insert(id.clone(), at);
            }
            (None, known) => {
                known.into_iter().for_each(|it| state.vanished.put(it));
                state.version = Version::default();
            }
        }
    }

    /// The number with this id.
    pub(super) fn by_id(&self, id: &NumberId) -> Option<Holding> {
        let state = lock(&self.state);
        state.rows.get(id).map(|row| row.holding.clone())
    }

    /// The number, if the account has it.
    pub(super) fn by_number(&self, number: &E164) -> Option<Holding> {
        let id = lock(&self.state).by_number.get(number).cloned()?;
        self.by_id(&id)
    }

    /// True if a number with this id was known before `at`.
    pub(super) fn was_known(&self, id: &NumberId, at: Instant) -> bool {
        let state = lock(&self.state);
        state.rows.get(id).is_some_and(|row| row.known < at)
    }

    /// True if the account has the number.
    pub(super) fn has(&self, number: &E164) -> bool {
        lock(&self.state).by_number.contains_key(number)
    }

    /// The numbers that carry `mark`, or the same owner's other mark, oldest first.
    pub(super) fn by_mark(&self, mark: &Mark) -> Vec<Holding> {
        let mut found = self.by_name(mark);
        found.retain(|holding| is_marked(holding, mark));
        found
    }

    /// A number that counts as held and carries the mark of a resource of the same name in another installation.
    pub(super) fn by_namesake(&self, mark: &Mark) -> Option<Holding> {
        let is_theirs = |holding: &Holding| !is_marked(holding, mark);
        let listed = self.by_name(mark).into_iter().find(is_theirs);
        listed.or_else(|| {
            let state = lock(&self.state);
            let vanished = state.vanished.by_id.values();
            let theirs = vanished.filter(|it| is_of_name(it, mark) && is_theirs(it));
            theirs.min_by_key(|it| &it.id).cloned()
        })
    }

    fn by_name(&self, mark: &Mark) -> Vec<Holding> {
        let state = lock(&self.state);
        let ids = state.by_owner.get(mark.owner()).into_iter().flatten();
        let rows = ids.filter_map(|id| state.rows.get(id));
        let mut found: Vec<_> = rows.map(|row| row.holding.clone()).collect();
        found.sort_by_cached_key(|it| (it.created.unwrap_or(Timestamp::MAX), it.id.clone()));
        found
    }

    /// Everything that is known.
    pub(super) fn survey(&self) -> Vec<ListedNumber> {
        let state = lock(&self.state);
        let rows = state.rows.values().map(|row| {
            let holding = &row.holding;
            ListedNumber {
                id: holding.id.clone(),
                number: holding.number,
                mark: Mark::find_in(&holding.marked_text),
                created: holding.created,
            }
        });
        rows.collect()
    }

    /// Every number that is known.
    pub(super) fn holdings(&self) -> Vec<Holding> {
        let state = lock(&self.state);
        state.rows.values().map(|row| row.holding.clone()).collect()
    }
}

/// True if `holding` carries `mark`, or the same owner's other mark.
pub(super) fn is_marked(holding: &Holding, mark: &Mark) -> bool {
    Mark::find_in(&holding.marked_text).is_some_and(|found| found.same_owner(mark))
}

/// True if `holding` carries the mark of a resource of the same name, of whatever installation.
pub(super) fn is_of_name(holding: &Holding, mark: &Mark) -> bool {
    Mark::find_in(&holding.marked_text).is_some_and(|found| found.owner() == mark.owner())
}

impl State {
    /// Compares a listing with what is known. One that shows that it is not whole, or that lacks more than a tenth, is no
    /// witness of what the account lacks.
    fn bear_witness(&mut self, begun: Instant, listing: &Listing) {
        let listed: HashSet<_> = listing.holdings.iter().map(|it| &it.id).collect();
        let is_lost = |row: &Row| {
            let id = &row.holding.id;
            row.seen < begun && !self.released.contains_key(id) && !listed.contains(id)
        };
        let lost = self.rows.values().filter(|row| is_lost(row));
        let mut vanished = Vanished::default();
        lost.for_each(|row| vanished.put(row.holding.clone()));
        let is_witness = listing.is_whole && !is_suspect(vanished.by_id.len(), self.rows.len());
        if self.is_doubtful {
            let before = std::mem::take(&mut self.vanished).by_id.into_values();
            let before = before.filter(|it| !listed.contains(&it.id));
            before.for_each(|it| vanished.put(it));
        }
        self.vanished = vanished;
        self.is_doubtful = !is_witness;
        if is_witness {
            self.witnesses = self.witnesses.saturating_add(1).min(NEEDED_WITNESSES);
        }
    }

    fn put_into_indexes(&mut self, holding: &Holding) {
        let older = self.by_number.get(&holding.number);
        let older = older.and_then(|id| self.rows.get(id));
        // A number that was released and bought again may be listed with both of its ids.
        if older.is_none_or(|older| older.holding.created <= holding.created) {
            self.by_number.insert(holding.number, holding.id.clone());
        }
        if let Some(mark) = Mark::find_in(&holding.marked_text) {
            let owned = self.by_owner.entry(mark.owner().to_owned()).or_default();
            if !owned.contains(&holding.id) {
                owned.push(holding.id.clone());
            }
        }
    }

    fn take_out(&mut self, id: &NumberId) -> Option<Holding> {
        let row = self.rows.remove(id)?;
        let number = &row.holding.number;
        if self.by_number.get(number) == Some(id) {
            self.by_number.remove(number);
        }
        if let Some(mark) = Mark::find_in(&row.holding.marked_text)
            && let Some(owned) = self.by_owner.get_mut(mark.owner())
        {
            owned.retain(|owned| owned != id);
        }
        Some(row.holding)
    }

    fn reindex(&mut self) {
        self.by_number.clear();
        self.by_owner.clear();
        let rows = std::mem::take(&mut self.rows);
        for row in rows.values() {
            self.put_into_indexes(&row.holding);
        }
        self.rows = rows;
    }
}

/// Keeps the messaging profile that was known before where `holding` does not show whether there is one. True if one was
/// set.
fn keep_what_is_hidden(holding: &mut Holding, before: Option<&Holding>) -> bool {
    let (Settings::Telnyx(now), Some(Settings::Telnyx(before))) =
        (&mut holding.settings, before.map(|before| &before.settings))
    else {
        return false;
    };
    if now.messaging_profile_id != Shown::Unknown {
        return false;
    }
    now.messaging_profile_id
        .clone_from(&before.messaging_profile_id);
    matches!(now.messaging_profile_id, Shown::Known(Some(_)))
}

#[cfg(test)]
mod tests;
