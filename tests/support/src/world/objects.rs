//! The objects of a world at the API server.

use k8s_openapi::api::core::v1::{Event, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use phonenumber_api::{PhoneNumber, ProviderAccount};
use serde_json::{Value, json};

use super::World;
use crate::control_plane::client_for;
use crate::objects::{change_spec, create, merge};

impl World {
    /// The PhoneNumbers of the namespace.
    pub fn numbers(&self) -> Api<PhoneNumber> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The PhoneNumbers, by the right of the operator: admission lets nobody else touch its finalizer.
    pub async fn numbers_as_operator(&self) -> Api<PhoneNumber> {
        let client = client_for(&self.kubeconfig).await.unwrap();
        Api::namespaced(client, &self.namespace)
    }

    /// The accounts of the namespace.
    pub fn accounts(&self) -> Api<ProviderAccount> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The Secrets of the namespace.
    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates a Secret, or sets all its keys.
    pub async fn secret(&self, name: &str, keys: Value) {
        let body = json!({"metadata": {"name": name}, "stringData": keys});
        let secret: Secret = serde_json::from_value(body).unwrap();
        let secrets = self.secrets();
        let written = match secrets.get_opt(name).await.unwrap() {
            Some(_) => secrets.replace(name, &PostParams::default(), &secret).await,
            None => secrets.create(&PostParams::default(), &secret).await,
        };
        written.unwrap();
    }

    /// Deletes a Secret.
    pub async fn delete_secret(&self, name: &str) {
        self.secrets()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// Creates an account named like its provider, with `change` merged into its spec.
    pub async fn account(&self, provider: &str, change: Value) {
        self.account_named(provider, provider, change).await;
    }

    /// Creates an account at `provider`, with `change` merged into its spec.
    pub async fn account_named(&self, name: &str, provider: &str, change: Value) {
        let mut spec = json!({
            "provider": provider,
            provider: {"credentialsSecretRef": {"name": provider}},
            "webhooks": {"baseUrl": "https://voice.example.com"},
            // Many tests share one operator namespace, and with it the counts.
            "limits": {"purchasesPerHour": 100_000, "releasesPerHour": 100_000},
            "burki": {"url": self.emulator.burki, "credentialsSecretRef": {"name": "burki"}},
        });
        merge(&mut spec, &change);
        let body = json!({"metadata": {"name": name}, "spec": spec});
        create(&self.accounts(), body).await;
    }

    /// Merges `spec` into the spec of an account.
    pub async fn change_account(&self, name: &str, spec: Value) {
        change_spec(&self.accounts(), name, spec).await;
    }

    /// Creates a PhoneNumber with `change` merged into its spec.
    pub async fn create(&self, name: &str, provider: &str, number: &str, change: Value) {
        let spec = json!({"provider": provider, "phoneNumber": number});
        self.declare(name, spec, change).await;
    }

    /// Creates a PhoneNumber that wants any number that is as `search` says, with `change` merged into its spec.
    pub async fn create_wanting(&self, name: &str, provider: &str, search: Value, change: Value) {
        let spec = json!({"provider": provider, "search": search});
        self.declare(name, spec, change).await;
    }

    async fn declare(&self, name: &str, mut spec: Value, change: Value) {
        merge(&mut spec, &change);
        let body = json!({"metadata": {"name": name}, "spec": spec});
        create(&self.numbers(), body).await;
    }

    /// Merges `spec` into the spec of a PhoneNumber.
    pub async fn change(&self, name: &str, spec: Value) {
        change_spec(&self.numbers(), name, spec).await;
    }

    /// Deletes a PhoneNumber, also one that is protected.
    pub async fn delete(&self, name: &str) {
        Api::<PhoneNumber>::namespaced(self.breaking_the_glass.clone(), &self.namespace)
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    /// A PhoneNumber as the API server has it.
    pub async fn number(&self, name: &str) -> PhoneNumber {
        self.numbers().get(name).await.unwrap()
    }

    /// The reasons of the Events on `name`.
    pub async fn events(&self, name: &str) -> Vec<String> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &self.namespace);
        let list = events.list(&ListParams::default()).await.unwrap();
        list.items
            .into_iter()
            .filter(|event| event.involved_object.name.as_deref() == Some(name))
            .filter_map(|event| event.reason)
            .collect()
    }
}
