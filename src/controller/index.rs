//! Which resources declare a number, have recorded an id, or use an account: found without going through all of them.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::context::{account_name, owner};
use crate::api::{AccountKind, PhoneNumber};
use crate::number::{Installation, Mark, Origin};

type Reference = ObjectRef<PhoneNumber>;

/// What resources are found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The number that the spec declares.
    Declared(String),
    /// The id that the status has recorded.
    Recorded(String),
    /// The part of a mark that names it.
    Marked(String),
    /// The account that it refers to: kind, namespace if it has one, name.
    Account(AccountKind, Option<String>, String),
}

/// References by key. A reference may be of an object that is gone or has changed: whoever follows it looks again.
#[derive(Default)]
pub(super) struct Index(Mutex<Maps>);

#[derive(Default)]
struct Maps {
    by_key: HashMap<Key, HashSet<Reference>>,
    keys: HashMap<Reference, Vec<Key>>,
}

impl Index {
    /// Notes `number` as it is now.
    pub(super) fn put(&self, number: &PhoneNumber) {
        let reference = ObjectRef::from_obj(number);
        let keys = keys_of(number);
        let mut maps = self.lock();
        if maps.keys.get(&reference) == Some(&keys) {
            return;
        }
        maps.drop_keys(&reference);
        for key in &keys {
            let found = maps.by_key.entry(key.clone()).or_default();
            found.insert(reference.clone());
        }
        maps.keys.insert(reference, keys);
    }

    /// Forgets `number`.
    pub(super) fn remove(&self, number: &PhoneNumber) {
        self.lock().drop_keys(&ObjectRef::from_obj(number));
    }

    /// What was noted under `key`.
    pub(super) fn get(&self, key: &Key) -> Vec<Reference> {
        let maps = self.lock();
        let found = maps.by_key.get(key).into_iter().flatten();
        found.cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Maps {
    fn drop_keys(&mut self, reference: &Reference) {
        for key in self.keys.remove(reference).unwrap_or_default() {
            if let Some(found) = self.by_key.get_mut(&key) {
                found.remove(reference);
                if found.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
    }
}

/// The key of the account that `number` refers to.
pub(super) fn account_key(number: &PhoneNumber) -> Key {
    let (kind, name) = account_name(number);
    let namespace = match kind {
        AccountKind::ProviderAccount => number.namespace(),
        AccountKind::ClusterProviderAccount => None,
    };
    Key::Account(kind, namespace, name)
}

fn keys_of(number: &PhoneNumber) -> Vec<Key> {
    let recorded = number.status.as_ref().and_then(|status| status.id.clone());
    let mark = Mark::new(Origin::Bought, &Installation::new(""), &owner(number));
    let mut keys = vec![
        Key::Marked(mark.owner().to_owned()),
        Key::Declared(number.spec.phone_number.clone()),
        account_key(number),
    ];
    keys.extend(recorded.map(Key::Recorded));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PhoneNumberStatus;
    use serde_json::json;

    fn number(name: &str, id: Option<&str>) -> PhoneNumber {
        let mut number: PhoneNumber = serde_json::from_value(json!({
            "apiVersion": "telephony.burki.dev/v1alpha1", "kind": "PhoneNumber",
            "metadata": {"name": name, "namespace": "support"},
            "spec": {"provider": "twilio", "phoneNumber": "+12125550100"},
        }))
        .unwrap();
        number.status = Some(PhoneNumberStatus {
            id: id.map(str::to_owned),
            ..PhoneNumberStatus::default()
        });
        number
    }

    #[test]
    fn a_resource_is_found_by_what_it_is_now() {
        let index = Index::default();
        let declared = Key::Declared("+12125550100".into());
        let recorded = Key::Recorded("PN1".into());
        index.put(&number("a", None));
        index.put(&number("b", Some("PN1")));
        assert_eq!(index.get(&declared).len(), 2);
        assert_eq!(index.get(&account_key(&number("a", None))).len(), 2);
        assert_eq!(index.get(&recorded).len(), 1);
        index.put(&number("b", Some("PN2")));
        assert!(index.get(&recorded).is_empty());
        index.remove(&number("b", None));
        assert_eq!(
            index.get(&declared),
            [ObjectRef::new("a").within("support")]
        );
    }
}
