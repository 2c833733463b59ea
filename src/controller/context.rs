//! What every reconcile needs: settings, clients, caches and memories.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ListParams;
use kube::core::{PartialObjectMeta, Selector, SelectorExt};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Api, Resource, ResourceExt};

use super::Parts;
use super::definition::Definition;
use super::events::Events;
use super::fuse::Fuses;
use super::index::{Key, account_key, claim_of};
use super::inspect::{Answers, Inspections};
use super::memory::Memories;
use super::plan::{Blocker, Waits};
use super::secrets::{SecretName, Secrets};
use super::stores::Stores;
use super::turns::Turns;
use super::wakers::Wakers;
use crate::account::{Account, Accounts, Directory, Told};
use crate::api::{
    AccountKind, AccountSpec, AccountStatus, ClusterProviderAccount, Limits, Money, PhoneNumber,
    Reason,
};
use crate::chance::Chance;
use crate::clock::Clock;
use crate::number::{AccountId, Amount, E164, Installation, Mark, NumberId, Origin, Owner};
use crate::server_time::{Clients, ServerTime};
use crate::telemetry::metrics::Metrics;

/// What the flags of the program say.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespaces whose resources are looked after; empty means all.
    pub watch_namespaces: Vec<String>,
    /// Where the operator runs, and where the Secrets of ClusterProviderAccounts live.
    pub operator_namespace: String,
    /// The identity of this installation, part of every mark.
    pub installation: Installation,
    /// How often each number is looked at.
    pub interval: Duration,
    /// How long a purchase request may take.
    pub purchase_timeout: Duration,
    /// How long a purchase may stay invisible.
    pub purchase_visibility: Duration,
    /// How many resources of one account are worked on at once.
    pub concurrency: u16,
    /// The Burki origins that are allowed besides <https://api.burki.dev>.
    pub burki_origins: Vec<String>,
    /// Where requests for <https://api.burki.dev> go instead.
    pub burki_endpoint: Option<url::Url>,
}

/// What every reconcile needs.
pub struct Context {
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: Chance,
    pub(super) clients: Clients,
    pub(super) time: ServerTime,
    pub(super) stores: Stores,
    pub(super) accounts: Accounts,
    pub(super) directory: Directory,
    pub(super) secrets: Secrets,
    pub(super) memories: Memories,
    pub(super) turns: Arc<Turns>,
    pub(super) fuses: Fuses,
    pub(super) answers: Answers,
    pub(super) inspections: Inspections,
    pub(super) events: Events,
    pub(super) definition: Definition,
    pub(super) wakers: Wakers,
    pub(super) metrics: Metrics,
}

/// An account as a PhoneNumber refers to it.
pub(super) struct AccountView {
    pub(super) spec: AccountSpec,
    /// Where its Secrets live.
    pub(super) namespace: String,
    /// Its kind and name, for messages.
    pub(super) title: String,
}

impl Context {
    pub(super) fn new(parts: Parts, stores: Stores, wakers: Wakers) -> Self {
        let Parts {
            settings,
            clock,
            chance,
            clients,
            accounts,
            directory,
            heartbeat: _,
            metrics,
        } = parts;
        Self {
            events: Events::new(clients.writes.clone()),
            definition: Definition::new(clients.reads.clone()),
            secrets: Secrets::new(clients.reads.clone(), Arc::clone(&clock)),
            memories: Memories::new(Arc::clone(&clock)),
            turns: Turns::new(settings.concurrency, wakers.clone()),
            fuses: Fuses::new(clients.writes.clone(), &settings.operator_namespace),
            answers: Answers::default(),
            inspections: Inspections::default(),
            time: clients.time.clone(),
            settings,
            clock,
            chance,
            clients,
            stores,
            accounts,
            directory,
            wakers,
            metrics,
        }
    }

    pub(super) fn waits(&self) -> Waits {
        Waits {
            interval: self.settings.interval,
            purchase: self.settings.purchase_timeout + crate::claim::TOKEN_LIFETIME,
            visibility: self.settings.purchase_visibility,
        }
    }

    /// What the resources other than `number` tell of purchases in `account`.
    pub(super) fn told_besides<'a>(
        &'a self,
        number: &PhoneNumber,
        account: &'a AccountId,
    ) -> impl Told + use<'a> {
        let since = self.unsettled_since();
        self.stores.index.told_besides(number, account, since)
    }

    /// What was bought before that is listed by now, and what was not never was.
    pub(super) fn unsettled_since(&self) -> Timestamp {
        let now = self.time.now();
        let since = now.and_then(|now| now.checked_sub(self.settings.purchase_visibility).ok());
        since.unwrap_or(Timestamp::MIN)
    }

    /// The account that `number` refers to.
    pub(super) fn account_of(&self, number: &PhoneNumber) -> Result<AccountView, Blocker> {
        let namespace = number.namespace().unwrap_or_default();
        let (kind, name) = account_name(number);
        let not_found = || {
            let message = match kind {
                AccountKind::ProviderAccount => {
                    format!("ProviderAccount {name} does not exist in namespace {namespace}.")
                }
                AccountKind::ClusterProviderAccount => {
                    format!("ClusterProviderAccount {name} does not exist.")
                }
            };
            Blocker::new(Reason::AccountNotFound, message)
        };
        let view = match kind {
            AccountKind::ProviderAccount => {
                let account = self
                    .stores
                    .accounts
                    .iter()
                    .find_map(|store| {
                        store.find(|account| {
                            account.name_any() == name
                                && account.namespace().as_deref() == Some(&namespace)
                        })
                    })
                    .ok_or_else(not_found)?;
                AccountView {
                    spec: account.spec.account.clone(),
                    title: format!("ProviderAccount {namespace}/{name}"),
                    namespace,
                }
            }
            AccountKind::ClusterProviderAccount => {
                let account = self
                    .stores
                    .cluster_accounts
                    .iter()
                    .find_map(|store| store.find(|account| account.name_any() == name))
                    .ok_or_else(not_found)?;
                if !self.allows(&account, &namespace) {
                    return Err(Blocker::new(
                        Reason::AccountNotAllowed,
                        format!(
                            "ClusterProviderAccount {name} does not allow namespace {namespace} (spec.allowedNamespaces)."
                        ),
                    ));
                }
                AccountView {
                    spec: account.spec.account.clone(),
                    title: format!("ClusterProviderAccount {name}"),
                    namespace: self.settings.operator_namespace.clone(),
                }
            }
        };
        if view.spec.provider != number.spec.provider {
            return Err(Blocker::new(
                Reason::InvalidSpec,
                format!(
                    "{} is for provider {}, this PhoneNumber for {}.",
                    view.title, view.spec.provider, number.spec.provider
                ),
            ));
        }
        Ok(view)
    }

    fn allows(&self, account: &ClusterProviderAccount, namespace: &str) -> bool {
        let Some(allowed) = &account.spec.allowed_namespaces else {
            return false;
        };
        let Ok(selector) = Selector::try_from(LabelSelector::from(allowed)) else {
            return false;
        };
        let found = self
            .stores
            .namespaces
            .iter()
            .find_map(|store| store.find(|meta| meta.name_any() == namespace));
        found.is_some_and(|meta| selector.matches(meta.labels()))
    }

    /// The other resource that goes for the same number and was there first: which has recorded it, or else claimed it
    /// first, or else is older. A restore makes a resource that may have bought the number look young.
    pub(super) fn rival_of(&self, number: &PhoneNumber) -> Option<Owner> {
        let declared = number.spec.phone_number.as_deref()?;
        let recorded = |number: &PhoneNumber| {
            let status = number.status.as_ref();
            status.is_some_and(|status| status.id.is_some())
        };
        let claimed_at = |number: &PhoneNumber| {
            let claim = claim_of(number).filter(|claim| claim.number.as_str() == declared);
            claim.map(|claim| claim.at)
        };
        let place = |number: &PhoneNumber| {
            (
                !recorded(number),
                claimed_at(number).unwrap_or(Timestamp::MAX),
                number.creation_timestamp().map(|time| time.0),
                number.namespace(),
                number.name_any(),
            )
        };
        // A search goes for what it has recorded or claimed.
        let goes_for_it = |number: &PhoneNumber| {
            number.spec.phone_number.is_some() || recorded(number) || claimed_at(number).is_some()
        };
        let mine = place(number);
        let others = self.found(&Key::Declared(declared.to_owned()));
        let mut rivals = others.iter().filter(|other| {
            other.uid() != number.uid() && goes_for_it(other) && place(other) < mine
        });
        rivals.next().map(|other| owner(other.as_ref()))
    }

    /// The resources that the index has under `key`, each as the cache or a later write of ours shows it.
    fn found(&self, key: &Key) -> Vec<Arc<PhoneNumber>> {
        let found = self.stores.found(key).into_iter();
        found.map(|number| self.memories.latest(number)).collect()
    }

    /// The resources that declare this number.
    pub(super) fn declarers(&self, number: &str) -> Vec<Arc<PhoneNumber>> {
        let mut found = self.found(&Key::Declared(number.to_owned()));
        found.retain(|other| other.spec.phone_number.as_deref() == Some(number));
        found
    }

    /// True if no other resource declares, claims or holds this number.
    pub(super) fn is_free(&self, number: &E164, uid: &str) -> bool {
        let found = self.stores.found(&Key::Declared(number.to_string()));
        found
            .iter()
            .all(|other| other.uid().as_deref() == Some(uid))
    }

    /// True if a resource that is known has `mark`.
    pub(super) fn is_owned(&self, mark: &Mark) -> bool {
        self.stores
            .first(&Key::Marked(mark.owner().to_owned()))
            .is_some()
    }

    /// True if the API server, asked now, has a resource with `mark`.
    ///
    /// # Errors
    /// Those of the API server.
    pub(super) async fn is_owned_now(&self, mark: &Mark) -> Result<bool, kube::Error> {
        let scopes: Vec<Api<PhoneNumber>> = if self.settings.watch_namespaces.is_empty() {
            vec![Api::all(self.clients.reads.clone())]
        } else {
            let namespaces = self.settings.watch_namespaces.iter();
            let api = |namespace: &String| Api::namespaced(self.clients.reads.clone(), namespace);
            namespaces.map(api).collect()
        };
        for api in scopes {
            let mut page = ListParams::default().limit(500);
            loop {
                let found = api.list_metadata(&page).await?;
                let installation = &self.settings.installation;
                let is_owner = |object: &PartialObjectMeta<PhoneNumber>| {
                    Mark::new(Origin::Bought, installation, &owner(object)).same_owner(mark)
                };
                if found.items.iter().any(is_owner) {
                    return Ok(true);
                }
                match found.metadata.continue_ {
                    Some(next) if !next.is_empty() => page = page.continue_token(&next),
                    _ => break,
                }
            }
        }
        Ok(false)
    }

    /// The resources that wait for a limit, and whose ProviderAccount or ClusterProviderAccount opens the account with
    /// this id at the provider.
    pub(super) fn waiting_in(&self, id: &str) -> Vec<Arc<PhoneNumber>> {
        let opens = |status: &Option<AccountStatus>| {
            let status = status.as_ref();
            status.and_then(|status| status.account_id.as_deref()) == Some(id)
        };
        let namespaced = self.stores.accounts.iter().flat_map(Store::state);
        let namespaced = namespaced
            .filter(|account| opens(&account.status))
            .flat_map(|account| {
                let namespace = account.namespace();
                self.users(
                    AccountKind::ProviderAccount,
                    namespace.as_deref(),
                    &account.name_any(),
                )
            });
        let cluster = self.stores.cluster_accounts.iter().flat_map(Store::state);
        let cluster = cluster
            .filter(|account| opens(&account.status))
            .flat_map(|account| {
                self.users(
                    AccountKind::ClusterProviderAccount,
                    None,
                    &account.name_any(),
                )
            });
        let mut users: Vec<_> = namespaced.chain(cluster).collect();
        users.retain(|user| waits_for_a_limit(user));
        users
    }

    /// The limits of `account`: where several accounts open it, the lowest of each. It heeds them from now on in what
    /// it is asked.
    pub(super) fn limits_of(&self, account: &Account, own: &Limits) -> Limits {
        let limits = self.lowest_limits(Some(&account.identity().account), own);
        let most = usize::try_from(limits.max_concurrent_requests).unwrap_or_default();
        account.limit_requests(most.max(1));
        limits
    }

    /// `own`, or the lower limits of those that open the account with this id at the provider too.
    pub(super) fn lowest_limits(&self, id: Option<&AccountId>, own: &Limits) -> Limits {
        let is_same = |status: &Option<AccountStatus>| {
            let status = status.as_ref();
            let opened = status.and_then(|status| status.account_id.as_deref());
            opened.is_some() && opened == id.map(AccountId::as_str)
        };
        let namespaced = self.stores.accounts.iter().flat_map(Store::state);
        let namespaced = namespaced
            .filter(|account| is_same(&account.status))
            .map(|account| account.spec.account.limits.clone());
        let cluster = self.stores.cluster_accounts.iter().flat_map(Store::state);
        let cluster = cluster
            .filter(|account| is_same(&account.status))
            .map(|account| account.spec.account.limits.clone());
        namespaced.chain(cluster).fold(own.clone(), lowest)
    }

    /// The other live resource that has recorded the number with this id.
    pub(super) fn recorder_of(&self, number: &PhoneNumber, id: &NumberId) -> Option<Owner> {
        let recorded = |other: &PhoneNumber| {
            let status = other.status.as_ref();
            status.and_then(|status| status.id.as_deref()) == Some(id.as_str())
        };
        let found = self.found(&Key::Recorded(id.as_str().to_owned()));
        let mut others = found
            .iter()
            .filter(|other| other.uid() != number.uid() && recorded(other));
        others.next().map(|other| owner(other.as_ref()))
    }

    /// The PhoneNumbers that refer to an account.
    pub(super) fn users(
        &self,
        kind: AccountKind,
        namespace: Option<&str>,
        name: &str,
    ) -> Vec<Arc<PhoneNumber>> {
        let key = Key::Account(kind, namespace.map(str::to_owned), name.to_owned());
        let mut found = self.stores.found(&key);
        found.retain(|number| account_key(number) == key);
        found
    }

    /// True if a PhoneNumber refers to an account.
    pub(super) fn is_used(&self, kind: AccountKind, namespace: Option<&str>, name: &str) -> bool {
        let key = Key::Account(kind, namespace.map(str::to_owned), name.to_owned());
        let is_user = |reference: &ObjectRef<PhoneNumber>| {
            let mut stores = self.stores.numbers.iter();
            let number = stores.find_map(|store| store.get(reference))?;
            (account_key(&number) == key).then_some(())
        };
        self.stores.index.find(&key, is_user).is_some()
    }

    /// Remembers the version of a PhoneNumber that our own write made, until the cache has it; and whether the pass that
    /// wrote it knew all that it holds.
    pub(super) fn wrote(&self, number: &Arc<PhoneNumber>, is_known: bool) {
        self.memories.written(number, is_known);
        if let Some(cached) = self.stores.number(number) {
            self.note(&cached);
        }
    }

    /// Notes a PhoneNumber that the cache has, as it shows it or as a later write of ours has made it. True if it did not
    /// refer to its account before.
    pub(super) fn note(&self, cached: &PhoneNumber) -> bool {
        let newer = self.memories.newer(cached);
        let number = newer.as_deref().unwrap_or(cached);
        self.stores.index.put(number, self.unsettled_since())
    }

    /// The Secrets that accounts refer to.
    pub(super) fn secrets_in_use(&self) -> BTreeSet<SecretName> {
        let namespaced = self
            .stores
            .accounts
            .iter()
            .flat_map(Store::state)
            .flat_map(|account| {
                secrets_of(
                    &account.spec.account,
                    &account.namespace().unwrap_or_default(),
                )
            });
        let cluster = self
            .stores
            .cluster_accounts
            .iter()
            .flat_map(Store::state)
            .flat_map(|account| {
                secrets_of(&account.spec.account, &self.settings.operator_namespace)
            });
        namespaced.chain(cluster).collect()
    }
}

fn waits_for_a_limit(number: &PhoneNumber) -> bool {
    let mut conditions = number.status.iter().flat_map(|status| &status.conditions);
    conditions.any(|condition| {
        let reason = Reason::read(&condition.reason);
        matches!(
            reason,
            Some(Reason::LimitReached | Reason::ReleaseLimitReached)
        )
    })
}

/// The lower of each limit.
fn lowest(one: Limits, other: Limits) -> Limits {
    fn lower<T: PartialOrd>(one: Option<T>, other: Option<T>) -> Option<T> {
        match (one, other) {
            (Some(one), Some(other)) => Some(if other < one { other } else { one }),
            (one, other) => one.or(other),
        }
    }
    fn shared<T: PartialEq>(one: Vec<T>, other: Vec<T>) -> Vec<T> {
        match (one.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => one,
            (false, false) => one.into_iter().filter(|it| other.contains(it)).collect(),
        }
    }
    let amount = |money: &Money| Amount::read(&money.amount).unwrap_or_default();
    let cost = match (one.max_monthly_cost, other.max_monthly_cost) {
        // Amounts in different currencies cannot be compared; the account's own holds.
        (Some(one), Some(other))
            if one.currency == other.currency && amount(&other) < amount(&one) =>
        {
            Some(other)
        }
        (one, other) => one.or(other),
    };
    Limits {
        purchases_per_hour: one.purchases_per_hour.min(other.purchases_per_hour),
        releases_per_hour: one.releases_per_hour.min(other.releases_per_hour),
        max_numbers: lower(one.max_numbers, other.max_numbers),
        max_monthly_cost: cost,
        allowed_countries: shared(one.allowed_countries, other.allowed_countries),
        allowed_types: shared(one.allowed_types, other.allowed_types),
        max_concurrent_requests: one
            .max_concurrent_requests
            .min(other.max_concurrent_requests),
    }
}

/// The Secrets of an account whose Secrets live in `namespace`.
pub(super) fn secrets_of(spec: &AccountSpec, namespace: &str) -> Vec<SecretName> {
    let twilio = spec
        .twilio
        .as_ref()
        .map(|twilio| &twilio.credentials_secret_ref);
    let telnyx = spec
        .telnyx
        .as_ref()
        .map(|telnyx| &telnyx.credentials_secret_ref);
    let burki = spec
        .burki
        .as_ref()
        .map(|burki| &burki.credentials_secret_ref);
    [twilio, telnyx, burki]
        .into_iter()
        .flatten()
        .map(|secret| (namespace.to_owned(), secret.name.clone()))
        .collect()
}

/// The kind and name of the account that `number` refers to, with the default applied.
pub(super) fn account_name(number: &PhoneNumber) -> (AccountKind, String) {
    match &number.spec.account_ref {
        Some(reference) => (reference.kind, reference.name.clone()),
        None => (
            AccountKind::ProviderAccount,
            number.spec.provider.to_string(),
        ),
    }
}

/// `namespace/name` of a resource.
pub(super) fn owner<K: Resource>(object: &K) -> Owner {
    Owner {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}
