//! How many requests may be under way at once, and which go first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::lock;

/// How many in a row go first while others wait: those others wait longer then, but not for ever.
const MOST_IN_A_ROW: usize = 4;

/// Which of two that wait goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// It buys a number or gives one back.
    High,
    /// It looks, lists or sets up.
    Normal,
}

/// The right to have one request under way.
pub struct Permit(Option<Arc<Permits>>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(permits) = self.0.take() {
            lock(&permits.state).out -= 1;
            permits.hand_out();
        }
    }
}

/// Permits, whose number can change.
pub(super) struct Permits {
    state: Mutex<State>,
}

struct State {
    size: usize,
    out: usize,
    /// How many went first in a row while others waited.
    in_a_row: usize,
    first: VecDeque<oneshot::Sender<Permit>>,
    later: VecDeque<oneshot::Sender<Permit>>,
}

impl State {
    /// Who is to get the next permit, if one is left.
    fn next(&mut self) -> Option<oneshot::Sender<Permit>> {
        if self.out >= self.size {
            return None;
        }
        let is_their_turn = self.first.is_empty() || self.in_a_row >= MOST_IN_A_ROW;
        let next = match is_their_turn.then(|| self.later.pop_front()).flatten() {
            Some(later) => {
                self.in_a_row = 0;
                later
            }
            None => {
                let first = self.first.pop_front()?;
                self.in_a_row = if self.later.is_empty() {
                    0
                } else {
                    self.in_a_row + 1
                };
                first
            }
        };
        self.out += 1;
        Some(next)
    }
}

impl Permits {
    pub(super) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                size,
                out: 0,
                in_a_row: 0,
                first: VecDeque::new(),
                later: VecDeque::new(),
            }),
        })
    }

    /// Waits for a permit; `None` never comes, since nobody gives up the queue.
    pub(super) async fn acquire(self: &Arc<Self>, priority: Priority) -> Option<Permit> {
        let (sender, permit) = oneshot::channel();
        {
            let mut state = lock(&self.state);
            match priority {
                Priority::High => state.first.push_back(sender),
                Priority::Normal => state.later.push_back(sender),
            }
        }
        self.hand_out();
        permit.await.ok()
    }

    /// Lets at most `wanted` be out from now on. Those that are out stay so until they come back.
    pub(super) fn resize(self: &Arc<Self>, wanted: usize) {
        lock(&self.state).size = wanted;
        self.hand_out();
    }

    fn hand_out(self: &Arc<Self>) {
        loop {
            let Some(next) = lock(&self.state).next() else {
                return;
            };
            if let Err(mut unwanted) = next.send(Permit(Some(Arc::clone(self)))) {
                // The one that waited is gone.
                unwanted.0 = None;
                lock(&self.state).out -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::BoxFuture;

    type Waiting = BoxFuture<'static, Option<Permit>>;

    /// One that has joined the queue.
    fn waiting(permits: &Arc<Permits>, priority: Priority) -> Waiting {
        let permits = Arc::clone(permits);
        let mut waiting = async move { permits.acquire(priority).await }.boxed();
        assert!((&mut waiting).now_or_never().is_none(), "none is left");
        waiting
    }

    fn got(waiting: &mut Waiting) -> Option<Permit> {
        waiting.now_or_never().flatten()
    }

    #[tokio::test]
    async fn the_number_of_permits_grows_and_shrinks() {
        let permits = Permits::new(1);
        let first = permits.acquire(Priority::Normal).await;
        let mut second = waiting(&permits, Priority::Normal);
        permits.resize(2);
        let second = got(&mut second).unwrap();
        permits.resize(1);
        let mut third = waiting(&permits, Priority::Normal);
        drop(second);
        assert!(got(&mut third).is_none(), "one is out, and one may be");
        drop(first);
        assert!(got(&mut third).is_some());
    }

    #[tokio::test]
    async fn what_buys_or_gives_back_goes_before_what_looks() {
        let permits = Permits::new(1);
        let out = permits.acquire(Priority::Normal).await;
        let mut looks = waiting(&permits, Priority::Normal);
        let mut buys = waiting(&permits, Priority::High);
        drop(out);
        assert!((&mut looks).now_or_never().is_none());
        drop(got(&mut buys).unwrap());
        assert!(got(&mut looks).is_some());
    }

    #[tokio::test]
    async fn what_looks_gets_its_turn_however_much_is_bought() {
        let permits = Permits::new(1);
        let mut out = permits.acquire(Priority::Normal).await.unwrap();
        let mut looks = waiting(&permits, Priority::Normal);
        let mut buys: VecDeque<_> = (0..100)
            .map(|_| waiting(&permits, Priority::High))
            .collect();
        for turn in 0.. {
            drop(out);
            if (&mut looks).now_or_never().is_some() {
                assert_eq!(turn, MOST_IN_A_ROW);
                break;
            }
            out = got(&mut buys.pop_front().unwrap()).unwrap();
        }
    }

    #[tokio::test]
    async fn one_that_stops_waiting_takes_no_permit_away() {
        let permits = Permits::new(1);
        let out = permits.acquire(Priority::Normal).await;
        drop((
            waiting(&permits, Priority::High),
            waiting(&permits, Priority::Normal),
        ));
        let gone_after = waiting(&permits, Priority::High);
        let mut last = waiting(&permits, Priority::Normal);
        drop(out);
        drop(gone_after);
        assert!(got(&mut last).is_some(), "it was handed on");
    }
}
