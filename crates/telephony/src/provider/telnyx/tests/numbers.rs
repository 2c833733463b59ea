//! What becomes of numbers, and where their webhooks live.

use super::*;
use crate::provider::Unproven;
use crate::provider::http::fake::mark_of;
use crate::shown::is_hidden;

#[tokio::test]
async fn each_status_is_read_and_history_is_not_held() {
    for (status, line) in [
        ("active", Some(Line::Live)),
        ("purchase-pending", Some(Line::Coming)),
        ("provision-pending", Some(Line::Coming)),
        ("port-pending", Some(Line::Coming)),
        ("requirement-info-pending", Some(Line::PapersMissing)),
        (
            "requirement-info-under-review",
            Some(Line::PapersUnderReview),
        ),
        ("requirement-info-exception", Some(Line::PapersRejected)),
        ("emergency-only", Some(Line::EmergencyOnly)),
        ("port-out-pending", Some(Line::PortingOut)),
        (
            "no-such-status\u{202e}\n",
            Some(Line::Other("no-such-status".into())),
        ),
        ("deleted", None),
        ("ported-out", None),
        ("purchase-failed", None),
        ("port-failed", None),
    ] {
        let shown = row(json!({"status": status}));
        let fake = Fake::with([
            json(200, page(json!([shown]), 1, 1)),
            json(200, json!({"data": shown})),
            json(200, page(json!([shown]), 1, 1)),
        ]);
        let telnyx = telnyx(&fake);
        let found = telnyx.find(&NUMBER.parse().unwrap()).await.unwrap();
        assert_eq!(
            found.as_ref().map(|holding| &holding.line),
            line.as_ref(),
            "{status}"
        );
        assert_eq!(
            telnyx.fetch(&NumberId::new("21")).await.unwrap(),
            found,
            "{status}"
        );
        assert_eq!(
            telnyx.list().await.unwrap().holdings,
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
    let found = telnyx(&fake).find(&NUMBER.parse().unwrap()).await.unwrap();
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
    assert_eq!(telnyx(&own).fetch(&id).await, Ok(None));
    for answer in [
        text(404, "<html>"),
        json(404, errors("404")),
        json(500, errors("10005")),
        text(200, "{}"),
        json(200, json!({"data": row(json!({"id": "22"}))})),
    ] {
        assert!(telnyx(&Fake::with([answer])).fetch(&id).await.is_err());
    }
}

#[tokio::test]
async fn a_listing_is_whole_if_it_shows_as_many_rows_as_every_page_counts() {
    let other = |id: &str| row(json!({"id": id, "phone_number": format!("+121255500{id}")}));
    for (totals, second, is_whole) in [
        ([json!(2), json!(2)], "22", true),
        ([json!(2), json!(2)], "21", false),
        ([json!(3), json!(3)], "22", false),
        ([json!(2), json!(1)], "22", false),
        ([json!(null), json!(null)], "22", true),
    ] {
        let [one, two] = totals.clone();
        let fake = Fake::with([
            json(200, counted(json!([row(json!({}))]), 1, 2, one)),
            json(200, counted(json!([other(second)]), 2, 2, two)),
        ]);
        let listing = telnyx(&fake).list().await.unwrap();
        assert_eq!(listing.is_whole, is_whole, "{totals:?} {second}");
    }
    for (rows, total, found) in [
        (json!([]), 0, Ok(false)),
        (json!([row(json!({}))]), 2, Ok(true)),
        (json!([]), 1, Err(())),
    ] {
        let fake = Fake::with([json(200, counted(rows, 1, 1, json!(total)))]);
        let answer = telnyx(&fake).find(&NUMBER.parse().unwrap()).await;
        assert_eq!(answer.map(|it| it.is_some()).map_err(drop), found);
    }
}

#[tokio::test]
async fn a_listing_is_read_to_its_end_and_no_further() {
    let second = row(json!({"id": "22", "phone_number": "+12125550002"}));
    let fake = Fake::with([
        json(200, page(json!([row(json!({}))]), 1, 2)),
        json(200, page(json!([row(json!({})), second]), 2, 2)),
    ]);
    assert_eq!(telnyx(&fake).list().await.unwrap().holdings.len(), 2);
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
async fn a_listing_that_takes_too_much_memory_is_no_listing() {
    let long = |number: usize| {
        let mut answer = json(200, page(json!([row(json!({}))]), number, 3)).unwrap();
        answer.body.resize(70 << 20, b' ');
        Ok(answer)
    };
    let error = telnyx(&Fake::with([long(1), long(2)]))
        .list()
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Unreadable(text) if text.contains("longer than")),
        "{error}"
    );
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
        settings.messaging_profile_id,
        Shown::Known(None),
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
        assert_eq!(
            telnyx(&fake)
                .release(ours().await, release_token("21", Duration::ZERO))
                .await
                .ok(),
            released
        );
        assert_eq!(fake.asked(), ["Delete /v2/phone_numbers/21"]);
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
        is_enabled: true,
    };
    assert_eq!(
        telnyx.webhook(WebhookOwner::Connection, "11").await,
        Ok(Some(webhook(Some("https://a"), "1")))
    );
    assert_eq!(
        telnyx.webhook(WebhookOwner::MessagingProfile, "mp-1").await,
        Ok(Some(webhook(None, "2")))
    );
    assert_eq!(
        telnyx.webhook(WebhookOwner::Connection, "12").await,
        Ok(None)
    );
    assert_eq!(
        telnyx.webhook(WebhookOwner::Connection, "../balance").await,
        Ok(None)
    );
    telnyx
        .set_webhook(WebhookOwner::Connection, "11", "https://b")
        .await
        .unwrap();
    telnyx
        .set_webhook(WebhookOwner::MessagingProfile, "mp-1", "https://b")
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
async fn read_errors_are_named_for_what_to_do_next() {
    let refusal = |kind, code: &str| Refusal {
        kind,
        code: code.into(),
        text: "No: not so".into(),
        request_id: Some("req-1".into()),
    };
    let without_body =
        |status: u16| Error::Unavailable(format!("HTTP {status} without Telnyx's error body"));
    let table = [
        (
            json(401, errors("10009")),
            Error::Unauthorized(refusal(RefusalKind::Unauthorized, "10009")),
        ),
        (
            json(403, errors("no_such_code")),
            Error::Unauthorized(refusal(RefusalKind::Unauthorized, "no_such_code")),
        ),
        (
            json(422, errors("10015")),
            Error::Refused(refusal(RefusalKind::Invalid, "10015")),
        ),
        (
            json(422, errors("no_such_code")),
            Error::Refused(refusal(RefusalKind::Unlisted, "no_such_code")),
        ),
        (json(429, errors("10011")), Error::Throttled(None)),
        (text(429, "<html>"), Error::Throttled(None)),
        (json(408, errors("10015")), without_body(408)),
        (json(425, errors("10015")), without_body(425)),
        (
            json(
                400,
                json!({"errors": [{"code": null, "title": "No", "detail": "not so"}]}),
            ),
            Error::Refused(refusal(RefusalKind::Unlisted, "HTTP 400")),
        ),
        (
            json(409, errors("10036")),
            Error::Refused(refusal(RefusalKind::Unlisted, "10036")),
        ),
        (
            json(503, errors("10016")),
            Error::Unavailable("HTTP 503, 10016: No: not so".into()),
        ),
        (text(404, "<html>"), without_body(404)),
        (text(502, "<html>"), without_body(502)),
        (
            text(302, ""),
            Error::Unreadable("HTTP 302 was not expected".into()),
        ),
    ];
    for (answer, error) in table {
        let shown = format!("{answer:?}");
        let found = telnyx(&Fake::with([answer])).list().await;
        assert_eq!(found, Err(error), "{shown}");
    }
}

#[tokio::test]
async fn an_error_never_shows_the_key() {
    let spread: String = KEY.chars().map(|c| format!("{c}\u{200b}")).collect();
    for (code, detail) in [
        ("10009", format!("Bearer {KEY}")),
        ("10009", spread.clone()),
        (KEY, String::new()),
        (&spread, String::new()),
        ("\u{1b}[2J", "\u{1b}[2J\u{202e}".to_owned()),
        (&"9".repeat(1024 * 1024), "x".repeat(1024 * 1024)),
    ] {
        for status in [401, 500] {
            let echo = json!({"errors": [{"code": code, "title": "Bad key", "detail": detail}]});
            let error = telnyx(&Fake::with([json(status, echo)]))
                .list()
                .await
                .unwrap_err();
            assert_eq!(
                matches!(error, Error::Unauthorized(_)),
                status == 401,
                "{error}"
            );
            let shown = error.to_string();
            assert!(!shown.contains(KEY) && !shown.contains(&spread), "{shown}");
            assert!(
                !shown.chars().any(is_hidden) && shown.len() < 500,
                "{shown}"
            );
        }
    }
}

#[tokio::test]
async fn a_release_needs_a_fresh_token_for_this_very_number() {
    for (token, is_invariant) in [
        (release_token("21", Duration::from_secs(5)), false),
        (release_token("21-other", Duration::ZERO), true),
    ] {
        let fake = Fake::with([]);
        let error = telnyx(&fake)
            .release(ours().await, token)
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
    let token = release_token("21", Duration::from_secs(3));
    assert!(telnyx(&fake).release(ours().await, token).await.is_err());
    assert!(fake.may_leave_after(0) && !fake.may_leave_after(1));
}

#[tokio::test]
async fn a_profile_that_a_listing_does_not_show_is_unknown_and_otherwise_unset() {
    let shown = row(json!({"messaging_profile_id": null}));
    let fake = Fake::with([
        json(200, page(json!([shown]), 1, 1)),
        json(200, page(json!([shown]), 1, 1)),
        json(200, json!({"data": shown})),
        json(
            200,
            page(json!([row(json!({"messaging_profile_id": "mp-1"}))]), 1, 1),
        ),
    ]);
    let telnyx = telnyx(&fake);
    let profile = |holding: &crate::number::Holding| match &holding.settings {
        Settings::Telnyx(settings) => settings.messaging_profile_id.clone(),
        Settings::Twilio(_) => panic!("a Telnyx number"),
    };
    assert_eq!(
        profile(&telnyx.list().await.unwrap().holdings[0]),
        Shown::Unknown
    );
    let found = telnyx.find(&NUMBER.parse().unwrap()).await.unwrap();
    assert_eq!(profile(&found.unwrap()), Shown::Known(None));
    let fetched = telnyx.fetch(&NumberId::new("21")).await.unwrap();
    assert_eq!(profile(&fetched.unwrap()), Shown::Known(None));
    let listed = telnyx.list().await.unwrap();
    assert_eq!(
        profile(&listed.holdings[0]),
        Shown::Known(Some("mp-1".into()))
    );
}

#[tokio::test]
async fn to_rename_a_number_breaks_a_rule_and_asks_nothing() {
    let marked = row(json!({"customer_reference": mark_of("nyc").to_string()}));
    let held = Fake::with([json(200, json!({"data": marked}))]);
    let held = telnyx(&held).fetch(&NumberId::new("21")).await;
    let fake = Fake::with([]);
    let held = held.unwrap().unwrap();
    let unproven = Unproven::prove(&held, &mark_of("nyc")).unwrap();
    let renamed = telnyx(&fake).rename(&unproven, "a name").await;
    assert!(matches!(renamed, Err(Error::Invariant(_))), "{renamed:?}");
    assert!(fake.asked().is_empty());
}
