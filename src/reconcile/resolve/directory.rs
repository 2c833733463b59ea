//! Asks Burki for the assistant that a resource names, with the key that its account names.

use secrecy::SecretString;
use url::Url;

use super::opening::{missing_key, missing_secret};
use crate::account::{Directory, api_key};
use crate::api::{BurkiRef, Reason, StatusReason};
use crate::burki::{Assistant, DirectoryError};
use crate::cluster::AccountView;
use crate::cluster::process::Settings;
use crate::cluster::secrets::Secrets;

/// Burki's own hosted service, the only origin that needs no flag.
const BURKI_ORIGIN: &str = "https://api.burki.dev";

pub(super) type DirectoryKey = Result<(Url, SecretString), StatusReason>;

pub(super) async fn directory_of(
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

pub(super) async fn assistant(
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

pub(super) fn directory_blocker(error: &DirectoryError, view: &AccountView) -> StatusReason {
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
