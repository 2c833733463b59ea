//! What is registered for the messages of the numbers of an account: campaigns and verifications, each asked for once an interval
//! for all numbers together.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use super::{Account, lock};
use crate::clock::Instant;
use crate::number::{Holding, NumberId, Registration, RegistrationKind, Settings, Shown};
use crate::provider::{Error, Registrations};

/// Something that a provider is asked about registrations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegistrationQuestion {
    /// Which messaging services the numbers are in (Twilio).
    Members,
    /// The campaign of a messaging service (Twilio).
    CampaignOf(String),
    /// The campaigns of all numbers (Telnyx).
    Campaigns,
    /// The verifications of all toll-free numbers.
    TollFree,
}

/// What is known, whichever credential has shown it.
#[derive(Default)]
pub(super) struct KnownRegistrations(Mutex<Known>);

#[derive(Default)]
struct Known {
    of_services: HashMap<String, Option<Registration>>,
    campaigns: Option<Registrations>,
    toll_free: Option<Registrations>,
}

impl KnownRegistrations {
    /// Puts what is registered for the number into `holding`, which says already in which messaging service it is. `is_alone` is
    /// true if it is known to be in none that it does not show.
    pub(super) fn put_into(&self, holding: &mut Holding, is_alone: bool) {
        let Some(kind) = holding.number.may_need_registration() else {
            return;
        };
        let known = lock(&self.0);
        let in_list = |list: &Option<Registrations>| match list {
            Some(list) => Shown::Known(list.get(&holding.number).cloned()),
            None => Shown::Unknown,
        };
        let registration = match (kind, &holding.settings) {
            (RegistrationKind::TollFree, _) => in_list(&known.toll_free),
            (RegistrationKind::Campaign, Settings::Telnyx(_)) => in_list(&known.campaigns),
            (RegistrationKind::Campaign, Settings::Twilio(settings)) => {
                match &settings.messaging_service {
                    Some(service) => match known.of_services.get(&service.sid) {
                        Some(campaign) => Shown::Known(campaign.clone()),
                        None => Shown::Unknown,
                    },
                    None if is_alone => Shown::Known(None),
                    None => Shown::Unknown,
                }
            }
        };
        drop(known);
        holding.settings.set_registration(registration);
    }

    fn saw_campaign_of(&self, service: &str, campaign: Shown<Option<Registration>>) {
        let mut known = lock(&self.0);
        match campaign {
            Shown::Known(campaign) => known.of_services.insert(service.to_owned(), campaign),
            Shown::Unknown => known.of_services.remove(service),
        };
    }

    fn saw_campaigns(&self, campaigns: Shown<Registrations>) {
        lock(&self.0).campaigns = shown(campaigns);
    }

    fn saw_toll_free(&self, verifications: Shown<Registrations>) {
        lock(&self.0).toll_free = shown(verifications);
    }

    /// Forgets the campaigns of messaging services that nobody asks about.
    fn keep(&self, asked: &BTreeSet<RegistrationQuestion>) {
        let is_asked =
            |sid: &String| asked.contains(&RegistrationQuestion::CampaignOf(sid.clone()));
        lock(&self.0).of_services.retain(|sid, _| is_asked(sid));
    }
}

fn shown(list: Shown<Registrations>) -> Option<Registrations> {
    match list {
        Shown::Known(list) => Some(list),
        Shown::Unknown => None,
    }
}

impl Account {
    /// What is to be asked again about the registrations of `numbers`.
    pub fn registration_questions<'a>(
        &self,
        numbers: impl IntoIterator<Item = &'a NumberId>,
    ) -> BTreeSet<RegistrationQuestion> {
        let mut questions = BTreeSet::new();
        for id in numbers {
            let holding = self.known(self.shared.inventory.by_id(id));
            let question = holding.as_ref().and_then(|holding| {
                let kind = holding.number.may_need_registration()?;
                Some(question(kind, holding))
            });
            questions.extend(question);
        }
        questions
    }

    /// Asks `questions` again, unless that was done at `not_before` or later.
    ///
    /// # Errors
    /// The last one of the provider; the other questions are asked all the same.
    pub async fn refresh_registrations(
        &self,
        questions: &BTreeSet<RegistrationQuestion>,
        not_before: Instant,
    ) -> Result<(), Error> {
        let mut outcome = Ok(());
        for question in questions {
            let asked = self.ask_about(question, not_before).await;
            outcome = asked.and(outcome);
        }
        self.shared.registrations.keep(questions);
        outcome
    }

    /// `holding` with what is registered for its messages. What nobody has asked within the interval is asked now; what the
    /// provider does not tell stays unknown.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn with_registration(&self, mut holding: Holding) -> Result<Holding, Error> {
        self.complete(&mut holding);
        let Some(kind) = holding.number.needs_registration() else {
            return Ok(holding);
        };
        let not_before = self.clock.now().before(self.interval);
        // The messaging service is found first, and then its campaign.
        for _ in 0..2 {
            if *holding.settings.registration() == Shown::Unknown {
                let question = question(kind, &holding);
                self.ask_about(&question, not_before).await?;
                self.complete(&mut holding);
            }
        }
        Ok(holding)
    }

    async fn ask_about(
        &self,
        question: &RegistrationQuestion,
        not_before: Instant,
    ) -> Result<(), Error> {
        let ask = async {
            match self.ask(question).await {
                Err(Error::Unauthorized(_) | Error::Refused(_)) => Ok(()),
                outcome => outcome,
            }
        };
        let looks = &self.registration_looks;
        looks.get_since(question.clone(), not_before, ask).await
    }

    async fn ask(&self, question: &RegistrationQuestion) -> Result<(), Error> {
        let (known, api) = (&self.shared.registrations, &self.provider_api);
        match question {
            RegistrationQuestion::Members => {
                let not_before = self.clock.now().before(self.interval);
                self.look_into_services(&BTreeSet::new(), true, not_before)
                    .await?;
            }
            RegistrationQuestion::CampaignOf(service) => {
                let campaign = self.call(api.campaign_of(service)).await?;
                known.saw_campaign_of(service, campaign);
            }
            RegistrationQuestion::Campaigns => {
                known.saw_campaigns(self.call(api.campaigns()).await?);
            }
            RegistrationQuestion::TollFree => {
                known.saw_toll_free(self.call(api.toll_free_verifications()).await?);
            }
        }
        Ok(())
    }
}

/// What tells about the registration of the number in `holding`, whose messaging service is shown as far as it is known.
fn question(kind: RegistrationKind, holding: &Holding) -> RegistrationQuestion {
    match (kind, &holding.settings) {
        (RegistrationKind::TollFree, _) => RegistrationQuestion::TollFree,
        (RegistrationKind::Campaign, Settings::Telnyx(_)) => RegistrationQuestion::Campaigns,
        (RegistrationKind::Campaign, Settings::Twilio(settings)) => {
            match &settings.messaging_service {
                Some(service) => RegistrationQuestion::CampaignOf(service.sid.clone()),
                None => RegistrationQuestion::Members,
            }
        }
    }
}
