//! The accounts that a change of manifests adds, alters or takes away: all numbers of such an account may be set up otherwise by
//! it. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::manifests::{Key, Kind, owner};
use super::paths::differing;
use super::situation::{Action, Verdict};

/// A row for each account in `new` that differs from the one in `old`, or is not there.
pub(super) fn altered(old: &BTreeMap<Key, Value>, new: &BTreeMap<Key, Value>) -> Vec<Verdict> {
    let accounts = new.iter().filter(|(key, _)| is_account(key));
    let rows = accounts.filter_map(|(key, object)| {
        let Some(old) = old.get(key) else {
            return Some(row(key, "new account", Vec::new()));
        };
        let of = |object: &Value| object.get("spec").cloned().unwrap_or_default();
        let changes = differing(&of(old), &of(object));
        let why = format!("of the account: {}", changes.join(", "));
        (!changes.is_empty()).then(|| row(key, &why, changes))
    });
    rows.collect()
}

/// A row for each account in `old` that `is_kept` does not know.
pub(super) fn removed(old: &BTreeMap<Key, Value>, is_kept: impl Fn(&Key) -> bool) -> Vec<Verdict> {
    let gone = old.keys().filter(|key| is_account(key) && !is_kept(key));
    gone.map(|key| row(key, "the account goes", Vec::new()))
        .collect()
}

fn is_account(key: &Key) -> bool {
    matches!(key.0, Kind::ProviderAccount | Kind::ClusterProviderAccount)
}

fn row(key: &Key, why: &str, changes: Vec<String>) -> Verdict {
    Verdict {
        why: why.to_owned(),
        changes,
        ..Verdict::new(key.0, owner(key), Action::Change)
    }
}
