//! The number is not recorded yet: the operator finds it, or buys it once.

pub(super) mod held;
mod orders;
mod prior;

use std::time::Duration;

use jiff::Timestamp;

use held::{held, marked_elsewhere, of_another_installation};
use orders::ordered;
use prior::{PriorAttempt, begun, prior_attempt, refused_on};

use super::{
    ASK_AGAIN_AFTER, Attempt, Facts, MOST_CANDIDATES, NOT_ON_SALE_AGAIN_AFTER, ORDER_TAKES,
    Outcome, PERSON_AGAIN_AFTER, Retry, SearchResult, Step, limits, messages, wait,
};
use crate::api::Reason;
use crate::claim::{Intent, Stored};
use crate::number::Messaging;
use crate::provider::{Refusal, RefusalKind};
use crate::safeguards::{Safeguard, is_enabled};

pub(super) fn acquire(facts: &Facts) -> Step {
    let untouched = facts.is_untouched();
    if let Stored::Newer(version) = facts.claim {
        return wait(
            Reason::InvalidSpec,
            format!(
                "The claim on this PhoneNumber has version {version}, which this operator does not understand. Nothing \
                 is bought. Run the operator that wrote it, or a later one."
            ),
            Retry::After(PERSON_AGAIN_AFTER),
        );
    }
    if let Some(attempt) = &facts.findings.attempt {
        return attempted(facts, attempt);
    }
    // Without the finalizer a deletion would leave a number behind, also in an account that cannot be opened now.
    if !untouched && !facts.finalizer {
        return Step::AddFinalizer;
    }
    if let Some(step) = facts.account_blocker() {
        return step;
    }
    if untouched && let Some(step) = facts.spending_blocker() {
        return step;
    }
    if facts.memory.never_bought
        && facts.findings.look.is_none()
        && let Some(step) = refused_not_long_ago(facts)
    {
        return step;
    }
    let Some(look) = &facts.findings.look else {
        return match too_soon(facts) {
            Some(left) => Step::Done(Outcome::KeepStatus(left)),
            None => Step::Lookup,
        };
    };
    let holding =
        look.holding
            .as_ref()
            .or(facts.findings.last_look.as_ref().and_then(Option::as_ref));
    match (holding, facts.order(look)) {
        (Some(holding), order) => held(facts, holding, order),
        (None, None) if look.marked.is_some() => marked_elsewhere(facts, look.marked.as_ref()),
        (None, Some(order)) => ordered(facts, order, look.at),
        (None, None) => absent(facts, look.at, false),
    }
}

/// How long an order that was placed a moment ago is not asked about.
fn too_soon(facts: &Facts) -> Option<Duration> {
    let left = ORDER_TAKES.checked_sub(facts.memory.ordered_for?)?;
    (!left.is_zero() && !facts.findings.token).then_some(left)
}

/// The reason that stands for a refusal of a purchase, and how long it is left alone.
pub(crate) fn refusal(kind: RefusalKind) -> (Reason, Duration) {
    match kind {
        RefusalKind::NotOnSale => (Reason::NumberNotAvailable, NOT_ON_SALE_AGAIN_AFTER),
        RefusalKind::InsufficientBalance => (Reason::InsufficientBalance, PERSON_AGAIN_AFTER),
        RefusalKind::PurchasingNotEnabled => (Reason::PurchasingNotEnabled, PERSON_AGAIN_AFTER),
        RefusalKind::Regulatory => (Reason::RegulatoryRequirement, PERSON_AGAIN_AFTER),
        RefusalKind::Unauthorized => (Reason::CredentialsInvalid, PERSON_AGAIN_AFTER),
        RefusalKind::ReferenceMissing => (Reason::ConnectionNotFound, PERSON_AGAIN_AFTER),
        RefusalKind::TakesNoMessages => (Reason::MessagesNotSupported, PERSON_AGAIN_AFTER),
        RefusalKind::Invalid | RefusalKind::Unlisted => (Reason::InvalidSpec, PERSON_AGAIN_AFTER),
    }
}

fn attempted(facts: &Facts, attempt: &Attempt) -> Step {
    match attempt {
        Attempt::Rejected(refused)
            if facts.search.is_some() && refused.kind == RefusalKind::NotOnSale =>
        {
            candidate_refused(facts, refused)
        }
        // Nothing was bought: the same number is bought without an SMS webhook.
        Attempt::Rejected(refused)
            if refused.kind == RefusalKind::TakesNoMessages
                && facts.messaging != Messaging::Required =>
        {
            let before = facts.claim.claim();
            claim(facts, Intent::Buy, before.and_then(|it| begun(facts, it)))
        }
        Attempt::Rejected(refused) => {
            let (reason, again) = refusal(refused.kind);
            wait(
                reason,
                not_bought(facts, &refused.to_string()),
                Retry::After(again),
            )
        }
        Attempt::Refused(refused) => wait(
            Reason::Verifying,
            format!(
                "{} The account is looked at before the number is asked for again.",
                not_bought(facts, &refused.to_string())
            ),
            Retry::After(ASK_AGAIN_AFTER),
        ),
        Attempt::Unknown(text) => wait(
            Reason::Verifying,
            format!(
                "It is not known whether {} was bought ({text}). The account is being looked at.",
                facts.title()
            ),
            Retry::After(ASK_AGAIN_AFTER),
        ),
    }
}

/// A candidate that was certainly not bought is replaced by another; one that may have been bought is not.
fn candidate_refused(facts: &Facts, refused: &Refusal) -> Step {
    if !facts.memory.never_bought {
        return wait(
            Reason::Verifying,
            format!(
                "{} is not on sale any more ({refused}); an earlier attempt may have bought it. It is looked for until \
                 that is certain, and then another number is searched for.",
                facts.title()
            ),
            Retry::After(ASK_AGAIN_AFTER),
        );
    }
    if facts.findings.refused_candidates < MOST_CANDIDATES {
        return Step::SearchAndReserve;
    }
    wait(
        Reason::Searching,
        format!(
            "{MOST_CANDIDATES} numbers were sold to others meanwhile ({refused}). It is searched again within seconds."
        ),
        Retry::Soon,
    )
}

fn not_bought(facts: &Facts, refused: &str) -> String {
    format!("{} was not bought: {refused}.", facts.title())
}

/// A refusal that certainly bought nothing is not provoked again before its time, unless what is asked for has changed
/// since.
fn refused_not_long_ago(facts: &Facts) -> Option<Step> {
    let Stored::Ours(claim) = &facts.claim else {
        return None;
    };
    let refused =
        refused_on(facts, claim).filter(|refused| refused.is_certain && refused.is_same)?;
    let pause = match refused.reason {
        // Another number is searched for at once.
        Reason::NumberNotAvailable if facts.search.is_some() => return None,
        Reason::NumberNotAvailable => NOT_ON_SALE_AGAIN_AFTER,
        _ => PERSON_AGAIN_AFTER,
    };
    let left = pause
        .checked_sub(facts.since(claim.at))
        .filter(|left| !left.is_zero())?;
    let message = not_bought(facts, &refused.message);
    Some(wait(refused.reason, message, Retry::After(left)))
}

/// No number, and no order that could bring it: spend, unless an attempt may still be under way.
fn absent(facts: &Facts, looked_at: Option<Timestamp>, refused: bool) -> Step {
    let (since, may_be_another) = match prior_attempt(facts, looked_at, refused) {
        PriorAttempt::WaitedFor(step) => return step,
        PriorAttempt::None => (None, true),
        PriorAttempt::Settled(since) => (since, true),
        PriorAttempt::MayHaveBought(since) => (since, false),
    };
    let is_searched = facts.search.is_some();
    if let Some(step) = facts.spending_blocker() {
        return step;
    }
    let namesake = facts.findings.look.as_ref();
    let namesake = namesake.and_then(|look| look.namesake.as_ref());
    if is_searched && let Some(namesake) = namesake {
        return of_another_installation(facts, namesake);
    }
    if facts.findings.token {
        return if facts.findings.last_look.is_none() && is_enabled(Safeguard::LastLook) {
            Step::VerifyBeforePurchase
        } else {
            Step::Buy
        };
    }
    if let Some(step) = refused_not_long_ago(facts).or_else(|| limits::forbids(facts)) {
        return step;
    }
    if is_searched && may_be_another {
        return choose(facts);
    }
    match &facts.findings.offer {
        None => Step::CheckAvailability,
        Some(None) => wait(
            Reason::NumberNotAvailable,
            format!("{} is not on sale.", facts.title()),
            Retry::After(NOT_ON_SALE_AGAIN_AFTER),
        ),
        Some(Some(offer)) => limits::forbids_price(facts, offer.price.as_ref())
            .or_else(|| {
                let short = limits::forbids_spending(facts, offer.price.as_ref());
                let mute = || messages::forbid_purchase(facts);
                let blocked = short.or_else(mute)?;
                Some(if may_be_another {
                    blocked
                } else {
                    looked_for(facts, blocked)
                })
            })
            .unwrap_or_else(|| claim(facts, Intent::Buy, since)),
    }
}

/// What the number itself or the account forbids may be the work of an attempt that did buy it: it is looked for as before.
fn looked_for(facts: &Facts, blocked: Step) -> Step {
    let Step::Done(Outcome::Wait { message, .. }) = blocked else {
        return blocked;
    };
    wait(
        Reason::Verifying,
        format!(
            "An earlier attempt may have bought {}, so it is looked for. {message}",
            facts.title()
        ),
        Retry::After(facts.waits.interval),
    )
}

/// Claims the number, once the webhooks are right that it will share.
fn claim(facts: &Facts, intent: Intent, since: Option<Timestamp>) -> Step {
    let claim = Step::Claim { intent, since };
    facts.webhook_step().unwrap_or(claim)
}

/// Picks a number that is as wanted. What is wanted is never widened.
fn choose(facts: &Facts) -> Step {
    match (&facts.findings.choice, &facts.findings.offer) {
        (Some(SearchResult::Chosen), Some(Some(offer))) => {
            limits::forbids_price(facts, offer.price.as_ref())
                .or_else(|| limits::forbids_spending(facts, offer.price.as_ref()))
                .unwrap_or_else(|| claim(facts, Intent::Buy, None))
        }
        (None | Some(SearchResult::Chosen), _) => Step::SearchAndReserve,
        (Some(SearchResult::NoneFound), _) => wait(
            Reason::NoNumbersFound,
            format!(
                "{} sells no number that is as spec.search wants it. It is searched for again every 10 minutes.",
                facts.provider
            ),
            Retry::After(NOT_ON_SALE_AGAIN_AFTER),
        ),
        (Some(SearchResult::AllTaken), _) => wait(
            Reason::Searching,
            "Every number that was found is being bought by another PhoneNumber, or was tried a short time ago. It is \
             searched again within seconds.",
            Retry::Soon,
        ),
        // What was too dear a moment ago is looked for again if it no longer is.
        (Some(SearchResult::TooDear(price)), _) => {
            limits::forbids_price(facts, Some(price)).unwrap_or(Step::SearchAndReserve)
        }
    }
}
