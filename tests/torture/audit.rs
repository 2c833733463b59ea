//! What the company's ledger says in the end, beside what the resources record.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kube::api::ListParams;
use phonenumber_operator::api::PhoneNumber;
use phonenumber_operator::number::{Installation, Mark, Origin, Owner};
use serde_json::Value;
use test_support::emulator::{is_purchase, line};

use crate::storm::{INSTALLATION, Storm, id};
use crate::work::Work;

/// The figures, and what is wrong in words.
#[derive(Default)]
pub struct Found {
    resources: usize,
    purchases: usize,
    releases: usize,
    doubled: usize,
    orphaned: usize,
    foreign_writes: usize,
    faults: Vec<String>,
}

/// Reads the ledger when all has come to its end.
pub async fn read(storm: &Storm, work: &Work) -> Found {
    let list = storm.world.numbers().list(&ListParams::default()).await;
    let mut audit = Audit {
        storm,
        marks: work
            .resources
            .iter()
            .map(|resource| (mark(storm, &resource.name), resource.name.clone()))
            .collect(),
        deleted: work
            .resources
            .iter()
            .filter(|resource| resource.is_deleted)
            .map(|resource| resource.name.clone())
            .collect(),
        numbers: list.unwrap().items,
        held: BTreeMap::new(),
        found: Found {
            resources: work.resources.len(),
            ..Found::default()
        },
    };
    audit.read_the_ledger(&storm.world.emulator.ledger().await);
    let numbers = storm.world.emulator.get("/numbers").await;
    audit.look_at_what_is_held(numbers.as_array().unwrap());
    let assigned = storm.world.emulator.get("/assignments").await;
    audit.look_at_what_is_wanted(work, numbers.as_array().unwrap(), &assigned);
    audit.found
}

fn mark(storm: &Storm, name: &str) -> Mark {
    let owner = Owner {
        namespace: storm.world.namespace.clone(),
        name: name.to_owned(),
    };
    Mark::new(Origin::Bought, &Installation::new(INSTALLATION), &owner)
}

struct Audit<'a> {
    storm: &'a Storm,
    marks: Vec<(Mark, String)>,
    deleted: BTreeSet<String>,
    numbers: Vec<PhoneNumber>,
    /// Who has a number, by its id; `None` is somebody else.
    held: BTreeMap<String, Option<String>>,
    found: Found,
}

impl Audit<'_> {
    /// The resource whose mark is in `text`.
    fn owner(&self, text: &str) -> Option<String> {
        let mark = Mark::find_in(text)?;
        let mut marks = self.marks.iter();
        let found = marks.find(|(known, _)| known.same_owner(&mark));
        found.map(|(_, name)| name.clone())
    }

    fn read_the_ledger(&mut self, ledger: &[Value]) {
        let mut bought: BTreeMap<String, usize> = BTreeMap::new();
        for entry in ledger {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            let owner = self.owner(&text("reference"));
            let by_hand = text("by") == "console";
            match text("deed").as_str() {
                "purchase" if by_hand => {
                    self.held.insert(text("id"), None);
                }
                "purchase" => {
                    assert!(is_purchase(entry));
                    self.found.purchases += 1;
                    let times = bought.entry(owner.clone().unwrap_or_default()).or_default();
                    *times += 1;
                    if *times > 1 || owner.is_none() {
                        self.found.doubled += 1;
                        self.found
                            .fault(format!("bought once more: {}", line(entry)));
                    }
                    self.held.insert(text("id"), owner);
                }
                "configure" | "release" if !by_hand => {
                    let before = self.held.get(&text("id")).cloned().flatten();
                    let is_release = text("deed") == "release";
                    // Telnyx has no mark on a number before the operator writes it there.
                    let is_own = before.is_some()
                        && (before == owner || text("by") == "telnyx" && owner.is_none());
                    let is_wanted =
                        !is_release || before.is_some_and(|owner| self.deleted.contains(&owner));
                    if !is_own || !is_wanted {
                        self.found.foreign_writes += 1;
                        self.found
                            .fault(format!("not ours to touch: {}", line(entry)));
                    }
                    self.found.releases += usize::from(is_release);
                }
                "assign" | "unassign" if !by_hand => {
                    let number = text("number");
                    let mut others = self.storm.others.iter();
                    if others.any(|other| other["phone_number"] == number.as_str()) {
                        self.found.foreign_writes += 1;
                        self.found
                            .fault(format!("not ours to assign: {}", line(entry)));
                    }
                }
                _ => {}
            }
        }
    }

    /// Each number that was paid for is in one status, and what others have is as it was.
    fn look_at_what_is_held(&mut self, rows: &[Value]) {
        let recorded: BTreeSet<_> = self.numbers.iter().filter_map(id).collect();
        for row in rows.iter().filter(|row| !self.storm.is_of_others(row)) {
            if !recorded.contains(row["id"].as_str().unwrap()) {
                self.found.orphaned += 1;
                self.found.fault(format!("in no status: {row}"));
            }
        }
        for other in &self.storm.others {
            if !rows.contains(other) {
                self.found.foreign_writes += 1;
                self.found.fault(format!("it was {other}"));
            }
        }
    }

    /// Each resource that is left has one number, set up as it says.
    fn look_at_what_is_wanted(&mut self, work: &Work, rows: &[Value], assigned: &Value) {
        for resource in work
            .resources
            .iter()
            .filter(|resource| !resource.is_deleted)
        {
            let mut numbers = self.numbers.iter();
            let number = numbers
                .find(|number| number.metadata.name.as_deref() == Some(&resource.name))
                .unwrap();
            let recorded = id(number);
            let Some(row) = rows
                .iter()
                .find(|row| row["id"].as_str() == recorded.as_deref())
            else {
                let fault = format!("{} has no number: {recorded:?}", resource.name);
                self.found.fault(fault);
                continue;
            };
            let wanted = &resource.wanted;
            let voice = wanted["webhooks"]["voiceUrl"]
                .as_str()
                .unwrap_or("https://voice.example.com/twiml");
            let named = wanted["friendlyName"].as_str().unwrap_or_default();
            let is_set_up = match resource.provider {
                "twilio" => {
                    row["voice_url"] == voice
                        && row["friendly_name"].as_str().unwrap().contains(named)
                }
                _ => row["connection_id"] == wanted["telnyx"]["connectionId"],
            };
            let answered = &assigned[row["phone_number"].as_str().unwrap()];
            if !is_set_up || *answered != wanted["assistantId"] {
                let name = &resource.name;
                let fault = format!("{name} wants {wanted} and has {row}, answered by {answered}");
                self.found.fault(fault);
            }
        }
    }
}

impl Found {
    fn fault(&mut self, text: String) {
        self.faults.push(format!("- {text}"));
    }

    pub fn judge(&self) {
        assert!(self.faults.is_empty(), "{}", self.faults.join("\n"));
        assert_eq!(
            (self.doubled, self.orphaned, self.foreign_writes),
            (0, 0, 0)
        );
        assert!(self.purchases > 0);
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in [
            ("resources", self.resources),
            ("purchases accepted", self.purchases),
            ("releases", self.releases),
            ("doubled", self.doubled),
            ("orphaned", self.orphaned),
            ("foreign writes", self.foreign_writes),
        ] {
            writeln!(f, "{what:<36}{count:>6}")?;
        }
        Ok(())
    }
}
