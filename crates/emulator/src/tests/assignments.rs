//! What Burki does with assistants and their numbers.

use super::*;

async fn assign(emulator: &Emulator, assistant: i64, number: &str) -> (u16, Value) {
    let path = format!("assistants/{assistant}/phone-numbers/assign-by-number");
    burki(emulator, "POST", &path, json!({"phone_number": number})).await
}

#[tokio::test]
async fn burki_says_no_with_200_to_a_number_of_another_assistant() {
    let emulator = with(json!({}));
    bought(&emulator, FIRST).await;
    for (assistant, success) in [(101, true), (102, false), (101, true)] {
        let (status, said) = assign(&emulator, assistant, FIRST).await;
        assert_eq!(status, 200);
        assert_eq!(said["success"], success, "{assistant}: {said}");
        let path = format!("assistants/by-phone/{FIRST}");
        let (_, holder) = burki(&emulator, "GET", &path, json!(null)).await;
        assert_eq!(holder["id"], 101);
    }
    assert_eq!(entries(&emulator, "assign", FIRST).await, 2);
}

#[tokio::test]
async fn burki_rewrites_the_webhooks_of_a_number_that_it_takes() {
    for (switches, voice, sms) in [
        (
            json!({}),
            "https://burki.example.com/twiml",
            "https://burki.example.com/webhooks/sms/twilio",
        ),
        (
            json!({"burkiHosted": false}),
            "https://burki.example.com/twiml",
            "https://burki.example.com/twilio-sms-webhook",
        ),
        (
            json!({"burkiRewrites": false}),
            "https://mine.example.com/voice",
            "https://mine.example.com/sms",
        ),
    ] {
        let emulator = with(switches.clone());
        let form = [
            ("PhoneNumber", FIRST),
            ("VoiceUrl", "https://mine.example.com/voice"),
            ("SmsUrl", "https://mine.example.com/sms"),
        ];
        assert_eq!(buy(&emulator, &form).await.0, 201);
        assert_eq!(assign(&emulator, 101, FIRST).await.1["success"], true);
        let numbers = listed(&emulator).await;
        assert_eq!(
            [&numbers[0]["voice_url"], &numbers[0]["sms_url"]],
            [voice, sms],
            "{switches}"
        );
    }
}

#[tokio::test]
async fn burki_moves_a_telnyx_number_to_an_application_of_its_own() {
    let emulator = with(json!({}));
    ordered(&emulator, FIRST).await;
    assert_eq!(assign(&emulator, 101, FIRST).await.1["success"], true);
    let number = &found(&emulator, "14155550001").await[0];
    let connection = number["connection_id"].as_str().unwrap();
    let path = format!("call_control_applications/{connection}");
    let (_, application) = telnyx(&emulator, "GET", &path, json!(null)).await;
    let application = &application["data"];
    assert_eq!(application["application_name"], "Burki-14155550001");
    assert_eq!(
        application["webhook_event_url"],
        "https://burki.example.com/telnyx-webhook"
    );

    // The open-source server knows Twilio numbers only.
    let emulator = with(json!({"burkiHosted": false}));
    ordered(&emulator, FIRST).await;
    assert_eq!(assign(&emulator, 101, FIRST).await.0, 404);
    assert_eq!(
        found(&emulator, "14155550001").await[0]["connection_id"],
        json!(null)
    );
}
