//! The kubectl plugin: kubectl runs it for `kubectl phonenumbers` where it finds it on the PATH.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use kubectl_phonenumbers::{Answer, Arguments, bad_value, run};
use telephony::shown::{MOST_OF_MESSAGE, line};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let Some(said) = bad_value(&error) else {
                error.exit();
            };
            eprintln!("{}", line(&said, MOST_OF_MESSAGE));
            return ExitCode::from(2);
        }
    };
    match run(arguments).await {
        Ok(answer) => print(&answer).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("error: {}", line(&error.to_string(), MOST_OF_MESSAGE));
            ExitCode::FAILURE
        }
    }
}

/// Fails where the reader has gone, as with `| head`.
fn print(answer: &Answer) -> io::Result<()> {
    let mut notes = io::stderr().lock();
    for note in &answer.notes {
        writeln!(notes, "{}", line(note, MOST_OF_MESSAGE))?;
    }
    let mut output = io::stdout().lock();
    output.write_all(answer.output.as_bytes())?;
    output.flush()
}
