//! Campaigns, and verifications of toll-free numbers.

use super::*;
use crate::number::{Registration, Shown};

fn records(rows: Value, total: usize) -> Value {
    json!({"records": rows, "page": 1, "totalRecords": total})
}

#[tokio::test]
async fn an_assignment_is_worth_what_its_campaign_is() {
    let word = |word: &str| word.to_owned();
    for (assignment, campaign, worth) in [
        (
            "ASSIGNED",
            Some(json!({"campaignStatus": "MNO_PROVISIONED"})),
            Registration::Registered,
        ),
        (
            "FAILED_UNASSIGNMENT",
            Some(json!({"campaignStatus": "MNO_PROVISIONED"})),
            Registration::Registered,
        ),
        (
            "ASSIGNED",
            Some(json!({"campaignStatus": "MNO_ACCEPTED"})),
            Registration::Pending(word("MNO_ACCEPTED")),
        ),
        (
            "ASSIGNED",
            Some(json!({"campaignStatus": "MNO_REJECTED"})),
            Registration::Rejected(word("MNO_REJECTED")),
        ),
        (
            "ASSIGNED",
            Some(json!({"campaignStatus": "TELNYX_FAILED"})),
            Registration::Rejected(word("TELNYX_FAILED")),
        ),
        (
            "ASSIGNED",
            Some(json!({"campaignStatus": "TCR_SUSPENDED"})),
            Registration::Suspended(word("TCR_SUSPENDED")),
        ),
        (
            "ASSIGNED",
            Some(json!({"status": "EXPIRED"})),
            Registration::Suspended(word("EXPIRED")),
        ),
        (
            "ASSIGNED",
            Some(json!({})),
            Registration::Pending(word("no state")),
        ),
        (
            "PENDING_ASSIGNMENT",
            Some(json!({"campaignStatus": "MNO_PROVISIONED"})),
            Registration::Pending(word("PENDING_ASSIGNMENT")),
        ),
        (
            "FAILED_ASSIGNMENT",
            Some(json!({"campaignStatus": "MNO_PROVISIONED"})),
            Registration::Rejected(word("FAILED_ASSIGNMENT")),
        ),
        // A campaign of another company is not shown.
        ("ASSIGNED", None, Registration::Registered),
    ] {
        let row =
            json!({"phoneNumber": NUMBER, "campaignId": "C1", "assignmentStatus": assignment});
        let campaign = match &campaign {
            Some(campaign) => json(200, campaign.clone()),
            None => json(404, errors("10005")),
        };
        let fake = Fake::with([json(200, records(json!([row]), 1)), campaign]);
        let Ok(Shown::Known(found)) = telnyx(&fake).campaigns().await else {
            panic!("it is not shown")
        };
        assert_eq!(found[&NUMBER.parse().unwrap()], worth, "{assignment}");
        assert_eq!(
            fake.asked(),
            [
                "Get /v2/10dlc/phone_number_campaigns?page=1&recordsPerPage=100",
                "Get /v2/10dlc/campaign/C1"
            ]
        );
    }
}

#[tokio::test]
async fn pages_are_read_to_the_end_and_each_campaign_once() {
    let row = |number: String| json!({"phoneNumber": number, "campaignId": "C1", "assignmentStatus": "ASSIGNED"});
    let rows = |range: std::ops::Range<u32>| {
        let rows: Vec<_> = range.map(|n| row(format!("+1212555{n:04}"))).collect();
        json(200, records(json!(rows), 101))
    };
    let fake = Fake::with([
        rows(0..100),
        rows(100..101),
        json(200, json!({"campaignStatus": "MNO_PROVISIONED"})),
    ]);
    let Ok(Shown::Known(found)) = telnyx(&fake).campaigns().await else {
        panic!("it is not shown")
    };
    assert_eq!((found.len(), fake.asked().len()), (101, 3));
    let fake = Fake::with([json(403, errors("10010"))]);
    assert_eq!(telnyx(&fake).campaigns().await, Ok(Shown::Unknown));
}

#[tokio::test]
async fn verifications_name_several_numbers_and_the_best_counts() {
    let request = |status: &str, numbers: &[&str]| {
        let numbers: Vec<_> = numbers
            .iter()
            .map(|it| json!({"phoneNumber": it}))
            .collect();
        json!({"id": "1", "verificationStatus": status, "phoneNumbers": numbers})
    };
    let rows = json!([
        request("Rejected", &["+18885550101", "+18885550102"]),
        request("Verified", &["+18885550101"]),
        request("Waiting For Vendor", &["+18885550103", "x"]),
    ]);
    let answer = json!({"records": rows, "total_records": 3});
    let fake = Fake::with([json(200, answer)]);
    let Ok(Shown::Known(found)) = telnyx(&fake).toll_free_verifications().await else {
        panic!("it is not shown")
    };
    let of = |number: &str| found[&number.parse().unwrap()].clone();
    assert_eq!(of("+18885550101"), Registration::Registered);
    assert_eq!(
        of("+18885550102"),
        Registration::Rejected("Rejected".into())
    );
    assert_eq!(
        of("+18885550103"),
        Registration::Pending("Waiting For Vendor".into())
    );
    assert_eq!(
        fake.asked(),
        ["Get /v2/messaging_tollfree/verification/requests?page=1&page_size=100"]
    );
}
