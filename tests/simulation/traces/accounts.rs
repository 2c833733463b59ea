//! Accounts: shared, swapped, emptied, and listed while they change.

use super::*;

#[test]
pub fn two_namespaces_with_keys_of_one_account_and_equal_searches() {
    for seed in 1..=5 {
        in_simulated_time(few_numbers_for_two_namespaces(seed));
    }
}

async fn few_numbers_for_two_namespaces(seed: u64) {
    let mut world = World::new(seed, json!({}));
    let one_of_few = json!({"provider": "twilio", "search": {"country": "US", "areaCode": "212", "contains": "200001"}});
    world.account_in("sales", "twilio");
    world.start(Options::default());
    for name in ["a", "b", "c"] {
        world.number(name, one_of_few.clone());
        world.number_in("sales", name, one_of_few.clone());
    }
    world
        .run_until("six Ready", |world| {
            world
                .cluster
                .list("phonenumbers")
                .iter()
                .filter(|it| is_ready(it))
                .count()
                == 6
        })
        .await;
    assert_eq!(deeds(&world, Deed::Purchase), 6);
    let mut numbers: Vec<_> = world
        .emulator
        .world()
        .numbers
        .iter()
        .map(|it| it.phone_number.clone())
        .collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 6, "{}", world.shown());
}

#[test]
pub fn two_operators_for_a_namespace_each_with_keys_of_one_account() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.account_in("sales", "twilio");
        for namespace in [NAMESPACE, "sales"] {
            world.start(Options {
                installation: format!("simulated-for-{namespace}"),
                namespace: Some(namespace.to_owned()),
                ..Options::default()
            });
        }
        world.number("nyc", twilio());
        until_ready(&world, "nyc").await;
        world.number_in("sales", "nyc", twilio());
        for name in ["a", "b", "c"] {
            world.number(name, any_twilio());
            world.number_in("sales", name, any_twilio());
        }
        world.run_for(secs(300)).await;
        let in_sales = |name: &str| {
            let place = Place::number("sales", name);
            world.cluster.get(&place).unwrap_or_default()
        };
        for name in ["a", "b", "c"] {
            assert!(is_ready(&world.get(name)), "{}", world.shown());
            assert!(is_ready(&in_sales(name)), "{}", world.shown());
        }
        assert_eq!(reason(&in_sales("nyc")), "OwnedByAnother");
        assert_eq!((deeds(&world, Deed::Purchase), held(&world)), (7, 7));
        world
            .cluster
            .delete(&Place::number("sales", "nyc"))
            .unwrap();
        world.run_for(secs(300)).await;
        assert!(in_sales("nyc").is_null());
        assert_eq!(held(&world), 7, "{}", world.shown());
        assert!(is_ready(&world.get("nyc")), "{}", world.shown());
    });
}

#[test]
pub fn two_installations_with_ids_that_begin_alike() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        // The other installation holds a number for a resource of the same namespace and name.
        world.bought_by_hand("twilio", NUMBER);
        let theirs = crate::marks::mark("simulated-2", NAMESPACE, "nyc");
        world.console(NUMBER, |number| {
            number.friendly_name = format!("nyc [{theirs}]")
        });
        world.start(Options::default());
        let mut spec = twilio();
        spec["adoptionPolicy"] = json!("Adopt");
        world.number("nyc", spec);
        until_reason(&world, "nyc", "OwnedByAnother").await;
        world.delete("nyc");
        until_gone(&world, "nyc").await;
        // It is given to the other installation while ours holds it.
        world.number(
            "own",
            json!({"provider": "twilio", "phoneNumber": "+12125550005"}),
        );
        until_ready(&world, "own").await;
        let theirs = crate::marks::mark("simulated-2", NAMESPACE, "own");
        world.console("+12125550005", |number| {
            number.friendly_name = format!("own [{theirs}]")
        });
        world.run_for(secs(180)).await;
        assert_eq!(reason(&world.get("own")), "OwnedByAnother");
        world.delete("own");
        until_gone(&world, "own").await;
        assert_eq!(
            held(&world),
            2,
            "nothing of another installation is released: {}",
            world.shown()
        );
        assert_eq!(
            deeds(&world, Deed::Configure),
            0,
            "or written to: {}",
            world.shown()
        );
    });
}

#[test]
pub fn a_secret_of_another_account_then_a_deletion() {
    in_simulated_time(async {
        for (provider, spec) in [("telnyx", telnyx()), ("twilio", twilio())] {
            let mut world = World::new(1, json!({}));
            world.start(Options::default());
            world.number("nyc", spec);
            until_ready(&world, "nyc").await;
            world.secret(provider, credentials(provider, 2));
            world.run_for(secs(60)).await;
            world.delete("nyc");
            world.run_for(secs(900)).await;
            assert_eq!(
                reason(&world.get("nyc")),
                "AccountMismatch",
                "{}",
                world.shown()
            );
            assert_eq!(held(&world), 1);
            world.secret(provider, credentials(provider, 1));
            until_gone(&world, "nyc").await;
            assert_eq!(held(&world), 0, "{}", world.shown());
            assert_right(&world);
        }
    });
}

/// The process dies with its purchase, the Secret opens another account, and the claim is stripped: what the status tells of the
/// attempt keeps the resource from buying there, and from going without a look at the account where it was made.
#[test]
pub fn a_claim_that_is_stripped_while_the_secret_opens_another_account() {
    in_simulated_time(async {
        for (provider, spec) in [
            ("twilio", twilio()),
            ("twilio", any_twilio()),
            ("telnyx", telnyx()),
        ] {
            for is_deleted in [false, true] {
                let mut world = World::new(1, json!({}));
                let buys = |call: &Call| call.operation == "buy";
                world.stage.set_script(once(buys, Fate::CrashAfter));
                world.start(Options::default());
                world.number("nyc", spec.clone());
                world.run_for(secs(60)).await;
                world.secret(provider, credentials(provider, 2));
                world.start(Options::default());
                until_reason(&world, "nyc", "AccountMismatch").await;
                world.kill_all();
                let bare = crate::world::manifest(world.get("nyc")["spec"].clone());
                let place = Place::number(NAMESPACE, "nyc");
                world.cluster.replace(&place, bare).unwrap();
                world.start(Options::default());
                world.run_for(secs(900)).await;
                assert_eq!(reason(&world.get("nyc")), "AccountMismatch");
                assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
                assert_right(&world);
                world.secret(provider, credentials(provider, 1));
                if is_deleted {
                    world.delete("nyc");
                    until_gone(&world, "nyc").await;
                } else {
                    until_ready(&world, "nyc").await;
                }
                assert_eq!(held(&world), usize::from(!is_deleted), "{}", world.shown());
                assert_right(&world);
            }
        }
    });
}

#[test]
pub fn a_page_that_shifts_while_a_listing_runs() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        for at in 0..300 {
            world.bought_by_hand("telnyx", &format!("+1617556{at:04}"));
        }
        world.start(Options::default());
        world.number("bos", telnyx());
        until_ready(&world, "bos").await;
        // Between every two pages somebody buys, or releases, another number.
        let (emulator, asked) = (world.emulator.clone(), AtomicUsize::new(0));
        world.stage.set_script(Arc::new(move |call| {
            if call.side == "telnyx" && call.operation == "list" {
                let at = asked.fetch_add(1, Ordering::Relaxed);
                let number = format!("+1617557{at:04}");
                World::bought_by_hand_in(&emulator, "telnyx", &number);
                World::control_of(
                    &emulator,
                    "DELETE",
                    &format!("/console/numbers/+1617556{at:04}"),
                    Value::Null,
                );
            }
            Fate::Answered
        }));
        world.run_for(secs(600)).await;
        assert!(
            is_ready(&world.get("bos")),
            "{}",
            world.get("bos")["status"]
        );
        assert_right(&world);
    });
}

#[test]
pub fn a_listing_begun_before_a_release_that_ends_after_it() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        world.number("nyc", twilio());
        world.number(
            "other",
            json!({"provider": "twilio", "phoneNumber": "+12125550002"}),
        );
        until_ready(&world, "nyc").await;
        until_ready(&world, "other").await;
        let calls = world.stage.count();
        world.stage.set_script(once(
            move |call| call.side == "twilio" && call.operation == "list" && call.index >= calls,
            Fate::Slow(secs(8)),
        ));
        world
            .run_until("a listing", |world| {
                world.stage.calls()[calls..]
                    .iter()
                    .any(|call| call.operation == "list")
            })
            .await;
        world.delete("nyc");
        until_gone(&world, "nyc").await;
        world.number(
            "nyc",
            json!({"provider": "twilio", "phoneNumber": "+12125550003"}),
        );
        until_ready(&world, "nyc").await;
        world.run_for(secs(180)).await;
        let account = world
            .cluster
            .get(&Place::new("provideraccounts", NAMESPACE, "twilio"))
            .unwrap();
        assert_eq!(
            account["status"]["orphaned"], 0,
            "the released number is not brought back: {}",
            account["status"]
        );
        assert_eq!(account["status"]["managed"], 2);
        assert_right(&world);
    });
}

#[test]
pub fn a_fifth_of_the_numbers_ported_out_at_once() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        let names: Vec<String> = (0..40).map(|at| format!("n{at}")).collect();
        for (at, name) in names.iter().enumerate() {
            world.number(
                name,
                json!({"provider": "twilio", "phoneNumber": format!("+1212556{at:04}")}),
            );
        }
        world
            .run_until("all Ready", |world| {
                names.iter().all(|name| is_ready(&world.get(name)))
            })
            .await;
        for at in 0..8 {
            world.released_by_hand(&format!("+1212556{at:04}"));
        }
        world
            .run_until("suspect", |world| {
                world.account_reason("twilio") == "InventorySuspect"
            })
            .await;
        assert!(
            names.iter().all(|name| reason(&world.get(name)) == "Ready"),
            "not one is given up by a listing alone"
        );
        world
            .run_until("eight Lost", |world| {
                names
                    .iter()
                    .filter(|name| reason(&world.get(name)) == "Lost")
                    .count()
                    == 8
            })
            .await;
        world
            .run_until("not suspect any more", |world| {
                world.account_reason("twilio") == "Ready"
            })
            .await;
        world.run_for(secs(600)).await;
        assert_eq!(
            deeds(&world, Deed::Purchase),
            40,
            "what is lost is never bought again"
        );
        assert_right(&world);
    });
}

#[test]
pub fn a_number_that_is_deleted_while_the_provider_denies_it_once() {
    in_simulated_time(async {
        for spec in [twilio(), telnyx()] {
            let mut world = World::new(1, json!({}));
            world.start(Options::default());
            world.number("nyc", spec);
            until_ready(&world, "nyc").await;
            let is_fetch = |call: &Call| call.operation == "fetch";
            world.stage.set_script(once(is_fetch, Fate::Refused(404)));
            world.delete("nyc");
            until_gone(&world, "nyc").await;
            assert_eq!(held(&world), 0, "{}", world.shown());
            assert_right(&world);
        }
    });
}

#[test]
pub fn an_account_of_three_numbers_that_is_listed_empty() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        for at in 0..3 {
            world.number(
                &format!("n{at}"),
                json!({"provider": "twilio", "phoneNumber": format!("+1212556{at:04}")}),
            );
        }
        world
            .run_until("all Ready", |world| {
                (0..3).all(|at| is_ready(&world.get(&format!("n{at}"))))
            })
            .await;
        let hide = |hours: u64| {
            let at = tokio::time::Instant::now() + secs(hours * 3600);
            world.emulator.world().numbers.list_from(at);
        };
        hide(1);
        world.run_for(secs(300)).await;
        // One is deleted meanwhile: its release is by its id, whatever listings say.
        world.delete("n0");
        until_gone(&world, "n0").await;
        hide(0);
        world.run_for(secs(300)).await;
        assert_eq!(held(&world), 2, "{}", world.shown());
        assert!(
            (1..3).all(|at| is_ready(&world.get(&format!("n{at}")))),
            "{}",
            world.shown()
        );
        assert_right(&world);
    });
}

/// Sixty resources, half of which want to buy, and one wrong credential.
#[test]
pub fn a_token_that_the_provider_refuses_and_takes_later() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        let names = |prefix: &'static str| (0..30).map(move |at| format!("{prefix}-{at}"));
        let are_ready =
            |world: &World, prefix| names(prefix).all(|name| is_ready(&world.get(&name)));
        names("early").for_each(|name| world.number(&name, any_twilio()));
        world
            .run_until("thirty Ready", |world| are_ready(world, "early"))
            .await;
        let mut wrong = credentials("twilio", 1);
        wrong["authToken"] = json!("wrong");
        world.secret("twilio", wrong.clone());
        world.run_for(secs(10)).await;
        names("late").for_each(|name| world.number(&name, any_twilio()));
        world
            .run_until("the wrong token is seen", |world| {
                reason(&world.get("late-29")) == "CredentialsInvalid"
            })
            .await;
        world.run_for(secs(60)).await;
        let requests = |world: &World| {
            let calls = world.stage.calls();
            calls.iter().filter(|call| call.side == "twilio").count()
        };
        let before = requests(&world);
        world.run_for(secs(1200)).await;
        let asked = requests(&world) - before;
        assert!((15..=21).contains(&asked), "{asked} in 20 intervals");
        // Somebody makes it the right one, and touches nothing in Kubernetes.
        let account = wrong["accountSid"].as_str().unwrap_or_default();
        world.control(
            "POST",
            &format!("/console/accounts/{account}"),
            json!({"token": "wrong"}),
        );
        world.run_for(secs(150)).await;
        assert!(are_ready(&world, "late"), "{}", world.shown());
    });
}

/// What was recorded under the key alone is recorded under the account's id once that is known, so that another key of the
/// same account keeps the number.
#[test]
pub fn a_key_that_is_rotated_once_its_account_is_identified() {
    in_simulated_time(async {
        for is_restarted in [false, true] {
            let mut world = World::new(1, unidentified());
            world.start(Options::default());
            world.number("bos", telnyx());
            until_ready(&world, "bos").await;
            let recorded = |world: &World| world.get("bos")["status"]["accountId"].clone();
            let by_key = recorded(&world);
            assert_ne!(by_key, TELNYX_ACCOUNTS[0], "nothing identifies it yet");
            world
                .run_until("recorded under its id", |world| {
                    recorded(world) == TELNYX_ACCOUNTS[0]
                })
                .await;
            if is_restarted {
                world.kill_all();
            }
            let path = format!("/console/accounts/{}", TELNYX_ACCOUNTS[0]);
            world.control("POST", &path, json!({"key": "rotated"}));
            world.secret("telnyx", json!({"apiKey": "rotated"}));
            if is_restarted {
                world.start(Options::default());
            }
            world.run_for(secs(300)).await;
            assert!(is_ready(&world.get("bos")), "{}", world.shown());
            assert_eq!(recorded(&world), TELNYX_ACCOUNTS[0]);
            world.delete("bos");
            until_gone(&world, "bos").await;
            assert_eq!(held(&world), 0, "{}", world.shown());
        }
    });
}

/// An account that is older than the rule of the definition names one Secret for both.
#[test]
pub fn one_secret_for_telnyx_and_burki_sends_nothing_to_burki() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        let one = json!({"credentialsSecretRef": {"name": "telnyx"}});
        world.account(
            "older",
            "telnyx",
            json!({"telnyx": one.clone(), "burki": one}),
        );
        world.start(Options::default());
        let mut spec = telnyx();
        spec["accountRef"] = json!({"name": "older"});
        spec["assistantId"] = json!(101);
        world.number("bos", spec);
        until_reason(&world, "bos", "AssistantUnverifiable").await;
        world.run_for(secs(300)).await;
        world.delete("bos");
        until_gone(&world, "bos").await;
        let calls = world.stage.calls();
        let to_burki = calls.iter().filter(|call| call.side == "burki");
        assert_eq!(to_burki.count(), 0);
        assert_eq!(deeds(&world, Deed::Order), 0, "{}", world.shown());
    });
}
