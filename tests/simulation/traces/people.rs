//! What people do to manifests, definitions and consoles.

use std::sync::Mutex;

use tokio::time::Instant;

use super::*;
use crate::audit::Meddling;
use crate::cluster::finalizers;
use crate::operator::Driver;
use crate::schedule::SERVICE;
use crate::world::manifest;

/// Twilio answers 201 to the purchase of a number that the account has, and overwrites its settings.
#[test]
pub fn a_number_that_is_bought_by_hand_while_it_is_being_claimed() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        let (emulator, bought) = (world.emulator.clone(), AtomicBool::new(false));
        world.stage.set_script(Arc::new(move |call| {
            if call.operation == "patch phonenumbers" && !bought.swap(true, Ordering::Relaxed) {
                World::bought_by_hand_in(&emulator, "twilio", NUMBER);
            }
            Fate::Answered
        }));
        world.start(Options::default());
        world.number("nyc", twilio());
        until_reason(&world, "nyc", "AlreadyOwned").await;
        world.run_for(secs(900)).await;
        world.delete("nyc");
        until_gone(&world, "nyc").await;
        let spent = deeds(&world, Deed::Purchase);
        assert_eq!((spent, held(&world)), (0, 1), "{}", world.shown());
    });
}

/// No look shows it, the purchase overwrites its settings, and only the answer tells that it was there before.
#[test]
pub fn a_number_that_was_bought_by_hand_and_is_hidden_for_a_minute() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({"switches": {"hiddenMs": 60_000}}));
        world.bought_by_hand("twilio", NUMBER);
        world.run_for(secs(10)).await;
        world.start(Options::default());
        world.number("nyc", twilio());
        until_reason(&world, "nyc", "AlreadyOwned").await;
        assert!(world.get("nyc")["status"]["id"].is_null());
        world.delete("nyc");
        until_gone(&world, "nyc").await;
        assert_eq!(held(&world), 1, "{}", world.shown());
        assert_eq!(deeds(&world, Deed::Release), 0, "{}", world.shown());
    });
}

#[test]
pub fn an_adopted_number_whose_resource_is_restored_and_deleted() {
    in_simulated_time(async {
        for (provider, mut spec) in [("twilio", twilio()), ("telnyx", telnyx())] {
            let mut world = World::new(1, json!({}));
            world.bought_by_hand(provider, spec["phoneNumber"].as_str().unwrap());
            world.start(Options::default());
            spec["adoptionPolicy"] = json!("Adopt");
            world.number("nyc", spec);
            until_ready(&world, "nyc").await;
            world.restore("nyc");
            world.run_for(secs(120)).await;
            assert!(is_ready(&world.get("nyc")), "{}", world.shown());
            world.delete("nyc");
            until_gone(&world, "nyc").await;
            assert_eq!(
                held(&world),
                1,
                "it was not ours to give back: {}",
                world.shown()
            );
            assert_right(&world);
        }
    });
}

#[test]
pub fn a_number_that_was_renamed_in_the_console() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        world.number("nyc", twilio());
        world.number("bos", telnyx());
        until_ready(&world, "nyc").await;
        until_ready(&world, "bos").await;
        let rename = |world: &World| {
            for number in [NUMBER, TELNYX_NUMBER] {
                world.console(number, |number| {
                    number.friendly_name = "front desk".into();
                    number.customer_reference = "front desk".into();
                });
            }
        };
        rename(&world);
        world.run_for(secs(180)).await;
        assert!(
            is_ready(&world.get("nyc")) && is_ready(&world.get("bos")),
            "{}",
            world.shown()
        );
        // And once more, just before they are deleted.
        rename(&world);
        world.delete("nyc");
        world.delete("bos");
        until_gone(&world, "nyc").await;
        until_gone(&world, "bos").await;
        assert_eq!(held(&world), 0, "{}", world.shown());
        assert_right(&world);
    });
}

#[test]
pub fn the_definition_is_deleted_under_live_resources() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        world.number("nyc", twilio());
        world.number("bos", telnyx());
        until_ready(&world, "nyc").await;
        until_ready(&world, "bos").await;
        world.delete_definition();
        world.delete("nyc");
        world.delete("bos");
        until_gone(&world, "nyc").await;
        until_gone(&world, "bos").await;
        assert_eq!(
            (deeds(&world, Deed::Release), held(&world)),
            (0, 2),
            "{}",
            world.shown()
        );
    });
}

#[test]
pub fn search_and_number_exchanged_behind_the_rules_of_admission() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        world.number("nyc", any_twilio());
        until_ready(&world, "nyc").await;
        world.patch(
            "nyc",
            json!({"spec": {"search": null, "phoneNumber": "+12125559876"}}),
        );
        world.run_for(secs(600)).await;
        assert_eq!(
            reason(&world.get("nyc")),
            "InvalidSpec",
            "{}",
            world.shown()
        );
        assert_eq!((deeds(&world, Deed::Purchase), held(&world)), (1, 1));
        world.delete("nyc");
        until_gone(&world, "nyc").await;
        assert_eq!(held(&world), 0, "{}", world.shown());
    });
}

#[test]
pub fn a_forged_claim_buys_nothing_that_limits_forbid() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.limit("twilio", json!({"allowedCountries": ["FR"]}));
        world.number("nyc", twilio());
        let uid = world.get("nyc")["metadata"]["uid"].clone();
        let forged = json!({
            "version": 1, "intent": "buy", "number": NUMBER, "accountId": crate::world::TWILIO_ACCOUNTS[0], "owner": "support/nyc",
            "uid": uid, "nonce": "0123456789abcdef0123456789abcdef", "at": "2020-01-01T00:00:00Z", "since": "2020-01-01T00:00:00Z",
        });
        world.patch(
            "nyc",
            json!({"metadata": {"annotations": {"telephony.burki.dev/claim": forged.to_string()}}}),
        );
        world.start(Options::default());
        world.run_for(secs(900)).await;
        assert_eq!(
            condition(&world.get("nyc"), "Ready").unwrap().1,
            "LimitReached",
            "{}",
            world.shown()
        );
        assert_eq!(deeds(&world, Deed::Purchase), 0);
    });
}

#[test]
pub fn an_older_operator_on_a_newer_definition() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        let mut spec = twilio();
        spec["fieldOfTheFuture"] = json!({"keep": "me"});
        world.number("nyc", spec);
        until_ready(&world, "nyc").await;
        world.run_for(secs(120)).await;
        assert_eq!(world.get("nyc")["spec"]["fieldOfTheFuture"]["keep"], "me");
        // And a claim of the future is not judged.
        world.number(
            "next",
            json!({"provider": "twilio", "phoneNumber": "+12125550002"}),
        );
        world.patch(
            "next",
            json!({"metadata": {"annotations": {"telephony.burki.dev/claim": "{\"version\":2}"}}}),
        );
        world.run_for(secs(900)).await;
        let bought = deeds(&world, Deed::Purchase);
        assert!(
            bought == 1 || is_ready(&world.get("next")),
            "{}",
            world.shown()
        );
        assert_right(&world);
    });
}

/// Found by a schedule: the number was released on what the resource was before its status was written.
#[test]
pub fn a_protection_that_is_set_while_the_number_is_being_recorded() {
    in_simulated_time(async {
        for spec in [twilio(), telnyx()] {
            let mut world = World::new(1, json!({"switches": {"orderMs": 0}}));
            let (cluster, protected) = (world.cluster.clone(), AtomicBool::new(false));
            let place = Place::number(NAMESPACE, "nyc");
            world.stage.set_script(Arc::new(move |call| {
                let of_number = place.clone();
                match call.operation.as_str() {
                    "buy" => drop(cluster.delete(&of_number)),
                    "put phonenumbers/status" if !protected.swap(true, Ordering::Relaxed) => {
                        let protection = json!({"spec": {"deletionProtection": true}});
                        drop(cluster.patch(&of_number, &protection));
                    }
                    _ => {}
                }
                Fate::Answered
            }));
            world.start(Options::default());
            world.number("nyc", spec);
            until_reason(&world, "nyc", "ReleaseProtected").await;
            world.run_for(secs(120)).await;
            assert_eq!(deeds(&world, Deed::Release), 0, "{}", world.shown());
            assert_eq!(held(&world), 1, "{}", world.shown());
        }
    });
}

/// Found by a schedule: of two that believed to lead, one wrote over what the other had just recorded of its attempt, so that
/// both went on trying.
#[test]
pub fn what_another_has_recorded_meanwhile_stays() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        let (cluster, recorded) = (world.cluster.clone(), AtomicBool::new(false));
        let place = Place::number(NAMESPACE, "nyc");
        let attempt = json!({"nonce": "another", "number": NUMBER, "outcome": "Rejected"});
        let others = attempt.clone();
        world.stage.set_script(Arc::new(move |call| {
            let is_status = call.operation == "put phonenumbers/status";
            if is_status && !recorded.swap(true, Ordering::Relaxed) {
                let mut object = cluster.get(&place).unwrap();
                object["status"] = json!({"attempt": others});
                cluster.replace_status(&place, &object).unwrap();
            }
            Fate::Answered
        }));
        world.start(Options::default());
        let mut spec = twilio();
        spec["accountRef"] = json!({"name": "none"});
        world.number("nyc", spec);
        until_reason(&world, "nyc", "AccountNotFound").await;
        assert_eq!(world.get("nyc")["status"]["attempt"], attempt);
    });
}

/// Found by a schedule: the candidate was claimed again every two seconds, for ever.
#[test]
pub fn a_refused_candidate_that_may_have_been_bought_before_rests() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        let (emulator, cluster) = (world.emulator.clone(), world.cluster.clone());
        let doubtful = AtomicBool::new(false);
        world.stage.set_script(Arc::new(move |call| {
            if call.operation != "buy" || doubtful.swap(true, Ordering::Relaxed) {
                return Fate::Answered;
            }
            // The request is lost, and somebody else gets the number before it is tried again.
            let object = cluster.get(&Place::number(NAMESPACE, "nyc")).unwrap();
            emulator.world().state.taken.push(claimed_in(&object));
            Fate::RequestLost
        }));
        world.start(Options::default());
        world.number("nyc", any_twilio());
        world.run_for(secs(300)).await;
        let claims = world.stage.calls();
        let claims = claims
            .iter()
            .filter(|call| call.operation == "patch phonenumbers");
        assert!(claims.count() <= 3, "{}", world.shown());
        until_ready(&world, "nyc").await;
        assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
        assert_right(&world);
    });
}

fn claimed_in(object: &Value) -> String {
    let claim = object["metadata"]["annotations"]["telephony.burki.dev/claim"]
        .as_str()
        .unwrap();
    let claim: Value = serde_json::from_str(claim).unwrap();
    claim["number"].as_str().unwrap().to_owned()
}

/// The assistant that answers the number of `spec` at Burki.
fn answering(world: &World, spec: &Value) -> Value {
    let number = spec["phoneNumber"].as_str().unwrap();
    world.control("GET", "/assignments", Value::Null)[number].clone()
}

/// Found by a schedule: the status that named the assistant was gone, and the declaration went before the number was seen.
#[test]
pub fn an_assistant_that_is_taken_out_soon_after_a_restore_no_longer_answers() {
    in_simulated_time(async {
        for (provider, mut spec) in [("twilio", twilio()), ("telnyx", telnyx())] {
            let mut world = World::new(1, json!({}));
            world.start(Options::default());
            spec["assistantId"] = json!(101);
            world.number("nyc", spec.clone());
            until_ready(&world, "nyc").await;
            world.secret(provider, credentials(provider, 2));
            world.run_for(secs(60)).await;
            world.restore("nyc");
            until_reason(&world, "nyc", "AccountMismatch").await;
            assert_eq!(answering(&world, &spec), 101);
            world.patch("nyc", json!({"spec": {"assistantId": null}}));
            world.run_for(secs(10)).await;
            world.secret(provider, credentials(provider, 1));
            until_ready(&world, "nyc").await;
            world.run_for(secs(60)).await;
            assert_eq!(answering(&world, &spec), Value::Null, "{}", world.shown());
            assert_right(&world);
        }
    });
}

/// Found by schedules: an operator whose watches tell nothing asks Burki who answers, and repairs what is not declared any more.
#[test]
pub fn what_is_not_declared_any_more_is_not_assigned_by_who_does_not_know() {
    in_simulated_time(async {
        for mut spec in [twilio(), telnyx()] {
            let mut world = World::new(1, json!({}));
            world.start(Options::default());
            world.start(Options::default());
            spec["assistantId"] = json!(101);
            world.number("nyc", spec.clone());
            until_ready(&world, "nyc").await;
            world.run_for(secs(60)).await;
            world.operators[0].process.stall(secs(3600));
            world.patch("nyc", json!({"spec": {"assistantId": null}}));
            world
                .run_until("unassigned", |world| answering(world, &spec).is_null())
                .await;
            world.run_for(secs(300)).await;
            assert_eq!(answering(&world, &spec), Value::Null, "{}", world.shown());
            assert!(is_ready(&world.get("nyc")), "{}", world.shown());
        }
    });
}

/// Who has every right replaces the object by its manifest: finalizer and claim are gone.
#[test]
pub fn a_number_whose_object_is_replaced_by_its_bare_manifest_is_released() {
    in_simulated_time(async {
        for driver in [Driver::Seeded, Driver::Kube] {
            for spec in [twilio(), telnyx(), any_twilio()] {
                let mut world = World::new(1, json!({}));
                world.start(Options {
                    driver,
                    ..Options::default()
                });
                world.number("nyc", spec.clone());
                until_ready(&world, "nyc").await;
                world.run_for(secs(20)).await;
                let place = Place::number(NAMESPACE, "nyc");
                world.cluster.replace(&place, manifest(spec)).unwrap();
                assert!(finalizers(&world.get("nyc")).is_empty());
                world.run_for(secs(10)).await;
                assert!(
                    !finalizers(&world.get("nyc")).is_empty(),
                    "{}",
                    world.shown()
                );
                world.delete("nyc");
                until_gone(&world, "nyc").await;
                let spent = deeds(&world, Deed::Purchase);
                assert_eq!((spent, held(&world)), (1, 0), "{}", world.shown());
            }
        }
    });
}

/// A number joins a messaging service, and somebody takes the mark off it since it was looked at: before the first write, or just
/// before the number joins, which nothing but the time in between can tell.
#[test]
pub fn a_number_that_is_renamed_while_it_is_set_up() {
    in_simulated_time(async {
        for (operations, excused) in [(&["configure", "attach"][..], 0), (&["attach"], 1)] {
            let mut world = World::new(1, json!({}));
            world.start(Options::default());
            world.number("nyc", twilio());
            until_ready(&world, "nyc").await;
            let (emulator, id) = (world.emulator.clone(), world.id_of(NUMBER));
            let renamed: Arc<Mutex<Option<Instant>>> = Arc::default();
            let at = Arc::clone(&renamed);
            world.stage.set_script(Arc::new(move |call| {
                let mut at = at.lock().unwrap();
                if operations.contains(&call.operation.as_str()) && at.is_none() {
                    *at = Some(Instant::now());
                    World::console_of(&emulator, NUMBER, |number| {
                        number.friendly_name = "renamed".into();
                    });
                }
                Fate::Answered
            }));
            let service = json!({"twilio": {"messagingServiceSid": SERVICE}});
            world.patch("nyc", json!({ "spec": service }));
            world.run_for(secs(130)).await;
            assert!(is_ready(&world.get("nyc")), "{}", world.shown());
            let mut diary = Diary::of(1);
            let at = renamed.lock().unwrap().unwrap();
            diary.meddles(world.elapsed_at(at), Meddling::Renamed(id));
            assert_right_but_for(&world, &diary);
            let report = audit::report(&world, &diary);
            assert_eq!(report.excused.values().sum::<usize>(), excused);
            let shown = world
                .emulator
                .world()
                .numbers
                .iter()
                .find(|it| it.phone_number == NUMBER)
                .cloned();
            let shown = shown.unwrap();
            assert!(marks::read(&shown.friendly_name).is_some());
            assert_eq!(shown.messaging_service, SERVICE);
        }
    });
}
