//! What Telnyx shows of campaigns and of verifications of toll-free numbers.
//!
//! Source: `/10dlc/phone_number_campaigns`, `/10dlc/campaign/{id}` and `/messaging_tollfree/verification/requests` of
//! `openapi/spec3.yml`. Their answers have no `data`. Of the dossier of a company nothing is decoded but the state.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Telnyx;
use super::classify;
use crate::number::{E164, Registration};
use crate::provider::http::segment;
use crate::provider::{Error, Registrations, keep_best, short};

/// How many rows a page holds.
const PAGE: usize = 100;

/// More pages than any account has.
const MAX_PAGES: usize = 1000;

/// A page of a listing without `data`.
#[derive(Deserialize)]
struct Records<T> {
    records: Vec<T>,
    #[serde(default, rename = "totalRecords", alias = "total_records")]
    total: Option<usize>,
}

/// A number that is assigned to a campaign.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assignment {
    phone_number: String,
    #[serde(default)]
    campaign_id: Option<String>,
    #[serde(default)]
    telnyx_campaign_id: Option<String>,
    #[serde(default)]
    assignment_status: Option<String>,
}

impl Assignment {
    /// The campaign, which may be one of another company.
    fn campaign(&self) -> Option<&str> {
        let ids = [&self.telnyx_campaign_id, &self.campaign_id];
        let mut ids = ids.into_iter().flatten().filter(|id| !id.is_empty());
        ids.next().map(String::as_str)
    }

    /// What the assignment is worth, whatever the campaign is. A removal that failed leaves it assigned.
    fn registration(&self) -> Registration {
        let word = self.assignment_status.as_deref().unwrap_or("no state");
        match word.to_ascii_uppercase().as_str() {
            "ASSIGNED" | "FAILED_UNASSIGNMENT" => Registration::Registered,
            "FAILED_ASSIGNMENT" => Registration::Rejected(short(word)),
            _ => Registration::Pending(short(word)),
        }
    }
}

/// A campaign.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Campaign {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    campaign_status: Option<String>,
}

impl Campaign {
    fn registration(&self) -> Registration {
        let status = self.status.as_deref().unwrap_or_default();
        if status.eq_ignore_ascii_case("EXPIRED") {
            return Registration::Suspended(short(status));
        }
        let word = self.campaign_status.as_deref().unwrap_or("no state");
        match word.to_ascii_uppercase().as_str() {
            "MNO_PROVISIONED" => Registration::Registered,
            "TCR_SUSPENDED" | "TCR_EXPIRED" => Registration::Suspended(short(word)),
            "MNO_REJECTED" => Registration::Rejected(short(word)),
            failed if failed.ends_with("_FAILED") => Registration::Rejected(short(word)),
            _ => Registration::Pending(short(word)),
        }
    }
}

/// A request to verify toll-free numbers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    #[serde(default)]
    phone_numbers: Vec<Verified>,
    #[serde(default)]
    verification_status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    phone_number: String,
}

impl Verification {
    fn registration(&self) -> Registration {
        let word = self.verification_status.as_deref().unwrap_or("no state");
        match word.to_ascii_lowercase().as_str() {
            "verified" => Registration::Registered,
            // The company that asked for it has to answer.
            "rejected" | "waiting for customer" => Registration::Rejected(short(word)),
            _ => Registration::Pending(short(word)),
        }
    }
}

/// Of an assignment and its campaign the one that is not good decides.
fn both(assignment: Registration, campaign: Registration) -> Registration {
    match assignment {
        Registration::Registered => campaign,
        unfinished => unfinished,
    }
}

impl Telnyx {
    /// The campaigns of numbers. A campaign that cannot be read is taken for good: numbers are assigned to active ones only.
    pub(super) async fn campaigns_by_number(&self) -> Result<Registrations, Error> {
        let path = "/10dlc/phone_number_campaigns";
        let assignments: Vec<Assignment> =
            self.records("campaigns", path, "recordsPerPage").await?;
        let mut campaigns: HashMap<String, Registration> = HashMap::new();
        let mut found = Registrations::new();
        for assignment in assignments {
            let Ok(number) = assignment.phone_number.parse::<E164>() else {
                continue;
            };
            let campaign = match assignment.campaign() {
                None => Registration::Registered,
                Some(id) => match campaigns.get(id) {
                    Some(known) => known.clone(),
                    None => {
                        let read = self.campaign(id).await?;
                        campaigns.insert(id.to_owned(), read.clone());
                        read
                    }
                },
            };
            found.insert(number, both(assignment.registration(), campaign));
        }
        Ok(found)
    }

    async fn campaign(&self, id: &str) -> Result<Registration, Error> {
        let url = self.url(&format!("/10dlc/campaign/{}", segment(id)?), &[])?;
        let answer = self.session.get("campaign", url).await?;
        if classify::is_absent(&answer) {
            return Ok(Registration::Registered);
        }
        let read = self.body::<Campaign>(&answer);
        let read = read.map(|campaign| campaign.registration());
        read.or_else(|error| error.unless_refused(Registration::Registered))
    }

    /// The best verification of each toll-free number.
    pub(super) async fn verifications(&self) -> Result<Registrations, Error> {
        let path = "/messaging_tollfree/verification/requests";
        let requests: Vec<Verification> = self.records("verifications", path, "page_size").await?;
        let mut found = Registrations::new();
        for request in requests {
            for number in &request.phone_numbers {
                let Ok(number) = number.phone_number.parse::<E164>() else {
                    continue;
                };
                keep_best(&mut found, number, request.registration());
            }
        }
        Ok(found)
    }

    /// Every row of a listing that has no `data`.
    async fn records<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        size: &str,
    ) -> Result<Vec<T>, Error> {
        let mut rows = Vec::new();
        for number in 1..=MAX_PAGES {
            let (number, most) = (number.to_string(), PAGE.to_string());
            let url = self.url(path, &[("page", &number), (size, &most)])?;
            let answer = self.session.get(operation, url).await?;
            let page: Records<T> = self.body(&answer)?;
            let is_last = page.records.is_empty();
            rows.extend(page.records);
            if is_last || page.total.is_some_and(|total| rows.len() >= total) {
                return Ok(rows);
            }
        }
        Err(Error::Unreadable("the listing does not end".into()))
    }
}
