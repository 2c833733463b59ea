//! The requests that several operations make: their addresses, the pages of a listing, changes of a number.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use url::Url;

use super::super::http::{Answer, Body, Call, Listed, MAX_PAGES, Method, segment};
use super::super::{Error, RefusalKind};
use super::wire::{Number, Page, ServicePage};
use super::{Twilio, classify};
use crate::number::{Holding, NumberId, RegulatoryDocuments};

/// The largest page that Twilio gives.
pub(super) const PAGE_SIZE: &str = "1000";

impl Twilio {
    /// The URL of something of the account; `rest` begins with a slash.
    pub(super) fn of_account(&self, rest: &str, query: &[(&str, &str)]) -> Result<Url, Error> {
        let account = segment(&self.account_sid)?;
        let path = format!("/2010-04-01/Accounts/{account}{rest}");
        Ok(self.session.url(&self.api, &path, query)?)
    }

    pub(super) fn of_number(&self, id: &NumberId) -> Result<Url, Error> {
        self.of_account(
            &format!("/IncomingPhoneNumbers/{}.json", segment(id.as_str())?),
            &[],
        )
    }

    /// The body of `answer` if its status is one of `wanted`, else the error that it is.
    pub(super) fn body<T: DeserializeOwned>(
        &self,
        answer: &Answer,
        wanted: &[u16],
    ) -> Result<T, Error> {
        if !wanted.contains(&answer.response.status) {
            return Err(classify::error(answer, &self.session));
        }
        answer.response.decode().map_err(Error::Unreadable)
    }

    /// True if a page names itself as one of this account's. An empty page proves by this alone whose numbers it lacks.
    pub(super) fn is_own(&self, page: &Page) -> bool {
        let prefix = format!("/2010-04-01/Accounts/{}/", self.account_sid);
        let mut rows = page.incoming_phone_numbers.iter();
        page.uri
            .as_ref()
            .is_some_and(|uri| uri.starts_with(&prefix))
            && rows.all(|number| number.account_sid == self.account_sid)
    }

    /// Reads page after page from `url` on; `visit` says whether to go on.
    pub(super) async fn pages(
        &self,
        operation: &'static str,
        url: Url,
        mut visit: impl FnMut(Page) -> Result<bool, Error> + Send,
    ) -> Result<(), Error> {
        let (mut seen, mut listed) = (HashSet::new(), Listed::default());
        let mut next = url;
        while seen.insert(next.as_str().to_owned()) && seen.len() <= MAX_PAGES {
            let answer = self.session.get(operation, next).await?;
            let mut page: Page = self.body(&answer, &[200])?;
            let rows = page.incoming_phone_numbers.len();
            listed.page(answer.response.body.len(), rows)?;
            if !self.is_own(&page) {
                return Err(Error::Unreadable(
                    "the listing is not of this account".into(),
                ));
            }
            let link = page.next_page_uri.take().filter(|link| !link.is_empty());
            let more = visit(page)?;
            match link {
                Some(link) if more => next = self.session.link(&self.api, &link)?,
                _ => return Ok(()),
            }
        }
        Err(Error::Unreadable("the listing does not end".into()))
    }

    /// Reads page after page of the messaging API from `path` on. The links of its pages are whole URLs, of which only the
    /// query is followed. `None` is Twilio's own 404.
    pub(super) async fn service_pages(
        &self,
        operation: &'static str,
        key: &str,
        path: &str,
        mut visit: impl FnMut(ServicePage) + Send,
    ) -> Result<Option<()>, Error> {
        let mut next = self
            .others
            .url(&self.messaging, path, &[("PageSize", PAGE_SIZE)])?;
        let mut seen = HashSet::new();
        while seen.insert(next.as_str().to_owned()) && seen.len() <= MAX_PAGES {
            let answer = self.others.get(operation, next.clone()).await?;
            if classify::is_service_absent(&answer) {
                return Ok(None);
            }
            let mut page: ServicePage = self.body(&answer, &[200])?;
            if page.meta.key != key {
                return Err(Error::Unreadable(format!(
                    "the page shows something else than {key}"
                )));
            }
            let link = page.meta.next_page_url.take();
            visit(page);
            let Some(link) = link.filter(|link| !link.is_empty()) else {
                return Ok(Some(()));
            };
            let link = Url::parse(&link).ok().filter(|link| link.path() == path);
            let link =
                link.ok_or_else(|| Error::Unreadable("a link leads to another resource".into()))?;
            next.set_query(link.query());
        }
        Err(Error::Unreadable("the listing does not end".into()))
    }

    /// Changes a number, and returns it as Twilio then shows it.
    pub(super) async fn change(
        &self,
        operation: &'static str,
        id: &NumberId,
        fields: &[(&str, &str)],
    ) -> Result<Holding, Error> {
        let call = Call {
            method: Method::Post,
            url: self.of_number(id)?,
            body: Some(Body::form(fields)),
            operation,
            subject: id.as_str(),
            id_in: None,
        };
        let answer = self.session.write(call).await?;
        let number: Number = self.body(&answer, &[200])?;
        if number.sid != id.as_str() {
            return Err(Error::Unreadable(
                "the answer is about another number".into(),
            ));
        }
        number
            .into_holding()
            .ok_or_else(|| Error::Unreadable("the answer has no phone number".into()))
    }

    /// Puts the number into a messaging service. That it is there already is no error.
    pub(super) async fn attach(&self, id: &NumberId, service: &str) -> Result<(), Error> {
        let path = format!("/v1/Services/{}/PhoneNumbers", segment(service)?);
        let call = Call {
            method: Method::Post,
            url: self.others.url(&self.messaging, &path, &[])?,
            body: Some(Body::form(&[("PhoneNumberSid", id.as_str())])),
            operation: "attach",
            subject: id.as_str(),
            id_in: None,
        };
        let answer = self.others.write(call).await?;
        if classify::is_attached(&answer) {
            return Ok(());
        }
        if classify::is_service_absent(&answer) {
            let kind = RefusalKind::ReferenceMissing;
            return Err(Error::Refused(classify::absence(
                kind,
                &answer,
                &self.others,
            )));
        }
        self.body::<serde_json::Value>(&answer, &[200, 201])
            .map(drop)
    }
}

/// The papers that are declared. Twilio takes all three when a number is bought and when it is changed.
pub(super) fn of_papers(papers: &RegulatoryDocuments) -> Vec<(&'static str, &str)> {
    let fields = [
        ("AddressSid", papers.address_sid.as_deref()),
        ("BundleSid", papers.bundle_sid.as_deref()),
        ("IdentitySid", papers.identity_sid.as_deref()),
    ];
    let set = fields.into_iter();
    set.filter_map(|(name, sid)| Some((name, sid?))).collect()
}
