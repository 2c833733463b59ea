//! The account holds the number, or another one with the mark of this resource.

use super::super::{
    Facts, MOST_CANDIDATES, RECORDS_APART, Retry, SearchResult, Step, Title, is_before, limits,
    wait,
};
use super::orders::ordered;
use super::{choose, claim};
use crate::api::Reason;
use crate::claim::{Intent, Stored};
use crate::number::{Capabilities, Holding, Mark, Provider, Settings, Whose};
use crate::provider::{Order, OrderState};

pub(super) fn held(facts: &Facts, holding: &Holding, order: Option<&Order>) -> Step {
    let title = facts.title_to(holding, order);
    if facts.recorded_by.is_none()
        && let Some(step) = facts.settle_title(title, &holding.id)
    {
        return step;
    }
    if is_lost_candidate(facts, holding, title, order) {
        return another_candidate(facts);
    }
    if let Some(owner) = &facts.recorded_by {
        if let Some(step) = facts.blocked_as_stored() {
            return step;
        }
        return wait(
            Reason::OwnedByAnother,
            format!("{} belongs to {owner}. It is left alone.", holding.number),
            Retry::After(facts.waits.interval),
        );
    }
    if title == Title::Ours {
        if !fits(facts, holding) {
            return marked_elsewhere(facts, Some(holding));
        }
        return if facts.finalizer {
            Step::Record(Box::new(holding.clone()))
        } else {
            Step::AddFinalizer
        };
    }
    if let Some(step) = facts.blocked_as_stored() {
        return step;
    }
    let orphaned = facts
        .findings
        .look
        .as_ref()
        .is_some_and(|look| look.orphaned);
    match (title, order) {
        (Title::Nobodys, Some(order)) if order.state == OrderState::Pending => {
            ordered(facts, order, None)
        }
        (Title::Nobodys, None) if facts.adopts => adopt(facts, holding),
        (Title::Anothers, None) if facts.adopts && orphaned => adopt(facts, holding),
        (Title::Anothers, _) if facts.mark.is_namesake(&holding.marked_text) => {
            of_another_installation(facts, holding)
        }
        (Title::Kept, _) => wait(
            Reason::AlreadyOwned,
            format!(
                "The account held {} ({}) before this PhoneNumber asked for it. It carries the mark of this PhoneNumber as a \
                 number that was not bought: a purchase request wrote over its name and webhooks, or an earlier PhoneNumber of \
                 this name took it over. It is not released. To take it over, set spec.adoptionPolicy: Adopt; else delete \
                 this PhoneNumber, and restore the number's settings at the provider.",
                holding.number, holding.id
            ),
            Retry::After(facts.waits.interval),
        ),
        (Title::Anothers, _) => wait(
            Reason::OwnedByAnother,
            format!(
                "The account holds {} for another owner ({}). It is left alone.",
                holding.number,
                mark_on(holding)
            ),
            Retry::After(facts.waits.interval),
        ),
        _ => wait(
            Reason::AlreadyOwned,
            format!(
                "The account holds {} ({}) already and this PhoneNumber did not buy it. It is left alone. To take it \
                 over, set spec.adoptionPolicy: Adopt; else delete this PhoneNumber, or release the number at the provider.",
                holding.number, holding.id
            ),
            Retry::After(facts.waits.interval),
        ),
    }
}

/// A resource never holds two numbers. Only a claim tells that a purchase of the number in question brought the other one: what
/// this process alone remembers is no reason to say anything else than another process.
pub(super) fn marked_elsewhere(facts: &Facts, marked: Option<&Holding>) -> Step {
    let mut is_brought = false;
    if let Some(holding) = marked
        && facts.search.is_none()
        && facts.attempted_since().is_some()
    {
        let title = facts.title_to_other(holding);
        if let Some(step) = facts.settle_title(title, &holding.id) {
            return step;
        }
        let claim = facts.claim.claim();
        is_brought =
            title == Title::Ours && claim.is_some_and(|claim| Some(claim.number) == facts.number);
    }
    if let Some(step) = facts.blocked_as_stored() {
        return step;
    }
    if let Some(holding) = marked.filter(|_| is_brought) {
        return spelled_otherwise(facts, holding);
    }
    wait(
        Reason::AlreadyOwned,
        format!(
            "The account holds {} with the mark of this PhoneNumber, which wants {}. Nothing is bought, since a \
             PhoneNumber never holds two numbers. Release the other one at the provider, or use another name.",
            marked.map_or_else(String::new, |held| held.number.to_string()),
            facts.title()
        ),
        Retry::After(facts.waits.interval),
    )
}

/// The number was bought, and the provider writes it otherwise.
fn spelled_otherwise(facts: &Facts, holding: &Holding) -> Step {
    wait(
        Reason::AlreadyOwned,
        format!(
            "The purchase of {} brought {} ({}), which is paid and carries the mark of this PhoneNumber. Nothing more is \
             bought. To keep the number, set spec.deletionPolicy: Retain, delete this PhoneNumber and declare {} in one of \
             the same name; else delete this PhoneNumber, which releases the number.",
            facts.title(),
            holding.number,
            holding.id,
            holding.number
        ),
        Retry::After(facts.waits.interval),
    )
}

/// The mark on a number, for people: its name may be another tenant's.
pub(in crate::reconcile::plan) fn mark_on(holding: &Holding) -> String {
    let mark = Mark::find_in(&holding.marked_text);
    mark.map_or_else(|| "no mark".to_owned(), |mark| format!("mark {mark}"))
}

/// True if `holding` is the claimed candidate of a search, and somebody else's: it has another's mark, was recorded by another,
/// or has no mark and was there before we asked for it, or we certainly did not buy it.
///
/// A number that a purchase of ours has written over is no such candidate: what tells it from one that is paid is dates alone,
/// and where these mislead, each further candidate would be paid too.
fn is_lost_candidate(
    facts: &Facts,
    holding: &Holding,
    title: Title,
    order: Option<&Order>,
) -> bool {
    let Stored::Ours(claim) = &facts.claim else {
        return false;
    };
    let is_claimed = claim.intent == Intent::Buy && claim.number == holding.number;
    if facts.search.is_none()
        || !is_claimed
        || order.is_some_and(|it| it.state != OrderState::Failure)
    {
        return false;
    }
    // At Telnyx an order may have brought it that no listing of orders has shown yet.
    let is_known =
        facts.provider == Provider::Twilio || facts.hidden_for(claim, facts.now).is_zero();
    let was_there = is_known && is_before(holding.created, claim.since, RECORDS_APART);
    let is_anothers = match title {
        Title::Anothers => true,
        Title::Nobodys => was_there || facts.memory.never_bought,
        Title::Ours | Title::Unclear | Title::Overwritten | Title::Kept => false,
    };
    facts.recorded_by.is_some() || is_anothers
}

/// What stands in the way of a first candidate stands in the way of another one.
fn another_candidate(facts: &Facts) -> Step {
    if let Some(step) = facts.spending_blocker().or_else(|| limits::forbids(facts)) {
        return step;
    }
    if facts.findings.refused_candidates >= MOST_CANDIDATES {
        return wait(
            Reason::Searching,
            format!(
                "{MOST_CANDIDATES} numbers were bought by others meanwhile. It is searched again within seconds."
            ),
            Retry::Soon,
        );
    }
    match &facts.findings.choice {
        // The last choice was this one.
        None | Some(SearchResult::Chosen) => Step::SearchAndReserve,
        Some(SearchResult::NoneFound | SearchResult::AllTaken | SearchResult::TooDear(_)) => {
            choose(facts)
        }
    }
}

/// A resource of the same name in another installation has a number. If this cluster has replaced that one, the number is
/// the one that is wanted.
pub(super) fn of_another_installation(facts: &Facts, holding: &Holding) -> Step {
    wait(
        Reason::OwnedByAnother,
        format!(
            "The account holds {} ({}) for a PhoneNumber of the same namespace and name in another installation ({}). \
             Nothing is bought. If this cluster replaces that one, start the operator with the installation id of that one \
             (--installation-id, chart value flags.installationId); else give this PhoneNumber another name, or release that \
             number at {}.",
            holding.number,
            holding.id,
            mark_on(holding),
            facts.provider
        ),
        Retry::After(facts.waits.interval),
    )
}

/// True if a number with our mark is one that the spec wants.
fn fits(facts: &Facts, holding: &Holding) -> bool {
    let Some(search) = &facts.search else {
        return true;
    };
    let claimed = matches!(&facts.claim, Stored::Ours(claim) if claim.number == holding.number);
    let capabilities = match &holding.settings {
        Settings::Twilio(settings) => settings.capabilities.unwrap_or_default(),
        // Telnyx shows no capabilities on a number that is held.
        Settings::Telnyx(_) => Capabilities {
            voice: true,
            sms: true,
            mms: true,
            fax: true,
        },
    };
    claimed || (search.is_met_by(&capabilities) && search.fits(&holding.number))
}

/// Takes a number over: claims it, looks at it once more, and puts our mark on it.
fn adopt(facts: &Facts, holding: &Holding) -> Step {
    if let Some(step) = facts.spending_blocker() {
        return step;
    }
    if !facts.findings.token {
        let is_orphan = facts.mark.whose(&holding.marked_text) != Whose::Unmarked;
        if let Some(step) = limits::forbids_adoption(facts, is_orphan) {
            return step;
        }
        return claim(facts, Intent::Adopt, None);
    }
    match &facts.findings.last_look {
        None => Step::VerifyBeforePurchase,
        Some(Some(seen)) if seen.id == holding.id && seen.marked_text == holding.marked_text => {
            Step::Adopt(holding.id.clone())
        }
        Some(_) => wait(
            Reason::Verifying,
            format!("{} has just changed at the provider.", facts.title()),
            Retry::Backoff,
        ),
    }
}
