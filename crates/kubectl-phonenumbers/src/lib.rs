//! The kubectl plugin: what provider accounts hold, seen beside what the cluster declares, and what they have on sale. It
//! only reads, in the cluster with the user's own rights and at the provider.

mod account;
mod annotation;
mod check;
mod cluster;
mod colour;
mod completion;
mod cost;
mod declared;
mod deletion;
mod description;
mod error;
mod files;
mod folder;
mod idle;
mod import;
mod inventory;
mod manifest;
mod mask;
mod operator;
mod plan;
mod prices;
mod progress;
mod purchase;
mod redaction;
mod release_preview;
mod report;
mod runbook;
mod scope;
mod search;
mod status;
mod subject;
mod survey;
mod table;
mod total;
mod unheld;
mod version;
mod why;
mod wishes;

use clap::{Parser, Subcommand};

pub use colour::Colours;
pub use error::Error;
use inventory::Question;
use search::Request;

/// Why nothing is written.
const ONLY_READS: &str = "kubectl phonenumbers only reads";

/// Shows what provider accounts hold beside what the cluster declares, and what is on sale. Only reads.
///
/// The cluster is read with your own rights: get on the account, on its Secret and on what else a command names. Nothing
/// is ever written, neither to the cluster nor at a provider.
#[derive(Parser, Debug)]
#[command(
    name = "kubectl-phonenumbers",
    bin_name = "kubectl phonenumbers",
    version
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// List the numbers of an account that carry no operator's mark.
    ///
    /// With -o yaml or -o json, print for each of them a PhoneNumber manifest with adoptionPolicy: Adopt, ready for kubectl
    /// apply -f -. A number that the account holds is taken over, not bought again. One that a PhoneNumber of this namespace
    /// declares already is left out.
    ///
    /// What adopting changes at the provider: at Twilio the friendly name gets the operator's mark behind it and is cut to
    /// 36 bytes before it, the webhooks become those that the account derives, and a SIP trunk or an application that
    /// overrides them is removed. At Telnyx the mark replaces the customer reference, and the number moves to the connection
    /// and the messaging profile that the account, or the assistant, names. -o wide shows what answers now: keep it.
    ///
    /// When its PhoneNumber is deleted, an adopted number stays in the account unless deletionPolicy says Release.
    Unmanaged(Question),

    /// List the numbers of an account that carry this installation's mark, but that no PhoneNumber holds.
    ///
    /// They are paid for. NoPhoneNumber: the PhoneNumber that the mark names does not exist; deletionPolicy Retain leaves
    /// such numbers. HoldsAnother: it exists, but holds or declares another number. Numbers with marks of other installations
    /// are not listed. Needs the right to list phonenumbers in all namespaces.
    ///
    /// With -o yaml or -o json, print for each number without a PhoneNumber a manifest that takes it over, ready for kubectl
    /// apply -f -.
    Orphans {
        /// The id of the installation, as the operator has it. Default: the UID of the namespace kube-system.
        #[arg(long, env = "PHONENUMBER_INSTALLATION_ID", value_name = "ID")]
        installation_id: Option<String>,

        #[command(flatten)]
        question: Question,
    },

    /// List numbers on sale with what they cost, the cheapest first. Buys nothing.
    ///
    /// The prices are those by which the operator buys. Each account shows a part of what it has, perhaps the same part each
    /// time: where little is shown there may be more.
    ///
    /// With -o yaml or -o json, print a PhoneNumber manifest for each number that is shown, to look through and then to apply
    /// with kubectl apply -f -. Each of them BUYS A NUMBER when it is applied. It asks for a number like these, whichever is on
    /// sale then, for at most the highest monthly price that is shown of the account; with --pin it names the very number.
    /// The same command prints the same names: for more numbers, choose another --name-prefix.
    Search(Request),

    /// Show what numbers of accounts cost by country and type. Buys nothing.
    ///
    /// With -o json, print the file that plan --prices reads: keep it beside the manifests, and renew it each month.
    Prices(prices::Request),

    /// Show what manifests buy, adopt, change and release, and what that costs. Changes nothing.
    ///
    /// With --against-cluster, the manifests are compared with what the cluster has. With --base, they are compared with other
    /// manifests, and neither a cluster nor a credential is needed; prices then come from --prices.
    ///
    /// The exit code is 0 if nothing is bought, adopted or released, 2 if something is, 3 if something is refused or a maximum is
    /// passed, and 1 if there is no answer.
    Plan(Box<plan::Request>),

    /// Show a PhoneNumber as it is declared, held, answered and paid, what differs, its claim and its Events.
    ///
    /// Reads the cluster alone: what is shown of the number is what the operator saw last. Needs the right to get the
    /// PhoneNumber. What else you may not read, the account or the Events, is shown as unknown.
    Status(status::Request),

    /// Explain why a PhoneNumber is not as wanted, and what to do.
    ///
    /// Prints the conditions that are not as wanted, with the runbook's section on the reason and this object's values of
    /// what the section names. Needs the right to get the PhoneNumber.
    Why(why::Request),

    /// Show what deleting PhoneNumbers would give away for good, keep or block. Deletes nothing.
    ///
    /// Release: the number is gone for good. Retain: it stays in the account, and is paid. Blocked: the deletion is refused or
    /// waits. With -f, the objects that manifests declare are looked up in the cluster. Needs the right to list phonenumbers, with
    /// -f to get them.
    ReleasePreview(release_preview::Request),

    /// Show what numbers cost each month, summed by namespace, account, provider, assistant or a label.
    ///
    /// The prices are those that the provider named when the number was bought, in status.cost. Numbers of the accounts that no
    /// PhoneNumber holds have rows of their own, by the lists in the status of the accounts. Amounts in several currencies are
    /// not converted. With -o csv, print a row for each number in columns of FOCUS 1.2, for the present month. Needs the right to
    /// list phonenumbers, and for what no PhoneNumber holds to list provideraccounts; with -A clusterprovideraccounts too.
    Cost(cost::Request),

    /// Check that an installation fits together: definitions, operator, leader, admission policies, accounts.
    ///
    /// The exit code is 0 if every line says ok, else 1. What you may not read is unknown. Needs the right to list
    /// provideraccounts and clusterprovideraccounts, in the operator's namespace to list deployments and to get leases, and in
    /// the cluster to get customresourcedefinitions and to list validatingadmissionpolicies and their bindings.
    Check(check::Request),

    /// Write a folder with a manifest for each number of an account that no PhoneNumber holds, and the way back.
    ///
    /// The folder commits as it is. Applying it takes the numbers over, unmanaged and orphaned ones: nothing is bought or released.
    /// ROLLBACK.md says how to go back, and with --live what each number had before. Needs get on the account and list on
    /// phonenumbers; with --live get on the account's Secret, and for orphaned numbers list on phonenumbers in all namespaces.
    Import(import::Request),

    /// List the numbers of an account that had no call and no message for some days. Releases nothing.
    ///
    /// By the provider's own records: four questions or more for each number, so that a large account takes minutes. A number that is
    /// younger than that is not looked at. <none>: the records show no use at all; they may have been deleted, or be older than the
    /// provider keeps them. Where the records of one number cannot be read, there is no answer.
    Idle(idle::Request),

    /// Write a support bundle: the objects, their Events and the operator's, without Secrets.
    ///
    /// No Secret is read. URLs lose user, password, query and fragment, and variables that are not the operator's own lose their
    /// values. What you may not read is in errors.txt. Look through the files before you hand them on.
    Report(report::Request),

    /// Show the version of the plugin, and those of the definitions and the operator in the cluster.
    ///
    /// What you may not read is shown as unknown.
    Version(version::Request),

    /// Print a script that completes kubectl-phonenumbers in a shell.
    ///
    /// kubectl completes `kubectl phonenumbers` by itself where it finds kubectl_complete-phonenumbers on the PATH.
    Completion(completion::Request),

    /// Print what may stand where the last word is being typed, in kubectl's protocol.
    #[command(name = "__complete", hide = true)]
    Complete(completion::Words),
}

/// What is printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// For standard output.
    pub output: String,
    /// For standard error, a line each.
    pub notes: Vec<String>,
    /// The exit code: 0 unless a command says more by it.
    pub code: u8,
}

/// What is said of a command line that cannot be read, in one line where it is about a value; `None` leaves it to clap.
pub fn bad_value(error: &clap::Error) -> Option<String> {
    use clap::error::ErrorKind::{InvalidValue, ValueValidation};
    if !matches!(error.kind(), InvalidValue | ValueValidation) {
        return None;
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim);
    let first: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    Some(first.join(" "))
}

/// How a wrong command line of `plan` is answered, whose exit codes mean something else: the one line to print, and the exit
/// code. `None` for other commands, and for what is no error.
pub fn wrong_plan(error: &clap::Error, first: Option<&str>) -> Option<(String, u8)> {
    if first != Some("plan") || !error.use_stderr() {
        return None;
    }
    let text = error.to_string();
    let lines = text.lines().map(str::trim);
    let first: Vec<&str> = lines.take_while(|line| !line.is_empty()).collect();
    let help = "See kubectl phonenumbers plan --help.";
    Some((format!("{}. {help}", first.join(" ")), plan::NO_ANSWER))
}

/// Answers what `arguments` ask, with `colours` in tables for people.
///
/// # Errors
/// If the cluster or the provider cannot be read.
pub async fn run(arguments: Arguments, colours: Colours) -> Result<Answer, Error> {
    // Fails only if a provider is installed already, which then is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = answer(arguments.command, colours);
    progress::shown("kubectl phonenumbers is reading", answer).await
}

async fn answer(command: Command, colours: Colours) -> Result<Answer, Error> {
    match command {
        Command::Unmanaged(question) => inventory::unmanaged(question).await,
        Command::Orphans {
            question,
            installation_id,
        } => inventory::orphans(question, installation_id).await,
        Command::Search(request) => search::search(request).await,
        Command::Status(request) => status::status(request, colours).await,
        Command::Why(request) => why::why(request).await,
        Command::ReleasePreview(request) => release_preview::preview(request, colours).await,
        Command::Cost(request) => cost::cost(request).await,
        Command::Check(request) => check::check(request, colours).await,
        Command::Import(request) => import::import(request).await,
        Command::Idle(request) => idle::idle(request).await,
        Command::Report(request) => report::report(request).await,
        Command::Version(request) => version::version(request).await,
        Command::Completion(request) => completion::script(&request),
        Command::Complete(words) => Ok(completion::candidates(&words).await),
        Command::Prices(request) => prices::prices(request).await,
        Command::Plan(request) => plan::plan(*request, colours).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use telephony::number::Provider;

    #[test]
    fn the_columns_of_each_table_are_in_the_reference() {
        let page = include_str!("../../../docs/reference/plugin.md");
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        for headings in [
            check::HEADINGS,
            cost::HEADINGS,
            release_preview::HEADINGS,
            search::HEADINGS,
            inventory::ORPHANS,
            &inventory::unmanaged_headings(Provider::Twilio),
            &inventory::unmanaged_headings(Provider::Telnyx),
        ] {
            let columns = format!("`{}`", headings.join("` `"));
            assert!(page.contains(&columns), "{columns}");
        }
        for column in cost::focus::COLUMNS {
            assert!(page.contains(&format!("`{column}`")), "{column}");
        }
    }

    #[test]
    fn no_flag_means_something_else_in_kubectl() {
        let mut plugin = Arguments::command();
        plugin.build();
        for command in plugin.get_subcommands() {
            let name = command.get_name();
            for arg in command.get_arguments() {
                let long = arg.get_long().unwrap_or_default();
                let wanted = match arg.get_short() {
                    None | Some('h') => continue,
                    Some('n') => "namespace",
                    Some('A') => "all-namespaces",
                    Some('l') => "selector",
                    Some('o') => "output",
                    Some('f') => "filename",
                    Some('R') => "recursive",
                    Some(other) => panic!("{name}: -{other}"),
                };
                assert_eq!(long, wanted, "{name}");
            }
            let takes_a_name = |long: &str| {
                let mut args = command.get_arguments();
                let arg = args.find(|arg| arg.get_long() == Some(long));
                arg.is_none_or(|arg| arg.get_action().takes_values())
            };
            assert!(takes_a_name("cluster") && takes_a_name("user"), "{name}");
        }
    }
}
