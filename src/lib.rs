//! A Kubernetes operator that buys, configures and releases phone numbers from `PhoneNumber` manifests.
//!
//! | module | its one thing |
//! |---|---|
//! | [`api`] | the custom resources |
//! | [`number`] | values that every layer shares |
//! | [`claim`] | what is stored before money is spent |
//! | [`clock`] | the clock that safety limits are measured by |

pub mod api;
pub mod claim;
pub mod clock;
pub mod number;
