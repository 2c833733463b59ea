//! The Lease, taken and kept by compare-and-swap, so that one process at a time works.
//!
//! A replica that waits counts from the last change it *saw*, the leader from the last renewal it *sent*, both by their own
//! clock since boot: the times written in the Lease are for people, and are never compared with anything. Decides nothing
//! about what a leader does.

mod lease;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::clock::{Clock, Instant};
use crate::panics::lock;
use crate::random::Random;
use crate::telemetry::Heartbeat;
pub use lease::{LEASE, RENEW_DEADLINE};
use lease::{Move, Tenure, Watching, holder, released, renewed, taken, version};

/// How often a leader renews: four attempts may fail before the deadline.
const RENEW_EVERY: Duration = Duration::from_secs(2);

/// How often a waiting process looks at the Lease: a graceful takeover is to take less than 2 s.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long one request may take: two that hang fit into [`RENEW_DEADLINE`].
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long giving the Lease back is tried. After that, others wait for it to run out.
const RELEASE_WITHIN: Duration = Duration::from_secs(5);

/// How long after a failed attempt giving the Lease back is tried again.
const RELEASE_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// How old the heartbeat of an elector may become: twice what its slowest round takes.
pub const HEARTBEAT_MAX_AGE: Duration = Duration::from_secs(30);

/// One candidate for one Lease.
///
/// # Guarantees
/// No two [`Term`]s of one Lease hold at the same time, whatever is delayed, lost or frozen, as long as the clocks since
/// boot run at nearly the same speed. A Lease that is edited or deleted under its leader is lost with the next renewal, and
/// everybody who has seen it waits a whole [`LEASE`]; only a process that starts just after a deletion may lead meanwhile.
///
/// # Assumptions
/// The client does not retry: a repeated renewal would arrive late.
pub struct Elector {
    leases: Api<Lease>,
    name: String,
    identity: String,
    clock: Arc<dyn Clock>,
    random: Random,
    heartbeat: Option<Heartbeat>,
}

impl Elector {
    /// A candidate with an identity that no other process has, and no other elector of this process.
    pub fn new(
        client: kube::Client,
        namespace: &str,
        name: &str,
        clock: Arc<dyn Clock>,
        random: Random,
    ) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: format!("{}_{}", host(), random.nonce()),
            clock,
            random,
            heartbeat: None,
        }
    }

    /// Beats `heartbeat` in every round, waiting or leading. See [`HEARTBEAT_MAX_AGE`].
    #[must_use]
    pub fn with_heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.heartbeat = Some(heartbeat);
        self
    }

    /// What the Lease calls this candidate.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Waits until this process leads. Ends only then: what fails is logged and tried again.
    ///
    /// # Caveats
    /// If the future is dropped at the moment when it takes the Lease, others wait until that has run out.
    pub async fn acquire(self) -> Term {
        let mut watching = Watching::default();
        let mut failing = Failing::default();
        let mut waiting_for = None;
        loop {
            self.beat();
            match self.campaign(&mut watching).await {
                Ok(Round::Won(lease, sent)) => {
                    let tenure = Tenure::begin(sent);
                    if tenure.holds(self.clock.now()) {
                        tracing::info!(lease = %self.name, identity = %self.identity, "leads");
                        return self.lead(*lease, tenure);
                    }
                }
                Ok(Round::Lost(holder)) => {
                    failing.ended();
                    if waiting_for != Some(holder.clone()) {
                        tracing::info!(lease = %self.name, identity = %self.identity, holder, "waits for the Lease");
                        waiting_for = Some(holder);
                    }
                }
                Err(failure) => failing.log("cannot take the Lease", &failure),
            }
            sleep(self.jittered(LOOK_EVERY)).await;
        }
    }

    /// One look, and an attempt if the Lease is free.
    async fn campaign(&self, watching: &mut Watching) -> Result<Round, Failure> {
        let lease = bounded(self.leases.get_opt(&self.name)).await?;
        let now = self.clock.now();
        let holder = lease.as_ref().and_then(holder).map(str::to_owned);
        let written = match (
            watching.next_move(lease.as_ref(), &self.identity, now),
            lease,
        ) {
            (Move::Create, _) => {
                let lease = taken(
                    Lease::default(),
                    &self.name,
                    &self.identity,
                    Timestamp::now(),
                );
                bounded(self.leases.create(&params(), &lease)).await
            }
            (Move::Take, Some(lease)) => {
                self.replace(&taken(lease, &self.name, &self.identity, Timestamp::now()))
                    .await
            }
            (Move::Take | Move::Wait, _) => return Ok(Round::Lost(holder)),
        };
        match written {
            Ok(lease) => Ok(Round::Won(Box::new(lease), now)),
            Err(failure) if failure.is(CONFLICT) => Ok(Round::Lost(None)),
            Err(failure) => Err(failure),
        }
    }

    fn lead(self, lease: Lease, tenure: Tenure) -> Term {
        let tenure = Arc::new(tenure);
        let (stop, stopped) = oneshot::channel();
        let (ending, ended) = watch::channel(());
        let keeping = {
            let tenure = Arc::clone(&tenure);
            async move {
                self.keep(lease, &tenure, stopped).await;
                tenure.end();
                drop(ending);
            }
        };
        let keeper = tokio::spawn(keeping).abort_handle();
        Term(Some(Arc::new(Led {
            tenure,
            ended,
            stop: Mutex::new(Some(stop)),
            keeper,
        })))
    }

    /// Renews until the Lease is lost or `stopped` resolves; then gives it back.
    async fn keep(&self, mut lease: Lease, tenure: &Tenure, mut stopped: oneshot::Receiver<()>) {
        let mut failing = Failing::default();
        loop {
            self.beat();
            let pause = self
                .jittered(RENEW_EVERY)
                .min(tenure.remaining(self.clock.now()));
            let round = async {
                sleep(pause).await;
                let remaining = tenure.remaining(self.clock.now());
                // Not begun once the time is over: nobody may have taken the Lease yet, but the caller was told no.
                if remaining.is_zero() {
                    Renewal::TooLate
                } else {
                    self.renew(&lease, remaining).await
                }
            };
            let renewal = tokio::select! {
                renewal = round => renewal,
                _ = &mut stopped => {
                    tenure.end();
                    return self.release(lease).await;
                }
            };
            match renewal {
                Renewal::Renewed(renewed, sent) => {
                    failing.ended();
                    lease = *renewed;
                    // One that came too late shows in the next round.
                    tenure.renew(sent, self.clock.now());
                }
                Renewal::Failed(failure) => failing.log("cannot renew the Lease", &failure),
                // The tenure was ended, not missed.
                Renewal::TooLate if stopped.try_recv().is_ok() => return self.release(lease).await,
                Renewal::TooLate => {
                    return tracing::error!(lease = %self.name, "leads no longer: the Lease was not renewed in time");
                }
                Renewal::Lost(holder) => {
                    return tracing::error!(lease = %self.name, holder, "leads no longer: the Lease is another's");
                }
            }
        }
    }

    async fn renew(&self, lease: &Lease, within: Duration) -> Renewal {
        let renewal = async {
            let sent = self.clock.now();
            match self
                .replace(&renewed(lease.clone(), &self.identity, Timestamp::now()))
                .await
            {
                Ok(lease) => return Renewal::Renewed(Box::new(lease), sent),
                Err(failure) if failure.is(CONFLICT) || failure.is(NOT_FOUND) => {}
                Err(failure) => return Renewal::Failed(failure),
            }
            // Somebody wrote: maybe we ourselves, in a renewal whose answer was lost.
            match bounded(self.leases.get_opt(&self.name)).await {
                Ok(Some(lease)) if holder(&lease) == Some(&self.identity) => {
                    let sent = self.clock.now();
                    match self
                        .replace(&renewed(lease, &self.identity, Timestamp::now()))
                        .await
                    {
                        Ok(lease) => Renewal::Renewed(Box::new(lease), sent),
                        Err(failure) => Renewal::Failed(failure),
                    }
                }
                Ok(lease) => Renewal::Lost(lease.as_ref().and_then(holder).map(str::to_owned)),
                Err(failure) => Renewal::Failed(failure),
            }
        };
        timeout(within, renewal)
            .await
            .unwrap_or(Renewal::Failed(Failure::TimedOut))
    }

    async fn release(&self, mut lease: Lease) {
        let releasing = async {
            loop {
                match self
                    .replace(&released(lease.clone(), Timestamp::now()))
                    .await
                {
                    Ok(_) => return true,
                    Err(failure) if failure.is(NOT_FOUND) => return false,
                    Err(failure) => tracing::debug!(%failure, "cannot give the Lease back yet"),
                }
                match bounded(self.leases.get_opt(&self.name)).await {
                    Ok(Some(current)) if holder(&current) == Some(&self.identity) => {
                        lease = current
                    }
                    Ok(_) => return false,
                    Err(_) => sleep(RELEASE_AGAIN_AFTER).await,
                }
            }
        };
        match timeout(RELEASE_WITHIN, releasing).await {
            Ok(true) => tracing::info!(lease = %self.name, "leads no longer: gave the Lease back"),
            Ok(false) => {
                tracing::warn!(lease = %self.name, "leads no longer: the Lease was another's already")
            }
            Err(_) => {
                tracing::warn!(lease = %self.name, "leads no longer: could not give the Lease back, it has to run out")
            }
        }
    }

    /// Replaces the Lease if it is still the version that `lease` was read as.
    async fn replace(&self, lease: &Lease) -> Result<Lease, Failure> {
        // Without a version, the API server would replace whatever is there.
        if version(lease).is_none() {
            return Err(Failure::Unversioned);
        }
        bounded(self.leases.replace(&self.name, &params(), lease)).await
    }

    /// Somewhat less than `pause`, so that processes that started together do not ask together.
    fn jittered(&self, pause: Duration) -> Duration {
        pause.mul_f64(0.8 + 0.2 * self.random.fraction())
    }

    fn beat(&self) {
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.beat();
        }
    }
}

/// The time for which this process leads. All clones are one term; when the last is dropped without
/// [`Term::step_down`], the Lease is not renewed any more and runs out.
#[derive(Clone)]
pub struct Term(Option<Arc<Led>>);

struct Led {
    tenure: Arc<Tenure>,
    /// Closed when the keeper is gone.
    ended: watch::Receiver<()>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    keeper: AbortHandle,
}

impl Drop for Led {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Term {
    /// The term of a process that nobody competes with: it always holds.
    pub fn unopposed() -> Self {
        Self(None)
    }

    /// True if this process may write at `now`, which must be the present instant of the elector's clock: less than
    /// [`RENEW_DEADLINE`] after it sent the last renewal that was answered. Once the term is over it never holds again.
    pub fn holds(&self, now: Instant) -> bool {
        self.0.as_ref().is_none_or(|led| led.tenure.holds(now))
    }

    /// Resolves when the term is over, in whatever way it ended.
    ///
    /// # Caveats
    /// In a process that was frozen it may resolve later than [`Term::holds`] says no.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let ended = self.0.as_ref().map(|led| led.ended.clone());
        async move {
            match ended {
                Some(ended) => closed(ended).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Ends the term and gives the Lease back, for another to take at once: whatever was written under it must be finished.
    /// Takes a few seconds at most, also when the API server does not answer.
    pub async fn step_down(&self) {
        let Some(led) = &self.0 else { return };
        if let Some(stop) = lock(&led.stop).take() {
            // A keeper that is gone needs no signal. One that is there finds it when it finds that the tenure is over.
            let _ = stop.send(());
        }
        led.tenure.end();
        closed(led.ended.clone()).await;
    }
}

async fn closed(mut channel: watch::Receiver<()>) {
    while channel.changed().await.is_ok() {}
}

/// What one round of a candidate came to.
enum Round {
    /// The Lease as it was taken, and when the look before that ended.
    Won(Box<Lease>, Instant),
    /// Another has it, as far as is known.
    Lost(Option<String>),
}

/// What one round of a leader came to.
enum Renewal {
    /// The Lease as it is now, and when the renewal was sent.
    Renewed(Box<Lease>, Instant),
    /// Nothing is known.
    Failed(Failure),
    /// The deadline went by.
    TooLate,
    /// Another has it, or nobody.
    Lost(Option<String>),
}

const CONFLICT: u16 = 409;
const NOT_FOUND: u16 = 404;

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Kubernetes(#[from] kube::Error),
    #[error("no answer in time")]
    TimedOut,
    #[error("the API server sent a Lease without a resourceVersion")]
    Unversioned,
}

impl Failure {
    fn is(&self, code: u16) -> bool {
        matches!(self, Self::Kubernetes(kube::Error::Api(status)) if status.code == code)
    }
}

/// Logs the first of several failures in a row.
#[derive(Default)]
struct Failing(bool);

impl Failing {
    fn log(&mut self, what: &str, failure: &Failure) {
        if self.0 {
            tracing::debug!(%failure, "{what}");
        } else {
            tracing::warn!(%failure, "{what}");
        }
        self.0 = true;
    }

    fn ended(&mut self) {
        self.0 = false;
    }
}

async fn bounded<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    Ok(timeout(REQUEST_TIMEOUT, request)
        .await
        .map_err(|_| Failure::TimedOut)??)
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some("phonenumber-operator".into()),
        ..PostParams::default()
    }
}

/// The name of the machine, in a cluster that of the pod.
pub(crate) fn host() -> String {
    let name =
        std::env::var("HOSTNAME").or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"));
    name.map(|name| name.trim().to_owned()).unwrap_or_default()
}
