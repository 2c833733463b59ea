//! Commands that are run to their end.

use std::io::Write;
use std::process::{Command, Stdio};

/// What a command printed: its output, or its complaints if it failed.
pub type Printed = Result<String, String>;

/// Runs a command that reads nothing.
pub fn run(command: &mut Command) -> Printed {
    run_with(command, "")
}

/// Runs a command with this text on its standard input.
pub fn run_with(command: &mut Command, text: &str) -> Printed {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Fails if the command has refused its arguments already, which its output tells better.
    let _ = stdin.write_all(text.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}
