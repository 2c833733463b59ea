//! Numbers of an account that nobody calls or texts, by the provider's own records. Releases nothing.

use std::future::Future;
use std::time::Duration;

use clap::Args;
use futures::{StreamExt, stream};
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

/// How many numbers are asked about at once.
const AT_ONCE: usize = 8;

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
    let looked = in_order(old, async |holding| {
        let used = last_use(&account, &holding, period).await?;
        Ok((holding, used))
    });
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

/// What `ask` answers of each of `items`, in their order, [`AT_ONCE`] at a time. The first error ends it: a number whose records
/// cannot be read must not look idle.
async fn in_order<T, A, E, F>(items: Vec<T>, ask: impl Fn(T) -> F) -> Result<Vec<A>, E>
where
    F: Future<Output = Result<A, E>>,
{
    let count = items.len();
    let mut answers = stream::iter(items).map(ask).buffered(AT_ONCE).enumerate();
    let mut answered = Vec::with_capacity(count);
    while let Some((at, answer)) = answers.next().await {
        answered.push(answer?);
        progress::now_doing(format!(
            "calls and messages of {} of {count} numbers are known",
            at.saturating_add(1)
        ));
    }
    Ok(answered)
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::time::sleep;

    #[tokio::test(start_paused = true)]
    async fn eight_numbers_are_asked_about_at_once_and_answers_keep_their_order() {
        let (now, most) = (Cell::new(0), Cell::new(0));
        let items: Vec<u64> = (0..30).collect();
        let ask = async |item: u64| {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            // The later ones of each eight are answered first.
            sleep(Duration::from_millis(10 - item % 8)).await;
            now.set(now.get() - 1);
            Ok::<_, ()>(item)
        };
        assert_eq!(in_order(items.clone(), ask).await, Ok(items.clone()));
        assert_eq!(most.get(), AT_ONCE);
        let refused = async |item: u64| if item == 5 { Err("no") } else { Ok(item) };
        assert_eq!(in_order(items, refused).await, Err("no"));
    }
}
