//! Kubernetes in memory: objects with resource versions, finalizers, deletion timestamps and a status of their own, and a
//! log of every change for those that watch. Speaks no HTTP; [`crate::api_server`] does.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::Instant;

use test_support::objects::merge;

use crate::watched::Watched;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The resource, such as `phonenumbers`.
    pub plural: String,
    /// Empty for what has no namespace.
    pub namespace: String,
    pub name: String,
}

impl Place {
    pub fn new(plural: &str, namespace: &str, name: &str) -> Self {
        Self {
            plural: plural.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    pub fn number(namespace: &str, name: &str) -> Self {
        Self::new("phonenumbers", namespace, name)
    }
}

/// One change, as a watch tells it.
#[derive(Clone, Debug)]
pub struct Change {
    pub place: Place,
    /// The object after the change; for a deletion as it was last.
    pub object: Arc<Value>,
    /// The version that the change made.
    pub version: u64,
    /// True if the object was not there before.
    pub created: bool,
    pub deleted: bool,
    /// How long the cluster had been there.
    pub at: Duration,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: u16,
    pub reason: &'static str,
}

pub const NOT_FOUND: Refused = Refused {
    code: 404,
    reason: "NotFound",
};
const CONFLICT: Refused = Refused {
    code: 409,
    reason: "Conflict",
};
const EXISTS: Refused = Refused {
    code: 409,
    reason: "AlreadyExists",
};
pub const INVALID: Refused = Refused {
    code: 422,
    reason: "Invalid",
};

type Answer = Result<Value, Refused>;

/// The store. Clones are one and the same.
#[derive(Clone)]
pub struct Cluster {
    state: Arc<Mutex<State>>,
    length: Watched<usize>,
}

struct State {
    begun: (SystemTime, Instant),
    version: u64,
    uids: u64,
    objects: BTreeMap<Place, Arc<Value>>,
    log: Vec<Change>,
    /// What was before this version is forgotten.
    compacted: u64,
}

thread_local! {
    static COMPARES: Cell<bool> = const { Cell::new(true) };
}

/// Whether stores of this thread compare resource versions. If not, whoever writes last wins.
pub fn set_comparing(compares: bool) {
    COMPARES.set(compares);
}

impl Cluster {
    /// An empty store whose clock shows `time` now.
    pub fn new(time: SystemTime) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                begun: (time, Instant::now()),
                version: 1,
                uids: 0,
                objects: BTreeMap::new(),
                log: Vec::new(),
                compacted: 0,
            })),
            length: Watched::new(0),
        }
    }

    pub fn now(&self) -> SystemTime {
        self.lock().now()
    }

    pub fn get(&self, place: &Place) -> Option<Value> {
        let object = self.lock().objects.get(place).cloned();
        object.map(|object| Value::clone(&object))
    }

    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// The oldest version that is still known.
    pub fn compacted(&self) -> u64 {
        self.lock().compacted
    }

    /// Forgets what was before the present version: who has not seen it has to list.
    pub fn compact(&self) {
        let mut state = self.lock();
        state.compacted = state.version;
    }

    /// Every object of a resource as it was at a version, in the order of their places.
    pub fn list_at(&self, plural: &str, version: u64) -> Vec<(Place, Arc<Value>)> {
        let state = self.lock();
        let mut objects = BTreeMap::new();
        let changes = state
            .log
            .iter()
            .take_while(|change| change.version <= version);
        for change in changes.filter(|change| change.place.plural == plural) {
            if change.deleted {
                objects.remove(&change.place);
            } else {
                objects.insert(change.place.clone(), Arc::clone(&change.object));
            }
        }
        objects.into_iter().collect()
    }

    /// The place among the changes of the first that is later than a version.
    pub fn after(&self, version: u64) -> usize {
        let state = self.lock();
        state
            .log
            .partition_point(|change| change.version <= version)
    }

    /// Every object of a resource, in the order of their places.
    pub fn list(&self, plural: &str) -> Vec<Value> {
        let state = self.lock();
        let of_kind = state
            .objects
            .iter()
            .filter(|(place, _)| place.plural == plural);
        of_kind.map(|(_, object)| Value::clone(object)).collect()
    }

    /// How many changes there were so far; changes with that.
    pub fn length(&self) -> &Watched<usize> {
        &self.length
    }

    /// The changes from the one with this index on.
    pub fn since(&self, index: usize) -> Vec<Change> {
        self.lock()
            .log
            .get(index..)
            .map(<[_]>::to_vec)
            .unwrap_or_default()
    }

    /// Creates an object. Its uid and its times are new, whatever it comes with.
    pub fn create(&self, place: &Place, mut object: Value) -> Answer {
        let mut state = self.lock();
        if state.objects.contains_key(place) {
            return Err(EXISTS);
        }
        state.uids += 1;
        let (uid, time) = (format!("uid-{:06}", state.uids), state.timestamp());
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(place.name);
        if !place.namespace.is_empty() {
            metadata["namespace"] = json!(place.namespace);
        }
        metadata["uid"] = json!(uid);
        metadata["creationTimestamp"] = json!(time);
        metadata["generation"] = json!(1);
        remove(metadata, "deletionTimestamp");
        if has_status(&place.plural) {
            object["status"] = first_status();
        }
        let stored = state.put(place, object);
        self.tell(state);
        Ok(stored)
    }

    /// Replaces an object except its status.
    pub fn replace(&self, place: &Place, object: Value) -> Answer {
        self.change(place, &object, |old| {
            let mut new = object.clone();
            keep(old, &mut new);
            if has_status(&place.plural) {
                match old.get("status") {
                    Some(status) => new["status"] = status.clone(),
                    None => remove(&mut new, "status"),
                }
            }
            new
        })
    }

    /// Replaces an object's status and nothing else.
    pub fn replace_status(&self, place: &Place, object: &Value) -> Answer {
        self.change(place, object, |old| {
            let mut new = old.clone();
            match object.get("status") {
                Some(status) => new["status"] = status.clone(),
                None => remove(&mut new, "status"),
            }
            new
        })
    }

    /// Merges `patch` into an object except its status.
    pub fn patch(&self, place: &Place, patch: &Value) -> Answer {
        self.change(place, patch, |old| {
            let mut new = old.clone();
            merge(&mut new, patch);
            keep(old, &mut new);
            if has_status(&place.plural)
                && let Some(status) = old.get("status")
            {
                new["status"] = status.clone();
            }
            new
        })
    }

    /// Deletes an object, or marks it as being deleted while it has finalizers.
    pub fn delete(&self, place: &Place) -> Answer {
        self.delete_if(place, &Value::Null)
    }

    /// The same, if the object has the uid and the version that `preconditions` name. The object, if it is still there.
    pub fn delete_if(&self, place: &Place, preconditions: &Value) -> Answer {
        let mut state = self.lock();
        let Some(old) = state.object(place) else {
            return Err(NOT_FOUND);
        };
        let differs = |name: &str| {
            !preconditions[name].is_null() && preconditions[name] != old["metadata"][name]
        };
        if differs("uid") || differs("resourceVersion") {
            return Err(CONFLICT);
        }
        let mut answer =
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
        if finalizers(&old).is_empty() {
            state.remove(place);
        } else if old["metadata"]["deletionTimestamp"].is_null() {
            let mut new = old.clone();
            new["metadata"]["deletionTimestamp"] = json!(state.timestamp());
            new["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            let generation = new["metadata"]["generation"].as_u64().unwrap_or(1);
            new["metadata"]["generation"] = json!(generation + 1);
            answer = state.put(place, new);
        } else {
            answer = old;
        }
        self.tell(state);
        Ok(answer)
    }

    fn change(&self, place: &Place, asked: &Value, new: impl FnOnce(&Value) -> Value) -> Answer {
        let mut state = self.lock();
        let Some(old) = state.object(place) else {
            return Err(NOT_FOUND);
        };
        let asked = &asked["metadata"];
        let differs = |name: &str| !asked[name].is_null() && asked[name] != old["metadata"][name];
        if differs("uid") || (COMPARES.get() && differs("resourceVersion")) {
            return Err(CONFLICT);
        }
        let mut new = new(&old);
        new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
        if new == old {
            return Ok(old);
        }
        let deleting = !old["metadata"]["deletionTimestamp"].is_null();
        let (before, after) = (finalizers(&old), finalizers(&new));
        if deleting && after.iter().any(|finalizer| !before.contains(finalizer)) {
            return Err(INVALID);
        }
        if old["spec"] != new["spec"] {
            let generation = old["metadata"]["generation"].as_u64().unwrap_or(1);
            new["metadata"]["generation"] = json!(generation + 1);
        }
        let stored = if deleting && after.is_empty() {
            state.objects.insert(place.clone(), Arc::new(new.clone()));
            state.remove(place);
            new
        } else {
            state.put(place, new)
        };
        self.tell(state);
        Ok(stored)
    }

    fn tell(&self, state: MutexGuard<'_, State>) {
        let length = state.log.len();
        drop(state);
        self.length.set(length);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn now(&self) -> SystemTime {
        self.begun.0 + self.begun.1.elapsed()
    }

    /// To the second, as Kubernetes writes it.
    fn timestamp(&self) -> String {
        let since = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
        jiff::Timestamp::try_from(whole).unwrap().to_string()
    }

    fn object(&self, place: &Place) -> Option<Value> {
        let object = self.objects.get(place)?;
        Some(Value::clone(object))
    }

    fn put(&mut self, place: &Place, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let kept = Arc::new(object.clone());
        let before = self.objects.insert(place.clone(), Arc::clone(&kept));
        self.note(place, kept, before.is_none(), false);
        object
    }

    fn remove(&mut self, place: &Place) {
        if let Some(object) = self.objects.remove(place) {
            self.version += 1;
            let mut object = Value::clone(&object);
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.note(place, Arc::new(object), false, true);
        }
    }

    fn note(&mut self, place: &Place, object: Arc<Value>, created: bool, deleted: bool) {
        self.log.push(Change {
            place: place.clone(),
            object,
            version: self.version,
            created,
            deleted,
            at: self.begun.1.elapsed(),
        });
    }
}

/// What nobody can change by a write of the whole.
fn keep(old: &Value, new: &mut Value) {
    for name in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        match old["metadata"].get(name) {
            Some(value) => new["metadata"][name] = value.clone(),
            None => remove(&mut new["metadata"], name),
        }
    }
}

fn has_status(plural: &str) -> bool {
    plural.ends_with("phonenumbers") || plural.ends_with("provideraccounts")
}

/// The defaults of the definitions.
fn first_status() -> Value {
    let condition = |kind: &str, status: &str| {
        json!({"type": kind, "status": status, "reason": "Pending", "message": "Waiting for the operator.",
            "lastTransitionTime": "1970-01-01T00:00:00Z"})
    };
    json!({"conditions": [condition("Ready", "Unknown"), condition("Reconciling", "True")]})
}

pub fn finalizers(object: &Value) -> Vec<String> {
    let found = object["metadata"]["finalizers"].as_array();
    let texts = found.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn remove(object: &mut Value, name: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(name);
    }
}

#[cfg(test)]
mod tests;
