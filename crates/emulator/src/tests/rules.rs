//! Faults that are asked for: what they do, how often, and to what.

use super::*;

#[tokio::test]
async fn a_refusal_by_a_fault_has_the_body_of_its_side_and_no_effect() {
    let emulator = with(json!({}));
    for (code, at_telnyx) in [
        (json!(21999), json!([{"code": 21999, "title": "no"}])),
        (json!(null), json!([{"code": null, "title": "no"}])),
        (
            json!(["1", null]),
            json!([{"code": "1", "title": "no"}, {"code": null, "title": "no"}]),
        ),
    ] {
        for side in ["twilio", "telnyx"] {
            let rule = json!({"dialect": side, "operation": "buy", "kind": "refused", "times": 1,
                "status": 404, "code": code, "message": "no"});
            control(&emulator, "POST", "/faults", rule).await;
        }
        let form = [("PhoneNumber", FIRST)];
        let (status, body) = twilio(&emulator, "POST", "IncomingPhoneNumbers.json", &form).await;
        assert_eq!((status, &body["message"]), (404, &json!("no")));
        assert_eq!(body["code"], code);
        let order = json!({"phone_numbers": [{"phone_number": SECOND}]});
        let (status, body) = telnyx(&emulator, "POST", "number_orders", order).await;
        assert_eq!((status, &body["errors"]), (404, &at_telnyx));
    }
    assert_eq!(entries(&emulator, "purchase", FIRST).await, 0);
}

/// What a client gets.
#[derive(Debug, PartialEq)]
enum Gets {
    Nothing,
    Page(u16),
    Throttled(Option<String>),
    Half,
    TooMuch,
}

fn gets(reply: Option<Reply>) -> Gets {
    let Some(reply) = reply else {
        return Gets::Nothing;
    };
    let header = |name: &str| {
        let mut headers = reply.headers.iter();
        headers.find(|(key, _)| *key == name)
    };
    let whole = serde_json::from_slice::<Value>(&reply.body).is_ok();
    if header("content-type").is_some_and(|(_, value)| value == "text/html") {
        assert!(!whole);
        return Gets::Page(reply.status);
    }
    if reply.status == 429 {
        return Gets::Throttled(header("retry-after").map(|(_, value)| value.clone()));
    }
    assert_eq!(reply.status, 201, "the answer is that of a purchase");
    if reply
        .said_length
        .is_some_and(|said| said > reply.body.len())
    {
        assert!(!whole);
        return Gets::Half;
    }
    assert!(whole && reply.body.len() > 5 << 20, "an ordinary answer");
    Gets::TooMuch
}

#[tokio::test(start_paused = true)]
async fn every_fault_has_its_effect() {
    for (kind, given, commits, expected, lasts) in [
        (Kind::LostReplyAfterCommit, None, true, Gets::Nothing, 0),
        (Kind::DropBeforeCommit, None, false, Gets::Nothing, 0),
        (Kind::ServerErrorAfterCommit, None, true, Gets::Page(500), 0),
        (Kind::Unavailable, None, false, Gets::Page(503), 0),
        (Kind::Hang, Some(40), false, Gets::Nothing, 40),
        (Kind::Hang, None, false, Gets::Nothing, 3600),
        (Kind::HangAfterCommit, Some(40), true, Gets::Nothing, 40),
        (
            Kind::TooManyRequests,
            Some(7),
            false,
            Gets::Throttled(Some("7".into())),
            0,
        ),
        (Kind::TooManyRequests, None, false, Gets::Throttled(None), 0),
        (Kind::TruncatedBody, None, true, Gets::Half, 0),
        (Kind::HtmlBody, None, true, Gets::Page(200), 0),
        (Kind::OversizedBody, None, true, Gets::TooMuch, 0),
    ] {
        let emulator = with(json!({}));
        let rule = json!({"dialect": "twilio", "operation": "buy", "times": 1, "kind": kind, "seconds": given});
        control(&emulator, "POST", "/faults", rule).await;
        let path = format!("{TWILIO}/IncomingPhoneNumbers.json");
        let form = "PhoneNumber=%2B14155550001";
        let begun = Instant::now();
        let reply = ask(&emulator, Side::Twilio, "POST", &path, form.into()).await;
        let took = begun.elapsed();
        assert_eq!(gets(reply), expected, "{kind:?}");
        // The clock stands still but for sleeping, which may be rounded up.
        assert!(
            seconds(lasts) <= took && took < seconds(lasts + 1),
            "{kind:?} took {took:?}"
        );
        let purchases = entries(&emulator, "purchase", FIRST).await;
        assert_eq!(purchases, usize::from(commits), "{kind:?}");
        // It was met once; what follows is as ever.
        bought(&emulator, FIRST).await;
        assert_eq!(entries(&emulator, "purchase", FIRST).await, 1, "{kind:?}");
    }
}

/// Which of `count` listings at Twilio meet a fault, from 1.
async fn met(emulator: &Emulator, count: usize) -> Vec<usize> {
    let mut met = Vec::new();
    for at in 1..=count {
        if twilio(emulator, "GET", "IncomingPhoneNumbers.json", &[])
            .await
            .0
            == 503
        {
            met.push(at);
        }
    }
    met
}

#[tokio::test]
async fn a_rule_says_how_often_it_is_met() {
    for (rule, expected) in [
        (json!({}), vec![1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (json!({"times": 2}), vec![1, 2]),
        (json!({"every": 3}), vec![3, 6, 9]),
        (json!({"every": 3, "times": 2}), vec![3, 6]),
        (json!({"every": 0}), vec![1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ] {
        let emulator = with(json!({}));
        let mut whole = json!({"dialect": "twilio", "operation": "list", "kind": "503"});
        whole
            .as_object_mut()
            .unwrap()
            .extend(rule.as_object().unwrap().clone());
        control(&emulator, "POST", "/faults", whole).await;
        assert_eq!(met(&emulator, 9).await, expected, "{rule}");
        let faults = control(&emulator, "GET", "/faults", json!(null)).await;
        assert_eq!(faults["met"], expected.len(), "{rule}");
        control(&emulator, "DELETE", "/faults", json!(null)).await;
        assert!(met(&emulator, 3).await.is_empty(), "{rule} was taken back");
    }
}

#[tokio::test]
async fn a_rule_says_what_it_is_about() {
    let emulator = with(json!({}));
    let rule = json!({"dialect": "twilio", "operation": "buy", "mentions": FIRST, "kind": "503"});
    control(&emulator, "POST", "/faults", rule).await;
    assert_eq!(buy(&emulator, &[("PhoneNumber", FIRST)]).await.0, 503);
    bought(&emulator, SECOND).await;
    assert!(met(&emulator, 1).await.is_empty(), "another operation");
    let order = ordered(&emulator, FIRST).await;
    assert_eq!(order["status"], "pending", "another dialect");
}
