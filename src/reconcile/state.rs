//! The state of one reconcile: object, facts, inputs, pending purchase. And why a reconcile ends.

use std::sync::Arc;

use super::plan::{Facts, FinalizerRemoval, Lookup};
use super::resolve::{Resolved, provider_blocker};
use crate::account::{Account, PendingPurchase, Permit, Reservation};
use crate::api::{AttemptStatus, PhoneNumber, StatusReason};
use crate::claim::{ReleaseToken, Token};
use crate::clock::Instant;
use crate::cluster::Cluster;
use crate::cluster::observations::Observations;
use crate::cluster::quota::Slot;
use crate::number::{Configuration, E164, Holding, NumberId, OrderId, Price};
use crate::outcome::{Outcome, Retry};
use crate::provider::{Error, Order, Ours};
use crate::server_time::ServerTime;

/// One reconcile of one resource.
pub(super) struct ReconcileState {
    /// The resource as last read or written.
    pub(crate) object: Arc<PhoneNumber>,
    pub(super) facts: Facts,
    pub(crate) resolved: Resolved,
    /// What the status is to say of the last attempt, if one was made in this reconcile.
    pub(crate) attempt: Option<AttemptStatus>,
    /// The order, if one was seen in this reconcile.
    pub(super) order: Option<Order>,
    /// Why the resource was let go, if it was.
    pub(super) removal: Option<FinalizerRemoval>,
    /// When the search began that showed the number in question.
    pub(super) chosen_at: Option<Instant>,
    /// What keeps the candidate of a search from other reconciles.
    pub(super) candidate: Option<Reservation>,
    /// What the number costs that was found in this reconcile, where no claim says it.
    pub(super) price: Option<Price>,
    pub(super) purchase: Option<Purchase>,
    pub(crate) release: Option<Release>,
    /// When the number was last asked for, as this reconcile knows it.
    pub(super) looked_at: Option<Instant>,
    /// When the status was sent that announced an assignment in this reconcile.
    pub(super) announced_at: Option<Instant>,
    /// Whether what this reconcile sets up is a repair, once it is counted.
    pub(super) is_repair: Option<bool>,
}

/// The right to release, and the right to have the requests for it under way.
pub(crate) struct Release {
    pub(super) token: ReleaseToken,
    /// What it counts for in the hour.
    pub(super) slot: Slot,
    pub(super) permit: Permit,
}

/// The right to buy, and the right to have the requests for it under way.
pub(crate) struct Purchase {
    pub(super) token: Token,
    /// True if every attempt before this one certainly bought nothing.
    pub(crate) alone: bool,
    pub(super) permit: Permit,
    /// What it counts for in the hour.
    pub(super) slot: Slot,
    /// What is counted for it. It keeps others from going for the number.
    pub(super) spending: PendingPurchase,
}

/// Why a reconcile ends.
pub(super) enum Interrupted {
    /// As planned, or because a step failed in a way that people should know of.
    Outcome(Outcome),
    /// The API server did not do what it was asked.
    Api(kube::Error),
}

impl From<kube::Error> for Interrupted {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

impl From<StatusReason> for Interrupted {
    fn from(blocker: StatusReason) -> Self {
        Self::Outcome(Outcome::Wait {
            reason: blocker.reason,
            message: blocker.message,
            retry: Retry::Backoff,
        })
    }
}

impl From<Error> for Interrupted {
    fn from(error: Error) -> Self {
        let StatusReason { reason, message } = provider_blocker(&error);
        let retry = match error {
            Error::Throttled(Some(pause)) => Retry::After(pause),
            _ => Retry::Backoff,
        };
        match error {
            // The next leader, or the next reconcile, goes on; nothing is to be said about the number.
            Error::WriteNotAllowed(_) | Error::Overtaken(_) => {
                Self::Outcome(Outcome::KeepStatus(std::time::Duration::from_secs(1)))
            }
            _ => Self::Outcome(Outcome::Wait {
                reason,
                message,
                retry,
            }),
        }
    }
}

impl ReconcileState {
    pub(crate) fn new(object: Arc<PhoneNumber>, facts: Facts, resolved: Resolved) -> Self {
        Self {
            object,
            facts,
            resolved,
            attempt: None,
            order: None,
            removal: None,
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

    /// Counts what this reconcile sets up as a repair, if the number was right before: once, however many writes it takes.
    pub(super) fn counts_repair(&mut self, observations: &Observations) -> bool {
        *self
            .is_repair
            .get_or_insert_with(|| observations.repairs(&self.object))
    }

    pub(crate) fn account(&self) -> Result<Arc<Account>, Interrupted> {
        self.resolved.account.clone().map_err(Interrupted::from)
    }

    pub(crate) fn configuration(&self) -> Result<Configuration, Interrupted> {
        self.facts.configuration.clone().map_err(Interrupted::from)
    }

    pub(crate) fn number(&self) -> Result<E164, Interrupted> {
        let number = self.facts.number;
        number.ok_or_else(|| Interrupted::from(Error::Invariant("no number is in question")))
    }

    pub(super) fn messaging_service(&self) -> Option<String> {
        let options = self.object.spec.twilio.as_ref();
        options.and_then(|options| options.messaging_service_sid.clone())
    }

    /// What the clocks show now: a look may have taken its time.
    pub(super) fn read_clocks(&mut self, time: &ServerTime) {
        if let Ok(account) = &self.resolved.account {
            self.facts.provider_now = account.provider_api().provider_time();
        }
        self.facts.now = time.now().unwrap_or(self.facts.now);
    }

    pub(super) fn saw(&mut self, look: Lookup, cluster: &Cluster, time: &ServerTime) {
        self.read_clocks(time);
        let holding = look.holding.as_ref();
        self.facts.recorded_by =
            holding.and_then(|holding| cluster.recorder_of(&self.object, &holding.id));
        self.order = self.facts.order(&look).cloned().or(self.order.take());
        self.facts.findings.look = Some(look);
    }

    pub(crate) fn holds(&mut self, holding: Holding) {
        self.facts.findings.fetched = Some(Some(holding));
    }

    pub(crate) fn held(&self, id: &NumberId) -> Result<Holding, Interrupted> {
        match &self.facts.findings.fetched {
            Some(Some(holding)) if holding.id == *id => Ok(holding.clone()),
            _ => Err(Interrupted::from(Error::Invariant(
                "the number was not looked at in this reconcile",
            ))),
        }
    }

    /// The number that the look of this reconcile has found.
    pub(crate) fn found(&self, id: &NumberId) -> Result<Holding, Interrupted> {
        let look = self.facts.findings.look.iter();
        let found = look.flat_map(|look| look.holding.iter().chain(&look.marked));
        let last_look = self.facts.findings.last_look.iter().flatten();
        found
            .chain(last_look)
            .find(|holding| holding.id == *id)
            .cloned()
            .ok_or_else(|| {
                Interrupted::from(Error::Invariant(
                    "the number was not found in this reconcile",
                ))
            })
    }

    /// The proof that the number may be changed: nothing is planned for a number that does not carry our mark.
    pub(crate) fn ours(&self, id: &NumberId) -> Result<Ours, Interrupted> {
        Ours::prove(&self.held(id)?, &self.facts.mark, id).ok_or_else(|| {
            Interrupted::from(Error::Invariant("the number does not carry our mark"))
        })
    }
}

/// The order id that the status should show.
pub(super) fn order_id(state: &ReconcileState) -> Option<OrderId> {
    state
        .facts
        .record
        .order_id
        .clone()
        .or_else(|| state.order.as_ref().map(|order| order.id.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    #[test]
    fn a_broken_rule_is_told_and_tried_less_and_less_often_and_a_race_is_tried_again_quietly() {
        let stop = Interrupted::from(Error::Invariant("the number does not carry our mark"));
        let Interrupted::Outcome(Outcome::Wait {
            reason: Reason::InternalError,
            message,
            retry: Retry::Backoff,
        }) = stop
        else {
            unreachable!("a broken rule is no quiet repeat");
        };
        assert!(
            message.contains("the number does not carry our mark"),
            "{message}"
        );
        for race in [
            Error::WriteNotAllowed("it does not lead"),
            Error::Overtaken("the claim was written too long ago"),
        ] {
            let is_quiet = matches!(
                Interrupted::from(race),
                Interrupted::Outcome(Outcome::KeepStatus(_))
            );
            assert!(is_quiet);
        }
    }
}
