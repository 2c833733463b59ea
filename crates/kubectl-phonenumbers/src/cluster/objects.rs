//! Objects of any kind as the cluster has them, read one by one or page after page. An object that this version cannot decode is
//! left out with a note, and keeps nobody from the others.

use clap::Args;
use kube::api::{ApiResource, DynamicObject, ListParams, TypeMeta};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Cluster;
use crate::error::Error;

/// How many objects are asked for at once, as kubectl does.
const PAGE: u32 = 500;

/// An object behind its kind and name for people, or why this version cannot decode it.
pub(crate) type Named<K> = (String, Result<K, Error>);

/// Which objects of a kind a command is about.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Selection {
    /// The objects of all namespaces.
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,

    /// Only objects whose labels are as SELECTOR says, in kubectl's syntax.
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub(crate) selector: Option<String>,
}

impl Selection {
    /// The namespace that it is about; `None` for all of them.
    pub(crate) fn namespace_in<'a>(&self, cluster: &'a Cluster) -> Option<&'a str> {
        (!self.all_namespaces).then_some(cluster.namespace.as_str())
    }
}

impl Cluster {
    /// The object of this kind and name; of a namespaced kind in `namespace`. `None` if it does not exist.
    pub(crate) async fn find<K>(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<K>, Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let (found, what) = self.dynamic_one::<K>(namespace, name).await?;
        found.map(|found| decoded(found, &what)).transpose()
    }

    /// The same as the API server has it, whether this version can decode it or not.
    pub(crate) async fn value<K>(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Option<Value>, Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let (found, _) = self.dynamic_one::<K>(namespace, name).await?;
        let value = found.map(serde_json::to_value).transpose();
        value.map_err(|error| Error::unprintable(&error))
    }

    /// The object with what it is called for people.
    async fn dynamic_one<K>(
        &self,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<(Option<DynamicObject>, String), Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let resource = ApiResource::erase::<K>(&());
        let plural = K::plural(&());
        let kind = K::kind(&());
        let client = self.client.clone();
        let (api, what, right): (Api<DynamicObject>, _, _) = match namespace {
            Some(namespace) => (
                Api::namespaced_with(client, namespace, &resource),
                format!("{kind} {namespace}/{name}"),
                format!("get {plural} in namespace {namespace}"),
            ),
            None => (
                Api::all_with(client, &resource),
                format!("{kind} {name}"),
                format!("get {plural}"),
            ),
        };
        let found = api.get_opt(name).await;
        let found = found.map_err(|error| Error::of_cluster(&error, &what, &right))?;
        Ok((found, what))
    }

    /// The objects of a namespaced kind that `selection` means. Each that cannot be decoded is a note.
    pub(crate) async fn list<K>(
        &self,
        selection: &Selection,
        notes: &mut Vec<String>,
    ) -> Result<Vec<K>, Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let mut params = ListParams::default();
        params.label_selector.clone_from(&selection.selector);
        let namespace = selection.namespace_in(self);
        self.list_in(namespace, params, notes).await
    }

    /// Where `selection` looks, for people.
    pub(crate) fn place(&self, selection: &Selection) -> String {
        let place = match selection.all_namespaces {
            true => "in any namespace".to_owned(),
            false => format!("in namespace {}", self.namespace),
        };
        match &selection.selector {
            Some(selector) => format!("{place} with labels {selector}"),
            None => place,
        }
    }

    /// The objects of a kind in `namespace`, or in all; the latter is for kinds without a namespace too.
    pub(crate) async fn list_in<K>(
        &self,
        namespace: Option<&str>,
        params: ListParams,
        notes: &mut Vec<String>,
    ) -> Result<Vec<K>, Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let mut items = Vec::new();
        for (what, object) in self.each(namespace, params).await? {
            match object {
                Ok(item) => items.push(item),
                Err(error) => notes.push(format!("warning: {what} is left out: {error}")),
            }
        }
        Ok(items)
    }

    /// The objects of a kind in `namespace`, or in all, whether this version can decode them or not.
    pub(crate) async fn each<K>(
        &self,
        namespace: Option<&str>,
        params: ListParams,
    ) -> Result<Vec<Named<K>>, Error>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let kind = K::kind(&());
        let objects = self.dynamic::<K>(namespace, params).await?.into_iter();
        let decoded = objects.map(|object| {
            let what = match object.namespace() {
                Some(namespace) => format!("{kind} {namespace}/{}", object.name_any()),
                None => format!("{kind} {}", object.name_any()),
            };
            let object = decoded(object, &what);
            (what, object)
        });
        Ok(decoded.collect())
    }

    /// The same as the API server has them, whether this version can decode them or not.
    pub(crate) async fn values<K>(
        &self,
        namespace: Option<&str>,
        params: ListParams,
    ) -> Result<Vec<Value>, Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let mut values = Vec::new();
        for mut object in self.dynamic::<K>(namespace, params).await? {
            // The items of a list do not say it.
            object.types = Some(TypeMeta {
                api_version: K::api_version(&()).into_owned(),
                kind: K::kind(&()).into_owned(),
            });
            let value = serde_json::to_value(object);
            values.push(value.map_err(|error| Error::unprintable(&error))?);
        }
        Ok(values)
    }

    async fn dynamic<K>(
        &self,
        namespace: Option<&str>,
        params: ListParams,
    ) -> Result<Vec<DynamicObject>, Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let resource = ApiResource::erase::<K>(&());
        let plural = K::plural(&());
        let client = self.client.clone();
        let (api, right) = match namespace {
            Some(namespace) => (
                Api::namespaced_with(client, namespace, &resource),
                format!("list {plural} in namespace {namespace}"),
            ),
            None => (
                Api::all_with(client, &resource),
                format!("list {plural} in the whole cluster"),
            ),
        };
        pages(&api, params, &plural, &right).await
    }
}

fn decoded<K>(object: DynamicObject, what: &str) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    object.try_parse().map_err(|error| Error::Missing {
        what: format!("this version of the plugin cannot read {what}: {error}"),
        next: "Install the plugin of the operator's version".to_owned(),
    })
}

/// Every object, page after page.
pub(super) async fn pages(
    api: &Api<DynamicObject>,
    params: ListParams,
    plural: &str,
    right: &str,
) -> Result<Vec<DynamicObject>, Error> {
    let mut items = Vec::new();
    let mut page = params.limit(PAGE);
    loop {
        let found = api
            .list(&page)
            .await
            .map_err(|error| Error::of_cluster(&error, plural, right))?;
        items.extend(found.items);
        match found.metadata.continue_ {
            Some(next) if !next.is_empty() => page = page.continue_token(&next),
            _ => return Ok(items),
        }
    }
}
