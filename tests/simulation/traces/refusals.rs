//! What the provider refuses, or answers so that nobody knows, costs no other resource anything and is left alone in time.

use super::*;

/// How many requests of this kind were sent.
fn sent(world: &World, operation: &str) -> usize {
    let calls = world.stage.calls();
    calls
        .iter()
        .filter(|call| call.operation == operation)
        .count()
}

fn fault(world: &World, rule: Value) {
    world.control("POST", "/faults", rule);
}

fn message(object: &Value) -> String {
    condition(object, "Ready")
        .map(|(_, _, message)| message)
        .unwrap_or_default()
}

/// The names and specs of twelve numbers of which faults speak.
fn twelve(provider: &str) -> Vec<(String, Value)> {
    let number = |at| {
        format!(
            "+1{}55501{at:02}",
            if provider == "twilio" { 212 } else { 617 }
        )
    };
    (0..12)
        .map(|at| {
            let spec = json!({"provider": provider, "phoneNumber": number(at)});
            (format!("n{at}"), spec)
        })
        .collect()
}

fn neighbour(provider: &str) -> Value {
    json!({"provider": provider, "phoneNumber": "+14155550001"})
}

#[test]
pub fn objects_that_are_refused_cost_their_neighbours_nothing() {
    in_simulated_time(async {
        let known = json!({"status": 400, "code": 21421, "message": "not a number"});
        let unknown = json!({"status": 400, "code": 21999, "message": "something new"});
        let nameless = json!({"status": 403, "message": "something without a code"});
        let mixed = json!({"status": 400, "code": ["10015", "99999"], "message": "several"});
        let of_telnyx = json!({"status": 422, "code": "99999", "message": "something new"});
        for (provider, refusal, reason_wanted, attempts) in [
            ("twilio", known, "InvalidSpec", 1),
            ("twilio", unknown, "InvalidSpec", 3),
            ("twilio", nameless, "CredentialsInvalid", 3),
            ("telnyx", mixed, "InvalidSpec", 1),
            ("telnyx", of_telnyx, "InvalidSpec", 3),
        ] {
            let mut world = World::new(1, json!({}));
            world.limit(provider, json!({"purchasesPerHour": 5}));
            let area = if provider == "twilio" {
                "1212555"
            } else {
                "1617555"
            };
            let mut rule = json!({"dialect": provider, "operation": "buy", "mentions": area, "kind": "refused"});
            rule.as_object_mut()
                .unwrap()
                .extend(refusal.as_object().unwrap().clone());
            fault(&world, rule);
            world.start(Options::default());
            let numbers = twelve(provider);
            for (name, spec) in &numbers {
                world.number(name, spec.clone());
            }
            world.run_for(secs(240)).await;
            world.number("neighbour", neighbour(provider));
            let begun = world.elapsed();
            until_ready(&world, "neighbour").await;
            let took = world.elapsed() - begun;
            assert!(took < secs(30), "{refusal}: {took:?}");
            world.run_for(secs(360)).await;
            let text = refusal["message"].as_str().unwrap();
            for (name, _) in &numbers {
                let object = world.get(name);
                assert_eq!(reason(&object), reason_wanted, "{}", world.shown());
                assert!(message(&object).contains(text), "{}", message(&object));
                let stalled = condition(&object, "Stalled").map(|(status, ..)| status);
                assert_eq!(stalled.as_deref(), Some("True"));
            }
            let asked = sent(&world, "buy");
            assert_eq!(asked, numbers.len() * attempts + 1, "{refusal}");
            // Another process does not provoke it before its time either.
            world.kill_all();
            world.start(Options::default());
            world.run_for(secs(600)).await;
            assert_eq!(sent(&world, "buy"), asked, "{refusal}");
            world.control("DELETE", "/faults", Value::Null);
            world.run_for(secs(1800)).await;
            assert_eq!(
                deeds(&world, Deed::Purchase),
                5,
                "as many as may be bought in an hour\n{}",
                world.shown()
            );
            assert_right(&world);
        }
    });
}

#[test]
pub fn purchases_of_unknown_outcome_cost_their_neighbours_nothing() {
    in_simulated_time(async {
        for provider in ["twilio", "telnyx"] {
            let mut world = World::new(1, json!({}));
            // Twelve that are in doubt, and one more.
            world.limit(provider, json!({"purchasesPerHour": 13}));
            let area = if provider == "twilio" {
                "1212555"
            } else {
                "1617555"
            };
            fault(
                &world,
                json!({"dialect": provider, "operation": "buy", "mentions": area, "kind": "503"}),
            );
            world.start(Options::default());
            let numbers = twelve(provider);
            for (name, spec) in &numbers {
                world.number(name, spec.clone());
            }
            world.run_for(secs(400)).await;
            world.number("neighbour", neighbour(provider));
            let begun = world.elapsed();
            until_ready(&world, "neighbour").await;
            let took = world.elapsed() - begun;
            assert!(took < secs(30), "{took:?}");
            world
                .run_for(secs(600).saturating_sub(world.elapsed()))
                .await;
            let asked = sent(&world, "buy");
            let most = 12 * 5 + 1;
            assert!(
                (12 * 4..=most).contains(&asked),
                "{asked} attempts in ten minutes"
            );
            world.control("DELETE", "/faults", Value::Null);
            world
                .run_until("all Ready", |world| {
                    numbers.iter().all(|(name, _)| is_ready(&world.get(name)))
                })
                .await;
            let took = world.elapsed() - secs(600);
            assert!(took <= secs(600), "{took:?} after the provider is well");
            assert_eq!(deeds(&world, Deed::Purchase), 13, "{}", world.shown());
            assert_right(&world);
        }
    });
}

#[test]
pub fn releases_that_are_refused_cost_their_neighbours_nothing() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.limit("twilio", json!({"releasesPerHour": 5}));
        world.start(Options::default());
        let numbers: Vec<_> = twelve("twilio").into_iter().take(4).collect();
        for (name, spec) in &numbers {
            world.number(name, spec.clone());
        }
        world.number("fifth", neighbour("twilio"));
        world
            .run_until("all Ready", |world| {
                let names = numbers.iter().map(|(name, _)| name.as_str());
                let mut names = names.chain(["fifth"]);
                names.all(|name| is_ready(&world.get(name)))
            })
            .await;
        for (name, spec) in &numbers {
            world.console(spec["phoneNumber"].as_str().unwrap(), |number| {
                number.locked = true;
            });
            world.delete(name);
        }
        world.run_for(secs(240)).await;
        world.delete("fifth");
        let begun = world.elapsed();
        until_gone(&world, "fifth").await;
        let took = world.elapsed() - begun;
        assert!(took < secs(30), "{took:?}\n{}", world.shown());
        let is_blocked = |world: &World| {
            for (name, _) in &numbers {
                let object = world.get(name);
                assert_eq!(reason(&object), "ReleaseBlocked", "{}", world.shown());
                let message = message(&object);
                for part in ["emergency address must be removed", "Retain"] {
                    assert!(message.contains(part), "{message}");
                }
            }
        };
        for _ in 0..8 {
            is_blocked(&world);
            world.run_for(secs(300)).await;
        }
        // At once, and after half an hour.
        assert_eq!(sent(&world, "release"), 4 * 2 + 1);
        for (name, spec) in &numbers {
            world.console(spec["phoneNumber"].as_str().unwrap(), |number| {
                number.locked = false;
            });
            world.patch(name, json!({"spec": {"friendlyName": "mended"}}));
        }
        world
            .run_until("all gone", |world| {
                numbers.iter().all(|(name, _)| world.get(name).is_null())
            })
            .await;
        assert_eq!(held(&world), 0);
        assert_right(&world);
    });
}

/// Two account objects open one account at the provider, and one of them has a webhook base that cannot be reached.
#[test]
pub fn a_webhook_that_the_provider_refuses_is_mended_in_the_account() {
    in_simulated_time(async {
        for mut spec in [twilio(), any_twilio()] {
            let mut world = World::new(1, json!({}));
            world.limit("twilio", json!({"purchasesPerHour": 5}));
            let base = |url: &str| json!({"webhooks": {"baseUrl": url}});
            let mut bad = base("https://burki");
            bad["twilio"] = json!({"credentialsSecretRef": {"name": "twilio"}});
            world.account("bad", "twilio", bad);
            world.start(Options::default());
            spec["accountRef"] = json!({"name": "bad"});
            world.number("nyc", spec);
            until_reason(&world, "nyc", "InvalidSpec").await;
            let object = world.get("nyc");
            assert!(
                message(&object).contains("21402: VoiceUrl is not a valid URL"),
                "{}",
                message(&object)
            );
            world.run_for(secs(240)).await;
            assert_eq!(sent(&world, "buy"), 1, "{}", world.shown());
            world.number("neighbour", neighbour("twilio"));
            until_ready(&world, "neighbour").await;
            let place = Place::new("provideraccounts", NAMESPACE, "bad");
            let mended = json!({"spec": base("https://voice.example.com")});
            let begun = world.elapsed();
            world.cluster.patch(&place, &mended).unwrap();
            until_ready(&world, "nyc").await;
            let took = world.elapsed() - begun;
            assert!(took < secs(15), "{took:?}");
            assert_right(&world);
        }
    });
}

#[test]
pub fn a_search_that_is_refused_is_no_outage() {
    in_simulated_time(async {
        let search = json!({"country": "US", "areaCode": "212"});
        let no_coverage = json!({"status": 400, "code": "10031", "message": "No coverage"});
        let not_found = json!({"status": 404, "code": "10005", "message": "Not found"});
        let wrong = json!({"status": 422, "code": "10032", "message": "Invalid value"});
        let at_twilio = json!({"status": 400, "code": null, "message": "Invalid area"});
        let exact = json!({"provider": "telnyx", "phoneNumber": TELNYX_NUMBER});
        let by_search = |provider| json!({"provider": provider, "search": search});
        for (provider, spec, refusal, wanted) in [
            (
                "telnyx",
                by_search("telnyx"),
                &no_coverage,
                "NoNumbersFound",
            ),
            ("telnyx", by_search("telnyx"), &not_found, "NoNumbersFound"),
            ("telnyx", by_search("telnyx"), &wrong, "InvalidSpec"),
            ("telnyx", exact.clone(), &no_coverage, "NumberNotAvailable"),
            ("telnyx", exact, &wrong, "InvalidSpec"),
            ("twilio", by_search("twilio"), &at_twilio, "InvalidSpec"),
        ] {
            let mut world = World::new(1, json!({}));
            let mut rule = json!({"dialect": provider, "operation": "search", "kind": "refused"});
            rule.as_object_mut()
                .unwrap()
                .extend(refusal.as_object().unwrap().clone());
            fault(&world, rule);
            world.start(Options::default());
            world.number("nyc", spec);
            until_reason(&world, "nyc", wanted).await;
            let text = refusal["message"].as_str().unwrap();
            let shown = message(&world.get("nyc"));
            assert!(shown.contains(text), "{shown}");
            world.run_for(secs(570)).await;
            // At once, and when the first listing of the account requeues what has changed.
            assert!(sent(&world, "search") <= 2, "{refusal}");
            let counted = world.operators[0].metrics.text().unwrap();
            let failures = |line: &&str| line.starts_with("phonenumber_reconcile_failures_total{");
            let mut failures = counted.lines().filter(failures);
            let is_no_outage = failures.all(|line| line.contains(wanted));
            assert!(is_no_outage, "{wanted}: {counted}");
            world.control("DELETE", "/faults", Value::Null);
            world.run_for(secs(60)).await;
            assert!(is_ready(&world.get("nyc")), "{}", world.shown());
            assert_right(&world);
        }
    });
}

#[test]
pub fn a_claim_that_is_not_stored_counts_for_nothing() {
    in_simulated_time(async {
        for fate in [
            Fate::Refused(409),
            Fate::Refused(403),
            Fate::Refused(422),
            Fate::Refused(500),
            Fate::RequestLost,
        ] {
            let mut world = World::new(1, json!({}));
            world.limit("twilio", json!({"purchasesPerHour": 1}));
            let claims = |call: &Call| call.operation == "patch phonenumbers";
            world.stage.set_script(once(claims, fate));
            world.start(Options::default());
            world.number("nyc", twilio());
            until_ready(&world, "nyc").await;
            assert!(world.elapsed() < secs(60), "{:?}", world.elapsed());
            assert_eq!(deeds(&world, Deed::Purchase), 1);
            assert_right(&world);
        }
    });
}

/// A release that is throttled, or never leaves, takes nothing of the hour from others.
#[test]
pub fn a_release_that_does_not_take_place_counts_for_nothing() {
    in_simulated_time(async {
        for provider in ["twilio", "telnyx"] {
            for fate in [Fate::Refused(429), Fate::NotSent] {
                let mut world = World::new(1, json!({}));
                world.limit(provider, json!({"releasesPerHour": 1}));
                world.start(Options::default());
                let (name, spec) = twelve(provider).remove(0);
                world.number(&name, spec);
                world.number("neighbour", neighbour(provider));
                world
                    .run_until("both Ready", |world| {
                        is_ready(&world.get("n0")) && is_ready(&world.get("neighbour"))
                    })
                    .await;
                let id = world.get("n0")["status"]["id"].clone();
                world.stage.set_script(Arc::new(move |call| {
                    let is_held_up = call.operation == "release" && id == call.about.as_str();
                    if is_held_up { fate } else { Fate::Answered }
                }));
                world.delete("n0");
                world.run_for(secs(120)).await;
                assert!(sent(&world, "release") > 1, "{}", world.shown());
                let begun = world.elapsed();
                world.delete("neighbour");
                until_gone(&world, "neighbour").await;
                let took = world.elapsed() - begun;
                assert!(took < secs(60), "{provider} {fate:?}: {took:?}");
                // The hour is used up by the one that took place.
                until_reason(&world, "n0", "ReleaseLimitReached").await;
                assert_eq!(deeds(&world, Deed::Release), 1, "{}", world.shown());
            }
        }
    });
}

/// A purchase that is throttled or never leaves, and one that its last look prevents, take nothing of the hour.
#[test]
pub fn a_purchase_that_is_not_made_counts_for_nothing() {
    in_simulated_time(async {
        for (provider, operation, fate) in [
            ("twilio", "buy", Fate::NotSent),
            ("twilio", "buy", Fate::Refused(429)),
            ("telnyx", "buy", Fate::NotSent),
            ("twilio", "list", Fate::Refused(500)),
            ("twilio", "list", Fate::RequestLost),
            ("telnyx", "list", Fate::Refused(500)),
        ] {
            let title = format!("{provider} {operation} {fate:?}");
            let mut world = World::new(1, json!({}));
            world.limit(provider, json!({"purchasesPerHour": 1}));
            world.stage.set_script(after_the_claim(operation, fate));
            world.start(Options::default());
            let (name, spec) = twelve(provider).remove(0);
            world.number(&name, spec);
            until_ready(&world, "n0").await;
            assert!(world.elapsed() < secs(60), "{title}: {:?}", world.elapsed());
            let claims = sent(&world, "patch phonenumbers");
            assert!(claims > 1, "{title}: the first claim came to nothing");
            assert_eq!(deeds(&world, Deed::Purchase), 1, "{title}");
            assert_right(&world);
        }
    });
}

/// The first request of this kind after the first claim meets `fate`.
fn after_the_claim(operation: &'static str, fate: Fate) -> Script {
    let is_claimed = AtomicBool::new(false);
    once(
        move |call| {
            let is_claim = call.operation == "patch phonenumbers";
            let was_claimed = is_claimed.fetch_or(is_claim, Ordering::Relaxed);
            was_claimed && call.operation == operation
        },
        fate,
    )
}

/// The last look shows that somebody else has just bought the number for the account.
#[test]
pub fn a_number_that_the_last_look_shows_counts_for_nothing() {
    in_simulated_time(async {
        for provider in ["twilio", "telnyx"] {
            let mut world = World::new(1, json!({}));
            world.limit(provider, json!({"purchasesPerHour": 1}));
            let (name, spec) = twelve(provider).remove(0);
            let number = spec["phoneNumber"].as_str().unwrap().to_owned();
            let (emulator, bought) = (world.emulator.clone(), AtomicBool::new(false));
            world.stage.set_script(Arc::new(move |call| {
                if call.operation == "patch phonenumbers" && !bought.swap(true, Ordering::Relaxed) {
                    World::bought_by_hand_in(&emulator, provider, &number);
                }
                Fate::Answered
            }));
            world.start(Options::default());
            world.number(&name, spec);
            until_reason(&world, "n0", "AlreadyOwned").await;
            assert_eq!(sent(&world, "buy"), 0, "{}", world.shown());
            world.number("neighbour", neighbour(provider));
            let begun = world.elapsed();
            until_ready(&world, "neighbour").await;
            let took = world.elapsed() - begun;
            assert!(took < secs(30), "{took:?}");
        }
    });
}

/// Of two processes that both believe to lead, one has had its release refused, and what it had taken of the hour's limit keeps the
/// other from trying.
#[test]
pub fn a_refused_release_and_the_limit_of_another_process_are_not_told_in_turn() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.limit("twilio", json!({"releasesPerHour": 1}));
        world.start(Options::default());
        world.start(Options::default());
        world.number("nyc", twilio());
        until_ready(&world, "nyc").await;
        let refused = once(|call| call.operation == "release", Fate::Refused(400));
        world.stage.set_script(refused);
        world.delete("nyc");
        until_reason(&world, "nyc", "ReleaseBlocked").await;
        let mut diary = Diary::of(2);
        diary.well_since = world.elapsed();
        for _ in 0..9 {
            world.run_for(secs(100)).await;
            assert_eq!(reason(&world.get("nyc")), "ReleaseBlocked");
        }
        assert_eq!(sent(&world, "release"), 1);
        assert_right_but_for(&world, &diary);
        until_gone(&world, "nyc").await;
        assert_eq!(held(&world), 0);
    });
}
