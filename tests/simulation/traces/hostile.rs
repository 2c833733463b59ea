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
    crate::cluster::merge(&mut claim, &change);
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
            crate::cluster::merge(&mut change, &now);
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
