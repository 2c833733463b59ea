//! What the suites of `tests/` share. Nothing here is part of a release.
//!
//! A function that cannot do what it is asked for panics, which ends the test that asked.

use std::path::Path;

pub mod command;
pub mod company;
pub mod conformance;
pub mod control_plane;
pub mod emulator;
pub mod helm;
pub mod kubectl;
pub mod objects;
pub mod process;
mod program;
pub mod wait;
pub mod world;

pub use program::program;

/// The root of the repository.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap()
}
