//! What becomes of everything but a purchase when the answer is hostile: an absence is concluded only from the provider's
//! own word.

use phonenumber_operator::number::{Kind, NumberId, OrderId, Provider, Search};
use phonenumber_operator::provider::WebhookOwner;
use phonenumber_operator::provider::http::Response;
use proptest::prelude::*;
use serde_json::{Value, json};
use test_support::company::{BOTH, mark};
use test_support::emulator::TWILIO_ACCOUNT;

use crate::bent::any_answer;
use crate::company::{Hostile, NUMBER, SECRET, number, run};
use crate::config;
use crate::purchases::{refused, sold};

const ID: &str = "21";

fn valid(provider: Provider) -> Vec<Value> {
    let special = match provider {
        Provider::Twilio => vec![
            json!({"incoming_phone_numbers": [sold(provider)], "next_page_uri": null,
                "uri": format!("/2010-04-01/Accounts/{TWILIO_ACCOUNT}/IncomingPhoneNumbers.json")}),
            json!({"available_phone_numbers": [{"phone_number": NUMBER, "iso_country": "US",
                "capabilities": {"voice": true, "SMS": true}}]}),
            json!({"iso_country": "US", "price_unit": "USD",
                "phone_number_prices": [{"number_type": "local", "current_price": "1.15", "base_price": "1.15"}]}),
            json!({"code": 20404, "message": "not found", "status": 404}),
        ],
        Provider::Telnyx => {
            let row = json!({"id": ID, "phone_number": NUMBER, "status": "active", "connection_id": 11,
                "customer_reference": mark().to_string(), "purchased_at": "2026-01-02T03:04:05Z"});
            vec![
                json!({"data": row}),
                json!({"data": [row], "meta": {"page_number": 1, "total_pages": 1}}),
                json!({"data": [sold(provider)["data"]], "meta": {"page_number": 1, "total_pages": 1}}),
                json!({"data": [{"organization_id": "o1"}]}),
                json!({"data": [{"phone_number": NUMBER, "features": [{"name": "sms"}, {"name": "voice"}],
                    "cost_information": {"monthly_cost": "1.00", "upfront_cost": "0", "currency": "USD"}}]}),
                json!({"data": {"webhook_event_url": "https://a.example.com", "webhook_api_version": "2",
                    "application_name": "a"}}),
                json!({"errors": [{"code": "10005", "title": "Resource not found"}]}),
            ]
        }
    };
    [vec![sold(provider), refused(provider)], special].concat()
}

/// True if the answer is the provider's own word that there is no such thing.
fn denies(provider: Provider, response: &Response) -> bool {
    let text = String::from_utf8_lossy(&response.body);
    let code = match provider {
        Provider::Twilio => "20404",
        Provider::Telnyx => "10005",
    };
    response.status == 404 && text.contains(code)
}

fn search() -> Search {
    serde_json::from_value(json!({"country": "US", "areaCode": "212"})).unwrap()
}

fn judge(provider: Provider, response: &Response) -> Result<(), TestCaseError> {
    let hostile = Hostile::saying(vec![response.clone()]);
    let company = hostile.company(provider);
    let id = NumberId::new(ID);
    let mut told = Vec::new();
    let is_ok = response.status == 200;

    let fetched = run(company.fetch(&id));
    if fetched == Ok(None) {
        // A row of Telnyx that is history is not held either.
        let is_history = provider == Provider::Telnyx && is_ok;
        prop_assert!(denies(provider, response) || is_history);
    }
    if let Ok(Some(holding)) = &fetched {
        prop_assert_eq!(holding.id.as_str(), ID);
        prop_assert!(is_ok);
    }
    told.push(format!("{fetched:?}"));

    let found = run(company.find(&number()));
    if let Ok(found) = &found {
        prop_assert!(is_ok, "{:?}", found);
        prop_assert!(found.as_ref().is_none_or(|found| found.number == number()));
    }
    told.push(format!("{found:?}"));
    let listed = run(company.list());
    prop_assert!(listed.is_err() || is_ok);
    told.push(format!("{listed:?}"));
    let identity = run(company.identify());
    prop_assert!(identity.is_err() || is_ok);
    told.push(format!("{identity:?}"));

    let offers = run(company.search(&search()));
    if let Ok(offers) = &offers {
        prop_assert!(is_ok || denies(provider, response));
        // Whoever picks one looks at its digits.
        let mut picked = offers.iter().filter(|offer| search().fits(&offer.number));
        prop_assert!(picked.all(|offer| offer.number.as_str().starts_with("+1212")));
    }
    told.push(format!("{offers:?}"));
    let order = run(company.order(&OrderId::new(ID)));
    if let Ok(Some(order)) = &order {
        prop_assert_eq!(order.id.as_str(), ID);
    }
    told.push(format!("{order:?}"));
    told.push(format!(
        "{:?}",
        run(company.find_order(&mark(), &number(), None))
    ));
    told.push(format!("{:?}", run(company.offer(&number()))));
    told.push(format!("{:?}", run(company.price("US", Kind::Local))));
    told.push(format!(
        "{:?}",
        run(company.webhook(WebhookOwner::Connection, "11"))
    ));
    told.push(format!(
        "{:?}",
        run(company.webhook(WebhookOwner::MessagingProfile, "11"))
    ));
    told.push(format!(
        "{:?}",
        run(company.set_webhook(WebhookOwner::Connection, "11", "https://a.example.com"))
    ));
    // What the company holds may say anything; what went wrong is shown to people.
    for error in told.iter().filter(|text| text.starts_with("Err")) {
        prop_assert!(!error.contains(SECRET), "{}", error);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn nothing_is_concluded_from_an_answer_that_does_not_say_it(
        twilio in any_answer(valid(Provider::Twilio)), telnyx in any_answer(valid(Provider::Telnyx))
    ) {
        for (provider, answer) in BOTH.into_iter().zip([twilio, telnyx]) {
            judge(provider, &answer)?;
        }
    }
}

#[test]
fn what_was_not_bent_is_read() {
    for provider in BOTH {
        for body in valid(provider) {
            for status in [200, 201, 400, 404] {
                let answer = crate::company::answer(status, body.to_string());
                judge(provider, &answer).unwrap();
            }
        }
    }
}
