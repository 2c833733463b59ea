//! The attempts before: whether one of them may have bought the number.

use std::time::Duration;

use jiff::Timestamp;

use super::super::{
    ASK_AGAIN_AFTER, ATTEMPTS_ON_A_CANDIDATE, Doubt, Facts, LONGEST_PAUSE, PERSON_AGAIN_AFTER,
    REFUSED_FOR_GOOD, Refused, Retry, SearchResult, Step, clock_time, wait,
};
use super::{not_bought, refused_not_long_ago};
use crate::api::Reason;
use crate::claim::{ANNOTATION, Claim, Stored};
use crate::safeguards::{Safeguard, is_enabled};

/// What the attempts before come to.
pub(super) enum PriorAttempt {
    /// There was none on the number that is bought next.
    None,
    /// What became of the last one is certain: it brought nothing. The first was made at this time of the provider's.
    Settled(Option<Timestamp>),
    /// One may have bought the number, so no other number is bought instead. The first was made at this time of the
    /// provider's.
    MayHaveBought(Option<Timestamp>),
    /// Nothing is bought meanwhile.
    WaitedFor(Step),
}

/// What the attempts before come to, where the account that was `looked_at` shows neither the number nor an order that could
/// bring it. `refused`: the order of the claim is known to have brought nothing.
pub(super) fn prior_attempt(
    facts: &Facts,
    looked_at: Option<Timestamp>,
    refused: bool,
) -> PriorAttempt {
    match &facts.claim {
        Stored::EarlierUid(claim) => PriorAttempt::WaitedFor(restored(facts, claim)),
        // The plan has refused it before.
        Stored::Newer(_) => PriorAttempt::None,
        Stored::Nothing => match &facts.memory.doubt {
            None => PriorAttempt::None,
            Some(found) => doubted(facts, found),
        },
        Stored::Unreadable => unreadable(facts),
        // Nothing was spent on it, and nothing is adopted that is not there. What was about to be taken over after attempts on
        // it may be the purchase of one of them.
        Stored::Ours(claim) if !claim.may_have_bought() => PriorAttempt::None,
        // The candidate of the claim is certainly not ours, and another was chosen: of that one there was no attempt.
        Stored::Ours(claim) if is_another_candidate(facts, claim) => PriorAttempt::None,
        Stored::Ours(claim) => claimed(facts, claim, looked_at, refused),
    }
}

fn restored(facts: &Facts, claim: &Claim) -> Step {
    wait(
        Reason::Lost,
        format!(
            "This PhoneNumber was restored with the claim of an earlier one, and {} is not in the account. It is \
             not bought again. To buy it, delete this PhoneNumber and create it without the annotation \
             {ANNOTATION}.",
            claim.number
        ),
        Retry::After(facts.waits.interval),
    )
}

/// An attempt that only this process, or the status, tells of.
fn doubted(facts: &Facts, found: &Doubt) -> PriorAttempt {
    if !facts.findings.token
        && let Some(step) = doubt(facts, facts.waits.purchase, found.age)
    {
        return PriorAttempt::WaitedFor(step);
    }
    if found.age >= facts.waits.visibility || !is_enabled(Safeguard::Doubt) {
        PriorAttempt::Settled(Some(found.since))
    } else {
        PriorAttempt::MayHaveBought(Some(found.since))
    }
}

/// Nothing tells which number was tried, and when: all that may have been bought must have been shown.
fn unreadable(facts: &Facts) -> PriorAttempt {
    if facts.findings.token {
        return PriorAttempt::None;
    }
    let unreadable_for = facts.memory.unreadable_for;
    let still = doubt(facts, facts.waits.visibility, unreadable_for);
    let waits = unknown_account(facts).or(still);
    waits.map_or(PriorAttempt::None, PriorAttempt::WaitedFor)
}

/// The attempt of `claim`.
fn claimed(
    facts: &Facts,
    claim: &Claim,
    looked_at: Option<Timestamp>,
    refused: bool,
) -> PriorAttempt {
    let since = begun(facts, claim);
    let elapsed = looked_at
        .map(|at| super::super::elapsed(claim.at, at))
        .unwrap_or_default();
    let hidden_for = facts.hidden_for(claim, looked_at.unwrap_or(claim.at));
    let brought_nothing = refused || facts.memory.never_bought;
    let is_settled = brought_nothing || hidden_for.is_zero() || !is_enabled(Safeguard::Doubt);
    let is_certain = brought_nothing || facts.findings.token;
    if !is_certain && let Some(step) = in_doubt(facts, claim, elapsed, hidden_for) {
        return PriorAttempt::WaitedFor(step);
    }
    let is_refused = refused_on(facts, claim).is_some_and(|refused| refused.is_certain);
    if facts.search.is_some() && !is_settled && !facts.findings.token && is_refused {
        return PriorAttempt::WaitedFor(refused_in_doubt(facts, hidden_for));
    }
    if is_settled {
        PriorAttempt::Settled(since)
    } else {
        PriorAttempt::MayHaveBought(since)
    }
}

/// True if another candidate of the search was chosen in this reconcile than the one of `claim`.
fn is_another_candidate(facts: &Facts, claim: &Claim) -> bool {
    let is_chosen = facts.findings.choice == Some(SearchResult::Chosen);
    facts.search.is_some() && is_chosen && facts.number != Some(claim.number)
}

/// A candidate that is not on sale, but that an earlier attempt may have bought, is looked for and not asked for again:
/// a new claim on it would put off for ever that its absence is certain.
fn refused_in_doubt(facts: &Facts, left: Duration) -> Step {
    wait(
        Reason::Verifying,
        format!(
            "{} is not on sale any more; an earlier attempt may have bought it. It is looked for until that is certain, \
             and then another number is searched for.",
            facts.title()
        ),
        Retry::After(left.min(facts.waits.interval)),
    )
}

/// The recorded refusal, if it is of the attempt of `claim` and by the account that would be asked again.
pub(super) fn refused_on<'a>(facts: &'a Facts, claim: &Claim) -> Option<&'a Refused> {
    let refused = facts.record.refused.as_ref()?;
    let identity = facts.account.as_ref().ok()?;
    let is_of = refused.nonce == claim.nonce && identity.is(&claim.account_id);
    is_of.then_some(refused)
}

/// Which account a claim was on that cannot be read is known only from the status, or from memory.
fn unknown_account(facts: &Facts) -> Option<Step> {
    facts.pinned_account().is_none().then(|| {
        wait(
            Reason::InvalidSpec,
            format!(
                "The annotation {ANNOTATION} cannot be read. A number may have been bought on it in an account that is not \
                 known, so nothing is bought. Restore the annotation from a backup; or look for a number with the mark {} at \
                 {}, and remove the annotation if there is none.",
                facts.mark, facts.provider
            ),
            Retry::After(facts.waits.interval),
        )
    })
}

/// What is waited for before the number of `claim` is asked for again, or another one instead of it: a purchase on it may
/// stay hidden for `hidden_for`. The pause grows with the attempts that may have bought it.
fn in_doubt(facts: &Facts, claim: &Claim, elapsed: Duration, hidden_for: Duration) -> Option<Step> {
    let under_way = doubt(facts, facts.waits.purchase, elapsed);
    match refused_on(facts, claim) {
        Some(refused) if !refused.is_certain && refused.is_same => {
            refused_without_a_known_code(facts, claim, refused, elapsed)
        }
        // What is certain has a pause of its own; what has changed since is asked for at once.
        Some(_) => under_way.map(|step| refused_not_long_ago(facts).unwrap_or(step)),
        None => under_way.or_else(|| not_known(facts, claim, elapsed, hidden_for)),
    }
}

/// A code that is not known is a refusal for good once it has come often enough.
fn refused_without_a_known_code(
    facts: &Facts,
    claim: &Claim,
    refused: &Refused,
    elapsed: Duration,
) -> Option<Step> {
    let is_for_good = refused.times >= REFUSED_FOR_GOOD;
    let pause = if is_for_good {
        PERSON_AGAIN_AFTER.max(facts.waits.purchase)
    } else {
        pause_after(facts, claim)
    };
    let left = left_of(pause, elapsed)?;
    let again = clock_time(claim.at, pause);
    let not_bought = not_bought(facts, &refused.message);
    Some(if is_for_good {
        wait(
            refused.reason,
            format!(
                "{not_bought} The account does not hold it, and the provider has said so {} times. The operator does not \
                 know this code: mend what the provider names, or delete this PhoneNumber. The number is asked for again \
                 at {again}, or when the spec, the account or its Secret changes.",
                refused.times
            ),
            Retry::After(left),
        )
    } else {
        wait(
            Reason::Verifying,
            format!(
                "{not_bought} The account does not hold it. The number is asked for again at {again}."
            ),
            Retry::After(left.min(facts.waits.interval)),
        )
    })
}

/// It is not known what became of the attempt, and it is not under way any more. A candidate of a search is given up after
/// some attempts, when a purchase of the last would have been shown.
fn not_known(
    facts: &Facts,
    claim: &Claim,
    elapsed: Duration,
    hidden_for: Duration,
) -> Option<Step> {
    let is_searched = facts.search.is_some();
    let attempts = claim.attempts_before.saturating_add(1);
    let pause = pause_after(facts, claim);
    let (left, next) = if is_searched && attempts >= ATTEMPTS_ON_A_CANDIDATE {
        let next = "that is certain, and then another number is searched for".to_owned();
        (left_of(hidden_for, Duration::ZERO)?, next)
    } else {
        let again = clock_time(claim.at, pause);
        let next = format!("it is asked for again at {again}");
        (left_of(pause, elapsed)?, next)
    };
    if is_searched && hidden_for.is_zero() {
        return None;
    }
    Some(wait(
        Reason::Verifying,
        format!(
            "It is not known whether attempt {attempts} bought {}. The account does not show it; it is looked for until \
             {next}.",
            facts.title()
        ),
        Retry::After(left.min(facts.waits.interval)),
    ))
}

/// What is left of `pause`.
fn left_of(pause: Duration, elapsed: Duration) -> Option<Duration> {
    pause
        .checked_sub(elapsed)
        .filter(|left| !left.is_zero() && is_enabled(Safeguard::Doubt))
}

/// How long after `claim` its number is asked for again, if the outcome is not known.
fn pause_after(facts: &Facts, claim: &Claim) -> Duration {
    let purchase = facts.waits.purchase;
    purchase
        .saturating_mul(1 << claim.attempts_before.min(16))
        .min(LONGEST_PAUSE)
        .max(purchase)
}

fn doubt(facts: &Facts, whole: Duration, elapsed: Duration) -> Option<Step> {
    let left = whole
        .checked_sub(elapsed)
        .filter(|left| !left.is_zero() && is_enabled(Safeguard::Doubt))?;
    Some(wait(
        Reason::Verifying,
        format!(
            "A purchase of {} may be under way. It is looked for until that is certain, and only then tried again.",
            facts.title()
        ),
        Retry::After(left.min(ASK_AGAIN_AFTER)),
    ))
}

/// The provider's time of the first attempt that may have bought the number of `claim`. A number that somebody bought after
/// attempts that certainly brought nothing is older than the next one.
pub(super) fn begun(facts: &Facts, claim: &Claim) -> Option<Timestamp> {
    (!facts.memory.never_bought).then_some(claim.since)
}
