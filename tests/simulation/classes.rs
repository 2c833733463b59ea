//! The kinds of faults that schedules draw, besides those of every schedule, and how often.

use std::collections::BTreeSet;
use std::fmt;

use phonenumber_operator::random::Random;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Watches list anew, and swallow what happened meanwhile, deletions among it.
    Relists,
    /// Watches tell nothing for minutes.
    StalledWatches,
    /// Dates of the API server step forward and backward, differ from reply to reply, or are missing.
    ServerDates,
    /// Status writes are refused after a purchase.
    RefusedStatus,
    /// Others' finalizers hold resources.
    OthersFinalizers,
    /// A Secret is gone for a while.
    SecretsGone,
    /// A reconcile panics.
    Panics,
    /// Resources are created with claims that somebody made up.
    HostileClaims,
    /// The provider asks for a price of 29 digits.
    HostilePrices,
    /// Dates of a provider's replies are not those of what it creates, or are missing.
    ProviderDates,
    /// Listings are empty, short, shifted or stale, and answered with 200.
    WrongPages,
    /// A purchase is hidden for about as long as the operator waits.
    LongHiding,
    /// Somebody buys by hand while the provider hides it.
    HandWhileHidden,
    /// A purchase takes effect after the operator has given up, or twice.
    LatePurchases,
    /// A release is answered as done and did nothing.
    FalseReleases,
    /// A fetch by id is denied once.
    FalseAbsence,
    /// Purchases and releases are refused with codes that nobody knows.
    UnknownRefusals,
    /// The assistant directory says that it has assigned a number, and has not.
    FalseAssignments,
    /// Numbers are in a messaging service.
    MessagingService,
    /// Numbers are in a messaging profile.
    Profile,
    /// The Telnyx account is not known by its organization before it has a number.
    Unidentified,
    /// Another installation holds numbers for resources of the same names in the same account.
    OtherInstallation,
    /// Telnyx orders fail after they have succeeded, and numbers do not tell when they were bought.
    UndoneOrders,
    /// Limits on what Telnyx accounts buy, and on what accounts cost.
    Limits,
}

/// How many schedules in a hundred draw each kind; with 0 it is switched off.
const WEIGHTS: [(Class, usize); 24] = [
    (Class::Relists, 12),
    (Class::StalledWatches, 6),
    (Class::ServerDates, 8),
    (Class::RefusedStatus, 8),
    (Class::OthersFinalizers, 6),
    (Class::SecretsGone, 6),
    (Class::Panics, 6),
    (Class::HostileClaims, 6),
    (Class::HostilePrices, 6),
    (Class::ProviderDates, 6),
    (Class::WrongPages, 8),
    (Class::LongHiding, 6),
    (Class::HandWhileHidden, 6),
    (Class::LatePurchases, 8),
    (Class::FalseReleases, 4),
    (Class::FalseAbsence, 8),
    (Class::UnknownRefusals, 8),
    (Class::FalseAssignments, 5),
    (Class::MessagingService, 8),
    (Class::Profile, 8),
    (Class::Unidentified, 8),
    (Class::OtherInstallation, 4),
    (Class::UndoneOrders, 6),
    (Class::Limits, 8),
];

/// How many schedules in a hundred draw none.
const PLAIN: usize = 35;

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The kinds that one schedule draws. `CLASSES=Relists,Panics` draws these and no other, also what is switched off.
pub fn drawn(dice: &Random) -> BTreeSet<Class> {
    let given = std::env::var("CLASSES").ok();
    let is_plain = dice.below(100) < PLAIN;
    let is_drawn = |(class, weight): &(Class, usize)| {
        let falls = dice.below(100) < *weight;
        match &given {
            Some(given) => given.split(',').any(|name| name == class.to_string()),
            None => falls && !is_plain,
        }
    };
    let drawn = WEIGHTS.iter().filter(|entry| is_drawn(entry));
    drawn.map(|(class, _)| *class).collect()
}
