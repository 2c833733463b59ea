//! Messaging services, and the numbers in them.

use super::*;
use crate::number::{Registration, Shown};

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
async fn the_best_campaign_of_a_service_counts_and_what_is_not_told_is_unknown() {
    let rows = |states: &[(&str, bool)]| {
        let rows = states
            .iter()
            .map(|(state, mock)| json!({"sid": "QE1", "campaign_status": state, "mock": mock}));
        let rows: Vec<_> = rows.collect();
        json(200, services_page("compliance", json!(rows), json!(null)))
    };
    let word = |word: &str| word.to_owned();
    let refused = || json(403, json!({"code": 70051, "message": "no"}));
    let gone = || json(404, json!({"code": 20404, "message": "no"}));
    for (answer, known) in [
        (rows(&[]), Shown::Known(None)),
        (rows(&[("VERIFIED", true)]), Shown::Known(None)),
        (
            rows(&[("FAILED", false), ("VERIFIED", false)]),
            Shown::Known(Some(Registration::Registered)),
        ),
        (
            rows(&[("FAILED", false)]),
            Shown::Known(Some(Registration::Rejected(word("FAILED")))),
        ),
        (
            rows(&[("SUSPENDED", false)]),
            Shown::Known(Some(Registration::Suspended(word("SUSPENDED")))),
        ),
        (
            rows(&[("IN_PROGRESS", false)]),
            Shown::Known(Some(Registration::Pending(word("IN_PROGRESS")))),
        ),
        (
            rows(&[("NEW\u{1b}[2J", false)]),
            Shown::Known(Some(Registration::Pending(word("NEW [2J")))),
        ),
        (gone(), Shown::Known(None)),
        (refused(), Shown::Unknown),
    ] {
        let fake = Fake::with([answer]);
        assert_eq!(twilio(&fake).campaign_of("MG1").await, Ok(known));
        let asked = fake.asked();
        assert!(
            asked[0].starts_with("Get /v1/Services/MG1/Compliance/Usa2p"),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn verifications_are_listed_once_for_all_toll_free_numbers() {
    let row = |number: &str, status: &str| json!({"sid": "HH1", "tollfree_phone_number": number, "status": status});
    let rows = json!([
        row("+18885550101", "TWILIO_REJECTED"),
        row("+18885550101", "TWILIO_APPROVED"),
        row("+18885550102", "IN_REVIEW"),
        row("not a number", "IN_REVIEW"),
        {"sid": "HH2"},
    ]);
    let fake = Fake::with([json(200, services_page("verifications", rows, json!(null)))]);
    let Ok(Shown::Known(found)) = twilio(&fake).toll_free_verifications().await else {
        panic!("it is not shown")
    };
    assert_eq!(found.len(), 2);
    assert_eq!(
        found[&"+18885550101".parse().unwrap()],
        Registration::Registered
    );
    let pending = Registration::Pending("IN_REVIEW".into());
    assert_eq!(found[&"+18885550102".parse().unwrap()], pending);
    let fake = Fake::with([json(401, json!({"code": 20003, "message": "no"}))]);
    assert_eq!(
        twilio(&fake).toll_free_verifications().await,
        Ok(Shown::Unknown)
    );
}
