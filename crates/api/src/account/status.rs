//! What is known of an account.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telephony::number::Balance;

/// What is known of the account. Written by the operator only.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountStatus {
    /// The generation that the conditions speak of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The provider's own id of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// How many numbers of the account a PhoneNumber of this installation holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<i64>,
    /// How many numbers of the account carry no mark of any operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmanaged: Option<i64>,
    /// How many numbers of the account carry a mark of this installation, but no PhoneNumber holds them. They are paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphaned: Option<i64>,
    /// The numbers that `unmanaged` counts, by number: the first 100 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub unmanaged_numbers: Vec<UnheldNumber>,
    /// The numbers that `orphaned` counts, by number: the first 100 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "atomic"))]
    pub orphaned_numbers: Vec<UnheldNumber>,
    /// How many numbers of the account carry a mark of another installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<i64>,
    /// What the managed numbers cost each month, as far as their prices are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_cost: Option<MonthlyCost>,
    /// What the account has left to spend, as the provider showed it when the account was last Ready, within ten minutes: at Telnyx
    /// the available credit. Absent if the provider does not tell it to this credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<AccountBalance>,
    /// Ready: the credential opens the account, and its numbers could be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What an account has left to spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountBalance {
    /// The amount, as a decimal such as 25.5 or -4.1.
    pub amount: String,
    /// The currency, as ISO 4217, such as USD.
    pub currency: String,
    /// Amount and currency for people, such as "25.5 USD". Not to be parsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
}

impl AccountBalance {
    /// The balance; `None` for one that this version does not read.
    pub fn read(&self) -> Option<Balance> {
        Balance::read(&self.amount, &self.currency)
    }
}

impl From<&Balance> for AccountBalance {
    fn from(balance: &Balance) -> Self {
        Self {
            amount: balance.amount(),
            currency: balance.currency.to_string(),
            display: Some(balance.to_string()),
        }
    }
}

/// A number of an account that no PhoneNumber holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnheldNumber {
    /// The number, in E.164 form.
    pub phone_number: String,
    /// The provider's id of it.
    pub id: String,
    /// When the account got it, by the provider's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// What it costs each month by the provider's price list, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_cost: Option<MonthlyCost>,
}

/// What a number, or what the managed numbers of an account, cost each month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonthlyCost {
    /// The amount, as a decimal such as 2.00.
    pub amount: String,
    /// The currency, as ISO 4217, such as USD.
    pub currency: String,
    /// Amount and currency for people, such as "2.00 USD". Not to be parsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
}

impl MonthlyCost {
    /// `amount` of `currency`, with both as people read them.
    pub fn new(amount: String, currency: String) -> Self {
        let display = Some(format!("{amount} {currency}"));
        Self {
            amount,
            currency,
            display,
        }
    }
}
