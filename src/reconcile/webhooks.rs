//! Which account sets the webhook of a connection or a messaging profile (Telnyx). Several accounts may name the same one,
//! and two that set it to different URLs would write against each other for ever.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::purchasers::Opened;
use crate::account::Account;
use crate::api::{AccountKey, AccountSpec, ConnectionWebhook, WebhookBase};
use crate::cluster::Cluster;
use crate::cluster::any_account::AnyAccount;
use crate::provider::WebhookOwner;

/// Where Burki takes Telnyx's events.
pub(super) const TELNYX_PATH: &str = "/telnyx-webhook";

/// The account that sets a webhook, and to what.
pub(super) struct Manager {
    pub(crate) key: AccountKey,
    pub(crate) url: String,
}

impl Cluster {
    /// Who manages the webhooks of the connections and messaging profiles in `account`: of the accounts that name one
    /// themselves and may set its webhook, the oldest. `own` counts also before it is known what it opens.
    pub(super) fn managers(
        &self,
        own: &AccountKey,
        account: &Account,
    ) -> BTreeMap<(WebhookOwner, String), Manager> {
        let ids = account.names();
        let place = |it: &ObjectMeta| {
            let created = it.creation_timestamp.as_ref().map(|time| time.0);
            (created, it.namespace.clone(), it.name.clone())
        };
        let all = self.caches.accounts_as(
            |it| (place(&it.metadata), it.key(), it.spec.account.clone()),
            |it| (place(&it.metadata), it.key(), it.spec.account.clone()),
        );
        let opens = |key: &AccountKey| matches!(self.opened_by(key), Opened::Account(id) if ids.contains(&id));
        let mut managers: Vec<_> = all
            .into_iter()
            .filter(|(_, key, _)| key == own || opens(key))
            .collect();
        managers.sort_by(|one, other| one.0.cmp(&other.0));
        let mut found = BTreeMap::new();
        for (_, key, spec) in managers {
            for (home, id, url) in managed(&spec) {
                let key = key.clone();
                found.entry((home, id)).or_insert(Manager { key, url });
            }
        }
        found
    }
}

/// What an account manages, and to which URLs it sets the webhooks.
fn managed(spec: &AccountSpec) -> Vec<(WebhookOwner, String, String)> {
    let telnyx = spec.telnyx.as_ref();
    let telnyx = telnyx.filter(|it| it.connection_webhook == ConnectionWebhook::Manage);
    let (Some(telnyx), Some(base)) = (telnyx, &spec.webhooks) else {
        return Vec::new();
    };
    let (voice, sms) = urls(base, TELNYX_PATH);
    let homes = [
        (
            WebhookOwner::Connection,
            telnyx.connection_id.clone(),
            voice,
        ),
        (
            WebhookOwner::MessagingProfile,
            telnyx.messaging_profile_id.clone(),
            sms,
        ),
    ];
    let named = homes.into_iter();
    named
        .filter_map(|(home, id, url)| Some((home, id?, url)))
        .collect()
}

/// The voice and SMS webhooks that an account derives from its base URL.
pub(super) fn urls(base: &WebhookBase, path: &str) -> (String, String) {
    let root = base.base_url.trim_end_matches('/');
    let url = |own: Option<&String>| format!("{root}{}", own.map_or(path, String::as_str));
    (url(base.voice_path.as_ref()), url(base.sms_path.as_ref()))
}
