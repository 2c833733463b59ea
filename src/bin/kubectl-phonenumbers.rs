//! The kubectl plugin: kubectl runs it for `kubectl phonenumbers` where it finds it on the PATH.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use phonenumber_operator::cli::{Answer, Arguments, run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(answer) => print(&answer).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        Err(error) => {
            let line: String = error
                .to_string()
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            eprintln!("error: {line}");
            ExitCode::FAILURE
        }
    }
}

/// Fails where the reader has gone, as with `| head`.
fn print(answer: &Answer) -> io::Result<()> {
    let mut notes = io::stderr().lock();
    for note in &answer.notes {
        writeln!(notes, "{note}")?;
    }
    let mut output = io::stdout().lock();
    output.write_all(answer.output.as_bytes())?;
    output.flush()
}
