//! Webhooks of connections: who sets them, and who leaves them alone.

use super::rest::{OWN, webhook, writes};
use super::*;
use test_support::objects::merge;

#[test]
pub fn two_accounts_that_manage_one_connection_do_not_write_against_each_other() {
    in_simulated_time(async {
        let mut world = World::new(1, json!({}));
        world.run_for(secs(10)).await;
        world.account(
            "later",
            "telnyx",
            json!({"telnyx": {"connectionWebhook": "Manage", "connectionId": CONNECTION},
                "webhooks": {"baseUrl": "https://other.example.com"}}),
        );
        world.start(Options::default());
        world.run_for(secs(120)).await;
        world.number("bos", telnyx());
        world.number(
            "two",
            json!({"provider": "telnyx", "phoneNumber": "+16175550002", "accountRef": {"name": "later"}}),
        );
        until_ready(&world, "bos").await;
        until_reason(&world, "two", "ConnectionWebhookMismatch").await;
        let (_, _, message) = condition(&world.get("two"), "Ready").unwrap();
        assert!(
            message.contains("ProviderAccount support/telnyx"),
            "{message}"
        );
        world.run_for(secs(600)).await;
        let webhooks = writes(&world)
            .iter()
            .filter(|write| write.starts_with("webhook"))
            .count();
        assert_eq!(webhooks, 1, "{}", world.shown());
        assert!(is_ready(&world.get("bos")));
    });
}

#[test]
pub fn a_webhook_is_managed_only_where_the_account_names_it_and_somebody_may_write() {
    in_simulated_time(async {
        let other = "1293384261075731501";
        let mut world = World::new(1, json!({}));
        webhook(&world, other, "https://team.example.com");
        world.start(Options::default());
        world.number("bos", telnyx());
        until_ready(&world, "bos").await;
        let count = |world: &World| {
            let entries = &world.emulator.world().ledger.entries;
            entries.iter().filter(|it| it.deed == Deed::Webhook).count()
        };
        assert_eq!(count(&world), 1);
        // A tenant names another team's connection.
        let mut stranger = telnyx();
        merge(
            &mut stranger,
            &json!({"phoneNumber": "+16175550002", "telnyx": {"connectionId": other}}),
        );
        world.number("two", stranger);
        until_reason(&world, "two", "ConnectionWebhookMismatch").await;
        world.patch("bos", json!({"spec": {"suspend": true}}));
        world.run_for(secs(10)).await;
        webhook(&world, CONNECTION, OWN);
        // Another that may not buy wants the same connection.
        world.limit("telnyx", json!({"maxNumbers": 1}));
        world.number(
            "full",
            json!({"provider": "telnyx", "phoneNumber": "+16175550003"}),
        );
        until_reason(&world, "full", "LimitReached").await;
        world.run_for(secs(300)).await;
        assert_eq!(count(&world), 1, "{}", world.shown());
        world.patch("bos", json!({"spec": {"suspend": false}}));
        world.run_for(secs(130)).await;
        assert_eq!(count(&world), 2, "{}", world.shown());
        assert!(is_ready(&world.get("bos")));
    });
}

/// Burki names a connection that the account does not name. Whatever answers its calls, nothing is written to it.
#[test]
pub fn a_connection_that_burki_names_is_not_managed() {
    in_simulated_time(async {
        let other = "1293384261075731501";
        let assistants = json!([{"id": 101, "name": "Support", "connection": other}]);
        for change in [
            json!({"switches": {"burkiConnection": other}}),
            json!({ "assistants": assistants }),
        ] {
            let mut world = World::new(1, change.clone());
            webhook(&world, other, "https://team.example.com");
            world.start(Options::default());
            let mut spec = telnyx();
            spec["assistantId"] = json!(101);
            world.number("bos", spec);
            until_reason(&world, "bos", "ConnectionWebhookMismatch").await;
            world.run_for(secs(300)).await;
            let (_, _, message) = condition(&world.get("bos"), "Ready").unwrap();
            assert!(message.contains(other), "{message}");
            assert!(writes(&world).is_empty(), "{change} {:?}", writes(&world));
        }
    });
}
