//! Where the programs of this workspace are.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::root;

/// The program `name` of a package of this workspace, built in the way in which the running test was.
///
/// # Panics
/// If it cannot be built.
pub fn program(name: &str) -> PathBuf {
    // Cargo builds the programs of a package before its tests run, and tells them where each is.
    if let Some(built) = env::var_os(format!("CARGO_BIN_EXE_{name}")) {
        return built.into();
    }
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let program = built.entry(name.to_owned()).or_insert_with(|| build(name));
    program.clone()
}

/// Builds a program together with the suite that runs. Alone, its dependencies would be built once more, with fewer features.
fn build(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let (profile, suite) = profile_and_suite(&test);
    let mut cargo = Command::new(env!("CARGO"));
    // What Cargo tells this test of its package is no input of what is built: ring would be built once more.
    for (variable, _) in env::vars_os() {
        let told = variable.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&variable);
        }
    }
    let built = cargo
        .current_dir(root())
        .args(["build", "--quiet", "--bin", name, "--test", suite])
        .arg(match profile.file_name().unwrap().to_str().unwrap() {
            "debug" => "--profile=dev".to_owned(),
            name => format!("--profile={name}"),
        })
        .arg("--target-dir")
        .arg(profile.parent().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "cannot build {name}: {said}");
    let program = profile.join(name);
    assert!(program.exists(), "{} is not there", program.display());
    program
}

/// The folder of the profile and the name of the suite, of a test at `target/PROFILE/deps/SUITE-HASH`.
fn profile_and_suite(test: &Path) -> (&Path, &str) {
    let profile = test.ancestors().nth(2).unwrap();
    let file = test.file_stem().unwrap().to_str().unwrap();
    let (suite, _) = file.rsplit_once('-').unwrap();
    (profile, suite)
}
