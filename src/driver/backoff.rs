//! How long a failed object waits: per object, growing, and never in step with the others.

use std::collections::HashMap;
use std::time::Duration;

use crate::key::Key;

/// How waits grow.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// The wait after a first failure.
    pub first: Duration,
    /// The longest wait.
    pub cap: Duration,
}

/// The failures in a row of each object that is failing.
pub struct Backoff {
    growth: Growth,
    /// A number from 0 to 1 at each call.
    random: Box<dyn FnMut() -> f64 + Send>,
    failures: HashMap<Key, u32>,
}

impl Backoff {
    /// `random` gives numbers from 0 to 1.
    pub fn new(growth: Growth, random: impl FnMut() -> f64 + Send + 'static) -> Self {
        Self {
            growth,
            random: Box::new(random),
            failures: HashMap::new(),
        }
    }

    /// How often `key` failed in a row.
    pub fn failures(&self, key: &Key) -> u32 {
        self.failures.get(key).copied().unwrap_or_default()
    }

    /// Notes a failure; gives the wait before the next try: between half and the whole of a time that doubles.
    pub fn failed(&mut self, key: &Key) -> Duration {
        let failures = self.failures.entry(key.clone()).or_default();
        let doubled = 2_u32.saturating_pow(*failures);
        *failures = failures.saturating_add(1);
        let whole = self.growth.first.saturating_mul(doubled).min(self.growth.cap);
        whole.mul_f64(0.5 + 0.5 * (self.random)().clamp(0.0, 1.0))
    }

    /// Notes that `key` did not fail.
    pub fn succeeded(&mut self, key: &Key) {
        self.failures.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(random: f64) -> Backoff {
        let growth = Growth {
            first: Duration::from_secs(1),
            cap: Duration::from_mins(5),
        };
        Backoff::new(growth, move || random)
    }

    fn key(name: &str) -> Key {
        Key {
            namespace: "blue".into(),
            name: name.into(),
        }
    }

    fn milliseconds(backoff: &mut Backoff, name: &str) -> u128 {
        backoff.failed(&key(name)).as_millis()
    }

    #[test]
    fn waits_double_up_to_five_minutes() {
        let mut backoff = backoff(1.0);
        let waits: Vec<u128> = (0..11).map(|_| milliseconds(&mut backoff, "a")).collect();
        assert_eq!(
            waits,
            [
                1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000
            ]
        );
        for _ in 0..100 {
            assert!(milliseconds(&mut backoff, "a") <= 300_000);
        }
    }

    #[test]
    fn chance_takes_away_at_most_half() {
        assert_eq!(milliseconds(&mut backoff(0.0), "a"), 500);
        assert_eq!(milliseconds(&mut backoff(7.0), "a"), 1_000);
    }

    #[test]
    fn each_object_counts_alone_and_a_success_starts_anew() {
        let mut backoff = backoff(1.0);
        milliseconds(&mut backoff, "a");
        milliseconds(&mut backoff, "a");
        assert_eq!(milliseconds(&mut backoff, "b"), 1_000);
        backoff.succeeded(&key("a"));
        assert_eq!(milliseconds(&mut backoff, "a"), 1_000);
    }
}
