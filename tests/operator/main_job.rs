//! The main job on a real API server: numbers bought once, set up, kept so, and given back.

use kube::ResourceExt;
use kube::api::PostParams;
use phonenumber_operator::api::{OrderStatus, PhoneNumber, condition};
use serde_json::json;
use test_support::emulator::{CONNECTION, TAKEN, TWILIO_ACCOUNT};
use test_support::objects::merge;
use test_support::world::{World, message, reason, truth, version};

const TWILIO_NUMBER: &str = "+12125550101";
const TELNYX_NUMBER: &str = "+12125550102";

/// Connection of the emulator's default world.
fn telnyx(change: serde_json::Value) -> serde_json::Value {
    let mut spec = json!({"telnyx": {"connectionId": CONNECTION}});
    merge(&mut spec, &change);
    spec
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twilio_number_is_bought_once_set_up_and_assigned() {
    let world = World::new("twilio").await;
    world
        .create(
            "nyc",
            "twilio",
            TWILIO_NUMBER,
            json!({"assistantId": 101, "friendlyName": "NYC"}),
        )
        .await;
    let number = world.until_ready("nyc").await;
    let status = number.status.clone().unwrap();
    let twilio = status.twilio.unwrap();
    assert!(status.id.unwrap().starts_with("PN"));
    assert_eq!(status.account_id.as_deref(), Some(TWILIO_ACCOUNT));
    assert_eq!(status.phone_number.as_deref(), Some(TWILIO_NUMBER));
    assert_eq!(
        twilio.voice_url.as_deref(),
        Some("https://voice.example.com/twiml")
    );
    assert_eq!(
        twilio.sms_url.as_deref(),
        Some("https://voice.example.com/twiml")
    );
    assert!(
        twilio.friendly_name.starts_with("NYC [pn1."),
        "{}",
        twilio.friendly_name
    );
    assert_eq!(status.assistant.unwrap().id, 101);
    for kind in [
        condition::PURCHASED,
        condition::WEBHOOKS_CONFIGURED,
        condition::ASSISTANT_ASSIGNED,
    ] {
        assert_eq!(truth(&number, kind), "True", "{kind}");
    }
    assert_eq!(truth(&number, condition::STALLED), "", "it is not there");
    assert_eq!(world.emulator.purchases(TWILIO_NUMBER).await, 1);
    assert_eq!(world.emulator.assistant_of(TWILIO_NUMBER).await, Some(101));

    world.delete("nyc").await;
    world.until_gone("nyc").await;
    assert_eq!(world.emulator.releases(TWILIO_NUMBER).await, 1);
    assert_eq!(world.emulator.assistant_of(TWILIO_NUMBER).await, None);
}

/// Tools that apply keep notes in annotations, of which no cache of the operator needs all.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_wrote_into_the_metadata_stays() {
    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let world = World::new("metadata").await;
    let metadata = json!({
        "name": "nyc",
        "labels": {"team": "support"},
        "annotations": {LAST_APPLIED: "{}", "example.com/note": "ours"},
        "finalizers": ["example.com/wait"],
    });
    let spec = json!({"provider": "twilio", "phoneNumber": TWILIO_NUMBER});
    let object = json!({"metadata": metadata, "spec": spec});
    let object = serde_json::from_value(object).unwrap();
    let options = PostParams::default();
    world.numbers().create(&options, &object).await.unwrap();
    world.until_ready("nyc").await;
    world.change("nyc", json!({"assistantId": 101})).await;
    let number = world.until_ready("nyc").await;
    let annotations = number.annotations();
    assert_eq!(
        annotations.get(LAST_APPLIED).map(String::as_str),
        Some("{}")
    );
    assert_eq!(annotations["example.com/note"], "ours");
    assert_eq!(number.labels()["team"], "support");
    assert_eq!(number.finalizers().len(), 2, "{:?}", number.finalizers());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_telnyx_number_is_ordered_once_set_up_and_assigned() {
    let world = World::new("telnyx").await;
    world
        .create(
            "nyc",
            "telnyx",
            TELNYX_NUMBER,
            telnyx(json!({"assistantId": 101})),
        )
        .await;
    let number = world.until_ready("nyc").await;
    let status = number.status.clone().unwrap();
    let telnyx = status.telnyx.unwrap();
    assert!(
        status
            .id
            .as_ref()
            .unwrap()
            .bytes()
            .all(|byte| byte.is_ascii_digit()),
        "not an order id: {:?}",
        status.id
    );
    assert_eq!(telnyx.phone_number_id, status.id);
    assert_eq!(telnyx.order_id, status.order_id);
    assert_eq!(telnyx.order_status, Some(OrderStatus::Completed));
    assert_eq!(telnyx.connection_id.as_deref(), Some(CONNECTION));
    assert_eq!(
        telnyx.webhook_url.as_deref(),
        Some("https://voice.example.com/telnyx-webhook")
    );
    assert_eq!(status.assistant.unwrap().id, 101);
    assert_eq!(world.emulator.purchases(TELNYX_NUMBER).await, 1);

    world.delete("nyc").await;
    world.until_gone("nyc").await;
    assert_eq!(world.emulator.releases(TELNYX_NUMBER).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_the_reply_a_number_is_bought_once() {
    let world = World::new("replies").await;
    for (at, fault) in [
        "lost-reply-after-commit",
        "500-after-commit",
        "truncated-body",
        "hang-after-commit",
    ]
    .iter()
    .enumerate()
    {
        for (provider, number) in [
            ("twilio", format!("+1212555021{at}")),
            ("telnyx", format!("+1212555022{at}")),
        ] {
            world.emulator.fault_on_purchase(provider, fault, 1).await;
            let name = format!("{provider}-{at}");
            let spec = if provider == "telnyx" {
                telnyx(json!({}))
            } else {
                json!({})
            };
            world.create(&name, provider, &number, spec).await;
            world.until_ready(&name).await;
            assert_eq!(
                world.emulator.purchases(&number).await,
                1,
                "{provider} {fault}"
            );
            assert_eq!(
                world.emulator.faults_met().await,
                1,
                "{provider} {fault} was met"
            );
            world.emulator.clear_faults().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_killed_in_the_middle_of_a_purchase_buys_nothing_twice() {
    let mut world = World::new("killed").await;
    for (provider, number) in [("twilio", "+12125550301"), ("telnyx", "+12125550302")] {
        world
            .emulator
            .fault_on_purchase(provider, "hang-after-commit", 1)
            .await;
        let spec = if provider == "telnyx" {
            telnyx(json!({}))
        } else {
            json!({})
        };
        world.create(provider, provider, number, spec).await;
        world.until_purchased(number).await;
        world.kill_operator();
        assert!(
            world.number(provider).await.status.unwrap().id.is_none(),
            "killed before it could write it down"
        );
        world.emulator.clear_faults().await;
        world.start_operator();
        world.until_ready(provider).await;
        assert_eq!(world.emulator.purchases(number).await, 1, "{provider}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_somebody_else_in_the_account_is_left_alone() {
    let world = World::new("others").await;
    for (provider, number) in [("twilio", "+12125550401"), ("telnyx", "+12125550402")] {
        world.bought_by_somebody_else(provider, number).await;
        let before = world.emulator.number(number).await;
        let spec = if provider == "telnyx" {
            telnyx(json!({}))
        } else {
            json!({})
        };
        world.create(provider, provider, number, spec).await;
        world.until_reason(provider, "AlreadyOwned").await;
        assert_eq!(world.emulator.number(number).await, before);
        world.delete(provider).await;
        world.until_gone(provider).await;
        assert_eq!(world.emulator.number(number).await, before);
        assert_eq!(world.emulator.releases(number).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_changed_hands_is_neither_repaired_nor_released() {
    let world = World::new("hands").await;
    world
        .create("nyc", "twilio", "+12125550411", json!({}))
        .await;
    world.until_ready("nyc").await;
    world.emulator.edit("+12125550411", json!({"friendly_name": "x [pn1.aaaaaa.bbbbbbbbbbbbb]", "voice_url": "https://x.example.com"})).await;
    world.until_reason("nyc", "OwnedByAnother").await;
    let before = world.emulator.number("+12125550411").await;
    world.delete("nyc").await;
    world.until_gone("nyc").await;
    assert_eq!(world.emulator.number("+12125550411").await, before);
    assert_eq!(world.emulator.releases("+12125550411").await, 0);
    world.until_event("nyc", "NotOwned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_at_the_provider_is_repaired() {
    let world = World::new("drift").await;
    world
        .create("nyc", "twilio", "+12125550501", json!({}))
        .await;
    world.until_ready("nyc").await;
    let wanted = world.emulator.number("+12125550501").await;
    for edit in [
        json!({"voice_url": "https://elsewhere.example.com"}),
        json!({"sms_url": ""}),
        json!({"friendly_name": "renamed in the console"}),
    ] {
        world.emulator.edit("+12125550501", edit.clone()).await;
        world.until_company_sees("+12125550501", &wanted).await;
    }
    world
        .create("tel", "telnyx", "+12125550502", telnyx(json!({})))
        .await;
    world.until_ready("tel").await;
    let wanted = world.emulator.number("+12125550502").await;
    world
        .emulator
        .edit("+12125550502", json!({"connection_id": ""}))
        .await;
    world.until_company_sees("+12125550502", &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_assistant_is_a_reassignment_and_never_a_purchase() {
    let world = World::new("reassign").await;
    world
        .create("nyc", "twilio", "+12125550601", json!({"assistantId": 101}))
        .await;
    world.until_ready("nyc").await;
    world.change("nyc", json!({"assistantId": 102})).await;
    let number = world.until_ready("nyc").await;
    assert_eq!(number.status.unwrap().assistant.unwrap().id, 102);
    assert_eq!(world.emulator.assistant_of("+12125550601").await, Some(102));
    world.change("nyc", json!({"assistantId": null})).await;
    let number = world.until_ready("nyc").await;
    assert!(number.status.unwrap().assistant.is_none());
    assert_eq!(world.emulator.assistant_of("+12125550601").await, None);
    assert_eq!(world.emulator.purchases("+12125550601").await, 1);
}

/// Does a condition of this number say so?
fn says_suspended(number: &PhoneNumber) -> bool {
    let mut conditions = number.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|found| found.reason == "Suspended")
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_numbers_are_not_written_to() {
    let world = World::new("suspend").await;
    world
        .create("new", "twilio", "+12125550701", json!({"suspend": true}))
        .await;
    world.until("new", "Suspended", says_suspended).await;
    assert_eq!(world.emulator.purchases("+12125550701").await, 0);
    world.change("new", json!({"suspend": false})).await;
    world.until_ready("new").await;
    world.change("new", json!({"suspend": true})).await;
    let suspended = world.until("new", "Suspended", says_suspended).await;
    assert_eq!(
        truth(&suspended, condition::READY),
        "True",
        "Ready keeps its status"
    );
    world
        .emulator
        .edit(
            "+12125550701",
            json!({"voice_url": "https://elsewhere.example.com"}),
        )
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        world.emulator.number("+12125550701").await["voice_url"],
        "https://elsewhere.example.com"
    );
    world.delete("new").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        world.emulator.releases("+12125550701").await,
        0,
        "a deletion of a suspended number waits"
    );
    world.change("new", json!({"suspend": false})).await;
    world.until_gone("new").await;
    assert_eq!(world.emulator.releases("+12125550701").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_number_is_never_released_and_a_retained_one_stays() {
    let world = World::new("protect").await;
    world
        .create(
            "kept",
            "twilio",
            "+12125550801",
            json!({"deletionProtection": true}),
        )
        .await;
    world.until_ready("kept").await;
    world.delete("kept").await;
    let number = world.until_reason("kept", "ReleaseProtected").await;
    assert!(
        message(&number).contains("deletionProtection"),
        "{}",
        message(&number)
    );
    assert_eq!(world.emulator.releases("+12125550801").await, 0);
    world
        .change("kept", json!({"deletionPolicy": "Retain"}))
        .await;
    world.until_gone("kept").await;
    assert_eq!(world.emulator.releases("+12125550801").await, 0);

    world
        .create("kept", "twilio", "+12125550801", json!({}))
        .await;
    world.until_ready("kept").await;
    assert_eq!(
        world.emulator.purchases("+12125550801").await,
        1,
        "what was retained is taken up again"
    );
    world.delete("kept").await;
    world.until_gone("kept").await;
    assert_eq!(world.emulator.releases("+12125550801").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nothing_changes_nothing_is_written() {
    let world = World::new("quiet").await;
    world
        .create("nyc", "twilio", "+12125550901", json!({"assistantId": 101}))
        .await;
    world.create("taken", "twilio", TAKEN, json!({})).await;
    let ready = world.until_ready("nyc").await;
    let taken = world.until_reason("taken", "NumberNotAvailable").await;
    let (writes, attempts) = (world.effects().await, world.attempts().await);
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(
        version(&world.number("nyc").await),
        version(&ready),
        "no write to the API server in 5 intervals"
    );
    assert_eq!(version(&world.number("taken").await), version(&taken));
    assert_eq!(
        world.effects().await,
        writes,
        "no write at the provider in 5 intervals"
    );
    assert_eq!(
        world.attempts().await,
        attempts,
        "a number that is not on sale is not asked for again and again"
    );
    assert_eq!(reason(&world.number("nyc").await), "Ready");
}
