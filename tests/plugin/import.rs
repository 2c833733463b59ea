//! A whole account becomes a folder, which is applied as it is, and says how to go back.

use std::fs;

use serde_json::json;
use test_support::control_plane::ControlPlane;
use test_support::kubectl::kubectl;
use test_support::world::World;

use crate::plugin::{leave_unheld, phonenumbers_as, user};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_becomes_a_folder_that_adopts_it_and_says_how_to_go_back() {
    let plane = ControlPlane::shared().await;
    let world = World::new("imported").await;
    let namespace = world.namespace.clone();
    for number in ["+12125556241", "+12125556242"] {
        world.bought_by_somebody_else("twilio", number).await;
    }
    let before = json!({"friendly_name": "NYC Support", "voice_url": "https://old.example.com/a?token=fake-secret"});
    world.emulator.edit("+12125556241", before).await;
    let rights = [
        ("get", "provideraccounts.telephony.burki.dev"),
        ("get", "secrets"),
        ("list", "phonenumbers.telephony.burki.dev"),
    ];
    let reader = user(plane, &namespace, "reader", &rights, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("assistants.yaml");
    fs::write(&map, "\"+12125556241\": 101\n\"+12125556249\": 102\n").unwrap();
    let out = folder.path().join("numbers");
    let (map, place) = (map.to_str().unwrap(), out.to_str().unwrap());
    let ask = |place: &str| {
        let own = ["import", "--live", "twilio", "--kustomize", "--out", place];
        let own = [&own[..], &["--assistant-map", map]].concat();
        phonenumbers_as(&reader, plane, &world.emulator, &own)
    };
    let never = json!({"limits": {"adoption": "Never"}});
    world.change_account("twilio", never).await;
    let warned = ask(folder.path().join("warned").to_str().unwrap());
    assert!(
        warned.error.contains("Set limits.adoption: Unmarked"),
        "{warned:?}"
    );
    let unmarked = json!({"limits": {"adoption": "Unmarked"}});
    world.change_account("twilio", unmarked).await;
    let written = ask(place);
    assert!(!written.error.contains("limits.adoption"), "{written:?}");
    assert_eq!(written.code, 0, "{written:?}");
    assert!(written.error.contains("Wrote 2 manifests"), "{written:?}");
    let orphans = "Orphaned numbers are left out: you may not";
    assert!(written.error.contains(orphans), "{written:?}");
    assert!(
        written
            .error
            .contains("warning: +12125556249 of the assistant map"),
        "{written:?}"
    );
    let page = fs::read_to_string(out.join("ROLLBACK.md")).unwrap();
    assert!(
        page.contains("| NYC Support | https://old.example.com/a?… |"),
        "{page}"
    );
    assert!(!page.contains("fake-secret"), "{page}");
    assert!(ask(place).failed().contains("is not empty"));

    kubectl(plane, &["apply", "--validate=strict", "-k", place]);
    let adopted = world.until_ready("nyc-support").await;
    assert_eq!(adopted.spec.assistant_id, Some(101));
    world.until_ready("number-12125556242").await;
    let bought = world.emulator.purchases("+12125556241").await;
    assert_eq!(bought, 1, "by somebody else, and not again");
    // The way back, as the page says.
    kubectl(plane, &["delete", "-k", place]);
    world.until_gone("nyc-support").await;
    assert_eq!(world.emulator.releases("+12125556241").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_the_secret_takes_what_the_status_lists_orphans_included() {
    let plane = ControlPlane::shared().await;
    let world = World::new("listed").await;
    let namespace = world.namespace.clone();
    let retain = json!({"deletionPolicy": "Retain"});
    world.create("left", "twilio", "+12125556251", retain).await;
    world.until_ready("left").await;
    leave_unheld(&world, "left", "+12125556252").await;
    let rights = [
        ("get", "provideraccounts.telephony.burki.dev"),
        ("list", "phonenumbers.telephony.burki.dev"),
    ];
    let reader = user(plane, &namespace, "reader", &rights, &[]).await;
    let folder = tempfile::tempdir().unwrap();
    let ask = |name: &str, more: &[&str]| {
        let place = folder.path().join(name);
        let own = ["import", "twilio", "--out", place.to_str().unwrap()];
        phonenumbers_as(&reader, plane, &world.emulator, &[&own[..], more].concat())
    };
    let live = ask("live", &["--live", "--installation-id", &namespace]).failed();
    assert!(live.starts_with("you may not get the Secret"), "{live}");
    let unmarked = json!({"limits": {"adoption": "Unmarked"}});
    world.change_account("twilio", unmarked).await;
    let warned = ask("warned", &[]);
    assert!(
        warned.error.contains("Set limits.adoption: Orphans"),
        "{warned:?}"
    );
    let all = json!({"limits": {"adoption": "Orphans"}});
    world.change_account("twilio", all).await;
    let written = ask("numbers", &[]);
    assert!(written.error.contains("Wrote 2 manifests"), "{written:?}");
    assert!(!written.error.contains("limits.adoption"), "{written:?}");
    let place = folder.path().join("numbers");
    let page = fs::read_to_string(place.join("ROLLBACK.md")).unwrap();
    assert!(page.contains("&lt;unknown&gt;"), "{page}");
    kubectl(
        plane,
        &["apply", "--validate=strict", "-f", place.to_str().unwrap()],
    );
    for number in ["+12125556251", "+12125556252"] {
        let name = format!("number-{}", &number[1..]);
        assert!(world.until_ready(&name).await.status.unwrap().adopted);
        assert_eq!(world.emulator.purchases(number).await, 1);
    }
}
