//! Whether messages get through, and what depends on it.

use super::choosing::chosen;
use super::*;
use crate::number::{Capabilities, Registration, Shown, TelnyxSettings, Webhook};
use crate::provider::RefusalKind;
use crate::reconcile::plan::messages::{Verdict, verdict};

const SMS_URL: &str = "https://v/telnyx-webhook";

/// A number that is held as declared, at Twilio or at Telnyx, and of which nothing is known but `registration`.
fn held(number: &str, provider: Provider, registration: Shown<Option<Registration>>) -> Facts {
    let mut facts = recorded();
    facts.provider = provider;
    facts.number = Some(number.parse().unwrap());
    facts.sms_url = Some(SMS_URL.into());
    let mut holding = Holding {
        number: number.parse().unwrap(),
        ..holding()
    };
    if provider == Provider::Telnyx {
        holding.settings = Settings::Telnyx(TelnyxSettings {
            connection_id: Some("11".into()),
            messaging_profile_id: Shown::Known(Some("mp-1".into())),
            profile: Shown::Known(Some(profile(true, SMS_URL))),
            ..TelnyxSettings::default()
        });
        facts.configuration = Ok(Configuration {
            routing: Routing::Telnyx {
                connection_id: "11".into(),
                messaging_profile_id: None,
                billing_group_id: None,
            },
            ..configuration()
        });
        let configuration = facts.configuration.clone().unwrap();
        holding.marked_text = configuration.marked_text();
    }
    holding.settings.set_registration(registration);
    facts.findings.fetched = Some(Some(holding));
    facts
}

fn profile(is_enabled: bool, url: &str) -> Webhook {
    Webhook {
        url: Some(url.to_owned()),
        api_version: Some("2".into()),
        is_enabled,
    }
}

fn seen(facts: &Facts) -> Verdict {
    let holding = facts.findings.fetched.clone().unwrap().unwrap();
    verdict(facts, facts.configuration.as_ref().unwrap(), &holding)
}

fn reason_of(verdict: &Verdict) -> Option<Reason> {
    match verdict {
        Verdict::NotWanted | Verdict::GetThrough => None,
        Verdict::Unknown(why) | Verdict::Blocked(why) => Some(why.reason),
    }
}

const LOCAL: &str = "+12125551234";
const TOLL_FREE: &str = "+18885551234";
const CANADIAN: &str = "+14165550123";
const BRITISH: &str = "+442079460141";

#[test]
fn what_carriers_want_registered_decides_at_both_companies() {
    let word = || "X".to_owned();
    for (registration, of_campaign, of_toll_free) in [
        (
            Shown::Unknown,
            Some(Reason::MessagingUnverifiable),
            Some(Reason::MessagingUnverifiable),
        ),
        (
            Shown::Known(None),
            Some(Reason::CampaignMissing),
            Some(Reason::TollFreeUnverified),
        ),
        (Shown::Known(Some(Registration::Registered)), None, None),
        (
            Shown::Known(Some(Registration::Pending(word()))),
            Some(Reason::RegistrationPending),
            Some(Reason::RegistrationPending),
        ),
        (
            Shown::Known(Some(Registration::Rejected(word()))),
            Some(Reason::CampaignRejected),
            Some(Reason::TollFreeRejected),
        ),
        (
            Shown::Known(Some(Registration::Suspended(word()))),
            Some(Reason::CampaignSuspended),
            Some(Reason::CampaignSuspended),
        ),
    ] {
        for provider in [Provider::Twilio, Provider::Telnyx] {
            for (number, expected) in [
                (LOCAL, of_campaign),
                (TOLL_FREE, of_toll_free),
                (CANADIAN, None),
                (BRITISH, None),
            ] {
                let mut facts = held(number, provider, registration.clone());
                let title = format!("{provider} {number} {registration:?}");
                assert_eq!(reason_of(&seen(&facts)), expected, "{title}");
                assert_eq!(plan(&facts), Step::Done(Outcome::Ready), "{title}");
                facts.messaging = Messaging::Required;
                assert_eq!(reason(&plan(&facts)), expected, "{title}");
                facts.messaging = Messaging::None;
                assert_eq!(seen(&facts), Verdict::NotWanted, "{title}");
                assert_eq!(plan(&facts), Step::Done(Outcome::Ready), "{title}");
            }
        }
    }
}

#[test]
fn the_way_of_messages_comes_before_what_is_registered() {
    let telnyx = |id: Shown<Option<&str>>, profile: Shown<Option<Webhook>>| {
        let mut facts = held(BRITISH, Provider::Telnyx, Shown::Unknown);
        if let Some(Some(Holding {
            settings: Settings::Telnyx(settings),
            ..
        })) = &mut facts.findings.fetched
        {
            settings.messaging_profile_id = id.map(|id| id.map(str::to_owned));
            settings.profile = profile;
        }
        reason_of(&seen(&facts))
    };
    let id = || Shown::Known(Some("mp-1"));
    let shown = |enabled, url| Shown::Known(Some(profile(enabled, url)));
    for (id, profile, reason) in [
        (id(), shown(true, SMS_URL), None),
        (
            Shown::Known(None),
            Shown::Unknown,
            Some(Reason::MessagingProfileMissing),
        ),
        (
            Shown::Unknown,
            Shown::Unknown,
            Some(Reason::MessagingUnverifiable),
        ),
        (id(), Shown::Unknown, Some(Reason::MessagingUnverifiable)),
        (
            id(),
            Shown::Known(None),
            Some(Reason::MessagingUnverifiable),
        ),
        (
            id(),
            shown(false, SMS_URL),
            Some(Reason::MessagingProfileDisabled),
        ),
        (
            id(),
            shown(true, "https://other"),
            Some(Reason::ConnectionWebhookMismatch),
        ),
    ] {
        let title = format!("{id:?} {profile:?}");
        assert_eq!(telnyx(id, profile), reason, "{title}");
    }

    // The purchase was refused with an SMS webhook, and made without one.
    let mut refused = held(
        LOCAL,
        Provider::Twilio,
        Shown::Known(Some(Registration::Registered)),
    );
    assert!(refused.configuration.as_mut().unwrap().leave_out_messages());
    assert_eq!(
        reason_of(&seen(&refused)),
        Some(Reason::MessagesNotSupported)
    );
    let mut mute = held(
        LOCAL,
        Provider::Twilio,
        Shown::Known(Some(Registration::Registered)),
    );
    if let Some(Some(Holding {
        settings: Settings::Twilio(settings),
        ..
    })) = &mut mute.findings.fetched
    {
        settings.capabilities = Some(Capabilities {
            voice: true,
            ..Capabilities::default()
        });
    }
    assert_eq!(reason_of(&seen(&mute)), Some(Reason::MessagesNotSupported));
}

#[test]
fn what_messages_depend_on_is_looked_at_once_a_reconcile_and_only_if_it_matters() {
    let mut facts = held(LOCAL, Provider::Twilio, Shown::Unknown);
    facts.findings.messages_checked = false;
    for (messaging, step) in [
        (Messaging::Required, Step::CheckMessages),
        (Messaging::BestEffort, Step::CheckMessages),
        (Messaging::None, Step::Done(Outcome::Ready)),
    ] {
        facts.messaging = messaging;
        assert_eq!(plan(&facts), step, "{messaging:?}");
    }
}

#[test]
fn a_number_that_must_text_is_bought_only_if_it_is_known_to() {
    for (messaging, can_text, is_bought) in [
        (Messaging::Required, Some(true), true),
        (Messaging::Required, Some(false), false),
        (Messaging::Required, None, false),
        (Messaging::BestEffort, None, true),
        (Messaging::None, None, true),
    ] {
        let mut facts = looked(fresh(), None, None);
        facts.findings.offer = Some(Some(offer()));
        facts.messaging = messaging;
        facts.findings.can_text = can_text;
        let step = plan(&facts);
        if is_bought {
            assert!(
                matches!(step, Step::Claim { .. }),
                "{messaging:?} {can_text:?}"
            );
        } else {
            assert_eq!(reason(&step), Some(Reason::MessagesNotSupported));
        }
        // A search finds only what can text.
        let mut facts = chosen();
        facts.messaging = messaging;
        assert!(matches!(plan(&facts), Step::Claim { .. }));
    }
}

#[test]
fn what_cannot_be_read_now_takes_nothing_from_a_number_that_is_ready() {
    for (is_ready, expected) in [
        (true, Reason::ProviderUnavailable),
        (false, Reason::MessagingUnverifiable),
    ] {
        let mut facts = held(LOCAL, Provider::Twilio, Shown::Unknown);
        facts.messaging = Messaging::Required;
        facts.findings.messages_unread = true;
        facts.record.is_ready = is_ready;
        assert_eq!(reason(&plan(&facts)), Some(expected));
    }
}

#[test]
fn what_forbids_another_purchase_does_not_end_the_search_for_one_that_may_have_been_made() {
    let mut facts = looked(claimed(), None, None);
    facts.now = at(100);
    facts.messaging = Messaging::Required;
    facts.findings.offer = Some(Some(offer()));
    let step = plan(&facts);
    assert_eq!(reason(&step), Some(Reason::Verifying), "{step:?}");
    facts.memory.never_bought = true;
    assert_eq!(reason(&plan(&facts)), Some(Reason::MessagesNotSupported));
}

#[test]
fn a_purchase_that_takes_no_messages_is_repeated_without_them_unless_they_are_required() {
    for (messaging, is_repeated) in [(Messaging::BestEffort, true), (Messaging::Required, false)] {
        let mut facts = claimed();
        facts.messaging = messaging;
        facts.findings.attempt = Some(super::choosing::refused(RefusalKind::TakesNoMessages));
        let step = plan(&facts);
        if is_repeated {
            assert!(matches!(step, Step::Claim { .. }), "{step:?}");
        } else {
            assert_eq!(reason(&step), Some(Reason::MessagesNotSupported));
        }
    }
}
