//! The account that is asked about: as the cluster declares it, and what it holds at the provider. The provider can only be
//! read from here: no request that writes leaves, and nothing but values comes back.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use phonenumber_api::{AccountKind, AccountSpec, AccountStatus, Adoption, SecretRef};
use secrecy::SecretString;
use telephony::account::{Account, Accounts, Credentials, Endpoints};
use telephony::clock::{Clock, Instant, MonotonicClock};
use telephony::number::{Holding, Offer, Provider, Search};
use telephony::provider::http::{Client, Reqwest, Transport};
use telephony::provider::{Error as ProviderError, RefusalKind};

use super::cluster::Cluster;
use super::error::Error;

/// An account as a person names it: `NAME`, `provideraccount/NAME` or `clusterprovideraccount/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AccountName {
    /// Its kind, if that was said.
    pub(super) kind: Option<AccountKind>,
    /// Its name.
    pub(super) name: String,
}

impl FromStr for AccountName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = match text.split_once('/') {
            None => (None, text),
            Some((kind, name)) => (Some(kind_of(kind)?), name),
        };
        let is_name = |name: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
            !name.is_empty() && name.len() <= 253 && name.chars().all(plain)
        };
        if !is_name(name) {
            return Err("it is not the name of an object".to_owned());
        }
        let name = name.to_owned();
        Ok(Self { kind, name })
    }
}

fn kind_of(text: &str) -> Result<AccountKind, String> {
    let suffix = format!(".{}", phonenumber_api::GROUP);
    match text.trim_end_matches(&suffix).to_ascii_lowercase().as_str() {
        "provideraccount" | "provideraccounts" | "pacc" => Ok(AccountKind::ProviderAccount),
        "clusterprovideraccount" | "clusterprovideraccounts" => {
            Ok(AccountKind::ClusterProviderAccount)
        }
        _ => Err("the kinds are provideraccount and clusterprovideraccount".to_owned()),
    }
}

/// What an account shows of what is on sale.
#[derive(Debug, Default)]
pub(super) struct Sale {
    /// What is on sale.
    pub(super) offers: Vec<Offer>,
    /// The provider's words where it has nothing there.
    pub(super) refusal: Option<String>,
    /// Why the price list could not be read, if it was needed.
    pub(super) no_prices: Option<String>,
}

/// An account as the cluster declares it.
pub(super) struct DeclaredAccount {
    pub(super) kind: AccountKind,
    pub(super) name: String,
    pub(super) spec: AccountSpec,
    /// What the operator says of it.
    pub(super) status: AccountStatus,
    /// Where its Secrets live.
    pub(super) secrets_in: String,
}

impl DeclaredAccount {
    /// Reads the account of this kind and name.
    pub(super) async fn read(
        kind: AccountKind,
        name: &str,
        operator_namespace: &str,
        cluster: &Cluster,
    ) -> Result<Self, Error> {
        let (spec, status, secrets_in) = match kind {
            AccountKind::ProviderAccount => {
                let account = cluster.provider_account(name).await?;
                (account.spec.account, account.status, cluster.namespace())
            }
            AccountKind::ClusterProviderAccount => {
                let account = cluster.cluster_provider_account(name).await?;
                (account.spec.account, account.status, operator_namespace)
            }
        };
        Ok(Self {
            kind,
            name: name.to_owned(),
            spec,
            status: status.unwrap_or_default(),
            secrets_in: secrets_in.to_owned(),
        })
    }

    pub(super) fn provider(&self) -> Provider {
        self.spec.provider
    }

    /// Which of its numbers it allows to be taken over.
    pub(super) fn adoption(&self) -> Adoption {
        let adoption = self.spec.limits.adoption;
        adoption.unwrap_or_else(|| Adoption::unless_said(self.kind))
    }

    /// Its kind and name, for people.
    pub(super) fn title(&self) -> String {
        match self.kind {
            AccountKind::ProviderAccount => {
                format!("ProviderAccount {}/{}", self.secrets_in, self.name)
            }
            AccountKind::ClusterProviderAccount => format!("ClusterProviderAccount {}", self.name),
        }
    }

    /// Every number that it holds at the provider, now.
    pub(super) async fn holdings(
        &self,
        cluster: &Cluster,
        endpoints: Endpoints,
    ) -> Result<Vec<Holding>, Error> {
        let (account, begun) = self.open(cluster, endpoints).await?;
        let listed = account.list(begun).await;
        listed.map_err(|error| self.unanswered(&error))?;
        Ok(account.holdings())
    }

    /// What `account`, which is this one at the provider, shows of what is on sale that is as `search` wants, as far as its answer
    /// shows, now. It lacks the prices that are not the offers' own.
    pub(super) async fn offers(&self, account: &Account, search: &Search) -> Result<Sale, Error> {
        let (provider, title) = (self.provider(), self.title());
        let mut sale = Sale::default();
        match account.on_sale(search).await {
            Ok(offers) => sale.offers = offers,
            Err(ProviderError::Refused(refusal)) if refusal.kind == RefusalKind::NotOnSale => {
                sale.refusal = Some(refusal.to_string());
            }
            Err(ProviderError::Refused(refusal)) => {
                return Err(Error::Provider(format!(
                    "{provider} refuses to search for {} for {title}: {refusal}. Ask for something else, or mend what it names",
                    search.title()
                )));
            }
            Err(error) => return Err(self.unanswered(&error)),
        }
        Ok(sale)
    }

    /// The same with the prices by which the operator buys: the offer's own, else that of the price list.
    pub(super) async fn on_sale(&self, account: &Account, search: &Search) -> Result<Sale, Error> {
        let mut sale = self.offers(account, search).await?;
        if sale.offers.iter().any(|offer| offer.price.is_none()) {
            match account.price(&search.country, search.kind).await {
                Ok(listed) => {
                    for offer in &mut sale.offers {
                        offer.price = offer.price.take().or_else(|| listed.clone());
                    }
                }
                Err(error) => sale.no_prices = Some(error.to_string()),
            }
        }
        Ok(sale)
    }

    /// The account at the provider, and when asking for it began.
    pub(super) async fn open(
        &self,
        cluster: &Cluster,
        endpoints: Endpoints,
    ) -> Result<(Arc<Account>, Instant), Error> {
        let credentials = self.credentials(cluster).await?;
        let clock = Arc::new(MonotonicClock::default());
        let begun = clock.now();
        let transport = Reqwest::new().map_err(|error| Error::Provider(error.to_string()))?;
        let client = reader(Arc::new(transport), Arc::clone(&clock) as Arc<dyn Clock>);
        let accounts = Accounts::new(client, endpoints, clock, Duration::ZERO, Duration::ZERO);
        let opened = accounts.open(&credentials).await;
        let account = opened.map_err(|error| self.unanswered(&error))?;
        Ok((account, begun))
    }

    async fn credentials(&self, cluster: &Cluster) -> Result<Credentials, Error> {
        let reference = self.secret_ref()?;
        let title = self.secret_title(reference);
        let secret = cluster.secret(&self.secrets_in, &reference.name).await?;
        let Some(secret) = secret else {
            let elsewhere = match self.kind {
                AccountKind::ProviderAccount => "",
                AccountKind::ClusterProviderAccount => {
                    ", or name the operator's namespace with --operator-namespace"
                }
            };
            return Err(Error::Missing {
                what: format!("{title}, which {} refers to, does not exist", self.title()),
                next: format!("Create it with the keys {}{elsewhere}", self.keys()),
            });
        };
        Credentials::from_keys(self.provider(), &texts(secret)).map_err(|missing| Error::Missing {
            what: format!(
                "{title}, which {} refers to, lacks the key {missing}",
                self.title()
            ),
            next: format!("The keys are {}", self.keys()),
        })
    }

    fn secret_ref(&self) -> Result<&SecretRef, Error> {
        let twilio = self.spec.twilio.as_ref();
        let telnyx = self.spec.telnyx.as_ref();
        let reference = match self.provider() {
            Provider::Twilio => twilio.map(|twilio| &twilio.credentials_secret_ref),
            Provider::Telnyx => telnyx.map(|telnyx| &telnyx.credentials_secret_ref),
        };
        reference.ok_or_else(|| Error::Missing {
            what: format!("{} does not say where its credentials are", self.title()),
            next: format!("Set spec.{}.credentialsSecretRef", self.provider()),
        })
    }

    fn secret_title(&self, reference: &SecretRef) -> String {
        format!("Secret {}/{}", self.secrets_in, reference.name)
    }

    fn keys(&self) -> &'static str {
        match self.provider() {
            Provider::Twilio => "accountSid with authToken, or with apiKeySid and apiKeySecret",
            Provider::Telnyx => "apiKey",
        }
    }

    pub(super) fn unanswered(&self, error: &ProviderError) -> Error {
        let (provider, title) = (self.provider(), self.title());
        Error::Provider(match error {
            ProviderError::Unauthorized(refusal) => {
                let secret = self
                    .secret_ref()
                    .map(|reference| self.secret_title(reference))
                    .unwrap_or_default();
                format!(
                    "{provider} refuses the credential of {title}: {refusal}. Put one that works into {secret}"
                )
            }
            ProviderError::Throttled(pause) => {
                let after = pause.map_or("later".to_owned(), |pause| {
                    format!("in {} s", pause.as_secs().saturating_add(1))
                });
                format!("{provider} asks {title} to slow down. Try again {after}")
            }
            error => format!("{provider} cannot be asked for {title}: {error}. Try again later"),
        })
    }
}

/// A client that sends nothing but reads: its gate is shut for ever.
fn reader(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Client {
    // For purchases alone.
    let timeout = Duration::ZERO;
    Client::new(
        transport,
        Arc::new(|| Err(super::ONLY_READS)),
        clock,
        timeout,
    )
}

fn texts(secret: Secret) -> BTreeMap<String, SecretString> {
    let values = secret.data.unwrap_or_default().into_iter();
    let text = |(key, value): (String, k8s_openapi::ByteString)| {
        Some((key, SecretString::from(String::from_utf8(value.0).ok()?)))
    };
    values.filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use telephony::provider::http::fake::{Fake, json};
    use telephony::provider::telnyx::Telnyx;
    use telephony::provider::{ProviderApi, WebhookOwner};

    #[tokio::test]
    async fn no_write_is_sent_to_a_provider() {
        let fake = Fake::with([json(200, json!({"data": {}}))]);
        let provider_api = Telnyx::new(
            reader(fake.clone(), fake.clone()),
            SecretString::from("fake-key"),
            None,
        );
        let written = provider_api.set_webhook(
            WebhookOwner::MessagingProfile,
            "1",
            "https://voice.example.com",
        );
        assert_eq!(
            written.await,
            Err(ProviderError::WriteNotAllowed(crate::ONLY_READS))
        );
        assert!(fake.asked().is_empty());
        assert!(
            provider_api
                .webhook(WebhookOwner::Connection, "1")
                .await
                .is_ok()
        );
        assert_eq!(fake.asked().len(), 1, "reads are sent");
    }

    #[test]
    fn an_account_is_named_with_or_without_its_kind() {
        use AccountKind::{ClusterProviderAccount, ProviderAccount};
        for (text, kind) in [
            ("twilio", None),
            ("provideraccount/twilio", Some(ProviderAccount)),
            ("pacc/twilio", Some(ProviderAccount)),
            (
                "provideraccounts.telephony.burki.dev/twilio",
                Some(ProviderAccount),
            ),
            (
                "ClusterProviderAccount/twilio",
                Some(ClusterProviderAccount),
            ),
        ] {
            let name = "twilio".to_owned();
            assert_eq!(text.parse(), Ok(AccountName { kind, name }), "{text}");
        }
        for text in [
            "",
            "/",
            "secret/twilio",
            "pacc/",
            "a/b/c",
            "../x",
            "Twilio",
            "a b",
        ] {
            assert!(text.parse::<AccountName>().is_err(), "{text}");
        }
    }
}
