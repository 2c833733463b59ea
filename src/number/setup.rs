//! How a number is to be set up, how it is set up, and what differs. Pure.

use std::fmt;

use jiff::Timestamp;

use super::{Capability, E164, Mark, NumberId, Provider};

/// Where calls and messages to a number go. What is `None` is not ours to decide and is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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

impl Capabilities {
    /// True if the number can do `wanted`.
    pub fn have(&self, wanted: Capability) -> bool {
        match wanted {
            Capability::Voice => self.voice,
            Capability::Sms => self.sms,
            Capability::Mms => self.mms,
            Capability::Fax => self.fax,
        }
    }
}

/// A number that the account holds, as the provider showed it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Settings {
    /// At Twilio.
    Twilio(TwilioSettings),
    /// At Telnyx.
    Telnyx(TelnyxSettings),
}

/// A Twilio number's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
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

impl Field {
    /// Every setting.
    pub const ALL: [Self; 10] = [
        Self::Name,
        Self::VoiceUrl,
        Self::SmsUrl,
        Self::Trunk,
        Self::VoiceApplication,
        Self::SmsApplication,
        Self::MessagingService,
        Self::Connection,
        Self::MessagingProfile,
        Self::BillingGroup,
    ];

    /// Its name as a label of metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::VoiceUrl => "voice_url",
            Self::SmsUrl => "sms_url",
            Self::Trunk => "trunk",
            Self::VoiceApplication => "voice_application",
            Self::SmsApplication => "sms_application",
            Self::MessagingService => "messaging_service",
            Self::Connection => "connection",
            Self::MessagingProfile => "messaging_profile",
            Self::BillingGroup => "billing_group",
        }
    }
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
    use super::super::{Installation, Origin, Owner};
    use super::*;

    #[test]
    fn every_override_of_a_webhook_is_a_difference() {
        let owner = Owner {
            namespace: "support".into(),
            name: "nyc-support".into(),
        };
        let configuration = Configuration {
            name: "n".into(),
            mark: Mark::new(Origin::Bought, &Installation::new("here"), &owner),
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
