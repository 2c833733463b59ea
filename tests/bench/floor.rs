//! What the API server takes for the writes of a purchase alone: the same requests, from a client that decides nothing.

use std::time::Instant;

use futures::{StreamExt, stream};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use phonenumber_operator::api::PhoneNumberStatus;
use serde_json::{Value, json};

use crate::world::{REQUESTS_OF_AN_ACCOUNT, World};

/// What a purchase wrote, to be written again for other PhoneNumbers.
pub struct Pattern {
    claim: String,
    status: Option<PhoneNumberStatus>,
    event: Event,
    /// What the API server stores for the PhoneNumber, in bytes of JSON, and how many of those keep track of fields.
    pub stored: (usize, usize),
}

impl Pattern {
    /// What was written for the PhoneNumber called `name`, which is Ready.
    pub async fn of(world: &World, namespace: &str, name: &str) -> Self {
        let number = world.numbers(namespace).get(name).await.unwrap();
        let about = format!("regarding.name={name}");
        let events = Api::<Event>::namespaced(world.client.clone(), namespace);
        let events = events.list(&ListParams::default().fields(&about)).await;
        let event = events.unwrap().items.into_iter().next();
        let bytes = |value: &Value| value.to_string().len();
        let shown = serde_json::to_value(&number).unwrap();
        let tracked = &shown["metadata"]["managedFields"];
        Self {
            stored: (bytes(&shown), bytes(tracked)),
            claim: number.annotations().values().map(String::as_str).collect(),
            status: number.status,
            event: event.expect("a purchase is told in an Event"),
        }
    }

    /// Writes all of it for each of `names`, as many at once as the operator may buy, and returns how many seconds that took.
    pub async fn write(&self, world: &World, namespace: &str, names: &[String]) -> f64 {
        let begun = Instant::now();
        stream::iter(names)
            .for_each_concurrent(REQUESTS_OF_AN_ACCOUNT, |name| {
                self.write_one(world, namespace, name)
            })
            .await;
        begun.elapsed().as_secs_f64()
    }

    async fn write_one(&self, world: &World, namespace: &str, name: &str) {
        let numbers = world.numbers(namespace);
        // The claims policy lets nobody but the operator write these, so that as much goes under other names.
        let metadata = json!({
            "annotations": {"bench.example.com/claim": self.claim},
            "finalizers": ["bench.example.com/release"],
        });
        let claim = Patch::Merge(json!({"metadata": metadata}));
        let patched = numbers.patch(name, &PatchParams::default(), &claim).await;
        let mut number = patched.unwrap();
        number.metadata.managed_fields = None;
        number.status.clone_from(&self.status);
        let options = PostParams::default();
        numbers
            .replace_status(name, &options, &number)
            .await
            .unwrap();
        let mut event = self.event.clone();
        event.metadata = ObjectMeta {
            name: Some(format!("{name}.floor")),
            ..ObjectMeta::default()
        };
        if let Some(regarding) = &mut event.regarding {
            regarding.namespace = Some(namespace.to_owned());
            regarding.name = Some(name.to_owned());
            regarding.uid = number.uid();
        }
        let events = Api::<Event>::namespaced(world.client.clone(), namespace);
        events.create(&options, &event).await.unwrap();
    }
}
