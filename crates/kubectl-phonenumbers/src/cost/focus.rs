//! A row for each number in columns of FOCUS, the specification of the FinOps Foundation for cost data, version 1.2: the cost of the
//! present month as far as the cluster knows it. Columns that nothing is known of are left out. Pure.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use kube::ResourceExt;
use phonenumber_api::PhoneNumber;
use serde_json::{Map, Value};
use telephony::number::{Price, Provider};

use super::By;
use super::unheld::Unheld;
use crate::error::Error;
use crate::table::shown;
use crate::total::monthly_price;

/// The columns, in the order of the rows.
pub(crate) const COLUMNS: &[&str] = &[
    "BilledCost",
    "BillingCurrency",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ChargeDescription",
    "ChargeFrequency",
    "ProviderName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "SubAccountId",
    "SubAccountName",
    "Tags",
];

/// The rows of `numbers`, and of those that no PhoneNumber holds, for the month (UTC) of `now`. Where no price is known, cost and
/// currency are empty.
pub(super) fn csv(
    numbers: &[PhoneNumber],
    unheld: &[Unheld],
    now: Timestamp,
    bare: bool,
) -> Result<String, Error> {
    let broken = |error: &dyn std::error::Error| Error::unprintable(error);
    let month = month(now).map_err(|error| broken(&error))?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    if !bare {
        writer
            .write_record(COLUMNS)
            .map_err(|error| broken(&error))?;
    }
    let held = numbers.iter().map(Charge::of_held);
    let unheld = unheld.iter().flat_map(Charge::of_unheld);
    for charge in held.chain(unheld) {
        let row = charge.row(&month);
        writer.write_record(row).map_err(|error| broken(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| broken(&error))?;
    String::from_utf8(bytes).map_err(|error| broken(&error))
}

/// The first moment of the month, and the first after it.
fn month(now: Timestamp) -> Result<[String; 2], jiff::Error> {
    let first = now.to_zoned(TimeZone::UTC).date().first_of_month();
    let next = first.checked_add(1.month())?;
    let text = |date: Date| format!("{date}T00:00:00Z");
    Ok([text(first), text(next)])
}

/// What is to be paid for a number.
struct Charge {
    price: Option<Price>,
    provider: Provider,
    id: String,
    number: String,
    account_id: String,
    account: String,
    tags: String,
}

impl Charge {
    fn of_held(number: &PhoneNumber) -> Self {
        let status = number.status.clone().unwrap_or_default();
        Self {
            price: super::price_of(number),
            provider: number.spec.provider,
            id: cell(status.id),
            number: cell(status.phone_number),
            account_id: cell(status.account_id),
            account: cell(By::Account.of(number)),
            tags: tags(number),
        }
    }

    fn of_unheld(unheld: &Unheld) -> impl Iterator<Item = Self> {
        unheld.numbers.iter().map(|number| Self {
            price: monthly_price(number.monthly_cost.as_ref()),
            provider: unheld.provider,
            id: cell(Some(number.id.clone())),
            number: cell(Some(number.phone_number.clone())),
            account_id: cell(unheld.account_id.clone()),
            account: cell(Some(unheld.account.clone())),
            tags: Value::Object(Map::from_iter([(
                format!("{}/unheld", phonenumber_api::GROUP),
                unheld.list.word().into(),
            )]))
            .to_string(),
        })
    }

    fn row(self, month: &[String; 2]) -> Vec<String> {
        let (cost, currency) = match &self.price {
            Some(price) => (price.monthly.to_string(), price.currency.to_string()),
            None => (String::new(), String::new()),
        };
        let provider = match self.provider {
            Provider::Twilio => "Twilio",
            Provider::Telnyx => "Telnyx",
        };
        let [start, end] = month.clone();
        vec![
            cost,
            currency,
            start,
            end,
            "Purchase".to_owned(),
            format!("Monthly price of {}", self.number),
            "Recurring".to_owned(),
            provider.to_owned(),
            self.id,
            self.number,
            "Phone number".to_owned(),
            "Networking".to_owned(),
            "Phone numbers".to_owned(),
            self.account_id,
            self.account,
            self.tags,
        ]
    }
}

/// `text` as it may be shown in a terminal; empty where there is none.
fn cell(text: Option<String>) -> String {
    let text = text.filter(|text| !text.is_empty());
    text.as_deref().map(shown).unwrap_or_default()
}

/// The labels of the object, with its namespace, its name and its assistant under the prefix of the API group.
fn tags(number: &PhoneNumber) -> String {
    let labels = number.labels().iter();
    let mut tags: Map<String, Value> = labels
        .map(|(key, value)| (key.clone(), value.clone().into()))
        .collect();
    let assistant = number.spec.assistant_id.map(|id| id.to_string());
    for (name, value) in [
        ("namespace", number.namespace()),
        ("name", Some(number.name_any())),
        ("assistant", assistant),
    ] {
        if let Some(value) = value {
            tags.insert(format!("{}/{name}", phonenumber_api::GROUP), value.into());
        }
    }
    Value::Object(tags).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unheld::List;
    use phonenumber_api::{MonthlyCost, UnheldNumber};
    use serde_json::json;

    #[test]
    fn each_number_is_a_row_of_known_columns() {
        let number = |cost: Value| -> PhoneNumber {
            serde_json::from_value(json!({
                "metadata": {"name": "nyc", "namespace": "support", "labels": {"team": "a"}},
                "spec": {"provider": "twilio", "phoneNumber": "+12125550100", "assistantId": 7},
                "status": {"id": "PN1", "phoneNumber": "+12125550100", "accountId": "AC1", "cost": cost}}))
            .unwrap()
        };
        let priced = number(json!({"monthly": "1.15", "upfront": "0", "currency": "USD"}));
        let unheld = Unheld {
            list: List::Orphaned,
            account: "support/twilio".to_owned(),
            provider: Provider::Twilio,
            account_id: Some("AC1".to_owned()),
            numbers: vec![UnheldNumber {
                phone_number: "+12125550101".into(),
                id: "PN2".into(),
                since: None,
                monthly_cost: Some(MonthlyCost::new("1.15".into(), "USD".into())),
            }],
            unlisted: 0,
        };
        let now: Timestamp = "2026-12-31T23:00:00Z".parse().unwrap();
        let text = csv(&[priced, number(Value::Null)], &[unheld], now, false).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), COLUMNS);
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 3);
        let wanted = [
            "1.15",
            "USD",
            "2026-12-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
            "Purchase",
            "Monthly price of +12125550100",
            "Recurring",
            "Twilio",
            "PN1",
            "+12125550100",
            "Phone number",
            "Networking",
            "Phone numbers",
            "AC1",
            "support/twilio",
        ];
        assert_eq!(rows[0].iter().take(15).collect::<Vec<_>>(), wanted);
        let tags: Value = serde_json::from_str(&rows[0][15]).unwrap();
        assert_eq!(
            tags,
            json!({"team": "a", "telephony.burki.dev/namespace": "support",
                "telephony.burki.dev/name": "nyc", "telephony.burki.dev/assistant": "7"})
        );
        assert_eq!((&rows[1][0], &rows[1][1]), ("", ""));
        let orphan: Vec<_> = [0, 1, 8, 9, 13, 14].map(|at| &rows[2][at]).into();
        let wanted = [
            "1.15",
            "USD",
            "PN2",
            "+12125550101",
            "AC1",
            "support/twilio",
        ];
        assert_eq!(orphan, wanted);
        assert_eq!(&rows[2][15], r#"{"telephony.burki.dev/unheld":"orphaned"}"#);
        let mut hostile = number(Value::Null);
        let status = hostile.status.as_mut().unwrap();
        status.id = Some("PN1\u{1b}[2J".to_owned());
        status.phone_number = Some("+1\u{202e}2".to_owned());
        status.account_id = None;
        let text = csv(&[hostile], &[], now, true).unwrap();
        assert!(text.contains(",PN1?[2J,+1?2,"), "{text}");
        assert!(text.contains("Phone numbers,,support/twilio,"), "{text}");
        let bare = csv(&[], &[], now, true).unwrap();
        assert_eq!(bare, "");
    }
}
