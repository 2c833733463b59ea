//! The last use of a number, as the records of the emulated companies show it.

use jiff::{SignedDuration, Timestamp};
use phonenumber_operator::number::{E164, Provider};
use phonenumber_operator::provider::{Error, Period, Seen};
use serde_json::json;
use test_support::emulator::{Emulator, TELNYX_ACCOUNT, TWILIO_ACCOUNT};

use crate::setup::company;

const NUMBERS: [(&str, &str, &str, &str); 2] = [
    ("twilio", TWILIO_ACCOUNT, "emulator-token", "+12125550100"),
    ("telnyx", TELNYX_ACCOUNT, "emulator-key", "+16175550100"),
];

const OTHER: &str = "+14155559999";

fn days_ago(days: i64) -> Timestamp {
    let ago = SignedDuration::from_hours(24 * days);
    Timestamp::now() - ago
}

/// Neither which rows come first is documented, nor on which side of a record a number is.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_use_of_a_number_is_told_in_whatever_order_records_are_shown() {
    let period = Period {
        days: 30,
        since: days_ago(30),
    };
    for is_reversed in [false, true] {
        for (provider, account, secret, number) in NUMBERS {
            let emulator = Emulator::start();
            let switches = json!({"recordsOldestFirst": is_reversed});
            emulator.post("/switches", switches).await;
            let bought = json!({"provider": provider, "account": account, "number": number});
            emulator.post("/console/buy", bought).await;
            let (kind, endpoint) = match provider {
                "twilio" => (Provider::Twilio, &emulator.twilio),
                _ => (Provider::Telnyx, &emulator.telnyx),
            };
            let company = company(kind, &endpoint.parse().unwrap(), secret);
            let parsed: E164 = number.parse().unwrap();
            let used = async || company.last_use(&parsed, period).await.unwrap();
            let take_place = async |kind: &str, from: &str, to: &str, at: Timestamp| {
                let record = json!({"kind": kind, "from": from, "to": to, "at": at});
                emulator.post("/console/usage", record).await;
            };

            let never = used().await;
            assert_eq!((never.call, never.message), (Seen::Never, Seen::Never));
            assert!(never.is_idle());

            for ago in [100, 40, 70] {
                take_place("call", OTHER, number, days_ago(ago)).await;
                take_place("message", number, OTHER, days_ago(ago + 10)).await;
            }
            // What others do is nothing of this number.
            take_place("call", OTHER, "+14155558888", days_ago(1)).await;
            let before = used().await;
            assert!(before.is_idle(), "{provider}: {before:?}");
            let days = |seen: Seen| match seen {
                Seen::Before(Some(at)) => (Timestamp::now().duration_since(at)).as_hours() / 24,
                other => panic!("{provider}: {other:?}"),
            };
            assert_eq!((days(before.call), days(before.message)), (40, 50));

            take_place("message", OTHER, number, days_ago(3)).await;
            let within = used().await;
            assert!(!within.is_idle(), "{provider}: {within:?}");
            assert!(matches!(within.message, Seen::Within(Some(_))));
            take_place("call", number, OTHER, days_ago(29)).await;
            assert!(matches!(used().await.call, Seen::Within(Some(_))));
        }
    }
}

/// An answer that does not come is no sign that a number is not used.
#[tokio::test(flavor = "multi_thread")]
async fn records_that_cannot_be_read_are_an_error() {
    for (provider, _, secret, number) in NUMBERS {
        let emulator = Emulator::start();
        let (kind, endpoint) = match provider {
            "twilio" => (Provider::Twilio, &emulator.twilio),
            _ => (Provider::Telnyx, &emulator.telnyx),
        };
        emulator
            .fault(json!({"dialect": provider, "operation": "usage", "kind": "503"}))
            .await;
        let company = company(kind, &endpoint.parse().unwrap(), secret);
        let period = Period {
            days: 30,
            since: days_ago(30),
        };
        let asked = company.last_use(&number.parse().unwrap(), period).await;
        assert!(
            matches!(asked, Err(Error::Unavailable(_))),
            "{provider}: {asked:?}"
        );
    }
}
