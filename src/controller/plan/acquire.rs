//! The number is not recorded yet: the operator finds it, or buys it once.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    ASK_AGAIN_AFTER, ATTEMPTS_ON_A_CANDIDATE, Attempt, Facts, LONGEST_PAUSE, MOST_CANDIDATES,
    NOT_ON_SALE_AGAIN_AFTER, ORDER_TAKES, Outcome, PERSON_AGAIN_AFTER, RECORDS_APART,
    REFUSED_FOR_GOOD, Refused, Retry, SHOWN_WITHIN, SearchResult, Setup, Step, Title, clock_time,
    is_before, limits, wait,
};
use crate::api::Reason;
use crate::claim::{ANNOTATION, Claim, Intent, Stored};
use crate::number::{Capabilities, Holding, Mark, Provider, Settings, Whose};
use crate::provider::{Order, OrderPapers, OrderState, Refusal, RefusalKind};
use crate::sabotage::{Safeguard, stands};

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
    // Whoever took the finalizer off may delete the resource as soon as its account is the right one again.
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
        RefusalKind::Invalid | RefusalKind::TakesNoMessages | RefusalKind::Unlisted => {
            (Reason::InvalidSpec, PERSON_AGAIN_AFTER)
        }
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
        Attempt::Rejected(refused) if refused.kind == RefusalKind::TakesNoMessages => {
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

/// A resource never holds two numbers. Only a claim tells that a purchase of the number in question brought the other one: what
/// this process alone remembers is no reason to say anything else than another process.
fn marked_elsewhere(facts: &Facts, marked: Option<&Holding>) -> Step {
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

fn not_bought(facts: &Facts, refused: &str) -> String {
    format!("{} was not bought: {refused}.", facts.title())
}

/// The recorded refusal, if it is of the attempt of `claim` and by the account that would be asked again.
fn refused_on<'a>(facts: &'a Facts, claim: &Claim) -> Option<&'a Refused> {
    let refused = facts.record.refused.as_ref()?;
    let identity = facts.account.as_ref().ok()?;
    let is_of = refused.nonce == claim.nonce && identity.is(&claim.account_id);
    is_of.then_some(refused)
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

fn held(facts: &Facts, holding: &Holding, order: Option<&Order>) -> Step {
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

/// The mark on a number, for people: its name may be another tenant's.
pub(super) fn mark_on(holding: &Holding) -> String {
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

/// True if another candidate of the search was chosen in this pass than the one of `claim`.
fn is_another_candidate(facts: &Facts, claim: &Claim) -> bool {
    let is_chosen = facts.findings.choice == Some(SearchResult::Chosen);
    facts.search.is_some() && is_chosen && facts.number != Some(claim.number)
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
fn of_another_installation(facts: &Facts, holding: &Holding) -> Step {
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

fn ordered(facts: &Facts, order: &Order, looked_at: Option<Timestamp>) -> Step {
    if !facts.finalizer {
        return Step::AddFinalizer;
    }
    let recorded = facts.record.order_id.as_ref() == Some(&order.id);
    match order.state {
        OrderState::Failure => order_failed(facts, order, recorded, looked_at),
        _ if !recorded => Step::RecordOrder(Box::new(order.clone())),
        OrderState::Pending if order.papers > OrderPapers::Met => papers(facts, order),
        OrderState::Pending => wait(
            Reason::OrderPending,
            format!("Order {} for {} is not finished.", order.id, facts.title()),
            Retry::Backoff,
        ),
        OrderState::Success if facts.is_overdue(order) => wait(
            Reason::Lost,
            format!(
                "Order {} bought {}, which the account has not shown since: it was given back or ported away, or the \
                 provider hides it. It is not bought again. If it is shown, this clears itself; to give it up, delete \
                 this PhoneNumber.",
                order.id,
                facts.title()
            ),
            Retry::After(facts.waits.interval),
        ),
        // A listing that ran meanwhile may have passed it by; so soon that is not worth a word.
        OrderState::Success if facts.age_of(order).is_some_and(|age| age < SHOWN_WITHIN) => {
            Step::Done(Outcome::KeepStatus(ASK_AGAIN_AFTER))
        }
        OrderState::Success => wait(
            Reason::Verifying,
            format!(
                "Order {} bought {}, which the account does not show yet.",
                order.id,
                facts.title()
            ),
            Retry::Backoff,
        ),
    }
}

/// An order waits for papers. A group that was declared since it was placed is attached to it.
fn papers(facts: &Facts, order: &Order) -> Step {
    let (provider, title) = (facts.provider, facts.title());
    let group = facts.configuration.as_ref().ok();
    let group = group.and_then(|configuration| configuration.papers.requirement_group_id.clone());
    if let Some(group) = group.filter(|group| {
        order.papers > OrderPapers::UnderReview
            && facts.record.requirement_group.as_ref() != Some(group)
    }) {
        let setup = Setup::RegulatoryDocuments(order.id.clone(), group.clone());
        let step = Step::AttachPapers(Box::new(order.clone()), group);
        return facts.unless_refused(&setup, step);
    }
    let what = match order.papers {
        OrderPapers::Met | OrderPapers::UnderReview => {
            return wait(
                Reason::OrderPending,
                format!(
                    "{provider} reviews the papers of order {} for {title}. Nothing is paid meanwhile.",
                    order.id
                ),
                Retry::After(facts.waits.interval),
            );
        }
        OrderPapers::Missing => "lacks papers that the regulator wants",
        OrderPapers::Rejected => "has papers that were rejected",
    };
    wait(
        Reason::RegulatoryRequirement,
        format!(
            "Order {} for {title} {what}. Nothing is paid until they are approved. Hand them in at {provider} for this \
             order, or set spec.telnyx.requirementGroupId to a fulfilled requirement group, which is then attached to \
             it. To let go of it, delete this PhoneNumber, which cancels the order.",
            order.id
        ),
        Retry::After(facts.waits.interval),
    )
}

/// A refused order costs nothing. The same number is ordered again after a pause, or when the spec changes; an order of
/// an earlier claim says nothing about this one.
fn order_failed(
    facts: &Facts,
    order: &Order,
    recorded: bool,
    looked_at: Option<Timestamp>,
) -> Step {
    let Stored::Ours(claim) = &facts.claim else {
        return absent(facts, looked_at, false);
    };
    let of_this_claim = order.reference.ends_with(&claim.nonce);
    let left = PERSON_AGAIN_AFTER
        .checked_sub(facts.since(claim.at))
        .unwrap_or_default();
    let changed = facts.record.observed_generation != Some(facts.generation);
    if !of_this_claim || left.is_zero() || facts.findings.token || (recorded && changed) {
        // What became of the attempt of this claim is known then.
        return absent(facts, looked_at, of_this_claim);
    }
    if !recorded {
        return Step::RecordOrder(Box::new(order.clone()));
    }
    wait(
        Reason::OrderFailed,
        format!(
            "Order {} for {} was refused; the provider gives no reason. Nothing was bought. It is ordered again half an \
             hour after the claim, or when the spec changes.",
            order.id,
            facts.title()
        ),
        Retry::After(left),
    )
}

/// No number, and no order that could bring it: spend, unless an attempt may still be under way.
fn absent(facts: &Facts, looked_at: Option<Timestamp>, refused: bool) -> Step {
    let mut since = None;
    let mut replaceable = true;
    match &facts.claim {
        Stored::EarlierUid(claim) => {
            return wait(
                Reason::Lost,
                format!(
                    "This PhoneNumber was restored with the claim of an earlier one, and {} is not in the account. It is \
                     not bought again. To buy it, delete this PhoneNumber and create it without the annotation \
                     {ANNOTATION}.",
                    claim.number
                ),
                Retry::After(facts.waits.interval),
            );
        }
        Stored::Newer(_) => {}
        Stored::Nothing => {
            if let Some(found) = &facts.memory.doubt {
                since = Some(found.since);
                if !facts.findings.token
                    && let Some(step) = doubt(facts, facts.waits.purchase, found.age)
                {
                    return step;
                }
                replaceable = found.age >= facts.waits.visibility || !stands(Safeguard::Doubt);
            }
        }
        // Nothing tells which number was tried, and when: all that may have been bought must have been shown.
        Stored::Unreadable if facts.findings.token => {}
        Stored::Unreadable => {
            let unreadable_for = facts.memory.unreadable_for;
            let still = doubt(facts, facts.waits.visibility, unreadable_for);
            if let Some(step) = unknown_account(facts).or(still) {
                return step;
            }
        }
        // Nothing was spent on it, and nothing is adopted that is not there. What was about to be taken over after attempts on
        // it may be the purchase of one of them.
        Stored::Ours(claim) if claim.intent == Intent::Adopt && claim.attempts_before == 0 => {}
        // The candidate of the claim is certainly not ours, and another was chosen: of that one there was no attempt.
        Stored::Ours(claim) if is_another_candidate(facts, claim) => {}
        Stored::Ours(claim) => {
            since = begun(facts, claim);
            let elapsed = looked_at
                .map(|at| super::elapsed(claim.at, at))
                .unwrap_or_default();
            let hidden_for = facts.hidden_for(claim, looked_at.unwrap_or(claim.at));
            replaceable = refused
                || facts.memory.never_bought
                || hidden_for.is_zero()
                || !stands(Safeguard::Doubt);
            let certain = refused || facts.memory.never_bought || facts.findings.token;
            if !certain && let Some(step) = in_doubt(facts, claim, elapsed, hidden_for) {
                return step;
            }
            let is_refused = refused_on(facts, claim).is_some_and(|refused| refused.is_certain);
            if facts.search.is_some() && !replaceable && !facts.findings.token && is_refused {
                return refused_in_doubt(facts, hidden_for);
            }
        }
    }
    if let Some(step) = facts.spending_blocker() {
        return step;
    }
    let namesake = facts.findings.look.as_ref();
    let namesake = namesake.and_then(|look| look.namesake.as_ref());
    if facts.search.is_some()
        && let Some(namesake) = namesake
    {
        return of_another_installation(facts, namesake);
    }
    if facts.findings.token {
        return if facts.findings.last_look.is_none() && stands(Safeguard::LastLook) {
            Step::VerifyBeforePurchase
        } else {
            Step::Buy
        };
    }
    if let Some(step) = refused_not_long_ago(facts).or_else(|| limits::forbids(facts)) {
        return step;
    }
    if facts.search.is_some() && replaceable {
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
            .unwrap_or_else(|| claim(facts, Intent::Buy, since)),
    }
}

/// The provider's time of the first attempt that may have bought the number of `claim`. A number that somebody bought after
/// attempts that certainly brought nothing is older than the next one.
fn begun(facts: &Facts, claim: &Claim) -> Option<Timestamp> {
    (!facts.memory.never_bought).then_some(claim.since)
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
        .filter(|left| !left.is_zero() && stands(Safeguard::Doubt))
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
        .filter(|left| !left.is_zero() && stands(Safeguard::Doubt))?;
    Some(wait(
        Reason::Verifying,
        format!(
            "A purchase of {} may be under way. It is looked for until that is certain, and only then tried again.",
            facts.title()
        ),
        Retry::After(left.min(ASK_AGAIN_AFTER)),
    ))
}
