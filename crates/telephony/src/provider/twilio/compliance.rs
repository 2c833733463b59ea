//! What Twilio shows of a campaign and of the verification of a toll-free number, and what it means here. Pure.
//!
//! Field names: `compliance` and `verifications` in `twilio_messaging_v1.json` of <https://github.com/twilio/twilio-oai>.

use serde::Deserialize;

use crate::number::{E164, Registration};
use crate::provider::short;

/// A row of `Compliance/Usa2p`. The states are a free text.
#[derive(Deserialize)]
pub(super) struct Campaign {
    #[serde(default)]
    campaign_status: Option<String>,
    /// A campaign for tests, which no carrier knows.
    #[serde(default)]
    pub(super) mock: Option<bool>,
}

impl Campaign {
    pub(super) fn registration(&self) -> Registration {
        let word = self.campaign_status.as_deref().unwrap_or("no state");
        match word.to_ascii_uppercase().as_str() {
            "VERIFIED" => Registration::Registered,
            "FAILED" => Registration::Rejected(short(word)),
            "SUSPENDED" => Registration::Suspended(short(word)),
            _ => Registration::Pending(short(word)),
        }
    }
}

/// A row of `Tollfree/Verifications`. Of the dossier of the company nothing is decoded but the state.
#[derive(Deserialize)]
pub(super) struct Verification {
    #[serde(default)]
    tollfree_phone_number: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

impl Verification {
    pub(super) fn registration(&self) -> Option<(E164, Registration)> {
        let number = self.tollfree_phone_number.as_deref()?.parse().ok()?;
        let word = self.status.as_deref().unwrap_or("no state");
        let registration = match word.to_ascii_uppercase().as_str() {
            "TWILIO_APPROVED" => Registration::Registered,
            "TWILIO_REJECTED" => Registration::Rejected(short(word)),
            _ => Registration::Pending(short(word)),
        };
        Some((number, registration))
    }
}
