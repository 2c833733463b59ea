//! Numbers that are wanted by what they are to be like.

use std::collections::BTreeSet;

use phonenumber_operator::api::condition;
use serde_json::{Value, json};
use test_support::world::{World, held, message, truth};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_equal_searches_bring_fifty_numbers_by_a_few_requests() {
    let mut world = World::new("fifty").await;
    for (provider, count) in [("twilio", 50), ("telnyx", 30)] {
        // They are there at once, as after a merge.
        world.kill_operator();
        for at in 0..count {
            let search = json!({"country": "US", "areaCode": "212"});
            let name = format!("{provider}{at}");
            world
                .create_wanting(&name, provider, search, telnyx(provider))
                .await;
        }
        let searches = format!("{provider} search");
        let before = world.asked(&searches).await;
        world.start_operator();
        let mut numbers = BTreeSet::new();
        for at in 0..count {
            let number = held(&world.until_ready(&format!("{provider}{at}")).await);
            assert!(number.starts_with("+1212"), "{number}");
            assert_eq!(world.emulator.purchases(&number).await, 1, "{number}");
            assert!(numbers.insert(number.clone()), "{number} twice");
        }
        let asked = world.asked(&searches).await - before;
        assert!((1..=5).contains(&asked), "{asked} searches at {provider}");
        let bought: BTreeSet<_> = world.bought().await.into_iter().collect();
        assert!(numbers.is_subset(&bought));
        let attempts = world.asked(&format!("{provider} buy")).await;
        assert_eq!(attempts, count, "each was bought at the first attempt");
    }
    assert_eq!(world.bought().await.len(), 80);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_as_it_is_wanted_in_every_point() {
    let world = World::new("criteria").await;
    // What Telnyx shows besides is never bought.
    world
        .emulator
        .post("/switches", json!({"bestEffort": true}))
        .await;
    let table = [
        (json!({"country": "US", "areaCode": "315"}), "+1315", ""),
        (
            json!({"country": "US", "areaCode": "617", "contains": "0777"}),
            "+1617",
            "0777",
        ),
        (json!({"country": "US", "locality": "Boston"}), "+1617", ""),
        (json!({"country": "US", "region": "CA"}), "+1415", ""),
        (json!({"country": "US", "type": "tollFree"}), "+18", ""),
        (json!({"country": "GB", "type": "mobile"}), "+447", ""),
        (
            json!({"country": "GB", "areaCode": "161", "capabilities": ["voice"]}),
            "+44161",
            "",
        ),
        (
            json!({"country": "CA", "capabilities": ["voice", "sms", "mms"]}),
            "+1",
            "",
        ),
    ];
    for provider in ["twilio", "telnyx"] {
        for (at, (search, ..)) in table.iter().enumerate() {
            world
                .create_wanting(
                    &format!("{provider}{at}"),
                    provider,
                    search.clone(),
                    telnyx(provider),
                )
                .await;
        }
    }
    for provider in ["twilio", "telnyx"] {
        for (at, (search, begin, part)) in table.iter().enumerate() {
            let number = held(&world.until_ready(&format!("{provider}{at}")).await);
            assert!(number.starts_with(begin), "{provider} {search}: {number}");
            assert!(number.contains(part), "{provider} {search}: {number}");
        }
    }
    assert_eq!(world.bought().await.len(), 2 * table.len());
}

fn telnyx(provider: &str) -> Value {
    match provider {
        "telnyx" => json!({"telnyx": {"connectionId": test_support::emulator::CONNECTION}}),
        _ => json!({}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_is_never_widened() {
    let world = World::new("widened").await;
    world
        .emulator
        .post("/switches", json!({"bestEffort": true}))
        .await;
    let table = [
        json!({"country": "US", "type": "mobile"}),
        json!({"country": "US", "capabilities": ["voice", "fax"]}),
        json!({"country": "US", "areaCode": "212", "locality": "Boston"}),
        json!({"country": "GB", "areaCode": "161", "capabilities": ["voice", "sms"]}),
        json!({"country": "IS"}),
    ];
    for provider in ["twilio", "telnyx"] {
        for (at, search) in table.iter().enumerate() {
            let name = format!("{provider}{at}");
            world
                .create_wanting(&name, provider, search.clone(), telnyx(provider))
                .await;
            let number = world.until_reason(&name, "NoNumbersFound").await;
            assert_eq!(truth(&number, condition::RECONCILING), "True", "{search}");
            assert_eq!(truth(&number, condition::STALLED), "", "{search}");
            assert_eq!(held(&number), "", "{search}");
        }
    }
    assert_eq!(world.attempts().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_was_refused_is_replaced() {
    let world = World::new("replaced").await;
    world
        .emulator
        .post("/switches", json!({"soldMeanwhile": 3}))
        .await;
    world
        .create_wanting(
            "wanted",
            "twilio",
            json!({"country": "US", "areaCode": "212"}),
            json!({}),
        )
        .await;
    let number = held(&world.until_ready("wanted").await);
    assert_eq!(world.bought().await, [number]);
    assert_eq!(
        world.attempts().await,
        4,
        "three were sold to others meanwhile"
    );
    assert_eq!(
        world.asked("twilio search").await,
        1,
        "one page had them all"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_may_have_been_bought_is_not_replaced() {
    for (provider, kind) in [
        ("twilio", "lost-reply-after-commit"),
        ("twilio", "drop-before-commit"),
        ("telnyx", "lost-reply-after-commit"),
        ("telnyx", "drop-before-commit"),
    ] {
        let world = World::new("doubtful").await;
        world.emulator.fault_on_purchase(provider, kind, 1).await;
        world
            .create_wanting(
                "wanted",
                provider,
                json!({"country": "US"}),
                telnyx(provider),
            )
            .await;
        world
            .until_company("the purchase", async |company| {
                company.faults_met().await == 1
            })
            .await;
        let claimed = claimed(&world).await;
        let number = held(&world.until_ready("wanted").await);
        assert_eq!(number, claimed, "{provider} {kind}");
        assert_eq!(world.bought().await, [number], "{provider} {kind}");
    }
}

/// The number that `wanted` is pinned to.
async fn claimed(world: &World) -> String {
    let number = world.number("wanted").await;
    let annotations = number.metadata.annotations.unwrap();
    let claim: Value = serde_json::from_str(&annotations["telephony.burki.dev/claim"]).unwrap();
    claim["number"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_claimed_before_it_is_bought_and_stays_so_over_a_kill() {
    let mut world = World::new("pinned").await;
    // Nothing takes place, and no answer comes.
    world.emulator.fault_on_purchase("twilio", "hang", 1).await;
    world
        .create_wanting("wanted", "twilio", json!({"country": "US"}), json!({}))
        .await;
    world
        .until_company("the purchase", async |company| {
            company.faults_met().await == 1
        })
        .await;
    let claimed = claimed(&world).await;
    assert_eq!(world.bought().await.len(), 0);
    world.kill_operator();
    world.start_operator();
    let number = held(&world.until_ready("wanted").await);
    assert_eq!(number, claimed, "another number may be the second");
    assert_eq!(world.bought().await, [number]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_found_nothing_tells_what_it_wants_and_when_it_tries_again() {
    let world = World::new("nothing").await;
    world
        .create_wanting(
            "wanted",
            "twilio",
            json!({"country": "US", "type": "mobile"}),
            json!({}),
        )
        .await;
    let number = world.until_reason("wanted", "NoNumbersFound").await;
    assert!(
        message(&number).contains("10 minutes"),
        "{}",
        message(&number)
    );
    let asked = world.asked("twilio search").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(
        world.asked("twilio search").await,
        asked,
        "it is not asked all the time"
    );
    world.delete("wanted").await;
    world.until_gone("wanted").await;
    assert_eq!(world.attempts().await, 0);
}
