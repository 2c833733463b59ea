//! Questions that are answered together: a round takes all that wait.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::panics::{caught, lock};

/// After a round for more than one question, the next round begins so much later. Meanwhile questions gather, so that the number
/// of rounds follows the time and not the number of questions.
pub(crate) const GATHER: Duration = Duration::from_millis(100);

/// A question, and where its answer goes. The asker may be gone; its answer is then dropped.
pub(crate) type Waiting<Q, A> = (Q, oneshot::Sender<A>);

/// Questions that wait for a round.
///
/// # Guarantees
/// One round is under way at a time. A question is answered by a round that begins after it was asked. A question that comes
/// alone is answered at once.
pub(crate) struct Rounds<Q, A> {
    queue: Arc<Mutex<Queue<Q, A>>>,
}

struct Queue<Q, A> {
    waiting: Vec<Waiting<Q, A>>,
    /// True while a task makes rounds.
    is_answering: bool,
}

impl<Q, A> Default for Rounds<Q, A> {
    fn default() -> Self {
        let queue = Queue {
            waiting: Vec::new(),
            is_answering: false,
        };
        Self {
            queue: Arc::new(Mutex::new(queue)),
        }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Rounds<Q, A> {
    /// The answer to `question`; nothing if its round panicked. `answer` makes a round.
    pub(crate) async fn ask<F>(
        &self,
        question: Q,
        answer: impl Fn(Vec<Waiting<Q, A>>) -> F + Send + 'static,
    ) -> Option<A>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let must_start = {
            let mut queue = lock(&self.queue);
            queue.waiting.push((question, sender));
            !std::mem::replace(&mut queue.is_answering, true)
        };
        if must_start {
            tokio::spawn(answer_all(Arc::clone(&self.queue), answer));
        }
        receiver.await.ok()
    }
}

async fn answer_all<Q, A, F: Future<Output = ()>>(
    queue: Arc<Mutex<Queue<Q, A>>>,
    answer: impl Fn(Vec<Waiting<Q, A>>) -> F,
) {
    loop {
        // Lets those that are about to ask get into this round.
        tokio::task::yield_now().await;
        let waiting = {
            let mut queue = lock(&queue);
            if queue.waiting.is_empty() {
                queue.is_answering = false;
                return;
            }
            std::mem::take(&mut queue.waiting)
        };
        let is_busy = waiting.len() > 1;
        // The end of their channels tells those whose round panicked. The next round is made all the same.
        if let Err(panic) = caught(answer(waiting)).await {
            tracing::error!(panic, "a round of questions to the provider panicked");
        }
        if is_busy {
            tokio::time::sleep(GATHER).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::time::{Instant, sleep};

    /// What a round of these tests takes.
    const TAKES: Duration = Duration::from_millis(20);

    /// Asks `questions`, one each `apart`: the rounds that were made, and how long the longest took to be answered.
    async fn asked(questions: u32, apart: Duration) -> (usize, Duration) {
        let rounds: Rounds<u32, u32> = Rounds::default();
        let made = Arc::new(AtomicUsize::new(0));
        let one = |question: u32| {
            let (rounds, made) = (&rounds, Arc::clone(&made));
            async move {
                sleep(apart * question).await;
                let begun = Instant::now();
                let answer = move |waiting: Vec<Waiting<u32, u32>>| {
                    made.fetch_add(1, Ordering::Relaxed);
                    async move {
                        sleep(TAKES).await;
                        for (question, sender) in waiting {
                            let _ = sender.send(question);
                        }
                    }
                };
                assert_eq!(rounds.ask(question, answer).await, Some(question));
                begun.elapsed()
            }
        };
        let waited = join_all((0..questions).map(one)).await;
        let longest = waited.into_iter().max().unwrap();
        (made.load(Ordering::Relaxed), longest)
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_rounds_follows_the_time_and_not_the_number_of_questions() {
        for (questions, apart) in [(200, 5), (1000, 1)] {
            let (rounds, waited) = asked(questions, Duration::from_millis(apart)).await;
            assert!((8..=11).contains(&rounds), "{rounds} rounds in a second");
            assert!(waited <= GATHER + TAKES * 2, "{waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_comes_alone_is_answered_at_once() {
        let (rounds, waited) = asked(10, Duration::from_millis(25)).await;
        assert_eq!((rounds, waited), (10, TAKES));
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_that_panics_answers_nobody_and_the_next_is_made() {
        let rounds: Rounds<bool, ()> = Rounds::default();
        let answer = |waiting: Vec<Waiting<bool, ()>>| async move {
            for (panics, sender) in waiting {
                assert!(!panics, "as the test wants it");
                let _ = sender.send(());
            }
        };
        assert_eq!(rounds.ask(true, answer).await, None);
        assert_eq!(rounds.ask(false, answer).await, Some(()));
    }
}
