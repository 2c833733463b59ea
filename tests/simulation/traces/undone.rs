//! A deletion that is undone before the account lets the number go, and one that is not.

use super::*;

const DELAY: Duration = Duration::from_secs(2 * 3600);

/// The number of `spec` with an assistant, Ready in an account that delays releases, then deleted by its object.
async fn deleted(spec: &Value) -> World {
    let provider = spec["provider"].as_str().unwrap();
    let mut world = World::new(1, json!({}));
    world.limit(provider, json!({"releaseDelay": "2h"}));
    world.start(Options::default());
    let mut spec = spec.clone();
    spec["assistantId"] = json!(101);
    world.number("nyc", spec);
    until_ready(&world, "nyc").await;
    world.delete("nyc");
    world.run_for(secs(60)).await;
    assert_answered(&world);
    let reason = reason(&world.get("nyc"));
    assert_eq!(reason, "ReleaseDelayed", "{}", world.shown());
    world
}

fn version(world: &World) -> Value {
    world.get("nyc")["metadata"]["resourceVersion"].clone()
}

fn assert_answered(world: &World) {
    assert!(
        held(world) == 1 && deeds(world, Deed::Release) == 0,
        "the number was released before its time\n{}",
        world.shown()
    );
    let assignments = world.control("GET", "/assignments", Value::Null);
    let number = world.emulator.world().numbers.iter().next().cloned();
    let answers = &assignments[&number.unwrap().phone_number];
    assert_eq!(answers, 101, "{}", world.shown());
}

#[test]
pub fn a_deleted_number_is_kept_for_the_delay_by_one_write_and_then_released() {
    in_simulated_time(async {
        for spec in [twilio(), telnyx(), any_twilio()] {
            let mut world = deleted(&spec).await;
            let (before, deeds_before) =
                (version(&world), world.emulator.world().ledger.entries.len());
            world.run_for(DELAY / 2).await;
            world.kill_all();
            world.start(Options::default());
            world.run_for(DELAY / 2 - secs(120)).await;
            assert_eq!(version(&world), before, "{}", world.shown());
            let after = world.emulator.world().ledger.entries.len();
            assert_eq!(after, deeds_before, "{}", world.shown());
            assert_answered(&world);
            let begun = world.elapsed();
            until_gone(&world, "nyc").await;
            assert!(world.elapsed() - begun < secs(120), "{}", world.shown());
            let released = deeds(&world, Deed::Release);
            assert_eq!((released, held(&world)), (1, 0), "{}", world.shown());
            assert_right(&world);
        }
    });
}

#[test]
pub fn a_deletion_is_undone_by_retain_and_the_next_object_takes_the_number_up() {
    in_simulated_time(async {
        for spec in [twilio(), telnyx(), any_twilio(), any_telnyx()] {
            let world = deleted(&spec).await;
            world.run_for(DELAY / 2).await;
            world.patch("nyc", json!({"spec": {"deletionPolicy": "Retain"}}));
            until_gone(&world, "nyc").await;
            assert_answered(&world);
            world.number("nyc", spec.clone());
            until_ready(&world, "nyc").await;
            let spent = deeds(&world, Deed::Purchase);
            assert_eq!((spent, held(&world)), (1, 1), "{}", world.shown());
            assert_eq!(world.get("nyc")["status"]["origin"], "Bought");
            assert_right(&world);
        }
    });
}

/// Neither waits for the rest of the two hours.
#[test]
pub fn a_delay_is_ended_by_the_policy_and_by_the_account() {
    in_simulated_time(async {
        for is_policy in [true, false] {
            let world = deleted(&twilio()).await;
            let begun = world.elapsed();
            if is_policy {
                world.patch("nyc", json!({"spec": {"deletionPolicy": "Release"}}));
            } else {
                world.limit("twilio", json!({"releaseDelay": null}));
            }
            until_gone(&world, "nyc").await;
            assert!(world.elapsed() - begun < secs(60), "{}", world.shown());
            assert_eq!(held(&world), 0, "{}", world.shown());
        }
    });
}

/// Nothing is released before its time, whatever the credential of the account does meanwhile.
#[test]
pub fn a_delay_holds_while_the_account_cannot_be_asked() {
    in_simulated_time(async {
        let world = deleted(&twilio()).await;
        world.secret("twilio", credentials("twilio", 2));
        until_reason(&world, "nyc", "AccountMismatch").await;
        world.run_for(secs(600)).await;
        world.secret("twilio", credentials("twilio", 1));
        until_reason(&world, "nyc", "ReleaseDelayed").await;
        world.run_for(DELAY - secs(1800)).await;
        assert_answered(&world);
        until_gone(&world, "nyc").await;
        assert!(world.elapsed() > DELAY, "{}", world.shown());
        assert_eq!(held(&world), 0, "{}", world.shown());
    });
}

/// A number that is gone is not waited for, and no account is suspected for it.
#[test]
pub fn a_number_that_is_gone_has_no_delay() {
    in_simulated_time(async {
        for was_lost in [false, true] {
            let mut world = World::new(1, json!({}));
            world.limit("twilio", json!({"releaseDelay": "2h"}));
            world.start(Options::default());
            world.number("nyc", twilio());
            until_ready(&world, "nyc").await;
            if was_lost {
                world.released_by_hand(NUMBER);
                until_reason(&world, "nyc", "Lost").await;
                world.delete("nyc");
            } else {
                world.delete("nyc");
                until_reason(&world, "nyc", "ReleaseDelayed").await;
                world.released_by_hand(NUMBER);
            }
            let begun = world.elapsed();
            until_gone(&world, "nyc").await;
            assert!(world.elapsed() - begun < secs(600), "{}", world.shown());
            assert_eq!(world.account_reason("twilio"), "Ready");
        }
    });
}
