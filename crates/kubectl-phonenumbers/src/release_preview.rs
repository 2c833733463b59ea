//! What deleting PhoneNumbers would give away for good, keep or block, with what they cost. Deletes nothing.

use clap::{Args, ValueEnum};
use kube::ResourceExt;
use phonenumber_api::PhoneNumber;
use serde_json::{Value, json};
use telephony::number::Price;

use super::Answer;
use super::cluster::{Cluster, Connection, Selection};
use super::colour::{Colours, Tone};
use super::declared::Files;
use super::deletion::{Fate, fate};
use super::error::Error;
use super::table::{Painted, painted_table, shown};
use super::total::{Total, price};

/// The columns of the table.
pub(super) const HEADINGS: &[&str] = &["OBJECT", "NUMBER", "ON-DELETION", "MONTHLY", "WHY"];

/// What a person asks for.
#[derive(Args, Debug)]
pub(super) struct Request {
    /// How to print: a table, or JSON.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,

    /// Print tables without headings.
    #[arg(long)]
    no_headers: bool,

    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// What becomes of the number of one object.
#[derive(Debug)]
struct Row {
    object: String,
    number: Option<String>,
    fate: Fate,
    price: Option<Price>,
    why: String,
}

pub(super) async fn preview(request: Request, colours: Colours) -> Result<Answer, Error> {
    let cluster = Cluster::open(request.connection).await?;
    let mut answer = Answer::default();
    let mut rows: Vec<Row> = match request.files.is_empty() {
        true => {
            let listed = cluster.list(&request.selection, &mut answer.notes);
            let numbers: Vec<PhoneNumber> = listed.await?;
            numbers.iter().map(row).collect()
        }
        false => declared(&cluster, &request.files).await?,
    };
    rows.sort_by(|one, other| (&one.fate, &one.object).cmp(&(&other.fate, &other.object)));
    if rows.is_empty() {
        let place = match request.files.is_empty() {
            true => cluster.place(&request.selection),
            false => "in the manifests".to_owned(),
        };
        answer.notes.push(format!("No PhoneNumbers found {place}."));
    }
    answer.output = match request.output {
        Output::Json => json_of(&rows)?,
        Output::Table if rows.is_empty() => String::new(),
        Output::Table => {
            let painted = Painted {
                colours,
                column: FATE,
                tone: |row| tone(row.get(FATE)?),
            };
            let table = painted_table(HEADINGS, &cells(&rows), request.no_headers, &painted);
            format!("{table}{}\n", summary(&rows))
        }
    };
    Ok(answer)
}

/// The objects that manifests declare, as the cluster has them.
async fn declared(cluster: &Cluster, files: &Files) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for owner in files.phone_numbers(cluster.namespace())? {
        let found: Option<PhoneNumber> = cluster.find(Some(&owner.namespace), &owner.name).await?;
        rows.push(match found {
            Some(number) => row(&number),
            None => Row {
                object: owner.to_string(),
                number: None,
                fate: Fate::Nothing,
                price: None,
                why: "it is not in the cluster".to_owned(),
            },
        });
    }
    Ok(rows)
}

fn row(number: &PhoneNumber) -> Row {
    let status = number.status.as_ref();
    let (fate, why) = fate(number);
    let namespace = number.namespace().unwrap_or_default();
    Row {
        object: format!("{namespace}/{}", number.name_any()),
        number: status
            .and_then(|status| status.phone_number.clone())
            .or_else(|| number.spec.phone_number.clone()),
        price: price(status.and_then(|status| status.cost.as_ref())),
        fate,
        why,
    }
}

fn cells(rows: &[Row]) -> Vec<Vec<String>> {
    rows.iter()
        .map(|row| {
            let monthly = match (&row.price, &row.fate) {
                (Some(price), _) => format!("{} {}", price.monthly, price.currency),
                (None, Fate::Nothing) => super::table::NONE.to_owned(),
                (None, _) => "<unknown>".to_owned(),
            };
            vec![
                shown(&row.object),
                shown(row.number.as_deref().unwrap_or_default()),
                shown(&row.fate.to_string()),
                monthly,
                row.why.clone(),
            ]
        })
        .collect()
}

/// The column of what a deletion does.
const FATE: usize = 2;

fn tone(fate: &str) -> Option<Tone> {
    let is = |it: Fate| fate == it.to_string();
    match fate {
        _ if is(Fate::Release) => Some(Tone::Bad),
        _ if is(Fate::Unclear) || is(Fate::Blocked) => Some(Tone::Doubtful),
        _ => None,
    }
}

/// How many numbers meet each fate, and what they cost a month, in one line. What is given away comes first.
fn summary(rows: &[Row]) -> String {
    let part = |fate: &Fate, says: &str| {
        let found: Vec<&Row> = rows.iter().filter(|row| row.fate == *fate).collect();
        let mut total = Total::default();
        for row in &found {
            total.add(row.price.as_ref());
        }
        let count = found.len();
        (count > 0).then(|| format!("{says} {count} ({})", total.monthly()))
    };
    let parts: Vec<String> = [
        part(&Fate::Release, "released for good:"),
        part(&Fate::Unclear, "perhaps released:"),
        part(&Fate::Blocked, "blocked:"),
        part(&Fate::Retain, "kept in the account:"),
    ]
    .into_iter()
    .flatten()
    .collect();
    match parts.is_empty() {
        true => "Nothing is held.".to_owned(),
        false => format!("Numbers {}.", parts.join(", ")),
    }
}

fn json_of(rows: &[Row]) -> Result<String, Error> {
    let item = |row: &Row| {
        let fate = match &row.fate {
            Fate::Nothing => Value::Null,
            Fate::Unclear => json!("Unknown"),
            fate => json!(fate.to_string()),
        };
        json!({"object": row.object, "phoneNumber": row.number, "onDeletion": fate,
            "cost": row.price, "why": row.why})
    };
    let items: Vec<Value> = rows.iter().map(item).collect();
    let text = serde_json::to_string_pretty(&json!({"items": items}));
    let text = text.map_err(|error| Error::unprintable(&error))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(name: &str, spec: Value, cost: Option<&str>) -> PhoneNumber {
        let mut whole = json!({"metadata": {"name": name, "namespace": "support"},
            "spec": {"provider": "twilio", "phoneNumber": "+12125550100"},
            "status": {"id": "PN1", "phoneNumber": "+12125550100"}});
        for (field, value) in spec.as_object().unwrap() {
            whole["spec"][field] = value.clone();
        }
        if let Some(monthly) = cost {
            whole["status"]["cost"] =
                json!({"monthly": monthly, "upfront": "0", "currency": "USD"});
        }
        serde_json::from_value(whole).unwrap()
    }

    fn rows() -> Vec<Row> {
        let mut nothing = number("e", json!({}), None);
        nothing.status = None;
        vec![
            row(&number("a", json!({}), Some("1.15"))),
            row(&number("b", json!({}), Some("2"))),
            row(&number("c", json!({"deletionProtection": true}), None)),
            row(&number("d", json!({"deletionPolicy": "Retain"}), Some("1"))),
            row(&nothing),
        ]
    }

    #[test]
    fn the_last_line_says_what_is_given_away_with_its_sum() {
        assert_eq!(
            summary(&rows()),
            "Numbers released for good: 2 (3.15 USD a month), blocked: 1 (1 without a known price), kept in the account: 1 \
             (1 USD a month)."
        );
        assert_eq!(summary(&rows()[4..]), "Nothing is held.");
    }

    #[test]
    fn each_object_has_its_number_fate_price_and_cause() {
        let cells = cells(&rows());
        assert_eq!(
            cells[0],
            [
                "support/a",
                "+12125550100",
                "Release",
                "1.15 USD",
                "it was bought, and deletionPolicy is not set"
            ]
        );
        assert_eq!(cells[2][3], "<unknown>");
        assert_eq!(cells[4][1..4], ["+12125550100", "<none>", "<none>"]);
        let json: Value = serde_json::from_str(&json_of(&rows()).unwrap()).unwrap();
        assert_eq!(json["items"][0]["cost"]["monthly"], "1.15");
        assert_eq!(json["items"][4]["onDeletion"], Value::Null);
    }
}
