//! Twilio's JSON, and what it means here. Pure.
//!
//! Field names: `api.v2010.account.incoming_phone_number` in `twilio_api_v2010.json` of
//! <https://github.com/twilio/twilio-oai>.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::compliance::{Campaign, Verification};
use crate::number::{
    self, Capabilities, E164, Holding, Inbound, Line, MessagingService, NumberId, Settings, Shown,
    TwilioSettings,
};
use crate::provider::http::Response;

/// A page of a listing.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) incoming_phone_numbers: Vec<Number>,
    #[serde(default)]
    pub(super) next_page_uri: Option<String>,
    #[serde(default)]
    pub(super) uri: Option<String>,
}

/// `api.v2010.account.balance`.
#[derive(Deserialize)]
pub(super) struct Balance {
    balance: String,
    currency: String,
}

impl Balance {
    pub(super) fn into_balance(self) -> Option<number::Balance> {
        number::Balance::read(&self.balance, &self.currency)
    }
}

/// A number that the account holds. Unset fields are null, empty or missing.
#[derive(Deserialize)]
pub(super) struct Number {
    pub(super) sid: String,
    pub(super) account_sid: String,
    pub(super) phone_number: String,
    #[serde(default)]
    pub(super) friendly_name: Option<String>,
    #[serde(default)]
    date_created: Option<String>,
    #[serde(default)]
    date_updated: Option<String>,
    #[serde(default)]
    voice_url: Option<String>,
    #[serde(default)]
    voice_method: Option<String>,
    #[serde(default)]
    voice_application_sid: Option<String>,
    #[serde(default)]
    sms_url: Option<String>,
    #[serde(default)]
    sms_method: Option<String>,
    #[serde(default)]
    sms_application_sid: Option<String>,
    #[serde(default)]
    trunk_sid: Option<String>,
    #[serde(default)]
    address_sid: Option<String>,
    #[serde(default)]
    bundle_sid: Option<String>,
    #[serde(default)]
    identity_sid: Option<String>,
    #[serde(default)]
    capabilities: Value,
}

/// `messaging.v1.service`.
#[derive(Deserialize)]
pub(super) struct Service {
    pub(super) sid: String,
    #[serde(default)]
    inbound_request_url: Option<String>,
    #[serde(default)]
    use_inbound_webhook_on_number: Option<bool>,
}

impl Service {
    /// The flag decides; without it the service's own URL is called, and without that messages are dropped, by the texts
    /// of the two fields in `twilio_messaging_v1.json`.
    pub(super) fn into_service(self) -> MessagingService {
        let inbound = match (
            self.use_inbound_webhook_on_number,
            set(self.inbound_request_url),
        ) {
            (Some(true), _) => Inbound::ToNumber,
            (Some(false), Some(url)) => Inbound::ToUrl(url),
            (Some(false), None) => Inbound::Nowhere,
            (None, _) => Inbound::Unknown,
        };
        MessagingService {
            sid: self.sid,
            inbound,
        }
    }
}

/// A page of messaging services, or of the numbers in one.
#[derive(Deserialize)]
pub(super) struct ServicePage {
    #[serde(default)]
    pub(super) services: Vec<Service>,
    #[serde(default)]
    pub(super) phone_numbers: Vec<Member>,
    #[serde(default)]
    pub(super) compliance: Vec<Campaign>,
    #[serde(default)]
    pub(super) verifications: Vec<Verification>,
    pub(super) meta: PageMeta,
}

/// A number in a messaging service.
#[derive(Deserialize)]
pub(super) struct Member {
    pub(super) sid: String,
}

/// Where a page stands: the link is a whole URL.
#[derive(Deserialize)]
pub(super) struct PageMeta {
    pub(super) key: String,
    #[serde(default)]
    pub(super) next_page_url: Option<String>,
}

/// Twilio's own error body (<https://www.twilio.com/docs/usage/twilios-response>): an object with a message, a code, or
/// both. Not every refusal has a code, and the code need not be a number. Proxies answer something else.
pub(super) struct ErrorBody {
    /// The code, if it is a number: the table is of numbers.
    pub(super) code: Option<i64>,
    /// The code as Twilio writes it; empty if there is none.
    pub(super) word: String,
    pub(super) message: String,
}

impl ErrorBody {
    /// Reads an error body; `None` if it is not Twilio's.
    pub(super) fn read(response: &Response) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            code: Value,
            #[serde(default)]
            message: Option<String>,
        }
        let Body { code, message } = response.object().ok()?;
        let word = match code {
            Value::Null => String::new(),
            Value::Number(number) => number.as_i64()?.to_string(),
            Value::String(text) => text,
            _ => return None,
        };
        let message = message.unwrap_or_default();
        (!word.is_empty() || !message.is_empty()).then(|| Self {
            code: word.parse().ok(),
            word,
            message,
        })
    }
}

impl Number {
    /// When the account got it (RFC 2822).
    pub(super) fn created(&self) -> Option<Timestamp> {
        date(self.date_created.as_deref())
    }

    /// When it was last changed, by the same clock.
    pub(super) fn updated(&self) -> Option<Timestamp> {
        date(self.date_updated.as_deref())
    }

    /// The number as a holding; `None` if it is not an E.164 number and so cannot be one of ours.
    pub(super) fn into_holding(self) -> Option<Holding> {
        let number: E164 = self.phone_number.parse().ok()?;
        let created = self.created();
        // Where Twilio names no method, it calls by POST.
        let post = |method: &Option<String>| {
            method
                .as_deref()
                .is_none_or(|method| method.is_empty() || method.eq_ignore_ascii_case("POST"))
        };
        let (voice_by_post, sms_by_post) = (post(&self.voice_method), post(&self.sms_method));
        Some(Holding {
            id: NumberId::new(self.sid),
            number,
            marked_text: self.friendly_name.unwrap_or_default(),
            created,
            line: Line::Live,
            settings: Settings::Twilio(TwilioSettings {
                voice_url: set(self.voice_url),
                sms_url: set(self.sms_url),
                voice_by_post,
                sms_by_post,
                trunk_sid: set(self.trunk_sid),
                voice_application_sid: set(self.voice_application_sid),
                sms_application_sid: set(self.sms_application_sid),
                messaging_service: None,
                address_sid: set(self.address_sid),
                bundle_sid: set(self.bundle_sid),
                identity_sid: set(self.identity_sid),
                capabilities: self
                    .capabilities
                    .is_object()
                    .then(|| capabilities(&self.capabilities)),
                registration: Shown::Unknown,
            }),
        })
    }
}

pub(super) fn date(text: Option<&str>) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text?).ok()?;
    Some(zoned.timestamp())
}

fn set(field: Option<String>) -> Option<String> {
    field.filter(|text| !text.is_empty())
}

/// The keys were seen in lower and in upper case.
pub(super) fn capabilities(value: &Value) -> Capabilities {
    let can = |name: &str| {
        value.as_object().is_some_and(|object| {
            object
                .iter()
                .any(|(key, value)| key.eq_ignore_ascii_case(name) && *value == Value::Bool(true))
        })
    };
    Capabilities {
        voice: can("voice"),
        sms: can("sms"),
        mms: can("mms"),
        fax: can("fax"),
    }
}

/// The SID of the number that an answer to a purchase shows, for the audit line.
pub(super) fn id_of_new(response: &Response) -> Option<String> {
    let body: Value = response.decode().ok()?;
    body.get("sid")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::http::fake::text;

    fn holding(change: Value) -> Option<Holding> {
        let mut row = json!({"sid": "PN1", "account_sid": "AC1", "phone_number": "+12125551234"});
        for (key, value) in change.as_object().unwrap() {
            row[key] = value.clone();
        }
        serde_json::from_value::<Number>(row)
            .unwrap()
            .into_holding()
    }

    fn settings(change: Value) -> TwilioSettings {
        match holding(change).unwrap().settings {
            Settings::Twilio(settings) => settings,
            Settings::Telnyx(_) => panic!("a Twilio number"),
        }
    }

    #[test]
    fn null_empty_and_missing_are_all_unset() {
        for unset in [
            json!({}),
            json!({"voice_url": "", "sms_url": "", "trunk_sid": "", "voice_application_sid": "", "sms_application_sid": "",
                   "address_sid": "", "bundle_sid": "", "identity_sid": ""}),
            json!({"voice_url": null, "sms_url": null, "trunk_sid": null, "voice_application_sid": null,
                   "sms_application_sid": null, "address_sid": null, "bundle_sid": null, "identity_sid": null, "capabilities": null, "friendly_name": null}),
        ] {
            let expected = TwilioSettings {
                voice_by_post: true,
                sms_by_post: true,
                ..TwilioSettings::default()
            };
            assert_eq!(settings(unset.clone()), expected, "{unset}");
        }
    }

    #[test]
    fn what_routes_calls_elsewhere_is_read() {
        let held = settings(
            json!({"voice_url": "https://v", "sms_url": "https://s", "trunk_sid": "TK1",
            "voice_application_sid": "AP1", "sms_application_sid": "AP2",
            "address_sid": "AD1", "bundle_sid": "BU1", "identity_sid": "RI1"}),
        );
        let expected = TwilioSettings {
            voice_url: Some("https://v".into()),
            sms_url: Some("https://s".into()),
            voice_by_post: true,
            sms_by_post: true,
            trunk_sid: Some("TK1".into()),
            voice_application_sid: Some("AP1".into()),
            sms_application_sid: Some("AP2".into()),
            address_sid: Some("AD1".into()),
            bundle_sid: Some("BU1".into()),
            identity_sid: Some("RI1".into()),
            ..TwilioSettings::default()
        };
        assert_eq!(held, expected);
    }

    #[test]
    fn each_webhook_has_a_method_of_its_own() {
        for (change, by_post) in [
            (
                json!({"voice_method": "POST", "sms_method": "POST"}),
                (true, true),
            ),
            (
                json!({"voice_method": "GET", "sms_method": ""}),
                (false, true),
            ),
            (
                json!({"voice_method": null, "sms_method": "GET"}),
                (true, false),
            ),
        ] {
            let held = settings(change.clone());
            assert_eq!((held.voice_by_post, held.sms_by_post), by_post, "{change}");
        }
    }

    #[test]
    fn the_flag_of_a_service_decides_where_messages_go() {
        for (change, inbound) in [
            (
                json!({"use_inbound_webhook_on_number": true, "inbound_request_url": "https://else"}),
                Inbound::ToNumber,
            ),
            (
                json!({"use_inbound_webhook_on_number": false, "inbound_request_url": "https://else"}),
                Inbound::ToUrl("https://else".into()),
            ),
            (
                json!({"use_inbound_webhook_on_number": false, "inbound_request_url": null}),
                Inbound::Nowhere,
            ),
            (
                json!({"use_inbound_webhook_on_number": false, "inbound_request_url": ""}),
                Inbound::Nowhere,
            ),
            (json!({}), Inbound::Unknown),
        ] {
            let mut row = change.clone();
            row["sid"] = json!("MG1");
            let service = serde_json::from_value::<Service>(row).unwrap();
            assert_eq!(service.into_service().inbound, inbound, "{change}");
        }
    }

    #[test]
    fn capabilities_are_read_in_either_case() {
        let held = settings(
            json!({"capabilities": {"voice": true, "SMS": true, "MMS": false, "fax": "yes"}}),
        );
        let expected = Capabilities {
            voice: true,
            sms: true,
            ..Capabilities::default()
        };
        assert_eq!(held.capabilities, Some(expected));
    }

    #[test]
    fn dates_are_rfc_2822() {
        for (date, read) in [
            (
                json!("Thu, 30 Jul 2015 23:19:04 +0000"),
                Some("2015-07-30T23:19:04Z"),
            ),
            (
                json!("Thu, 30 Jul 2015 23:19:04 +0200"),
                Some("2015-07-30T21:19:04Z"),
            ),
            (json!("2015-07-30T23:19:04Z"), None),
            (json!(""), None),
            (json!(null), None),
        ] {
            let created = holding(json!({"date_created": date.clone()}))
                .unwrap()
                .created;
            assert_eq!(created, read.map(|read| read.parse().unwrap()), "{date}");
        }
    }

    #[test]
    fn what_is_not_a_phone_number_is_not_a_holding() {
        assert_eq!(holding(json!({"phone_number": "12345"})), None);
    }

    #[test]
    fn the_audit_line_names_the_sid_of_what_was_bought() {
        for (body, sid) in [
            (r#"{"sid":"PN1"}"#, Some("PN1")),
            (r#"{"sid":1}"#, None),
            (r#"{"code":1}"#, None),
            ("<html>", None),
        ] {
            let response = text(200, body).unwrap();
            assert_eq!(id_of_new(&response).as_deref(), sid, "{body}");
        }
    }

    #[test]
    fn only_twilios_own_error_body_is_read() {
        let known = Some((Some(21422), "21422", "no"));
        for (body, read) in [
            (r#"{"code":21422,"message":"no","status":400}"#, known),
            (r#"{"code":"21422","message":"no"}"#, known),
            (r#"{"code":21422}"#, Some((Some(21422), "21422", ""))),
            (
                r#"{"code":"no_code","message":"no"}"#,
                Some((None, "no_code", "no")),
            ),
            (
                r#"{"code":null,"message":"no","status":400}"#,
                Some((None, "", "no")),
            ),
            (r#"{"message":"no"}"#, Some((None, "", "no"))),
            (r#"{"code":21422,"message":7}"#, None),
            (r#"{"code":[21422],"message":"no"}"#, None),
            (r#"{"code":true,"message":"no"}"#, None),
            (r#"{"code":21422.0,"message":"no"}"#, None),
            (r#"{"code":null,"message":null}"#, None),
            (r#"{"code":"","message":""}"#, None),
            ("{}", None),
            ("<html>404</html>", None),
            ("21422", None),
            (r#"[21422,"no"]"#, None),
            ("", None),
        ] {
            let response = text(200, body).unwrap();
            let found = ErrorBody::read(&response);
            let found = found.as_ref();
            let found =
                found.map(|found| (found.code, found.word.as_str(), found.message.as_str()));
            assert_eq!(found, read, "{body}");
        }
    }
}
