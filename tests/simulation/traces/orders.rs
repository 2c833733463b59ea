//! Telnyx orders, which may last, hide, fail and come back.

use super::*;

#[test]
pub fn an_order_that_succeeded_whose_number_is_not_listed_for_minutes() {
    in_simulated_time(async {
        for fate in [Fate::Answered, Fate::ReplyLost, Fate::CrashAfter] {
            let mut world = World::new(1, json!({"switches": {"hiddenMs": 240_000}}));
            world
                .stage
                .set_script(once(|call| call.operation == "buy", fate));
            world.start(Options::default());
            world.number("bos", telnyx());
            world.run_for(secs(10)).await;
            world.start(Options::default());
            until_ready(&world, "bos").await;
            assert_eq!(deeds(&world, Deed::Order), 1, "{}", world.shown());
            assert_right(&world);
        }
    });
}

#[test]
pub fn an_order_that_succeeds_after_its_cancellation() {
    in_simulated_time(async {
        let mut world = World::new(
            1,
            json!({"switches": {"orderMs": 20_000, "cancelledOrdersSucceed": true}}),
        );
        world.start(Options::default());
        world.number("bos", telnyx());
        until_reason(&world, "bos", "OrderPending").await;
        world.delete("bos");
        until_gone(&world, "bos").await;
        assert!(deeds(&world, Deed::Cancel) >= 1);
        assert_eq!(
            (deeds(&world, Deed::Purchase), held(&world)),
            (1, 0),
            "{}",
            world.shown()
        );
        assert_right(&world);
    });
}

#[test]
pub fn last_years_order_with_the_same_mark() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        world.number("bos", telnyx());
        until_ready(&world, "bos").await;
        world.delete("bos");
        until_gone(&world, "bos").await;
        world.kill_all();
        world.run_for(secs(365 * 86_400)).await;
        world.start(Options::default());
        world.number("bos", telnyx());
        until_reason(&world, "bos", "NumberNotAvailable").await;
        // Whoever takes the old order for this one's would miss its number, and call it lost.
        world.run_for(secs(3600)).await;
        assert_eq!(reason(&world.get("bos")), "NumberNotAvailable");
        assert!(world.get("bos")["status"]["orderId"].is_null());
        world.delete("bos");
        until_gone(&world, "bos").await;
        assert_eq!(deeds(&world, Deed::Order), 1, "{}", world.shown());
        assert_right(&world);
    });
}

/// Found by a schedule: it was waited for without end, and so was its deletion.
#[test]
pub fn a_successful_order_whose_number_never_shows_comes_to_an_end() {
    in_simulated_time(async {
        let hours = 3_600_000 * 10;
        let mut world = World::new(1, json!({"switches": {"hiddenMs": hours}}));
        world.start(Options::default());
        world.number("bos", telnyx());
        until_reason(&world, "bos", "Lost").await;
        world.delete("bos");
        until_reason(&world, "bos", "ReleaseBlocked").await;
        world.patch("bos", json!({"spec": {"deletionPolicy": "Retain"}}));
        until_gone(&world, "bos").await;
        assert_eq!(deeds(&world, Deed::Order), 1, "{}", world.shown());
    });
}

/// A search has ordered, and its resource is lost with claim and status, as is what the process knew. It is declared again while
/// the order is pending, or has brought a number that carries no mark.
#[test]
pub fn a_search_that_is_lost_and_declared_again_while_its_order_lasts() {
    in_simulated_time(async {
        for (order, hidden, pause, is_taken) in [
            (300_000, 0, 5, true),
            (0, 0, 1, true),
            (0, 120_000, 5, false),
            (20_000, 0, 900, false),
        ] {
            let switches = json!({"orderMs": order, "hiddenMs": hidden, "copyReference": false});
            let mut world = World::new(1, json!({ "switches": switches }));
            world
                .stage
                .set_script(once(|call| call.operation == "buy", Fate::CrashAfter));
            world.start(Options::default());
            let spec =
                json!({"provider": "telnyx", "search": {"country": "US", "areaCode": "617"}});
            world.number("bos", spec.clone());
            world
                .run_until("an order", |world| deeds(world, Deed::Order) == 1)
                .await;
            world.patch("bos", json!({"metadata": {"finalizers": []}}));
            world.delete("bos");
            until_gone(&world, "bos").await;
            world.run_for(secs(pause)).await;
            world.start(Options::default());
            world.number("bos", spec);
            if !is_taken {
                // It is looked at when the order is too old to tell whether its number was released since: a person decides.
                until_reason(&world, "bos", "AlreadyOwned").await;
                world.run_for(secs(3600)).await;
                assert_eq!(deeds(&world, Deed::Order), 1, "{}", world.shown());
                continue;
            }
            until_ready(&world, "bos").await;
            world.run_for(secs(60)).await;
            assert_eq!(deeds(&world, Deed::Order), 1, "{order} {}", world.shown());
            assert_right(&world);
            world.delete("bos");
            until_gone(&world, "bos").await;
            assert_eq!(held(&world), 0, "{order} {}", world.shown());
        }
    });
}

/// What an order has brought is known, and cannot be written down. The claim goes meanwhile: the process that made it remembers.
#[test]
pub fn a_search_whose_claim_goes_while_its_status_is_refused() {
    in_simulated_time(async {
        for (order, pause) in [(0, 5), (20_000, 5), (20_000, 32)] {
            let switches = json!({"orderMs": order, "copyReference": false});
            let mut world = World::new(1, json!({ "switches": switches }));
            let ordered = AtomicBool::new(false);
            world.stage.set_script(Arc::new(move |call| {
                if call.operation == "buy" {
                    ordered.store(true, Ordering::Relaxed);
                }
                let writes = call.operation == "put phonenumbers/status";
                match writes && ordered.load(Ordering::Relaxed) {
                    true => Fate::Refused(422),
                    false => Fate::Answered,
                }
            }));
            world.start(Options::default());
            world.number(
                "bos",
                json!({"provider": "telnyx", "search": {"country": "US", "areaCode": "617"}}),
            );
            world
                .run_until("an order", |world| deeds(world, Deed::Order) == 1)
                .await;
            world.run_for(secs(pause)).await;
            let bare = crate::world::manifest(world.get("bos")["spec"].clone());
            let place = Place::number(NAMESPACE, "bos");
            world.cluster.replace(&place, bare).unwrap();
            world.run_for(secs(10)).await;
            world.stage.set_script(Arc::new(|_| Fate::Answered));
            until_ready(&world, "bos").await;
            assert_eq!(deeds(&world, Deed::Order), 1, "{order} {}", world.shown());
            assert_right(&world);
        }
    });
}

/// The number of a search was released minutes ago, and the process that knew it is gone. The order still says that it
/// succeeded: the next resource of the name gets another number once the old one would be shown.
#[test]
pub fn a_search_that_is_declared_again_after_its_number_was_given_back() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        let spec = json!({"provider": "telnyx", "search": {"country": "US", "areaCode": "617"}});
        for is_restarted in [false, true] {
            world.start(Options::default());
            world.number("bos", spec.clone());
            until_ready(&world, "bos").await;
            world.delete("bos");
            until_gone(&world, "bos").await;
            if is_restarted {
                world.kill_all();
                world.start(Options::default());
            }
            let before = world.elapsed();
            world.number("bos", spec.clone());
            until_ready(&world, "bos").await;
            let took = world.elapsed().saturating_sub(before);
            assert!(
                took < secs(if is_restarted { 1500 } else { 60 }),
                "{took:?}"
            );
            world.delete("bos");
            until_gone(&world, "bos").await;
            world.kill_all();
            world.run_for(secs(3600)).await;
        }
        assert_eq!((deeds(&world, Deed::Order), held(&world)), (4, 0));
        assert_right(&world);
    });
}
