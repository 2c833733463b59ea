//! The operator as a program: puts the parts together, leads, works, and ends.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use url::Url;

use crate::account::{Accounts, Directory};
use crate::claim::TOKEN_LIFETIME;
use crate::clock::{BootClock, Clock};
use crate::controller::{self, Parts, Settings};
use crate::endpoints::EndpointOptions;
use crate::leader::{Elector, HEARTBEAT_MAX_AGE, Term};
use crate::number::Installation;
use crate::panics;
use crate::provider::http::{Client, Reqwest};
use crate::random::Random;
use crate::server_time::clients;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;
use crate::telemetry::{self, Health, LogFormat};

/// How long the controllers may take to finish after a signal, apart from a purchase that is under way.
const TO_FINISH: Duration = Duration::from_secs(10);

/// How long the controllers may stand still before the program counts as dead; they beat every few seconds.
const CONTROLLERS_MAX_AGE: Duration = Duration::from_secs(120);

/// How often numbers may be looked at: providers limit requests, and a longer pause hides drift for days.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

/// How long a purchase request may take. A pod that ends waits for one.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// The longest time for which a purchase may be looked for: a week.
const MOST_VISIBILITY: Duration = Duration::from_secs(168 * 3600);

/// How many reconciles may be made at once: kube begins no more than the upper bound.
const CONCURRENCY: RangeInclusive<u16> = 1..=controller::MOST_PASSES;

/// The name of the Lease.
const LEASE: &str = "phonenumber-operator";

/// The flags of `run`. Each is an environment variable too.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Look after the PhoneNumbers of this namespace only; may be repeated. Default: all namespaces.
    #[arg(long, env = "PHONENUMBER_WATCH_NAMESPACE", value_delimiter = ',')]
    watch_namespace: Vec<String>,

    /// The namespace that the operator runs in: of its Lease, and of the Secrets of ClusterProviderAccounts.
    #[arg(
        long,
        env = "PHONENUMBER_OPERATOR_NAMESPACE",
        default_value = "phonenumber-operator-system"
    )]
    operator_namespace: String,

    /// The id of this installation, part of the mark on every number. Default: the UID of the namespace kube-system.
    /// Must be set with --watch-namespace. Never change it: the numbers bought so far would be taken for another's.
    #[arg(long, env = "PHONENUMBER_INSTALLATION_ID")]
    installation_id: Option<String>,

    #[command(flatten)]
    endpoints: EndpointOptions,

    /// Allow this Burki origin (scheme://host[:port]) in addition to https://api.burki.dev; may be repeated.
    #[arg(long, env = "PHONENUMBER_ALLOW_BURKI_ORIGIN", value_delimiter = ',')]
    allow_burki_origin: Vec<String>,

    /// How often each number is looked at, from 1s to 24h.
    #[arg(long, env = "PHONENUMBER_INVENTORY_INTERVAL", default_value = "60s", value_parser = duration)]
    inventory_interval: Duration,

    /// How long a purchase request may take, from 1s to 10m.
    #[arg(long, env = "PHONENUMBER_PURCHASE_TIMEOUT", default_value = "30s", value_parser = duration)]
    purchase_timeout: Duration,

    /// How long a provider may hide a purchase from its listings: at least 5s more than --purchase-timeout, at most 168h.
    #[arg(long, env = "PHONENUMBER_PURCHASE_VISIBILITY", default_value = "10m", value_parser = duration)]
    purchase_visibility: Duration,

    /// How many PhoneNumbers of one account are worked on at once, from 1 to 1024.
    #[arg(long, env = "PHONENUMBER_CONCURRENCY", default_value_t = 32)]
    concurrency: u16,

    /// Take turns with other replicas by a Lease.
    #[arg(long, env = "PHONENUMBER_LEADER_ELECT", default_value_t = true, action = clap::ArgAction::Set)]
    leader_elect: bool,

    /// Where /metrics, /livez and /readyz are served.
    #[arg(long, env = "PHONENUMBER_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// The form of the log.
    #[arg(long, env = "PHONENUMBER_LOG_FORMAT", default_value = "text")]
    log_format: Format,

    /// What is logged: error, warn, info, debug or trace, or directives such as info,kube=debug.
    #[arg(long, env = "PHONENUMBER_LOG_LEVEL", default_value = "info")]
    log_level: String,

    /// Where traces are sent, as OTLP over HTTP: the base URL of a collector, such as http://collector:4318. Default: nowhere.
    #[arg(long, env = "PHONENUMBER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<Url>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let count = text.strip_suffix(unit).unwrap_or_default();
    let count: u64 = count
        .parse()
        .map_err(|_| format!("{text:?} is not a duration such as 500ms, 60s, 10m or 1h"))?;
    let seconds = match unit {
        "ms" => return Ok(Duration::from_millis(count)),
        "s" => Some(count),
        "m" => count.checked_mul(60),
        "h" => count.checked_mul(3600),
        _ => return Err(format!("{text:?} needs a unit: ms, s, m or h")),
    };
    let seconds = seconds.ok_or_else(|| format!("{text:?} is too long"))?;
    Ok(Duration::from_secs(seconds))
}

impl Options {
    /// Refuses what the program cannot work with, or what would cost money.
    fn check(&self) -> anyhow::Result<()> {
        if !CONCURRENCY.contains(&self.concurrency) {
            let (least, most) = (CONCURRENCY.start(), CONCURRENCY.end());
            bail!(
                "--concurrency {}: between {least} and {most} PhoneNumbers of an account may be worked on at once",
                self.concurrency
            );
        }
        for (flag, value, allowed) in [
            ("--inventory-interval", self.inventory_interval, INTERVAL),
            ("--purchase-timeout", self.purchase_timeout, TIMEOUT),
        ] {
            if !allowed.contains(&value) {
                let (least, most) = (allowed.start(), allowed.end());
                bail!("{flag} {value:?}: it must be between {least:?} and {most:?}");
            }
        }
        let least = self.purchase_timeout + TOKEN_LIFETIME;
        if !(least..=MOST_VISIBILITY).contains(&self.purchase_visibility) {
            bail!(
                "--purchase-visibility {:?}: it must be between {least:?} and {MOST_VISIBILITY:?}. Before a purchase \
                 request of {:?} (--purchase-timeout) has ended, nobody can know whether it bought a number.",
                self.purchase_visibility,
                self.purchase_timeout
            );
        }
        Ok(())
    }
}

/// Runs the operator until SIGTERM or SIGINT, or until it no longer leads.
///
/// # Errors
/// If it cannot start, or lost its lead.
pub async fn run(options: Options) -> anyhow::Result<()> {
    options.check()?;
    let format = match options.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    };
    // Fails only if a provider is installed already, which then is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let traces = options.otlp_endpoint.as_ref().map(Traces::to).transpose()?;
    telemetry::init(format, &options.log_level, traces.as_ref())?;
    panics::log();
    let (endpoints, burki_endpoint) = options.endpoints.endpoints()?;
    let burki_origins = burki_origins(&options)?;

    let clock: Arc<dyn Clock> = Arc::new(BootClock);
    let random = Random::of_system();
    let config = kube::Config::infer()
        .await
        .context("no kubeconfig, and not in a cluster")?;
    let clients = clients(config, Arc::clone(&clock))?;
    let signalled = signalled()?;
    tokio::pin!(signalled);
    let installation = tokio::select! {
        installation = installation(&options, &clients.reads) => installation?,
        () = &mut signalled => return Ok(()),
    };
    let health = Health::new(Arc::clone(&clock));
    let listener = tokio::net::TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("cannot listen on {}", options.listen))?;
    let metrics = Metrics::default();
    let served = tokio::spawn(telemetry::serve(listener, health.clone(), metrics.clone()));

    // Filled in once this replica leads; until then nothing is written anywhere.
    let led: Arc<OnceLock<Term>> = Arc::default();
    let gate = {
        let (led, clock) = (Arc::clone(&led), Arc::clone(&clock));
        Arc::new(move || match led.get() {
            Some(term) if term.holds(clock.now()) => Ok(()),
            _ => Err("it does not lead"),
        })
    };
    let transport = Arc::new(Reqwest::new()?);
    let client = Client::new(
        transport,
        gate,
        Arc::clone(&clock),
        options.purchase_timeout,
    )
    .observed_by(Arc::new(metrics.clone()));
    let elector = options.leader_elect.then(|| {
        Elector::new(
            clients.writes.clone(),
            &options.operator_namespace,
            LEASE,
            Arc::clone(&clock),
            random.clone(),
        )
        .with_heartbeat(health.heartbeat("lease", HEARTBEAT_MAX_AGE))
    });
    let parts = Parts {
        accounts: Accounts::new(
            client.clone(),
            endpoints,
            Arc::clone(&clock),
            options.inventory_interval,
            options.purchase_visibility,
        ),
        directory: Directory::new(client, Arc::clone(&clock), options.inventory_interval),
        settings: Settings {
            watch_namespaces: options.watch_namespace,
            operator_namespace: options.operator_namespace,
            installation,
            interval: options.inventory_interval,
            purchase_timeout: options.purchase_timeout,
            purchase_visibility: options.purchase_visibility,
            concurrency: options.concurrency,
            burki_origins,
            burki_endpoint,
        },
        clock,
        random,
        clients,
        heartbeat: health.heartbeat("controllers", CONTROLLERS_MAX_AGE),
        metrics,
    };
    let (begin, begun) = tokio::sync::oneshot::channel::<()>();
    let begun = async move {
        // A program that ends before it leads drops this; then nothing may begin.
        if begun.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move {
        // Either way there is nothing more to do.
        let _ = stopped.await;
    };
    // The caches of a replica that waits to lead are filled, so that it can go on at once.
    let ready = move || health.set_ready();
    let mut running = Running {
        work: tokio::spawn(controller::run(parts, begun, stopped, ready)),
        stop,
        served,
        to_finish: options.purchase_timeout + TO_FINISH,
    };
    let term = match elector {
        Some(elector) => tokio::select! {
            term = elector.acquire() => term,
            () = &mut signalled => return Ok(()),
            broken = running.broken() => return Err(broken),
        },
        None => Term::unopposed(),
    };
    let _ = led.set(term.clone());
    let _ = begin.send(());
    running.until_the_end(term, signalled, traces).await
}

/// The parts without which the program cannot work.
struct Running {
    work: JoinHandle<Result<(), controller::Ended>>,
    /// Stops the controllers.
    stop: tokio::sync::oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
    /// How long the controllers may take to finish what is in flight.
    to_finish: Duration,
}

impl Running {
    /// Leads until `signalled`, or until a part is broken; then finishes what is in flight, and gives the Lease back.
    ///
    /// # Errors
    /// If a part is broken. If the lead is lost: then nothing is finished.
    async fn until_the_end(
        mut self,
        term: Term,
        signalled: impl Future<Output = ()>,
        traces: Option<Traces>,
    ) -> anyhow::Result<()> {
        let lost = term.lost();
        let ended = tokio::select! {
            () = signalled => Ok(()),
            () = lost => bail!("this replica no longer leads; the log says why"),
            broken = self.broken() => Err(broken),
        };
        match &ended {
            Ok(()) => tracing::info!("stopping: finishing what is in flight"),
            Err(error) => tracing::error!("stopping: {error:#}"),
        }
        let _ = self.stop.send(());
        if !self.work.is_finished()
            && tokio::time::timeout(self.to_finish, self.work)
                .await
                .is_err()
        {
            tracing::warn!(
                "not everything in flight was finished in time; the next leader looks it up"
            );
        }
        term.step_down().await;
        if let Some(traces) = traces {
            traces.end().await;
        }
        ended
    }

    /// Resolves when a part has ended: it panicked, or ended by itself.
    async fn broken(&mut self) -> anyhow::Error {
        let (part, ended) = tokio::select! {
            ended = &mut self.work => (
                "the controllers",
                ended.map(|ended| ended.map_err(anyhow::Error::from)),
            ),
            ended = &mut self.served => (
                "the server of metrics and health",
                ended.map(|ended| ended.map_err(anyhow::Error::from)),
            ),
        };
        let why = match ended {
            Ok(Ok(())) => return anyhow::anyhow!("{part} ended"),
            Ok(Err(error)) => error,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => anyhow::anyhow!("it panicked: {}", panics::text(&*panic)),
                Err(ended) => ended.into(),
            },
        };
        why.context(format!("{part} ended"))
    }
}

/// Resolves at SIGTERM or SIGINT. The first process of a container ignores them until this is called.
fn signalled() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn burki_origins(options: &Options) -> anyhow::Result<Vec<String>> {
    let mut origins = Vec::new();
    for text in &options.allow_burki_origin {
        let url = Url::parse(text).with_context(|| format!("--allow-burki-origin {text}"))?;
        if !options.endpoints.is_safe(&url) {
            bail!(
                "--allow-burki-origin {text}: keys are not sent over plain http to other machines"
            );
        }
        origins.push(text.trim_end_matches('/').to_owned());
    }
    Ok(origins)
}

async fn installation(options: &Options, client: &kube::Client) -> anyhow::Result<Installation> {
    if let Some(id) = &options.installation_id {
        return Ok(Installation::new(id.clone()));
    }
    if !options.watch_namespace.is_empty() {
        bail!(
            "--installation-id must be set with --watch-namespace: several such operators may share a cluster"
        );
    }
    let namespace = Api::<Namespace>::all(client.clone())
        .get("kube-system")
        .await
        .context("cannot read the namespace kube-system, whose UID names this installation")?;
    let uid = namespace
        .uid()
        .context("the namespace kube-system has no UID")?;
    Ok(Installation::new(uid))
}

#[cfg(test)]
mod tests;
