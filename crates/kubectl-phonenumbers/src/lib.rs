//! The kubectl plugin: what provider accounts hold, seen beside what the cluster declares, and what they have on sale. It
//! only reads, in the cluster with the user's own rights and at the provider.

mod account;
mod cluster;
mod error;
mod manifest;
mod purchase;
mod search;
mod survey;
mod table;
mod wishes;

use std::collections::{HashMap, HashSet};

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use phonenumber_api::AccountKind;
use serde_json::Value;
use telephony::account::Endpoints;
use telephony::endpoints::EndpointOptions;
use telephony::number::{Holding, Installation, Origin, Provider};

use account::{AccountName, DeclaredAccount};
use cluster::{Cluster, Connection};
pub use error::Error;
use manifest::Destination;
use search::Request;
use survey::{Known, Orphan};
use table::{NONE, age, answered_by, shown};

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
        #[command(flatten)]
        question: Question,

        /// The id of the installation, as the operator has it. Default: the UID of the namespace kube-system.
        #[arg(long, env = "PHONENUMBER_INSTALLATION_ID", value_name = "ID")]
        installation_id: Option<String>,
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
}

#[derive(Args, Debug)]
struct Question {
    /// The account: the name of a ProviderAccount of the namespace, or clusterprovideraccount/NAME.
    #[arg(value_name = "ACCOUNT")]
    account: AccountName,

    #[command(flatten)]
    scope: Scope,
}

/// Which accounts are meant, how they are reached, and how the answer is printed.
#[derive(Args, Debug)]
struct Scope {
    /// ACCOUNT is the name of a ClusterProviderAccount.
    #[arg(long)]
    cluster: bool,

    #[command(flatten)]
    connection: Connection,

    /// How to print: a table with more columns, manifests, or the names of the manifests. Default: a table.
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Output>,

    /// Print tables without headings.
    #[arg(long)]
    no_headers: bool,

    /// The namespace of the operator, where the Secrets of ClusterProviderAccounts are.
    #[arg(
        long,
        env = "PHONENUMBER_OPERATOR_NAMESPACE",
        default_value = "phonenumber-operator-system",
        value_name = "NAMESPACE"
    )]
    operator_namespace: String,

    #[command(flatten)]
    endpoints: EndpointOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Wide,
    Yaml,
    Json,
    Name,
}

/// What is printed: a table, or manifests in some way.
enum Form {
    Table,
    Manifests(fn(&[Value]) -> Result<String, Error>),
}

impl Output {
    fn form(self) -> Form {
        match self {
            Self::Wide => Form::Table,
            Self::Yaml => Form::Manifests(manifest::yaml),
            Self::Json => Form::Manifests(manifest::list),
            Self::Name => Form::Manifests(manifest::resource_names),
        }
    }
}

/// What is printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// For standard output.
    pub output: String,
    /// For standard error, a line each.
    pub notes: Vec<String>,
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

/// Answers what `arguments` ask.
///
/// # Errors
/// If the cluster or the provider cannot be read.
pub async fn run(arguments: Arguments) -> Result<Answer, Error> {
    // Fails only if a provider is installed already, which then is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match arguments.command {
        Command::Unmanaged(question) => unmanaged(question).await,
        Command::Orphans {
            question,
            installation_id,
        } => orphans(question, installation_id).await,
        Command::Search(request) => search::search(request).await,
    }
}

async fn unmanaged(question: Question) -> Result<Answer, Error> {
    let asked = Asked::open(question).await?;
    let found = survey::unmanaged(asked.holdings().await?);
    let mut answer = Answer::default();
    if found.is_empty() {
        let title = asked.account.title();
        answer.notes = vec![format!("No unmanaged numbers found in {title}.")];
    }
    match asked.output.map_or(Form::Table, Output::form) {
        Form::Table => answer.output = asked.table_of_unmanaged(&found),
        Form::Manifests(print) => {
            let known = asked.cluster.phone_numbers_here().await?;
            answer.output = print(&asked.manifests(found, &known, &mut answer.notes))?;
        }
    }
    Ok(answer)
}

async fn orphans(question: Question, installation_id: Option<String>) -> Result<Answer, Error> {
    let asked = Asked::open(question).await?;
    let installation = match installation_id {
        Some(id) => Installation::new(id),
        None => asked.cluster.installation().await?,
    };
    // Before and after the provider: a number that is bought or released meanwhile is no orphan.
    let mut known = asked.cluster.phone_numbers().await?;
    let holdings = asked.holdings().await?;
    let after = asked.cluster.phone_numbers().await?;
    let seen: HashSet<_> = after.iter().map(|known| known.owner.clone()).collect();
    known.retain(|known| !seen.contains(&known.owner));
    known.extend(after);
    let found = survey::orphans(holdings, &installation, &known);
    let mut answer = Answer::default();
    if found.is_empty() {
        let title = asked.account.title();
        answer.notes = vec![format!("No orphaned numbers found in {title}.")];
    }
    match asked.output.map_or(Form::Table, Output::form) {
        Form::Table => answer.output = asked.table_of_orphans(&found),
        Form::Manifests(print) => {
            let mut without = Vec::new();
            for orphan in found {
                match &orphan.owner {
                    None => without.push(orphan.holding),
                    Some(owner) => answer.notes.push(format!(
                        "{} is left out: it carries the mark of PhoneNumber {owner}, which exists and holds another number. \
                         Release it at {}, or take the mark out of its name there and list it with unmanaged.",
                        orphan.holding.number,
                        asked.account.provider(),
                    )),
                }
            }
            answer.output = print(&asked.manifests(without, &known, &mut answer.notes))?;
        }
    }
    Ok(answer)
}

impl Scope {
    /// Where the providers are.
    fn endpoints(&self) -> Result<Endpoints, Error> {
        let endpoints = self.endpoints.endpoints();
        let (endpoints, _) = endpoints.map_err(|error| Error::Flag(error.to_string()))?;
        Ok(endpoints)
    }

    /// The kind of the account that `named` means.
    fn kind(&self, named: &AccountName) -> Result<AccountKind, Error> {
        match (named.kind, self.cluster) {
            (Some(AccountKind::ProviderAccount), true) => {
                let why = "--cluster is for ClusterProviderAccounts: leave it out, or name the account alone";
                Err(Error::Flag(why.to_owned()))
            }
            (_, true) => Ok(AccountKind::ClusterProviderAccount),
            (kind, false) => Ok(kind.unwrap_or_default()),
        }
    }
}

/// A question with the cluster and the account that it is about.
struct Asked {
    cluster: Cluster,
    account: DeclaredAccount,
    endpoints: Endpoints,
    output: Option<Output>,
    no_headers: bool,
}

impl Asked {
    async fn open(question: Question) -> Result<Self, Error> {
        let scope = question.scope;
        let endpoints = scope.endpoints()?;
        let kind = scope.kind(&question.account)?;
        let name = question.account.name;
        let cluster = Cluster::open(scope.connection).await?;
        let namespace = &scope.operator_namespace;
        let account = DeclaredAccount::read(kind, &name, namespace, &cluster).await?;
        Ok(Self {
            cluster,
            account,
            endpoints,
            output: scope.output,
            no_headers: scope.no_headers,
        })
    }

    async fn holdings(&self) -> Result<Vec<Holding>, Error> {
        self.account
            .holdings(&self.cluster, self.endpoints.clone())
            .await
    }

    /// The manifests that take `found` over, except what `known` declare already.
    fn manifests(
        &self,
        mut found: Vec<Holding>,
        known: &[Known],
        notes: &mut Vec<String>,
    ) -> Vec<Value> {
        let to = Destination {
            namespace: self.cluster.namespace().to_owned(),
            provider: self.account.provider(),
            kind: self.account.kind,
            account: self.account.name.clone(),
        };
        let declared: HashMap<&str, &Known> = known
            .iter()
            .filter_map(|known| Some((known.number.as_deref()?, known)))
            .collect();
        found.retain(|holding| {
            let declarer = declared.get(holding.number.as_str());
            if let Some(known) = declarer {
                notes.push(format!(
                    "{} is left out: PhoneNumber {} declares it already. To take it over there, set adoptionPolicy: Adopt.",
                    holding.number, known.owner
                ));
            }
            declarer.is_none()
        });
        let here = known
            .iter()
            .filter(|known| known.owner.namespace == to.namespace);
        let taken = here.map(|known| known.owner.name.clone()).collect();
        manifest::manifests(&found, &to, &taken)
    }

    fn table_of_unmanaged(&self, found: &[Holding]) -> String {
        let wide = self.is_wide();
        let mut headings = vec!["NUMBER", "ID", self.name_heading(), "AGE"];
        if wide {
            headings.extend(["CALLS", "MESSAGES"]);
        }
        let now = Timestamp::now();
        let row = |holding: &Holding| {
            let mut row = vec![
                holding.number.to_string(),
                shown(holding.id.as_str()),
                shown(&holding.marked_text),
                age(holding.created, now),
            ];
            if wide {
                row.extend(answered_by(holding));
            }
            row
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        self.table(&headings, &rows)
    }

    fn table_of_orphans(&self, found: &[Orphan]) -> String {
        let wide = self.is_wide();
        let mut headings = vec!["NUMBER", "ID", "REASON", "PHONENUMBER", "ORIGIN", "AGE"];
        if wide {
            headings.extend([self.name_heading(), "CALLS", "MESSAGES"]);
        }
        let now = Timestamp::now();
        let row = |orphan: &Orphan| {
            let (reason, owner) = match &orphan.owner {
                None => ("NoPhoneNumber", NONE.to_owned()),
                Some(owner) => ("HoldsAnother", owner.to_string()),
            };
            let origin = match orphan.mark.origin() {
                Origin::Bought => "Bought",
                Origin::Adopted => "Adopted",
            };
            let holding = &orphan.holding;
            let mut row = vec![
                holding.number.to_string(),
                shown(holding.id.as_str()),
                reason.to_owned(),
                owner,
                origin.to_owned(),
                age(holding.created, now),
            ];
            if wide {
                row.push(shown(&holding.marked_text));
                row.extend(answered_by(holding));
            }
            row
        };
        let rows: Vec<_> = found.iter().map(row).collect();
        self.table(&headings, &rows)
    }

    fn is_wide(&self) -> bool {
        self.output == Some(Output::Wide)
    }

    /// What the provider calls the field that people name numbers in, and the operator marks them in.
    fn name_heading(&self) -> &'static str {
        match self.account.provider() {
            Provider::Twilio => "FRIENDLY NAME",
            Provider::Telnyx => "CUSTOMER REFERENCE",
        }
    }

    fn table(&self, headings: &[&str], rows: &[Vec<String>]) -> String {
        if rows.is_empty() {
            return String::new();
        }
        table::table(headings, rows, self.no_headers)
    }
}
