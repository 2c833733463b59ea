//! What must be so after every run, whatever happened: read from the carrier's ledger and from the log of the cluster, which
//! together tell everything that ever took place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use phonenumber_operator::claim::{ANNOTATION, Claim, Intent};
use phonenumber_operator::emulator::Deed;
use phonenumber_operator::number::{Installation, Mark, Origin, Owner};
use serde_json::Value;

use crate::cluster::Change;
use crate::world::{INSTALLATION, NAMESPACE, TWILIO_ACCOUNTS, World, condition, is_ready};

/// How many Events and how many writes of each that leads an object may see while all is well.
const MOST_WHILE_WELL: usize = 10;

/// What is written within this time counts, except for the first moments after something went wrong.
const WELL_FOR: Duration = Duration::from_secs(840);
const TO_CALM_DOWN: Duration = Duration::from_secs(60);

/// How long after a purchase by hand an operator's own purchase of the same number may meet it.
const RESIDUE: Duration = Duration::from_secs(10);

/// How long schedules hide a purchase, and until a listing shows it then.
const HIDDEN: Duration = Duration::from_secs(120 + 120);

/// How long an operator may act on what a resource was before.
const MAY_LAG: Duration = Duration::from_secs(120);

/// What was done to the world by those who are not operators.
#[derive(Default)]
pub struct Diary {
    pub lines: Vec<String>,
    /// Somebody took a mark off a number.
    pub renamed: bool,
    /// A resource was gone for a moment while the company hid its number: nothing showed that it is somebody's.
    pub unseen: bool,
    /// Since when nothing goes wrong any more.
    pub well_since: Duration,
    /// What the Twilio accounts may do, where that is limited.
    pub limits: Option<Limits>,
    leaders: usize,
    lost_sight: BTreeSet<String>,
    /// From when to when operators were frozen.
    freezes: Vec<(Duration, Option<Duration>)>,
}

/// Limits of an account.
#[derive(Clone, Copy)]
pub struct Limits {
    pub purchases_per_hour: usize,
    pub releases_per_hour: usize,
    /// How many numbers it may hold; operators of which more than one believes to lead may make it more.
    pub numbers: Option<usize>,
}

impl Diary {
    /// Of a world in which so many lead at once, or believe so.
    pub fn of(leaders: usize) -> Self {
        Self {
            leaders,
            ..Self::default()
        }
    }

    /// An operator freezes.
    pub fn freezes(&mut self, at: Duration) {
        self.freezes.push((at, None));
    }

    /// Every operator goes on.
    pub fn thaws(&mut self, at: Duration) {
        for (_, until) in &mut self.freezes {
            until.get_or_insert(at);
        }
    }

    /// Since when an operator that acts at `at` may have known nothing new.
    fn may_know_nothing_since(&self, at: Duration) -> Duration {
        let recent = at.saturating_sub(MAY_LAG);
        let just_thawed = |until: &Option<Duration>| until.is_some_and(|until| until >= recent);
        let freezes = self.freezes.iter();
        let from = freezes.filter(|(from, until)| *from <= at && just_thawed(until));
        from.map(|(from, _)| *from).fold(recent, Duration::min)
    }

    /// Somebody did to the resource what lets its number stay behind, or lets it buy another.
    pub fn may_lose_sight(&mut self, name: &str) {
        self.lost_sight.insert(name.to_owned());
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

/// Everything that is wrong.
pub fn faults(world: &World, diary: &Diary) -> Vec<String> {
    let mut audit = Audit {
        world,
        diary,
        changes: world.cluster.since(0),
        held: BTreeMap::new(),
        spent: BTreeMap::new(),
        faults: Vec::new(),
    };
    audit.read_the_ledger();
    audit.look_at_what_is_held();
    audit.look_at_what_is_declared();
    audit.count_what_was_written();
    audit.count_what_was_limited();
    audit.faults
}

/// A number in an account, as the ledger has it.
#[derive(Clone, Debug)]
struct Held {
    account: String,
    number: String,
    reference: String,
    /// The resource for which an operator bought it.
    bought_for: Option<String>,
    bought_at: Duration,
}

struct Audit<'a> {
    world: &'a World,
    diary: &'a Diary,
    changes: Vec<Change>,
    held: BTreeMap<String, Held>,
    /// How many purchases were made for each resource and number.
    spent: BTreeMap<(String, String), usize>,
    faults: Vec<String>,
}

impl Audit<'_> {
    fn fault(&mut self, text: String) {
        self.faults.push(format!("- {text}"));
    }

    /// The name of the resource whose mark is in `text`.
    fn owner_in(&self, text: &str) -> Option<String> {
        let mark = Mark::find_in(text)?;
        let names: BTreeSet<_> = self
            .changes
            .iter()
            .filter(|change| change.place.plural == "phonenumbers")
            .map(|change| change.place.name.clone())
            .collect();
        names
            .into_iter()
            .find(|name| mark_of(name).same_owner(&mark))
    }

    /// Every version of a resource up to `at`.
    fn versions(&self, name: &str, at: Duration) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| {
            change.place.plural == "phonenumbers" && change.place.name == name && change.at <= at
        })
    }

    /// The claims that were stored up to `at`, by nonce.
    fn claims(&self, name: &str, at: Duration) -> BTreeMap<String, Claim> {
        let texts = self
            .versions(name, at)
            .filter_map(|change| change.object["metadata"]["annotations"][ANNOTATION].as_str());
        let claims = texts.filter_map(|text| serde_json::from_str::<Claim>(text).ok());
        claims.map(|claim| (claim.nonce.clone(), claim)).collect()
    }

    fn read_the_ledger(&mut self) {
        let entries = self.world.emulator.world().ledger.entries.clone();
        for entry in entries {
            let time: Timestamp = entry.time.parse().unwrap();
            let at = self.world.since_begun(time);
            let by_hand = entry.by == "console";
            match entry.deed {
                Deed::Purchase => {
                    let account = entry.account.clone();
                    let owner = self.owner_in(&entry.reference);
                    if !by_hand {
                        self.bought(
                            &entry.account,
                            &entry.number,
                            &entry.reference,
                            owner.as_deref(),
                            at,
                        );
                    }
                    self.held.insert(
                        entry.id.clone(),
                        Held {
                            account: entry.account,
                            number: entry.number,
                            reference: entry.reference,
                            bought_for: owner.filter(|_| !by_hand),
                            bought_at: at,
                        },
                    );
                    self.holds_what_it_may(&account, at);
                }
                Deed::Configure => {
                    let Some(before) = self.held.get(&entry.id).cloned() else {
                        continue;
                    };
                    if !by_hand {
                        self.configured(&entry.id, &before, &entry.reference, at);
                    }
                    let reference = if by_hand {
                        self.reference_now(&entry.id, &entry.reference)
                    } else {
                        entry.reference
                    };
                    self.held.insert(
                        entry.id,
                        Held {
                            reference,
                            ..before
                        },
                    );
                }
                Deed::Release => {
                    if let Some(before) = self.held.remove(&entry.id)
                        && !by_hand
                    {
                        self.released(&entry.id, &before, &entry.reference, at);
                    }
                }
                Deed::Order | Deed::Cancel | Deed::Assign | Deed::Unassign | Deed::Webhook => {}
            }
        }
    }

    /// The console's entries do not tell the mark; a rename takes it off.
    fn reference_now(&self, id: &str, entered: &str) -> String {
        if entered.is_empty() {
            self.held
                .get(id)
                .map(|held| held.reference.clone())
                .unwrap_or_default()
        } else {
            entered.to_owned()
        }
    }

    fn bought(
        &mut self,
        account: &str,
        number: &str,
        reference: &str,
        owner: Option<&str>,
        at: Duration,
    ) {
        let Some(owner) = owner else {
            self.fault(format!(
                "{number} was bought with {reference:?}, which marks no resource"
            ));
            return;
        };
        let claims = self.claims(owner, at);
        let fitting: Vec<_> = claims
            .values()
            .filter(|claim| {
                claim.number.as_str() == number
                    && claim.account_id.as_str() == account
                    && claim.intent == Intent::Buy
            })
            .collect();
        let spent = self
            .spent
            .entry((owner.to_owned(), number.to_owned()))
            .or_default();
        *spent += 1;
        if *spent > fitting.len() {
            let (spent, claims) = (*spent, fitting.len());
            self.fault(format!(
                "{number} was bought {spent} times for {owner}, with {claims} claims on it"
            ));
        }
        let other = self
            .held
            .iter()
            .find(|(_, held)| held.bought_for.as_deref() == Some(owner));
        if let Some((id, other)) = other
            && !self.diary.lost_sight.contains(owner)
            && !self.diary.renamed
        {
            let text = format!(
                "{number} was bought for {owner}, which had {} ({id})",
                other.number
            );
            self.fault(text);
        }
    }

    /// Purchases and releases of every hour. Operators take them from one count, however many there are.
    fn count_what_was_limited(&mut self) {
        let Some(limits) = self.diary.limits else {
            return;
        };
        let entries = self.world.emulator.world().ledger.entries.clone();
        for (deed, most) in [
            (Deed::Purchase, limits.purchases_per_hour),
            (Deed::Release, limits.releases_per_hour),
        ] {
            for account in TWILIO_ACCOUNTS {
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

    /// Where one operator leads, and nobody takes its resources away behind its back, an account holds what it may.
    fn holds_what_it_may(&mut self, account: &str, at: Duration) {
        let most = self.diary.limits.and_then(|limits| limits.numbers);
        let Some(most) = most.filter(|_| TWILIO_ACCOUNTS.contains(&account)) else {
            return;
        };
        // What was bought by hand just now may be hidden.
        let counts = |held: &&Held| {
            held.account == account && (held.bought_for.is_some() || at - held.bought_at > HIDDEN)
        };
        let count = self.held.values().filter(counts).count();
        if count > most && self.diary.lost_sight.is_empty() && !self.diary.renamed {
            self.fault(format!(
                "account {account} holds {count} numbers and may hold {most}"
            ));
        }
    }

    fn configured(&mut self, id: &str, before: &Held, reference: &str, at: Duration) {
        // Between the last look and the purchase somebody else may buy, also another that believes to lead; what is left of that
        // is the residue.
        let is_by_others = before.bought_for.is_none() || self.diary.leaders > 1;
        if is_by_others && at.saturating_sub(before.bought_at) < RESIDUE {
            return;
        }
        if self.diary.unseen || self.nobody_can_tell(before, at) {
            return;
        }
        let now = self.owner_in(reference);
        let is_ours = now.is_some() && self.owner_in(&before.reference) == now;
        let Some(owner) = now.or_else(|| self.owner_in(&before.reference)) else {
            self.fault(format!(
                "{} ({id}), which is nobody's, was written to: {reference:?}",
                before.number
            ));
            return;
        };
        let recorded = self
            .versions(&owner, at)
            .any(|change| change.object["status"]["id"] == id);
        let adopts = self
            .claims(&owner, at)
            .values()
            .any(|claim| claim.intent == Intent::Adopt && claim.number.as_str() == before.number);
        let bought = before.bought_for.as_deref() == Some(owner.as_str());
        if !(is_ours || recorded || adopts || bought) {
            let text = format!(
                "{} ({id}) was written to for {owner}: {:?} became {reference:?}",
                before.number, before.reference
            );
            self.fault(text);
        }
    }

    /// True if the company still hides a number whose resource went: a purchase of it overwrites its settings.
    fn nobody_can_tell(&self, before: &Held, at: Duration) -> bool {
        let hidden = self.world.emulator.world().state.switches.hidden_ms;
        let is_gone = before.bought_for.as_deref().is_some_and(|name| {
            let mut later = self.versions(name, at);
            later.any(|change| change.deleted && change.at >= before.bought_at)
        });
        is_gone && at < before.bought_at + Duration::from_millis(hidden)
    }

    fn released(&mut self, id: &str, before: &Held, reference: &str, at: Duration) {
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
            let recent = self.diary.may_know_nothing_since(at);
            let versions: Vec<_> = self.versions(owner, at).collect();
            // The version that was in force then, and all since.
            let first = versions.iter().rposition(|change| change.at < recent);
            versions.iter().skip(first.unwrap_or_default()).any(wanted)
        });
        // Between the look and the release somebody may rename it.
        let is_renamed = owner.is_none() && self.diary.renamed;
        if !is_wanted && !is_renamed {
            let number = &before.number;
            let text = format!(
                "{number} ({id}, {reference:?}) was released, and no deletion of {owner:?} asked for it"
            );
            self.fault(text);
        }
    }

    /// Every number that operators paid for can be reached from a resource.
    fn look_at_what_is_held(&mut self) {
        let numbers: Vec<_> = self
            .world
            .emulator
            .world()
            .numbers
            .iter()
            .cloned()
            .collect();
        for number in numbers {
            let Some(held) = self.held.get(&number.id).cloned() else {
                continue;
            };
            let Some(owner) = held.bought_for else {
                continue;
            };
            let object = self.world.get(&owner);
            let is_recorded = object["status"]["id"] == number.id.as_str();
            // The claim that is stored leads to the number: it is looked for where it was bought.
            let claim = object["metadata"]["annotations"][ANNOTATION].as_str();
            let claim = claim.and_then(|text| serde_json::from_str::<Claim>(text).ok());
            let is_claimed = claim.is_some_and(|claim| {
                claim.number.as_str() == number.phone_number
                    && claim.account_id.as_str() == number.account
            });
            // Whose mark has come over another's, it may be out of sight with.
            let marked = self.owner_in(&held.reference);
            let mut owners = [Some(&owner), marked.as_ref()].into_iter().flatten();
            let is_excused =
                owners.any(|it| self.diary.lost_sight.contains(it)) || self.diary.renamed;
            if !is_recorded && !is_claimed && !is_excused {
                self.fault(format!(
                    "{} ({}), bought for {owner}, is out of sight",
                    number.phone_number, number.id
                ));
            }
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

/// What a write made of an object, in a line.
fn shown(change: &Change) -> String {
    let object = &change.object;
    let claim = &object["metadata"]["annotations"][ANNOTATION];
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

fn mark_of(name: &str) -> Mark {
    mark(INSTALLATION, NAMESPACE, name)
}

/// The mark of a resource in an installation.
pub fn mark(installation: &str, namespace: &str, name: &str) -> Mark {
    let owner = Owner {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    Mark::new(Origin::Bought, &Installation::new(installation), &owner)
}

/// The condition's reason of a resource, for tests.
pub fn reason(object: &Value) -> String {
    condition(object, "Ready")
        .map(|(_, reason, _)| reason)
        .unwrap_or_default()
}
