//! Whether the messages of a number get through, and what is done where they must.

use super::{Facts, NOT_ON_SALE_AGAIN_AFTER, Retry, Step, wait};
use crate::api::{Reason, StatusReason};
use crate::number::{
    Configuration, Holding, Inbound, Messaging, MessagingService, Registration, RegistrationKind,
    Settings, Shown, TelnyxSettings,
};

/// Whether the messages of a number get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No messages are wanted.
    NotWanted,
    /// What the provider shows, or tells this credential, does not say.
    Unknown(StatusReason),
    /// Nothing is known that keeps them from getting through.
    GetThrough,
    /// They do not, and this is why.
    Blocked(StatusReason),
}

/// Looks at what messages depend on, once a reconcile.
pub(super) fn check(facts: &Facts) -> Option<Step> {
    let is_wanted = facts.messaging != Messaging::None;
    (is_wanted && !facts.findings.messages_checked).then_some(Step::CheckMessages)
}

/// A messaging service that nobody declared takes the messages. Taking the number out of it may cut it off from a campaign
/// that is registered for it, so that is left to people.
pub(super) fn diverted(
    facts: &Facts,
    configuration: &Configuration,
    holding: &Holding,
) -> Option<Step> {
    let (service, is_declared) = configuration.diverted(holding)?;
    (!is_declared).then(|| {
        wait(
            Reason::ConnectionWebhookMismatch,
            format!(
                "{} is in messaging service {}, which this PhoneNumber does not declare and which {}, so messages do not \
                 reach the declared SMS webhook. At Twilio, let the service use the webhooks of its numbers or take the \
                 number out of it; or declare it in spec.twilio.messagingServiceSid.",
                facts.title(),
                service.sid,
                destination(service)
            ),
            Retry::After(facts.waits.interval),
        )
    })
}

/// Where a messaging service that does not defer to its numbers sends messages, for people. A URL may hold a password.
pub(crate) fn destination(service: &MessagingService) -> &'static str {
    match service.inbound {
        Inbound::ToUrl(_) => "sends messages to a webhook of its own",
        Inbound::Nowhere => "has no webhook, so that Twilio drops messages",
        Inbound::ToNumber | Inbound::Unknown => "uses the webhooks of its numbers",
    }
}

/// Where messages are required, what keeps them from getting through keeps the number from being Ready.
pub(super) fn required(
    facts: &Facts,
    configuration: &Configuration,
    holding: &Holding,
) -> Option<Step> {
    if facts.messaging != Messaging::Required {
        return None;
    }
    if facts.findings.messages_unread && facts.record.is_ready {
        // What was known before goes on.
        let message = "What messages depend on cannot be read now.";
        return Some(wait(Reason::ProviderUnavailable, message, Retry::Backoff));
    }
    match verdict(facts, configuration, holding) {
        Verdict::NotWanted | Verdict::GetThrough => None,
        Verdict::Unknown(why) | Verdict::Blocked(why) => Some(wait(
            why.reason,
            why.message,
            Retry::After(facts.waits.interval),
        )),
    }
}

/// Where messages are required, a number that cannot text, or of which that is not known, is not bought.
pub(super) fn forbid_purchase(facts: &Facts) -> Option<Step> {
    if facts.messaging != Messaging::Required || facts.findings.can_text == Some(true) {
        return None;
    }
    let (title, provider) = (facts.title(), facts.provider);
    let message = if facts.findings.can_text == Some(false) {
        format!(
            "{title} cannot text, and spec.messaging is Required, so it is not bought. Choose another number, or set spec.messaging to \
             BestEffort."
        )
    } else {
        format!(
            "The digits of {title} do not show of which type it is, so {provider} cannot be asked whether it can text. spec.messaging is \
             Required, so it is not bought. Set spec.messaging to BestEffort to buy it all the same."
        )
    };
    Some(wait(
        Reason::MessagesNotSupported,
        message,
        Retry::After(NOT_ON_SALE_AGAIN_AFTER),
    ))
}

/// Whether the messages of the number in `holding` get through.
pub(crate) fn verdict(facts: &Facts, configuration: &Configuration, holding: &Holding) -> Verdict {
    if facts.messaging == Messaging::None {
        return Verdict::NotWanted;
    }
    let way = match &holding.settings {
        Settings::Twilio(held) if !held.takes_messages() || configuration.sets_no_messages() => Some(Verdict::Blocked(StatusReason::new(
            Reason::MessagesNotSupported,
            format!("{} cannot text. Only another number can.", holding.number),
        ))),
        Settings::Twilio(_) => configuration.diverted(holding).map(|(service, _)| {
            Verdict::Blocked(StatusReason::new(
                Reason::ConnectionWebhookMismatch,
                format!(
                    "{} is in messaging service {}, which {}. Let the service use the webhooks of its numbers, at Twilio.",
                    holding.number,
                    service.sid,
                    destination(service)
                ),
            ))
        }),
        Settings::Telnyx(held) => profile(facts, held),
    };
    way.unwrap_or_else(|| registration(facts, holding))
}

/// What the messaging profile of a Telnyx number keeps from getting through.
fn profile(facts: &Facts, held: &TelnyxSettings) -> Option<Verdict> {
    let title = facts.title();
    let blocked = |reason, message| Some(Verdict::Blocked(StatusReason::new(reason, message)));
    let unknown = |what: &str| {
        Some(Verdict::Unknown(StatusReason::new(
            Reason::MessagingUnverifiable,
            format!("Telnyx does not show {what} of {title} now."),
        )))
    };
    let id = match &held.messaging_profile_id {
        Shown::Unknown => return unknown("the messaging profile"),
        Shown::Known(None) => {
            return blocked(
                Reason::MessagingProfileMissing,
                format!(
                    "{title} is on no messaging profile, so Telnyx drops its messages. Name one in spec.telnyx.messagingProfileId, here \
                     or on the account."
                ),
            );
        }
        Shown::Known(Some(id)) => id,
    };
    let profile = match &held.profile {
        Shown::Known(Some(profile)) => profile,
        Shown::Known(None) | Shown::Unknown => {
            return unknown("the settings of the messaging profile");
        }
    };
    if !profile.is_enabled {
        return blocked(
            Reason::MessagingProfileDisabled,
            format!(
                "The messaging profile {id} of {title} is switched off, so its messages do not get through. Switch it on at Telnyx."
            ),
        );
    }
    let url = facts.sms_url.as_deref().unwrap_or_default();
    if profile.leads_to(url) {
        return None;
    }
    blocked(
        Reason::ConnectionWebhookMismatch,
        format!(
            "The messaging profile {id} of {title} has another webhook than {url} (API version 2). Set it at Telnyx, or name another \
             profile in spec.telnyx.messagingProfileId."
        ),
    )
}

/// What carriers want registered before they carry the messages that the number sends.
fn registration(facts: &Facts, holding: &Holding) -> Verdict {
    let Some(kind) = holding.number.needs_registration() else {
        return Verdict::GetThrough;
    };
    let (title, provider) = (facts.title(), facts.provider);
    let (what, portal) = match (kind, &holding.settings) {
        (RegistrationKind::Campaign, Settings::Twilio(_)) => ("campaign (A2P 10DLC)", TWILIO),
        (RegistrationKind::Campaign, Settings::Telnyx(_)) => ("campaign (10DLC)", TELNYX),
        (RegistrationKind::TollFree, Settings::Twilio(_)) => ("toll-free verification", TWILIO),
        (RegistrationKind::TollFree, Settings::Telnyx(_)) => ("toll-free verification", TELNYX),
    };
    let blocked = |reason, message| Verdict::Blocked(StatusReason::new(reason, message));
    let carriers = "carriers block what it sends";
    match holding.settings.registration() {
        Shown::Unknown => Verdict::Unknown(StatusReason::new(
            Reason::MessagingUnverifiable,
            format!(
                "{provider} does not show this credential the {what} of {title}. Without one {carriers}."
            ),
        )),
        Shown::Known(None) => match kind {
            RegistrationKind::Campaign => blocked(
                Reason::CampaignMissing,
                no_campaign(holding, &title, portal),
            ),
            RegistrationKind::TollFree => blocked(
                Reason::TollFreeUnverified,
                format!(
                    "{title} was never submitted for toll-free verification, so {carriers}. Submit it at {portal}."
                ),
            ),
        },
        Shown::Known(Some(Registration::Registered)) => Verdict::GetThrough,
        Shown::Known(Some(Registration::Pending(word))) => blocked(
            Reason::RegistrationPending,
            format!(
                "{provider} shows the {what} of {title} as {word:?}. Until it is finished, {carriers}. If something is missing, {portal} says what."
            ),
        ),
        Shown::Known(Some(Registration::Rejected(word))) => {
            let reason = match kind {
                RegistrationKind::Campaign => Reason::CampaignRejected,
                RegistrationKind::TollFree => Reason::TollFreeRejected,
            };
            blocked(
                reason,
                format!(
                    "{provider} shows the {what} of {title} as {word:?}, so {carriers}. Correct it at {portal} and submit it again."
                ),
            )
        }
        Shown::Known(Some(Registration::Suspended(word))) => blocked(
            Reason::CampaignSuspended,
            format!(
                "{provider} shows the {what} of {title} as {word:?}, so {carriers}. {portal} says why."
            ),
        ),
    }
}

const TWILIO: &str = "https://console.twilio.com";

const TELNYX: &str = "https://portal.telnyx.com";

/// What is to be done for a US number that belongs to no campaign.
fn no_campaign(holding: &Holding, title: &str, portal: &str) -> String {
    let blocked = "so carriers in the US block what it sends";
    match &holding.settings {
        Settings::Twilio(settings) => match &settings.messaging_service {
            Some(service) => format!(
                "The messaging service {} of {title} has no campaign (A2P 10DLC), {blocked}. Register one at {portal}.",
                service.sid
            ),
            None => format!(
                "{title} is in no messaging service and so in no campaign (A2P 10DLC), {blocked}. Register a campaign at {portal}, and \
                 name its service in spec.twilio.messagingServiceSid."
            ),
        },
        Settings::Telnyx(_) => {
            format!("{title} is assigned to no campaign (10DLC), {blocked}. Assign it at {portal}.")
        }
    }
}
