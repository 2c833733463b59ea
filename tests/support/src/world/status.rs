//! What the status of a PhoneNumber says.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use phonenumber_api::{PhoneNumber, condition};

/// The reason of the Ready condition.
pub fn reason(number: &PhoneNumber) -> String {
    found(number, condition::READY)
        .map(|found| found.reason)
        .unwrap_or_default()
}

/// The message of the Ready condition.
pub fn message(number: &PhoneNumber) -> String {
    found(number, condition::READY)
        .map(|found| found.message)
        .unwrap_or_default()
}

/// The number that a PhoneNumber holds.
pub fn held(number: &PhoneNumber) -> String {
    let status = number.status.as_ref();
    status
        .and_then(|status| status.phone_number.clone())
        .unwrap_or_default()
}

/// The status of a condition.
pub fn truth(number: &PhoneNumber, kind: &str) -> String {
    found(number, kind)
        .map(|found| found.status)
        .unwrap_or_default()
}

fn found(number: &PhoneNumber, kind: &str) -> Option<Condition> {
    number
        .status
        .as_ref()?
        .conditions
        .iter()
        .find(|found| found.type_ == kind)
        .cloned()
}

/// The resource version, which every write changes.
pub fn version(number: &PhoneNumber) -> String {
    number.resource_version().unwrap()
}
