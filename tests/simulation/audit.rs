//! What must be so after every run, whatever happened: read from the carrier's ledger and from the log of the cluster, which
//! together tell everything that ever took place.
//!
//! What cannot be held against an operator is excused one number at a time, for the time in which nobody could have known
//! better; how often that was needed is counted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use phonenumber_emulator::{Deed, Number};
use serde_json::{Value, json};

use crate::cluster::Change;
use crate::marks::{self, Owners};
use crate::world::{
    CONNECTION, INSTALLATION, TELNYX_ACCOUNTS, TWILIO_ACCOUNTS, World, condition, is_ready,
};

/// How many Events and how many writes of each that leads an object may see while all is well.
const MOST_WHILE_WELL: usize = 10;

/// What is written within this time counts, except for the first moments after something went wrong.
const WELL_FOR: Duration = Duration::from_secs(840);
const TO_CALM_DOWN: Duration = Duration::from_secs(60);

/// How long after a purchase by hand an operator's own purchase of the same number may meet it.
const RESIDUE: Duration = Duration::from_secs(10);

/// Dates of whole seconds tell a purchase by hand from an attempt of ours if it was this much earlier.
const TOLD_APART_AFTER: Duration = Duration::from_secs(7);

/// How long a purchase takes at most, from its claim to the next look.
const PURCHASE: Duration = Duration::from_secs(60);

/// How long after a number is listed a look may still miss it: a listing that began before, and its delays.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

/// How long it takes at most that a number which is gone is seen to be: a listing, and two requests for it.
const NOTICED_WITHIN: Duration = Duration::from_secs(300);

/// How long a listing that counts what an account holds may be old.
const COUNTED_WITHIN: Duration = Duration::from_secs(120);

/// How long after the write of its mark the next write that sets a number up takes effect, which the network may hold.
const SET_UP_WITHIN: Duration = Duration::from_millis(3_100);

/// How long operators take no notice of listings that show a number whose release the company confirmed.
const TAKEN_FOR_RELEASED: Duration = Duration::from_secs(300);

/// A rename is noted once it is done.
const RENAMED_WITHIN: Duration = Duration::from_millis(1);

/// A release leaves within five seconds of the write that carries the version which it was decided on, and is on its way for a
/// moment.
const FENCED_FOR: Duration = Duration::from_millis(5_100);

/// A number is looked at less than five seconds before that write is answered, or after it.
const LOOKED_AT_WITHIN: Duration = Duration::from_millis(10_100);

/// What was done to the world by those who are not operators.
#[derive(Default)]
pub struct Diary {
    pub lines: Vec<String>,
    /// Since when nothing goes wrong any more.
    pub well_since: Duration,
    /// What accounts may do, where that is limited.
    pub limits: Vec<Limits>,
    /// How long operators wait for a purchase to be shown.
    pub visibility: Duration,
    leaders: usize,
    meddling: Vec<(Duration, Meddling)>,
    /// Since when the API server's dates were wrong, or right again.
    misdated: Vec<(Duration, bool)>,
}

/// What somebody did that an operator may not be able to see through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// The mark was taken off the number with this id.
    Renamed(String),
    /// The finalizer, and perhaps the claim, were taken off the resource of this name.
    Stripped(String),
    /// The resource of this name was deleted by force and created again without its status.
    Restored(String),
    /// The company said that it released the number with this id, and did not.
    Kept(String),
    /// Another installation put this mark on the number with this id.
    Marked(String, String),
}

/// Limits of the accounts at a provider.
#[derive(Clone, Copy)]
pub struct Limits {
    pub provider: &'static str,
    pub purchases_per_hour: usize,
    pub releases_per_hour: usize,
    /// How many numbers it may hold; operators of which more than one believes to lead may make it more.
    pub numbers: Option<usize>,
    /// What they may cost each month: as much as so many numbers, of which each costs the same.
    pub cost_of: Option<usize>,
}

impl Limits {
    fn accounts(&self) -> [&'static str; 2] {
        match self.provider {
            "twilio" => TWILIO_ACCOUNTS,
            _ => TELNYX_ACCOUNTS,
        }
    }
}

impl Diary {
    /// Of a world in which so many lead at once, or believe so.
    pub fn of(leaders: usize) -> Self {
        Self {
            leaders,
            visibility: Duration::from_secs(600),
            ..Self::default()
        }
    }

    pub fn meddles(&mut self, at: Duration, meddling: Meddling) {
        self.meddling.push((at, meddling));
    }

    /// The API server's dates are wrong, or right, from now on.
    pub fn dates(&mut self, at: Duration, are_wrong: bool) {
        self.misdated.push((at, are_wrong));
    }

    /// True if the API server's dates were wrong at some time from `from` to `to`.
    fn was_misdated(&self, from: Duration, to: Duration) -> bool {
        let until_then = self.misdated.iter().take_while(|(at, _)| *at < from);
        let were_wrong = until_then.last().is_some_and(|(_, wrong)| *wrong);
        let mut meanwhile = self.misdated.iter();
        were_wrong || meanwhile.any(|(at, wrong)| *wrong && *at >= from && *at <= to)
    }

    /// When such meddling took place from `from` to `to`.
    fn meddling(
        &self,
        from: Duration,
        to: Duration,
        is_such: impl Fn(&Meddling) -> bool,
    ) -> impl Iterator<Item = Duration> {
        let within = move |at: &Duration| *at >= from && *at <= to;
        let such = self.meddling.iter().filter(move |(_, it)| is_such(it));
        such.map(|(at, _)| *at).filter(within)
    }
}

/// How many numbers operators bought.
pub fn purchases(world: &World) -> usize {
    let world = world.emulator.world();
    let entries = world.ledger.entries.iter();
    entries
        .filter(|entry| entry.deed == Deed::Purchase && entry.by != "console")
        .count()
}

/// What an audit found.
#[derive(Debug, Default)]
pub struct Report {
    /// Everything that is wrong.
    pub faults: Vec<String>,
    /// How many times something was judged that can be excused.
    pub judged: usize,
    /// How many of these were wrong and are excused, by the excuse.
    pub excused: BTreeMap<&'static str, usize>,
}

/// Everything that is wrong.
pub fn faults(world: &World, diary: &Diary) -> Vec<String> {
    report(world, diary).faults
}

pub fn report(world: &World, diary: &Diary) -> Report {
    let changes = world.cluster.since(0);
    let mut resources: HashMap<String, Vec<Change>> = HashMap::new();
    for change in &changes {
        if change.place.plural == "phonenumbers" {
            let of_name = resources.entry(change.place.name.clone()).or_default();
            of_name.push(change.clone());
        }
    }
    let hidden = Duration::from_millis(world.emulator.world().state.switches.hidden_ms);
    let mut audit = Audit {
        world,
        diary,
        owners: Owners::of(INSTALLATION, &changes),
        changes,
        resources,
        hidden,
        held: BTreeMap::new(),
        spent: BTreeMap::new(),
        released: HashMap::new(),
        report: Report::default(),
    };
    audit.read_the_ledger();
    audit.look_at_what_is_held();
    audit.look_at_what_is_declared();
    audit.look_at_what_is_ready();
    audit.look_at_what_waits_for_a_limit();
    audit.count_what_was_written();
    audit.count_what_was_limited();
    audit.report
}

/// A number in an account, as the ledger has it.
#[derive(Clone, Debug)]
struct Held {
    id: String,
    account: String,
    number: String,
    reference: String,
    /// The resource for which an operator bought it.
    bought_for: Option<String>,
    /// When it was asked for: at Telnyx its order comes first.
    ordered_at: Duration,
    /// The order that brought it, at Telnyx.
    order: Option<String>,
    bought_at: Duration,
    /// True once the number itself carries a mark: at Telnyx the reference of the order need not be copied to it.
    is_marked: bool,
    /// When an operator first put a mark on it that it did not carry.
    written_over_at: Option<Duration>,
    /// When an operator marked it as one that was not bought, though it was.
    disowned_at: Option<Duration>,
}

struct Audit<'a> {
    world: &'a World,
    diary: &'a Diary,
    owners: Owners,
    changes: Vec<Change>,
    /// Every version of each resource, by its name.
    resources: HashMap<String, Vec<Change>>,
    /// How long the company hides what is bought.
    hidden: Duration,
    held: BTreeMap<String, Held>,
    /// How many purchases were made for each resource and number.
    spent: BTreeMap<(String, String), usize>,
    /// When each number was released.
    released: HashMap<String, Duration>,
    report: Report,
}

impl Audit<'_> {
    fn fault(&mut self, text: String) {
        self.report.faults.push(format!("- {text}"));
    }

    /// Notes a fault unless `excuse` is one.
    fn judge(&mut self, fault: Option<String>, excuse: Option<&'static str>) {
        self.report.judged += 1;
        match (fault, excuse) {
            (None, _) => {}
            (Some(_), Some(excuse)) => *self.report.excused.entry(excuse).or_default() += 1,
            (Some(fault), None) => self.fault(fault),
        }
    }

    fn owner_in(&self, text: &str) -> Option<String> {
        self.owners.owner_in(text)
    }

    /// Every version of a resource up to `at`.
    fn versions(&self, name: &str, at: Duration) -> impl DoubleEndedIterator<Item = &Change> {
        let of_name = self.resources.get(name).into_iter().flatten();
        of_name.filter(move |change| change.at <= at)
    }

    /// The claims that were stored up to `at`, by nonce.
    fn claims(&self, name: &str, at: Duration) -> BTreeMap<String, Value> {
        let claims = self.versions(name, at).map(|change| {
            (
                &change.object["metadata"]["uid"],
                marks::claim(&change.object),
            )
        });
        // Somebody else's claim pays for nothing.
        let claims =
            claims.filter(|(uid, claim)| claim["nonce"].is_string() && claim["uid"] == **uid);
        claims
            .map(|(_, claim)| claim)
            .map(|claim| {
                (
                    claim["nonce"].as_str().unwrap_or_default().to_owned(),
                    claim,
                )
            })
            .collect()
    }

    /// True if the company may not have shown the number at `at`.
    fn is_hidden(&self, held: &Held, at: Duration) -> bool {
        let hides = !self.hidden.is_zero();
        at < held.bought_at || (hides && at < held.bought_at + self.hidden + SHOWN_WITHIN)
    }

    /// True if the number is hidden for longer than operators wait.
    fn is_hidden_for_too_long(&self, held: &Held, at: Duration) -> bool {
        self.hidden + PURCHASE >= self.diary.visibility && self.is_hidden(held, at)
    }

    fn was_renamed(&self, id: &str, from: Duration, to: Duration) -> bool {
        let renamed = Meddling::Renamed(id.to_owned());
        self.diary
            .meddling(from, to, |it| *it == renamed)
            .next()
            .is_some()
    }

    /// The mark that another installation put on a number at this time.
    fn marked_by_others(&self, id: &str, at: Duration) -> Option<String> {
        let mut marks = self.diary.meddling.iter();
        marks.find_map(|(when, it)| match it {
            Meddling::Marked(of, mark) if of == id && when.abs_diff(at) <= RENAMED_WITHIN => {
                Some(mark.clone())
            }
            _ => None,
        })
    }

    fn was_kept(&self, id: &str, from: Duration, to: Duration) -> bool {
        let kept = Meddling::Kept(id.to_owned());
        let mut times = self.diary.meddling(from, to, |it| *it == kept);
        times.next().is_some()
    }

    /// When somebody took the finalizer off the resource, or its status with it.
    fn tampering(&self, name: &str, from: Duration, to: Duration) -> Vec<Duration> {
        let tampers = |it: &Meddling| match it {
            Meddling::Stripped(of) | Meddling::Restored(of) => of == name,
            Meddling::Renamed(_) | Meddling::Kept(_) | Meddling::Marked(..) => false,
        };
        self.diary.meddling(from, to, tampers).collect()
    }

    /// True if the resource went from `from` to `to` and left its number behind, because its policy was Retain or because
    /// nothing held it back.
    fn was_let_go(&self, name: &str, from: Duration, to: Duration) -> bool {
        let versions: Vec<_> = self.versions(name, to).collect();
        versions.iter().any(|gone| {
            let is_stripped = || {
                let stripped = self.tampering(name, Duration::ZERO, gone.at);
                stripped.last().is_some_and(|stripped| {
                    let mut since = versions
                        .iter()
                        .filter(|it| it.at > *stripped && it.at < gone.at);
                    !since.any(|it| marks::is_held_back(&it.object))
                })
            };
            let is_retained = gone.object["spec"]["deletionPolicy"] == "Retain";
            gone.deleted && gone.at >= from && (is_retained || is_stripped())
        })
    }

    /// True if nothing but the number itself showed at `at` that it was bought for `owner`, by somebody's deed, and the
    /// company hid it.
    fn is_forgotten(&self, held: &Held, owner: &str, at: Duration) -> bool {
        let from = held.ordered_at.saturating_sub(PURCHASE);
        let is_tampered_with = !self.tampering(owner, from, at).is_empty();
        let shows_nothing = self.is_hidden(held, at) || !held.is_marked;
        shows_nothing && (is_tampered_with || self.was_let_go(owner, from, at))
    }

    fn read_the_ledger(&mut self) {
        let entries = self.world.emulator.world().ledger.entries.clone();
        let releases = entries.iter().filter(|entry| entry.deed == Deed::Release);
        let released_at = |time: &str| self.world.since_begun(time.parse().unwrap());
        self.released = releases
            .map(|entry| (entry.id.clone(), released_at(&entry.time)))
            .collect();
        let mut ordered: HashMap<String, (Duration, String)> = HashMap::new();
        let copies = self.world.emulator.world().state.switches.copy_reference;
        for entry in entries {
            let time: Timestamp = entry.time.parse().unwrap();
            let at = self.world.since_begun(time);
            let by_hand = entry.by == "console";
            match entry.deed {
                Deed::Purchase => {
                    let owner = self.owner_in(&entry.reference);
                    let (ordered_at, order) = ordered.get(&entry.reference).cloned().unzip();
                    let held = Held {
                        id: entry.id.clone(),
                        account: entry.account,
                        number: entry.number,
                        reference: entry.reference,
                        bought_for: owner.clone().filter(|_| !by_hand),
                        ordered_at: ordered_at.unwrap_or(at),
                        order,
                        bought_at: at,
                        is_marked: entry.by != "telnyx" || copies,
                        written_over_at: None,
                        disowned_at: None,
                    };
                    if !by_hand {
                        self.bought(&held, owner.as_deref());
                    }
                    let account = held.account.clone();
                    self.held.insert(entry.id, held);
                    if !by_hand {
                        self.holds_what_it_may(&account, at);
                    }
                }
                Deed::Configure => {
                    let Some(before) = self.held.get(&entry.id).cloned() else {
                        continue;
                    };
                    if !by_hand {
                        self.configured(&before, &entry.reference, at);
                    }
                    // The console's entries do not tell the mark.
                    let is_renamed =
                        by_hand && self.was_renamed(&entry.id, at, at + RENAMED_WITHIN);
                    let reference = match by_hand {
                        true if is_renamed => String::new(),
                        true => (self.marked_by_others(&entry.id, at))
                            .unwrap_or_else(|| before.reference.clone()),
                        false => entry.reference,
                    };
                    let owner = |text: &str| self.owners.owner_in(text);
                    let is_written_over = !by_hand && owner(&reference) != owner(&before.reference);
                    let is_disowned =
                        !by_hand && before.reference.contains("pn1.") && reference.contains("pa1.");
                    let held = Held {
                        disowned_at: before.disowned_at.or(is_disowned.then_some(at)),
                        is_marked: before.is_marked || !by_hand,
                        written_over_at: before.written_over_at.or(is_written_over.then_some(at)),
                        reference,
                        ..before
                    };
                    self.held.insert(entry.id, held);
                }
                Deed::Release => {
                    if let Some(before) = self.held.remove(&entry.id)
                        && !by_hand
                    {
                        self.released(&before, &entry.reference, at);
                    }
                }
                Deed::Order => {
                    ordered.insert(entry.reference, (at, entry.id));
                }
                Deed::Cancel | Deed::Papers | Deed::Assign | Deed::Unassign | Deed::Webhook => {}
            }
        }
    }

    fn bought(&mut self, held: &Held, owner: Option<&str>) {
        let (number, at) = (&held.number, held.bought_at);
        let Some(owner) = owner else {
            let reference = &held.reference;
            self.fault(format!(
                "{number} was bought with {reference:?}, which marks no resource"
            ));
            return;
        };
        let claims = self.claims(owner, at);
        let fitting = claims.values().filter(|claim| {
            claim["number"] == number.as_str()
                && self.is_account(&claim["accountId"], &held.account)
                && claim["intent"] == "buy"
        });
        let fitting = fitting.count();
        let spent = self
            .spent
            .entry((owner.to_owned(), number.to_owned()))
            .or_default();
        *spent += 1;
        if *spent > fitting {
            let spent = *spent;
            self.fault(format!(
                "{number} was bought {spent} times for {owner}, with {fitting} claims on it"
            ));
        }
        let claims_number = |claim: &Value| claim["number"] == number.as_str();
        let by_search = self.versions(owner, at).any(|change| {
            change.object["spec"]["search"].is_object()
                && claims_number(&marks::claim(&change.object))
        });
        let namesakes = self.held.values().filter(|other| {
            other.account == held.account
                && self.owners.namesake_in(&other.reference).as_deref() == Some(owner)
        });
        let namesake = namesakes.map(|other| other.number.clone()).next();
        if let Some(theirs) = namesake.filter(|_| by_search) {
            self.fault(format!(
                "{number} was bought for {owner}, for which another installation has {theirs}"
            ));
        }
        let others = self.held.values();
        let others = others.filter(|other| other.bought_for.as_deref() == Some(owner));
        let others: Vec<Held> = others.cloned().collect();
        if others.is_empty() {
            self.judge(None, None);
        }
        for other in others {
            let excuse = self.excuse_for_a_second(&other, owner, held);
            let text = format!(
                "{number} was bought for {owner}, which had {} ({})",
                other.number, other.id
            );
            self.judge(Some(text), excuse);
        }
    }

    /// A Telnyx account is known by its key until it is identified.
    fn is_account(&self, claimed: &Value, account: &str) -> bool {
        let claimed = claimed.as_str().unwrap_or_default();
        claimed == account || (claimed.starts_with("key-") && TELNYX_ACCOUNTS.contains(&account))
    }

    fn excuse_for_a_second(
        &self,
        other: &Held,
        owner: &str,
        second: &Held,
    ) -> Option<&'static str> {
        // When it was decided.
        let at = second.ordered_at;
        if second.account != other.account && self.was_let_go(owner, other.ordered_at, at) {
            return Some("let go in another account");
        }
        let is_marked = self.owner_in(&other.reference).as_deref() == Some(owner);
        if !is_marked && self.was_renamed(&other.id, other.bought_at, at) {
            return Some("renamed in the console");
        }
        if !is_marked && self.owner_in(&other.reference).is_some() {
            return Some("marked for another");
        }
        if self.is_forgotten(other, owner, at) {
            return Some("let go while hidden");
        }
        let waited = at.saturating_sub(other.bought_at) + PURCHASE;
        if waited >= self.diary.visibility && self.is_hidden_for_too_long(other, at) {
            return Some("hidden for too long");
        }
        if self.is_declared_instead(&second.number, &other.number, owner, at)
            && self.was_let_go(owner, other.ordered_at, at)
        {
            return Some("declared after another was let go");
        }
        if self.was_left(other, owner, at) {
            return Some("renamed, taken over and left");
        }
        self.was_kept(&other.id, other.bought_at, at)
            .then_some("kept against the word")
    }

    /// True if the resource declared `number` at `at`, and so not `other`: whoever let that one go pays for both, and what keeps
    /// the operator from it is one listing.
    fn is_declared_instead(&self, number: &str, other: &str, owner: &str, at: Duration) -> bool {
        let declared = self.versions(owner, at).last();
        number != other
            && declared.is_some_and(|change| change.object["spec"]["phoneNumber"] == number)
    }

    /// Purchases and releases of every hour. Operators take them from one count, however many there are.
    fn count_what_was_limited(&mut self) {
        let entries = self.world.emulator.world().ledger.entries.clone();
        for limits in &self.diary.limits {
            for (deed, most) in [
                (Deed::Purchase, limits.purchases_per_hour),
                (Deed::Release, limits.releases_per_hour),
            ] {
                for account in limits.accounts() {
                    let of_operators = entries.iter().filter(|entry| {
                        entry.deed == deed && entry.account == account && entry.by != "console"
                    });
                    let times: Vec<Timestamp> = of_operators
                        .map(|entry| entry.time.parse().unwrap())
                        .collect();
                    let passed = times.windows(most + 1).any(|window| {
                        window[most].duration_since(window[0]) < SignedDuration::from_hours(1)
                    });
                    if passed {
                        self.fault(format!(
                            "more than {most} times {deed:?} in account {account} in an hour"
                        ));
                    }
                }
            }
        }
    }

    /// How many numbers an account may hold.
    fn may_hold(&self, account: &str) -> Option<usize> {
        let limits = self.diary.limits.iter();
        let mut limits = limits.filter(|limits| limits.accounts().contains(&account));
        limits.find_map(|limits| limits.numbers)
    }

    /// Where one operator leads, an account holds what it may.
    fn holds_what_it_may(&mut self, account: &str, at: Duration) {
        let Some(most) = self.may_hold(account) else {
            return;
        };
        // What was bought by hand just now may be hidden.
        let counted = self.held.values().filter(|held| {
            let is_known =
                held.bought_for.is_some() || at - held.bought_at > self.hidden + COUNTED_WITHIN;
            held.account == account && is_known
        });
        let counted: Vec<&Held> = counted.collect();
        let is_unknown = |held: &&&Held| {
            let owner = held.bought_for.as_deref();
            let is_forgotten = owner.is_some_and(|owner| self.is_forgotten(held, owner, at));
            // Its release is on its way.
            let released = self.released.get(&held.id);
            let is_leaving = released.is_some_and(|released| *released < at + RESIDUE);
            is_forgotten
                || is_leaving
                || self.is_hidden_for_too_long(held, at)
                || self.was_kept(&held.id, held.bought_at, at)
        };
        let unknown = counted.iter().filter(is_unknown).count();
        let count = counted.len();
        let text = format!("account {account} holds {count} numbers and may hold {most}");
        let excuse = (count - unknown <= most).then_some("not counted while hidden or released");
        self.judge((count > most).then_some(text), excuse);
    }

    fn configured(&mut self, before: &Held, reference: &str, at: Duration) {
        let now = self.owner_in(reference);
        let was = self.owner_in(&before.reference);
        let owner = now.clone().or_else(|| was.clone());
        let is_right = owner.as_ref().is_some_and(|owner| {
            let id = before.id.as_str();
            let is_recorded = |change: &Change| change.object["status"]["id"] == id;
            let adopts = |claim: &Value| {
                claim["intent"] == "adopt" && claim["number"] == before.number.as_str()
            };
            was.as_ref() == Some(owner)
                || self.versions(owner, at).any(is_recorded)
                || self.claims(owner, at).values().any(adopts)
                || before.bought_for.as_ref() == Some(owner)
        });
        // A number that somebody renames while it is set up. The second write leaves its name as it is.
        let is_renamed =
            owner.is_none() && self.was_renamed(&before.id, at.saturating_sub(SET_UP_WITHIN), at);
        let excuse = match is_renamed {
            true => Some("renamed while it was set up"),
            false => self.excuse_for_a_write(before, at),
        };
        let text = match owner {
            None => format!(
                "{} ({}), which is nobody's, was written to: {reference:?}",
                before.number, before.id
            ),
            Some(owner) => format!(
                "{} ({}) was written to for {owner}: {:?} became {reference:?}",
                before.number, before.id, before.reference
            ),
        };
        self.judge((!is_right).then_some(text), excuse);
    }

    /// Between the last look and the purchase somebody else may buy, also another that believes to lead; and what is hidden
    /// and nobody's cannot be told from what is for sale.
    fn excuse_for_a_write(&self, before: &Held, at: Duration) -> Option<&'static str> {
        let is_by_others = before.bought_for.is_none() || self.diary.leaders > 1;
        if is_by_others && at.saturating_sub(before.bought_at) < RESIDUE {
            return Some("bought by another at the same moment");
        }
        if before.bought_for.is_none() && self.is_hidden(before, at) {
            return Some("bought by hand and hidden");
        }
        let owner = before.bought_for.as_deref();
        if owner.is_some_and(|owner| self.is_gone(before, owner, at)) {
            return Some("let go while hidden");
        }
        if self.was_kept(&before.id, at.saturating_sub(TAKEN_FOR_RELEASED), at) {
            return Some("kept against the word");
        }
        self.is_hidden_for_too_long(before, at)
            .then_some("hidden for too long")
    }

    /// True if the company hid a number whose resource was gone, if only for a moment: a purchase of it overwrites its
    /// settings.
    fn is_gone(&self, before: &Held, owner: &str, at: Duration) -> bool {
        let from = before.ordered_at.saturating_sub(PURCHASE);
        let mut versions = self.versions(owner, at);
        let went = versions.any(|change| change.deleted && change.at >= from);
        self.is_hidden(before, at) && (went || self.is_forgotten(before, owner, at))
    }

    fn released(&mut self, before: &Held, reference: &str, at: Duration) {
        let (id, number) = (before.id.as_str(), &before.number);
        let owner = self.owner_in(reference);
        let by_hand = before.bought_for.is_none();
        let wanted = |change: &&Change| {
            let (metadata, spec) = (&change.object["metadata"], &change.object["spec"]);
            let policy = &spec["deletionPolicy"];
            // What was taken over is given back only where that is said.
            let may_go = *policy == "Release" || (policy.is_null() && !by_hand);
            !metadata["deletionTimestamp"].is_null()
                && change.object["status"]["id"] == id
                && spec["deletionProtection"] != true
                && may_go
        };
        let is_wanted = owner.as_deref().is_some_and(|owner| {
            let recent = at.saturating_sub(FENCED_FOR);
            let versions: Vec<_> = self.versions(owner, at).collect();
            // The version that was in force then, and all since.
            let first = versions.iter().rposition(|change| change.at < recent);
            versions.iter().skip(first.unwrap_or_default()).any(wanted)
        });
        let text = format!(
            "{number} ({id}, {reference:?}) was released, and no deletion of {owner:?} asked for it"
        );
        let is_renamed =
            owner.is_none() && self.was_renamed(id, at.saturating_sub(LOOKED_AT_WITHIN), at);
        let is_taken_for_ours = owner
            .as_deref()
            .is_some_and(|owner| self.is_taken_for_ours(before, owner));
        let excuse = match (is_renamed, is_taken_for_ours) {
            (true, _) => Some("renamed just before its release"),
            (_, true) => Some("bought by hand during an attempt"),
            _ => None,
        };
        self.judge((!is_wanted).then_some(text), excuse);
    }

    /// True if somebody bought the number by hand while an attempt of `owner` on it was under way or in doubt, or seconds before
    /// that, and the company hid it until the attempt wrote over its name. It has the dates and the name of what the attempt
    /// would have brought: nothing that the company shows tells the two apart.
    fn is_taken_for_ours(&self, held: &Held, owner: &str) -> bool {
        let Some(written_over_at) = held.written_over_at else {
            return false;
        };
        let claims = self.versions(owner, written_over_at).filter_map(|change| {
            let claim = marks::claim(&change.object);
            let is_on = claim["number"] == held.number.as_str() && claim["intent"] == "buy";
            is_on.then(|| (change.at, claim["since"].clone()))
        });
        let claims: Vec<(Duration, Value)> = claims.collect();
        // Attempts that may each have bought the number have one beginning.
        let begun = claims.last().and_then(|(_, last)| {
            let mut of_it = claims.iter().filter(|(_, since)| since == last);
            of_it.next().map(|(at, _)| *at)
        });
        let is_hidden = self.is_hidden(held, written_over_at)
            || written_over_at.saturating_sub(held.bought_at) < RESIDUE;
        let is_meanwhile = begun.is_some_and(|begun| held.bought_at + TOLD_APART_AFTER >= begun);
        held.bought_for.is_none() && is_hidden && is_meanwhile
    }

    /// Every number that operators paid for can be reached from a resource.
    fn look_at_what_is_held(&mut self) {
        let numbers: Vec<Number> = {
            let world = self.world.emulator.world();
            world.numbers.iter().cloned().collect()
        };
        for number in numbers {
            let Some(held) = self.held.get(&number.id).cloned() else {
                continue;
            };
            let Some(owner) = held.bought_for.clone() else {
                continue;
            };
            // Whose mark has come over another's, it is reached from.
            let marked = self.owner_in(&held.reference).filter(|it| *it != owner);
            let owners: Vec<&str> = [Some(owner.as_str()), marked.as_deref()]
                .into_iter()
                .flatten()
                .collect();
            let leads_to = |owner: &&str| {
                let object = self.world.get(owner);
                // The claim that is stored leads to the number: it is looked for where it was bought.
                let claim = marks::claim(&object);
                let is_claimed = claim["number"] == number.phone_number.as_str()
                    && self.is_account(&claim["accountId"], &number.account);
                // So does the order that is written down.
                let order = object["status"]["orderId"].as_str();
                let is_ordered = order.is_some() && order == held.order.as_deref();
                // So does the attempt of which the status tells where it was made.
                let attempt = &object["status"]["attempt"];
                let is_told = attempt["number"] == number.phone_number.as_str()
                    && self.is_account(&attempt["accountId"], &number.account)
                    && may_have_bought(attempt);
                let is_recorded = object["status"]["id"] == number.id.as_str();
                is_recorded || is_claimed || is_ordered || is_told
            };
            let is_reached = owners.iter().any(leads_to);
            let excuse = self.excuse_for_being_out_of_sight(&held, &owners);
            let text = format!(
                "{} ({}), bought for {owner}, is out of sight",
                number.phone_number, number.id
            );
            self.judge((!is_reached).then_some(text), excuse);
        }
    }

    /// True if the number was renamed before any status named it, `owner` took it over as one that nobody has marked, and was
    /// deleted later. Nothing tells such a number from one that somebody bought by hand, and what was taken over stays in the
    /// account unless the policy is Release.
    fn was_left(&self, held: &Held, owner: &str, to: Duration) -> bool {
        let from = held.ordered_at.saturating_sub(PURCHASE);
        let versions: Vec<_> = self.versions(owner, to).collect();
        let takes = |change: &Change| {
            let claim = marks::claim(&change.object);
            claim["intent"] == "adopt" && claim["number"] == held.number.as_str()
        };
        let is_named = |change: &Change| change.object["status"]["id"] == held.id.as_str();
        let is_of = |change: &&&Change| is_named(change) || takes(change);
        let is_taken =
            |change: &&Change| change.object["status"]["origin"] == "Adopted" || takes(change);
        let Some(first) = versions.iter().find(is_of).filter(|first| is_taken(first)) else {
            return false;
        };
        let mut gone = versions.iter().filter(is_of).filter(|it| it.deleted);
        self.was_renamed(&held.id, from, first.at)
            && gone.any(|it| is_taken(it) && it.object["spec"]["deletionPolicy"] != "Release")
    }

    /// True if operators took the number for one that they had only written over, by the API server's dates alone, because the
    /// company tells none, and those were wrong at some time since it was asked for.
    fn is_misjudged(&self, held: &Held, from: Duration) -> bool {
        let is_dateless = self.world.emulator.world().state.switches.no_date;
        let is_misdated = |at| self.diary.was_misdated(from, at);
        is_dateless && held.disowned_at.is_some_and(is_misdated)
    }

    /// True if the claim was taken off `owner` within a minute of the purchase, before any status told of the attempt, and the
    /// Secret opens another account: if the process died too, nothing tells where the number is.
    fn is_untold(&self, held: &Held, owner: &str, from: Duration) -> bool {
        let opened = [TWILIO_ACCOUNTS[0], TELNYX_ACCOUNTS[0]];
        let tells = |change: &Change| {
            let status = &change.object["status"];
            status["id"] == held.id.as_str()
                || status["attempt"]["number"] == held.number.as_str()
                || !status["orderId"].is_null()
        };
        let stripped = self.tampering(owner, from, held.bought_at + PURCHASE);
        let is_told = |at: Duration| {
            let since = |change: &&Change| change.at >= from;
            self.versions(owner, at).filter(since).any(tells)
        };
        !opened.contains(&held.account.as_str()) && stripped.iter().any(|at| !is_told(*at))
    }

    fn excuse_for_being_out_of_sight(&self, held: &Held, owners: &[&str]) -> Option<&'static str> {
        let now = self.world.elapsed();
        let from = held.ordered_at.saturating_sub(PURCHASE);
        if owners.iter().any(|owner| self.was_let_go(owner, from, now)) {
            return Some("let go by its owner");
        }
        if owners.iter().any(|owner| self.was_left(held, owner, now)) {
            return Some("renamed, taken over and left");
        }
        if self.is_misjudged(held, from) {
            return Some("taken for another's by wrong dates");
        }
        if owners.iter().any(|owner| self.is_untold(held, owner, from)) {
            return Some("stripped before a status told of it");
        }
        let tampering = owners
            .iter()
            .flat_map(|owner| self.tampering(owner, from, now));
        let tampering: Vec<Duration> = tampering.collect();
        let is_marked = self.owner_in(&held.reference).is_some();
        let id = held.id.as_str();
        let is_recorded = |change: &Change| change.object["status"]["id"] == id;
        let mut versions = owners.iter().flat_map(|owner| self.versions(owner, now));
        // A mark that is taken off before the id is written down was all that there was.
        let is_known = tampering.is_empty() && versions.any(is_recorded);
        if !is_marked && !is_known && self.was_renamed(&held.id, from, now) {
            return Some("renamed in the console");
        }
        if tampering.iter().any(|at| self.is_hidden(held, *at)) {
            return Some("let go while hidden");
        }
        if self.hidden + PURCHASE >= self.diary.visibility {
            return Some("hidden for too long");
        }
        self.was_kept(&held.id, held.bought_at, now)
            .then_some("kept against the word")
    }

    /// What is Ready is in the account, and as declared.
    fn look_at_what_is_ready(&mut self) {
        let assignments = self.world.control("GET", "/assignments", Value::Null);
        for object in self.world.cluster.list("phonenumbers") {
            if !is_ready(&object) || object["spec"]["suspend"] == true {
                continue;
            }
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let id = object["status"]["id"].as_str().unwrap_or_default();
            let number = {
                let world = self.world.emulator.world();
                world.numbers.iter().find(|it| it.id == id).cloned()
            };
            let Some(number) = number else {
                if !self.was_released_lately(id) {
                    self.fault(format!("{name} is Ready, and {id} is in no account"));
                }
                continue;
            };
            // What no listing shows, nobody can see changed.
            let held = self.held.get(id);
            if held.is_some_and(|held| self.is_hidden(held, self.world.elapsed())) {
                continue;
            }
            let spec = &object["spec"];
            let assigned = &assignments[&number.phone_number];
            let wanted = &spec["assistantId"];
            let text = format!("{name} is Ready for assistant {wanted}, and {assigned} answers");
            let fault = (assigned != wanted).then_some(text);
            let is_excused = fault.is_some()
                && wanted.is_null()
                && self.is_inherited(&object, &number.phone_number, assigned);
            self.judge(
                fault,
                is_excused.then_some("assigned for an earlier resource"),
            );
            for (what, is, wanted) in settings(&number, spec) {
                if is != wanted {
                    self.fault(format!(
                        "{name} is Ready, and its {what} is {is:?}, not {wanted:?}"
                    ));
                }
            }
            let service = &number.messaging_service;
            let wanted = &spec["twilio"]["messagingServiceSid"];
            if *wanted != json!(service) && !(wanted.is_null() && service.is_empty()) {
                let excuse = wanted.is_null() && self.is_of_an_earlier_resource(&object, service);
                let text = format!("{name} is Ready, and its messaging service is {service:?}");
                self.judge(
                    Some(text),
                    excuse.then_some("in the service of an earlier resource"),
                );
            }
        }
    }

    /// True if the assistant answered the number before the resource went for it, and no status of the resource names it: nothing
    /// tells that it was declared for this one, and what nobody declares is left as it is.
    fn is_inherited(&self, object: &Value, number: &str, assistant: &Value) -> bool {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let uid = &object["metadata"]["uid"];
        let versions = self.versions(name, self.world.elapsed());
        let versions: Vec<_> = versions
            .filter(|change| change.object["metadata"]["uid"] == *uid)
            .collect();
        let claims = |change: &&&Change| {
            let claim = marks::claim(&change.object);
            claim["number"] == number && claim["uid"] == *uid
        };
        let Some(began) = versions.iter().find(claims).or(versions.first()) else {
            return false;
        };
        let mut named = versions.iter();
        let is_named = named.any(|it| it.object["status"]["assistant"]["id"] == *assistant);
        let id = assistant.to_string();
        let world = self.world.emulator.world();
        let mut entries = world.ledger.entries.iter().rev();
        let assigned = entries.find(|entry| {
            entry.deed == Deed::Assign && entry.number == number && entry.account == id
        });
        let is_older = assigned
            .is_some_and(|entry| self.world.since_begun(entry.time.parse().unwrap()) < began.at);
        is_older && !is_named
    }

    /// True if another resource declared the messaging service, and this one never did: nothing tells that the number is to
    /// leave it.
    fn is_of_an_earlier_resource(&self, object: &Value, service: &str) -> bool {
        let uid = &object["metadata"]["uid"];
        let all = self.resources.values().flatten();
        let declare =
            all.filter(|change| change.object["spec"]["twilio"]["messagingServiceSid"] == service);
        let uids: Vec<_> = declare
            .map(|change| &change.object["metadata"]["uid"])
            .collect();
        !uids.is_empty() && !uids.contains(&uid)
    }

    /// True if somebody released the number so short a time ago that nobody need have asked twice.
    fn was_released_lately(&self, id: &str) -> bool {
        let world = self.world.emulator.world();
        let entries = world.ledger.entries.iter();
        let mut released = entries.filter(|entry| entry.deed == Deed::Release && entry.id == id);
        released.any(|entry| {
            let at = self.world.since_begun(entry.time.parse().unwrap());
            self.world.elapsed() < at + self.hidden + NOTICED_WITHIN
        })
    }

    /// Who waits for a limit waits for one that is reached.
    fn look_at_what_waits_for_a_limit(&mut self) {
        for fault in waits_in_vain(self.world, self.diary) {
            self.fault(fault);
        }
    }

    fn look_at_what_is_declared(&mut self) {
        for object in self.world.cluster.list("phonenumbers") {
            if !has_come_to_an_end(&object) {
                let (name, status) = (&object["metadata"]["name"], &object["status"]);
                self.fault(format!("{name} has come to no end: {status:#}"));
            }
        }
    }

    /// While all is well and nobody does anything, little is written.
    fn count_what_was_written(&mut self) {
        let lately = self.world.elapsed().saturating_sub(WELL_FOR);
        let from = lately.max(self.diary.well_since + TO_CALM_DOWN);
        let mut writes: BTreeMap<String, Vec<&Change>> = BTreeMap::new();
        for change in self.changes.iter().filter(|change| change.at >= from) {
            let what = match change.place.plural.as_str() {
                "phonenumbers" => format!("the PhoneNumber {}", change.place.name),
                "events" => format!("Events of {}", change.object["regarding"]["name"]),
                _ => continue,
            };
            writes.entry(what).or_default().push(change);
        }
        let most = MOST_WHILE_WELL * self.diary.leaders;
        let too_many = writes.into_iter().filter(|(_, writes)| writes.len() > most);
        let faults = too_many.map(|(what, writes)| {
            let count = writes.len();
            let writes = writes.into_iter().map(shown).collect::<Vec<_>>();
            let writes = writes.join("\n  ");
            format!("{count} writes of {what} while nothing happened:\n  {writes}")
        });
        let faults: Vec<_> = faults.collect();
        faults.into_iter().for_each(|fault| self.fault(fault));
    }
}

/// Who waits for a limit of an account that is not reached.
fn waits_in_vain(world: &World, diary: &Diary) -> Vec<String> {
    let objects = world.cluster.list("phonenumbers");
    let limits = diary.limits.iter();
    let waiting = limits.flat_map(|limits| {
        let of_provider = objects
            .iter()
            .filter(|object| object["spec"]["provider"] == limits.provider);
        let of_provider: Vec<&Value> = of_provider.collect();
        let for_numbers = waits_for_numbers(world, limits, &of_provider);
        let for_a_cost = waits_for_a_cost(limits, &of_provider);
        for_numbers.into_iter().chain(for_a_cost)
    });
    waiting.collect()
}

/// Who waits for a limit, by what its message contains. What is suspended is as it was.
fn waiting<'a>(
    objects: &'a [&Value],
    message_has: &'static str,
) -> impl Iterator<Item = &'a Value> {
    let waits = move |object: &&Value| {
        condition(object, "Ready").is_some_and(|(_, reason, message)| {
            reason == "LimitReached" && message.contains(message_has)
        })
    };
    let objects = objects.iter().copied().filter(waits);
    objects.filter(|object| object["spec"]["suspend"] != true)
}

fn waits_for_numbers(world: &World, limits: &Limits, objects: &[&Value]) -> Vec<String> {
    let Some(most) = limits.numbers else {
        return Vec::new();
    };
    let account = limits.accounts()[0];
    let ids: Vec<String> = {
        let world = world.emulator.world();
        let held = world.numbers.iter().filter(|it| it.account == account);
        held.map(|it| it.id.clone()).collect()
    };
    // A claim may have bought, and what is gone may come back.
    let claimed = objects.iter().filter(|object| {
        let is_held = ids.iter().any(|id| object["status"]["id"] == id.as_str());
        !is_held && !marks::claim(object).is_null()
    });
    let held = ids.len();
    if held + claimed.count() >= most {
        return Vec::new();
    }
    let waiting = waiting(objects, "The account holds").map(|object| {
        let (name, status) = (&object["metadata"]["name"], &object["status"]);
        format!("{name} waits for a limit of {most} numbers, of which {held} are held: {status:#}")
    });
    waiting.collect()
}

/// The cost of what is gone counts no more, however the operator has learnt of that.
fn waits_for_a_cost(limits: &Limits, objects: &[&Value]) -> Vec<String> {
    let Some(most) = limits.cost_of else {
        return Vec::new();
    };
    let costs = objects
        .iter()
        .filter(|object| !object["status"]["cost"].is_null() || !marks::claim(object).is_null());
    let costly = costs.count();
    if costly >= most {
        return Vec::new();
    }
    let limit = "spec.limits.maxMonthlyCost of the account";
    let waiting = waiting(objects, limit).map(|object| {
        let (name, status) = (&object["metadata"]["name"], &object["status"]);
        format!(
            "{name} waits for a limit of the cost of {most} numbers, and {costly} cost anything: {status:#}"
        )
    });
    waiting.collect()
}

/// True if somebody waits for a limit that is not reached, and a number was claimed so short a time ago that an operator counts it
/// whether or not anything has shown it.
pub fn waits_for_what_may_be_hidden(world: &World, diary: &Diary) -> bool {
    let counted_for = diary.visibility + COUNTED_WITHIN;
    let since = world.elapsed().saturating_sub(counted_for);
    let mut known = HashSet::new();
    let mut is_late = |change: &Change| {
        let claim = marks::claim(&change.object);
        let nonce = claim["nonce"].as_str();
        nonce.is_some_and(|nonce| known.insert(nonce.to_owned()) && change.at >= since)
    };
    !waits_in_vain(world, diary).is_empty()
        && world
            .cluster
            .since(0)
            .iter()
            .any(|it| it.place.plural == "phonenumbers" && is_late(it))
}

/// True if an attempt that a status tells of, or one before it, may have bought the number.
fn may_have_bought(attempt: &Value) -> bool {
    let is_certain = ["Rejected", "NotSent"].map(Value::from);
    !is_certain.contains(&attempt["outcome"]) || !attempt["earlier"].is_null()
}

/// The settings of a number that a spec decides: what each is, and what it is to be.
fn settings<'a>(number: &'a Number, spec: &'a Value) -> Vec<(&'static str, &'a str, &'a str)> {
    let text = |value: &'a Value, otherwise| value.as_str().unwrap_or(otherwise);
    let telnyx = &spec["telnyx"];
    if number.provider == "twilio" {
        let webhook =
            |which: &str| text(&spec["webhooks"][which], "https://voice.example.com/twiml");
        // Of what is bought here only numbers of North America take messages.
        let takes_messages = number.phone_number.starts_with("+1");
        let messages = if takes_messages {
            webhook("smsUrl")
        } else {
            ""
        };
        return vec![
            ("voice webhook", &number.voice_url, webhook("voiceUrl")),
            ("SMS webhook", &number.sms_url, messages),
        ];
    }
    let mut settings = vec![(
        "connection",
        number.connection_id.as_str(),
        text(&telnyx["connectionId"], CONNECTION),
    )];
    if let Some(profile) = telnyx["messagingProfileId"].as_str() {
        settings.push(("messaging profile", &number.messaging_profile_id, profile));
    }
    settings
}

/// What a write made of an object, in a line.
fn shown(change: &Change) -> String {
    let object = &change.object;
    let claim = marks::claim(object);
    let ready = condition(object, "Ready");
    let (attempt, note) = (&object["status"]["attempt"], &object["note"]);
    format!(
        "{:.3} claim {claim}, attempt {attempt}, Ready {ready:?}, note {note}",
        change.at.as_secs_f64()
    )
}

/// True if every resource is Ready, or says what a person must do, or what it waits for.
pub fn is_settled(world: &World) -> bool {
    let objects = world.cluster.list("phonenumbers");
    objects.iter().all(has_come_to_an_end)
}

fn has_come_to_an_end(object: &Value) -> bool {
    let waits_for = |(status, reason, _): (String, String, String)| {
        let waits = [
            "LimitReached",
            "ReleaseLimitReached",
            "NoNumbersFound",
            "Suspended",
        ];
        (status == "True" || reason == "Suspended") && waits.contains(&reason.as_str())
    };
    let is_present = object["metadata"]["deletionTimestamp"].is_null();
    condition(object, "Stalled").is_some_and(|(status, ..)| status == "True")
        || condition(object, "Reconciling").is_some_and(waits_for)
        || (is_present && is_ready(object))
}

/// The condition's reason of a resource, for tests.
pub fn reason(object: &Value) -> String {
    condition(object, "Ready")
        .map(|(_, reason, _)| reason)
        .unwrap_or_default()
}
