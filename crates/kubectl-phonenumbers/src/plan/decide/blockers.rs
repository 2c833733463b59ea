//! What keeps a number from being bought, or from being set up, as far as one PhoneNumber and its account show it. Pure.

use phonenumber_api::{AccountKey, PhoneNumberSpec, Reason};
use telephony::number::{Messaging, Provider};

use super::super::situation::{AccountFacts, place, title};

/// What keeps a number from being bought or set up: the reason and why.
pub(super) type Blocker = (Reason, String);

/// The limit that forbids numbers of the country or the type of the one that is wanted.
pub(super) fn misplaced(spec: &PhoneNumberSpec, facts: &AccountFacts) -> Option<Blocker> {
    let limits = &facts.spec.limits;
    let (country, kind) = place(spec).map_or((None, None), |(country, kind)| (Some(country), kind));
    if !limits.allowed_countries.is_empty()
        && !country
            .as_ref()
            .is_some_and(|country| limits.allowed_countries.contains(country))
    {
        let why = format!(
            "the account may buy {} only (spec.limits.allowedCountries), and this belongs to {}",
            limits.allowed_countries.join(", "),
            country.as_deref().unwrap_or("no known country")
        );
        return Some((Reason::LimitReached, why));
    }
    if !limits.allowed_types.is_empty()
        && !kind.is_some_and(|kind| limits.allowed_types.contains(&kind))
    {
        let types: Vec<_> = limits
            .allowed_types
            .iter()
            .map(ToString::to_string)
            .collect();
        let why = format!(
            "the account may buy {} only (spec.limits.allowedTypes), and this is {}",
            types.join(", "),
            kind.map_or("of no known type".to_owned(), |kind| kind.to_string())
        );
        return Some((Reason::LimitReached, why));
    }
    None
}

/// An account that has more numbers than it may takes none over.
pub(super) fn over(facts: &AccountFacts, held: i64) -> Option<Blocker> {
    let most = facts.spec.limits.max_numbers.filter(|most| held > *most)?;
    let why =
        format!("the account holds {held} numbers and may hold {most} (spec.limits.maxNumbers)");
    Some((Reason::LimitReached, why))
}

/// Why it is not known who answers or where calls go, as far as manifests show it.
pub(super) fn unroutable(
    spec: &PhoneNumberSpec,
    facts: &AccountFacts,
    key: &AccountKey,
) -> Option<Blocker> {
    unverifiable(spec, facts, key).or_else(|| undirected(spec, facts, key))
}

/// Why a number that is held is not set up as `spec` says, as far as manifests show it. An assistant that is `assigned` already is
/// not asked about.
pub(super) fn unsettable(
    spec: &PhoneNumberSpec,
    assigned: Option<i64>,
    facts: &AccountFacts,
    key: &AccountKey,
) -> Option<Blocker> {
    if spec.suspend {
        return None;
    }
    let unverifiable = unverifiable(spec, facts, key);
    let unverifiable = unverifiable.filter(|_| spec.assistant_id != assigned);
    unverifiable.or_else(|| undirected(spec, facts, key))
}

/// Why the assistant cannot be looked up.
fn unverifiable(spec: &PhoneNumberSpec, facts: &AccountFacts, key: &AccountKey) -> Option<Blocker> {
    let is_missing = spec.assistant_id.is_some() && facts.spec.burki.is_none();
    is_missing.then(|| {
        let why = format!(
            "{} has no spec.burki, so no assistant can be looked up",
            title(key)
        );
        (Reason::AssistantUnverifiable, why)
    })
}

/// Why it is not known where calls go.
fn undirected(spec: &PhoneNumberSpec, facts: &AccountFacts, key: &AccountKey) -> Option<Blocker> {
    let own = spec.webhooks.clone().unwrap_or_default();
    let has_sms_url = own.sms_url.is_some() || spec.messaging == Messaging::None;
    let has_both = own.voice_url.is_some() && has_sms_url;
    if facts.spec.webhooks.is_none() && !has_both {
        let why = format!(
            "nobody says where calls go: set spec.webhooks.baseUrl on {}, or spec.webhooks.voiceUrl and smsUrl here",
            title(key)
        );
        return Some((Reason::WebhookBaseMissing, why));
    }
    let own = spec
        .telnyx
        .as_ref()
        .and_then(|it| it.connection_id.as_ref());
    let shared = facts.spec.telnyx.as_ref();
    let shared = shared.and_then(|it| it.connection_id.as_ref());
    let is_missing = spec.provider == Provider::Telnyx
        && own.or(shared).is_none()
        && spec.assistant_id.is_none();
    is_missing.then(|| {
        let why = format!(
            "no Telnyx connection is declared: set spec.telnyx.connectionId here or on {}",
            title(key)
        );
        (Reason::ConnectionMissing, why)
    })
}
