//! Values that every layer shares: numbers, identities, marks and routing.
//!
//! Pure: no I/O, no clock, no randomness, and nothing else of this crate.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A phone company that numbers are bought from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Twilio (<https://www.twilio.com>).
    Twilio,
    /// Telnyx (<https://telnyx.com>).
    Telnyx,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Twilio => "twilio",
            Self::Telnyx => "telnyx",
        })
    }
}

/// A phone number in E.164 form: `+`, then 7 to 15 digits, the first not zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(String);

impl E164 {
    /// The number without its `+`, as Telnyx filters want it.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }

    /// The number with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a value of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The text is not an E.164 number.
    #[error("{0:?} is not an E.164 number such as +12125551234")]
    Number(String),
}

impl FromStr for E164 {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let well_formed = text.strip_prefix('+').is_some_and(|digits| {
            (7..=15).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && !digits.starts_with('0')
        });
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(Malformed::Number(text.chars().take(24).collect()))
        }
    }
}

impl TryFrom<String> for E164 {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<E164> for String {
    fn from(number: E164) -> Self {
        number.0
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text as the provider or the record gave it.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The provider's own id of a number: a Twilio SID (`PN…`) or a Telnyx phone-number id (digits).
    NumberId
}
text_id! {
    /// The id of a Telnyx number order (a UUID).
    OrderId
}
text_id! {
    /// The provider's own id of an account: a Twilio AccountSid or a Telnyx organization id.
    AccountId
}

/// The resource that a number belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    /// Namespace of the `PhoneNumber`.
    pub namespace: String,
    /// Name of the `PhoneNumber`.
    pub name: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One installation of the operator; two installations never share an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation(String);

impl Installation {
    /// Takes the UID of `kube-system`, or what `--installation-id` says.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }
}

/// How we came to hold a number. It is part of the mark, so that a lost status cannot change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// We paid for it.
    Bought,
    /// It was in the account before.
    Adopted,
}

const INSTALLATION_CHARS: usize = 6;
const OWNER_CHARS: usize = 13;

/// The text that makes a number ours: `pn1.<installation6>.<owner13>`, or `pa1.…` for an adopted one.
///
/// Both parts are lower-case base32 of SHA-256: of the whole installation id, and of `namespace/name`. So a mark
/// survives deletion and re-creation of the resource, and a restore from backup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    origin: Origin,
    installation: String,
    owner: String,
}

/// Whose mark a number carries, seen from one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This resource's.
    Ours(Origin),
    /// Another resource's, or another installation's.
    Foreign,
    /// Nobody's.
    Unmarked,
}

impl Mark {
    /// The length of every mark in bytes.
    pub const LEN: usize = 4 + INSTALLATION_CHARS + 1 + OWNER_CHARS;

    /// The mark of `owner` in `installation`.
    pub fn new(origin: Origin, installation: &Installation, owner: &Owner) -> Self {
        Self {
            origin,
            installation: base32_sha256(&installation.0, INSTALLATION_CHARS),
            owner: base32_sha256(&owner.to_string(), OWNER_CHARS),
        }
    }

    /// How the number came to us, as the mark says.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// True if both marks name the same resource of the same installation, however it came to its number.
    pub fn same_owner(&self, other: &Self) -> bool {
        self.installation == other.installation && self.owner == other.owner
    }

    /// The first mark in a provider's text field, if there is one.
    pub fn find_in(text: &str) -> Option<Self> {
        text.char_indices()
            .filter(|(start, _)| {
                !text
                    .get(..*start)
                    .is_some_and(|before| before.ends_with(|c: char| c.is_ascii_alphanumeric()))
            })
            .find_map(|(start, _)| Self::at_start(text.get(start..)?))
    }

    /// Whose the mark in `text` is, seen from the resource whose mark is `self`.
    pub fn whose(&self, text: &str) -> Whose {
        match Self::find_in(text) {
            Some(found) if self.same_owner(&found) => Whose::Ours(found.origin),
            Some(_) => Whose::Foreign,
            None => Whose::Unmarked,
        }
    }

    /// The text for the field in which the mark lives: `"<name> [<mark>]"` at Twilio, the mark alone at Telnyx.
    pub fn with_name(&self, provider: Provider, name: &str) -> String {
        match provider {
            Provider::Twilio => format!("{name} [{self}]"),
            Provider::Telnyx => self.to_string(),
        }
    }

    fn at_start(text: &str) -> Option<Self> {
        let origin = match text.get(..4)? {
            "pn1." => Origin::Bought,
            "pa1." => Origin::Adopted,
            _ => return None,
        };
        let installation = text.get(4..4 + INSTALLATION_CHARS)?;
        let dot = text.get(4 + INSTALLATION_CHARS..5 + INSTALLATION_CHARS)?;
        let owner = text.get(5 + INSTALLATION_CHARS..Self::LEN)?;
        let goes_on = text
            .get(Self::LEN..)?
            .starts_with(|c: char| c.is_ascii_alphanumeric());
        let base32 = |part: &str| {
            part.bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
        };
        (dot == "." && base32(installation) && base32(owner) && !goes_on).then(|| Self {
            origin,
            installation: installation.to_owned(),
            owner: owner.to_owned(),
        })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = match self.origin {
            Origin::Bought => "pn1",
            Origin::Adopted => "pa1",
        };
        write!(f, "{prefix}.{}.{}", self.installation, self.owner)
    }
}

fn base32_sha256(text: &str, chars: usize) -> String {
    let mut encoded = BASE32_NOPAD.encode(&Sha256::digest(text.as_bytes()));
    encoded.make_ascii_lowercase();
    encoded.truncate(chars);
    encoded
}

/// Where calls and messages to a number go. What is `None` is not ours to decide and is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Webhooks live on the number itself.
    Twilio {
        /// The voice webhook.
        voice_url: String,
        /// The SMS webhook.
        sms_url: String,
        /// The messaging service (`MG…`) that the number belongs to.
        messaging_service_sid: Option<String>,
    },
    /// Webhooks live on the connection and the messaging profile.
    Telnyx {
        /// The Call Control Application.
        connection_id: String,
        /// The messaging profile.
        messaging_profile_id: Option<String>,
        /// The billing group.
        billing_group_id: Option<String>,
    },
}

/// Papers that a country's regulator wants with a purchase; ids at the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Papers {
    /// Twilio address (`AD…`).
    pub address_sid: Option<String>,
    /// Twilio regulatory bundle (`BU…`).
    pub bundle_sid: Option<String>,
    /// Twilio identity (`RI…`).
    pub identity_sid: Option<String>,
    /// Telnyx requirement group (a UUID).
    pub requirement_group_id: Option<String>,
}

/// How a number is to be set up at its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The name people see; at most 36 bytes at Twilio, where it shares a field with the mark.
    pub name: String,
    /// The mark that makes the number ours.
    pub mark: Mark,
    /// Where its calls and messages go.
    pub routing: Routing,
    /// Regulatory papers.
    pub papers: Papers,
}

/// What a number can do, as the provider says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Voice calls.
    pub voice: bool,
    /// SMS.
    pub sms: bool,
    /// MMS.
    pub mms: bool,
    /// Fax.
    pub fax: bool,
}

/// A number that the account holds, as the provider showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The provider's id of it.
    pub id: NumberId,
    /// The number.
    pub number: E164,
    /// The text in which the mark lives: Twilio's friendly name, Telnyx's customer reference.
    pub marked_text: String,
    /// When the account got it, by the provider's clock; `None` if the provider did not say.
    pub created: Option<Timestamp>,
    /// False while the provider still sets the number up.
    pub active: bool,
    /// How it is set up.
    pub settings: Settings,
}

/// How a number is set up, as the provider showed it. Unset is `None`, never the empty text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// At Twilio.
    Twilio(TwilioSettings),
    /// At Telnyx.
    Telnyx(TelnyxSettings),
}

/// A Twilio number's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TwilioSettings {
    /// The voice webhook.
    pub voice_url: Option<String>,
    /// The SMS webhook.
    pub sms_url: Option<String>,
    /// True if both webhooks are called by POST.
    pub by_post: bool,
    /// A SIP trunk; overrides voice webhook and application.
    pub trunk_sid: Option<String>,
    /// A voice application; overrides the voice webhook.
    pub voice_application_sid: Option<String>,
    /// An SMS application; overrides the SMS webhook.
    pub sms_application_sid: Option<String>,
    /// True if the number is in the messaging service that the configuration names. Only looked up when it names one.
    pub in_messaging_service: bool,
    /// What the number can do.
    pub capabilities: Capabilities,
}

/// A Telnyx number's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TelnyxSettings {
    /// The connection that answers calls.
    pub connection_id: Option<String>,
    /// The messaging profile that answers messages.
    pub messaging_profile_id: Option<String>,
    /// The billing group.
    pub billing_group_id: Option<String>,
}

/// A setting that can differ from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The mark or the name beside it.
    Name,
    /// The voice webhook or its method.
    VoiceUrl,
    /// The SMS webhook or its method.
    SmsUrl,
    /// A SIP trunk that nobody declared.
    Trunk,
    /// A voice application that nobody declared.
    VoiceApplication,
    /// An SMS application that nobody declared.
    SmsApplication,
    /// The messaging service.
    MessagingService,
    /// The connection.
    Connection,
    /// The messaging profile.
    MessagingProfile,
    /// The billing group.
    BillingGroup,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "name",
            Self::VoiceUrl => "voice webhook",
            Self::SmsUrl => "SMS webhook",
            Self::Trunk => "SIP trunk",
            Self::VoiceApplication => "voice application",
            Self::SmsApplication => "SMS application",
            Self::MessagingService => "messaging service",
            Self::Connection => "connection",
            Self::MessagingProfile => "messaging profile",
            Self::BillingGroup => "billing group",
        })
    }
}

impl Configuration {
    /// The text for the field in which the mark lives.
    pub fn marked_text(&self) -> String {
        let provider = match self.routing {
            Routing::Twilio { .. } => Provider::Twilio,
            Routing::Telnyx { .. } => Provider::Telnyx,
        };
        self.mark.with_name(provider, &self.name)
    }

    /// The settings of `holding` that differ from this configuration, in a fixed order. Empty means configured.
    ///
    /// Twilio: a trunk or an application overrides the webhooks (contracts 1.4), so one that nobody declared counts.
    pub fn differences(&self, holding: &Holding) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut check = |field, same: bool| {
            if !same {
                fields.push(field);
            }
        };
        check(Field::Name, holding.marked_text == self.marked_text());
        match (&self.routing, &holding.settings) {
            (
                Routing::Twilio {
                    voice_url,
                    sms_url,
                    messaging_service_sid,
                },
                Settings::Twilio(held),
            ) => {
                check(
                    Field::VoiceUrl,
                    held.voice_url.as_ref() == Some(voice_url) && held.by_post,
                );
                check(
                    Field::SmsUrl,
                    held.sms_url.as_ref() == Some(sms_url) && held.by_post,
                );
                check(Field::Trunk, held.trunk_sid.is_none());
                check(
                    Field::VoiceApplication,
                    held.voice_application_sid.is_none(),
                );
                check(Field::SmsApplication, held.sms_application_sid.is_none());
                check(
                    Field::MessagingService,
                    messaging_service_sid.is_none() || held.in_messaging_service,
                );
            }
            (
                Routing::Telnyx {
                    connection_id,
                    messaging_profile_id,
                    billing_group_id,
                },
                Settings::Telnyx(held),
            ) => {
                let wanted =
                    |want: &Option<String>, have: &Option<String>| want.is_none() || want == have;
                check(
                    Field::Connection,
                    held.connection_id.as_ref() == Some(connection_id),
                );
                check(
                    Field::MessagingProfile,
                    wanted(messaging_profile_id, &held.messaging_profile_id),
                );
                check(
                    Field::BillingGroup,
                    wanted(billing_group_id, &held.billing_group_id),
                );
            }
            (Routing::Twilio { .. }, Settings::Telnyx(_)) => check(Field::VoiceUrl, false),
            (Routing::Telnyx { .. }, Settings::Twilio(_)) => check(Field::Connection, false),
        }
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_e164_or_it_is_nothing() {
        for good in ["+12125551234", "+4915112345678", "+1234567"] {
            assert!(good.parse::<E164>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "+",
            "12125551234",
            "+1212555123a",
            "+0123456789",
            "+1234567890123456",
            "+12 125551234",
        ] {
            assert!(bad.parse::<E164>().is_err(), "{bad}");
        }
    }

    fn mark(origin: Origin) -> Mark {
        let owner = Owner {
            namespace: "support".into(),
            name: "nyc-support".into(),
        };
        Mark::new(
            origin,
            &Installation::new("5f1c0f1e-0000-4000-8000-000000000001"),
            &owner,
        )
    }

    /// The hashes were computed with `printf %s TEXT | sha256sum | xxd -r -p | base32`.
    #[test]
    fn marks_match_the_test_vectors() {
        assert_eq!(mark(Origin::Bought).to_string(), "pn1.24ul6c.rqrxid56b3ejz");
    }

    #[test]
    fn a_mark_is_found_in_the_fields_that_carry_it() {
        let ours = mark(Origin::Bought);
        let adopted = mark(Origin::Adopted);
        let table = [
            (format!("NYC Support [{ours}]"), Whose::Ours(Origin::Bought)),
            (format!("{ours}.4f2a"), Whose::Ours(Origin::Bought)),
            (adopted.to_string(), Whose::Ours(Origin::Adopted)),
            ("NYC [pn1.aaaaaa.bbbbbbbbbbbbb]".into(), Whose::Foreign),
            (format!("{ours}x"), Whose::Unmarked),
            (format!("x{ours}"), Whose::Unmarked),
            ("(212) 555-1234".into(), Whose::Unmarked),
            (String::new(), Whose::Unmarked),
            ("pn1.äöüäöü.".into(), Whose::Unmarked),
        ];
        for (text, whose) in table {
            assert_eq!(ours.whose(&text), whose, "{text}");
        }
    }

    #[test]
    fn a_name_of_36_bytes_and_its_mark_fit_twilios_64() {
        assert!(36 + " []".len() + Mark::LEN <= 64);
    }

    #[test]
    fn every_override_of_a_webhook_is_a_difference() {
        let configuration = Configuration {
            name: "n".into(),
            mark: mark(Origin::Bought),
            routing: Routing::Twilio {
                voice_url: "https://v/twiml".into(),
                sms_url: "https://v/twiml".into(),
                messaging_service_sid: None,
            },
            papers: Papers::default(),
        };
        let right = TwilioSettings {
            voice_url: Some("https://v/twiml".into()),
            sms_url: Some("https://v/twiml".into()),
            by_post: true,
            ..TwilioSettings::default()
        };
        let set = |change: fn(&mut TwilioSettings)| {
            let mut settings = right.clone();
            change(&mut settings);
            settings
        };
        let table = [
            (right.clone(), vec![]),
            (set(|s| s.voice_url = None), vec![Field::VoiceUrl]),
            (
                set(|s| s.sms_url = Some("https://else".into())),
                vec![Field::SmsUrl],
            ),
            (
                set(|s| s.by_post = false),
                vec![Field::VoiceUrl, Field::SmsUrl],
            ),
            (
                set(|s| s.trunk_sid = Some("TK1".into())),
                vec![Field::Trunk],
            ),
            (
                set(|s| s.voice_application_sid = Some("AP1".into())),
                vec![Field::VoiceApplication],
            ),
            (
                set(|s| s.sms_application_sid = Some("AP1".into())),
                vec![Field::SmsApplication],
            ),
        ];
        for (settings, fields) in table {
            let holding = Holding {
                id: NumberId::new("PN1"),
                number: "+12125551234".parse().unwrap(),
                marked_text: configuration.marked_text(),
                created: None,
                active: true,
                settings: Settings::Twilio(settings.clone()),
            };
            assert_eq!(configuration.differences(&holding), fields, "{settings:?}");
        }
    }
}
