//! What is on sale, at one account or several side by side, and the manifests that buy it.

mod blame;

use std::sync::Arc;

use clap::{Args, value_parser};
use telephony::account::Account;
use telephony::number::{Capabilities, Description, Offer, Search};

use super::Answer;
use super::account::{AccountName, DeclaredAccount, Sale};
use super::cluster::Cluster;
use super::error::Error;
use super::manifest::Destination;
use super::purchase::{self, Terms};
use super::scope::{Form, Output, Scope};
use super::table::{NONE, UNKNOWN, shown, table};
use super::wishes::Wishes;

/// The columns of the table; `-o wide` adds some.
pub(super) const HEADINGS: &[&str] = &[
    "NUMBER",
    "ACCOUNT",
    "PROVIDER",
    "TYPE",
    "PLACE",
    "CAPABILITIES",
    "MONTHLY",
    "SETUP",
    "CURRENCY",
];

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// The accounts: names of ProviderAccounts of the namespace, or clusterprovideraccount/NAME.
    #[arg(value_name = "ACCOUNT", required = true)]
    accounts: Vec<AccountName>,

    #[command(flatten)]
    wishes: Wishes,

    /// How many numbers of each account are shown at most: 1 to 100.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u8).range(1..=100))]
    limit: u8,

    /// With -o yaml, json or name: the manifests name the very numbers that are shown.
    #[arg(long, requires = "output")]
    pin: bool,

    /// With -o yaml, json or name: how the names of the manifests begin. Default: the country and the type, such as us-local.
    #[arg(long, value_name = "PREFIX", requires = "output", value_parser = purchase::prefix)]
    name_prefix: Option<String>,

    /// With -o yaml, json or name: the Burki assistant that answers the numbers.
    #[arg(long, value_name = "ID", requires = "output", value_parser = value_parser!(i64).range(1..=9_007_199_254_740_991))]
    assistant: Option<i64>,

    #[command(flatten)]
    scope: Scope,
}

/// An account, and what it has on sale that is as wanted, the cheapest first.
struct Stall {
    account: DeclaredAccount,
    /// The account at the provider.
    opened: Arc<Account>,
    offers: Vec<Offer>,
}

pub(super) async fn search(request: Request) -> Result<Answer, Error> {
    let scope = request.scope;
    let endpoints = scope.reach.endpoints()?;
    let mut named = Vec::new();
    for account in &request.accounts {
        let account = (account.kind.unwrap_or_default(), account.name.as_str());
        if !named.contains(&account) {
            named.push(account);
        }
    }
    let cluster = Cluster::open(scope.reach.connection).await?;
    let mut accounts = Vec::new();
    for (kind, name) in named {
        let namespace = &scope.reach.operator_namespace;
        accounts.push(DeclaredAccount::read(kind, name, namespace, &cluster).await?);
    }
    let search = Search::from(request.wishes);
    let limit = usize::from(request.limit);
    let mut answer = Answer::default();
    let mut stalls = Vec::new();
    for account in accounts {
        let (opened, _) = account.open(&cluster, endpoints.clone()).await?;
        let sale = account.on_sale(&opened, &search).await?;
        let title = account.title();
        let none = none_found(&sale, &account);
        let no_prices = sale.no_prices.as_deref().map(|why| {
            let provider = account.provider();
            format!("What numbers cost for {title} is not known: the price list of {provider} cannot be read: {why}.")
        });
        let offers = cheapest(sale.offers, &search, limit);
        if offers.is_empty() {
            answer.notes.push(none);
        } else {
            answer.notes.extend(no_prices);
        }
        stalls.push(Stall {
            account,
            opened,
            offers,
        });
    }
    let is_empty = stalls.iter().all(|stall| stall.offers.is_empty());
    if is_empty {
        for stall in &stalls {
            let blamed = blame::blame(&stall.account, &stall.opened, &search);
            answer.notes.extend(blamed.await);
        }
    }
    match scope.output.map_or(Form::Table, Output::form) {
        _ if is_empty => {}
        Form::Table => {
            let wide = scope.output == Some(Output::Wide);
            answer.output = table_of(&stalls, &search, wide, scope.no_headers);
        }
        Form::Manifests(print) => {
            let terms = Terms {
                prefix: request.name_prefix,
                assistant: request.assistant,
                pin: request.pin,
            };
            let names: Vec<&str> = stalls
                .iter()
                .map(|stall| stall.account.name.as_str())
                .collect();
            let stems = purchase::stems(&terms, &search, &names);
            let mut manifests = Vec::new();
            for (stall, stem) in stalls.iter().zip(&stems) {
                let to = stall.destination(&cluster);
                manifests.extend(purchase::manifests(
                    &stall.offers,
                    &search,
                    &to,
                    stem,
                    &terms,
                ));
                answer.notes.extend(stall.warnings(limit, terms.pin));
            }
            answer.output = print(&manifests)?;
        }
    }
    Ok(answer)
}

impl Stall {
    fn destination(&self, cluster: &Cluster) -> Destination {
        Destination {
            namespace: cluster.namespace().to_owned(),
            provider: self.account.provider(),
            kind: self.account.kind,
            account: self.account.name.clone(),
        }
    }

    /// What a person should know who applies the manifests.
    fn warnings(&self, limit: usize, pin: bool) -> Vec<String> {
        let (title, provider) = (self.account.title(), self.account.provider());
        let count = self.offers.len();
        let mut warnings = Vec::new();
        if (1..limit).contains(&count) {
            warnings.push(format!(
                "{provider} shows {count} of the {limit} numbers that were asked for in {title}."
            ));
        }
        let is_known = self.offers.iter().any(|offer| offer.price.is_some());
        if count > 0 && !is_known && !pin {
            warnings.push(format!(
                "warning: the manifests for {title} have no maxMonthlyCost: no price is known there. Set one before you apply them."
            ));
        }
        warnings
    }
}

/// That there is nothing on sale, and what is known of why.
fn none_found(sale: &Sale, account: &DeclaredAccount) -> String {
    let (title, provider) = (account.title(), account.provider());
    let why = match (&sale.refusal, sale.offers.len()) {
        (Some(refusal), _) => format!("{provider} offers nothing there: {refusal}."),
        (None, 0) => format!("{provider} shows nothing that is as wanted."),
        (None, count) => format!(
            "of the {count} that {provider} shows, none has the country, the type and the digits that are wanted."
        ),
    };
    format!("No numbers found in {title}: {why}")
}

/// The first `limit` of `offers` that are as `search` wants also by their digits, as [`order`] has them.
fn cheapest(mut offers: Vec<Offer>, search: &Search, limit: usize) -> Vec<Offer> {
    offers.sort_by_cached_key(order);
    offers.dedup_by_key(|offer| offer.number);
    let fitting = offers
        .into_iter()
        .filter(|offer| search.fits(&offer.number));
    fitting.take(limit).collect()
}

/// By currency the cheapest first, then by number; what has no known price comes last.
fn order(offer: &Offer) -> impl Ord + use<> {
    let price = offer.price.clone();
    let price = price.map(|price| (price.currency, price.monthly, price.upfront));
    (price.is_none(), price, offer.number)
}

fn table_of(stalls: &[Stall], search: &Search, wide: bool, bare: bool) -> String {
    let mut headings = HEADINGS.to_vec();
    if wide {
        headings.extend(["COUNTRY", "ACCOUNT-KIND"]);
    }
    let rows = stalls
        .iter()
        .flat_map(|stall| stall.offers.iter().map(|offer| (offer, &stall.account)));
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_cached_key(|(offer, _)| order(offer));
    let row = |(offer, account): &(&Offer, &DeclaredAccount)| {
        let mut row = vec![
            offer.number.to_string(),
            account.name.clone(),
            account.provider().to_string(),
            search.kind.to_string(),
            place(&offer.description),
            able(&offer.description.capabilities),
        ];
        row.extend(costs(offer));
        if wide {
            row.extend([search.country.clone(), account.kind.to_string()]);
        }
        row
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    table(&headings, &rows, bare)
}

/// The monthly price, what is to be paid once, and their currency.
fn costs(offer: &Offer) -> [String; 3] {
    match &offer.price {
        None => [UNKNOWN, UNKNOWN, UNKNOWN].map(str::to_owned),
        Some(price) => [
            price.monthly.to_string(),
            price.upfront.to_string(),
            price.currency.to_string(),
        ],
    }
}

/// The place with its state or province, as far as the provider tells.
fn place(description: &Description) -> String {
    let parts = [&description.locality, &description.region];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    shown(&parts.join(", "))
}

fn able(capabilities: &Capabilities) -> String {
    let can = [
        ("voice", capabilities.voice),
        ("sms", capabilities.sms),
        ("mms", capabilities.mms),
        ("fax", capabilities.fax),
    ];
    let can: Vec<&str> = can
        .iter()
        .filter(|(_, can)| *can)
        .map(|(name, _)| *name)
        .collect();
    match can.is_empty() {
        true => NONE.to_owned(),
        false => can.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use telephony::number::Price;

    fn offer(number: &str, price: Option<[&str; 3]>) -> Offer {
        Offer {
            number: number.parse().unwrap(),
            price: price
                .map(|[monthly, setup, currency]| Price::read(monthly, setup, currency).unwrap()),
            description: Description::default(),
        }
    }

    fn search(change: serde_json::Value) -> Search {
        let mut search = json!({"country": "US"});
        for (field, value) in change.as_object().unwrap() {
            search[field] = value.clone();
        }
        serde_json::from_value(search).unwrap()
    }

    fn numbers(offers: &[Offer]) -> Vec<&str> {
        offers.iter().map(|offer| offer.number.as_str()).collect()
    }

    #[test]
    fn the_cheapest_come_first_by_currency_and_those_without_a_price_last() {
        let offers = vec![
            offer("+12125550101", None),
            offer("+12125550102", Some(["10", "0", "USD"])),
            offer("+12125550103", Some(["9.50", "0", "USD"])),
            offer("+12125550104", Some(["9.5", "1", "USD"])),
            offer("+12125550106", Some(["9.5", "0", "USD"])),
            offer("+12125550105", Some(["20", "0", "EUR"])),
            offer("+12125550100", None),
            offer("+12125550100", None),
        ];
        let sorted = cheapest(offers.clone(), &search(json!({})), 100);
        let ends: Vec<_> = numbers(&sorted)
            .into_iter()
            .map(|number| &number[10..])
            .collect();
        assert_eq!(ends, ["05", "03", "06", "04", "02", "00", "01"]);
        let three = cheapest(offers, &search(json!({})), 3);
        assert_eq!(three, sorted[..3]);
    }

    #[test]
    fn what_does_not_fit_by_its_digits_is_not_shown_and_takes_no_place() {
        let offers = vec![
            offer("+13125550101", Some(["1", "0", "USD"])),
            offer("+18885550101", Some(["1", "0", "USD"])),
            offer("+12125550101", Some(["2", "0", "USD"])),
        ];
        let found = cheapest(offers, &search(json!({"areaCode": "212"})), 1);
        assert_eq!(numbers(&found), ["+12125550101"]);
    }

    #[test]
    fn a_row_tells_what_is_known() {
        let unknown = offer("+12125550101", None);
        assert_eq!(costs(&unknown), [UNKNOWN; 3]);
        assert_eq!(place(&unknown.description), NONE);
        assert_eq!(able(&unknown.description.capabilities), NONE);
        let known = offer("+12125550101", Some(["1.150", "0", "usd"]));
        assert_eq!(costs(&known), ["1.15", "0", "USD"]);
        let described = Description {
            capabilities: Capabilities {
                voice: true,
                mms: true,
                ..Capabilities::default()
            },
            locality: Some("New\u{1b}[2J York".into()),
            region: Some("NY".into()),
        };
        assert_eq!(place(&described), "New?[2J York, NY");
        assert_eq!(able(&described.capabilities), "voice,mms");
        let region = Description {
            locality: None,
            ..described
        };
        assert_eq!(place(&region), "NY");
    }
}
