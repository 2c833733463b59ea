//! What makes it hard to tell whose a number is, and whether there is one: clocks, hiding, wrong listings, odd purchases.

use super::*;

const LIST: &str = "IncomingPhoneNumbers.json";

async fn fault(emulator: &Emulator, side: &str, operation: &str, kind: &str, seconds: u64) {
    let rule = json!({"dialect": side, "operation": operation, "kind": kind, "seconds": seconds});
    control(emulator, "POST", "/faults", rule).await;
}

fn since_epoch(text: &Value) -> i64 {
    let at = jiff::fmt::rfc2822::parse(text.as_str().unwrap()).unwrap();
    at.timestamp().as_second()
}

#[tokio::test(start_paused = true)]
async fn dates_lie_behind_the_date_of_the_answer() {
    for (behind, expected) in [(60_000, 60), (-5_000, -5)] {
        let emulator = with(json!({"datesBehindMs": behind}));
        let (_, number) = twilio(&emulator, "POST", LIST, &[("PhoneNumber", FIRST)]).await;
        let date = emulator.world().date(Side::Twilio, "buy").unwrap();
        let date = jiff::Timestamp::try_from(date).unwrap().as_second();
        assert_eq!(date - since_epoch(&number["date_created"]), expected);
    }
    let emulator = with(json!({"noDate": true}));
    assert_eq!(emulator.world().date(Side::Telnyx, "list"), None);
    let emulator = with(json!({"otherHostsAheadMs": 9_000}));
    let world = emulator.world();
    let (api, other) = (
        world.date(Side::Twilio, "list"),
        world.date(Side::Twilio, "pricing"),
    );
    let apart = other.unwrap().duration_since(api.unwrap()).unwrap();
    assert!((seconds(8)..seconds(10)).contains(&apart));
}

#[tokio::test(start_paused = true)]
async fn a_purchase_that_overwrites_moves_the_date_of_the_update_or_not() {
    for (switches, moved) in [
        (json!({}), 10),
        (json!({"overwrittenUnnoticed": true}), 0),
        (json!({"changedUnnoticed": true}), 0),
    ] {
        let emulator = with(switches);
        bought(&emulator, FIRST).await;
        advance(seconds(10)).await;
        let (status, number) = twilio(&emulator, "POST", LIST, &[("PhoneNumber", FIRST)]).await;
        let apart = since_epoch(&number["date_updated"]) - since_epoch(&number["date_created"]);
        assert_eq!((status, apart), (201, moved));
    }
}

#[tokio::test(start_paused = true)]
async fn listing_filter_and_fetch_hide_a_purchase_each_for_its_time() {
    let emulator = with(json!({"hiddenMs": 30_000, "hiddenFromFilterMs": 20_000,
        "hiddenFromFetchMs": 10_000, "shownFirstMs": 2_000}));
    let sid = bought(&emulator, FIRST).await;
    let shown = || async {
        let digits = FIRST.trim_start_matches('+');
        let filter = format!("{LIST}?PhoneNumber=%2B{digits}");
        let (_, found) = twilio(&emulator, "GET", &filter, &[]).await;
        let fetch = format!("IncomingPhoneNumbers/{sid}.json");
        let fetched = twilio(&emulator, "GET", &fetch, &[]).await.0 == 200;
        let is_found = !found["incoming_phone_numbers"]
            .as_array()
            .unwrap()
            .is_empty();
        (!listed(&emulator).await.is_empty(), is_found, fetched)
    };
    assert_eq!(shown().await, (true, true, true));
    for (wait, expected) in [
        (5, (false, false, false)),
        (10, (false, false, true)),
        (10, (false, true, true)),
        (10, (true, true, true)),
    ] {
        advance(seconds(wait)).await;
        assert_eq!(shown().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn listings_are_wrong_in_five_ways() {
    for (kind, rows, total) in [
        ("empty-list", 0, 0),
        ("short-page", 2, 4),
        ("shifted-page", 3, 3),
        ("stale-page", 2, 2),
        ("wrong-total", 4, 5),
    ] {
        let emulator = with(json!({}));
        for at in 0..4 {
            if at == 2 {
                advance(seconds(100)).await;
            }
            ordered(&emulator, &format!("+1415555000{at}")).await;
            telnyx(&emulator, "GET", "balance", json!(null)).await;
            bought(&emulator, &format!("+1415556000{at}")).await;
        }
        for side in ["twilio", "telnyx"] {
            fault(&emulator, side, "list", kind, 60).await;
        }
        assert_eq!(listed(&emulator).await.len(), rows, "{kind}");
        let (_, page) = telnyx(&emulator, "GET", "phone_numbers", json!(null)).await;
        let shown = page["data"].as_array().unwrap().len();
        assert_eq!(
            (shown, &page["meta"]["total_results"]),
            (rows, &json!(total)),
            "{kind}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_purchase_takes_place_late_twice_or_is_undone() {
    let emulator = with(json!({}));
    fault(&emulator, "twilio", "buy", "late", 60).await;
    let path = format!("{TWILIO}/{LIST}");
    let body = format!("PhoneNumber=%2B{}", FIRST.trim_start_matches('+'));
    let answer = ask(&emulator, Side::Twilio, "POST", &path, body).await;
    assert!(answer.is_none());
    assert_eq!(entries(&emulator, "purchase", FIRST).await, 0);
    tokio::time::sleep(seconds(61)).await;
    assert_eq!(entries(&emulator, "purchase", FIRST).await, 1);

    control(&emulator, "DELETE", "/faults", json!(null)).await;
    fault(&emulator, "telnyx", "buy", "twice", 0).await;
    search(&emulator, SECOND).await;
    let body = json!({"phone_numbers": [{"phone_number": SECOND}]});
    assert_eq!(
        telnyx(&emulator, "POST", "number_orders", body).await.0,
        409
    );
    assert_eq!(entries(&emulator, "order", SECOND).await, 1);

    control(&emulator, "DELETE", "/faults", json!(null)).await;
    fault(&emulator, "twilio", "buy", "rolled-back", 60).await;
    let third = "+14155550003";
    bought(&emulator, third).await;
    tokio::time::sleep(seconds(61)).await;
    assert_eq!(entries(&emulator, "release", third).await, 1);
    assert!(search(&emulator, third).await, "it is on sale again");
}
