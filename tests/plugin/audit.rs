//! Audits: what the status of an account lists for those without its Secret, and which numbers nobody uses.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use test_support::control_plane::ControlPlane;
use test_support::kubectl::kubectl;
use test_support::world::World;

use crate::plugin::{phonenumbers, phonenumbers_as, user};

#[tokio::test(flavor = "multi_thread")]
async fn who_may_see_an_account_sees_what_nobody_holds_in_it() {
    let plane = ControlPlane::shared().await;
    let mut world = World::new("unheld").await;
    world
        .until_account("twilio", |account| account["status"]["managed"] == 0)
        .await;
    world.kill_operator();
    let rules = [("get", "provideraccounts.telephony.burki.dev")];
    let viewer = user(plane, &world.namespace, "viewer", &rules, &[]).await;
    let ask = |command: &str, more: &[&str]| {
        let own = [command, "twilio", "-n", &world.namespace];
        let arguments = [&own, more].concat();
        phonenumbers_as(&viewer, plane, &world.emulator, &arguments)
    };
    let none = ask("unmanaged", &[]);
    assert_eq!((none.code, none.output.as_str()), (0, ""));
    assert!(
        none.error.starts_with("No unmanaged numbers found in "),
        "{none:?}"
    );

    let number = |number: &str| {
        json!({"phoneNumber": number, "id": "PN1", "since": Timestamp::now(),
            "monthlyCost": {"amount": "1.15", "currency": "USD"}})
    };
    let status = json!({"status": {"unmanaged": 7, "unmanagedNumbers": [number("+12125550101")],
        "orphaned": 1, "orphanedNumbers": [number("+12125550102")]}});
    let patch = status.to_string();
    let account = ["patch", "provideraccount", "twilio", "-n", &world.namespace];
    let change = ["--subresource=status", "--type=merge", "-p", &patch];
    kubectl(plane, &[&account[..], &change].concat());

    let unmanaged = ask("unmanaged", &[]);
    assert!(
        unmanaged.error.starts_with("6 more unmanaged numbers of "),
        "{unmanaged:?}"
    );
    let rows = unmanaged.rows();
    assert_eq!(rows[0], ["NUMBER", "ID", "MONTHLY", "AGE"]);
    assert_eq!(rows[1][..3], ["+12125550101", "PN1", "1.15 USD"]);
    let orphans = ask("orphans", &["--no-headers"]);
    assert_eq!((orphans.error.as_str(), orphans.rows().len()), ("", 1));
    assert_eq!(orphans.rows()[0][0], "+12125550102");
    for more in ["--live", "-owide", "-oyaml"] {
        let refused = ask("unmanaged", &[more]).failed();
        assert!(
            refused.starts_with("you may not get the Secret twilio"),
            "{refused}"
        );
    }
}

/// Twilio and Telnyx alike; a number that was bought lately is not looked at.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_without_a_call_or_a_message_are_idle() {
    let plane = ControlPlane::shared().await;
    let mut world = World::new("idle").await;
    world.kill_operator();
    let ago = |days: i64| Timestamp::now() - SignedDuration::from_hours(24 * days);
    for (provider, area) in [("twilio", "+1212555"), ("telnyx", "+1617555")] {
        let number = |last: u32| format!("{area}{last:04}");
        let buy_days_ago = async |days: i64, last: u32| {
            let behind = json!({"datesBehindMs": days * 24 * 3_600_000});
            world.emulator.post("/switches", behind).await;
            world.bought_by_somebody_else(provider, &number(last)).await;
        };
        buy_days_ago(10, 4).await;
        let take_place = async |kind: &str, to: &str, days: i64| {
            let record = json!({"kind": kind, "from": "+14155559999", "to": to, "at": ago(days)});
            world.emulator.post("/console/usage", record).await;
        };
        take_place("call", &number(1), 3).await;
        take_place("call", &number(2), 50).await;
        let ask = |more: &[&str]| {
            let own = ["idle", provider, "-n", &world.namespace];
            phonenumbers(plane, &world.emulator, &[&own, more].concat())
        };
        let young = ask(&[]);
        assert_eq!((young.code, young.output.as_str()), (0, ""), "{young:?}");
        assert!(young.error.contains("1 of the numbers of "), "{young:?}");

        for last in 1..=3 {
            buy_days_ago(400, last).await;
        }
        let idle = ask(&[]);
        let rows = idle.rows();
        assert_eq!(rows[0][0], "NUMBER", "{idle:?}");
        let shown = |row: &[String]| {
            let at = row.len() - 2;
            (row[0].clone(), row[at].clone(), row[at + 1].clone())
        };
        let none = || "<none>".to_owned();
        assert_eq!(
            rows[1..].iter().map(|row| shown(row)).collect::<Vec<_>>(),
            [
                (number(2), "50d".to_owned(), none()),
                (number(3), none(), none())
            ]
        );
        let year = ask(&["--days", "60", "--no-headers"]).rows();
        assert_eq!(year.len(), 1, "{year:?}");
        assert_eq!(year[0][0], number(3));

        world
            .emulator
            .fault(json!({"dialect": provider, "operation": "usage", "kind": "503"}))
            .await;
        let failed = ask(&[]).failed();
        assert!(failed.contains("cannot be asked"), "{failed}");
        world.emulator.clear_faults().await;
    }
}
