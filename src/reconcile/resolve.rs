//! Finds out what a resource asks for, without asking the provider about numbers: account, credential, assistant,
//! connection, webhooks. Everything that can fail for free fails here, as a [`StatusReason`].

use std::sync::Arc;

use data_encoding::HEXLOWER;
use kube::ResourceExt;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use url::Url;

use super::limits::{self, AccountLimits};
use super::plan::ManagedWebhook;
use super::plan::acquire::refusal;
use super::providers::Providers;
use super::webhooks::{Manager, TELNYX_PATH, urls};
use crate::account::{Account, Accounts, Credentials, Directory, MissingKey, api_key};
use crate::api::{AccountKey, BurkiRef, Limits, PhoneNumber, Reason, StatusReason, owner};
use crate::burki::{Assistant, Burki, DirectoryError};
use crate::cluster::process::Settings;
use crate::cluster::secrets::{SecretName, Secrets, credentials_secret};
use crate::cluster::{AccountView, Cluster};
use crate::number::{Configuration, Mark, Origin, Provider, RegulatoryDocuments, Routing};
use crate::provider::{Error, RefusalKind, Webhook, WebhookOwner};
use crate::shown;

/// Burki's own hosted service, the only origin that needs no flag.
const BURKI_ORIGIN: &str = "https://api.burki.dev";

/// The longest name that leaves room for the mark in Twilio's friendly name, in bytes.
const NAME_BYTES: usize = 36;

/// What a resource asks for.
pub(super) struct Resolved {
    pub(crate) account: Result<Arc<Account>, StatusReason>,
    pub(crate) configuration: Result<Configuration, StatusReason>,
    pub(super) assistant: Option<(i64, Result<Assistant, StatusReason>)>,
    /// Where assistants are assigned, if the account says so.
    pub(crate) burki: Option<Burki>,
    /// The webhook of the connection (Telnyx), as it was verified.
    pub(super) webhook_url: Option<String>,
    /// The webhooks that the account manages and that are not as it wants them (Telnyx).
    pub(crate) webhooks: Vec<ManagedWebhook>,
    pub(crate) mark: Mark,
    pub(crate) name: String,
    /// The account's limits: the lowest of all accounts that open the same one at the provider.
    pub(crate) limits: AccountLimits,
    /// The account object, and the version of its Secret.
    asked_by: Option<(AccountView, Option<String>)>,
}

impl Resolved {
    /// A digest of what a purchase for this `generation` asks for, and by which account and credential: what a refusal
    /// holds for.
    pub(crate) fn request(&self, generation: i64) -> String {
        let Some((view, secret)) = &self.asked_by else {
            return String::new();
        };
        let spec = serde_json::to_string(&view.spec).unwrap_or_default();
        let secret = secret.as_deref().unwrap_or_default();
        let text = format!("{generation} {} {secret} {spec}", view.title);
        let mut digest = HEXLOWER.encode(&Sha256::digest(text));
        digest.truncate(16);
        digest
    }
}

/// Resolves `number`. A resource that is being deleted needs no configuration, and may use a credential whose Secret is
/// gone.
///
/// # Errors
/// Those of the API server.
pub(super) async fn resolve(
    number: &PhoneNumber,
    cluster: &Cluster,
    providers: &Providers,
    settings: &Settings,
) -> Result<Resolved, kube::Error> {
    let deleting = number.metadata.deletion_timestamp.is_some();
    let mut resolved = Resolved {
        account: Err(StatusReason::new(Reason::AccountNotFound, "")),
        configuration: Err(StatusReason::new(Reason::Releasing, "")),
        assistant: None,
        burki: None,
        webhook_url: None,
        webhooks: Vec::new(),
        mark: Mark::new(Origin::Bought, &settings.installation, &owner(number)),
        name: name_of(number),
        limits: AccountLimits::of(&Limits::default(), ""),
        asked_by: None,
    };
    let view = match cluster
        .account_of(number)
        .and_then(|view| usable(view, number))
    {
        Ok(view) => view,
        Err(blocker) => {
            resolved.account = Err(blocker.clone());
            resolved.configuration = Err(blocker.clone());
            resolved.assistant = number.spec.assistant_id.map(|id| (id, Err(blocker)));
            return Ok(resolved);
        }
    };
    let key = AccountKey::of(number);
    resolved.account = open_account(&view, &cluster.secrets, &providers.accounts, deleting).await?;
    if !deleting {
        cluster.opened(&key, &resolved.account, providers);
    }
    resolved.limits = match &resolved.account {
        Ok(account) => cluster.limits_of(account, &key, &view.spec.limits),
        Err(_) => AccountLimits::of(&view.spec.limits, &view.title),
    };
    let burki = match &view.spec.burki {
        None => None,
        Some(burki) => {
            Some(directory_of(burki, &view, &cluster.secrets, settings, deleting).await?)
        }
    };
    if let Some(Ok((origin, key))) = &burki {
        resolved.burki = Some(providers.directory.open(origin.clone(), key.clone()));
    }
    if deleting {
        return Ok(resolved);
    }
    if let Some(denied) = view.denied {
        resolved.configuration = Err(denied.clone());
        resolved.assistant = number.spec.assistant_id.map(|id| (id, Err(denied)));
        return Ok(resolved);
    }
    if let Some(id) = number.spec.assistant_id {
        resolved.assistant = Some((
            id,
            assistant(id, burki.as_ref(), &view, &providers.directory).await,
        ));
    }
    let routing = match number.spec.provider {
        Provider::Twilio => twilio_routing(number, &view, &resolved).await,
        Provider::Telnyx => {
            telnyx_routing(
                number,
                &view,
                burki.as_ref(),
                cluster,
                &providers.directory,
                &mut resolved,
            )
            .await
        }
    };
    resolved.configuration = routing.map(|routing| Configuration {
        name: resolved.name.clone(),
        mark: resolved.mark.clone(),
        routing,
        papers: papers(number),
    });
    let secret = credentials_secret(&view.spec, &view.namespace)
        .and_then(|name| cluster.secrets.version(&name));
    resolved.asked_by = Some((view, secret));
    Ok(resolved)
}

/// The account, if `number` may use it, or has used it before it lost that right: what it holds is still looked at, recorded and
/// released. The status tells, which only the operator writes.
fn usable(mut view: AccountView, number: &PhoneNumber) -> Result<AccountView, StatusReason> {
    let status = number.status.as_ref();
    // What is held stays as it is until it is known that it lost the right.
    if !view.is_forbidden() && status.is_some_and(|status| status.id.is_some()) {
        view.denied = None;
    }
    let Some(denied) = &view.denied else {
        return Ok(view);
    };
    let has_used_it = status.is_some_and(|status| {
        status.id.is_some() || status.order_id.is_some() || status.attempt.is_some()
    });
    if has_used_it {
        Ok(view)
    } else {
        Err(denied.clone())
    }
}

/// Opens the account with the credential in its Secret.
pub(super) async fn open_account(
    view: &AccountView,
    secrets: &Secrets,
    accounts: &Accounts,
    to_release: bool,
) -> Result<Result<Arc<Account>, StatusReason>, kube::Error> {
    let Some(secret) = credentials_secret(&view.spec, &view.namespace) else {
        let message = format!("{} does not say where its credentials are.", view.title);
        return Ok(Err(StatusReason::new(Reason::InvalidSpec, message)));
    };
    let keys = if to_release {
        secrets.keys_to_release_with(&secret).await?
    } else {
        secrets.keys(&secret).await?
    };
    let Some(keys) = keys else {
        return Ok(Err(missing_secret(&secret, view)));
    };
    let credentials = match Credentials::from_keys(view.spec.provider, &keys) {
        Ok(credentials) => credentials,
        Err(missing) => return Ok(Err(missing_key(&secret, &missing, view))),
    };
    Ok(accounts
        .open(&credentials)
        .await
        .map_err(|error| unopened(&error, &secret, view)))
}

fn missing_secret((namespace, name): &SecretName, view: &AccountView) -> StatusReason {
    StatusReason::new(
        Reason::CredentialsMissing,
        format!(
            "Secret {namespace}/{name}, which {} refers to, does not exist.",
            view.title
        ),
    )
}

fn missing_key(
    (namespace, name): &SecretName,
    missing: &MissingKey,
    view: &AccountView,
) -> StatusReason {
    StatusReason::new(
        Reason::CredentialsMissing,
        format!(
            "Secret {namespace}/{name}, which {} refers to, lacks the key {missing}.",
            view.title
        ),
    )
}

fn unopened(error: &Error, (namespace, name): &SecretName, view: &AccountView) -> StatusReason {
    match error {
        Error::Unauthorized(refusal) => {
            let keys = match view.spec.provider {
                Provider::Twilio => "accountSid with authToken, or apiKeySid with apiKeySecret",
                Provider::Telnyx => "apiKey",
            };
            StatusReason::new(
                Reason::CredentialsInvalid,
                format!(
                    "{} refuses the credential in Secret {namespace}/{name} (keys {keys}) of {}: {refusal}.",
                    view.spec.provider, view.title
                ),
            )
        }
        Error::Refused(refusal) if refusal.kind == RefusalKind::PurchasingNotEnabled => {
            StatusReason::new(
                Reason::PurchasingNotEnabled,
                format!("{}: {refusal}.", view.title),
            )
        }
        error => provider_blocker(error),
    }
}

/// What an error of a read or a repeatable write means where nobody knows better.
pub(super) fn provider_blocker(error: &Error) -> StatusReason {
    match error {
        Error::Throttled(_) => {
            StatusReason::new(Reason::RateLimited, "The provider asks to slow down.")
        }
        Error::Unauthorized(refusal) => StatusReason::new(
            Reason::CredentialsInvalid,
            format!("The provider refuses the credential: {refusal}."),
        ),
        Error::Refused(refused) => {
            let (reason, _) = refusal(refused.kind);
            let message = format!(
                "The provider refuses what the operator asks it for: {refused}. Mend what it names; it is asked again \
                 from time to time."
            );
            StatusReason::new(reason, message)
        }
        Error::Invariant(why) => broken_rule(why),
        error => StatusReason::new(
            Reason::ProviderUnavailable,
            format!("{}.", capitalized(&error.to_string())),
        ),
    }
}

/// What a rule that does not hold means for the object of a pass.
fn broken_rule(why: &str) -> StatusReason {
    StatusReason::new(
        Reason::InternalError,
        format!(
            "A rule of the operator does not hold: {why}. Nothing was sent for this step, and what was bought before \
             is still paid. It is tried again after a pause. This is a fault of the operator: please report it with the \
             error in its log."
        ),
    )
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

type DirectoryKey = Result<(Url, SecretString), StatusReason>;

async fn directory_of(
    burki: &BurkiRef,
    view: &AccountView,
    secrets: &Secrets,
    settings: &Settings,
    to_release: bool,
) -> Result<DirectoryKey, kube::Error> {
    let origin = burki.url.trim_end_matches('/');
    if origin != BURKI_ORIGIN
        && !settings
            .burki_origins
            .iter()
            .any(|allowed| allowed == origin)
    {
        return Ok(Err(StatusReason::new(
            Reason::AssistantUnverifiable,
            format!(
                "{} names the Burki origin {origin}, which the operator may not send keys to. Start it with \
                 --allow-burki-origin {origin} if it should.",
                view.title
            ),
        )));
    }
    // The rule of the definition came later than some accounts.
    let telnyx = view.spec.telnyx.as_ref();
    if telnyx.is_some_and(|telnyx| telnyx.credentials_secret_ref == burki.credentials_secret_ref) {
        return Ok(Err(StatusReason::new(
            Reason::AssistantUnverifiable,
            format!(
                "{} names one Secret for Telnyx and for Burki, so the key of Telnyx would go to Burki. Nothing is sent. Put \
                 the key of Burki into a Secret of its own (spec.burki.credentialsSecretRef).",
                view.title
            ),
        )));
    }
    let diverted = settings
        .burki_endpoint
        .clone()
        .filter(|_| origin == BURKI_ORIGIN);
    let Some(url) = diverted.or_else(|| Url::parse(origin).ok()) else {
        let message = format!("spec.burki.url of {} is not a URL.", view.title);
        return Ok(Err(StatusReason::new(Reason::InvalidSpec, message)));
    };
    let secret = (
        view.namespace.clone(),
        burki.credentials_secret_ref.name.clone(),
    );
    let keys = if to_release {
        secrets.keys_to_release_with(&secret).await?
    } else {
        secrets.keys(&secret).await?
    };
    Ok(match keys {
        None => Err(missing_secret(&secret, view)),
        Some(keys) => match api_key(&keys) {
            Ok(key) => Ok((url, key)),
            Err(missing) => Err(missing_key(&secret, &missing, view)),
        },
    })
}

async fn assistant(
    id: i64,
    burki: Option<&DirectoryKey>,
    view: &AccountView,
    directory: &Directory,
) -> Result<Assistant, StatusReason> {
    let (origin, key) = match burki {
        None => {
            return Err(StatusReason::new(
                Reason::AssistantUnverifiable,
                format!(
                    "{} has no spec.burki, so assistant {id} cannot be looked up.",
                    view.title
                ),
            ));
        }
        Some(Err(blocker)) => return Err(blocker.clone()),
        Some(Ok(key)) => key,
    };
    match directory.assistant(origin, key, id).await {
        Ok(Some(assistant)) if assistant.active => Ok(assistant),
        Ok(Some(assistant)) => Err(StatusReason::new(
            Reason::AssistantInactive,
            format!(
                "Assistant {id} ({}) is switched off at Burki.",
                assistant.name
            ),
        )),
        Ok(None) => Err(StatusReason::new(
            Reason::AssistantNotFound,
            format!(
                "Burki has no assistant {id} in the organization of {}.",
                view.title
            ),
        )),
        Err(error) => Err(directory_blocker(&error, view)),
    }
}

fn directory_blocker(error: &DirectoryError, view: &AccountView) -> StatusReason {
    match (error, &view.spec.burki) {
        (DirectoryError::Unauthorized(text), Some(burki)) => StatusReason::new(
            Reason::CredentialsInvalid,
            format!(
                "Burki refuses the key apiKey in Secret {}/{} of {}: {text}.",
                view.namespace, burki.credentials_secret_ref.name, view.title
            ),
        ),
        (error, _) => StatusReason::new(
            Reason::AssistantUnverifiable,
            format!("Burki cannot be asked: {error}."),
        ),
    }
}

/// A credential that may not read messaging services loses only the check.
async fn twilio_routing(
    number: &PhoneNumber,
    view: &AccountView,
    resolved: &Resolved,
) -> Result<Routing, StatusReason> {
    let (voice_url, sms_url) = webhooks(number, view, "/twiml")?;
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
        sms_url: Some(sms_url),
        messaging_service_sid: service,
    })
}

async fn telnyx_routing(
    number: &PhoneNumber,
    view: &AccountView,
    burki: Option<&DirectoryKey>,
    cluster: &Cluster,
    directory: &Directory,
    resolved: &mut Resolved,
) -> Result<Routing, StatusReason> {
    let account = resolved.account.clone()?;
    let (voice_url, sms_url) = webhooks(number, view, TELNYX_PATH)?;
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
    let profile_id = options
        .messaging_profile_id
        .or_else(|| defaults.and_then(|account| account.messaging_profile_id.clone()));
    let messages = match &profile_id {
        Some(id) => verify(WebhookOwner::MessagingProfile, id, &sms_url).await?,
        None => None,
    };
    resolved.webhooks = calls.into_iter().chain(messages).collect();
    Ok(Routing::Telnyx {
        connection_id,
        messaging_profile_id: profile_id,
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

/// The voice and SMS webhooks of `number`.
fn webhooks(
    number: &PhoneNumber,
    view: &AccountView,
    path: &str,
) -> Result<(String, String), StatusReason> {
    let overrides = number.spec.webhooks.clone().unwrap_or_default();
    let derived = view
        .spec
        .webhooks
        .as_ref()
        .map(|base| urls(base, path))
        .unzip();
    match (
        overrides.voice_url.or(derived.0),
        overrides.sms_url.or(derived.1),
    ) {
        (Some(voice), Some(sms)) => Ok((voice, sms)),
        _ => Err(StatusReason::new(
            Reason::WebhookBaseMissing,
            format!(
                "Nobody says where calls go: set spec.webhooks.baseUrl on {}, or spec.webhooks.voiceUrl and smsUrl here.",
                view.title
            ),
        )),
    }
}

fn papers(number: &PhoneNumber) -> RegulatoryDocuments {
    let twilio = number.spec.twilio.clone().unwrap_or_default();
    let telnyx = number.spec.telnyx.clone().unwrap_or_default();
    RegulatoryDocuments {
        address_sid: twilio.address_sid,
        bundle_sid: twilio.bundle_sid,
        identity_sid: twilio.identity_sid,
        requirement_group_id: telnyx.requirement_group_id,
    }
}

fn name_of(number: &PhoneNumber) -> String {
    let mut name = number.spec.friendly_name.clone().unwrap_or_else(|| {
        let mut name = number.name_any();
        name.truncate(NAME_BYTES);
        name
    });
    if number.spec.provider == Provider::Twilio {
        name.truncate(name.floor_char_boundary(NAME_BYTES));
    }
    name
}
