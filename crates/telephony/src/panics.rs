//! Panics: what is logged of them, and how far they go.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt;

use crate::shown;

/// Logs every panic of the process from now on, with where it was. The code that catches it logs what it was about.
pub fn log() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let said = text(panic.payload());
        tracing::error!(at, said, "the program panicked");
    }));
}

/// What a panic said: printable and short.
pub fn text(payload: &(dyn Any + Send)) -> String {
    let said = payload.downcast_ref::<&str>().copied();
    let said = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    shown::line(said.unwrap_or("no text"), shown::MOST)
}

/// The result of `work`. What it held is free again after a panic: locks, permits and turns are returned when they are
/// dropped.
///
/// # Errors
/// What the panic said, if it panicked.
pub async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.map_err(|panic| text(panic.as_ref()))
}

/// The same for what does not wait.
///
/// # Errors
/// What the panic said, if it panicked.
pub fn caught_at_once<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let ended = std::panic::catch_unwind(AssertUnwindSafe(work));
    ended.map_err(|panic| text(panic.as_ref()))
}

/// The value behind `mutex`, also after a holder of it panicked: values behind locks are only ever replaced, so they are whole.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_said_is_short_and_printable() {
        let text = |payload: Box<dyn Any + Send>| text(payload.as_ref());
        assert_eq!(text(Box::new("out of range")), "out of range");
        assert_eq!(text(Box::new("no\nway\u{200b}".to_owned())), "no way");
        assert_eq!(text(Box::new(7)), "no text");
        assert_eq!(text(Box::new("x".repeat(1 << 20))).len(), shown::MOST);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_what_panicked_alone() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let panicked: Result<(), _> = caught(async { panic!("no {}", "way") }).await;
        assert_eq!(panicked, Err("no way".to_owned()));
        assert_eq!(caught_at_once(|| 7), Ok(7));
        assert_eq!(
            caught_at_once(|| panic!("never")),
            Err::<(), _>("never".to_owned())
        );
    }
}
