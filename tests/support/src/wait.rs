//! Waiting for what processes do in their own time.

use std::time::{Duration, Instant};

/// Longer than anything that a test waits for on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(180);

const ASK_EVERY: Duration = Duration::from_millis(50);

/// Asks until the answer is `Ok`, and returns what is in it.
///
/// # Panics
/// When `patience` is over. Says `what` did not come, and the last `Err`.
pub async fn until_ok<T>(
    patience: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let begun = Instant::now();
    loop {
        let so_far = match ask().await {
            Ok(answer) => return answer,
            Err(so_far) => so_far,
        };
        assert!(
            begun.elapsed() < patience,
            "this did not come: {what} {so_far}"
        );
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Asks until it is so, and returns how long that took.
///
/// # Panics
/// When `patience` is over.
pub async fn until(
    patience: Duration,
    what: &str,
    mut done: impl AsyncFnMut() -> bool,
) -> Duration {
    let begun = Instant::now();
    let ask = async || done().await.then_some(()).ok_or_else(String::new);
    until_ok(patience, what, ask).await;
    begun.elapsed()
}
