//! Evidence that misleads: clocks that lie apart, listings that are wrong, claims and marks that are lost.

use super::*;

const RELEASED: &str = "Release";

/// A search that only [`NUMBER`] meets.
fn one_twilio() -> Value {
    json!({"provider": "twilio", "search": {"country": "US", "areaCode": "212", "contains": "5550001"}})
}

fn released_on_deletion(mut spec: Value) -> Value {
    spec["deletionPolicy"] = json!(RELEASED);
    spec
}

/// The number is deleted, declared again, restored and deleted once more, whatever the resource says meanwhile.
async fn goes_and_comes_back(world: &World, spec: &Value) {
    world.delete("nyc");
    until_gone(world, "nyc").await;
    world.number("nyc", spec.clone());
    world.run_for(secs(120)).await;
    world.restore("nyc");
    world.run_for(secs(120)).await;
    world.delete("nyc");
    until_gone(world, "nyc").await;
}

fn assert_kept(world: &World) {
    assert_eq!(held(world), 1, "{}", world.shown());
    assert_eq!(deeds(world, Deed::Release), 0, "{}", world.shown());
    assert_eq!(deeds(world, Deed::Purchase), 0, "{}", world.shown());
}

/// The purchase overwrites the name of a number that was bought by hand ten seconds before and is hidden. Whatever is done
/// with the resource then, the number is not given back.
#[test]
pub fn a_number_that_was_written_over_is_never_released() {
    in_simulated_time(async {
        for unnoticed in [false, true] {
            for reply in [Fate::Answered, Fate::ReplyLost] {
                for adopted in [false, true] {
                    let switches = json!({"hiddenMs": 60_000, "overwrittenUnnoticed": unnoticed});
                    let mut world = World::new(1, json!({ "switches": switches }));
                    world.bought_by_hand("twilio", NUMBER);
                    world.run_for(secs(10)).await;
                    world
                        .stage
                        .set_script(once(|call| call.operation == "buy", reply));
                    world.start(Options::default());
                    let mut spec = released_on_deletion(twilio());
                    world.number("nyc", spec.clone());
                    until_reason(&world, "nyc", "AlreadyOwned").await;
                    assert!(world.get("nyc")["status"]["id"].is_null());
                    if adopted {
                        spec["deletionPolicy"] = Value::Null;
                        spec["adoptionPolicy"] = json!("Adopt");
                        world.patch("nyc", json!({ "spec": spec }));
                        until_ready(&world, "nyc").await;
                        assert_eq!(world.get("nyc")["status"]["origin"], "Adopted");
                    }
                    goes_and_comes_back(&world, &spec).await;
                    assert_kept(&world);
                }
            }
        }
    });
}

/// Requests that never leave buy nothing. Somebody buys the number meanwhile, and the first request that leaves overwrites its
/// name: it is older than that request, though not than the first.
#[test]
pub fn a_number_that_was_bought_by_hand_after_requests_that_never_left_is_never_released() {
    in_simulated_time(async {
        for fate in [Fate::NotSent, Fate::Refused(429)] {
            let mut world = World::new(1, json!({"switches": {"hiddenMs": 120_000}}));
            let (emulator, begun) = (world.emulator.clone(), Arc::new(AtomicUsize::new(0)));
            let left = tokio::time::Instant::now() + secs(40);
            world.stage.set_script(Arc::new(move |call| {
                if call.operation != "buy" || tokio::time::Instant::now() >= left {
                    return Fate::Answered;
                }
                if begun.fetch_add(1, Ordering::Relaxed) == 0 {
                    World::bought_by_hand_in(&emulator, "twilio", NUMBER);
                }
                fate
            }));
            world.start(Options::default());
            let spec = released_on_deletion(twilio());
            world.number("nyc", spec.clone());
            until_reason(&world, "nyc", "AlreadyOwned").await;
            assert!(deeds(&world, Deed::Configure) > 0, "{}", world.shown());
            goes_and_comes_back(&world, &spec).await;
            assert_kept(&world);
        }
    });
}

/// A candidate is bought by hand between the search and the claim, and its resource buys no other.
#[test]
pub fn a_searched_number_that_was_written_over_is_never_released() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        let (emulator, bought) = (world.emulator.clone(), AtomicBool::new(false));
        world.stage.set_script(Arc::new(move |call| {
            let counts = call.operation == "post configmaps";
            if counts && !bought.swap(true, Ordering::Relaxed) {
                World::bought_by_hand_in(&emulator, "twilio", NUMBER);
                return Fate::Slow(secs(6));
            }
            Fate::Answered
        }));
        world.start(Options::default());
        let spec = released_on_deletion(one_twilio());
        world.number("nyc", spec.clone());
        until_reason(&world, "nyc", "AlreadyOwned").await;
        assert!(deeds(&world, Deed::Configure) > 0, "{}", world.shown());
        goes_and_comes_back(&world, &spec).await;
        assert_kept(&world);
    });
}

/// The dates in a provider's answers and those of its numbers are of different clocks.
#[test]
pub fn clocks_of_one_provider_that_lie_apart() {
    in_simulated_time(async {
        let apart = [5_000, 60_000, 600_000, -5_000, -60_000]
            .map(|behind| json!({"datesBehindMs": behind}));
        let dateless = [
            json!({"noDate": true}),
            json!({"noDate": true, "datesBehindMs": 600_000}),
        ];
        let hosts = [json!({"otherHostsAheadMs": 30_000})];
        for switches in apart.into_iter().chain(dateless).chain(hosts) {
            for (spec, reply) in [
                (twilio(), Fate::Answered),
                (twilio(), Fate::ReplyLost),
                (any_twilio(), Fate::Answered),
                (any_twilio(), Fate::ReplyLost),
                (telnyx(), Fate::Answered),
                (telnyx(), Fate::ReplyLost),
                (any_telnyx(), Fate::Answered),
                (any_telnyx(), Fate::ReplyLost),
            ] {
                let mut world = World::new(1, json!({ "switches": switches.clone() }));
                world
                    .stage
                    .set_script(once(|call| call.operation == "buy", reply));
                world.start(Options::default());
                world.number("nyc", spec.clone());
                until_ready(&world, "nyc").await;
                assert!(world.elapsed() < secs(120), "{switches} {spec} {reply:?}");
                assert_eq!(world.get("nyc")["status"]["origin"], "Bought");
                world.delete("nyc");
                until_gone(&world, "nyc").await;
                assert_eq!(deeds(&world, Deed::Purchase), 1, "{switches} {spec}");
                assert_eq!(held(&world), 0, "{switches} {spec}\n{}", world.shown());
                assert_right(&world);
            }
        }
    });
}

/// The first purchase for `spec` ends with `fate`. The number is Ready as one that was bought, and is paid once. Returns when it
/// was Ready.
async fn paid_once(switches: Value, spec: &Value, fate: Fate) -> Duration {
    let mut world = World::new(1, json!({ "switches": switches }));
    world
        .stage
        .set_script(once(|call| call.operation == "buy", fate));
    world.start(Options::default());
    world.number("nyc", spec.clone());
    until_ready(&world, "nyc").await;
    let ready_after = world.elapsed();
    assert_eq!(world.get("nyc")["status"]["origin"], "Bought");
    world.run_for(secs(300)).await;
    assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
    assert_right(&world);
    ready_after
}

/// The first attempt takes no effect, and the second one brings the number long after the first. It is renamed within the
/// second in which it was created, which moves no date.
#[test]
pub fn a_number_that_comes_long_after_its_first_attempt_is_the_one_that_is_paid() {
    in_simulated_time(async {
        for behind in [600_000, -60_000] {
            for spec in [twilio(), any_twilio()] {
                let switches = json!({"datesBehindMs": behind});
                let ready_after = paid_once(switches, &spec, Fate::RequestLost).await;
                assert!(ready_after < secs(120), "{behind} {spec}");
            }
        }
    });
}

/// Prices are told by another host, whose clock is ahead. When the attempt began is told by the clock that also tells when it
/// is judged.
#[test]
pub fn clocks_of_two_hosts_date_no_attempt() {
    in_simulated_time(async {
        for ahead in [30_000, -30_000] {
            for spec in [twilio(), any_twilio()] {
                let switches = json!({"otherHostsAheadMs": ahead, "datesBehindMs": 60_000, "hiddenMs": 25_000});
                paid_once(switches, &spec, Fate::ReplyLost).await;
            }
        }
    });
}

/// Where no date tells whether the number is the one that was paid, no other is paid. Whoever declares the search may take
/// the number over.
#[test]
pub fn a_search_that_cannot_tell_what_it_bought_buys_nothing_more() {
    in_simulated_time(async {
        let switches = json!({"datesBehindMs": 600_000, "changedUnnoticed": true});
        let mut world = World::new(1, json!({ "switches": switches }));
        world.start(Options::default());
        world.number("nyc", any_twilio());
        until_reason(&world, "nyc", "AlreadyOwned").await;
        world.run_for(secs(3600)).await;
        assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
        world.kill_all();
        world.start(Options::default());
        world.run_for(secs(900)).await;
        assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
        world.patch("nyc", json!({"spec": {"adoptionPolicy": "Adopt"}}));
        until_ready(&world, "nyc").await;
        assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
    });
}

/// The outcome of a purchase is not known, it is hidden for two minutes, and nothing on the resource tells of it any more.
#[test]
pub fn a_doubt_whose_claim_is_gone() {
    in_simulated_time(async {
        for spec in [any_twilio(), twilio(), any_telnyx()] {
            for way in [
                "cut",
                "retained",
                "owned",
                "definition deleted",
                "stripped",
                "stripped and restarted",
            ] {
                let mut world =
                    World::new(1, json!({"switches": {"hiddenMs": 120_000, "orderMs": 0}}));
                let is_order = spec["provider"] == "telnyx";
                let fate = if is_order {
                    Fate::ReplyLost
                } else {
                    Fate::Proxy(500)
                };
                world
                    .stage
                    .set_script(once(|call| call.operation == "buy", fate));
                world.start(Options::default());
                world.number("nyc", spec.clone());
                let is_tried = |world: &World| !world.get("nyc")["status"]["attempt"].is_null();
                world.run_until("an attempt", is_tried).await;
                let annotation = |text: Value| json!({"metadata": {"annotations": {"telephony.burki.dev/claim": text}}});
                match way {
                    "cut" => world.patch("nyc", annotation(json!("{"))),
                    "retained" | "owned" | "definition deleted" => {
                        match way {
                            "retained" => {
                                world.patch("nyc", json!({"spec": {"deletionPolicy": "Retain"}}));
                            }
                            "owned" => {
                                let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "1"});
                                world.patch(
                                    "nyc",
                                    json!({"metadata": {"ownerReferences": [owner]}}),
                                );
                            }
                            _ => world.delete_definition(),
                        }
                        world.delete("nyc");
                        until_gone(&world, "nyc").await;
                        if way == "definition deleted" {
                            world.define_again();
                        }
                        world.number("nyc", spec.clone());
                    }
                    _ => {
                        if way != "stripped" {
                            world.kill_all();
                        }
                        world.patch("nyc", annotation(Value::Null));
                        world.patch("nyc", json!({"metadata": {"finalizers": []}}));
                        if way != "stripped" {
                            world.start(Options::default());
                        }
                    }
                }
                until_ready(&world, "nyc").await;
                world.run_for(secs(700)).await;
                let bought = deeds(&world, Deed::Purchase);
                assert_eq!(
                    (bought, held(&world)),
                    (1, 1),
                    "{spec} {way}\n{}",
                    world.shown()
                );
            }
        }
    });
}

#[test]
pub fn a_cluster_that_is_built_again_under_another_installation_id() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        let names: Vec<String> = (0..4).map(|at| format!("n{at}")).collect();
        let specs = [any_twilio(), any_telnyx(), twilio(), telnyx()];
        let declare = |world: &World| {
            for (name, spec) in names.iter().zip(&specs) {
                world.number(name, spec.clone());
            }
        };
        let all_are = |world: &World, wanted: &str| {
            names.iter().all(|name| reason(&world.get(name)) == wanted)
        };
        world.start(Options::default());
        declare(&world);
        world
            .run_until("all Ready", |it| all_are(it, "Ready"))
            .await;
        world.kill_all();
        for name in &names {
            world.patch(name, json!({"metadata": {"finalizers": []}}));
            world.delete(name);
        }
        declare(&world);
        let installation = "built again".to_owned();
        let options = Options {
            installation,
            ..Options::default()
        };
        world.start(options);
        world
            .run_until("all blocked", |it| all_are(it, "OwnedByAnother"))
            .await;
        world.run_for(secs(300)).await;
        assert_eq!(deeds(&world, Deed::Purchase), 4, "{}", world.shown());
        let place = Place::new("provideraccounts", NAMESPACE, "twilio");
        let account = world.cluster.get(&place).unwrap();
        assert_eq!(account["status"]["foreign"], 2, "{account}");
        // Under the former id they are the numbers that are wanted.
        world.kill_all();
        world.start(Options::default());
        world
            .run_until("all Ready", |it| all_are(it, "Ready"))
            .await;
        assert_eq!(deeds(&world, Deed::Purchase), 4, "{}", world.shown());
        assert_right(&world);
    });
}

/// The first purchase for `spec` is undone so many seconds after it, and its answer meets `fate`. Returns why the resource is
/// Ready, or is not.
async fn undone(spec: &Value, after: u64, fate: Fate) -> (World, String) {
    let mut world = World::new(1, json!({"switches": {"orderMs": 0}}));
    let rule = json!({"dialect": spec["provider"], "operation": "buy", "kind": "rolled-back",
        "times": 1, "seconds": after});
    world.control("POST", "/faults", rule);
    world
        .stage
        .set_script(once(|call| call.operation == "buy", fate));
    world.start(Options::default());
    world.number("nyc", spec.clone());
    world.run_for(secs(2400)).await;
    let reason = reason(&world.get("nyc"));
    (world, reason)
}

/// The purchase is answered with 201, or the order is shown as successful, and some time later the number does not exist. It is
/// not bought again: who released it is not known. A purchase that nobody has seen is made again.
#[test]
pub fn a_purchase_that_is_undone_after_its_answer() {
    in_simulated_time(async {
        for spec in [twilio(), telnyx(), any_twilio(), any_telnyx()] {
            for after in [1, 60, 900] {
                let (world, reason) = undone(&spec, after, Fate::Answered).await;
                let title = format!("{spec} {after}\n{}", world.shown());
                assert_eq!(reason, "Lost", "{title}");
                assert_eq!(deeds(&world, Deed::Purchase), 1, "{title}");
                world.delete("nyc");
                until_gone(&world, "nyc").await;
                assert_eq!(held(&world), 0, "{title}");
            }
        }
        for spec in [twilio(), any_twilio()] {
            let (world, reason) = undone(&spec, 0, Fate::ReplyLost).await;
            assert_eq!(reason, "Ready", "{spec}\n{}", world.shown());
            let spent = deeds(&world, Deed::Purchase);
            assert_eq!((spent, held(&world)), (2, 1), "{}", world.shown());
        }
    });
}
