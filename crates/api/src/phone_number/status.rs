//! What the operator records of a number.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::word::{AttemptOutcome, NumberOrigin, OnDeletion, OrderStatus};

impl PhoneNumberStatus {
    /// True if the number was in the account before and was taken over. An earlier version of the operator recorded it in
    /// `adopted` alone.
    pub fn is_adopted(&self) -> bool {
        self.adopted || self.origin == Some(NumberOrigin::Adopted)
    }
}

/// What is known of the number. Written by the operator only.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhoneNumberStatus {
    /// The generation that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The number: as the provider returned it; before that the declared one, or the one that is being bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// The provider's own id of the number: a Twilio SID or a Telnyx phone-number id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The Telnyx number order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// The account at the provider that holds the number. Fixed with the purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The account that pays, with the defaults of spec.accountRef filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<AccountRefStatus>,
    /// What the deletion of this object does to the number: Release (for good), Retain, or Blocked (deletionProtection).
    /// Absent while nothing is held or ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 64))]
    pub on_deletion: Option<OnDeletion>,
    /// What Twilio shows of the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twilio: Option<TwilioStatus>,
    /// What Telnyx shows of the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telnyx: Option<TelnyxStatus>,
    /// True if the number was in the account before and was taken over. Deprecated: read origin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// Where the number comes from: Bought, or Adopted if it was in the account before and was taken over. Absent while no
    /// number is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", length(max = 64))]
    pub origin: Option<NumberOrigin>,
    /// What the number costs, as the provider said when it was bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostStatus>,
    /// The assistant that the number is assigned to, or is being assigned to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assistant: Option<AssistantStatus>,
    /// The last purchase attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptStatus>,
    /// Ready; Purchased, WebhooksConfigured, AssistantAssigned and MessagingReady; Reconciling and Stalled while they are True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What Twilio shows of a number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TwilioStatus {
    /// The number's SID.
    pub sid: String,
    /// The friendly name, with the operator's mark in brackets.
    pub friendly_name: String,
    /// The voice webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice_url: Option<String>,
    /// The SMS webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms_url: Option<String>,
    /// What the number can do.
    #[serde(default)]
    pub capabilities: CapabilitiesStatus,
    /// When the account got the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_created: Option<Time>,
}

/// What a number can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapabilitiesStatus {
    /// Voice calls.
    pub voice: bool,
    /// SMS.
    pub sms: bool,
    /// MMS.
    pub mms: bool,
    /// Fax.
    pub fax: bool,
}

/// What Telnyx shows of a number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TelnyxStatus {
    /// The number order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// What became of the order: pending, completed or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub order_status: Option<OrderStatus>,
    /// The requirement group that the order has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirement_group_id: Option<String>,
    /// The phone-number id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number_id: Option<String>,
    /// The connection that answers calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// The messaging profile that answers messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messaging_profile_id: Option<String>,
    /// The connection's webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<String>,
    /// When the account got the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date_created: Option<Time>,
}

/// What a number costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostStatus {
    /// Each month, as a decimal.
    pub monthly: String,
    /// Once, as a decimal.
    pub upfront: String,
    /// The currency, as ISO 4217.
    pub currency: String,
    /// The monthly price with its currency for people, such as "1.15 USD". Not to be parsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
}

/// An account as spec.accountRef names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountRefStatus {
    /// ProviderAccount or ClusterProviderAccount.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// The assistant that a number is assigned to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssistantStatus {
    /// Its id at Burki.
    pub id: i64,
    /// Its name at Burki.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// True while the assignment at Burki is not confirmed: the assistant may answer already, or not yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
}

/// The last purchase attempt and the provider's word on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptStatus {
    /// The nonce of its claim.
    pub nonce: String,
    /// The number that was to be bought.
    pub number: String,
    /// The account at the provider that it was made in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Bought, Ordered, Rejected, Refused, NotSent or Unknown.
    #[schemars(with = "String")]
    pub outcome: AttemptOutcome,
    /// The provider's code, if it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What the refusal means, if the provider refused: a reason of docs/reference/reasons.md.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The provider's code and text, with its request id, if it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many attempts in a row on this number were refused with this code, if more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<i64>,
    /// A digest of what a refused attempt asked for: the generation of this object, the spec of its account, and the
    /// version of the account's Secret. The number is asked for again at once when it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// How many attempts on this number before this one may have bought it, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<i64>,
    /// When it was claimed, by the API server's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

impl AttemptStatus {
    /// True if neither this attempt nor one before it on the same number may have bought it.
    pub fn bought_nothing(&self) -> bool {
        let is_certain = matches!(
            self.outcome,
            AttemptOutcome::Rejected | AttemptOutcome::NotSent
        );
        is_certain && self.earlier.is_none()
    }
}
