//! What Twilio shows of campaigns and of verifications of toll-free numbers.
//!
//! Source: `compliance` and `verifications` of `twilio_messaging_v1.json`.

use super::Twilio;
use super::compliance::{Campaign, Verification};
use super::wire::ServicePage;
use crate::number::{Registration, Shown};
use crate::provider::http::segment;
use crate::provider::{Error, Registrations, better, keep_best};

impl Twilio {
    /// The best campaign of the messaging service.
    pub(super) async fn best_campaign(&self, service: &str) -> Result<Option<Registration>, Error> {
        let path = format!("/v1/Services/{}/Compliance/Usa2p", segment(service)?);
        let mut best: Option<Registration> = None;
        let visit = |page: ServicePage| {
            let real = page.compliance.iter().filter(|it| it.mock != Some(true));
            for registration in real.map(Campaign::registration) {
                best = Some(better(best.take(), registration));
            }
        };
        let listed = self.service_pages("campaigns", "compliance", &path, visit);
        // A service that is gone has no campaign.
        listed.await?;
        Ok(best)
    }

    /// The best verification of each toll-free number.
    pub(super) async fn verifications(&self) -> Result<Shown<Registrations>, Error> {
        let mut found = Registrations::new();
        let visit = |page: ServicePage| {
            let rows = page.verifications.iter();
            for (number, registration) in rows.filter_map(Verification::registration) {
                keep_best(&mut found, number, registration);
            }
        };
        let path = "/v1/Tollfree/Verifications";
        let listed = self.service_pages("verifications", "verifications", path, visit);
        Ok(match listed.await? {
            Some(()) => Shown::Known(found),
            None => Shown::Unknown,
        })
    }
}
