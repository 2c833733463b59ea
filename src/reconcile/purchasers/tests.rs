//! An account before and after it is known, and for those that lost the right to it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::account::{Accounts, Credentials, Endpoints};
use crate::api::Reason;
use crate::controller::reconciler::tests::{World, number};
use crate::number::Currency;
use crate::provider::http::fake::{Fake, json as answer};
use crate::reconcile::number::pinned;
use crate::reconcile::resolve::resolve;

const NUMBER: &str = "+12125550101";

#[tokio::test]
async fn what_an_account_bought_before_it_was_identified_counts_and_is_pinned_to_its_id() {
    let nothing = || answer(200, json!({"data": []}));
    let fake = Fake::with([
        nothing(),
        nothing(),
        answer(200, json!({"data": [{"organization_id": "org-1"}]})),
    ]);
    // It is asked who it is each time.
    let endpoints = Endpoints::default();
    let visibility = Duration::from_secs(600);
    let accounts = Accounts::new(
        fake.client(),
        endpoints,
        fake.clone(),
        Duration::ZERO,
        visibility,
    );
    let keys = BTreeMap::from([("apiKey".to_owned(), "fake-key".to_owned().into())]);
    let credentials = Credentials::from_keys(Provider::Telnyx, &keys).unwrap();
    let before = accounts.open(&credentials).await.unwrap();
    let hash = before.identity().account.clone();
    assert!(!before.identity().proved);
    let after = accounts.open(&credentials).await.unwrap();
    let id = AccountId::new("org-1");
    assert_eq!(after.identity().account, id);
    assert_eq!(after.names().len(), 2);

    let mut world = World::new();
    let bought = |id: &AccountId| {
        json!({"spec": {"provider": "telnyx"}, "status": {"id": "1", "accountId": id.to_string(), "phoneNumber": NUMBER,
            "cost": {"monthly": "1", "upfront": "0", "currency": "USD"}}})
    };
    world.list(&[
        number("before", NUMBER, bought(&hash)),
        number("after", "+12125550102", bought(&id)),
    ]);
    let usd = Currency::new("USD").unwrap();
    let spent = world.cluster.caches.index.cost_of(&after.names(), &usd);
    assert_eq!(spent.to_string(), "2");

    let pinned = |text: &AccountId, account| pinned_text(text.to_string(), account);
    assert_eq!(pinned(&hash, &before), hash.to_string());
    assert_eq!(pinned(&hash, &after), "org-1");
    assert_eq!(pinned(&AccountId::new("org-2"), &after), "org-2");
}

fn pinned_text(text: String, account: &Account) -> String {
    pinned(Some(text), Some(account)).unwrap().to_string()
}

#[tokio::test]
async fn who_loses_the_right_to_an_account_buys_nothing_and_still_releases() {
    let mut world = World::new();
    world.cluster_account(json!({
        "metadata": {"name": "shared"},
        "spec": {"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "twilio"}},
            "allowedNamespaces": {"matchLabels": {"team": "one"}}},
    }));
    let refers = json!({"kind": "ClusterProviderAccount", "name": "shared"});
    let deleted = "2026-01-02T03:04:05Z";
    // Its Secret does not exist either: who gets to that may use the account.
    for (status, deletion, reason) in [
        (json!({}), json!(null), Reason::AccountNotAllowed),
        (json!({}), json!(deleted), Reason::AccountNotAllowed),
        (
            json!({"id": "PN1", "accountId": "AC1"}),
            json!(null),
            Reason::CredentialsMissing,
        ),
        (
            json!({"id": "PN1", "accountId": "AC1"}),
            json!(deleted),
            Reason::CredentialsMissing,
        ),
        (
            json!({"orderId": "o1"}),
            json!(deleted),
            Reason::CredentialsMissing,
        ),
    ] {
        let mut number = number(
            "a",
            NUMBER,
            json!({"spec": {"accountRef": refers}, "status": status}),
        );
        number.metadata.deletion_timestamp = serde_json::from_value(deletion).unwrap();
        let resolved = resolve(
            &number,
            &world.cluster,
            &world.providers,
            &world.process.settings,
        )
        .await
        .unwrap();
        assert_eq!(resolved.account.err().unwrap().reason, reason, "{status}");
        let configuration = resolved.configuration.unwrap_err();
        if number.metadata.deletion_timestamp.is_none() {
            assert_eq!(configuration.reason, Reason::AccountNotAllowed, "{status}");
        }
    }
}
