//! What numbers of an account cost by country and type, for people and for a file that a plan reads.

pub(crate) mod list;

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use kube::api::ListParams;
use phonenumber_api::{AccountKey, AccountKind, PhoneNumber};
use telephony::account::{Account, Endpoints};
use telephony::number::{Kind, Price, Provider, Search};
use telephony::provider::Error as ProviderError;

use super::account::{AccountName, DeclaredAccount};
use super::cluster::Cluster;
use super::error::Error;
use super::scope::Reach;
use super::table::{UNKNOWN, table};
use super::{Answer, wishes};
use list::{AccountPrices, Entry, PriceList};

/// Every type of number.
const KINDS: [Kind; 3] = [Kind::Local, Kind::Mobile, Kind::TollFree];

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// The accounts: names of ProviderAccounts of the namespace, or clusterprovideraccount/NAME.
    #[arg(value_name = "ACCOUNT", required = true)]
    accounts: Vec<AccountName>,

    /// A country, as ISO 3166 alpha-2, such as US. May be repeated. Default: the countries that the account allows, else those
    /// of the PhoneNumbers of the namespace that use it.
    #[arg(long = "country", value_name = "COUNTRY", value_parser = wishes::country)]
    countries: Vec<String>,

    /// How to print: a table, or the file that plan --prices reads.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,

    /// Print the table without headings.
    #[arg(long)]
    no_headers: bool,

    #[command(flatten)]
    reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

pub(super) async fn prices(request: Request) -> Result<Answer, Error> {
    let endpoints = request.reach.endpoints()?;
    let mut named = Vec::new();
    for account in &request.accounts {
        let kind = account.kind.unwrap_or_default();
        if !named.contains(&(kind, account.name.as_str())) {
            named.push((kind, account.name.as_str()));
        }
    }
    let cluster = Cluster::open(request.reach.connection).await?;
    let mut answer = Answer::default();
    let mut listed = Vec::new();
    for (kind, name) in named {
        let namespace = &request.reach.operator_namespace;
        let account = DeclaredAccount::read(kind, name, namespace, &cluster).await?;
        let countries = match request.countries.is_empty() {
            true => countries(&account, &cluster).await?,
            false => request.countries.iter().cloned().collect(),
        };
        let wanted = wanted(&account, &countries);
        let found = account.prices(&wanted, &cluster, endpoints.clone()).await?;
        answer.notes.extend(notes(&account, &found));
        listed.push(account_prices(&account, found, cluster.namespace()));
    }
    let list = PriceList::new(Timestamp::now(), listed);
    answer.output = match request.output {
        Output::Table => table_of(&list, request.no_headers),
        Output::Json => list
            .text()
            .map_err(|error| Error::Flag(error.to_string()))?,
    };
    Ok(answer)
}

/// The countries that `account` allows, else those of the PhoneNumbers of the namespace that use it.
async fn countries(
    account: &DeclaredAccount,
    cluster: &Cluster,
) -> Result<BTreeSet<String>, Error> {
    let allowed = &account.spec.limits.allowed_countries;
    if !allowed.is_empty() {
        return Ok(allowed.iter().cloned().collect());
    }
    let mut countries = BTreeSet::new();
    let objects = cluster.values::<PhoneNumber>(Some(cluster.namespace()), ListParams::default());
    for object in objects.await? {
        // What this version cannot decode names no country.
        let Ok(number) = serde_json::from_value::<PhoneNumber>(object) else {
            continue;
        };
        let key = AccountKey::of(&number);
        if (key.kind, key.name.as_str()) != (account.kind, account.name.as_str()) {
            continue;
        }
        let place = || {
            let number = number.spec.phone_number.as_deref()?.parse();
            let number: telephony::number::E164 = number.ok()?;
            Some(number.place()?.country)
        };
        let search = number.spec.search.as_ref();
        countries.extend(search.map(|search| search.country.clone()).or_else(place));
    }
    if countries.is_empty() {
        return Err(Error::Missing {
            what: format!(
                "{} allows every country, and no PhoneNumber of namespace {} uses it",
                account.title(),
                cluster.namespace()
            ),
            next: "Name countries with --country".to_owned(),
        });
    }
    Ok(countries)
}

/// The countries and types that prices are asked for: a type that the account does not allow is left out.
fn wanted(account: &DeclaredAccount, countries: &BTreeSet<String>) -> Vec<(String, Kind)> {
    let allowed = &account.spec.limits.allowed_types;
    let kinds = KINDS.into_iter();
    let kinds: Vec<_> = kinds
        .filter(|kind| allowed.is_empty() || allowed.contains(kind))
        .collect();
    let of_country = |country: &String| {
        let kinds = kinds.iter();
        kinds
            .map(|kind| (country.clone(), *kind))
            .collect::<Vec<_>>()
    };
    countries.iter().flat_map(of_country).collect()
}

fn notes(account: &DeclaredAccount, found: &[Entry]) -> Vec<String> {
    let title = account.title();
    let mut notes = Vec::new();
    if account.provider() == Provider::Telnyx && found.iter().any(|entry| entry.price.is_some()) {
        notes.push(format!(
            "Telnyx has no price list: the prices of {title} are the highest that a search shows now."
        ));
    }
    if found.iter().all(|entry| entry.price.is_none()) {
        notes.push(format!(
            "{} names no price for {title}.",
            account.provider()
        ));
    }
    notes
}

fn account_prices(account: &DeclaredAccount, prices: Vec<Entry>, namespace: &str) -> AccountPrices {
    let namespace = match account.kind {
        AccountKind::ProviderAccount => Some(namespace.to_owned()),
        AccountKind::ClusterProviderAccount => None,
    };
    AccountPrices {
        kind: account.kind,
        namespace,
        name: account.name.clone(),
        provider: account.provider(),
        prices,
    }
}

impl DeclaredAccount {
    /// What numbers of these countries and types cost, now.
    pub(super) async fn prices(
        &self,
        wanted: &[(String, Kind)],
        cluster: &Cluster,
        endpoints: Endpoints,
    ) -> Result<Vec<Entry>, Error> {
        let (account, _) = self.open(cluster, endpoints).await?;
        let mut entries = Vec::new();
        for (country, kind) in wanted {
            let asked = price(&account, self.provider(), country, *kind).await;
            let price = asked.map_err(|error| self.unanswered(&error))?;
            entries.push(Entry {
                country: country.clone(),
                kind: *kind,
                price,
            });
        }
        Ok(entries)
    }
}

/// What a number of this type costs in this country: by the price list, and where the provider has none, the highest price of
/// what a search shows. `None` where the provider names none.
pub(super) async fn price(
    account: &Account,
    provider: Provider,
    country: &str,
    kind: Kind,
) -> Result<Option<Price>, ProviderError> {
    let asked = match provider {
        Provider::Twilio => account.price(country, kind).await,
        Provider::Telnyx => {
            let search = Search {
                country: country.to_owned(),
                kind,
                area_code: None,
                contains: None,
                locality: None,
                region: None,
                capabilities: Vec::new(),
            };
            account.on_sale(&search).await.map(|offers| {
                let prices = offers.into_iter().filter_map(|offer| offer.price);
                prices.max_by_key(|price| (price.currency.clone(), price.monthly, price.upfront))
            })
        }
    };
    match asked {
        // The country, or the type there, is not sold.
        Err(ProviderError::Refused(_)) => Ok(None),
        asked => asked,
    }
}

fn table_of(list: &PriceList, bare: bool) -> String {
    let headings = [
        "ACCOUNT", "PROVIDER", "COUNTRY", "TYPE", "MONTHLY", "SETUP", "CURRENCY",
    ];
    let rows = list.accounts.iter().flat_map(|account| {
        account.prices.iter().map(|entry| {
            let price = entry.price.as_ref();
            let text = |of: fn(&Price) -> String| price.map_or_else(|| UNKNOWN.to_owned(), of);
            vec![
                account.name.clone(),
                account.provider.to_string(),
                entry.country.clone(),
                entry.kind.to_string(),
                text(|price| price.monthly.to_string()),
                text(|price| price.upfront.to_string()),
                text(|price| price.currency.to_string()),
            ]
        })
    });
    let rows: Vec<_> = rows.collect();
    match rows.is_empty() {
        true => String::new(),
        false => table(&headings, &rows, bare),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_where_no_price_is_known() {
        let entries = [
            ("US", Kind::Local, Price::read("1.15", "0", "USD")),
            ("US", Kind::Mobile, None),
        ];
        let prices = entries.map(|(country, kind, price)| Entry {
            country: country.to_owned(),
            kind,
            price,
        });
        let account = AccountPrices {
            kind: AccountKind::ClusterProviderAccount,
            namespace: None,
            name: "shared".into(),
            provider: Provider::Twilio,
            prices: prices.to_vec(),
        };
        let list = PriceList::new(Timestamp::UNIX_EPOCH, vec![account]);
        let wanted = "\
ACCOUNT   PROVIDER   COUNTRY   TYPE     MONTHLY     SETUP       CURRENCY
shared    twilio     US        local    1.15        0           USD
shared    twilio     US        mobile   <unknown>   <unknown>   <unknown>
";
        assert_eq!(table_of(&list, false), wanted);
        assert_eq!(
            table_of(&PriceList::new(Timestamp::UNIX_EPOCH, vec![]), false),
            ""
        );
    }
}
