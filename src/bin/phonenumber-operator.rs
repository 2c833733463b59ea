//! The operator: `crd` prints the resource definitions.

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    version,
    about = "Phone numbers at Twilio and Telnyx from PhoneNumber manifests"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
    }
}
