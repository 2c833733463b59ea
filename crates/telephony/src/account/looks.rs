//! Looks for single numbers, answered together: one listing serves all that wait when there are more than a few.

use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::{Account, disagreement, lock};
use crate::number::{E164, Holding};
use crate::panics;
use crate::provider::Error;

type Answer = Result<Option<Holding>, Error>;

/// The looks that wait.
#[derive(Default)]
pub(super) struct Looks {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<(E164, oneshot::Sender<Answer>)>,
    answering: bool,
}

impl Looks {
    /// What the account says of `number`, asked after this call.
    pub(super) async fn look(&self, account: &Arc<Account>, number: &E164) -> Answer {
        let (sender, answer) = oneshot::channel();
        let must_start = {
            let mut queue = lock(&self.queue);
            queue.waiting.push((*number, sender));
            !std::mem::replace(&mut queue.answering, true)
        };
        if must_start {
            tokio::spawn(answer_all(Arc::clone(account)));
        }
        answer.await.unwrap_or(Err(Error::Invariant(
            "a look at the number ended without an answer",
        )))
    }
}

async fn answer_all(account: Arc<Account>) {
    loop {
        // Lets those that are about to ask get into this round.
        tokio::task::yield_now().await;
        let waiting = {
            let mut queue = lock(&account.shared.looks.queue);
            if queue.waiting.is_empty() {
                queue.answering = false;
                return;
            }
            std::mem::take(&mut queue.waiting)
        };
        // Those whose round panics are told by the end of their channels, and the next round is made all the same.
        if let Err(panic) = panics::caught(answer(&account, waiting)).await {
            tracing::error!(panic, "a round of looks at numbers panicked");
        }
    }
}

async fn answer(account: &Account, waiting: Vec<(E164, oneshot::Sender<Answer>)>) {
    if waiting.len() > account.pages() {
        return answer_by_listing(account, waiting).await;
    }
    let singly = waiting.into_iter().map(|(number, sender)| async move {
        let answer = account.find(&number).await;
        // Whoever asked may have gone; nobody misses the answer then.
        let _ = sender.send(answer);
    });
    futures::future::join_all(singly).await;
}

async fn answer_by_listing(account: &Account, waiting: Vec<(E164, oneshot::Sender<Answer>)>) {
    let inventory = &account.shared.inventory;
    let mut listed = account.list(account.clock.now()).await;
    let known = |number: &E164| match inventory.by_number(number) {
        None if !inventory.lacks(|holding| holding.number == *number) => Err(disagreement()),
        known => Ok(known),
    };
    let is_open = waiting.iter().any(|(number, _)| known(number).is_err());
    if listed.is_ok() && is_open {
        listed = account.list_again().await;
    }
    for (number, sender) in waiting {
        let answer = listed
            .clone()
            .and_then(|()| known(&number))
            .map(|found| account.known(found));
        let _ = sender.send(answer);
    }
}
