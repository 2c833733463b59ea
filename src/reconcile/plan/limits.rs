//! What may be spent: the resource's own limit and the account's. Checked before anything is claimed.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use super::{Facts, PERSON_AGAIN_AFTER, Retry, Step, wait};
use crate::api::{Adoption, Reason};
use crate::number::{Amount, Currency, Kind, Price};

/// An amount that a part of a price must not exceed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The amount.
    pub amount: Amount,
    /// Its currency.
    pub currency: Currency,
}

/// What an account sets a limit to, and how much of it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The countries that may be bought in; `None` means all.
    pub countries: Option<Allowed<String>>,
    /// The kinds that may be bought; `None` means all.
    pub kinds: Option<Allowed<Kind>>,
    /// How many numbers the account may hold, and how many it holds or is buying.
    pub numbers: Option<(i64, i64)>,
    /// Which numbers that the account holds may be taken over.
    pub adoption: Adoption,
    /// What its numbers may cost each month, in each currency in which somebody limits it, and what they cost.
    pub monthly_cost: Vec<(Budget, Amount)>,
    /// What a number may cost once, in each currency in which somebody limits it.
    pub upfront_cost: Vec<Budget>,
}

/// A part of a price.
#[derive(Clone, Copy)]
enum Part {
    Monthly,
    Upfront,
}

impl Part {
    fn of(self, price: &Price) -> Amount {
        match self {
            Self::Monthly => price.monthly,
            Self::Upfront => price.upfront,
        }
    }

    /// The limit of it, in a spec.
    fn field(self) -> &'static str {
        match self {
            Self::Monthly => "maxMonthlyCost",
            Self::Upfront => "maxUpfrontCost",
        }
    }

    /// This part of the price of what the resource wants, as the beginning of a sentence.
    fn is(self, facts: &Facts, price: &Price) -> String {
        let (wanted, amount, currency) = (wanted(facts), self.of(price), &price.currency);
        match self {
            Self::Monthly => format!("The price of {wanted} is {amount} {currency} a month"),
            Self::Upfront => format!("The setup fee of {wanted} is {amount} {currency}"),
        }
    }
}

/// What may be bought, which may be nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed<T> {
    /// What all accounts allow that open the one account at the provider.
    pub values: BTreeSet<T>,
    /// The accounts that restrict it, for people.
    pub by: BTreeSet<String>,
}

impl<T: Ord + ToString> Allowed<T> {
    /// Why `value` may not be bought, if it may not. `field` is the limit, `what` is in question.
    fn forbids(&self, value: Option<&T>, field: &str, what: &str) -> Option<String> {
        if value.is_some_and(|value| self.values.contains(value)) {
            return None;
        }
        let by: Vec<_> = self.by.iter().map(String::as_str).collect();
        let by = by.join(" and ");
        if self.values.is_empty() {
            return Some(format!(
                "{by} open the same account at the provider, and their spec.limits.{field} have nothing in common, so \
                 nothing may be bought. This goes on when one of the limits is widened."
            ));
        }
        let values: Vec<_> = self.values.iter().map(ToString::to_string).collect();
        let of = match self.by.len() {
            0 | 1 => String::new(),
            _ => format!(" of {by}"),
        };
        Some(format!(
            "The account may buy {} only (spec.limits.{field}{of}); {what}. This goes on when the limit is widened.",
            values.join(", ")
        ))
    }
}

impl Limits {
    /// True if what the account holds or is buying counts.
    pub fn are_of_what_is_held(&self) -> bool {
        self.numbers.is_some() || !self.monthly_cost.is_empty()
    }
}

impl Facts {
    /// True if a purchase depends on its price.
    pub(crate) fn limits_price(&self) -> bool {
        let limits = &self.limits;
        let is_own = self.budget.is_some() || self.upfront_budget.is_some();
        is_own
            || !limits.monthly_cost.is_empty()
            || !limits.upfront_cost.is_empty()
            || self.minimum_balance.is_some()
    }

    /// True if neither the resource's own limit nor the account's forbids a number at `price`.
    pub(crate) fn may_cost(&self, price: &Price) -> bool {
        forbids_price(self, Some(price)).is_none()
    }
}

/// The limit that forbids to take over the number in question, which the account holds already.
pub(super) fn forbids_adoption(facts: &Facts, is_orphan: bool) -> Option<Step> {
    let allowed = facts.limits.adoption;
    let (needed, what) = if is_orphan {
        (
            Adoption::Orphans,
            "it carries the mark of a PhoneNumber that does not exist any more",
        )
    } else {
        (Adoption::Unmarked, "it carries no mark")
    };
    if allowed < needed {
        return Some(wait(
            Reason::LimitReached,
            format!(
                "{} is not taken over: {what}, and spec.limits.adoption of the account is {allowed:?}. Nothing is changed. \
                 This goes on when the limit is {needed:?}.",
                facts.title()
            ),
            Retry::After(facts.waits.interval),
        ));
    }
    if let Some(step) = forbids_place(facts).or_else(|| counts(facts)) {
        return Some(step);
    }
    // It is counted already.
    let over = facts.limits.numbers.filter(|(most, held)| held > most);
    over.map(|(most, held)| {
        wait(
            Reason::LimitReached,
            format!(
                "The account holds {held} numbers and may hold {most} (spec.limits.maxNumbers), so {} is not taken over. \
                 This goes on when a number is released or the limit is raised.",
                facts.title()
            ),
            Retry::After(facts.waits.interval),
        )
    })
}

/// What an account holds is counted before anything is spent against a limit of it: the listing of a moment ago may be wrong.
fn counts(facts: &Facts) -> Option<Step> {
    let is_due = facts.limits.numbers.is_some() && !facts.findings.counted;
    is_due.then_some(Step::Count)
}

/// The limit that forbids numbers of the country or the type of the one in question.
fn forbids_place(facts: &Facts) -> Option<Step> {
    let limits = &facts.limits;
    let (country, kind) = place(facts);
    let reached = |message: String| {
        Some(wait(
            Reason::LimitReached,
            message,
            Retry::After(facts.waits.interval),
        ))
    };
    if let Some(countries) = &limits.countries {
        let what = format!(
            "{} belongs to {}",
            facts.title(),
            country.as_deref().unwrap_or("no known country")
        );
        if let Some(message) = countries.forbids(country.as_ref(), "allowedCountries", &what) {
            return reached(message);
        }
    }
    if let Some(kinds) = &limits.kinds {
        let what = format!(
            "{} is {}",
            facts.title(),
            kind.map_or("of no known type".to_owned(), |kind| kind.to_string())
        );
        if let Some(message) = kinds.forbids(kind.as_ref(), "allowedTypes", &what) {
            return reached(message);
        }
    }
    None
}

/// The limit that forbids the number in question, whatever it costs.
pub(super) fn forbids(facts: &Facts) -> Option<Step> {
    if let Some(step) = forbids_place(facts).or_else(|| counts(facts)) {
        return Some(step);
    }
    if let Some((most, held)) = facts.limits.numbers
        && held >= most
    {
        return Some(wait(
            Reason::LimitReached,
            format!(
                "The account holds {held} numbers and may hold {most} (spec.limits.maxNumbers). This goes on when a number \
                 is released or the limit is raised."
            ),
            Retry::After(facts.waits.interval),
        ));
    }
    None
}

/// The limit that forbids a purchase at `price`.
pub(super) fn forbids_price(facts: &Facts, price: Option<&Price>) -> Option<Step> {
    let (Some(price), true) = (price, facts.limits_price()) else {
        return facts.limits_price().then(|| no_price(facts));
    };
    let own = [
        (Part::Monthly, &facts.budget),
        (Part::Upfront, &facts.upfront_budget),
    ];
    for (part, budget) in own {
        let Some(budget) = budget else { continue };
        if budget.currency != price.currency {
            return Some(other_currency(facts, part, price, budget));
        }
        if part.of(price) > budget.amount {
            return Some(too_dear(facts, part, price, budget));
        }
    }
    for (budget, spent) in &facts.limits.monthly_cost {
        if budget.currency != price.currency {
            return Some(other_currency(facts, Part::Monthly, price, budget));
        }
        if spent.plus(price.monthly) > budget.amount {
            return Some(limit_reached(
                facts,
                format!(
                    "{}; with the {spent} that the account's numbers cost, that is more than {} (spec.limits.maxMonthlyCost of \
                     the account). This goes on when a number is released or the limit is raised.",
                    Part::Monthly.is(facts, price),
                    budget.amount
                ),
            ));
        }
    }
    for budget in &facts.limits.upfront_cost {
        if budget.currency != price.currency {
            return Some(other_currency(facts, Part::Upfront, price, budget));
        }
        if price.upfront > budget.amount {
            return Some(limit_reached(
                facts,
                format!(
                    "{}, more than {} (spec.limits.maxUpfrontCost of the account). This goes on when the limit is raised.",
                    Part::Upfront.is(facts, price),
                    budget.amount
                ),
            ));
        }
    }
    None
}

/// What is known to be left does not suffice for a number at `price`.
pub(super) fn forbids_spending(facts: &Facts, price: Option<&Price>) -> Option<Step> {
    let stop = |message: String| {
        Some(wait(
            Reason::InsufficientBalance,
            message,
            Retry::After(PERSON_AGAIN_AFTER),
        ))
    };
    let (balance, minimum) = (facts.findings.balance.as_ref()?, &facts.minimum_balance);
    let provider = facts.provider;
    let Some(balance) = balance else {
        minimum.as_ref()?;
        return stop(format!(
            "{provider} does not tell this credential the balance of the account, so nothing is bought while spec.balance.minimum of \
             the account is set. A subaccount at Twilio has none; a key at Telnyx may lack the right to read it."
        ));
    };
    let price_in = price.map(|price| &price.currency);
    let compared = minimum
        .as_ref()
        .map(|minimum| [Some(&minimum.currency), price_in]);
    let mut compared = compared.into_iter().flatten().flatten();
    if let Some(other) = compared.find(|other| **other != balance.currency) {
        return stop(format!(
            "The balance of the account is in {}, and its spec.balance.minimum or the price of {} is in {other}. Amounts are not \
             converted.",
            balance.currency,
            wanted(facts)
        ));
    }
    let least = minimum.as_ref().map_or(Amount::ZERO, |it| it.amount);
    if balance.covers(price, least) {
        return None;
    }
    // The balance itself is in the status of the account: here it would be another one each time.
    let kept = match minimum {
        Some(minimum) => format!(
            " if {} is to stay (spec.balance.minimum of the account)",
            minimum.amount
        ),
        None => String::new(),
    };
    stop(format!(
        "What the account has left at {provider} does not suffice for {}{kept}. Nothing is bought until more is paid in, which is seen \
         within ten minutes. status.balance of the account shows what is left.",
        wanted(facts)
    ))
}

fn limit_reached(facts: &Facts, message: String) -> Step {
    wait(
        Reason::LimitReached,
        message,
        Retry::After(facts.waits.interval),
    )
}

fn no_price(facts: &Facts) -> Step {
    wait(
        Reason::PriceUnknown,
        format!(
            "{} tells no price for {}, so it is not bought while maxMonthlyCost, maxUpfrontCost or spec.balance.minimum of the account \
             is set.",
            facts.provider,
            wanted(facts)
        ),
        Retry::After(PERSON_AGAIN_AFTER),
    )
}

fn other_currency(facts: &Facts, part: Part, price: &Price, budget: &Budget) -> Step {
    wait(
        Reason::PriceUnknown,
        format!(
            "{}, and {} is in {}. Amounts are not converted.",
            part.is(facts, price),
            part.field(),
            budget.currency
        ),
        Retry::After(PERSON_AGAIN_AFTER),
    )
}

/// `price` is more than the resource may cost.
fn too_dear(facts: &Facts, part: Part, price: &Price, budget: &Budget) -> Step {
    wait(
        Reason::CostLimitExceeded,
        format!(
            "{}, more than spec.{} of {}. Nothing is bought.",
            part.is(facts, price),
            part.field(),
            budget.amount
        ),
        Retry::After(PERSON_AGAIN_AFTER),
    )
}

/// What the resource wants. Of a search that is not the candidate, which is another each time: the message would be, too.
fn wanted(facts: &Facts) -> String {
    match &facts.search {
        Some(search) => search.title(),
        None => facts.title(),
    }
}

/// Where the number in question belongs, as far as that is known.
fn place(facts: &Facts) -> (Option<String>, Option<Kind>) {
    if let Some(search) = &facts.search {
        return (Some(search.country.clone()), Some(search.kind));
    }
    let place = facts.number.as_ref().and_then(|number| number.place());
    let kind = place.as_ref().and_then(|place| place.kind);
    (place.map(|place| place.country), kind)
}
