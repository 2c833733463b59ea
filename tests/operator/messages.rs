//! Whether messages get through is a condition of its own, and what Ready waits for where they must.

use phonenumber_operator::api::condition::MESSAGING_READY;
use serde_json::{Value, json};
use test_support::emulator::{CONNECTION, TELNYX_ACCOUNT, TWILIO_ACCOUNT};
use test_support::world::{World, message, truth};

const SERVICE: &str = "MG00000000000000000000000000000001";
const PROFILE: &str = "00000000-0000-4000-8000-0000000000a1";

/// Waits until MessagingReady of `name` is like this, and returns its message.
async fn until_messages(world: &World, name: &str, status: &str, reason: &str) -> String {
    let condition = |number: &Value| {
        let conditions = number["status"]["conditions"].as_array().cloned();
        let mut conditions = conditions.unwrap_or_default().into_iter();
        conditions.find(|it| it["type"] == MESSAGING_READY)
    };
    let number = world
        .until(
            name,
            &format!("MessagingReady {status} {reason}"),
            |number| {
                let found = condition(&serde_json::to_value(number).unwrap());
                found.is_some_and(|it| it["status"] == status && it["reason"] == reason)
            },
        )
        .await;
    let found = condition(&serde_json::to_value(&number).unwrap()).unwrap();
    found["message"].as_str().unwrap().to_owned()
}

/// Registers `subject` at a company's portal.
async fn register(world: &World, account: &str, subject: &str, status: &str, campaign: &str) {
    let registration =
        json!({"account": account, "subject": subject, "status": status, "campaign": campaign});
    world
        .emulator
        .post("/console/registrations", registration)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_ready_at_twilio_while_its_campaign_is_not() {
    let world = World::new("campaign").await;
    let in_service = json!({"twilio": {"messagingServiceSid": SERVICE}});
    world
        .create("nyc", "twilio", "+12125558201", in_service)
        .await;
    world
        .create("alone", "twilio", "+12125558202", json!({}))
        .await;
    world
        .create("free", "twilio", "+18885558203", json!({}))
        .await;
    world
        .create("london", "twilio", "+447700558204", json!({}))
        .await;
    for name in ["nyc", "alone", "free", "london"] {
        world.until_ready(name).await;
    }
    until_messages(&world, "london", "True", "Ready").await;
    let said = until_messages(&world, "nyc", "False", "CampaignMissing").await;
    assert!(said.contains(SERVICE), "{said}");
    let said = until_messages(&world, "alone", "False", "CampaignMissing").await;
    assert!(said.contains("spec.twilio.messagingServiceSid"), "{said}");
    until_messages(&world, "free", "False", "TollFreeUnverified").await;
    for (state, status, reason) in [
        ("IN_PROGRESS", "False", "RegistrationPending"),
        ("FAILED", "False", "CampaignRejected"),
        ("VERIFIED", "True", "Ready"),
        ("SUSPENDED", "False", "CampaignSuspended"),
    ] {
        register(&world, TWILIO_ACCOUNT, SERVICE, state, "").await;
        until_messages(&world, "nyc", status, reason).await;
    }
    for (state, status, reason) in [
        ("IN_REVIEW", "False", "RegistrationPending"),
        ("TWILIO_REJECTED", "False", "TollFreeRejected"),
        ("TWILIO_APPROVED", "True", "Ready"),
    ] {
        register(&world, TWILIO_ACCOUNT, "+18885558203", state, "").await;
        until_messages(&world, "free", status, reason).await;
    }
    for name in ["nyc", "alone", "free", "london"] {
        assert_eq!(truth(&world.number(name).await, "Ready"), "True", "{name}");
    }
    // What the credential may not read is unknown, and was known before.
    world
        .emulator
        .post("/switches", json!({"registrationsForbidden": true}))
        .await;
    let said = until_messages(&world, "free", "Unknown", "MessagingUnverifiable").await;
    assert!(said.contains("toll-free verification"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_ready_at_telnyx_while_its_profile_or_campaign_is_not() {
    let world = World::new("profile").await;
    let number = "+16175558211";
    let options = |profile: &Value| json!({"telnyx": {"connectionId": CONNECTION, "messagingProfileId": profile}});
    world
        .create("bos", "telnyx", number, options(&Value::Null))
        .await;
    world.until_ready("bos").await;
    let said = until_messages(&world, "bos", "False", "MessagingProfileMissing").await;
    assert!(said.contains("spec.telnyx.messagingProfileId"), "{said}");
    let profile = format!("/console/connections/{PROFILE}");
    let right = json!({"webhook": "https://voice.example.com/telnyx-webhook", "apiVersion": "2"});
    world.emulator.post(&profile, right).await;
    world.change("bos", options(&json!(PROFILE))).await;
    until_messages(&world, "bos", "False", "CampaignMissing").await;
    for (state, campaign, status, reason) in [
        (
            "PENDING_ASSIGNMENT",
            "MNO_PROVISIONED",
            "False",
            "RegistrationPending",
        ),
        (
            "FAILED_ASSIGNMENT",
            "MNO_PROVISIONED",
            "False",
            "CampaignRejected",
        ),
        ("ASSIGNED", "TCR_SUSPENDED", "False", "CampaignSuspended"),
        ("ASSIGNED", "MNO_PROVISIONED", "True", "Ready"),
    ] {
        register(&world, TELNYX_ACCOUNT, number, state, campaign).await;
        until_messages(&world, "bos", status, reason).await;
    }
    for (enabled, status, reason) in [
        (false, "False", "MessagingProfileDisabled"),
        (true, "True", "Ready"),
    ] {
        world
            .emulator
            .post(&profile, json!({"enabled": enabled}))
            .await;
        until_messages(&world, "bos", status, reason).await;
    }
    assert_eq!(truth(&world.number("bos").await, "Ready"), "True");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_messages_are_required_nothing_mute_is_bought_and_ready_waits_for_them() {
    let world = World::new("required").await;
    let required = |more: Value| {
        let mut spec = more;
        spec["messaging"] = json!("Required");
        spec
    };
    let telnyx = || json!({"telnyx": {"connectionId": CONNECTION}});
    // Numbers of the fixed network take no messages in Britain.
    for (name, provider, number, spec) in [
        ("mute", "twilio", "+442075508221", json!({})),
        ("mute-too", "telnyx", "+442075508222", telnyx()),
    ] {
        world.create(name, provider, number, required(spec)).await;
        let held = world.until_reason(name, "MessagesNotSupported").await;
        assert!(message(&held).contains("cannot text"), "{}", message(&held));
    }
    assert_eq!(world.attempts().await, 0);
    let in_service = json!({"twilio": {"messagingServiceSid": SERVICE}});
    world
        .create("nyc", "twilio", "+12125558223", required(in_service))
        .await;
    world
        .create("bos", "telnyx", "+16175558224", required(telnyx()))
        .await;
    world.until_reason("nyc", "CampaignMissing").await;
    world.until_reason("bos", "MessagingProfileMissing").await;
    assert_eq!(world.attempts().await, 2);
    register(&world, TWILIO_ACCOUNT, SERVICE, "VERIFIED", "").await;
    world.until_ready("nyc").await;
    until_messages(&world, "nyc", "True", "Ready").await;
    world
        .change("bos", json!({"messaging": "BestEffort"}))
        .await;
    world.until_ready("bos").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_messages_are_wanted_nothing_of_them_is_set_or_compared() {
    let world = World::new("no-messages").await;
    let number = "+12125558231";
    world
        .create("voice", "twilio", number, json!({"messaging": "None"}))
        .await;
    world.until_ready("voice").await;
    let held = world.emulator.number(number).await;
    assert_eq!(held["sms_url"], "");
    // Somebody sets the messages up by hand: that stays.
    let edit = json!({"sms_url": "https://elsewhere.example.com", "sms_method": "GET",
        "sms_application_sid": "AP00000000000000000000000000000009", "voice_url": "https://elsewhere.example.com"});
    world.emulator.edit(number, edit).await;
    let repaired = json!({"sms_url": "https://elsewhere.example.com", "sms_method": "GET",
        "sms_application_sid": "AP00000000000000000000000000000009", "voice_url": held["voice_url"]});
    let mut wanted = held.clone();
    for (field, value) in repaired.as_object().unwrap() {
        wanted[field] = value.clone();
    }
    world.until_company_sees(number, &wanted).await;
    assert_eq!(
        truth(&world.until_ready("voice").await, MESSAGING_READY),
        ""
    );
    // Once messages are wanted, they are set up as declared.
    world
        .change("voice", json!({"messaging": "BestEffort"}))
        .await;
    until_messages(&world, "voice", "False", "CampaignMissing").await;
    let held = world.emulator.number(number).await;
    assert_eq!(held["sms_url"], held["voice_url"]);
    assert_eq!(held["sms_application_sid"], "");
}
