//! Numbers that are in the account already: taken over where somebody says so, found again, and left alone.

use kube::api::{Patch, PatchParams};
use phonenumber_operator::number::{Installation, Mark, Origin, Owner};
use serde_json::{Value, json};
use test_support::emulator::CONNECTION;
use test_support::world::{World, held, message};

fn adopting(provider: &str) -> Value {
    match provider {
        "telnyx" => json!({"adoptionPolicy": "Adopt", "telnyx": {"connectionId": CONNECTION}}),
        _ => json!({"adoptionPolicy": "Adopt"}),
    }
}

/// The mark of `name` in the installation of this world.
fn mark(world: &World, name: &str) -> Mark {
    let owner = Owner {
        namespace: world.namespace.clone(),
        name: name.to_owned(),
    };
    Mark::new(Origin::Bought, &Installation::new(&world.namespace), &owner)
}

/// The text that carries the mark at the company.
async fn marked_text(world: &World, number: &str) -> String {
    let row = world.emulator.number(number).await;
    let field = match row["provider"].as_str() {
        Some("twilio") => "friendly_name",
        _ => "customer_reference",
    };
    row[field].as_str().unwrap_or_default().to_owned()
}

/// Sets the finalizers of a resource.
async fn set_finalizers(world: &World, name: &str, finalizers: Value) {
    let body = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    let numbers = world.numbers_as_operator().await;
    numbers
        .patch(name, &PatchParams::default(), &body)
        .await
        .unwrap();
}

/// Takes the resource away without letting the operator act, as a lost cluster does; it must not run.
async fn vanish(world: &World, name: &str) {
    set_finalizers(world, name, json!(null)).await;
    world.delete(name).await;
    world.until_gone(name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_bought_by_hand_is_taken_over_and_kept_when_its_resource_goes() {
    for (provider, number) in [("twilio", "+12125557101"), ("telnyx", "+12125557102")] {
        let world = World::new("adopted").await;
        // One request at a time is enough to take a number over.
        world
            .change_account(provider, json!({"limits": {"maxConcurrentRequests": 1}}))
            .await;
        world.bought_by_somebody_else(provider, number).await;
        world
            .create("found", provider, number, adopting(provider))
            .await;
        let found = world.until_ready("found").await;
        let status = found.status.clone().unwrap();
        assert!(status.adopted);
        // Only Twilio has a price list.
        let monthly = status.cost.map(|cost| cost.monthly);
        let listed = (provider == "twilio").then(|| "1.15".to_owned());
        assert_eq!(
            monthly, listed,
            "what is taken over costs as much as what is bought"
        );
        assert_eq!(held(&found), number);
        let text = marked_text(&world, number).await;
        let wanted = mark(&world, "found").adopted().to_string();
        assert!(text.contains(&wanted), "{text}");
        world.delete("found").await;
        world.until_gone("found").await;
        assert_eq!(world.emulator.releases(number).await, 0, "{provider}");
        assert!(!world.emulator.number(number).await.is_null());
        assert_eq!(world.attempts().await, 0, "nothing was bought");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_number_is_given_back_if_somebody_says_so() {
    let world = World::new("adopt-release").await;
    world
        .bought_by_somebody_else("twilio", "+12125557201")
        .await;
    let mut change = adopting("twilio");
    change["deletionPolicy"] = json!("Release");
    world
        .create("found", "twilio", "+12125557201", change)
        .await;
    world.until_ready("found").await;
    world.delete("found").await;
    world.until_gone("found").await;
    assert_eq!(world.emulator.releases("+12125557201").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_nobody_holds_is_taken_over() {
    let world = World::new("whose").await;
    let elsewhere = Mark::new(
        Origin::Bought,
        &Installation::new("another-cluster"),
        &Owner {
            namespace: world.namespace.clone(),
            name: "other".into(),
        },
    );
    world
        .create("living", "twilio", "+12125557300", json!({}))
        .await;
    world.until_ready("living").await;
    for (name, number, text, wanted) in [
        (
            "another",
            "+12125557301",
            elsewhere.to_string(),
            "OwnedByAnother",
        ),
        (
            "alive",
            "+12125557302",
            mark(&world, "living").to_string(),
            "OwnedByAnother",
        ),
        (
            "orphan",
            "+12125557303",
            mark(&world, "never-was").to_string(),
            "Ready",
        ),
        (
            "mine",
            "+12125557304",
            mark(&world, "mine").to_string(),
            "Ready",
        ),
        ("plain", "+12125557305", "(212) 555-7305".into(), "Ready"),
    ] {
        world.bought_by_somebody_else("twilio", number).await;
        world
            .emulator
            .edit(number, json!({"friendly_name": format!("x [{text}]")}))
            .await;
        world
            .create(name, "twilio", number, adopting("twilio"))
            .await;
        world.until_reason(name, wanted).await;
        let now = marked_text(&world, number).await;
        assert_eq!(
            now.contains(&text),
            wanted != "Ready" || name == "mine",
            "{name}: {now}"
        );
    }
    assert_eq!(
        world.attempts().await,
        1,
        "only the one that was there before"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_tells_that_a_number_was_adopted_where_the_status_is_lost() {
    let mut world = World::new("status-lost").await;
    let number = "+12125557401";
    world.bought_by_somebody_else("twilio", number).await;
    world
        .create("found", "twilio", number, adopting("twilio"))
        .await;
    world.until_ready("found").await;
    world.kill_operator();
    vanish(&world, "found").await;
    // The manifest comes back without status, claim, uid and adoption policy.
    world.create("found", "twilio", number, json!({})).await;
    world.start_operator();
    let found = world.until_ready("found").await;
    assert!(found.status.unwrap().adopted);

    // Lost once more, and deleted before anybody has looked.
    world.kill_operator();
    vanish(&world, "found").await;
    world.create("found", "twilio", number, json!({})).await;
    set_finalizers(&world, "found", json!(["telephony.burki.dev/release"])).await;
    world.delete("found").await;
    world.start_operator();
    world.until_gone("found").await;
    assert_eq!(world.emulator.releases(number).await, 0);
    assert_eq!(world.attempts().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_was_retained_is_found_again_and_not_bought() {
    let world = World::new("retained").await;
    let retain = json!({"deletionPolicy": "Retain"});
    let search = json!({"country": "US", "areaCode": "212"});
    world
        .create("exact", "twilio", "+12125557501", retain.clone())
        .await;
    world
        .create_wanting("search", "twilio", search.clone(), retain.clone())
        .await;
    let mut telnyx = retain.clone();
    telnyx["telnyx"] = json!({"connectionId": CONNECTION});
    world
        .create("order", "telnyx", "+12125557502", telnyx.clone())
        .await;
    let mut before = Vec::new();
    for name in ["exact", "search", "order"] {
        before.push(held(&world.until_ready(name).await));
        world.delete(name).await;
        world.until_gone(name).await;
    }
    world
        .create("exact", "twilio", "+12125557501", retain.clone())
        .await;
    world
        .create_wanting("search", "twilio", search, retain)
        .await;
    world
        .create("order", "telnyx", "+12125557502", telnyx)
        .await;
    for (name, number) in ["exact", "search", "order"].into_iter().zip(&before) {
        let again = world.until_ready(name).await;
        assert_eq!(held(&again), *number, "{name}");
        assert!(!again.status.unwrap().adopted, "{name}");
        assert_eq!(world.emulator.purchases(number).await, 1, "{name}");
        assert_eq!(world.emulator.releases(number).await, 0, "{name}");
    }
    assert_eq!(world.bought().await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_whose_mark_is_on_a_number_never_buys_a_second() {
    let mut world = World::new("second").await;
    let retain = json!({"deletionPolicy": "Retain"});
    world
        .create("nyc", "twilio", "+12125557601", retain.clone())
        .await;
    world.until_ready("nyc").await;
    world.delete("nyc").await;
    world.until_gone("nyc").await;
    // A process that has not seen the account yet must not be quicker than its first listing.
    world.kill_operator();
    world
        .create("nyc", "twilio", "+12125557602", json!({}))
        .await;
    world.start_operator();
    let number = world.until_reason("nyc", "AlreadyOwned").await;
    assert!(
        message(&number).contains("+12125557601"),
        "{}",
        message(&number)
    );
    assert_eq!(world.emulator.purchases("+12125557602").await, 0);
    world.delete("nyc").await;
    world.until_gone("nyc").await;
    let boston = json!({"country": "US", "areaCode": "617"});
    world
        .create_wanting("nyc", "twilio", boston, json!({}))
        .await;
    world.until_reason("nyc", "AlreadyOwned").await;
    assert_eq!(world.bought().await, ["+12125557601"]);
    assert_eq!(world.emulator.releases("+12125557601").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_that_fails_gives_no_purchase_back_to_the_quota() {
    let world = World::alone("adopt-quota", &[]).await;
    world
        .change_account("twilio", json!({"limits": {"purchasesPerHour": 1}}))
        .await;
    world
        .create("bought", "twilio", "+12125557701", json!({}))
        .await;
    world.until_ready("bought").await;
    world
        .bought_by_somebody_else("twilio", "+12125557702")
        .await;
    // The second look, which follows the claim.
    let fault = json!({"dialect": "twilio", "operation": "list", "mentions": "+12125557702", "kind": "503",
        "every": 2, "times": 1});
    world.emulator.fault(fault).await;
    world
        .create("found", "twilio", "+12125557702", adopting("twilio"))
        .await;
    world.until_ready("found").await;
    assert_eq!(world.emulator.faults_met().await, 1);
    world
        .create("more", "twilio", "+12125557703", json!({}))
        .await;
    world.until_reason("more", "LimitReached").await;
    assert_eq!(world.bought().await.len(), 1);
}
