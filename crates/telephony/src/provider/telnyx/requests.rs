//! The requests that several operations make: their addresses, the pages of a listing, changes of a number.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::super::http::{Answer, Body, Call, Listed, MAX_PAGES, Method, segment};
use super::super::{Error, Order, Refusal, RefusalKind};
use super::wire::{Envelope, Hit, Number, NumberOrder, Owned, Page, SubOrder};
use super::{CLOCKS_APART, Telnyx, classify};
use crate::number::{Holding, NumberId};

/// The largest page that Telnyx gives.
pub(super) const PAGE_SIZE: &str = "250";

impl Telnyx {
    /// The URL of `path`, which begins with a slash.
    pub(super) fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, Error> {
        Ok(self.session.url(&self.api, &format!("/v2{path}"), query)?)
    }

    pub(super) fn of_number(&self, id: &NumberId) -> Result<Url, Error> {
        self.url(&format!("/phone_numbers/{}", segment(id.as_str())?), &[])
    }

    /// What `answer` holds if its status is 200, else the error that it is.
    pub(super) fn body<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Error> {
        if answer.response.status != 200 {
            return Err(classify::error(answer, &self.session));
        }
        answer.response.decode().map_err(Error::Unreadable)
    }

    /// The resource at `url`; `None` is Telnyx's own 404.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        url: Url,
    ) -> Result<Option<T>, Error> {
        let answer = self.session.get(operation, url).await?;
        if classify::is_absent(&answer) {
            return Ok(None);
        }
        self.body::<Envelope<T>>(&answer)
            .map(|envelope| Some(envelope.data))
    }

    /// Every row of a listing, and whether these are as many as every page of it counts.
    pub(super) async fn rows<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<(Vec<T>, bool), Error> {
        let (mut rows, mut listed) = (Vec::new(), Listed::default());
        let mut totals = HashSet::new();
        for number in 1..=MAX_PAGES {
            let mut url = self.url(path, query)?;
            url.query_pairs_mut()
                .append_pair("page[size]", PAGE_SIZE)
                .append_pair("page[number]", &number.to_string());
            let answer = self.session.get(operation, url).await?;
            let page: Page<T> = self.body(&answer)?;
            listed.page(answer.response.body.len(), page.data.len())?;
            if page.meta.page_number != number && !page.data.is_empty() {
                return Err(Error::Unreadable(
                    "the listing shows a page that was not asked for".into(),
                ));
            }
            let is_last = page.data.is_empty() || number >= page.meta.total_pages;
            rows.extend(page.data);
            totals.extend(page.meta.total_results);
            if is_last {
                let is_whole = totals.iter().all(|total| *total == rows.len());
                return Ok((rows, is_whole));
            }
        }
        Err(Error::Unreadable("the listing does not end".into()))
    }

    /// Sends a change, and returns the resource as the answer shows it.
    pub(super) async fn change<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        subject: &str,
        path: &str,
        fields: &Value,
    ) -> Result<T, Error> {
        let call = Call {
            method: Method::Patch,
            url: self.url(path, &[])?,
            body: Some(Body::json(fields)),
            operation,
            subject,
            id_in: None,
        };
        let answer = self.session.write(call).await?;
        self.body::<Envelope<T>>(&answer)
            .map(|envelope| envelope.data)
    }

    /// Changes a number, and returns it as it is then.
    pub(super) async fn change_number(
        &self,
        operation: &'static str,
        id: &NumberId,
        fields: &Value,
    ) -> Result<Holding, Error> {
        let path = format!("/phone_numbers/{}", segment(id.as_str())?);
        let number: Number = self.change(operation, id.as_str(), &path, fields).await?;
        if number.id != id.as_str() {
            return Err(Error::Unreadable(
                "the answer is about another number".into(),
            ));
        }
        number
            .into_holding()
            .ok_or_else(|| Error::Unreadable("the answer shows no live number".into()))
    }

    /// The organization that the first row of the listing at `path` belongs to. `None` if there is no row, or if the
    /// key may not read it.
    pub(super) async fn organization(&self, path: &str) -> Result<Option<String>, Error> {
        #[derive(serde::Deserialize)]
        struct First {
            data: Vec<Owned>,
        }
        let answer = self
            .session
            .get("identify", self.url(path, &[("page[size]", "1")])?)
            .await?;
        let first: First = self.body(&answer)?;
        Ok(first.data.into_iter().find_map(Owned::organization))
    }

    /// What is on sale, including what only nearly fits. A place without coverage is refused with a status of its own
    /// (<https://developers.telnyx.com/docs/numbers/phone-numbers/advanced-orders>) and a code that is not published, so
    /// what no code of the table says is taken for that.
    pub(super) async fn available(
        &self,
        mut filters: Vec<(&'static str, String)>,
        limit: &str,
    ) -> Result<Vec<Hit>, Error> {
        filters.push(("filter[limit]", limit.to_owned()));
        let query: Vec<_> = filters
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let url = self.url("/available_phone_numbers", &query)?;
        let answer = self.session.get("search", url).await?;
        match self.body::<Envelope<Vec<Hit>>>(&answer) {
            Ok(hits) => Ok(hits.data),
            Err(Error::Refused(refusal))
                if refusal.kind == RefusalKind::Unlisted
                    && matches!(answer.response.status, 400 | 404 | 422) =>
            {
                let kind = RefusalKind::NotOnSale;
                Err(Error::Refused(Refusal { kind, ..refusal }))
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn orders_since(&self, since: Option<Timestamp>) -> Result<Vec<Order>, Error> {
        let earliest = since
            .and_then(|since| since.checked_sub(CLOCKS_APART).ok())
            .map(|since| since.to_string());
        let query: Vec<_> = earliest
            .iter()
            .map(|since| ("filter[created_at][gt]", since.as_str()))
            .collect();
        let (rows, _): (Vec<NumberOrder>, _) =
            self.rows("list_orders", "/number_orders", &query).await?;
        Ok(rows.into_iter().map(NumberOrder::into_order).collect())
    }

    /// The sub-orders of `order`, asked for if it does not name them.
    pub(super) async fn sub_orders(&self, order: &Order) -> Result<Vec<String>, Error> {
        if !order.sub_orders.is_empty() {
            return Ok(order.sub_orders.clone());
        }
        let filter = [("filter[order_request_id]", order.id.as_str())];
        let (rows, _): (Vec<SubOrder>, _) = self
            .rows("list_orders", "/sub_number_orders", &filter)
            .await?;
        let own = rows
            .into_iter()
            .filter(|row| row.order_request_id == order.id.as_str());
        Ok(own.map(|row| row.id).collect())
    }
}
