//! What is concluded from a listing, and what is not.

use super::*;

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

#[tokio::test]
async fn no_part_of_an_answer_is_taken_for_the_whole() {
    let whole = row(json!({})).to_string();
    for end in 0..whole.len() {
        let reply = reply(text(201, &whole[..end])).await;
        assert!(matches!(reply, Reply::Unknown(_)), "{}", &whole[..end]);
    }
}
