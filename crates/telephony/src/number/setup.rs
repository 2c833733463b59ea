//! How a number is to be set up, how it is set up, and what differs. Pure.

use std::fmt;

use jiff::Timestamp;

use super::{Capability, E164, Mark, NumberId, Provider, Registration, Webhook};

/// Where calls and messages to a number go. What is `None` is not ours to decide and is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Routing {
    /// Webhooks live on the number itself.
    Twilio {
        /// The voice webhook.
        voice_url: String,
        /// The SMS webhook; `None` for a number that is known to take no messages, or of which none are wanted.
        sms_url: Option<String>,
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
pub struct RegulatoryDocuments {
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
    pub papers: RegulatoryDocuments,
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

/// A setting that a provider sometimes does not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shown<T> {
    /// The provider showed this.
    Known(T),
    /// The provider could not tell. Nothing follows from that.
    #[default]
    Unknown,
}

impl<T> Shown<T> {
    /// The same with what was shown made into something else.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Shown<U> {
        match self {
            Self::Known(shown) => Shown::Known(make(shown)),
            Self::Unknown => Shown::Unknown,
        }
    }
}

/// The state of a number at its provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Line {
    /// It works.
    Live,
    /// The provider still sets it up.
    Coming,
    /// The regulator wants papers that nobody has handed in.
    PapersMissing,
    /// The regulator's papers are being reviewed.
    PapersUnderReview,
    /// The regulator's papers were rejected.
    PapersRejected,
    /// It can only be used for emergency calls.
    EmergencyOnly,
    /// Another provider has asked to take it over.
    PortingOut,
    /// A state that this program does not know, in the provider's word.
    Other(String),
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
    /// Its state.
    pub line: Line,
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
    /// True if the voice webhook is called by POST.
    pub voice_by_post: bool,
    /// True if the SMS webhook is called by POST.
    pub sms_by_post: bool,
    /// A SIP trunk; overrides voice webhook and application.
    pub trunk_sid: Option<String>,
    /// A voice application; overrides the voice webhook.
    pub voice_application_sid: Option<String>,
    /// An SMS application; overrides the SMS webhook.
    pub sms_application_sid: Option<String>,
    /// The messaging service that the number was seen in.
    pub messaging_service: Option<MessagingService>,
    /// The address.
    pub address_sid: Option<String>,
    /// The regulatory bundle.
    pub bundle_sid: Option<String>,
    /// The identity.
    pub identity_sid: Option<String>,
    /// What the number can do, if Twilio shows it.
    pub capabilities: Option<Capabilities>,
    /// What is registered for its messages, as far as it is known.
    pub registration: Shown<Option<Registration>>,
}

impl Settings {
    /// What is registered for the messages of the number, as far as it is known.
    pub fn registration(&self) -> &Shown<Option<Registration>> {
        match self {
            Self::Twilio(settings) => &settings.registration,
            Self::Telnyx(settings) => &settings.registration,
        }
    }

    /// Notes what is registered for the messages of the number.
    pub fn set_registration(&mut self, registration: Shown<Option<Registration>>) {
        match self {
            Self::Twilio(settings) => settings.registration = registration,
            Self::Telnyx(settings) => settings.registration = registration,
        }
    }
}

impl TwilioSettings {
    /// True unless the number is known to take no messages. Twilio refuses an SMS webhook on one that does not
    /// (<https://www.twilio.com/docs/api/errors/21407>).
    pub fn takes_messages(&self) -> bool {
        self.capabilities.is_none_or(|can| can.sms || can.mms)
    }
}

/// A Twilio messaging service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessagingService {
    /// Its SID (`MG…`).
    pub sid: String,
    /// Where messages to its numbers go.
    pub inbound: Inbound,
}

/// Where a messaging service sends the messages that its numbers receive.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Inbound {
    /// To the webhook of the number (`use_inbound_webhook_on_number`).
    ToNumber,
    /// To this URL of its own.
    ToUrl(String),
    /// Nowhere: Twilio drops them.
    Nowhere,
    /// The service could not be read.
    Unknown,
}

/// A Telnyx number's settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TelnyxSettings {
    /// The connection that answers calls.
    pub connection_id: Option<String>,
    /// The messaging profile that answers messages.
    pub messaging_profile_id: Shown<Option<String>>,
    /// The billing group.
    pub billing_group_id: Option<String>,
    /// How the messaging profile is, as far as it is known; `None` if the account has none with this id.
    pub profile: Shown<Option<Webhook>>,
    /// What is registered for its messages, as far as it is known.
    pub registration: Shown<Option<Registration>>,
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
    /// The address that the regulator wants.
    Address,
    /// The regulatory bundle.
    Bundle,
    /// The identity that the regulator wants.
    Identity,
    /// The connection.
    Connection,
    /// The messaging profile.
    MessagingProfile,
    /// The billing group.
    BillingGroup,
}

impl Field {
    /// Every setting.
    pub const ALL: [Self; 13] = [
        Self::Name,
        Self::VoiceUrl,
        Self::SmsUrl,
        Self::Trunk,
        Self::VoiceApplication,
        Self::SmsApplication,
        Self::MessagingService,
        Self::Address,
        Self::Bundle,
        Self::Identity,
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
            Self::Address => "address",
            Self::Bundle => "bundle",
            Self::Identity => "identity",
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
            Self::Address => "address",
            Self::Bundle => "regulatory bundle",
            Self::Identity => "identity",
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
    /// What the provider did not show is no difference; [`Configuration::lacks`] tells of it. Twilio: a trunk or an
    /// application overrides the webhooks, so one that nobody declared counts. What concerns messages is not compared on
    /// a number that takes none.
    pub fn differences(&self, holding: &Holding) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut check = |field, same: bool| {
            if !same {
                fields.push(field);
            }
        };
        check(Field::Name, holding.marked_text == self.marked_text());
        let wanted = |want: &Option<String>, have: &Option<String>| want.is_none() || want == have;
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
                    held.voice_url.as_ref() == Some(voice_url) && held.voice_by_post,
                );
                check(Field::Trunk, held.trunk_sid.is_none());
                check(
                    Field::VoiceApplication,
                    held.voice_application_sid.is_none(),
                );
                if let Some(sms_url) = sms_url.as_ref().filter(|_| held.takes_messages()) {
                    check(
                        Field::SmsUrl,
                        held.sms_url.as_ref() == Some(sms_url) && held.sms_by_post,
                    );
                    check(Field::SmsApplication, held.sms_application_sid.is_none());
                }
                let service = held.messaging_service.as_ref();
                check(
                    Field::MessagingService,
                    wanted(
                        messaging_service_sid,
                        &service.map(|service| service.sid.clone()),
                    ),
                );
                let papers = &self.papers;
                check(
                    Field::Address,
                    wanted(&papers.address_sid, &held.address_sid),
                );
                check(Field::Bundle, wanted(&papers.bundle_sid, &held.bundle_sid));
                check(
                    Field::Identity,
                    wanted(&papers.identity_sid, &held.identity_sid),
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
                check(
                    Field::Connection,
                    held.connection_id.as_ref() == Some(connection_id),
                );
                check(
                    Field::MessagingProfile,
                    match &held.messaging_profile_id {
                        Shown::Known(profile) => wanted(messaging_profile_id, profile),
                        Shown::Unknown => true,
                    },
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

    /// Leaves out what concerns messages, for a number that takes none. False if it was left out already.
    pub fn leave_out_messages(&mut self) -> bool {
        match &mut self.routing {
            Routing::Twilio { sms_url, .. } => sms_url.take().is_some(),
            Routing::Telnyx { .. } => false,
        }
    }

    /// True if nothing that concerns messages is set (Twilio).
    pub fn sets_no_messages(&self) -> bool {
        matches!(&self.routing, Routing::Twilio { sms_url: None, .. })
    }

    /// True if `holding` does not show a setting that this configuration declares.
    pub fn lacks(&self, holding: &Holding) -> bool {
        match (&self.routing, &holding.settings) {
            (
                Routing::Telnyx {
                    messaging_profile_id: Some(_),
                    ..
                },
                Settings::Telnyx(held),
            ) => held.messaging_profile_id == Shown::Unknown,
            _ => false,
        }
    }

    /// The messaging service that takes the messages to `holding` away from the declared SMS webhook, and whether this
    /// configuration declares that service.
    pub fn diverted<'a>(&self, holding: &'a Holding) -> Option<(&'a MessagingService, bool)> {
        let (
            Routing::Twilio {
                sms_url: Some(sms_url),
                messaging_service_sid,
                ..
            },
            Settings::Twilio(held),
        ) = (&self.routing, &holding.settings)
        else {
            return None;
        };
        let service = held.messaging_service.as_ref()?;
        let diverts = match &service.inbound {
            Inbound::ToNumber | Inbound::Unknown => false,
            Inbound::ToUrl(url) => url != sms_url,
            Inbound::Nowhere => true,
        };
        let is_declared = messaging_service_sid.as_ref() == Some(&service.sid);
        (diverts && held.takes_messages()).then_some((service, is_declared))
    }
}

#[cfg(test)]
mod tests;
