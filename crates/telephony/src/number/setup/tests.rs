//! Tests of `setup`.

use super::super::{Installation, Origin, Owner};
use super::*;

fn configuration(
    messaging_service_sid: Option<&str>,
    papers: RegulatoryDocuments,
) -> Configuration {
    let owner = Owner {
        namespace: "support".into(),
        name: "nyc-support".into(),
    };
    Configuration {
        name: "n".into(),
        mark: Mark::new(Origin::Bought, &Installation::new("here"), &owner),
        routing: Routing::Twilio {
            voice_url: "https://v/twiml".into(),
            sms_url: Some("https://v/sms".into()),
            messaging_service_sid: messaging_service_sid.map(str::to_owned),
        },
        papers,
    }
}

fn right() -> TwilioSettings {
    TwilioSettings {
        voice_url: Some("https://v/twiml".into()),
        sms_url: Some("https://v/sms".into()),
        voice_by_post: true,
        sms_by_post: true,
        ..TwilioSettings::default()
    }
}

fn holding(configuration: &Configuration, settings: TwilioSettings) -> Holding {
    Holding {
        id: NumberId::new("PN1"),
        number: "+12125551234".parse().unwrap(),
        marked_text: configuration.marked_text(),
        created: None,
        line: Line::Live,
        settings: Settings::Twilio(settings),
    }
}

fn service(sid: &str, inbound: Inbound) -> Option<MessagingService> {
    Some(MessagingService {
        sid: sid.into(),
        inbound,
    })
}

#[test]
fn every_override_of_a_webhook_is_a_difference() {
    let configuration = configuration(None, RegulatoryDocuments::default());
    let set = |change: fn(&mut TwilioSettings)| {
        let mut settings = right();
        change(&mut settings);
        settings
    };
    let table = [
        (right(), vec![]),
        (set(|s| s.voice_url = None), vec![Field::VoiceUrl]),
        (
            set(|s| s.sms_url = Some("https://else".into())),
            vec![Field::SmsUrl],
        ),
        (set(|s| s.voice_by_post = false), vec![Field::VoiceUrl]),
        (set(|s| s.sms_by_post = false), vec![Field::SmsUrl]),
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
        let holding = holding(&configuration, settings.clone());
        assert_eq!(configuration.differences(&holding), fields, "{settings:?}");
    }
}

#[test]
fn what_concerns_messages_is_not_compared_on_a_number_that_takes_none() {
    let configuration = configuration(None, RegulatoryDocuments::default());
    let can = |sms, mms| {
        Some(Capabilities {
            voice: true,
            sms,
            mms,
            fax: false,
        })
    };
    for (capabilities, differs) in [
        (None, true),
        (can(true, false), true),
        (can(false, true), true),
        (can(false, false), false),
    ] {
        let settings = TwilioSettings {
            sms_url: None,
            sms_by_post: false,
            sms_application_sid: Some("AP1".into()),
            capabilities,
            ..right()
        };
        let expected = if differs {
            vec![Field::SmsUrl, Field::SmsApplication]
        } else {
            vec![]
        };
        let holding = holding(&configuration, settings);
        assert_eq!(
            configuration.differences(&holding),
            expected,
            "{capabilities:?}"
        );
    }
}

#[test]
fn declared_papers_and_services_are_compared_and_others_are_left() {
    let papers = RegulatoryDocuments {
        address_sid: Some("AD1".into()),
        bundle_sid: Some("BU1".into()),
        identity_sid: Some("RI1".into()),
        requirement_group_id: None,
    };
    let all = vec![
        Field::MessagingService,
        Field::Address,
        Field::Bundle,
        Field::Identity,
    ];
    let held = |service, digit: &str| TwilioSettings {
        messaging_service: service,
        address_sid: Some(format!("AD{digit}")),
        bundle_sid: Some(format!("BU{digit}")),
        identity_sid: Some(format!("RI{digit}")),
        ..right()
    };
    let declared = configuration(Some("MG1"), papers);
    for (settings, fields) in [
        (right(), all.clone()),
        (held(service("MG2", Inbound::ToNumber), "2"), all),
        (held(service("MG1", Inbound::Nowhere), "1"), vec![]),
    ] {
        let holding = holding(&declared, settings.clone());
        assert_eq!(declared.differences(&holding), fields, "{settings:?}");
    }
    let undeclared = configuration(None, RegulatoryDocuments::default());
    let settings = held(service("MG2", Inbound::Nowhere), "2");
    let holding = holding(&undeclared, settings);
    assert_eq!(undeclared.differences(&holding), []);
}

#[test]
fn a_messaging_service_diverts_messages_unless_it_defers_to_the_number() {
    let cannot = Some(Capabilities {
        voice: true,
        ..Capabilities::default()
    });
    let own = || Inbound::ToUrl("https://v/sms".into());
    let other = || Inbound::ToUrl("https://else".into());
    for (declared, sid, inbound, capabilities, diverted) in [
        (None, "MG1", Inbound::ToNumber, None, None),
        (None, "MG1", Inbound::Unknown, None, None),
        (None, "MG1", own(), None, None),
        (None, "MG1", other(), None, Some(false)),
        (None, "MG1", Inbound::Nowhere, None, Some(false)),
        (None, "MG1", other(), cannot, None),
        (Some("MG1"), "MG1", Inbound::ToNumber, None, None),
        (Some("MG1"), "MG1", other(), None, Some(true)),
        (Some("MG1"), "MG1", Inbound::Nowhere, None, Some(true)),
        (Some("MG1"), "MG2", other(), None, Some(false)),
    ] {
        let title = format!("{declared:?} {sid} {inbound:?} {capabilities:?}");
        let configuration = configuration(declared, RegulatoryDocuments::default());
        let settings = TwilioSettings {
            messaging_service: service(sid, inbound),
            capabilities,
            ..right()
        };
        let holding = holding(&configuration, settings);
        let found = configuration.diverted(&holding);
        assert_eq!(
            found.map(|(_, is_declared)| is_declared),
            diverted,
            "{title}"
        );
    }
}

#[test]
fn a_profile_that_was_not_shown_is_no_difference() {
    let configuration = |profile: Option<&str>| Configuration {
        routing: Routing::Telnyx {
            connection_id: "11".into(),
            messaging_profile_id: profile.map(str::to_owned),
            billing_group_id: None,
        },
        ..configuration(None, RegulatoryDocuments::default())
    };
    let known = |profile: Option<&str>| Shown::Known(profile.map(str::to_owned));
    for (wanted, shown, fields, lacks) in [
        (None, Shown::Unknown, vec![], false),
        (None, known(Some("mp-2")), vec![], false),
        (Some("mp-1"), Shown::Unknown, vec![], true),
        (Some("mp-1"), known(Some("mp-1")), vec![], false),
        (
            Some("mp-1"),
            known(None),
            vec![Field::MessagingProfile],
            false,
        ),
        (
            Some("mp-1"),
            known(Some("mp-2")),
            vec![Field::MessagingProfile],
            false,
        ),
    ] {
        let title = format!("{wanted:?} {shown:?}");
        let configuration = configuration(wanted);
        let holding = Holding {
            marked_text: configuration.marked_text(),
            settings: Settings::Telnyx(TelnyxSettings {
                connection_id: Some("11".into()),
                messaging_profile_id: shown,
                ..TelnyxSettings::default()
            }),
            ..holding(&configuration, right())
        };
        assert_eq!(configuration.differences(&holding), fields, "{title}");
        assert_eq!(configuration.lacks(&holding), lacks, "{title}");
    }
}
