//! What the user may read in the cluster, with the user's own rights. There is no way to write from here: only gets and
//! lists leave this module, and the connection refuses every request that is not a read.

mod connection;
mod objects;

use http::{Method, Request};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::client::ClientBuilder;
use kube::{Api, Client, Config, ResourceExt};
use phonenumber_api::{ClusterProviderAccount, PhoneNumber, ProviderAccount};
use serde::de::DeserializeOwned;
use telephony::number::{Installation, NumberId, Owner};
use tower::filter::FilterLayer;

use super::error::{Error, causes};
use super::survey::Known;

pub(super) use connection::Connection;
pub(super) use objects::{Named, Selection};

/// A cluster that can only be read.
pub(super) struct Cluster {
    client: Client,
    namespace: String,
}

impl Cluster {
    /// The cluster that `connection` leads to. Sends nothing yet.
    pub(super) async fn open(connection: Connection) -> Result<Self, Error> {
        let (config, namespace) = connection.config().await?;
        let client = reader(config).map_err(|error| Error::NoCluster(causes(&error)))?;
        Ok(Self { client, namespace })
    }

    /// The namespace that the user is in.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The ProviderAccount of this name, here.
    pub(super) async fn provider_account(&self, name: &str) -> Result<ProviderAccount, Error> {
        let namespace = &self.namespace;
        let accounts = Api::namespaced(self.client.clone(), namespace);
        let found = get(
            &accounts,
            name,
            &format!("ProviderAccount {namespace}/{name}"),
            &format!("get provideraccounts in namespace {namespace}"),
        )
        .await?;
        found.ok_or_else(|| Error::Missing {
            what: format!("ProviderAccount {namespace}/{name} does not exist"),
            next: format!(
                "kubectl get provideraccounts -n {namespace} lists those there are; another namespace is chosen with -n, \
                 a ClusterProviderAccount as clusterprovideraccount/{name}"
            ),
        })
    }

    /// The ClusterProviderAccount of this name.
    pub(super) async fn cluster_provider_account(
        &self,
        name: &str,
    ) -> Result<ClusterProviderAccount, Error> {
        let accounts = Api::all(self.client.clone());
        let found = get(
            &accounts,
            name,
            &format!("ClusterProviderAccount {name}"),
            "get clusterprovideraccounts",
        )
        .await?;
        found.ok_or_else(|| Error::Missing {
            what: format!("ClusterProviderAccount {name} does not exist"),
            next: "kubectl get clusterprovideraccounts lists those there are".to_owned(),
        })
    }

    /// The Secret of this name; `None` if it does not exist.
    pub(super) async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Secret>, Error> {
        get(
            &Api::namespaced(self.client.clone(), namespace),
            name,
            &format!("Secret {namespace}/{name}"),
            &format!("get the Secret {name} in namespace {namespace}"),
        )
        .await
    }

    /// The PhoneNumbers of this namespace.
    pub(super) async fn phone_numbers_here(&self) -> Result<Vec<Known>, Error> {
        let namespace = &self.namespace;
        let resource = ApiResource::erase::<PhoneNumber>(&());
        known(
            &Api::namespaced_with(self.client.clone(), namespace, &resource),
            &format!("list phonenumbers in namespace {namespace}"),
        )
        .await
    }

    /// The PhoneNumbers of all namespaces.
    pub(super) async fn phone_numbers(&self) -> Result<Vec<Known>, Error> {
        let resource = ApiResource::erase::<PhoneNumber>(&());
        known(
            &Api::all_with(self.client.clone(), &resource),
            "list phonenumbers in all namespaces",
        )
        .await
    }

    /// The installation that looks after this cluster unless its operator was told another id.
    pub(super) async fn installation(&self) -> Result<Installation, Error> {
        let what = "the namespace kube-system, whose UID names the installation (or give --installation-id)";
        let right = "get the namespace kube-system, whose UID names the installation (or give --installation-id)";
        let namespace: Option<Namespace> =
            get(&Api::all(self.client.clone()), "kube-system", what, right).await?;
        let uid = namespace.and_then(|namespace| namespace.uid());
        uid.map(Installation::new).ok_or_else(|| Error::Missing {
            what: "the namespace kube-system has no UID".to_owned(),
            next: "Give the operator's --installation-id".to_owned(),
        })
    }
}

/// A client that sends nothing but reads.
fn reader(config: Config) -> kube::Result<Client> {
    let reads = FilterLayer::new(only_reads);
    Ok(ClientBuilder::try_from(config)?.with_layer(&reads).build())
}

/// Lets reads through and nothing else.
fn only_reads<B>(request: Request<B>) -> Result<Request<B>, &'static str> {
    if request.method() == Method::GET {
        Ok(request)
    } else {
        Err(super::ONLY_READS)
    }
}

async fn get<K>(api: &Api<K>, name: &str, what: &str, right: &str) -> Result<Option<K>, Error>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    api.get_opt(name)
        .await
        .map_err(|error| Error::of_cluster(&error, what, right))
}

/// An object that this version cannot decode is still there.
async fn known(api: &Api<DynamicObject>, right: &str) -> Result<Vec<Known>, Error> {
    let found = objects::pages(api, ListParams::default(), "phonenumbers", right).await?;
    Ok(found.iter().map(seen).collect())
}

fn seen(object: &DynamicObject) -> Known {
    let text = |path: &str| {
        object
            .data
            .pointer(path)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    Known {
        owner: Owner {
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
        },
        number: text("/spec/phoneNumber").or_else(|| text("/status/phoneNumber")),
        recorded: text("/status/id").map(NumberId::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::extract::{Query, State};
    use axum::{Json, Router};
    use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
    use serde_json::{Value, json};
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex};

    /// What was asked for: methods and continue tokens.
    type Asked = Arc<Mutex<Vec<String>>>;

    /// Three pages with a PhoneNumber each, the second of which this version cannot decode.
    async fn page(
        State(asked): State<Asked>,
        Query(query): Query<HashMap<String, String>>,
        method: Method,
    ) -> Json<Value> {
        let token = query.get("continue").cloned().unwrap_or_default();
        asked.lock().unwrap().push(format!("{method} {token}"));
        let (name, rest, next) = match token.as_str() {
            "" => ("one", json!({"spec": {"phoneNumber": "+1"}}), "second"),
            "second" => ("two", json!({"spec": 7, "status": {"id": "PN2"}}), "third"),
            _ => ("three", json!({"status": {"phoneNumber": "+3"}}), ""),
        };
        let mut item = json!({"metadata": {"name": name, "namespace": "support"}});
        for (field, value) in rest.as_object().unwrap() {
            item[field] = value.clone();
        }
        Json(json!({"metadata": {"continue": next}, "items": [item]}))
    }

    async fn cluster(asked: &Asked) -> Cluster {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let router = Router::new().fallback(page).with_state(Arc::clone(asked));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = Config::new(format!("http://{address}").parse().unwrap());
        Cluster {
            client: reader(config).unwrap(),
            namespace: "support".to_owned(),
        }
    }

    #[tokio::test]
    async fn every_page_of_phone_numbers_is_read_whatever_is_in_them() {
        let asked = Asked::default();
        let known = cluster(&asked).await.phone_numbers().await.unwrap();
        let known: Vec<_> = known
            .iter()
            .map(|known| {
                let recorded = known.recorded.as_ref().map(NumberId::as_str);
                (known.owner.name.as_str(), known.number.as_deref(), recorded)
            })
            .collect();
        assert_eq!(
            known,
            [
                ("one", Some("+1"), None),
                ("two", None, Some("PN2")),
                ("three", Some("+3"), None),
            ]
        );
        assert_eq!(*asked.lock().unwrap(), ["GET ", "GET second", "GET third"]);
    }

    #[tokio::test]
    async fn no_write_is_sent() {
        let asked = Asked::default();
        let client = cluster(&asked).await.client;
        let secrets: Api<Secret> = Api::namespaced(client, "support");
        let secret = Secret::default();
        let post = PostParams::default();
        assert!(secrets.create(&post, &secret).await.is_err());
        assert!(secrets.replace("a", &post, &secret).await.is_err());
        let patch = Patch::Merge(json!({}));
        let patched = secrets.patch("a", &PatchParams::default(), &patch).await;
        assert!(patched.is_err());
        let deleted = secrets.delete("a", &DeleteParams::default()).await;
        assert!(deleted.unwrap_err().to_string().contains("only reads"));
        assert!(asked.lock().unwrap().is_empty());
    }
}
