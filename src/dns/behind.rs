//! Records with which a server stays behind, such as one whose transfers are broken: since when, and when it is asked about
//! them again. After a restart it is empty, and everything is asked about at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::key::Key;

/// How long nothing is asked again: a tenth of the time since it was first asked in vain, within these.
const WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// When records that were not asked about any more are forgotten.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// Records that are not yet answered as asked by every server.
#[derive(Default)]
pub struct Behind(Mutex<HashMap<Key, Waiting>>);

#[derive(Clone, Copy)]
struct Waiting {
    /// When it was first asked in vain.
    since: Instant,
    /// When it is asked again.
    until: Instant,
}

impl Behind {
    /// For how long the servers are not asked about a record; `None`: it is time, or they were not behind with it.
    pub fn wait(&self, record: &Key) -> Option<Duration> {
        let until = self.lock().get(record)?.until;
        until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
    }

    /// A server is behind with a record, `is_new`: with what was written just now. Tells when it is asked again.
    pub fn note(&self, record: &Key, is_new: bool) -> Duration {
        let now = Instant::now();
        let mut all = self.lock();
        all.retain(|_, waiting| now.saturating_duration_since(waiting.until) < FORGOTTEN);
        let before = all.get(record).filter(|_| !is_new);
        let since = before.map_or(now, |waiting| waiting.since);
        let wait = pause(now.saturating_duration_since(since));
        let until = now + wait;
        all.insert(record.clone(), Waiting { since, until });
        wait
    }

    /// Every server answers about a record as asked.
    pub fn end(&self, record: &Key) {
        self.lock().remove(record);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Waiting>> {
        // What is in it is whole, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long nothing is asked about what a server has been behind with for that long.
fn pause(behind: Duration) -> Duration {
    let (shortest, longest) = WAIT;
    (behind / 10).clamp(shortest, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Key {
        Key {
            namespace: "blue".into(),
            name: "app".into(),
        }
    }

    #[test]
    fn what_a_server_is_behind_with_for_long_is_asked_more_rarely() {
        let waits = [0, 100, 36_000].map(|behind| pause(Duration::from_secs(behind)).as_secs());
        assert_eq!(waits, [1, 10, 60]);
    }

    #[test]
    fn since_when_a_server_is_behind_is_kept_until_it_answers_or_something_else_is_written() {
        let behind = Behind::default();
        assert_eq!(behind.wait(&record()), None);
        behind.note(&record(), true);
        assert!(behind.wait(&record()).is_some());
        let since = || behind.lock()[&record()].since;
        let first = since();
        behind.note(&record(), false);
        assert_eq!(since(), first);
        behind.note(&record(), true);
        assert!(since() > first);
        behind.end(&record());
        assert_eq!(behind.wait(&record()), None);
    }
}
