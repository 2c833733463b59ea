//! Telnyx's wire format, to and from what the rest of the program means. One method of [`ProviderApi`], one step;
//! nothing here decides.
//!
//! Source: `openapi/spec3.yml` of <https://github.com/team-telnyx/openapi>.

mod classify;
mod registrations;
mod requests;
mod search;
#[cfg(test)]
mod tests;
mod usage;
mod wire;

use std::collections::HashSet;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::http::{Answer, Body, Call, Client, Method, Session, segment};
use super::{
    Error, Identity, LastUse, Listing, Order, OrderState, Ours, Period, ProviderApi, Refusal,
    RefusalKind, Registrations, Released, Renamed, Reply, Unmarked, Unproven, Webhook,
    WebhookOwner, purchase, release_ends,
};
use crate::claim::{Claim, ReleaseToken, Token};
use crate::number::{
    AccountId, Balance, Configuration, E164, Holding, Kind, Mark, MessagingService, NumberId,
    Offer, OrderId, Price, Provider, Registration, Routing, Search, Settings, Shown,
};
use requests::PAGE_SIZE;
use wire::{Envelope, Hit, Messaging, Number, NumberOrder, WebhookHome};

/// Telnyx's `Date` and `created_at` come from different machines, so orders are listed from earlier on. What is listed too much
/// is told apart by its reference.
const CLOCKS_APART: SignedDuration = SignedDuration::from_hours(1);

/// One Telnyx account.
pub struct Telnyx {
    session: Session,
    alias: AccountId,
    api: String,
}

impl Telnyx {
    /// The account that `key` opens, at Telnyx's own host or, for tests, at `endpoint`.
    pub fn new(client: Client, key: SecretString, endpoint: Option<Url>) -> Self {
        let hash = HEXLOWER.encode(&Sha256::digest(key.expose_secret().as_bytes()));
        let alias = AccountId::new(format!("key-{}", hash.get(..16).unwrap_or_default()));
        let api = endpoint.map_or_else(|| "https://api.telnyx.com".to_owned(), String::from);
        let authorization = SecretString::from(format!("Bearer {}", key.expose_secret()));
        let session = Session::new(
            "telnyx",
            client,
            vec![api.clone()],
            authorization,
            vec![key],
        );
        Self {
            session,
            alias,
            api,
        }
    }
}

#[async_trait]
impl ProviderApi for Telnyx {
    fn provider(&self) -> Provider {
        Provider::Telnyx
    }

    fn provider_time(&self) -> Option<Timestamp> {
        self.session.time()
    }

    /// There is no call for the account itself: messaging profiles and messaging settings name the organization.
    async fn identify(&self) -> Result<Identity, Error> {
        let organization = match self.organization("/messaging_profiles").await {
            Ok(None) => self.organization("/phone_numbers/messaging").await,
            known => known,
        }?;
        Ok(Identity {
            proved: organization.is_some(),
            account: organization.map_or_else(|| self.alias.clone(), AccountId::new),
            alias: Some(self.alias.clone()),
        })
    }

    /// The filter wants digits alone, and finds numbers that contain them, so the rows are compared.
    async fn find(&self, number: &E164) -> Result<Option<Holding>, Error> {
        let (rows, is_whole): (Vec<Number>, _) = self
            .rows(
                "find",
                "/phone_numbers",
                &[("filter[phone_number]", number.digits())],
            )
            .await?;
        let mut exact = rows
            .into_iter()
            .filter(|row| row.phone_number == number.as_str());
        match exact.find_map(Number::into_holding) {
            None if !is_whole => Err(Error::Unreadable(
                "the listing counts other rows than it shows".into(),
            )),
            found => Ok(found),
        }
    }

    async fn fetch(&self, id: &NumberId) -> Result<Option<Holding>, Error> {
        match self.read::<Number>("fetch", self.of_number(id)?).await? {
            Some(number) if number.id != id.as_str() => Err(Error::Unreadable(
                "the answer is about another number".into(),
            )),
            Some(number) if number.is_held() => {
                let holding = number.into_holding();
                holding
                    .map(Some)
                    .ok_or_else(|| Error::Unreadable("the answer has no phone number".into()))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Where Telnyx cannot look up messaging profiles, it lists the numbers without them rather than not at all: a
    /// messaging profile that is not shown here is unknown.
    async fn list(&self) -> Result<Listing, Error> {
        let query = [("handle_messaging_profile_error", "true")];
        let (rows, is_counted): (Vec<Number>, _) =
            self.rows("list", "/phone_numbers", &query).await?;
        let count = rows.len();
        let mut ids = HashSet::new();
        let new = rows.into_iter().filter(|row| ids.insert(row.id.clone()));
        let holdings = new.filter_map(Number::into_listed).collect();
        // A number that was bought meanwhile moves others to the next page.
        let is_whole = is_counted && ids.len() == count;
        Ok(Listing { holdings, is_whole })
    }

    async fn messaging_services(&self) -> Result<Vec<MessagingService>, Error> {
        Ok(Vec::new())
    }

    async fn messaging_service(&self, _: &str) -> Result<Option<MessagingService>, Error> {
        Ok(None)
    }

    async fn members(&self, _: &str) -> Result<Option<HashSet<NumberId>>, Error> {
        Ok(None)
    }

    /// A number is assigned to its campaign itself.
    async fn campaign_of(&self, _: &str) -> Result<Shown<Option<Registration>>, Error> {
        Ok(Shown::Unknown)
    }

    async fn campaigns(&self) -> Result<Shown<Registrations>, Error> {
        let found = self.campaigns_by_number().await.map(Shown::Known);
        found.or_else(|error| error.unless_refused(Shown::Unknown))
    }

    async fn toll_free_verifications(&self) -> Result<Shown<Registrations>, Error> {
        let found = self.verifications().await.map(Shown::Known);
        found.or_else(|error| error.unless_refused(Shown::Unknown))
    }

    /// Listings can be filtered by time, not by the beginning of a reference. They show an order without the state of
    /// its number, so the orders that matter are read one by one.
    async fn find_order(
        &self,
        mark: &Mark,
        number: &E164,
        claim: Option<&Claim>,
    ) -> Result<Option<Order>, Error> {
        let mut best: Option<Order> = None;
        let is_of_claim = |order: &Order| claim.is_some_and(|it| it.has_placed(&order.reference));
        let may_matter = |order: &Order| {
            claim.is_none_or(|it| it.may_have_placed(&order.reference, order.created))
        };
        let since = claim.map(|claim| claim.since);
        for mut order in self.orders_since(since).await? {
            if !order.is_marked(mark) || !may_matter(&order) {
                continue;
            }
            if order.numbers.is_empty() || order.state == OrderState::Pending {
                match self.order(&order.id).await? {
                    Some(whole) => order = whole,
                    None => continue,
                }
            }
            let says_more = best.as_ref().is_none_or(|best| {
                let rank = |it: &Order| (it.state, is_of_claim(it), it.created);
                rank(&order) > rank(best)
            });
            if order.numbers.contains(number) && says_more {
                best = Some(order);
            }
        }
        Ok(best)
    }

    async fn orders(&self, since: Option<Timestamp>) -> Result<Vec<Order>, Error> {
        self.orders_since(since).await
    }

    async fn order(&self, id: &OrderId) -> Result<Option<Order>, Error> {
        let url = self.url(&format!("/number_orders/{}", segment(id.as_str())?), &[])?;
        match self
            .read::<NumberOrder>("order", url)
            .await?
            .map(NumberOrder::into_order)
        {
            Some(order) if order.id != *id => Err(Error::Unreadable(
                "the answer is about another order".into(),
            )),
            order => Ok(order),
        }
    }

    /// Only numbers that were searched recently can be ordered
    /// (<https://developers.telnyx.com/docs/numbers/phone-numbers/number-orders>), so this is no courtesy.
    async fn offer(&self, number: &E164) -> Result<Option<Offer>, Error> {
        let filters = search::of_number(number).ok_or_else(|| {
            Error::Refused(Refusal {
                kind: RefusalKind::Invalid,
                code: "country".into(),
                text: "the number belongs to no country, so it cannot be searched for".into(),
                request_id: None,
            })
        })?;
        let hits = self.available(filters, "50").await?;
        let mut offers = hits.into_iter().filter_map(Hit::into_offer);
        Ok(offers.find(|offer| offer.number == *number))
    }

    async fn search(&self, search: &Search) -> Result<Vec<Offer>, Error> {
        let hits = self.available(search::of(search), PAGE_SIZE).await?;
        let fitting = hits
            .into_iter()
            .filter(|hit| hit.can_do_what_is_wanted(search));
        Ok(fitting.filter_map(Hit::into_offer).collect())
    }

    /// There is no price list: what is offered tells what it costs.
    async fn price(&self, _: &str, _: Kind) -> Result<Option<Price>, Error> {
        Ok(None)
    }

    /// What counts is the available credit: an order beyond it is refused. A key may lack the right to read it.
    async fn balance(&self) -> Result<Option<Balance>, Error> {
        let url = self.url("/balance", &[])?;
        let told = self.read::<wire::Balance>("balance", url).await;
        let told = told.map(|told| told.and_then(wire::Balance::into_balance));
        told.or_else(|error| error.unless_refused(None))
    }

    async fn last_use(&self, number: &E164, period: Period) -> Result<LastUse, Error> {
        Ok(LastUse {
            call: self.seen(&usage::CALLS, number, period).await?,
            message: self.seen(&usage::MESSAGES, number, period).await?,
        })
    }

    async fn buy(&self, token: Token, configuration: &Configuration) -> Reply {
        let Routing::Telnyx {
            connection_id,
            messaging_profile_id,
            billing_group_id,
        } = &configuration.routing
        else {
            return Reply::NotSent(Error::Invariant("the configuration is not for Telnyx"));
        };
        let claim = token.claim();
        let url = match self.url("/number_orders", &[]) {
            Ok(url) => url,
            Err(error) => return Reply::NotSent(error),
        };
        let reference = format!("{}.{}", configuration.mark, claim.nonce);
        let number = object([
            ("phone_number", Some(claim.number.as_str())),
            (
                "requirement_group_id",
                configuration.papers.requirement_group_id.as_deref(),
            ),
        ]);
        let mut order = object([
            ("customer_reference", Some(reference.as_str())),
            ("connection_id", Some(connection_id.as_str())),
            ("messaging_profile_id", messaging_profile_id.as_deref()),
            ("billing_group_id", billing_group_id.as_deref()),
        ]);
        order.insert("phone_numbers".into(), json!([number]));
        let call = Call {
            method: Method::Post,
            url,
            body: Some(Body::json(&Value::Object(order))),
            operation: "buy",
            subject: claim.number.as_str(),
            id_in: Some(wire::id_of_new),
        };
        let read =
            |answer: &Answer| classify::reply(answer, &claim.number, &reference, &self.session);
        purchase(&self.session, &token, call, read).await
    }

    /// The messaging profile has a call of its own, which is made only if the number is not on it already.
    async fn configure(
        &self,
        number: &Ours,
        configuration: &Configuration,
    ) -> Result<Holding, Error> {
        let Routing::Telnyx {
            connection_id,
            messaging_profile_id,
            billing_group_id,
        } = &configuration.routing
        else {
            return Err(Error::Invariant("the configuration is not for Telnyx"));
        };
        let marked_text = configuration.marked_text();
        let fields = Value::Object(object([
            ("customer_reference", Some(marked_text.as_str())),
            ("connection_id", Some(connection_id.as_str())),
            ("billing_group_id", billing_group_id.as_deref()),
        ]));
        let mut holding = self
            .change_number("configure", number.id(), &fields)
            .await?;
        if let (Some(profile), Settings::Telnyx(settings)) =
            (messaging_profile_id, &mut holding.settings)
            && settings.messaging_profile_id != Shown::Known(Some(profile.clone()))
        {
            let id = number.id().as_str();
            let path = format!("/phone_numbers/{}/messaging", segment(id)?);
            let fields = json!({ "messaging_profile_id": profile });
            let messaging: Messaging = self.change("attach", id, &path, &fields).await?;
            settings.messaging_profile_id = Shown::Known(messaging.profile());
        }
        Ok(holding)
    }

    async fn mark(&self, number: &Unmarked, marked_text: &str) -> Result<Holding, Error> {
        self.change_number(
            "mark",
            number.id(),
            &json!({ "customer_reference": marked_text }),
        )
        .await
    }

    async fn rename(&self, _: &Unproven, _: &str) -> Result<Renamed, Error> {
        Err(Error::Invariant("an order at Telnyx overwrites nothing"))
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
        if classify::is_absent(&answer) {
            return Ok(Released::Absent);
        }
        self.body::<Envelope<Value>>(&answer)
            .map(|_| Released::Confirmed)
    }

    async fn cancel(&self, order: &Order) -> Result<(), Error> {
        for id in &self.sub_orders(order).await? {
            let path = format!("/sub_number_orders/{}/cancel", segment(id)?);
            self.change::<Value>("cancel", id, &path, &json!({}))
                .await?;
        }
        Ok(())
    }

    async fn attach_requirement_group(&self, order: &Order, group: &str) -> Result<(), Error> {
        for id in &self.sub_orders(order).await? {
            let path = format!("/sub_number_orders/{}/requirement_group", segment(id)?);
            let fields = json!({ "requirement_group_id": group });
            let call = Call {
                method: Method::Post,
                url: self.url(&path, &[])?,
                body: Some(Body::json(&fields)),
                operation: "attach requirement group",
                subject: id,
                id_in: None,
            };
            let answer = self.session.write(call).await?;
            self.body::<Envelope<Value>>(&answer)?;
        }
        Ok(())
    }

    async fn webhook(&self, home: WebhookOwner, id: &str) -> Result<Option<Webhook>, Error> {
        let Ok(id) = segment(id) else {
            return Ok(None);
        };
        let path = match home {
            WebhookOwner::Connection => format!("/connections/{id}"),
            WebhookOwner::MessagingProfile => format!("/messaging_profiles/{id}"),
        };
        let found: Option<WebhookHome> = self.read("webhook", self.url(&path, &[])?).await?;
        Ok(found.map(WebhookHome::into_webhook))
    }

    /// A change of an application must repeat its name.
    async fn set_webhook(&self, home: WebhookOwner, id: &str, url: &str) -> Result<(), Error> {
        let id = segment(id)?;
        let (operation, path, fields) = match home {
            WebhookOwner::Connection => {
                let path = format!("/call_control_applications/{id}");
                let found: Option<WebhookHome> =
                    self.read("webhook", self.url(&path, &[])?).await?;
                let name = found.and_then(|found| found.application_name).ok_or_else(|| {
                    Error::Refused(Refusal {
                        kind: RefusalKind::ReferenceMissing,
                        code: "connection".into(),
                        text: "it is not a Call Control Application of this account, so its webhook cannot be set".into(),
                        request_id: None,
                    })
                })?;
                let fields = json!({ "application_name": name, "webhook_event_url": url, "webhook_api_version": "2" });
                ("set connection webhook", path, fields)
            }
            WebhookOwner::MessagingProfile => {
                let fields = json!({ "webhook_url": url, "webhook_api_version": "2" });
                (
                    "set messaging profile webhook",
                    format!("/messaging_profiles/{id}"),
                    fields,
                )
            }
        };
        self.change::<Value>(operation, id, &path, &fields)
            .await
            .map(drop)
    }
}

/// The fields that are set.
fn object<const N: usize>(fields: [(&str, Option<&str>); N]) -> serde_json::Map<String, Value> {
    let set = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))));
    set.collect()
}
