//! A plan for people, for programs and for a pull request. Pure. Texts of manifests pass what makes them fit to be shown.

use std::collections::BTreeMap;

use serde::Serialize;
use telephony::number::Price;
use telephony::shown;

use super::money::{Totals, numbers};
use super::situation::{Action, Verdict, title};
use crate::colour::{Colours, Tone};
use crate::error::Error;
use crate::table::{NONE, Painted, painted_table};

/// The longest text in a report.
const LONGEST: usize = 300;

/// The most rows of a table in a pull request: a comment there is limited.
const MOST_ROWS: usize = 200;

/// A plan.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// What becomes of each object.
    pub(super) verdicts: Vec<Verdict>,
    /// What that costs.
    pub(super) totals: Totals,
    /// The maxima that are passed.
    pub(super) passed: Vec<String>,
    /// What a reader should know.
    pub(super) notes: Vec<String>,
    /// True if the manifests were compared with a cluster.
    pub(super) is_live: bool,
}

impl Report {
    /// The report on `verdicts`, with those first that a reader should see first.
    pub(super) fn new(
        mut verdicts: Vec<Verdict>,
        passed: impl FnOnce(&Totals) -> Vec<String>,
        notes: Vec<String>,
        is_live: bool,
    ) -> Self {
        verdicts
            .sort_by_cached_key(|verdict| (verdict.action, verdict.kind, verdict.owner.clone()));
        let totals = Totals::of(&verdicts);
        Self {
            passed: passed(&totals),
            verdicts,
            totals,
            notes,
            is_live,
        }
    }

    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        let is_new = |verdict: &&Verdict| verdict.action == Action::Refuse && !verdict.is_old;
        let is_refused = self.verdicts.iter().any(|verdict| is_new(&verdict));
        let has_deeds = self
            .verdicts
            .iter()
            .any(|verdict| verdict.action.is_a_deed() || verdict.may_buy);
        match (is_refused || !self.passed.is_empty(), has_deeds) {
            (true, _) => super::REFUSED,
            (false, true) => super::SPENDS,
            (false, false) => 0,
        }
    }

    /// One sentence: what is done, and what it costs.
    pub(super) fn sentence(&self) -> String {
        let counted = Action::ALL.into_iter().filter_map(|action| {
            let count = self.totals.count(action);
            let past = match action {
                Action::Refuse => "refused",
                Action::Buy => "bought",
                Action::Adopt => "adopted",
                Action::Release => "released",
                Action::Retain => "retained",
                Action::Forget => "forgotten",
                Action::Change => "changed",
                Action::Keep => "kept",
            };
            (count > 0).then(|| format!("{count} {past}"))
        });
        let counted: Vec<_> = counted.collect();
        let mut costs = Vec::new();
        for (currency, sum) in &self.totals.sums {
            let net = sum.net();
            let sign = if net.starts_with('-') { "" } else { "+" };
            costs.push(format!("{sign}{net} {currency} a month"));
            if sum.upfront != Default::default() {
                costs.push(format!("{} {currency} once", sum.upfront));
            }
        }
        if self.totals.unpriced > 0 {
            costs.push(format!(
                "the price of {} unknown",
                numbers(self.totals.unpriced)
            ));
        }
        if costs.is_empty() {
            costs.push("nothing to pay".to_owned());
        }
        match counted.is_empty() {
            true => "No PhoneNumbers.".to_owned(),
            false => format!("{}: {}.", counted.join(", "), costs.join(", ")),
        }
    }

    /// A table for a terminal.
    pub(super) fn table(&self, bare: bool, colours: Colours) -> String {
        let rows: Vec<_> = self.verdicts.iter().map(cells).collect();
        match rows.is_empty() {
            true => String::new(),
            false => painted_table(
                &HEADINGS,
                &rows,
                bare,
                &Painted {
                    colours,
                    column: 0,
                    tone: |row| tone(row.first()?),
                },
            ),
        }
    }

    /// Markdown for a pull request: what stays as it is is only counted.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!("### Phone numbers\n\n**{}**\n", self.sentence());
        for line in &self.passed {
            text.push_str(&format!("\n**Over a maximum:** {}\n", escaped(line)));
        }
        let is_shown = |verdict: &&Verdict| verdict.action != Action::Keep;
        let shown_verdicts: Vec<_> = self.verdicts.iter().filter(is_shown).collect();
        if !shown_verdicts.is_empty() {
            text.push_str(&format!(
                "\n{}\n{}\n",
                row(&HEADINGS),
                row(&["---"; HEADINGS.len()])
            ));
        }
        for verdict in shown_verdicts.iter().take(MOST_ROWS) {
            let cells = cells(verdict);
            let cells = cells.iter().map(|cell| match cell.as_str() {
                NONE => String::new(),
                cell => escaped(cell),
            });
            let cells: Vec<String> = cells.collect();
            let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
            text.push_str(&row(&cells));
            text.push('\n');
        }
        let more = shown_verdicts.len().saturating_sub(MOST_ROWS);
        if more > 0 {
            text.push_str(&format!("\n{more} more are not shown.\n"));
        }
        for note in &self.notes {
            text.push_str(&format!("\n- {}", escaped(note)));
        }
        text.trim_end().to_owned() + "\n"
    }

    /// JSON for programs, as docs/reference/plan.schema.json has it.
    ///
    /// # Errors
    /// If it has no JSON form.
    pub(super) fn json(&self) -> Result<String, Error> {
        let counts = Action::ALL.map(|action| (action.word(), self.totals.count(action)));
        let currencies = self.totals.sums.iter().map(|(currency, sum)| Currency {
            currency: currency.as_str(),
            monthly_increase: sum.increase.to_string(),
            monthly_decrease: sum.decrease.to_string(),
            monthly_net: sum.net(),
            upfront: sum.upfront.to_string(),
        });
        let document = Document {
            api_version: "telephony.burki.dev/v1",
            kind: "Plan",
            compared_with: if self.is_live { "cluster" } else { "manifests" },
            summary: self.sentence(),
            objects: self.verdicts.iter().map(Object::of).collect(),
            totals: Sums {
                counts: counts.into_iter().collect(),
                currencies: currencies.collect(),
                unpriced_purchases: self.totals.unpriced,
                unpriced_releases: self.totals.unpriced_releases,
            },
            exceeded: &self.passed,
            notes: &self.notes,
            exit_code: self.code(),
        };
        let text = serde_json::to_string_pretty(&document);
        Ok(text.map_err(|error| Error::Manifest(error.to_string()))? + "\n")
    }
}

const HEADINGS: [&str; 8] = [
    "ACTION", "OBJECT", "NUMBER", "ACCOUNT", "MONTHLY", "SETUP", "CURRENCY", "WHY",
];

/// How much an action is to be looked at: what spends is to be, what is refused or for good is even more.
fn tone(action: &str) -> Option<Tone> {
    let is_one = |actions: &[Action]| actions.iter().any(|it| it.word() == action);
    match action {
        _ if is_one(&[Action::Refuse, Action::Release]) => Some(Tone::Bad),
        _ if is_one(&[Action::Buy, Action::Adopt]) => Some(Tone::Doubtful),
        _ => None,
    }
}

fn cells(verdict: &Verdict) -> Vec<String> {
    let price =
        |of: fn(&Price) -> String| verdict.price.as_ref().map_or_else(|| "-".to_owned(), of);
    let object = match verdict.owner.namespace.as_str() {
        "" => verdict.owner.name.clone(),
        _ => verdict.owner.to_string(),
    };
    let account = verdict
        .account
        .as_ref()
        .map(|account| account.name.as_str());
    vec![
        verdict.action.word().to_owned(),
        text(&object),
        text(&verdict.wanted),
        text(account.unwrap_or_default()),
        price(|price| price.monthly.to_string()),
        price(|price| price.upfront.to_string()),
        price(|price| price.currency.to_string()),
        text(&why(verdict)),
    ]
}

fn why(verdict: &Verdict) -> String {
    let reason = verdict.reason.as_ref();
    let mut parts: Vec<String> = match (reason, verdict.why.as_str()) {
        (Some(reason), why) => vec![format!("{reason}: {why}")],
        (None, "") => Vec::new(),
        (None, why) => vec![why.to_owned()],
    };
    parts.extend(verdict.notes.iter().cloned());
    parts.join("; ")
}

/// `content` as it may be shown in a terminal.
fn text(content: &str) -> String {
    match shown::line(content, LONGEST) {
        line if line.is_empty() => NONE.to_owned(),
        line => line,
    }
}

fn row(cells: &[&str]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// `content` such that Markdown shows it as it is. Nobody is called by it.
fn escaped(content: &str) -> String {
    let mut escaped = String::new();
    for c in shown::line(content, LONGEST).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '@' => escaped.push_str("(at)"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// What `kubectl phonenumbers plan -o json` prints. Amounts are decimal texts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Document<'a> {
    /// The version of this form: telephony.burki.dev/v1.
    api_version: &'static str,
    /// Plan.
    kind: &'static str,
    /// What the manifests were compared with: cluster or manifests.
    compared_with: &'static str,
    /// One sentence for people.
    summary: String,
    /// What becomes of each object, refusals first.
    objects: Vec<Object>,
    /// What that costs together.
    totals: Sums<'a>,
    /// A line for each maximum that is passed, or that cannot be shown to be kept.
    exceeded: &'a [String],
    /// What a reader should know.
    notes: &'a [String],
    /// 0: nothing is bought, adopted or released. 2: something is, or may be bought. 3: something is refused, or a maximum is passed.
    exit_code: u8,
}

/// What a plan costs together.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Sums<'a> {
    /// How many objects have each action.
    counts: BTreeMap<&'static str, usize>,
    /// What is paid in each currency. Numbers that are taken over or retained are paid already.
    currencies: Vec<Currency<'a>>,
    /// How many numbers are bought, or may be, at a price that is not known.
    unpriced_purchases: usize,
    /// How many numbers are released whose price is not known.
    unpriced_releases: usize,
}

/// What is paid in one currency.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Currency<'a> {
    /// ISO 4217.
    currency: &'a str,
    /// What purchases add each month.
    monthly_increase: String,
    /// What releases save each month.
    monthly_decrease: String,
    /// The increase without the decrease; it begins with a minus if less is paid.
    monthly_net: String,
    /// What is paid once.
    upfront: String,
}

/// What becomes of one object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Object {
    /// What becomes of it.
    action: Action,
    /// PhoneNumber; a ProviderAccount or ClusterProviderAccount is listed if it changes or the API server refuses it.
    kind: String,
    /// Its namespace.
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    /// Its name.
    name: String,
    /// The number, or what is searched for.
    #[serde(skip_serializing_if = "String::is_empty")]
    number: String,
    /// The account: its kind, namespace and name.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// The reason that the operator gives (docs/reference/reasons.md), or Invalid for what the API server refuses.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Why, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
    /// What the number costs each month, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly: Option<String>,
    /// What the number costs once.
    #[serde(skip_serializing_if = "Option::is_none")]
    upfront: Option<String>,
    /// The currency of both.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    /// The paths of the fields that change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<String>,
    /// What the deletion of the object would do to its number: Release, Retain or Blocked.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_deletion: Option<&'static str>,
    /// What a reader should know of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// True if the change asks nothing new of it.
    is_unchanged: bool,
}

impl Object {
    fn of(verdict: &Verdict) -> Self {
        let line = |text: &str| shown::line(text, shown::MOST_OF_MESSAGE);
        let price = |of: fn(&Price) -> String| verdict.price.as_ref().map(of);
        Self {
            action: verdict.action,
            kind: verdict.kind.to_string(),
            namespace: line(&verdict.owner.namespace),
            name: line(&verdict.owner.name),
            number: line(&verdict.wanted),
            account: verdict
                .account
                .as_ref()
                .map(|account| line(&title(account))),
            reason: verdict.reason.clone(),
            message: line(&verdict.why),
            monthly: price(|price| price.monthly.to_string()),
            upfront: price(|price| price.upfront.to_string()),
            currency: price(|price| price.currency.to_string()),
            changes: verdict.changes.iter().map(|path| line(path)).collect(),
            on_deletion: verdict.on_deletion,
            notes: verdict.notes.iter().map(|note| line(note)).collect(),
            is_unchanged: verdict.is_old,
        }
    }
}

#[cfg(test)]
mod tests;
