//! The queue of a process: which object is passed over next, and when.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::ObjectRef;
use phonenumber_operator::api::{PhoneNumber, ProviderAccount};
use phonenumber_operator::controller::{
    ACCOUNT_DEBOUNCE, Caches, Parts, Reconciler, RequeueAfter, Requeuer, account_triggers,
    number_triggers,
};
use tokio::time::Instant;

use super::Run;
use super::watch::{Watch, cache, empty, event, read_all};
use crate::cluster::Cluster;
use crate::process::{Process, STALL_ASKED_AFTER};

/// How many reconciles an operator makes at once.
const AT_ONCE: usize = 4;

/// The longest that a watch lags behind, most of the time.
const LAG: Duration = Duration::from_millis(300);

/// How often Secrets are read again: seldomer than the program does, to have less to simulate.
const SECRETS_AFTER: Duration = Duration::from_secs(120);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Secrets,
    Account(String, String),
    Number(String, String),
}

type Ended = (Key, RequeueAfter);

pub(super) struct Queue {
    reconciler: Arc<Reconciler>,
    numbers: Watch<PhoneNumber>,
    accounts: Watch<ProviderAccount>,
    cluster: Cluster,
    process: Process,
    /// Looks after this namespace alone; all, if there is none.
    namespace: Option<String>,
    woken_numbers: UnboundedReceiver<ObjectRef<PhoneNumber>>,
    woken_accounts: UnboundedReceiver<ObjectRef<ProviderAccount>>,
    due: BTreeMap<Key, Instant>,
    running: FuturesUnordered<BoxFuture<'static, Ended>>,
    passing: Vec<Key>,
    /// The first change that was not seen yet.
    next: usize,
    /// How often the process has listed anew.
    relists: usize,
}

impl Queue {
    pub(super) fn new(parts: Parts, run: &Run) -> Self {
        let (wake_numbers, woken_numbers) = unbounded();
        let (wake_accounts, woken_accounts) = unbounded();
        let requeuer = Requeuer::default();
        requeuer.add_numbers(wake_numbers);
        requeuer.add_accounts(wake_accounts);
        let (numbers, number_events, numbers_told) = cache();
        let (accounts, account_events, accounts_told) = cache();
        let caches = Caches::new(
            numbers.clone(),
            accounts.clone(),
            empty(),
            empty::<PartialObjectMeta<Namespace>>(),
        );
        let reconciler = Arc::new(Reconciler::new(parts, caches, requeuer));
        Self {
            numbers: Watch {
                store: numbers,
                events: number_events,
                due: number_triggers(numbers_told, Arc::clone(&reconciler)).boxed(),
            },
            accounts: Watch {
                store: accounts,
                events: account_events,
                due: account_triggers(accounts_told, Arc::clone(&reconciler)).boxed(),
            },
            reconciler,
            cluster: run.cluster.clone(),
            process: run.process.clone(),
            namespace: run.options.namespace.clone(),
            woken_numbers,
            woken_accounts,
            due: BTreeMap::from([(Key::Secrets, Instant::now() + SECRETS_AFTER)]),
            running: FuturesUnordered::new(),
            passing: Vec::new(),
            next: 0,
            relists: run.process.relists().get(),
        }
    }

    pub(super) async fn work(&mut self) {
        self.list();
        self.reconciler.fill().await;
        self.reconciler.begin();
        let length = self.cluster.length().clone();
        let mut watched_at = Instant::now();
        loop {
            self.process.moves().await;
            self.take_woken();
            self.start_due();
            let wake_up = self.next_due();
            let seen = self.next;
            let behind = length.get() > seen;
            // It may be made to go on before its time.
            if self.process.stalled().is_some() {
                watched_at = watched_at.max(Instant::now() + STALL_ASKED_AFTER);
            }
            let (relists, before) = (self.process.relists().clone(), self.relists);
            tokio::select! {
                biased;
                Some(ended) = self.running.next() => self.ended(ended),
                Some(number) = self.woken_numbers.next() => self.wake_number(&number),
                Some(account) = self.woken_accounts.next() => self.wake_account(&account),
                () = tokio::time::sleep_until(watched_at), if behind => {
                    self.process.moves().await;
                    if self.process.stalled().is_some() {
                        continue;
                    }
                    self.watch();
                    watched_at = Instant::now() + LAG.mul_f64(self.process.random().fraction());
                }
                () = length.until(|length| *length > seen), if !behind => {
                    let lag = LAG.mul_f64(self.process.random().fraction());
                    watched_at = watched_at.max(Instant::now() + lag);
                }
                () = relists.until(|relists| *relists > before) => {
                    self.relists = relists.get();
                    self.list();
                }
                () = sleep_until(wake_up) => {}
            }
        }
    }

    fn watches(&self, namespace: &str) -> bool {
        let own = self.namespace.as_deref();
        own.is_none_or(|own| own == namespace)
    }

    /// A list of every watch, the first or another.
    fn list(&mut self) {
        self.next = self.cluster.length().get();
        let mut numbers: Vec<PhoneNumber> = read_all(self.cluster.list("phonenumbers"));
        numbers.retain(|number| self.watches(&number.namespace().unwrap_or_default()));
        let mut accounts: Vec<ProviderAccount> = read_all(self.cluster.list("provideraccounts"));
        accounts.retain(|account| self.watches(&account.namespace().unwrap_or_default()));
        let due = self.numbers.list(numbers);
        due.iter().for_each(|number| self.wake_number(number));
        let due = self.accounts.list(accounts);
        due.iter().for_each(|account| self.wake_account(account));
    }

    /// Some of the changes that were not seen yet.
    fn watch(&mut self) {
        let changes = self.cluster.since(self.next);
        let some = 1 + self.process.random().below(changes.len().max(1));
        for change in changes.into_iter().take(some) {
            self.next += 1;
            if !self.watches(&change.place.namespace) {
                continue;
            }
            match change.place.plural.as_str() {
                "phonenumbers" => {
                    let due = self.numbers.tell(event(&change));
                    due.iter().for_each(|number| self.wake_number(number));
                }
                "provideraccounts" => {
                    let due = self.accounts.tell(event(&change));
                    due.iter().for_each(|account| self.wake_account(account));
                }
                _ => {}
            }
        }
    }

    fn take_woken(&mut self) {
        while let Some(Some(number)) = self.woken_numbers.next().now_or_never() {
            self.wake_number(&number);
        }
        while let Some(Some(account)) = self.woken_accounts.next().now_or_never() {
            self.wake_account(&account);
        }
    }

    fn wake_number(&mut self, number: &ObjectRef<PhoneNumber>) {
        let namespace = number.namespace.clone().unwrap_or_default();
        self.add(Key::Number(namespace, number.name.clone()), Duration::ZERO);
    }

    fn wake_account(&mut self, account: &ObjectRef<ProviderAccount>) {
        let namespace = account.namespace.clone().unwrap_or_default();
        self.add(
            Key::Account(namespace, account.name.clone()),
            ACCOUNT_DEBOUNCE,
        );
    }

    fn add(&mut self, key: Key, wait: Duration) {
        let at = Instant::now() + wait;
        let due = self.due.entry(key).or_insert(at);
        *due = at.min(*due);
    }

    fn next_due(&self) -> Option<Instant> {
        if self.passing.len() >= AT_ONCE {
            return None;
        }
        let free = self
            .due
            .iter()
            .filter(|(key, _)| !self.passing.contains(key));
        free.map(|(_, at)| *at).min()
    }

    /// Starts what is due, in an order that the seed decides.
    fn start_due(&mut self) {
        let now = Instant::now();
        while self.passing.len() < AT_ONCE {
            let due: Vec<Key> = self
                .due
                .iter()
                .filter(|(key, at)| **at <= now && !self.passing.contains(key))
                .map(|(key, _)| key.clone())
                .collect();
            if due.is_empty() {
                return;
            }
            let key = due[self.process.random().below(due.len())].clone();
            self.due.remove(&key);
            self.passing.push(key.clone());
            self.start(key);
        }
    }

    fn start(&mut self, key: Key) {
        let reconciler = Arc::clone(&self.reconciler);
        let pass: BoxFuture<'static, RequeueAfter> = match &key {
            Key::Secrets => async move {
                reconciler.reread_secrets().await;
                Some(SECRETS_AFTER)
            }
            .boxed(),
            Key::Number(namespace, name) => {
                let reference = ObjectRef::new(name).within(namespace);
                match self.numbers.store.get(&reference) {
                    None => async { None }.boxed(),
                    Some(number) => async move {
                        let result = reconciler.number(Arc::clone(&number)).await;
                        result
                            .unwrap_or_else(|error| reconciler.after_error(number.as_ref(), &error))
                    }
                    .boxed(),
                }
            }
            Key::Account(namespace, name) => {
                let reference = ObjectRef::new(name).within(namespace);
                match self.accounts.store.get(&reference) {
                    None => async { None }.boxed(),
                    Some(account) => async move {
                        let result = reconciler.account(Arc::clone(&account)).await;
                        result.unwrap_or_else(|error| {
                            reconciler.after_error(account.as_ref(), &error)
                        })
                    }
                    .boxed(),
                }
            }
        };
        self.running.push(async move { (key, pass.await) }.boxed());
    }

    fn ended(&mut self, (key, again): Ended) {
        self.passing.retain(|passing| *passing != key);
        if let Some(again) = again {
            self.add(key, again);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
