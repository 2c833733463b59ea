//! Whose a number is: by its mark, by the order that brought it, and by when it came into the account.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    ASK_AGAIN_AFTER, ATTEMPT_TOLERANCE, DATE_TOLERANCE, Facts, MOVES_WITHIN, RECORDS_APART, Retry,
    Step, elapsed, is_before, wait,
};
use crate::api::{DeletionPolicy, Reason};
use crate::claim::{Intent, Stored};
use crate::number::{E164, Holding, NumberId, Origin, Provider, Whose};
use crate::provider::{Order, OrderState};
use crate::safeguards::{Safeguard, is_enabled};

/// Whose a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Title {
    /// We bought it, or took it over.
    Ours,
    /// It carries our mark, and it is not known whether our purchase brought it.
    Unclear,
    /// It carries our mark because our purchase wrote over its name.
    Overwritten,
    /// It is marked as one that we hold and did not buy, and nobody says that it is to be taken over.
    Kept,
    /// Nobody has marked it.
    Nobodys,
    /// It carries another's mark.
    Anothers,
}

impl Facts {
    /// The number of the first attempt that may have bought one, and when it began, by the provider's clock.
    pub(super) fn attempted_since(&self) -> Option<(E164, Timestamp)> {
        match &self.claim {
            Stored::Ours(claim) | Stored::EarlierUid(claim) => {
                (claim.intent == Intent::Buy).then_some((claim.number, claim.since))
            }
            Stored::Nothing | Stored::Unreadable | Stored::Newer(_) => {
                let doubt = self.memory.doubt.as_ref()?;
                Some((doubt.number, doubt.since))
            }
        }
    }

    fn began(&self) -> Option<Timestamp> {
        self.attempted_since().map(|(_, since)| since)
    }

    /// Whose `holding` is, by its mark, by `order`, and by when it came into the account.
    pub(super) fn title_to(&self, holding: &Holding, order: Option<&Order>) -> Title {
        match self.mark.whose(&holding.marked_text) {
            Whose::Ours(Origin::Adopted) => {
                let claim = self.claim.claim();
                let is_taken = claim.is_some_and(|claim| claim.intent == Intent::Adopt);
                // Without a claim the status was lost, or the resource declared again; it is released only on purpose.
                let is_kept = self.attempted_since().is_none()
                    && self.deletion_policy != Some(DeletionPolicy::Release);
                let adopts = self.adopts && !self.deleting;
                let is_wanted = self.adopted || is_taken || is_kept || adopts;
                if is_wanted { Title::Ours } else { Title::Kept }
            }
            Whose::Ours(Origin::Bought) => self.title_by_date(holding),
            Whose::Unmarked if self.has_brought(order, holding) => Title::Ours,
            Whose::Unmarked => Title::Nobodys,
            Whose::Foreign => Title::Anothers,
        }
    }

    /// True if `order` brought `holding`. Both are dated by the provider's records.
    pub(super) fn has_brought(&self, order: Option<&Order>, holding: &Holding) -> bool {
        order.is_some_and(|order| {
            let is_later = |ordered| !is_before(holding.created, ordered, RECORDS_APART);
            order.state == OrderState::Success && order.created.is_none_or(is_later)
        })
    }

    /// Whether a purchase of ours brought `holding`, which carries our mark, or only wrote over its name (Twilio).
    ///
    /// The dates of a provider's answers and those of its numbers are of different clocks. Where they agree that the number
    /// came with the attempt, it did. Else the number is renamed, which shows what the time is by the second clock: with how
    /// long ago the attempt began, that tells whether the number is older.
    pub(super) fn title_by_date(&self, holding: &Holding) -> Title {
        let (Some((_, since)), Some(created)) = (self.attempted_since(), holding.created) else {
            return Title::Ours;
        };
        if self.provider == Provider::Telnyx || !is_enabled(Safeguard::ProofOfPurchase) {
            return Title::Ours;
        }
        if self.memory.met.as_ref() == Some(&holding.id) {
            return Title::Overwritten;
        }
        if self.memory.proved.as_ref() == Some(&holding.id) {
            return Title::Ours;
        }
        let now = self.provider_now.unwrap_or(self.now);
        let is_early = is_before(Some(created), since, DATE_TOLERANCE);
        let is_late = is_before(Some(now), created, DATE_TOLERANCE);
        if !is_early && !is_late {
            return Title::Ours;
        }
        match self.findings.renamed {
            None => Title::Unclear,
            Some(Some(renamed)) => {
                let age = elapsed(since, now).max(self.attempt_known_for());
                if elapsed(created, renamed) <= age.saturating_add(ATTEMPT_TOLERANCE) {
                    Title::Ours
                } else if self.is_ahead_of_the_clock(since) {
                    Title::Unclear
                } else {
                    Title::Overwritten
                }
            }
            // A change within the second of the last one moves no date. The age of the attempt does not tell when that was.
            Some(None) if self.memory.unmoved_for < MOVES_WITHIN => Title::Unclear,
            Some(None) => Title::Overwritten,
        }
    }

    /// How long ago the attempt was at least, by this process's own clock.
    fn attempt_known_for(&self) -> Duration {
        match &self.claim {
            Stored::Ours(_) | Stored::EarlierUid(_) => self.memory.claim_known_for,
            Stored::Nothing | Stored::Unreadable | Stored::Newer(_) => Duration::ZERO,
        }
    }

    /// True if the attempt that began at `since` lies in the future: the clock went back, and tells nobody's age.
    fn is_ahead_of_the_clock(&self, since: Timestamp) -> bool {
        let now = self.provider_now.unwrap_or(self.now);
        is_before(Some(now), since, DATE_TOLERANCE)
    }

    /// True if `holding` is ours.
    pub(crate) fn is_bought(&self, holding: &Holding) -> bool {
        self.title_to(holding, None) == Title::Ours
    }

    /// True if `holding` carries our mark, and was in the account before we asked for it.
    pub(crate) fn is_older(&self, holding: &Holding) -> bool {
        self.title_to(holding, None) == Title::Overwritten
    }

    /// True if a search that `holding` carries the mark of has its number. One that was only written over is not its number.
    pub(crate) fn counts(&self, holding: &Holding) -> bool {
        self.search.is_none() || self.title_to(holding, None) != Title::Kept
    }

    /// What is next for a number with our mark that is not shown to be ours; `None` if nothing is to be done with it.
    pub(super) fn settle_title(&self, title: Title, id: &NumberId) -> Option<Step> {
        match title {
            Title::Unclear if self.findings.renamed.is_none() => Some(Step::Rename(id.clone())),
            Title::Unclear
                if self
                    .began()
                    .is_some_and(|began| self.is_ahead_of_the_clock(began)) =>
            {
                Some(wait(
                    Reason::Verifying,
                    format!(
                        "The account holds {} ({id}) with the mark of this PhoneNumber. Whether this PhoneNumber bought it is \
                         known once the clock has passed the time of its purchase request.",
                        self.title()
                    ),
                    Retry::Backoff,
                ))
            }
            Title::Unclear => Some(wait(
                Reason::Verifying,
                format!(
                    "The account holds {} ({id}) with the mark of this PhoneNumber. It is being verified whether this \
                     PhoneNumber bought it.",
                    self.title()
                ),
                Retry::After(ASK_AGAIN_AFTER),
            )),
            Title::Overwritten => Some(Step::Disclaim(id.clone())),
            Title::Ours | Title::Kept | Title::Nobodys | Title::Anothers => None,
        }
    }

    /// Whether the claim, or the doubt, brought another number than the one it is on, which carries our mark: the provider may
    /// write a number otherwise than it was asked for.
    pub(super) fn title_to_other(&self, marked: &Holding) -> Title {
        let Some((_, since)) = self.attempted_since() else {
            return Title::Kept;
        };
        match (self.provider, self.title_to(marked, None)) {
            (Provider::Twilio, Title::Overwritten) => Title::Kept,
            (Provider::Twilio, title) => title,
            (Provider::Telnyx, Title::Ours) if !is_before(marked.created, since, RECORDS_APART) => {
                Title::Ours
            }
            (Provider::Telnyx, _) => Title::Kept,
        }
    }
}
