//! What of an object a reconcile depends on: it is due when that changes.

use std::hash::{DefaultHasher, Hash, Hasher};

use kube::{Resource, ResourceExt};

use crate::api::PhoneNumber;
use crate::claim::ANNOTATION;

/// What of a number a reconcile depends on: it is due when this changes. Our own status writes wake nobody.
pub fn number_fingerprint(number: &PhoneNumber) -> u64 {
    let claim = number.annotations().get(ANNOTATION);
    fingerprint(number, &claim)
}

/// The same of an account, of both kinds.
pub fn account_fingerprint<A: Resource>(account: &A) -> u64 {
    fingerprint(account, &())
}

fn fingerprint<K: Resource>(object: &K, more: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.meta().generation.hash(&mut hasher);
    object.meta().finalizers.hash(&mut hasher);
    let deletion = object.meta().deletion_timestamp.as_ref();
    deletion.map(|time| time.0).hash(&mut hasher);
    more.hash(&mut hasher);
    hasher.finish()
}
