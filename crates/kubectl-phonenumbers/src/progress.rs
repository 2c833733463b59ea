//! A sign of life on a terminal while an answer takes longer than a moment. Says nothing where standard error is no terminal.

use std::cell::RefCell;
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a person waits before anything is said.
const MOMENT: Duration = Duration::from_secs(2);

/// How often the line is renewed.
const EVERY: Duration = Duration::from_secs(1);

/// Takes the cursor to the first column and empties the line.
const CLEAR: &str = "\r\u{1b}[K";

tokio::task_local! {
    /// What a person waits for.
    static DOING: RefCell<String>;
}

/// Says what a person waits for from now on, until something else is said. Does nothing outside of [`shown`].
pub(super) fn now_doing(what: String) {
    let _ = DOING.try_with(|doing| doing.replace(what));
}

/// The result of `work`, with a sign of life on standard error, which says `what` until `work` says more by [`now_doing`].
pub(super) async fn shown<T>(what: &str, work: impl Future<Output = T>) -> T {
    let stderr = std::io::stderr();
    match stderr.is_terminal() {
        true => shown_to(&mut std::io::stderr(), what, work).await,
        false => work.await,
    }
}

/// The same on any terminal. That it cannot be written to changes nothing.
async fn shown_to<T>(terminal: &mut impl Write, what: &str, work: impl Future<Output = T>) -> T {
    let doing = RefCell::new(what.to_owned());
    DOING.scope(doing, watched(terminal, work)).await
}

async fn watched<T>(terminal: &mut impl Write, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let mut work = std::pin::pin!(work);
    let mut pause = MOMENT;
    let mut has_spoken = false;
    loop {
        tokio::select! {
            biased;
            answer = &mut work => {
                if has_spoken {
                    let _ = write!(terminal, "{CLEAR}").and_then(|()| terminal.flush());
                }
                return answer;
            }
            () = sleep(pause) => {
                has_spoken = true;
                pause = EVERY;
                let seconds = began.elapsed().as_secs();
                let what = DOING.with(|doing| doing.borrow().clone());
                let _ = write!(terminal, "{CLEAR}{what} ({seconds} s)").and_then(|()| terminal.flush());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn after(time: Duration) -> String {
        let mut terminal = Vec::new();
        let work = async {
            let first = time.min(MOMENT + EVERY / 2);
            sleep(first).await;
            now_doing("counting".to_owned());
            sleep(time - first).await;
            7
        };
        assert_eq!(shown_to(&mut terminal, "reading", work).await, 7);
        String::from_utf8(terminal).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_a_moment_says_so_and_leaves_no_trace() {
        assert_eq!(after(Duration::from_millis(1900)).await, "");
        let said = after(Duration::from_millis(3500)).await;
        assert_eq!(
            said,
            format!("{CLEAR}reading (2 s){CLEAR}counting (3 s){CLEAR}")
        );
    }
}
