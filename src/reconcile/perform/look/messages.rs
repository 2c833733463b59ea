//! Looks at what the messages of a number depend on: its messaging profile, its campaign, its verification.

use crate::account::Account;
use crate::number::{E164, Kind, Messaging, Offer, Place, Provider, Search, Settings, Shown};
use crate::provider::{Error, WebhookOwner};
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
    if let Settings::Telnyx(held) = &holding.settings
        && let Shown::Known(Some(id)) = &held.messaging_profile_id
    {
        let profile = account.webhook(WebhookOwner::MessagingProfile, id).await;
        state.facts.findings.messaging_profile = known(profile).flatten();
    }
    if let Some(holding) = known(account.with_registration(holding).await) {
        state.holds(holding);
    }
    Ok(())
}

fn known<T>(asked: Result<T, Error>) -> Option<T> {
    match asked {
        Ok(known) => Some(known),
        Err(error) => {
            tracing::debug!(%error, "what messages depend on was not read");
            None
        }
    }
}

/// Whether the number in `offer` can text, where a purchase depends on it; `None` if that is not shown. Twilio offers each number
/// unseen, so it is looked for among those on sale.
pub(super) async fn can_text(
    offer: &Offer,
    account: &Account,
    state: &ReconcileState,
) -> Result<Option<bool>, Interrupted> {
    if state.facts.messaging != Messaging::Required {
        return Ok(None);
    }
    if state.facts.provider == Provider::Telnyx {
        let able = offer.description.capabilities;
        return Ok(Some(able.sms || able.mms));
    }
    let Some(Place {
        country,
        kind: Some(kind),
        ..
    }) = offer.number.place()
    else {
        return Ok(None);
    };
    let search = exactly(country, kind, &offer.number);
    let found = account.call(account.provider_api().search(&search)).await?;
    let mut found = found.iter().filter(|found| found.number == offer.number);
    Ok(found.next().map(|found| {
        let able = found.description.capabilities;
        able.sms || able.mms
    }))
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
