//! What is waited for: a provider that is down, an order, another resource, a release that is refused.

use phonenumber_operator::api::condition;
use serde_json::json;
use test_support::emulator::CONNECTION;
use test_support::world::{World, reason, truth};

use crate::reasons::stalled;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_or_busy_is_waited_for() {
    let world = World::new("down").await;
    let fault = |kind: &str, mentions: &str| json!({"dialect": "twilio", "operation": "list", "kind": kind, "mentions": mentions, "times": 3});
    world.emulator.fault(fault("503", "12125550061")).await;
    world
        .create("down", "twilio", "+12125550061", json!({}))
        .await;
    let number = world.until_reason("down", "ProviderUnavailable").await;
    assert_eq!(
        truth(&number, condition::RECONCILING),
        "True",
        "it goes on by itself"
    );
    assert_eq!(truth(&number, condition::STALLED), "", "it is not there");
    world.until_ready("down").await;
    world.emulator.fault(fault("429", "12125550062")).await;
    world
        .create("busy", "twilio", "+12125550062", json!({}))
        .await;
    world.until_reason("busy", "RateLimited").await;
    world.until_ready("busy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_time_is_told_meanwhile() {
    let world = World::new("time").await;
    world
        .emulator
        .post("/switches", json!({"orderMs": 3000}))
        .await;
    world
        .create(
            "order",
            "telnyx",
            "+12125550071",
            json!({"telnyx": {"connectionId": CONNECTION}}),
        )
        .await;
    let number = world.until_reason("order", "OrderPending").await;
    assert_eq!(truth(&number, condition::RECONCILING), "True");
    assert!(
        number.status.unwrap().order_id.is_some(),
        "the order is written down while it is pending"
    );
    world.until_ready("order").await;

    world.emulator.fault_on_purchase("twilio", "hang", 1).await;
    world
        .create("slow", "twilio", "+12125550072", json!({}))
        .await;
    world.until_reason("slow", "Verifying").await;
    world.until_ready("slow").await;
    assert_eq!(world.emulator.purchases("+12125550072").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_declare_one_number_the_older_gets_it() {
    let world = World::new("rivals").await;
    world
        .create("older", "twilio", "+12125550081", json!({}))
        .await;
    world.until_ready("older").await;
    world
        .create("younger", "twilio", "+12125550081", json!({}))
        .await;
    let older = format!("{}/older", world.namespace);
    stalled(
        &world,
        "younger",
        "ClaimedByAnother",
        &[&older, "+12125550081"],
    )
    .await;
    assert_eq!(world.attempts().await, 1);
    // Who is suspended while nothing is held keeps nobody from it.
    world.change("younger", json!({"suspend": true})).await;
    world
        .create("third", "twilio", "+12125550081", json!({}))
        .await;
    stalled(&world, "third", "ClaimedByAnother", &[&older]).await;
    world.delete("older").await;
    world.until_gone("older").await;
    // Nobody has it any more, so it is asked for; what was just released may not be on sale yet.
    world
        .until("third", "free to buy it", |number| {
            reason(number) != "ClaimedByAnother"
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_the_provider_refuses_is_told_and_tried_again() {
    let world = World::new("locked").await;
    world
        .create("locked", "twilio", "+12125550095", json!({}))
        .await;
    world.until_ready("locked").await;
    world
        .emulator
        .edit("+12125550095", json!({"locked": true}))
        .await;
    world.delete("locked").await;
    let told = ["emergency address must be removed", "Retain"];
    stalled(&world, "locked", "ReleaseBlocked", &told).await;
    world
        .emulator
        .edit("+12125550095", json!({"locked": false}))
        .await;
    // A person who has removed the cause need not wait half an hour.
    world
        .change("locked", json!({"friendlyName": "again"}))
        .await;
    world.until_gone("locked").await;
    assert_eq!(world.emulator.releases("+12125550095").await, 1);
}
