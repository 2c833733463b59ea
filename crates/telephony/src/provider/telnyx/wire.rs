//! Telnyx's JSON, and what it means here. Pure.
//!
//! Field names: `openapi/spec3.yml` of <https://github.com/team-telnyx/openapi>.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::number::{
    self, Capabilities, Description, E164, Holding, Line, NumberId, Offer, OrderId, Price, Search,
    Settings, Shown, TelnyxSettings,
};
use crate::provider::http::Response;
use crate::provider::{Order, OrderPapers, OrderState, Webhook};

/// Rows of these states are history: nothing is held, and nothing is paid.
const DEAD: [&str; 4] = ["deleted", "ported-out", "purchase-failed", "port-failed"];

/// The envelope of every answer.
#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) data: T,
}

/// A page of a listing.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    pub(super) meta: Meta,
}

/// Where a page stands in its listing.
#[derive(Deserialize)]
pub(super) struct Meta {
    pub(super) page_number: usize,
    pub(super) total_pages: usize,
    #[serde(default)]
    pub(super) total_results: Option<usize>,
}

/// What the account may spend, credit included.
#[derive(Deserialize)]
pub(super) struct Balance {
    available_credit: String,
    currency: String,
}

impl Balance {
    pub(super) fn into_balance(self) -> Option<number::Balance> {
        number::Balance::read(&self.available_credit, &self.currency)
    }
}

/// `PhoneNumberDetailed`.
#[derive(Deserialize)]
pub(super) struct Number {
    #[serde(deserialize_with = "id")]
    pub(super) id: String,
    pub(super) phone_number: String,
    status: String,
    #[serde(default)]
    customer_reference: Option<String>,
    #[serde(default, deserialize_with = "id_or_null")]
    connection_id: Option<String>,
    #[serde(default)]
    messaging_profile_id: Option<String>,
    #[serde(default)]
    billing_group_id: Option<String>,
    #[serde(default)]
    purchased_at: Option<String>,
    #[serde(default)]
    created_at: Option<String>,
}

impl Number {
    /// False for what is only history.
    pub(super) fn is_held(&self) -> bool {
        !DEAD.contains(&self.status.as_str())
    }

    /// The same as [`Number::into_holding`] of a listing that allows for messaging profiles that cannot be looked up: one
    /// that is not shown may only be unknown.
    pub(super) fn into_listed(self) -> Option<Holding> {
        let mut holding = self.into_holding()?;
        if let Settings::Telnyx(settings) = &mut holding.settings
            && settings.messaging_profile_id == Shown::Known(None)
        {
            settings.messaging_profile_id = Shown::Unknown;
        }
        Some(holding)
    }

    /// The number as a holding; `None` if it is not held, or not an E.164 number and so cannot be one of ours.
    pub(super) fn into_holding(self) -> Option<Holding> {
        let number: E164 = self.phone_number.parse().ok().filter(|_| self.is_held())?;
        let created =
            time(self.purchased_at.as_deref()).or_else(|| time(self.created_at.as_deref()));
        Some(Holding {
            id: NumberId::new(self.id),
            number,
            marked_text: self.customer_reference.unwrap_or_default(),
            created,
            line: line(&self.status),
            settings: Settings::Telnyx(TelnyxSettings {
                connection_id: set(self.connection_id),
                messaging_profile_id: Shown::Known(set(self.messaging_profile_id)),
                billing_group_id: set(self.billing_group_id),
                profile: Shown::Unknown,
                registration: Shown::Unknown,
            }),
        })
    }
}

/// What a status means (`PhoneNumberDetailed.status`). The list of words differs by endpoint, so an unknown one is kept.
fn line(status: &str) -> Line {
    match status {
        "active" => Line::Live,
        "purchase-pending" | "provision-pending" | "port-pending" => Line::Coming,
        "requirement-info-pending" => Line::PapersMissing,
        "requirement-info-under-review" => Line::PapersUnderReview,
        "requirement-info-exception" => Line::PapersRejected,
        "emergency-only" => Line::EmergencyOnly,
        "port-out-pending" => Line::PortingOut,
        other => Line::Other(word(other)),
    }
}

/// At most 40 characters of letters, digits and hyphens.
pub(super) fn word(text: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.chars().filter(plain).take(40).collect()
}

/// `PhoneNumberWithMessagingSettings`, as far as it matters.
#[derive(Deserialize)]
pub(super) struct Messaging {
    #[serde(default)]
    messaging_profile_id: Option<String>,
}

impl Messaging {
    pub(super) fn profile(self) -> Option<String> {
        set(self.messaging_profile_id)
    }
}

/// Anything that tells which organization it belongs to.
#[derive(Deserialize)]
pub(super) struct Owned {
    #[serde(default)]
    organization_id: Option<String>,
}

impl Owned {
    pub(super) fn organization(self) -> Option<String> {
        set(self.organization_id)
    }
}

/// `NumberOrder` and `NumberOrderWithPhoneNumbers`.
#[derive(Deserialize)]
pub(super) struct NumberOrder {
    id: String,
    status: String,
    #[serde(default)]
    pub(super) customer_reference: Option<String>,
    #[serde(default)]
    requirements_met: Option<bool>,
    #[serde(default)]
    sub_number_orders_ids: Option<Vec<String>>,
    #[serde(default)]
    phone_numbers: Option<Vec<OrderedNumber>>,
    #[serde(default)]
    created_at: Option<String>,
}

/// A number in an order. Listings show it without its status.
#[derive(Deserialize)]
struct OrderedNumber {
    phone_number: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    requirements_met: Option<bool>,
    #[serde(default)]
    requirements_status: Option<String>,
}

impl OrderedNumber {
    /// The status says more than the flag, which may be true while papers are rejected
    /// (<https://developers.telnyx.com/docs/numbers/phone-numbers/number-orders>).
    fn papers(&self) -> OrderPapers {
        match self.requirements_status.as_deref() {
            Some("requirement-info-exception") => OrderPapers::Rejected,
            Some("requirement-info-pending") => OrderPapers::Missing,
            Some("requirement-info-under-review") => OrderPapers::UnderReview,
            _ if self.requirements_met == Some(false) => OrderPapers::Missing,
            _ => OrderPapers::Met,
        }
    }
}

impl NumberOrder {
    /// The order. Its state is that of its number where the answer shows one: an order may be `pending` while its
    /// number is `success`
    /// (<https://developers.telnyx.com/docs/numbers/phone-numbers/number-orders>). A number's `failure` counts only if
    /// the order does not say `success`, and a state that we do not know is pending: neither may end in a second purchase.
    pub(super) fn into_order(self) -> Order {
        let rows = self.phone_numbers.unwrap_or_default();
        let whole = state(&self.status);
        let of_numbers = rows
            .iter()
            .filter_map(|row| row.status.as_deref())
            .map(state)
            .max();
        let state = match of_numbers {
            None => whole,
            Some(OrderState::Failure) if whole == OrderState::Success => OrderState::Success,
            Some(state) => state,
        };
        let worst = rows.iter().map(OrderedNumber::papers).max();
        let papers = match (worst, self.requirements_met) {
            (None | Some(OrderPapers::Met), Some(false)) => OrderPapers::Missing,
            (worst, _) => worst.unwrap_or(OrderPapers::Met),
        };
        Order {
            id: OrderId::new(self.id),
            reference: self.customer_reference.unwrap_or_default(),
            state,
            sub_orders: self.sub_number_orders_ids.unwrap_or_default(),
            papers,
            numbers: rows
                .iter()
                .filter_map(|row| row.phone_number.parse().ok())
                .collect(),
            created: time(self.created_at.as_deref()),
        }
    }
}

fn state(status: &str) -> OrderState {
    match status {
        "success" => OrderState::Success,
        "failure" => OrderState::Failure,
        _ => OrderState::Pending,
    }
}

/// `SubNumberOrder`, as far as it matters.
#[derive(Deserialize)]
pub(super) struct SubOrder {
    pub(super) id: String,
    pub(super) order_request_id: String,
}

/// `AvailablePhoneNumber`. Trial accounts see redacted numbers such as `+49351xxxxxxx`.
#[derive(Deserialize)]
pub(super) struct Hit {
    phone_number: String,
    #[serde(default)]
    best_effort: Option<bool>,
    #[serde(default)]
    features: Option<Vec<Feature>>,
    #[serde(default)]
    cost_information: Option<Cost>,
    #[serde(default)]
    region_information: Value,
}

#[derive(Deserialize)]
struct Feature {
    #[serde(default)]
    name: Option<String>,
}

/// What a number costs, in decimal texts.
#[derive(Deserialize)]
struct Cost {
    #[serde(default)]
    monthly_cost: Value,
    #[serde(default)]
    upfront_cost: Value,
    #[serde(default)]
    currency: Option<String>,
}

impl Hit {
    /// True if the hit shows all the capabilities that `search` wants.
    pub(super) fn can_do_what_is_wanted(&self, search: &Search) -> bool {
        search.is_met_by(&self.capabilities())
    }

    fn capabilities(&self) -> Capabilities {
        let can = |name: &str| {
            let mut features = self.features.iter().flatten();
            features.any(|feature| {
                feature
                    .name
                    .as_deref()
                    .is_some_and(|found| found.eq_ignore_ascii_case(name))
            })
        };
        Capabilities {
            voice: can("voice"),
            sms: can("sms"),
            mms: can("mms"),
            fax: can("fax"),
        }
    }

    /// The region of one of these types; an earlier type is preferred.
    fn region(&self, types: &[&str]) -> Option<String> {
        let regions = self.region_information.as_array();
        let text = |region: &Value, field: &str| region.get(field)?.as_str().map(str::to_owned);
        let mut found = types.iter().filter_map(|wanted| {
            let mut regions = regions.into_iter().flatten();
            let is = |region: &&Value| text(region, "region_type").as_deref() == Some(*wanted);
            text(regions.find(is)?, "region_name").filter(|name| !name.is_empty())
        });
        found.next()
    }

    /// The number with its price; `None` if it is redacted, or only nearly what was asked for.
    pub(super) fn into_offer(self) -> Option<Offer> {
        if self.best_effort == Some(true) {
            return None;
        }
        let description = Description {
            capabilities: self.capabilities(),
            locality: self.region(&["location", "rate_center"]),
            region: self.region(&["state"]),
        };
        let price = self.cost_information.and_then(|cost| {
            let amount = |value: Value| match value {
                Value::String(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            };
            let (monthly, upfront) = (amount(cost.monthly_cost)?, amount(cost.upfront_cost)?);
            Price::read(&monthly, &upfront, &cost.currency?)
        });
        Some(Offer {
            number: self.phone_number.parse().ok()?,
            price,
            description,
        })
    }
}

/// `Connection`, `CallControlApplication` and `MessagingProfile`, as far as webhooks go.
#[derive(Deserialize)]
pub(super) struct WebhookHome {
    #[serde(default)]
    pub(super) application_name: Option<String>,
    #[serde(default, alias = "webhook_url")]
    webhook_event_url: Option<String>,
    #[serde(default)]
    webhook_api_version: Option<String>,
    /// `active` of an application, `enabled` of a messaging profile.
    #[serde(default, alias = "active")]
    enabled: Option<bool>,
}

impl WebhookHome {
    pub(super) fn into_webhook(self) -> Webhook {
        Webhook {
            url: set(self.webhook_event_url),
            api_version: set(self.webhook_api_version),
            is_enabled: self.enabled.unwrap_or(true),
        }
    }
}

/// One error of Telnyx's own error body (`numbers_Error`).
pub(super) struct ErrorBody {
    /// The code; empty if there is none.
    pub(super) code: String,
    pub(super) text: String,
    /// The field that it is about, as a JSON pointer; empty if it does not say.
    pub(super) pointer: String,
}

impl ErrorBody {
    /// Reads an error body; empty if it is not Telnyx's.
    pub(super) fn read(response: &Response) -> Vec<Self> {
        #[derive(Deserialize)]
        struct Body {
            errors: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            #[serde(default, deserialize_with = "id_or_null")]
            code: Option<String>,
            #[serde(default)]
            title: Option<String>,
            #[serde(default)]
            detail: Option<String>,
            #[serde(default)]
            source: Value,
        }
        let entries = response
            .object::<Body>()
            .map_or_else(|_| Vec::new(), |body| body.errors);
        entries
            .into_iter()
            .map(|entry| Self {
                code: entry.code.unwrap_or_default(),
                text: [entry.title, entry.detail]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(": "),
                pointer: entry
                    .source
                    .get("pointer")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
            })
            .filter(|complaint| !complaint.code.is_empty() || !complaint.text.is_empty())
            .collect()
    }
}

fn set(field: Option<String>) -> Option<String> {
    field.filter(|text| !text.is_empty())
}

/// ISO 8601; without a zone it is UTC.
pub(super) fn time(text: Option<&str>) -> Option<Timestamp> {
    let text = text?;
    text.parse().or_else(|_| format!("{text}Z").parse()).ok()
}

/// Ids of 64 bits are written as text; a number is read too.
fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    id_or_null(deserializer)?.ok_or_else(|| serde::de::Error::custom("an id is missing"))
}

fn id_or_null<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(serde::de::Error::custom(
            "an id is neither text nor a number",
        )),
    }
}

/// The id of the order that an answer to a purchase shows, for the audit line.
pub(super) fn id_of_new(response: &Response) -> Option<String> {
    let body: Envelope<Value> = response.decode().ok()?;
    body.data.get("id")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::http::fake::text;

    #[test]
    fn the_audit_line_names_the_id_of_what_was_ordered() {
        for (body, id) in [
            (r#"{"data":{"id":"o-1"}}"#, Some("o-1")),
            (r#"{"data":{"id":1}}"#, None),
            (r#"{"data":{}}"#, None),
            (r#"{"errors":[]}"#, None),
            ("<html>", None),
        ] {
            let response = text(200, body).unwrap();
            assert_eq!(id_of_new(&response).as_deref(), id, "{body}");
        }
    }

    #[test]
    fn a_connection_is_text_a_number_or_none_and_an_id_is_not_none() {
        let read = |id: Value, connection: Value| {
            serde_json::from_value::<Number>(json!({
                "id": id, "phone_number": "+12125551234", "status": "active", "connection_id": connection,
            }))
        };
        for (connection, expected) in [
            (json!("11"), Some("11")),
            (json!(11), Some("11")),
            (json!(null), None),
        ] {
            let number = read(json!(21), connection).unwrap();
            assert_eq!(number.id, "21");
            assert_eq!(number.connection_id.as_deref(), expected);
        }
        assert!(read(json!("21"), json!([])).is_err());
        assert!(read(json!(null), json!("11")).is_err());
    }
}
