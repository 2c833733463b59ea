//! A plan from manifests alone: of both sides, without a cluster and without a credential. Pure.
//!
//! What the base declares is assumed to have come true: each PhoneNumber there that its account's limits allow holds a number.

use std::collections::BTreeMap;

use phonenumber_api::{
    AccountKey, AccountKind, ClusterProviderAccount, NamespaceSelector, PhoneNumber,
    ProviderAccount,
};
use serde_json::Value;

use super::Decided;
use super::accounts::{altered, removed};
use super::admission::{Checked, Definitions, Old};
use super::decide::{assumed, decide as decide_all};
use super::manifests::{Key, Kind, Manifest, owner};
use super::situation::{AccountFacts, Action, After, Surroundings, Verdict, Wanted};
use crate::prices::list::PriceList;

/// The manifests of one side.
pub(super) type Manifests = BTreeMap<Key, Manifest>;

/// What becomes of each PhoneNumber in `new` or `base`.
pub(super) fn decide(
    new: &Manifests,
    base: &Manifests,
    prices: Option<PriceList>,
    definitions: &Definitions,
) -> Decided {
    let was = Side::checked(base, definitions, |_| None);
    let mut around = was.surroundings(prices);
    let of_base = decide_all(&BTreeMap::new(), &was.numbers, &around);
    let before = assumed(&was.numbers, &of_base, &around);
    // Where a number is held, its id and, of a search, the number are not known.
    let holds = |key: &Key| {
        let standing = before.get(&owner(key));
        standing.is_some_and(|standing| standing.holds.is_some())
    };
    let is = Side::checked(new, definitions, |key| {
        was.accepted.get(key).map(|object| Old {
            object,
            has_status: !holds(key),
        })
    });
    // What the base alone has is gone.
    let gone = around.accounts.keys().cloned().map(|key| (key, None));
    let gone: Vec<_> = gone.collect();
    let now = is.surroundings(around.prices.take());
    around.accounts.extend(gone);
    around.accounts.extend(now.accounts);
    around.namespaces.extend(now.namespaces);
    around.prices = now.prices;
    let mut verdicts = decide_all(&before, &is.numbers, &around);
    verdicts.extend(is.refused_accounts);
    verdicts.extend(altered(&was.accepted, &is.accepted));
    verdicts.extend(removed(&was.accepted, |key| new.contains_key(key)));
    let note = "The manifests of the base are taken for what the cluster has; what the providers have is not known.";
    let mut notes = vec![note.to_owned()];
    if around.prices.is_none() {
        let note = "No prices are known: name a file with --prices, which kubectl phonenumbers prices ACCOUNT -o json writes.";
        notes.push(note.to_owned());
    }
    Decided { verdicts, notes }
}

/// One side, as the API server makes it.
pub(super) struct Side {
    /// The PhoneNumbers.
    pub(super) numbers: After,
    /// The accounts that the API server accepts, with the namespaces that may use them.
    pub(super) accounts: Vec<(AccountKey, AccountFacts)>,
    /// The labels of namespaces.
    pub(super) namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// The objects that the API server accepts.
    pub(super) accepted: BTreeMap<Key, Value>,
    /// The accounts that the API server refuses.
    pub(super) refused_accounts: Vec<Verdict>,
}

impl Side {
    /// The side that `manifests` make, where `old` gives the object that each replaces.
    pub(super) fn checked<'a>(
        manifests: &Manifests,
        definitions: &Definitions,
        old: impl Fn(&Key) -> Option<Old<'a>>,
    ) -> Self {
        let mut side = Self {
            numbers: After::new(),
            accounts: Vec::new(),
            namespaces: BTreeMap::new(),
            accepted: BTreeMap::new(),
            refused_accounts: Vec::new(),
        };
        for (key, manifest) in manifests {
            let before = old(key);
            let checked = definitions.check(key.0, &manifest.object, before);
            if checked.refusals.is_empty() {
                side.accepted.insert(key.clone(), checked.object.clone());
            }
            match key.0 {
                Kind::Namespace => {
                    let labels = labels(&manifest.object);
                    side.namespaces.insert(key.2.clone(), labels);
                }
                Kind::PhoneNumber => {
                    let owner = owner(key);
                    side.numbers.insert(owner, wanted(checked, manifest));
                }
                Kind::ProviderAccount | Kind::ClusterProviderAccount => {
                    let kept = before.map(|old| old.object);
                    side.add_account(key, checked, manifest, kept);
                }
            }
        }
        side
    }

    /// A refused account stays as it is.
    fn add_account(
        &mut self,
        key: &Key,
        checked: Checked,
        manifest: &Manifest,
        old: Option<&Value>,
    ) {
        let is_refused = !checked.refusals.is_empty();
        let object = if is_refused {
            old
        } else {
            Some(&checked.object)
        };
        if let Some((key, facts)) = object.and_then(account) {
            self.accounts.push((key, facts));
        }
        if is_refused {
            self.refused_accounts.push(Verdict {
                reason: Some("Invalid".to_owned()),
                why: format!("{} ({})", checked.refusals.join("; "), manifest.place),
                ..Verdict::new(key.0, owner(key), Action::Refuse)
            });
        }
    }

    /// All that surrounds the PhoneNumbers of this side.
    fn surroundings(&self, prices: Option<PriceList>) -> Surroundings {
        let accounts = self.accounts.iter().cloned();
        let namespaces = self.namespaces.clone();
        Surroundings {
            accounts: accounts.map(|(key, facts)| (key, Some(facts))).collect(),
            namespaces: namespaces.into_iter().collect(),
            prices,
            ..Surroundings::default()
        }
    }
}

/// The PhoneNumber, or why there is none, with what a reader should know.
fn wanted(checked: Checked, manifest: &Manifest) -> Wanted {
    let mut notes = checked.unchecked;
    if !checked.unknown.is_empty() {
        notes.push(format!(
            "unknown fields are dropped: {}",
            checked.unknown.join(", ")
        ));
    }
    let number = match checked.refusals.is_empty() {
        true => serde_json::from_value::<PhoneNumber>(checked.object)
            .map_err(|error| format!("{error} ({})", manifest.place)),
        false => Err(format!(
            "{} ({})",
            checked.refusals.join("; "),
            manifest.place
        )),
    };
    Wanted { number, notes }
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object.pointer("/metadata/labels").cloned();
    let labels = labels.and_then(|labels| serde_json::from_value(labels).ok());
    labels.unwrap_or_default()
}

/// The account that `object` is; `None` for what this version cannot decode.
pub(super) fn account(object: &Value) -> Option<(AccountKey, AccountFacts)> {
    let kind = object.get("kind").and_then(Value::as_str)?;
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let name = text("/metadata/name")?.to_owned();
    let (kind, namespace, spec, allowed): (_, _, _, Option<NamespaceSelector>) = match kind {
        "ProviderAccount" => {
            let account: ProviderAccount = serde_json::from_value(object.clone()).ok()?;
            let namespace = text("/metadata/namespace").map(str::to_owned);
            (
                AccountKind::ProviderAccount,
                namespace,
                account.spec.account,
                None,
            )
        }
        _ => {
            let account: ClusterProviderAccount = serde_json::from_value(object.clone()).ok()?;
            let allowed = account.spec.allowed_namespaces;
            (
                AccountKind::ClusterProviderAccount,
                None,
                account.spec.account,
                allowed,
            )
        }
    };
    let key = AccountKey {
        kind,
        namespace,
        name,
    };
    let facts = AccountFacts {
        spec,
        allowed,
        id: None,
        numbers: None,
        cost: None,
        holdings: None,
    };
    Some((key, facts))
}

#[cfg(test)]
mod tests;
