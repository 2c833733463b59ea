//! What a reconcile of one number begins and ends with: what this process remembers of the number, how long each wait is, and the
//! outcome. The plan decides with these values and the cluster keeps them; neither knows the other.

use std::time::Duration;

use jiff::Timestamp;

use crate::api::Reason;
use crate::claim::Claim;
use crate::number::{AccountId, Configuration, E164, Field, NumberId, OrderId};

/// After which time an object is due again, unless something wakes it before; `None` if only that does.
pub type RequeueAfter = Option<Duration>;

/// How many repairs within an hour show that somebody keeps undoing them.
pub const MAX_REPAIRS: usize = 3;

/// What this process remembers of the resource.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// True if every attempt on this resource was made by this process in this term, and each certainly bought nothing.
    pub never_bought: bool,
    /// How long ago this process first saw a claim that it cannot read.
    pub unreadable_for: Duration,
    /// How long ago this process first saw the claim, by its own clock.
    pub claim_known_for: Duration,
    /// A purchase that a resource of this name may have made, and that no claim tells of.
    pub doubt: Option<Doubt>,
    /// An id that the account was known to have before a purchase by this process was answered with it.
    pub met: Option<NumberId>,
    /// An id that this process has found to be what an attempt of this resource brought.
    pub proved: Option<NumberId>,
    /// How long ago this process first renamed the number in question without moving its date.
    pub unmoved_for: Duration,
    /// How long the recorded id has been missing; `None` if it was there at the last look, or was not looked for.
    pub missing_for: Option<Duration>,
    /// How long ago this process placed the last order.
    pub ordered_for: Option<Duration>,
    /// True if the provider confirmed the last release of the recorded id that this process sent.
    pub is_released: bool,
    /// What is to be said of the provider's last refusal to release the number in this generation, and how long ago it
    /// was. A program that has just started asks once more.
    pub release_refused: Option<(String, Duration)>,
    /// True if somebody has undone [`MAX_REPAIRS`] repairs of this generation within an hour.
    pub configuration_conflict: bool,
    /// What the provider has refused to set up, and not long ago.
    pub refused: Option<RefusedSetup>,
    /// True if this process has verified the number with this very configuration and assistant not long ago.
    pub verified: bool,
}

/// A purchase that a resource of this name may have made. The claim for it is gone, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The number.
    pub number: E164,
    /// The account that it may have been bought in, if that is known.
    pub account_id: Option<AccountId>,
    /// The provider's time at the first attempt.
    pub since: Timestamp,
    /// How long ago the last attempt was.
    pub age: Duration,
    /// The nonce of its claim, if this very resource had it.
    pub nonce: Option<String>,
    /// The claim, if this process remembers it and this very resource had it.
    pub claim: Option<Claim>,
}

/// What the provider has refused to set up. The same is not asked for again before its time.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedSetup {
    /// What was asked for.
    pub setup: Setup,
    /// What the refusal means.
    pub reason: Reason,
    /// What a person should know.
    pub message: String,
    /// How long it is left alone.
    pub left: Duration,
}

/// What is asked of the provider for a number or an order that it has.
#[derive(Clone, Debug, PartialEq)]
pub enum Setup {
    /// These settings of this configuration.
    Number(Box<Configuration>, Vec<Field>),
    /// This requirement group for this order.
    RegulatoryDocuments(OrderId, String),
}

impl Setup {
    /// True if `other` is asked for by the same requests: some settings may have been taken before another was refused.
    pub fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(configuration, fields), Self::Number(others, more)) => {
                configuration == others && more.iter().all(|field| fields.contains(field))
            }
            _ => self == other,
        }
    }
}

/// How long each wait is; the flags of the program.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// `--inventory-interval`.
    pub interval: Duration,
    /// `--purchase-timeout`, with the life of a claim token: no request of a claim is sent or answered after that.
    pub purchase: Duration,
    /// `--purchase-visibility`.
    pub visibility: Duration,
}

/// How a reconcile ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All is as declared.
    Ready,
    /// `spec.suspend`.
    Suspended,
    /// Not our resource (any more).
    NotManaged,
    /// The recorded state stands, and another look is due after this time.
    KeepStatus(Duration),
    /// Something is amiss or under way.
    Wait {
        /// Why.
        reason: Reason,
        /// What a person should know.
        message: String,
        /// When it is tried again, unless something wakes it.
        retry: Retry,
    },
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Soon, and then less and less often.
    Backoff,
    /// Soon, and then a little less often: within seconds each time.
    Soon,
    /// After this time.
    After(Duration),
}

/// The time `wait` after `at`, for people.
pub fn clock_time(at: Timestamp, wait: Duration) -> String {
    let at = at.checked_add(wait).unwrap_or(at);
    at.strftime("%H:%M:%S UTC").to_string()
}
