//! What a provider can do for us: one narrow trait, and errors named for what the caller should do.
//!
//! Knows no Kubernetes. Nothing here retries, and nothing here decides.

pub mod http;
mod registrations;
pub mod telnyx;
pub mod twilio;
mod usage;

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::claim::{Claim, ReleaseToken, Token};
use crate::clock::Instant;
use crate::number::{
    AccountId, Balance, Configuration, E164, Holding, Kind, Mark, MessagingService, NumberId,
    Offer, OrderId, Origin, Price, Provider, Registration, Search, Settings, Shown, Webhook, Whose,
};
use crate::safeguards::{Safeguard, is_enabled};
use http::{Answer, Call, Session};
pub use registrations::Registrations;
use registrations::{better, keep_best, short};
pub use usage::{LastUse, Period, Seen};

/// One account at one provider.
///
/// # Guarantees
/// Every call is at most one attempt of each request that it makes. Reads end after 10 s, purchases after the purchase
/// timeout. No write is sent once the gate (see [`http::Client`]) is shut.
///
/// # Caveats
/// What a listing does not show may still exist: both providers show a purchase late.
#[async_trait]
pub trait ProviderApi: Send + Sync {
    /// Which provider this is.
    fn provider(&self) -> Provider;

    /// The provider's present time, reckoned from the `Date` of its last answer; `None` before the first.
    fn provider_time(&self) -> Option<Timestamp>;

    /// Which account the credential opens. An answer proves that the credential works.
    async fn identify(&self) -> Result<Identity, Error>;

    /// The live number `number` in the account, compared exactly. Messaging services are not looked up.
    async fn find(&self, number: &E164) -> Result<Option<Holding>, Error>;

    /// The number with this id; `None` is the provider's own 404, or (Telnyx) a row that is not held any more. Messaging
    /// services are not looked up.
    async fn fetch(&self, id: &NumberId) -> Result<Option<Holding>, Error>;

    /// Every live number in the account. Messaging services are not looked up.
    async fn list(&self) -> Result<Listing, Error>;

    /// Every messaging service of the account. Telnyx has none.
    async fn messaging_services(&self) -> Result<Vec<MessagingService>, Error>;

    /// The messaging service with this SID; `None` is the provider's own 404. Telnyx has none.
    async fn messaging_service(&self, sid: &str) -> Result<Option<MessagingService>, Error>;

    /// The ids of the numbers in a messaging service; `None` is the provider's own 404. Telnyx has none.
    async fn members(&self, messaging_service: &str) -> Result<Option<HashSet<NumberId>>, Error>;

    /// The campaign (A2P 10DLC) that is registered for the numbers of a messaging service (Twilio): the best, if there are several.
    /// Unknown if the provider does not tell this credential.
    async fn campaign_of(
        &self,
        messaging_service: &str,
    ) -> Result<Shown<Option<Registration>>, Error>;

    /// The campaigns that numbers are assigned to (Telnyx), by number. Unknown if the provider does not tell this credential.
    async fn campaigns(&self) -> Result<Shown<Registrations>, Error>;

    /// The verifications of toll-free numbers, by number. Unknown if the provider does not tell this credential.
    async fn toll_free_verifications(&self) -> Result<Shown<Registrations>, Error>;

    /// The order that says most about `number` among those with our mark that `claim` may have placed: success before pending
    /// before failure. Always `None` where purchases need no order (Twilio).
    async fn find_order(
        &self,
        mark: &Mark,
        number: &E164,
        claim: Option<&Claim>,
    ) -> Result<Option<Order>, Error>;

    /// The orders that were made at `since` or later, by the provider's clock, or all. They may lack what became of their
    /// numbers, and the numbers: only a success is certain. None where purchases need no order (Twilio).
    async fn orders(&self, since: Option<Timestamp>) -> Result<Vec<Order>, Error>;

    /// The order with this id; `None` is the provider's own 404.
    async fn order(&self, id: &OrderId) -> Result<Option<Order>, Error>;

    /// Asks for the number where the provider wants that before a sale (Telnyx searches it).
    /// `None` if it is not on sale. Twilio sends nothing and offers it: the purchase itself answers.
    /// A refusal is as in [`ProviderApi::search`].
    async fn offer(&self, number: &E164) -> Result<Option<Offer>, Error>;

    /// Numbers on sale by `search`: one page, and none that only nearly fits. The caller that picks one looks at its digits
    /// ([`Search::fits`]). A refusal with [`RefusalKind::NotOnSale`] says that there is no coverage, one with
    /// [`RefusalKind::Invalid`] that the search itself is refused.
    async fn search(&self, search: &Search) -> Result<Vec<Offer>, Error>;

    /// What a number of this kind costs in a country, where the provider has a price list (Twilio).
    async fn price(&self, country: &str, kind: Kind) -> Result<Option<Price>, Error>;

    /// What the account has left to spend; `None` if the provider does not tell this credential. At Telnyx credit is included, and
    /// no more than that can be spent. Twilio may charge an account below zero.
    async fn balance(&self) -> Result<Option<Balance>, Error>;

    /// When `number` was used last, by the provider's records of calls and messages. What happened a few minutes ago may be missing.
    async fn last_use(&self, number: &E164, period: Period) -> Result<LastUse, Error>;

    /// Buys the claimed number, with mark and webhooks inside the one request that is sent.
    /// The token is refused ([`Reply::NotSent`]) unless it is fresh.
    async fn buy(&self, token: Token, configuration: &Configuration) -> Reply;

    /// Sets up a number of ours, and returns it as it is then. Clears overrides that nobody declared.
    async fn configure(
        &self,
        number: &Ours,
        configuration: &Configuration,
    ) -> Result<Holding, Error>;

    /// Writes `marked_text` on a number that we recorded and that carries no mark, and returns it as it is then.
    async fn mark(&self, number: &Unmarked, marked_text: &str) -> Result<Holding, Error>;

    /// Writes `marked_text` on a number that carries our mark, of which it is not known whether we bought it.
    async fn rename(&self, number: &Unproven, marked_text: &str) -> Result<Renamed, Error>;

    /// Releases a number of ours. Final: neither provider sells it back (contracts 1.7, 2.8).
    /// The request leaves while the token is fresh, or not at all.
    async fn release(&self, number: Ours, token: ReleaseToken) -> Result<Released, Error>;

    /// Asks to cancel a pending order. What became of it is for [`ProviderApi::order`] to say.
    async fn cancel(&self, order: &Order) -> Result<(), Error>;

    /// Attaches a requirement group to a pending order. Telnyx takes only a fulfilled group, and leaves approved
    /// requirements as they are. Twilio has no orders.
    async fn attach_requirement_group(&self, order: &Order, group: &str) -> Result<(), Error>;

    /// The webhook of a connection or a messaging profile, or `None` if the account has none with this id. Twilio has none
    /// at all.
    async fn webhook(&self, home: WebhookOwner, id: &str) -> Result<Option<Webhook>, Error>;

    /// Points a webhook at `url`, API version 2.
    async fn set_webhook(&self, home: WebhookOwner, id: &str, url: &str) -> Result<(), Error>;
}

/// Which account a credential opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The provider's account id, or `key-` and a hash of the API key while the provider shows none.
    pub account: AccountId,
    /// `key-` and a hash of the API key (Telnyx): what an account was called before it was identified.
    pub alias: Option<AccountId>,
    /// False while `account` is only a hash of the key.
    pub proved: bool,
}

impl Identity {
    /// True if `other` is the same key, of which the provider does not show the account now: Telnyx shows it only while the account
    /// has a messaging profile or a number. A key opens one account.
    pub fn covers(&self, other: &Self) -> bool {
        self.proved && !other.proved && self.alias.is_some() && self.alias == other.alias
    }

    /// True if a record pinned to `pinned` belongs to this account.
    pub fn is(&self, pinned: &AccountId) -> bool {
        self.account == *pinned || self.alias.as_ref() == Some(pinned)
    }
}

/// A Telnyx number order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Its customer reference: a mark, a dot and the nonce of a claim.
    pub reference: String,
    /// What became of it.
    pub state: OrderState,
    /// The sub-orders, by which it is cancelled.
    pub sub_orders: Vec<String>,
    /// How far the papers are that the regulator wants for it.
    pub papers: OrderPapers,
    /// The numbers it is for, if the answer names them (listings may not).
    pub numbers: Vec<E164>,
    /// When it was made, by the provider's clock.
    pub created: Option<Timestamp>,
}

impl Order {
    /// True if its reference is `mark`, a dot, and a nonce: a claim of the same owner has placed it.
    pub fn is_marked(&self, mark: &Mark) -> bool {
        Mark::find_in(&self.reference).is_some_and(|found| {
            let rest = self.reference.strip_prefix(&found.to_string());
            found.same_owner(mark) && rest.is_some_and(|rest| rest.starts_with('.'))
        })
    }
}

/// How far the papers are that a regulator wants for an order. The worst comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderPapers {
    /// None are wanted, or all are approved.
    Met,
    /// They are being reviewed.
    UnderReview,
    /// Some are missing.
    Missing,
    /// Some were rejected.
    Rejected,
}

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OrderState {
    /// It was refused, or cancelled. Nothing is paid.
    Failure,
    /// It may still succeed.
    Pending,
    /// The number was bought.
    Success,
}

/// What has a webhook of its own at Telnyx, which all its numbers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WebhookOwner {
    /// A Call Control Application: calls.
    Connection,
    /// A messaging profile: messages.
    MessagingProfile,
}

impl std::fmt::Display for WebhookOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connection => "connection",
            Self::MessagingProfile => "messaging profile",
        })
    }
}

/// Proof that a number carries our mark: the only thing that can be configured or released.
#[derive(Clone, Debug)]
pub struct Ours {
    id: NumberId,
    takes_messages: bool,
    messaging_service: Option<String>,
}

/// Proof that a number carries the mark of a purchase of ours. Whether it was that purchase that brought it is not proved: a
/// purchase of a number that the account has writes the mark over its name (Twilio).
#[derive(Clone, Debug)]
pub struct Unproven(NumberId);

impl Unproven {
    /// The proof, if `holding` carries `mark` as the mark of a purchase.
    pub fn prove(holding: &Holding, mark: &Mark) -> Option<Self> {
        let is_marked = mark.whose(&holding.marked_text) == Whose::Ours(Origin::Bought);
        is_marked.then(|| Self(holding.id.clone()))
    }

    /// The number's id.
    pub fn id(&self) -> &NumberId {
        &self.0
    }
}

/// What a listing of an account shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The numbers.
    pub holdings: Vec<Holding>,
    /// False if its pages show that rows came or went meanwhile, or if it counts more rows than it shows: what it lacks may
    /// still be there.
    pub is_whole: bool,
}

/// A number after a change of its name.
#[derive(Clone, Debug)]
pub struct Renamed {
    /// The number as it is now.
    pub holding: Holding,
    /// The time of the change by the clock that dates the number's creation; `None` if the answer does not show it.
    pub at: Option<Timestamp>,
    /// The date of the last change that the answer shows, whichever change that was.
    pub dated: Option<Timestamp>,
}

/// Proof that a number with a recorded id carries no mark at all (somebody renamed it).
#[derive(Clone, Debug)]
pub struct Unmarked(NumberId);

impl Ours {
    /// The proof, if `holding` carries `mark` and has the id that we recorded.
    pub fn prove(holding: &Holding, mark: &Mark, recorded: &NumberId) -> Option<Self> {
        let ours = matches!(mark.whose(&holding.marked_text), Whose::Ours(_))
            || !is_enabled(Safeguard::ForeignMark);
        let (takes_messages, messaging_service) = match &holding.settings {
            Settings::Twilio(settings) => (
                settings.takes_messages(),
                settings.messaging_service.as_ref().map(|it| it.sid.clone()),
            ),
            Settings::Telnyx(_) => (true, None),
        };
        (ours && holding.id == *recorded).then(|| Self {
            id: holding.id.clone(),
            takes_messages,
            messaging_service,
        })
    }

    /// The number's id.
    pub fn id(&self) -> &NumberId {
        &self.id
    }

    /// False if the provider showed that the number takes no messages.
    pub fn takes_messages(&self) -> bool {
        self.takes_messages
    }

    /// True if the number was seen in this messaging service.
    pub fn is_in(&self, messaging_service: &str) -> bool {
        self.messaging_service.as_deref() == Some(messaging_service)
    }
}

/// Sends a purchase under `token` while its claim is fresh. `read` says what an answer means; without one it is unknown what
/// became of a request that may have left.
async fn purchase(
    session: &Session,
    token: &Token,
    call: Call<'_>,
    read: impl FnOnce(&Answer) -> Reply + Send,
) -> Reply {
    if !token.is_fresh(session.clock().now()) {
        return Reply::NotSent(Error::Overtaken("the claim was written too long ago"));
    }
    match session.purchase(call).await {
        Ok(answer) => read(&answer),
        Err(failure) if failure.is_before_sending() => Reply::NotSent(failure.into()),
        Err(failure) => Reply::Unknown(failure.to_string()),
    }
}

/// The instant from which on the release of `number` by `token` must not leave any more.
fn release_ends(number: &Ours, token: ReleaseToken, now: Instant) -> Result<Instant, Error> {
    if token.number() != number.id() {
        return Err(Error::Invariant(
            "the release of another number was decided",
        ));
    }
    let ends = token.ends();
    if now < ends {
        Ok(ends)
    } else {
        Err(Error::Overtaken("the release was decided too long ago"))
    }
}

impl Unmarked {
    /// The proof, if `holding` still is as it was `seen`, unmarked or with a mark that was shown to be nobody's.
    pub fn abandoned(holding: &Holding, seen: &Holding) -> Option<Self> {
        let same = holding.id == seen.id && holding.marked_text == seen.marked_text;
        same.then(|| Self(holding.id.clone()))
    }

    /// The proof, if `holding` carries no mark and has the id that we recorded.
    pub fn prove(holding: &Holding, mark: &Mark, recorded: &NumberId) -> Option<Self> {
        let unmarked = mark.whose(&holding.marked_text) == Whose::Unmarked;
        (unmarked && holding.id == *recorded).then(|| Self(holding.id.clone()))
    }

    /// The number's id.
    pub fn id(&self) -> &NumberId {
        &self.0
    }
}

/// What a purchase request came to.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The account has the number: the answer decodes, is about our number and carries our mark. Whether the request brought
    /// the number is for its creation date to say (Twilio).
    Bought(Box<Holding>),
    /// An order of ours was accepted (Telnyx).
    Ordered(Order),
    /// The provider's own error body, with a code from the table of that provider: nothing was bought.
    Rejected(Refusal),
    /// The provider's own error body, with no code from the table: the provider refuses, for a reason that is not known
    /// here. The claim stays a possible attempt. Reason, pace and quota follow the refusal.
    Refused(Refusal),
    /// The request never reached the provider, or it said that it did not process it: nothing was bought.
    NotSent(Error),
    /// Everything else. The number may be ours and may be paid.
    Unknown(String),
}

/// How a release ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The provider confirmed it.
    Confirmed,
    /// The provider's own 404: there is no such number (any more, or yet).
    Absent,
}

/// The provider's own refusal, with its code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}{}", request_id.as_ref().map(|id| format!(" (request {id})")).unwrap_or_default())]
pub struct Refusal {
    /// What it means for the caller.
    pub kind: RefusalKind,
    /// The provider's code; `HTTP` and the status where the body has none.
    pub code: String,
    /// The provider's text, at most 300 characters, without secrets.
    pub text: String,
    /// The provider's request id, if it sent one.
    pub request_id: Option<String>,
}

/// What a refusal means for the caller. Of several in one answer the greatest decides: the later ones stand in the way of
/// more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalKind {
    /// The code is in no table.
    Unlisted,
    /// The number is not on sale (any more). For a search: there is no coverage.
    NotOnSale,
    /// The request is wrong in itself.
    Invalid,
    /// A connection, profile or group that the request named does not exist.
    ReferenceMissing,
    /// The number takes no messages, and so no SMS webhook: the rest of the request may be repeated without one.
    TakesNoMessages,
    /// The regulator wants papers.
    Regulatory,
    /// The account has no money.
    InsufficientBalance,
    /// The account may not buy: trial, suspended, closed, unverified.
    PurchasingNotEnabled,
    /// The credential does not open this.
    Unauthorized,
}

/// Why a call that is not a purchase did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The credential is wrong, revoked or not permitted.
    #[error("the credential was refused: {0}")]
    Unauthorized(Refusal),
    /// Too many requests; wait at least this long if the provider said so.
    #[error("the provider asks to slow down")]
    Throttled(Option<Duration>),
    /// No usable answer: try again later. A write may have taken effect.
    #[error("the provider is not available: {0}")]
    Unavailable(String),
    /// The request did not reach the provider: try again later.
    #[error("the provider is not available: {0}")]
    NotSent(String),
    /// The provider's own refusal.
    #[error("the provider refused: {0}")]
    Refused(Refusal),
    /// An answer came that cannot be understood. Nothing may be concluded from it.
    #[error("the provider's answer cannot be understood: {0}")]
    Unreadable(String),
    /// This process may not write (any more): it does not lead.
    #[error("this process may not write: {0}")]
    WriteNotAllowed(&'static str),
    /// What was decided no longer holds, and nothing was sent: decide again.
    #[error("the decision was overtaken: {0}")]
    Overtaken(&'static str),
    /// A rule of this program does not hold, and nothing was sent: a fault of the program.
    #[error("a rule of the operator does not hold: {0}")]
    Invariant(&'static str),
}

impl Error {
    /// `untold` for what the provider does not let this credential read, though others may.
    fn unless_refused<T>(self, untold: T) -> Result<T, Self> {
        match self {
            Self::Unauthorized(_) | Self::Refused(_) => Ok(untold),
            error => Err(error),
        }
    }

    /// True if the write that ended so certainly took no effect.
    pub fn is_without_effect(&self) -> bool {
        match self {
            Self::Unauthorized(_)
            | Self::Throttled(_)
            | Self::NotSent(_)
            | Self::Refused(_)
            | Self::WriteNotAllowed(_)
            | Self::Overtaken(_)
            | Self::Invariant(_) => true,
            Self::Unavailable(_) | Self::Unreadable(_) => false,
        }
    }
}
