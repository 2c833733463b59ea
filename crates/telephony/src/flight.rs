//! One question at a time, whose answer serves everybody who waits for it.

use std::sync::{Mutex, MutexGuard};

use crate::clock::{Clock, Instant};
use crate::panics::lock;

/// A question that many ask at once and that is put once.
///
/// # Guarantees
/// At most one question is under way. A caller waits for the question that is under way and for at most one more. A caller
/// that is dropped, or that panics, leaves the question to the next caller.
///
/// # Caveats
/// The last answer is kept. Whether it still serves is for the caller to say.
pub struct Flight<V> {
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State<V>>,
}

struct State<V> {
    /// How many questions were put.
    put: u64,
    answer: Option<Answer<V>>,
}

struct Answer<V> {
    /// Which question it answers, counted from 1.
    question: u64,
    /// When that question was put.
    put: Instant,
    value: V,
}

impl<V> Default for Flight<V> {
    fn default() -> Self {
        Self {
            turn: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                put: 0,
                answer: None,
            }),
        }
    }
}

impl<V: Clone> Flight<V> {
    /// The last answer if it `serves`, else the answer to `ask`. Both closures receive the instant at which the question was
    /// put.
    pub async fn last_or<F: Future<Output = V>>(
        &self,
        clock: &dyn Clock,
        serves: impl Fn(Instant, &V) -> bool,
        ask: impl FnOnce(Instant) -> F,
    ) -> V {
        self.answer(clock, |answer| serves(answer.put, &answer.value), ask)
            .await
    }

    /// The answer to a question that is under way or is put after this call.
    pub async fn join<F: Future<Output = V>>(
        &self,
        clock: &dyn Clock,
        ask: impl FnOnce(Instant) -> F,
    ) -> V {
        let first = {
            let state = self.lock();
            let answered = state.answer.as_ref().map_or(0, |answer| answer.question);
            // A question whose caller was dropped has no answer, and never gets one.
            answered.saturating_add(1)
        };
        self.answer(clock, |answer| answer.question >= first, ask)
            .await
    }

    /// The answer to a question that is put after this call.
    pub async fn after_now<F: Future<Output = V>>(
        &self,
        clock: &dyn Clock,
        ask: impl FnOnce(Instant) -> F,
    ) -> V {
        let put = self.lock().put;
        self.answer(clock, |answer| answer.question > put, ask)
            .await
    }

    /// When the question was put that was answered last.
    pub fn answered(&self) -> Option<Instant> {
        self.lock().answer.as_ref().map(|answer| answer.put)
    }

    async fn answer<F: Future<Output = V>>(
        &self,
        clock: &dyn Clock,
        serves: impl Fn(&Answer<V>) -> bool,
        ask: impl FnOnce(Instant) -> F,
    ) -> V {
        let _turn = self.turn.lock().await;
        let (question, put) = {
            let mut state = self.lock();
            if let Some(answer) = state.answer.as_ref().filter(|answer| serves(answer)) {
                return answer.value.clone();
            }
            state.put = state.put.saturating_add(1);
            (state.put, clock.now())
        };
        let value = ask(put).await;
        self.lock().answer = Some(Answer {
            question,
            put,
            value: value.clone(),
        });
        value
    }

    /// The state is only ever replaced as a whole, so it is sound after a panic too.
    fn lock(&self) -> MutexGuard<'_, State<V>> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootClock;
    use futures::FutureExt;
    use futures::future::{BoxFuture, join_all};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    const TAKES: Duration = Duration::from_secs(10);

    /// A question that takes a while, and whose answer is how often it was put.
    #[derive(Default)]
    struct Question(AtomicUsize);

    impl Question {
        async fn put(&self) -> usize {
            let times = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::time::sleep(TAKES).await;
            times
        }
    }

    async fn waits<T>(work: impl Future<Output = T>) -> (T, Duration) {
        let begun = tokio::time::Instant::now();
        (work.await, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_while_a_question_is_under_way_shares_its_answer() {
        let (flight, question) = (Flight::default(), Question::default());
        let join = |after: u64| {
            let (flight, question) = (&flight, &question);
            async move {
                tokio::time::sleep(Duration::from_secs(after)).await;
                waits(flight.join(&BootClock, |_| question.put())).await
            }
        };
        let answers = join_all((0..10).map(join)).await;
        for (at, (answer, waited)) in answers.into_iter().enumerate() {
            assert_eq!(answer, 1);
            assert_eq!(waited, TAKES - Duration::from_secs(at as u64));
        }
        assert_eq!(
            join(0).await.0,
            2,
            "an answer serves nobody who comes later"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_was_put_before_serves_nobody_who_wants_a_later_one() {
        let (flight, question) = (Flight::default(), Question::default());
        let first = flight.after_now(&BootClock, |_| question.put());
        let late = (0..50).map(|_| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            waits(flight.after_now(&BootClock, |_| question.put())).await
        });
        let (first, late) = futures::join!(first, join_all(late));
        assert_eq!(first, 1);
        for (answer, waited) in late {
            assert_eq!(answer, 2, "one more serves all of them");
            assert_eq!(waited, TAKES * 2 - Duration::from_secs(1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_is_dropped_strands_nobody() {
        let (flight, question) = (Flight::default(), Question::default());
        let mut asks: BoxFuture<'_, usize> = flight.join(&BootClock, |_| question.put()).boxed();
        assert!((&mut asks).now_or_never().is_none());
        let others = (0..3).map(|_| waits(flight.join(&BootClock, |_| question.put())));
        let drops = async move {
            tokio::time::sleep(Duration::from_secs(9)).await;
            drop(asks);
        };
        let (others, ()) = futures::join!(join_all(others), drops);
        for (answer, waited) in others {
            assert_eq!(answer, 2, "one of them asks for all");
            assert_eq!(waited, TAKES + Duration::from_secs(9));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_caller_says_for_how_long_an_answer_serves() {
        let (flight, question) = (Flight::default(), Question::default());
        let ask = |serves: bool| flight.last_or(&BootClock, move |_, _| serves, |_| question.put());
        assert_eq!(ask(true).await, 1, "there is none yet");
        assert_eq!(ask(true).await, 1);
        assert_eq!(ask(false).await, 2);
    }
}
