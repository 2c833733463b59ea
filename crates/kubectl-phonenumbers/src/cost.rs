//! What numbers cost each month: those that PhoneNumbers hold, summed by what a person asks for, and those of the accounts that none
//! holds. The prices of the former are those of `status.cost`: what the provider said when the number was bought. Reads the cluster
//! alone.

pub(super) mod focus;
mod unheld;

use std::collections::BTreeMap;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use kube::ResourceExt;
use phonenumber_api::{AccountKind, PhoneNumber, account_name};
use serde_json::{Value, json};

use super::Answer;
use super::cluster::{Cluster, Connection, Selection};
use super::error::Error;
use super::table::{NONE, UNKNOWN, shown, table};
use super::total::{Total, monthly_price, price};
use unheld::Unheld;

/// The columns of the table.
pub(super) const HEADINGS: &[&str] = &["GROUP", "NUMBERS", "MONTHLY", "SETUP", "CURRENCY"];

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// What the sums are by: namespace, account, provider, assistant, or label=KEY.
    #[arg(long, value_name = "WHAT", default_value = "namespace")]
    by: By,

    /// How to print: a table, JSON, or a CSV row for each number in columns of FOCUS.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,

    /// Print tables and CSV without headings.
    #[arg(long)]
    no_headers: bool,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Csv,
    Json,
}

/// What numbers have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
enum By {
    Namespace,
    Account,
    Provider,
    Assistant,
    Label(String),
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("label", key)) if !key.is_empty() => return Ok(Self::Label(key.to_owned())),
            _ => {}
        }
        match text {
            "namespace" => Ok(Self::Namespace),
            "account" => Ok(Self::Account),
            "provider" => Ok(Self::Provider),
            "assistant" => Ok(Self::Assistant),
            _ => Err("it is namespace, account, provider, assistant or label=KEY".to_owned()),
        }
    }
}

impl By {
    /// What `number` has of it; `None` if it has nothing.
    fn of(&self, number: &PhoneNumber) -> Option<String> {
        match self {
            Self::Namespace => number.namespace(),
            Self::Account => {
                let status = number.status.as_ref();
                let pinned = status.and_then(|status| status.account_ref.clone());
                let (kind, name) = match pinned {
                    Some(pinned) if pinned.kind == AccountKind::ProviderAccount.to_string() => {
                        (AccountKind::ProviderAccount, pinned.name)
                    }
                    Some(pinned) => (AccountKind::ClusterProviderAccount, pinned.name),
                    None => account_name(number),
                };
                let namespace = number.namespace();
                Some(account_title(kind, namespace.as_deref(), &name))
            }
            Self::Provider => Some(number.spec.provider.to_string()),
            Self::Assistant => number.spec.assistant_id.map(|id| id.to_string()),
            Self::Label(key) => number.labels().get(key).cloned(),
        }
    }
}

/// The account of this kind and name as a group; of a ProviderAccount in `namespace`.
fn account_title(kind: AccountKind, namespace: Option<&str>, name: &str) -> String {
    match (kind, namespace) {
        (AccountKind::ProviderAccount, Some(namespace)) => format!("{namespace}/{name}"),
        _ => format!("{kind}/{name}"),
    }
}

pub(super) async fn cost(request: Request) -> Result<Answer, Error> {
    let cluster = Cluster::open(request.connection).await?;
    let mut answer = Answer::default();
    let listed = cluster.list(&request.selection, &mut answer.notes);
    let mut numbers: Vec<PhoneNumber> = listed.await?;
    numbers.retain(is_held);
    numbers.sort_by_cached_key(|number| {
        let group = request.by.of(number);
        (
            group.is_none(),
            group,
            number.namespace(),
            number.name_any(),
        )
    });
    // Labels are those of PhoneNumbers.
    let unheld = match request.selection.selector {
        Some(_) => Vec::new(),
        None => unheld::unheld(&cluster, &request.selection, &mut answer.notes).await?,
    };
    if numbers.is_empty() {
        let place = cluster.place(&request.selection);
        answer.notes.push(format!("No numbers are held {place}."));
    }
    let groups = groups(&numbers, &request.by);
    answer.output = match request.output {
        Output::Table => table_of(&groups, &numbers, &unheld, request.no_headers),
        Output::Json => json_of(&groups, &unheld)?,
        Output::Csv => focus::csv(&numbers, &unheld, Timestamp::now(), request.no_headers)?,
    };
    Ok(answer)
}

/// True if the number is paid for.
fn is_held(number: &PhoneNumber) -> bool {
    let status = number.status.as_ref();
    status.is_some_and(|status| status.id.is_some())
}

/// The sums by group; what belongs to none comes last.
fn groups(numbers: &[PhoneNumber], by: &By) -> Vec<(Option<String>, Total)> {
    let mut groups: BTreeMap<(bool, Option<String>), Total> = BTreeMap::new();
    for number in numbers {
        let group = by.of(number);
        let total = groups.entry((group.is_none(), group)).or_default();
        total.add(price_of(number).as_ref());
    }
    let groups = groups.into_iter();
    groups.map(|((_, group), total)| (group, total)).collect()
}

fn price_of(number: &PhoneNumber) -> Option<telephony::number::Price> {
    let status = number.status.as_ref();
    price(status.and_then(|status| status.cost.as_ref()))
}

/// The groups, the numbers that no PhoneNumber holds, and the sums of all where there are several rows of these.
fn table_of(
    groups: &[(Option<String>, Total)],
    numbers: &[PhoneNumber],
    unheld: &[Unheld],
    bare: bool,
) -> String {
    let mut rows = Vec::new();
    for (group, total) in groups {
        let group = group.as_deref().map_or(NONE.to_owned(), shown);
        rows.extend(rows_of(&group, total, true));
    }
    for unheld in unheld {
        rows.extend(rows_of(&shown(&unheld.title()), &unheld.total(), false));
    }
    if groups.len().saturating_add(unheld.len()) > 1 {
        let mut total = Total::default();
        for number in numbers {
            total.add(price_of(number).as_ref());
        }
        for number in unheld.iter().flat_map(|unheld| &unheld.numbers) {
            total.add(monthly_price(number.monthly_cost.as_ref()).as_ref());
        }
        rows.extend(rows_of("<total>", &total, true));
    }
    match rows.is_empty() {
        true => String::new(),
        false => table(HEADINGS, &rows, bare),
    }
}

/// A row for each currency, and one for the numbers without a known price; `knows_setup` is false where no setup fee is known.
fn rows_of(group: &str, total: &Total, knows_setup: bool) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = total
        .sums()
        .map(|(currency, sum)| {
            let setup = knows_setup.then(|| sum.upfront.to_string());
            vec![
                group.to_owned(),
                sum.numbers.to_string(),
                sum.monthly.to_string(),
                setup.unwrap_or_else(|| UNKNOWN.to_owned()),
                currency.to_string(),
            ]
        })
        .collect();
    if total.unpriced > 0 {
        let unknown = [UNKNOWN; 3].map(str::to_owned);
        let mut row = vec![group.to_owned(), total.unpriced.to_string()];
        row.extend(unknown);
        rows.push(row);
    }
    rows
}

fn json_of(groups: &[(Option<String>, Total)], unheld: &[Unheld]) -> Result<String, Error> {
    let group = |(group, total): &(Option<String>, Total)| {
        let sums: Vec<Value> = total
            .sums()
            .map(|(currency, sum)| {
                json!({"currency": currency.as_str(), "numbers": sum.numbers,
                    "monthly": sum.monthly.to_string(), "upfront": sum.upfront.to_string()})
            })
            .collect();
        json!({"group": group, "sums": sums, "numbersWithoutPrice": total.unpriced})
    };
    let list = |unheld: &Unheld| {
        let total = unheld.total();
        let sums: Vec<Value> = total
            .sums()
            .map(|(currency, sum)| {
                json!({"currency": currency.as_str(), "numbers": sum.numbers, "monthly": sum.monthly.to_string()})
            })
            .collect();
        json!({"list": unheld.list.word(), "account": unheld.account, "sums": sums,
            "numbersWithoutPrice": total.unpriced, "numbersNotListed": unheld.unlisted})
    };
    let groups: Vec<Value> = groups.iter().map(group).collect();
    let unheld: Vec<Value> = unheld.iter().map(list).collect();
    let text = serde_json::to_string_pretty(&json!({"groups": groups, "unheld": unheld}));
    let text = text.map_err(|error| Error::unprintable(&error))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unheld::List;
    use phonenumber_api::{MonthlyCost, UnheldNumber};

    fn number(name: &str, cost: Option<[&str; 3]>, more: &Value) -> PhoneNumber {
        let mut whole = json!({"metadata": {"name": name, "namespace": "support", "labels": {"team": "a"}},
            "spec": {"provider": "twilio", "phoneNumber": "+12125550100"}, "status": {"id": "PN1"}});
        if let Some([monthly, upfront, currency]) = cost {
            whole["status"]["cost"] =
                json!({"monthly": monthly, "upfront": upfront, "currency": currency});
        }
        for (pointer, value) in more.as_object().unwrap() {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            whole.pointer_mut(parent).unwrap()[field] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn groups_are_what_a_person_asks_for() {
        let one = number(
            "one",
            None,
            &json!({"/spec/assistantId": 7, "/spec/accountRef": {"kind": "ClusterProviderAccount", "name": "shared"}}),
        );
        let two = number("two", None, &json!({}));
        for (by, wanted) in [
            ("namespace", [Some("support"), Some("support")]),
            (
                "account",
                [
                    Some("ClusterProviderAccount/shared"),
                    Some("support/twilio"),
                ],
            ),
            ("provider", [Some("twilio"), Some("twilio")]),
            ("assistant", [Some("7"), None]),
            ("label=team", [Some("a"), Some("a")]),
            ("label=app", [None, None]),
        ] {
            let by: By = by.parse().unwrap();
            let found = [&one, &two].map(|number| by.of(number));
            assert_eq!(found, wanted.map(|it| it.map(str::to_owned)), "{by:?}");
        }
        for wrong in ["", "label", "label=", "team", "Namespace"] {
            assert!(wrong.parse::<By>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_table_has_a_row_for_each_group_and_currency_and_the_whole() {
        let numbers = [
            number("a", Some(["1.15", "0", "USD"]), &json!({})),
            number("b", Some(["1", "0.5", "EUR"]), &json!({})),
            number("c", None, &json!({})),
            number(
                "d",
                Some(["1.15", "0", "USD"]),
                &json!({"/metadata/namespace": "sales"}),
            ),
        ];
        let groups = groups(&numbers, &By::Namespace);
        assert_eq!(
            table_of(&groups, &numbers, &[], false),
            "GROUP     NUMBERS   MONTHLY     SETUP       CURRENCY\n\
             sales     1         1.15        0           USD\n\
             support   1         1           0.5         EUR\n\
             support   1         1.15        0           USD\n\
             support   1         <unknown>   <unknown>   <unknown>\n\
             <total>   1         1           0.5         EUR\n\
             <total>   2         2.30        0           USD\n\
             <total>   1         <unknown>   <unknown>   <unknown>\n"
        );
        let json: Value = serde_json::from_str(&json_of(&groups, &[]).unwrap()).unwrap();
        assert_eq!(json["groups"][1]["numbersWithoutPrice"], 1);
        assert_eq!(json["groups"][0]["sums"][0]["monthly"], "1.15");
        assert_eq!(table_of(&[], &[], &[], false), "");
    }

    #[test]
    fn numbers_that_no_phone_number_holds_have_rows_of_their_own_and_are_in_the_total() {
        let held = [number("a", Some(["1.15", "1", "USD"]), &json!({}))];
        let groups = groups(&held, &By::Namespace);
        let unheld = |list, price: Option<&str>| Unheld {
            list,
            account: "support/twilio".to_owned(),
            provider: telephony::number::Provider::Twilio,
            account_id: None,
            numbers: vec![UnheldNumber {
                phone_number: "+12125550101".into(),
                id: "PN2".into(),
                since: None,
                monthly_cost: price.map(|it| MonthlyCost::new(it.into(), "USD".into())),
            }],
            unlisted: 2,
        };
        let unheld = [
            unheld(List::Unmanaged, Some("2.00")),
            unheld(List::Orphaned, None),
        ];
        assert_eq!(
            table_of(&groups, &held, &unheld, true),
            "support                      1     1.15        1           USD\n\
             <unmanaged> support/twilio   1     2           <unknown>   USD\n\
             <orphaned> support/twilio    1     <unknown>   <unknown>   <unknown>\n\
             <total>                      2     3.15        1           USD\n\
             <total>                      1     <unknown>   <unknown>   <unknown>\n"
        );
        let json: Value = serde_json::from_str(&json_of(&groups, &unheld).unwrap()).unwrap();
        let wanted = json!({"list": "unmanaged", "account": "support/twilio", "numbersWithoutPrice": 0,
            "sums": [{"currency": "USD", "numbers": 1, "monthly": "2"}], "numbersNotListed": 2});
        assert_eq!(json["unheld"][0], wanted);
    }

    #[test]
    fn what_is_not_held_costs_nothing() {
        assert!(is_held(&number("a", None, &json!({}))));
        assert!(!is_held(&number("a", None, &json!({"/status/id": null}))));
    }
}
