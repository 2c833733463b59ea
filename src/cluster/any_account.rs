//! What both kinds of accounts have in common.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{
    AccountKey, AccountKind, AccountSpec, AccountStatus, ClusterProviderAccount, ProviderAccount,
};

/// A ProviderAccount or a ClusterProviderAccount.
pub(crate) trait AnyAccount:
    Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    const KIND: AccountKind;
    fn spec(&self) -> &AccountSpec;
    fn status(&self) -> Option<&AccountStatus>;
    fn status_mut(&mut self) -> &mut Option<AccountStatus>;
    /// Where it is written.
    fn api(&self, writes: &Client) -> Api<Self>;

    fn set_status(&mut self, status: AccountStatus) {
        *self.status_mut() = Some(status);
    }

    fn conditions(&mut self) -> &mut Vec<Condition> {
        &mut self.status_mut().get_or_insert_default().conditions
    }

    /// What leads to it.
    fn key(&self) -> AccountKey {
        AccountKey {
            kind: Self::KIND,
            namespace: self.namespace(),
            name: self.name_any(),
        }
    }

    /// The `account` label of metrics: `namespace/name`, or the name of a ClusterProviderAccount.
    fn label(&self) -> String {
        match self.namespace() {
            Some(namespace) => format!("{namespace}/{}", self.name_any()),
            None => self.name_any(),
        }
    }
}

impl AnyAccount for ProviderAccount {
    const KIND: AccountKind = AccountKind::ProviderAccount;

    fn spec(&self) -> &AccountSpec {
        &self.spec.account
    }

    fn status(&self) -> Option<&AccountStatus> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> &mut Option<AccountStatus> {
        &mut self.status
    }

    fn api(&self, writes: &Client) -> Api<Self> {
        Api::namespaced(writes.clone(), &self.namespace().unwrap_or_default())
    }
}

impl AnyAccount for ClusterProviderAccount {
    const KIND: AccountKind = AccountKind::ClusterProviderAccount;

    fn spec(&self) -> &AccountSpec {
        &self.spec.account
    }

    fn status(&self) -> Option<&AccountStatus> {
        self.status.as_ref()
    }

    fn status_mut(&mut self) -> &mut Option<AccountStatus> {
        &mut self.status
    }

    fn api(&self, writes: &Client) -> Api<Self> {
        Api::all(writes.clone())
    }
}
