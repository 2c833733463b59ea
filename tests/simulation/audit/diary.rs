//! What was done to the world by those who are not operators, and what accounts may do.

use std::time::Duration;

use crate::world::{TELNYX_ACCOUNTS, TWILIO_ACCOUNTS};

/// What was done to the world by those who are not operators.
#[derive(Default)]
pub struct Diary {
    pub lines: Vec<String>,
    /// Since when nothing goes wrong any more.
    pub well_since: Duration,
    /// What accounts may do, where that is limited.
    pub limits: Vec<Limits>,
    /// How long operators wait for a purchase to be shown.
    pub visibility: Duration,
    pub(super) leaders: usize,
    pub(super) meddling: Vec<(Duration, Meddling)>,
    /// Since when the API server's dates were wrong, or right again.
    misdated: Vec<(Duration, bool)>,
}

/// What somebody did that an operator may not be able to see through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meddling {
    /// The mark was taken off the number with this id.
    Renamed(String),
    /// The finalizer, and perhaps the claim, were taken off the resource of this name.
    Stripped(String),
    /// The resource of this name was deleted by force and created again without its status.
    Restored(String),
    /// The company said that it released the number with this id, and did not.
    Kept(String),
    /// Another installation put this mark on the number with this id.
    Marked(String, String),
}

/// Limits of the accounts at a provider.
#[derive(Clone, Copy)]
pub struct Limits {
    pub provider: &'static str,
    pub purchases_per_hour: usize,
    pub releases_per_hour: usize,
    /// How many numbers it may hold; operators of which more than one believes to lead may make it more.
    pub numbers: Option<usize>,
    /// What they may cost each month: as much as so many numbers, of which each costs the same.
    pub cost_of: Option<usize>,
}

impl Limits {
    pub(super) fn accounts(&self) -> [&'static str; 2] {
        match self.provider {
            "twilio" => TWILIO_ACCOUNTS,
            _ => TELNYX_ACCOUNTS,
        }
    }
}

impl Diary {
    /// Of a world in which so many lead at once, or believe so.
    pub fn of(leaders: usize) -> Self {
        Self {
            leaders,
            visibility: Duration::from_secs(600),
            ..Self::default()
        }
    }

    pub fn meddles(&mut self, at: Duration, meddling: Meddling) {
        self.meddling.push((at, meddling));
    }

    /// The API server's dates are wrong, or right, from now on.
    pub fn dates(&mut self, at: Duration, are_wrong: bool) {
        self.misdated.push((at, are_wrong));
    }

    /// True if the API server's dates were wrong at some time from `from` to `to`.
    pub(super) fn was_misdated(&self, from: Duration, to: Duration) -> bool {
        let until_then = self.misdated.iter().take_while(|(at, _)| *at < from);
        let were_wrong = until_then.last().is_some_and(|(_, wrong)| *wrong);
        let mut meanwhile = self.misdated.iter();
        were_wrong || meanwhile.any(|(at, wrong)| *wrong && *at >= from && *at <= to)
    }

    /// When such meddling took place from `from` to `to`.
    pub(super) fn meddling(
        &self,
        from: Duration,
        to: Duration,
        is_such: impl Fn(&Meddling) -> bool,
    ) -> impl Iterator<Item = Duration> {
        let within = move |at: &Duration| *at >= from && *at <= to;
        let such = self.meddling.iter().filter(move |(_, it)| is_such(it));
        such.map(|(at, _)| *at).filter(within)
    }
}
