//! Campaigns and verifications of toll-free numbers. Source: `/10dlc` and `/messaging_tollfree` of `openapi/spec3.yml`.

use serde_json::{Value, json};

use super::{error, not_found};
use crate::carrier::World;
use crate::message::{Reply, Request};
use crate::registrations::Registration;

pub(super) fn answer(
    world: &World,
    operation: &str,
    organization: &str,
    id: &str,
    request: &Request,
) -> Reply {
    if world.state.switches.registrations_forbidden {
        return error(
            403,
            "10010",
            "Authorization failed",
            "The key may not read registrations",
        );
    }
    let own = |it: &&Registration| it.account == organization;
    let all = world.registrations.iter().filter(own);
    match operation {
        "verifications" => {
            let rows = all.filter(|it| it.is_toll_free()).map(verification);
            page(rows.collect(), "page_size", "total_records", request)
        }
        "campaigns" => {
            let rows = all.filter(|it| !it.is_toll_free()).map(assignment);
            page(rows.collect(), "recordsPerPage", "totalRecords", request)
        }
        _ => {
            let mut all = all;
            match all.find(|it| !it.campaign.is_empty() && campaign_id(it) == id) {
                Some(found) => Reply::json(200, &campaign(found)),
                None => not_found(),
            }
        }
    }
}

/// One campaign for each state that numbers are registered with.
fn campaign_id(registration: &Registration) -> String {
    format!("C-{}", registration.campaign)
}

fn campaign(registration: &Registration) -> Value {
    json!({"campaignId": campaign_id(registration), "status": "ACTIVE", "campaignStatus": registration.campaign,
        "submissionStatus": "CREATED", "failureReasons": null})
}

fn assignment(registration: &Registration) -> Value {
    let campaign = (!registration.campaign.is_empty()).then(|| campaign_id(registration));
    json!({"phoneNumber": registration.subject, "campaignId": campaign, "assignmentStatus": registration.status,
        "createdAt": "2026-01-02T03:04:05Z", "updatedAt": "2026-01-02T03:04:05Z"})
}

fn verification(registration: &Registration) -> Value {
    json!({"id": "00000000-0000-4000-8000-000000000001", "phoneNumbers": [{"phoneNumber": registration.subject}],
        "verificationStatus": registration.status, "businessName": "Example"})
}

/// A page without `data`: both parameters of paging are required.
fn page(rows: Vec<Value>, size: &str, total: &str, request: &Request) -> Reply {
    let number = |name: &str| {
        let text = request.query(name)?;
        text.parse::<usize>().ok().filter(|number| *number > 0)
    };
    let (Some(at), Some(size)) = (number("page"), number(size)) else {
        return error(
            422,
            "10004",
            "Missing required parameter",
            "page and its size",
        );
    };
    let count = rows.len();
    let start = at.saturating_sub(1).saturating_mul(size);
    let shown: Vec<_> = rows.into_iter().skip(start).take(size).collect();
    Reply::json(200, &json!({"records": shown, "page": at, total: count}))
}
