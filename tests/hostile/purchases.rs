//! What becomes of a purchase when the reply is hostile: money counts as spent, or as not spent, only for a reason that this
//! file can see in the reply by itself.

use phonenumber_operator::number::Provider;
use phonenumber_operator::provider::http::Response;
use phonenumber_operator::provider::{Error, Reply};
use proptest::prelude::*;
use serde_json::{Value, json};
use test_support::company::{BOTH, mark};
use test_support::emulator::TWILIO_ACCOUNT;

use crate::bent::{any_answer, bent, status};
use crate::company::{Hostile, NUMBER, SECRET, answer, configuration, run, token};
use crate::config;

/// Codes that say for certain that nothing was bought, from the providers' documentation.
const CERTAIN_AT_TWILIO: [i64; 41] = [
    21422, 10001, 20005, 90010, 10002, 21404, 20008, 20010, 20403, 21471, 21472, 22300, 21613,
    21615, 21631, 21649, 21650, 21651, 20003, 20006, 70051, 70052, 70053, 21420, 21421, 20002,
    70001, 20422, 20423, 20004, 70002, 21402, 21403, 21405, 21406, 21407, 21409, 21451, 21452,
    21457, 21458,
];
const CERTAIN_AT_TELNYX: [&str; 60] = [
    "85000", "85006", "20100", "20012", "20013", "20014", "20015", "20016", "20017", "10038",
    "10039", "20200", "20201", "20202", "20203", "20204", "20205", "20206", "20207", "20208",
    "20209", "10009", "10010", "20000", "20001", "20002", "20003", "20004", "20005", "20006",
    "20007", "20008", "20009", "20010", "20011", "10006", "10013", "10017", "85004", "85005",
    "10002", "10003", "10004", "10015", "10016", "10018", "10019", "10020", "10022", "10025",
    "10026", "10032", "10033", "10014", "10023", "10024", "10028", "10029", "10030", "10034",
];

/// Codes of Telnyx that may mean that the number is ours already.
const UNCERTAIN_AT_TELNYX: [&str; 3] = ["10012", "10027", "85001"];

/// The reply that sells the number at each company.
pub fn sold(provider: Provider) -> Value {
    match provider {
        Provider::Twilio => json!({
            "sid": "PN00000000000000000000000000000001", "account_sid": TWILIO_ACCOUNT, "phone_number": NUMBER,
            "friendly_name": format!("NYC [{}]", mark()),
            "date_created": "Fri, 02 Jan 2026 03:04:05 +0000",
            "voice_url": "https://voice.example.com/twiml", "voice_method": "POST",
            "capabilities": {"voice": true, "SMS": true},
        }),
        Provider::Telnyx => json!({"data": {
            "id": "12ade33a-21c0-473b-b055-b3c836e1c292", "status": "pending",
            "customer_reference": format!("{}.n1", mark()), "created_at": "2026-01-02T03:04:05.000000Z",
            "phone_numbers": [{"phone_number": NUMBER, "status": "pending", "requirements_met": true}],
            "sub_number_orders_ids": ["8b4c8a2e-0000-4000-8000-000000000001"],
        }}),
    }
}

/// The reply that refuses it.
pub fn refused(provider: Provider) -> Value {
    let text = format!("no {SECRET} here");
    match provider {
        Provider::Twilio => json!({"code": 21422, "message": text, "status": 400}),
        Provider::Telnyx => json!({"errors": [{"code": "20100", "title": text, "detail": "no",
            "source": {"pointer": "/phone_numbers"}}]}),
    }
}

fn buy(provider: Provider, response: Response) -> Reply {
    let hostile = Hostile::saying(vec![response]);
    let company = hostile.company(provider);
    let reply = run(company.buy(token(), &configuration(provider)));
    assert_eq!(hostile.asked().len(), 1, "a purchase is sent once");
    reply
}

/// True if the body by itself shows that our request bought our number.
fn proves(provider: Provider, response: &Response) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(&response.body) else {
        return false;
    };
    match provider {
        Provider::Twilio => {
            response.status == 201
                && body["phone_number"] == NUMBER
                && body["account_sid"] == TWILIO_ACCOUNT
                && body["sid"]
                    .as_str()
                    .is_some_and(|sid| sid.starts_with("PN"))
                && body["date_created"].is_string()
                && names_us(&body["friendly_name"])
        }
        Provider::Telnyx => {
            let order = &body["data"];
            response.status == 200
                && order["customer_reference"] == format!("{}.n1", mark())
                && order["id"].as_str().is_some_and(|id| !id.is_empty())
                && order["phone_numbers"]
                    .as_array()
                    .is_some_and(|rows| rows.iter().any(|row| row["phone_number"] == NUMBER))
        }
    }
}

fn names_us(text: &Value) -> bool {
    text.as_str()
        .is_some_and(|text| text.contains(&mark().to_string()))
}

/// The codes in the provider's own refusal, as text; `None` if it is none.
fn refusals(provider: Provider, response: &Response) -> Option<Vec<String>> {
    let refuses =
        (400..500).contains(&response.status) && ![408, 409, 425, 429].contains(&response.status);
    let body = serde_json::from_slice::<Value>(&response.body).ok()?;
    let code = |error: &Value| match &error["code"] {
        Value::String(code) => code.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let codes = match provider {
        Provider::Twilio => {
            let says = !body["code"].is_null() || body["message"].is_string();
            says.then(|| vec![code(&body)])?
        }
        Provider::Telnyx => body["errors"].as_array()?.iter().map(code).collect(),
    };
    let is_ours = |code: &String| UNCERTAIN_AT_TELNYX.contains(&code.as_str());
    let may_be_ours = provider == Provider::Telnyx && codes.iter().any(is_ours);
    (refuses && !codes.is_empty() && !may_be_ours).then_some(codes)
}

/// True if the code says by itself that nothing was bought.
fn is_certain(provider: Provider, code: &str) -> bool {
    match provider {
        Provider::Twilio => code
            .parse()
            .is_ok_and(|code| CERTAIN_AT_TWILIO.contains(&code)),
        Provider::Telnyx => CERTAIN_AT_TELNYX.contains(&code),
    }
}

/// The property: whatever is not unknown has its reason in the reply.
fn judge(provider: Provider, response: &Response) -> Result<(), TestCaseError> {
    let reply = buy(provider, response.clone());
    let is_shown = !matches!(reply, Reply::Bought(_) | Reply::Ordered(_));
    let shown = format!("{reply:?}");
    prop_assert!(!is_shown || !shown.contains(SECRET), "{shown}");
    match reply {
        Reply::Bought(holding) => {
            prop_assert_eq!(provider, Provider::Twilio);
            prop_assert_eq!(holding.number.as_str(), NUMBER);
            prop_assert!(proves(provider, response));
        }
        Reply::Ordered(_) => {
            prop_assert_eq!(provider, Provider::Telnyx);
            prop_assert!(proves(provider, response));
        }
        Reply::Rejected(_) => {
            let codes = refusals(provider, response).unwrap_or_default();
            prop_assert!(codes.iter().any(|code| is_certain(provider, code)));
        }
        Reply::Refused(_) => {
            let codes = refusals(provider, response).unwrap_or_default();
            prop_assert!(!codes.is_empty() && !codes.iter().any(|code| is_certain(provider, code)));
        }
        // Only Twilio says of a request that it was not looked at.
        Reply::NotSent(error) => {
            prop_assert!(matches!(error, Error::Throttled(_)), "{:?}", error);
            prop_assert_eq!((provider, response.status), (Provider::Twilio, 429));
        }
        Reply::Unknown(why) => prop_assert!(!why.is_empty()),
    }
    Ok(())
}

fn judge_both(answers: [Response; 2]) -> Result<(), TestCaseError> {
    for (provider, answer) in BOTH.into_iter().zip(answers) {
        judge(provider, &answer)?;
    }
    Ok(())
}

fn any_reply(provider: Provider) -> impl Strategy<Value = Response> {
    any_answer(vec![sold(provider), refused(provider)])
}

/// The status of a sale or of a refusal with a body that was bent.
fn nearly_valid(provider: Provider) -> impl Strategy<Value = Response> {
    let good = if provider == Provider::Twilio {
        201
    } else {
        200
    };
    let sale = bent(sold(provider)).prop_map(move |body| answer(good, body));
    let refusal =
        (status(), bent(refused(provider))).prop_map(|(status, body)| answer(status, body));
    prop_oneof![2 => sale, 1 => refusal]
}

proptest! {
    #![proptest_config(config(1000))]

    #[test]
    fn no_reply_sells_or_refuses_without_saying_so(
        twilio in any_reply(Provider::Twilio), telnyx in any_reply(Provider::Telnyx)
    ) {
        judge_both([twilio, telnyx])?;
    }

    #[test]
    fn a_bent_sale_or_refusal_is_unknown_unless_what_matters_is_whole(
        twilio in nearly_valid(Provider::Twilio), telnyx in nearly_valid(Provider::Telnyx)
    ) {
        judge_both([twilio, telnyx])?;
    }

    #[test]
    fn what_is_no_json_is_unknown(status in status(), body in "[^{\\[\"0-9tfn-]\\PC{0,80}") {
        for provider in BOTH {
            let reply = buy(provider, answer(status, body.clone()));
            prop_assert!(matches!(reply, Reply::Unknown(_)), "{:?}", reply);
        }
    }
}

#[test]
fn what_was_not_bent_sells_and_refuses() {
    for provider in BOTH {
        let good = if provider == Provider::Twilio {
            201
        } else {
            200
        };
        let reply = buy(provider, answer(good, sold(provider).to_string()));
        assert!(
            matches!(reply, Reply::Bought(_) | Reply::Ordered(_)),
            "{reply:?}"
        );
        let reply = buy(provider, answer(400, refused(provider).to_string()));
        assert!(matches!(reply, Reply::Rejected(_)), "{reply:?}");
    }
}

/// Bodies that are close to a sale or a refusal, each for a reason of its own.
#[test]
fn replies_that_only_look_like_one_are_unknown() {
    let sale = sold(Provider::Twilio).to_string();
    let order = sold(Provider::Telnyx).to_string();
    let table = [
        (Provider::Twilio, 201, String::new()),
        (Provider::Twilio, 201, "null".into()),
        (Provider::Twilio, 201, "[]".into()),
        (Provider::Twilio, 201, format!("[{sale}]")),
        (Provider::Twilio, 201, format!("{sale}{sale}")),
        (Provider::Twilio, 201, sale[..sale.len() - 1].to_owned()),
        (Provider::Twilio, 201, format!("\u{feff}{sale}")),
        (Provider::Twilio, 201, sale.replace(NUMBER, "+12125551235")),
        (Provider::Twilio, 201, sale.replace("PN0", "AP0")),
        (Provider::Twilio, 201, sale.replace("pn1.", "pn2.")),
        (Provider::Twilio, 200, sale.clone()),
        (Provider::Twilio, 202, sale),
        (Provider::Twilio, 500, r#"{"code":21422}"#.into()),
        (Provider::Twilio, 409, r#"{"code":21422}"#.into()),
        (Provider::Twilio, 400, r#"{"code":21422.0}"#.into()),
        (Provider::Twilio, 400, r#"{"code":[21422]}"#.into()),
        (Provider::Twilio, 400, r#"{"error":{"code":21422}}"#.into()),
        (Provider::Telnyx, 200, r#"{"data":null}"#.into()),
        (Provider::Telnyx, 200, r#"{"data":[]}"#.into()),
        (Provider::Telnyx, 200, order.replace(".n1", ".n2")),
        (Provider::Telnyx, 200, order.replace(NUMBER, "+12125551235")),
        (Provider::Telnyx, 201, order),
        (Provider::Telnyx, 400, r#"{"errors":[]}"#.into()),
        (
            Provider::Telnyx,
            400,
            r#"{"errors":[{"code":"20100"},{"code":"85001"}]}"#.into(),
        ),
        (
            Provider::Telnyx,
            429,
            r#"{"errors":[{"code":"20100"}]}"#.into(),
        ),
    ];
    for (provider, status, body) in table {
        let reply = buy(provider, answer(status, body.clone()));
        assert!(matches!(reply, Reply::Unknown(_)), "{body}: {reply:?}");
    }
}
