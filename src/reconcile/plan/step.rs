//! The next step of a reconcile, and how it ends.

use crate::api::Reason;
use crate::claim::Intent;
use crate::number::{Field, Holding, NumberId};
use crate::provider::Order;
use jiff::Timestamp;

use super::*;

/// The next step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Look at the number with the recorded id.
    FetchById(NumberId),
    /// Look for the number in the account, and for our orders.
    Lookup,
    /// Count what the account holds, where that is limited.
    Count,
    /// Look at what the messages of the number depend on.
    CheckMessages,
    /// Ask whether it is on sale, and what it costs.
    CheckAvailability,
    /// Search, and pick a candidate.
    SearchAndReserve,
    /// Put our finalizer on.
    AddFinalizer,
    /// Claim the number.
    Claim {
        /// To buy it or to take it over.
        intent: Intent,
        /// The provider's time of the first attempt on this number.
        since: Option<Timestamp>,
    },
    /// Look once more, with the claim stored.
    VerifyBeforePurchase,
    /// Buy it.
    Buy,
    /// Put our mark on a number that the account holds already.
    Adopt(NumberId),
    /// Write down the number that is ours.
    Record(Box<Holding>),
    /// Write down the order that is ours.
    RecordOrder(Box<Order>),
    /// Tell Burki that the assistant no longer answers.
    Unassign(i64),
    /// Write down which assistant Burki is going to be told of: whatever happens then, it is known whom to ask. The write fails
    /// if anybody has changed the object since the decision.
    RecordPendingAssignment(i64),
    /// Tell Burki that the assistant answers.
    Assign(i64),
    /// Change the name of a number with our mark, to learn what the time is by the clock that dates it.
    Rename(NumberId),
    /// Mark a number as one that we hold and did not buy: a purchase of ours only wrote over its name.
    Disclaim(NumberId),
    /// Put our mark back.
    RestoreMark(NumberId),
    /// Set it up.
    Configure(NumberId, Vec<Field>),
    /// Set the webhook that the account manages.
    SetWebhook(ManagedWebhook),
    /// Attach this requirement group to the order.
    AttachPapers(Box<Order>, String),
    /// Cancel the order.
    Cancel(Box<Order>),
    /// Write down that the number is released, and get the right to do so.
    RecordRelease(NumberId),
    /// Release the number.
    Release(NumberId),
    /// Let the resource go.
    RemoveFinalizer(FinalizerRemoval),
    /// Nothing more in this reconcile.
    Done(Outcome),
}

impl Step {
    /// Its name, as spans have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::FetchById(_) => "fetch_by_id",
            Self::Lookup => "lookup",
            Self::Count => "count",
            Self::CheckMessages => "check_messages",
            Self::CheckAvailability => "check_availability",
            Self::SearchAndReserve => "search_and_reserve",
            Self::AddFinalizer => "add_finalizer",
            Self::Claim { .. } => "claim",
            Self::VerifyBeforePurchase => "verify_before_purchase",
            Self::Buy => "buy",
            Self::Adopt(_) => "adopt",
            Self::Record(_) => "record",
            Self::RecordOrder(_) => "record_order",
            Self::Unassign(_) => "unassign",
            Self::RecordPendingAssignment(_) => "record_pending_assignment",
            Self::Assign(_) => "assign",
            Self::Rename(_) => "rename",
            Self::Disclaim(_) => "disclaim",
            Self::RestoreMark(_) => "restore_mark",
            Self::Configure(..) => "configure",
            Self::SetWebhook(_) => "set_webhook",
            Self::AttachPapers(..) => "attach_papers",
            Self::Cancel(_) => "cancel",
            Self::RecordRelease(_) => "record_release",
            Self::Release(_) => "release",
            Self::RemoveFinalizer(_) => "remove_finalizer",
            Self::Done(_) => "done",
        }
    }
}

impl Step {
    /// True if the step changes something at the provider or at Burki, or prepares to spend.
    pub fn writes(&self) -> bool {
        match self {
            Self::Count
            | Self::CheckAvailability
            | Self::SearchAndReserve
            | Self::Adopt(_)
            | Self::Claim { .. }
            | Self::VerifyBeforePurchase
            | Self::Buy
            | Self::Unassign(_)
            | Self::RecordPendingAssignment(_)
            | Self::Assign(_)
            | Self::Rename(_)
            | Self::Disclaim(_)
            | Self::RestoreMark(_)
            | Self::Configure(..)
            | Self::SetWebhook(_)
            | Self::AttachPapers(..)
            | Self::Cancel(_)
            | Self::RecordRelease(_)
            | Self::Release(_) => true,
            Self::FetchById(_)
            | Self::Lookup
            | Self::CheckMessages
            | Self::AddFinalizer
            | Self::Record(_)
            | Self::RecordOrder(_)
            | Self::RemoveFinalizer(_)
            | Self::Done(_) => false,
        }
    }
}

/// Why the resource may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinalizerRemoval {
    /// The number was released.
    Released,
    /// The number stays in the account, by `Retain`.
    Retained,
    /// The number stays in the account, since the object has owners and no `deletionPolicy`.
    Owned,
    /// The custom resource definition is being deleted: the number stays in the account.
    DefinitionDeleted,
    /// Nothing was ever bought.
    NotPurchased,
    /// The number was gone already.
    AlreadyAbsent,
    /// The number carries another's mark.
    NotOwned,
}

impl FinalizerRemoval {
    /// True if nothing that was bought for the object, or may have been, stays in the account unreleased.
    pub fn leaves_nothing(self) -> bool {
        match self {
            Self::Released | Self::NotPurchased | Self::AlreadyAbsent | Self::NotOwned => true,
            Self::Retained | Self::Owned | Self::DefinitionDeleted => false,
        }
    }
}

pub(crate) fn wait(reason: Reason, message: impl Into<String>, retry: Retry) -> Step {
    Step::Done(Outcome::Wait {
        reason,
        message: message.into(),
        retry,
    })
}
