//! Finds out what a resource asks for, without asking the provider about numbers: account, credential, assistant,
//! connection, webhooks. Everything that can fail for free fails here, as a [`StatusReason`].

mod directory;
mod opening;
mod routing;

use std::sync::Arc;

use data_encoding::HEXLOWER;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::limits::AccountLimits;
use super::plan::ManagedWebhook;
use super::providers::Providers;
use crate::account::Account;
use crate::api::{AccountKey, Limits, Money, PhoneNumber, Reason, StatusReason, owner};
use crate::burki::{Assistant, Burki};
use crate::cluster::process::Settings;
use crate::cluster::secrets::credentials_secret;
use crate::cluster::{AccountView, Cluster};
use crate::number::{Configuration, Mark, Origin, Provider, RegulatoryDocuments};
use directory::{assistant, directory_of};
pub(super) use opening::{open_account, provider_blocker};
use routing::{telnyx_routing, twilio_routing};

/// The longest name that leaves room for the mark in Twilio's friendly name, in bytes.
const NAME_BYTES: usize = 36;

/// What a resource asks for.
pub(super) struct Resolved {
    pub(crate) account: Result<Arc<Account>, StatusReason>,
    pub(crate) configuration: Result<Configuration, StatusReason>,
    pub(super) assistant: Option<(i64, Result<Assistant, StatusReason>)>,
    /// Where assistants are assigned, if the account says so.
    pub(crate) burki: Option<Burki>,
    /// Where messages are to go, if any are wanted.
    pub(super) sms_url: Option<String>,
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
    /// What the account must keep after a purchase.
    pub(super) fn minimum_balance(&self) -> Option<&Money> {
        let (view, _) = self.asked_by.as_ref()?;
        view.spec.balance.as_ref()?.minimum.as_ref()
    }

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
        sms_url: None,
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
        Provider::Twilio => twilio_routing(number, &view, &mut resolved).await,
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
