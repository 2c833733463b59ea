//! How resources refer to one another: the account of a number, the name of an owner, and the finalizers that hold them.

use kube::{Resource, ResourceExt};
use telephony::number::Owner;

use super::{AccountKind, PhoneNumber};

/// The finalizer that keeps a [`PhoneNumber`] until its number is released or let go.
pub const NUMBER_FINALIZER: &str = "telephony.burki.dev/release";

/// The finalizer that keeps an account until the PhoneNumbers that use it are gone: they need it to be released.
pub const ACCOUNT_FINALIZER: &str = "telephony.burki.dev/in-use";

/// Names one ProviderAccount or ClusterProviderAccount.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AccountKey {
    /// Its kind.
    pub kind: AccountKind,
    /// The namespace of a ProviderAccount; a ClusterProviderAccount has none.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl AccountKey {
    /// The account that `number` refers to, with the default applied.
    pub fn of(number: &PhoneNumber) -> Self {
        let (kind, name) = account_name(number);
        let namespace = match kind {
            AccountKind::ProviderAccount => number.namespace(),
            AccountKind::ClusterProviderAccount => None,
        };
        Self {
            kind,
            namespace,
            name,
        }
    }
}

/// The kind and name of the account that `number` refers to, with the default applied.
pub fn account_name(number: &PhoneNumber) -> (AccountKind, String) {
    match &number.spec.account_ref {
        Some(reference) => (reference.kind, reference.name.clone()),
        None => (
            AccountKind::ProviderAccount,
            number.spec.provider.to_string(),
        ),
    }
}

/// `namespace/name` of a resource.
pub fn owner<K: Resource>(object: &K) -> Owner {
    Owner {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

/// True if `object` has this finalizer.
pub fn has_finalizer<K: Resource>(object: &K, finalizer: &str) -> bool {
    object.finalizers().iter().any(|found| found == finalizer)
}

/// The finalizers of `object`, with or without this one.
pub fn finalizers_of<K: Resource>(object: &K, finalizer: &str, is_held: bool) -> Vec<String> {
    let mut finalizers = object.finalizers().to_vec();
    if !is_held {
        finalizers.retain(|found| found != finalizer);
    } else if !has_finalizer(object, finalizer) {
        finalizers.push(finalizer.to_owned());
    }
    finalizers
}
