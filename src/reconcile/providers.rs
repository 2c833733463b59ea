//! What is reached over the network outside Kubernetes: the accounts at providers, and the assistant directory.

use std::collections::{BTreeSet, HashSet};

use crate::account::{Accounts, Credentials, Directory};
use crate::cluster::Cluster;
use crate::cluster::secrets::{SecretName, credentials_secret};
use crate::number::AccountId;

/// The accounts at providers, and the assistant directory.
pub(crate) struct Providers {
    pub(crate) accounts: Accounts,
    pub(crate) directory: Directory,
}

impl Providers {
    /// The ids that the account with this id at the provider has been known by.
    pub(crate) fn names_of(&self, id: &AccountId) -> Vec<AccountId> {
        let known = self.accounts.known(id);
        known.map_or_else(|| vec![id.clone()], |known| known.names)
    }

    /// Forgets the clients of credentials that no account uses any more, and lets those in `changed` Secrets be tried at once.
    pub(crate) fn keep_credentials(&self, changed: &BTreeSet<SecretName>, cluster: &Cluster) {
        let mut in_use = HashSet::new();
        for (spec, namespace) in cluster.account_specs() {
            let Some(secret) = credentials_secret(&spec, &namespace) else {
                continue;
            };
            for keys in cluster.secrets.held(&secret) {
                if let Ok(credentials) = Credentials::from_keys(spec.provider, &keys) {
                    let fingerprint = credentials.fingerprint();
                    if changed.contains(&secret) {
                        self.accounts.try_again(&fingerprint);
                    }
                    in_use.insert(fingerprint);
                }
            }
        }
        let known: HashSet<AccountId> = cluster.account_ids().collect();
        self.accounts.keep_only(&in_use, |id| known.contains(id));
    }
}
