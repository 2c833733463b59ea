//! Every reason that a person can meet: how it comes, what it says, and that it goes when its cause is mended.

use phonenumber_operator::api::{PhoneNumber, condition};
use serde_json::{Value, json};
use test_support::emulator::{CONNECTION, TAKEN, TELNYX_ACCOUNT, TWILIO_ACCOUNT};
use test_support::world::{World, message, reason, truth};

const PROFILE: &str = "00000000-0000-4000-8000-0000000000a1";

/// Checks that the number `name` is stalled for `wanted`, and that the message says `what`.
pub async fn stalled(world: &World, name: &str, wanted: &str, what: &[&str]) {
    // What the provider answered a moment ago may stand for an interval.
    let says_so = |number: &PhoneNumber| {
        let message = message(number);
        reason(number) == wanted && what.iter().all(|what| message.contains(what))
    };
    let number = world
        .until(name, &format!("{wanted}: {what:?}"), says_so)
        .await;
    assert_eq!(truth(&number, condition::STALLED), "True", "{wanted}");
    assert_eq!(truth(&number, condition::READY), "False", "{wanted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_account_is_waited_for() {
    let world = World::new("account").await;
    let other = json!({"accountRef": {"name": "later"}});
    world.create("nyc", "twilio", "+12125550001", other).await;
    stalled(&world, "nyc", "AccountNotFound", &["later"]).await;
    assert_eq!(world.attempts().await, 0);
    world.account_named("later", "twilio", json!({})).await;
    world.until_ready("nyc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_asked_for_by_secret_and_key_and_never_shown() {
    let world = World::new("credentials").await;
    let accounts = [
        (
            "no-secret",
            json!({"twilio": {"credentialsSecretRef": {"name": "absent"}}}),
        ),
        (
            "no-key",
            json!({"twilio": {"credentialsSecretRef": {"name": "half"}}}),
        ),
        (
            "wrong",
            json!({"twilio": {"credentialsSecretRef": {"name": "wrong"}}}),
        ),
        (
            "burki-wrong",
            json!({"burki": {"credentialsSecretRef": {"name": "burki-wrong"}}}),
        ),
    ];
    let token = "not-the-token-of-anything";
    world
        .secret("half", json!({"accountSid": TWILIO_ACCOUNT}))
        .await;
    world
        .secret(
            "wrong",
            json!({"accountSid": TWILIO_ACCOUNT, "authToken": token}),
        )
        .await;
    world.secret("burki-wrong", json!({"apiKey": token})).await;
    for (at, (name, change)) in accounts.into_iter().enumerate() {
        world.account_named(name, "twilio", change).await;
        let spec = json!({"accountRef": {"name": name}, "assistantId": 101});
        world
            .create(name, "twilio", &format!("+1212555001{at}"), spec)
            .await;
    }
    let namespace = world.namespace.clone();
    let secret = |name: &str| format!("Secret {namespace}/{name}");
    stalled(
        &world,
        "no-secret",
        "CredentialsMissing",
        &[&secret("absent")],
    )
    .await;
    stalled(
        &world,
        "no-key",
        "CredentialsMissing",
        &[&secret("half"), "authToken"],
    )
    .await;
    stalled(
        &world,
        "wrong",
        "CredentialsInvalid",
        &[&secret("wrong"), "authToken", "20003"],
    )
    .await;
    stalled(
        &world,
        "burki-wrong",
        "CredentialsInvalid",
        &[&secret("burki-wrong"), "apiKey"],
    )
    .await;
    assert_eq!(
        world.attempts().await,
        0,
        "nothing is bought without all credentials"
    );
    for name in ["no-secret", "no-key", "wrong", "burki-wrong"] {
        let shown = serde_json::to_string(&world.number(name).await).unwrap();
        let account = serde_json::to_string(&world.accounts().get(name).await.unwrap()).unwrap();
        assert!(!shown.contains(token) && !account.contains(token), "{name}");
    }

    let right = json!({"accountSid": TWILIO_ACCOUNT, "authToken": "emulator-token"});
    for name in ["absent", "half", "wrong"] {
        world.secret(name, right.clone()).await;
    }
    world
        .secret("burki-wrong", json!({"apiKey": "emulator-burki-key"}))
        .await;
    for name in ["no-secret", "no-key", "wrong", "burki-wrong"] {
        world.until_ready(name).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assistant_is_looked_up_before_money_is_spent() {
    let world = World::new("assistants").await;
    for (name, number, assistant) in [
        ("unknown", "+12125550021", 201),
        ("inactive", "+12125550022", 103),
    ] {
        world
            .create(name, "twilio", number, json!({"assistantId": assistant}))
            .await;
    }
    stalled(&world, "unknown", "AssistantNotFound", &["201"]).await;
    stalled(
        &world,
        "inactive",
        "AssistantInactive",
        &["103", "Switched off"],
    )
    .await;
    let down = json!({"dialect": "burki", "kind": "503", "mentions": "/102"});
    world.emulator.fault(down).await;
    world
        .create(
            "down",
            "twilio",
            "+12125550023",
            json!({"assistantId": 102}),
        )
        .await;
    stalled(&world, "down", "AssistantUnverifiable", &["503"]).await;
    world
        .account_named("no-burki", "twilio", json!({"burki": null}))
        .await;
    let spec = json!({"accountRef": {"name": "no-burki"}, "assistantId": 101});
    world
        .create("no-burki", "twilio", "+12125550024", spec)
        .await;
    stalled(&world, "no-burki", "AssistantUnverifiable", &["spec.burki"]).await;
    assert_eq!(world.attempts().await, 0);

    let post = |id: i64, change: Value| {
        let path = format!("/console/assistants/{id}");
        let emulator = &world.emulator;
        async move { emulator.post(&path, change).await }
    };
    post(201, json!({"key": "emulator-burki-key"})).await;
    post(103, json!({"active": true})).await;
    world.emulator.clear_faults().await;
    let burki =
        json!({"burki": {"url": world.emulator.burki, "credentialsSecretRef": {"name": "burki"}}});
    world.change_account("no-burki", burki).await;
    for name in ["unknown", "inactive", "down", "no-burki"] {
        world.until_ready(name).await;
    }
    assert_eq!(world.attempts().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_probe_serves_all_that_wait_for_an_assistant() {
    let world = World::new("probe").await;
    for at in 0..20 {
        let spec = json!({"assistantId": 103});
        world
            .create(
                &format!("n{at}"),
                "twilio",
                &format!("+121255502{at:02}"),
                spec,
            )
            .await;
    }
    for at in 0..20 {
        world
            .until_reason(&format!("n{at}"), "AssistantInactive")
            .await;
    }
    let asked = || async { world.emulator.requests().await["burki assistant"] };
    let before = asked().await;
    let begun = std::time::Instant::now();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let intervals = begun.elapsed().as_secs() + 1;
    let probes = asked().await - before;
    assert!(probes >= 2, "the assistant is still asked for: {probes}");
    assert!(
        probes <= 2 * intervals,
        "{probes} probes for 20 resources in {intervals} intervals"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_have_a_base_and_connections_are_right_before_money_is_spent() {
    let world = World::new("connections").await;
    world
        .account_named("no-base", "twilio", json!({"webhooks": null}))
        .await;
    world
        .create(
            "no-base",
            "twilio",
            "+12125550031",
            json!({"accountRef": {"name": "no-base"}}),
        )
        .await;
    stalled(
        &world,
        "no-base",
        "WebhookBaseMissing",
        &["no-base", "baseUrl"],
    )
    .await;

    world
        .create("none", "telnyx", "+12125550032", json!({}))
        .await;
    stalled(
        &world,
        "none",
        "ConnectionMissing",
        &["spec.telnyx.connectionId"],
    )
    .await;
    let wrong = json!({"telnyx": {"connectionId": "1"}});
    world.create("wrong", "telnyx", "+12125550033", wrong).await;
    stalled(&world, "wrong", "ConnectionNotFound", &["connection 1."]).await;
    let profile = json!({"telnyx": {"connectionId": CONNECTION, "messagingProfileId": "00000000-0000-4000-8000-0000000000ff"}});
    world
        .create("profile", "telnyx", "+12125550034", profile)
        .await;
    stalled(
        &world,
        "profile",
        "ConnectionNotFound",
        &["messaging profile"],
    )
    .await;
    // An account that only looks (the default) does not change what may serve other numbers.
    world.account_named("looks", "telnyx", json!({})).await;
    let looks = json!({"accountRef": {"name": "looks"}, "telnyx": {"connectionId": CONNECTION, "messagingProfileId": PROFILE}});
    world
        .emulator
        .post(
            &format!("/console/connections/{CONNECTION}"),
            json!({"webhook": "https://old.example.com"}),
        )
        .await;
    // What the other account of the same key saw of the connection is kept for an interval.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    world.create("looks", "telnyx", "+12125550035", looks).await;
    stalled(
        &world,
        "looks",
        "ConnectionWebhookMismatch",
        &[
            "https://old.example.com",
            "https://voice.example.com/telnyx-webhook",
            "Manage",
        ],
    )
    .await;
    assert_eq!(world.attempts().await, 0);

    world
        .change_account(
            "no-base",
            json!({"webhooks": {"baseUrl": "https://voice.example.com"}}),
        )
        .await;
    let right = json!({"webhook": "https://voice.example.com/telnyx-webhook", "apiVersion": "2"});
    for id in [CONNECTION, PROFILE] {
        world
            .emulator
            .post(&format!("/console/connections/{id}"), right.clone())
            .await;
    }
    world
        .change_account("telnyx", json!({"telnyx": {"connectionId": CONNECTION}}))
        .await;
    for name in ["wrong", "profile"] {
        world
            .change(
                name,
                json!({"telnyx": {"connectionId": CONNECTION, "messagingProfileId": PROFILE}}),
            )
            .await;
    }
    for name in ["no-base", "none", "wrong", "profile", "looks"] {
        world.until_ready(name).await;
    }
    let held = world.emulator.number("+12125550035").await;
    assert_eq!(
        (&held["connection_id"], &held["messaging_profile_id"]),
        (&json!(CONNECTION), &json!(PROFILE))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_comes_from_the_resource_the_assistant_the_organization_or_the_account() {
    let world = World::new("precedence").await;
    let second = PROFILE;
    assert_ne!(second, CONNECTION);
    world
        .emulator
        .post("/switches", json!({"burkiConnection": CONNECTION}))
        .await;
    world
        .create(
            "organization",
            "telnyx",
            "+12125550041",
            json!({"assistantId": 102}),
        )
        .await;
    world.until_ready("organization").await;
    world
        .emulator
        .post("/switches", json!({"burkiConnection": "1"}))
        .await;
    world
        .emulator
        .post("/console/assistants/101", json!({"connection": CONNECTION}))
        .await;
    world
        .create(
            "assistant",
            "telnyx",
            "+12125550042",
            json!({"assistantId": 101}),
        )
        .await;
    world.until_ready("assistant").await;
    world
        .emulator
        .post("/console/assistants/101", json!({"connection": "2"}))
        .await;
    let own = json!({"assistantId": 101, "telnyx": {"connectionId": CONNECTION}});
    world.create("own", "telnyx", "+12125550043", own).await;
    world.until_ready("own").await;
    for number in ["+12125550041", "+12125550042", "+12125550043"] {
        assert_eq!(
            world.emulator.number(number).await["connection_id"],
            CONNECTION,
            "{number}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_refuses_is_told_with_its_code_and_not_provoked_again() {
    let world = World::new("refused").await;
    let console = |account: &'static str, change: Value| {
        let emulator = &world.emulator;
        async move {
            emulator
                .post(&format!("/console/accounts/{account}"), change)
                .await
        }
    };
    console(TWILIO_ACCOUNT, json!({"solvent": false})).await;
    // It is Telnyx itself that refuses, where the balance is not told.
    console(
        TELNYX_ACCOUNT,
        json!({"solvent": false, "tellsBalance": false}),
    )
    .await;
    let telnyx = || json!({"telnyx": {"connectionId": CONNECTION}});
    world
        .create("poor", "twilio", "+12125550051", json!({}))
        .await;
    world
        .create("poor-too", "telnyx", "+12125550052", telnyx())
        .await;
    world.until_reason("poor", "InsufficientBalance").await;
    stalled(&world, "poor-too", "InsufficientBalance", &["20100"]).await;
    console(TWILIO_ACCOUNT, json!({"solvent": true})).await;
    console(TELNYX_ACCOUNT, json!({"solvent": true})).await;

    world.create("taken", "twilio", TAKEN, json!({})).await;
    stalled(&world, "taken", "NumberNotAvailable", &["21422"]).await;
    world
        .create("taken-too", "telnyx", "+12125559998", telnyx())
        .await;
    world.until_ready("taken-too").await;
    world
        .create("papers", "twilio", "+493055501001", json!({}))
        .await;
    stalled(&world, "papers", "RegulatoryRequirement", &["21631"]).await;
    world
        .create("papers-too", "telnyx", "+493055501002", telnyx())
        .await;
    stalled(
        &world,
        "papers-too",
        "RegulatoryRequirement",
        &["lacks papers", "requirementGroupId"],
    )
    .await;
    world
        .emulator
        .post("/switches", json!({"ordersFail": true}))
        .await;
    world
        .create("order", "telnyx", "+12125550053", telnyx())
        .await;
    stalled(&world, "order", "OrderFailed", &["refused"]).await;
    world
        .emulator
        .post("/switches", json!({"ordersFail": false}))
        .await;

    let attempts = world.attempts().await;
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(
        world.attempts().await,
        attempts,
        "no refusal is provoked again within 4 intervals"
    );
    // A person who has mended the cause says so by a change of the spec.
    for name in ["poor", "poor-too", "order"] {
        world.change(name, json!({"friendlyName": "again"})).await;
        world.until_ready(name).await;
    }
    for number in ["+12125550051", "+12125550052", "+12125550053"] {
        assert_eq!(world.emulator.purchases(number).await, 1, "{number}");
    }
    world
        .create("trial", "twilio", "+12125550054", json!({"suspend": true}))
        .await;
    console(TWILIO_ACCOUNT, json!({"trial": true})).await;
    world.change("trial", json!({"suspend": false})).await;
    stalled(&world, "trial", "PurchasingNotEnabled", &["21404"]).await;
}
