//! How many calls a service takes: a bucket that holds some, and is filled at a steady rate.

use std::time::{Duration, Instant};

use super::Incoming;

/// Which calls a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// All of them.
    All,
    /// Those that only read (GET).
    Reads,
    /// The others.
    Writes,
}

/// A limit of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Which calls it counts.
    pub calls: Calls,
    /// How many may come at once, after a rest.
    pub burst: u32,
    /// How long it takes until one more may come.
    pub every: Duration,
}

/// A limit, and how much of it is used.
pub(super) struct Bucket {
    limit: Limit,
    /// When it will be full again.
    full_at: Instant,
}

impl Bucket {
    pub(super) fn new(limit: &Limit) -> Self {
        Self {
            limit: *limit,
            full_at: Instant::now(),
        }
    }

    pub(super) fn counts(&self, request: &Incoming) -> bool {
        match self.limit.calls {
            Calls::All => true,
            Calls::Reads => request.method == "GET",
            Calls::Writes => request.method != "GET",
        }
    }

    /// How long a call has to wait. Each call takes `every` of the time that the bucket, when full, has in stock.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let stock = self.limit.every * self.limit.burst;
        (self.full_at.max(now) + self.limit.every).saturating_duration_since(now + stock)
    }

    pub(super) fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.limit.every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_one_call_at_a_time() {
        let mut bucket = Bucket::new(&Limit {
            calls: Calls::All,
            burst: 3,
            every: Duration::from_secs(2),
        });
        let start = bucket.full_at;
        for _ in 0..3 {
            assert_eq!(bucket.wait(start), Duration::ZERO);
            bucket.take(start);
        }
        assert_eq!(bucket.wait(start), Duration::from_secs(2));
        let later = start + Duration::from_secs(2);
        assert_eq!(bucket.wait(later), Duration::ZERO);
        bucket.take(later);
        assert_eq!(bucket.wait(later), Duration::from_secs(2));
        assert_eq!(bucket.wait(start + Duration::from_mins(1)), Duration::ZERO);
    }
}
