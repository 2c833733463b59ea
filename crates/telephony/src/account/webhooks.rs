//! The webhooks of connections and messaging profiles (Telnyx), which many numbers share.

use super::Account;
use crate::number::Webhook;
use crate::provider::{Error, WebhookOwner};

impl Account {
    /// The webhook of the connection or messaging profile `id`, as seen not longer ago than the interval; `None` if the
    /// account has none with this id.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn webhook(&self, home: WebhookOwner, id: &str) -> Result<Option<Webhook>, Error> {
        let ask = self.call(self.provider_api.webhook(home, id));
        self.webhooks.get_or((home, id.to_owned()), ask).await
    }

    /// Points a webhook at `url` and returns it as it is then. However many ask for that at once, it is written once, and a
    /// failure is not tried again within the interval.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn set_webhook(
        &self,
        home: WebhookOwner,
        id: &str,
        url: &str,
    ) -> Result<Option<Webhook>, Error> {
        let write = async {
            self.call(self.provider_api.set_webhook(home, id, url))
                .await?;
            let written = self.call(self.provider_api.webhook(home, id)).await;
            if let (WebhookOwner::MessagingProfile, Ok(profile)) = (home, &written) {
                self.saw_profile(id, profile.clone());
            }
            written
        };
        let is_done = |known: &Result<Option<Webhook>, Error>| match known {
            Ok(Some(webhook)) => webhook.leads_to(url),
            Ok(None) | Err(_) => true,
        };
        let key = (home, id.to_owned());
        self.webhooks.get_if_or(key, is_done, write).await
    }
}
