//! What an object's owner is told: its status, and an Event when something begins or ends. One way for every kind.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::Resource as _;
use serde_json::{Map, Value, json};
use tremplin_core::conditions::{self, Conditions, READY, RECONCILING, STALLED, State};
use tremplin_core::fault::{Class, Fault, Refusal};

use super::Cluster;
use super::events::Notice;
use super::seen::{Seen, Watched};
use super::store::Store;

/// The reasons of a kind that only tell of progress: no news by themselves.
pub type Progress<'a> = &'a [&'a str];

/// What is told of an object that no round could judge.
pub struct Told {
    /// Who must act.
    pub class: Class,
    /// The machine's word.
    pub reason: &'static str,
    /// The human's.
    pub message: String,
}

impl Cluster {
    /// Writes a status whose conditions are `new`, and publishes what began or ended.
    ///
    /// # Errors
    /// The refusal.
    pub async fn report<K: Watched>(
        &self,
        store: &Store<Seen<K>>,
        seen: &Seen<K>,
        status: &Value,
        new: &[Condition],
        progress: Progress<'_>,
    ) -> Result<(), Fault<Refusal>> {
        let Some(answer) = self.write_status(seen, status).await? else {
            return Ok(());
        };
        match Seen::from_value(answer) {
            // Only the round itself needs to know what it wrote; what others wrote before it is news.
            Ok(written) => store.learn(written),
            Err(error) => tracing::debug!(%error, name = ?seen.meta().name, "the API server's answer cannot be read"),
        }
        let generation = seen.meta().generation.unwrap_or_default();
        if let Some(notice) = notice(&seen.conditions(), new, generation, progress) {
            self.publish(&seen.reference(), notice).await;
        }
        Ok(())
    }

    /// Publishes which of these conditions are false now and were not before.
    pub async fn warn<K: Watched>(&self, seen: &Seen<K>, new: &[Condition], types: &[&str]) {
        let generation = seen.meta().generation.unwrap_or_default();
        for notice in warnings(&seen.conditions(), new, types, generation) {
            self.publish(&seen.reference(), notice).await;
        }
    }

    /// Tells what kept a round from judging; the rest of the status stays.
    ///
    /// # Errors
    /// The refusal.
    pub async fn report_exception<K: Watched>(
        &self,
        store: &Store<Seen<K>>,
        seen: &Seen<K>,
        told: &Told,
        now: Timestamp,
    ) -> Result<(), Fault<Refusal>> {
        let mut status = match seen {
            Seen::Object(object) => serde_json::to_value(object.status()).unwrap_or(Value::Null),
            Seen::Malformed(malformed) => malformed.status.clone(),
        };
        if !status.is_object() {
            status = Value::Object(Map::new());
        }
        let before = status.clone();
        let generation = seen.meta().generation.unwrap_or_default();
        let new = told.conditions(&seen.conditions(), generation, now);
        if let Some(status) = status.as_object_mut() {
            status.insert("observedGeneration".into(), json!(generation));
            status.insert("conditions".into(), json!(new));
        }
        if status == before {
            return Ok(());
        }
        self.report(store, seen, &status, &new, &[]).await
    }
}

impl Told {
    /// `Ready` and its companions anew; the answers to other questions stay as they were.
    fn conditions(&self, old: &[Condition], generation: i64, now: Timestamp) -> Vec<Condition> {
        let mut new = Conditions::new(old, generation, now);
        let companion = if self.class == Class::Stalled {
            STALLED
        } else {
            RECONCILING
        };
        new.set(READY, State::False, self.reason, &self.message);
        new.set(companion, State::True, self.reason, &self.message);
        let others = old
            .iter()
            .filter(|condition| ![READY, RECONCILING, STALLED].contains(&condition.type_.as_str()));
        new.finish().into_iter().chain(others.cloned()).collect()
    }
}

/// What began or ended between two statuses: that it is as asked again, or that something other than progress is the
/// matter. A new app's first progress is no news.
fn notice(old: &[Condition], new: &[Condition], generation: i64, progress: Progress<'_>) -> Option<Notice> {
    let ready = conditions::find(new, READY)?;
    let before = conditions::find(old, READY);
    let is_ready = ready.status == State::True.as_str();
    let was_ready = before.is_some_and(|before| before.status == State::True.as_str());
    let same = before.is_some_and(|before| before.reason == ready.reason && before.status == ready.status);
    let progress = progress.contains(&ready.reason.as_str());
    let is_news = if is_ready {
        !was_ready
    } else {
        !same && (!progress || conditions::is_true(new, STALLED))
    };
    is_news.then(|| Notice {
        warning: !is_ready,
        reason: ready.reason.clone(),
        action: format!("Reconcile generation {generation}"),
        note: ready.message.clone(),
    })
}

/// What turned false between two statuses, beside `Ready`.
fn warnings(old: &[Condition], new: &[Condition], types: &[&str], generation: i64) -> Vec<Notice> {
    let is_false = |condition: &&Condition| condition.status == State::False.as_str();
    let turned = types.iter().filter_map(|type_| {
        let now = conditions::find(new, type_).filter(is_false)?;
        let before = conditions::find(old, type_).filter(is_false);
        before.is_none().then_some(now)
    });
    let notice = |condition: &Condition| Notice {
        warning: true,
        reason: condition.reason.clone(),
        action: format!("Reconcile generation {generation}"),
        note: condition.message.clone(),
    };
    turned.map(notice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(ready: State, reason: &str, stalled: bool) -> Vec<Condition> {
        let mut conditions = Conditions::new(&[], 1, Timestamp::UNIX_EPOCH);
        conditions.set(READY, ready, reason, "because");
        if stalled {
            conditions.set(STALLED, State::True, reason, "because");
        }
        conditions.finish()
    }

    fn told(old: &[Condition], new: &[Condition]) -> Option<(bool, String)> {
        notice(old, new, 7, &["Deploying"]).map(|notice| (notice.warning, notice.reason))
    }

    #[test]
    fn events_tell_of_ends_and_troubles_and_not_of_progress() {
        let deploying = conditions(State::False, "Deploying", false);
        let running = conditions(State::True, "Running", false);
        let crashing = conditions(State::False, "CrashLooping", false);
        let stalled = conditions(State::False, "Deploying", true);
        assert_eq!(told(&[], &deploying), None);
        assert_eq!(told(&deploying, &running), Some((false, "Running".into())));
        assert_eq!(told(&running, &running), None);
        assert_eq!(told(&running, &deploying), None);
        assert_eq!(told(&deploying, &crashing), Some((true, "CrashLooping".into())));
        assert_eq!(told(&crashing, &crashing), None);
        assert_eq!(told(&[], &stalled), Some((true, "Deploying".into())));
    }

    #[test]
    fn what_turns_false_beside_ready_is_told_once() {
        let with = |state: State| {
            let mut conditions = Conditions::new(&[], 1, Timestamp::UNIX_EPOCH);
            conditions.set("Delegated", state, "Lame", "ns1 is silent");
            conditions.finish()
        };
        let told = |old: &[Condition], new: &[Condition]| {
            let warnings = warnings(old, new, &["Delegated"], 7);
            warnings.into_iter().map(|notice| notice.reason).collect::<Vec<_>>()
        };
        assert_eq!(told(&with(State::True), &with(State::False)), ["Lame"]);
        assert_eq!(told(&[], &with(State::False)), ["Lame"]);
        for (old, new) in [(State::False, State::False), (State::False, State::True)] {
            assert_eq!(told(&with(old), &with(new)).len(), 0);
        }
    }

    #[test]
    fn an_accident_leaves_the_other_answers_as_they_were() {
        let mut old = Conditions::new(&[], 4, Timestamp::UNIX_EPOCH);
        old.set(READY, State::True, "Running", "");
        old.set("Available", State::True, "Serving", "");
        let old = old.finish();
        let told = Told {
            class: Class::Transient,
            reason: "InternalError",
            message: "boom".into(),
        };
        let new = told.conditions(&old, 5, Timestamp::UNIX_EPOCH);
        let types: Vec<_> = new.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, [READY, RECONCILING, "Available"]);
        assert_eq!(new[2], old[1]);
    }
}
