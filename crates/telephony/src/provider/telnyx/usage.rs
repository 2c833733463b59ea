//! The detail records of calls and messages, asked for one number.
//!
//! `cld` is the side that was called, `cli` the one that called. The filters are those of `GET /detail_records`; the fields of records of
//! calls are not in the specification, so any date among those that other records have is read. How far back records go is not
//! documented.

use serde::Deserialize;

use super::Telnyx;
use super::wire::{Envelope, time};
use crate::number::E164;
use crate::provider::{Error, Period, Seen};

/// How many rows are asked for where the date of the latest is to be told.
const FEW: &str = "50";

/// The types of records of calls.
pub(super) const CALLS: [&str; 2] = ["call-control", "sip-trunking"];

/// The type of records of messages.
pub(super) const MESSAGES: [&str; 1] = ["messaging"];

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    sent_at: Option<String>,
    #[serde(default)]
    finished_at: Option<String>,
    #[serde(default)]
    completed_at: Option<String>,
}

impl Row {
    fn latest(&self) -> Option<jiff::Timestamp> {
        let dates = [
            &self.created_at,
            &self.started_at,
            &self.sent_at,
            &self.finished_at,
            &self.completed_at,
        ];
        let dates = dates.into_iter();
        dates.filter_map(|date| time(date.as_deref())).max()
    }
}

impl Telnyx {
    /// What records of these types show of `number`, as the one that was called and as the one that called.
    pub(super) async fn seen(
        &self,
        types: &[&str],
        number: &E164,
        period: Period,
    ) -> Result<Seen, Error> {
        let range = format!("last_{}_days", period.days);
        let (mut within, mut all) = (Vec::new(), Vec::new());
        for side in ["filter[cld]", "filter[cli]"] {
            for of_type in types {
                let of_number = [("filter[record_type]", *of_type), (side, number.as_str())];
                let in_period = [("filter[date_range]", range.as_str()), ("page[size]", "1")];
                let rows = self.rows_of(&[of_number, in_period].concat()).await?;
                if rows.is_empty() && within.is_empty() {
                    let few = [("page[size]", FEW)];
                    all.extend(self.rows_of(&[&of_number[..], &few].concat()).await?);
                }
                within.extend(rows);
            }
        }
        Ok(Seen::read(&within, &all))
    }

    async fn rows_of(&self, query: &[(&str, &str)]) -> Result<Vec<Option<jiff::Timestamp>>, Error> {
        let url = self.url("/detail_records", query)?;
        let answer = self.session.get("usage", url).await?;
        let page: Envelope<Vec<Row>> = self.body(&answer)?;
        Ok(page.data.iter().map(Row::latest).collect())
    }
}
