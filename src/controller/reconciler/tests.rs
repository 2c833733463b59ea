//! What a watch tells, and who is woken by it.

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};

use super::*;
use crate::account::{Accounts, Directory, Endpoints};
use crate::api::owner;
use crate::api::{AccountKind, Reason};
use crate::claim::{ANNOTATION, Claim};
use crate::clock::{BootClock, Clock};
use crate::cluster::index::Key;
use crate::controller::Settings;
use crate::number::{AccountId, Currency, Installation, Price};
use crate::provider::http::fake::Fake;
use crate::random::Random;
use crate::server_time::Clients;
use crate::telemetry::Health;
use crate::telemetry::metrics::Metrics;

/// A reconciler whose API server has nothing, without a provider, the hands that fill its caches, and what it wakes.
pub(crate) struct World {
    pub(crate) reconciler: Reconciler,
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) providers: Arc<Providers>,
    pub(crate) process: Process,
    numbers: Writer<PhoneNumber>,
    accounts: Writer<ProviderAccount>,
    cluster_accounts: Writer<ClusterProviderAccount>,
    namespaces: Writer<PartialObjectMeta<Namespace>>,
    woken_numbers: UnboundedReceiver<ObjectRef<PhoneNumber>>,
    woken_accounts: UnboundedReceiver<ObjectRef<ProviderAccount>>,
}

impl World {
    /// One that has begun. At most one reconcile of each account at once.
    pub(crate) fn new() -> Self {
        let mut world = Self::without_namespaces();
        world.tell_namespace(Event::Init);
        world.tell_namespace(Event::InitDone);
        world
    }

    /// The same, where namespaces could not be listed yet.
    pub(in crate::controller) fn without_namespaces() -> Self {
        let service = tower::service_fn(|request: http::Request<kube::client::Body>| async move {
            let now = httpdate::fmt_http_date(std::time::SystemTime::now());
            let answer = http::Response::builder().header("date", now);
            let is_list = request.uri().path().ends_with("/phonenumbers");
            let (status, body) = match is_list {
                true => (200, r#"{"metadata":{},"items":[]}"#),
                false => (
                    404,
                    r#"{"kind":"Status","code":404,"reason":"NotFound","message":"","status":"Failure"}"#,
                ),
            };
            let body = kube::client::Body::from(body.as_bytes().to_vec());
            Ok::<_, std::convert::Infallible>(answer.status(status).body(body).unwrap())
        });
        let clock: Arc<dyn Clock> = Arc::new(BootClock);
        let client = Fake::with([]).client();
        let interval = Duration::from_secs(60);
        let parts = Parts {
            settings: Settings {
                watch_namespaces: Vec::new(),
                operator_namespace: "operator".into(),
                installation: Installation::new("test"),
                interval,
                purchase_timeout: Duration::from_secs(30),
                purchase_visibility: Duration::from_secs(600),
                concurrency: 1,
                burki_origins: Vec::new(),
                burki_endpoint: None,
            },
            accounts: Accounts::new(
                client.clone(),
                Endpoints::default(),
                Arc::clone(&clock),
                interval,
                Duration::from_secs(600),
            ),
            directory: Directory::new(client, Arc::clone(&clock), interval),
            heartbeat: Health::new(Arc::clone(&clock)).heartbeat("test", interval),
            random: Random::seeded(1),
            clients: Clients::over(service, Arc::clone(&clock)),
            clock,
            metrics: Metrics::default(),
        };
        let (numbers, numbers_writer) = kube::runtime::reflector::store();
        let (accounts, accounts_writer) = kube::runtime::reflector::store();
        let (cluster_accounts, cluster_accounts_writer) = kube::runtime::reflector::store();
        let (namespaces, namespaces_writer) = kube::runtime::reflector::store();
        let caches = Caches::new(numbers, accounts, cluster_accounts, namespaces);
        let requeuer = Requeuer::default();
        let (wake, woken_numbers) = unbounded();
        requeuer.add_numbers(wake);
        let (wake, woken_accounts) = unbounded();
        requeuer.add_accounts(wake);
        let reconciler = Reconciler::new(parts, caches, requeuer);
        reconciler.cluster.caches.begin();
        Self {
            cluster: Arc::clone(&reconciler.cluster),
            providers: Arc::clone(&reconciler.providers),
            process: reconciler.process.clone(),
            reconciler,
            numbers: numbers_writer,
            accounts: accounts_writer,
            cluster_accounts: cluster_accounts_writer,
            namespaces: namespaces_writer,
            woken_numbers,
            woken_accounts,
        }
    }

    /// Asks the API server something, whose answer tells the time.
    pub(crate) async fn learn_time(&self) {
        let request = http::Request::get("/version").body(Vec::new()).unwrap();
        let client = &self.cluster.reads;
        assert!(client.request_text(request).await.is_err());
        assert!(self.process.time.now().is_some());
    }

    /// What a watch of numbers tells.
    pub(crate) fn tell(&mut self, event: Event<PhoneNumber>) {
        self.numbers.apply_watcher_event(&event);
        self.reconciler.saw_number(&event);
    }

    /// A whole list of numbers.
    pub(crate) fn list(&mut self, all: &[PhoneNumber]) {
        self.tell(Event::Init);
        for number in all {
            self.tell(Event::InitApply(number.clone()));
        }
        self.tell(Event::InitDone);
    }

    /// Fills the cache of accounts.
    pub(crate) fn account(&mut self, account: Value) {
        let account = serde_json::from_value(account).unwrap();
        self.accounts.apply_watcher_event(&Event::Apply(account));
    }

    /// Fills the cache of cluster accounts.
    pub(crate) fn cluster_account(&mut self, account: Value) {
        let account = serde_json::from_value(account).unwrap();
        self.cluster_accounts
            .apply_watcher_event(&Event::Apply(account));
    }

    /// What a watch of namespaces tells.
    pub(in crate::controller) fn tell_namespace(
        &mut self,
        event: Event<PartialObjectMeta<Namespace>>,
    ) {
        self.namespaces.apply_watcher_event(&event);
        self.reconciler.saw_namespace(&event);
    }

    /// What a list of namespaces tells: the cache has the whole list before any of it is passed on.
    pub(in crate::controller) fn list_namespaces(
        &mut self,
        namespaces: &[PartialObjectMeta<Namespace>],
    ) {
        let applied = namespaces.iter().cloned().map(Event::InitApply);
        let events: Vec<_> = [Event::Init]
            .into_iter()
            .chain(applied)
            .chain([Event::InitDone])
            .collect();
        for event in &events {
            self.namespaces.apply_watcher_event(event);
        }
        for event in &events {
            self.reconciler.saw_namespace(event);
        }
    }

    /// The numbers that were woken since the last call, each once.
    pub(crate) fn woken(&mut self) -> BTreeSet<String> {
        std::iter::from_fn(|| self.woken_numbers.try_recv().ok())
            .map(|number| number.name)
            .collect()
    }

    fn woken_accounts(&mut self) -> BTreeSet<String> {
        std::iter::from_fn(|| self.woken_accounts.try_recv().ok())
            .map(|account| account.name)
            .collect()
    }
}

/// A PhoneNumber of the namespace `support`.
pub(crate) fn number(name: &str, declared: &str, change: Value) -> PhoneNumber {
    let mut whole = json!({
        "metadata": {"name": name, "namespace": "support", "uid": format!("uid-{name}"), "resourceVersion": "1"},
        "spec": {"provider": "twilio", "phoneNumber": declared},
    });
    merge(&mut whole, &change);
    serde_json::from_value(whole).unwrap()
}

fn merge(value: &mut Value, change: &Value) {
    match (value, change) {
        (Value::Object(value), Value::Object(change)) => {
            for (key, change) in change {
                merge(value.entry(key).or_insert(Value::Null), change);
            }
        }
        (value, change) => *value = change.clone(),
    }
}

/// What is recorded of a number that costs 1 USD a month.
fn bought(id: &str, declared: &str) -> Value {
    json!({"status": {"id": id, "accountId": "AC1", "phoneNumber": declared,
        "cost": {"monthly": "1", "upfront": "0", "currency": "USD"}}})
}

const ONE: &str = "+12125550101";
const TWO: &str = "+12125550102";

fn spent(world: &World) -> String {
    let usd = Currency::new("USD").unwrap();
    let index = &world.cluster.caches.index;
    index.cost_of(&[AccountId::new("AC1")], &usd).to_string()
}

#[tokio::test]
async fn what_a_list_does_not_show_any_more_is_gone_as_after_an_event() {
    let holder = number("holder", ONE, bought("PN1", ONE));
    let waits = number("waits", ONE, json!({}));
    let stays = number("stays", TWO, bought("PN2", TWO));
    for relisted in [false, true] {
        let mut world = World::new();
        world.list(&[holder.clone(), waits.clone(), stays.clone()]);
        assert_eq!(spent(&world), "2");
        // The holder has a place in the queue.
        let turn = world.reconciler.schedule.slots.take(&stays).unwrap();
        assert!(world.reconciler.schedule.slots.take(&holder).is_none());
        assert!(world.reconciler.schedule.slots.take(&waits).is_none());
        world.woken();
        world.woken_accounts();
        if relisted {
            world.list(&[waits.clone(), stays.clone()]);
        } else {
            world.tell(Event::Delete(holder.clone()));
        }
        assert_eq!(spent(&world), "1", "{relisted}");
        let found = |key: Key| world.cluster.caches.index.get(&key).len();
        assert_eq!(found(Key::Recorded("PN1".into())), 0, "{relisted}");
        assert_eq!(found(Key::Declared(ONE.into())), 1, "{relisted}");
        assert_eq!(world.woken(), BTreeSet::from(["waits".to_owned()]));
        assert_eq!(
            world.woken_accounts(),
            BTreeSet::from(["twilio".to_owned()])
        );
        drop(turn);
        let next = world.woken();
        assert_eq!(next, BTreeSet::from(["waits".to_owned()]), "{relisted}");
        world.list(&[waits.clone(), stays.clone()]);
        assert!(world.woken().is_empty(), "nothing is gone");
    }
}

#[tokio::test]
async fn what_has_changed_in_the_gap_is_noted_as_the_list_shows_it() {
    let mut world = World::new();
    let holder = number("holder", ONE, bought("PN1", ONE));
    let waits = number("waits", ONE, json!({}));
    world.list(&[holder.clone(), waits.clone()]);
    world.woken();
    // Deleted and created again, with another number.
    let again = json!({"metadata": {"uid": "uid-2", "resourceVersion": "9"}});
    world.list(&[number("holder", TWO, again), waits]);
    assert_eq!(spent(&world), "0");
    assert_eq!(world.woken(), BTreeSet::from(["waits".to_owned()]));
}

#[tokio::test]
async fn a_list_that_is_not_at_its_end_takes_nothing_out() {
    let mut world = World::new();
    let holder = number("holder", ONE, bought("PN1", ONE));
    world.list(std::slice::from_ref(&holder));
    world.tell(Event::Init);
    world.tell(Event::InitApply(number("new", TWO, bought("PN2", TWO))));
    assert_eq!(spent(&world), "2");
    world.tell(Event::InitApply(holder));
    world.tell(Event::InitDone);
    assert_eq!(spent(&world), "2");
}

#[tokio::test]
async fn who_refers_to_another_account_leaves_the_queue_of_the_first() {
    let mut world = World::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| number(name, ONE, json!({})));
    world.list(&[a.clone(), b.clone(), c.clone()]);
    let turn = world.reconciler.schedule.slots.take(&a).unwrap();
    assert!(world.reconciler.schedule.slots.take(&b).is_none());
    assert!(world.reconciler.schedule.slots.take(&c).is_none());
    let moved =
        json!({"metadata": {"resourceVersion": "2"}, "spec": {"accountRef": {"name": "other"}}});
    world.tell(Event::Apply(number("b", ONE, moved)));
    let accounts = world.woken_accounts();
    let both = ["other", "twilio"].map(str::to_owned);
    assert_eq!(
        accounts,
        BTreeSet::from(both),
        "one is in use now, and one not any more"
    );
    world.woken();
    drop(turn);
    assert_eq!(world.woken(), BTreeSet::from(["c".to_owned()]));
}

#[tokio::test]
async fn who_lets_go_of_a_number_wakes_those_that_wait_for_it() {
    let mut world = World::new();
    let mut holder = number(
        "holder",
        ONE,
        json!({"spec": {"phoneNumber": null, "search": {"country": "US"}}}),
    );
    let mut claimed = holder.clone();
    holder.metadata.resource_version = Some("2".into());
    let at = jiff::Timestamp::UNIX_EPOCH;
    let claim = Claim::to_buy(
        ONE.parse().unwrap(),
        AccountId::new("AC1"),
        &owner(&holder),
        "uid-holder",
        "n1".into(),
        at,
        at,
    );
    let claim = claim.at_price(Price::read("1", "0", "USD"));
    let text = claim.to_annotation().unwrap();
    claimed
        .annotations_mut()
        .insert(ANNOTATION.to_owned(), text);
    world.list(&[claimed, number("waits", ONE, json!({}))]);
    world.woken();
    world.tell(Event::Apply(holder));
    assert_eq!(world.woken(), BTreeSet::from(["waits".to_owned()]));
}

#[tokio::test]
async fn a_namespace_whose_labels_changed_in_the_gap_wakes_its_numbers() {
    let mut world = World::new();
    world.list(&[number("a", ONE, json!({}))]);
    let namespace = |label: &str| {
        let shown = json!({"metadata": {"name": "support", "labels": {"team": label}}});
        serde_json::from_value::<PartialObjectMeta<Namespace>>(shown).unwrap()
    };
    let list = |world: &mut World, label: &str| {
        world.tell_namespace(Event::Init);
        world.tell_namespace(Event::InitApply(namespace(label)));
        world.tell_namespace(Event::InitDone);
    };
    list(&mut world, "one");
    world.woken();
    list(&mut world, "one");
    assert!(world.woken().is_empty());
    list(&mut world, "two");
    assert_eq!(world.woken(), BTreeSet::from(["a".to_owned()]));
}

#[tokio::test]
async fn an_account_is_found_by_its_key_whatever_its_kind() {
    let mut world = World::new();
    world.cluster.requeuer.account_at(&AccountKey {
        kind: AccountKind::ProviderAccount,
        namespace: Some("support".into()),
        name: "twilio".into(),
    });
    assert_eq!(
        world.woken_accounts(),
        BTreeSet::from(["twilio".to_owned()])
    );
}

fn account(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "support", "uid": format!("uid-{name}")},
        "spec": {"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "twilio"}}},
    })
}

/// An account that allows the namespaces with the label `team`.
fn shared_account() -> Value {
    json!({
        "metadata": {"name": "shared", "uid": "uid-shared"},
        "spec": {"provider": "twilio", "twilio": {"credentialsSecretRef": {"name": "twilio"}},
            "allowedNamespaces": {"matchLabels": {"team": "one"}}},
    })
}

fn of_shared(name: &str, more: Value) -> PhoneNumber {
    let refers = json!({"kind": "ClusterProviderAccount", "name": "shared"});
    let mut change = json!({"spec": {"accountRef": refers}});
    merge(&mut change, &more);
    number(name, ONE, change)
}

/// As long as namespaces cannot be listed, only those wait that depend on their labels, and nothing else does.
#[tokio::test]
async fn what_depends_on_the_labels_of_namespaces_waits_for_them() {
    let mut world = World::without_namespaces();
    world.cluster_account(shared_account());
    world.account(account("twilio"));
    let waits = of_shared("waits", json!({}));
    let other = number("other", TWO, json!({}));
    world.list(&[waits.clone(), other.clone()]);
    world.woken();
    let denied = |world: &World, number: &PhoneNumber| {
        let view = world.cluster.account_of(number).unwrap();
        view.denied.map(|denied| denied.reason)
    };
    assert_eq!(denied(&world, &waits), Some(Reason::Pending));
    assert_eq!(denied(&world, &other), None);
    let labelled = |team: &str| {
        let namespace = json!({"metadata": {"name": "support", "labels": {"team": team}}});
        serde_json::from_value::<PartialObjectMeta<Namespace>>(namespace).unwrap()
    };
    world.tell_namespace(Event::Init);
    world.tell_namespace(Event::InitApply(labelled("one")));
    world.woken();
    world.tell_namespace(Event::InitDone);
    assert_eq!(world.woken(), BTreeSet::from(["waits".to_owned()]));
    assert_eq!(denied(&world, &waits), None);
    world.tell_namespace(Event::Apply(labelled("two")));
    assert_eq!(denied(&world, &waits), Some(Reason::AccountNotAllowed));
    // A list that shows what is known wakes nobody.
    world.woken();
    world.list_namespaces(&[labelled("two")]);
    assert!(world.woken().is_empty());
    // What changed while the watch was away was told by no event.
    world.list_namespaces(&[labelled("one")]);
    let both = ["other", "waits"].map(str::to_owned);
    assert_eq!(world.woken(), BTreeSet::from(both));
    assert_eq!(denied(&world, &waits), None);
    // Nothing is kept of what went without an event.
    world.list_namespaces(&[]);
    world.reconciler.forget_what_is_gone();
    assert!(lock(&world.reconciler.labels).is_empty());
}

#[tokio::test(start_paused = true)]
async fn namespaces_that_cannot_be_listed_delay_the_start_by_seconds() {
    let mut world = World::without_namespaces();
    world.list(&[]);
    for store in [Event::Init, Event::InitDone] {
        world.accounts.apply_watcher_event(&store);
    }
    for store in [Event::Init, Event::InitDone] {
        world.cluster_accounts.apply_watcher_event(&store);
    }
    let begun = tokio::time::Instant::now();
    world.reconciler.fill().await;
    assert!(begun.elapsed() <= Duration::from_secs(10));
}

#[tokio::test]
async fn a_hundred_accounts_that_came_and_went_leave_no_series_behind() {
    let mut world = World::new();
    world.learn_time().await;
    let before = world.process.metrics.text().unwrap();
    for index in 0..100 {
        let name = format!("account-{index}");
        world.account(account(&name));
        world.process.metrics.expect(&format!("support/{name}"));
    }
    world.reconciler.forget_what_is_gone();
    let shown = world.process.metrics.text().unwrap();
    assert!(shown.contains("support/account-99"), "they are there");
    for index in 0..100 {
        let account = account(&format!("account-{index}"));
        let account = serde_json::from_value(account).unwrap();
        world.accounts.apply_watcher_event(&Event::Delete(account));
    }
    world.reconciler.forget_what_is_gone();
    assert_eq!(world.process.metrics.text().unwrap(), before);
}
