//! Which resources declare a number, have recorded an id, or use an account: found without going through all of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use rust_decimal::Decimal;

use super::context::{account_name, owner};
use crate::api::{AccountKind, PhoneNumber};
use crate::claim::{Claim, Stored};
use crate::number::{AccountId, Currency, Installation, Mark, Origin};

type Reference = ObjectRef<PhoneNumber>;

/// What resources are found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// The number that the spec declares, or that is claimed or held for a search.
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
    costs: HashMap<Reference, Cost>,
    /// The sums of `costs`, by account and currency.
    sums: HashMap<(String, String), Decimal>,
}

/// What the number of a resource costs each month.
#[derive(Clone, PartialEq, Eq)]
struct Cost {
    account: String,
    currency: String,
    monthly: Decimal,
}

impl Index {
    /// Notes `number` as it is now. True if it did not refer to its account before.
    pub(super) fn put(&self, number: &PhoneNumber) -> bool {
        let reference = ObjectRef::from_obj(number);
        let keys = keys_of(number);
        let mut maps = self.lock();
        maps.set_cost(&reference, cost_of(number));
        let before = maps.keys.get(&reference);
        if before == Some(&keys) {
            return false;
        }
        let account = account_key(number);
        let is_new_user = before.is_none_or(|before| !before.contains(&account));
        maps.drop_keys(&reference);
        for key in &keys {
            let found = maps.by_key.entry(key.clone()).or_default();
            found.insert(reference.clone());
        }
        maps.keys.insert(reference, keys);
        is_new_user
    }

    /// Forgets `number`.
    pub(super) fn remove(&self, number: &PhoneNumber) {
        let reference = ObjectRef::from_obj(number);
        let mut maps = self.lock();
        maps.set_cost(&reference, None);
        maps.drop_keys(&reference);
    }

    /// What was noted under `key`.
    pub(super) fn get(&self, key: &Key) -> Vec<Reference> {
        let maps = self.lock();
        let found = maps.by_key.get(key).into_iter().flatten();
        found.cloned().collect()
    }

    /// The first of what was noted under `key` that `find` makes something of.
    pub(super) fn find<T>(
        &self,
        key: &Key,
        find: impl FnMut(&Reference) -> Option<T>,
    ) -> Option<T> {
        let maps = self.lock();
        let mut found = maps.by_key.get(key).into_iter().flatten();
        found.find_map(find)
    }

    /// What the numbers of an account at a provider cost each month, as far as that is known and in this currency.
    pub(super) fn cost_of(&self, account: &AccountId, currency: &Currency) -> Decimal {
        let key = (account.to_string(), currency.to_string());
        self.lock().sums.get(&key).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Maps {
    fn set_cost(&mut self, reference: &Reference, cost: Option<Cost>) {
        let before = match cost.clone() {
            Some(cost) => self.costs.insert(reference.clone(), cost),
            None => self.costs.remove(reference),
        };
        if before == cost {
            return;
        }
        for (cost, sign) in before
            .iter()
            .map(|cost| (cost, -Decimal::ONE))
            .chain(cost.iter().map(|cost| (cost, Decimal::ONE)))
        {
            let key = (cost.account.clone(), cost.currency.clone());
            *self.sums.entry(key).or_default() += sign * cost.monthly;
        }
    }

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

/// The number that the resource's claim is on.
pub(super) fn claimed(number: &PhoneNumber) -> Option<String> {
    match Claim::read(
        number.annotations(),
        &owner(number),
        &number.uid().unwrap_or_default(),
    ) {
        Stored::Ours(claim) | Stored::EarlierUid(claim) => Some(claim.number.to_string()),
        Stored::Nothing | Stored::Unreadable | Stored::Newer(_) => None,
    }
}

fn cost_of(number: &PhoneNumber) -> Option<Cost> {
    let status = number.status.as_ref()?;
    let cost = status.cost.as_ref()?;
    Some(Cost {
        account: status.account_id.clone()?,
        currency: cost.currency.clone(),
        monthly: cost.monthly.parse().ok()?,
    })
}

fn keys_of(number: &PhoneNumber) -> Vec<Key> {
    let recorded = number.status.as_ref().and_then(|status| status.id.clone());
    let mark = Mark::new(Origin::Bought, &Installation::new(""), &owner(number));
    let mut keys = vec![Key::Marked(mark.owner().to_owned()), account_key(number)];
    let declared = number.spec.phone_number.clone();
    let held = number
        .status
        .as_ref()
        .and_then(|status| status.phone_number.clone());
    let numbers: BTreeSet<_> = [declared, held, claimed(number)]
        .into_iter()
        .flatten()
        .collect();
    keys.extend(numbers.into_iter().map(Key::Declared));
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
