//! Faults of the operator itself: a panic costs one reconcile of one object.

use super::*;

/// Has what reads the answer to the request with this index panic.
fn panics_at(index: usize) -> impl Fn(&Call) -> Fate {
    move |call| match call.index == index {
        true => Fate::Panics,
        false => Fate::Answered,
    }
}

async fn bought_with(script: impl Fn(&Call) -> Fate + Send + Sync + 'static) -> World {
    let mut world = World::new(1, json!({}));
    world.start(Options::default());
    world.stage.set_script(Arc::new(script));
    world.number("nyc", twilio());
    world.number("bos", telnyx());
    world.run_for(secs(900)).await;
    world
}

#[test]
pub fn wherever_a_pass_panics_the_number_is_bought_once_and_others_go_on() {
    let calls = in_simulated_time(async {
        let world = bought_with(|_| Fate::Answered).await;
        world.stage.calls()
    });
    let mut told = 0;
    for call in calls.iter().filter(|call| call.index > 5).take(40) {
        in_simulated_time(async {
            let world = bought_with(panics_at(call.index)).await;
            for name in ["nyc", "bos"] {
                assert!(is_ready(&world.get(name)), "{call}\n{}", world.shown());
            }
            assert_eq!(
                (deeds(&world, Deed::Purchase), held(&world)),
                (2, 2),
                "{call}\n{}",
                world.shown()
            );
        });
        told += 1;
    }
    assert!(told > 20, "{told}");
}

#[test]
pub fn what_keeps_panicking_says_so_is_tried_less_and_less_often_and_goes_on_once_it_can() {
    in_simulated_time(async {
        let world = bought_with(|call| match (call.side, call.operation.as_str()) {
            ("twilio", "list") => Fate::Panics,
            _ => Fate::Answered,
        })
        .await;
        let account = Place::new("provideraccounts", NAMESPACE, "twilio");
        let account = || world.cluster.get(&account).unwrap_or_default();
        assert!(is_ready(&world.get("bos")), "{}", world.shown());
        for broken in [world.get("nyc"), account()] {
            assert_eq!(reason(&broken), "InternalError", "{broken:#}");
            assert!(condition(&broken, "Stalled").is_none(), "{broken:#}");
        }
        let calls = world.stage.calls();
        let tries = calls.iter().filter(|call| call.operation == "list");
        let tries = tries.filter(|call| call.side == "twilio").count();
        assert!((5..30).contains(&tries), "{tries} in 15 minutes");

        world.stage.set_script(Arc::new(|_| Fate::Answered));
        world.run_for(secs(900)).await;
        assert!(is_ready(&world.get("nyc")), "{}", world.shown());
        assert_eq!(reason(&account()), "Ready");
        assert_eq!((deeds(&world, Deed::Purchase), held(&world)), (2, 2));
    });
}

#[test]
pub fn a_panic_while_a_panic_is_shown_costs_the_pass_alone() {
    for refused in ["provideraccounts", "phonenumbers"] {
        in_simulated_time(async {
            let broken = format!("put {refused}/status");
            let world = bought_with(move |call| {
                let is_listed = call.side == "twilio" && call.operation == "list";
                match is_listed || call.operation == broken {
                    true => Fate::Panics,
                    false => Fate::Answered,
                }
            })
            .await;
            world.stage.set_script(Arc::new(|_| Fate::Answered));
            world.run_for(secs(1800)).await;
            for name in ["nyc", "bos"] {
                assert!(is_ready(&world.get(name)), "{}", world.shown());
            }
            assert_eq!((deeds(&world, Deed::Purchase), held(&world)), (2, 2));
        });
    }
}
