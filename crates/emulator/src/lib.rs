//! A phone company on this machine: one carrier with a ledger, spoken to in the dialects of Twilio, Telnyx and Burki, and
//! a control side for faults and for what somebody does in a console.
//!
//! Written from the providers' documentation. It shares no code with the adapters, so that one misreading cannot hide in
//! both.

mod burki;
mod carrier;
mod catalogue;
mod control;
mod faults;
mod ledger;
mod listener;
mod message;
mod numbers;
mod registrations;
mod state;
mod telnyx;
#[cfg(test)]
mod tests;
mod twilio;
mod usage;
mod wrong;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

pub use carrier::World;
pub use ledger::{Deed, Entry};
pub use listener::{Listening, listen};
pub use message::{Reply, Request};
pub use numbers::Number;
pub use state::State;

use faults::{Effect, Wrong};

/// The sides that can be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Every Twilio host.
    Twilio,
    /// The Telnyx API.
    Telnyx,
    /// The Burki API.
    Burki,
    /// Ledger, faults and console.
    Control,
}

impl Side {
    /// Its name on the command line and in faults.
    pub fn name(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Telnyx => "telnyx",
            Self::Burki => "burki",
            Self::Control => "control",
        }
    }
}

/// What a request asks for, in the words of faults and of the ledger's counts.
pub fn operation(side: Side, request: &Request) -> &'static str {
    match side {
        Side::Twilio => twilio::operation(request),
        Side::Telnyx => telnyx::operation(request),
        Side::Burki | Side::Control => burki::operation(request),
    }
}

/// The emulator. Clones are one and the same.
#[derive(Clone)]
pub struct Emulator(Arc<Mutex<World>>);

impl Emulator {
    /// An emulator of the accounts and switches in `state`.
    pub fn new(state: State) -> Self {
        Self::begun_at(state, SystemTime::now())
    }

    /// The same, at another time of the carrier's clock.
    pub fn begun_at(state: State, time: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(World::new(state, time))))
    }

    /// What is behind all sides.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request on the control side.
    pub fn control(&self, request: &Request) -> Reply {
        control::answer(&mut self.world(), request)
    }

    /// Answers one request on one side. `None` means that the connection is dropped without an answer.
    pub async fn answer(&self, side: Side, request: Request) -> Option<Reply> {
        if side == Side::Control {
            return Some(self.control(&request));
        }
        let operation = operation(side, &request);
        let (latency, effect) = {
            let mut world = self.world();
            world.count(side, operation);
            let effect = world.faults.meet(side.name(), operation, &request.text());
            (world.state.latency(), effect)
        };
        tokio::time::sleep(latency).await;
        let reply = match &effect {
            Some(effect) if !effect.commits() => None,
            _ => Some(self.commit(side, operation, &request)),
        };
        let answer = match (effect, reply) {
            (None, reply) => reply,
            (Some(effect), reply) => {
                let asked = (side, operation, request);
                self.spoil(effect, asked, reply).await
            }
        };
        self.world().done(side);
        answer
    }

    fn commit(&self, side: Side, operation: &'static str, request: &Request) -> Reply {
        let mut world = self.world();
        match side {
            Side::Twilio => twilio::answer(&mut world, operation, request),
            Side::Telnyx => telnyx::answer(&mut world, operation, request),
            Side::Burki | Side::Control => burki::answer(&mut world, operation, request),
        }
    }

    fn wrong(&self, wrong: Wrong, reply: Reply) -> Reply {
        wrong::list(&self.world(), wrong, reply)
    }

    async fn spoil(
        &self,
        effect: Effect,
        (side, operation, request): (Side, &'static str, Request),
        reply: Option<Reply>,
    ) -> Option<Reply> {
        match effect {
            Effect::Drop | Effect::LoseReply => None,
            Effect::Hang(time) | Effect::HangAfterCommit(time) => {
                tokio::time::sleep(time).await;
                None
            }
            Effect::ServerError { status, .. } => Some(Reply::html(status)),
            Effect::Throttle(after) => Some(Reply::throttled(after)),
            Effect::Truncate => reply.map(Reply::truncated),
            Effect::Html => Some(Reply::html(200)),
            Effect::Oversize => reply.map(Reply::oversized),
            Effect::Twice => Some(self.commit(side, operation, &request)),
            Effect::Late(time) => {
                let emulator = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    emulator.commit(side, operation, &request);
                });
                None
            }
            Effect::RollBack(time) => {
                let (emulator, number) = (self.clone(), wrong::number_in(&request));
                tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    emulator.world().roll_back(&number);
                });
                reply
            }
            Effect::Wrong(wrong) => reply.map(|reply| self.wrong(wrong, reply)),
            Effect::Refuse {
                status,
                code,
                message,
            } => Some(match side {
                Side::Twilio => twilio::refusal(status, &code, &message),
                Side::Telnyx => telnyx::refusal(status, &code, &message),
                Side::Burki | Side::Control => burki::refusal(status, &message),
            }),
        }
    }
}
