//! What happens when the API server does not let the operator write.

use super::*;

/// The verb `patch` on phonenumbers is missing: claims fail, which is before anything is bought.
#[test]
pub fn a_right_to_write_that_is_missing_for_a_while() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.limit("twilio", json!({"purchasesPerHour": 1000}));
        let is_claim = |call: &Call| call.operation == "patch phonenumbers";
        world
            .stage
            .set_script(Arc::new(move |call| match is_claim(call) {
                true => Fate::Refused(403),
                false => Fate::Answered,
            }));
        world.start(Options::default());
        let names: Vec<_> = (0..20).map(|at| format!("n-{at}")).collect();
        for name in &names {
            world.number(name, any_twilio());
        }
        let count = |world: &World, is_counted: &dyn Fn(&Call) -> bool| {
            world
                .stage
                .calls()
                .iter()
                .filter(|call| is_counted(call))
                .count()
        };
        world.run_for(secs(1200)).await;
        let claims = count(&world, &is_claim);
        assert!(claims >= 20 * 8, "{claims}: it is tried again");
        assert!(claims <= 20 * 16, "{claims} by 20 resources in 20 minutes");
        let asked = count(&world, &|call| {
            call.side == "twilio" && call.operation != "list"
        });
        assert!(asked <= 20 * 16, "{asked} of the provider, for nothing");
        assert_eq!(deeds(&world, Deed::Purchase), 0);

        world.stage.set_script(Arc::new(|_| Fate::Answered));
        world.patch("n-0", json!({"spec": {"friendlyName": "edited"}}));
        world.run_for(secs(15)).await;
        assert!(
            is_ready(&world.get("n-0")),
            "what was edited is tried at once"
        );
        world.run_for(secs(330)).await;
        let are_ready = names.iter().all(|name| is_ready(&world.get(name)));
        assert!(are_ready, "{}", world.shown());
    });
}
