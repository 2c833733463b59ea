//! `ProviderAccount` and `ClusterProviderAccount`: who pays, and where calls go.

mod status;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telephony::number::{Kind, Provider};

use super::AccountKind;
pub use status::{AccountBalance, AccountStatus, MonthlyCost, UnheldNumber};

/// An account at a provider.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "telephony.burki.dev",
    version = "v1alpha1",
    kind = "ProviderAccount",
    namespaced,
    shortname = "pacc",
    category = "telephony",
    status = "AccountStatus",
    derive = "PartialEq",
    doc = "An account at Twilio or Telnyx that the PhoneNumbers of its namespace are bought with.",
    selectable = ".spec.provider",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider"),
    printcolumn(name = "Account-ID", type_ = "string", json_path = ".status.accountId"),
    printcolumn(name = "Managed", type_ = "integer", json_path = ".status.managed"),
    printcolumn(name = "Unmanaged", type_ = "integer", json_path = ".status.unmanaged"),
    printcolumn(name = "Orphaned", type_ = "integer", json_path = ".status.orphaned"),
    printcolumn(
        name = "Monthly",
        type_ = "string",
        json_path = ".status.monthlyCost.display"
    ),
    printcolumn(
        name = "Balance",
        type_ = "string",
        json_path = ".status.balance.display"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ProviderAccountSpec {
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub account: AccountSpec,
}

/// An account at a provider, for many namespaces.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "telephony.burki.dev",
    version = "v1alpha1",
    kind = "ClusterProviderAccount",
    shortname = "cpacc",
    category = "telephony",
    status = "AccountStatus",
    derive = "PartialEq",
    doc = "An account at Twilio or Telnyx for many namespaces. Its Secrets live in the operator's namespace.",
    selectable = ".spec.provider",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider"),
    printcolumn(name = "Account-ID", type_ = "string", json_path = ".status.accountId"),
    printcolumn(name = "Managed", type_ = "integer", json_path = ".status.managed"),
    printcolumn(name = "Unmanaged", type_ = "integer", json_path = ".status.unmanaged"),
    printcolumn(name = "Orphaned", type_ = "integer", json_path = ".status.orphaned"),
    printcolumn(
        name = "Monthly",
        type_ = "string",
        json_path = ".status.monthlyCost.display"
    ),
    printcolumn(
        name = "Balance",
        type_ = "string",
        json_path = ".status.balance.display"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterProviderAccountSpec {
    #[serde(flatten)]
    #[allow(missing_docs)]
    pub account: AccountSpec,

    /// The namespaces whose PhoneNumbers may use this account, by their labels. Absent: none. Empty ({}): all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<NamespaceSelector>,
}

/// Namespaces by their labels; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct NamespaceSelector {
    /// Labels that a namespace must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub match_labels: BTreeMap<String, String>,
    /// What is asked of the labels of a namespace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// What is asked of a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelRequirement {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// In and NotIn compare it with the values; Exists and DoesNotExist do not.
    pub operator: LabelOperator,
    /// The values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)), extend("x-kubernetes-list-type" = "atomic"))]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// Its value is among the values.
    In,
    /// Its value, if it has one, is not among the values.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl From<&NamespaceSelector> for LabelSelector {
    fn from(selector: &NamespaceSelector) -> Self {
        let expressions = selector.match_expressions.iter();
        Self {
            match_labels: Some(selector.match_labels.clone()),
            match_expressions: Some(
                expressions
                    .map(|requirement| LabelSelectorRequirement {
                        key: requirement.key.clone(),
                        operator: format!("{:?}", requirement.operator),
                        values: Some(requirement.values.clone()),
                    })
                    .collect(),
            ),
        }
    }
}

/// What both kinds of accounts declare.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.provider == 'twilio' ? has(self.twilio) && !has(self.telnyx) : has(self.telnyx) && !has(self.twilio)").message("twilio must be set with provider twilio, telnyx with provider telnyx, and not the other").reason(Reason::FieldValueRequired),
    validation = Rule::new("!has(self.telnyx) || !has(self.burki) || self.telnyx.credentialsSecretRef.name != self.burki.credentialsSecretRef.name").message("burki must have a Secret of its own: otherwise the Telnyx key is sent to Burki").reason(Reason::FieldValueForbidden),
)]
#[serde(rename_all = "camelCase")]
pub struct AccountSpec {
    /// The provider: twilio or telnyx. Cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("must not be changed: create another account").reason(Reason::FieldValueForbidden))]
    pub provider: Provider,

    /// How to reach Twilio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twilio: Option<TwilioAccount>,

    /// How to reach Telnyx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telnyx: Option<TelnyxAccount>,

    /// Where the voice assistants answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<WebhookBase>,

    /// The Burki organization whose assistants answer. Needed for PhoneNumbers with an assistantId.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burki: Option<BurkiRef>,

    /// What is to be left at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<BalanceSpec>,

    /// How much may be bought, released, held and spent. Where several accounts open one account at the provider, the
    /// lowest limit holds.
    #[serde(default)]
    pub limits: Limits,
}

/// What is to be left at the provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BalanceSpec {
    /// Below this balance the message of Ready says so, and the alert PhoneNumberBalanceLow fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_below: Option<Money>,
    /// What a purchase must leave. Nothing is bought that leaves less, nor while the provider tells no balance or no price, nor with
    /// either in another currency. The provider takes a while to show what was spent, so a purchase may leave less all the same.
    /// Unset: 0 at Telnyx, where the balance is the available credit. A Twilio account may be charged below 0, so its balance then
    /// stops nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Money>,
}

/// How much may be bought, released, held and spent in an account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// How many numbers may be bought in any 60 minutes.
    #[serde(default = "purchases_per_hour")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub purchases_per_hour: i32,
    /// How many numbers may be released in any 60 minutes.
    #[serde(default = "releases_per_hour")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub releases_per_hour: i32,
    /// How long a bought number is kept after its PhoneNumber was deleted, such as 72h, 90m or 1h30m. Calls and messages go on
    /// meanwhile. deletionPolicy Retain ends the wait and keeps the number, Release ends it and releases the number. Unset: no
    /// wait. More than 9999h counts as 9999h. Where several accounts open one account at the provider, the longest holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 2, max = 16),
        regex(pattern = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$")
    )]
    pub release_delay: Option<String>,
    /// How many numbers the account may hold, also those that no operator manages. No number is bought beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_numbers: Option<i64>,
    /// What the managed numbers may cost each month together. No number is bought beyond, nor one whose price is not
    /// known or in another currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_monthly_cost: Option<Money>,
    /// What each number may cost once, with its purchase: the setup fee. No number is bought whose fee is higher, nor one whose
    /// price is not known or in another currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_upfront_cost: Option<Money>,
    /// The countries (ISO 3166 alpha-2) that numbers may be bought in. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(max = 2), regex(pattern = r"^[A-Z]{2}$")),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub allowed_countries: Vec<String>,
    /// The types of numbers that may be bought: local, mobile, tollFree. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub allowed_types: Vec<Kind>,
    /// Which numbers that the account holds already a PhoneNumber with adoptionPolicy Adopt may take over. Unset: Orphans for a
    /// ProviderAccount, Never for a ClusterProviderAccount. allowedCountries, allowedTypes and maxNumbers hold for these numbers
    /// too, and at most purchasesPerHour of them are taken over in any 60 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// How many requests may be under way at the provider at once.
    #[serde(default = "max_concurrent_requests")]
    #[schemars(range(min = 1, max = 256))]
    pub max_concurrent_requests: i32,
}

/// Which numbers may be taken over.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Adoption {
    /// None.
    #[default]
    Never,
    /// Those without a mark: no operator manages them.
    Unmarked,
    /// Those, and those whose PhoneNumber does not exist any more. In a ClusterProviderAccount that must have been a PhoneNumber
    /// of the same namespace, which the annotation telephony.burki.dev/formerly names.
    Orphans,
}

impl Adoption {
    /// What an account of this kind allows that does not say it.
    pub fn unless_said(kind: AccountKind) -> Self {
        match kind {
            AccountKind::ProviderAccount => Self::Orphans,
            AccountKind::ClusterProviderAccount => Self::Never,
        }
    }
}

/// The longest releaseDelay that counts: 9 999 hours.
const LONGEST_RELEASE_DELAY: Duration = Duration::from_secs(9_999 * 3_600);

fn purchases_per_hour() -> i32 {
    100
}

fn releases_per_hour() -> i32 {
    50
}

fn max_concurrent_requests() -> i32 {
    16
}

impl Limits {
    /// `releaseDelay` as a duration: zero if it is unset, and the longest that counts if it is longer or cannot be read.
    pub fn release_delay(&self) -> Duration {
        match &self.release_delay {
            None => Duration::ZERO,
            Some(text) => match text.parse::<SignedDuration>() {
                Ok(delay) => delay.unsigned_abs().min(LONGEST_RELEASE_DELAY),
                Err(_) => LONGEST_RELEASE_DELAY,
            },
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            purchases_per_hour: purchases_per_hour(),
            releases_per_hour: releases_per_hour(),
            release_delay: None,
            max_numbers: None,
            max_monthly_cost: None,
            max_upfront_cost: None,
            allowed_countries: Vec::new(),
            allowed_types: Vec::new(),
            adoption: None,
            max_concurrent_requests: max_concurrent_requests(),
        }
    }
}

/// A Secret in the account's namespace; for a ClusterProviderAccount, in the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct SecretRef {
    /// Its name.
    #[schemars(
        length(max = 253),
        regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// How to reach Twilio.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TwilioAccount {
    /// The Secret with the keys accountSid and authToken, or accountSid, apiKeySid and apiKeySecret.
    pub credentials_secret_ref: SecretRef,
}

/// How to reach Telnyx.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TelnyxAccount {
    /// The Secret with the key apiKey.
    pub credentials_secret_ref: SecretRef,
    /// The Call Control Application for numbers that name none, nor their assistant, nor the Burki organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^[0-9]+$"))]
    pub connection_id: Option<String>,
    /// The messaging profile for numbers that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[0-9a-zA-Z-]+$"))]
    pub messaging_profile_id: Option<String>,
    /// Verify: a connection or messaging profile with another webhook is reported. Manage: the operator sets the webhooks
    /// of the connectionId and the messagingProfileId above, also for all other numbers that share them, and of no others.
    #[serde(default)]
    pub connection_webhook: ConnectionWebhook,
}

/// May the operator set the webhook of a connection and of a messaging profile?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConnectionWebhook {
    /// No: one that differs is reported.
    #[default]
    Verify,
    /// Yes.
    Manage,
}

/// Where the voice assistants answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookBase {
    /// The base URL. Twilio numbers get {baseUrl}/twiml for voice and SMS; Telnyx connections and messaging profiles
    /// are expected to have {baseUrl}/telnyx-webhook.
    #[schemars(
        length(max = 512),
        regex(pattern = r"^https://[^\s/?#@]+(/[^\s?#]*)?$")
    )]
    pub base_url: String,
    /// The path for calls instead of /twiml or /telnyx-webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = r"^/[^\s]*$"))]
    pub voice_path: Option<String>,
    /// The path for messages instead of /twiml or /telnyx-webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = r"^/[^\s]*$"))]
    pub sms_path: Option<String>,
}

/// A Burki organization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BurkiRef {
    /// The origin of its API. Others than https://api.burki.dev must be allowed by the operator's flag
    /// --allow-burki-origin.
    #[serde(default = "default_burki_url")]
    #[schemars(length(max = 256), regex(pattern = r"^https?://[^\s/?#@]+$"))]
    pub url: String,
    /// The Secret with the key apiKey.
    pub credentials_secret_ref: SecretRef,
}

fn default_burki_url() -> String {
    "https://api.burki.dev".into()
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct Money {
    /// The amount, as a decimal such as 2.00.
    #[schemars(length(max = 16), regex(pattern = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"))]
    pub amount: String,
    /// The currency, as ISO 4217, such as USD.
    #[schemars(length(max = 3), regex(pattern = r"^[A-Z]{3}$"))]
    pub currency: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_delay_that_cannot_be_read_is_the_longest() {
        let delay = |text: &str| {
            let release_delay = Some(text.to_owned());
            let limits = Limits {
                release_delay,
                ..Limits::default()
            };
            limits.release_delay().as_secs()
        };
        assert_eq!(Limits::default().release_delay(), Duration::ZERO);
        for (text, seconds) in [
            ("72h", 72 * 3_600),
            ("1h30m", 5_400),
            ("90m", 5_400),
            ("1h1m1s", 3_661),
            ("0s", 0),
            ("9999h9999m9999s", 9_999 * 3_600),
            ("three days", 9_999 * 3_600),
            ("", 9_999 * 3_600),
            ("99999999999999999999h", 9_999 * 3_600),
        ] {
            assert_eq!(delay(text), seconds, "{text}");
        }
    }
}
