//! How many requests may be under way at once.

use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lock;

/// A semaphore whose size can change.
pub(super) struct Permits {
    semaphore: Arc<Semaphore>,
    size: Mutex<usize>,
}

impl Permits {
    pub(super) fn new(size: usize) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(size)),
            size: Mutex::new(size),
        }
    }

    /// Waits for a permit; `None` never comes, since nobody closes it.
    pub(super) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.semaphore).acquire_owned().await.ok()
    }

    /// Lets at most `wanted` be out from now on. Those that are out stay so until they come back.
    pub(super) fn resize(&self, wanted: usize) {
        let mut size = lock(&self.size);
        if wanted > *size {
            self.semaphore.add_permits(wanted - *size);
        } else if wanted < *size {
            let surplus = u32::try_from(*size - wanted).unwrap_or(u32::MAX);
            let semaphore = Arc::clone(&self.semaphore);
            tokio::spawn(async move {
                if let Ok(permits) = semaphore.acquire_many_owned(surplus).await {
                    permits.forget();
                }
            });
        }
        *size = wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_number_of_permits_grows_and_shrinks() {
        let permits = Permits::new(1);
        let first = permits.acquire().await;
        permits.resize(3);
        let (second, third) = (permits.acquire().await, permits.acquire().await);
        permits.resize(1);
        tokio::task::yield_now().await;
        drop((first, second));
        tokio::task::yield_now().await;
        assert_eq!(
            permits.semaphore.available_permits(),
            0,
            "two were given up"
        );
        drop(third);
        assert_eq!(permits.semaphore.available_permits(), 1);
    }
}
