//! What is bought, released and held stays within the limits of the accounts, and nobody waits for one that is not reached.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use phonenumber_emulator::Deed;
use serde_json::Value;

use super::diary::{Diary, Limits};
use super::ledger::RESIDUE;
use super::{Audit, Held};
use crate::cluster::Change;
use crate::marks;
use crate::world::{World, condition};

/// How long a listing that counts what an account holds may be old.
const COUNTED_WITHIN: Duration = Duration::from_secs(120);

impl Audit<'_> {
    /// Purchases and releases of every hour. Operators take them from one count, however many there are.
    pub(super) fn count_what_was_limited(&mut self) {
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
    pub(super) fn holds_what_it_may(&mut self, account: &str, at: Duration) {
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

    /// Who waits for a limit waits for one that is reached.
    pub(super) fn look_at_what_waits_for_a_limit(&mut self) {
        for fault in waits_in_vain(self.world, self.diary) {
            self.fault(fault);
        }
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
