//! From waiting to leading: the caches of a replica that waits are filled, and may lag behind. Nothing is decided on them
//! before they show everything that was written when this replica began to lead.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use kube::api::{ListParams, ObjectMeta};
use kube::runtime::reflector::Store;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::api::{ClusterProviderAccount, PhoneNumber, ProviderAccount};
use crate::cluster::{Cluster, resource_version};

/// How soon a cache that lags is looked at again.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How often it is looked at before the API server is asked again: what is gone meanwhile is not waited for.
const LOOKS: usize = 40;

/// How soon an API server that did not answer is asked again, and the longest pause. Each is twice as long as the one before.
const ASK_AGAIN_AFTER: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// A version of each object, by UID.
type Versions = HashMap<String, u128>;

impl Cluster {
    /// Waits until the caches, one for each of `namespaces` or one for all, show at least what the API server has now.
    pub(super) async fn catch_up(&self, namespaces: &[String]) {
        let reads = || self.reads.clone();
        for (place, store) in self.caches.numbers.iter().enumerate() {
            let api: Api<PhoneNumber> = match namespaces.get(place) {
                Some(namespace) => Api::namespaced(reads(), namespace),
                None => Api::all(reads()),
            };
            wait_for(&api, store).await;
        }
        for (place, store) in self.caches.accounts.iter().enumerate() {
            let api: Api<ProviderAccount> = match namespaces.get(place) {
                Some(namespace) => Api::namespaced(reads(), namespace),
                None => Api::all(reads()),
            };
            wait_for(&api, store).await;
        }
        for store in &self.caches.cluster_accounts {
            wait_for(&Api::<ClusterProviderAccount>::all(reads()), store).await;
        }
    }
}

async fn wait_for<K>(api: &Api<K>, store: &Store<K>)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (mut pause, longest) = ASK_AGAIN_AFTER;
    loop {
        let before = versions(store);
        let live = match list(api).await {
            Ok(live) => live,
            Err(error) => {
                let kind = K::kind(&());
                tracing::warn!(%kind, %error, "cannot see whether the caches are up to date");
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2).min(longest);
                continue;
            }
        };
        for _ in 0..LOOKS {
            if shows(&versions(store), &before, &live) {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        }
    }
}

fn versions<K>(store: &Store<K>) -> Versions
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let objects = store.state();
    objects
        .iter()
        .filter_map(|object| entry(object.meta()))
        .collect()
}

fn entry(object: &ObjectMeta) -> Option<(String, u128)> {
    let version = resource_version(object.resource_version.as_deref());
    Some((object.uid.clone()?, version))
}

/// What the API server has, as of now and not of a cache of its own; and as of which version.
async fn list<K>(api: &Api<K>) -> Result<(Versions, u128), kube::Error>
where
    K: Clone + Debug + DeserializeOwned,
{
    let mut live = Versions::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let found = api.list_metadata(&page).await?;
        let objects = found.items.iter();
        live.extend(objects.filter_map(|object| entry(&object.metadata)));
        match found.metadata.continue_ {
            Some(next) if !next.is_empty() => page = page.continue_token(&next),
            _ => {
                let as_of = resource_version(found.metadata.resource_version.as_deref());
                return Ok((live, as_of));
            }
        }
    }
}

/// True if a cache that held `before` when the API server was asked, and holds `cached` now, is not behind what it was
/// told.
fn shows(cached: &Versions, before: &Versions, (live, as_of): &(Versions, u128)) -> bool {
    // What was there and is not any more was deleted since.
    let has = |(uid, version): (&String, &u128)| match cached.get(uid) {
        Some(cached) => cached >= version,
        None => before.contains_key(uid),
    };
    // What is not there any more has to go, unless it has only just come.
    let is_there = |(uid, version): (&String, &u128)| live.contains_key(uid) || version > as_of;
    live.iter().all(has) && cached.iter().all(is_there)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::Full;
    use kube::client::Body;
    use kube::runtime::reflector;
    use kube::runtime::reflector::store::Writer;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};
    use tokio::time::{Instant, sleep};

    use super::*;

    fn versions(of: &[(&str, u128)]) -> Versions {
        of.iter()
            .map(|(uid, version)| ((*uid).to_owned(), *version))
            .collect()
    }

    #[test]
    fn a_cache_is_up_to_date_once_it_shows_what_was_written_before() {
        let live = (versions(&[("a", 5), ("b", 7)]), 9);
        for (cached, before, wanted) in [
            (&[("a", 5), ("b", 7)][..], &[][..], true),
            (&[("a", 4), ("b", 7)], &[("a", 4)], false),
            (&[("a", 8), ("b", 7)], &[], true),
            // Not seen yet.
            (&[("a", 5)], &[("a", 5)], false),
            // Deleted meanwhile.
            (&[("a", 5)], &[("a", 5), ("b", 7)], true),
            // Deleted before, and still shown.
            (&[("a", 5), ("b", 7), ("c", 3)], &[("c", 3)], false),
            // Created meanwhile.
            (&[("a", 5), ("b", 7), ("c", 10)], &[], true),
        ] {
            let (cached, before) = (versions(cached), versions(before));
            assert_eq!(
                shows(&cached, &before, &live),
                wanted,
                "{cached:?} {before:?}"
            );
        }
    }

    fn account(name: &str, version: &str) -> ProviderAccount {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "support", "uid": name, "resourceVersion": version},
            "spec": {"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "twilio"}},
                "webhooks": {"baseUrl": "https://voice.example.com"}},
        }))
        .unwrap()
    }

    /// An API server that has `accounts`, as of version 9, and the cache of one who watches it.
    fn watched(
        accounts: Vec<ProviderAccount>,
    ) -> (
        Api<ProviderAccount>,
        Store<ProviderAccount>,
        Writer<ProviderAccount>,
    ) {
        let items: Vec<Value> = accounts
            .iter()
            .map(|account| json!({"metadata": account.metadata}))
            .collect();
        let list = json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
            "metadata": {"resourceVersion": "9"}, "items": items});
        let service = tower::service_fn(move |_: http::Request<Body>| {
            let body = Full::from(list.to_string());
            async { Ok::<_, Infallible>(http::Response::new(body)) }
        });
        let (store, mut writer) = reflector::store();
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        (
            Api::all(kube::Client::new(service, "default")),
            store,
            writer,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_cache_that_lags_is_waited_for() {
        let (api, store, mut writer) = watched(vec![account("a", "5"), account("b", "7")]);
        writer.apply_watcher_event(&Event::Apply(account("a", "5")));
        writer.apply_watcher_event(&Event::Apply(account("b", "6")));
        let begun = Instant::now();
        tokio::spawn(async move {
            sleep(Duration::from_secs(5)).await;
            writer.apply_watcher_event(&Event::Apply(account("b", "7")));
            // Whatever reads the store needs its writer.
            std::future::pending::<()>().await;
        });
        wait_for(&api, &store).await;
        assert!(
            begun.elapsed() >= Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_cache_that_is_up_to_date_costs_no_time() {
        let (api, store, mut writer) = watched(vec![account("a", "5")]);
        writer.apply_watcher_event(&Event::Apply(account("a", "5")));
        let begun = Instant::now();
        wait_for(&api, &store).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        drop(writer);
    }
}
