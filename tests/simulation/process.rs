//! A simulated process: everything that it asks of the world passes here, where a test can lose, delay or end it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use phonenumber_operator::chance::Chance;
use phonenumber_operator::clock::{Clock, Instant as BootInstant};
use tokio::time::Instant;

use crate::watched::Watched;

/// The clock of the simulation: time since boot, on Tokio's clock.
pub struct SimulatedClock(pub Instant);

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
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            index,
            process,
            side,
            operation,
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

/// Decides what becomes of each request.
pub type Script = Arc<dyn Fn(&Call) -> Fate + Send + Sync>;

/// What all processes share: the script, and the count of requests.
#[derive(Clone)]
pub struct Stage(Arc<Mutex<StageState>>);

struct StageState {
    script: Script,
    calls: Vec<Call>,
}

impl Stage {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(StageState {
            script: Arc::new(|_| Fate::Answered),
            calls: Vec::new(),
        })))
    }

    pub fn set_script(&self, script: Script) {
        self.0.lock().unwrap().script = script;
    }

    /// Every request so far.
    pub fn calls(&self) -> Vec<Call> {
        self.0.lock().unwrap().calls.clone()
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap().calls.len()
    }

    fn enter(&self, process: usize, side: &'static str, operation: String) -> Fate {
        let mut state = self.0.lock().unwrap();
        let call = Call {
            index: state.calls.len(),
            process,
            side,
            operation,
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

/// One process. Clones are one and the same.
#[derive(Clone)]
pub struct Process {
    pub id: usize,
    stage: Stage,
    life: Watched<Life>,
    chance: Chance,
    latency: Arc<Mutex<Duration>>,
}

/// What came of a request.
pub enum Outcome<T> {
    Answer(T),
    NotSent,
    Lost,
    Proxy(u16),
    Refused(u16),
    Cut(T),
}

impl Process {
    pub fn new(id: usize, stage: Stage, chance: Chance) -> Self {
        Self {
            id,
            stage,
            life: Watched::new(Life::Running),
            chance,
            latency: Arc::new(Mutex::new(Duration::from_millis(10))),
        }
    }

    pub fn chance(&self) -> &Chance {
        &self.chance
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

    /// Makes a request whose `effect` takes place in the world at once.
    pub async fn ask<T>(
        &self,
        side: &'static str,
        operation: String,
        effect: impl Future<Output = Option<T>>,
    ) -> Outcome<T> {
        self.moves().await;
        let fate = self.stage.enter(self.id, side, operation.clone());
        match fate {
            Fate::NotSent => return Outcome::NotSent,
            Fate::CrashBefore => return self.crash().await,
            Fate::Late(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        self.pause().await;
        // What is on its way when the process dies arrives all the same; what is held back in it does not.
        if matches!(fate, Fate::Late(_)) {
            self.moves().await;
        }
        let answer = match fate {
            Fate::RequestLost | Fate::Refused(_) => None,
            _ => effect.await,
        };
        self.pause().await;
        self.moves().await;
        match (fate, answer) {
            (Fate::CrashAfter, _) => self.crash().await,
            (Fate::Panics, _) => panic!("made up, at {side} {operation}"),
            (Fate::Refused(status), _) => Outcome::Refused(status),
            (Fate::Proxy(status), _) => Outcome::Proxy(status),
            (Fate::ReplyLost | Fate::RequestLost, _) | (_, None) => Outcome::Lost,
            (Fate::Cut, Some(answer)) => Outcome::Cut(answer),
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
        tokio::time::sleep(most.mul_f64(self.chance.fraction())).await;
    }

    fn latency(&self) -> MutexGuard<'_, Duration> {
        self.latency.lock().unwrap()
    }
}
