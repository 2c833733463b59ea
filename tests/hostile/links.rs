//! Links to the next page that lead away, or never to an end.

use phonenumber_operator::number::Provider;
use phonenumber_operator::provider::Error;
use proptest::prelude::*;
use serde_json::{Value, json};
use test_support::emulator::TWILIO_ACCOUNT;
use url::Url;

use crate::company::{Hostile, answer, run};
use crate::config;

/// More pages than anybody follows.
const ENDLESS: usize = 1200;

fn page(next: &str) -> Value {
    json!({"incoming_phone_numbers": [], "next_page_uri": next,
        "uri": format!("/2010-04-01/Accounts/{TWILIO_ACCOUNT}/IncomingPhoneNumbers.json")})
}

fn link() -> impl Strategy<Value = String> {
    let nasty = proptest::sample::select(vec![
        "//example.com/x",
        "/\\example.com/x",
        "\\\\example.com\\x",
        "https://api.twilio.com@example.com/x",
        "https://api.twilio.com.example.com/x",
        "https://api.twilio.com:8443/x",
        "http://api.twilio.com/x",
        "https://user:pass@api.twilio.com/x",
        "https://API.TWILIO.COM/x",
        "https://xn--80ak6aa92e.com/",
        "file:///etc/passwd",
        "data:,x",
        "javascript:x",
        "/..//../@example.com",
        "/\u{0}",
        "/?a#b",
        " https://example.com",
        "\thttps://example.com",
        "https:/example.com",
        "https:example.com",
        "https://[::1]/",
    ])
    .prop_map(str::to_owned);
    prop_oneof![nasty, any::<String>(), "(https?:)?[/\\\\@:.a-z0-9]{0,40}"]
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn no_link_leads_the_credential_to_another_host(link in link()) {
        let pages = vec![
            answer(200, page(&link).to_string()),
            answer(200, page("").to_string()),
        ];
        let hostile = Hostile::saying(pages);
        let listed = run(hostile.company(Provider::Twilio).list());
        for asked in hostile.asked() {
            let url = Url::parse(&asked).unwrap();
            let place = (url.scheme(), url.host_str(), url.port(), url.username(), url.password());
            let hosts = ["api.twilio.com", "messaging.twilio.com", "pricing.twilio.com"];
            prop_assert!(hosts.contains(&place.1.unwrap()), "{}", asked);
            prop_assert_eq!((place.0, place.2, place.3, place.4), ("https", None, "", None));
        }
        let is_followed = hostile.asked().len() == 2;
        prop_assert_eq!(listed.is_ok(), is_followed || link.is_empty(), "{:?}", listed);
    }
}

#[test]
fn a_listing_that_never_ends_is_left() {
    let pages = (0..ENDLESS).map(|at| answer(200, page(&format!("/next/{at}")).to_string()));
    let hostile = Hostile::saying(pages.collect());
    let listed = run(hostile.company(Provider::Twilio).list());
    assert!(matches!(listed, Err(Error::Unreadable(_))), "{listed:?}");
    assert!(hostile.asked().len() <= 1000, "{}", hostile.asked().len());

    let row = json!({"id": "21", "phone_number": "+12125550001", "status": "active"});
    let pages = (1..=ENDLESS).map(|at| {
        let page = json!({"data": [row], "meta": {"page_number": at, "total_pages": usize::MAX}});
        answer(200, page.to_string())
    });
    let hostile = Hostile::saying(pages.collect());
    let listed = run(hostile.company(Provider::Telnyx).list());
    assert!(matches!(listed, Err(Error::Unreadable(_))), "{listed:?}");
    assert!(hostile.asked().len() <= 1000, "{}", hostile.asked().len());
}

#[test]
fn a_listing_that_goes_in_circles_is_left() {
    let pages = (0..ENDLESS).map(|at| answer(200, page(&format!("/next/{}", at % 3)).to_string()));
    let hostile = Hostile::saying(pages.collect());
    let listed = run(hostile.company(Provider::Twilio).list());
    assert!(matches!(listed, Err(Error::Unreadable(_))), "{listed:?}");
    assert!(hostile.asked().len() <= 5, "{:?}", hostile.asked());
}
