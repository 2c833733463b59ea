//! Numbers that are held: what of them is repaired, what is waited for, and what is left to people.

use super::*;
use crate::number::{Inbound, MessagingService};
use crate::outcome::RefusedSetup;
use crate::provider::RefusalKind;

fn held(change: impl FnOnce(&mut Holding)) -> Facts {
    let mut facts = recorded();
    let mut holding = holding();
    change(&mut holding);
    facts.findings.fetched = Some(Some(holding));
    facts
}

fn twilio(holding: &mut Holding) -> &mut TwilioSettings {
    match &mut holding.settings {
        Settings::Twilio(settings) => settings,
        Settings::Telnyx(_) => panic!("a Twilio number"),
    }
}

fn webhook() -> ManagedWebhook {
    ManagedWebhook {
        home: WebhookOwner::Connection,
        id: "11".into(),
        url: "https://v/telnyx-webhook".into(),
    }
}

#[test]
fn what_was_refused_is_not_asked_for_again_before_its_time_unless_something_changed() {
    let drifted = || held(|holding| twilio(holding).voice_url = None);
    let fields = vec![Field::VoiceUrl];
    let configure = Step::Configure(NumberId::new("PN1"), fields.clone());
    assert_eq!(plan(&drifted()), configure);
    let refused = |configuration: Configuration, fields: Vec<Field>| {
        let mut facts = drifted();
        facts.memory.refused = Some(RefusedSetup {
            setup: Setup::Number(Box::new(configuration), fields),
            reason: Reason::InvalidSpec,
            message: "21712: it is in another service".into(),
            left: Duration::from_secs(900),
        });
        facts
    };
    assert_eq!(
        plan(&refused(configuration(), fields.clone())),
        wait(
            Reason::InvalidSpec,
            "21712: it is in another service",
            Retry::After(Duration::from_secs(900))
        )
    );
    let other = Configuration {
        name: "other".into(),
        ..configuration()
    };
    assert_eq!(plan(&refused(other, fields)), configure);
    assert_eq!(
        plan(&refused(configuration(), vec![Field::SmsUrl])),
        configure
    );
    // Some settings were taken before the refusal.
    let more = vec![Field::VoiceUrl, Field::MessagingService];
    assert_eq!(
        reason(&plan(&refused(configuration(), more))),
        Some(Reason::InvalidSpec)
    );
}

#[test]
fn a_webhook_that_the_account_manages_is_a_step_that_a_suspension_stops() {
    let set = Step::SetWebhook(webhook());
    assert!(set.writes());
    for verified in [false, true] {
        let mut facts = held(|_| {});
        facts.webhooks = vec![webhook()];
        facts.memory.verified = verified;
        assert_eq!(plan(&facts), set);
        facts.suspended = true;
        assert_eq!(plan(&facts), Step::Done(Outcome::Suspended));
        facts.findings.fetched = None;
        assert_eq!(plan(&facts), Step::FetchById(NumberId::new("PN1")));
    }
}

#[test]
fn who_may_not_buy_sets_no_webhook_of_others() {
    let mut facts = looked(fresh(), None, None);
    facts.webhooks = vec![webhook()];
    facts.findings.offer = Some(Some(offer()));
    assert_eq!(plan(&facts), Step::SetWebhook(webhook()));
    let mut rival = facts.clone();
    rival.rival = Some("sales/nyc".into());
    assert_eq!(reason(&plan(&rival)), Some(Reason::ClaimedByAnother));
    let mut full = facts.clone();
    full.limits.numbers = Some((1, 1));
    full.findings.counted = true;
    assert_eq!(reason(&plan(&full)), Some(Reason::LimitReached));
    let foreign = Holding {
        marked_text: Mark::new(Origin::Bought, &Installation::new("elsewhere"), &owner())
            .to_string(),
        ..holding()
    };
    let foreign = looked(facts.clone(), Some(foreign), None);
    assert_eq!(reason(&plan(&foreign)), Some(Reason::OwnedByAnother));
    facts.suspended = true;
    assert_eq!(plan(&facts), Step::Done(Outcome::Suspended));
}

#[test]
fn each_state_at_the_provider_says_what_it_is() {
    for (line, expected) in [
        (Line::Live, None),
        (Line::Coming, Some(Reason::OrderPending)),
        (Line::PapersUnderReview, Some(Reason::OrderPending)),
        (Line::PapersMissing, Some(Reason::RegulatoryRequirement)),
        (Line::PapersRejected, Some(Reason::RegulatoryRequirement)),
        (Line::EmergencyOnly, Some(Reason::EmergencyOnly)),
        (Line::PortingOut, Some(Reason::PortOutPending)),
        (Line::Other("new-word".into()), Some(Reason::OrderPending)),
    ] {
        let shown = line.clone();
        let facts = held(|holding| holding.line = shown);
        assert_eq!(reason(&plan(&facts)), expected, "{line:?}");
        let shown = line.clone();
        let drifted = held(|holding| {
            holding.line = shown;
            twilio(holding).voice_url = None;
        });
        assert!(matches!(plan(&drifted), Step::Configure(..)), "{line:?}");
    }
    let mut was_ready = held(|holding| holding.line = Line::Other("new-word".into()));
    was_ready.record.is_ready = true;
    assert_eq!(plan(&was_ready), Step::Done(Outcome::Ready));
}

#[test]
fn a_service_that_takes_the_messages_keeps_a_number_from_being_ready_unless_it_is_declared() {
    let in_service = |inbound: Inbound| {
        held(|holding| {
            twilio(holding).messaging_service = Some(MessagingService {
                sid: "MG1".into(),
                inbound,
            });
        })
    };
    let ready = Step::Done(Outcome::Ready);
    assert_eq!(plan(&in_service(Inbound::ToNumber)), ready);
    let elsewhere = in_service(Inbound::ToUrl("https://user:secret@else".into()));
    let Step::Done(Outcome::Wait {
        reason, message, ..
    }) = plan(&elsewhere)
    else {
        panic!("it is not Ready")
    };
    assert_eq!(reason, Reason::ConnectionWebhookMismatch);
    assert!(
        message.contains("MG1") && !message.contains("secret"),
        "{message}"
    );
    let mut declared = elsewhere;
    if let Ok(Configuration {
        routing: Routing::Twilio {
            messaging_service_sid,
            ..
        },
        ..
    }) = &mut declared.configuration
    {
        *messaging_service_sid = Some("MG1".into());
    }
    assert_eq!(plan(&declared), ready);
}

#[test]
fn a_group_that_is_declared_later_is_attached_to_an_order_that_lacks_papers_once() {
    let waiting = |papers: OrderPapers, group: Option<&str>, attached: Option<&str>| {
        let mut order = order(OrderState::Pending);
        order.papers = papers;
        let mut facts = looked(claimed(), None, Some(order));
        facts.provider = Provider::Telnyx;
        facts.record.order_id = Some(OrderId::new("o1"));
        facts.record.requirement_group = attached.map(str::to_owned);
        if let Ok(configuration) = &mut facts.configuration {
            configuration.papers.requirement_group_id = group.map(str::to_owned);
        }
        facts
    };
    for (papers, group, attached, expected) in [
        (
            OrderPapers::Met,
            Some("rg"),
            None,
            Some(Reason::OrderPending),
        ),
        (
            OrderPapers::UnderReview,
            Some("rg"),
            None,
            Some(Reason::OrderPending),
        ),
        (
            OrderPapers::Missing,
            None,
            None,
            Some(Reason::RegulatoryRequirement),
        ),
        (
            OrderPapers::Rejected,
            None,
            None,
            Some(Reason::RegulatoryRequirement),
        ),
        (OrderPapers::Missing, Some("rg"), None, None),
        (OrderPapers::Rejected, Some("rg"), Some("rg-0"), None),
        (
            OrderPapers::Missing,
            Some("rg"),
            Some("rg"),
            Some(Reason::RegulatoryRequirement),
        ),
    ] {
        let facts = waiting(papers, group, attached);
        let step = plan(&facts);
        assert_eq!(reason(&step), expected, "{papers:?} {group:?} {attached:?}");
        let attaches = matches!(&step, Step::AttachPapers(_, group) if group == "rg");
        assert_eq!(attaches, expected.is_none(), "{step:?}");
        if attaches {
            assert!(step.writes());
            let mut refused = facts;
            refused.memory.refused = Some(RefusedSetup {
                setup: Setup::RegulatoryDocuments(OrderId::new("o1"), "rg".into()),
                reason: Reason::RegulatoryRequirement,
                message: "not fulfilled".into(),
                left: Duration::from_secs(60),
            });
            let step = plan(&refused);
            assert_eq!(super::reason(&step), Some(Reason::RegulatoryRequirement));
        }
    }
}

#[test]
fn after_a_refused_sms_webhook_the_same_number_is_claimed_again() {
    let mut facts = claimed();
    facts.findings.look = Some(Lookup::default());
    facts.findings.attempt = Some(Attempt::Rejected(Refusal {
        kind: RefusalKind::TakesNoMessages,
        code: "21407".into(),
        text: "no SMS".into(),
        request_id: None,
    }));
    assert_eq!(
        plan(&facts),
        Step::Claim {
            intent: Intent::Buy,
            since: Some(at(0))
        }
    );
}
