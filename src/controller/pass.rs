//! One pass over one resource: what it knows, what it has done, and why it ends.

use std::sync::Arc;

use super::context::Context;
use super::fuse::Slot;
use super::plan::{Again, Facts, Farewell, Look, Rest};
use super::resolve::{Resolved, provider_blocker};
use crate::account::{Account, Permit, Reservation, Spending};
use crate::api::{AttemptStatus, PhoneNumber, StatusReason};
use crate::claim::{ReleaseToken, Token};
use crate::clock::Instant;
use crate::number::{E164, Holding, NumberId, OrderId, Price};
use crate::provider::{Error, Order, Ours};

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
    pub(super) chosen_at: Option<Instant>,
    /// What keeps the candidate of a search from other passes.
    pub(super) candidate: Option<Reservation>,
    /// What the number costs that was found in this pass, where no claim says it.
    pub(super) price: Option<Price>,
    pub(super) purchase: Option<Purchase>,
    pub(super) release: Option<Release>,
    /// When the number was last asked for, as this pass knows it.
    pub(super) looked_at: Option<Instant>,
    /// When the status was sent that announced an assignment in this pass.
    pub(super) announced_at: Option<Instant>,
    /// Whether what this pass sets up is a repair, once it is counted.
    pub(super) is_repair: Option<bool>,
}

/// The right to release, and the right to have the requests for it under way.
pub(super) struct Release {
    pub(super) token: ReleaseToken,
    /// What it counts for in the hour.
    pub(super) slot: Slot,
    pub(super) permit: Permit,
}

/// The right to buy, and the right to have the requests for it under way.
pub(super) struct Purchase {
    pub(super) token: Token,
    /// True if every attempt before this one was certainly in vain.
    pub(super) alone: bool,
    pub(super) permit: Permit,
    /// What it counts for in the hour.
    pub(super) slot: Slot,
    /// What is counted for it. It keeps others from going for the number.
    pub(super) spending: Spending,
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

impl From<StatusReason> for Stop {
    fn from(blocker: StatusReason) -> Self {
        Self::Rest(Rest::Wait {
            reason: blocker.reason,
            message: blocker.message,
            again: Again::Backoff,
        })
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        let StatusReason { reason, message } = provider_blocker(&error);
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
    pub(super) fn counts_repair(&mut self, context: &Context) -> bool {
        *self
            .is_repair
            .get_or_insert_with(|| context.memories.repairs(&self.object))
    }

    pub(super) fn account(&self) -> Result<Arc<Account>, Stop> {
        self.resolved.account.clone().map_err(Stop::from)
    }

    pub(super) fn number(&self) -> Result<E164, Stop> {
        let number = self.facts.number;
        number.ok_or_else(|| Stop::from(Error::Invariant("no number is in question")))
    }

    pub(super) fn messaging_service(&self) -> Option<String> {
        let options = self.object.spec.twilio.as_ref();
        options.and_then(|options| options.messaging_service_sid.clone())
    }

    /// From here on the number is one that was taken over.
    pub(super) fn take_over(&mut self) {
        self.facts.adopted = true;
        self.facts.mark = self.facts.mark.adopted();
        if let Ok(configuration) = &mut self.facts.configuration {
            configuration.mark = self.facts.mark.clone();
        }
    }

    /// What the clocks show now: a look may have taken its time.
    pub(super) fn read_clocks(&mut self, context: &Context) {
        if let Ok(account) = &self.resolved.account {
            self.facts.provider_now = account.company().provider_time();
        }
        self.facts.now = context.time.now().unwrap_or(self.facts.now);
    }

    pub(super) fn saw(&mut self, look: Look, context: &Context) {
        self.read_clocks(context);
        let holding = look.holding.as_ref();
        self.facts.recorded_by =
            holding.and_then(|holding| context.recorder_of(&self.object, &holding.id));
        self.order = self.facts.order(&look).cloned().or(self.order.take());
        self.facts.seen.look = Some(look);
    }

    pub(super) fn holds(&mut self, holding: Holding) {
        self.facts.seen.fetched = Some(Some(holding));
    }

    pub(super) fn held(&self, id: &NumberId) -> Result<Holding, Stop> {
        match &self.facts.seen.fetched {
            Some(Some(holding)) if holding.id == *id => Ok(holding.clone()),
            _ => Err(Stop::from(Error::Invariant(
                "the number was not looked at in this pass",
            ))),
        }
    }

    /// The number that the look of this pass has found.
    pub(super) fn found(&self, id: &NumberId) -> Result<Holding, Stop> {
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
    pub(super) fn ours(&self, id: &NumberId) -> Result<Ours, Stop> {
        Ours::prove(&self.held(id)?, &self.facts.mark, id)
            .ok_or_else(|| Stop::from(Error::Invariant("the number does not carry our mark")))
    }
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
