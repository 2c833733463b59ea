//! Asks what became of orders, together: one listing serves all that wait when there are more than a few.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Account;
use super::credentials::Fingerprint;
use crate::clock::Instant;
use crate::flight::Flight;
use crate::number::{Mark, OrderId};
use crate::provider::{Error, Order, OrderState};
use crate::rounds::{Rounds, Waiting};

type Answer = Result<Option<Order>, Error>;

/// Which order is asked about, made since when, with the credential of which account.
type Question = (Arc<Account>, OrderId, Timestamp);

/// With whose credential all orders were listed, and those with a mark that had not failed.
type Marked = (Fingerprint, Result<Arc<[Order]>, Error>);

/// So many are asked about one by one. A listing of all that are under way at once seldom takes more calls.
const FEW: usize = 5;

/// The orders that are asked about.
#[derive(Default)]
pub(super) struct Orders {
    waiting: Rounds<Question, Answer>,
    marked: Flight<Marked>,
}

impl Account {
    /// The orders with `mark` that have not failed, with the numbers that they are for, by a listing of all orders that began at
    /// `not_before` or later. One listing serves all that ask.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn marked_orders(
        &self,
        mark: &Mark,
        not_before: Instant,
    ) -> Result<Vec<Order>, Error> {
        let serves = |begun, (credential, outcome): &Marked| {
            begun >= not_before && self.is_answered_by(credential, outcome)
        };
        let list = |_| async {
            let listed = self.call(self.provider_api.orders(None)).await;
            let marked = listed.map(|orders| {
                let may_matter = |order: &Order| {
                    order.state != OrderState::Failure && Mark::find_in(&order.reference).is_some()
                };
                orders.into_iter().filter(may_matter).collect()
            });
            (self.credential.clone(), marked)
        };
        let flight = &self.shared.orders.marked;
        let (_, listed) = flight.last_or(self.clock.as_ref(), serves, list).await;
        let mut marked = Vec::new();
        for order in listed?.iter().filter(|order| order.is_marked(mark)) {
            if !order.numbers.is_empty() {
                marked.push(order.clone());
            } else if let Some(whole) = self.call(self.provider_api.order(&order.id)).await? {
                marked.push(whole);
            }
        }
        Ok(marked)
    }

    /// What became of an order that was made at `since` or later, by the provider's clock.
    ///
    /// # Errors
    /// Those of the provider.
    pub async fn order(self: &Arc<Self>, id: &OrderId, since: Timestamp) -> Answer {
        let question = (Arc::clone(self), id.clone(), since);
        let answered = self.shared.orders.waiting.ask(question, answer).await;
        answered.unwrap_or(Err(Error::Invariant(
            "a question about the order ended without an answer",
        )))
    }
}

async fn answer(waiting: Vec<Waiting<Question, Answer>>) {
    let mut succeeded = if waiting.len() > FEW {
        succeeded(&waiting).await
    } else {
        HashMap::new()
    };
    let each = waiting.into_iter().map(|((account, id, _), sender)| {
        let known = succeeded.remove(&id);
        async move {
            let answer = match known {
                Some(order) => Ok(Some(order)),
                None => account.call(account.provider_api.order(&id)).await,
            };
            let _ = sender.send(answer);
        }
    });
    futures::future::join_all(each).await;
}

/// The orders that a listing shows as successful. Of the others it does not show what became of their numbers; nor may
/// they be taken for absent, or be given up, if it cannot be read.
async fn succeeded(waiting: &[Waiting<Question, Answer>]) -> HashMap<OrderId, Order> {
    let since = waiting.iter().map(|((.., since), _)| *since).min();
    // The last to ask has the latest credential.
    let Some((((account, ..), _), since)) = waiting.last().zip(since) else {
        return HashMap::new();
    };
    let listed = account.call(account.provider_api.orders(Some(since))).await;
    let orders = listed.unwrap_or_default().into_iter();
    let succeeded = orders.filter(|order| order.state == OrderState::Success);
    succeeded.map(|order| (order.id.clone(), order)).collect()
}
