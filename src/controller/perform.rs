//! Carries out one step, and writes what it learned into the facts. Decides nothing.

use std::sync::Arc;

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::context::{Context, owner};
use super::number::FINALIZER;
use super::plan::{Again, Attempt, Blocker, Facts, Farewell, Look, Rest, Step};
use super::report;
use super::resolve::{Resolved, provider_blocker};
use crate::account::{Account, Permit};
use crate::api::{AttemptStatus, PhoneNumber, Reason};
use crate::burki::{Assigned, DirectoryError};
use crate::claim::{ANNOTATION, Claim, Stored, Token};
use crate::number::{Holding, NumberId, OrderId, Provider};
use crate::provider::{Error, Order, OrderState, Ours, RefusalKind, Released, Reply, Unmarked};

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
    purchase: Option<Purchase>,
}

/// The right to buy, and the right to have the requests for it under way.
struct Purchase {
    token: Token,
    /// True if every attempt before this one was certainly in vain.
    alone: bool,
    _permit: Permit,
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
            purchase: None,
        }
    }

    fn account(&self) -> Result<Arc<Account>, Stop> {
        self.resolved.account.clone().map_err(Stop::from)
    }

    fn messaging_service(&self) -> Option<String> {
        let options = self.object.spec.twilio.as_ref();
        options.and_then(|options| options.messaging_service_sid.clone())
    }

    fn saw(&mut self, look: Look, context: &Context) {
        let holding = look.holding.as_ref();
        self.facts.recorded_by = holding
            .and_then(|holding| context.recorder_of(&self.object, &holding.id))
            .map(|owner| owner.to_string());
        self.order = look.order.clone().or(self.order.take());
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
        Step::Offer => {
            let account = pass.account()?;
            let offered = account
                .call(account.company().offers(&pass.facts.number))
                .await?;
            pass.facts.seen.offered = Some(offered);
            Ok(())
        }
        Step::AddFinalizer => add_finalizer(pass, context).await,
        Step::Claim { since } => claim(since, pass, context).await,
        Step::LastLook => last_look(pass, context).await,
        Step::Buy => buy(pass, context).await,
        Step::Record(holding) => record(*holding, pass, context).await,
        Step::RecordOrder(order) => {
            pass.facts.record.order_id = Some(order.id.clone());
            pass.order = Some(*order);
            report::record(pass, context).await.map_err(Stop::from)
        }
        Step::Unassign(assistant) => unassign(assistant, pass).await,
        Step::Assign(assistant) => assign(assistant, pass, context).await,
        Step::RestoreMark(id) => restore_mark(&id, pass, context).await,
        Step::Configure(id, _) => configure(&id, pass, context).await,
        Step::Cancel(order) => {
            let account = pass.account()?;
            account.call(account.company().cancel(&order)).await?;
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

/// Looks at the number and, at Telnyx, at what became of our orders for it. A pending order has brought no number yet.
async fn look(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let at = context.time.now();
    let untouched = pass.facts.claim == Stored::Nothing && pass.facts.record.order_id.is_none();
    let not_before = if untouched {
        context.memories.first_seen(&pass.object)
    } else {
        context.clock.now()
    };
    let order = match pass.facts.provider {
        Provider::Twilio => None,
        Provider::Telnyx => our_order(&account, pass).await?,
    };
    let pending = order
        .as_ref()
        .is_some_and(|order| order.state == OrderState::Pending);
    let holding = if pending {
        None
    } else {
        let service = pass.messaging_service();
        account
            .look(&pass.facts.number, service.as_deref(), not_before)
            .await?
    };
    pass.saw(Look { holding, order, at }, context);
    Ok(())
}

async fn our_order(account: &Arc<Account>, pass: &Pass) -> Result<Option<Order>, Stop> {
    let known = match &pass.order {
        Some(order) if order.state != OrderState::Pending => Some(order.clone()),
        Some(order) => account.call(account.company().order(&order.id)).await?,
        None => match &pass.facts.record.order_id {
            Some(id) => account.call(account.company().order(id)).await?,
            None => None,
        },
    };
    if let Some(order) = &known
        && order.state != OrderState::Failure
    {
        return Ok(known);
    }
    let since = match &pass.facts.claim {
        Stored::Ours(claim) => Some(claim.since),
        _ => None,
    };
    let found = account
        .call(
            account
                .company()
                .find_order(&pass.facts.mark, &pass.facts.number, since),
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
    context.memories.written(&object);
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
    since: Option<jiff::Timestamp>,
    pass: &mut Pass,
    context: &Context,
) -> Result<(), Stop> {
    let account = pass.account()?;
    let permit = account.permit().await?;
    let at = context.time.now().unwrap_or(pass.facts.now);
    let claim = Claim::to_buy(
        pass.facts.number.clone(),
        account.identity().account.clone(),
        &owner(pass.object.as_ref()),
        &pass.object.uid().unwrap_or_default(),
        uuid::Uuid::new_v4().simple().to_string(),
        at,
        since
            .or_else(|| account.company().provider_time())
            .unwrap_or(at),
    );
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
    });
    Ok(())
}

async fn last_look(pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let service = pass.messaging_service();
    let found = account.heed(
        account
            .company()
            .find(&pass.facts.number, service.as_deref())
            .await,
    );
    match found {
        Ok(holding) => {
            pass.facts.recorded_by = holding
                .as_ref()
                .and_then(|holding| context.recorder_of(&pass.object, &holding.id))
                .map(|owner| owner.to_string());
            if holding.is_some() {
                unused(pass, context);
            }
            pass.facts.seen.last_look = Some(holding);
            Ok(())
        }
        Err(error) => {
            unused(pass, context);
            Err(error.into())
        }
    }
}

/// Drops a token that was not spent: nothing was sent under its claim.
fn unused(pass: &mut Pass, context: &Context) {
    if let Some(purchase) = pass.purchase.take() {
        in_vain(&purchase.token.claim().nonce, purchase.alone, pass, context);
        pass.facts.seen.token = false;
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
    }) = pass.purchase.take()
    else {
        return Err(Stop::from(Error::Shut("there is no claim to buy on")));
    };
    pass.facts.seen.token = false;
    let claim = token.claim().clone();
    let asked = context.clock.now();
    let reply = account.company().buy(token, &configuration).await;
    if matches!(reply, Reply::Rejected(_) | Reply::NotSent(_)) {
        in_vain(&claim.nonce, alone, pass, context);
    }
    let mut attempt = report::attempt(&claim, report::outcome(&reply));
    match reply {
        Reply::Bought(holding) => {
            account.saw(&holding, pass.messaging_service().as_deref(), asked);
            pass.saw(
                Look {
                    holding: Some(holding),
                    order: None,
                    at: Some(pass.facts.now),
                },
                context,
            );
        }
        Reply::Ordered(order) => {
            pass.order = Some(order.clone());
            let pending = order.state == OrderState::Pending;
            pass.facts.seen.look = pending.then_some(Look {
                holding: None,
                order: Some(order),
                at: Some(pass.facts.now),
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

async fn record(holding: Holding, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let was_ordered = pass.facts.record.order_id.is_some();
    pass.facts.record.id = Some(holding.id.clone());
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
    report::record(pass, context).await.map_err(Stop::from)
}

/// On deletion a number is released even if Burki cannot be told.
async fn unassign(assistant: i64, pass: &mut Pass) -> Result<(), Stop> {
    let result = match &pass.resolved.burki {
        Some(burki) => burki.unassign(&pass.facts.number, assistant).await,
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
    let number = &pass.facts.number;
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
            pass.facts.record.assistant = Some(assistant);
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
    let asked = context.clock.now();
    let holding = account
        .call(account.company().mark(&unmarked, &text))
        .await?;
    account.saw(&holding, None, asked);
    pass.facts.seen.marked = true;
    pass.holds(holding);
    Ok(())
}

async fn configure(id: &NumberId, pass: &mut Pass, context: &Context) -> Result<(), Stop> {
    let account = pass.account()?;
    let configuration = pass.facts.configuration.clone().map_err(Stop::from)?;
    let ours = pass.ours(id)?;
    context.memories.repairs(&pass.object);
    let asked = context.clock.now();
    match account
        .call(account.company().configure(&ours, &configuration))
        .await
    {
        Ok(holding) => {
            account.saw(&holding, pass.messaging_service().as_deref(), asked);
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
                pass.facts.number
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
    context.memories.release_sent(&pass.object);
    match account.call(account.company().release(ours)).await {
        Ok(Released::Confirmed | Released::Absent) => {
            account.released(id);
            pass.facts.seen.released = true;
            Ok(())
        }
        Err(Error::Refused(refusal)) => Err(Stop::Rest(Rest::Wait {
            reason: Reason::ReleaseBlocked,
            message: format!(
                "{} refuses to release {}: {refusal}. Remove the cause there, or set spec.deletionPolicy: Retain.",
                pass.facts.provider, pass.facts.number
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
