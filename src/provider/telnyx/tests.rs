//! What is made of Telnyx's answers, in tables.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::Telnyx;
use super::classify::TABLE;
use crate::number::{Configuration, NumberId, OrderId, Papers, Routing, Settings};
use crate::provider::http::fake::{Fake, NUMBER, json, mark_of, text, token};
use crate::provider::http::{Response, TransportError};
use crate::provider::{
    Error, Order, OrderState, Ours, PhoneCompany, RefusalKind, Released, Reply, Webhook,
};

const KEY: &str = "fake-api-key";

fn telnyx(fake: &Arc<Fake>) -> Telnyx {
    Telnyx::new(fake.client(), SecretString::from(KEY), None)
}

fn configuration() -> Configuration {
    Configuration {
        name: "NYC".into(),
        mark: mark_of("nyc"),
        routing: Routing::Telnyx {
            connection_id: "11".into(),
            messaging_profile_id: Some("mp-1".into()),
            billing_group_id: Some("bg-1".into()),
        },
        papers: Papers {
            requirement_group_id: Some("rg-1".into()),
            ..Papers::default()
        },
    }
}

fn reference() -> String {
    format!("{}.n1", mark_of("nyc"))
}

fn changed(mut value: Value, change: Value) -> Value {
    for (key, field) in change.as_object().unwrap() {
        value[key] = field.clone();
    }
    value
}

/// A number as Telnyx shows it, with `change` on it.
fn row(change: Value) -> Value {
    let row = json!({
        "id": "21",
        "phone_number": NUMBER,
        "status": "active",
        "customer_reference": mark_of("nyc").to_string(),
        "connection_id": "11",
        "messaging_profile_id": "mp-1",
        "billing_group_id": "bg-1",
        "purchased_at": "2026-01-02T03:04:05Z",
        "created_at": "2026-01-02T03:04:06Z",
    });
    changed(row, change)
}

/// An order as Telnyx shows it, with `change` on it.
fn order(change: Value) -> Value {
    let order = json!({
        "id": "o-1",
        "status": "pending",
        "customer_reference": reference(),
        "requirements_met": true,
        "sub_number_orders_ids": ["s-1"],
        "phone_numbers": [{"phone_number": NUMBER, "status": "pending", "requirements_met": true}],
        "created_at": "2026-01-02T03:04:05.000000Z",
    });
    changed(order, change)
}

fn page(rows: Value, number: usize, pages: usize) -> Value {
    json!({"data": rows, "meta": {"page_number": number, "total_pages": pages}})
}

fn errors(code: &str) -> Value {
    json!({"errors": [{"code": code, "title": "No", "detail": "not so"}]})
}

type Answer = Result<Response, TransportError>;

async fn reply(answer: Answer) -> Reply {
    let fake = Fake::with([answer]);
    telnyx(&fake)
        .buy(token("org-1", Duration::ZERO), &configuration())
        .await
}

async fn ours() -> Ours {
    let fake = Fake::with([json(200, json!({"data": row(json!({}))}))]);
    let id = NumberId::new("21");
    let holding = telnyx(&fake).fetch(&id, None).await.unwrap().unwrap();
    Ours::prove(&holding, &mark_of("nyc"), &id).unwrap()
}

#[tokio::test]
async fn an_order_carries_the_mark_the_nonce_and_the_routing() {
    let fake = Fake::with([json(200, json!({"data": order(json!({}))}))]);
    let reply = telnyx(&fake)
        .buy(token("org-1", Duration::ZERO), &configuration())
        .await;
    let Reply::Ordered(ordered) = reply else {
        panic!("{reply:?}")
    };
    let expected = Order {
        id: OrderId::new("o-1"),
        reference: reference(),
        state: OrderState::Pending,
        sub_orders: vec!["s-1".into()],
        requirements_open: false,
        numbers: vec![NUMBER.parse().unwrap()],
        created: Some("2026-01-02T03:04:05Z".parse().unwrap()),
    };
    assert_eq!(ordered, expected);
    let asked = fake.asked();
    let body = asked[0].strip_prefix("Post /v2/number_orders ").unwrap();
    let expected = json!({
        "phone_numbers": [{"phone_number": NUMBER, "requirement_group_id": "rg-1"}],
        "customer_reference": reference(),
        "connection_id": "11",
        "messaging_profile_id": "mp-1",
        "billing_group_id": "bg-1",
    });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
}

#[tokio::test]
async fn a_200_that_does_not_prove_our_order_is_unknown() {
    let table = [
        json!({"customer_reference": mark_of("nyc").to_string()}),
        json!({"customer_reference": format!("{}.n2", mark_of("nyc"))}),
        json!({"customer_reference": null}),
        json!({"phone_numbers": []}),
        json!({"phone_numbers": [{"phone_number": "+12125559999"}]}),
        json!({"phone_numbers": [{"phone_number": NUMBER}, {"phone_number": "+12125559999"}]}),
        json!({"id": ""}),
        json!({"id": null}),
        json!({"status": null}),
    ];
    for change in table {
        let body = json!({"data": order(change.clone())});
        assert!(
            matches!(reply(json(200, body)).await, Reply::Unknown(_)),
            "{change}"
        );
    }
    for body in ["", "{", "<html>", "[]", "{}", r#"{"data":[]}"#] {
        assert!(
            matches!(reply(text(200, body)).await, Reply::Unknown(_)),
            "{body}"
        );
    }
}

#[tokio::test]
async fn only_codes_of_the_table_are_refusals_and_only_with_a_refusing_status() {
    for status in 100..=599_u16 {
        for (code, kind) in TABLE {
            let refuses = (400..500).contains(&status) && ![408, 409, 429].contains(&status);
            match reply(json(status, errors(code))).await {
                Reply::Rejected(refusal) => {
                    assert!(refuses, "{status} {code}");
                    assert_eq!((refusal.kind, refusal.code.as_str()), (*kind, *code));
                    assert_eq!(refusal.text, "No: not so");
                }
                Reply::Unknown(_) => assert!(!refuses, "{status} {code}"),
                other => panic!("{status} {code}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn what_may_mean_that_the_number_is_ours_is_unknown() {
    let codes = [
        "10012",
        "10027",
        "85001",
        "10011",
        "10007",
        "10008",
        "10005",
        "404",
        "no_such_code",
        "",
    ];
    for status in [
        201, 202, 301, 400, 401, 402, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504,
    ] {
        for code in codes {
            assert!(TABLE.iter().all(|(known, _)| *known != code));
            assert!(
                matches!(reply(json(status, errors(code))).await, Reply::Unknown(_)),
                "{status} {code}"
            );
        }
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"errors":[]}"#,
            r#"{"errors":[{}]}"#,
            r#"{"errors":"no"}"#,
        ] {
            assert!(
                matches!(reply(text(status, body)).await, Reply::Unknown(_)),
                "{status} {body}"
            );
        }
    }
    let mixed = json!({"errors": [{"code": "10015"}, {"code": "85001"}]});
    assert!(matches!(reply(json(422, mixed)).await, Reply::Unknown(_)));
}

#[tokio::test]
async fn a_refusal_says_which_of_the_things_it_refers_to_is_missing() {
    for (code, pointer, kind) in [
        ("10015", "/connection_id", RefusalKind::ReferenceMissing),
        (
            "10015",
            "/messaging_profile_id",
            RefusalKind::ReferenceMissing,
        ),
        ("10010", "/billing_group_id", RefusalKind::ReferenceMissing),
        ("10010", "", RefusalKind::Unauthorized),
        (
            "10015",
            "/phone_numbers/0/requirement_group_id",
            RefusalKind::Regulatory,
        ),
        ("10015", "/phone_numbers", RefusalKind::Invalid),
    ] {
        let body = json!({"errors": [{"code": code, "source": {"pointer": pointer}}]});
        match reply(json(422, body)).await {
            Reply::Rejected(refusal) => assert_eq!(refusal.kind, kind, "{code} {pointer}"),
            other => panic!("{other:?}"),
        }
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
async fn an_order_needs_a_fresh_token_and_an_open_gate() {
    let fake = Fake::with([]);
    let stale = telnyx(&fake)
        .buy(token("org-1", Duration::from_secs(5)), &configuration())
        .await;
    assert!(matches!(stale, Reply::NotSent(Error::Shut(_))), "{stale:?}");
    let client = fake.client_with(|| Err("it does not lead"));
    let shut = Telnyx::new(client, SecretString::from(KEY), None);
    let reply = shut
        .buy(token("org-1", Duration::ZERO), &configuration())
        .await;
    assert!(matches!(reply, Reply::NotSent(Error::Shut(_))), "{reply:?}");
    assert!(
        shut.configure(&ours().await, &configuration())
            .await
            .is_err()
    );
    assert!(shut.release(ours().await).await.is_err());
    assert!(fake.asked().is_empty());
}

#[tokio::test]
async fn an_orders_state_is_that_of_its_number_where_one_is_shown() {
    use OrderState::{Failure, Pending, Success};
    for (order_status, number_status, state) in [
        ("pending", json!("pending"), Pending),
        ("pending", json!("success"), Success),
        ("pending", json!("failure"), Failure),
        ("success", json!("success"), Success),
        ("success", json!("pending"), Pending),
        ("success", json!("failure"), Success),
        ("failure", json!("failure"), Failure),
        ("failure", json!("success"), Success),
        ("failure", json!("pending"), Pending),
        ("success", json!(null), Success),
        ("failure", json!(null), Failure),
        ("pending", json!(null), Pending),
        ("no-such-state", json!(null), Pending),
        ("failure", json!("no-such-state"), Pending),
    ] {
        let numbers = json!([{"phone_number": NUMBER, "status": number_status}]);
        let body =
            json!({"data": order(json!({"status": order_status, "phone_numbers": numbers}))});
        let fake = Fake::with([json(200, body)]);
        let read = telnyx(&fake)
            .order(&OrderId::new("o-1"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.state, state, "{order_status} {number_status}");
    }
}

#[tokio::test]
async fn open_requirements_are_seen_on_the_order_and_on_its_number() {
    for (change, open) in [
        (json!({}), false),
        (json!({"requirements_met": null}), false),
        (json!({"requirements_met": false}), true),
        (
            json!({"phone_numbers": [{"phone_number": NUMBER, "requirements_met": false}]}),
            true,
        ),
    ] {
        let fake = Fake::with([json(200, json!({"data": order(change.clone())}))]);
        let read = telnyx(&fake)
            .order(&OrderId::new("o-1"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.requirements_open, open, "{change}");
    }
}

#[tokio::test]
async fn of_several_orders_the_one_that_says_most_is_found() {
    let listed = |id: &str, change: Value| {
        changed(
            order(json!({"id": id, "phone_numbers": [{"phone_number": NUMBER}]})),
            change,
        )
    };
    let rows = json!([
        listed("o-1", json!({"status": "failure"})),
        listed(
            "o-2",
            json!({"status": "success", "customer_reference": format!("{}.n1", mark_of("other"))})
        ),
        listed(
            "o-3",
            json!({"status": "success", "phone_numbers": [{"phone_number": "+12125559999"}]})
        ),
        listed(
            "o-4",
            json!({"status": "success", "customer_reference": format!("x {}.n1", mark_of("nyc"))})
        ),
        listed("o-5", json!({})),
        listed("o-6", json!({"status": "failure"})),
    ]);
    let pending = json!({"data": order(json!({"id": "o-5"}))});
    let fake = Fake::with([json(200, page(rows, 1, 1)), json(200, pending)]);
    let since = "2026-01-02T03:04:05Z".parse().unwrap();
    let found = telnyx(&fake)
        .find_order(&mark_of("nyc"), &NUMBER.parse().unwrap(), Some(since))
        .await
        .unwrap();
    assert_eq!(found.unwrap().id.as_str(), "o-5");
    let asked = fake.asked();
    assert_eq!(
        asked[0],
        "Get /v2/number_orders?filter%5Bcreated_at%5D%5Bgt%5D=2026-01-02T03%3A04%3A03Z\
         &page%5Bsize%5D=250&page%5Bnumber%5D=1"
    );
    assert_eq!(asked[1..], ["Get /v2/number_orders/o-5"]);
}

#[tokio::test]
async fn an_order_listed_without_its_numbers_is_read_by_itself() {
    let listed = order(json!({"status": "success", "phone_numbers": null}));
    let whole = order(
        json!({"status": "success", "phone_numbers": [{"phone_number": NUMBER, "status": "success"}]}),
    );
    let fake = Fake::with([
        json(200, page(json!([listed]), 1, 1)),
        json(200, json!({"data": whole})),
    ]);
    let found = telnyx(&fake)
        .find_order(&mark_of("nyc"), &NUMBER.parse().unwrap(), None)
        .await
        .unwrap();
    assert_eq!(found.unwrap().state, OrderState::Success);
}

#[tokio::test]
async fn history_is_not_held_and_what_is_not_active_yet_is() {
    for (status, held, active) in [
        ("active", true, true),
        ("purchase-pending", true, false),
        ("provision-pending", true, false),
        ("requirement-info-pending", true, false),
        ("no-such-status", true, false),
        ("deleted", false, false),
        ("ported-out", false, false),
        ("purchase-failed", false, false),
        ("port-failed", false, false),
    ] {
        let shown = row(json!({"status": status}));
        let fake = Fake::with([
            json(200, page(json!([shown]), 1, 1)),
            json(200, json!({"data": shown})),
            json(200, page(json!([shown]), 1, 1)),
        ]);
        let telnyx = telnyx(&fake);
        let found = telnyx.find(&NUMBER.parse().unwrap(), None).await.unwrap();
        assert_eq!(
            found.as_ref().map(|holding| holding.active),
            held.then_some(active),
            "{status}"
        );
        assert_eq!(
            telnyx.fetch(&NumberId::new("21"), None).await.unwrap(),
            found,
            "{status}"
        );
        assert_eq!(
            telnyx.list().await.unwrap(),
            Vec::from_iter(found),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_live_number_is_found_behind_its_history() {
    let old = row(json!({"id": "20", "status": "deleted"}));
    let near = row(json!({"id": "19", "phone_number": "+112125551234"}));
    let fake = Fake::with([json(
        200,
        page(json!([near, old, row(json!({"id": 21}))]), 1, 1),
    )]);
    let found = telnyx(&fake)
        .find(&NUMBER.parse().unwrap(), None)
        .await
        .unwrap();
    assert_eq!(found.unwrap().id.as_str(), "21");
    assert_eq!(
        fake.asked(),
        [
            "Get /v2/phone_numbers?filter%5Bphone_number%5D=12125551234&page%5Bsize%5D=250&page%5Bnumber%5D=1"
        ]
    );
}

#[tokio::test]
async fn absence_is_concluded_from_telnyxs_own_404_alone() {
    let id = NumberId::new("21");
    let own = Fake::with([json(404, errors("10005"))]);
    assert_eq!(telnyx(&own).fetch(&id, None).await, Ok(None));
    for answer in [
        text(404, "<html>"),
        json(404, errors("404")),
        json(500, errors("10005")),
        text(200, "{}"),
        json(200, json!({"data": row(json!({"id": "22"}))})),
    ] {
        assert!(
            telnyx(&Fake::with([answer]))
                .fetch(&id, None)
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_listing_is_read_to_its_end_and_no_further() {
    let second = row(json!({"id": "22", "phone_number": "+12125550002"}));
    let fake = Fake::with([
        json(200, page(json!([row(json!({}))]), 1, 2)),
        json(200, page(json!([row(json!({})), second]), 2, 2)),
    ]);
    assert_eq!(telnyx(&fake).list().await.unwrap().len(), 2);
    assert_eq!(fake.asked().len(), 2);

    let same_again = Fake::with([
        json(200, page(json!([row(json!({}))]), 1, 9)),
        json(200, page(json!([row(json!({}))]), 1, 9)),
    ]);
    let error = telnyx(&same_again).list().await.unwrap_err();
    assert!(matches!(error, Error::Unreadable(_)), "{error}");

    let endless = Fake::with(
        (1..=1001).map(|number| json(200, page(json!([row(json!({}))]), number, usize::MAX))),
    );
    let error = telnyx(&endless).list().await.unwrap_err();
    assert_eq!(error, Error::Unreadable("the listing does not end".into()));
    assert_eq!(endless.asked().len(), 1000);
}

#[tokio::test]
async fn only_the_very_number_is_on_sale() {
    for (hits, offered) in [
        (json!([{"phone_number": NUMBER}]), true),
        (
            json!([{"phone_number": NUMBER, "best_effort": false}]),
            true,
        ),
        (
            json!([{"phone_number": NUMBER, "best_effort": true}]),
            false,
        ),
        (
            json!([{"phone_number": "+1212555xxxx"}, {"phone_number": "+13125551234"}]),
            false,
        ),
        (json!([]), false),
    ] {
        let fake = Fake::with([json(200, json!({"data": hits}))]);
        assert_eq!(
            telnyx(&fake).offers(&NUMBER.parse().unwrap()).await,
            Ok(offered),
            "{hits}"
        );
    }
}

#[tokio::test]
async fn an_account_is_called_by_its_organization_or_by_a_hash_of_its_key() {
    let none = || json(200, json!({"data": []}));
    let found = || json(200, json!({"data": [{"organization_id": "org-1"}]}));
    let alias = telnyx(&Fake::with([])).alias;
    assert!(
        alias.as_str().starts_with("key-") && alias.as_str().len() == 20,
        "{alias}"
    );
    for (answers, account, proved) in [
        (vec![found()], "org-1", true),
        (vec![none(), found()], "org-1", true),
        (vec![none(), none()], alias.as_str(), false),
    ] {
        let identity = telnyx(&Fake::with(answers)).identify().await.unwrap();
        assert_eq!(
            (identity.account.as_str(), identity.proved),
            (account, proved)
        );
        assert_eq!(identity.alias.as_ref(), Some(&alias));
    }
    for failure in [
        json(401, errors("10009")),
        text(503, ""),
        json(429, errors("10011")),
    ] {
        assert!(
            telnyx(&Fake::with([failure.clone(), found()]))
                .identify()
                .await
                .is_err()
        );
        assert!(
            telnyx(&Fake::with([none(), failure]))
                .identify()
                .await
                .is_err()
        );
    }
}

#[tokio::test]
async fn a_number_is_set_up_with_as_few_calls_as_it_takes() {
    let number = |change: Value| json(200, json!({"data": row(change)}));
    let attached = json(
        200,
        json!({"data": {"id": "21", "messaging_profile_id": "mp-1"}}),
    );
    for (answers, calls) in [
        (vec![number(json!({}))], 1),
        (
            vec![
                number(json!({"messaging_profile_id": null})),
                attached.clone(),
            ],
            2,
        ),
        (
            vec![number(json!({"messaging_profile_id": "mp-2"})), attached],
            2,
        ),
    ] {
        let fake = Fake::with(answers);
        let holding = telnyx(&fake)
            .configure(&ours().await, &configuration())
            .await
            .unwrap();
        assert!(configuration().differences(&holding).is_empty());
        assert_eq!(fake.asked().len(), calls);
    }
    let fake = Fake::with([
        number(json!({"messaging_profile_id": null})),
        json(200, json!({"data": {"messaging_profile_id": null}})),
    ]);
    let holding = telnyx(&fake)
        .configure(&ours().await, &configuration())
        .await
        .unwrap();
    let Settings::Telnyx(settings) = holding.settings else {
        panic!("a Telnyx number")
    };
    assert_eq!(
        settings.messaging_profile_id, None,
        "what is shown counts, not what was asked for"
    );
}

#[tokio::test]
async fn a_release_is_confirmed_by_the_deleted_number_or_by_telnyxs_own_404() {
    for (answer, released) in [
        (
            json(200, json!({"data": row(json!({"status": "deleted"}))})),
            Some(Released::Confirmed),
        ),
        (json(404, errors("10005")), Some(Released::Absent)),
        (text(404, "<html>"), None),
        (text(200, "<html>"), None),
        (json(422, errors("10015")), None),
        (Err(TransportError::Lost("reset".into())), None),
    ] {
        let fake = Fake::with([answer]);
        assert_eq!(telnyx(&fake).release(ours().await).await.ok(), released);
        assert_eq!(fake.asked(), ["Delete /v2/phone_numbers/21"]);
    }
}

#[tokio::test]
async fn an_order_is_cancelled_by_its_sub_orders() {
    let done = || json(200, json!({"data": {}}));
    let known = order(json!({"sub_number_orders_ids": ["s-1", "s-2"]}));
    let unknown = order(json!({"sub_number_orders_ids": []}));
    let rows =
        json!([{"id": "s-3", "order_request_id": "o-1"}, {"id": "s-4", "order_request_id": "o-2"}]);
    for (shown, answers, cancelled) in [
        (known, vec![done(), done()], vec!["s-1", "s-2"]),
        (
            unknown,
            vec![json(200, page(rows, 1, 1)), done()],
            vec!["s-3"],
        ),
    ] {
        let reader = Fake::with([json(200, json!({"data": shown}))]);
        let order = telnyx(&reader)
            .order(&OrderId::new("o-1"))
            .await
            .unwrap()
            .unwrap();
        let fake = Fake::with(answers);
        telnyx(&fake).cancel(&order).await.unwrap();
        let asked = fake.asked();
        let writes: Vec<_> = asked
            .iter()
            .filter(|asked| asked.starts_with("Patch"))
            .collect();
        let expected: Vec<_> = cancelled
            .iter()
            .map(|id| format!("Patch /v2/sub_number_orders/{id}/cancel {{}}"))
            .collect();
        assert_eq!(writes, expected.iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn webhooks_are_read_and_set_where_they_live() {
    let connection =
        json!({"data": {"webhook_event_url": "https://a", "webhook_api_version": "1"}});
    let profile = json!({"data": {"webhook_url": "", "webhook_api_version": "2"}});
    let application =
        json!({"data": {"application_name": "router", "webhook_event_url": "https://a"}});
    let fake = Fake::with([
        json(200, connection),
        json(200, profile),
        json(404, errors("10005")),
        json(200, application),
        json(200, json!({"data": {}})),
        json(200, json!({"data": {}})),
    ]);
    let telnyx = telnyx(&fake);
    let webhook = |url: Option<&str>, version: &str| Webhook {
        url: url.map(str::to_owned),
        api_version: Some(version.into()),
    };
    assert_eq!(
        telnyx.connection("11").await,
        Ok(Some(webhook(Some("https://a"), "1")))
    );
    assert_eq!(
        telnyx.messaging_profile("mp-1").await,
        Ok(Some(webhook(None, "2")))
    );
    assert_eq!(telnyx.connection("12").await, Ok(None));
    assert_eq!(telnyx.connection("../balance").await, Ok(None));
    telnyx
        .set_connection_webhook("11", "https://b")
        .await
        .unwrap();
    telnyx
        .set_messaging_profile_webhook("mp-1", "https://b")
        .await
        .unwrap();
    assert_eq!(
        fake.asked()[4..],
        [
            "Patch /v2/call_control_applications/11 \
             {\"application_name\":\"router\",\"webhook_api_version\":\"2\",\"webhook_event_url\":\"https://b\"}",
            "Patch /v2/messaging_profiles/mp-1 {\"webhook_api_version\":\"2\",\"webhook_url\":\"https://b\"}"
        ]
    );
}

#[tokio::test]
async fn an_error_never_shows_the_key() {
    let echo = json!({"errors": [{"code": "10009", "title": "Bad key", "detail": format!("Bearer {KEY}")}]});
    let error = telnyx(&Fake::with([json(401, echo)]))
        .list()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error}");
    assert!(!error.to_string().contains(KEY), "{error}");
}
