//! Carries out one step, and writes what it learned into the facts. Decides nothing.

use std::sync::Arc;

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use rust_decimal::Decimal;
use serde_json::json;

use super::context::{Context, owner};
use super::fuse::Deed;
use super::number::FINALIZER;
use super::plan::{Again, Attempt, Blocker, Choice, Facts, Farewell, Limits, Look, Rest, Step};
use super::report;
use super::resolve::{Resolved, provider_blocker};
use crate::account::{Account, Found, Permit, SEARCH_HOLDS, Spending, Urgency};
use crate::api::{AttemptStatus, PhoneNumber, Reason};
use crate::burki::{Assigned, DirectoryError};
use crate::claim::{ANNOTATION, Claim, Intent, Stored, Token};
use crate::number::{
    Currency, E164, Field, Holding, Kind, Mark, NumberId, OrderId, Origin, Place, Price, Provider,
    Whose,
};
use crate::provider::{Error, Order, OrderState, Ours, RefusalKind, Released, Reply, Unmarked};
use crate::sabotage::{Safeguard, stands};

/// How soon a pass is repeated that was overtaken by a change of its resource.
const AFTER_A_CHANGE: std::time::Duration = std::time::Duration::from_millis(100);

/// What may be found changed besides the settings of a number, as labels of metrics.
pub(super) const ASSISTANT: &str = "assistant";
pub(super) const MARK: &str = "mark";

/// One pass over one resource.
pub(super) struct Pass {
    /// The resource as last read or written.
    pub(super) object: Arc<PhoneNumber>,
    pub(super) facts: Facts,
    pub(super) resolved: Resolved,
    /// What the status is to say of the last attempt, if one was made in this pass.
    pub(super) attempt: Option<AttemptStatus>,
    /// The order, if one was seen in this pass.
    pub(super) order: Option<Order>,
    /// Why the resource was let go, if it was.
    pub(super) farewell: Option<Farewell>,
    /// When the search began that showed the number in question.
    chosen_at: Option<crate::clock::Instant>,
    /// What the number costs, if it was bought in this pass.
    pub(super) price: Option<Price>,
    purchase: Option<Purchase>,
}

/// The right to buy, and the right to have the requests for it under way.
struct Purchase {
    token: Token,
    /// True if every attempt before this one was certainly in vain.
    alone: bool,
    _permit: Permit,
    /// What is counted for it; nothing for one that takes a number over.
    spending: Option<Spending>,
}

/// Why a pass ends.
pub(super) enum Stop {
    /// As planned, or because a step failed in a way that people should know of.
    Rest(Rest),
    /// The API server did not do what it was asked.
    Api(kube::Error),
}

impl From<kube::Error> for Stop {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

impl From<Blocker> for Stop {
    fn from(blocker: Blocker) -> Self {
        Self::Rest(Rest::Wait {
            reason: blocker.reason,
            message: blocker.message,
            again: Again::Backoff,
        })
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        let Blocker { reason, message } = provider_blocker(&error);
        let again = match error {
            Error::Throttled(Some(pause)) => Again::After(pause),
            _ => Again::Backoff,
        };
        match error {
            // The next leader goes on; nothing is to be said about the number.
            Error::Shut(_) => Self::Rest(Rest::Unchanged(std::time::Duration::from_secs(1))),
            _ => Self::Rest(Rest::Wait {
                reason,
                message,
                again,
            }),
        }
    }
}

impl Pass {
    pub(super) fn new(object: Arc<PhoneNumber>, facts: Facts, resolved: Resolved) -> Self {
        Self {
            object,
            facts,
            resolved,
            attempt: None,
            order: None,
            farewell: None,
            chosen_at: None,
            price: None,
            purchase: None,
        }
    }

    fn account(&self) -> Result<Arc<Account>, Stop> {
        self.resolved.account.clone().map_err(Stop::from)
    }

    fn number(&self) -> Result<E164, Stop> {
        let number = self.facts.number.clone();
        number.ok_or_else(|| Stop::from(Error::Shut("no number is in question")))
    }

    fn messaging_service(&self) -> Option<String> {
        let options = self.object.spec.twilio.as_ref();
        options.and_then(|options| options.messaging_service_sid.clone())
    }

    /// From here on the number is one that was taken over.
    fn take_over(&mut self) {
        self.facts.adopted = true;
        self.facts.mark = self.facts.mark.adopted();
        if let Ok(configuration) = &mut self.facts.configuration {
            configuration.mark = self.facts.mark.clone();
        }
    }

    fn saw(&mut self, look: Look, context: &Context) {
        let holding = look.holding.as_ref();
        self.facts.recorded_by = holding
            .and_then(|holding| context.recorder_of(&self.object, &holding.id))
            .map(|owner| owner.to_string());
        self.order = self.facts.order(&look).cloned().or(self.order.take());
        self.facts.seen.look = Some(look);
    }

    fn holds(&mut self, holding: Holding) {
        self.facts.seen.fetched = Some(Some(holding));
    }

    fn held(&self, id: &NumberId) -> Result<Holding, Stop> {
        match &self.facts.seen.fetched {
            Some(Some(holding)) if holding.id == *id => Ok(holding.clone()),
            _ => Err(Stop::from(Error::Shut(
                "the number was not looked at in this pass",
            ))),
        }
    }

    /// The proof that the number may be changed; without it the pass ends and the next one looks again.
    fn ours(&self, id: &NumberId) -> Result<Ours, Stop> {
        Ours::prove(&self.held(id)?, &self.facts.mark, id)
            .ok_or_else(|| Stop::from(Error::Shut("the number does not carry our mark")))
    }
}

/// Carries out `step`.
pub(super) async fn perform(step: Step, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    match step {
        Step::Fetch(id) => fetch(&id, pass, context).await,
        Step::Look => look(pass, context).await,
        Step::Offer => offer(pass).await,
        Step::Choose => choose(pass, context).await,
        Step::AddFinalizer => add_finalizer(pass, context).await,
        Step::Claim { intent, since } => claim(intent, since, pass, context).await,
        Step::LastLook => last_look(pass, context).await,
        Step::Buy => buy(pass, context).await,
        Step::Adopt(id) => adopt(&id, pass, context).await,
        Step::Record(holding) => record(*holding, pass, context).await,
        Step::RecordOrder(order) => {
            pass.facts.record.order_id = Some(order.id.clone());
            pass.order = Some(*order);
            write_down(pass, context).await
        }
        Step::Unassign(assistant) => unassign(assistant, pass).await,
        Step::Announce(_) => write_down(pass, context).await,
        Step::Assign(assistant) => assign(assistant, pass, context).await,
        Step::RestoreMark(id) => restore_mark(&id, pass, context).await,
        Step::Configure(id, fields) => configure(&id, &fields, pass, context).await,
        Step::Cancel(order) => {
            let account = pass.account()?;
            account.call_first(account.company().cancel(&order)).await?;
            pass.facts.seen.cancelled = true;
            pass.facts.seen.look = None;
            Ok(())
        }
        Step::Release(id) => release(&id, pass, context).await,
        Step::RemoveFinalizer(farewell) => remove_finalizer(farewell, pass, context).await,
        Step::Rest(rest) => Err(Stop::Rest(rest)),
    }
}

/// A number that is kept may be known from a listing; one that goes is asked for.
async fn fetch(id: &NumberId, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let service = pass.messaging_service();
    let known = !pass.facts.deleting && !pass.facts.seen.assigned;
    let not_before = known.then(|| context.memories.first_seen(&pass.object));
    let fetched = account.held(id, service.as_deref(), not_before).await?;
    pass.facts.memory.missing_for = context.memories.fetched(&pass.object, fetched.is_some());
    pass.facts.seen.fetched = Some(fetched);
    Ok(())
}

/// Asks whether the number is on sale, and what it costs.
async fn offer(pass: &mut Pass) -> Result<(), Stop> {
    let account = pass.account()?;
    let number = pass.number()?;
    let mut offer = account.call(account.company().offer(&number)).await?;
    if let Some(offer) = &mut offer
        && offer.price.is_none()
        && let Some(Place {
            country,
            kind: Some(kind),
            ..
        }) = number.place()
    {
        offer.price = price(&account, &country, kind, pass).await?;
    }
    pass.facts.seen.offer = Some(offer);
    Ok(())
}

/// The price by the company's list. Where nothing depends on it, a list that cannot be read stops nothing.
async fn price(
    account: &Account,
    country: &str,
    kind: Kind,
    pass: &Pass,
) -> Result<Option<Price>, Stop> {
    let matters = pass.facts.budget.is_some() || pass.facts.limits.monthly_cost.is_some();
    match account.price(country, kind).await {
        Err(error) if matters => Err(error.into()),
        listed => Ok(listed.unwrap_or_default()),
    }
}

/// Searches, and picks a candidate that becomes the number in question.
async fn choose(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let Some(search) = pass.facts.search.clone() else {
        return Err(Stop::from(Error::Shut("nothing is searched for")));
    };
    let listed = price(&account, &search.country, search.kind, pass).await?;
    if pass.facts.seen.attempt.take().is_some() {
        pass.facts.seen.refused_candidates += 1;
    }
    let budget = pass.facts.budget.clone();
    let is_cheap = |price: &Price| {
        budget.as_ref().is_none_or(|budget| {
            price.currency == budget.currency && price.monthly <= budget.amount
        })
    };
    // Where the price list says it, nothing needs to be searched for.
    if let Some(price) = listed.clone().filter(|price| !is_cheap(price)) {
        pass.facts.seen.choice = Some(Choice::TooDear(price));
        return Ok(());
    }
    let uid = pass.object.uid().unwrap_or_default();
    let is_free = |number: &E164| context.is_free(number, &uid) || !stands(Safeguard::Reservation);
    let found = account
        .choose(&search, &uid, &context.chance, is_free, is_cheap)
        .await?;
    pass.facts.seen.offer = None;
    pass.facts.seen.last_look = None;
    pass.facts.seen.choice = Some(match found {
        Found::Candidate(mut offer, asked) => {
            pass.facts.number = Some(offer.number.clone());
            pass.facts.record.order_id = None;
            pass.order = None;
            offer.price = offer.price.or(listed);
            pass.facts.seen.offer = Some(Some(offer));
            pass.chosen_at = Some(asked);
            Choice::Chosen
        }
        Found::Nothing => Choice::NoneFound,
        Found::AllTaken => Choice::AllTaken,
        Found::TooDear(price) => Choice::TooDear(price),
    });
    Ok(())
}

/// Looks at the number and, at Telnyx, at what became of our orders for it. A pending order has brought no number yet.
/// A search that has no number yet is looked up by its mark, in a listing.
async fn look(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let at = context.time.now();
    let untouched = pass.facts.claim == Stored::Nothing && pass.facts.record.order_id.is_none();
    let not_before = if untouched {
        context.memories.first_seen(&pass.object)
    } else {
        context.clock.now()
    };
    let mark = pass.facts.mark.clone();
    let Some(number) = pass.facts.number.clone() else {
        let holding = account.marked(&mark, not_before).await?.into_iter().next();
        let look = Look {
            holding,
            at,
            ..Look::default()
        };
        pass.saw(look, context);
        return Ok(());
    };
    // What else carries our mark, and how many numbers there are, is known only from a listing.
    if account.listed().is_none() {
        account.list(not_before).await?;
    }
    let order = match pass.facts.provider {
        Provider::Twilio => None,
        Provider::Telnyx => our_order(&account, &number, pass).await?,
    };
    let is = |state| order.as_ref().is_some_and(|order| order.state == state);
    if is(OrderState::Failure) {
        account.never_bought(&number);
    }
    let pending = is(OrderState::Pending);
    let holding = if pending {
        None
    } else {
        let service = pass.messaging_service();
        account
            .look(&number, service.as_deref(), not_before)
            .await?
    };
    let marked = account
        .known_marked(&mark)
        .into_iter()
        .find(|marked| marked.number != number);
    let orphaned = match &holding {
        Some(holding) if pass.facts.adopts => is_orphan(holding, &mark, context).await?,
        _ => false,
    };
    let look = Look {
        holding,
        marked,
        orphaned,
        order,
        at,
    };
    pass.saw(look, context);
    Ok(())
}

/// True if `holding` is marked for a resource of this installation that does not exist: neither in the caches nor, asked
/// now, at the API server.
async fn is_orphan(holding: &Holding, own: &Mark, context: &Context) -> Result<bool, Stop> {
    let Some(mark) = Mark::find_in(&holding.marked_text) else {
        return Ok(false);
    };
    let installation = &context.settings.installation;
    if mark.same_owner(own) || !mark.is_of(installation) || context.is_owned(&mark) {
        return Ok(false);
    }
    Ok(!context.is_owned_now(&mark).await?)
}

async fn our_order(
    account: &Arc<Account>,
    number: &E164,
    pass: &Pass,
) -> Result<Option<Order>, Stop> {
    let since = match &pass.facts.claim {
        Stored::Ours(claim) => Some(claim.since),
        _ => None,
    };
    let finished = pass.order.clone();
    let finished = finished.filter(|order| order.state != OrderState::Pending);
    let recorded = pass.facts.record.order_id.as_ref();
    let open = pass.order.as_ref().map(|order| &order.id).or(recorded);
    let known = match (finished, open, since) {
        (Some(order), ..) => Some(order),
        (None, Some(id), Some(since)) => account.order(id, since).await?,
        (None, Some(id), None) => account.call(account.company().order(id)).await?,
        (None, None, _) => None,
    };
    if let Some(order) = &known
        && order.state != OrderState::Failure
    {
        return Ok(known);
    }
    let found = account
        .call(
            account
                .company()
                .find_order(&pass.facts.mark, number, since),
        )
        .await?;
    Ok(found.or(known))
}

async fn patch(
    pass: &mut Pass,
    context: &Context,
    metadata: serde_json::Value,
) -> Result<(), Stop> {
    let namespace = pass.object.namespace().unwrap_or_default();
    let api = Api::<PhoneNumber>::namespaced(context.clients.writes.clone(), &namespace);
    let body = Patch::Merge(json!({ "metadata": metadata }));
    let object = Arc::new(
        api.patch(&pass.object.name_any(), &PatchParams::default(), &body)
            .await?,
    );
    context.wrote(&object);
    pass.facts.finalizer = object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER);
    pass.object = object;
    Ok(())
}

fn finalizers_with_ours(object: &PhoneNumber) -> Vec<String> {
    let mut finalizers = object.finalizers().to_vec();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
    finalizers
}

async fn add_finalizer(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let metadata = json!({
        "resourceVersion": pass.object.resource_version(),
        "finalizers": finalizers_with_ours(&pass.object),
    });
    patch(pass, context, metadata).await
}

/// Writes the claim together with the finalizer, in one patch that fails if anybody else has written since.
async fn claim(
    intent: Intent,
    since: Option<jiff::Timestamp>,
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let account = pass.account()?;
    let permit = account.permit(Urgency::First).await?;
    let at = context.time.now().unwrap_or(pass.facts.now);
    let spending = if intent == Intent::Buy {
        Some(spend(&account, at, pass, context).await?)
    } else {
        None
    };
    let claim = Claim::to_buy(
        pass.number()?,
        account.identity().account.clone(),
        &owner(pass.object.as_ref()),
        &pass.object.uid().unwrap_or_default(),
        context.chance.nonce(),
        at,
        since
            .or_else(|| account.company().provider_time())
            .unwrap_or(at),
    );
    let claim = match intent {
        Intent::Buy => claim,
        Intent::Adopt => claim.to_adopt(),
    };
    let text = claim
        .to_annotation()
        .map_err(|error| Stop::Api(kube::Error::SerdeError(error)))?;
    let sent = context.clock.now();
    let metadata = json!({
        "resourceVersion": pass.object.resource_version(),
        "annotations": { ANNOTATION: text },
        "finalizers": finalizers_with_ours(&pass.object),
    });
    patch(pass, context, metadata).await?;
    let stored = Token::from_reply(pass.object.annotations(), claim.clone(), sent);
    let token = stored
        .ok_or_else(|| Stop::from(Error::Shut("the claim was not stored as it was written")))?;
    let alone = context.memories.claimed(&pass.object, &pass.facts.claim);
    pass.facts.memory.never_bought = false;
    pass.facts.claim = Stored::Ours(claim);
    pass.facts.seen.token = true;
    pass.facts.seen.last_look = None;
    pass.purchase = Some(Purchase {
        token,
        alone,
        _permit: permit,
        spending,
    });
    // What a search has just shown needs no other look.
    let is_news = |asked| context.clock.now().since(asked) < SEARCH_HOLDS;
    if intent == Intent::Buy && pass.chosen_at.take().is_some_and(is_news) {
        pass.facts.seen.last_look = Some(None);
    }
    Ok(())
}

/// Counts the purchase against the account's limits, or says which one is reached.
async fn spend(
    account: &Arc<Account>,
    now: jiff::Timestamp,
    pass: &Pass,
    context: &Context,
) -> Result<Spending, Stop> {
    let price = pass.facts.seen.offer.as_ref().and_then(Option::as_ref);
    let price = price.and_then(|offer| offer.price.as_ref());
    let monthly = price.map_or(Decimal::ZERO, |price| price.monthly);
    let reached = |message: String, again| {
        Stop::Rest(Rest::Wait {
            reason: Reason::LimitReached,
            message,
            again: Again::After(again),
        })
    };
    let interval = pass.facts.waits.interval;
    let (id, index) = (&account.identity().account, &context.stores.index);
    let mut over = None;
    let spending = account.spend(
        &pass.number()?,
        monthly,
        |number| index.counts(number),
        |numbers, uncounted| {
            over = is_over(&pass.facts.limits, numbers, |currency| {
                index.cost_of(id, currency) + uncounted
            });
            over.is_none()
        },
    );
    let Some(spending) = spending else {
        return Err(reached(over.unwrap_or_default(), interval));
    };
    let limit = i64::from(pass.resolved.limits.purchases_per_hour);
    match context.fuses.take(id, Deed::Purchase, limit, now).await? {
        Ok(()) => Ok(spending),
        Err(blown) => {
            let message = format!(
                "{} numbers were bought in the last 60 minutes in account {id}, and {limit} may be \
                 (spec.limits.purchasesPerHour). The next may be bought at {}.",
                blown.used,
                clock_time(now, blown.again)
            );
            Err(reached(message, blown.again))
        }
    }
}

/// The limit that the account would pass with this many numbers, and with the cost that `cost` tells.
fn is_over(
    limits: &Limits,
    numbers: i64,
    cost: impl FnOnce(&Currency) -> Decimal,
) -> Option<String> {
    if let Some((most, _)) = limits.numbers
        && numbers > most
    {
        return Some(format!(
            "With what is being bought the account holds {most} numbers, as many as it may (spec.limits.maxNumbers). \
             This goes on when a number is released or the limit is raised."
        ));
    }
    let (budget, _) = limits.monthly_cost.as_ref()?;
    (cost(&budget.currency) > budget.amount).then(|| {
        format!(
            "With what is being bought the account's numbers cost as much as they may, {} {} a month \
             (spec.limits.maxMonthlyCost of the account). This goes on when a number is released or the limit is raised.",
            budget.amount, budget.currency
        )
    })
}

/// The time `wait` after `now`, for people. It stays the same while that is waited for, so that the status does.
fn clock_time(now: jiff::Timestamp, wait: std::time::Duration) -> String {
    let at = now.checked_add(wait).unwrap_or(now);
    at.strftime("%H:%M:%S UTC").to_string()
}

async fn last_look(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let service = pass.messaging_service();
    let number = pass.number()?;
    let adopting =
        matches!(&pass.facts.claim, Stored::Ours(claim) if claim.intent == Intent::Adopt);
    let found = account.heed(account.company().find(&number, service.as_deref()).await);
    match found {
        Ok(holding) => {
            pass.facts.recorded_by = holding
                .as_ref()
                .and_then(|holding| context.recorder_of(&pass.object, &holding.id))
                .map(|owner| owner.to_string());
            if holding.is_some() && !adopting {
                unused(pass, context).await;
            }
            pass.facts.seen.last_look = Some(holding);
            Ok(())
        }
        Err(error) => {
            unused(pass, context).await;
            Err(error.into())
        }
    }
}

/// Drops a token that was not spent: nothing was sent under its claim.
async fn unused(pass: &mut Pass, context: &Context) {
    if let Some(purchase) = pass.purchase.take() {
        in_vain(&purchase.token.claim().nonce, purchase.alone, pass, context);
        pass.facts.seen.token = false;
        if purchase.spending.is_some() {
            put_back(pass, context).await;
        }
    }
}

/// Gives back what the fuse counted for a purchase that certainly did not take place.
async fn put_back(pass: &Pass, context: &Context) {
    if let (Ok(account), Some(now)) = (&pass.resolved.account, context.time.now()) {
        let id = &account.identity().account;
        context.fuses.put_back(id, Deed::Purchase, now).await;
    }
}

fn in_vain(nonce: &str, alone: bool, pass: &mut Pass, context: &Context) {
    if alone {
        context.memories.in_vain(&pass.object, nonce);
    }
    pass.facts.memory.never_bought = alone;
}

async fn buy(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let configuration = pass.facts.configuration.clone().map_err(Stop::from)?;
    let Some(Purchase {
        token,
        alone,
        _permit,
        spending,
    }) = pass.purchase.take()
    else {
        return Err(Stop::from(Error::Shut("there is no claim to buy on")));
    };
    pass.facts.seen.token = false;
    let claim = token.claim().clone();
    let reply = account.company().buy(token, &configuration).await;
    let (label, word) = (
        context.account_label(&pass.object),
        report::outcome_label(&reply),
    );
    context.metrics.purchased(label, word);
    if matches!(reply, Reply::Rejected(_) | Reply::NotSent(_)) {
        in_vain(&claim.nonce, alone, pass, context);
        put_back(pass, context).await;
    }
    if matches!(
        reply,
        Reply::Bought(_) | Reply::Ordered(_) | Reply::Unknown(_)
    ) {
        if let Some(spending) = spending {
            spending.stands();
        }
        let offer = pass.facts.seen.offer.clone().flatten();
        pass.price = offer.and_then(|offer| offer.price);
    }
    let mut attempt = report::attempt(&claim, report::outcome(&reply));
    match reply {
        Reply::Bought(holding) => {
            account.saw(&holding, pass.messaging_service().as_deref());
            pass.saw(
                Look {
                    holding: Some(holding),
                    at: Some(pass.facts.now),
                    ..Look::default()
                },
                context,
            );
        }
        Reply::Ordered(order) => {
            pass.order = Some(order.clone());
            let pending = order.state == OrderState::Pending;
            pass.facts.seen.look = pending.then_some(Look {
                order: Some(order),
                at: Some(pass.facts.now),
                ..Look::default()
            });
        }
        Reply::Rejected(refusal) => {
            attempt.code = Some(refusal.code.clone());
            pass.facts.seen.attempt = Some(Attempt::Rejected(refusal));
        }
        Reply::NotSent(error) => {
            pass.attempt = Some(attempt);
            return Err(account
                .heed::<()>(Err(error))
                .err()
                .map_or(Stop::Rest(Rest::Nothing), Stop::from));
        }
        Reply::Unknown(text) => pass.facts.seen.attempt = Some(Attempt::Unknown(text)),
    }
    pass.attempt = Some(attempt);
    Ok(())
}

/// Puts our mark on a number that the account holds already and that nobody has marked.
async fn adopt(id: &NumberId, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let seen = pass
        .facts
        .seen
        .look
        .as_ref()
        .and_then(|look| look.holding.clone());
    let now = pass.facts.seen.last_look.clone().flatten();
    let (Some(seen), Some(now), Some(purchase)) = (seen, now, pass.purchase.take()) else {
        return Err(Stop::from(Error::Shut(
            "there is no claim to take it over on",
        )));
    };
    pass.facts.seen.token = false;
    if !purchase.token.is_fresh(context.clock.now()) {
        return Err(Stop::from(Error::Shut(
            "the claim was written too long ago",
        )));
    }
    let nobodys = Unmarked::abandoned(&now, &seen)
        .filter(|unmarked| unmarked.id() == id)
        .ok_or_else(|| Stop::from(Error::Shut("the number has just changed")))?;
    pass.take_over();
    let text = pass
        .facts
        .mark
        .with_name(pass.facts.provider, &pass.resolved.name);
    // Under the claim's permit: with one more each, as many as there are permits would wait for each other for ever.
    let holding = account.heed(account.company().mark(&nobodys, &text).await)?;
    drop(purchase);
    account.saw(&holding, None);
    pass.saw(
        Look {
            holding: Some(holding),
            at: Some(pass.facts.now),
            ..Look::default()
        },
        context,
    );
    Ok(())
}

async fn record(holding: Holding, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let was_ordered = pass.facts.record.order_id.is_some();
    pass.facts.record.id = Some(holding.id.clone());
    pass.facts.number = Some(holding.number.clone());
    let was_adopted = pass.facts.mark.whose(&holding.marked_text) == Whose::Ours(Origin::Adopted);
    if was_adopted && stands(Safeguard::AdoptedMark) {
        pass.take_over();
    }
    let account = pass.account()?;
    pass.facts
        .record
        .account_id
        .get_or_insert_with(|| account.identity().account.clone());
    pass.holds(holding);
    if was_ordered && !pass.facts.deleting {
        // The order that is written down leads back to the number: the id is written with what the pass comes to.
        return Ok(());
    }
    write_down(pass, context).await
}

/// Writes down what is held now. Where somebody else has written meanwhile, the pass ends: what they want may be
/// something else.
async fn write_down(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    if report::record(pass, context).await? {
        return Err(Stop::Rest(Rest::Unchanged(AFTER_A_CHANGE)));
    }
    Ok(())
}

/// On deletion a number is released even if Burki cannot be told.
async fn unassign(assistant: i64, pass: &mut Pass) -> Result<(), Stop> {
    let result = match &pass.resolved.burki {
        Some(burki) => burki.unassign(&pass.number()?, assistant).await,
        None => Err(DirectoryError::Unavailable(
            "the account has no usable spec.burki".into(),
        )),
    };
    match result {
        Err(error) if !pass.facts.deleting => return Err(directory_stop(&error)),
        Err(error) => {
            let number = owner(pass.object.as_ref());
            tracing::warn!(%number, assistant, %error, "the number is released without being unassigned");
        }
        Ok(()) => {}
    }
    pass.facts.record.assistant = None;
    pass.facts.record.assigning = None;
    Ok(())
}

fn directory_stop(error: &DirectoryError) -> Stop {
    let again = match error {
        DirectoryError::Throttled(Some(pause)) => Again::After(*pause),
        _ => Again::Backoff,
    };
    let message = format!("Burki cannot be told who answers: {error}.");
    Stop::Rest(Rest::Wait {
        reason: Reason::AssistantUnverifiable,
        message,
        again,
    })
}

/// Burki rewrites the provider's webhooks when it takes a number, so the number is looked at again.
async fn assign(assistant: i64, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let Some(burki) = &pass.resolved.burki else {
        return Err(directory_stop(&DirectoryError::Unavailable(
            "the account has no usable spec.burki".into(),
        )));
    };
    let number = &pass.number()?;
    let name = Some(pass.resolved.name.as_str());
    let mut assigned = burki
        .assign(number, assistant, name)
        .await
        .map_err(|error| directory_stop(&error))?;
    if let Assigned::OnAnother(_) = assigned
        && let Some(other) = burki
            .assigned_to(number)
            .await
            .map_err(|error| directory_stop(&error))?
        && other != assistant
    {
        burki
            .unassign(number, other)
            .await
            .map_err(|error| directory_stop(&error))?;
        assigned = burki
            .assign(number, assistant, name)
            .await
            .map_err(|error| directory_stop(&error))?;
    }
    match assigned {
        Assigned::Done => {
            if context.memories.is_unassigned(&pass.object) {
                context.metrics.drifted(ASSISTANT);
            }
            pass.facts.record.assistant = Some(assistant);
            pass.facts.record.assigning = None;
            context.memories.unassigned(&pass.object, false);
            pass.facts.seen.assigned = true;
            pass.facts.seen.fetched = None;
            pass.facts.memory.verified = false;
            pass.facts.seen.configured = false;
            Ok(())
        }
        Assigned::OnAnother(text) | Assigned::Impossible(text) => Err(Stop::Rest(Rest::Wait {
            reason: Reason::AssistantUnverifiable,
            message: format!("Burki does not put {number} on assistant {assistant}: {text}."),
            again: Again::After(pass.facts.waits.interval),
        })),
    }
}

async fn restore_mark(id: &NumberId, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let unmarked = Unmarked::prove(&pass.held(id)?, &pass.facts.mark, id)
        .ok_or_else(|| Stop::from(Error::Shut("the number is marked")))?;
    let text = pass
        .facts
        .mark
        .with_name(pass.facts.provider, &pass.resolved.name);
    let holding = account
        .call(account.company().mark(&unmarked, &text))
        .await?;
    account.saw(&holding, None);
    context.metrics.drifted(MARK);
    pass.facts.seen.marked = true;
    pass.holds(holding);
    Ok(())
}

async fn configure(
    id: &NumberId,
    fields: &[Field],
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let account = pass.account()?;
    let configuration = pass.facts.configuration.clone().map_err(Stop::from)?;
    let ours = pass.ours(id)?;
    let is_repair = context.memories.repairs(&pass.object);
    match account
        .call(account.company().configure(&ours, &configuration))
        .await
    {
        Ok(holding) => {
            if is_repair {
                let repaired = fields.iter();
                repaired.for_each(|field| context.metrics.drifted(field.label()));
            }
            account.saw(&holding, pass.messaging_service().as_deref());
            pass.facts.seen.configured = true;
            pass.holds(holding);
            Ok(())
        }
        Err(Error::Refused(refusal)) => {
            let reason = match refusal.kind {
                RefusalKind::ReferenceMissing => Reason::ConnectionNotFound,
                RefusalKind::Regulatory => Reason::RegulatoryRequirement,
                _ => Reason::InvalidSpec,
            };
            let message = format!(
                "{} cannot be set up as declared: {refusal}.",
                pass.facts.title()
            );
            Err(Stop::Rest(Rest::Wait {
                reason,
                message,
                again: Again::After(pass.facts.waits.interval),
            }))
        }
        Err(error) => Err(error.into()),
    }
}

async fn release(id: &NumberId, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let ours = pass.ours(id)?;
    let limit = i64::from(pass.resolved.limits.releases_per_hour);
    let now = context.time.now().unwrap_or(pass.facts.now);
    let account_id = &account.identity().account;
    if let Err(blown) = context
        .fuses
        .take(account_id, Deed::Release, limit, now)
        .await?
    {
        return Err(Stop::Rest(Rest::Wait {
            reason: Reason::ReleaseLimitReached,
            message: format!(
                "{} numbers were released in the last 60 minutes in account {account_id}, and {limit} may be \
                 (spec.limits.releasesPerHour). The next may be released at {}.",
                blown.used,
                clock_time(now, blown.again)
            ),
            again: Again::After(blown.again),
        }));
    }
    context.memories.release_sent(&pass.object);
    let released = account.call_first(account.company().release(ours)).await;
    let word = match &released {
        Ok(Released::Confirmed) => "confirmed",
        Ok(Released::Absent) => "absent",
        Err(Error::Refused(_)) => "refused",
        Err(_) => "failed",
    };
    let label = context.account_label(&pass.object);
    context.metrics.released(label, word);
    match released {
        Ok(Released::Confirmed | Released::Absent) => {
            account.released(id);
            pass.facts.seen.released = true;
            Ok(())
        }
        Err(Error::Refused(refusal)) => Err(Stop::Rest(Rest::Wait {
            reason: Reason::ReleaseBlocked,
            message: format!(
                "{} refuses to release {}: {refusal}. Remove the cause there, or set spec.deletionPolicy: Retain.",
                pass.facts.provider,
                pass.facts.title()
            ),
            again: Again::Backoff,
        })),
        Err(error) => Err(error.into()),
    }
}

/// Lets the resource go, by a patch that fails if it has changed since the decision.
async fn remove_finalizer(
    farewell: Farewell,
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let mut finalizers = pass.object.finalizers().to_vec();
    finalizers.retain(|finalizer| finalizer != FINALIZER);
    let metadata =
        json!({ "resourceVersion": pass.object.resource_version(), "finalizers": finalizers });
    patch(pass, context, metadata).await?;
    pass.farewell = Some(farewell);
    Ok(())
}

/// The order id that the status should show.
pub(super) fn order_id(pass: &Pass) -> Option<OrderId> {
    pass.facts
        .record
        .order_id
        .clone()
        .or_else(|| pass.order.as_ref().map(|order| order.id.clone()))
}
