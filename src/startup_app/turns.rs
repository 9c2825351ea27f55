//! Rolls that no team asked for go one after the other: a new operator or platform file that renders pods otherwise
//! must not restart every app of the cluster at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Gives a turn every so often.
#[derive(Debug)]
pub struct Turns {
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

impl Turns {
    /// One turn in each `interval`.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Mutex::new(None),
        }
    }

    /// Takes a turn.
    ///
    /// # Errors
    /// How long until the next one.
    pub fn take(&self) -> Result<(), Duration> {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        match *next {
            Some(next) if now < next => Err(next - now),
            _ => {
                *next = Some(now + self.interval);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn turns_come_one_after_the_other() {
        let turns = Turns::new(Duration::from_secs(5));
        assert_eq!(turns.take(), Ok(()));
        assert_eq!(turns.take(), Err(Duration::from_secs(5)));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(turns.take(), Ok(()));
        assert!(turns.take().is_err());
    }
}
