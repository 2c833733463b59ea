//! What the switches, the terms of the accounts and the faults do, each for itself.

use serde_json::{Value, json};
use tokio::time::{Instant, advance};

use super::faults::Kind;
use super::*;

mod assignments;
mod evidence;
mod rules;
mod shop;

const FIRST: &str = "+14155550001";
const SECOND: &str = "+14155550002";
/// Of a country whose numbers are sold with documents only.
const REGULATED: &str = "+493012345678";

const TWILIO: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000001";
/// `AC00000000000000000000000000000001:emulator-token`.
const BASIC: &str = "Basic QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMTplbXVsYXRvci10b2tlbg==";

/// The built-in world with other switches, whose orders are settled at once unless these say otherwise.
fn with(switches: Value) -> Emulator {
    let mut all = json!({"orderMs": 0});
    all.as_object_mut()
        .unwrap()
        .extend(switches.as_object().unwrap().clone());
    Emulator::new(State {
        switches: serde_json::from_value(all).unwrap(),
        ..State::default()
    })
}

async fn ask(
    emulator: &Emulator,
    side: Side,
    method: &str,
    path: &str,
    body: String,
) -> Option<Reply> {
    let authorization = match side {
        Side::Twilio => BASIC,
        Side::Telnyx => "Bearer emulator-key",
        Side::Burki => "Bearer emulator-burki-key",
        Side::Control => "",
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        authorization: Some(authorization.to_owned()),
        body: body.into_bytes(),
    };
    emulator.answer(side, request).await
}

fn read(reply: Option<Reply>) -> (u16, Value) {
    let reply = reply.expect("an answer");
    let value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    (reply.status, value)
}

async fn twilio(
    emulator: &Emulator,
    method: &str,
    path: &str,
    form: &[(&str, &str)],
) -> (u16, Value) {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let path = format!("{TWILIO}/{path}");
    read(ask(emulator, Side::Twilio, method, &path, form).await)
}

async fn telnyx(emulator: &Emulator, method: &str, path: &str, body: Value) -> (u16, Value) {
    let path = format!("/v2/{path}");
    read(ask(emulator, Side::Telnyx, method, &path, body.to_string()).await)
}

async fn burki(emulator: &Emulator, method: &str, path: &str, body: Value) -> (u16, Value) {
    let path = format!("/api/v1/{path}");
    read(ask(emulator, Side::Burki, method, &path, body.to_string()).await)
}

/// Asks the control side, which must agree.
async fn control(emulator: &Emulator, method: &str, path: &str, body: Value) -> Value {
    let (status, value) = read(ask(emulator, Side::Control, method, path, body.to_string()).await);
    assert_eq!(status, 200, "{method} {path}: {value}");
    value
}

async fn entries(emulator: &Emulator, deed: &str, number: &str) -> usize {
    let ledger = control(emulator, "GET", "/ledger", json!(null)).await;
    let rows = ledger.as_array().unwrap().iter();
    rows.filter(|row| row["deed"] == deed && row["number"] == number)
        .count()
}

/// Buys at Twilio; gives the status and the SID or the error's code.
async fn buy(emulator: &Emulator, form: &[(&str, &str)]) -> (u16, Value) {
    let (status, value) = twilio(emulator, "POST", "IncomingPhoneNumbers.json", form).await;
    let key = if status == 201 { "sid" } else { "code" };
    (status, value[key].clone())
}

async fn bought(emulator: &Emulator, number: &str) -> String {
    let (status, sid) = buy(emulator, &[("PhoneNumber", number)]).await;
    assert_eq!(status, 201, "{sid}");
    sid.as_str().unwrap().to_owned()
}

/// Searches for a number with this end in +1 415 and orders it; gives the order.
async fn ordered(emulator: &Emulator, number: &str) -> Value {
    search(emulator, number).await;
    let body = json!({"phone_numbers": [{"phone_number": number}], "customer_reference": "a mark"});
    let (status, order) = telnyx(emulator, "POST", "number_orders", body).await;
    assert_eq!(status, 200, "{order}");
    order["data"].clone()
}

/// True if the number is for sale at Telnyx.
async fn search(emulator: &Emulator, number: &str) -> bool {
    let end = number.strip_prefix("+1415").unwrap();
    let path = format!(
        "available_phone_numbers?filter[country_code]=US&filter[national_destination_code]=415\
         &filter[phone_number][ends_with]={end}"
    );
    let (_, found) = telnyx(emulator, "GET", &path, json!(null)).await;
    let rows = found["data"].as_array().unwrap();
    rows.iter().any(|row| row["phone_number"] == number)
}

async fn status_of(emulator: &Emulator, order: &Value) -> String {
    let path = format!("number_orders/{}", order["id"].as_str().unwrap());
    let (_, read) = telnyx(emulator, "GET", &path, json!(null)).await;
    assert_eq!(
        read["data"]["phone_numbers"][0]["status"],
        read["data"]["status"]
    );
    read["data"]["status"].as_str().unwrap().to_owned()
}

async fn cancel(emulator: &Emulator, order: &Value) -> (u16, Value) {
    let sub = order["sub_number_orders_ids"][0].as_str().unwrap();
    let path = format!("sub_number_orders/{sub}/cancel");
    telnyx(emulator, "PATCH", &path, json!({})).await
}

/// The numbers that a listing at Telnyx has with this filter.
async fn found(emulator: &Emulator, filter: &str) -> Vec<Value> {
    let path = format!("phone_numbers?filter[phone_number]={filter}");
    let (_, page) = telnyx(emulator, "GET", &path, json!(null)).await;
    page["data"].as_array().unwrap().clone()
}

/// The numbers that a listing at Twilio has.
async fn listed(emulator: &Emulator) -> Vec<Value> {
    let (_, page) = twilio(emulator, "GET", "IncomingPhoneNumbers.json", &[]).await;
    page["incoming_phone_numbers"].as_array().unwrap().clone()
}

fn seconds(seconds: u64) -> std::time::Duration {
    std::time::Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_purchase_is_listed_after_a_while() {
    let emulator = with(json!({"hiddenMs": 10_000}));
    let sid = bought(&emulator, FIRST).await;
    let order = ordered(&emulator, SECOND).await;
    assert_eq!(status_of(&emulator, &order).await, "success");
    assert_eq!(entries(&emulator, "purchase", FIRST).await, 1);
    assert_eq!(entries(&emulator, "purchase", SECOND).await, 1);

    advance(seconds(9)).await;
    assert!(listed(&emulator).await.is_empty());
    assert!(found(&emulator, "14155550002").await.is_empty());
    // Twilio knows the SID that it gave away.
    let path = format!("IncomingPhoneNumbers/{sid}.json");
    assert_eq!(twilio(&emulator, "GET", &path, &[]).await.0, 200);

    advance(seconds(2)).await;
    assert_eq!(listed(&emulator).await.len(), 1);
    assert_eq!(found(&emulator, "14155550002").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_is_pending_for_its_time() {
    let emulator = with(json!({"orderMs": 10_000}));
    let order = ordered(&emulator, FIRST).await;
    assert_eq!(order["status"], "pending");

    advance(seconds(9)).await;
    assert_eq!(status_of(&emulator, &order).await, "pending");
    assert_eq!(entries(&emulator, "purchase", FIRST).await, 0);
    assert!(found(&emulator, "14155550001").await.is_empty());
    // Nobody else gets it meanwhile.
    assert!(!search(&emulator, FIRST).await);
    assert_eq!(
        buy(&emulator, &[("PhoneNumber", FIRST)]).await,
        (400, json!(21422))
    );

    advance(seconds(2)).await;
    assert_eq!(status_of(&emulator, &order).await, "success");
    assert_eq!(entries(&emulator, "purchase", FIRST).await, 1);
    assert_eq!(found(&emulator, "14155550001").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_settles_although_nobody_asks_for_it() {
    let emulator = with(json!({"orderMs": 10_000}));
    ordered(&emulator, FIRST).await;
    advance(seconds(11)).await;
    assert_eq!(found(&emulator, "14155550001").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_search_is_recent_for_ten_minutes() {
    let emulator = with(json!({}));
    let body = json!({"phone_numbers": [{"phone_number": FIRST}]});
    let order = async || telnyx(&emulator, "POST", "number_orders", body.clone()).await;
    assert_eq!(order().await.0, 400);
    search(&emulator, FIRST).await;
    advance(seconds(601)).await;
    assert_eq!(order().await.0, 400);
    assert_eq!(entries(&emulator, "order", FIRST).await, 0);
    search(&emulator, FIRST).await;
    advance(seconds(599)).await;
    assert_eq!(order().await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn orders_fail_where_they_are_told_to() {
    let emulator = with(json!({"ordersFail": true}));
    let order = ordered(&emulator, FIRST).await;
    assert_eq!(status_of(&emulator, &order).await, "failure");
    assert_eq!(entries(&emulator, "purchase", FIRST).await, 0);
    assert!(search(&emulator, FIRST).await, "nobody bought it");

    control(&emulator, "POST", "/switches", json!({"ordersFail": false})).await;
    let order = ordered(&emulator, FIRST).await;
    assert_eq!(status_of(&emulator, &order).await, "success");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_undone_succeeds_brings_nothing_and_fails() {
    let emulator = with(json!({"ordersUndone": true}));
    let order = ordered(&emulator, FIRST).await;
    assert_eq!(status_of(&emulator, &order).await, "success");
    advance(seconds(61)).await;
    assert_eq!(status_of(&emulator, &order).await, "failure");
    assert_eq!(entries(&emulator, "purchase", FIRST).await, 0);
    assert!(search(&emulator, FIRST).await, "nobody bought it");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_order_fails() {
    let emulator = with(json!({"orderMs": 10_000}));
    let order = ordered(&emulator, FIRST).await;
    let (status, sub) = cancel(&emulator, &order).await;
    assert_eq!((status, &sub["data"]["status"]), (200, &json!("failure")));
    assert_eq!(status_of(&emulator, &order).await, "failure");
    assert_eq!(cancel(&emulator, &order).await.0, 422);
    advance(seconds(60)).await;
    assert_eq!(status_of(&emulator, &order).await, "failure");
    assert_eq!(entries(&emulator, "cancel", FIRST).await, 1);
    assert_eq!(entries(&emulator, "purchase", FIRST).await, 0);
    assert!(search(&emulator, FIRST).await, "it is for sale again");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_order_may_succeed_all_the_same() {
    let emulator = with(json!({"orderMs": 10_000, "cancelledOrdersSucceed": true}));
    let order = ordered(&emulator, FIRST).await;
    assert_eq!(cancel(&emulator, &order).await.0, 200);
    assert_eq!(status_of(&emulator, &order).await, "pending");
    advance(seconds(11)).await;
    assert_eq!(status_of(&emulator, &order).await, "success");
    assert_eq!(entries(&emulator, "cancel", FIRST).await, 1);
    assert_eq!(entries(&emulator, "purchase", FIRST).await, 1);
    assert_eq!(cancel(&emulator, &order).await.0, 422, "too late");
}

#[tokio::test]
async fn twilio_refuses_a_regulated_number_in_stages() {
    let emulator = with(json!({}));
    let number = ("PhoneNumber", REGULATED);
    let address = ("AddressSid", "AD00000000000000000000000000000001");
    let identity = ("IdentitySid", "RI00000000000000000000000000000001");
    let bundle = ("BundleSid", "BU00000000000000000000000000000001");
    for (form, code) in [
        (vec![number], 21631),
        (vec![number, ("AddressSid", "")], 21631),
        (vec![number, address], 21615),
        (vec![number, address, identity], 21649),
    ] {
        assert_eq!(buy(&emulator, &form).await, (400, json!(code)), "{form:?}");
    }
    assert_eq!(entries(&emulator, "purchase", REGULATED).await, 0);
    assert_eq!(buy(&emulator, &[number, address, bundle]).await.0, 201);
}

#[tokio::test(start_paused = true)]
async fn telnyx_never_finishes_an_order_that_lacks_documents() {
    let emulator = with(json!({}));
    let search = "available_phone_numbers?filter[country_code]=DE\
        &filter[phone_number][ends_with]=3012345678";
    telnyx(&emulator, "GET", search, json!(null)).await;
    let mut row = json!({"phone_number": REGULATED});
    let body = json!({ "phone_numbers": [row] });
    let (_, order) = telnyx(&emulator, "POST", "number_orders", body).await;
    let order = &order["data"];
    assert_eq!(order["requirements_met"], false, "{order}");
    advance(seconds(365 * 24 * 3600)).await;
    assert_eq!(status_of(&emulator, order).await, "pending");

    assert_eq!(cancel(&emulator, order).await.0, 200);
    telnyx(&emulator, "GET", search, json!(null)).await;
    row["requirement_group_id"] = json!("00000000-0000-4000-a000-000000000001");
    let body = json!({ "phone_numbers": [row] });
    let (_, order) = telnyx(&emulator, "POST", "number_orders", body).await;
    let order = &order["data"];
    assert_eq!(order["requirements_met"], true);
    assert_eq!(status_of(&emulator, order).await, "success");
    assert_eq!(entries(&emulator, "purchase", REGULATED).await, 1);
}

#[tokio::test]
async fn a_trial_account_has_one_number() {
    let emulator = with(json!({}));
    let account = "/console/accounts/AC00000000000000000000000000000001";
    control(&emulator, "POST", account, json!({"trial": true})).await;
    let sid = bought(&emulator, FIRST).await;
    assert_eq!(
        buy(&emulator, &[("PhoneNumber", SECOND)]).await,
        (400, json!(21404))
    );
    assert_eq!(
        bought(&emulator, FIRST).await,
        sid,
        "an update, not another"
    );
    assert_eq!(entries(&emulator, "purchase", SECOND).await, 0);
}

#[tokio::test]
async fn a_trunk_and_a_voice_application_exclude_each_other() {
    let emulator = with(json!({}));
    let sid = bought(&emulator, FIRST).await;
    let path = format!("IncomingPhoneNumbers/{sid}.json");
    let (trunk, application) = (
        "TK00000000000000000000000000000001",
        "AP00000000000000000000000000000001",
    );
    for (field, value, shown) in [
        ("VoiceApplicationSid", application, [application, ""]),
        ("TrunkSid", trunk, ["", trunk]),
        ("SmsApplicationSid", application, ["", trunk]),
        ("VoiceApplicationSid", "", ["", trunk]),
        ("VoiceApplicationSid", application, [application, ""]),
        ("TrunkSid", "", [application, ""]),
    ] {
        let (status, number) = twilio(&emulator, "POST", &path, &[(field, value)]).await;
        assert_eq!(status, 200);
        let found = [&number["voice_application_sid"], &number["trunk_sid"]];
        assert_eq!(found, shown, "after {field}={value}");
    }
}

#[tokio::test]
async fn a_locked_number_is_not_released() {
    let emulator = with(json!({}));
    let sid = bought(&emulator, FIRST).await;
    ordered(&emulator, SECOND).await;
    let id = found(&emulator, "14155550002").await[0]["id"].clone();
    let at_twilio = format!("IncomingPhoneNumbers/{sid}.json");
    let at_telnyx = format!("phone_numbers/{}", id.as_str().unwrap());
    for (locked, expected, releases) in [(true, (400, 422), 0), (false, (204, 200), 1)] {
        for number in [FIRST, SECOND] {
            let path = format!("/console/numbers/{number}");
            control(&emulator, "POST", &path, json!({"locked": locked})).await;
        }
        let (first, _) = twilio(&emulator, "DELETE", &at_twilio, &[]).await;
        let (second, _) = telnyx(&emulator, "DELETE", &at_telnyx, json!(null)).await;
        assert_eq!((first, second), expected);
        for number in [FIRST, SECOND] {
            assert_eq!(entries(&emulator, "release", number).await, releases);
        }
    }
    // Neither comes back.
    assert_eq!(
        buy(&emulator, &[("PhoneNumber", FIRST)]).await,
        (400, json!(21422))
    );
    assert!(!search(&emulator, SECOND).await);
}

#[tokio::test]
async fn a_webhook_that_cannot_be_reached_over_the_internet_is_refused() {
    let emulator = with(json!({}));
    for (url, expected) in [
        ("https://burki/twiml", (400, Some(json!(21402)))),
        (
            "https://voice-.example.com/twiml",
            (400, Some(json!(21402))),
        ),
        ("https://voice.example.com/twiml", (201, None)),
        ("", (201, None)),
    ] {
        for field in ["VoiceUrl", "SmsUrl"] {
            let (status, word) = buy(&emulator, &[("PhoneNumber", FIRST), (field, url)]).await;
            let code = (status != 201).then_some(word);
            assert_eq!((status, code), expected, "{field} {url}");
        }
    }
}

#[tokio::test]
async fn a_plus_sign_in_a_filter_may_match_nothing() {
    for (matches, count) in [(true, 1), (false, 0)] {
        let emulator = with(json!({"plusMatches": matches}));
        ordered(&emulator, FIRST).await;
        assert_eq!(found(&emulator, "14155550001").await.len(), 1);
        assert_eq!(found(&emulator, "%2B14155550001").await.len(), count);
    }
}
