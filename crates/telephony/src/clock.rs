//! The clock that safety limits are measured by: time since boot, which goes on while the machine is suspended. And the clocks
//! of others, as the dates of their replies tell them.

use std::ops::Add;
use std::time::Duration;

use jiff::Timestamp;

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

/// `CLOCK_BOOTTIME`, which Linux alone has: a process that was frozen, or a machine that slept, sees that time went by.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

#[cfg(target_os = "linux")]
impl Clock for BootClock {
    fn now(&self) -> Instant {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Instant(Duration::new(
            u64::try_from(time.tv_sec).unwrap_or_default(),
            u32::try_from(time.tv_nsec).unwrap_or_default(),
        ))
    }
}

/// Time since this clock was made, on any system. It may stand still while the machine sleeps, so no safety limit is measured by
/// it.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock(std::time::Instant);

impl Default for MonotonicClock {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Clock for MonotonicClock {
    fn now(&self) -> Instant {
        Instant(self.0.elapsed())
    }
}

/// The clock of another machine, as the dates of its replies tell it.
///
/// Of the first replies the median counts. From then on a reply only moves the clock if the time that it shows cannot be the
/// clock's, by the way of the request and the reply, and then by no more than a tenth of the time since the reply before. So
/// neither a reply of an intermediary, nor one that was held up, nor one of several servers that disagree makes it jump.
///
/// # Caveats
/// It is up to a second and the way of a reply behind. A server whose clock is set again is followed slowly.
#[derive(Default)]
pub struct RemoteClock {
    first: Vec<Timestamp>,
    /// The other machine's time at which this one was booted.
    booted: Option<Timestamp>,
    /// When the last reply came.
    came: Option<Instant>,
}

/// So many replies are compared before the clock counts as known.
pub const FIRST_REPLIES: usize = 9;

/// The dates of replies are whole seconds.
const DATE_STEP: Duration = Duration::from_secs(1);

/// By which part of the time that goes by the clock is moved at most.
const SLOWLY: u32 = 10;

impl RemoteClock {
    /// Takes note of a reply with `date` to a request that was sent and answered at these instants.
    pub fn hear(&mut self, date: Timestamp, sent: Instant, came: Instant) {
        let booted = |at: Instant| date.checked_sub(at.0).ok();
        let (Some(earliest), Some(latest)) = (booted(came), booted(sent)) else {
            return;
        };
        let latest = latest.checked_add(DATE_STEP).unwrap_or(latest);
        let since = self.came.map_or(Duration::ZERO, |last| came.since(last));
        self.came = Some(self.came.map_or(came, |last| last.max(came)));
        if self.first.len() < FIRST_REPLIES {
            self.first.push(earliest);
            self.first.sort();
            self.booted = self.first.get(self.first.len() / 2).copied();
            return;
        }
        self.booted = self.booted.map(|booted| {
            let most = since / SLOWLY;
            let least = booted.checked_sub(most).unwrap_or(booted);
            let most = booted.checked_add(most).unwrap_or(booted);
            booted
                .clamp(earliest, latest.max(earliest))
                .clamp(least, most)
        });
    }

    /// The other machine's time at `instant`. `None` before the first reply.
    pub fn time_at(&self, instant: Instant) -> Option<Timestamp> {
        self.booted?.checked_add(instant.0).ok()
    }
}
