//! The operator: `run` looks after PhoneNumbers, `crd` prints the resource definitions.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "The operator runs on Linux alone: its safety limits are measured by a clock that others lack. Build the plugin with --package kubectl-phonenumbers."
);

use std::time::Duration;

use clap::{Parser, Subcommand};
use phonenumber_operator::program;

/// musl's own allocator takes up to twice the processor time for thousands of numbers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(
    version,
    about = "Buys, configures and releases phone numbers at Twilio and Telnyx from PhoneNumber manifests"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look after the PhoneNumbers of a cluster. Spends money at the providers.
    Run(Box<program::Options>),
    /// Print the custom resource definitions as YAML.
    Crd,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Crd => {
            for definition in phonenumber_operator::api::definitions()? {
                println!("---\n{}", serde_saphyr::to_string(&definition)?);
            }
            Ok(())
        }
        Command::Run(options) => {
            // The operator waits for others nearly all the time. Threads that wake each other would cost more than they bring.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let result = runtime.block_on(program::run(*options));
            // Whatever still waits for an answer that nobody needs any more does not keep the process.
            runtime.shutdown_timeout(Duration::from_secs(1));
            result
        }
    }
}
