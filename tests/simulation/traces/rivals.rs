//! Two resources that want one number.

use super::*;

/// Found by a schedule: who was restored looked younger than the rival.
#[test]
pub fn a_restored_resource_keeps_its_number_from_a_younger_rival() {
    in_simulated_time(async {
        for spec in [twilio(), telnyx()] {
            let mut world = World::new(1, json!({}));
            world.start(Options::default());
            world.number("nyc", spec.clone());
            until_ready(&world, "nyc").await;
            world.number("rival", spec);
            until_reason(&world, "rival", "ClaimedByAnother").await;
            world.run_for(secs(5)).await;
            world.restore("nyc");
            world.run_for(secs(300)).await;
            assert!(is_ready(&world.get("nyc")), "{}", world.shown());
            let spent = deeds(&world, Deed::Purchase);
            assert_eq!((spent, held(&world)), (1, 1), "{}", world.shown());
            assert_right(&world);
        }
    });
}

/// Two resources that go for one number are created within a second, and what the first asks for by `operation` meets `fate`.
/// One of them gets the number. The worlds are returned for more to be said of them.
async fn declared_twice(
    provider: &str,
    spec: &Value,
    is_there: bool,
    (operation, fate): (&'static str, Fate),
) -> Vec<World> {
    let mut worlds = Vec::new();
    for seed in 1..=10 {
        let mut world = World::new(seed, json!({"switches": {"hiddenMs": 20_000}}));
        if is_there {
            world.bought_by_hand(provider, spec["phoneNumber"].as_str().unwrap());
            world.run_for(secs(30)).await;
        }
        world
            .stage
            .set_script(once(move |call| call.operation == operation, fate));
        world.start(Options::default());
        world.number("one", spec.clone());
        world.run_for(Duration::from_millis(350)).await;
        // Of two of one age, the one goes first whose name does.
        world.number("another", spec.clone());
        let is_decided = |world: &World| {
            let both = ["one", "another"].map(|name| world.get(name));
            both.iter().any(is_ready) && both.iter().any(|it| reason(it) == "ClaimedByAnother")
        };
        world.run_until("one has it", is_decided).await;
        world.run_for(secs(60)).await;
        assert!(is_decided(&world), "{}", world.shown());
        assert_eq!(held(&world), 1, "{}", world.shown());
        assert_right(&world);
        worlds.push(world);
    }
    worlds
}

/// Found by a schedule: the claim of one was not known to the other yet, and the second purchase overwrote the mark of the
/// first, which the company still hid.
#[test]
pub fn two_resources_that_declare_one_number_and_one_of_them_looks_slowly() {
    in_simulated_time(async {
        for (provider, mut spec) in [("twilio", twilio()), ("telnyx", telnyx())] {
            // What it costs is asked for each resource by itself.
            let asks_price = if provider == "twilio" {
                "pricing"
            } else {
                "search"
            };
            let slow_search = (asks_price, Fate::Slow(secs(1)));
            spec["maxMonthlyCost"] = json!({"amount": "5.00", "currency": "USD"});
            for world in declared_twice(provider, &spec, false, slow_search).await {
                assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
            }
        }
    });
}

/// Neither claim is known before both are made.
#[test]
pub fn two_resources_that_claim_one_number_at_one_moment() {
    in_simulated_time(async {
        for (provider, mut spec) in [("twilio", twilio()), ("telnyx", telnyx())] {
            let late_claim = ("patch phonenumbers", Fate::Late(secs(1)));
            for world in declared_twice(provider, &spec, false, late_claim).await {
                assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
            }
            spec["adoptionPolicy"] = json!("Adopt");
            declared_twice(provider, &spec, true, late_claim).await;
        }
    });
}
