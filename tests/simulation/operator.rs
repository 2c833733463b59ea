//! One operator of a simulation: the program's reconciler, fed by watches that lag and driven by a queue whose order the
//! seed decides.

mod queue;
mod watch;

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use phonenumber_operator::account::{Accounts, Directory, Endpoints};
use phonenumber_operator::clock::Clock;
use phonenumber_operator::controller::{self, Parts, Settings};
use phonenumber_operator::leader::{Elector, Term};
use phonenumber_operator::number::Installation;
use phonenumber_operator::provider::http::Client;
use phonenumber_operator::random::Random;
use phonenumber_operator::server_time::Clients;
use phonenumber_operator::telemetry::Health;
use phonenumber_operator::telemetry::metrics::Metrics;
use tokio::task::JoinHandle;

use crate::api_server::ApiServer;
use crate::cluster::Cluster;
use crate::line::{BURKI, Line, TELNYX, TWILIO};
use crate::process::{Life, Process};
use crate::world::{INSTALLATION, OPERATOR_NAMESPACE, World};
use queue::Queue;

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
        let seed = (world.random.below(usize::MAX)) as u64;
        let process = Process::new(id, world.stage.clone(), Random::seeded(seed));
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
        let random = self.process.random().clone();
        let term = if self.options.leader_elect {
            let (client, clock) = (clients.writes.clone(), Arc::clone(&self.clock));
            let namespace = self.options.operator_namespace();
            let name = "phonenumber-operator";
            Elector::new(client, &namespace, name, clock, random.clone())
                .acquire()
                .await
        } else {
            Term::unopposed()
        };
        let lost = term.lost();
        let work = match self.options.driver {
            Driver::Seeded => self.work(clients, term, random).boxed(),
            Driver::Kube => {
                let (life, never) = (self.process.clone(), std::future::pending());
                let parts = self.parts(clients, term, random);
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

    async fn work(&self, clients: Clients, term: Term, random: Random) {
        let parts = self.parts(clients, term, random);
        Queue::new(parts, self).work().await;
    }

    fn parts(&self, clients: Clients, term: Term, random: Random) -> Parts {
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
            random,
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
