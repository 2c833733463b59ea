//! Twilio's wire format, to and from what the rest of the program means. One method of [`ProviderApi`], one step;
//! nothing here decides.
//!
//! Source: `twilio_api_v2010.json`, `twilio_messaging_v1.json` and `twilio_pricing_v1.json` of
//! <https://github.com/twilio/twilio-oai>.

mod classify;
mod compliance;
mod registrations;
mod requests;
mod search;
#[cfg(test)]
mod tests;
mod usage;
mod wire;

use std::collections::HashSet;

use async_trait::async_trait;
use data_encoding::BASE64;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::http::{Answer, Body, Call, Client, Method, Session, segment};
use super::{
    Error, Identity, LastUse, Listing, Order, Ours, Period, ProviderApi, Refusal, RefusalKind,
    Registrations, Released, Renamed, Reply, Unmarked, Unproven, Webhook, WebhookOwner, purchase,
    release_ends,
};
use crate::claim::{Claim, ReleaseToken, Token};
use crate::number::{
    AccountId, Balance, Configuration, Description, E164, Holding, Inbound, Kind, Mark,
    MessagingService, NumberId, Offer, OrderId, Price, Provider, Registration, Routing, Search,
    Settings, Shown,
};
use classify::Asked;
use requests::{PAGE_SIZE, of_papers};
use wire::{Number, Page, Service};

/// Basic authentication: an AccountSid with its auth token, or an API key of the account with its secret.
#[derive(Clone, Debug)]
pub struct TwilioCredentials {
    /// The account (`AC…`).
    pub account_sid: String,
    /// The AccountSid again, or the SID of an API key (`SK…`).
    pub username: String,
    /// The auth token, or the API key's secret.
    pub password: SecretString,
}

/// One Twilio account.
pub struct Twilio {
    session: Session,
    /// The session with the hosts of messaging and prices, whose clocks are others than the API's.
    others: Session,
    account_sid: String,
    api: String,
    messaging: String,
    pricing: String,
}

impl Twilio {
    /// The account that `credentials` open, at Twilio's own hosts or, for tests, with every host at `endpoint`.
    pub fn new(client: Client, credentials: TwilioCredentials, endpoint: Option<Url>) -> Self {
        let TwilioCredentials {
            account_sid,
            username,
            password,
        } = credentials;
        let pair = BASE64.encode(format!("{username}:{}", password.expose_secret()).as_bytes());
        let host = |official: &str| endpoint.as_ref().map_or(official, Url::as_str).to_owned();
        let api = host("https://api.twilio.com");
        let messaging = host("https://messaging.twilio.com");
        let pricing = host("https://pricing.twilio.com");
        let open = |hosts: Vec<String>| {
            Session::new(
                "twilio",
                client.clone(),
                hosts,
                SecretString::from(format!("Basic {pair}")),
                vec![SecretString::from(pair.clone()), password.clone()],
            )
        };
        let session = open(vec![api.clone()]);
        let others = open(vec![messaging.clone(), pricing.clone()]);
        Self {
            session,
            others,
            account_sid,
            api,
            messaging,
            pricing,
        }
    }
}

#[async_trait]
impl ProviderApi for Twilio {
    fn provider(&self) -> Provider {
        Provider::Twilio
    }

    fn provider_time(&self) -> Option<Timestamp> {
        self.session.time()
    }

    /// API keys cannot read the account itself, so a listing under the AccountSid is the proof.
    async fn identify(&self) -> Result<Identity, Error> {
        let hex = self.account_sid.strip_prefix("AC").unwrap_or_default();
        if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::Unauthorized(Refusal {
                kind: RefusalKind::Unauthorized,
                code: "accountSid".into(),
                text: "it is not AC and 32 hexadecimal digits".into(),
                request_id: None,
            }));
        }
        let url = self.of_account("/IncomingPhoneNumbers.json", &[("PageSize", "1")])?;
        let answer = self.session.get("identify", url).await?;
        if classify::is_absent(&answer) {
            let kind = RefusalKind::Unauthorized;
            return Err(Error::Unauthorized(classify::absence(
                kind,
                &answer,
                &self.session,
            )));
        }
        let page: Page = self.body(&answer, &[200])?;
        if !self.is_own(&page) {
            return Err(Error::Unreadable(
                "the listing is not of this account".into(),
            ));
        }
        let account = AccountId::new(self.account_sid.clone());
        Ok(Identity {
            account,
            alias: None,
            proved: true,
        })
    }

    /// The filter takes partial numbers too, so the rows are compared.
    async fn find(&self, number: &E164) -> Result<Option<Holding>, Error> {
        let query = [("PhoneNumber", number.as_str()), ("PageSize", "50")];
        let url = self.of_account("/IncomingPhoneNumbers.json", &query)?;
        let mut found = None;
        self.pages("find", url, |page| {
            found = page
                .incoming_phone_numbers
                .into_iter()
                .find(|row| row.phone_number == number.as_str());
            Ok(found.is_none())
        })
        .await?;
        Ok(found.and_then(Number::into_holding))
    }

    async fn fetch(&self, id: &NumberId) -> Result<Option<Holding>, Error> {
        let answer = self.session.get("fetch", self.of_number(id)?).await?;
        if classify::is_absent(&answer) {
            return Ok(None);
        }
        let number: Number = self.body(&answer, &[200])?;
        if number.sid != id.as_str() || number.account_sid != self.account_sid {
            return Err(Error::Unreadable(
                "the answer is about another number".into(),
            ));
        }
        let holding = number.into_holding();
        holding
            .map(Some)
            .ok_or_else(|| Error::Unreadable("the answer has no phone number".into()))
    }

    async fn list(&self) -> Result<Listing, Error> {
        let url = self.of_account("/IncomingPhoneNumbers.json", &[("PageSize", PAGE_SIZE)])?;
        let mut holdings = Vec::new();
        let mut ids = HashSet::new();
        let mut count = 0;
        self.pages("list", url, |page| {
            count += page.incoming_phone_numbers.len();
            let rows = page.incoming_phone_numbers.into_iter();
            let new = rows.filter(|row| ids.insert(row.sid.clone()));
            holdings.extend(new.filter_map(Number::into_holding));
            Ok(true)
        })
        .await?;
        // A number that was bought meanwhile moves others to the next page, and one that was released hides others.
        let is_whole = ids.len() == count;
        Ok(Listing { holdings, is_whole })
    }

    async fn messaging_services(&self) -> Result<Vec<MessagingService>, Error> {
        let mut services = Vec::new();
        let listed = self.service_pages("list_services", "services", "/v1/Services", |page| {
            services.extend(page.services.into_iter().map(Service::into_service));
        });
        match listed.await? {
            Some(()) => Ok(services),
            None => Err(Error::Unreadable("there is no listing of services".into())),
        }
    }

    async fn messaging_service(&self, sid: &str) -> Result<Option<MessagingService>, Error> {
        let path = format!("/v1/Services/{}", segment(sid)?);
        let url = self.others.url(&self.messaging, &path, &[])?;
        let answer = self.others.get("service", url).await?;
        if classify::is_service_absent(&answer) {
            return Ok(None);
        }
        let service: Service = self.body(&answer, &[200])?;
        if service.sid != sid {
            return Err(Error::Unreadable(
                "the answer is about another messaging service".into(),
            ));
        }
        Ok(Some(service.into_service()))
    }

    async fn members(&self, messaging_service: &str) -> Result<Option<HashSet<NumberId>>, Error> {
        let path = format!("/v1/Services/{}/PhoneNumbers", segment(messaging_service)?);
        let mut members = HashSet::new();
        let listed = self.service_pages("list_members", "phone_numbers", &path, |page| {
            let rows = page.phone_numbers.into_iter();
            members.extend(rows.map(|row| NumberId::new(row.sid)));
        });
        Ok(listed.await?.map(|()| members))
    }

    async fn campaign_of(
        &self,
        messaging_service: &str,
    ) -> Result<Shown<Option<Registration>>, Error> {
        let best = self.best_campaign(messaging_service).await;
        let best = best.map(Shown::Known);
        best.or_else(|error| error.unless_refused(Shown::Unknown))
    }

    /// A number has the campaign of its messaging service.
    async fn campaigns(&self) -> Result<Shown<Registrations>, Error> {
        Ok(Shown::Unknown)
    }

    async fn toll_free_verifications(&self) -> Result<Shown<Registrations>, Error> {
        let found = self.verifications().await;
        found.or_else(|error| error.unless_refused(Shown::Unknown))
    }

    async fn find_order(
        &self,
        _: &Mark,
        _: &E164,
        _: Option<&Claim>,
    ) -> Result<Option<Order>, Error> {
        Ok(None)
    }

    async fn orders(&self, _: Option<Timestamp>) -> Result<Vec<Order>, Error> {
        Ok(Vec::new())
    }

    async fn order(&self, _: &OrderId) -> Result<Option<Order>, Error> {
        Ok(None)
    }

    async fn offer(&self, number: &E164) -> Result<Option<Offer>, Error> {
        Ok(Some(Offer {
            number: *number,
            price: None,
            description: Description::default(),
        }))
    }

    /// A country that has no numbers of this kind answers 404.
    async fn search(&self, search: &Search) -> Result<Vec<Offer>, Error> {
        let country = segment(&search.country)?;
        let path = format!(
            "/AvailablePhoneNumbers/{country}/{}.json",
            search::segment(search.kind)
        );
        let query = search::query(search);
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let answer = self
            .session
            .get("search", self.of_account(&path, &query)?)
            .await?;
        if classify::is_absent(&answer) {
            return Ok(Vec::new());
        }
        let page = self.body::<search::Available>(&answer, &[200]);
        match page {
            Ok(page) => Ok(page.offers(search)),
            // No coverage has an answer of its own, so it is the filter that is refused.
            Err(Error::Refused(refusal)) if refusal.kind == RefusalKind::Unlisted => {
                let kind = RefusalKind::Invalid;
                Err(Error::Refused(Refusal { kind, ..refusal }))
            }
            Err(error) => Err(error),
        }
    }

    /// A country that is not in the list answers 404.
    async fn price(&self, country: &str, kind: Kind) -> Result<Option<Price>, Error> {
        let path = format!("/v1/PhoneNumbers/Countries/{}", segment(country)?);
        let url = self.others.url(&self.pricing, &path, &[])?;
        let answer = self.others.get("price", url).await?;
        if classify::is_absent(&answer) {
            return Ok(None);
        }
        let list: search::PriceList = self.body(&answer, &[200])?;
        Ok(list.price(kind))
    }

    /// A subaccount has no balance of its own. What it is answered is not documented, so every refusal is taken for that.
    async fn balance(&self) -> Result<Option<Balance>, Error> {
        let url = self.of_account("/Balance.json", &[])?;
        let answer = self.session.get("balance", url).await?;
        let told = self.body::<wire::Balance>(&answer, &[200]);
        told.map(wire::Balance::into_balance)
            .or_else(|error| error.unless_refused(None))
    }

    async fn last_use(&self, number: &E164, period: Period) -> Result<LastUse, Error> {
        Ok(LastUse {
            call: self.seen(&usage::CALLS, number, period).await?,
            message: self.seen(&usage::MESSAGES, number, period).await?,
        })
    }

    async fn buy(&self, token: Token, configuration: &Configuration) -> Reply {
        let claim = token.claim();
        if claim.account_id.as_str() != self.account_sid {
            return Reply::NotSent(Error::Invariant("the claim is on another account"));
        }
        let Routing::Twilio {
            voice_url, sms_url, ..
        } = &configuration.routing
        else {
            return Reply::NotSent(Error::Invariant("the configuration is not for Twilio"));
        };
        let url = match self.of_account("/IncomingPhoneNumbers.json", &[]) {
            Ok(url) => url,
            Err(error) => return Reply::NotSent(error),
        };
        let marked_text = configuration.marked_text();
        let mut fields = vec![
            ("PhoneNumber", claim.number.as_str()),
            ("FriendlyName", marked_text.as_str()),
            ("VoiceUrl", voice_url.as_str()),
            ("VoiceMethod", "POST"),
        ];
        if let Some(sms_url) = sms_url {
            fields.extend([("SmsUrl", sms_url.as_str()), ("SmsMethod", "POST")]);
        }
        fields.extend(of_papers(&configuration.papers));
        let call = Call {
            method: Method::Post,
            url,
            body: Some(Body::form(&fields)),
            operation: "buy",
            subject: claim.number.as_str(),
            id_in: Some(wire::id_of_new),
        };
        let asked = Asked {
            account_sid: &self.account_sid,
            number: &claim.number,
            configuration,
        };
        let read = |answer: &Answer| classify::reply(answer, &asked, &self.session);
        purchase(&self.session, &token, call, read).await
    }

    /// A trunk or an application overrides the webhooks, so both are cleared by sending them empty. A number that takes no messages
    /// takes no field about them either (<https://www.twilio.com/docs/api/errors/21407>).
    ///
    /// The messaging service has a call of its own, which is made only if the number is not in it already. It comes last: the
    /// number then carries the mark, whatever somebody has done to its name since it was looked at.
    async fn configure(
        &self,
        number: &Ours,
        configuration: &Configuration,
    ) -> Result<Holding, Error> {
        let Routing::Twilio {
            voice_url,
            sms_url,
            messaging_service_sid,
        } = &configuration.routing
        else {
            return Err(Error::Invariant("the configuration is not for Twilio"));
        };
        let marked_text = configuration.marked_text();
        let mut fields = vec![
            ("FriendlyName", marked_text.as_str()),
            ("VoiceUrl", voice_url.as_str()),
            ("VoiceMethod", "POST"),
            ("TrunkSid", ""),
            ("VoiceApplicationSid", ""),
        ];
        if let Some(sms_url) = sms_url.as_ref().filter(|_| number.takes_messages()) {
            fields.extend([
                ("SmsUrl", sms_url.as_str()),
                ("SmsMethod", "POST"),
                ("SmsApplicationSid", ""),
            ]);
        }
        fields.extend(of_papers(&configuration.papers));
        let mut holding = self.change("configure", number.id(), &fields).await?;
        if let Some(sid) = messaging_service_sid {
            if !number.is_in(sid) {
                self.attach(number.id(), sid).await?;
            }
            if let Settings::Twilio(settings) = &mut holding.settings {
                settings.messaging_service = Some(MessagingService {
                    sid: sid.clone(),
                    inbound: Inbound::Unknown,
                });
            }
        }
        Ok(holding)
    }

    async fn mark(&self, number: &Unmarked, marked_text: &str) -> Result<Holding, Error> {
        self.change("mark", number.id(), &[("FriendlyName", marked_text)])
            .await
    }

    async fn rename(&self, number: &Unproven, marked_text: &str) -> Result<Renamed, Error> {
        let url = self.of_number(number.id())?;
        let before: Number = self.body(&self.session.get("fetch", url.clone()).await?, &[200])?;
        let call = Call {
            method: Method::Post,
            url,
            body: Some(Body::form(&[("FriendlyName", marked_text)])),
            operation: "mark",
            subject: number.id().as_str(),
            id_in: None,
        };
        let after: Number = self.body(&self.session.write(call).await?, &[200])?;
        if [&before, &after]
            .iter()
            .any(|it| it.sid != number.id().as_str())
        {
            return Err(Error::Unreadable(
                "the answer is about another number".into(),
            ));
        }
        let dated = after.updated();
        let at = dated.filter(|at| Some(*at) > before.updated());
        let holding = after
            .into_holding()
            .ok_or_else(|| Error::Unreadable("the answer has no phone number".into()))?;
        Ok(Renamed { holding, at, dated })
    }

    async fn release(&self, number: Ours, token: ReleaseToken) -> Result<Released, Error> {
        let ends = release_ends(&number, token, self.session.clock().now())?;
        let call = Call {
            method: Method::Delete,
            url: self.of_number(number.id())?,
            body: None,
            operation: "release",
            subject: number.id().as_str(),
            id_in: None,
        };
        let answer = self.session.release(call, ends).await?;
        if answer.response.status == 204 {
            Ok(Released::Confirmed)
        } else if classify::is_absent(&answer) {
            Ok(Released::Absent)
        } else {
            Err(classify::error(&answer, &self.session))
        }
    }

    async fn cancel(&self, _: &Order) -> Result<(), Error> {
        Err(Error::Invariant("Twilio has no orders"))
    }

    async fn attach_requirement_group(&self, _: &Order, _: &str) -> Result<(), Error> {
        Err(Error::Invariant("Twilio has no orders"))
    }

    async fn webhook(&self, _: WebhookOwner, _: &str) -> Result<Option<Webhook>, Error> {
        Ok(None)
    }

    async fn set_webhook(&self, _: WebhookOwner, _: &str, _: &str) -> Result<(), Error> {
        Err(Error::Invariant(
            "Twilio has no webhooks but those of numbers",
        ))
    }
}
