//! What a change of manifests buys, adopts, changes and releases, and what it costs, before anything is applied. Nothing is
//! written.

mod accounts;
mod admission;
mod decide;
mod live;
mod manifests;
mod money;
mod offline;
mod paths;
mod render;
mod situation;
mod structure;

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, ValueEnum};
use jiff::Timestamp;

use super::Answer;
use super::colour::Colours;
use super::error::Error;
use super::prices::list::PriceList;
use super::scope::Reach;
use admission::Definitions;
use manifests::Place;
use money::{Maxima, Maximum};
use render::Report;
use situation::Verdict;

/// The exit code where there is no answer, or the command is wrong.
pub(super) const NO_ANSWER: u8 = 1;

/// The exit code where something is bought, adopted or released.
const SPENDS: u8 = 2;

/// The exit code where something is refused, or a maximum is passed.
const REFUSED: u8 = 3;

/// What a person asks for.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("old").required(true).args(["base", "against_cluster"])))]
pub(super) struct Request {
    /// The manifests: a file, a folder, or - for standard input. May be repeated.
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true)]
    files: Vec<PathBuf>,

    /// Read folders in folders too, also those of --base.
    #[arg(short = 'R', long)]
    recursive: bool,

    /// Compare with the manifests of this file or folder, such as those of the target branch. Asks no cluster.
    #[arg(long, value_name = "PATH")]
    base: Option<PathBuf>,

    /// Compare with what the cluster has.
    #[arg(long)]
    against_cluster: bool,

    /// With --against-cluster: PhoneNumbers of the namespaces of the manifests that are not in the manifests count as deleted,
    /// as where a GitOps tool prunes.
    #[arg(long, conflicts_with = "base")]
    prune: bool,

    /// The prices that kubectl phonenumbers prices ACCOUNT -o json printed. No provider is asked then.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,

    /// How to print.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,

    /// Print the table without headings.
    #[arg(long)]
    no_headers: bool,

    /// The most that may be paid more each month, such as 50USD. May be repeated for other currencies.
    #[arg(long, value_name = "AMOUNT")]
    max_monthly_increase: Vec<Maximum>,

    /// The most that may be paid once, such as 10USD. May be repeated for other currencies.
    #[arg(long, value_name = "AMOUNT")]
    max_upfront: Vec<Maximum>,

    /// The id of the installation, as the operator has it. Default: the UID of the namespace kube-system.
    #[arg(long, env = "PHONENUMBER_INSTALLATION_ID", value_name = "ID")]
    installation_id: Option<String>,

    #[command(flatten)]
    reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
    Markdown,
}

/// What was decided, and what a reader should know of it.
#[derive(Debug, Default)]
struct Decided {
    verdicts: Vec<Verdict>,
    notes: Vec<String>,
}

pub(super) async fn plan(request: Request, colours: Colours) -> Result<Answer, Error> {
    let definitions = Definitions::of_this_version()?;
    let mut notes = Vec::new();
    let prices = request
        .prices
        .as_deref()
        .map(|file| prices(file, &mut notes));
    let prices = prices.transpose()?;
    let new: Vec<Place<'_>> = request
        .files
        .iter()
        .map(|path| Place {
            path,
            is_recursive: request.recursive,
        })
        .collect();
    let decided = match &request.base {
        Some(base) => {
            let base = Place {
                path: base,
                is_recursive: request.recursive,
            };
            let namespace = request.reach.connection.namespace_without_cluster();
            let new = manifests::read(&new, &namespace)?;
            let base = manifests::read(&[base], &namespace)?;
            offline::decide(&new, &base, prices, &definitions)
        }
        None => live::decide(&new, prices, &request, &definitions).await?,
    };
    notes.extend(decided.notes);
    let maxima = Maxima {
        monthly: request.max_monthly_increase,
        upfront: request.max_upfront,
    };
    let passed = |totals: &_| maxima.passed(totals);
    let report = Report::new(decided.verdicts, passed, notes, request.against_cluster);
    answer(&report, request.output, request.no_headers, colours)
}

fn answer(report: &Report, output: Output, bare: bool, colours: Colours) -> Result<Answer, Error> {
    let mut notes = Vec::new();
    let output = match output {
        Output::Table => {
            notes.push(report.sentence());
            report.table(bare, colours)
        }
        Output::Json => report.json()?,
        Output::Markdown => report.markdown(),
    };
    notes.extend(report.passed.iter().cloned());
    notes.extend(report.notes.iter().cloned());
    Ok(Answer {
        output,
        notes,
        code: report.code(),
    })
}

/// The prices in `file`, with a warning where they are old.
fn prices(file: &Path, notes: &mut Vec<String>) -> Result<PriceList, Error> {
    let renew = "Write it again with kubectl phonenumbers prices ACCOUNT -o json";
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|why| Error::Manifest(format!("cannot read {shown}: {why}. {renew}")))?;
    let list = PriceList::read(&text)
        .map_err(|why| Error::Manifest(format!("{shown} holds no prices: {why}. {renew}")))?;
    if let Some(days) = list.days_if_old(Timestamp::now()) {
        notes.push(format!(
            "warning: the prices in {shown} are {days} days old. {renew}."
        ));
    }
    Ok(list)
}
