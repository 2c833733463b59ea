//! Papers: those of an order that waits, and those of a number that is there.

use super::rest::{switch, writes};
use super::*;

#[test]
pub fn papers_that_change_after_the_purchase_are_written_or_refused() {
    in_simulated_time(async {
        let bundle = |digit: &str| format!("BU{:0>32}", digit);
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        let mut spec = twilio();
        spec["twilio"] = json!({"bundleSid": bundle("1")});
        world.number("nyc", spec);
        until_ready(&world, "nyc").await;
        let held = |world: &World| {
            let emulator = world.emulator.world();
            emulator.numbers.iter().next().unwrap().bundle_sid.clone()
        };
        world.patch(
            "nyc",
            json!({"spec": {"twilio": {"bundleSid": bundle("2")}}}),
        );
        until_ready(&world, "nyc").await;
        assert_eq!(held(&world), bundle("2"));
        // A bundle that does not satisfy the regulator.
        world.patch(
            "nyc",
            json!({"spec": {"twilio": {"bundleSid": bundle("0")}}}),
        );
        until_reason(&world, "nyc", "RegulatoryRequirement").await;
        let before = writes(&world);
        world.run_for(secs(600)).await;
        assert_eq!(writes(&world), before);
        assert!(!is_ready(&world.get("nyc")));
        assert_eq!(held(&world), bundle("2"));
    });
}

#[test]
pub fn papers_for_an_order_that_waits_are_attached_to_it() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        world.number(
            "ber",
            json!({"provider": "telnyx", "phoneNumber": "+493012345678"}),
        );
        until_reason(&world, "ber", "RegulatoryRequirement").await;
        let group = |id: &str| json!({"spec": {"telnyx": {"requirementGroupId": id}}});
        switch(&world, json!({"requirementGroupsUnfulfilled": true}));
        world.patch("ber", group("rg-1"));
        world.run_for(secs(600)).await;
        let asked = |world: &World| {
            let calls = world.stage.calls();
            let calls = calls.iter();
            calls
                .filter(|call| call.operation == "requirement-group")
                .count()
        };
        assert_eq!(
            asked(&world),
            1,
            "what is refused is not asked for each interval"
        );
        switch(&world, json!({"requirementGroupsUnfulfilled": false}));
        world.patch("ber", group("rg-2"));
        until_ready(&world, "ber").await;
        assert_eq!(asked(&world), 2);
        assert_eq!(deeds(&world, Deed::Order), 1, "{}", world.shown());
        assert_right(&world);
    });
}

#[test]
pub fn papers_that_are_rejected_need_a_person() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({"switches": {"orderMs": 3_600_000}}));
        world.start(Options::default());
        world.number("bos", telnyx());
        until_reason(&world, "bos", "OrderPending").await;
        let path = format!("/console/orders/{TELNYX_NUMBER}");
        let rejected =
            json!({"requirementsMet": true, "requirementsStatus": "requirement-info-exception"});
        world.control("POST", &path, rejected);
        until_reason(&world, "bos", "RegulatoryRequirement").await;
        let stalled = condition(&world.get("bos"), "Stalled").unwrap();
        assert_eq!(stalled.0, "True", "{stalled:?}");
        let review = json!({"requirementsStatus": "requirement-info-under-review"});
        world.control("POST", &path, review);
        until_reason(&world, "bos", "OrderPending").await;
    });
}
