//! What is known when the next step is decided. Values only.

use crate::api::{DeletionPolicy, Reason, StatusReason};
use crate::claim::{Claim, Stored, is_placed_with};
use crate::number::{
    AccountId, Balance, Configuration, E164, Holding, Mark, Messaging, NumberId, Offer, OrderId,
    Origin, Price, Provider, Search, Whose,
};
use crate::provider::{Identity, Order, OrderState, Refusal, WebhookOwner};
use crate::safeguards::{Safeguard, is_enabled};
use jiff::Timestamp;
use std::time::Duration;

use super::*;

/// Everything a decision is made from.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The number in question: the declared one, or for a search the one that is recorded, claimed or chosen.
    pub number: Option<E164>,
    /// What the number is to be like, if the spec does not name it.
    pub search: Option<Search>,
    /// The most that it may cost each month.
    pub budget: Option<Budget>,
    /// The most that it may cost once.
    pub upfront_budget: Option<Budget>,
    /// What a purchase must leave in the account.
    pub minimum_balance: Option<Budget>,
    /// What is wanted of messages.
    pub messaging: Messaging,
    /// Where messages are to go, as far as that is known.
    pub sms_url: Option<String>,
    /// True if a number that nobody has marked may be taken over.
    pub adopts: bool,
    /// True if the number was taken over.
    pub adopted: bool,
    /// What the account sets a limit to, and how much of it is used.
    pub limits: Limits,
    /// Where it is to be bought.
    pub provider: Provider,
    /// The mark of this resource.
    pub mark: Mark,
    /// The present time of the API server.
    pub now: Timestamp,
    /// The present time of the provider, if its answers tell one.
    pub provider_now: Option<Timestamp>,
    /// `metadata.generation`.
    pub generation: i64,
    /// True if the deletion timestamp is set.
    pub deleting: bool,
    /// True if the listings of the account show the recorded number.
    pub is_listed: bool,
    /// When a number may be released of which the spec does not say what its deletion does, if it is being deleted.
    pub release_due: Option<Timestamp>,
    /// True if our finalizer is there.
    pub finalizer: bool,
    /// The claim on the resource.
    pub claim: Stored,
    /// `spec.suspend`.
    pub suspended: bool,
    /// `spec.deletionProtection`.
    pub protected: bool,
    /// True if the object has owners: the garbage collector may have deleted it.
    pub owned: bool,
    /// `spec.deletionPolicy`.
    pub deletion_policy: Option<DeletionPolicy>,
    /// True while the custom resource definition itself is being deleted: nobody meant to release every number.
    pub definition_deleted: bool,
    /// What the status has recorded.
    pub record: Record,
    /// What this process remembers.
    pub memory: Memory,
    /// How long each wait is.
    pub waits: Timeouts,
    /// The account, or why there is none.
    pub account: Result<Identity, StatusReason>,
    /// How the number is to be set up, or why that is not known.
    pub configuration: Result<Configuration, StatusReason>,
    /// The webhooks that the account manages and that are not as it wants them.
    pub webhooks: Vec<ManagedWebhook>,
    /// The declared assistant, and whether it can be assigned.
    pub assistant: Option<(i64, Result<(), StatusReason>)>,
    /// The resource that was first to want the same number, as people may name it.
    pub rival: Option<String>,
    /// The live resource that has recorded the number we see, as people may name it.
    pub recorded_by: Option<String>,
    /// What was learned in this reconcile.
    pub findings: Findings,
}

/// How an account wants the webhook of a connection or a messaging profile that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedWebhook {
    /// What has the webhook.
    pub home: WebhookOwner,
    /// Its id.
    pub id: String,
    /// The URL that it is to have.
    pub url: String,
}

/// What the status has recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The provider's id of the number.
    pub id: Option<NumberId>,
    /// The order.
    pub order_id: Option<OrderId>,
    /// The requirement group that the order has.
    pub requirement_group: Option<String>,
    /// The account that holds the number.
    pub account_id: Option<AccountId>,
    /// The assistant it is assigned to.
    pub assistant: Option<i64>,
    /// The assistant that Burki was to be told of, which may answer already.
    pub assigning: Option<i64>,
    /// The last attempt, if it was refused.
    pub refused: Option<Refused>,
    /// The generation that the status speaks of.
    pub observed_generation: Option<i64>,
    /// True if the status says that the number is Ready.
    pub is_ready: bool,
    /// True if the status says of this generation that the release is blocked.
    pub is_blocked: bool,
}

/// An attempt that the provider refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The nonce of its claim.
    pub nonce: String,
    /// What the refusal meant.
    pub reason: Reason,
    /// The provider's words.
    pub message: String,
    /// True if the provider's code says for certain that nothing was bought.
    pub is_certain: bool,
    /// How many attempts in a row on the number were refused with the same code.
    pub times: i64,
    /// True if neither the spec nor the account nor its Secret has changed since.
    pub is_same: bool,
}

/// What was learned in this reconcile.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The number with the recorded id.
    pub fetched: Option<Option<Holding>>,
    /// The number in the account, with our orders for it.
    pub look: Option<Lookup>,
    /// True once what the account holds was counted in this reconcile.
    pub counted: bool,
    /// The number on sale, with its price if that is known; `Some(None)` if it is not on sale.
    pub offer: Option<Option<Offer>>,
    /// What the account has left to spend, where a purchase depends on it; `Some(None)` if the provider does not tell it.
    pub balance: Option<Option<Balance>>,
    /// Whether the number on sale can text, where a purchase depends on it; `None` if it was not asked or is not shown.
    pub can_text: Option<bool>,
    /// True once what messages depend on was looked at in this reconcile.
    pub messages_checked: bool,
    /// True if that could not be read now.
    pub messages_unread: bool,
    /// What a search came to.
    pub choice: Option<SearchResult>,
    /// How many candidates of the search were refused in this reconcile.
    pub refused_candidates: usize,
    /// True while a fresh claim token is at hand.
    pub token: bool,
    /// What a look between the claim and the purchase showed.
    pub last_look: Option<Option<Holding>>,
    /// What the purchase came to, unless it was bought or ordered.
    pub attempt: Option<Attempt>,
    /// The assistant that the status names as the one that Burki is going to be told of, by a write of this reconcile on the version
    /// that the reconcile decides on.
    pub announced: Option<i64>,
    /// True once Burki was told who answers in this reconcile: it rewrites the webhooks meanwhile.
    pub assigned: bool,
    /// True once the number was configured in this reconcile.
    pub configured: bool,
    /// True once the mark was restored in this reconcile.
    pub marked: bool,
    /// The time of a change of a number's name in this reconcile, by the clock that dates its creation; `Some(None)` if the provider
    /// did not show it.
    pub renamed: Option<Option<Timestamp>>,
    /// True once the order was asked to be cancelled in this reconcile.
    pub cancelled: bool,
    /// True while a fresh right to release the number is at hand.
    pub release_token: bool,
    /// True once the provider confirmed the release in this reconcile.
    pub released: bool,
}

/// The number in the account, and our order for it.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    /// The number, whether or not it is ours; for a search without a number, one that carries our mark.
    pub holding: Option<Holding>,
    /// Another number that carries our mark, and that no other resource has recorded.
    pub marked: Option<Holding>,
    /// A number that carries the mark of a resource of this name in another installation.
    pub namesake: Option<Holding>,
    /// True if `holding` is marked for a resource of this installation that does not exist.
    pub orphaned: bool,
    /// The order that says most.
    pub order: Option<Order>,
    /// When the look began, by the API server's clock.
    pub at: Option<Timestamp>,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchResult {
    /// A candidate was picked; it is the number in question now.
    Chosen,
    /// Nothing on sale is as wanted.
    NoneFound,
    /// What is on sale is being bought by others.
    AllTaken,
    /// What is on sale costs more than it may; the lowest price.
    TooDear(Price),
}

/// A purchase that did not give us the number at once.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// The provider refused it, and certainly sold nothing.
    Rejected(Refusal),
    /// The provider refused it, with a code that is not known. It may have taken place.
    Refused(Refusal),
    /// It may have taken place.
    Unknown(String),
}

impl Facts {
    /// From here on the number is one that came to us like this.
    pub(crate) fn set_origin(&mut self, origin: Origin) {
        self.adopted = origin == Origin::Adopted;
        self.mark = self.mark.of_origin(origin);
        if let Ok(configuration) = &mut self.configuration {
            configuration.mark = self.mark.clone();
        }
    }

    /// Stops where the account cannot be asked, or is not the one that holds the number.
    pub(super) fn account_blocker(&self) -> Option<Step> {
        match &self.account {
            Err(blocker) => Some(self.blocked(blocker)),
            Ok(identity) => {
                let pinned = self.pinned_account()?;
                (!identity.is(pinned) && is_enabled(Safeguard::PinnedAccount)).then(|| {
                    wait(
                        Reason::AccountMismatch,
                        format!(
                            "The credential opens account {}, but this number belongs to account {pinned}. Nothing is \
                             done until the credential opens account {pinned} again.",
                            identity.account
                        ),
                        Retry::After(PERSON_AGAIN_AFTER),
                    )
                })
            }
        }
    }

    /// True if nothing tells of an attempt.
    pub(crate) fn is_untouched(&self) -> bool {
        self.is_stored_untouched() && self.memory.doubt.is_none()
    }

    /// True if nothing that is stored with the resource tells of an attempt.
    pub(super) fn is_stored_untouched(&self) -> bool {
        self.claim == Stored::Nothing && self.record.order_id.is_none()
    }

    /// What forbids spending to a resource that nothing stored tells of an attempt of, and that has been looked for: a process
    /// that remembers an attempt says the same of a number that is not ours as one that does not.
    pub(super) fn blocked_as_stored(&self) -> Option<Step> {
        let blocker = || self.spending_blocker();
        self.is_stored_untouched().then(blocker).flatten()
    }

    /// The account that holds the number, or in which it may have been bought.
    pub(super) fn pinned_account(&self) -> Option<&AccountId> {
        let claimed = self.claim.claim().map(|claim| &claim.account_id);
        let doubted = || self.memory.doubt.as_ref()?.account_id.as_ref();
        self.record.account_id.as_ref().or(claimed).or_else(doubted)
    }

    pub(super) fn blocked(&self, blocker: &StatusReason) -> Step {
        let retry = match blocker.reason {
            Reason::ProviderUnavailable | Reason::RateLimited | Reason::InternalError => {
                Retry::Backoff
            }
            reason if asked_elsewhere(reason) => Retry::After(self.waits.interval),
            _ => Retry::After(PERSON_AGAIN_AFTER),
        };
        wait(blocker.reason, blocker.message.clone(), retry)
    }

    /// Forbids going for a number that another resource was first to want.
    pub(crate) fn rival_blocker(&self, retry: Retry) -> Option<Outcome> {
        let rival = self.rival.as_ref()?;
        Some(Outcome::Wait {
            reason: Reason::ClaimedByAnother,
            message: format!(
                "{} is wanted by {rival} too, which was there first. Delete one of the two.",
                self.title()
            ),
            retry,
        })
    }

    /// The first of the account, the other resource, the assistant and the configuration that forbids spending.
    pub(super) fn spending_blocker(&self) -> Option<Step> {
        if let Some(rest) = self.rival_blocker(Retry::After(self.waits.interval)) {
            return Some(Step::Done(rest));
        }
        if let Some((_, Err(blocker))) = &self.assistant {
            return Some(self.blocked(blocker));
        }
        self.configuration
            .as_ref()
            .err()
            .map(|blocker| self.blocked(blocker))
    }

    /// Sets the first webhook that the account manages and that is not as it wants it.
    pub(super) fn webhook_step(&self) -> Option<Step> {
        self.webhooks.first().cloned().map(Step::SetWebhook)
    }

    /// `step`, unless the provider has refused the same not long ago.
    pub(super) fn unless_refused(&self, setup: &Setup, step: Step) -> Step {
        let refused = self.memory.refused.as_ref();
        match refused.filter(|refused| refused.setup.includes(setup)) {
            Some(refused) => wait(
                refused.reason,
                refused.message.clone(),
                Retry::After(refused.left),
            ),
            None => step,
        }
    }

    /// The number in question, for messages.
    pub fn title(&self) -> String {
        match (&self.number, &self.search) {
            (Some(number), _) => number.to_string(),
            (None, Some(search)) => search.title(),
            (None, None) => "the number".to_owned(),
        }
    }

    /// True if what `order` brought should have been shown by now: by the dates, or by how long this process has known the
    /// claim. A claim with a wrong time does not put that off.
    pub(super) fn is_overdue(&self, order: &Order) -> bool {
        let age = self.age_of(order).max(Some(self.memory.claim_known_for));
        age.is_some_and(|age| age >= self.waits.visibility)
    }

    /// How long ago the claim was made that led to `order`, or else `order` itself, if that is known.
    pub(super) fn age_of(&self, order: &Order) -> Option<Duration> {
        match self.claim.claim() {
            Some(claim) => Some(self.since(claim.at)),
            None => order.created.map(|created| self.since_dated(created)),
        }
    }

    /// How long ago `earlier` was, which the API server has dated.
    pub(super) fn since(&self, earlier: Timestamp) -> Duration {
        elapsed(earlier, self.now)
    }

    /// How long ago `earlier` was, which the provider has dated. Its own clock tells that, where its answers show it.
    fn since_dated(&self, earlier: Timestamp) -> Duration {
        elapsed(earlier, self.provider_now.unwrap_or(self.now))
    }

    /// The order that was found, unless it only tells of an earlier resource of this name: its number came, and has been
    /// released since. What comes later under that number is not ours.
    pub(crate) fn order<'a>(&self, look: &'a Lookup) -> Option<&'a Order> {
        look.order.as_ref().filter(|order| {
            let is_history = match (&self.claim, order.created) {
                (Stored::Ours(claim), created) => !claim.may_have_placed(&order.reference, created),
                (_, Some(created)) => {
                    self.since_dated(created) >= self.waits.visibility && !self.is_doubted(order)
                }
                (_, None) => false,
            };
            let is_recorded = self.record.order_id.as_ref() == Some(&order.id);
            order.state != OrderState::Success || is_recorded || !is_history
        })
    }

    /// True if the attempt in doubt has placed `order`.
    fn is_doubted(&self, order: &Order) -> bool {
        let doubt = self.memory.doubt.as_ref();
        let nonce = doubt.and_then(|doubt| doubt.nonce.as_ref());
        nonce.is_some_and(|nonce| is_placed_with(nonce, &order.reference))
    }

    /// The doubt that `order` leaves, whose claim is lost and whose number is not shown; `None` if it would have been shown by now.
    pub(crate) fn doubt_of(&self, order: &Order, account: &Identity) -> Option<Doubt> {
        let (number, since) = (*order.numbers.first()?, order.created?);
        let age = self.since_dated(since);
        let account_id = Some(account.account.clone());
        (age < self.waits.visibility).then_some(Doubt {
            number,
            account_id,
            since,
            age,
            nonce: None,
            claim: None,
        })
    }

    /// True if `holding` is what `order` has brought, and nobody has marked it. A number that came much later was released and
    /// bought again by somebody.
    pub(crate) fn brought_unmarked(&self, order: &Order, holding: &Holding) -> bool {
        let is_unmarked = self.mark.whose(&holding.marked_text) == Whose::Unmarked;
        let came = order.created.zip(holding.created);
        let is_soon = came.is_none_or(|(ordered, came)| elapsed(ordered, came) < BROUGHT_WITHIN);
        is_unmarked && is_soon && self.has_brought(Some(order), holding)
    }

    /// How much longer a purchase on `claim` may stay hidden, if the account was looked at `looked_at`. The visibility period is
    /// over when the API server's dates say so and this process has known the claim for a minute, or when it has known the
    /// claim for the whole period: neither one wrong date nor a claim with a wrong time ends it early or puts it off for ever.
    pub(super) fn hidden_for(&self, claim: &Claim, looked_at: Timestamp) -> Duration {
        let whole = self.waits.visibility;
        let known = self.memory.claim_known_for;
        let by_date = whole.saturating_sub(elapsed(claim.at, looked_at));
        let by_own = KNOWN_FOR.min(whole).saturating_sub(known);
        by_date.max(by_own).min(whole.saturating_sub(known))
    }
}

/// True for causes that lie at Burki or at the provider, where nothing tells us that they were mended.
pub(super) fn asked_elsewhere(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::AssistantNotFound
            | Reason::AssistantInactive
            | Reason::AssistantUnverifiable
            | Reason::ConnectionMissing
            | Reason::ConnectionNotFound
            | Reason::ConnectionWebhookMismatch
    )
}
