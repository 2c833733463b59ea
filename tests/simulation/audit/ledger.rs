//! Reads the ledger, deed by deed: every purchase, every write to a number and every release is right when it is made, or excused.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use phonenumber_emulator::Deed;
use serde_json::Value;

use super::{Audit, Held, PURCHASE, RENAMED_WITHIN};
use crate::cluster::Change;
use crate::marks;
use crate::world::TELNYX_ACCOUNTS;

/// How long after a purchase by hand an operator's own purchase of the same number may meet it.
pub(super) const RESIDUE: Duration = Duration::from_secs(10);

/// Dates of whole seconds tell a purchase by hand from an attempt of ours if it was this much earlier.
const TOLD_APART_AFTER: Duration = Duration::from_secs(7);

/// How long after the write of its mark the next write that sets a number up takes effect, which the network may hold.
const SET_UP_WITHIN: Duration = Duration::from_millis(3_100);

/// How long operators take no notice of listings that show a number whose release the company confirmed.
const TAKEN_FOR_RELEASED: Duration = Duration::from_secs(300);

/// A release leaves within five seconds of the write that carries the version which it was decided on, and is on its way for a
/// moment.
const FENCED_FOR: Duration = Duration::from_millis(5_100);

/// A number is looked at less than five seconds before that write is answered, or after it.
const LOOKED_AT_WITHIN: Duration = Duration::from_millis(10_100);

impl Audit<'_> {
    pub(super) fn read_the_ledger(&mut self) {
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
    pub(super) fn is_account(&self, claimed: &Value, account: &str) -> bool {
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
}
