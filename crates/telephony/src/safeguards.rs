//! The rules that keep money and numbers safe. A test can disable a single one, to show what it is for.
//!
//! The feature `disable-safeguards` builds the switches in. Without it every safeguard is enabled and nothing can be switched.
//! No release has it.

/// A rule that keeps money or numbers safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safeguard {
    /// The account is looked at once more with the claim stored, before an exact number is bought.
    LastLook,
    /// A number was bought by us only if it carries our mark and is not older than the request: in the answer to the
    /// purchase, and in every look after it.
    ProofOfPurchase,
    /// A claim is bought on only within seconds of having been written.
    TokenAge,
    /// An attempt whose outcome is unknown is waited out before anything is concluded from an absence.
    Doubt,
    /// A number that carries another's mark is neither released nor configured.
    ForeignMark,
    /// A candidate of a search is given to one resource only.
    Reservation,
    /// One resource at a time claims a number.
    OneAtATime,
    /// Of those that claim a number, the first to claim it has it, as far as is known when the next claim is written.
    FirstComeFirstServed,
    /// A number is touched only in the account that it was bought in.
    PinnedAccount,
    /// What only listings show to be absent is absent when two of them agree.
    SecondListing,
    /// A recorded number is gone only when the provider has said so twice, a minute apart.
    ConfirmedAbsence,
    /// The mark itself tells an adopted number from a bought one.
    AdoptedMark,
    /// A release leaves only after a write on the version that it was decided on.
    ReleaseFence,
    /// A number whose object was deleted is released no sooner than the account says.
    ReleaseDelay,
    /// The count of purchases and releases is taken by compare-and-swap.
    CountBySwap,
    /// An assistant is assigned only where the same reconcile has announced it, by compare-and-swap.
    Announcement,
}

/// True unless a test has disabled the safeguard.
#[cfg(not(feature = "disable-safeguards"))]
pub const fn is_enabled(_: Safeguard) -> bool {
    true
}

#[cfg(feature = "disable-safeguards")]
mod switches {
    use std::cell::Cell;

    use super::Safeguard;

    #[cfg(not(debug_assertions))]
    compile_error!("the feature disable-safeguards switches safeguards off and is for tests alone");

    thread_local! {
        static OUT: Cell<Option<Safeguard>> = const { Cell::new(None) };
    }

    /// True unless this thread has disabled the safeguard.
    pub fn is_enabled(safeguard: Safeguard) -> bool {
        OUT.get() != Some(safeguard)
    }

    /// Disables one safeguard on this thread, or enables all again.
    pub fn disable(safeguard: Option<Safeguard>) {
        OUT.set(safeguard);
    }
}

#[cfg(feature = "disable-safeguards")]
pub use switches::disable;
#[cfg(feature = "disable-safeguards")]
pub use switches::is_enabled;
