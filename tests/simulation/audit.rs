//! What must be so after every run, whatever happened: read from the carrier's ledger and from the log of the cluster, which
//! together tell everything that ever took place.
//!
//! What cannot be held against an operator is excused one number at a time, for the time in which nobody could have known
//! better; how often that was needed is counted.

mod diary;
mod ledger;
mod limits;
mod resources;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use phonenumber_emulator::{Deed, Number};
use serde_json::Value;

use crate::cluster::Change;
use crate::marks::{self, Owners};
use crate::world::{INSTALLATION, TELNYX_ACCOUNTS, TWILIO_ACCOUNTS, World};
pub use diary::{Diary, Limits, Meddling};
pub use limits::waits_for_what_may_be_hidden;
pub use resources::{is_settled, reason};

/// How long a purchase takes at most, from its claim to the next look.
const PURCHASE: Duration = Duration::from_secs(60);

/// How long after a number is listed a look may still miss it: a listing that began before, and its delays.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

/// A rename is noted once it is done.
const RENAMED_WITHIN: Duration = Duration::from_millis(1);

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
}

/// True if an attempt that a status tells of, or one before it, may have bought the number.
fn may_have_bought(attempt: &Value) -> bool {
    let is_certain = ["Rejected", "NotSent"].map(Value::from);
    !is_certain.contains(&attempt["outcome"]) || !attempt["earlier"].is_null()
}
