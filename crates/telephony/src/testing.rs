//! Clocks for tests.

use std::sync::Mutex;
use std::time::Duration;

use crate::clock::{Clock, Instant};
use crate::panics::lock;

/// A clock that goes on only when a test says so.
#[derive(Debug, Default)]
pub struct ManualClock(Mutex<Duration>);

impl ManualClock {
    /// It is this many seconds after boot now.
    pub fn set(&self, seconds: u64) {
        *lock(&self.0) = Duration::from_secs(seconds);
    }

    /// So much time goes by.
    pub fn advance(&self, time: Duration) {
        *lock(&self.0) += time;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::since_boot(*lock(&self.0))
    }
}

/// Tokio's clock, which stands still while something is done and jumps while all wait, if it is paused.
#[derive(Debug)]
pub struct TokioClock(tokio::time::Instant);

impl Default for TokioClock {
    /// A clock that was booted 1000 seconds ago.
    fn default() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        Instant::since_boot(Duration::from_secs(1000) + self.0.elapsed())
    }
}
