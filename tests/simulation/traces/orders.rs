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
