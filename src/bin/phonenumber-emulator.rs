//! Phone company emulator.
fn main() {}
