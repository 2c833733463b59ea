//! Looks for single numbers, answered together: one listing serves all that wait when there are more than a few.

use std::sync::Arc;

use super::Account;
use super::listings::disagreement;
use crate::number::{E164, Holding};
use crate::provider::Error;
use crate::rounds::{Rounds, Waiting};

type Answer = Result<Option<Holding>, Error>;

/// Which number is looked for, with the credential of which account.
type Question = (Arc<Account>, E164);

/// The looks that wait.
pub(super) type Looks = Rounds<Question, Answer>;

impl Account {
    /// What the account says of `number`, asked after this call.
    pub(super) async fn look_in_a_round(self: &Arc<Self>, number: &E164) -> Answer {
        let question = (Arc::clone(self), *number);
        let answered = self.shared.looks.ask(question, answer).await;
        answered.unwrap_or(Err(Error::Invariant(
            "a look at the number ended without an answer",
        )))
    }
}

async fn answer(waiting: Vec<Waiting<Question, Answer>>) {
    // The last to ask has the latest credential.
    let Some(((account, _), _)) = waiting.last() else {
        return;
    };
    let account = Arc::clone(account);
    if waiting.len() > account.pages() {
        return answer_by_listing(&account, waiting).await;
    }
    let singly = waiting
        .into_iter()
        .map(|((account, number), sender)| async move {
            let answer = account.find(&number).await;
            let _ = sender.send(answer);
        });
    futures::future::join_all(singly).await;
}

async fn answer_by_listing(account: &Account, waiting: Vec<Waiting<Question, Answer>>) {
    let inventory = &account.shared.inventory;
    let mut listed = account.list(account.clock.now()).await;
    let known = |number: &E164| match inventory.by_number(number) {
        None if !inventory.lacks(|holding| holding.number == *number) => Err(disagreement()),
        known => Ok(known),
    };
    let is_open = waiting
        .iter()
        .any(|((_, number), _)| known(number).is_err());
    if listed.is_ok() && is_open {
        listed = account.list_again().await;
    }
    for ((_, number), sender) in waiting {
        let answer = listed
            .clone()
            .and_then(|()| known(&number))
            .map(|found| account.known(found));
        let _ = sender.send(answer);
    }
}
