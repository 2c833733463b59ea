//! What the API server takes for the writes of a purchase alone: the same requests, from a client that decides nothing.

use std::time::Instant;

use futures::{StreamExt, stream};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use phonenumber_operator::api::PhoneNumber;
use serde_json::json;

/// How many purchases are under way at once: as many as the operator's account allows.
const AT_ONCE: usize = 64;

/// What a purchase wrote, to be written again for other PhoneNumbers.
pub struct Pattern {
    number: PhoneNumber,
    event: Event,
}

impl Pattern {
    /// What was written for the PhoneNumber called `name`, which is Ready.
    pub async fn of(client: Client, namespace: &str, name: &str) -> Self {
        let mut number = Api::<PhoneNumber>::namespaced(client.clone(), namespace)
            .get(name)
            .await
            .unwrap();
        number.metadata.managed_fields = None;
        let about = format!("regarding.name={name}");
        let events = Api::<Event>::namespaced(client, namespace);
        let events = events.list(&ListParams::default().fields(&about)).await;
        let event = events.unwrap().items.into_iter().next();
        Self {
            number,
            event: event.expect("a purchase is told in an Event"),
        }
    }

    /// Writes all of it for each of `names`, and returns how many seconds that took.
    pub async fn write(&self, client: &Client, namespace: &str, names: &[String]) -> f64 {
        let begun = Instant::now();
        stream::iter(names)
            .for_each_concurrent(AT_ONCE, |name| self.write_one(client, namespace, name))
            .await;
        begun.elapsed().as_secs_f64()
    }

    async fn write_one(&self, client: &Client, namespace: &str, name: &str) {
        let numbers = Api::<PhoneNumber>::namespaced(client.clone(), namespace);
        // The claims policy lets nobody but the operator write these, so that as much goes under other names.
        let annotations = self.number.annotations();
        let claim: String = annotations.values().map(String::as_str).collect();
        let metadata = json!({
            "annotations": {"bench.example.com/claim": claim},
            "finalizers": ["bench.example.com/release"],
        });
        let claim = Patch::Merge(json!({"metadata": metadata}));
        let patched = numbers.patch(name, &PatchParams::default(), &claim).await;
        let mut number = patched.unwrap();
        number.metadata.managed_fields = None;
        number.status.clone_from(&self.number.status);
        let options = PostParams::default();
        numbers
            .replace_status(name, &options, &number)
            .await
            .unwrap();
        let mut event = self.event.clone();
        event.metadata = kube::api::ObjectMeta {
            name: Some(format!("{name}.floor")),
            ..Default::default()
        };
        if let Some(regarding) = &mut event.regarding {
            regarding.namespace = Some(namespace.to_owned());
            regarding.name = Some(name.to_owned());
            regarding.uid = number.uid();
        }
        let events = Api::<Event>::namespaced(client.clone(), namespace);
        events.create(&options, &event).await.unwrap();
    }
}
