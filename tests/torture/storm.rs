//! What is done to the processes: kills, freezes, an API server that is away, replies that get lost.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use phonenumber_operator::api::{PhoneNumber, condition};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use test_support::control_plane::ControlPlane;
use test_support::emulator::Emulator;
use test_support::kubectl::OPERATOR_NAMESPACE;
use test_support::process::Process;
use test_support::wait::until;
use test_support::world::{World, reason, truth};

use crate::work::Work;

/// The id of the installation, from which its marks are made.
pub const INSTALLATION: &str = "torture";

/// The name of the operator's Lease.
const LEASE: &str = "phonenumber-operator";

/// How many numbers somebody else has in each account.
const OTHERS: usize = 5;

/// One reply in so many is lost.
const LOST: u64 = 20;

/// Longer than a process, a takeover or an API server takes on a machine that compiles at the same time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than an operator takes to begin where there is something to do.
const SOON: Duration = Duration::from_secs(3);

/// Longer than all that is open takes to come to its end.
const LONG_PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone, Copy)]
enum Blow {
    Kill,
    Freeze,
    Restart,
}

#[derive(Default)]
struct Suffered {
    kills: usize,
    /// The ids of numbers that were paid for and not yet recorded when a process was killed.
    met: BTreeSet<String>,
    freezes: usize,
    restarts: usize,
    /// Processes that ended by themselves, since they could not keep the Lease.
    ended: usize,
    lost: u64,
}

// What ends first is first.
pub struct Storm {
    pub world: World,
    /// The numbers that somebody else has, as the company shows them.
    pub others: Vec<Value>,
    plane: ControlPlane,
    random: StdRng,
    suffered: Suffered,
    begun: Instant,
}

impl Storm {
    pub async fn begin(random: StdRng) -> Self {
        let plane = ControlPlane::start().await.expect("a control plane");
        let emulator = Emulator::start();
        // Time for a blow between a request and its answer, and between a purchase and the listing that shows it.
        emulator
            .post("/switches", json!({"latencyMs": 20, "hiddenMs": 300}))
            .await;
        let flags = ["--leader-elect", "true", "--installation-id", INSTALLATION];
        let world = World::cluster_wide(&plane, emulator, &flags).await;
        Self {
            world,
            others: Vec::new(),
            plane,
            random,
            suffered: Suffered::default(),
            begun: Instant::now(),
        }
    }

    /// Somebody else has numbers in both accounts: some plain, one with the mark of another installation. Resources name
    /// the first of each.
    pub async fn sell_to_others(&mut self, work: &Work) {
        let number = |provider: &str, at: usize| {
            let middle = if provider == "twilio" { 700 } else { 800 };
            format!("+1212{middle}{at:04}")
        };
        for provider in ["twilio", "telnyx"] {
            for at in 0..OTHERS {
                let number = number(provider, at);
                self.world.bought_by_somebody_else(provider, &number).await;
            }
            let mark = "pn1.aaaaaa.bbbbbbbbbbbbb";
            let fields = match provider {
                "twilio" => json!({"friendly_name": format!("Other [{mark}]")}),
                _ => json!({"customer_reference": mark}),
            };
            self.world
                .emulator
                .edit(&number(provider, OTHERS - 1), fields)
                .await;
        }
        let numbers = self.world.emulator.get("/numbers").await;
        self.others = numbers.as_array().unwrap().clone();
        assert_eq!(self.others.len(), 2 * OTHERS);
        work.intrude(&self.world, |provider| number(provider, 0))
            .await;
    }

    /// Does all the work, and strikes in between.
    pub async fn rage(&mut self, work: &Work, kills: usize, freezes: usize, restarts: usize) {
        for dialect in ["twilio", "telnyx", "burki"] {
            self.world
                .emulator
                .fault(
                    json!({"dialect": dialect, "every": LOST, "kind": "lost-reply-after-commit"}),
                )
                .await;
        }
        let mut blows = vec![Blow::Kill; kills];
        blows.extend(vec![Blow::Freeze; freezes]);
        blows.extend(vec![Blow::Restart; restarts]);
        blows.shuffle(&mut self.random);
        let (count, blows_in_all) = (work.actions.len(), blows.len());
        for (at, blow) in blows.into_iter().enumerate() {
            let now = &work.actions[at * count / blows_in_all..(at + 1) * count / blows_in_all];
            self.have_an_operator();
            self.perform(work, now).await;
            self.until_the_moment().await;
            match blow {
                Blow::Kill => self.kill().await,
                Blow::Freeze => self.freeze().await,
                Blow::Restart => self.restart_api_server().await,
            }
        }
    }

    /// Half of the blows fall about when something is bought or given back, the others at any time: also while an operator
    /// starts.
    async fn until_the_moment(&mut self) {
        let longest = if self.random.random_bool(0.5) {
            self.until_it_spends().await;
            60
        } else {
            2000
        };
        let moment = Duration::from_millis(self.random.random_range(0..longest));
        tokio::time::sleep(moment).await;
    }

    async fn perform(&self, work: &Work, actions: &[(usize, crate::work::Action)]) {
        // What is done to one resource is done in order.
        for action in actions {
            work.perform(&self.world, action).await;
        }
    }

    /// Starts another operator if the last one has ended by itself, as a Deployment would.
    fn have_an_operator(&mut self) {
        let operator = self.world.operator.as_mut();
        if operator.is_none_or(|process| process.0.try_wait().unwrap().is_some()) {
            self.suffered.ended += 1;
            self.world.start_operator();
        }
    }

    /// Waits until the operator asks the company to sell or to take back a number, if it does so soon.
    async fn until_it_spends(&mut self) {
        let begun = Instant::now();
        let before = self.deeds_asked().await;
        while self.deeds_asked().await == before && begun.elapsed() < SOON {
            self.have_an_operator();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn deeds_asked(&self) -> u64 {
        let requests = self.world.emulator.requests().await;
        let deeds = requests.iter().filter(|(name, _)| {
            let operation = name.split_once(' ').map(|(_, operation)| operation);
            ["buy", "release"].contains(&operation.unwrap_or_default())
        });
        deeds.map(|(_, times)| times).sum()
    }

    async fn kill(&mut self) {
        self.world.kill_operator();
        self.suffered.kills += 1;
        let unrecorded = self.unrecorded().await;
        self.suffered.met.extend(unrecorded);
        // Nobody holds it any more; the tests of the Lease itself wait for it to run out.
        let leases: Api<Lease> = Api::namespaced(self.world.client.clone(), OPERATOR_NAMESPACE);
        let _ = leases.delete(LEASE, &DeleteParams::default()).await;
        self.world.start_operator();
    }

    /// The ids of numbers that are paid for and in no status.
    async fn unrecorded(&self) -> Vec<String> {
        let Ok(list) = self.world.numbers().list(&ListParams::default()).await else {
            return Vec::new();
        };
        let recorded: BTreeSet<_> = list.items.iter().filter_map(id).collect();
        let numbers = self.world.emulator.get("/numbers").await;
        let numbers = numbers.as_array().unwrap().iter();
        numbers
            .filter(|row| !self.is_of_others(row))
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .filter(|id| !recorded.contains(id))
            .collect()
    }

    pub fn is_of_others(&self, row: &Value) -> bool {
        self.others.iter().any(|other| other["id"] == row["id"])
    }

    /// Freezes the leader until another has taken over and worked for a while, and lets it go on then.
    async fn freeze(&mut self) {
        let mut frozen = self.leader().await;
        let holder = self.holder().await;
        frozen.signal("STOP");
        let second = self.world.spawn_operator(&[]);
        until(PATIENCE, "a takeover", async || {
            let now = self.holder().await;
            now.is_some() && now != holder
        })
        .await;
        let moment = Duration::from_millis(self.random.random_range(0..3000));
        tokio::time::sleep(moment).await;
        frozen.signal("CONT");
        self.world.operator = Some(second);
        // A process that has lost its lead ends by itself.
        frozen.until_ended(PATIENCE).await;
        self.suffered.freezes += 1;
    }

    /// The process that leads.
    async fn leader(&mut self) -> Process {
        until(PATIENCE, "a leader", async || {
            self.have_an_operator();
            self.holder().await.is_some()
        })
        .await;
        self.world.operator.take().unwrap()
    }

    /// Who has the Lease, as far as the API server tells.
    async fn holder(&self) -> Option<String> {
        let leases: Api<Lease> = Api::namespaced(self.world.client.clone(), OPERATOR_NAMESPACE);
        let lease = leases.get_opt(LEASE).await.ok().flatten()?;
        let holder = lease.spec?.holder_identity?;
        Some(holder).filter(|holder| !holder.is_empty())
    }

    async fn restart_api_server(&mut self) {
        self.plane.kill_api_server();
        let moment = Duration::from_millis(self.random.random_range(0..3000));
        tokio::time::sleep(moment).await;
        self.plane.restart_api_server().await.unwrap();
        self.suffered.restarts += 1;
    }

    /// Lets everything come to its end: what is wanted is Ready, what is deleted is gone, and intruders have got nothing.
    pub async fn calm_down(&mut self, work: &Work) {
        self.suffered.lost = self.world.emulator.faults_met().await;
        self.world.emulator.clear_faults().await;
        let begun = Instant::now();
        loop {
            self.have_an_operator();
            let open = match self.world.numbers().list(&ListParams::default()).await {
                Ok(list) => open(work, &list.items),
                Err(error) => vec![error.to_string()],
            };
            if open.is_empty() {
                return;
            }
            assert!(
                begun.elapsed() < LONG_PATIENCE,
                "come to no end:\n{}",
                open.join("\n")
            );
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    pub fn suffered(&self) -> String {
        let suffered = &self.suffered;
        let mut text = String::new();
        for (what, count) in [
            ("seconds", self.begun.elapsed().as_secs()),
            ("kills", suffered.kills as u64),
            (
                "paid for and unrecorded at a kill",
                suffered.met.len() as u64,
            ),
            ("freezes past the lease", suffered.freezes as u64),
            ("restarts of the API server", suffered.restarts as u64),
            ("operators ended by themselves", suffered.ended as u64),
            ("replies lost", suffered.lost),
        ] {
            writeln!(text, "{what:<36}{count:>6}").unwrap();
        }
        text
    }
}

/// The id that a resource has recorded.
pub fn id(number: &PhoneNumber) -> Option<String> {
    number.status.as_ref()?.id.clone()
}

/// What has not come to its end.
fn open(work: &Work, numbers: &[PhoneNumber]) -> Vec<String> {
    let find = |name: &str| {
        let mut found = numbers.iter();
        found.find(|number| number.metadata.name.as_deref() == Some(name))
    };
    let resources = work.resources.iter().map(|resource| {
        let ends = match find(&resource.name) {
            None => resource.is_deleted,
            Some(number) => !resource.is_deleted && is_ready(number),
        };
        (&resource.name, ends)
    });
    let intruders = work.intruders.iter().map(|(name, _)| {
        let refused = find(name).is_some_and(|number| reason(number) == "AlreadyOwned");
        (name, refused)
    });
    let open = resources.chain(intruders).filter(|(_, ends)| !ends);
    open.map(|(name, _)| {
        let number = find(name);
        format!(
            "{name}: {:?}",
            number.map(|number| (&number.spec, &number.status))
        )
    })
    .collect()
}

fn is_ready(number: &PhoneNumber) -> bool {
    let observed = number
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    observed == number.metadata.generation && truth(number, condition::READY) == "True"
}
