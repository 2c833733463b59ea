//! What accounts at the providers have and cost, as purchases are counted against their limits.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, HashMap};

use phonenumber_api::AccountKey;
use telephony::number::{Amount, Currency, Owner, Price};

use super::super::situation::{Action, Before, Surroundings, Verdict};

/// What each account at a provider has once all releases are done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    numbers: HashMap<String, i64>,
    monthly: HashMap<(String, Currency), Amount>,
    /// What is bought or taken over.
    deeds: HashMap<String, i64>,
}

impl Tally {
    /// What the accounts have, without what `verdicts` release or let go.
    pub(super) fn of(
        before: &Before,
        verdicts: &BTreeMap<Owner, Verdict>,
        around: &Surroundings,
    ) -> Self {
        let mut held: HashMap<String, i64> = HashMap::new();
        let mut spent: HashMap<(String, Currency), Amount> = HashMap::new();
        let mut less_numbers: HashMap<String, i64> = HashMap::new();
        let mut less_spent: HashMap<(String, Currency), Amount> = HashMap::new();
        for (owner, standing) in before {
            let Some(holding) = &standing.holds else {
                continue;
            };
            let group = around.group(&AccountKey::of(&standing.number));
            let action = verdicts.get(owner).map(|verdict| verdict.action);
            add(&mut held, &group);
            if action == Some(Action::Release) {
                add(&mut less_numbers, &group);
            }
            if let Some(price) = &holding.price {
                plus(&mut spent, &group, price);
                // What is retained is paid, and counts for no PhoneNumber.
                if matches!(action, Some(Action::Release | Action::Retain)) {
                    plus(&mut less_spent, &group, price);
                }
            }
        }
        for (key, facts) in &around.accounts {
            let Some(facts) = facts else { continue };
            let group = around.group(key);
            if let Some(numbers) = facts.numbers {
                let most = held.entry(group.clone()).or_default();
                *most = numbers.max(*most);
            }
            if let Some((currency, amount)) = &facts.cost {
                let most = spent.entry((group, currency.clone())).or_default();
                *most = (*most).max(*amount);
            }
        }
        for (group, less) in less_numbers {
            let numbers = held.entry(group).or_default();
            *numbers = numbers.saturating_sub(less);
        }
        for (key, less) in less_spent {
            let amount = spent.entry(key).or_default();
            *amount = amount.less(less);
        }
        Self {
            numbers: held,
            monthly: spent,
            deeds: HashMap::new(),
        }
    }

    /// How many numbers the account has.
    pub(super) fn numbers(&self, group: &str) -> i64 {
        self.numbers.get(group).copied().unwrap_or_default()
    }

    /// What its managed numbers cost each month in this currency.
    pub(super) fn monthly(&self, group: &str, currency: &Currency) -> Amount {
        let key = (group.to_owned(), currency.clone());
        self.monthly.get(&key).copied().unwrap_or_default()
    }

    /// How many numbers are bought or taken over in it.
    pub(super) fn deeds(&self, group: &str) -> i64 {
        self.deeds.get(group).copied().unwrap_or_default()
    }

    /// Counts a number that is bought, or taken over, at this price.
    pub(super) fn count(&mut self, group: &str, is_purchase: bool, price: Option<&Price>) {
        add(&mut self.deeds, group);
        if is_purchase {
            add(&mut self.numbers, group);
        }
        if let Some(price) = price {
            plus(&mut self.monthly, group, price);
        }
    }
}

fn add(counts: &mut HashMap<String, i64>, group: &str) {
    let count = counts.entry(group.to_owned()).or_default();
    *count = count.saturating_add(1);
}

fn plus(sums: &mut HashMap<(String, Currency), Amount>, group: &str, price: &Price) {
    let sum = sums
        .entry((group.to_owned(), price.currency.clone()))
        .or_default();
    *sum = sum.plus(price.monthly);
}
