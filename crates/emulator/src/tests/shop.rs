//! What is on sale, how it is filtered, and what it costs.

use super::*;

async fn offered(emulator: &Emulator, path: &str) -> Vec<Value> {
    let path = format!("AvailablePhoneNumbers/{path}");
    let (status, value) = twilio(emulator, "GET", &path, &[]).await;
    assert_eq!(status, 200, "{path}: {value}");
    value["available_phone_numbers"].as_array().unwrap().clone()
}

async fn available(emulator: &Emulator, filters: &str) -> Vec<Value> {
    let path = format!("available_phone_numbers?{filters}");
    let (status, value) = telnyx(emulator, "GET", &path, json!(null)).await;
    assert_eq!(status, 200, "{path}: {value}");
    value["data"].as_array().unwrap().clone()
}

fn numbers(rows: &[Value]) -> Vec<&str> {
    rows.iter()
        .map(|row| row["phone_number"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_search_at_twilio_shows_thirty_in_the_same_order_until_they_are_sold() {
    let emulator = with(json!({}));
    let path = "US/Local.json?AreaCode=212&PageSize=1000";
    let first = offered(&emulator, path).await;
    assert_eq!(first.len(), 30);
    assert_eq!(offered(&emulator, path).await, first);
    let form = [("PhoneNumber", numbers(&first)[0])];
    let (status, _) = twilio(&emulator, "POST", "IncomingPhoneNumbers.json", &form).await;
    assert_eq!(status, 201);
    let then = offered(&emulator, path).await;
    assert_eq!(then.len(), 30);
    assert_eq!(numbers(&then)[..29], numbers(&first)[1..]);
    for (switches, rows) in [(json!({"onSale": 3}), 3), (json!({"onSale": 1000}), 1000)] {
        control(&emulator, "POST", "/switches", switches).await;
        assert_eq!(offered(&emulator, path).await.len(), rows);
    }
    let telnyx = "filter[country_code]=US&filter[limit]=250";
    assert_eq!(available(&emulator, telnyx).await.len(), 250);
    let rotates = with(json!({"searchRotates": true}));
    let first = offered(&rotates, path).await;
    let then = offered(&rotates, path).await;
    assert!(then.len() == 30 && then.iter().all(|row| !first.contains(row)));
}

#[tokio::test]
async fn twilio_filters_by_what_it_documents() {
    let emulator = with(json!({}));
    for (path, count, begin) in [
        ("US/Local.json?PageSize=7", 7, "+1"),
        ("US/Local.json?AreaCode=315&PageSize=3", 3, "+1315"),
        ("US/Local.json?AreaCode=503&PageSize=3", 3, "+1503"),
        ("US/Local.json?InLocality=boston&PageSize=3", 3, "+1617"),
        ("US/Local.json?InRegion=NY&AreaCode=415", 0, ""),
        ("US/Local.json?AreaCode=503&InLocality=Boston", 0, ""),
        ("US/Local.json?FaxEnabled=true", 0, ""),
        ("US/TollFree.json?SmsEnabled=true&PageSize=2", 2, "+1888"),
        ("GB/Local.json?SmsEnabled=true", 0, ""),
        ("GB/Local.json?VoiceEnabled=true&PageSize=2", 2, "+44"),
        ("GB/Mobile.json?SmsEnabled=true&PageSize=2", 2, "+4477"),
        ("GB/Local.json?Contains=%2B44161&PageSize=2", 2, "+44161"),
        (
            "GB/Local.json?Contains=%2B44161%25555&PageSize=2",
            2,
            "+44161",
        ),
        ("US/Local.json?Contains=%2B12125550123$", 1, "+12125550123"),
        ("CA/Local.json?AreaCode=212", 0, ""),
    ] {
        let rows = offered(&emulator, path).await;
        assert_eq!(rows.len(), count, "{path}: {rows:?}");
        let found = numbers(&rows);
        assert!(found.iter().all(|it| it.starts_with(begin)), "{found:?}");
    }
    let rows = offered(
        &emulator,
        "US/Local.json?AreaCode=212&Contains=0199&PageSize=5",
    )
    .await;
    assert!(numbers(&rows).iter().all(|it| it[5..].contains("0199")));
    assert_eq!(rows.len(), 5);
    let keys: Vec<_> = rows[0]["capabilities"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys, ["MMS", "SMS", "fax", "voice"]);
    assert_eq!(
        (&rows[0]["locality"], &rows[0]["region"]),
        (&json!("New York"), &json!("NY"))
    );
}

#[tokio::test]
async fn a_country_says_which_kinds_it_has() {
    let emulator = with(json!({}));
    let (_, all) = twilio(&emulator, "GET", "AvailablePhoneNumbers.json", &[]).await;
    let codes: Vec<_> = all["countries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["country_code"].clone())
        .collect();
    assert!(codes.contains(&json!("US")) && codes.contains(&json!("GB")));
    let (_, us) = twilio(&emulator, "GET", "AvailablePhoneNumbers/US.json", &[]).await;
    let kinds: Vec<_> = us["subresource_uris"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(kinds, ["local", "toll_free"]);
    let (status, none) = twilio(
        &emulator,
        "GET",
        "AvailablePhoneNumbers/US/Mobile.json",
        &[],
    )
    .await;
    assert_eq!((status, &none["code"]), (404, &json!(20404)));
}

#[tokio::test]
async fn what_is_sold_is_not_offered() {
    let emulator = with(json!({}));
    let path = "US/Local.json?AreaCode=212&PageSize=1";
    let first = numbers(&offered(&emulator, path).await)[0].to_owned();
    bought(&emulator, &first).await;
    let second = numbers(&offered(&emulator, path).await)[0].to_owned();
    assert_ne!(first, second);
    control(&emulator, "POST", "/switches", json!({"soldMeanwhile": 1})).await;
    assert_eq!(
        buy(&emulator, &[("PhoneNumber", &second)]).await,
        (400, json!(21422))
    );
    assert_ne!(
        numbers(&offered(&emulator, path).await)[0],
        second,
        "somebody has it now"
    );
}

#[tokio::test]
async fn telnyx_filters_by_what_it_documents() {
    let emulator = with(json!({}));
    for (filters, count, begin) in [
        ("filter[country_code]=US&filter[limit]=4", 4, "+1"),
        (
            "filter[country_code]=US&filter[phone_number_type]=toll_free&filter[limit]=2",
            2,
            "+1888",
        ),
        (
            "filter[country_code]=US&filter[phone_number_type]=mobile",
            0,
            "",
        ),
        (
            "filter[country_code]=US&filter[national_destination_code]=315&filter[phone_number][contains]=777&filter[limit]=2",
            2,
            "+1315",
        ),
        (
            "filter[country_code]=US&filter[national_destination_code]=315&filter[phone_number][starts_with]=555&filter[limit]=2",
            2,
            "+1315555",
        ),
        (
            "filter[country_code]=US&filter[phone_number][contains]=7%2A7",
            0,
            "",
        ),
        (
            "filter[country_code]=US&filter[locality]=Boston&filter[limit]=2",
            2,
            "+1617",
        ),
        (
            "filter[country_code]=US&filter[administrative_area]=MA&filter[limit]=2",
            2,
            "+1617",
        ),
        (
            "filter[country_code]=GB&filter[features]=sms,voice&filter[phone_number_type]=local",
            0,
            "",
        ),
        (
            "filter[country_code]=GB&filter[features]=sms,voice&filter[limit]=1",
            1,
            "+4477",
        ),
    ] {
        let rows = available(&emulator, filters).await;
        assert_eq!(rows.len(), count, "{filters}: {rows:?}");
        let found = numbers(&rows);
        assert!(found.iter().all(|it| it.starts_with(begin)), "{found:?}");
    }
    let (status, value) = telnyx(&emulator, "GET", "available_phone_numbers", json!(null)).await;
    assert_eq!(
        (status, &value["errors"][0]["code"]),
        (400, &json!("10015"))
    );
}

#[tokio::test]
async fn telnyx_shows_what_only_nearly_fits_unless_it_is_told_not_to() {
    let emulator = with(json!({"bestEffort": true}));
    let filters = "filter[country_code]=US&filter[national_destination_code]=315&filter[limit]=2";
    let rows = available(&emulator, filters).await;
    let near = rows.iter().filter(|row| row["best_effort"] == true);
    assert_eq!(near.count(), 3);
    assert!(numbers(&rows).iter().any(|it| it.contains("xxxxxxx")));
    let exact = available(&emulator, &format!("{filters}&filter[best_effort]=false")).await;
    assert!(exact.iter().all(|row| row["best_effort"] == false));
}

async fn prices(emulator: &Emulator, country: &str) -> (u16, Value) {
    let path = format!("/v1/PhoneNumbers/Countries/{country}");
    read(ask(emulator, Side::Twilio, "GET", &path, String::new()).await)
}

#[tokio::test]
async fn prices_are_texts_and_follow_the_switches() {
    let emulator = with(json!({}));
    let (_, us) = prices(&emulator, "US").await;
    assert_eq!(us["price_unit"], "USD");
    let shown: Vec<_> = us["phone_number_prices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {}", row["number_type"], row["current_price"]))
        .collect();
    assert_eq!(shown, [r#""local" "1.15""#, r#""toll free" "2.15""#]);
    assert_eq!(prices(&emulator, "AQ").await.0, 404);
    let cost = async || {
        available(&emulator, "filter[country_code]=US&filter[limit]=1").await[0]["cost_information"]
            .clone()
    };
    assert_eq!(
        cost().await,
        json!({"monthly_cost": "1.00000", "upfront_cost": "1.00000", "currency": "USD"})
    );
    control(
        &emulator,
        "POST",
        "/switches",
        json!({"monthlyPrice": "7.00", "currency": "EUR"}),
    )
    .await;
    let (_, us) = prices(&emulator, "US").await;
    assert_eq!(
        (
            &us["price_unit"],
            &us["phone_number_prices"][0]["current_price"]
        ),
        (&json!("EUR"), &json!("7.00"))
    );
    assert_eq!(
        (&cost().await["monthly_cost"], &cost().await["currency"]),
        (&json!("7.00"), &json!("EUR"))
    );
    control(
        &emulator,
        "POST",
        "/switches",
        json!({"pricesUnknown": true}),
    )
    .await;
    assert_eq!(
        prices(&emulator, "US").await.1["phone_number_prices"],
        json!([])
    );
    assert_eq!(cost().await, Value::Null);
}
