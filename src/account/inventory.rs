//! What an account holds, as its last listing and our own calls since have shown it.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use super::lock;
use crate::clock::Instant;
use crate::number::{E164, Holding, Mark, NumberId, Settings};

/// A released number may be listed a little longer.
const RELEASED_FOR: Duration = Duration::from_secs(300);

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
    rows: HashMap<NumberId, Box<Row>>,
    by_number: HashMap<E164, NumberId>,
    /// The numbers that carry the marks of each resource.
    by_owner: HashMap<String, Vec<NumberId>>,
    released: HashMap<NumberId, Instant>,
    /// The numbers of each messaging service that somebody declares.
    members: HashMap<String, HashSet<NumberId>>,
}

struct Row {
    holding: Holding,
    /// When the call that showed it ended: a listing that began before may be older. Of a listing, when it began.
    seen: Instant,
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

    /// Takes over a listing that began at `begun`. What our own calls have shown since is newer.
    pub(super) fn install(&self, begun: Instant, holdings: Vec<Holding>) {
        let mut state = lock(&self.state);
        let State { rows, released, .. } = &mut *state;
        released.retain(|_, at| begun.since(*at) < RELEASED_FOR);
        let mut newer: HashMap<_, _> = std::mem::take(rows)
            .into_iter()
            .filter(|(_, row)| row.seen >= begun)
            .collect();
        for holding in holdings {
            if !released.contains_key(&holding.id) && !newer.contains_key(&holding.id) {
                let row = Row {
                    holding,
                    seen: begun,
                };
                rows.insert(row.holding.id.clone(), Box::new(row));
            }
        }
        rows.extend(newer.drain());
        state.index_anew();
        state.listed = Some(begun);
        state.version = state.version.next();
    }

    /// Notes what a call that ended at `seen` has shown of one number, and of its being in `service`.
    pub(super) fn saw(&self, holding: &Holding, service: Option<&str>, seen: Instant) {
        let mut state = lock(&self.state);
        if state.released.contains_key(&holding.id) {
            return;
        }
        state.take_out(&holding.id);
        state.put_into_indexes(holding);
        let row = Row {
            holding: holding.clone(),
            seen,
        };
        state.rows.insert(holding.id.clone(), Box::new(row));
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
        state.take_out(id);
        match released {
            Some(at) => {
                state.released.insert(id.clone(), at);
            }
            None => state.version = state.version.next(),
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

    /// True if the account has the number.
    pub(super) fn has(&self, number: &E164) -> bool {
        lock(&self.state).by_number.contains_key(number)
    }

    /// The numbers that carry `mark`, or the same owner's other mark.
    pub(super) fn by_mark(&self, mark: &Mark) -> Vec<Holding> {
        let state = lock(&self.state);
        let ids = state.by_owner.get(&mark.identity()).into_iter().flatten();
        ids.filter_map(|id| state.rows.get(id))
            .map(|row| row.holding.clone())
            .collect()
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

impl State {
    fn put_into_indexes(&mut self, holding: &Holding) {
        self.by_number.insert(holding.number, holding.id.clone());
        if let Some(mark) = Mark::find_in(&holding.marked_text) {
            let owned = self.by_owner.entry(mark.identity()).or_default();
            if !owned.contains(&holding.id) {
                owned.push(holding.id.clone());
            }
        }
    }

    fn take_out(&mut self, id: &NumberId) {
        let Some(row) = self.rows.remove(id) else {
            return;
        };
        self.by_number.remove(&row.holding.number);
        if let Some(mark) = Mark::find_in(&row.holding.marked_text)
            && let Some(owned) = self.by_owner.get_mut(&mark.identity())
        {
            owned.retain(|owned| owned != id);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::{Installation, Origin, Owner, TwilioSettings};

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
            active: true,
            settings: Settings::Twilio(TwilioSettings::default()),
        }
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
        inventory.install(at(1), vec![holding("a", "old"), holding("bb", "other")]);
        inventory.saw(&holding("a", "new"), None, at(11));
        inventory.install(at(10), vec![holding("a", "old")]);
        assert_eq!(names(&inventory), ["new"]);
        inventory.install(at(20), vec![holding("a", "newest")]);
        assert_eq!(names(&inventory), ["newest"]);
    }

    #[test]
    fn a_listing_does_not_bring_back_what_was_released() {
        let inventory = Inventory::default();
        inventory.install(at(1), vec![holding("a", "mine")]);
        inventory.gone(&NumberId::new("a"), Some(at(15)));
        inventory.install(at(10), vec![holding("a", "mine")]);
        inventory.saw(&holding("a", "mine"), None, at(16));
        assert_eq!(names(&inventory), [""; 0]);
        assert_eq!(inventory.by_number(&holding("a", "").number, None), None);
    }

    #[test]
    fn the_version_tells_whether_a_number_may_have_got_lost() {
        let inventory = Inventory::default();
        let mut before = inventory.version();
        let mut may_be_lost = || {
            let now = inventory.version();
            std::mem::replace(&mut before, now) != now
        };
        inventory.install(at(1), vec![holding("a", "x"), holding("bb", "y")]);
        assert!(may_be_lost());
        inventory.install(at(1), vec![holding("bb", "y")]);
        assert!(may_be_lost(), "within one tick of the clock too");
        inventory.saw(&holding("ccc", "z"), None, at(2));
        inventory.gone(&NumberId::new("bb"), Some(at(3)));
        assert!(!may_be_lost(), "one has come, one was released");
        inventory.gone(&NumberId::new("ccc"), None);
        assert!(may_be_lost());
    }

    #[test]
    fn numbers_are_found_by_their_mark_as_it_is_now() {
        let inventory = Inventory::default();
        let marked = mark().with_name(crate::number::Provider::Twilio, "nyc");
        inventory.install(at(1), vec![holding("a", &marked), holding("bb", "plain")]);
        assert_eq!(inventory.by_mark(&mark().adopted()).len(), 1);
        inventory.saw(&holding("a", "renamed"), None, at(2));
        assert!(inventory.by_mark(&mark()).is_empty());
        inventory.saw(&holding("bb", &marked), None, at(3));
        assert_eq!(inventory.by_mark(&mark())[0].id, NumberId::new("bb"));
    }

    #[test]
    fn a_messaging_service_has_the_members_that_were_last_seen() {
        let inventory = Inventory::default();
        inventory.install(at(1), vec![holding("a", "x")]);
        let in_service = |service| {
            let found = inventory.by_id(&NumberId::new("a"), Some(service))?;
            match found.settings {
                Settings::Twilio(settings) => Some(settings.in_messaging_service),
                Settings::Telnyx(_) => None,
            }
        };
        assert_eq!(in_service("MG1"), None, "nobody has asked about it");
        inventory.set_members("MG1", HashSet::from([NumberId::new("a")]));
        assert_eq!(in_service("MG1"), Some(true));
        inventory.saw(&holding("a", "x"), Some("MG1"), at(2));
        assert_eq!(in_service("MG1"), Some(false));
    }
}
