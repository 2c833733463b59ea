//! What becomes of orders.

use super::*;

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
        papers: OrderPapers::Met,
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

/// True if an order that is answered with this status and Telnyx's own error body is refused.
fn refuses(status: u16) -> bool {
    (400..500).contains(&status) && ![408, 409, 425, 429].contains(&status)
}

#[tokio::test]
async fn only_codes_of_the_table_certainly_ordered_nothing_and_only_with_a_refusing_status() {
    for status in 100..=599_u16 {
        for (code, kind) in TABLE {
            match reply(json(status, errors(code))).await {
                Reply::Rejected(refusal) => {
                    assert!(refuses(status), "{status} {code}");
                    let is_of_the_key = *code == "10006" && matches!(status, 401 | 403);
                    let kind = if is_of_the_key {
                        RefusalKind::Unauthorized
                    } else {
                        *kind
                    };
                    assert_eq!((refusal.kind, refusal.code.as_str()), (kind, *code));
                    assert_eq!(refusal.text, "No: not so");
                }
                Reply::Unknown(_) => assert!(!refuses(status), "{status} {code}"),
                other => panic!("{status} {code}: {other:?}"),
            }
        }
    }
}

/// The table is needed for reasons, not for safety: what Telnyx adds to its codes is refused, and may have been ordered.
#[test]
fn whatever_is_not_in_the_table_is_refused_told_and_may_have_been_ordered() {
    let code = prop_oneof![
        (0..100_000_u32).prop_map(|code| json!(code.to_string())),
        (0..100_000_u32).prop_map(|code| json!(code)),
        "[a-z_]{1,12}".prop_map(Value::from),
        Just(Value::Null),
    ];
    let errors = proptest::collection::vec((code, "[a-zA-Z ]{1,40}[a-z]"), 1..4);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let word = |code: &Value| {
        code.as_str()
            .map_or_else(|| code.to_string(), str::to_owned)
    };
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(errors in errors, status in 400..500_u16)| {
        let is_listed = |code: &Value| TABLE.iter().any(|(known, _)| *known == word(code));
        let may_be_ours = |code: &Value| MAY_BE_OURS.contains(&word(code).as_str());
        prop_assume!(!errors.iter().any(|(code, _)| is_listed(code) || may_be_ours(code)));
        let entries: Vec<_> = errors
            .iter()
            .map(|(code, title)| json!({"code": code, "title": title}))
            .collect();
        match runtime.block_on(reply(json(status, json!({ "errors": entries })))) {
            Reply::Refused(refusal) => {
                prop_assert!(refuses(status));
                let (first, _) = &errors[0];
                let shown = if first.is_null() { format!("HTTP {status}") } else { word(first) };
                prop_assert_eq!(&refusal.code, &shown);
                for (_, title) in &errors {
                    prop_assert!(refusal.text.contains(title.trim()), "{}", refusal);
                }
                prop_assert_eq!(refusal.request_id.as_deref(), Some("req-1"));
            }
            Reply::Unknown(_) => prop_assert!(!refuses(status)),
            other => prop_assert!(false, "{:?}", other),
        }
    });
}

#[tokio::test]
async fn of_several_refusals_the_worst_that_is_known_decides_and_all_are_told() {
    let no_money = ("20100", RefusalKind::InsufficientBalance);
    let table: [(&[&str], (&str, RefusalKind)); 4] = [
        (&["10015", "99999"], ("10015", RefusalKind::Invalid)),
        (&["99999", "10015"], ("10015", RefusalKind::Invalid)),
        (&["10015", "20100"], no_money),
        (&["20100", "85006", "1"], no_money),
    ];
    for (codes, (code, kind)) in table {
        let entries: Vec<_> = codes
            .iter()
            .map(|code| json!({"code": code, "title": format!("text {code}")}))
            .collect();
        let answer = json(400, json!({ "errors": entries }));
        let Reply::Rejected(refusal) = reply(answer).await else {
            panic!("{codes:?}")
        };
        assert_eq!(
            (refusal.code.as_str(), refusal.kind),
            (code, kind),
            "{codes:?}"
        );
        for code in codes {
            let text = format!("text {code}");
            assert!(refusal.text.contains(&text), "{refusal}");
        }
    }
}

#[tokio::test]
async fn what_may_mean_that_the_number_is_ours_is_unknown() {
    for status in 100..=599_u16 {
        for code in MAY_BE_OURS {
            assert!(TABLE.iter().all(|(known, _)| *known != code));
            for codes in [vec![code], vec!["10015", code], vec![code, "99999"]] {
                let entries: Vec<_> = codes.iter().map(|code| json!({ "code": code })).collect();
                let answer = json(status, json!({ "errors": entries }));
                assert!(
                    matches!(reply(answer).await, Reply::Unknown(_)),
                    "{status} {codes:?}"
                );
            }
        }
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"errors":[]}"#,
            r#"{"errors":[{}]}"#,
            r#"{"errors":"no"}"#,
            r#"[{"errors":[{"code":"10015"}]}]"#,
        ] {
            assert!(
                matches!(reply(text(status, body)).await, Reply::Unknown(_)),
                "{status} {body}"
            );
        }
    }
    for status in [201, 202, 301, 408, 409, 425, 429, 500, 502, 503, 504] {
        for code in ["10011", "10007", "10008", "10005", "404", "no_such_code"] {
            let answer = json(status, errors(code));
            assert!(
                matches!(reply(answer).await, Reply::Unknown(_)),
                "{status} {code}"
            );
        }
    }
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
    assert!(
        matches!(stale, Reply::NotSent(Error::Overtaken(_))),
        "{stale:?}"
    );
    let client = fake.client_with(|| Err("it does not lead"));
    let shut = Telnyx::new(client, SecretString::from(KEY), None);
    let reply = shut
        .buy(token("org-1", Duration::ZERO), &configuration())
        .await;
    assert!(
        matches!(reply, Reply::NotSent(Error::WriteNotAllowed(_))),
        "{reply:?}"
    );
    assert!(
        shut.configure(&ours().await, &configuration())
            .await
            .is_err()
    );
    assert!(
        shut.release(ours().await, release_token("21", Duration::ZERO))
            .await
            .is_err()
    );
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
async fn how_far_the_papers_are_is_read_from_the_order_and_its_number() {
    let number = |met: Value, status: &str| json!({"phone_numbers": [{"phone_number": NUMBER, "requirements_met": met, "requirements_status": status}]});
    for (change, papers) in [
        (json!({}), OrderPapers::Met),
        (json!({"requirements_met": null}), OrderPapers::Met),
        (json!({"requirements_met": false}), OrderPapers::Missing),
        (
            json!({"phone_numbers": [{"phone_number": NUMBER, "requirements_met": false}]}),
            OrderPapers::Missing,
        ),
        (number(json!(true), "approved"), OrderPapers::Met),
        (number(json!(true), "no-such-word"), OrderPapers::Met),
        (number(json!(false), "no-such-word"), OrderPapers::Missing),
        (
            number(json!(true), "requirement-info-pending"),
            OrderPapers::Missing,
        ),
        (
            number(json!(false), "requirement-info-under-review"),
            OrderPapers::UnderReview,
        ),
        (
            number(json!(true), "requirement-info-exception"),
            OrderPapers::Rejected,
        ),
    ] {
        let fake = Fake::with([json(200, json!({"data": order(change.clone())}))]);
        let read = telnyx(&fake)
            .order(&OrderId::new("o-1"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.papers, papers, "{change}");
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
    let token = token("org-1", Duration::ZERO);
    let found = telnyx(&fake)
        .find_order(
            &mark_of("nyc"),
            &NUMBER.parse().unwrap(),
            Some(token.claim()),
        )
        .await
        .unwrap();
    assert_eq!(found.unwrap().id.as_str(), "o-5");
    let asked = fake.asked();
    assert_eq!(
        asked[0],
        "Get /v2/number_orders?filter%5Bcreated_at%5D%5Bgt%5D=2026-01-02T02%3A04%3A05Z\
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
async fn no_part_of_an_answer_is_taken_for_the_whole() {
    let whole = json!({"data": order(json!({}))}).to_string();
    for end in 0..whole.len() {
        let reply = reply(text(200, &whole[..end])).await;
        assert!(matches!(reply, Reply::Unknown(_)), "{}", &whole[..end]);
    }
}

#[tokio::test]
async fn a_requirement_group_is_attached_to_each_sub_order() {
    let fake = Fake::with([
        json(200, json!({"data": {"id": "s-1"}})),
        json(200, json!({"data": {"id": "s-2"}})),
    ]);
    let order = Order {
        sub_orders: vec!["s-1".into(), "s-2".into()],
        ..telnyx(&Fake::with([json(200, json!({"data": order(json!({}))}))]))
            .order(&OrderId::new("o-1"))
            .await
            .unwrap()
            .unwrap()
    };
    let attached = telnyx(&fake).attach_requirement_group(&order, "rg-2").await;
    assert_eq!(attached, Ok(()));
    let body = "{\"requirement_group_id\":\"rg-2\"}";
    assert_eq!(
        fake.asked(),
        [
            format!("Post /v2/sub_number_orders/s-1/requirement_group {body}"),
            format!("Post /v2/sub_number_orders/s-2/requirement_group {body}"),
        ]
    );
    let refused = Fake::with([json(422, errors("10027"))]);
    let error = telnyx(&refused)
        .attach_requirement_group(&order, "rg-2")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
}
