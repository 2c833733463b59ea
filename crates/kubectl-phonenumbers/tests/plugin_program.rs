//! The program tells its commands, and refuses others as wrong usage.

#![cfg(test)]

use std::process::{Command, Output};

fn run(argument: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_kubectl-phonenumbers"));
    program.arg(argument).output().unwrap()
}

#[test]
fn it_tells_its_commands_and_refuses_others_as_wrong_usage() {
    let help = run("--help");
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    for command in ["unmanaged", "orphans"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
    }
    let refused = run("release");
    assert_eq!(refused.status.code(), Some(2));
    assert!(refused.stdout.is_empty());
}
