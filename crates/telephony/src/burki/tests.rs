//! What is made of the directory's answers, in tables.

use super::*;
use crate::provider::http::fake::{Fake, NUMBER, json, text};

const KEY: &str = "fake-burki-key";

fn burki(fake: &Arc<Fake>) -> Burki {
    let origin = "https://burki.example.com".parse().unwrap();
    Burki::new(fake.client(), origin, SecretString::from(KEY))
}

fn number() -> E164 {
    NUMBER.parse().unwrap()
}

#[tokio::test]
async fn only_an_assistant_that_was_switched_off_is_inactive() {
    for (is_active, active) in [
        (json!(true), true),
        (json!(null), true),
        (json!(false), false),
    ] {
        let body =
            json!({"id": 101, "name": "Ann", "is_active": is_active, "api_keys": {"x": "fake"}});
        let found = burki(&Fake::with([json(200, body)]))
            .assistant(101)
            .await
            .unwrap();
        let expected = Assistant {
            id: 101,
            name: "Ann".into(),
            active,
            telnyx_connection_id: None,
        };
        assert_eq!(found, Some(expected));
    }
}

#[tokio::test]
async fn the_connection_of_an_assistant_is_read_if_it_is_there() {
    for (config, connection) in [
        (json!({"connection_id": "11"}), Some("11")),
        (json!({"connection_id": ""}), None),
        (json!({"connection_id": 11}), None),
        (json!("11"), None),
        (json!(null), None),
    ] {
        let body = json!({"id": 101, "telnyx_config": config});
        let found = burki(&Fake::with([json(200, body)]))
            .assistant(101)
            .await
            .unwrap();
        assert_eq!(
            found.unwrap().telnyx_connection_id.as_deref(),
            connection,
            "{config}"
        );
    }
}

#[tokio::test]
async fn absence_is_concluded_from_burkis_own_404_alone() {
    let own = || {
        json(
            404,
            json!({"detail": "Assistant with ID 101 not found in your organization"}),
        )
    };
    assert_eq!(burki(&Fake::with([own()])).assistant(101).await, Ok(None));
    assert_eq!(
        burki(&Fake::with([own()])).organization_connection().await,
        Ok(None)
    );
    assert_eq!(
        burki(&Fake::with([own()])).assigned_to(&number()).await,
        Ok(None)
    );
    for answer in [
        text(404, "<html>"),
        json(404, json!({})),
        json(200, json!({"id": 102})),
        text(200, "[]"),
    ] {
        assert!(burki(&Fake::with([answer])).assistant(101).await.is_err());
    }
}

#[tokio::test]
async fn errors_are_named_for_what_to_do_next() {
    let detail = || json!({"detail": format!("no {KEY}")});
    for (answer, error) in [
        (
            json(401, detail()),
            DirectoryError::Unauthorized("HTTP 401: no [redacted]".into()),
        ),
        (
            json(403, detail()),
            DirectoryError::Unauthorized("HTTP 403: no [redacted]".into()),
        ),
        (json(429, detail()), DirectoryError::Throttled(None)),
        (
            json(422, json!({"detail": [{"msg": "a"}, {"msg": "b"}]})),
            DirectoryError::Refused("HTTP 422: a; b".into()),
        ),
        (
            text(400, "no"),
            DirectoryError::Unavailable("HTTP 400 without Burki's error body".into()),
        ),
        (
            json(500, detail()),
            DirectoryError::Unavailable("HTTP 500: no [redacted]".into()),
        ),
        (
            text(307, ""),
            DirectoryError::Unreadable("HTTP 307 was not expected".into()),
        ),
        (
            Err(TransportError::Lost("reset".into())),
            DirectoryError::Unavailable("no answer: reset".into()),
        ),
    ] {
        assert_eq!(
            burki(&Fake::with([answer])).assistant(101).await,
            Err(error)
        );
    }
}

#[tokio::test]
async fn whether_a_number_is_assigned_is_read_from_the_body() {
    let refused = || json(200, json!({"success": false, "message": "taken"}));
    let holder = |id: i64| json(200, json!({"id": id}));
    let nobody = json(404, json!({"detail": "none"}));
    for (answers, assigned) in [
        (vec![json(200, json!({"success": true}))], Assigned::Done),
        (vec![refused(), holder(101)], Assigned::Done),
        (
            vec![refused(), holder(102)],
            Assigned::OnAnother("taken".into()),
        ),
        (
            vec![refused(), nobody],
            Assigned::Impossible("taken".into()),
        ),
        (
            vec![json(404, json!({"detail": "unknown number"}))],
            Assigned::Impossible("unknown number".into()),
        ),
    ] {
        let fake = Fake::with(answers);
        let name = "n".repeat(120);
        assert_eq!(
            burki(&fake).assign(&number(), 101, Some(&name)).await,
            Ok(assigned)
        );
        let body = format!(
            "Post /api/v1/assistants/101/phone-numbers/assign-by-number \
                 {{\"auto_sync\":true,\"friendly_name\":\"{}\",\"phone_number\":\"{NUMBER}\"}}",
            "n".repeat(100)
        );
        assert_eq!(fake.asked()[0], body);
    }
    for answer in [
        json(200, json!({})),
        text(200, ""),
        text(404, "<html>"),
        json(500, json!({"detail": "x"})),
    ] {
        assert!(
            burki(&Fake::with([answer]))
                .assign(&number(), 101, None)
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_number_that_is_not_assigned_is_unassigned_already() {
    for (answer, done) in [
        (json(200, json!({"success": true})), true),
        (json(400, json!({"detail": "not assigned"})), true),
        (json(404, json!({"detail": "unknown"})), true),
        (text(404, "<html>"), false),
        (json(401, json!({"detail": "no"})), false),
        (text(500, ""), false),
    ] {
        assert_eq!(
            burki(&Fake::with([answer]))
                .unassign(&number(), 101)
                .await
                .is_ok(),
            done
        );
    }
}

#[tokio::test]
async fn writes_pass_the_gate_and_reads_do_not() {
    let fake = Fake::with([json(404, json!({"detail": "none"}))]);
    let client = fake.client_with(|| Err("it does not lead"));
    let origin = "https://burki.example.com".parse().unwrap();
    let burki = Burki::new(client, origin, SecretString::from(KEY));
    let shut = DirectoryError::WriteNotAllowed("it does not lead");
    assert_eq!(burki.assign(&number(), 101, None).await, Err(shut.clone()));
    assert_eq!(burki.unassign(&number(), 101).await, Err(shut));
    assert_eq!(burki.assigned_to(&number()).await, Ok(None));
    assert_eq!(
        fake.asked(),
        ["Get /api/v1/assistants/by-phone/%2B12125551234"]
    );
    assert!(!format!("{burki:?}").contains(KEY));
}
