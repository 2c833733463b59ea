//! The program tells where it listens, and ends with its parent.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn it_tells_where_each_side_listens_and_ends_with_its_parent() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_phonenumber-emulator"))
        .arg("--exit-with-parent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let lines: Vec<String> = lines.take(4).map(Result::unwrap).collect();
    let mut sides: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split_once(" http://127.0.0.1:"))
        .map(|(side, _)| side)
        .collect();
    sides.sort_unstable();
    assert_eq!(sides, ["burki", "control", "telnyx", "twilio"], "{lines:?}");
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
}
