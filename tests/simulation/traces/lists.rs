//! Lists that do not show what there is.

use super::*;

fn list_is(world: &World, side: &str, kind: &str, times: u64) {
    let whole = match side {
        "twilio" => "PageSize=1000",
        _ => "handle_messaging_profile_error",
    };
    let rule = json!({"dialect": side, "operation": "list", "mentions": whole, "kind": kind,
        "times": times, "seconds": 3600});
    world.control("POST", "/faults", rule);
}

/// Searches whose purchases took effect unseen are looked for after the visibility period, and declared again without their
/// claims. One listing that lacks them makes none of them buy another number.
#[test]
pub fn a_listing_that_lacks_what_was_bought() {
    in_simulated_time(async {
        for (side, spec) in [("twilio", any_twilio()), ("telnyx", any_telnyx())] {
            for kind in ["empty-list", "stale-page", "short-page"] {
                for is_restored in [false, true] {
                    let mut world = World::new(1, json!({}));
                    let names: Vec<String> = (0..5).map(|at| format!("n{at}")).collect();
                    world
                        .stage
                        .set_script(Arc::new(move |call| match call.operation.as_str() {
                            "buy" if !is_restored => Fate::CrashAfter,
                            _ => Fate::Answered,
                        }));
                    for name in &names {
                        world.start(Options::default());
                        world.number(name, spec.clone());
                        world.run_for(secs(5)).await;
                        world.kill_all();
                        if is_restored {
                            assert!(is_ready(&world.get(name)), "{}", world.shown());
                            world.patch(name, json!({"metadata": {"finalizers": []}}));
                            world.delete(name);
                        }
                    }
                    world.stage.set_script(Arc::new(|_| Fate::Answered));
                    world.run_for(secs(700)).await;
                    for name in names.iter().filter(|_| is_restored) {
                        world.number(name, spec.clone());
                    }
                    list_is(&world, side, kind, 1);
                    world.start(Options::default());
                    world
                        .run_until("all Ready", |world| {
                            names.iter().all(|name| is_ready(&world.get(name)))
                        })
                        .await;
                    world.run_for(secs(300)).await;
                    let bought = deeds(&world, Deed::Purchase);
                    assert!(
                        bought == 5,
                        "{side} {kind} {is_restored}: {bought} numbers were bought for 5 resources\n{}",
                        world.shown()
                    );
                }
            }
        }
    });
}

/// Another installation has a number for a search of the same name. Whichever of the listings lacks it, nothing is bought.
#[test]
pub fn a_listing_that_hides_the_number_of_another_installation() {
    in_simulated_time(async {
        let searches = [
            ("twilio", NUMBER, any_twilio()),
            ("telnyx", TELNYX_NUMBER, any_telnyx()),
        ];
        for (provider, number, spec) in searches {
            for wrong in [Wrong::Empty, Wrong::Shifted, Wrong::Short] {
                for which in [&[0][..], &[1], &[2], &[0, 2], &[1, 3]] {
                    let mut world = World::new(1, json!({}));
                    world.bought_by_hand(provider, number);
                    let mark = marks::mark("another", NAMESPACE, "any");
                    world.console(number, |held| match provider {
                        "twilio" => held.friendly_name = format!("any [{mark}]"),
                        _ => held.customer_reference = mark,
                    });
                    world.run_for(secs(900)).await;
                    let script = wrong_listings(provider, wrong, which);
                    world.stage.set_script(script);
                    world.start(Options::default());
                    world.run_for(secs(30)).await;
                    world.number("any", spec.clone());
                    until_reason(&world, "any", "OwnedByAnother").await;
                    world.run_for(secs(200)).await;
                    let bought = deeds(&world, Deed::Purchase);
                    let title = format!("{provider} {wrong:?} {which:?}");
                    assert_eq!(bought, 0, "{title}\n{}", world.shown());
                    // It is bought for once the other one is given back.
                    world.released_by_hand(number);
                    until_ready(&world, "any").await;
                }
            }
        }
    });
}

/// Mexico's numbers were asked for with a 1 that the provider leaves out.
#[test]
pub fn a_number_that_the_provider_writes_otherwise() {
    in_simulated_time(async {
        let (asked, shown) = ("+5215512345678", "+525512345678");
        let respelled = json!({ asked: shown });
        let mut world = World::new(1, json!({"switches": {"respelled": respelled}}));
        world.start(Options::default());
        world.number("nyc", json!({"provider": "twilio", "phoneNumber": asked}));
        until_reason(&world, "nyc", "AlreadyOwned").await;
        world.run_for(secs(900)).await;
        let (_, _, message) = condition(&world.get("nyc"), "Ready").unwrap();
        assert!(message.contains(shown), "{message}");
        world.delete("nyc");
        until_gone(&world, "nyc").await;
        let spent = deeds(&world, Deed::Purchase);
        assert_eq!((spent, held(&world)), (1, 0), "{}", world.shown());
    });
}

/// What the last listing has shown is there, although a listing that is filtered by the number does not show it.
#[test]
pub fn a_number_that_a_listing_shows_and_its_filter_does_not() {
    in_simulated_time(async {
        for spec in [twilio(), telnyx()] {
            let provider = spec["provider"].as_str().unwrap().to_owned();
            let hidden = json!({"hiddenMs": 0, "hiddenFromFilterMs": 3_600_000});
            let mut world = World::new(1, json!({ "switches": hidden }));
            world.bought_by_hand(&provider, spec["phoneNumber"].as_str().unwrap());
            world.start(Options::default());
            world.run_for(secs(10)).await;
            world.number("nyc", spec);
            until_reason(&world, "nyc", "AlreadyOwned").await;
            world.run_for(secs(300)).await;
            assert_eq!(deeds(&world, Deed::Purchase), 0, "{}", world.shown());
            assert_eq!(deeds(&world, Deed::Configure), 0, "{}", world.shown());
        }
    });
}
