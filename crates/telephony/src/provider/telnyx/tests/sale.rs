//! What is on sale, and what is searched for.

use super::*;

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
            telnyx(&fake)
                .offer(&NUMBER.parse().unwrap())
                .await
                .map(|offer| offer.is_some()),
            Ok(offered),
            "{hits}"
        );
    }
}

/// No coverage is a refusal whose status and code are not published; a code of the table says that the request is wrong.
#[tokio::test]
async fn a_search_that_is_refused_finds_no_coverage_or_is_wrong_and_is_told() {
    let search = serde_json::from_value(json!({"country": "US", "areaCode": "999"})).unwrap();
    for (status, code, kind) in [
        (400, "10031", RefusalKind::NotOnSale),
        (404, "10005", RefusalKind::NotOnSale),
        (422, "no_such_code", RefusalKind::NotOnSale),
        (400, "", RefusalKind::NotOnSale),
        (422, "10032", RefusalKind::Invalid),
        (409, "no_such_code", RefusalKind::Unlisted),
    ] {
        let answer = || json(status, errors(code));
        let fake = Fake::with([answer(), answer()]);
        let telnyx = telnyx(&fake);
        let searched = telnyx.search(&search).await.map(drop);
        let offered = telnyx.offer(&NUMBER.parse().unwrap()).await.map(drop);
        for asked in [searched, offered] {
            let Err(Error::Refused(refusal)) = asked else {
                panic!("{code}: {asked:?}")
            };
            assert_eq!((refusal.kind, refusal.text.as_str()), (kind, "No: not so"));
        }
    }
    let fake = Fake::with([json(401, errors("10009"))]);
    let refused = telnyx(&fake).search(&search).await;
    assert!(
        matches!(refused, Err(Error::Unauthorized(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_search_offers_only_what_can_do_what_is_wanted_each_with_its_own_price() {
    let features = json!([{"name": "sms"}, {"name": "voice"}]);
    let cost = |monthly: Value, currency: &str| json!({"monthly_cost": monthly, "upfront_cost": "1.00000", "currency": currency});
    let hit = |number: &str, change: Value| {
        let mut hit = json!({"phone_number": number, "features": features.clone(),
            "cost_information": cost(json!("1.00000"), "USD")});
        for (key, value) in change.as_object().unwrap() {
            hit[key] = value.clone();
        }
        hit
    };
    let hits = json!([
        hit(
            "+12125550100",
            json!({"region_information": [
                {"region_type": "country_code", "region_name": "US"},
                {"region_type": "state", "region_name": "NY"},
                {"region_type": "rate_center", "region_name": "NWYRCYZN01"},
                {"region_type": "location", "region_name": "New York"},
            ]})
        ),
        hit(
            "+12125550101",
            json!({"cost_information": cost(json!(2.5), "EUR"), "features": [{"name": "SMS"}, {"name": "voice"}, {"name": "mms"}],
                "region_information": [7, {"region_type": "rate_center", "region_name": "NWYRCYZN01"}, {"region_type": "state"}]})
        ),
        hit(
            "+12125550102",
            json!({"cost_information": null, "region_information": "none"})
        ),
        hit(
            "+12125550103",
            json!({"cost_information": cost(json!("free"), "USD")})
        ),
        hit("+12125550104", json!({"best_effort": true})),
        hit("+12125550105", json!({"features": [{"name": "voice"}]})),
        hit("+1212555xxxx", json!({})),
    ]);
    let fake = Fake::with([json(200, json!({"data": hits}))]);
    let search = json!({"country": "US", "areaCode": "212", "capabilities": ["voice", "sms"]});
    let offers = telnyx(&fake)
        .search(&serde_json::from_value(search).unwrap())
        .await
        .unwrap();
    let shown: Vec<_> = offers
        .iter()
        .map(|offer| {
            let price = offer.price.as_ref();
            let price = price
                .map(|price| format!("{} {} {}", price.monthly, price.upfront, price.currency));
            (offer.number.as_str(), price.unwrap_or_default())
        })
        .collect();
    let wanted = [
        ("+12125550100", "1 1 USD"),
        ("+12125550101", "2.5 1 EUR"),
        ("+12125550102", ""),
        ("+12125550103", ""),
    ];
    assert_eq!(
        shown,
        wanted.map(|(number, price)| (number, price.to_owned()))
    );
    let described: Vec<_> = offers
        .iter()
        .map(|offer| {
            let Description {
                capabilities: can,
                locality,
                region,
            } = &offer.description;
            assert!(can.voice && can.sms && !can.fax, "{offer:?}");
            (can.mms, locality.as_deref(), region.as_deref())
        })
        .collect();
    assert_eq!(
        described[..3],
        [
            (false, Some("New York"), Some("NY")),
            (true, Some("NWYRCYZN01"), None),
            (false, None, None),
        ]
    );
}

#[tokio::test]
async fn the_balance_is_the_credit_that_is_available() {
    let told = json!({"data": {"record_type": "balance", "balance": "-3.00", "pending": "1.00",
        "credit_limit": "10.00", "available_credit": "6.00", "currency": "USD"}});
    for (answer, shown) in [
        (json(200, told), Ok(Some("6 USD"))),
        (json(403, errors("10010")), Ok(None)),
        (json(500, errors("10011")), Err(())),
    ] {
        let fake = Fake::with([answer]);
        let asked = telnyx(&fake).balance().await;
        let asked = asked.map(|told| told.map(|it| it.to_string()));
        let asked = asked.as_ref().map(Option::as_deref).map_err(|_| ());
        assert_eq!(asked, shown);
        assert_eq!(fake.asked(), ["Get /v2/balance"]);
    }
}
