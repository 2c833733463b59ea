//! What becomes of each PhoneNumber, by the rules of the operator. Pure.
//!
//! What only the provider knows is not decided here: whether a number is on sale, whether the account has money, what papers a
//! country asks for. Neither is what Burki knows of assistants.

mod acquire;
mod blockers;
mod costs;
mod tally;

use std::collections::BTreeMap;

use phonenumber_api::{
    AccountKey, AdoptionPolicy, Deletion, DeletionPolicy, PhoneNumber, PhoneNumberSpec, Reason,
};
use telephony::number::Owner;

use super::manifests::Kind;
use super::paths::differing;
use super::situation::{
    Action, After, Before, Came, Held, Standing, Surroundings, Verdict, Wanted, title,
};
use acquire::Buyer;
use blockers::unsettable;
use tally::Tally;

/// What becomes of each PhoneNumber that exists or is wanted, by namespace and name.
pub(super) fn decide(before: &Before, after: &After, around: &Surroundings) -> Vec<Verdict> {
    let mut verdicts = BTreeMap::new();
    let mut staying = Vec::new();
    for (owner, standing) in before {
        let verdict = match after.get(owner) {
            None => gone(owner, standing, around),
            Some(wanted) => match &standing.holds {
                Some(held) => stays(owner, standing, held, wanted, around),
                None => continue,
            },
        };
        if !matches!(
            verdict.action,
            Action::Release | Action::Retain | Action::Forget
        ) {
            staying.push((owner, standing));
        }
        verdicts.insert(owner.clone(), verdict);
    }
    let mut tally = Tally::of(before, &verdicts, around);
    let mut buyer = Buyer::new(around, &mut tally, before, &verdicts, &staying);
    for (owner, wanted) in in_turn(before, after) {
        let verdict = buyer.acquire(owner, before.get(owner), wanted);
        verdicts.insert(owner.clone(), verdict);
    }
    verdicts.into_values().collect()
}

/// Those that hold nothing: first those that exist already, the oldest first, then the new ones by name.
fn in_turn<'a>(before: &Before, after: &'a After) -> Vec<(&'a Owner, &'a Wanted)> {
    let holds = |owner: &Owner| before.get(owner).is_some_and(|it| it.holds.is_some());
    let mut turns: Vec<_> = after.iter().filter(|(owner, _)| !holds(owner)).collect();
    turns.sort_by_key(|(owner, _)| {
        let standing = before.get(*owner);
        let created = standing.and_then(|standing| standing.created);
        (standing.is_none(), created.is_none(), created, *owner)
    });
    turns
}

/// A verdict on `number`, to be completed.
fn verdict(owner: &Owner, number: &PhoneNumber, action: Action, why: &str) -> Verdict {
    Verdict {
        wanted: wanted(&number.spec),
        account: Some(AccountKey::of(number)),
        why: why.to_owned(),
        ..Verdict::new(Kind::PhoneNumber, owner.clone(), action)
    }
}

/// What the API server refuses.
fn invalid(owner: &Owner, standing: Option<&Standing>, why: &str, notes: &[String]) -> Verdict {
    Verdict {
        wanted: standing.map_or_else(String::new, |it| wanted(&it.number.spec)),
        account: standing.map(|it| AccountKey::of(&it.number)),
        reason: Some("Invalid".to_owned()),
        why: why.to_owned(),
        notes: notes.to_vec(),
        ..Verdict::new(Kind::PhoneNumber, owner.clone(), Action::Refuse)
    }
}

/// What `spec` wants, for people.
fn wanted(spec: &PhoneNumberSpec) -> String {
    match (&spec.phone_number, &spec.search) {
        (Some(number), _) => number.clone(),
        (None, Some(search)) => search.title(),
        (None, None) => String::new(),
    }
}

/// The object is not wanted any more.
fn gone(owner: &Owner, standing: &Standing, around: &Surroundings) -> Verdict {
    let spec = &standing.number.spec;
    let mut verdict = verdict(
        owner,
        &standing.number,
        Action::Forget,
        "it holds no number",
    );
    let Some(held) = &standing.holds else {
        return verdict;
    };
    if let Some(number) = &held.number {
        verdict.wanted.clone_from(number);
    }
    verdict.price.clone_from(&held.price);
    if held.is_uncertain {
        verdict.notes.push(uncertainty(false).to_owned());
    }
    let (action, why) = match deletion(spec, held.origin, standing.is_owned) {
        Deletion::Retains => (
            Action::Retain,
            "the number stays in the account, and is paid",
        ),
        Deletion::RetainsOwned => (
            Action::Retain,
            "the object has owners: the number stays in the account, and is paid",
        ),
        Deletion::Waits => {
            return verdict.refuse(
                Reason::ReleaseProtected,
                "spec.deletionProtection is true: set it to false to release the number, or set spec.deletionPolicy to Retain",
            );
        }
        Deletion::Releases if spec.suspend => {
            return verdict.refuse(
                Reason::Suspended,
                "spec.suspend is true, so the number is not released and the object waits: set it to false first",
            );
        }
        Deletion::Releases => (Action::Release, "the number is released for good"),
    };
    if held.origin == Came::Either && spec.deletion_policy.is_none() && action == Action::Release {
        let note = "it stays in the account if it was adopted: manifests alone do not show it";
        verdict.notes.push(note.to_owned());
    }
    let delay = delay_of(&standing.number, around);
    if let Some(delay) = delay.filter(|_| action == Action::Release) {
        let note = format!(
            "that is {delay} after the deletion (spec.limits.releaseDelay): until then it can be undone"
        );
        verdict.notes.push(note);
    }
    verdict.saves_at_once =
        action == Action::Release && is_released_at_once(standing, held, around);
    verdict.action = action;
    verdict.why = why.to_owned();
    verdict
}

/// The object is being deleted in the cluster, and its manifest is still there: applying it neither ends the deletion nor buys
/// another number.
pub(super) fn deleted(owner: &Owner, standing: &Standing, wanted: &Wanted) -> Verdict {
    let number = match &wanted.number {
        Ok(number) => number,
        Err(why) => return invalid(owner, Some(standing), why, &wanted.notes),
    };
    let is_retained = number.spec.deletion_policy == Some(DeletionPolicy::Retain);
    let (action, why) = match (is_retained, &standing.holds) {
        (true, _) => (
            Action::Keep,
            "it is being deleted, and its number stays in the account: apply the manifest again once the object is gone",
        ),
        (false, Some(_)) => (
            Action::Refuse,
            "it is being deleted: to keep the number, set spec.deletionPolicy to Retain and apply the manifest again once the object is gone (docs/how-to/gitops.md#undo-a-deletion)",
        ),
        (false, None) => (
            Action::Refuse,
            "it is being deleted: apply the manifest again once the object is gone",
        ),
    };
    let mut verdict = verdict(owner, number, action, why);
    verdict.changes = changes(&standing.number.spec, &number.spec);
    if let Some(held) = &standing.holds {
        if let Some(number) = &held.number {
            verdict.wanted.clone_from(number);
        }
        verdict.price.clone_from(&held.price);
    }
    if action == Action::Refuse {
        verdict.reason.clone_from(&standing.waits);
    }
    verdict.is_old = verdict.changes.is_empty();
    verdict.notes.clone_from(&wanted.notes);
    verdict
}

/// True if the release of the number that `standing` holds is certain and not put off: the number is known to be bought or the
/// spec says Release, and the account is known to release.
fn is_released_at_once(standing: &Standing, held: &Held, around: &Surroundings) -> bool {
    let spec = &standing.number.spec;
    let is_certain =
        held.origin == Came::Bought || spec.deletion_policy == Some(DeletionPolicy::Release);
    let facts = around.accounts.get(&AccountKey::of(&standing.number));
    let releases = facts.and_then(Option::as_ref);
    let releases = releases.is_some_and(|facts| facts.spec.limits.releases_per_hour > 0);
    is_certain && releases && delay_of(&standing.number, around).is_none()
}

/// How long the account keeps the number of `number` after its deletion, if the spec does not say what the deletion does.
fn delay_of(number: &PhoneNumber, around: &Surroundings) -> Option<String> {
    let facts = around.accounts.get(&AccountKey::of(number))?.as_ref()?;
    let limits = &facts.spec.limits;
    let delays = number.spec.deletion_policy.is_none() && !limits.release_delay().is_zero();
    limits.release_delay.clone().filter(|_| delays)
}

/// What the deletion of an object with `spec` does to its number. Where it is not known how the number came, it is released: a
/// release that may take place is not concealed.
fn deletion(spec: &PhoneNumberSpec, came: Came, is_owned: bool) -> Deletion {
    let is_adopted = came == Came::Adopted;
    Deletion::of(
        spec.deletion_policy,
        is_adopted,
        is_owned,
        spec.deletion_protection,
    )
}

/// The word of `status.onDeletion` for that.
fn word(deletion: Deletion) -> &'static str {
    match deletion {
        Deletion::Releases => "Release",
        Deletion::Retains | Deletion::RetainsOwned => "Retain",
        Deletion::Waits => "Blocked",
    }
}

/// The object holds a number, and stays.
fn stays(
    owner: &Owner,
    standing: &Standing,
    held: &Held,
    wanted: &Wanted,
    around: &Surroundings,
) -> Verdict {
    let number = match &wanted.number {
        Ok(number) => number,
        Err(why) => return invalid(owner, Some(standing), why, &wanted.notes),
    };
    let changes = changes(&standing.number.spec, &number.spec);
    let action = match changes.is_empty() {
        true => Action::Keep,
        false => Action::Change,
    };
    let mut verdict = verdict(owner, number, action, "");
    if let Some(number) = &held.number {
        verdict.wanted.clone_from(number);
    }
    verdict.price.clone_from(&held.price);
    verdict.notes.clone_from(&wanted.notes);
    if held.is_uncertain {
        verdict.may_buy = !number.spec.suspend;
        verdict.notes.push(uncertainty(verdict.may_buy).to_owned());
    }
    let deletion = deletion(&number.spec, held.origin, standing.is_owned);
    verdict.on_deletion = Some(word(deletion));
    verdict.why = why_changed(&standing.number, number, &changes);
    verdict.changes = changes;
    let key = AccountKey::of(number);
    let mut verdict = match around.accounts.get(&key) {
        // The operator goes on when the account is there.
        Some(None) => {
            let why = format!(
                "{} does not exist, so the number is left as it is",
                title(&key)
            );
            verdict.refuse(Reason::AccountNotFound, why)
        }
        Some(Some(facts)) => match (&facts.id, &held.account_id) {
            (Some(opened), Some(pinned)) if opened != pinned => {
                let why = format!(
                    "{} opens account {opened}, but the number belongs to account {pinned}",
                    title(&key)
                );
                verdict.refuse(Reason::AccountMismatch, why)
            }
            _ => match unsettable(&number.spec, assigned(standing), facts, &key) {
                Some((reason, why)) => verdict.refuse(reason, why),
                None => verdict,
            },
        },
        None => verdict,
    };
    verdict.is_old = is_old(&verdict, standing);
    verdict
}

/// The assistant that answers the number now: by the status, and where there is none, as manifests alone have none, by the spec.
fn assigned(standing: &Standing) -> Option<i64> {
    match &standing.number.status {
        Some(status) => {
            let assistant = status.assistant.as_ref();
            assistant.filter(|it| !it.pending).map(|it| it.id)
        }
        None => standing.number.spec.assistant_id,
    }
}

/// True if nothing asks for `verdict` but what was there before: of a refusal, if its reason held before too.
fn is_old(verdict: &Verdict, standing: &Standing) -> bool {
    verdict.changes.is_empty()
        && (verdict.action != Action::Refuse || standing.waits == verdict.reason)
}

/// What a reader should know of an object whose manifest does not show whether it holds a number.
fn uncertainty(may_buy: bool) -> &'static str {
    match may_buy {
        true => "it was suspended: if it holds no number, one is bought, which is not known here",
        false => "it is suspended: whether it holds a number is not known here",
    }
}

/// What a change means for the number that is held.
fn why_changed(old: &PhoneNumber, new: &PhoneNumber, changes: &[String]) -> String {
    let mut parts = Vec::new();
    if !changes.is_empty() {
        parts.push(changes.join(", "));
    }
    if new.spec.suspend && !changes.is_empty() {
        parts.push("not carried out while spec.suspend is true".to_owned());
    }
    if AccountKey::of(old) != AccountKey::of(new) {
        let why = "allowed only while both accounts open the same account at the provider";
        parts.push(why.to_owned());
    }
    parts.join("; ")
}

/// The paths of the fields in which `new` differs from `old`, sorted.
fn changes(old: &PhoneNumberSpec, new: &PhoneNumberSpec) -> Vec<String> {
    let value = |spec| serde_json::to_value(spec).unwrap_or_default();
    differing(&value(old), &value(new))
}

/// The PhoneNumbers as they stand once `verdicts` on `after` have come true: what manifests alone let one assume.
///
/// A suspended object may have bought before it was suspended: it is taken to hold a number, uncertainly.
pub(super) fn assumed(after: &After, verdicts: &[Verdict], around: &Surroundings) -> Before {
    let mut standing = Before::new();
    for verdict in verdicts {
        let wanted = after.get(&verdict.owner);
        let Some(Ok(number)) = wanted.map(|wanted| &wanted.number) else {
            continue;
        };
        let adopts = number.spec.adoption_policy == AdoptionPolicy::Adopt;
        let is_uncertain = verdict.action == Action::Keep;
        let holds = (verdict.action != Action::Refuse).then(|| Held {
            number: number.spec.phone_number.clone(),
            price: around
                .quote(&AccountKey::of(number), &number.spec)
                .price()
                .cloned(),
            origin: if adopts { Came::Either } else { Came::Bought },
            account_id: None,
            is_uncertain,
        });
        let new = Standing {
            number: number.clone(),
            holds,
            is_owned: false,
            created: None,
            waits: verdict.reason.clone(),
        };
        standing.insert(verdict.owner.clone(), new);
    }
    standing
}

#[cfg(test)]
mod tests;
