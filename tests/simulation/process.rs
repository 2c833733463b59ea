//! A simulated process: everything that it asks of the world passes here, where a test can lose, delay or end it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use phonenumber_operator::clock::{Clock, Instant as BootInstant};
use phonenumber_operator::random::Random;
use tokio::time::Instant;

use crate::watched::Watched;

/// The clock of the simulation: time since boot, on Tokio's clock.
pub struct SimulatedClock(pub Instant);

/// How every simulated panic begins.
pub const PANIC: &str = "made up";

/// When a client that is not answered has given up, whatever it asked for.
const GIVES_UP_AFTER: Duration = Duration::from_secs(40);

/// How long the machine has been up when a simulation begins.
const UP: Duration = Duration::from_secs(1000);

impl Clock for SimulatedClock {
    fn now(&self) -> BootInstant {
        BootInstant::since_boot(UP + self.0.elapsed())
    }
}

/// A request of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its place among all requests of all processes, from 0.
    pub index: usize,
    /// Who asks.
    pub process: usize,
    /// `kubernetes`, `twilio`, `telnyx` or `burki`.
    pub side: &'static str,
    /// The verb and what it is about, such as `patch phonenumbers` or `buy`.
    pub operation: String,
    /// The last part of its path: the id or the name of what it is about. For a listing with what it is filtered by.
    pub about: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            process,
            side,
            operation,
            ..
        } = self;
        write!(f, "{index} by operator {process}: {side} {operation}")
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Answered,
    /// It never leaves the process.
    NotSent,
    /// It takes effect, and the answer is lost.
    ReplyLost,
    /// It takes no effect, and no answer comes.
    RequestLost,
    /// It takes effect, and the answer is this status with a page of a proxy.
    Proxy(u16),
    /// It takes no effect; the answer is this status, in the words of who was asked.
    Refused(u16),
    /// It takes effect, and half of the answer comes.
    Cut,
    /// It takes effect this much later, after who asked has given up.
    Delayed(Duration),
    /// It takes effect twice.
    Twice,
    /// It takes no effect, and the answer says that it did.
    Ignored,
    /// It is answered with 200 and a list that is wrong.
    Wrong(Wrong),
    /// It takes effect, and the answer comes this much later.
    Slow(Duration),
    /// It leaves the process this much later: it was frozen, or the network held it.
    Late(Duration),
    /// The process dies before it is sent.
    CrashBefore,
    /// It takes effect, and the process dies before the answer.
    CrashAfter,
    /// It takes effect, and what reads the answer panics.
    Panics,
}

/// How a list is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Nothing is in it.
    Empty,
    /// Its first row is missing: somebody was released while it was read.
    Shifted,
    /// Its last row is missing.
    Short,
    /// It is what the same request was answered with before.
    Stale,
}

/// The dates of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates {
    /// How many seconds they are ahead.
    pub ahead: i64,
    /// How many of a hundred are so; the others are right.
    pub percent: usize,
    /// How many of a hundred have none.
    pub missing: usize,
}

impl Dates {
    /// The date of an answer at `now`.
    pub fn shown(self, now: SystemTime, random: &Random) -> Option<SystemTime> {
        if self == Self::default() {
            return Some(now);
        }
        if random.below(100) < self.missing {
            return None;
        }
        let ahead = if random.below(100) < self.percent {
            self.ahead
        } else {
            0
        };
        let by = Duration::from_secs(ahead.unsigned_abs());
        Some(if ahead < 0 { now - by } else { now + by })
    }
}

/// Decides what becomes of each request.
pub type Script = Arc<dyn Fn(&Call) -> Fate + Send + Sync>;

/// What all processes share: the script, and the count of requests.
#[derive(Clone)]
pub struct Stage(Arc<Mutex<StageState>>);

struct StageState {
    script: Script,
    calls: Vec<Call>,
    dates: BTreeMap<&'static str, Dates>,
    /// The last answer to each request for a list, where lists go stale.
    lists: HashMap<String, Vec<u8>>,
}

impl Stage {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(StageState {
            script: Arc::new(|_| Fate::Answered),
            calls: Vec::new(),
            dates: BTreeMap::new(),
            lists: HashMap::new(),
        })))
    }

    /// Gives the answers of one side these dates from now on.
    pub fn set_dates(&self, side: &'static str, dates: Dates) {
        self.lock().dates.insert(side, dates);
    }

    pub fn dates(&self, side: &'static str) -> Dates {
        self.lock().dates.get(side).copied().unwrap_or_default()
    }

    /// Remembers an answer, and returns the one before.
    pub fn list_before(&self, request: &str, answer: &[u8]) -> Option<Vec<u8>> {
        self.lock()
            .lists
            .insert(request.to_owned(), answer.to_vec())
    }

    fn lock(&self) -> MutexGuard<'_, StageState> {
        self.0.lock().unwrap()
    }

    pub fn set_script(&self, script: Script) {
        self.lock().script = script;
    }

    /// Every request so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub fn count(&self) -> usize {
        self.lock().calls.len()
    }

    fn enter(&self, process: usize, side: &'static str, operation: String, about: String) -> Fate {
        let mut state = self.lock();
        let call = Call {
            index: state.calls.len(),
            process,
            side,
            operation,
            about,
        };
        let fate = (state.script)(&call);
        state.calls.push(call);
        fate
    }
}

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Running,
    Frozen,
    Dead,
}

/// How often a watch that stands still is asked whether it still does.
pub const STALL_ASKED_AFTER: Duration = Duration::from_secs(1);

/// One process. Clones are one and the same.
#[derive(Clone)]
pub struct Process {
    pub id: usize,
    stage: Stage,
    life: Watched<Life>,
    random: Random,
    latency: Arc<Mutex<Duration>>,
    /// How often its watches were made to list anew.
    relists: Watched<usize>,
    /// How many of its lists are still to expire in the middle.
    expiring: Arc<Mutex<usize>>,
    /// Until when its watches stand still.
    stalled: Arc<Mutex<Option<Instant>>>,
}

/// What came of a request.
pub enum Outcome<T> {
    Answer(T),
    NotSent,
    Lost,
    Proxy(u16),
    Refused(u16),
    Cut(T),
    /// The answer says what did not happen.
    Ignored,
    Wrong(T, Wrong),
}

impl Process {
    pub fn new(id: usize, stage: Stage, random: Random) -> Self {
        Self {
            id,
            stage,
            life: Watched::new(Life::Running),
            random,
            latency: Arc::new(Mutex::new(Duration::from_millis(10))),
            relists: Watched::new(0),
            expiring: Arc::default(),
            stalled: Arc::default(),
        }
    }

    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Makes its watches list anew: what happened since they last told something is swallowed. From then on lists come by pages
    /// of one object, and one of them expires in the middle.
    pub fn relist(&self) {
        *self.expiring.lock().unwrap() += 1;
        self.relists.set(self.relists.get() + 1);
    }

    /// True if the list that goes on now expires.
    pub fn expires_a_list(&self) -> bool {
        let mut expiring = self.expiring.lock().unwrap();
        let expires = *expiring > 0;
        *expiring = expiring.saturating_sub(1);
        expires
    }

    pub fn relists(&self) -> &Watched<usize> {
        &self.relists
    }

    /// Lets its watches stand still for so long.
    pub fn stall(&self, time: Duration) {
        *self.stalled.lock().unwrap() = Some(Instant::now() + time);
    }

    /// Lets its watches go on.
    pub fn flow(&self) {
        *self.stalled.lock().unwrap() = None;
    }

    /// Until when its watches stand still, if they do.
    pub fn stalled(&self) -> Option<Instant> {
        let stalled = *self.stalled.lock().unwrap();
        stalled.filter(|until| *until > Instant::now())
    }

    pub fn random(&self) -> &Random {
        &self.random
    }

    pub fn life(&self) -> Life {
        self.life.get()
    }

    pub fn freeze(&self) {
        if self.life() == Life::Running {
            self.life.set(Life::Frozen);
        }
    }

    pub fn thaw(&self) {
        if self.life() == Life::Frozen {
            self.life.set(Life::Running);
        }
    }

    pub fn kill(&self) {
        self.life.set(Life::Dead);
    }

    /// Resolves when the process is dead.
    pub async fn died(&self) {
        self.life.until(|life| *life == Life::Dead).await;
    }

    /// Waits while the process is frozen; a dead one never goes on.
    pub async fn moves(&self) {
        self.life.until(|life| *life == Life::Running).await;
    }

    /// Makes a request whose `effect` takes place in the world at once. A request that no longer `may_leave` stays here, and is
    /// not answered.
    pub async fn ask<T, E>(
        &self,
        side: &'static str,
        (operation, about): (String, String),
        may_leave: impl Fn() -> bool,
        effect: impl Fn() -> E,
    ) -> Outcome<T>
    where
        E: Future<Output = Option<T>> + Send + 'static,
    {
        self.moves().await;
        let fate = self.stage.enter(self.id, side, operation.clone(), about);
        match fate {
            Fate::NotSent => return Outcome::NotSent,
            Fate::CrashBefore => return self.crash().await,
            Fate::Late(time) => {
                tokio::time::sleep(time).await;
                self.moves().await;
            }
            _ => {}
        }
        if !may_leave() {
            return Outcome::Lost;
        }
        // What is on its way when the process dies or freezes arrives all the same.
        if let Fate::Delayed(time) = fate {
            let effect = effect();
            let delayed = async move {
                tokio::time::sleep(time).await;
                let _ = effect.await;
            };
            drop(tokio::spawn(delayed));
            tokio::time::sleep(time.min(GIVES_UP_AFTER)).await;
        }
        self.pause().await;
        let answer = match fate {
            Fate::RequestLost | Fate::Refused(_) | Fate::Ignored | Fate::Delayed(_) => None,
            Fate::Twice => {
                effect().await;
                effect().await
            }
            _ => effect().await,
        };
        self.pause().await;
        self.moves().await;
        match (fate, answer) {
            (Fate::CrashAfter, _) => self.crash().await,
            (Fate::Panics, _) => panic!("{PANIC}, at {side} {operation}"),
            (Fate::Refused(status), _) => Outcome::Refused(status),
            (Fate::Proxy(status), _) => Outcome::Proxy(status),
            (Fate::Ignored, _) => Outcome::Ignored,
            (Fate::ReplyLost | Fate::RequestLost, _) | (_, None) => Outcome::Lost,
            (Fate::Cut, Some(answer)) => Outcome::Cut(answer),
            (Fate::Wrong(wrong), Some(answer)) => Outcome::Wrong(answer, wrong),
            (Fate::Slow(time), Some(answer)) => {
                tokio::time::sleep(time).await;
                self.moves().await;
                Outcome::Answer(answer)
            }
            (_, Some(answer)) => Outcome::Answer(answer),
        }
    }

    async fn crash<T>(&self) -> Outcome<T> {
        self.kill();
        std::future::pending().await
    }

    /// Half of the way there and back.
    async fn pause(&self) {
        let most = *self.latency();
        tokio::time::sleep(most.mul_f64(self.random.fraction())).await;
    }

    fn latency(&self) -> MutexGuard<'_, Duration> {
        self.latency.lock().unwrap()
    }
}
