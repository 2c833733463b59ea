//! The operator processes of a world.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::World;
use crate::process::Process;

/// How often numbers are looked at.
const INTERVAL: &str = "--inventory-interval";

/// How much of an operator's log a failed test shows.
const LAST_LINES: usize = 60;

/// Where the operators of a world log to. A test that fails shows the end of it.
pub struct Log(pub PathBuf);

impl Drop for Log {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(log) = std::fs::read_to_string(&self.0)
        {
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
            println!("the operator's last words:\n{}", last.join("\n"));
        }
    }
}

/// The operator that was built with this test, or the one to be tested instead.
fn program() -> OsString {
    let built = || crate::program("phonenumber-operator").into();
    std::env::var_os("OPERATOR").unwrap_or_else(built)
}

impl World {
    /// Starts an operator.
    pub fn start_operator(&mut self) {
        self.operator = Some(self.spawn_operator(&[]));
    }

    /// Starts one more operator process with `more` flags.
    pub fn spawn_operator(&self, more: &[&str]) -> Process {
        let mut command = self.operator_command(more);
        if let Some(Log(log)) = &self.log {
            let file = std::fs::File::options().create(true).append(true).open(log);
            let file = file.unwrap();
            command.stdout(file.try_clone().unwrap()).stderr(file);
        }
        Process(command.spawn().unwrap())
    }

    /// How an operator process with `more` flags is started.
    pub fn operator_command(&self, more: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .arg("run")
            .args(self.emulator.endpoint_flags())
            .args(["--allow-burki-origin", &self.emulator.burki])
            .args(["--purchase-timeout", "2s", "--purchase-visibility", "10s"])
            .args(&self.flags)
            .args(more)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null());
        for (flag, value) in [
            (INTERVAL, "1s"),
            ("--leader-elect", "false"),
            ("--listen", "127.0.0.1:0"),
        ] {
            let mut given = self
                .flags
                .iter()
                .map(String::as_str)
                .chain(more.iter().copied());
            if !given.any(|given| given == flag) {
                command.args([flag, value]);
            }
        }
        command
    }

    /// Kills the operator without warning.
    pub fn kill_operator(&mut self) {
        self.operator = None;
    }

    /// The token that operators show to the API server.
    pub fn token(&self) -> String {
        let text = std::fs::read_to_string(&self.kubeconfig).unwrap();
        let kubeconfig: Value = serde_json::from_str(&text).unwrap();
        kubeconfig["users"][0]["user"]["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}
