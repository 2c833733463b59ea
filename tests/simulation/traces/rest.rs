//! Every shape of a spec comes to rest: once it is Ready, nothing is written for ten intervals, at the provider, at Burki or
//! on the object. What somebody then edits by hand is repaired once.

mod traits;

use phonenumber_emulator::Number;

use super::*;
use crate::world::TWILIO_ACCOUNTS;
use test_support::objects::merge;
use traits::{TELNYX, TWILIO, Trait};

const SERVICE: &str = "MG00000000000000000000000000000001";
const PROFILE: &str = "00000000-0000-4000-8000-0000000000a1";
const BASE: &str = "https://voice.example.com/telnyx-webhook";
pub(super) const OWN: &str = "https://own.example.com/hook";

/// Calls that are writes whatever becomes of them.
const WRITES: [&str; 10] = [
    "buy",
    "configure",
    "attach",
    "detach",
    "release",
    "cancel",
    "requirement-group",
    "assign",
    "unassign",
    "messaging",
];

pub(super) fn switch(world: &World, switches: Value) {
    world.control("POST", "/switches", switches);
}

pub(super) fn webhook(world: &World, id: &str, url: &str) {
    let path = format!("/console/connections/{id}");
    world.control("POST", &path, json!({"webhook": url, "apiVersion": "2"}));
}

fn manage(world: &World, telnyx: Value) {
    let place = Place::new("provideraccounts", NAMESPACE, "telnyx");
    let patch = json!({"spec": {"telnyx": telnyx}});
    world.cluster.patch(&place, &patch).unwrap();
}

#[test]
pub fn every_shape_of_a_spec_comes_to_rest() {
    for (base, traits) in [(twilio(), TWILIO), (telnyx(), TELNYX)] {
        in_simulated_time(comes_to_rest(&base, &[]));
        for (at, one) in traits.iter().enumerate() {
            in_simulated_time(comes_to_rest(&base, &[*one]));
            for other in &traits[at + 1..] {
                let excludes = |one: &Trait, other: &Trait| one.not_with.contains(&other.name);
                if !excludes(one, other) && !excludes(other, one) {
                    in_simulated_time(comes_to_rest(&base, &[*one, *other]));
                }
            }
        }
    }
}

async fn comes_to_rest(base: &Value, traits: &[Trait]) {
    let names: Vec<_> = traits.iter().map(|it| it.name).collect();
    let title = format!("{} {}", base["provider"], names.join(", "));
    let is = |name: &str| names.contains(&name);
    let state = match is("unidentified") {
        true => unidentified(),
        false => json!({}),
    };
    let mut world = World::new(1, state);
    let mut spec = base.clone();
    for it in traits {
        (it.prepare)(&world);
        merge(&mut spec, &(it.spec)());
    }
    world.start(Options::default());
    world.number("nyc", spec);
    until_ready(&world, "nyc").await;
    // Accounts that are told apart by their key are listed as late as others.
    world.run_for(secs(180)).await;
    if is("suspended") {
        world.patch("nyc", json!({"spec": {"suspend": true}}));
        world.run_for(secs(130)).await;
    }
    nothing_is_written(&world, secs(600), &title).await;
    let configured = condition(&world.get("nyc"), "WebhooksConfigured").unwrap();
    assert_eq!(configured.0, "True", "{title}: {configured:?}");
    edits_are_repaired_once(&world, &names, &title).await;
    // The audit reads claims by the account's own id, which the first claim of such an account does not have.
    if !is("unidentified") {
        assert_right(&world);
    }
}

/// What was written so far, or was to be: at the providers and at Burki.
pub(super) fn writes(world: &World) -> Vec<String> {
    let calls = world.stage.calls();
    let calls = calls
        .iter()
        .filter(|call| WRITES.contains(&call.operation.as_str()));
    let calls = calls.map(|call| format!("{} {}", call.side, call.operation));
    let emulator = world.emulator.world();
    let webhooks = emulator.ledger.entries.iter();
    let webhooks = webhooks.filter(|entry| entry.deed == Deed::Webhook);
    calls
        .chain(webhooks.map(|entry| format!("webhook of {}", entry.number)))
        .collect()
}

async fn nothing_is_written(world: &World, time: Duration, title: &str) {
    let before = (writes(world), world.get("nyc"));
    world.run_for(time).await;
    let after = (writes(world), world.get("nyc"));
    let new: Vec<_> = after.0.iter().skip(before.0.len()).collect();
    assert!(new.is_empty(), "{title}: {new:?}\n{}", world.shown());
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    assert_eq!(
        version(&after.1),
        version(&before.1),
        "{title}: the object was written: {} {}",
        before.1["status"],
        after.1["status"]
    );
    assert!(is_ready(&after.1), "{title}: {}", after.1["status"]);
}

type Edit = (&'static str, fn(&mut Number));

fn edits(names: &[&str], provider: &str) -> Vec<Edit> {
    let is = |name: &str| names.contains(&name);
    if provider == "telnyx" {
        let mut edits: Vec<Edit> = vec![
            ("connection", |number| number.connection_id.clear()),
            ("reference", |number| number.customer_reference.clear()),
        ];
        if is("profile") {
            edits.push(("profile", |number| number.messaging_profile_id.clear()));
        }
        if is("billing group") {
            edits.push(("billing group", |number| number.billing_group_id.clear()));
        }
        return edits;
    }
    let mut edits: Vec<Edit> = vec![
        ("voice URL", |number| {
            number.voice_url = OWN.replace("hook", "other")
        }),
        ("voice method", |number| number.voice_method = "GET".into()),
        ("trunk", |number| number.trunk_sid = "TK1".into()),
        ("voice application", |number| {
            number.voice_application_sid = "AP1".into();
        }),
        ("name", |number| number.friendly_name = "renamed".into()),
    ];
    if !names.iter().any(|name| name.starts_with("voice only")) {
        edits.extend::<[Edit; 3]>([
            ("SMS URL", |number| number.sms_url.clear()),
            ("SMS method", |number| number.sms_method = "GET".into()),
            ("SMS application", |number| {
                number.sms_application_sid = "AP1".into();
            }),
        ]);
    }
    if is("messaging service") {
        edits.push(("service", |number| number.messaging_service.clear()));
    }
    if is("papers") {
        edits.extend::<[Edit; 3]>([
            ("address", |number| number.address_sid.clear()),
            ("bundle", |number| number.bundle_sid.clear()),
            ("identity", |number| number.identity_sid.clear()),
        ]);
    }
    edits
}

/// Each setting is edited by hand, and is as declared again after one write of each kind; unless the number is suspended.
async fn edits_are_repaired_once(world: &World, names: &[&str], title: &str) {
    let object = world.get("nyc");
    let number = object["status"]["phoneNumber"].as_str().unwrap().to_owned();
    let provider = object["spec"]["provider"].as_str().unwrap();
    let shown = |world: &World| {
        let emulator = world.emulator.world();
        let mut numbers = emulator.numbers.iter();
        let found = numbers.find(|held| held.phone_number == number).unwrap();
        serde_json::to_value(found).unwrap()
    };
    let wanted = shown(world);
    let is_suspended = names.contains(&"suspended");
    for (at, (what, edit)) in edits(names, provider).into_iter().enumerate() {
        let title = format!("{title}: {what}");
        // More than two repairs of one generation would be a fight.
        if at % 2 == 0 {
            let protects = at % 4 == 0;
            world.patch("nyc", json!({"spec": {"deletionProtection": protects}}));
            world.run_for(secs(10)).await;
        }
        let before = writes(world);
        world.console(&number, edit);
        let edited = shown(world);
        assert_ne!(edited, wanted, "{title}");
        world.run_for(secs(130)).await;
        let mut new = writes(world).split_off(before.len());
        new.sort();
        if is_suspended {
            assert_eq!((shown(world), new), (edited, vec![]), "{title}");
            world.control(
                "POST",
                &format!("/console/numbers/{number}"),
                wanted.clone(),
            );
            continue;
        }
        assert_eq!(shown(world), wanted, "{title}");
        let count = new.len();
        new.dedup();
        assert!(count > 0 && new.len() == count, "{title}: {new:?}");
        assert!(is_ready(&world.get("nyc")), "{title}");
    }
    if provider == "telnyx" && !names.contains(&"webhooks") && !names.contains(&"verified") {
        webhook(world, CONNECTION, OWN);
        let before = writes(world);
        world.run_for(secs(130)).await;
        let new = writes(world).split_off(before.len());
        let expected = match is_suspended {
            true => vec![],
            false => vec![format!("webhook of {CONNECTION}")],
        };
        assert_eq!(new, expected, "{title}: webhook");
        webhook(world, CONNECTION, BASE);
        world.run_for(secs(130)).await;
    }
    nothing_is_written(world, secs(180), title).await;
}

#[test]
pub fn a_messaging_service_that_nobody_declared_is_named() {
    in_simulated_time(async {
        let other = "MG00000000000000000000000000000009";
        let service = |world: &World, change: Value| {
            world.control("POST", &format!("/console/services/{other}"), change);
        };
        let elsewhere =
            json!({"account": TWILIO_ACCOUNTS[0], "inboundRequestUrl": "https://else.example.com"});
        let mut world = World::new(1, json!({}));
        service(&world, elsewhere);
        world.start(Options::default());
        world.number("nyc", twilio());
        until_ready(&world, "nyc").await;
        world.console(NUMBER, |number| number.messaging_service = other.to_owned());
        until_reason(&world, "nyc", "ConnectionWebhookMismatch").await;
        let (truth, _, message) = condition(&world.get("nyc"), "WebhooksConfigured").unwrap();
        assert!(truth == "False" && message.contains(other), "{message}");
        nothing_was_done_but_to_buy(&world);
        // It drops messages; then it defers to the number.
        service(&world, json!({"inboundRequestUrl": ""}));
        world.run_for(secs(130)).await;
        assert_eq!(reason(&world.get("nyc")), "ConnectionWebhookMismatch");
        service(&world, json!({"useInboundWebhookOnNumber": true}));
        until_ready(&world, "nyc").await;
        // A declared service that takes the messages is as declared, but its messages do not reach the webhook.
        service(&world, json!({"useInboundWebhookOnNumber": false}));
        until_reason(&world, "nyc", "ConnectionWebhookMismatch").await;
        world.patch(
            "nyc",
            json!({"spec": {"twilio": {"messagingServiceSid": other}}}),
        );
        until_ready(&world, "nyc").await;
        let (truth, reason, message) = condition(&world.get("nyc"), "WebhooksConfigured").unwrap();
        assert_eq!(
            (truth.as_str(), reason.as_str()),
            ("False", "ConnectionWebhookMismatch")
        );
        assert!(message.contains(other), "{message}");
        nothing_was_done_but_to_buy(&world);
        // A service that is gone fails its numbers, and no others.
        world.number(
            "bos",
            json!({"provider": "twilio", "phoneNumber": "+12125550002"}),
        );
        until_ready(&world, "bos").await;
        world.control("DELETE", &format!("/console/services/{other}"), Value::Null);
        until_reason(&world, "nyc", "ConnectionNotFound").await;
        world.run_for(secs(300)).await;
        assert!(is_ready(&world.get("bos")));
        assert_eq!(world.account_reason("twilio"), "Ready");
        // A credential that may not read services loses the check alone, and the account says so.
        switch(&world, json!({"messagingServicesForbidden": true}));
        world.run_for(secs(130)).await;
        assert_eq!(world.account_reason("twilio"), "Ready");
        let note = "The credential may not read messaging services";
        let shown = world.account_message("twilio");
        assert!(shown.contains(note), "{shown}");
        assert!(is_ready(&world.get("bos")), "{}", world.shown());
        assert_right(&world);
    });
}

fn nothing_was_done_but_to_buy(world: &World) {
    let writes = writes(world);
    assert_eq!(writes, ["twilio buy"], "{}", world.shown());
}

#[test]
pub fn a_service_that_refuses_a_number_is_asked_once_in_half_an_hour() {
    in_simulated_time(async {
        let other = "MG00000000000000000000000000000009";
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        world.number("nyc", twilio());
        until_ready(&world, "nyc").await;
        world.control("POST", &format!("/console/services/{other}"), json!({}));
        world.console(NUMBER, |number| number.messaging_service = other.to_owned());
        world.patch(
            "nyc",
            json!({"spec": {"twilio": {"messagingServiceSid": SERVICE}}}),
        );
        until_reason(&world, "nyc", "InvalidSpec").await;
        let (_, _, message) = condition(&world.get("nyc"), "Ready").unwrap();
        assert!(message.contains("21712"), "{message}");
        let before = writes(&world);
        world.run_for(secs(1500)).await;
        assert_eq!(writes(&world), before, "it was asked for again");
        world.console(NUMBER, |number| number.messaging_service.clear());
        until_ready(&world, "nyc").await;
        assert_right(&world);
    });
}

#[test]
pub fn an_outage_of_telnyx_messaging_is_no_drift() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        manage(&world, json!({"messagingProfileId": PROFILE}));
        world.start(Options::default());
        world.number("bos", telnyx());
        world.number(
            "two",
            json!({"provider": "telnyx", "phoneNumber": "+16175550002"}),
        );
        until_ready(&world, "bos").await;
        until_ready(&world, "two").await;
        world.run_for(secs(130)).await;
        let before = writes(&world);
        switch(&world, json!({"profilesUnavailable": true}));
        world.run_for(secs(300)).await;
        switch(&world, json!({"profilesUnavailable": false}));
        world.run_for(secs(130)).await;
        assert_eq!(writes(&world), before);
        assert!(is_ready(&world.get("bos")) && is_ready(&world.get("two")));
        // What is really gone is found, though the listing shows it as it shows an outage.
        world.console(TELNYX_NUMBER, |number| number.messaging_profile_id.clear());
        world.run_for(secs(130)).await;
        let shown = |world: &World| {
            let emulator = world.emulator.world();
            let mut numbers = emulator.numbers.iter();
            let found = numbers.find(|held| held.phone_number == TELNYX_NUMBER);
            found.unwrap().messaging_profile_id.clone()
        };
        assert_eq!(shown(&world), PROFILE);
        assert_right(&world);
    });
}

#[test]
pub fn who_renames_a_number_again_and_again_is_left_to_people() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        world.number("nyc", twilio());
        until_ready(&world, "nyc").await;
        world.run_for(secs(130)).await;
        for _ in 0..3 {
            world.console(NUMBER, |number| number.friendly_name = "renamed".into());
            world.run_for(secs(130)).await;
            assert!(is_ready(&world.get("nyc")), "{}", world.shown());
        }
        world.console(NUMBER, |number| number.friendly_name = "renamed".into());
        until_reason(&world, "nyc", "ConfigurationConflict").await;
        let before = writes(&world);
        world.run_for(secs(600)).await;
        assert_eq!(writes(&world), before);
    });
}

#[test]
pub fn a_number_whose_state_changes_at_telnyx_says_so_and_recovers() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        world.number("bos", telnyx());
        until_ready(&world, "bos").await;
        let configured = deeds(&world, Deed::Configure);
        for (word, wanted, stalls) in [
            ("requirement-info-exception", "RegulatoryRequirement", true),
            ("requirement-info-pending", "RegulatoryRequirement", true),
            ("requirement-info-under-review", "OrderPending", false),
            ("emergency-only", "EmergencyOnly", true),
            ("port-out-pending", "PortOutPending", true),
        ] {
            let state = |word: &str| {
                let word = word.to_owned();
                world.console(TELNYX_NUMBER, |number| number.status = word);
            };
            state(word);
            until_reason(&world, "bos", wanted).await;
            let stalled = condition(&world.get("bos"), "Stalled");
            assert_eq!(stalled.is_some(), stalls, "{word}");
            let version = world.get("bos")["metadata"]["resourceVersion"].clone();
            let calls = world.stage.count();
            world.run_for(secs(300)).await;
            assert_eq!(
                world.get("bos")["metadata"]["resourceVersion"],
                version,
                "{word}"
            );
            assert!(world.stage.count() - calls < 60, "{word}");
            // A word that nobody knows changes nothing.
            state("active");
            until_ready(&world, "bos").await;
            state("no-such-word");
            world.run_for(secs(130)).await;
            assert!(
                is_ready(&world.get("bos")),
                "{}",
                world.get("bos")["status"]
            );
            let (_, _, message) = condition(&world.get("bos"), "Ready").unwrap();
            assert!(message.contains("no-such-word"), "{message}");
            state("active");
            world.run_for(secs(130)).await;
        }
        assert_eq!(deeds(&world, Deed::Configure), configured);
    });
}
