//! The records of calls and messages, asked for one number.
//!
//! `StartTime>` and `DateSent>` mean that day or later; the order of the rows is not documented. Source: the resources Call and
//! Message of `twilio_api_v2010.json`.

use serde::Deserialize;

use super::Twilio;
use super::wire::date;
use crate::number::E164;
use crate::provider::{Error, Period, Seen};

/// How many rows are asked for where the date of the latest is to be told.
const FEW: &str = "50";

/// One kind of records.
pub(super) struct Records {
    path: &'static str,
    /// The filter by the first day.
    since: &'static str,
}

pub(super) const CALLS: Records = Records {
    path: "/Calls.json",
    since: "StartTime>",
};

pub(super) const MESSAGES: Records = Records {
    path: "/Messages.json",
    since: "DateSent>",
};

/// A page of either kind.
#[derive(Deserialize)]
struct Page {
    #[serde(alias = "messages")]
    calls: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    date_created: Option<String>,
}

impl Twilio {
    /// What the records show of `number`, as the one that was called and as the one that called.
    pub(super) async fn seen(
        &self,
        records: &Records,
        number: &E164,
        period: Period,
    ) -> Result<Seen, Error> {
        let day = period.since.strftime("%Y-%m-%d").to_string();
        let mut within = Vec::new();
        for side in ["To", "From"] {
            let query = [
                (side, number.as_str()),
                (records.since, &day),
                ("PageSize", "1"),
            ];
            within.extend(self.rows_of(records, &query).await?);
        }
        let mut all = Vec::new();
        if within.is_empty() {
            for side in ["To", "From"] {
                let query = [(side, number.as_str()), ("PageSize", FEW)];
                all.extend(self.rows_of(records, &query).await?);
            }
        }
        Ok(Seen::read(&within, &all))
    }

    async fn rows_of(
        &self,
        records: &Records,
        query: &[(&str, &str)],
    ) -> Result<Vec<Option<jiff::Timestamp>>, Error> {
        let url = self.of_account(records.path, query)?;
        let answer = self.session.get("usage", url).await?;
        let page: Page = self.body(&answer, &[200])?;
        let rows = page.calls.iter();
        Ok(rows.map(|row| date(row.date_created.as_deref())).collect())
    }
}
