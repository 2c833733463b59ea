//! What an account may buy, release, hold and spend, and how it is asked.

use std::time::{Duration, Instant};

use phonenumber_operator::api::{PhoneNumber, condition};
use serde_json::json;
use test_support::emulator::CONNECTION;
use test_support::world::{World, message, reason, truth};

/// The names of the numbers in `names` that are Ready, once all of them are Ready or have this reason.
async fn ready_or(world: &World, names: &[String], wanted: &str) -> Vec<String> {
    let mut ready = Vec::new();
    for name in names {
        let settled = |number: &PhoneNumber| ["Ready", wanted].contains(&reason(number).as_str());
        let number = world.until(name, wanted, settled).await;
        if reason(&number) == "Ready" {
            ready.push(name.clone());
        }
    }
    ready
}

async fn create(world: &World, names: &[String], area: &str) {
    for (at, name) in names.iter().enumerate() {
        world
            .create(name, "twilio", &format!("+1212{area}{at:04}"), json!({}))
            .await;
    }
}

fn names(word: &str, count: usize) -> Vec<String> {
    (0..count).map(|at| format!("{word}{at}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_lets_so_many_purchases_through_in_an_hour_and_no_more() {
    let mut world = World::alone("quota", &[]).await;
    world
        .change_account("twilio", json!({"limits": {"purchasesPerHour": 3}}))
        .await;
    let all = names("n", 5);
    create(&world, &all, "601").await;
    let ready = ready_or(&world, &all, "LimitReached").await;
    assert_eq!(ready.len(), 3);
    assert_eq!(world.bought().await.len(), 3);
    let waiting = all.iter().find(|name| !ready.contains(name)).unwrap();
    let number = world.number(waiting).await;
    let said = message(&number);
    for word in [
        "3 numbers were bought",
        "3 may be",
        "purchasesPerHour",
        "may be bought at ",
        " UTC.",
    ] {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }
    assert_eq!(
        truth(&number, condition::RECONCILING),
        "True",
        "it waits, and needs nobody"
    );

    // What is counted outlives the process that counted it.
    world.kill_operator();
    world.start_operator();
    let more = names("more", 2);
    create(&world, &more, "602").await;
    assert_eq!(ready_or(&world, &more, "LimitReached").await.len(), 0);
    assert_eq!(world.bought().await.len(), 3);

    world
        .change_account("twilio", json!({"limits": {"purchasesPerHour": 100}}))
        .await;
    for name in all.iter().chain(&more) {
        world.until_ready(name).await;
    }
    assert_eq!(world.bought().await.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_never_counted_too_low_over_kills() {
    let mut world = World::alone("quota-kill", &[]).await;
    // Two are taken at once, and what a killed process took and did not use stays counted.
    world
        .change_account("twilio", json!({"limits": {"purchasesPerHour": 20}}))
        .await;
    for at in 0..3 {
        let name = format!("first{at}");
        world
            .create(&name, "twilio", &format!("+1212603100{at}"), json!({}))
            .await;
        world.until_ready(&name).await;
        world.kill_operator();
        world.start_operator();
    }
    let all = names("n", 20);
    create(&world, &all, "603").await;
    let ready = ready_or(&world, &all, "LimitReached").await.len();
    assert!((14..=17).contains(&ready), "{ready}");
    assert_eq!(world.bought().await.len(), 3 + ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_certainly_not_bought_is_not_counted() {
    let world = World::alone("quota-refused", &[]).await;
    world
        .change_account("twilio", json!({"limits": {"purchasesPerHour": 1}}))
        .await;
    for at in 0..3 {
        let name = format!("taken{at}");
        world
            .create(&name, "twilio", &format!("+1212604{at}9999"), json!({}))
            .await;
        world.until_reason(&name, "NumberNotAvailable").await;
    }
    create(&world, &names("n", 1), "604").await;
    world.until_ready("n0").await;
    create(&world, &names("m", 1), "605").await;
    world.until_reason("m0", "LimitReached").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_have_a_quota_of_their_own() {
    let world = World::alone("releases", &[]).await;
    world
        .change_account("twilio", json!({"limits": {"releasesPerHour": 2}}))
        .await;
    let all = names("n", 4);
    create(&world, &all, "606").await;
    for name in &all {
        world.until_ready(name).await;
    }
    for name in &all {
        world.delete(name).await;
    }
    let released = async || {
        let ledger = world.emulator.ledger().await;
        ledger
            .iter()
            .filter(|entry| entry["deed"] == "release")
            .count()
    };
    world
        .until_company("two releases", async |_| released().await == 2)
        .await;
    let mut waiting = Vec::new();
    for name in &all {
        let numbers = world.numbers();
        let begun = Instant::now();
        while let Some(number) = numbers.get_opt(name).await.unwrap() {
            if reason(&number) == "ReleaseLimitReached" {
                let said = message(&number);
                assert!(
                    said.contains("2 numbers were released") && said.contains("releasesPerHour"),
                    "{said}"
                );
                waiting.push(name);
                break;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{:?}",
                number.status
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    assert_eq!((waiting.len(), released().await), (2, 2));
    world
        .change_account("twilio", json!({"limits": {"releasesPerHour": 10}}))
        .await;
    for name in waiting {
        world.until_gone(name).await;
    }
    assert_eq!(released().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_open_one_account_share_its_quota_and_the_lowest_limit_holds() {
    let other = format!("other-{:x}", rand::random::<u32>());
    let world = World::alone("shared", &["--watch-namespace", &other]).await;
    world.create_namespace(&other, json!({})).await;
    let elsewhere = world.in_other_namespace(&other);
    let secret = json!({"accountSid": world.twilio, "authToken": "emulator-token"});
    elsewhere.secret("twilio", secret).await;
    elsewhere
        .secret("burki", json!({"apiKey": "emulator-burki-key"}))
        .await;
    elsewhere
        .account("twilio", json!({"limits": {"purchasesPerHour": 2}}))
        .await;
    for one in [&world, &elsewhere] {
        one.until_account("twilio", |account| {
            account["status"]["accountId"].is_string()
        })
        .await;
    }
    create(&elsewhere, &names("n", 1), "607").await;
    elsewhere.until_ready("n0").await;
    let all = names("n", 2);
    create(&world, &all, "608").await;
    assert_eq!(ready_or(&world, &all, "LimitReached").await.len(), 1);
    create(&elsewhere, &names("m", 1), "609").await;
    elsewhere.until_reason("m0", "LimitReached").await;
    assert_eq!(world.bought().await.len(), 2, "whoever buys them");

    // The limit that stands in the way is raised in the other namespace.
    elsewhere
        .change_account("twilio", json!({"limits": {"purchasesPerHour": 50}}))
        .await;
    for name in &all {
        world.until_ready(name).await;
    }
    elsewhere.until_ready("m0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_may_not_hold_is_not_bought_until_it_may() {
    let world = World::alone("may-not", &[]).await;
    world
        .bought_by_somebody_else("twilio", "+12126100000")
        .await;
    world
        .until_account("twilio", |account| account["status"]["unmanaged"] == 1)
        .await;
    let usd = |amount: &str| json!({"amount": amount, "currency": "USD"});
    let wanted = json!({"country": "US", "areaCode": "212"});
    let table = [
        ("maxNumbers", json!(1), json!(null)),
        ("maxMonthlyCost", usd("0.50"), json!(null)),
        ("maxMonthlyCost", usd("0.50"), usd("1000")),
        ("allowedCountries", json!(["GB", "CA"]), json!(["US"])),
        (
            "allowedTypes",
            json!(["tollFree"]),
            json!(["tollFree", "local"]),
        ),
        ("maxNumbers", json!(0), json!(50)),
    ];
    for (at, (limit, low, high)) in table.iter().enumerate() {
        world
            .change_account("twilio", json!({"limits": {*limit: low}}))
            .await;
        let before = world.attempts().await;
        let (exact, search) = (format!("exact{at}"), format!("search{at}"));
        world
            .create(&exact, "twilio", &format!("+1212611000{at}"), json!({}))
            .await;
        world
            .create_wanting(&search, "twilio", wanted.clone(), json!({}))
            .await;
        for name in [&exact, &search] {
            let number = world.until_reason(name, "LimitReached").await;
            let said = message(&number);
            assert!(said.contains(limit), "{limit}: {said}");
            assert!(said.contains("This goes on when"), "{limit}: {said}");
        }
        assert_eq!(world.attempts().await, before, "{limit}");
        world
            .change_account("twilio", json!({"limits": {*limit: high}}))
            .await;
        for name in [&exact, &search] {
            world.until_ready(name).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_never_pass_a_limit() {
    for (limit, value, most) in [
        ("maxNumbers", json!(4), 4),
        (
            "maxMonthlyCost",
            json!({"amount": "3.50", "currency": "USD"}),
            3,
        ),
    ] {
        let mut world = World::alone("at-once", &[]).await;
        world
            .change_account("twilio", json!({"limits": {limit: value}}))
            .await;
        world.kill_operator();
        let all = names("n", 12);
        create(&world, &all, "612").await;
        world.start_operator();
        assert_eq!(
            ready_or(&world, &all, "LimitReached").await.len(),
            most,
            "{limit}"
        );
        assert_eq!(world.bought().await.len(), most, "{limit}");
    }
}

/// The most requests that ran at once on a side.
async fn most_in_flight(world: &World, side: &str) -> u64 {
    world.emulator.get("/requests").await["inFlight"][side][1]
        .as_u64()
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_run_at_once_than_may() {
    let mut world = World::alone("in-flight", &[]).await;
    world.kill_operator();
    world
        .emulator
        .post("/switches", json!({"latencyMs": 60, "orderMs": 0}))
        .await;
    for provider in ["twilio", "telnyx"] {
        let limits = json!({"limits": {"maxConcurrentRequests": 2}});
        world.change_account(provider, limits).await;
    }
    create(&world, &names("n", 24), "613").await;
    for at in 0..12 {
        let number = format!("+161755513{at:02}");
        let telnyx = json!({"telnyx": {"connectionId": CONNECTION}});
        world
            .create(&format!("t{at}"), "telnyx", &number, telnyx)
            .await;
    }
    let before = [
        most_in_flight(&world, "twilio").await,
        most_in_flight(&world, "telnyx").await,
    ];
    world.start_operator();
    for at in 0..24 {
        world.until_ready(&format!("n{at}")).await;
    }
    for at in 0..12 {
        world.until_ready(&format!("t{at}")).await;
    }
    for (side, before) in ["twilio", "telnyx"].into_iter().zip(before) {
        let most = most_in_flight(&world, side).await;
        assert!(most <= before.max(2), "{most} at {side}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_slows_the_account_that_it_came_from_for_as_long_as_it_says() {
    let world = World::alone("slow-down", &[]).await;
    world
        .until_account("twilio", |account| account["status"]["managed"] == 0)
        .await;
    let slow = json!({"dialect": "twilio", "kind": "429", "seconds": 5, "times": 1});
    world.emulator.fault(slow).await;
    world
        .until_company("the 429", async |company| company.faults_met().await == 1)
        .await;
    // What was under way when it came may still arrive.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let total = async || -> u64 {
        let requests = world.emulator.requests().await;
        let twilio = requests
            .iter()
            .filter(|(name, _)| name.starts_with("twilio "));
        twilio.map(|(_, count)| count).sum()
    };
    let before = total().await;
    let begun = Instant::now();
    create(&world, &names("n", 3), "614").await;
    let telnyx = json!({"telnyx": {"connectionId": CONNECTION}});
    world.create("free", "telnyx", "+16175551400", telnyx).await;
    while begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(total().await, before, "{:?} later", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    world.until_ready("free").await;
    for at in 0..3 {
        world.until_ready(&format!("n{at}")).await;
    }
}
