//! Several replicas on one Lease: who follows a leader that is gone, how soon, and what is bought meanwhile. Prints what it
//! measures; asserts generously, since machines that compile at the same time are slow.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use phonenumber_operator::api::PhoneNumber;
use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::kubectl::OPERATOR_NAMESPACE;
use test_support::process::Process;
use test_support::program;
use test_support::wait::{until, until_ok};
use test_support::world::{World, held, reason};
use tokio::net::TcpListener;

use crate::running::Running;

/// The name of the operator's Lease.
const LEASE: &str = "phonenumber-operator";

/// Longer than any takeover on a machine that compiles; the budgets are 20 s after a kill and 2 s after the last write.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than a process takes to finish and to end by itself: the purchase timeout of tests, 10 s, and giving back the Lease.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// A world whose operators take turns by a Lease that no other test has.
struct Replicas {
    world: World,
    office: String,
    started: usize,
}

impl Replicas {
    async fn new(name: &str) -> Self {
        Self::with(name, &[]).await
    }

    /// The same with more flags.
    async fn with(name: &str, more: &[&str]) -> Self {
        let office = format!("{name}-office-{:x}", rand::random::<u32>());
        let flags = ["--leader-elect", "true", "--operator-namespace", &office];
        let mut world = World::alone(name, &[&flags, more].concat()).await;
        world.kill_operator();
        world.create_namespace(&office, json!({})).await;
        allow_in(&world, &office).await;
        Self {
            world,
            office,
            started: 0,
        }
    }

    async fn start(&mut self) -> Running {
        self.started += 1;
        let folder = ControlPlane::shared().await.folder();
        let name = format!("replica{}", self.started);
        Running::start(&self.world, folder, &name, None, &[])
    }

    /// A replica that leads.
    async fn start_leader(&mut self) -> Running {
        let leader = self.start().await;
        leader.until("phonenumber_leader", 1.0).await;
        leader
    }

    /// A replica that waits with its caches filled.
    async fn start_waiting(&mut self) -> Running {
        let waiting = self.start().await;
        waiting.until_ready().await;
        waiting
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.world.client.clone(), &self.office)
    }

    async fn holder(&self) -> Option<String> {
        let lease = self.leases().get_opt(LEASE).await.unwrap()?;
        let holder = lease.spec?.holder_identity?;
        Some(holder).filter(|holder| !holder.is_empty())
    }

    /// Waits until somebody else than `before` has the Lease.
    async fn until_followed(&self, before: &str) {
        until(PATIENCE, "another holder of the Lease", async || {
            let holder = self.holder().await;
            holder.is_some_and(|holder| holder != before)
        })
        .await;
    }

    async fn transitions(&self) -> i32 {
        let lease = self.leases().get(LEASE).await.unwrap();
        lease.spec.unwrap().lease_transitions.unwrap_or_default()
    }

    /// Declares a number in `area` that nobody has.
    async fn want(&self, name: &str, area: &str) {
        let search = json!({"country": "US", "type": "local", "areaCode": area});
        self.world
            .create_wanting(name, "twilio", search, json!({}))
            .await;
    }

    /// Everything that is declared is Ready, with a number of its own, and nothing else was paid for.
    async fn all_is_bought_once(&self) {
        let list = self.world.numbers().list(&ListParams::default()).await;
        let mut numbers = BTreeSet::new();
        for number in list.unwrap() {
            let name = number.metadata.name.unwrap();
            numbers.insert(held(&self.world.until_ready(&name).await));
        }
        let bought = self.world.bought().await;
        assert_eq!(bought.len(), numbers.len(), "paid for: {bought:?}");
        assert_eq!(bought.into_iter().collect::<BTreeSet<_>>(), numbers);
    }
}

/// Lets the operator lead and count in `office` as it may in its own namespace.
async fn allow_in(world: &World, office: &str) {
    let name = "phonenumber-operator-own";
    let own = |namespace: &str| ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(namespace.to_owned()),
        ..ObjectMeta::default()
    };
    let params = PostParams::default();
    let client = || world.client.clone();
    let role = Api::<Role>::namespaced(client(), OPERATOR_NAMESPACE);
    let role = Role {
        metadata: own(office),
        ..role.get(name).await.unwrap()
    };
    let roles = Api::<Role>::namespaced(client(), office);
    roles.create(&params, &role).await.unwrap();
    let binding = Api::<RoleBinding>::namespaced(client(), OPERATOR_NAMESPACE);
    let binding = RoleBinding {
        metadata: own(office),
        ..binding.get(name).await.unwrap()
    };
    let bindings = Api::<RoleBinding>::namespaced(client(), office);
    bindings.create(&params, &binding).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_followed_and_nothing_is_bought_twice() {
    let mut replicas = Replicas::new("kill").await;
    let mut leader = replicas.start_leader().await;
    for round in 0..2 {
        let next = replicas.start_waiting().await;
        let holder = replicas.holder().await.unwrap();
        for at in 0..10 {
            replicas.want(&format!("n{round}-{at}"), "314").await;
        }
        let world = &replicas.world;
        world
            .until_company("purchases", async |company| {
                company.ledger().await.len() > 12 * round
            })
            .await;
        drop(leader);
        let killed = Instant::now();
        replicas.want(&format!("after{round}"), "314").await;
        replicas.until_followed(&holder).await;
        let followed = killed.elapsed();
        replicas.world.until_ready(&format!("after{round}")).await;
        println!(
            "SIGKILL: followed after {:.1} s, and the next number Ready after {:.1} s",
            followed.as_secs_f64(),
            killed.elapsed().as_secs_f64()
        );
        replicas.all_is_bought_once().await;
        leader = next;
    }
    assert_eq!(replicas.transitions().await, 2, "one at a time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_told_to_end_writes_down_what_it_buys_and_is_followed_at_once() {
    let mut replicas = Replicas::new("term").await;
    let mut leader = replicas.start_leader().await;
    for (round, is_answered) in [true, false, true, false].into_iter().enumerate() {
        let next = replicas.start_waiting().await;
        let holder = replicas.holder().await.unwrap();
        let (name, number) = (format!("n{round}"), format!("+1212555870{round}"));
        let world = &replicas.world;
        let company = &world.emulator;
        if !is_answered {
            // The number is sold, and the connection closed a second later.
            let fault = json!({"dialect": "twilio", "operation": "buy", "kind": "hang-after-commit", "seconds": 1, "times": 1});
            company.fault(fault).await;
        }
        company.post("/switches", json!({"latencyMs": 1000})).await;
        let before = world.attempts().await;
        world.create(&name, "twilio", &number, json!({})).await;
        world
            .until_company("a purchase under way", async |_| {
                world.attempts().await > before
            })
            .await;
        leader.process.signal("TERM");
        let told = Instant::now();
        company.post("/switches", json!({"latencyMs": 0})).await;
        // Declared too late for the one that ends.
        replicas.want(&format!("after{round}"), "314").await;
        let is_written = |number: PhoneNumber| match is_answered {
            true => number.status.is_some_and(|status| status.id.is_some()),
            false => reason(&number) == "Verifying",
        };
        until(PATIENCE, "what was bought is written down", async || {
            is_written(world.number(&name).await)
        })
        .await;
        let written = told.elapsed();
        replicas.until_followed(&holder).await;
        let followed = told.elapsed() - written;
        let status = leader.process.until_ended(ENDED_WITHIN).await;
        world.until_ready(&format!("after{round}")).await;
        println!(
            "SIGTERM: {} written down after {:.2} s, followed {:.2} s later, the next number Ready after {:.2} s",
            if is_answered { "a purchase" } else { "a doubt" },
            written.as_secs_f64(),
            followed.as_secs_f64(),
            told.elapsed().as_secs_f64()
        );
        assert!(status.success(), "{status}");
        let audit = leader.audit();
        let bought = audit.iter().filter(|line| line["operation"] == "buy");
        let bought: Vec<_> = bought.filter(|line| line["subject"] == number).collect();
        assert_eq!(bought.len(), 1, "the one that ends bought it: {audit:?}");
        assert_eq!(bought[0]["id"].is_string(), is_answered, "{bought:?}");
        assert_eq!(company.purchases(&number).await, 1);
        replicas.all_is_bought_once().await;
        leader = next;
    }
    assert_eq!(replicas.transitions().await, 4, "one at a time");
}

/// Which of them leads.
async fn leading(replicas: &[Running]) -> usize {
    until_ok(PATIENCE, "a leader", async || {
        for (at, replica) in replicas.iter().enumerate() {
            if replica.metrics().await.get("phonenumber_leader") == Some(&1.0) {
                return Ok(at);
            }
        }
        Err(String::new())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_while_numbers_are_bought_buys_nothing_twice() {
    const ROUNDS: usize = 4;
    const EACH: usize = 12;
    // Two at a time, so that whoever ends leaves something to do.
    let mut replicas = Replicas::with("rolling", &["--concurrency", "2"]).await;
    let slow = json!({"latencyMs": 200, "hiddenMs": 300});
    replicas.world.emulator.post("/switches", slow).await;
    let mut audits: Vec<Vec<Value>> = Vec::new();
    let mut running = vec![
        replicas.start_leader().await,
        replicas.start_waiting().await,
    ];
    for round in 1..=ROUNDS {
        // As a Deployment does: one more, and when that is ready, one that is older goes.
        running.push(replicas.start_waiting().await);
        let mut old = running.remove(leading(&running).await);
        let before = replicas.world.bought().await.len();
        for at in 0..EACH {
            replicas.want(&format!("n{round}-{at}"), "315").await;
        }
        let world = &replicas.world;
        world
            .until_company("purchases", async |_| world.bought().await.len() > before)
            .await;
        old.process.signal("TERM");
        let status = old.process.until_ended(ENDED_WITHIN).await;
        assert!(status.success(), "{status}");
        let bought = world.bought().await.len();
        println!(
            "rolling update: {bought} of {} bought when the leader had ended",
            round * EACH
        );
        audits.push(old.audit());
    }
    replicas.all_is_bought_once().await;
    assert_eq!(replicas.world.bought().await.len(), ROUNDS * EACH);
    audits.extend(running.iter().map(Running::audit));
    // What each of them did at the company lies between what others did.
    let mut terms: Vec<(String, String)> = Vec::new();
    for audit in &audits {
        let times = audit.iter().map(|line| line["timestamp"].as_str().unwrap());
        if let (Some(first), Some(last)) = (times.clone().min(), times.max()) {
            terms.push((first.to_owned(), last.to_owned()));
        }
    }
    assert_eq!(
        terms.len(),
        ROUNDS + 1,
        "each had something to do: {terms:?}"
    );
    assert_eq!(replicas.transitions().await as usize, ROUNDS);
    terms.sort();
    for pair in terms.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "two led at once: {terms:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_loses_the_lease_buys_nothing_more() {
    const COUNT: usize = 60;
    let mut replicas = Replicas::new("taken").await;
    let limits = json!({"limits": {"maxConcurrentRequests": 2}});
    replicas.world.change_account("twilio", limits).await;
    let slow = json!({"latencyMs": 200});
    replicas.world.emulator.post("/switches", slow).await;
    let mut leader = replicas.start_leader().await;
    for at in 0..COUNT {
        let number = format!("+1212555{:04}", 6000 + at);
        let world = &replicas.world;
        world
            .create(&format!("n{at}"), "twilio", &number, json!({}))
            .await;
    }
    replicas
        .world
        .until_company("purchases", async |company| {
            company.ledger().await.len() > 3
        })
        .await;
    let taken = Patch::Merge(json!({"spec": {"holderIdentity": "somebody else"}}));
    let params = PatchParams::default();
    replicas
        .leases()
        .patch(LEASE, &params, &taken)
        .await
        .unwrap();
    let lost = Instant::now();
    let status = leader.process.until_ended(ENDED_WITHIN).await;
    let ended = lost.elapsed();
    assert!(!status.success(), "it says that it ended for a reason");
    let attempts = replicas.world.attempts().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(replicas.world.attempts().await, attempts);
    let bought = replicas.world.bought().await.len();
    println!(
        "Lease taken away: the leader ended after {:.1} s, with {bought} of {COUNT} bought",
        ended.as_secs_f64()
    );
    assert!(bought < COUNT, "the test came too late");
    let params = DeleteParams::default();
    replicas.leases().delete(LEASE, &params).await.unwrap();
    let _next = replicas.start_leader().await;
    replicas.all_is_bought_once().await;
    assert_eq!(replicas.world.bought().await.len(), COUNT);
}

/// A copy of `kubeconfig` for the API server at `address`.
fn elsewhere(kubeconfig: &Path, address: &str) -> std::path::PathBuf {
    let text = std::fs::read_to_string(kubeconfig).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    config["clusters"][0]["cluster"]["server"] = json!(format!("https://{address}"));
    let file = kubeconfig.with_extension(address.replace([':', '.'], "-"));
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_cannot_list_ends_when_it_is_told_to() {
    let plane = ControlPlane::shared().await;
    let world = World::new("cannot-list").await;
    let nobody = json!({"metadata": {"name": "cannot-list"}});
    let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
        Api::namespaced(world.client.clone(), OPERATOR_NAMESPACE);
    let nobody = serde_json::from_value(nobody).unwrap();
    let params = PostParams::default();
    accounts.create(&params, &nobody).await.unwrap();
    let forbidden = plane
        .kubeconfig_for_service_account(OPERATOR_NAMESPACE, "cannot-list")
        .await
        .unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = elsewhere(&forbidden, &free.local_addr().unwrap().to_string());
    drop(free);
    // Takes connections and never answers.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = elsewhere(&forbidden, &mute.local_addr().unwrap().to_string());
    for (what, kubeconfig) in [
        ("forbidden", &forbidden),
        ("refused", &refused),
        ("silent", &silent),
    ] {
        for elects in ["true", "false"] {
            let mut command = world.operator_command(&["--leader-elect", elects]);
            command.env("KUBECONFIG", kubeconfig);
            ends(&format!("{what}, leader election {elects}"), command).await;
        }
    }
    // It asks for the UID of kube-system before anything else.
    let mut command = Command::new(program("phonenumber-operator"));
    command
        .args(["run", "--listen", "127.0.0.1:0"])
        .env("KUBECONFIG", &silent);
    ends("silent, before the installation is known", command).await;
}

/// The process of `command` ends by itself, as one that was told to.
async fn ends(what: &str, mut command: Command) {
    let mut process = Process(command.spawn().unwrap());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(process.0.try_wait().unwrap(), None, "{what}: it runs");
    process.signal("TERM");
    let told = Instant::now();
    let status = process.until_ended(ENDED_WITHIN).await;
    println!(
        "{what}: ended {:.1} s after SIGTERM",
        told.elapsed().as_secs_f64()
    );
    // Not by the signal itself, which a process that is the first of a container would not feel.
    assert!(status.success(), "{what}: {status}");
}
