//! What was changed behind the operator's back: found by listings, repaired, and left to people where somebody insists.

use serde_json::json;
use test_support::emulator::CONNECTION;
use test_support::world::{World, message};

const NUMBER: &str = "+12125558001";

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_that_matters_is_found_and_repaired() {
    let world = World::new("settings").await;
    let service = "MG00000000000000000000000000000001";
    let spec = json!({"twilio": {"messagingServiceSid": service}});
    world.create("nyc", "twilio", NUMBER, spec).await;
    world.until_ready("nyc").await;
    let right = world.emulator.number(NUMBER).await;
    assert_eq!(right["messaging_service"], service);
    // No more than three of them in one generation, since more would be a fight.
    let edits = [
        [
            json!({"voice_url": "https://elsewhere.example.com"}),
            json!({"sms_url": ""}),
            json!({"trunk_sid": "TK00000000000000000000000000000009"}),
        ],
        [
            json!({"voice_application_sid": "AP00000000000000000000000000000009"}),
            json!({"sms_application_sid": "AP00000000000000000000000000000009"}),
            json!({"friendly_name": "renamed in the console"}),
        ],
        [
            json!({"messaging_service": ""}),
            json!({"voice_method": "GET"}),
            json!({"sms_method": "GET"}),
        ],
    ];
    for (generation, edits) in edits.into_iter().enumerate() {
        let name = format!("generation {generation}");
        world.change("nyc", json!({"friendlyName": name})).await;
        world.until_ready("nyc").await;
        let wanted = world.emulator.number(NUMBER).await;
        for edit in edits {
            world.emulator.edit(NUMBER, edit).await;
            world.until_company_sees(NUMBER, &wanted).await;
        }
    }

    let number = "+16175558002";
    let profile = "/console/connections/00000000-0000-4000-8000-0000000000a1";
    let right = json!({"webhook": "https://voice.example.com/telnyx-webhook", "apiVersion": "2"});
    world.emulator.post(profile, right).await;
    world
        .create(
            "tel",
            "telnyx",
            number,
            json!({"telnyx": {"connectionId": CONNECTION,
            "messagingProfileId": "00000000-0000-4000-8000-0000000000a1"}}),
        )
        .await;
    world.until_ready("tel").await;
    let wanted = world.emulator.number(number).await;
    for edit in [
        json!({"connection_id": ""}),
        json!({"messaging_profile_id": ""}),
        json!({"customer_reference": ""}),
    ] {
        world.emulator.edit(number, edit).await;
        world.until_company_sees(number, &wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_insists_is_left_to_people() {
    let world = World::new("fight").await;
    world.create("nyc", "twilio", NUMBER, json!({})).await;
    world.until_ready("nyc").await;
    let right = world.emulator.number(NUMBER).await;
    let wrong = json!({"voice_url": "https://elsewhere.example.com"});
    for _ in 0..3 {
        world.emulator.edit(NUMBER, wrong.clone()).await;
        world.until_company_sees(NUMBER, &right).await;
        world.until_ready("nyc").await;
    }
    world.emulator.edit(NUMBER, wrong).await;
    let number = world.until_reason("nyc", "ConfigurationConflict").await;
    assert!(message(&number).contains("voice"), "{}", message(&number));
    let effects = world.effects().await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(world.effects().await, effects, "nothing more is written");
    world.change("nyc", json!({"friendlyName": "mended"})).await;
    world.until_ready("nyc").await;
    assert_eq!(
        world.emulator.number(NUMBER).await["voice_url"],
        right["voice_url"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_was_reassigned_at_burki_comes_back() {
    let world = World::new("reassigned").await;
    world
        .create("nyc", "twilio", NUMBER, json!({"assistantId": 101}))
        .await;
    world.until_ready("nyc").await;
    for other in [json!(102), json!(null)] {
        world
            .emulator
            .post(
                &format!("/console/assignments/{NUMBER}"),
                json!({"assistant": other}),
            )
            .await;
        world
            .until_company("assistant 101 answers", async |company| {
                company.assistant_of(NUMBER).await == Some(101)
            })
            .await;
    }
    let number = world.until_ready("nyc").await;
    assert_eq!(number.status.unwrap().assistant.unwrap().id, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_edited_is_set_again_where_the_operator_manages_it() {
    let world = World::new("managed").await;
    let spec = json!({"telnyx": {"connectionId": CONNECTION}});
    world.change_account("telnyx", spec.clone()).await;
    world
        .create("managed", "telnyx", "+16175558003", spec)
        .await;
    world.until_ready("managed").await;
    let path = format!("/console/connections/{CONNECTION}");
    let wanted = "https://voice.example.com/telnyx-webhook";
    world
        .emulator
        .post(&path, json!({"webhook": "https://elsewhere.example.com"}))
        .await;
    world
        .until_company("the webhook is set again", async |company| {
            company.post(&path, json!({})).await["webhook"] == wanted
        })
        .await;
    // An account that only verifies says so on each of its numbers.
    world
        .change_account("telnyx", json!({"telnyx": {"connectionWebhook": "Verify"}}))
        .await;
    world.until_ready("managed").await;
    world
        .emulator
        .post(&path, json!({"webhook": "https://elsewhere.example.com"}))
        .await;
    world
        .until_reason("managed", "ConnectionWebhookMismatch")
        .await;
    world.emulator.post(&path, json!({"webhook": wanted})).await;
    world.until_ready("managed").await;
}
