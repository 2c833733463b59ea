//! When a number was used last, as far as a provider's records show it.

use jiff::Timestamp;

/// The last days, up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// How many days.
    pub days: u16,
    /// When they began.
    pub since: Timestamp,
}

/// When a number was used last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastUse {
    /// The last call.
    pub call: Seen,
    /// The last message.
    pub message: Seen,
}

/// What the records show of one kind of use. Which rows of many come first is not documented: a date is that of the latest row
/// among those that were shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seen {
    /// There is none. Records may have been deleted, or be older than the provider keeps them.
    #[default]
    Never,
    /// There are some, all of them before the period that was asked about; with the date of one where it is readable.
    Before(Option<Timestamp>),
    /// There are some in the period that was asked about; with the date of one where it is readable.
    Within(Option<Timestamp>),
}

impl LastUse {
    /// True if nothing was shown of the period that was asked about.
    pub fn is_idle(self) -> bool {
        let is_within = |seen: Seen| matches!(seen, Seen::Within(_));
        !is_within(self.call) && !is_within(self.message)
    }
}

impl Seen {
    /// The date that is shown of it.
    pub fn at(self) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::Before(at) | Self::Within(at) => at,
        }
    }

    /// What `within` shows, the rows of the period; where there are none, what `all` shows. A row has a date where it is readable.
    pub(super) fn read(within: &[Option<Timestamp>], all: &[Option<Timestamp>]) -> Self {
        let latest = |rows: &[Option<Timestamp>]| rows.iter().copied().max();
        let before = || latest(all).map(Self::Before);
        let seen = latest(within).map(Self::Within).or_else(before);
        seen.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_idle_if_nothing_is_shown_of_the_period() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        for (within, all, wanted) in [
            (vec![], vec![], Seen::Never),
            (vec![], vec![None, at(3), at(9), at(5)], Seen::Before(at(9))),
            (vec![], vec![None], Seen::Before(None)),
            (vec![at(3), at(2)], vec![], Seen::Within(at(3))),
            (vec![None], vec![at(2)], Seen::Within(None)),
        ] {
            let seen = Seen::read(&within, &all);
            assert_eq!(seen, wanted);
            for message in [Seen::Never, Seen::Before(None)] {
                let used = LastUse {
                    call: seen,
                    message,
                };
                assert_eq!(used.is_idle(), within.is_empty(), "{used:?}");
            }
        }
    }
}
