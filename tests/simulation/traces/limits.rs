//! What an account may hold and cost holds, whoever dies and whatever nobody knows.

use super::*;

/// Limits that one number reaches, of each provider.
fn limits_of_one() -> [(&'static str, Value, Value); 4] {
    let cost = |amount: &str| json!({"maxMonthlyCost": {"amount": amount, "currency": "USD"}});
    let other_twilio = json!({"provider": "twilio", "phoneNumber": "+12125550002"});
    [
        ("twilio", other_twilio.clone(), json!({"maxNumbers": 1})),
        ("twilio", other_twilio, cost("1.15")),
        ("twilio", any_twilio(), cost("1.15")),
        (
            "telnyx",
            json!({"provider": "telnyx", "phoneNumber": "+16175550002"}),
            cost("1.00"),
        ),
    ]
}

fn first_of(provider: &str) -> Value {
    match provider {
        "twilio" => twilio(),
        _ => telnyx(),
    }
}

fn bought(world: &World) -> usize {
    deeds(world, Deed::Purchase)
}

#[test]
pub fn an_account_at_its_limit_buys_nothing_after_a_restart() {
    in_simulated_time(async {
        for (provider, other, limits) in limits_of_one() {
            let mut world = World::new(1, json!({"switches": {"hiddenMs": 60_000}}));
            world.limit(provider, limits.clone());
            world.start(Options::default());
            world.number("first", first_of(provider));
            until_ready(&world, "first").await;
            world.kill_all();
            world.number("other", other);
            world.start(Options::default());
            until_reason(&world, "other", "LimitReached").await;
            world.run_for(secs(900)).await;
            assert_eq!(bought(&world), 1, "{limits}\n{}", world.shown());
            assert_right(&world);
        }
    });
}

#[test]
pub fn a_purchase_whose_process_died_counts_against_the_limits() {
    in_simulated_time(async {
        for (provider, other, limits) in limits_of_one() {
            let mut world = World::new(1, json!({"switches": {"hiddenMs": 60_000}}));
            world.limit(provider, limits.clone());
            world
                .stage
                .set_script(once(|call| call.operation == "buy", Fate::CrashAfter));
            world.start(Options::default());
            world.number("first", first_of(provider));
            let died = world.stage.clone();
            world
                .run_until("a purchase", |_| {
                    died.calls().iter().any(|call| call.operation == "buy")
                })
                .await;
            world.number("other", other);
            world.start(Options::default());
            until_ready(&world, "first").await;
            until_reason(&world, "other", "LimitReached").await;
            world.run_for(secs(900)).await;
            assert_eq!(bought(&world), 1, "{limits}\n{}", world.shown());
            let monthly = if provider == "twilio" { "1.15" } else { "1" };
            let cost = &world.get("first")["status"]["cost"]["monthly"];
            assert_eq!(*cost, monthly, "{limits}");
            assert_right(&world);
        }
    });
}

#[test]
pub fn an_attempt_that_may_have_bought_does_not_count_against_its_own_repetition() {
    in_simulated_time(async {
        for (provider, _, limits) in limits_of_one() {
            for spec in [first_of(provider), any_twilio()] {
                if spec["provider"] != provider {
                    continue;
                }
                for fate in [Fate::RequestLost, Fate::CrashBefore] {
                    let mut world = World::new(1, json!({}));
                    world.limit(provider, limits.clone());
                    world
                        .stage
                        .set_script(once(|call| call.operation == "buy", fate));
                    world.start(Options::default());
                    world.number("first", spec.clone());
                    world.run_for(secs(5)).await;
                    if matches!(fate, Fate::CrashBefore) {
                        world.start(Options::default());
                    }
                    until_ready(&world, "first").await;
                    assert_eq!(bought(&world), 1, "{limits}\n{}", world.shown());
                    assert_right(&world);
                }
            }
        }
    });
}

/// A number was bought by hand long ago. Whichever of the listings after a start does not show it, it counts.
#[test]
pub fn a_listing_that_is_wrong_makes_no_room() {
    in_simulated_time(async {
        let by_hand = [
            ("twilio", "+12125550009", twilio()),
            ("telnyx", "+16175550009", telnyx()),
        ];
        for (provider, number, spec) in by_hand {
            for wrong in [Wrong::Empty, Wrong::Shifted, Wrong::Short] {
                for which in [&[0][..], &[1], &[0, 2]] {
                    let mut world = World::new(1, json!({}));
                    world.limit(provider, json!({"maxNumbers": 1}));
                    world.bought_by_hand(provider, number);
                    world.run_for(secs(900)).await;
                    world
                        .stage
                        .set_script(wrong_listings(provider, wrong, which));
                    world.start(Options::default());
                    world.number("nyc", spec.clone());
                    until_reason(&world, "nyc", "LimitReached").await;
                    world.run_for(secs(200)).await;
                    assert_eq!(bought(&world), 0, "{wrong:?} {which:?}\n{}", world.shown());
                    assert_eq!(reason(&world.get("nyc")), "LimitReached");
                    assert_right(&world);
                }
            }
        }
    });
}

/// A number that was bought and given back by hand before any listing showed it counts no more once it is known to be gone.
#[test]
pub fn what_is_given_back_by_hand_makes_room_soon() {
    in_simulated_time(async {
        for is_deleted in [true, false] {
            let mut world = World::new(1, json!({}));
            world.limit("twilio", json!({"maxNumbers": 1}));
            world.start(Options::default());
            world.number("first", twilio());
            until_ready(&world, "first").await;
            let id = world.get("first")["status"]["phoneNumber"].clone();
            world.released_by_hand(id.as_str().unwrap());
            if is_deleted {
                world.delete("first");
            }
            let other = json!({"provider": "twilio", "phoneNumber": "+12125550002"});
            world.number("other", other);
            until_reason(&world, "other", "LimitReached").await;
            // As long as a resource has a claim of late, its number may come back.
            let within = if is_deleted { secs(300) } else { secs(780) };
            until_ready(&world, "other").await;
            assert!(world.elapsed() < within, "{:?}", world.elapsed());
            assert_right(&world);
        }
    });
}
