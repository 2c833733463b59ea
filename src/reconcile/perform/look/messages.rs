//! Looks at what the messages of a number depend on: its messaging profile, its campaign, its verification.

use crate::account::Account;
use crate::number::{E164, Kind, Messaging, Offer, Place, Provider, Search};
use crate::provider::Error;
use crate::reconcile::state::{Interrupted, ReconcileState};

/// Looks at what the messages of the number depend on. What cannot be read stays unknown: nothing else waits for it.
pub(in crate::reconcile::perform) async fn check_messages(
    state: &mut ReconcileState,
) -> Result<(), Interrupted> {
    state.facts.findings.messages_checked = true;
    let account = state.account()?;
    let Some(Some(holding)) = state.facts.findings.fetched.clone() else {
        return Ok(());
    };
    match account.with_messaging(holding).await {
        Ok(holding) => state.holds(holding),
        Err(error) => {
            tracing::debug!(%error, "what messages depend on was not read");
            state.facts.findings.messages_unread = true;
        }
    }
    Ok(())
}

/// Asks what the messages of a number depend on that is about to be claimed, so that it is known when the number is written down.
pub(super) async fn prepare(number: &E164, account: &Account, state: &ReconcileState) {
    if state.facts.messaging != Messaging::None
        && let Ok(configuration) = &state.facts.configuration
    {
        let routing = &configuration.routing;
        account.prepare_messaging(number, routing).await;
    }
}

/// Whether the number in `offer` can text, where a purchase depends on it: nothing if it is not on sale. Twilio offers each number
/// unseen, so it is looked for among those on sale.
///
/// # Errors
/// Those of the provider.
pub(super) async fn can_text(
    offer: &Offer,
    account: &Account,
    state: &ReconcileState,
) -> Result<CanText, Error> {
    if state.facts.messaging != Messaging::Required {
        return Ok(CanText::NotAsked);
    }
    if state.facts.provider == Provider::Telnyx {
        return Ok(CanText::of(offer));
    }
    let Some(Place {
        country,
        kind: Some(kind),
        ..
    }) = offer.number.place()
    else {
        return Ok(CanText::NotAsked);
    };
    let search = exactly(country, kind, &offer.number);
    let found = account.call(account.provider_api().search(&search)).await?;
    let mut found = found.iter().filter(|found| found.number == offer.number);
    Ok(found.next().map_or(CanText::NotOnSale, CanText::of))
}

/// Whether a number on sale can text.
pub(super) enum CanText {
    /// Nothing depends on it, or the number does not show where to look.
    NotAsked,
    /// The number is not on sale.
    NotOnSale,
    /// The provider says so.
    Known(bool),
}

impl CanText {
    fn of(offer: &Offer) -> Self {
        let able = offer.description.capabilities;
        Self::Known(able.sms || able.mms)
    }
}

/// A pattern of `Contains` has at most so many characters.
const LONGEST_PATTERN: usize = 16;

/// A search at Twilio that finds one number, whatever it can do: the plus sign holds the pattern to the beginning of the number, the
/// dollar sign to its end.
fn exactly(country: String, kind: Kind, number: &E164) -> Search {
    let mut pattern = format!("{number}$");
    pattern.truncate(LONGEST_PATTERN);
    Search {
        country,
        kind,
        area_code: None,
        contains: Some(pattern),
        locality: None,
        region: None,
        capabilities: Vec::new(),
    }
}
