//! A Kubernetes operator that buys, configures and releases phone numbers from `PhoneNumber` manifests.
//!
//! | module | its one thing |
//! |---|---|
//! | [`number`] | values that every layer shares |
//! | [`claim`] | what is stored before money is spent |
//! | [`clock`] | the clock that safety limits are measured by |
//! | [`provider`] | what a phone company can do, and its two adapters |
//! | [`burki`] | the assistant directory |
//! | [`emulator`] | a phone company to try things on |

pub mod burki;
pub mod claim;
pub mod clock;
pub mod emulator;
pub mod number;
pub mod provider;
