//! A value that many wait for. They go on in the order in which they began to wait, which Tokio's own `watch` leaves to random.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

/// A value that many wait for. Clones are one and the same.
#[derive(Clone)]
pub struct Watched<T>(Arc<(Mutex<T>, Notify)>);

impl<T: Clone> Watched<T> {
    pub fn new(value: T) -> Self {
        Self(Arc::new((Mutex::new(value), Notify::new())))
    }

    pub fn get(&self) -> T {
        self.0.0.lock().unwrap().clone()
    }

    pub fn set(&self, value: T) {
        *self.0.0.lock().unwrap() = value;
        self.0.1.notify_waiters();
    }

    /// Waits until the value is so.
    pub async fn until(&self, is_so: impl Fn(&T) -> bool) {
        loop {
            // Whoever is told between the look and the wait is told.
            let told = self.0.1.notified();
            if is_so(&self.get()) {
                return;
            }
            told.await;
        }
    }
}
