//! Accounts and their Secrets: swapped, deleted, shared, in use; and one that fails beside one that works.

use phonenumber_operator::api::condition;
use serde_json::{Value, json};
use test_support::emulator::TWILIO_ACCOUNT;
use test_support::world::{World, message, reason, truth};

const OTHER_ACCOUNT: &str = "AC00000000000000000000000000000002";

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_secret_never_touches_what_the_first_account_holds() {
    let mut world = World::new("swapped").await;
    world
        .create("held", "twilio", "+12125551001", json!({}))
        .await;
    world.until_ready("held").await;
    world
        .secret(
            "twilio",
            json!({"accountSid": OTHER_ACCOUNT, "authToken": "emulator-token-2"}),
        )
        .await;
    let number = world.until_reason("held", "AccountMismatch").await;
    assert!(
        message(&number).contains(TWILIO_ACCOUNT) && message(&number).contains(OTHER_ACCOUNT),
        "{}",
        message(&number)
    );
    world.delete("held").await;
    world.kill_operator();
    world.start_operator();
    let number = world
        .until("held", "waiting for its account", |number| {
            message(number).contains("Retain") && message(number).contains(OTHER_ACCOUNT)
        })
        .await;
    assert_eq!(truth(&number, condition::STALLED), "True");
    assert_eq!(world.emulator.releases("+12125551001").await, 0);
    world
        .secret(
            "twilio",
            json!({"accountSid": TWILIO_ACCOUNT, "authToken": "emulator-token"}),
        )
        .await;
    world.until_gone("held").await;
    assert_eq!(world.emulator.releases("+12125551001").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_of_the_same_account_takes_over() {
    let world = World::new("api-key").await;
    world
        .create("held", "twilio", "+12125551002", json!({}))
        .await;
    world.until_ready("held").await;
    let key = json!({"accountSid": TWILIO_ACCOUNT, "apiKeySid": "SK00000000000000000000000000000001",
        "apiKeySecret": "emulator-token-secret"});
    world.secret("twilio", key).await;
    world
        .change("held", json!({"friendlyName": "by key"}))
        .await;
    let number = world.until_ready("held").await;
    assert!(
        number
            .status
            .unwrap()
            .twilio
            .unwrap()
            .friendly_name
            .starts_with("by key [")
    );
    assert_eq!(world.emulator.purchases("+12125551002").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_goes_first_stops_no_release_that_this_process_can_make() {
    let mut world = World::new("secret-first").await;
    world
        .create("first", "twilio", "+12125551011", json!({}))
        .await;
    world
        .create("second", "twilio", "+12125551012", json!({}))
        .await;
    world
        .create("third", "twilio", "+12125551013", json!({}))
        .await;
    for name in ["first", "second", "third"] {
        world.until_ready(name).await;
    }
    world.delete_secret("twilio").await;
    world
        .until_account("twilio", |account| {
            account.to_string().contains("CredentialsMissing")
        })
        .await;
    world.delete("first").await;
    world.until_gone("first").await;
    assert_eq!(
        world.emulator.releases("+12125551011").await,
        1,
        "the credential is kept in memory to release with"
    );

    world.kill_operator();
    world.start_operator();
    world.delete("second").await;
    world.delete("third").await;
    let number = world
        .until("second", "telling the way out", |number| {
            reason(number) == "CredentialsMissing"
                && message(number).contains("deletionPolicy: Retain")
        })
        .await;
    assert!(message(&number).contains("Secret"), "{}", message(&number));
    world
        .change("second", json!({"deletionPolicy": "Retain"}))
        .await;
    world.until_gone("second").await;
    assert_eq!(world.emulator.releases("+12125551012").await, 0);
    world
        .secret(
            "twilio",
            json!({"accountSid": TWILIO_ACCOUNT, "authToken": "emulator-token"}),
        )
        .await;
    world.until_gone("third").await;
    assert_eq!(world.emulator.releases("+12125551013").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_in_use_stays_until_its_numbers_are_gone() {
    let world = World::new("in-use").await;
    world
        .create("held", "twilio", "+12125551021", json!({}))
        .await;
    world.until_ready("held").await;
    world
        .until_account("twilio", |account| {
            account["metadata"]["finalizers"][0] == "telephony.burki.dev/in-use"
        })
        .await;
    world
        .accounts()
        .delete("twilio", &Default::default())
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert!(
        world.accounts().get_opt("twilio").await.unwrap().is_some(),
        "it is in use"
    );
    world.delete("held").await;
    world.until_gone("held").await;
    assert_eq!(
        world.emulator.releases("+12125551021").await,
        1,
        "its account was there to release with"
    );
    world.until_account("twilio", Value::is_null).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_tells_whether_its_credential_opens_it() {
    let world = World::new("account-status").await;
    let ready = |wanted: &'static str, why: &'static str| {
        move |account: &Value| {
            let conditions = account["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            conditions.iter().any(|found| {
                found["type"] == "Ready" && found["status"] == wanted && found["reason"] == why
            })
        }
    };
    let account = world.until_account("twilio", ready("True", "Ready")).await;
    assert_eq!(account["status"]["accountId"], TWILIO_ACCOUNT);
    world.delete_secret("twilio").await;
    world
        .until_account("twilio", ready("False", "CredentialsMissing"))
        .await;
    world
        .secret(
            "twilio",
            json!({"accountSid": TWILIO_ACCOUNT, "authToken": "wrong"}),
        )
        .await;
    world
        .until_account("twilio", ready("False", "CredentialsInvalid"))
        .await;
    world
        .secret(
            "twilio",
            json!({"accountSid": TWILIO_ACCOUNT, "authToken": "emulator-token"}),
        )
        .await;
    world.until_account("twilio", ready("True", "Ready")).await;
    let down = json!({"dialect": "twilio", "kind": "503"});
    world.emulator.fault(down).await;
    world
        .until_account("twilio", ready("False", "ProviderUnavailable"))
        .await;
    world.emulator.clear_faults().await;
    world.until_account("twilio", ready("True", "Ready")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_fails_delays_no_other() {
    let world = World::new("slow").await;
    // Every request of the one account hangs; the other has more numbers than the operator has workers.
    let hang = json!({"dialect": "telnyx", "kind": "hang"});
    world.emulator.fault(hang).await;
    let telnyx = json!({"telnyx": {"connectionId": test_support::emulator::CONNECTION}});
    for at in 0..40 {
        world
            .create(
                &format!("slow{at}"),
                "telnyx",
                &format!("+161755510{at:02}"),
                telnyx.clone(),
            )
            .await;
    }
    for at in 0..10 {
        world
            .create(
                &format!("quick{at}"),
                "twilio",
                &format!("+121255510{at:02}"),
                json!({}),
            )
            .await;
    }
    for at in 0..10 {
        world.until_ready(&format!("quick{at}")).await;
    }
    let slow = world.number("slow0").await;
    assert_ne!(truth(&slow, condition::READY), "True");
    world.emulator.clear_faults().await;
    for at in 0..40 {
        world.until_ready(&format!("slow{at}")).await;
        assert_eq!(
            world
                .emulator
                .purchases(&format!("+161755510{at:02}"))
                .await,
            1
        );
    }
}
