//! Finds out where calls and messages of a number go, and verifies at the provider that what is named for that exists and leads
//! there.

use super::super::limits;
use super::super::plan::ManagedWebhook;
use super::super::webhooks::{Manager, TELNYX_PATH, urls};
use super::Resolved;
use super::directory::{DirectoryKey, directory_blocker};
use super::opening::provider_blocker;
use crate::account::Directory;
use crate::api::{AccountKey, PhoneNumber, Reason, StatusReason};
use crate::cluster::{AccountView, Cluster};
use crate::number::{Messaging, Routing, Webhook};
use crate::provider::{Error, WebhookOwner};
use crate::shown;

/// A credential that may not read messaging services loses only the check.
pub(super) async fn twilio_routing(
    number: &PhoneNumber,
    view: &AccountView,
    resolved: &mut Resolved,
) -> Result<Routing, StatusReason> {
    let (voice_url, sms_url) = webhooks(number, view, "/twiml")?;
    resolved.sms_url.clone_from(&sms_url);
    let options = number.spec.twilio.as_ref();
    let service = options.and_then(|options| options.messaging_service_sid.clone());
    if let Some(sid) = &service {
        let account = resolved.account.clone()?;
        match account.messaging_service(sid).await {
            Ok(Some(_)) | Err(Error::Unauthorized(_) | Error::Refused(_)) => {}
            Ok(None) => {
                return Err(StatusReason::new(
                    Reason::ConnectionNotFound,
                    format!(
                        "The Twilio account has no messaging service {sid} (spec.twilio.messagingServiceSid)."
                    ),
                ));
            }
            Err(error) => return Err(provider_blocker(&error)),
        }
    }
    Ok(Routing::Twilio {
        voice_url,
        sms_url,
        messaging_service_sid: service,
    })
}

pub(super) async fn telnyx_routing(
    number: &PhoneNumber,
    view: &AccountView,
    burki: Option<&DirectoryKey>,
    cluster: &Cluster,
    directory: &Directory,
    resolved: &mut Resolved,
) -> Result<Routing, StatusReason> {
    let account = resolved.account.clone()?;
    let (voice_url, sms_url) = webhooks(number, view, TELNYX_PATH)?;
    resolved.sms_url.clone_from(&sms_url);
    let options = number.spec.telnyx.clone().unwrap_or_default();
    let defaults = view.spec.telnyx.as_ref();
    let of_assistant = match &resolved.assistant {
        Some((_, Ok(assistant))) => assistant.telnyx_connection_id.clone(),
        _ => None,
    };
    let connection_id = match options.connection_id.or(of_assistant) {
        Some(id) => Some(id),
        None => match burki {
            Some(Ok((origin, key))) if resolved.assistant.is_some() => directory
                .organization_connection(origin, key)
                .await
                .map_err(|error| directory_blocker(&error, view))?,
            _ => None,
        },
    };
    let connection_id =
        connection_id.or_else(|| defaults.and_then(|account| account.connection_id.clone())).ok_or_else(|| {
            StatusReason::new(
                Reason::ConnectionMissing,
                format!(
                    "No Telnyx connection is declared: set spec.telnyx.connectionId here or on {}, or set one on the \
                     assistant or the Burki organization.",
                    view.title
                ),
            )
        })?;
    let own = AccountKey::of(number);
    let managed = cluster.managers(&own, &account);
    let verify = async |home: WebhookOwner, id: &str, wanted: &str| {
        let manager = managed.get(&(home, id.to_owned()));
        let found = account.webhook(home, id).await;
        verified(home, id, found, wanted, manager, &own)
    };
    let calls = verify(WebhookOwner::Connection, &connection_id, &voice_url).await?;
    if calls.is_none() {
        resolved.webhook_url = Some(voice_url);
    }
    let declared = || defaults.and_then(|account| account.messaging_profile_id.clone());
    let profile_id = options.messaging_profile_id.or_else(declared);
    // Where no messages are wanted, no profile is.
    let profile = sms_url.as_ref().zip(profile_id);
    let messages = match &profile {
        Some((sms_url, id)) => verify(WebhookOwner::MessagingProfile, id, sms_url).await?,
        None => None,
    };
    resolved.webhooks = calls.into_iter().chain(messages).collect();
    Ok(Routing::Telnyx {
        connection_id,
        messaging_profile_id: profile.map(|(_, id)| id),
        billing_group_id: options.billing_group_id,
    })
}

/// `None` if the webhook is as wanted, else how the account is to set it, or why it may not.
fn verified(
    home: WebhookOwner,
    id: &str,
    found: Result<Option<Webhook>, Error>,
    wanted: &str,
    manager: Option<&Manager>,
    own: &AccountKey,
) -> Result<Option<ManagedWebhook>, StatusReason> {
    let Some(found) = found.map_err(|error| provider_blocker(&error))? else {
        return Err(StatusReason::new(
            Reason::ConnectionNotFound,
            format!("The Telnyx account has no {home} {id}."),
        ));
    };
    if found.leads_to(wanted) {
        return Ok(None);
    }
    let step = match manager {
        Some(Manager { key, url }) if key == own && url == wanted => {
            return Ok(Some(ManagedWebhook {
                home,
                id: id.to_owned(),
                url: url.clone(),
            }));
        }
        Some(Manager { key, url }) => format!(
            "{} manages it and sets it to {}. Declare the same URL here, or use another {home}.",
            limits::title(key, own),
            shown::address(url)
        ),
        None => format!(
            "Set it at Telnyx, or name the {home} in spec.telnyx of {} with connectionWebhook: Manage: the operator sets \
             only the webhooks of what the account itself names.",
            limits::title(own, own)
        ),
    };
    let url = found.url.as_deref().map(shown::address);
    let version = found.api_version.as_deref().and_then(shown::code);
    Err(StatusReason::new(
        Reason::ConnectionWebhookMismatch,
        format!(
            "The Telnyx {home} {id} has the webhook {} (API version {}), not {wanted} (API version 2). {step}",
            url.as_deref().unwrap_or("(none)"),
            version.unwrap_or("unknown"),
        ),
    ))
}

/// The voice webhook of `number`, and the SMS webhook if messages are wanted.
fn webhooks(
    number: &PhoneNumber,
    view: &AccountView,
    path: &str,
) -> Result<(String, Option<String>), StatusReason> {
    let overrides = number.spec.webhooks.clone().unwrap_or_default();
    let derived = view
        .spec
        .webhooks
        .as_ref()
        .map(|base| urls(base, path))
        .unzip();
    let voice = overrides.voice_url.or(derived.0);
    let sms = overrides.sms_url.or(derived.1);
    let is_wanted = number.spec.messaging != Messaging::None;
    match (voice, sms) {
        (Some(voice), _) if !is_wanted => Ok((voice, None)),
        (Some(voice), Some(sms)) => Ok((voice, Some(sms))),
        _ => Err(StatusReason::new(
            Reason::WebhookBaseMissing,
            format!(
                "Nobody says where calls go: set spec.webhooks.baseUrl on {}, or spec.webhooks.voiceUrl and smsUrl here.",
                view.title
            ),
        )),
    }
}
