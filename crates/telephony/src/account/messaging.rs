//! What the messages of the numbers of an account depend on beside the numbers themselves: messaging profiles, campaigns and
//! verifications. Each is asked for once an interval for all numbers together.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::credentials::Fingerprint;
use super::{Account, Shared, lock};
use crate::clock::Instant;
use crate::number::{
    E164, Holding, NumberId, Registration, RegistrationKind, Routing, Settings, Shown, Webhook,
};
use crate::provider::{Error, Registrations, WebhookOwner};

/// Something that a provider is asked about messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessagingQuestion {
    /// Which messaging services the numbers are in (Twilio).
    Members,
    /// The campaign of a messaging service (Twilio).
    CampaignOf(String),
    /// The campaigns of all numbers (Telnyx).
    Campaigns,
    /// The verifications of all toll-free numbers.
    TollFree,
    /// A messaging profile (Telnyx).
    Profile(String),
}

/// What is known, whichever credential has shown it.
#[derive(Default)]
pub(super) struct MessagingFacts(Mutex<HashMap<MessagingQuestion, Told>>);

struct Told {
    asked: Instant,
    answer: Answer,
}

#[derive(Clone)]
enum Answer {
    Campaign(Option<Registration>),
    List(Arc<Registrations>),
    Profile(Option<Webhook>),
    /// The provider does not tell this credential.
    Refused(Fingerprint),
}

impl MessagingFacts {
    fn get(&self, question: &MessagingQuestion) -> Option<Answer> {
        let facts = lock(&self.0);
        facts.get(question).map(|told| told.answer.clone())
    }

    /// True if an answer to a question that was asked at `not_before` or later serves `credential`.
    fn serves(
        &self,
        question: &MessagingQuestion,
        credential: &Fingerprint,
        not_before: Instant,
    ) -> bool {
        let facts = lock(&self.0);
        facts.get(question).is_some_and(|told| {
            let is_others = matches!(&told.answer, Answer::Refused(other) if other != credential);
            told.asked >= not_before && !is_others
        })
    }

    /// Notes an answer. That one credential is refused takes nothing away that another one has shown at `fresh` or later.
    fn note(&self, question: MessagingQuestion, asked: Instant, answer: Answer, fresh: Instant) {
        let mut facts = lock(&self.0);
        let is_kept = facts
            .get(&question)
            .is_some_and(|told| told.asked >= fresh && !matches!(told.answer, Answer::Refused(_)));
        if !(is_kept && matches!(answer, Answer::Refused(_))) {
            facts.insert(question, Told { asked, answer });
        }
    }

    /// Forgets what nobody has asked since `at`.
    fn forget_before(&self, at: Instant) {
        lock(&self.0).retain(|_, told| told.asked >= at);
    }

    /// Puts what is known into `holding`, which shows its messaging service already, as far as that is known.
    pub(super) fn put_into(&self, holding: &mut Holding, all_services_are_seen: bool) {
        if let Settings::Telnyx(settings) = &mut holding.settings
            && let Shown::Known(Some(id)) = &settings.messaging_profile_id
        {
            let question = MessagingQuestion::Profile(id.clone());
            settings.profile = match self.get(&question) {
                Some(Answer::Profile(profile)) => Shown::Known(profile),
                _ => Shown::Unknown,
            };
        }
        let Some(kind) = holding.number.may_need_registration() else {
            return;
        };
        let registration = match Way::of(&holding.settings).registration_question(kind) {
            MessagingQuestion::Members if all_services_are_seen => Shown::Known(None),
            question => match self.get(&question) {
                Some(Answer::Campaign(campaign)) => Shown::Known(campaign),
                Some(Answer::List(list)) => Shown::Known(list.get(&holding.number).cloned()),
                _ => Shown::Unknown,
            },
        };
        holding.settings.set_registration(registration);
    }
}

/// What takes the messages of a number to where they are answered, as far as it is known.
#[derive(Clone, Copy)]
enum Way<'a> {
    /// The messaging service.
    Twilio(Option<&'a str>),
    /// The messaging profile.
    Telnyx(Option<&'a str>),
}

impl<'a> Way<'a> {
    /// As the number has it.
    fn of(settings: &'a Settings) -> Self {
        match settings {
            Settings::Twilio(settings) => {
                let service = settings.messaging_service.as_ref();
                Self::Twilio(service.map(|service| service.sid.as_str()))
            }
            Settings::Telnyx(settings) => Self::Telnyx(match &settings.messaging_profile_id {
                Shown::Known(profile) => profile.as_deref(),
                Shown::Unknown => None,
            }),
        }
    }

    /// As a number will have it that is set up by `routing`.
    fn planned(routing: &'a Routing) -> Self {
        match routing {
            Routing::Twilio {
                messaging_service_sid,
                ..
            } => Self::Twilio(messaging_service_sid.as_deref()),
            Routing::Telnyx {
                messaging_profile_id,
                ..
            } => Self::Telnyx(messaging_profile_id.as_deref()),
        }
    }

    /// What tells about the registration of a number.
    fn registration_question(self, kind: RegistrationKind) -> MessagingQuestion {
        match (kind, self) {
            (RegistrationKind::TollFree, _) => MessagingQuestion::TollFree,
            (RegistrationKind::Campaign, Self::Telnyx(_)) => MessagingQuestion::Campaigns,
            (RegistrationKind::Campaign, Self::Twilio(Some(service))) => {
                MessagingQuestion::CampaignOf(service.to_owned())
            }
            (RegistrationKind::Campaign, Self::Twilio(None)) => MessagingQuestion::Members,
        }
    }

    /// What the messages of a number depend on, in the order in which it can be asked.
    fn questions(self, kind: Option<RegistrationKind>) -> Vec<MessagingQuestion> {
        let first = match self {
            Self::Twilio(None) => Some(MessagingQuestion::Members),
            Self::Telnyx(Some(profile)) => Some(MessagingQuestion::Profile(profile.to_owned())),
            Self::Twilio(Some(_)) | Self::Telnyx(None) => None,
        };
        let registration = kind.map(|kind| self.registration_question(kind));
        let is_other = |question: &MessagingQuestion| Some(question) != first.as_ref();
        let registration = registration.filter(is_other);
        first.into_iter().chain(registration).collect()
    }
}

impl Account {
    /// Asks again what the messages of `numbers` depend on, unless that was done at `not_before` or later. The members of messaging
    /// services are left to [`Account::look_into_services`].
    ///
    /// # Errors
    /// The last one of the provider; everything else is asked all the same.
    pub async fn refresh_messaging<'a>(
        &self,
        numbers: impl IntoIterator<Item = &'a NumberId>,
        not_before: Instant,
    ) -> Result<(), Error> {
        let mut asked = BTreeSet::new();
        for id in numbers {
            if let Some(holding) = self.known(self.shared.inventory.by_id(id)) {
                let kind = holding.number.may_need_registration();
                asked.extend(Way::of(&holding.settings).questions(kind));
            }
        }
        asked.remove(&MessagingQuestion::Members);
        let mut outcome = Ok(());
        for question in asked {
            outcome = self.ask_about(&question, not_before).await.and(outcome);
        }
        self.shared.messaging.forget_before(self.stale(not_before));
        outcome
    }

    /// Asks what the messages of `number` will depend on once it is set up by `routing`, unless that is known: it is then written down
    /// with the purchase. What cannot be read now is asked again later.
    pub async fn prepare_messaging(&self, number: &E164, routing: &Routing) {
        let questions = Way::planned(routing).questions(number.needs_registration());
        let stale = self.stale_since();
        for question in questions {
            if let Err(error) = self.ask_about(&question, stale).await {
                tracing::debug!(%error, "what messages depend on was not read");
            }
        }
    }

    /// `holding` with what its messages depend on, as far as that is known.
    pub fn with_known_messaging(&self, mut holding: Holding) -> Holding {
        self.complete(&mut holding);
        holding
    }

    /// True if nothing more is to be asked about the messages of the number in `holding`, which shows what is known.
    pub fn knows_messaging_of(&self, holding: &Holding) -> bool {
        self.open_question(holding).is_none()
    }

    /// `holding` with what its messages depend on. What nobody has asked within the interval is asked now; what the provider does
    /// not tell this credential stays unknown.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn with_messaging(&self, mut holding: Holding) -> Result<Holding, Error> {
        self.complete(&mut holding);
        let not_before = self.clock.now().before(self.interval);
        let mut last = None;
        // The messaging service is found first, and then its campaign.
        while let Some(question) = self.open_question(&holding) {
            if last.as_ref() == Some(&question) {
                break;
            }
            self.ask_about(&question, not_before).await?;
            self.complete(&mut holding);
            last = Some(question);
        }
        Ok(holding)
    }

    /// The first question about `holding` that has no answer which serves this credential.
    fn open_question(&self, holding: &Holding) -> Option<MessagingQuestion> {
        let stale = self.stale_since();
        let kind = holding.number.needs_registration();
        let mut questions = Way::of(&holding.settings).questions(kind).into_iter();
        questions.find(|question| !self.is_answered(question, stale))
    }

    /// True if an answer to a question that was asked at `not_before` or later serves this credential.
    fn is_answered(&self, question: &MessagingQuestion, not_before: Instant) -> bool {
        let Shared {
            services,
            messaging,
            ..
        } = self.shared.as_ref();
        let are_seen =
            *question == MessagingQuestion::Members && services.all_were_seen_since(not_before);
        are_seen || messaging.serves(question, &self.credential, not_before)
    }

    /// Older answers than this do not serve.
    pub(super) fn stale_since(&self) -> Instant {
        self.stale(self.clock.now().before(self.interval))
    }

    /// The same, if `not_before` is one interval ago.
    fn stale(&self, not_before: Instant) -> Instant {
        not_before.before(self.interval.saturating_add(Duration::from_secs(1)))
    }

    async fn ask_about(
        &self,
        question: &MessagingQuestion,
        not_before: Instant,
    ) -> Result<(), Error> {
        if self.is_answered(question, not_before) {
            return Ok(());
        }
        let facts = &self.shared.messaging;
        let ask = async {
            let asked = self.clock.now();
            let answer = match self.ask(question).await {
                Err(Error::Unauthorized(_) | Error::Refused(_)) => Shown::Unknown,
                answered => answered?,
            };
            let answer = match answer {
                Shown::Known(None) => return Ok(()),
                Shown::Known(Some(answer)) => answer,
                Shown::Unknown => Answer::Refused(self.credential.clone()),
            };
            facts.note(question.clone(), asked, answer, self.stale(not_before));
            Ok(())
        };
        let looks = &self.messaging_looks;
        looks.get_since(question.clone(), not_before, ask).await
    }

    /// The answer to `question`, which is `None` for what is kept elsewhere.
    async fn ask(&self, question: &MessagingQuestion) -> Result<Shown<Option<Answer>>, Error> {
        let api = &self.provider_api;
        let answer = match question {
            MessagingQuestion::Members => {
                let not_before = self.clock.now().before(self.interval);
                let none = BTreeSet::new();
                self.look_into_services(&none, true, not_before).await?;
                return Ok(Shown::Known(None));
            }
            MessagingQuestion::CampaignOf(service) => {
                let campaign = self.call(api.campaign_of(service)).await?;
                campaign.map(Answer::Campaign)
            }
            MessagingQuestion::Campaigns => listed(self.call(api.campaigns()).await?),
            MessagingQuestion::TollFree => listed(self.call(api.toll_free_verifications()).await?),
            MessagingQuestion::Profile(id) => {
                let profile = self.webhook(WebhookOwner::MessagingProfile, id).await?;
                Shown::Known(Answer::Profile(profile))
            }
        };
        Ok(answer.map(Some))
    }

    /// Notes how a messaging profile is now.
    pub(super) fn saw_profile(&self, id: &str, profile: Option<Webhook>) {
        let (facts, now) = (&self.shared.messaging, self.clock.now());
        let question = MessagingQuestion::Profile(id.to_owned());
        facts.note(question, now, Answer::Profile(profile), now);
    }
}

fn listed(list: Shown<Registrations>) -> Shown<Answer> {
    list.map(|list| Answer::List(Arc::new(list)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::since_boot(Duration::from_secs(seconds))
    }

    #[test]
    fn that_one_credential_is_refused_takes_nothing_away_that_another_has_shown() {
        let facts = MessagingFacts::default();
        let [one, other] = ["one", "other"].map(|key| Fingerprint::of(&[key]));
        let question = || MessagingQuestion::Campaigns;
        let refused = |key: &Fingerprint| Answer::Refused(key.clone());
        let list = || Answer::List(Arc::new(Registrations::new()));
        let serves = |key: &Fingerprint, not_before| facts.serves(&question(), key, at(not_before));
        assert!(!serves(&one, 0), "nobody has asked");
        facts.note(question(), at(10), refused(&one), at(0));
        assert!(
            serves(&one, 10) && !serves(&other, 10),
            "another credential may be told"
        );
        facts.note(question(), at(20), list(), at(0));
        assert!(serves(&one, 20) && serves(&other, 20));
        facts.note(question(), at(30), refused(&one), at(15));
        assert!(matches!(facts.get(&question()), Some(Answer::List(_))));
        // What was shown too long ago is not known any more.
        facts.note(question(), at(60), refused(&one), at(45));
        assert!(matches!(facts.get(&question()), Some(Answer::Refused(_))));
        facts.forget_before(at(61));
        assert!(facts.get(&question()).is_none());
    }
}
