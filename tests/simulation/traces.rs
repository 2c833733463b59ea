//! Known ways in which money or a number was lost in models and in other programs, each played as a story.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use phonenumber_operator::emulator::Deed;
use serde_json::{Value, json};

use crate::audit::{self, Diary, reason};
use crate::cluster::Place;
use crate::in_simulated_time;
use crate::operator::Options;
use crate::process::{Call, Fate};
use crate::world::{NAMESPACE, World, condition, credentials, is_ready};

const NUMBER: &str = "+12125550001";
const TELNYX_NUMBER: &str = "+16175550001";

fn twilio() -> Value {
    json!({"provider": "twilio", "phoneNumber": NUMBER})
}

fn telnyx() -> Value {
    json!({"provider": "telnyx", "phoneNumber": TELNYX_NUMBER})
}

fn any_twilio() -> Value {
    json!({"provider": "twilio", "search": {"country": "US", "areaCode": "212"}})
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn elected() -> Options {
    Options {
        leader_elect: true,
        ..Options::default()
    }
}

/// How often operators did this to a number.
fn deeds(world: &World, deed: Deed) -> usize {
    let world = world.emulator.world();
    let entries = world.ledger.entries.iter();
    entries
        .filter(|entry| entry.deed == deed && entry.by != "console")
        .count()
}

fn held(world: &World) -> usize {
    world.emulator.world().numbers.iter().count()
}

fn assert_right(world: &World) {
    assert_right_but_for(world, &Diary::default());
}

fn assert_right_but_for(world: &World, diary: &Diary) {
    let faults = audit::faults(world, diary);
    assert!(
        faults.is_empty(),
        "{}\n{}",
        faults.join("\n"),
        world.shown()
    );
}

/// The first request that `wanted` picks meets `fate`.
fn once(
    wanted: impl Fn(&Call) -> bool + Send + Sync + 'static,
    fate: Fate,
) -> crate::process::Script {
    let met = AtomicBool::new(false);
    Arc::new(
        move |call| match wanted(call) && !met.swap(true, Ordering::Relaxed) {
            true => fate,
            false => Fate::Answered,
        },
    )
}

async fn until_ready(world: &World, name: &'static str) {
    world
        .run_until("Ready", |world| is_ready(&world.get(name)))
        .await;
}

async fn until_reason(world: &World, name: &'static str, wanted: &'static str) {
    world
        .run_until(wanted, |world| reason(&world.get(name)) == wanted)
        .await;
}

async fn until_gone(world: &World, name: &'static str) {
    world
        .run_until("gone", |world| world.get(name).is_null())
        .await;
}

#[test]
fn a_crash_in_the_middle_of_an_adoption_then_a_deletion() {
    in_simulated_time(async {
        for fate in [Fate::CrashBefore, Fate::CrashAfter, Fate::ReplyLost] {
            let mut world = World::new(1, json!({}));
            world.bought_by_hand("twilio", NUMBER);
            world
                .stage
                .set_script(once(|call| call.operation == "configure", fate));
            world.start(Options::default());
            let mut spec = twilio();
            spec["adoptionPolicy"] = json!("Adopt");
            world.number("nyc", spec);
            world.run_for(secs(20)).await;
            world.delete("nyc");
            world.start(Options::default());
            until_gone(&world, "nyc").await;
            assert_eq!(
                held(&world),
                1,
                "what was taken over is not given back: {fate:?}"
            );
            assert_right(&world);
        }
    });
}

#[test]
fn two_namespaces_with_keys_of_one_account_and_equal_searches() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.account_in("sales", "twilio");
        world.start(Options::default());
        for name in ["a", "b", "c", "d", "e"] {
            world.number(name, any_twilio());
            world.number_in("sales", name, any_twilio());
        }
        world
            .run_until("ten Ready", |world| {
                world
                    .cluster
                    .list("phonenumbers")
                    .iter()
                    .filter(|it| is_ready(it))
                    .count()
                    == 10
            })
            .await;
        assert_eq!(deeds(&world, Deed::Purchase), 10);
        let mut numbers: Vec<_> = world
            .emulator
            .world()
            .numbers
            .iter()
            .map(|it| it.phone_number.clone())
            .collect();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), 10, "{}", world.shown());
    });
}

#[test]
fn a_page_that_shifts_while_a_listing_runs() {
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
                World::control_of(&emulator, "POST", "/console/buy", json!({"provider": "telnyx", "account": "00000000-0000-4000-8000-000000000001", "number": number}));
                World::control_of(&emulator, "DELETE", &format!("/console/numbers/+1617556{at:04}"), Value::Null);
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
fn a_standby_that_takes_over_while_the_first_purchase_is_slow() {
    in_simulated_time(async {
        for spec in [twilio(), any_twilio(), telnyx()] {
            let mut world = World::new(1, json!({}));
            world.start(elected());
            world.run_for(secs(2)).await;
            world.start(elected());
            let first = world.operators[0].process.id;
            let cut_off = Arc::new(AtomicBool::new(false));
            world.stage.set_script({
                let cut_off = Arc::clone(&cut_off);
                Arc::new(move |call: &Call| {
                    if call.process == first && call.operation == "buy" {
                        // The purchase is on its way for long, and meanwhile the first leader reaches the cluster no more.
                        cut_off.store(true, Ordering::Relaxed);
                        return Fate::Late(secs(25));
                    }
                    let is_cut = cut_off.load(Ordering::Relaxed)
                        && call.process == first
                        && call.side == "kubernetes";
                    if is_cut {
                        Fate::RequestLost
                    } else {
                        Fate::Answered
                    }
                })
            });
            world.number("nyc", spec.clone());
            until_ready(&world, "nyc").await;
            world.run_for(secs(900)).await;
            assert_eq!(
                deeds(&world, Deed::Purchase),
                1,
                "{spec}\n{}",
                world.shown()
            );
            assert_right(&world);
        }
    });
}

#[test]
fn a_leader_frozen_between_claim_and_purchase_and_woken_after_the_second_bought_another_number() {
    in_simulated_time(frozen_leader());
}

pub async fn frozen_leader() {
    let mut world = World::new(1, json!({}));
    world.start(elected());
    world.run_for(secs(2)).await;
    world.start(elected());
    let (first, frozen) = (world.operators[0].process.clone(), AtomicBool::new(false));
    world.stage.set_script(Arc::new(move |call| {
        let claims = call.process == first.id && call.operation == "patch phonenumbers";
        if claims && !frozen.swap(true, Ordering::Relaxed) {
            first.freeze();
        }
        Fate::Answered
    }));
    world.number("nyc", any_twilio());
    // The number that the first leader claimed is sold to somebody else for a while, so that the second takes another.
    world.run_for(secs(1)).await;
    let claimed = world.claim("nyc")["number"].as_str().unwrap().to_owned();
    world.emulator.world().state.taken.push(claimed.clone());
    until_ready(&world, "nyc").await;
    world
        .emulator
        .world()
        .state
        .taken
        .retain(|number| *number != claimed);
    assert_ne!(world.get("nyc")["status"]["phoneNumber"], claimed.as_str());
    world.operators[0].process.thaw();
    world.run_for(secs(120)).await;
    assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
    assert_right(&world);
}

#[test]
fn a_secret_of_another_account_then_a_deletion() {
    in_simulated_time(swapped_secret());
}

pub async fn swapped_secret() {
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
}

#[test]
fn two_installations_with_ids_that_begin_alike() {
    in_simulated_time(other_installation());
}

pub async fn other_installation() {
    let mut world = World::new(1, json!({}));
    // The other installation holds a number for a resource of the same namespace and name.
    world.bought_by_hand("twilio", NUMBER);
    let theirs = audit::mark("simulated-2", NAMESPACE, "nyc");
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
    let theirs = audit::mark("simulated-2", NAMESPACE, "own");
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
}

#[test]
fn a_fifth_of_the_numbers_ported_out_at_once() {
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
fn an_account_of_three_numbers_that_is_listed_empty() {
    in_simulated_time(listed_empty());
}

pub async fn listed_empty() {
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
}

#[test]
fn create_and_delete_in_a_loop_against_the_fuse_across_restarts() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.limit(
            "twilio",
            json!({"purchasesPerHour": 3, "releasesPerHour": 100}),
        );
        for at in 0..12 {
            world.start(Options::default());
            world.number(
                "nyc",
                json!({"provider": "twilio", "phoneNumber": format!("+1212556{at:04}")}),
            );
            world.run_for(secs(60)).await;
            world.delete("nyc");
            world.run_for(secs(30)).await;
            world
                .operators
                .drain(..)
                .for_each(|operator| operator.kill());
            world.patch("nyc", json!({"metadata": {"finalizers": []}}));
        }
        let bought = deeds(&world, Deed::Purchase);
        assert!(
            (1..=3).contains(&bought),
            "{bought} in {:?}\n{}",
            world.elapsed(),
            world.shown()
        );
    });
}

#[test]
fn a_replace_in_the_middle_of_an_unknown_purchase() {
    in_simulated_time(async {
        for spec in [twilio(), telnyx()] {
            let mut world = World::new(1, json!({}));
            world
                .stage
                .set_script(once(|call| call.operation == "buy", Fate::ReplyLost));
            world.start(Options::default());
            world.number("nyc", spec.clone());
            world
                .run_until("a purchase", |world| {
                    world
                        .stage
                        .calls()
                        .iter()
                        .any(|call| call.operation == "buy")
                })
                .await;
            // Without the admission policy, claim and finalizer are gone; the mark at the company is not.
            let old = world.get("nyc");
            world
                .cluster
                .replace(
                    &Place::number(NAMESPACE, "nyc"),
                    crate::world::manifest(old["spec"].clone()),
                )
                .unwrap();
            until_ready(&world, "nyc").await;
            assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
            assert!(!crate::cluster::finalizers(&world.get("nyc")).is_empty());
            assert_right(&world);
        }
    });
}

#[test]
fn an_order_that_succeeded_whose_number_is_not_listed_for_minutes() {
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
fn an_order_that_succeeds_after_its_cancellation() {
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
fn a_deletion_between_the_purchase_and_the_status_write() {
    in_simulated_time(async {
        for spec in [twilio(), telnyx()] {
            let mut world = World::new(1, json!({}));
            let cluster = world.cluster.clone();
            world.stage.set_script(Arc::new(move |call| {
                if call.operation == "buy" {
                    let _ = cluster.delete(&Place::number(NAMESPACE, "nyc"));
                }
                Fate::Answered
            }));
            world.start(Options::default());
            world.number("nyc", spec);
            until_gone(&world, "nyc").await;
            // A Telnyx order may be cancelled before it has bought anything.
            assert!(deeds(&world, Deed::Purchase) <= 1, "{}", world.shown());
            assert_eq!(held(&world), 0, "{}", world.shown());
            assert_right(&world);
        }
    });
}

#[test]
fn a_number_that_was_renamed_in_the_console() {
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
fn the_assistant_directory_is_down_after_a_lost_reply() {
    in_simulated_time(async {
        for spec in [twilio(), telnyx()] {
            let mut world = World::new(1, json!({}));
            let lost = Arc::new(AtomicBool::new(false));
            world
                .stage
                .set_script(Arc::new(move |call| match call.operation.as_str() {
                    "buy" if !lost.swap(true, Ordering::Relaxed) => Fate::ReplyLost,
                    _ if call.side == "burki" && lost.load(Ordering::Relaxed) => Fate::RequestLost,
                    _ => Fate::Answered,
                }));
            world.start(Options::default());
            let mut spec = spec;
            spec["assistantId"] = json!(101);
            world.number("nyc", spec);
            world
                .run_until("recorded", |world| {
                    !world.get("nyc")["status"]["id"].is_null()
                })
                .await;
            world.run_for(secs(120)).await;
            assert_eq!(reason(&world.get("nyc")), "AssistantUnverifiable");
            // Another assistant is declared, and the directory comes back.
            world.patch("nyc", json!({"spec": {"assistantId": 102}}));
            world.stage.set_script(Arc::new(|_| Fate::Answered));
            until_ready(&world, "nyc").await;
            assert_eq!(world.get("nyc")["status"]["assistant"]["id"], 102);
            assert_eq!(deeds(&world, Deed::Purchase), 1, "{}", world.shown());
            assert_right(&world);
        }
    });
}

#[test]
fn a_listing_begun_before_a_release_that_ends_after_it() {
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
fn the_definition_is_deleted_under_live_resources() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.start(Options::default());
        world.number("nyc", twilio());
        world.number("bos", telnyx());
        until_ready(&world, "nyc").await;
        until_ready(&world, "bos").await;
        let definition = Place::new(
            "customresourcedefinitions",
            "",
            "phonenumbers.telephony.burki.dev",
        );
        world.cluster.patch(&definition, &json!({"metadata": {"finalizers": ["customresourcecleanup.apiextensions.k8s.io"]}})).unwrap();
        world.cluster.delete(&definition).unwrap();
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
fn search_and_number_exchanged_behind_the_rules_of_admission() {
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
fn a_forged_claim_buys_nothing_that_limits_forbid() {
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
fn an_older_operator_on_a_newer_definition() {
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

#[test]
fn crash_loops_shorter_than_the_visibility_period() {
    in_simulated_time(async {
        for spec in [twilio(), any_twilio(), telnyx()] {
            let mut world = World::new(1, json!({"switches": {"hiddenMs": 90_000}}));
            world
                .stage
                .set_script(Arc::new(|call| match call.operation.as_str() {
                    "buy" => Fate::CrashAfter,
                    _ => Fate::Answered,
                }));
            world.number("nyc", spec.clone());
            for _ in 0..40 {
                world.start(Options::default());
                world.run_for(secs(45)).await;
                world
                    .operators
                    .drain(..)
                    .for_each(|operator| operator.kill());
            }
            world.stage.set_script(Arc::new(|_| Fate::Answered));
            world.start(Options::default());
            until_ready(&world, "nyc").await;
            assert_eq!(
                deeds(&world, Deed::Purchase),
                1,
                "{spec}\n{}",
                world.shown()
            );
            assert_right(&world);
        }
    });
}

/// Found by a schedule: the number was released on what the resource was before its status was written.
#[test]
fn a_protection_that_is_set_while_the_number_is_being_recorded() {
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
