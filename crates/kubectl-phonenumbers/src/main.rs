//! The kubectl plugin: kubectl runs it for `kubectl phonenumbers` where it finds it on the PATH.

use std::io::{self, Write};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use clap::Parser;
use kubectl_phonenumbers::{Answer, Arguments, Colours, bad_value, run, wrong_plan};
use telephony::shown::{MOST_OF_MESSAGE, line};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let first = std::env::args_os().nth(1);
            let first = first.and_then(|word| word.into_string().ok());
            if let Some((said, code)) = wrong_plan(&error, first.as_deref()) {
                eprintln!("{}", line(&said, MOST_OF_MESSAGE));
                return ExitCode::from(code);
            }
            let Some(said) = bad_value(&error) else {
                error.exit();
            };
            say(&line(&said, MOST_OF_MESSAGE));
            return ExitCode::from(2);
        }
    };
    // A terminal, unless NO_COLOR, TERM and the like say otherwise.
    let choice = AutoStream::choice(&io::stdout());
    let colours = match choice {
        ColorChoice::Never => Colours::Off,
        _ => Colours::On,
    };
    match run(arguments, colours).await {
        Ok(answer) => match print(&answer, choice) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                say(&format!("error: the answer cannot be written: {error}"));
                ExitCode::FAILURE
            }
            // A reader that goes has what it wanted, as with `| head`.
            Ok(()) | Err(_) => ExitCode::from(answer.code),
        },
        Err(error) => {
            let error = line(&error.to_string(), MOST_OF_MESSAGE);
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error, if it is open.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn print(answer: &Answer, choice: ColorChoice) -> io::Result<()> {
    for note in &answer.notes {
        say(&line(note, MOST_OF_MESSAGE));
    }
    let mut output = io::stdout().lock();
    if choice == ColorChoice::Never {
        output.write_all(answer.output.as_bytes())?;
        return output.flush();
    }
    let mut terminal = AutoStream::new(output, choice);
    terminal.write_all(answer.output.as_bytes())?;
    terminal.flush()
}
