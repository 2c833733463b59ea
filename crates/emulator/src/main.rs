//! An emulated phone company for demos and tests: Twilio, Telnyx and Burki on addresses of this machine.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use phonenumber_emulator::{Emulator, Side, State, listen};

/// A phone company on this machine. It sells numbers that do not exist, for no money.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Where every Twilio host listens. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    twilio: SocketAddr,
    /// Where Telnyx listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    telnyx: SocketAddr,
    /// Where Burki listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    burki: SocketAddr,
    /// Where the ledger, the faults and the console listen. `GET /` lists what can be asked for.
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// A YAML file with the accounts, assistants and switches to begin with.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// End when the standard input ends, as it does when the parent ends.
    #[arg(long)]
    exit_with_parent: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("phonenumber-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let state = match &options.state {
        None => State::default(),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("{}: {error}", file.display()))?;
            serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?
        }
    };
    let emulator = Emulator::new(state);
    let sides = [
        (Side::Twilio, options.twilio),
        (Side::Telnyx, options.telnyx),
        (Side::Burki, options.burki),
        (Side::Control, options.control),
    ];
    for (side, address) in sides {
        let listening = listen(emulator.clone(), side, address)
            .await
            .map_err(|error| format!("cannot listen on {address}: {error}"))?;
        println!("{} http://{}", side.name(), listening.address);
    }
    std::io::stdout().flush()?;
    if options.exit_with_parent {
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    } else {
        tokio::signal::ctrl_c().await?;
    }
    Ok(())
}
