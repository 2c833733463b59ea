//! A PhoneNumber that holds nothing: the limits and rules between it and a number, in the order in which the operator asks.

use std::collections::{BTreeMap, HashMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use phonenumber_api::{
    AccountKey, AccountKind, Adoption, AdoptionPolicy, DeletionPolicy, PhoneNumber,
    PhoneNumberSpec, Reason,
};
use telephony::number::{Currency, E164, Mark, Origin, Owner, Provider};

use super::super::situation::{
    AccountFacts, Action, Before, Came, Standing, Surroundings, Verdict, Wanted, title,
};
use super::blockers::{Blocker, misplaced, over, unroutable};
use super::tally::Tally;
use super::{changes, costs, deletion, invalid, is_old, verdict, word};
use crate::prices::list::Quote;

/// Decides on purchases one after the other, and counts them.
pub(super) struct Buyer<'a> {
    around: &'a Surroundings,
    tally: &'a mut Tally,
    /// Who has, or wants, a number at a provider in an account.
    claims: HashMap<(Provider, String, String), Owner>,
    /// The numbers that deleted PhoneNumbers leave in an account, and whose they were.
    left: HashMap<(String, String), Owner>,
    /// The numbers that deleted PhoneNumbers release.
    released: HashSet<(String, String)>,
}

/// What the account has of the number that is wanted.
enum Look {
    /// Nothing.
    Absent,
    /// It is not known.
    Unknown,
    /// It carries the mark of this PhoneNumber, to which it came like this.
    Own(Came),
    /// Nobody has marked it.
    Unmarked,
    /// It carries the mark of a PhoneNumber that does not exist any more.
    Orphan,
    /// It carries another's mark.
    Anothers,
}

/// How the number comes.
struct Taken {
    came: Came,
    /// False if the account has it. Where that is not known, it may be a purchase, and counts as one for limits.
    is_purchase: bool,
}

impl<'a> Buyer<'a> {
    pub(super) fn new(
        around: &'a Surroundings,
        tally: &'a mut Tally,
        before: &Before,
        verdicts: &BTreeMap<Owner, Verdict>,
        staying: &[(&Owner, &Standing)],
    ) -> Self {
        let mut claims = HashMap::new();
        for (owner, standing) in staying {
            let held = standing.holds.as_ref().and_then(|held| held.number.clone());
            if let Some(number) = held {
                let group = around.group(&AccountKey::of(&standing.number));
                let key = (standing.number.spec.provider, group, number);
                claims.insert(key, (*owner).clone());
            }
        }
        let mut left = HashMap::new();
        let mut released = HashSet::new();
        for (owner, standing) in before {
            let held = standing.holds.as_ref().and_then(|held| held.number.clone());
            let Some(number) = held else { continue };
            let place = (around.group(&AccountKey::of(&standing.number)), number);
            match verdicts.get(owner).map(|verdict| verdict.action) {
                Some(Action::Retain) => {
                    left.insert(place, owner.clone());
                }
                Some(Action::Release) => {
                    released.insert(place);
                }
                _ => {}
            }
        }
        Self {
            around,
            tally,
            claims,
            left,
            released,
        }
    }

    /// What becomes of a PhoneNumber that holds nothing.
    pub(super) fn acquire(
        &mut self,
        owner: &Owner,
        standing: Option<&Standing>,
        wanted: &Wanted,
    ) -> Verdict {
        let number = match &wanted.number {
            Ok(number) => number,
            Err(why) => return invalid(owner, standing, why, &wanted.notes),
        };
        let mut decided = self.decided(owner, number);
        if let Some(standing) = standing {
            decided.changes = changes(&standing.number.spec, &number.spec);
            decided.is_old = is_old(&decided, standing);
            if let (Some(waits), true) = (&standing.waits, decided.action.is_a_deed()) {
                decided.notes.push(format!("it waits now: {waits}"));
            }
        }
        let mut notes = wanted.notes.clone();
        notes.append(&mut decided.notes);
        decided.notes = notes;
        decided
    }

    fn decided(&mut self, owner: &Owner, number: &PhoneNumber) -> Verdict {
        let spec = &number.spec;
        let key = AccountKey::of(number);
        let mut verdict = verdict(owner, number, Action::Buy, "");
        let facts = match self.usable(owner, number, &key, &mut verdict.notes) {
            Ok(facts) => facts,
            Err((reason, why)) => return verdict.refuse(reason, why),
        };
        let group = self.around.group(&key);
        if let Some((reason, why)) = self.rival(owner, spec, &group) {
            return verdict.refuse(reason, why);
        }
        if let Some((reason, why)) = facts.and_then(|facts| unroutable(spec, facts, &key)) {
            return verdict.refuse(reason, why);
        }
        let quote = self.around.quote(&key, spec);
        verdict.price = quote.price().cloned();
        let taken = self.taken(owner, spec, facts, &key, &mut verdict);
        let Taken { came, is_purchase } = match taken {
            Err((reason, why)) => return verdict.refuse(reason, why),
            Ok(taken) => taken,
        };
        if is_purchase && let Some((reason, why)) = self.too_much(spec, facts, &group, &quote) {
            return verdict.refuse(reason, why);
        }
        if spec.suspend {
            verdict.action = Action::Keep;
            verdict.reason = Some(Reason::Suspended.to_string());
            verdict.why = "nothing is bought while spec.suspend is true".to_owned();
            verdict.price = None;
            return verdict;
        }
        verdict.on_deletion = Some(word(deletion(spec, came, false)));
        self.tally
            .count(&group, is_purchase, verdict.price.as_ref());
        verdict.notes.extend(self.pace(facts, &group));
        verdict
    }

    /// The account, if it may be used; `None` if nothing is known of it.
    fn usable(
        &self,
        owner: &Owner,
        number: &PhoneNumber,
        key: &AccountKey,
        notes: &mut Vec<String>,
    ) -> Result<Option<&'a AccountFacts>, Blocker> {
        let facts = match self.around.accounts.get(key) {
            None => {
                notes.push(format!(
                    "{} is not known here: its limits are not checked",
                    title(key)
                ));
                return Ok(None);
            }
            Some(None) => {
                return Err((
                    Reason::AccountNotFound,
                    format!("{} does not exist", title(key)),
                ));
            }
            Some(Some(facts)) => facts,
        };
        if facts.spec.provider != number.spec.provider {
            let why = format!(
                "{} is for provider {}, this PhoneNumber for {}",
                title(key),
                facts.spec.provider,
                number.spec.provider
            );
            return Err((Reason::InvalidSpec, why));
        }
        if key.kind == AccountKind::ClusterProviderAccount {
            let denied = || {
                let why = format!(
                    "{} does not allow namespace {} (spec.allowedNamespaces)",
                    title(key),
                    owner.namespace
                );
                (Reason::AccountNotAllowed, why)
            };
            let allowed = facts.allowed.as_ref().ok_or_else(denied)?;
            let selector = Selector::try_from(LabelSelector::from(allowed));
            let selector = selector.map_err(|_| denied())?;
            match self.around.namespaces.get(&owner.namespace) {
                Some(labels) if selector.matches(labels) => {}
                Some(_) => return Err(denied()),
                None if selector.selects_all() => {}
                None => notes.push(format!(
                    "the labels of namespace {} are not known here: whether {} allows it is not checked",
                    owner.namespace,
                    title(key)
                )),
            }
        }
        Ok(Some(facts))
    }

    /// The other PhoneNumber that was first to want the same number. This one stands in line from now on.
    fn rival(&mut self, owner: &Owner, spec: &PhoneNumberSpec, group: &str) -> Option<Blocker> {
        let number = spec.phone_number.clone()?;
        let key = (spec.provider, group.to_owned(), number);
        if let Some(first) = self.claims.get(&key) {
            let named = match first.namespace == owner.namespace {
                true => format!("PhoneNumber {first}"),
                false => "a PhoneNumber of another namespace".to_owned(),
            };
            let why = format!("{} is wanted by {named} too, which is first", key.2);
            return Some((Reason::ClaimedByAnother, why));
        }
        if !spec.suspend {
            self.claims.insert(key, owner.clone());
        }
        None
    }

    /// How the number comes, or why it does not.
    fn taken(
        &self,
        owner: &Owner,
        spec: &PhoneNumberSpec,
        facts: Option<&'a AccountFacts>,
        key: &AccountKey,
        verdict: &mut Verdict,
    ) -> Result<Taken, Blocker> {
        if let Some((number, came)) = self.former(owner, spec, facts)? {
            verdict.wanted.clone_from(number);
            return Ok(owned(came, verdict));
        }
        let number = spec.phone_number.as_deref().unwrap_or_default();
        let adopts = spec.adoption_policy == AdoptionPolicy::Adopt;
        let allowed = facts.and_then(|facts| facts.spec.limits.adoption);
        let allowed = allowed.unwrap_or(Adoption::unless_said(key.kind));
        let forbidden = |needed: Adoption| {
            (allowed < needed).then(|| {
                let why = format!(
                    "{number} is not taken over: spec.limits.adoption of {} is {allowed:?}, not {needed:?}",
                    title(key)
                );
                (Reason::LimitReached, why)
            })
        };
        let needed = match self.look(owner, spec, facts, key) {
            Look::Own(came) => return Ok(owned(came, verdict)),
            Look::Unmarked if adopts => Adoption::Unmarked,
            Look::Orphan if adopts => Adoption::Orphans,
            Look::Unmarked => {
                let why = format!(
                    "the account has {number} already: set spec.adoptionPolicy: Adopt to take it over"
                );
                return Err((Reason::AlreadyOwned, why));
            }
            Look::Orphan | Look::Anothers => {
                let why = format!("the account has {number} for another owner");
                return Err((Reason::OwnedByAnother, why));
            }
            Look::Unknown if adopts => {
                verdict.action = Action::Adopt;
                verdict.may_buy = true;
                verdict.why = "the account is expected to have it".to_owned();
                let note = "it is bought if the account does not have it, which is not known here";
                verdict.notes.push(note.to_owned());
                return Ok(Taken {
                    came: Came::Either,
                    is_purchase: true,
                });
            }
            Look::Absent | Look::Unknown => {
                return Ok(Taken {
                    came: Came::Bought,
                    is_purchase: true,
                });
            }
        };
        if let Some(blocker) = forbidden(needed).or_else(|| {
            let facts = facts?;
            misplaced(spec, facts)
                .or_else(|| over(facts, self.tally.numbers(&self.around.group(key))))
        }) {
            return Err(blocker);
        }
        verdict.action = Action::Adopt;
        verdict.why = "the account has it".to_owned();
        Ok(Taken {
            came: Came::Adopted,
            is_purchase: false,
        })
    }

    /// The number that a search found for this PhoneNumber before, and how it came, if the account is known to have it.
    ///
    /// # Errors
    /// If the account has a number with the mark of this PhoneNumber that is not the one that is wanted: none is bought then.
    fn former(
        &self,
        owner: &Owner,
        spec: &PhoneNumberSpec,
        facts: Option<&'a AccountFacts>,
    ) -> Result<Option<(&'a String, Came)>, Blocker> {
        let (Some(holdings), Some(installation)) = (
            facts.and_then(|facts| facts.holdings.as_ref()),
            &self.around.installation,
        ) else {
            return Ok(None);
        };
        let wanted = spec.phone_number.as_ref();
        if wanted.is_some_and(|wanted| holdings.contains_key(wanted)) {
            return Ok(None);
        }
        let own = Mark::new(Origin::Bought, installation, owner);
        let marked = holdings.iter().find_map(|(number, mark)| {
            let mark = mark.as_ref().filter(|mark| own.same_owner(mark))?;
            (wanted.is_some() || !is_left_alone(spec, mark)).then_some((number, mark))
        });
        let Some((number, mark)) = marked else {
            return Ok(None);
        };
        let fits = spec.search.as_ref().is_some_and(|search| {
            let number = number.parse::<E164>();
            number.is_ok_and(|number| search.fits(&number))
        });
        if fits {
            return Ok(Some((number, came(mark))));
        }
        let why = format!(
            "the account has {number} with the mark of this PhoneNumber, which wants another: release that one, or use another name"
        );
        Err((Reason::AlreadyOwned, why))
    }

    fn look(
        &self,
        owner: &Owner,
        spec: &PhoneNumberSpec,
        facts: Option<&AccountFacts>,
        key: &AccountKey,
    ) -> Look {
        let Some(number) = &spec.phone_number else {
            return Look::Absent;
        };
        let place = (self.around.group(key), number.clone());
        if let Some(former) = self.left.get(&place) {
            return match former == owner {
                true => Look::Own(Came::Either),
                false => Look::Orphan,
            };
        }
        // It is on sale again at best: another buyer may be first.
        if self.released.contains(&place) {
            return Look::Absent;
        }
        let Some(holdings) = facts.and_then(|facts| facts.holdings.as_ref()) else {
            return Look::Unknown;
        };
        let mark = match holdings.get(number) {
            None => return Look::Absent,
            Some(None) => return Look::Unmarked,
            Some(Some(mark)) => mark,
        };
        let Some(installation) = &self.around.installation else {
            return Look::Anothers;
        };
        let is_of = |owner: &Owner| Mark::new(Origin::Bought, installation, owner).same_owner(mark);
        if is_of(owner) {
            return match is_left_alone(spec, mark) {
                true => Look::Unmarked,
                false => Look::Own(came(mark)),
            };
        }
        match &self.around.everybody {
            Some(owners) if mark.is_of(installation) && !owners.iter().any(is_of) => Look::Orphan,
            _ => Look::Anothers,
        }
    }

    /// The limit that a purchase would pass.
    fn too_much(
        &self,
        spec: &PhoneNumberSpec,
        facts: Option<&AccountFacts>,
        group: &str,
        quote: &Quote,
    ) -> Option<Blocker> {
        if let Some(facts) = facts {
            if let Some(blocker) = misplaced(spec, facts) {
                return Some(blocker);
            }
            let limits = &facts.spec.limits;
            let held = self.tally.numbers(group);
            if let Some(most) = limits.max_numbers.filter(|most| held >= *most) {
                let why = format!(
                    "the account holds {held} numbers and may hold {most} (spec.limits.maxNumbers)"
                );
                return Some((Reason::LimitReached, why));
            }
            if limits.purchases_per_hour == 0 {
                let why = "nothing may be bought (spec.limits.purchasesPerHour is 0)".to_owned();
                return Some((Reason::LimitReached, why));
            }
        }
        let limits = facts.map(|facts| &facts.spec.limits);
        let spent = |currency: &Currency| self.tally.monthly(group, currency);
        costs::passed(spec, limits, spent, quote)
    }

    /// How long the purchases of the account take, where that is longer than an hour.
    fn pace(&self, facts: Option<&AccountFacts>, group: &str) -> Option<String> {
        let an_hour = i64::from(facts?.spec.limits.purchases_per_hour);
        let deeds = self.tally.deeds(group);
        let hours = deeds.saturating_sub(1).checked_div(an_hour)?;
        (hours > 0).then(|| {
            format!(
                "its turn comes after about {hours} h: spec.limits.purchasesPerHour is {an_hour}"
            )
        })
    }
}

/// The account has the number with the mark of the PhoneNumber.
fn owned(came: Came, verdict: &mut Verdict) -> Taken {
    verdict.action = Action::Adopt;
    verdict.why = "the account has it with the mark of this PhoneNumber".to_owned();
    Taken {
        came,
        is_purchase: false,
    }
}

/// How the number came that carries `mark`.
fn came(mark: &Mark) -> Came {
    match mark.origin() {
        Origin::Bought => Came::Bought,
        Origin::Adopted => Came::Adopted,
    }
}

/// True if a number with the PhoneNumber's own `mark` is not its own all the same: it was taken over once, and what would release
/// it does not say that it is taken over now.
fn is_left_alone(spec: &PhoneNumberSpec, mark: &Mark) -> bool {
    mark.origin() == Origin::Adopted
        && spec.deletion_policy == Some(DeletionPolicy::Release)
        && spec.adoption_policy == AdoptionPolicy::Never
}
