//! Every rule for a PhoneNumber.

use serde_json::{Value, json};

use crate::manifests::{Kind, least, with_spec};
use crate::row::{
    Row, Transition, length, money, object_name, one_of, pattern, row, some_text,
    telnyx_connection, telnyx_ids,
};

fn number(provider: &str) -> Value {
    least(Kind::PhoneNumber, provider, "row")
}

pub fn rows() -> Vec<Row> {
    const E164: &str = r"^\+[1-9][0-9]{6,14}$";
    let e164 = |good: &str, bad: &str| pattern(number("twilio"), "phoneNumber", good, bad, E164);
    let mut without_number = number("twilio");
    without_number["spec"] = json!({"provider": "twilio"});
    let mut without_provider = number("twilio");
    without_provider["spec"] = json!({"phoneNumber": "+12125551234"});

    let mut rows = vec![
        row(
            "there is a number or a search",
            without_number.clone(),
            json!({"phoneNumber": "+4930123456"}),
            json!({}),
            "spec: Required value: one of phoneNumber and search must be set, and not both",
        ),
        row(
            "there is a number or a search, and not both",
            without_number,
            json!({"search": {"country": "US"}}),
            json!({"search": {"country": "US"}, "phoneNumber": "+4930123456"}),
            "spec: Required value: one of phoneNumber and search must be set, and not both",
        ),
        row(
            "what is adopted is named",
            number("twilio"),
            json!({"adoptionPolicy": "Adopt"}),
            json!({"adoptionPolicy": "Adopt", "phoneNumber": null, "search": {"country": "US"}}),
            "spec.adoptionPolicy: Forbidden: Adopt must come with spec.phoneNumber: a number that is adopted must be named",
        ),
        row(
            "there is a provider",
            without_provider,
            json!({"provider": "twilio"}),
            json!({}),
            "spec.provider: Required value",
        ),
        e164("+1234567", "+123456"),
        e164("+123456789012345", "+12345678901234a"),
        e164("+12125551234", "12125551234"),
        e164("+12125551234", "+0212555123"),
        e164("+12125551234", "+1 212 555 1234"),
        e164("+12125551234", "+12125551234\n"),
        row(
            "YAML reads a number without quotes as an integer",
            number("twilio"),
            json!({"phoneNumber": "+12125551234"}),
            json!({"phoneNumber": 12_125_551_234_u64}),
            r#"spec.phoneNumber: Invalid value: "integer": spec.phoneNumber in body must be of type string: "integer""#,
        ),
        row(
            "phoneNumber is at most 16 characters long",
            number("twilio"),
            json!({"phoneNumber": "+123456789012345"}),
            json!({"phoneNumber": "+1234567890123456"}),
            "spec.phoneNumber: Too long: may not be more than 16 bytes",
        ),
        row(
            "assistantId is at least 1",
            number("twilio"),
            json!({"assistantId": 1}),
            json!({"assistantId": 0}),
            "spec.assistantId: Invalid value: 0: spec.assistantId in body should be greater than or equal to 1",
        ),
        row(
            "assistantId is an integer",
            number("twilio"),
            json!({"assistantId": 9_007_199_254_740_991_i64}),
            json!({"assistantId": "101"}),
            r#"spec.assistantId: Invalid value: "string": spec.assistantId in body must be of type integer: "string""#,
        ),
        row(
            "assistantId is a number that JSON keeps exactly",
            number("twilio"),
            json!({"assistantId": 9_007_199_254_740_991_i64}),
            json!({"assistantId": 9_007_199_254_740_992_i64}),
            "spec.assistantId: Invalid value: 9007199254740992: spec.assistantId in body should be less than or equal to 9007199254740991",
        ),
        row(
            "accountRef has a name",
            number("twilio"),
            json!({"accountRef": {"name": "shared"}}),
            json!({"accountRef": {"kind": "ClusterProviderAccount"}}),
            "spec.accountRef.name: Required value",
        ),
        some_text(number("twilio"), "friendlyName"),
        length(number("telnyx"), "friendlyName", 64, |n| "x".repeat(n)),
        row(
            "friendlyName is at most 36 bytes with twilio",
            number("twilio"),
            json!({"friendlyName": "x".repeat(36)}),
            json!({"friendlyName": "x".repeat(37)}),
            "spec.friendlyName: Invalid value: must have at most 36 bytes with provider twilio, where it shares a field with the operator's mark",
        ),
        row(
            "36 bytes are not 36 characters",
            number("twilio"),
            json!({"friendlyName": "ü".repeat(18)}),
            json!({"friendlyName": "ü".repeat(19)}),
            "spec.friendlyName: Invalid value: must have at most 36 bytes with provider twilio, where it shares a field with the operator's mark",
        ),
        row(
            "friendlyName holds no mark of a bought number",
            number("telnyx"),
            json!({"friendlyName": "pn1"}),
            json!({"friendlyName": "x pn1.y"}),
            r#"spec.friendlyName: Invalid value: "x pn1.y": must not contain pn1. or pa1., which begin the operator's marks"#,
        ),
        row(
            "friendlyName holds no mark of an adopted number",
            number("twilio"),
            json!({"friendlyName": "pa1"}),
            json!({"friendlyName": "pa1."}),
            r#"spec.friendlyName: Invalid value: "pa1.": must not contain pn1. or pa1., which begin the operator's marks"#,
        ),
        row(
            "options of twilio are for twilio",
            number("twilio"),
            json!({"twilio": {}}),
            json!({"provider": "telnyx", "twilio": {}}),
            "spec.twilio: Forbidden: must not be set unless provider is twilio",
        ),
        row(
            "options of telnyx are for telnyx",
            number("telnyx"),
            json!({"telnyx": {}}),
            json!({"provider": "twilio", "telnyx": {}}),
            "spec.telnyx: Forbidden: must not be set unless provider is telnyx",
        ),
    ];
    for bad in ["[pn1]", "two\nlines", "return\r"] {
        let name = "friendlyName";
        rows.push(pattern(
            number("twilio"),
            name,
            "Käthe (NYC)",
            bad,
            r"^[^\[\]\r\n]*$",
        ));
    }
    rows.extend(one_of(
        number("twilio"),
        "provider",
        "vonage",
        &["twilio", "telnyx"],
    ));
    rows.extend(one_of(
        number("twilio"),
        "deletionPolicy",
        "Delete",
        &["Release", "Retain"],
    ));
    rows.extend(one_of(
        with_spec(number("twilio"), &json!({"accountRef": {"name": "shared"}})),
        "accountRef.kind",
        "Secret",
        &["ProviderAccount", "ClusterProviderAccount"],
    ));
    for (field, prefix) in [
        ("addressSid", "AD"),
        ("bundleSid", "BU"),
        ("identitySid", "RI"),
        ("messagingServiceSid", "MG"),
    ] {
        let path = format!("twilio.{field}");
        let sid = |n: usize| {
            format!("{prefix}{}", "0aF".repeat(20))
                .chars()
                .take(n)
                .collect()
        };
        let good: String = sid(34);
        let bad = good.replacen(prefix, "PN", 1);
        let expected = format!("^{prefix}[0-9a-fA-F]{{32}}$");
        rows.push(pattern(number("twilio"), &path, &good, &bad, &expected));
        rows.push(length(number("twilio"), &path, 34, sid));
    }
    rows.extend(telnyx_ids(number("telnyx"), "billingGroupId"));
    rows.extend(telnyx_ids(number("telnyx"), "messagingProfileId"));
    rows.extend(telnyx_ids(number("telnyx"), "requirementGroupId"));
    rows.extend(telnyx_connection(number("telnyx")));
    rows.extend(one_of(
        number("twilio"),
        "adoptionPolicy",
        "Always",
        &["Never", "Adopt"],
    ));
    rows.extend(one_of(
        number("twilio"),
        "messaging",
        "Always",
        &["Required", "BestEffort", "None"],
    ));
    rows.extend(messages());
    rows.extend(money(number("twilio"), "maxMonthlyCost"));
    rows.extend(money(number("twilio"), "maxUpfrontCost"));
    rows.extend(searches());
    rows.extend(object_name(number("twilio"), "accountRef.name"));
    for path in ["webhooks.voiceUrl", "webhooks.smsUrl"] {
        let base = number("twilio");
        let url = |good: &str, bad: &str| {
            pattern(
                number("twilio"),
                path,
                good,
                bad,
                r"^https://[^\s/?#@]+(/[^\s]*)?$",
            )
        };
        rows.push(url("https://voice.example.com", "http://voice.example.com"));
        rows.push(url("https://h/twiml?a=b#c", "https:///twiml"));
        rows.push(url("https://h:8443/", "https://h/a b"));
        rows.push(length(base, path, 1024, |n| {
            format!("https://{}", "h".repeat(n - 8))
        }));
    }
    rows
}

/// Every rule for what a number is to be like.
/// What concerns messages is refused where none are wanted.
fn messages() -> Vec<Row> {
    let sid = format!("MG{}", "0".repeat(32));
    let row = |title: &'static str, provider: &str, field: Value, refusal: &'static str| {
        let mut unwanted = field.clone();
        unwanted["messaging"] = json!("None");
        row(title, number(provider), field, unwanted, refusal)
    };
    vec![
        row(
            "messaging None comes without an SMS webhook",
            "twilio",
            json!({"webhooks": {"smsUrl": "https://voice.example.com/sms"}}),
            "spec.webhooks.smsUrl: Forbidden: must not be set with messaging None, which sets nothing that concerns messages",
        ),
        row(
            "messaging None comes without a messaging service",
            "twilio",
            json!({"twilio": {"messagingServiceSid": sid}}),
            "spec.twilio.messagingServiceSid: Forbidden: must not be set with messaging None, which sets nothing that concerns messages",
        ),
        row(
            "messaging None comes without a messaging profile",
            "telnyx",
            json!({"telnyx": {"messagingProfileId": "mp-1"}}),
            "spec.telnyx.messagingProfileId: Forbidden: must not be set with messaging None, which sets nothing that concerns messages",
        ),
    ]
}

fn searches() -> Vec<Row> {
    let search = || {
        let mut searching = number("twilio");
        searching["spec"] = json!({"provider": "twilio", "search": {"country": "US"}});
        searching
    };
    let capabilities = |capabilities: Value| json!({"search": {"capabilities": capabilities}});
    let mut rows = vec![
        row(
            "a search names a country",
            search(),
            json!({"search": {"country": "GB"}}),
            json!({"search": {"country": null}}),
            "spec.search.country: Required value",
        ),
        pattern(search(), "search.country", "DE", "de", "^[A-Z]{2}$"),
        length(search(), "search.country", 2, |n| "A".repeat(n)),
        pattern(search(), "search.areaCode", "212", "x", "^[0-9]{1,6}$"),
        length(search(), "search.areaCode", 6, |n| "1".repeat(n)),
        pattern(search(), "search.contains", "555", "5", "^[0-9]{2,10}$"),
        length(search(), "search.contains", 10, |n| "1".repeat(n)),
        row(
            "at most four capabilities",
            search(),
            capabilities(json!(["voice", "sms", "mms", "fax"])),
            capabilities(json!(["voice", "sms", "mms", "fax", "voice"])),
            r#"spec.search.capabilities: Too many: 5: must have at most 4 items, spec.search.capabilities[4]: Duplicate value: "voice""#,
        ),
        row(
            "each capability once",
            search(),
            capabilities(json!(["voice", "sms"])),
            capabilities(json!(["voice", "voice"])),
            r#"spec.search.capabilities[1]: Duplicate value: "voice""#,
        ),
    ];
    for path in ["search.locality", "search.region"] {
        rows.push(pattern(search(), path, "New York", "", r"^[^\r\n]+$"));
        rows.push(length(search(), path, 64, |n| "x".repeat(n)));
    }
    rows.extend(one_of(
        search(),
        "search.type",
        "national",
        &["local", "mobile", "tollFree"],
    ));
    for capability in ["voice", "sms", "mms", "fax"] {
        rows.push(row(
            format!("a number can be wanted for {capability}"),
            search(),
            capabilities(json!([capability])),
            capabilities(json!(["video"])),
            r#"spec.search.capabilities[0]: Unsupported value: "video": supported values: "voice", "sms", "mms", "fax""#,
        ));
    }
    rows
}

pub fn transitions() -> Vec<Transition> {
    let search = |name: &str| {
        let mut search = least(Kind::PhoneNumber, "twilio", name);
        search["spec"] = json!({"provider": "twilio", "search": {"country": "US"}});
        search
    };
    vec![
        Transition {
            rule: "what is searched for stays",
            existing: search("search"),
            accepted: json!({"suspend": true}),
            refused: json!({"search": {"country": "CA"}}),
            message: "spec.search: Forbidden: must not be changed: create another PhoneNumber for another number",
        },
        Transition {
            rule: "a search does not become a number",
            existing: search("exchange"),
            accepted: json!({"suspend": false}),
            refused: json!({"search": null, "phoneNumber": "+12125551234"}),
            message: "spec: Forbidden: spec.search and spec.phoneNumber must not be exchanged, except for the number that was bought (status.phoneNumber): create another PhoneNumber for another number",
        },
        Transition {
            rule: "a search becomes the number that was bought, and no other",
            existing: {
                let mut bought = search("pinned");
                bought["status"] = json!({"id": "PN1", "phoneNumber": "+12125551234"});
                bought
            },
            accepted: json!({"search": null, "phoneNumber": "+12125551234"}),
            refused: json!({"search": null, "phoneNumber": "+12125551235"}),
            message: "spec: Forbidden: spec.search and spec.phoneNumber must not be exchanged, except for the number that was bought (status.phoneNumber): create another PhoneNumber for another number",
        },
        Transition {
            rule: "a search does not become a number that is only claimed",
            existing: {
                let mut claimed = search("claimed");
                claimed["status"] = json!({"phoneNumber": "+12125551234"});
                claimed
            },
            accepted: json!({"suspend": true}),
            refused: json!({"search": null, "phoneNumber": "+12125551234"}),
            message: "spec: Forbidden: spec.search and spec.phoneNumber must not be exchanged, except for the number that was bought (status.phoneNumber): create another PhoneNumber for another number",
        },
        Transition {
            rule: "a number does not become a search",
            existing: {
                let mut bought = least(Kind::PhoneNumber, "twilio", "widened");
                bought["status"] = json!({"id": "PN1", "phoneNumber": "+12125551234"});
                bought
            },
            accepted: json!({"suspend": true}),
            refused: json!({"phoneNumber": null, "search": {"country": "US"}}),
            message: "spec: Forbidden: spec.search and spec.phoneNumber must not be exchanged, except for the number that was bought (status.phoneNumber): create another PhoneNumber for another number",
        },
        Transition {
            rule: "a number stays",
            existing: least(Kind::PhoneNumber, "twilio", "number"),
            accepted: json!({"phoneNumber": "+12125551234"}),
            refused: json!({"phoneNumber": "+12125551235"}),
            message: "spec.phoneNumber: Forbidden: must not be changed: create another PhoneNumber for another number",
        },
        Transition {
            rule: "a provider stays",
            existing: least(Kind::PhoneNumber, "twilio", "provider"),
            accepted: json!({"provider": "twilio"}),
            refused: json!({"provider": "telnyx"}),
            message: "spec.provider: Forbidden: must not be changed: create another PhoneNumber for the other provider",
        },
        Transition {
            rule: "the papers of a number that is bought stay",
            existing: {
                let mut bought = least(Kind::PhoneNumber, "telnyx", "papers");
                bought["spec"]["telnyx"] = json!({"requirementGroupId": "rg-1"});
                bought["status"] = json!({"id": "21"});
                bought
            },
            accepted: json!({"telnyx": {"connectionId": "11"}}),
            refused: json!({"telnyx": {"requirementGroupId": "rg-2"}}),
            message: "spec.telnyx: Forbidden: requirementGroupId must not be changed after the purchase: change the documents of the number at Telnyx",
        },
    ]
}
