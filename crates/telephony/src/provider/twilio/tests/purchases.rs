//! What a purchase sends, and what each answer to it means.

use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn one_request_buys_marks_and_sets_up_the_number() {
    let fake = Fake::with([json(201, row(json!({})))]);
    let reply = twilio(&fake)
        .buy(token(ACCOUNT, Duration::ZERO), &configuration(None))
        .await;
    assert!(matches!(reply, Reply::Bought(holding) if holding.id.as_str() == "PN1"));
    let mark = mark_of("nyc");
    let expected = format!(
        "Post {PATH}.json PhoneNumber=%2B12125551234&FriendlyName=NYC+%5B{mark}%5D\
         &VoiceUrl=https%3A%2F%2Fvoice.example.com%2Ftwiml&VoiceMethod=POST\
         &SmsUrl=https%3A%2F%2Fvoice.example.com%2Fsms&SmsMethod=POST&BundleSid=BU1"
    );
    assert_eq!(fake.asked(), [expected]);
}

#[tokio::test]
async fn a_201_that_does_not_show_the_number_with_our_mark_is_unknown() {
    let table = [
        (json!({}), None),
        // How old a number may be is for those to say who know what else its clock shows.
        (
            json!({"date_created": "Fri, 02 Jan 2015 03:04:02 +0000"}),
            None,
        ),
        (
            json!({"date_created": null}),
            Some("it has no date_created"),
        ),
        (
            json!({"friendly_name": "(212) 555-1234"}),
            Some("the number does not carry our mark"),
        ),
        (
            json!({"friendly_name": format!("NYC [{}]", mark_of("other"))}),
            Some("the number does not carry our mark"),
        ),
        (
            json!({"phone_number": "+12125559999"}),
            Some("it is about another number"),
        ),
        (
            json!({"account_sid": "AC2"}),
            Some("it is about another account"),
        ),
        (json!({"sid": ""}), Some("it has no SID")),
        (json!({"sid": null}), Some("its body cannot be read")),
    ];
    for (change, why) in table {
        match (reply(json(201, row(change.clone()))).await, why) {
            (Reply::Bought(_), None) => {}
            (Reply::Unknown(text), Some(why)) => assert!(text.ends_with(why), "{change}: {text}"),
            (other, _) => panic!("{change}: {other:?}"),
        }
    }
    for body in ["", "{", "<html>", "[]", "null"] {
        assert!(
            matches!(reply(text(201, body)).await, Reply::Unknown(_)),
            "{body}"
        );
    }
}

/// True if a purchase that is answered with this status and Twilio's own error body is refused.
fn refuses(status: u16) -> bool {
    (400..500).contains(&status) && ![408, 409, 425, 429].contains(&status)
}

#[tokio::test]
async fn only_codes_of_the_table_certainly_bought_nothing_and_only_with_a_refusing_status() {
    for status in 100..=599_u16 {
        for (code, kind) in TABLE {
            let reply = reply(json(status, json!({"code": code, "message": "no"}))).await;
            match reply {
                Reply::Rejected(refusal) => {
                    assert!(refuses(status), "{status} {code}");
                    assert_eq!((refusal.kind, refusal.code), (*kind, code.to_string()));
                    assert_eq!(refusal.request_id.as_deref(), Some("req-1"));
                }
                Reply::Unknown(_) => assert!(!refuses(status), "{status} {code}"),
                other => panic!("{status} {code}: {other:?}"),
            }
        }
    }
}

/// As Twilio describes them, whatever the table says.
#[tokio::test]
async fn what_twilio_refuses_a_purchase_for_is_told_by_its_code() {
    for (code, described, kind) in [
        (21422, "the number is not available", RefusalKind::NotOnSale),
        (
            10001,
            "the account is not active",
            RefusalKind::InsufficientBalance,
        ),
        (
            21404,
            "a trial account has its number",
            RefusalKind::PurchasingNotEnabled,
        ),
        (
            21471,
            "the account does not exist",
            RefusalKind::PurchasingNotEnabled,
        ),
        (
            21472,
            "the account is not active",
            RefusalKind::PurchasingNotEnabled,
        ),
        (21631, "an address is needed", RefusalKind::Regulatory),
        (21649, "a bundle is needed", RefusalKind::Regulatory),
        (
            21650,
            "an identity document is needed",
            RefusalKind::Regulatory,
        ),
        (
            21407,
            "the type does not support SMS",
            RefusalKind::TakesNoMessages,
        ),
        (20003, "the token is wrong", RefusalKind::Unauthorized),
        (21402, "the URL cannot be reached", RefusalKind::Invalid),
        (
            21409,
            "caller id lookup is not supported",
            RefusalKind::Invalid,
        ),
        (
            21420,
            "the application cannot be reached",
            RefusalKind::Invalid,
        ),
        (21421, "the number is not valid", RefusalKind::Invalid),
        (21458, "the number is of another type", RefusalKind::Invalid),
        (21999, "something that nobody knows", RefusalKind::Unlisted),
    ] {
        let body = json!({"code": code, "message": described, "status": 400});
        let refusal = match reply(json(400, body)).await {
            Reply::Rejected(refusal) if kind != RefusalKind::Unlisted => refusal,
            Reply::Refused(refusal) if kind == RefusalKind::Unlisted => refusal,
            other => panic!("{code}: {other:?}"),
        };
        assert_eq!(refusal.kind, kind, "{code}: {described}");
        let shown = refusal.to_string();
        let begins = format!("{code}: {described}");
        assert!(shown.starts_with(&begins), "{shown}");
    }
}

/// The table is needed for reasons, not for safety: what Twilio adds to its codes is refused, and may have been bought.
#[test]
fn whatever_is_not_in_the_table_is_refused_told_and_may_have_been_bought() {
    let codes = prop_oneof![
        (0..100_000_i64).prop_map(|code| json!(code)),
        (0..100_000_i64).prop_map(|code| json!(code.to_string())),
        "[a-z_]{1,12}".prop_map(Value::from),
        Just(Value::Null),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(code in codes, status in 400..500_u16, message in "[a-zA-Z ]{1,40}[a-z]")| {
        let number = code.as_i64().or_else(|| code.as_str()?.parse().ok());
        prop_assume!(TABLE.iter().all(|(known, _)| Some(*known) != number));
        prop_assume!(number != Some(20429));
        let body = json!({"code": code, "message": message, "status": status});
        match runtime.block_on(reply(json(status, body))) {
            Reply::Refused(refusal) => {
                prop_assert!(refuses(status));
                let shown = match &code {
                    Value::Null => format!("HTTP {status}"),
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                prop_assert_eq!(refusal.to_string(), format!("{shown}: {} (request req-1)", message.trim()));
                let is_credential = matches!(status, 401 | 403);
                let expected = if is_credential { RefusalKind::Unauthorized } else { RefusalKind::Unlisted };
                prop_assert_eq!(refusal.kind, expected);
            }
            Reply::Unknown(text) => {
                prop_assert!(!refuses(status), "{}", text);
                prop_assert!(text.contains(message.trim()), "{}", text);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    });
}

#[tokio::test]
async fn what_is_not_twilios_own_refusal_is_unknown() {
    let known: Vec<i64> = TABLE.iter().map(|(code, _)| *code).collect();
    let codes = [0, 1, 20404, 20500, 20503, 21710, 99999];
    for status in [200, 202, 301, 408, 409, 425, 500, 502, 503, 504] {
        for code in codes {
            assert!(!known.contains(&code));
            let body = json!({"code": code, "message": "no"});
            assert!(
                matches!(reply(json(status, body)).await, Reply::Unknown(_)),
                "{status} {code}"
            );
        }
    }
    for status in 100..=599_u16 {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"code":null}"#,
            r#"[{"code":21422}]"#,
        ] {
            if status == 201 {
                continue;
            }
            assert!(
                matches!(reply(text(status, body)).await, Reply::Unknown(_)),
                "{status} {body}"
            );
        }
    }
}

#[tokio::test]
async fn twilios_own_429_was_not_processed_and_any_other_429_is_unknown() {
    let own = reply(json(429, json!({"code": 20429, "message": "slow down"}))).await;
    assert!(
        matches!(own, Reply::NotSent(Error::Throttled(None))),
        "{own:?}"
    );
    for answer in [
        text(429, "<html>"),
        json(429, json!({"code": 1, "message": ""})),
    ] {
        assert!(matches!(reply(answer).await, Reply::Unknown(_)));
    }
}

#[tokio::test]
async fn only_what_cannot_have_arrived_was_not_sent() {
    for (error, sent) in [
        (TransportError::NotSent("refused".into()), false),
        (TransportError::Lost("reset".into()), true),
        (TransportError::TooLarge, true),
    ] {
        match reply(Err(error.clone())).await {
            Reply::Unknown(_) => assert!(sent, "{error}"),
            Reply::NotSent(_) => assert!(!sent, "{error}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_purchase_needs_a_fresh_token_the_right_account_and_an_open_gate() {
    let fake = Fake::with([]);
    let stale = twilio(&fake)
        .buy(token(ACCOUNT, Duration::from_secs(5)), &configuration(None))
        .await;
    assert!(
        matches!(stale, Reply::NotSent(Error::Overtaken(_))),
        "{stale:?}"
    );
    let other = twilio(&fake)
        .buy(token("AC2", Duration::ZERO), &configuration(None))
        .await;
    assert!(
        matches!(other, Reply::NotSent(Error::Invariant(_))),
        "{other:?}"
    );
    let shut = Twilio {
        session: twilio_behind(&fake, || Err("it does not lead")).session,
        ..twilio(&fake)
    };
    let reply = shut
        .buy(token(ACCOUNT, Duration::ZERO), &configuration(None))
        .await;
    assert!(
        matches!(
            reply,
            Reply::NotSent(Error::WriteNotAllowed("it does not lead"))
        ),
        "{reply:?}"
    );
    let error = shut
        .release(ours("PN1").await, release_token("PN1", Duration::ZERO))
        .await;
    assert_eq!(error, Err(Error::WriteNotAllowed("it does not lead")));
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn a_number_that_takes_no_messages_is_bought_without_a_webhook_for_them() {
    let refused = reply(json(400, json!({"code": 21407, "message": "no SMS"}))).await;
    assert!(
        matches!(&refused, Reply::Rejected(refusal) if refusal.kind == RefusalKind::TakesNoMessages),
        "{refused:?}"
    );
    let mut silent = configuration(None);
    assert!(silent.leave_out_messages());
    assert!(!silent.leave_out_messages());
    let fake = Fake::with([json(201, row(json!({})))]);
    let reply = twilio(&fake)
        .buy(token(ACCOUNT, Duration::ZERO), &silent)
        .await;
    assert!(matches!(reply, Reply::Bought(_)), "{reply:?}");
    assert!(!fake.asked()[0].contains("Sms"), "{:?}", fake.asked());
}
