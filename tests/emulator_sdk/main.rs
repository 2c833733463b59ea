//! The emulator answers the official SDKs of Twilio and Telnyx as they are published. They were written by others, so
//! they do not share a misreading of the documentation with it.

#![cfg(test)]

use std::env;
use std::fs;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use test_support::emulator::Emulator;
use test_support::process::Process;
use test_support::root;

/// The time that everything in check.py may take together.
const CHECK: Duration = Duration::from_secs(120);

/// The time that the SDKs may take to arrive.
const INSTALL: Duration = Duration::from_secs(600);

const WANTED: &str = "This test wants Python 3.11 or later as `python3`, with venv and pip: install it \
    (on Debian and Ubuntu: apt-get install python3 python3-venv)";

const PACKAGES: &str = "The packages of requirements.txt could not be installed. That wants Python 3.11 or later as \
    `python3`, and a package index or a mirror of one";

#[test]
fn the_official_sdks_understand_the_emulator() {
    let folder = root().join("tests/emulator_sdk");
    let python = python_with_sdks(&folder.join("requirements.txt"));
    let emulator = Emulator::start();
    let mut check = Command::new(python);
    // Nothing around the test may lead the SDKs elsewhere: neither a proxy nor their own variables.
    check
        .env_clear()
        .arg("-I")
        .arg(folder.join("check.py"))
        .args([&emulator.twilio, &emulator.telnyx, &emulator.control]);
    let shown = finish(
        &mut check,
        CHECK,
        "The output says what was not as it should be",
    );
    for side in ["ok twilio: ", "ok telnyx: "] {
        let count = shown.lines().filter(|line| line.starts_with(side)).count();
        assert!(count > 10, "only {count} lines begin with {side:?}");
    }
}

/// The interpreter of a folder in the cache that holds these packages. The folder is made if it is not there.
fn python_with_sdks(requirements: &Path) -> PathBuf {
    let code = "import sys; print(sys.version); assert sys.version_info >= (3, 11)";
    let version = finish(Command::new("python3").args(["-c", code]), CHECK, WANTED);
    // The version too: an environment stops working when the interpreter that made it is replaced.
    let digest = Sha256::new()
        .chain_update(fs::read(requirements).unwrap())
        .chain_update(version);
    let name = &data_encoding::HEXLOWER.encode(&digest.finalize())[..12];
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|cache| !cache.is_empty())
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .expect("XDG_CACHE_HOME or HOME says where the cache is");
    let cache = cache.join("phonenumber-operator");
    let wanted = cache.join(format!("emulator-sdk-{name}"));
    let python = Path::new("bin").join("python3");
    if !wanted.exists() {
        fs::create_dir_all(&cache).unwrap();
        // Made beside it and then renamed, so that half of an installation is never found.
        let begun = tempfile::Builder::new()
            .prefix("emulator-sdk-begun-")
            .tempdir_in(&cache)
            .unwrap();
        finish(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(begun.path()),
            INSTALL,
            WANTED,
        );
        // As a module: the scripts of the environment name the folder that it was made in.
        finish(
            Command::new(begun.path().join(&python))
                .args(["-m", "pip", "install", "--disable-pip-version-check"])
                .args(["-q", "-r"])
                .arg(requirements),
            INSTALL,
            PACKAGES,
        );
        if let Err(error) = fs::rename(begun.path(), &wanted) {
            // Another run may have been faster; what it made is the same.
            assert!(wanted.exists(), "{}: {error}", wanted.display());
        } else {
            let _gone = begun.keep();
        }
    }
    wanted.join(python)
}

/// Runs a command to its end and gives all that it wrote. Fails with `hint` if it fails, or takes longer than `limit`.
fn finish(command: &mut Command, limit: Duration, hint: &str) -> String {
    let name = format!("{command:?}");
    // A file, not a pipe: it can be read at any time, whoever else still writes to it.
    let mut file = tempfile::tempfile().unwrap();
    let child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file.try_clone().unwrap())
        .spawn();
    let mut process = Process(child.unwrap_or_else(|error| panic!("{name}: {error}. {hint}")));
    let end = Instant::now() + limit;
    let status = loop {
        let status = process.0.try_wait().unwrap();
        if status.is_some() || Instant::now() > end {
            break status;
        }
        thread::sleep(Duration::from_millis(20));
    };
    drop(process);
    let mut written = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut written).unwrap();
    let written = String::from_utf8_lossy(&written).into_owned();
    println!("{written}");
    match status {
        Some(status) if status.success() => written,
        Some(status) => panic!("{name}: {status}. {hint}"),
        None => panic!("{name}: not done after {limit:?}. {hint}"),
    }
}
