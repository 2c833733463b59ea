//! Drives the controllers by kube's watches and queues: which objects are watched, and when it all ends.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::{NamespaceResourceScope, PartialObjectMeta};
use kube::runtime::PredicateConfig;
use kube::runtime::controller::Action;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{Config, Event};
use kube::runtime::{Controller, WatchStreamExt, controller, reflector, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::pulse::{Pauses, Pulses, WATCH_SECONDS};
use super::reconciler::{REREAD_AFTER, Reconciler, account_fingerprint, number_fingerprint};
use super::{Parts, RequeueAfter, Settings};
use crate::api::{ClusterProviderAccount, PhoneNumber, ProviderAccount};
use crate::cluster::any_account::AnyAccount;
use crate::cluster::caches::Caches;
use crate::cluster::requeuer::Requeuer;

/// How many reconciles of numbers are begun at once, also of those that find that it is not their turn and end at once: each
/// takes memory.
pub const MOST_PASSES: u16 = 1024;

/// How many objects a list returns at once: what is taken apart at one time takes several times the memory of what is kept.
const PAGE: u32 = 100;

/// Where `kubectl apply` notes what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How long what wakes an account is gathered.
pub const ACCOUNT_DEBOUNCE: Duration = Duration::from_millis(500);

/// How often it is read how much of the limits is used, for the figures alone.
const REREAD_LIMITS_AFTER: Duration = Duration::from_secs(15);

/// How often it is seen whether the installed definition keeps what is written.
const CHECK_DEFINITION_AFTER: Duration = Duration::from_secs(300);

/// How often the controllers show that they move.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// A part of the controllers ended although nothing stopped it: nothing may be decided without it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} ended by itself")]
pub struct Ended(&'static str);

/// Runs the controllers until `stop` resolves and what is in flight is finished. `ready` is called once all caches are
/// filled. Nothing is decided before `lead` has resolved as well, and before the caches show what was written until then.
///
/// # Errors
/// [`Ended`]; what is in flight is given up then.
pub async fn run(
    parts: Parts,
    lead: impl Future<Output = ()> + Send,
    stop: impl Future<Output = ()> + Send + 'static,
    ready: impl FnOnce() + Send,
) -> Result<(), Ended> {
    let clients = parts.clients.clone();
    let stop = stop.shared();
    let mut caches = Caches::default();
    let mut numbers = Vec::new();
    let mut namespaced_accounts = Vec::new();
    let mut cluster_accounts = Vec::new();
    let mut namespaces = Vec::new();
    let pulses = Arc::new(Pulses::new(Arc::clone(&parts.clock)));
    parts.metrics.listen(&pulses);
    let reads = &clients.reads;
    for scope in scopes(&parts.settings) {
        let (store, events) = watch(&pulses, reads, scope.as_deref(), api_in::<PhoneNumber>);
        caches.numbers.push(store.clone());
        numbers.push((store, events));
        let (store, events) = watch(&pulses, reads, scope.as_deref(), api_in::<ProviderAccount>);
        caches.accounts.push(store.clone());
        namespaced_accounts.push((store, events));
    }
    if parts.settings.watch_namespaces.is_empty() {
        let all = |client, _: Option<&str>| Api::<ClusterProviderAccount>::all(client);
        let (store, events) = watch(&pulses, reads, None, all);
        caches.cluster_accounts.push(store.clone());
        cluster_accounts.push((store, events));
        let all = |client, _: Option<&str>| Api::<PartialObjectMeta<Namespace>>::all(client);
        let (store, events) = watch(&pulses, reads, None, all);
        caches.namespaces.push(store);
        namespaces.push(events);
    }
    let requeuer = Requeuer::default();
    let reconciler = Arc::new(Reconciler::new(parts, caches, requeuer.clone()));

    let mut watches: Vec<BoxFuture<'static, ()>> = Vec::new();
    for events in namespaces {
        watches.push(watch_namespaces(events, Arc::clone(&reconciler)).boxed());
    }
    let mut controllers: Vec<BoxFuture<'static, Result<(), Ended>>> = Vec::new();
    for (store, events) in numbers {
        let (wake, woken) = unbounded();
        requeuer.add_numbers(wake);
        let events = number_triggers(events, Arc::clone(&reconciler));
        let controller = Controller::for_stream(events, store)
            .with_config(controller::Config::default().concurrency(MOST_PASSES))
            .reconcile_on(woken)
            .graceful_shutdown_on(stop.clone());
        let reconcile = |number, reconciler: Arc<Reconciler>| async move {
            reconciler.number(number).await.map(action)
        };
        let results = controller.run(reconcile, on_error, Arc::clone(&reconciler));
        controllers.push(drive(results, stop.clone()));
    }
    for (store, events) in namespaced_accounts {
        let (wake, woken) = unbounded();
        requeuer.add_accounts(wake);
        let events = account_triggers(events, Arc::clone(&reconciler));
        let reconcile = |account, reconciler: Arc<Reconciler>| async move {
            reconciler.account(account).await.map(action)
        };
        let controller = account_controller(store, events, woken, stop.clone());
        let results = controller.run(reconcile, on_error, Arc::clone(&reconciler));
        controllers.push(drive(results, stop.clone()));
    }
    for (store, events) in cluster_accounts {
        let (wake, woken) = unbounded();
        requeuer.add_cluster_accounts(wake);
        let observer = Arc::clone(&reconciler);
        let events = events.inspect(move |event| {
            if let Ok(event) = event {
                observer.saw_account(event);
            }
        });
        let events = triggers(events, |_| true, account_fingerprint);
        let observer = Arc::clone(&reconciler);
        let events = events.inspect(move |account| {
            if let Ok(account) = account {
                observer.wake_users_of_cluster_account(account);
            }
        });
        let reconcile = |account, reconciler: Arc<Reconciler>| async move {
            reconciler.cluster_account(account).await.map(action)
        };
        let controller = account_controller(store, events, woken, stop.clone());
        let results = controller.run(reconcile, on_error, Arc::clone(&reconciler));
        controllers.push(drive(results, stop.clone()));
    }
    watches.push(reread_secrets(Arc::clone(&reconciler)).boxed());
    watches.push(check_definition(Arc::clone(&reconciler)).boxed());
    watches.push(beat(Arc::clone(&reconciler)).boxed());

    let running = futures::future::try_join_all(controllers);
    let preparing = async {
        reconciler.fill().await;
        ready();
        lead.await;
        reconciler.catch_up().await;
    };
    let filling = async {
        // Nothing is in flight before all is prepared, and a controller whose first list fails does not heed `stop`.
        tokio::select! {
            () = preparing => reconciler.begin(),
            () = stop.clone() => return Ok(()),
        }
        let _figures = reconciler.figures();
        loop {
            reconciler.reread_limits().await;
            tokio::time::sleep(REREAD_LIMITS_AFTER).await;
        }
    };
    let stopping = async {
        stop.clone().await;
        reconciler.stop();
        std::future::pending::<()>().await;
    };
    let watching = futures::future::select_all(watches);
    let ended = tokio::select! {
        ended = running => ended.map(drop),
        ended = filling => ended,
        () = stopping => Ok(()),
        _ = watching => Err(Ended("a watch")),
    };
    reconciler.end().await;
    ended
}

/// The scopes that are watched: each namespace, or `None` for all.
fn scopes(settings: &Settings) -> Vec<Option<String>> {
    if settings.watch_namespaces.is_empty() {
        vec![None]
    } else {
        let namespaces = settings.watch_namespaces.iter();
        namespaces.cloned().map(Some).collect()
    }
}

fn api_in<K>(client: Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    }
}

/// A cache of what `api` makes of a client and a namespace, and the events that fill it. Errors are logged and left out: kube
/// would let everything wait that may trigger a reconcile, whatever else it has to do with the watch.
fn watch<K>(
    pulses: &Pulses,
    client: &Client,
    namespace: Option<&str>,
    api: impl FnOnce(Client, Option<&str>) -> Api<K>,
) -> (
    Store<K>,
    impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let pulse = pulses.of(&K::kind(&()), namespace);
    let api = api(pulse.listen(client.clone()), namespace);
    let config = Config::default().page_size(PAGE).timeout(WATCH_SECONDS);
    let events = watcher(api, config).backoff(Pauses::default());
    cached(events.filter_map(move |event| {
        let event = event.inspect_err(|error| pulse.failed(error));
        std::future::ready(event.ok().map(Ok))
    }))
}

/// A cache that `events` fill, and the same events once it shows them. What a list applies is passed on when the whole list has
/// come: it may have several pages, and the cache shows none of them before.
pub fn cached<K>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
) -> (
    Store<K>,
    impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
)
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let shown = store.clone();
    let events = events.modify(leave_out_what_nobody_reads).reflect(writer);
    let mut listed: Vec<ObjectRef<K>> = Vec::new();
    let events = events.flat_map(move |event| match event {
        Ok(Event::InitApply(object)) => {
            listed.push(ObjectRef::from_obj(&object));
            stream::empty().boxed()
        }
        Ok(Event::InitDone) => {
            let store = shown.clone();
            let applied = std::mem::take(&mut listed).into_iter();
            let applied = applied.filter_map(move |reference| store.get(&reference));
            let applied = applied.map(|object| Ok(Event::InitApply(K::clone(&object))));
            stream::iter(applied.chain([Ok(Event::InitDone)])).boxed()
        }
        event => {
            if matches!(event, Ok(Event::Init)) {
                // A list that failed in the middle is begun again.
                listed.clear();
            }
            stream::iter([event]).boxed()
        }
    });
    (store, events)
}

/// The numbers in `events` that a reconcile is due for. `reconciler` takes note of all events.
pub fn number_triggers(
    events: impl Stream<Item = Result<Event<PhoneNumber>, watcher::Error>> + Send + 'static,
    reconciler: Arc<Reconciler>,
) -> impl Stream<Item = Result<PhoneNumber, watcher::Error>> + Send + 'static {
    let observer = Arc::clone(&reconciler);
    let events = events.inspect(move |event| {
        if let Ok(event) = event {
            observer.saw_number(event);
        }
    });
    let is_foreign_change = move |number: &PhoneNumber| reconciler.is_foreign_change(number);
    triggers(events, is_foreign_change, number_fingerprint)
}

/// The accounts in `events` that a reconcile is due for. `reconciler` wakes the users of each.
pub fn account_triggers(
    events: impl Stream<Item = Result<Event<ProviderAccount>, watcher::Error>> + Send + 'static,
    reconciler: Arc<Reconciler>,
) -> impl Stream<Item = Result<ProviderAccount, watcher::Error>> + Send + 'static {
    let observer = Arc::clone(&reconciler);
    let events = events.inspect(move |event| {
        if let Ok(event) = event {
            observer.saw_account(event);
        }
    });
    triggers(events, |_| true, account_fingerprint).inspect(move |account| {
        if let Ok(account) = account {
            reconciler.requeue_users_of(account);
        }
    })
}

/// Thousands of objects are kept, and a good part of each is for tools that apply. What is written from a cache is statuses and
/// patches, which change no metadata but ours.
fn leave_out_what_nobody_reads<K: Resource>(object: &mut K) {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

/// The objects in `events` that changed in what `fingerprint` covers and are news.
fn triggers<K>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
    is_foreign_change: impl Fn(&K) -> bool + Send + 'static,
    fingerprint: fn(&K) -> u64,
) -> impl Stream<Item = Result<K, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Send + 'static,
{
    // What is no news is compared with, too: an object may be set back to what it was before a reconcile changed it.
    let changed = events.applied_objects().predicate_filter(
        move |object: &K| Some(fingerprint(object)),
        PredicateConfig::default(),
    );
    changed.try_filter(move |object| std::future::ready(is_foreign_change(object)))
}

/// Every new number wakes its account; a reconcile of the account serves all that came meanwhile.
fn account_controller<A: AnyAccount>(
    store: Store<A>,
    events: impl Stream<Item = Result<A, watcher::Error>> + Send + 'static,
    woken: UnboundedReceiver<ObjectRef<A>>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) -> Controller<A> {
    Controller::for_stream(events, store)
        .with_config(controller::Config::default().debounce(ACCOUNT_DEBOUNCE))
        .reconcile_on(woken)
        .graceful_shutdown_on(stop)
}

fn action(due: RequeueAfter) -> Action {
    due.map_or_else(Action::await_change, Action::requeue)
}

fn on_error<K: Resource<DynamicType = ()>>(
    object: Arc<K>,
    error: &kube::Error,
    reconciler: Arc<Reconciler>,
) -> Action {
    action(reconciler.after_error(object.as_ref(), error))
}

/// Polls a controller to its end, which only `stop` may bring. Its results were reported where they arose.
fn drive<T, E>(
    results: impl Stream<Item = Result<T, E>> + Send + 'static,
    stop: impl Future<Output = ()> + Send + 'static,
) -> BoxFuture<'static, Result<(), Ended>>
where
    E: std::error::Error + Send + 'static,
    T: Send + 'static,
{
    async move {
        results
            .for_each(|result| async {
                if let Err(error) = result {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "a reconcile did not end well"
                    );
                }
            })
            .await;
        stop.now_or_never().ok_or(Ended("a controller"))
    }
    .boxed()
}

async fn watch_namespaces(
    events: impl Stream<Item = Result<Event<PartialObjectMeta<Namespace>>, watcher::Error>>,
    reconciler: Arc<Reconciler>,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => reconciler.saw_namespace(&event),
            Err(error) => tracing::warn!(%error, "cannot watch namespaces"),
        }
    }
}

async fn check_definition(reconciler: Arc<Reconciler>) {
    loop {
        reconciler.check_definition().await;
        tokio::time::sleep(CHECK_DEFINITION_AFTER).await;
    }
}

/// Shows that the task of the controllers moves, which is all of them: waiting for the API server or a provider is no
/// standstill.
async fn beat(reconciler: Arc<Reconciler>) {
    loop {
        reconciler.beat();
        tokio::time::sleep(BEAT_EVERY).await;
    }
}

async fn reread_secrets(reconciler: Arc<Reconciler>) {
    loop {
        reconciler.reread_secrets().await;
        tokio::time::sleep(REREAD_AFTER).await;
    }
}

#[cfg(test)]
mod tests;
