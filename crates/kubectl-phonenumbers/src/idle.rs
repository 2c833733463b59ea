//! Numbers of an account that nobody calls or texts, by the provider's own records. Releases nothing.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use telephony::account::Account;
use telephony::number::Holding;
use telephony::provider::{Error as ProviderError, LastUse, Period, Seen};

use super::Answer;
use super::account::{AccountName, DeclaredAccount};
use super::cluster::Cluster;
use super::error::Error;
use super::progress;
use super::scope::Reach;
use super::table::{NONE, age, shown, table};

/// The columns of the table.
pub(super) const HEADINGS: [&str; 6] = ["NUMBER", "ID", "NAME", "AGE", "LAST CALL", "LAST MESSAGE"];

/// How often a number is asked about again that the provider asked to wait with.
const TRIES: u32 = 5;

/// How long it is waited where the provider does not say it.
const PAUSE: Duration = Duration::from_secs(5);

/// The longest pause that is waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// The account: the name of a ProviderAccount of the namespace, or clusterprovideraccount/NAME.
    #[arg(value_name = "ACCOUNT")]
    account: AccountName,

    /// For how many days a number has had no call and no message: 1 to 365.
    #[arg(long, value_name = "DAYS", default_value = "30", value_parser = clap::value_parser!(u16).range(1..=365))]
    days: u16,

    /// Print the table without headings.
    #[arg(long)]
    no_headers: bool,

    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn idle(request: Request) -> Result<Answer, Error> {
    let endpoints = request.reach.endpoints()?;
    let AccountName { kind, name } = request.account;
    let cluster = Cluster::open(request.reach.connection).await?;
    let namespace = &request.reach.operator_namespace;
    let declared =
        DeclaredAccount::read(kind.unwrap_or_default(), &name, namespace, &cluster).await?;
    let (account, begun) = declared.open(&cluster, endpoints).await?;
    let listed = account.list(begun).await;
    listed.map_err(|error| declared.unanswered(&error))?;
    let now = Timestamp::now();
    let period = Period {
        days: request.days,
        since: now - SignedDuration::from_hours(24 * i64::from(request.days)),
    };
    let mut holdings = account.holdings();
    holdings.sort_by(|one, other| (&one.number, &one.id).cmp(&(&other.number, &other.id)));
    // What came within the period could not be idle for as long.
    let (old, young): (Vec<_>, Vec<_>) = holdings.into_iter().partition(|holding| {
        let created = holding.created;
        created.is_none_or(|created| created < period.since)
    });
    let count = old.len();
    let what = format!("Asking for the calls and messages of {count} numbers ...");
    let looked = progress::shown(&what, look(&account, old, period));
    let looked = looked.await.map_err(|error| declared.unanswered(&error))?;
    let idle: Vec<_> = looked.iter().filter(|(_, used)| used.is_idle()).collect();
    let mut answer = Answer::default();
    if !idle.is_empty() {
        let rows: Vec<_> = idle
            .iter()
            .map(|(holding, used)| row(holding, *used, now))
            .collect();
        answer.output = table(&HEADINGS, &rows, request.no_headers);
    }
    let (days, title) = (request.days, declared.title());
    if idle.is_empty() {
        answer.notes.push(format!(
            "No number of {title} that is older than {days} days was idle for as long."
        ));
    }
    if !young.is_empty() {
        let young = young.len();
        answer.notes.push(format!(
            "{young} of the numbers of {title} came within {days} days and were not looked at."
        ));
    }
    Ok(answer)
}

/// The last use of each of `holdings`. A number whose records cannot be read ends it: it must not look idle.
async fn look(
    account: &Account,
    holdings: Vec<Holding>,
    period: Period,
) -> Result<Vec<(Holding, LastUse)>, ProviderError> {
    let mut looked = Vec::with_capacity(holdings.len());
    for holding in holdings {
        let used = last_use(account, &holding, period).await?;
        looked.push((holding, used));
    }
    Ok(looked)
}

async fn last_use(
    account: &Account,
    holding: &Holding,
    period: Period,
) -> Result<LastUse, ProviderError> {
    for _ in 1..TRIES {
        match account.last_use(&holding.number, period).await {
            Err(ProviderError::Throttled(pause)) => {
                tokio::time::sleep(pause.unwrap_or(PAUSE).min(LONGEST_PAUSE)).await;
            }
            answered => return answered,
        }
    }
    account.last_use(&holding.number, period).await
}

fn row(holding: &Holding, used: LastUse, now: Timestamp) -> Vec<String> {
    let ago = |seen: Seen| match seen {
        Seen::Never => NONE.to_owned(),
        Seen::Before(at) | Seen::Within(at) => age(at, now),
    };
    vec![
        holding.number.to_string(),
        shown(holding.id.as_str()),
        shown(&holding.marked_text),
        age(holding.created, now),
        ago(used.call),
        ago(used.message),
    ]
}
