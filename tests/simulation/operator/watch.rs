//! What the watches of a process show, and what is due for a reconcile since.

use futures::channel::mpsc::{UnboundedSender, unbounded};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use kube::Resource;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use phonenumber_operator::controller::cached;
use serde::de::DeserializeOwned;

use crate::cluster::Change;

/// A watch, as the program takes it in.
pub(super) struct Watch<K: Resource<DynamicType = ()> + Clone + 'static> {
    pub(super) store: Store<K>,
    pub(super) events: UnboundedSender<WatchResult<K>>,
    /// What a reconcile is due for.
    pub(super) due: BoxStream<'static, Result<K, watcher::Error>>,
}

type WatchResult<K> = Result<Event<K>, watcher::Error>;

/// A cache, the way into it, and the events that it shows.
pub(super) fn cache<K>() -> (
    Store<K>,
    UnboundedSender<WatchResult<K>>,
    BoxStream<'static, WatchResult<K>>,
)
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let (events, told) = unbounded();
    let (store, told) = cached(told);
    (store, events, told.boxed())
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Watch<K> {
    /// Tells an event, and returns what is due for a reconcile since.
    pub(super) fn tell(&mut self, event: Event<K>) -> Vec<ObjectRef<K>> {
        self.events.unbounded_send(Ok(event)).unwrap();
        let mut due = Vec::new();
        while let Some(Some(Ok(object))) = self.due.next().now_or_never() {
            due.push(ObjectRef::from_obj(&object));
        }
        due
    }

    /// The events of a list.
    pub(super) fn list(&mut self, objects: Vec<K>) -> Vec<ObjectRef<K>> {
        let init = std::iter::once(Event::Init);
        let all = objects.into_iter().map(Event::InitApply);
        let events = init.chain(all).chain(std::iter::once(Event::InitDone));
        events.flat_map(|event| self.tell(event)).collect()
    }
}

/// A cache of what there is none of: ClusterProviderAccounts and namespaces are a matter of the tests on a real control plane.
pub(super) fn empty<K>() -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&Event::Init);
    writer.apply_watcher_event(&Event::InitDone);
    store
}

pub(super) fn event<K: DeserializeOwned>(change: &Change) -> Event<K> {
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

pub(super) fn read_all<K: DeserializeOwned>(objects: Vec<serde_json::Value>) -> Vec<K> {
    objects.iter().map(read).collect()
}
