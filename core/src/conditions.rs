//! Conditions: setting, ordering, comparing. The words are those of kstatus: `Ready` always, `Reconciling` and
//! `Stalled` only while true.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Is it as the spec asks? Always present.
pub const READY: &str = "Ready";
/// Something is on its way. Present only while true.
pub const RECONCILING: &str = "Reconciling";
/// A human must act. Present only while true.
pub const STALLED: &str = "Stalled";

/// The longest message kept, in characters. The API's own limit is 32,768; nobody reads that in a terminal.
const LONGEST_MESSAGE: usize = 2_048;

/// The three values of a condition's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Yes.
    True,
    /// No.
    False,
    /// Nobody can tell.
    Unknown,
}

impl State {
    /// The word in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for State {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// Builds the conditions of one round from nothing, so that one that was not set this round is gone.
#[derive(Debug)]
pub struct Conditions<'a> {
    old: &'a [Condition],
    generation: i64,
    now: Timestamp,
    new: Vec<Condition>,
}

impl<'a> Conditions<'a> {
    /// `old` gives the times of the conditions whose status does not change.
    pub fn new(old: &'a [Condition], generation: i64, now: Timestamp) -> Self {
        Self {
            old,
            generation,
            now,
            new: Vec::new(),
        }
    }

    /// Sets one condition. `lastTransitionTime` moves only when the status flips.
    pub fn set(&mut self, type_: &str, state: State, reason: &str, message: &str) {
        let since = self
            .old
            .iter()
            .find(|old| old.type_ == type_ && old.status == state.as_str())
            .map_or_else(|| Time(self.now), |old| old.last_transition_time.clone());
        self.new.retain(|condition| condition.type_ != type_);
        self.new.push(Condition {
            type_: type_.into(),
            status: state.as_str().into(),
            reason: reason.into(),
            message: shorten(message),
            observed_generation: Some(self.generation),
            last_transition_time: since,
        });
    }

    /// The conditions in the order a human reads them: `Ready`, `Reconciling`, `Stalled`, then by name.
    pub fn finish(mut self) -> Vec<Condition> {
        let rank = |condition: &Condition| {
            [READY, RECONCILING, STALLED]
                .iter()
                .position(|t| *t == condition.type_)
                .unwrap_or(3)
        };
        self.new
            .sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.type_.cmp(&b.type_)));
        self.new
    }
}

/// The condition of that type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether a condition of that type is there and `True`.
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == State::True.as_str())
}

fn shorten(message: &str) -> String {
    if message.chars().count() <= LONGEST_MESSAGE {
        return message.to_owned();
    }
    let mut kept: String = message.chars().take(LONGEST_MESSAGE - 1).collect();
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn one(old: &[Condition], state: State, reason: &str, now: i64) -> Vec<Condition> {
        let mut conditions = Conditions::new(old, 7, at(now));
        conditions.set(READY, state, reason, "m");
        conditions.finish()
    }

    #[test]
    fn the_time_moves_only_when_the_status_flips() {
        let first = one(&[], State::False, "A", 10);
        let second = one(&first, State::False, "B", 20);
        assert_eq!(second[0].last_transition_time, Time(at(10)));
        assert_eq!(second[0].reason, "B");
        assert_eq!(one(&second, State::True, "C", 30)[0].last_transition_time, Time(at(30)));
    }

    #[test]
    fn a_condition_not_set_this_round_is_gone() {
        let mut conditions = Conditions::new(&[], 1, at(0));
        conditions.set(STALLED, State::True, "X", "");
        conditions.set("Available", State::True, "X", "");
        conditions.set(READY, State::False, "X", "");
        let first = conditions.finish();
        assert_eq!(
            first.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(),
            [READY, STALLED, "Available"]
        );
        assert!(find(&one(&first, State::True, "Y", 1), STALLED).is_none());
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let mut conditions = Conditions::new(&[], 1, at(0));
        conditions.set(READY, State::True, "X", &"é".repeat(5_000));
        assert_eq!(conditions.finish()[0].message.chars().count(), LONGEST_MESSAGE);
    }
}
