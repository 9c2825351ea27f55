//! Rolls that no team asked for go one after the other: a new operator or platform file that renders pods otherwise
//! must not restart every app of the cluster at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::key::Key;

/// Gives a turn every so often, to each app that asks in the order of asking.
#[derive(Debug)]
pub struct Turns {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When each app that waits is to ask again.
    waiting: HashMap<Key, Instant>,
    /// The first time that nobody was given.
    free: Option<Instant>,
    /// When a turn was taken last.
    taken: Option<Instant>,
}

impl Turns {
    /// One turn in each `interval`.
    pub fn new(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::default(),
        }
    }

    /// Takes the app's turn. Each has a time of its own, so that a thousand that wait do not all ask at every turn.
    ///
    /// # Errors
    /// How long until its turn.
    pub fn take(&self, app: &Key) -> Result<(), Duration> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let free = state.free.map_or(now, |free| free.max(now));
        let at = state.waiting.get(app).copied().unwrap_or(free);
        if state.waiting.insert(app.clone(), at).is_none() {
            state.free = Some(free + self.interval);
        }
        // Those whose time passed while nobody could ask come one after the other too.
        let next = state.taken.map_or(now, |taken| taken + self.interval);
        let due = at.max(next);
        if now < due {
            return Err(due - now);
        }
        state.waiting.remove(app);
        state.taken = Some(now);
        Ok(())
    }

    /// The app waits no more.
    pub fn leave(&self, app: &Key) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.remove(app);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);

    fn app(name: &str) -> Key {
        Key {
            namespace: "paris".to_owned(),
            name: name.to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn turns_come_one_after_the_other_in_the_order_of_asking() {
        let turns = Turns::new(INTERVAL);
        assert_eq!(turns.take(&app("a")), Ok(()));
        assert_eq!(turns.take(&app("b")), Err(INTERVAL));
        assert_eq!(turns.take(&app("c")), Err(2 * INTERVAL));
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(turns.take(&app("c")), Err(INTERVAL), "it is b's turn");
        assert_eq!(turns.take(&app("b")), Ok(()));
        tokio::time::sleep(INTERVAL).await;
        assert_eq!(turns.take(&app("c")), Ok(()));
        assert_eq!(turns.take(&app("a")), Err(INTERVAL));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_late_do_not_roll_together() {
        let turns = Turns::new(INTERVAL);
        assert_eq!(turns.take(&app("a")), Ok(()));
        for name in ["b", "c"] {
            assert!(turns.take(&app(name)).is_err());
        }
        tokio::time::sleep(10 * INTERVAL).await;
        assert_eq!(turns.take(&app("b")), Ok(()));
        assert_eq!(turns.take(&app("c")), Err(INTERVAL));
    }
}
