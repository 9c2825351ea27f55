//! Which object is worked on next. A pure data structure: time comes in as a parameter.
//!
//! * An object is worked on by one round at a time. What happens to it meanwhile puts it back once, when the round ends.
//! * Namespaces take turns, and none may hold every slot, so that one team's thousand objects, or its hanging ones,
//!   do not keep the others waiting.
//! * A failed object waits for its retry whatever happens around it; only a change of the object itself is worth an
//!   earlier try.

use std::collections::{BTreeSet, HashMap, VecDeque};

use tokio::time::Instant;

use crate::key::Key;

/// Why an object is worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Something around it changed: a child, a pod, something it refers to.
    Related,
    /// It changed itself.
    Itself,
}

/// What comes after a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing until something happens.
    Nothing,
    /// Another look at that time, or when something happens.
    LookAt(Instant),
    /// It failed: another try at that time, or when the object itself changes.
    RetryAt(Instant),
}

/// Where an object is. One that is in no state is at rest and not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Running { again: Option<Cause> },
    LookAt(Instant),
    RetryAt(Instant),
}

/// The objects that want to be worked on, are worked on, or wait for their time.
#[derive(Debug)]
pub struct Queue {
    slots: usize,
    states: HashMap<Key, State>,
    /// Namespaces that have ready objects, in the order of their turns.
    turns: VecDeque<String>,
    ready: HashMap<String, VecDeque<Key>>,
    running: HashMap<String, usize>,
    timers: BTreeSet<(Instant, Key)>,
    /// How many objects are in [`State::RetryAt`]. Counted at each change: it is read after every event.
    retries: usize,
}

impl Queue {
    /// At most `slots` objects are worked on at the same time.
    pub fn new(slots: usize) -> Self {
        Self {
            slots,
            states: HashMap::new(),
            turns: VecDeque::new(),
            ready: HashMap::new(),
            running: HashMap::new(),
            timers: BTreeSet::new(),
            retries: 0,
        }
    }

    /// Something happened that concerns `key`.
    pub fn notice(&mut self, key: Key, cause: Cause) {
        match self.states.get_mut(&key) {
            Some(State::Ready) => {}
            Some(State::Running { again }) => *again = (*again).max(Some(cause)),
            Some(State::RetryAt(_)) if cause == Cause::Related => {}
            Some(State::RetryAt(at) | State::LookAt(at)) => {
                let at = *at;
                self.timers.remove(&(at, key.clone()));
                self.make_ready(key);
            }
            None => self.make_ready(key),
        }
    }

    /// The next object to work on, if a slot is free. It is running until [`Queue::finished`].
    pub fn next(&mut self, now: Instant) -> Option<Key> {
        self.wake(now);
        if self.running.values().sum::<usize>() >= self.slots {
            return None;
        }
        let turn = self.turns.iter().position(|namespace| self.may_run(namespace))?;
        let namespace = self.turns.remove(turn)?;
        let waiting = self.ready.get_mut(&namespace)?;
        let key = waiting.pop_front()?;
        if waiting.is_empty() {
            self.ready.remove(&namespace);
        } else {
            self.turns.push_back(namespace.clone());
        }
        *self.running.entry(namespace).or_default() += 1;
        self.enter(key.clone(), State::Running { again: None });
        Some(key)
    }

    /// The round on `key` ended.
    pub fn finished(&mut self, key: Key, after: After) {
        let Some(State::Running { again }) = self.states.remove(&key) else {
            return;
        };
        if let Some(count) = self.running.get_mut(&key.namespace) {
            *count -= 1;
            if *count == 0 {
                self.running.remove(&key.namespace);
            }
        }
        match (after, again) {
            (After::RetryAt(at), None | Some(Cause::Related)) => self.set_timer(key, at, State::RetryAt(at)),
            (_, Some(_)) => self.make_ready(key),
            (After::LookAt(at), None) => self.set_timer(key, at, State::LookAt(at)),
            (After::Nothing, None) => {}
        }
    }

    /// When the next timer ends; objects are ready then.
    pub fn wakes_at(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// How many objects are ready.
    pub fn depth(&self) -> usize {
        self.ready.values().map(VecDeque::len).sum()
    }

    /// How many objects failed and wait for their retry.
    pub fn in_backoff(&self) -> usize {
        self.retries
    }

    fn wake(&mut self, now: Instant) {
        while let Some((at, _)) = self.timers.first()
            && *at <= now
            && let Some((_, key)) = self.timers.pop_first()
        {
            self.make_ready(key);
        }
    }

    /// A namespace may hold three quarters of the slots, and always one.
    fn may_run(&self, namespace: &str) -> bool {
        let share = (self.slots - self.slots / 4).max(1);
        self.running.get(namespace).is_none_or(|count| *count < share)
    }

    fn make_ready(&mut self, key: Key) {
        let waiting = self.ready.entry(key.namespace.clone()).or_default();
        if waiting.is_empty() {
            self.turns.push_back(key.namespace.clone());
        }
        waiting.push_back(key.clone());
        self.enter(key, State::Ready);
    }

    fn set_timer(&mut self, key: Key, at: Instant, state: State) {
        self.timers.insert((at, key.clone()));
        self.enter(key, state);
    }

    fn enter(&mut self, key: Key, state: State) {
        self.retries += usize::from(matches!(state, State::RetryAt(_)));
        let left = self.states.insert(key, state);
        self.retries -= usize::from(matches!(left, Some(State::RetryAt(_))));
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
