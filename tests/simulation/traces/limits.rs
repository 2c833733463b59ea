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

/// A number that nobody looks after any more and that nothing has shown counts for as long as it may be hidden.
#[test]
pub fn what_may_be_hidden_counts_until_the_visibility_period_is_over() {
    let numbers = json!({"maxNumbers": 1});
    let cost = json!({"maxMonthlyCost": {"amount": "1.15", "currency": "USD"}});
    // Bought and given back by hand before it was listed, bought and kept, and perhaps never bought.
    for (limits, is_bought, is_given_back) in [
        (&numbers, true, true),
        (&cost, true, true),
        (&cost, true, false),
        (&numbers, false, false),
        (&cost, false, false),
    ] {
        in_simulated_time(async {
            let mut world = World::new(1, json!({"switches": {"hiddenMs": 120_000}}));
            world.limit("twilio", limits.clone());
            if !is_bought {
                let buys = |call: &Call| call.operation == "buy";
                world.stage.set_script(once(buys, Fate::RequestLost));
            }
            world.start(Options::default());
            world.number("first", twilio());
            if is_bought {
                until_ready(&world, "first").await;
                world.patch("first", json!({"spec": {"deletionPolicy": "Retain"}}));
                world.delete("first");
                until_gone(&world, "first").await;
            } else {
                world.run_for(secs(5)).await;
                world.delete("first");
            }
            if is_given_back {
                world.released_by_hand(NUMBER);
            }
            let other = json!({"provider": "twilio", "phoneNumber": "+12125550002"});
            world.number("other", other);
            until_reason(&world, "other", "LimitReached").await;
            world.run_for(secs(400)).await;
            let waits = reason(&world.get("other"));
            assert_eq!(waits, "LimitReached", "{}", world.shown());
            until_ready(&world, "other").await;
            let elapsed = world.elapsed();
            assert!(
                elapsed < secs(780),
                "{limits} {elapsed:?}\n{}",
                world.shown()
            );
            assert_right(&world);
        });
    }
}

/// Everything that is waited for counts from the time of the claim. To take a slot of the hour may take long.
#[test]
pub fn a_claim_is_dated_when_it_is_sent() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        let (cluster, sent_at) = (world.cluster.clone(), Arc::new(std::sync::Mutex::new(None)));
        let sent = Arc::clone(&sent_at);
        world.stage.set_script(Arc::new(move |call| {
            if call.operation == "patch phonenumbers" {
                let now = jiff::Timestamp::try_from(cluster.now()).unwrap();
                sent.lock().unwrap().get_or_insert(now);
            }
            match call.operation.ends_with(" configmaps") {
                true => Fate::Slow(secs(8)),
                false => Fate::Answered,
            }
        }));
        world.start(Options::default());
        world.number("nyc", twilio());
        until_ready(&world, "nyc").await;
        let claim = world.claim("nyc");
        let at: jiff::Timestamp = claim["at"].as_str().unwrap().parse().unwrap();
        let sent = sent_at.lock().unwrap().unwrap();
        let apart = sent.duration_since(at).unsigned_abs();
        assert!(apart <= secs(2), "sent at {sent}: {claim}");
        assert_right(&world);
    });
}

#[test]
pub fn what_is_taken_over_counts_in_the_hour() {
    in_simulated_time(async {
        for mut spec in [twilio(), telnyx()] {
            let mut world = World::new(1, json!({}));
            let provider = spec["provider"].as_str().unwrap().to_owned();
            world.limit(&provider, json!({"purchasesPerHour": 1}));
            world.start(Options::default());
            let last = spec["phoneNumber"].as_str().unwrap().to_owned();
            let other = format!("{}2", &last[..last.len() - 1]);
            let names = ["one", "two"];
            for (name, number) in names.iter().zip([last, other]) {
                world.bought_by_hand(&provider, &number);
                spec["phoneNumber"] = json!(number);
                spec["adoptionPolicy"] = json!("Adopt");
                world.number(name, spec.clone());
            }
            let all = |world: &World| names.map(|name| reason(&world.get(name)));
            let is_one_of_each = |world: &World| {
                let mut all = all(world);
                all.sort();
                all == ["LimitReached", "Ready"]
            };
            world.run_until("one taken over", is_one_of_each).await;
            world.run_for(secs(900)).await;
            assert!(is_one_of_each(&world), "{}", world.shown());
            let waits = names.map(|name| world.get(name));
            let waits = waits.iter().find(|it| reason(it) == "LimitReached");
            let (_, _, message) = condition(waits.unwrap(), "Ready").unwrap();
            assert!(message.contains("may be taken over at"), "{message}");
            world.run_for(secs(3000)).await;
            assert_eq!(all(&world), ["Ready", "Ready"], "{}", world.shown());
        }
    });
}

#[test]
pub fn what_was_bought_before_the_account_was_identified_uses_up_its_budget() {
    in_simulated_time(async {
        let mut world = World::new(1, unidentified());
        let cost = json!({"maxMonthlyCost": {"amount": "1.99", "currency": "USD"}});
        world.limit("telnyx", cost);
        world.start(Options::default());
        world.number("first", telnyx());
        until_ready(&world, "first").await;
        let recorded = |world: &World| world.get("first")["status"]["accountId"].clone();
        assert_ne!(recorded(&world), TELNYX_ACCOUNTS[0]);
        let other =
            |last: u8| json!({"provider": "telnyx", "phoneNumber": format!("+1617555000{last}")});
        world.number("soon", other(2));
        until_reason(&world, "soon", "LimitReached").await;
        // What is suspended stays recorded as it is.
        world.patch("first", json!({"spec": {"suspend": true}}));
        let place = Place::new("provideraccounts", NAMESPACE, "telnyx");
        let opens =
            |world: &World| world.cluster.get(&place).unwrap()["status"]["accountId"].clone();
        world
            .run_until("identified", |world| opens(world) == TELNYX_ACCOUNTS[0])
            .await;
        assert_ne!(recorded(&world), TELNYX_ACCOUNTS[0]);
        world.number("later", other(3));
        until_reason(&world, "later", "LimitReached").await;
        world.run_for(secs(900)).await;
        assert_eq!(bought(&world), 1, "{}", world.shown());
        world.patch("first", json!({"spec": {"suspend": false}}));
        world.delete("first");
        until_gone(&world, "first").await;
        world
            .run_until("another Ready", |world| bought(world) == 2)
            .await;
    });
}

/// A resource and its number are gone while the watch is broken, which then lists anew.
#[test]
pub fn what_is_deleted_while_nobody_watches_frees_its_budget() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        let cost = json!({"maxMonthlyCost": {"amount": "1.15", "currency": "USD"}});
        world.limit("twilio", cost);
        world.start(Options::default());
        world.number("first", twilio());
        until_ready(&world, "first").await;
        world.number("other", any_twilio());
        until_reason(&world, "other", "LimitReached").await;
        world.run_for(secs(900)).await;
        let operator = world.operators[0].process.clone();
        operator.stall(secs(3600));
        world.patch("first", json!({"metadata": {"finalizers": []}}));
        world.delete("first");
        world.released_by_hand(NUMBER);
        world.run_for(secs(10)).await;
        operator.relist();
        world.run_for(secs(10)).await;
        operator.flow();
        let begun = world.elapsed();
        until_ready(&world, "other").await;
        let took = world.elapsed() - begun;
        assert!(took < secs(180), "{took:?}");
        assert_eq!(bought(&world), 2, "{}", world.shown());
    });
}

/// A hundred searches wait for the limit of what the account may cost, which is raised for sixty.
#[test]
pub fn searches_that_wait_for_a_budget_reserve_nothing() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({"switches": {"onSale": 30}}));
        let cost = |amount: &str| json!({"maxMonthlyCost": {"amount": amount, "currency": "USD"}});
        world.limit("twilio", cost("1"));
        world.start(Options::default());
        let names: Vec<_> = (0..100).map(|at| format!("n{at}")).collect();
        for name in &names {
            world.number(name, any_twilio());
        }
        let are = |world: &World, wanted: &str| {
            let mut all = names.iter();
            all.by_ref()
                .filter(|name| reason(&world.get(name)) == wanted)
                .count()
        };
        world
            .run_until("all wait", |world| are(world, "LimitReached") == 100)
            .await;
        let searches = |world: &World| {
            let calls = world.stage.calls();
            calls
                .iter()
                .filter(|call| call.operation == "search")
                .count()
        };
        let before = searches(&world);
        world.run_for(secs(1200)).await;
        assert_eq!(searches(&world), before, "nothing is searched for");
        world.limit("twilio", cost("69"));
        let begun = world.elapsed();
        world
            .run_until("sixty Ready", |world| are(world, "Ready") == 60)
            .await;
        let took = world.elapsed() - begun;
        assert!(took < secs(120), "{took:?}");
        world.run_for(secs(300)).await;
        assert_eq!((bought(&world), are(&world, "LimitReached")), (60, 40));
        assert_right(&world);
    });
}
