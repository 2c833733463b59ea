//! Randomness as a value that comes in from outside: the system's, or in a simulation that of a seed.

use std::sync::{Arc, Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::panics::lock;

/// A source of randomness. Clones are one and the same source.
#[derive(Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// Seeded by the operating system.
    pub fn of_system() -> Self {
        Self::from(StdRng::from_os_rng())
    }

    /// The same sequence for the same seed, for as long as the `rand` crate keeps its algorithm.
    pub fn seeded(seed: u64) -> Self {
        Self::from(StdRng::seed_from_u64(seed))
    }

    /// A number from 0 up to, but without, 1.
    pub fn fraction(&self) -> f64 {
        self.lock().random()
    }

    /// A number below `len`; 0 if `len` is 0.
    pub fn below(&self, len: usize) -> usize {
        if len == 0 {
            0
        } else {
            self.lock().random_range(0..len)
        }
    }

    /// 32 hexadecimal digits, for what must be told apart from all else of its kind.
    pub fn nonce(&self) -> String {
        format!("{:032x}", self.lock().random::<u128>())
    }

    fn lock(&self) -> MutexGuard<'_, StdRng> {
        lock(&self.0)
    }
}

impl From<StdRng> for Random {
    fn from(source: StdRng) -> Self {
        Self(Arc::new(Mutex::new(source)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_sequence_and_the_system_never_repeats_itself() {
        let three = |random: Random| [random.nonce(), random.nonce(), random.nonce()];
        assert_eq!(three(Random::seeded(7)), three(Random::seeded(7)));
        assert_ne!(three(Random::seeded(7)), three(Random::seeded(8)));
        assert_ne!(three(Random::of_system()), three(Random::of_system()));
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let random = Random::seeded(1);
        assert!((0..100).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
        assert!((0..100).all(|_| (0.0..1.0).contains(&random.fraction())));
    }
}
