//! `PhoneNumber`: one number, its provider and its assistant.

mod status;

use std::fmt;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telephony::number::{Messaging, Provider, Search};

use super::account::Money;

pub use status::{
    AccountRefStatus, AssistantStatus, AttemptStatus, CapabilitiesStatus, CostStatus,
    PhoneNumberStatus, TelnyxStatus, TwilioStatus,
};

/// The phone number to hold, and who answers it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "telephony.burki.dev",
    version = "v1alpha1",
    kind = "PhoneNumber",
    namespaced,
    shortname = "pn",
    category = "telephony",
    status = "PhoneNumberStatus",
    derive = "PartialEq",
    doc = "A phone number that the operator buys, configures and releases. Creating one spends money at the provider; deleting one releases the number for good unless deletionPolicy is Retain.",
    selectable = ".spec.provider",
    selectable = ".spec.phoneNumber",
    selectable = ".spec.assistantId",
    selectable = ".status.phoneNumber",
    selectable = ".status.id",
    selectable = ".status.accountId",
    printcolumn(name = "Number", type_ = "string", json_path = ".status.phoneNumber"),
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider"),
    printcolumn(name = "Assistant", type_ = "integer", json_path = ".spec.assistantId"),
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
    printcolumn(
        name = "Messages",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="MessagingReady")].status"#
    ),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Deletion", type_ = "string", json_path = ".status.onDeletion"),
    printcolumn(name = "Monthly", type_ = "string", json_path = ".status.cost.display"),
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
    ),
    printcolumn(name = "ID", type_ = "string", json_path = ".status.id", priority = 1),
    printcolumn(
        name = "Order",
        type_ = "string",
        json_path = ".status.orderId",
        priority = 1
    ),
    printcolumn(
        name = "Setup",
        type_ = "string",
        json_path = ".status.cost.upfront",
        priority = 1
    ),
    printcolumn(
        name = "Currency",
        type_ = "string",
        json_path = ".status.cost.currency",
        priority = 1
    ),
    printcolumn(
        name = "Account",
        type_ = "string",
        json_path = ".status.accountRef.name",
        priority = 1
    ),
    printcolumn(
        name = "Account-ID",
        type_ = "string",
        json_path = ".status.accountId",
        priority = 1
    ),
    validation = Rule::new("has(self.spec.phoneNumber) == has(oldSelf.spec.phoneNumber) || (has(self.spec.phoneNumber) && has(oldSelf.status) && has(oldSelf.status.id) && has(oldSelf.status.phoneNumber) && oldSelf.status.phoneNumber == self.spec.phoneNumber)").message("spec.search and spec.phoneNumber must not be exchanged, except for the number that was bought (status.phoneNumber): create another PhoneNumber for another number").reason(Reason::FieldValueForbidden).field_path(".spec"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.id) || (has(self.spec.telnyx) && has(self.spec.telnyx.requirementGroupId) ? self.spec.telnyx.requirementGroupId : '') == (has(oldSelf.spec.telnyx) && has(oldSelf.spec.telnyx.requirementGroupId) ? oldSelf.spec.telnyx.requirementGroupId : '')").message("requirementGroupId must not be changed after the purchase: change the documents of the number at Telnyx").reason(Reason::FieldValueForbidden).field_path(".spec.telnyx")
)]
#[x_kube(
    validation = Rule::new("has(self.phoneNumber) != has(self.search)").message("one of phoneNumber and search must be set, and not both").reason(Reason::FieldValueRequired),
    validation = Rule::new("self.adoptionPolicy != 'Adopt' || has(self.phoneNumber)").message("Adopt must come with spec.phoneNumber: a number that is adopted must be named").reason(Reason::FieldValueForbidden).field_path(".adoptionPolicy"),
    validation = Rule::new("self.provider == 'twilio' || !has(self.twilio)").message("must not be set unless provider is twilio").reason(Reason::FieldValueForbidden).field_path(".twilio"),
    validation = Rule::new("self.provider == 'telnyx' || !has(self.telnyx)").message("must not be set unless provider is telnyx").reason(Reason::FieldValueForbidden).field_path(".telnyx"),
    validation = Rule::new("self.messaging != 'None' || !has(self.webhooks) || !has(self.webhooks.smsUrl)").message("must not be set with messaging None, which sets nothing that concerns messages").reason(Reason::FieldValueForbidden).field_path(".webhooks.smsUrl"),
    validation = Rule::new("self.messaging != 'None' || !has(self.twilio) || !has(self.twilio.messagingServiceSid)").message("must not be set with messaging None, which sets nothing that concerns messages").reason(Reason::FieldValueForbidden).field_path(".twilio.messagingServiceSid"),
    validation = Rule::new("self.messaging != 'None' || !has(self.telnyx) || !has(self.telnyx.messagingProfileId)").message("must not be set with messaging None, which sets nothing that concerns messages").reason(Reason::FieldValueForbidden).field_path(".telnyx.messagingProfileId"),
    validation = Rule::new("self.provider != 'twilio' || !has(self.friendlyName) || size(bytes(self.friendlyName)) <= 36").message("must have at most 36 bytes with provider twilio, where it shares a field with the operator's mark").reason(Reason::FieldValueInvalid).field_path(".friendlyName"),
)]
#[serde(rename_all = "camelCase")]
pub struct PhoneNumberSpec {
    /// The number to hold, in E.164 form: a plus sign, then 7 to 15 digits, such as +12125551234.
    /// Cannot be changed: delete this object and create another one to hold another number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\+[1-9][0-9]{6,14}$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("must not be changed: create another PhoneNumber for another number").reason(Reason::FieldValueForbidden))]
    pub phone_number: Option<String>,

    /// What the number is to be like, instead of phoneNumber: the first number that is found is bought, and held from
    /// then on. What is asked for here is never widened. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self == oldSelf").message("must not be changed: create another PhoneNumber for another number").reason(Reason::FieldValueForbidden))]
    pub search: Option<Search>,

    /// The provider to buy the number from: twilio or telnyx. Cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("must not be changed: create another PhoneNumber for the other provider").reason(Reason::FieldValueForbidden))]
    pub provider: Provider,

    /// The account that pays. Default: the ProviderAccount of this namespace that is named like the provider.
    /// May be changed as long as it leads to the same account at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<AccountRef>,

    /// The Burki assistant that answers. Changing it reassigns the number, removing it unassigns the number;
    /// neither buys another one. Needs spec.burki on the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_i64))]
    pub assistant_id: Option<i64>,

    /// The name that people see at the provider and at Burki: at most 64 characters, with twilio at most 36 bytes.
    /// Default: the name of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[^\[\]\r\n]*$"))]
    #[x_kube(validation = Rule::new("!self.contains('pn1.') && !self.contains('pa1.')").message("must not contain pn1. or pa1., which begin the operator's marks").reason(Reason::FieldValueInvalid))]
    pub friendly_name: Option<String>,

    /// Webhook URLs instead of those that the account derives from its base URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<Webhooks>,

    /// What is wanted of messages. Required: a number that cannot text is not bought, and Ready waits until messages get through.
    /// BestEffort: messages are set up as far as the number can take them; the condition MessagingReady tells whether they get
    /// through. None: nothing that concerns messages is set or compared, and what is set stays.
    #[serde(default)]
    pub messaging: Messaging,

    /// Options for provider twilio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub twilio: Option<TwilioOptions>,

    /// Options for provider telnyx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telnyx: Option<TelnyxOptions>,

    /// The most that the number may cost each month. No number is bought that costs more, or whose price is not known
    /// or in another currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_monthly_cost: Option<Money>,

    /// The most that the number may cost once, with its purchase: the setup fee. No number is bought whose fee is higher, or whose
    /// price is not known or in another currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_upfront_cost: Option<Money>,

    /// Adopt: a number that the account holds already, and that nobody has marked as theirs, is taken over instead of
    /// bought. Never: it is left alone.
    #[serde(default)]
    pub adoption_policy: AdoptionPolicy,

    /// What happens to the number when this object is deleted. Release gives it back for good; Retain leaves it in
    /// the account, configured and paid. Unset means Release for a number that was bought, Retain for one that was
    /// adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,

    /// True: the number is never released, whatever is deleted. The object then stays in deletion, with reason
    /// ReleaseProtected, until this is set to false or deletionPolicy to Retain.
    #[serde(default)]
    pub deletion_protection: bool,

    /// True: nothing is written at the provider or at Burki. The number is still looked at.
    #[serde(default)]
    pub suspend: bool,
}

/// The account that pays for a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-map-type" = "atomic"))]
pub struct AccountRef {
    /// ProviderAccount (in the same namespace) or ClusterProviderAccount.
    #[serde(default)]
    pub kind: AccountKind,
    /// Its name.
    #[schemars(
        length(max = 253),
        regex(pattern = r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
}

/// The kinds of accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AccountKind {
    /// In the same namespace.
    #[default]
    ProviderAccount,
    /// For many namespaces.
    ClusterProviderAccount,
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProviderAccount => "ProviderAccount",
            Self::ClusterProviderAccount => "ClusterProviderAccount",
        })
    }
}

/// Webhook URLs of one number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhooks {
    /// URL that receives calls. For provider telnyx, the connection must have this URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = r"^https://[^\s/?#@]+(/[^\s]*)?$"))]
    pub voice_url: Option<String>,
    /// URL that receives inbound messages. For provider telnyx, the messaging profile must have this URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), regex(pattern = r"^https://[^\s/?#@]+(/[^\s]*)?$"))]
    pub sms_url: Option<String>,
}

/// Options for provider twilio.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TwilioOptions {
    /// The address (AD…) that some countries require. A change is written on the number; leaving it out changes nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 34), regex(pattern = r"^AD[0-9a-fA-F]{32}$"))]
    pub address_sid: Option<String>,
    /// The regulatory bundle (BU…) that some countries require. A change is written on the number; leaving it out changes
    /// nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 34), regex(pattern = r"^BU[0-9a-fA-F]{32}$"))]
    pub bundle_sid: Option<String>,
    /// The identity (RI…) that some countries require. A change is written on the number; leaving it out changes nothing there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 34), regex(pattern = r"^RI[0-9a-fA-F]{32}$"))]
    pub identity_sid: Option<String>,
    /// The messaging service (MG…) that the number joins. Where the service does not use the webhooks of its numbers, it
    /// takes their messages itself, and WebhooksConfigured is False.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 34), regex(pattern = r"^MG[0-9a-fA-F]{32}$"))]
    pub messaging_service_sid: Option<String>,
}

/// Options for provider telnyx.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TelnyxOptions {
    /// The Call Control Application that answers calls. Default: the assistant's, then the Burki organization's, then
    /// the account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^[0-9]+$"))]
    pub connection_id: Option<String>,
    /// The messaging profile that answers messages. Default: the account's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[0-9a-zA-Z-]+$"))]
    pub messaging_profile_id: Option<String>,
    /// The billing group that the number is billed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[0-9a-zA-Z-]+$"))]
    pub billing_group_id: Option<String>,
    /// The requirement group that some countries require for a purchase. While the order waits for papers, a changed group
    /// is attached to it. Cannot be changed once the number is bought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^[0-9a-zA-Z-]+$"))]
    pub requirement_group_id: Option<String>,
}

/// What happens where the account holds the number already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdoptionPolicy {
    /// It is left alone.
    #[default]
    Never,
    /// It is taken over.
    Adopt,
}

/// What happens to the number when its object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It is released, for good.
    Release,
    /// It stays in the account.
    Retain,
}
