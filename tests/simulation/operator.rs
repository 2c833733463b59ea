//! One operator of a simulation: the program's reconciler, fed by watches that lag and driven by a queue whose order the
//! seed decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};
use phonenumber_operator::account::{Accounts, Directory, Endpoints};
use phonenumber_operator::api::{PhoneNumber, ProviderAccount};
use phonenumber_operator::chance::Chance;
use phonenumber_operator::clock::Clock;
use phonenumber_operator::controller::{
    self, ACCOUNT_DEBOUNCE, Caches, Parts, Reconciler, RequeueAfter, Requeuer, Settings,
    account_triggers, cached, number_triggers,
};
use phonenumber_operator::leader::{Elector, Term};
use phonenumber_operator::number::Installation;
use phonenumber_operator::provider::http::Client;
use phonenumber_operator::server_time::Clients;
use phonenumber_operator::telemetry::Health;
use phonenumber_operator::telemetry::metrics::Metrics;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::api_server::ApiServer;
use crate::cluster::{Change, Cluster};
use crate::line::{BURKI, Line, TELNYX, TWILIO};
use crate::process::{Life, Process, STALL_ASKED_AFTER};
use crate::world::{INSTALLATION, OPERATOR_NAMESPACE, World};

/// How many passes an operator makes at once.
const AT_ONCE: usize = 4;

/// The longest that a watch lags behind, most of the time.
const LAG: Duration = Duration::from_millis(300);

/// How often Secrets are read again: seldomer than the program does, to have less to simulate.
const SECRETS_AFTER: Duration = Duration::from_secs(120);

/// How a simulated operator is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub leader_elect: bool,
    pub installation: String,
    /// Looks after this namespace alone; all, if there is none.
    pub namespace: Option<String>,
    pub interval: Duration,
    pub purchase_timeout: Duration,
    pub purchase_visibility: Duration,
    pub driver: Driver,
}

/// What drives passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A queue of the simulation, whose order the seed decides.
    Seeded,
    /// The program's own watches and queues, whose order nobody decides.
    Kube,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            leader_elect: false,
            installation: INSTALLATION.to_owned(),
            namespace: None,
            interval: Duration::from_secs(60),
            purchase_timeout: Duration::from_secs(30),
            purchase_visibility: Duration::from_secs(600),
            driver: Driver::Seeded,
        }
    }
}

impl Options {
    /// Operators that look after different namespaces live in different ones.
    fn operator_namespace(&self) -> String {
        match &self.namespace {
            None => OPERATOR_NAMESPACE.to_owned(),
            Some(namespace) => format!("{OPERATOR_NAMESPACE}-of-{namespace}"),
        }
    }
}

/// A running operator.
pub struct Operator {
    pub process: Process,
    pub metrics: Metrics,
    task: JoinHandle<()>,
}

impl Operator {
    pub fn start(world: &World, id: usize, options: Options) -> Self {
        let seed = (world.chance.below(usize::MAX)) as u64;
        let process = Process::new(id, world.stage.clone(), Chance::seeded(seed));
        let life = process.clone();
        let metrics = Metrics::default();
        let run = Run {
            metrics: metrics.clone(),
            cluster: world.cluster.clone(),
            clock: Arc::clone(&world.clock),
            line: Arc::new(Line {
                emulator: world.emulator.clone(),
                process: process.clone(),
            }),
            process: process.clone(),
            options,
        };
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = life.died() => {}
                () = run.run() => life.kill(),
            }
        });
        Self {
            process,
            metrics,
            task,
        }
    }

    pub fn is_alive(&self) -> bool {
        self.process.life() != Life::Dead && !self.task.is_finished()
    }

    /// Ends the process at once, wherever it is.
    pub fn kill(&self) {
        self.process.kill();
        self.task.abort();
    }
}

struct Run {
    metrics: Metrics,
    cluster: Cluster,
    clock: Arc<dyn Clock>,
    line: Arc<Line>,
    process: Process,
    options: Options,
}

impl Run {
    async fn run(self) {
        let server = ApiServer {
            cluster: self.cluster.clone(),
            process: self.process.clone(),
        };
        let clients = Clients::over(server, Arc::clone(&self.clock));
        let chance = self.process.chance().clone();
        let term = if self.options.leader_elect {
            let (client, clock) = (clients.writes.clone(), Arc::clone(&self.clock));
            let namespace = self.options.operator_namespace();
            let name = "phonenumber-operator";
            Elector::new(client, &namespace, name, clock, chance.clone())
                .acquire()
                .await
        } else {
            Term::unopposed()
        };
        let lost = term.lost();
        let work = match self.options.driver {
            Driver::Seeded => self.work(clients, term, chance).boxed(),
            Driver::Kube => {
                let (life, never) = (self.process.clone(), std::future::pending());
                let parts = self.parts(clients, term, chance);
                let run = controller::run(parts, async {}, never, || {});
                while_it_moves(life, run).map(drop).boxed()
            }
        };
        tokio::select! {
            biased;
            () = lost => {}
            () = work => {}
        }
    }

    async fn work(&self, clients: Clients, term: Term, chance: Chance) {
        let parts = self.parts(clients, term, chance);
        Queue::new(parts, self).work().await;
    }

    fn parts(&self, clients: Clients, term: Term, chance: Chance) -> Parts {
        let clock = Arc::clone(&self.clock);
        let gate = {
            let clock = Arc::clone(&clock);
            move || match term.holds(clock.now()) {
                true => Ok(()),
                false => Err("it does not lead"),
            }
        };
        let client = Client::new(
            self.line.clone(),
            Arc::new(gate),
            Arc::clone(&clock),
            self.options.purchase_timeout,
        );
        let endpoints = Endpoints {
            twilio: Some(TWILIO.parse().unwrap()),
            telnyx: Some(TELNYX.parse().unwrap()),
        };
        let interval = self.options.interval;
        Parts {
            settings: Settings {
                watch_namespaces: self.options.namespace.iter().cloned().collect(),
                operator_namespace: self.options.operator_namespace(),
                installation: Installation::new(self.options.installation.clone()),
                interval,
                purchase_timeout: self.options.purchase_timeout,
                purchase_visibility: self.options.purchase_visibility,
                concurrency: 32,
                burki_origins: Vec::new(),
                burki_endpoint: Some(BURKI.parse().unwrap()),
            },
            accounts: Accounts::new(
                client.clone(),
                endpoints,
                Arc::clone(&clock),
                interval,
                self.options.purchase_visibility,
            ),
            directory: Directory::new(client, Arc::clone(&clock), interval),
            heartbeat: Health::new(Arc::clone(&clock))
                .heartbeat("controllers", Duration::from_secs(3600)),
            clock,
            chance,
            clients,
            metrics: self.metrics.clone(),
        }
    }
}

/// Polls only while the process runs: one that is frozen does nothing.
async fn while_it_moves<T>(process: Process, work: impl Future<Output = T> + Send) -> T {
    let mut work = Box::pin(work);
    let mut frozen: Option<BoxFuture<'static, ()>> = None;
    std::future::poll_fn(move |context| {
        loop {
            if process.life() == Life::Running {
                frozen = None;
                return work.as_mut().poll(context);
            }
            let process = process.clone();
            let thawed = frozen.get_or_insert_with(|| async move { process.moves().await }.boxed());
            if thawed.poll_unpin(context).is_pending() {
                return Poll::Pending;
            }
            frozen = None;
        }
    })
    .await
}

/// A watch, as the program takes it in.
struct Watch<K: Resource<DynamicType = ()> + Clone + 'static> {
    store: Store<K>,
    events: UnboundedSender<Told<K>>,
    /// What a pass is due for.
    due: BoxStream<'static, Result<K, watcher::Error>>,
}

type Told<K> = Result<Event<K>, watcher::Error>;

/// A cache, the way into it, and the events that it shows.
fn cache<K>() -> (
    Store<K>,
    UnboundedSender<Told<K>>,
    BoxStream<'static, Told<K>>,
)
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let (events, told) = unbounded();
    let (store, told) = cached(told);
    (store, events, told.boxed())
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Watch<K> {
    /// Tells an event, and returns what is due for a pass since.
    fn tell(&mut self, event: Event<K>) -> Vec<ObjectRef<K>> {
        self.events.unbounded_send(Ok(event)).unwrap();
        let mut due = Vec::new();
        while let Some(Some(Ok(object))) = self.due.next().now_or_never() {
            due.push(ObjectRef::from_obj(&object));
        }
        due
    }

    /// The events of a list.
    fn list(&mut self, objects: Vec<K>) -> Vec<ObjectRef<K>> {
        let init = std::iter::once(Event::Init);
        let all = objects.into_iter().map(Event::InitApply);
        let events = init.chain(all).chain(std::iter::once(Event::InitDone));
        events.flat_map(|event| self.tell(event)).collect()
    }
}

/// A cache of what there is none of: ClusterProviderAccounts and namespaces are a matter of the tests on a real control plane.
fn empty<K>() -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Init);
    writer.apply_watcher_event(&Event::InitDone);
    store
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Secrets,
    Account(String, String),
    Number(String, String),
}

type Ended = (Key, RequeueAfter);

struct Queue {
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
    fn new(parts: Parts, run: &Run) -> Self {
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

    async fn work(&mut self) {
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
                    watched_at = Instant::now() + LAG.mul_f64(self.process.chance().fraction());
                }
                () = length.until(|length| *length > seen), if !behind => {
                    let lag = LAG.mul_f64(self.process.chance().fraction());
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
        let some = 1 + self.process.chance().below(changes.len().max(1));
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
            let key = due[self.process.chance().below(due.len())].clone();
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

fn event<K: DeserializeOwned>(change: &Change) -> Event<K> {
    let object = read(change.object.as_ref());
    if change.deleted {
        Event::Delete(object)
    } else {
        Event::Apply(object)
    }
}

fn read<K: DeserializeOwned>(object: &serde_json::Value) -> K {
    K::deserialize(object).unwrap_or_else(|error| panic!("{error}: {object:#}"))
}

fn read_all<K: DeserializeOwned>(objects: Vec<serde_json::Value>) -> Vec<K> {
    objects.iter().map(read).collect()
}
