//! What the numbers of accounts cost that no PhoneNumber holds, by the lists in the status of the accounts. Asks no provider.

use std::collections::HashSet;

use kube::api::ListParams;
use kube::{Resource, ResourceExt};
use phonenumber_api::{
    AccountKind, AccountSpec, AccountStatus, ClusterProviderAccount, ProviderAccount, UnheldNumber,
};
use serde::de::DeserializeOwned;
use telephony::number::Provider;

use crate::cluster::{Cluster, Selection};
use crate::error::Error;
use crate::total::{Total, monthly_price};
use crate::unheld::List;

/// One of the two lists of an account, if it has something.
#[derive(Clone, Debug)]
pub(super) struct Unheld {
    pub(super) list: List,
    /// The account in the cluster, as [`super::account_title`] has it.
    pub(super) account: String,
    pub(super) provider: Provider,
    /// The account at the provider.
    pub(super) account_id: Option<String>,
    pub(super) numbers: Vec<UnheldNumber>,
    /// How many numbers there are that the status does not list.
    pub(super) unlisted: i64,
}

impl Unheld {
    /// The group that it is.
    pub(super) fn title(&self) -> String {
        format!("<{}> {}", self.list.word(), self.account)
    }

    /// What the listed numbers cost. What was paid once for them is not known, and is not part of it.
    pub(super) fn total(&self) -> Total {
        let mut total = Total::default();
        for number in &self.numbers {
            total.add(monthly_price(number.monthly_cost.as_ref()).as_ref());
        }
        total
    }
}

/// The account that a status is of.
struct Account {
    kind: AccountKind,
    namespace: Option<String>,
    name: String,
    spec: AccountSpec,
    status: AccountStatus,
}

/// The lists of the ProviderAccounts of the selected namespace, or of all accounts of the cluster; by list, then by account. Where
/// accounts may not be read, or were not listed yet, a note says so.
///
/// # Errors
/// If the cluster cannot be read for another reason than the user's rights.
pub(super) async fn unheld(
    cluster: &Cluster,
    selection: &Selection,
    notes: &mut Vec<String>,
) -> Result<Vec<Unheld>, Error> {
    let mut accounts = Vec::new();
    let here: Vec<ProviderAccount> =
        readable(cluster, selection.namespace_in(cluster), notes).await?;
    accounts.extend(here.into_iter().map(|account| Account {
        kind: AccountKind::ProviderAccount,
        namespace: account.namespace(),
        name: account.name_any(),
        spec: account.spec.account,
        status: account.status.unwrap_or_default(),
    }));
    // Its numbers belong to no namespace.
    if selection.all_namespaces {
        let shared: Vec<ClusterProviderAccount> = readable(cluster, None, notes).await?;
        accounts.extend(shared.into_iter().map(|account| Account {
            kind: AccountKind::ClusterProviderAccount,
            namespace: None,
            name: account.name_any(),
            spec: account.spec.account,
            status: account.status.unwrap_or_default(),
        }));
    }
    Ok(lists(&accounts, notes))
}

/// The accounts of one kind; none, with a note, if the user may not list them.
async fn readable<K>(
    cluster: &Cluster,
    namespace: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Vec<K>, Error>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let listed = cluster.list_in(namespace, ListParams::default(), notes);
    match listed.await {
        Err(error @ Error::Forbidden { .. }) => {
            notes.push(format!(
                "Numbers that no PhoneNumber holds are left out: {error}."
            ));
            Ok(Vec::new())
        }
        listed => listed,
    }
}

/// What `accounts` list. Several accounts of the cluster may open one account at the provider: its numbers count once.
fn lists(accounts: &[Account], notes: &mut Vec<String>) -> Vec<Unheld> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for account in accounts {
        let (status, provider) = (&account.status, account.spec.provider);
        let name = super::account_title(account.kind, account.namespace.as_deref(), &account.name);
        let id = &status.account_id;
        let is_new = id.as_ref().is_none_or(|id| seen.insert((provider, id)));
        if List::ALL.iter().all(|list| list.of(status).is_none()) {
            notes.push(format!(
                "Numbers that no PhoneNumber holds are left out of account {name}: the operator has not listed it yet."
            ));
        }
        for list in List::ALL.into_iter().filter(|_| is_new) {
            let Some(listed) = list.of(status) else {
                continue;
            };
            if let Some(rest) = list.rest(&listed, &format!("account {name}")) {
                notes.push(format!("{rest}, nor in what is shown here."));
            }
            if listed.numbers.is_empty() {
                continue;
            }
            found.push(Unheld {
                list,
                account: name.clone(),
                provider,
                account_id: id.clone(),
                numbers: listed.numbers.to_vec(),
                unlisted: listed.unlisted,
            });
        }
    }
    found.sort_by(|one, other| (one.list, &one.account).cmp(&(other.list, &other.account)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn account(name: &str, status: Value) -> Account {
        let spec = json!({"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "a"}}});
        Account {
            kind: AccountKind::ProviderAccount,
            namespace: Some("support".to_owned()),
            name: name.to_owned(),
            spec: serde_json::from_value(spec).unwrap(),
            status: serde_json::from_value(status).unwrap(),
        }
    }

    fn number(id: &str) -> Value {
        json!({"phoneNumber": "+12125550100", "id": id, "monthlyCost": {"amount": "1.15", "currency": "USD"}})
    }

    #[test]
    fn what_two_accounts_of_the_cluster_list_of_one_at_the_provider_counts_once() {
        let status = json!({"accountId": "AC1", "unmanaged": 1, "unmanagedNumbers": [number("PN1")],
            "orphaned": 1, "orphanedNumbers": [number("PN2")]});
        let empty = json!({"accountId": "AC2", "unmanaged": 0, "orphaned": 0});
        let accounts = [
            account("one", status.clone()),
            account("same", status),
            account("none", empty),
        ];
        let mut notes = Vec::new();
        let found = lists(&accounts, &mut notes);
        let titles: Vec<_> = found.iter().map(Unheld::title).collect();
        assert_eq!(
            titles,
            ["<unmanaged> support/one", "<orphaned> support/one"]
        );
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(found[0].total().monthly(), "1.15 USD a month");
    }

    #[test]
    fn what_a_status_does_not_list_is_said_and_not_in_the_sum() {
        let cut = json!({"accountId": "AC1", "unmanaged": 3, "unmanagedNumbers": [number("PN1")], "orphaned": 0});
        let accounts = [account("cut", cut), account("new", json!({}))];
        let mut notes = Vec::new();
        let found = lists(&accounts, &mut notes);
        assert_eq!((found.len(), found[0].unlisted), (1, 2));
        assert_eq!(found[0].total().monthly(), "1.15 USD a month");
        let wanted = [
            "2 more unmanaged numbers of account support/cut are not in its status, nor in what is shown here.",
            "Numbers that no PhoneNumber holds are left out of account support/new: the operator has not listed it yet.",
        ];
        assert_eq!(notes, wanted);
    }
}
