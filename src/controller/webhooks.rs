//! Which account sets the webhook of a connection or a messaging profile (Telnyx). Several accounts may name the same one,
//! and two that set it to different URLs would write against each other for ever.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::context::Context;
use super::index::Key;
use super::limits::key_of;
use super::openings::Opened;
use super::resolve::telnyx_urls;
use crate::account::Account;
use crate::api::{AccountSpec, ConnectionWebhook};
use crate::provider::Home;

/// The account that sets a webhook, and to what.
pub(super) struct Manager {
    pub(super) key: Key,
    pub(super) url: String,
}

impl Context {
    /// Who manages the webhooks of the connections and messaging profiles in `account`: of the accounts that name one
    /// themselves and may set its webhook, the oldest. `own` counts also before it is known what it opens.
    pub(super) fn managers(
        &self,
        own: &Key,
        account: &Account,
    ) -> BTreeMap<(Home, String), Manager> {
        let ids = account.names();
        let place = |it: &ObjectMeta| {
            let created = it.creation_timestamp.as_ref().map(|time| time.0);
            (created, it.namespace.clone(), it.name.clone())
        };
        let all = self.stores.accounts_as(
            |it| (place(&it.metadata), key_of(it), it.spec.account.clone()),
            |it| (place(&it.metadata), key_of(it), it.spec.account.clone()),
        );
        let opens =
            |key: &Key| matches!(self.opened_by(key), Opened::Account(id) if ids.contains(&id));
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
fn managed(spec: &AccountSpec) -> Vec<(Home, String, String)> {
    let telnyx = spec.telnyx.as_ref();
    let telnyx = telnyx.filter(|it| it.connection_webhook == ConnectionWebhook::Manage);
    let (Some(telnyx), Some(base)) = (telnyx, &spec.webhooks) else {
        return Vec::new();
    };
    let (voice, sms) = telnyx_urls(base);
    let homes = [
        (Home::Connection, telnyx.connection_id.clone(), voice),
        (
            Home::MessagingProfile,
            telnyx.messaging_profile_id.clone(),
            sms,
        ),
    ];
    let named = homes.into_iter();
    named
        .filter_map(|(home, id, url)| Some((home, id?, url)))
        .collect()
}
