//! The controllers: which objects are watched, what wakes which, and when it all ends.
//!
//! A pass over a number is `resolve -> (plan -> perform)* -> report`; `plan` decides, the others do not.

mod account;
mod context;
mod fuse;
mod index;
mod inspect;
mod memory;
mod number;
mod perform;
pub(crate) mod plan;
mod report;
mod resolve;
mod secrets;
mod turns;

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::PredicateConfig;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{Controller, WatchStreamExt, controller, reflector, watcher};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::account::{Accounts, Directory};
use crate::api::{AccountKind, ClusterProviderAccount, GROUP, PhoneNumber, ProviderAccount};
use crate::claim::ANNOTATION;
use crate::clock::Clock;
use crate::server_time::Clients;
use crate::telemetry::Heartbeat;
use account::AnyAccount;
pub use context::Settings;
use context::{Context, Stores, account_name, secrets_of};

/// How long a write of ours takes to show up in the watch at most, before a pass that met a conflict is repeated.
const AFTER_A_CONFLICT: Duration = Duration::from_millis(200);

/// How long a pass that the API server failed waits.
const AFTER_AN_API_ERROR: Duration = Duration::from_secs(5);

/// How long what wakes an account is gathered.
const ACCOUNT_DEBOUNCE: Duration = Duration::from_millis(500);

/// How often memories of resources that are gone are dropped.
const CLEAN_UP_AFTER: Duration = Duration::from_secs(600);

/// What the controllers are made of.
pub struct Parts {
    /// What the flags say.
    pub settings: Settings,
    /// The clock of all limits.
    pub clock: Arc<dyn Clock>,
    /// The API server.
    pub clients: Clients,
    /// The phone companies.
    pub accounts: Accounts,
    /// The assistant directory.
    pub directory: Directory,
    /// Beats while the controllers move.
    pub heartbeat: Heartbeat,
}

type Numbers = UnboundedSender<ObjectRef<PhoneNumber>>;

/// Runs the controllers until `stop` resolves and what is in flight is finished. `ready` is called once all caches are
/// filled; nothing is decided before.
pub async fn run(
    parts: Parts,
    stop: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce() + Send,
) {
    let Parts {
        settings,
        clock,
        clients,
        accounts,
        directory,
        heartbeat,
    } = parts;
    let stop = stop.shared();
    let mut stores = Stores::default();
    let mut watches: Vec<BoxFuture<'static, ()>> = Vec::new();
    let mut numbers = Vec::new();
    let mut namespaced_accounts = Vec::new();
    let mut cluster_accounts = Vec::new();
    let mut namespaces = Vec::new();
    for scope in scopes(&settings) {
        let (store, events) = watch(api_in::<PhoneNumber>(&clients, scope.as_deref()));
        stores.numbers.push(store.clone());
        numbers.push((store, events));
        let (store, events) = watch(api_in::<ProviderAccount>(&clients, scope.as_deref()));
        stores.accounts.push(store.clone());
        namespaced_accounts.push((store, events));
    }
    if settings.watch_namespaces.is_empty() {
        let (store, events) = watch(Api::<ClusterProviderAccount>::all(clients.reads.clone()));
        stores.cluster_accounts.push(store.clone());
        cluster_accounts.push((store, events));
        let (store, writer) = reflector::store();
        stores.namespaces.push(store);
        let all = watcher(
            Api::<PartialObjectMeta<Namespace>>::all(clients.reads.clone()),
            Config::default(),
        );
        namespaces.push(all.default_backoff().reflect(writer));
    }
    let wakers = Wakers::default();
    let context = Arc::new(Context::new(
        settings,
        clock,
        clients,
        stores,
        accounts,
        directory,
        wakers.clone(),
    ));

    for events in namespaces {
        watches.push(wake_by_namespace(events, Arc::clone(&context), wakers.clone()).boxed());
    }
    let mut controllers: Vec<BoxFuture<'static, ()>> = Vec::new();
    for (store, events) in numbers {
        let (wake, woken) = unbounded();
        wakers.add_numbers(wake);
        let (wakers, watched) = (wakers.clone(), Arc::clone(&context));
        let events = events.inspect(move |event| match event {
            Ok(Event::Apply(number)) => {
                watched.stores.index.put(number);
                wakers.account_of(number);
            }
            Ok(Event::InitApply(number)) => watched.stores.index.put(number),
            Ok(Event::Delete(number)) => {
                watched.stores.index.remove(number);
                wakers.account_of(number);
                if let Some(declared) = &number.spec.phone_number {
                    let others = watched.declarers(declared);
                    others.iter().for_each(|other| wakers.number(other));
                }
            }
            _ => {}
        });
        let controller = Controller::for_stream(triggers(events, number_fingerprint), store)
            .reconcile_on(woken)
            .graceful_shutdown_on(stop.clone());
        controllers.push(drive(controller.run(
            number::reconcile,
            after_error,
            Arc::clone(&context),
        )));
    }
    for (store, events) in namespaced_accounts {
        let (wake, woken) = unbounded();
        wakers.lock().accounts.push(wake);
        controllers.push(account_controller(
            store,
            events,
            woken,
            &wakers,
            &context,
            stop.clone(),
        ));
    }
    for (store, events) in cluster_accounts {
        let (wake, woken) = unbounded();
        wakers.lock().cluster_accounts.push(wake);
        controllers.push(account_controller(
            store,
            events,
            woken,
            &wakers,
            &context,
            stop.clone(),
        ));
    }
    watches.push(reread_secrets(Arc::clone(&context), wakers, heartbeat).boxed());

    let running = futures::future::join_all(controllers);
    let filling = async {
        context.stores.fill().await;
        ready();
        futures::future::pending::<()>().await;
    };
    let watching = futures::future::join_all(watches);
    tokio::select! {
        _ = running => {}
        _ = filling => {}
        _ = watching => tracing::error!("a watch ended by itself"),
    }
    if let Some(now) = context.time.now() {
        context.fuses.give_back(now).await;
    }
}

/// The scopes that are watched: each namespace, or `None` for all.
fn scopes(settings: &Settings) -> Vec<Option<String>> {
    if settings.watch_namespaces.is_empty() {
        vec![None]
    } else {
        settings
            .watch_namespaces
            .iter()
            .cloned()
            .map(Some)
            .collect()
    }
}

fn api_in<K>(clients: &Clients, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(clients.reads.clone(), namespace),
        None => Api::all(clients.reads.clone()),
    }
}

/// A cache of `api`, and the events that fill it.
fn watch<K>(
    api: Api<K>,
) -> (
    Store<K>,
    impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let events = watcher(api, Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer);
    (store, events)
}

/// The objects in `events` that changed in what `fingerprint` covers. Our own status writes wake nobody.
fn triggers<K>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
    fingerprint: fn(&K) -> u64,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Send + 'static,
{
    events.applied_objects().predicate_filter(
        move |object: &K| Some(fingerprint(object)),
        PredicateConfig::default(),
    )
}

fn number_fingerprint(number: &PhoneNumber) -> u64 {
    let claim = number.annotations().get(ANNOTATION);
    fingerprint(number, &claim)
}

fn account_fingerprint<A: AnyAccount>(account: &A) -> u64 {
    fingerprint(account, &())
}

fn fingerprint<K: Resource>(object: &K, more: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.meta().generation.hash(&mut hasher);
    object.meta().finalizers.hash(&mut hasher);
    object
        .meta()
        .deletion_timestamp
        .as_ref()
        .map(|time| time.0)
        .hash(&mut hasher);
    more.hash(&mut hasher);
    hasher.finish()
}

fn account_controller<A: AnyAccount>(
    store: Store<A>,
    events: impl Stream<Item = Result<Event<A>, watcher::Error>> + Send + 'static,
    woken: UnboundedReceiver<ObjectRef<A>>,
    wakers: &Wakers,
    context: &Arc<Context>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) -> BoxFuture<'static, ()> {
    let (wakers, users_context) = (wakers.clone(), Arc::clone(context));
    let triggers = triggers(events, account_fingerprint::<A>).inspect(move |account| {
        if let Ok(account) = account {
            wake_account(account, &users_context, &wakers);
            // The lowest limit holds for all that open the same account at the provider.
            let id = account
                .status()
                .and_then(|status| status.account_id.clone());
            for user in id.iter().flat_map(|id| users_context.waiting_in(id)) {
                wakers.number(&user);
            }
        }
    });
    // Every new number wakes its account; a pass over the account serves all of them.
    let controller = Controller::for_stream(triggers, store)
        .with_config(controller::Config::default().debounce(ACCOUNT_DEBOUNCE))
        .reconcile_on(woken)
        .graceful_shutdown_on(stop);
    drive(controller.run(account::reconcile::<A>, after_error, Arc::clone(context)))
}

/// Polls a controller to its end. Its results were reported where they arose.
fn drive<T, E>(results: impl Stream<Item = Result<T, E>> + Send + 'static) -> BoxFuture<'static, ()>
where
    E: std::error::Error + Send + 'static,
    T: Send + 'static,
{
    results
        .for_each(|result| async {
            if let Err(error) = result {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a pass did not end well"
                );
            }
        })
        .boxed()
}

/// A conflict means that somebody else wrote first: the pass is repeated on what they wrote.
fn after_error<K: Resource<DynamicType = ()>>(
    object: Arc<K>,
    error: &kube::Error,
    _: Arc<Context>,
) -> Action {
    match error {
        kube::Error::Api(status) if status.code == 409 => Action::requeue(AFTER_A_CONFLICT),
        kube::Error::Api(status) if status.code == 404 => Action::await_change(),
        error => {
            let name = object.name_any();
            let kind = K::kind(&());
            tracing::warn!(%kind, namespace = object.namespace(), name, %error, "the API server failed a pass");
            Action::requeue(AFTER_AN_API_ERROR)
        }
    }
}

/// A namespace's labels decide which ClusterProviderAccounts it may use.
async fn wake_by_namespace(
    events: impl Stream<Item = Result<Event<PartialObjectMeta<Namespace>>, watcher::Error>>,
    context: Arc<Context>,
    wakers: Wakers,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(namespace)) => {
                let name = Some(namespace.name_any());
                wakers.numbers(&context, |number| number.namespace() == name);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot watch namespaces"),
        }
    }
}

/// Who is woken by what.
#[derive(Clone, Default)]
struct Wakers(Arc<std::sync::Mutex<Channels>>);

#[derive(Default)]
struct Channels {
    numbers: Vec<Numbers>,
    accounts: Vec<UnboundedSender<ObjectRef<ProviderAccount>>>,
    cluster_accounts: Vec<UnboundedSender<ObjectRef<ClusterProviderAccount>>>,
}

impl Wakers {
    fn lock(&self) -> std::sync::MutexGuard<'_, Channels> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn add_numbers(&self, wake: Numbers) {
        self.lock().numbers.push(wake);
    }

    /// Wakes `number`. A controller ignores what its cache does not hold.
    fn number(&self, number: &PhoneNumber) {
        for channel in &self.lock().numbers {
            // A channel is closed only when its controller has ended.
            let _ = channel.unbounded_send(ObjectRef::from_obj(number));
        }
    }

    /// Wakes every number that `wanted` picks.
    fn numbers(&self, context: &Context, wanted: impl Fn(&PhoneNumber) -> bool) {
        for number in context
            .stores
            .numbers
            .iter()
            .flat_map(Store::state)
            .filter(|number| wanted(number))
        {
            self.number(&number);
        }
    }

    /// Wakes the account that `number` refers to: it may be in use now, or not any more.
    fn account_of(&self, number: &PhoneNumber) {
        let (kind, name) = account_name(number);
        let channels = self.lock();
        match kind {
            AccountKind::ProviderAccount => {
                let reference =
                    ObjectRef::new(&name).within(&number.namespace().unwrap_or_default());
                for channel in &channels.accounts {
                    let _ = channel.unbounded_send(reference.clone());
                }
            }
            AccountKind::ClusterProviderAccount => {
                for channel in &channels.cluster_accounts {
                    let _ = channel.unbounded_send(ObjectRef::new(&name));
                }
            }
        }
    }
}

/// Reads the Secrets in use every few seconds and wakes what a changed one matters to.
async fn reread_secrets(context: Arc<Context>, wakers: Wakers, heartbeat: Heartbeat) {
    let mut clean_up = context.clock.now();
    loop {
        heartbeat.beat();
        tokio::time::sleep(secrets::REREAD_AFTER).await;
        let changed: HashSet<_> = context
            .secrets
            .refresh(&context.secrets_in_use())
            .await
            .into_iter()
            .collect();
        if !changed.is_empty() {
            wake_users_of(&changed, &context, &wakers);
        }
        let now = context.clock.now();
        if now.since(clean_up) > CLEAN_UP_AFTER {
            clean_up = now;
            let live: HashSet<_> = context
                .stores
                .numbers
                .iter()
                .flat_map(Store::state)
                .filter_map(|number| number.uid())
                .collect();
            context.memories.retain(|uid| live.contains(uid));
        }
    }
}

fn wake_users_of(changed: &HashSet<secrets::SecretName>, context: &Context, wakers: &Wakers) {
    let operator = &context.settings.operator_namespace;
    for account in context.stores.accounts.iter().flat_map(Store::state) {
        let namespace = account.namespace().unwrap_or_default();
        if secrets_of(&account.spec.account, &namespace)
            .iter()
            .any(|secret| changed.contains(secret))
        {
            wake_account(account.as_ref(), context, wakers);
            for channel in &wakers.lock().accounts {
                let _ = channel.unbounded_send(ObjectRef::from_obj(account.as_ref()));
            }
        }
    }
    for account in context
        .stores
        .cluster_accounts
        .iter()
        .flat_map(Store::state)
    {
        if secrets_of(&account.spec.account, operator)
            .iter()
            .any(|secret| changed.contains(secret))
        {
            wake_account(account.as_ref(), context, wakers);
            for channel in &wakers.lock().cluster_accounts {
                let _ = channel.unbounded_send(ObjectRef::from_obj(account.as_ref()));
            }
        }
    }
}

fn wake_account<A: AnyAccount>(account: &A, context: &Context, wakers: &Wakers) {
    for user in context.users(A::KIND, account.namespace().as_deref(), &account.name_any()) {
        wakers.number(&user);
    }
}

/// True while the definition of PhoneNumbers is being deleted, which deletes every PhoneNumber.
///
/// # Errors
/// Those of the API server, except where the operator may not look at definitions (watching single namespaces).
async fn definition_is_deleted(context: &Context) -> Result<bool, kube::Error> {
    let api = Api::<CustomResourceDefinition>::all(context.clients.reads.clone());
    match api.get_opt(&format!("phonenumbers.{GROUP}")).await {
        Ok(definition) => Ok(
            definition.is_none_or(|definition| definition.metadata.deletion_timestamp.is_some())
        ),
        Err(kube::Error::Api(status)) if status.code == 403 => {
            tracing::warn!(
                "may not read the definition of PhoneNumbers: its deletion would release every number"
            );
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
