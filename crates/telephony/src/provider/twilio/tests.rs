//! What is made of Twilio's answers, in tables.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::classify::TABLE;
use super::{Twilio, TwilioCredentials};
use crate::number::{Configuration, NumberId, RegulatoryDocuments, Routing, Settings};
use crate::provider::http::TransportError;
use crate::provider::http::fake::{Fake, NUMBER, json, mark_of, release_token, text, token};
use crate::provider::{Error, Ours, ProviderApi, Refusal, RefusalKind, Released, Reply, Unproven};

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const PATH: &str = "/2010-04-01/Accounts/AC00000000000000000000000000000001/IncomingPhoneNumbers";
const SECRET: &str = "fake-auth-token";

fn twilio(fake: &Arc<Fake>) -> Twilio {
    let credentials = TwilioCredentials {
        account_sid: ACCOUNT.into(),
        username: ACCOUNT.into(),
        password: SecretString::from(SECRET),
    };
    Twilio::new(fake.client(), credentials, None)
}

fn configuration(messaging_service_sid: Option<&str>) -> Configuration {
    Configuration {
        name: "NYC".into(),
        mark: mark_of("nyc"),
        routing: Routing::Twilio {
            voice_url: "https://voice.example.com/twiml".into(),
            sms_url: Some("https://voice.example.com/sms".into()),
            messaging_service_sid: messaging_service_sid.map(str::to_owned),
        },
        papers: RegulatoryDocuments {
            bundle_sid: Some("BU1".into()),
            ..RegulatoryDocuments::default()
        },
    }
}

/// A number as Twilio shows it, with `change` on it.
fn row(change: Value) -> Value {
    let mut row = json!({
        "sid": "PN1",
        "account_sid": ACCOUNT,
        "phone_number": NUMBER,
        "friendly_name": configuration(None).marked_text(),
        "date_created": "Fri, 02 Jan 2026 03:04:05 +0000",
    });
    for (key, value) in change.as_object().unwrap() {
        row[key] = value.clone();
    }
    row
}

fn page(rows: Value, next: Value) -> Value {
    json!({"incoming_phone_numbers": rows, "next_page_uri": next, "uri": format!("{PATH}.json?PageSize=1")})
}

async fn reply(answer: Result<crate::provider::http::Response, TransportError>) -> Reply {
    let fake = Fake::with([answer]);
    twilio(&fake)
        .buy(token(ACCOUNT, Duration::ZERO), &configuration(None))
        .await
}

async fn ours(id: &str) -> Ours {
    let fake = Fake::with([json(200, row(json!({"sid": id})))]);
    let id = NumberId::new(id);
    let holding = twilio(&fake).fetch(&id).await.unwrap().unwrap();
    Ours::prove(&holding, &mark_of("nyc"), &id).unwrap()
}

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

fn twilio_behind(
    fake: &Arc<Fake>,
    gate: impl Fn() -> Result<(), &'static str> + Send + Sync + 'static,
) -> Twilio {
    let credentials = TwilioCredentials {
        account_sid: ACCOUNT.into(),
        username: ACCOUNT.into(),
        password: SecretString::from(SECRET),
    };
    Twilio::new(fake.client_with(gate), credentials, None)
}

#[tokio::test]
async fn read_errors_are_named_for_what_to_do_next() {
    let refusal = |kind, code: &str| Refusal {
        kind,
        code: code.into(),
        text: "no".into(),
        request_id: Some("req-1".into()),
    };
    let body = |code: i64| json!({"code": code, "message": "no"});
    let table = [
        (
            json(401, body(20003)),
            Error::Unauthorized(Refusal {
                text: "no (a credential of a Twilio region other than US1 is refused too)".into(),
                ..refusal(RefusalKind::Unauthorized, "20003")
            }),
        ),
        (
            json(403, body(70051)),
            Error::Unauthorized(refusal(RefusalKind::Unauthorized, "70051")),
        ),
        (
            json(403, body(5)),
            Error::Unauthorized(refusal(RefusalKind::Unauthorized, "5")),
        ),
        (
            json(403, body(20403)),
            Error::Refused(refusal(RefusalKind::PurchasingNotEnabled, "20403")),
        ),
        (
            json(400, body(5)),
            Error::Refused(refusal(RefusalKind::Unlisted, "5")),
        ),
        (
            json(400, json!({"code": null, "message": "no", "status": 400})),
            Error::Refused(refusal(RefusalKind::Unlisted, "HTTP 400")),
        ),
        (
            json(409, body(20409)),
            Error::Refused(refusal(RefusalKind::Unlisted, "20409")),
        ),
        (json(429, body(20429)), Error::Throttled(None)),
        (
            json(503, body(20503)),
            Error::Unavailable("HTTP 503, 20503: no".into()),
        ),
        (text(429, "<html>"), Error::Throttled(None)),
        (
            json(408, body(21422)),
            Error::Unavailable("HTTP 408 without Twilio's error body".into()),
        ),
        (
            text(404, "<html>"),
            Error::Unavailable("HTTP 404 without Twilio's error body".into()),
        ),
        (
            text(502, "<html>"),
            Error::Unavailable("HTTP 502 without Twilio's error body".into()),
        ),
        (
            text(302, ""),
            Error::Unreadable("HTTP 302 was not expected".into()),
        ),
        (
            text(200, "<html>"),
            Error::Unreadable(
                "HTTP 200 with a body that is not as documented at line 1, column 1".into(),
            ),
        ),
        (
            Err(TransportError::Lost("reset".into())),
            Error::Unavailable("no answer: reset".into()),
        ),
        (
            Err(TransportError::NotSent("refused".into())),
            Error::NotSent("no connection: refused".into()),
        ),
        (
            Err(TransportError::TooLarge),
            Error::Unreadable("the answer is longer than 4 MiB".into()),
        ),
    ];
    for (answer, error) in table {
        let fake = Fake::with([answer]);
        assert_eq!(
            twilio(&fake).find(&NUMBER.parse().unwrap()).await,
            Err(error)
        );
    }
}

#[tokio::test]
async fn an_error_never_shows_the_credential() {
    let echo = json!({"code": 20003, "message": format!("bad token {SECRET} at https://u:{SECRET}@api.twilio.com/")});
    let fake = Fake::with([json(401, echo)]);
    let error = twilio(&fake).list().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the credential was refused: 20003: bad token [redacted] at https://api.twilio.com/ (a credential of a Twilio \
         region other than US1 is refused too) (request req-1)"
    );
}

#[tokio::test]
async fn a_number_is_found_only_if_it_is_the_very_number() {
    let near = row(json!({"phone_number": "+121255512345", "sid": "PN2"}));
    let fake = Fake::with([json(200, page(json!([near, row(json!({}))]), json!(null)))]);
    let found = twilio(&fake).find(&NUMBER.parse().unwrap()).await.unwrap();
    assert_eq!(found.unwrap().id.as_str(), "PN1");
    assert_eq!(
        fake.asked(),
        [format!(
            "Get {PATH}.json?PhoneNumber=%2B12125551234&PageSize=50"
        )]
    );
    let fake = Fake::with([json(200, page(json!([near]), json!("")))]);
    assert_eq!(twilio(&fake).find(&NUMBER.parse().unwrap()).await, Ok(None));
}

#[tokio::test]
async fn absence_is_concluded_from_twilios_own_404_alone() {
    let id = NumberId::new("PN1");
    let own = Fake::with([json(404, json!({"code": 20404, "message": "gone"}))]);
    assert_eq!(twilio(&own).fetch(&id).await, Ok(None));
    for answer in [
        text(404, "<html>"),
        text(404, ""),
        json(404, json!({"code": 1, "message": ""})),
        text(200, ""),
        json(200, row(json!({"sid": "PN2"}))),
        json(200, row(json!({"account_sid": "AC2"}))),
    ] {
        let fake = Fake::with([answer]);
        assert!(twilio(&fake).fetch(&id).await.is_err());
    }
}

#[tokio::test]
async fn a_listing_is_followed_to_its_end_and_shows_each_number_once() {
    let next = format!("{PATH}.json?PageSize=1000&Page=1&PageToken=PAPN1");
    let second = row(json!({"sid": "PN2", "phone_number": "+12125550002"}));
    let fake = Fake::with([
        json(200, page(json!([row(json!({}))]), json!(next))),
        json(200, page(json!([row(json!({})), second]), json!(null))),
    ]);
    let ids: Vec<_> = twilio(&fake)
        .list()
        .await
        .unwrap()
        .holdings
        .into_iter()
        .map(|holding| holding.id)
        .collect();
    assert_eq!(ids, [NumberId::new("PN1"), NumberId::new("PN2")]);
    assert_eq!(
        fake.asked(),
        [
            format!("Get {PATH}.json?PageSize=1000"),
            format!("Get {next}")
        ]
    );
}

#[tokio::test]
async fn a_listing_whose_pages_shift_is_not_whole() {
    let next = format!("{PATH}.json?PageSize=1000&Page=1&PageToken=PAPN1");
    for (again, is_whole) in [("PN1", false), ("PN2", true)] {
        let second = row(json!({"sid": again}));
        let fake = Fake::with([
            json(200, page(json!([row(json!({}))]), json!(next))),
            json(200, page(json!([second]), json!(null))),
        ]);
        assert_eq!(twilio(&fake).list().await.unwrap().is_whole, is_whole);
    }
}

#[tokio::test]
async fn each_page_must_name_the_account() {
    let next = format!("{PATH}.json?PageSize=1000&Page=1&PageToken=PAPN1");
    let mut other = page(json!([]), json!(null));
    other["uri"] = json!("/2010-04-01/Accounts/AC2/IncomingPhoneNumbers.json");
    let nameless = json!({"incoming_phone_numbers": []});
    for wrong in [other, nameless] {
        let first = page(json!([row(json!({}))]), json!(next));
        let fake = Fake::with([json(200, first), json(200, wrong.clone())]);
        let error = twilio(&fake).list().await.unwrap_err();
        assert!(matches!(error, Error::Unreadable(_)), "{error}");
        let fake = Fake::with([json(200, wrong)]);
        let found = twilio(&fake).find(&NUMBER.parse().unwrap()).await;
        assert!(matches!(found, Err(Error::Unreadable(_))), "{found:?}");
    }
}

#[tokio::test]
async fn a_change_of_the_name_shows_the_time_by_the_clock_of_the_rows() {
    let dated = |updated: Value| row(json!({"date_updated": updated}));
    let early = json!("Fri, 02 Jan 2026 03:04:05 +0000");
    let late = json!("Fri, 02 Jan 2026 03:04:06 +0000");
    let at: Timestamp = "2026-01-02T03:04:06Z".parse().unwrap();
    for (before, after, shown) in [
        (&early, &late, Some(at)),
        (&early, &early, None),
        (&late, &early, None),
        (&json!(null), &late, Some(at)),
        (&early, &json!(null), None),
    ] {
        let fake = Fake::with([
            json(200, dated(before.clone())),
            json(200, dated(after.clone())),
        ]);
        let held = dated(before.clone());
        let reader = Fake::with([json(200, held)]);
        let held = twilio(&reader).fetch(&NumberId::new("PN1")).await;
        let unproven = Unproven::prove(&held.unwrap().unwrap(), &mark_of("nyc")).unwrap();
        let renamed = twilio(&fake).rename(&unproven, "a name").await.unwrap();
        assert_eq!(renamed.at, shown, "{before} {after}");
        assert!(fake.asked()[1].ends_with("FriendlyName=a+name"));
    }
}

#[tokio::test]
async fn a_listing_that_takes_too_much_memory_is_no_listing() {
    let long = |next: Value| {
        let mut answer = json(200, page(json!([]), next)).unwrap();
        answer.body.resize(70 << 20, b' ');
        Ok(answer)
    };
    let next = json!(format!("{PATH}.json?PageSize=1000&Page=1"));
    let error = twilio(&Fake::with([long(next), long(Value::Null)]))
        .list()
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Unreadable(text) if text.contains("longer than")),
        "{error}"
    );
}

#[tokio::test]
async fn a_listing_that_loops_or_leaves_the_host_is_not_followed() {
    for link in [
        format!("{PATH}.json?PageSize=1000"),
        "https://evil.example.com/page2".into(),
        "http://api.twilio.com/page2".into(),
        "https://user@api.twilio.com/page2".into(),
        "https://api.twilio.com:8443/page2".into(),
        "page2".into(),
    ] {
        let fake = Fake::with([json(200, page(json!([]), json!(link)))]);
        let error = twilio(&fake).list().await.unwrap_err();
        assert!(matches!(error, Error::Unreadable(_)), "{link}: {error}");
        assert_eq!(fake.asked().len(), 1, "{link}");
    }
}

#[tokio::test]
async fn an_account_is_proved_by_a_listing_of_its_own() {
    let fake = Fake::with([json(200, page(json!([]), json!(null)))]);
    let identity = twilio(&fake).identify().await.unwrap();
    assert_eq!(
        (identity.account.as_str(), identity.proved),
        (ACCOUNT, true)
    );
    let other = json!({"incoming_phone_numbers": [], "uri": "/2010-04-01/Accounts/AC2/IncomingPhoneNumbers.json"});
    for answer in [
        json(200, other),
        json(200, json!({"incoming_phone_numbers": []})),
        text(200, "{}"),
    ] {
        let error = twilio(&Fake::with([answer])).identify().await.unwrap_err();
        assert!(matches!(error, Error::Unreadable(_)), "{error}");
    }
    let absent = Fake::with([json(404, json!({"code": 20404, "message": "no"}))]);
    let error = twilio(&absent).identify().await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error}");
}

const SERVICES: &str = "https://messaging.twilio.com/v1/Services";

#[tokio::test]
async fn a_messaging_service_is_joined_once_the_number_carries_its_mark() {
    let whole = || json(200, row(json!({})));
    for joined in [
        json(200, json!({"sid": "PN1"})),
        json(201, json!({"sid": "PN1"})),
        json(409, json!({"code": 21710, "message": "already in it"})),
        json(400, json!({"code": 21710, "message": "already in it"})),
    ] {
        let fake = Fake::with([whole(), joined]);
        let configured = twilio(&fake)
            .configure(&ours("PN1").await, &configuration(Some("MG1")))
            .await;
        let Settings::Twilio(settings) = configured.unwrap().settings else {
            panic!("a Twilio number")
        };
        assert_eq!(settings.messaging_service.unwrap().sid, "MG1");
        assert!(fake.asked()[0].starts_with(&format!("Post {PATH}/PN1.json FriendlyName=NYC")));
        assert_eq!(
            fake.asked()[1],
            "Post /v1/Services/MG1/PhoneNumbers PhoneNumberSid=PN1"
        );
    }
    // In another service, full, without messages, in another region, no service, no permission.
    for (status, code, kind) in [
        (409, 21712, Some(RefusalKind::Unlisted)),
        (400, 21714, Some(RefusalKind::Unlisted)),
        (400, 21715, Some(RefusalKind::Unlisted)),
        (400, 21669, Some(RefusalKind::Unlisted)),
        (404, 21701, Some(RefusalKind::ReferenceMissing)),
        (404, 20404, Some(RefusalKind::ReferenceMissing)),
        (403, 70051, None),
    ] {
        let refused = json(status, json!({"code": code, "message": "no"}));
        let fake = Fake::with([whole(), refused]);
        let error = twilio(&fake)
            .configure(&ours("PN1").await, &configuration(Some("MG1")))
            .await
            .unwrap_err();
        match kind {
            Some(kind) => assert!(
                matches!(&error, Error::Refused(refusal) if refusal.kind == kind),
                "{code}: {error}"
            ),
            None => assert!(matches!(error, Error::Unauthorized(_)), "{code}: {error}"),
        }
        assert_eq!(fake.asked().len(), 2, "{code}: nothing is asked again");
    }
}

#[tokio::test]
async fn what_is_set_up_is_what_is_declared_and_the_number_can_have() {
    let papers = RegulatoryDocuments {
        address_sid: Some("AD1".into()),
        bundle_sid: Some("BU1".into()),
        identity_sid: Some("RI1".into()),
        requirement_group_id: None,
    };
    let configuration = Configuration {
        papers,
        ..configuration(None)
    };
    let voice = "&VoiceUrl=https%3A%2F%2Fvoice.example.com%2Ftwiml&VoiceMethod=POST&TrunkSid=&VoiceApplicationSid=";
    let messages =
        "&SmsUrl=https%3A%2F%2Fvoice.example.com%2Fsms&SmsMethod=POST&SmsApplicationSid=";
    let papers = "&AddressSid=AD1&BundleSid=BU1&IdentitySid=RI1";
    for (capabilities, messages) in [
        (json!(null), messages),
        (json!({"voice": true, "sms": true, "mms": false}), messages),
        (json!({"voice": true, "sms": false, "mms": true}), messages),
        (json!({"voice": true, "sms": false, "mms": false}), ""),
    ] {
        let shown = row(json!({"capabilities": capabilities}));
        let fake = Fake::with([json(200, shown.clone()), json(200, shown)]);
        let twilio = twilio(&fake);
        let id = NumberId::new("PN1");
        let holding = twilio.fetch(&id).await.unwrap().unwrap();
        let ours = Ours::prove(&holding, &mark_of("nyc"), &id).unwrap();
        twilio.configure(&ours, &configuration).await.unwrap();
        let mark = mark_of("nyc");
        assert_eq!(
            fake.asked()[1],
            format!("Post {PATH}/PN1.json FriendlyName=NYC+%5B{mark}%5D{voice}{messages}{papers}"),
            "{capabilities}"
        );
    }
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

fn services_page(key: &str, rows: Value, next: Value) -> Value {
    json!({key: rows, "meta": {"key": key, "page": 0, "page_size": 1000, "next_page_url": next}})
}

#[tokio::test]
async fn messaging_services_and_their_numbers_are_read_page_by_page() {
    let service = |sid: &str| json!({"sid": sid, "use_inbound_webhook_on_number": true});
    let next = format!("{SERVICES}?PageSize=1000&Page=1&PageToken=PT1");
    let fake = Fake::with([
        json(
            200,
            services_page("services", json!([service("MG1")]), json!(next)),
        ),
        json(
            200,
            services_page("services", json!([service("MG2")]), json!(null)),
        ),
    ]);
    let services = twilio(&fake).messaging_services().await.unwrap();
    let sids: Vec<_> = services
        .iter()
        .map(|service| service.sid.as_str())
        .collect();
    assert_eq!(sids, ["MG1", "MG2"]);
    assert_eq!(
        fake.asked(),
        [
            "Get /v1/Services?PageSize=1000",
            "Get /v1/Services?PageSize=1000&Page=1&PageToken=PT1"
        ]
    );

    let next = format!("{SERVICES}/MG1/PhoneNumbers?PageSize=1000&Page=1");
    let fake = Fake::with([
        json(
            200,
            services_page("phone_numbers", json!([{"sid": "PN1"}]), json!(next)),
        ),
        json(
            200,
            services_page("phone_numbers", json!([{"sid": "PN2"}]), json!("")),
        ),
    ]);
    let members = twilio(&fake).members("MG1").await.unwrap().unwrap();
    assert_eq!(members, ["PN1", "PN2"].map(NumberId::new).into());

    for code in [20404, 21701] {
        let gone = || json(404, json!({"code": code, "message": "no"}));
        let twilio = twilio(&Fake::with([gone(), gone()]));
        assert_eq!(twilio.members("MG1").await, Ok(None));
        assert_eq!(twilio.messaging_service("MG1").await, Ok(None));
    }
    let other = twilio(&Fake::with([json(200, service("MG2"))]));
    assert!(other.messaging_service("MG1").await.is_err());
}

#[tokio::test]
async fn a_page_of_services_that_leads_elsewhere_is_not_followed() {
    for next in [
        "https://messaging.twilio.com/v1/Services/MG2/PhoneNumbers?Page=1",
        "https://messaging.twilio.com/v1/Services/MG1/PhoneNumbers?PageSize=1000",
        "/v1/Services/MG1/PhoneNumbers?Page=1",
        "not a link",
    ] {
        let page = services_page("phone_numbers", json!([]), json!(next));
        let fake = Fake::with([json(200, page)]);
        let error = twilio(&fake).members("MG1").await.unwrap_err();
        assert!(matches!(error, Error::Unreadable(_)), "{next}: {error}");
        assert_eq!(fake.asked().len(), 1, "{next}");
    }
    // The credential stays on its host whatever host the link names.
    let next = "https://evil.example.com/v1/Services/MG1/PhoneNumbers?Page=1";
    let fake = Fake::with([
        json(200, services_page("phone_numbers", json!([]), json!(next))),
        json(200, services_page("phone_numbers", json!([]), json!(null))),
    ]);
    assert!(twilio(&fake).members("MG1").await.is_ok());
    assert_eq!(fake.hosts(), ["messaging.twilio.com"; 2]);
    let other_key = services_page("services", json!([]), json!(null));
    let error = twilio(&Fake::with([json(200, other_key)]))
        .members("MG1")
        .await;
    assert!(matches!(error, Err(Error::Unreadable(_))), "{error:?}");
}

#[tokio::test]
async fn no_part_of_an_answer_is_taken_for_the_whole() {
    let whole = row(json!({})).to_string();
    for end in 0..whole.len() {
        let reply = reply(text(201, &whole[..end])).await;
        assert!(matches!(reply, Reply::Unknown(_)), "{}", &whole[..end]);
    }
}

#[tokio::test]
async fn a_release_is_confirmed_by_204_or_by_twilios_own_404() {
    let gone = json!({"code": 20404, "message": "gone"});
    let table = [
        (text(204, ""), Some(Released::Confirmed)),
        (json(404, gone), Some(Released::Absent)),
        (text(404, "<html>"), None),
        (text(200, "<html>"), None),
        (text(500, ""), None),
        (Err(TransportError::Lost("reset".into())), None),
    ];
    for (answer, released) in table {
        let fake = Fake::with([answer]);
        let result = twilio(&fake)
            .release(ours("PN1").await, release_token("PN1", Duration::ZERO))
            .await;
        assert_eq!(result.ok(), released);
        assert_eq!(fake.asked(), [format!("Delete {PATH}/PN1.json")]);
    }
}

#[tokio::test]
async fn an_id_that_would_change_the_path_is_not_sent() {
    for id in ["", "..", "PN1/../AC2", "PN1?x", "PN 1", "%2e%2e"] {
        let fake = Fake::with([]);
        assert!(
            twilio(&fake).fetch(&NumberId::new(id)).await.is_err(),
            "{id}"
        );
        assert!(fake.asked().is_empty());
    }
}

#[tokio::test]
async fn a_search_that_is_refused_is_refused_for_its_filter() {
    let search = serde_json::from_value(json!({"country": "US", "contains": "x"})).unwrap();
    for (status, code, kind) in [
        (400, json!(21451), RefusalKind::Invalid),
        (400, json!(21999), RefusalKind::Invalid),
        (400, json!(null), RefusalKind::Invalid),
        (400, json!(20010), RefusalKind::PurchasingNotEnabled),
    ] {
        let body = json!({"code": code, "message": "bad filter"});
        let fake = Fake::with([json(status, body)]);
        let Err(Error::Refused(refusal)) = twilio(&fake).search(&search).await else {
            panic!("{code}")
        };
        assert_eq!((refusal.kind, refusal.text.as_str()), (kind, "bad filter"));
    }
}

#[tokio::test]
async fn a_country_without_such_numbers_or_prices_is_no_error() {
    let search = serde_json::from_value(json!({"country": "US", "type": "mobile"})).unwrap();
    let absent = || {
        json(
            404,
            json!({"code": 20404, "message": "not found", "status": 404}),
        )
    };
    let fake = Fake::with([absent(), absent(), text(404, "<html>")]);
    let twilio = twilio(&fake);
    assert_eq!(twilio.search(&search).await, Ok(Vec::new()));
    assert_eq!(
        twilio.price("AQ", crate::number::Kind::Local).await,
        Ok(None)
    );
    assert!(
        twilio.search(&search).await.is_err(),
        "a proxy's 404 says nothing"
    );
    let asked = fake.asked();
    assert!(
        asked[0].contains("/AvailablePhoneNumbers/US/Mobile.json?PageSize=1000&"),
        "{asked:?}"
    );
    assert!(
        asked[1].ends_with("/v1/PhoneNumbers/Countries/AQ"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_release_needs_a_fresh_token_for_this_very_number() {
    for (token, is_invariant) in [
        (release_token("PN1", Duration::from_secs(5)), false),
        (release_token("PN1-other", Duration::ZERO), true),
    ] {
        let fake = Fake::with([]);
        let error = twilio(&fake)
            .release(ours("PN1").await, token)
            .await
            .unwrap_err();
        assert_eq!(
            matches!(error, Error::Invariant(_)),
            is_invariant,
            "{error}"
        );
        assert_eq!(
            matches!(error, Error::Overtaken(_)),
            !is_invariant,
            "{error}"
        );
        assert!(fake.asked().is_empty());
    }
    // It is asked again when the request leaves.
    let fake = Fake::with([text(500, "")]);
    let token = release_token("PN1", Duration::from_secs(3));
    assert!(
        twilio(&fake)
            .release(ours("PN1").await, token)
            .await
            .is_err()
    );
    assert!(fake.may_leave_after(0) && !fake.may_leave_after(1));
}
