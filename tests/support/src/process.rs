//! Processes that end with the test that started them.

use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use crate::wait::until_ok;

/// Kills its process when dropped.
pub struct Process(pub Child);

impl Process {
    /// Sends a signal, named as for `kill`: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.unwrap().success(), "SIG{name}");
    }

    /// Waits until it ends by itself, and returns how.
    ///
    /// # Panics
    /// When `patience` is over.
    pub async fn until_ended(&mut self, patience: Duration) -> ExitStatus {
        let ask = async || self.0.try_wait().unwrap().ok_or_else(String::new);
        until_ok(patience, "the end of the process", ask).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
