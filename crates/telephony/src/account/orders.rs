//! Asks what became of orders, together: one listing serves all that wait when there are more than a few.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::credentials::Fingerprint;
use super::{Account, lock};
use crate::clock::Instant;
use crate::flight::Flight;
use crate::number::{Mark, OrderId};
use crate::panics;
use crate::provider::{Error, Order, OrderState};

type Answer = Result<Option<Order>, Error>;

/// Who waits to hear of which order, made since when.
type Waiting = (OrderId, Timestamp, oneshot::Sender<Answer>);

/// With whose credential all orders were listed, and those with a mark that had not failed.
type Marked = (Fingerprint, Result<Arc<[Order]>, Error>);

/// So many are asked about one by one. A listing of all that are under way at once seldom takes more calls.
const FEW: usize = 5;

/// The orders that are asked about.
#[derive(Default)]
pub(super) struct Orders {
    queue: Mutex<Queue>,
    marked: Flight<Marked>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    answering: bool,
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
        let (sender, answer) = oneshot::channel();
        let must_start = {
            let mut queue = lock(&self.shared.orders.queue);
            queue.waiting.push((id.clone(), since, sender));
            !std::mem::replace(&mut queue.answering, true)
        };
        if must_start {
            tokio::spawn(answer_all(Arc::clone(self)));
        }
        answer.await.unwrap_or(Err(Error::Invariant(
            "a question about the order ended without an answer",
        )))
    }
}

async fn answer_all(account: Arc<Account>) {
    loop {
        // Lets those that are about to ask get into this round.
        tokio::task::yield_now().await;
        let waiting = {
            let mut queue = lock(&account.shared.orders.queue);
            if queue.waiting.is_empty() {
                queue.answering = false;
                return;
            }
            std::mem::take(&mut queue.waiting)
        };
        // Those whose round panics are told by the end of their channels, and the next round is made all the same.
        if let Err(panic) = panics::caught(answer(&account, waiting)).await {
            tracing::error!(panic, "a round of questions about orders panicked");
        }
    }
}

async fn answer(account: &Account, waiting: Vec<Waiting>) {
    let mut succeeded = if waiting.len() > FEW {
        succeeded(account, &waiting).await
    } else {
        HashMap::new()
    };
    let each = waiting.into_iter().map(|(id, _, sender)| {
        let known = succeeded.remove(&id);
        async move {
            let answer = match known {
                Some(order) => Ok(Some(order)),
                None => account.call(account.provider_api.order(&id)).await,
            };
            // Whoever asked may have gone; nobody misses the answer then.
            let _ = sender.send(answer);
        }
    });
    futures::future::join_all(each).await;
}

/// The orders that a listing shows as successful. Of the others it does not show what became of their numbers; nor may
/// they be taken for absent, or be given up, if it cannot be read.
async fn succeeded(account: &Account, waiting: &[Waiting]) -> HashMap<OrderId, Order> {
    let Some(since) = waiting.iter().map(|(_, since, _)| *since).min() else {
        return HashMap::new();
    };
    let listed = account.call(account.provider_api.orders(Some(since))).await;
    let orders = listed.unwrap_or_default().into_iter();
    let succeeded = orders.filter(|order| order.state == OrderState::Success);
    succeeded.map(|order| (order.id.clone(), order)).collect()
}
