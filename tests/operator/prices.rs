//! What numbers cost, and what they may cost.

use std::time::Duration;

use phonenumber_operator::api::condition;
use serde_json::{Value, json};
use test_support::emulator::{CONNECTION, TELNYX_ACCOUNT, TWILIO_ACCOUNT};
use test_support::world::{World, message, reason, truth};

fn telnyx(provider: &str) -> Value {
    match provider {
        "telnyx" => json!({"telnyx": {"connectionId": CONNECTION}}),
        _ => json!({}),
    }
}

/// Creates a number by its digits and one by a search.
async fn create_two(world: &World, provider: &str, number: &str, most: Value) {
    let mut change = telnyx(provider);
    change["maxMonthlyCost"] = most;
    world
        .create(
            &format!("{provider}-exact"),
            provider,
            number,
            change.clone(),
        )
        .await;
    // Both companies sell from one stock here: neither search takes a number from the other.
    let area = match provider {
        "telnyx" => "617",
        _ => "415",
    };
    let search = json!({"country": "US", "areaCode": area});
    world
        .create_wanting(&format!("{provider}-search"), provider, search, change)
        .await;
}

const NUMBERS: [(&str, &str); 2] = [("twilio", "+12125556101"), ("telnyx", "+12125556102")];

async fn names() -> [String; 4] {
    [
        "twilio-exact",
        "twilio-search",
        "telnyx-exact",
        "telnyx-search",
    ]
    .map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_says_what_it_costs() {
    let world = World::new("costs").await;
    for (provider, number) in NUMBERS {
        create_two(
            &world,
            provider,
            number,
            json!({"amount": "1.15", "currency": "USD"}),
        )
        .await;
    }
    let free = json!({"country": "US", "type": "tollFree"});
    world
        .create_wanting("free", "twilio", free, json!({}))
        .await;
    for (name, monthly, upfront) in [
        ("twilio-exact", "1.15", "0"),
        ("twilio-search", "1.15", "0"),
        ("telnyx-exact", "1", "1"),
        ("telnyx-search", "1", "1"),
        ("free", "2.15", "0"),
    ] {
        let cost = world.until_ready(name).await.status.unwrap().cost.unwrap();
        let shown = (
            cost.monthly.as_str(),
            cost.upfront.as_str(),
            cost.currency.as_str(),
        );
        assert_eq!(shown, (monthly, upfront, "USD"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_too_much_is_not_bought_until_it_may_cost_that() {
    let world = World::new("too-dear").await;
    world
        .emulator
        .post("/switches", json!({"monthlyPrice": "2.01"}))
        .await;
    for (provider, number) in NUMBERS {
        create_two(
            &world,
            provider,
            number,
            json!({"amount": "2.00", "currency": "USD"}),
        )
        .await;
    }
    for name in names().await {
        let number = world.until_reason(&name, "CostLimitExceeded").await;
        let said = message(&number);
        assert!(
            said.contains("2.01 USD") && said.contains("maxMonthlyCost of 2."),
            "{name}: {said}"
        );
        assert!(said.contains("maxMonthlyCost"), "{name}: {said}");
        assert_eq!(truth(&number, condition::STALLED), "True", "{name}");
        let annotations = number.metadata.annotations.unwrap_or_default();
        assert!(
            !annotations.contains_key("telephony.burki.dev/claim"),
            "{name}"
        );
    }
    assert_eq!(world.attempts().await, 0);
    for name in names().await {
        world
            .change(&name, json!({"maxMonthlyCost": {"amount": "2.01"}}))
            .await;
    }
    for name in names().await {
        let number = world.until_ready(&name).await;
        assert_eq!(
            number.status.unwrap().cost.unwrap().monthly,
            "2.01",
            "{name}"
        );
    }
    assert_eq!(world.attempts().await, 4);
}

/// Telnyx asks a dollar for each number, once.
#[tokio::test(flavor = "multi_thread")]
async fn what_costs_too_much_once_is_not_bought_until_it_may_cost_that() {
    let world = World::new("too-dear-once").await;
    let most = |amount: &str| json!({"maxUpfrontCost": {"amount": amount, "currency": "USD"}});
    let number_with = |amount: &str| {
        let mut change = telnyx("telnyx");
        change["maxUpfrontCost"] = most(amount)["maxUpfrontCost"].clone();
        change
    };
    let (search, number) = (json!({"country": "US", "areaCode": "617"}), "+16175556101");
    world
        .create("exact", "telnyx", number, number_with("0.99"))
        .await;
    world
        .create_wanting("any", "telnyx", search, number_with("0.99"))
        .await;
    for name in ["exact", "any"] {
        let number = world.until_reason(name, "CostLimitExceeded").await;
        let said = message(&number);
        assert!(
            said.contains("The setup fee of") && said.contains("1 USD"),
            "{said}"
        );
        assert!(said.contains("spec.maxUpfrontCost of 0.99"), "{said}");
    }
    assert_eq!(world.attempts().await, 0);
    world
        .change_account("telnyx", json!({"limits": most("0.5")}))
        .await;
    for name in ["exact", "any"] {
        world.change(name, most("1")).await;
        let number = world.until_reason(name, "LimitReached").await;
        let said = message(&number);
        assert!(said.contains("spec.limits.maxUpfrontCost"), "{said}");
    }
    assert_eq!(world.attempts().await, 0);
    world
        .change_account("telnyx", json!({"limits": most("1.00")}))
        .await;
    for name in ["exact", "any"] {
        world.until_ready(name).await;
    }
    assert_eq!(world.attempts().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_that_cannot_be_compared_is_not_paid() {
    for (case, switches, words) in [
        (
            "unknown",
            json!({"pricesUnknown": true}),
            ["no price", "maxMonthlyCost"],
        ),
        ("currency", json!({"currency": "EUR"}), ["EUR", "USD"]),
    ] {
        let world = World::new(case).await;
        world.emulator.post("/switches", switches).await;
        for (provider, number) in NUMBERS {
            create_two(
                &world,
                provider,
                number,
                json!({"amount": "99.00", "currency": "USD"}),
            )
            .await;
        }
        for name in names().await {
            let number = world.until_reason(&name, "PriceUnknown").await;
            let said = message(&number);
            assert!(
                words.iter().all(|word| said.contains(word)),
                "{case} {name}: {said}"
            );
        }
        assert_eq!(world.attempts().await, 0, "{case}");
        // Where nothing is limited, nothing depends on the price.
        for name in names().await {
            world.change(&name, json!({"maxMonthlyCost": null})).await;
        }
        for name in names().await {
            world.until_ready(&name).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twilios_price_list_is_read_once_for_each_country_and_type() {
    let world = World::alone("price-list", &[]).await;
    for at in 0..6 {
        let number = format!("+1212555620{at}");
        world
            .create(&format!("exact{at}"), "twilio", &number, json!({}))
            .await;
        let search = json!({"country": "US", "areaCode": "212"});
        world
            .create_wanting(&format!("search{at}"), "twilio", search, json!({}))
            .await;
    }
    for at in 0..6 {
        world.until_ready(&format!("exact{at}")).await;
        world.until_ready(&format!("search{at}")).await;
    }
    assert_eq!(world.asked("twilio pricing").await, 1);
    let free = json!({"country": "US", "type": "tollFree"});
    world
        .create_wanting("free", "twilio", free, json!({}))
        .await;
    world.until_ready("free").await;
    assert_eq!(world.asked("twilio pricing").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_list_that_is_down_stops_only_what_depends_on_it() {
    let world = World::new("list-down").await;
    world
        .emulator
        .fault(json!({"dialect": "twilio", "operation": "pricing", "kind": "503"}))
        .await;
    world
        .create("free", "twilio", "+12125556301", json!({}))
        .await;
    let most = json!({"maxMonthlyCost": {"amount": "2.00", "currency": "USD"}});
    world
        .create("limited", "twilio", "+12125556302", most)
        .await;
    world.until_ready("free").await;
    world.until_reason("limited", "ProviderUnavailable").await;
    assert_eq!(world.emulator.purchases("+12125556302").await, 0);
    world.emulator.clear_faults().await;
    world.until_ready("limited").await;
}

/// The figures of an account change at most once a minute, and a balance that is too low is read again after one.
#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_too_little_is_not_bought_until_more_is_paid_in() {
    let world = World::new("balance").await;
    let money = |amount: &str| json!({"amount": amount, "currency": "USD"});
    for (provider, number) in NUMBERS {
        // 100 is left, and neither number is for nothing.
        let balance = json!({"minimum": money("99.9"), "warnBelow": money("120")});
        world
            .change_account(provider, json!({ "balance": balance }))
            .await;
        create_two(&world, provider, number, money("5")).await;
    }
    for name in names().await {
        let number = world.until_reason(&name, "InsufficientBalance").await;
        let said = message(&number);
        assert!(said.contains("99.9 is to stay"), "{name}: {said}");
        assert_eq!(truth(&number, condition::STALLED), "True", "{name}");
    }
    assert_eq!(world.attempts().await, 0);
    for (provider, _) in NUMBERS {
        let account = world
            .until_account(provider, |account| {
                let ready = account["status"]["conditions"][0]["message"].as_str();
                ready.is_some_and(|said| said.contains("below spec.balance.warnBelow"))
            })
            .await;
        assert_eq!(account["status"]["balance"]["display"], "100 USD");
    }
    for account in [TWILIO_ACCOUNT, TELNYX_ACCOUNT] {
        let path = format!("/console/accounts/{account}");
        world
            .emulator
            .post(&path, json!({"balance": "130.50"}))
            .await;
    }
    for name in names().await {
        world
            .until_within(Duration::from_secs(240), &name, "Ready", |number| {
                reason(number) == "Ready"
            })
            .await;
    }
    for (provider, _) in NUMBERS {
        world
            .until_account(provider, |account| {
                account["status"]["balance"]["display"] == "130.5 USD"
                    && !account["status"]["conditions"][0]["message"]
                        .as_str()
                        .is_some_and(|said| said.contains("warnBelow"))
            })
            .await;
    }
}
