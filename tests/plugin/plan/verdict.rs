//! What came of a change, beside what the plan said of it.

use super::*;

/// What came of a change.
pub struct Verdict {
    pub seed: u64,
    pub before: BTreeMap<String, PhoneNumber>,
    pub after: BTreeMap<String, PhoneNumber>,
    pub refused: Vec<String>,
    pub ledger: Vec<Value>,
}

impl Verdict {
    pub fn times(&self, deed: &str, number: &str) -> usize {
        let fits = |entry: &&Value| entry["deed"] == deed && entry["number"] == number;
        self.ledger.iter().filter(fits).count()
    }

    /// Compares what was said of an object with what came of it.
    pub async fn holds(&self, name: &str, said: &Said, world: &World) {
        let (before, after) = (self.before.get(name), self.after.get(name));
        let now = after.map(reason).unwrap_or_default();
        let context = format!("seed {} {name}: {said:?}, and now {now:?}", self.seed);
        let had = before.and_then(id);
        let has = after.and_then(id);
        let number = before
            .filter(|_| had.is_some())
            .or(after)
            .map(held)
            .unwrap_or_default();
        let deeds = (
            self.times("purchase", &number),
            self.times("release", &number),
        );
        match said.action.as_str() {
            "buy" => {
                assert!(has.is_some() && had.is_none(), "{context}");
                assert_eq!(deeds, (1, 0), "{context}");
                assert_eq!(after.and_then(cost), said.price, "{context}");
                assert!(
                    !after.unwrap().status.as_ref().unwrap().is_adopted(),
                    "{context}"
                );
            }
            "adopt" => {
                assert!(has.is_some() && had.is_none(), "{context}");
                assert_eq!(deeds, (0, 0), "{context}");
                assert_eq!(after.and_then(cost), said.price, "{context}");
                assert!(
                    after.unwrap().status.as_ref().unwrap().is_adopted(),
                    "{context}"
                );
            }
            "release" => {
                assert!(after.is_none() && had.is_some(), "{context}");
                assert_eq!(deeds, (0, 1), "{context}");
                assert_eq!(before.and_then(cost), said.price, "{context}");
            }
            "retain" => {
                assert!(after.is_none() && had.is_some(), "{context}");
                assert_eq!(deeds, (0, 0), "{context}");
                assert!(!world.emulator.number(&number).await.is_null(), "{context}");
            }
            "forget" => {
                assert!(after.is_none() && had.is_none(), "{context}");
                assert_eq!(deeds, (0, 0), "{context}");
            }
            "keep" | "change" => {
                assert_eq!(has, had, "{context}");
                assert!(after.is_some(), "{context}");
                if !said.reason.is_empty() {
                    assert!(says(after.unwrap(), &said.reason), "{context}");
                }
            }
            "refuse" => {
                assert_eq!(has, had, "{context}");
                match said.reason.as_str() {
                    "Invalid" => assert!(self.refused.contains(&name.to_owned()), "{context}"),
                    reason => assert!(says(after.unwrap(), reason), "{context}"),
                }
            }
            other => panic!("{other}: {context}"),
        }
        let is_refused = self.refused.contains(&name.to_owned());
        assert_eq!(is_refused, said.reason == "Invalid", "{context}");
    }

    /// Which of several objects a limit refuses is a matter of turns; how many is not.
    pub fn of_the_capped(&self, plan: &Plan) {
        let capped = plan
            .said
            .iter()
            .filter(|(name, _)| name.starts_with("capped"));
        let mut said: Vec<&str> = capped.map(|(_, said)| said.action.as_str()).collect();
        said.sort_unstable();
        let after = self
            .after
            .iter()
            .filter(|(name, _)| name.starts_with("capped"));
        let mut done: Vec<&str> = after
            .map(
                |(name, number)| match (self.before.get(name).and_then(id), id(number)) {
                    (Some(_), Some(_)) => "keep",
                    (None, Some(_)) => "buy",
                    _ => {
                        assert_eq!(reason(number), "LimitReached", "seed {} {name}", self.seed);
                        "refuse"
                    }
                },
            )
            .collect();
        done.sort_unstable();
        assert_eq!(said, done, "seed {}", self.seed);
    }

    /// The sums are those of the ledger.
    pub fn of_sums(&self, plan: &Plan) {
        let of = |deed: &str| -> Vec<String> {
            let deeds = self
                .ledger
                .iter()
                .filter(|entry| entry["deed"] == deed && entry["by"] != "console");
            deeds.map(number_of).collect()
        };
        let paid: Vec<_> = self
            .ledger
            .iter()
            .filter(|entry| is_purchase(entry))
            .collect();
        let counted = |action: &str| {
            usize::try_from(plan.totals["counts"][action].as_u64().unwrap()).unwrap()
        };
        assert_eq!(
            paid.len(),
            counted("buy"),
            "seed {} {}",
            self.seed,
            plan.notes
        );
        assert_eq!(
            of("release").len(),
            counted("release"),
            "seed {}",
            self.seed
        );
        let costs = |numbers: &BTreeMap<String, PhoneNumber>, deed: &str| -> Vec<[String; 3]> {
            let done = of(deed);
            let numbers = numbers
                .values()
                .filter(|number| done.contains(&held(number)));
            numbers
                .filter(|number| id(number).is_some())
                .filter_map(cost)
                .collect()
        };
        let bought = costs(&self.after, "purchase");
        let released = costs(&self.before, "release");
        assert_eq!(
            sum(bought.iter()),
            total(plan, "monthlyIncrease"),
            "seed {}",
            self.seed
        );
        assert_eq!(
            sum(released.iter()),
            total(plan, "monthlyDecrease"),
            "seed {}",
            self.seed
        );
    }
}
