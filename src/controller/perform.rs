//! Carries out one step, and writes what it learned into the facts. Decides nothing.

mod look;
mod settle;
mod spend;

use std::sync::Arc;

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::context::Context;
use super::fuse::Slot;
use super::number::FINALIZER;
use super::plan::{Again, Blocker, Facts, Farewell, Look, Rest, Step};
use super::report;
use super::resolve::{Resolved, provider_blocker};
use crate::account::{Account, Permit, Reservation, Spending};
use crate::api::{AttemptStatus, PhoneNumber};
use crate::claim::{ReleaseToken, Token};
use crate::clock::Instant;
use crate::number::{E164, Holding, NumberId, OrderId, Origin, Price, Whose};
use crate::provider::{Error, Order, Ours};
use crate::sabotage::{Safeguard, stands};

use look::{choose, count, fetch, look, offer, price_of};
use settle::{
    announce, announce_release, assign, attach_papers, configure, disclaim, release, rename,
    restore_mark, set_webhook, unassign,
};
use spend::{adopt, buy, claim, last_look};

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
    chosen_at: Option<Instant>,
    /// What keeps the candidate of a search from other passes.
    candidate: Option<Reservation>,
    /// What the number costs that was found in this pass, where no claim says it.
    pub(super) price: Option<Price>,
    purchase: Option<Purchase>,
    release: Option<Release>,
    /// When the number was last asked for, as this pass knows it.
    looked_at: Option<Instant>,
    /// When the status was sent that announced an assignment in this pass.
    pub(super) announced_at: Option<Instant>,
    /// Whether what this pass sets up is a repair, once it is counted.
    is_repair: Option<bool>,
}

/// The right to release, and the right to have the requests for it under way.
struct Release {
    token: ReleaseToken,
    /// What it counts for in the hour.
    slot: Slot,
    permit: Permit,
}

/// The right to buy, and the right to have the requests for it under way.
struct Purchase {
    token: Token,
    /// True if every attempt before this one was certainly in vain.
    alone: bool,
    permit: Permit,
    /// What it counts for in the hour.
    slot: Slot,
    /// What is counted for it. It keeps others from going for the number.
    spending: Spending,
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
            // The next leader, or the next pass, goes on; nothing is to be said about the number.
            Error::Shut(_) | Error::Overtaken(_) => {
                Self::Rest(Rest::Unchanged(std::time::Duration::from_secs(1)))
            }
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
            candidate: None,
            price: None,
            purchase: None,
            release: None,
            looked_at: None,
            announced_at: None,
            is_repair: None,
        }
    }

    /// Counts what this pass sets up as a repair, if the number was right before: once, however many writes it takes.
    fn counts_repair(&mut self, context: &Context) -> bool {
        *self
            .is_repair
            .get_or_insert_with(|| context.memories.repairs(&self.object))
    }

    fn account(&self) -> Result<Arc<Account>, Stop> {
        self.resolved.account.clone().map_err(Stop::from)
    }

    fn number(&self) -> Result<E164, Stop> {
        let number = self.facts.number;
        number.ok_or_else(|| Stop::from(Error::Invariant("no number is in question")))
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

    /// What the clocks show now: a look may have taken its time.
    fn read_clocks(&mut self, context: &Context) {
        if let Ok(account) = &self.resolved.account {
            self.facts.provider_now = account.company().provider_time();
        }
        self.facts.now = context.time.now().unwrap_or(self.facts.now);
    }

    fn saw(&mut self, look: Look, context: &Context) {
        self.read_clocks(context);
        let holding = look.holding.as_ref();
        self.facts.recorded_by =
            holding.and_then(|holding| context.recorder_of(&self.object, &holding.id));
        self.order = self.facts.order(&look).cloned().or(self.order.take());
        self.facts.seen.look = Some(look);
    }

    fn holds(&mut self, holding: Holding) {
        self.facts.seen.fetched = Some(Some(holding));
    }

    fn held(&self, id: &NumberId) -> Result<Holding, Stop> {
        match &self.facts.seen.fetched {
            Some(Some(holding)) if holding.id == *id => Ok(holding.clone()),
            _ => Err(Stop::from(Error::Invariant(
                "the number was not looked at in this pass",
            ))),
        }
    }

    /// The number that the look of this pass has found.
    fn found(&self, id: &NumberId) -> Result<Holding, Stop> {
        let look = self.facts.seen.look.iter();
        let found = look.flat_map(|look| look.holding.iter().chain(&look.marked));
        let last_look = self.facts.seen.last_look.iter().flatten();
        found
            .chain(last_look)
            .find(|holding| holding.id == *id)
            .cloned()
            .ok_or_else(|| Stop::from(Error::Invariant("the number was not found in this pass")))
    }

    /// The proof that the number may be changed: nothing is planned for a number that does not carry our mark.
    fn ours(&self, id: &NumberId) -> Result<Ours, Stop> {
        Ours::prove(&self.held(id)?, &self.facts.mark, id)
            .ok_or_else(|| Stop::from(Error::Invariant("the number does not carry our mark")))
    }
}

/// Carries out `step`.
pub(super) async fn perform(step: Step, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    match step {
        Step::Fetch(id) => fetch(&id, pass, context).await,
        Step::Look => look(pass, context).await,
        Step::Count => count(pass, context).await,
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
        Step::Announce(assistant) => announce(assistant, pass, context).await,
        Step::Assign(assistant) => assign(assistant, pass, context).await,
        Step::Rename(id) => rename(&id, pass, context).await,
        Step::Disclaim(id) => disclaim(&id, pass, context).await,
        Step::RestoreMark(id) => restore_mark(&id, pass, context).await,
        Step::Configure(id, fields) => configure(&id, &fields, pass, context).await,
        Step::SetWebhook(webhook) => set_webhook(&webhook, pass).await,
        Step::AttachPapers(order, group) => attach_papers(&order, &group, pass, context).await,
        Step::Cancel(order) => {
            let account = pass.account()?;
            account.call_first(account.company().cancel(&order)).await?;
            pass.facts.seen.cancelled = true;
            pass.facts.seen.look = None;
            Ok(())
        }
        Step::AnnounceRelease(id) => announce_release(&id, pass, context).await,
        Step::Release(id) => release(&id, pass, context).await,
        Step::RemoveFinalizer(farewell) => remove_finalizer(farewell, pass, context).await,
        Step::Rest(rest) => Err(Stop::Rest(rest)),
    }
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
    context.wrote(&object, true);
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

async fn record(holding: Holding, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let was_ordered = pass.facts.record.order_id.is_some();
    pass.facts.record.id = Some(holding.id.clone());
    pass.facts.number = Some(holding.number);
    let was_adopted = pass.facts.mark.whose(&holding.marked_text) == Whose::Ours(Origin::Adopted);
    if was_adopted && stands(Safeguard::AdoptedMark) {
        pass.take_over();
    }
    let account = pass.account()?;
    pass.facts
        .record
        .account_id
        .get_or_insert_with(|| account.identity().account.clone());
    let claim = pass.facts.claim.claim();
    let is_told = claim.is_some_and(|claim| claim.price.is_some());
    if !is_told && pass.attempt.is_none() && !pass.facts.deleting {
        // It is paid already and nothing holds it up: where no price can be had, none is told.
        let price = price_of(&holding.number, &account, pass).await;
        pass.price = price.unwrap_or_default();
    }
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
    // A number that is kept may still be hidden.
    if !matches!(farewell, Farewell::Retained | Farewell::DefinitionDeleted) {
        context.memories.settled(&pass.object);
    }
    if farewell == Farewell::NeverBought {
        context.fuses.never_bought(&pass.object).await;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    #[test]
    fn a_broken_rule_is_told_and_tried_less_and_less_often_and_a_race_is_tried_again_quietly() {
        let stop = Stop::from(Error::Invariant("the number does not carry our mark"));
        let Stop::Rest(Rest::Wait {
            reason: Reason::InternalError,
            message,
            again: Again::Backoff,
        }) = stop
        else {
            unreachable!("a broken rule is no quiet repeat");
        };
        assert!(
            message.contains("the number does not carry our mark"),
            "{message}"
        );
        for race in [
            Error::Shut("it does not lead"),
            Error::Overtaken("the claim was written too long ago"),
        ] {
            let is_quiet = matches!(Stop::from(race), Stop::Rest(Rest::Unchanged(_)));
            assert!(is_quiet);
        }
    }
}
