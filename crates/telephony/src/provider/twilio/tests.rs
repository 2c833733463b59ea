//! What is made of Twilio's answers, in tables.

mod listings;
mod purchases;
mod services;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
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

#[tokio::test]
async fn a_balance_that_is_not_told_is_unknown_and_never_zero() {
    let told =
        |balance: &str| json!({"account_sid": ACCOUNT, "balance": balance, "currency": "USD"});
    for (answer, shown) in [
        (json(200, told("-0.05")), Ok(Some("-0.05 USD"))),
        (json(200, told("")), Ok(None)),
        (json(404, json!({"code": 20404, "message": "no"})), Ok(None)),
        (json(401, json!({"code": 20003, "message": "no"})), Ok(None)),
        (json(503, json!({"code": 20500, "message": "no"})), Err(())),
    ] {
        let fake = Fake::with([answer]);
        let asked = twilio(&fake).balance().await;
        let asked = asked.map(|told| told.map(|it| it.to_string()));
        let asked = asked.as_ref().map(Option::as_deref).map_err(|_| ());
        assert_eq!(asked, shown);
        let path = format!(
            "Get {}/Balance.json",
            PATH.trim_end_matches("/IncomingPhoneNumbers")
        );
        assert_eq!(fake.asked(), [path]);
    }
}
