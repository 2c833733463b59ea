//! Opens the account that a resource names, and says what an error of the provider means for the resource.

use std::sync::Arc;

use super::super::plan::acquire::refusal;
use crate::account::{Account, Accounts, Credentials, MissingKey};
use crate::api::{Reason, StatusReason};
use crate::cluster::AccountView;
use crate::cluster::secrets::{SecretName, Secrets, credentials_secret};
use crate::number::Provider;
use crate::provider::{Error, RefusalKind};

/// Opens the account with the credential in its Secret.
pub(crate) async fn open_account(
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

pub(super) fn missing_secret((namespace, name): &SecretName, view: &AccountView) -> StatusReason {
    StatusReason::new(
        Reason::CredentialsMissing,
        format!(
            "Secret {namespace}/{name}, which {} refers to, does not exist.",
            view.title
        ),
    )
}

pub(super) fn missing_key(
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
pub(crate) fn provider_blocker(error: &Error) -> StatusReason {
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

/// What a rule that does not hold means for the object of a reconcile.
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
