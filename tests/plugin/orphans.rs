//! Numbers that are paid for, but that nobody looks after any more.

use serde_json::json;
use test_support::control_plane::ControlPlane;
use test_support::world::World;

use crate::plugin::{apply, phonenumbers};

const KEPT: &str = "+12125556001";
const HELD: &str = "+12125556002";
const SECOND: &str = "+12125556003";
const FOREIGN: &str = "+12125556004";
const PLAIN: &str = "+12125556005";
const LEFT: &str = "+12125556006";

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_numbers_with_a_mark_of_ours_that_no_phone_number_holds() {
    let plane = ControlPlane::shared().await;
    let world = World::new("orphans").await;
    let retain = json!({"deletionPolicy": "Retain"});
    world.create("kept", "twilio", KEPT, retain.clone()).await;
    world.create("left", "twilio", LEFT, retain).await;
    world.create("held", "twilio", HELD, json!({})).await;
    for name in ["kept", "left", "held"] {
        world.until_ready(name).await;
    }
    for name in ["kept", "left"] {
        world.delete(name).await;
        world.until_gone(name).await;
    }
    let mark_of_held = world.emulator.number(HELD).await["friendly_name"].clone();
    for (number, name) in [
        (SECOND, mark_of_held),
        (FOREIGN, json!("theirs [pn1.aaaaaa.bbbbbbbbbbbbb]")),
        (PLAIN, json!("plain")),
    ] {
        world.bought_by_somebody_else("twilio", number).await;
        let fields = json!({"friendly_name": name});
        world.emulator.edit(number, fields).await;
    }

    let namespace = world.namespace.clone();
    let orphans = |more: &[&str]| {
        let own = [
            "orphans",
            "--live",
            "twilio",
            "-n",
            &namespace,
            "--installation-id",
            &namespace,
        ];
        phonenumbers(plane, &world.emulator, &[&own, more].concat())
    };
    let before = world.effects().await;
    let rows = orphans(&[]).rows();
    assert_eq!(
        rows[0],
        ["NUMBER", "ID", "REASON", "PHONENUMBER", "ORIGIN", "AGE"]
    );
    let told: Vec<_> = rows[1..]
        .iter()
        .map(|row| {
            [
                row[0].clone(),
                row[2].clone(),
                row[3].clone(),
                row[4].clone(),
            ]
        })
        .collect();
    let holder = format!("{namespace}/held");
    assert_eq!(
        told,
        [
            [KEPT, "NoPhoneNumber", "<none>", "Bought"],
            [SECOND, "HoldsAnother", &holder, "Bought"],
            [LEFT, "NoPhoneNumber", "<none>", "Bought"],
        ]
    );
    let wide = orphans(&["-o", "wide"]).worked();
    assert!(
        wide.contains("kept [pn1.") && wide.contains("/twiml"),
        "{wide}"
    );

    let elsewhere = [
        "orphans",
        "--live",
        "twilio",
        "-n",
        &namespace,
        "--installation-id",
        "another",
    ];
    let elsewhere = phonenumbers(plane, &world.emulator, &elsewhere);
    assert_eq!((elsewhere.code, elsewhere.output.as_str()), (0, ""));
    let told = format!("No orphaned numbers found in ProviderAccount {namespace}/twilio.\n");
    assert_eq!(elsewhere.error, told);

    // What has no PhoneNumber is taken back by the manifest as it is; for the other it says what to do.
    let yaml = orphans(&["-o", "yaml"]);
    assert!(
        yaml.error.contains(SECOND) && yaml.error.contains(&holder),
        "{yaml:?}"
    );
    assert_eq!(yaml.error.lines().count(), 1);
    assert_eq!(world.effects().await, before, "it only reads");
    // Under another name than it had, a number is adopted like any other.
    apply(plane, &yaml.worked().replace("name: left", "name: renewed"));
    for (name, number, adopted) in [("kept", KEPT, false), ("renewed", LEFT, true)] {
        let taken = world.until_ready(name).await;
        assert_eq!(taken.spec.phone_number.as_deref(), Some(number));
        assert_eq!(taken.status.unwrap().adopted, adopted, "{name}");
        assert_eq!(world.emulator.purchases(number).await, 1);
    }
    assert_eq!(orphans(&["--no-headers"]).rows().len(), 1);
}
