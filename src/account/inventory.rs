//! What an account holds, as its last listing and our own calls since have shown it.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use super::lock;
use crate::clock::Instant;
use crate::number::{E164, Holding, Mark, NumberId, Settings, Shown};
use crate::provider::Listing;
use crate::sabotage::{Safeguard, stands};

/// A released number may be listed a little longer.
const RELEASED_FOR: Duration = Duration::from_secs(300);

/// How many listings must lack a number before it counts as absent, where nothing was asked for by itself: one may be stale,
/// or lack a page, and still be answered with 200.
const NEEDED_WITNESSES: u8 = 2;

/// True if so many numbers are missing at once that rather the listing is to be doubted.
pub fn is_suspect(missing: usize, all: usize) -> bool {
    missing > (all / 10).max(3)
}

/// Which numbers are known, by how often numbers may have got lost: while this is the same, more may have come, and none is gone
/// but what was released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version(u64);

impl Version {
    /// What is known after numbers may have got lost.
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
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

/// A number in the account: its id, itself, and the mark on it.
pub type Surveyed = (NumberId, E164, Option<Mark>);

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
        let needed = if stands(Safeguard::SecondListing) {
            NEEDED_WITNESSES
        } else {
            1
        };
        state.witnesses >= needed && !state.vanished.by_id.values().any(is_it)
    }

    /// True if two listings were witnesses of what the account lacks: how many numbers it holds is known then.
    pub(super) fn is_counted(&self) -> bool {
        lock(&self.state).witnesses >= NEEDED_WITNESSES || !stands(Safeguard::SecondListing)
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
        state.index_anew();
        state.listed = Some(begun);
        state.version = state.version.next();
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
                state.version = state.version.next();
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
    pub(super) fn survey(&self) -> Vec<Surveyed> {
        let state = lock(&self.state);
        let rows = state.rows.values().map(|row| {
            let holding = &row.holding;
            let mark = Mark::find_in(&holding.marked_text);
            (holding.id.clone(), holding.number, mark)
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

    fn index_anew(&mut self) {
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
mod tests {
    use super::*;
    use crate::number::{Installation, Line, Origin, Owner, TelnyxSettings, TwilioSettings};

    fn at(seconds: u64) -> Instant {
        Instant::since_boot(Duration::from_secs(seconds))
    }

    fn mark() -> Mark {
        let owner = Owner {
            namespace: "support".into(),
            name: "nyc".into(),
        };
        Mark::new(Origin::Bought, &Installation::new("here"), &owner)
    }

    fn holding(id: &str, name: &str) -> Holding {
        Holding {
            id: NumberId::new(id),
            number: format!("+1212555000{}", id.len()).parse().unwrap(),
            marked_text: name.to_owned(),
            created: None,
            line: Line::Live,
            settings: Settings::Twilio(TwilioSettings::default()),
        }
    }

    /// A whole listing that takes a second.
    fn list(inventory: &Inventory, begun: u64, holdings: Vec<Holding>) -> Vec<NumberId> {
        let is_whole = true;
        inventory.install(at(begun), at(begun + 1), Listing { holdings, is_whole })
    }

    fn names(inventory: &Inventory) -> Vec<String> {
        let state = lock(&inventory.state);
        let rows = state.rows.values();
        let mut names: Vec<_> = rows.map(|row| row.holding.marked_text.clone()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_a_call_has_shown_since_a_listing_began_is_newer_than_the_listing() {
        let inventory = Inventory::default();
        list(
            &inventory,
            1,
            vec![holding("a", "old"), holding("bb", "other")],
        );
        inventory.saw(&holding("a", "new"), at(11));
        list(&inventory, 10, vec![holding("a", "old")]);
        assert_eq!(names(&inventory), ["new"]);
        list(&inventory, 20, vec![holding("a", "newest")]);
        assert_eq!(names(&inventory), ["newest"]);
    }

    #[test]
    fn what_is_known_stays_known_since_it_was_first_shown() {
        let inventory = Inventory::default();
        let was_known = |at_second| inventory.was_known(&NumberId::new("a"), at(at_second));
        assert!(!was_known(9));
        list(&inventory, 1, vec![holding("a", "x")]);
        for _ in 0..2 {
            assert!(
                was_known(3) && !was_known(2),
                "a listing shows it once it has ended"
            );
            inventory.saw(&holding("a", "y"), at(5));
            list(&inventory, 6, vec![holding("a", "x")]);
        }
    }

    #[test]
    fn a_listing_does_not_bring_back_what_was_released() {
        let inventory = Inventory::default();
        list(&inventory, 1, vec![holding("a", "mine")]);
        inventory.gone(&NumberId::new("a"), Some(at(15)));
        list(&inventory, 10, vec![holding("a", "mine")]);
        inventory.saw(&holding("a", "mine"), at(16));
        assert_eq!(names(&inventory), [""; 0]);
        assert_eq!(inventory.by_number(&holding("a", "").number), None);
    }

    #[test]
    fn the_version_tells_whether_a_number_may_have_got_lost() {
        let inventory = Inventory::default();
        let mut before = inventory.version();
        let mut may_be_lost = || {
            let now = inventory.version();
            std::mem::replace(&mut before, now) != now
        };
        list(&inventory, 1, vec![holding("a", "x"), holding("bb", "y")]);
        assert!(may_be_lost());
        list(&inventory, 1, vec![holding("bb", "y")]);
        assert!(may_be_lost(), "within one tick of the clock too");
        inventory.saw(&holding("ccc", "z"), at(2));
        inventory.gone(&NumberId::new("bb"), Some(at(3)));
        assert!(!may_be_lost(), "one has come, one was released");
        inventory.gone(&NumberId::new("ccc"), None);
        assert!(may_be_lost());
    }

    #[test]
    fn numbers_are_found_by_their_mark_as_it_is_now() {
        let inventory = Inventory::default();
        let marked = mark().with_name(crate::number::Provider::Twilio, "nyc");
        list(
            &inventory,
            1,
            vec![holding("a", &marked), holding("bb", "plain")],
        );
        assert_eq!(inventory.by_mark(&mark().adopted()).len(), 1);
        inventory.saw(&holding("a", "renamed"), at(2));
        assert!(inventory.by_mark(&mark()).is_empty());
        inventory.saw(&holding("bb", &marked), at(3));
        assert_eq!(inventory.by_mark(&mark())[0].id, NumberId::new("bb"));
    }

    #[test]
    fn a_profile_that_a_listing_hides_is_as_it_was_and_is_told_of() {
        let inventory = Inventory::default();
        let with = |profile: Shown<Option<&str>>| {
            let profile = match profile {
                Shown::Known(profile) => Shown::Known(profile.map(str::to_owned)),
                Shown::Unknown => Shown::Unknown,
            };
            Holding {
                settings: Settings::Telnyx(TelnyxSettings {
                    messaging_profile_id: profile,
                    ..TelnyxSettings::default()
                }),
                ..holding("a", "x")
            }
        };
        let id = NumberId::new("a");
        let known = |inventory: &Inventory| match inventory.by_id(&id)?.settings {
            Settings::Telnyx(settings) => Some(settings.messaging_profile_id),
            Settings::Twilio(_) => None,
        };
        assert!(list(&inventory, 1, vec![with(Shown::Unknown)]).is_empty());
        assert_eq!(known(&inventory), Some(Shown::Unknown));
        list(&inventory, 2, vec![with(Shown::Known(Some("mp-1")))]);
        let hidden = list(&inventory, 3, vec![with(Shown::Unknown)]);
        assert_eq!(hidden, std::slice::from_ref(&id));
        assert_eq!(known(&inventory), Some(Shown::Known(Some("mp-1".into()))));
        inventory.saw(&with(Shown::Known(None)), at(4));
        let hidden = list(&inventory, 5, vec![with(Shown::Unknown)]);
        assert!(hidden.is_empty());
        assert_eq!(known(&inventory), Some(Shown::Known(None)));
    }

    #[test]
    fn a_number_is_absent_when_two_listings_agree_that_it_is() {
        let inventory = Inventory::default();
        let lacks = |id: &str| {
            let id = NumberId::new(id);
            inventory.lacks(|holding| holding.id == id)
        };
        assert!(!lacks("a"));
        list(&inventory, 1, Vec::new());
        assert!(!lacks("a"), "one listing may be wrong");
        list(&inventory, 3, vec![holding("a", "x")]);
        assert!(lacks("bb") && !inventory.survey().is_empty());
        list(&inventory, 5, Vec::new());
        assert!(!lacks("a"), "they do not agree");
        assert!(lacks("bb"));
        list(&inventory, 7, Vec::new());
        assert!(lacks("a"));
    }

    #[test]
    fn a_listing_that_is_not_whole_or_lacks_a_tenth_is_no_witness() {
        let ids: Vec<String> = (1..10).map(|length| "x".repeat(length)).collect();
        let some = |from: usize| ids[from..].iter().map(|id| holding(id, "y")).collect();
        for (is_whole, from) in [(false, 1), (true, 4)] {
            let inventory = Inventory::default();
            let first = ids[0].as_str();
            let lacks_it = || inventory.lacks(|it| it.id.as_str() == first);
            list(&inventory, 1, some(0));
            list(&inventory, 3, some(0));
            let holdings = some(from);
            inventory.install(at(5), at(6), Listing { holdings, is_whole });
            assert!(!lacks_it());
            list(&inventory, 7, some(from));
            assert!(!lacks_it(), "only one witness lacks it: {is_whole}");
            list(&inventory, 9, some(from));
            assert!(lacks_it());
        }
        let inventory = Inventory::default();
        for begun in [1, 3, 5] {
            let holdings = Vec::new();
            let is_whole = false;
            inventory.install(at(begun), at(begun + 1), Listing { holdings, is_whole });
            assert!(!inventory.lacks(|_| true));
        }
    }

    #[test]
    fn a_number_with_two_ids_is_found_by_the_younger_one() {
        let same = |id: &str, created: i64| Holding {
            id: NumberId::new(id),
            created: Timestamp::from_second(created).ok(),
            ..holding("a", "x")
        };
        for rows in [["old", "new"], ["new", "old"]] {
            let inventory = Inventory::default();
            let created = |id| if id == "old" { 1 } else { 2 };
            for id in rows {
                inventory.saw(&same(id, created(id)), at(1));
            }
            inventory.gone(&NumberId::new("old"), Some(at(2)));
            let found = inventory.by_number(&same("new", 2).number);
            assert_eq!(found.unwrap().id, NumberId::new("new"), "{rows:?}");
        }
    }

    #[test]
    fn of_two_numbers_with_one_mark_the_older_comes_first_and_namesakes_are_told_apart() {
        let marked = |id: &str, created: i64, installation: &str| {
            let owner = Owner {
                namespace: "support".into(),
                name: "nyc".into(),
            };
            let mark = Mark::new(Origin::Bought, &Installation::new(installation), &owner);
            Holding {
                created: Timestamp::from_second(created).ok(),
                ..holding(id, &mark.to_string())
            }
        };
        let inventory = Inventory::default();
        let rows = vec![
            marked("a", 3, "here"),
            marked("bb", 2, "here"),
            marked("ccc", 1, "there"),
        ];
        list(&inventory, 1, rows);
        let ids = |found: Vec<Holding>| -> Vec<String> {
            found.iter().map(|it| it.id.to_string()).collect()
        };
        assert_eq!(ids(inventory.by_mark(&mark())), ["bb", "a"]);
        let namesake = || inventory.by_namesake(&mark()).map(|it| it.id.to_string());
        assert_eq!(namesake().as_deref(), Some("ccc"));
        for (begun, rest) in [(3, Some("ccc")), (5, None)] {
            list(&inventory, begun, Vec::new());
            assert_eq!(namesake().as_deref(), rest, "one listing may be wrong");
        }
    }

    #[test]
    fn a_number_counts_as_held_until_two_witnesses_say_that_it_is_gone() {
        let inventory = Inventory::default();
        let number = holding("a", "").number;
        let counts = || (inventory.counted(), inventory.counts(&number));
        list(&inventory, 1, vec![holding("a", "x")]);
        assert!(!inventory.is_counted(), "one listing may be wrong");
        list(&inventory, 3, Vec::new());
        assert!(inventory.is_counted() && inventory.has_vanished());
        assert_eq!(counts(), (1, true));
        list(&inventory, 5, vec![holding("a", "x")]);
        assert_eq!((counts(), inventory.has_vanished()), ((1, true), false));
        list(&inventory, 7, Vec::new());
        list(&inventory, 9, Vec::new());
        assert_eq!((counts(), inventory.has_vanished()), ((0, false), false));
        // One call says so, and a listing agrees.
        list(&inventory, 11, vec![holding("a", "x")]);
        inventory.gone(&NumberId::new("a"), None);
        assert_eq!((counts(), inventory.by_number(&number)), ((1, true), None));
        inventory.saw(&holding("a", "x"), at(12));
        assert_eq!((counts(), inventory.has_vanished()), ((1, true), false));
        inventory.gone(&NumberId::new("a"), None);
        list(&inventory, 13, Vec::new());
        assert_eq!(counts(), (0, false));
        // A release of our own needs no other witness.
        list(&inventory, 15, vec![holding("a", "x")]);
        list(&inventory, 17, Vec::new());
        inventory.gone(&NumberId::new("a"), Some(at(19)));
        assert_eq!(counts(), (0, false));
    }
}
