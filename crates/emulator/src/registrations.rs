//! Campaigns and verifications of toll-free numbers, as people have registered them at the portals.

use serde::{Deserialize, Serialize};

/// What is registered for the messages of a number, or of a messaging service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    /// The account at the provider.
    pub account: String,
    /// The number in E.164 form, or the SID of a messaging service.
    pub subject: String,
    /// Its state, in the provider's word.
    pub status: String,
    /// The state of the campaign that a number is assigned to (Telnyx); none if empty.
    #[serde(default)]
    pub campaign: String,
    /// True for a campaign for tests (Twilio).
    #[serde(default)]
    pub mock: bool,
}

impl Registration {
    /// True if it is one of a toll-free number, which is verified and joins no campaign.
    pub(crate) fn is_toll_free(&self) -> bool {
        let areas = ["800", "833", "844", "855", "866", "877", "888"];
        let national = self.subject.strip_prefix("+1").unwrap_or_default();
        areas.iter().any(|area| national.starts_with(area))
    }
}
