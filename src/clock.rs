//! The clock that safety limits are measured by: time since boot, which goes on while the machine is suspended.

use std::ops::Add;
use std::time::Duration;

/// An instant since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(Duration);

impl Instant {
    /// The instant this long after boot.
    pub fn since_boot(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The instant this long earlier, or the boot.
    pub fn before(self, wait: Duration) -> Self {
        Self(self.0.saturating_sub(wait))
    }

    /// How long before `self` the instant `earlier` was; zero if it was not.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// Tells the time since boot.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Instant;
}

/// `CLOCK_BOOTTIME`: a process that was frozen, or a machine that slept, sees that time went by.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

impl Clock for BootClock {
    fn now(&self) -> Instant {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Instant(Duration::new(
            u64::try_from(time.tv_sec).unwrap_or_default(),
            u32::try_from(time.tv_nsec).unwrap_or_default(),
        ))
    }
}
