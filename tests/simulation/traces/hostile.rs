//! What a tenant writes stops nobody else and costs nobody else.

use super::*;
use crate::world::TWILIO_ACCOUNTS;

const FOREIGN_ACCOUNT: &str = "AC99999999999999999999999999999999";

/// A claim as nobody but a tenant writes it. It comes with the manifest, so its UID is of no object.
fn forged(name: &str, number: &str, change: Value) -> String {
    let mut claim = json!({
        "version": 1, "intent": "buy", "number": number, "accountId": TWILIO_ACCOUNTS[0],
        "owner": format!("{NAMESPACE}/{name}"), "uid": "x", "nonce": "x",
        "at": "2020-01-01T00:00:00Z", "since": "2020-01-01T00:00:00Z",
    });
    test_support::objects::merge(&mut claim, &change);
    claim.to_string()
}

fn create(world: &World, name: &str, number: &str, claim: String) {
    let mut object = crate::world::manifest(json!({"provider": "twilio", "phoneNumber": number}));
    object["metadata"] = json!({"annotations": {"telephony.burki.dev/claim": claim}});
    let _ = world
        .cluster
        .create(&Place::number(NAMESPACE, name), object);
}

#[test]
pub fn forged_claims_with_amounts_without_bounds_stop_nobody() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        let limits =
            json!({"maxMonthlyCost": {"amount": "10", "currency": "USD"}, "maxNumbers": 10});
        world.limit("twilio", limits);
        let now = json!({"at": "9999-01-01T00:00:00Z"});
        let most = "79228162514264337593543950335";
        let changes = [
            json!({"price": {"monthly": most, "upfront": "0", "currency": "USD"}}),
            json!({"price": {"monthly": most, "upfront": most, "currency": "USD"}}),
            json!({"price": {"monthly": "0", "upfront": most, "currency": "EUR"}}),
            json!({"price": {"monthly": "999999999.999999", "upfront": "0", "currency": "USD"}, "accountId": FOREIGN_ACCOUNT}),
            json!({"nonce": "x".repeat(100_000)}),
            json!({"accountId": "\u{1b}[2J"}),
            json!({"since": "-009999-01-02T00:00:00Z"}),
        ];
        for (place, mut change) in changes.into_iter().enumerate() {
            let name = format!("forged-{place}");
            let number = format!("+1212555010{place}");
            test_support::objects::merge(&mut change, &now);
            create(&world, &name, &number, forged(&name, &number, change));
        }
        world.start(Options::default());
        world.number("nyc", twilio());
        until_ready(&world, "nyc").await;
        world.run_for(secs(900)).await;
        world.delete("nyc");
        until_gone(&world, "nyc").await;
    });
}

/// A number that is released when it is kept at this request of the operator, or while the operator is frozen in it.
async fn kept_at(operation: &'static str, frozen_for: u64, spec: Value, change: Value) {
    let mut world = World::new(1, json!({}));
    world.start(Options::default());
    world.number("nyc", spec);
    until_ready(&world, "nyc").await;
    world.run_for(secs(120)).await;
    let (cluster, place) = (world.cluster.clone(), Place::number(NAMESPACE, "nyc"));
    let (process, asked) = (
        world.operators[0].process.clone(),
        Arc::new(AtomicBool::new(false)),
    );
    let seen = Arc::clone(&asked);
    let patch = json!({"spec": change});
    world.stage.set_script(Arc::new(move |call| {
        if call.operation == operation && !seen.swap(true, Ordering::Relaxed) {
            if frozen_for == 0 {
                let _ = cluster.patch(&place, &patch);
            } else {
                let (process, cluster, place, patch) = (
                    process.clone(),
                    cluster.clone(),
                    place.clone(),
                    patch.clone(),
                );
                process.freeze();
                tokio::spawn(async move {
                    tokio::time::sleep(secs(frozen_for)).await;
                    let _ = cluster.patch(&place, &patch);
                    process.thaw();
                });
            }
        }
        Fate::Answered
    }));
    world.delete("nyc");
    world.run_for(secs(300)).await;
    assert!(asked.load(Ordering::Relaxed), "{operation} was not asked");
    assert!(
        deeds(&world, Deed::Release) == 0 && held(&world) == 1,
        "{operation} {frozen_for}: a number was released that is to be kept\n{}",
        world.shown()
    );
}

#[test]
pub fn a_number_that_is_kept_at_the_last_moment_is_not_released() {
    in_simulated_time(async {
        let keeps = [
            json!({"deletionPolicy": "Retain"}),
            json!({"deletionProtection": true}),
            json!({"suspend": true}),
        ];
        for spec in [twilio(), telnyx()] {
            for change in &keeps {
                kept_at("fetch", 0, spec.clone(), change.clone()).await;
                kept_at("put configmaps", 0, spec.clone(), change.clone()).await;
                kept_at("put configmaps", 300, spec.clone(), change.clone()).await;
                kept_at("put phonenumbers/status", 60, spec.clone(), change.clone()).await;
            }
        }
    });
}

/// A provider that denies a number once, in the answer to its release or after one that took no effect, keeps it on the bill.
#[test]
pub fn a_number_that_is_denied_once_is_not_taken_for_released() {
    in_simulated_time(async {
        for refusal in [
            Fate::Refused(429),
            Fate::NotSent,
            Fate::Refused(404),
            Fate::RequestLost,
        ] {
            for spec in [twilio(), telnyx()] {
                let mut world = World::new(1, json!({}));
                world.start(Options::default());
                world.number("nyc", spec);
                until_ready(&world, "nyc").await;
                let denied_already = refusal == Fate::Refused(404);
                let (released, denied) = (AtomicBool::new(false), AtomicBool::new(denied_already));
                world
                    .stage
                    .set_script(Arc::new(move |call| match call.operation.as_str() {
                        "release" if !released.swap(true, Ordering::Relaxed) => refusal,
                        "fetch"
                            if released.load(Ordering::Relaxed)
                                && !denied.swap(true, Ordering::Relaxed) =>
                        {
                            Fate::Refused(404)
                        }
                        _ => Fate::Answered,
                    }));
                world.delete("nyc");
                until_gone(&world, "nyc").await;
                assert_eq!(held(&world), 0, "{refusal:?}\n{}", world.shown());
            }
        }
    });
}
