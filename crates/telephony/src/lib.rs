//! Phone numbers, the providers that sell them, and the directory of assistants. Nothing here knows Kubernetes.
//!
//! | module | its one thing |
//! |---|---|
//! | [`number`] | values that every layer shares |
//! | [`claim`] | what is stored before money is spent |
//! | [`clock`] | the clock that safety limits are measured by |
//! | [`random`] | randomness, as a value |
//! | [`provider`] | what a provider can do, and its two adapters |
//! | [`burki`] | the assistant directory |
//! | [`account`] | provider accounts at run time |
//! | `endpoints` | the flags that divert requests to an emulator; with the feature `clap` alone |
//! | [`safeguards`] | the rules that keep money and numbers safe, which a test can disable |
//! | [`shown`] | what of a text from outside may be shown |
//! | [`flight`] | one question at a time, whose answer all share who wait |
//! | `rounds` | questions that are answered together |
//! | [`panics`] | what is logged of a panic, and how far it goes |

pub mod account;
pub mod burki;
pub mod claim;
pub mod clock;
#[cfg(feature = "clap")]
pub mod endpoints;
pub mod flight;
pub mod number;
pub mod panics;
pub mod provider;
pub mod random;
mod rounds;
pub mod safeguards;
pub mod shown;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
