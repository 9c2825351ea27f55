//! What an app's owner is told: its status, and an Event when something begins or ends.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::{Map, Value, json};
use tremplin_core::api::{StartupApp, StartupAppStatus};
use tremplin_core::app::{Reason, differs, told};
use tremplin_core::conditions::{self, Conditions, READY, RECONCILING, STALLED, State};
use tremplin_core::fault::{Class, Fault};

use super::{Malformed, Seen, StartupApps};
use crate::cluster::{Item as _, Notice};
use crate::driver::{Accident, Outcome};

/// How many failed rounds in a row are not told: most faults of the API server pass before anybody reads them.
pub(super) const TOLERATED: u32 = 2;

impl StartupApps {
    /// Writes the status if something in it differs, and publishes what began or ended.
    pub(super) async fn report(&self, app: &StartupApp, new: &StartupAppStatus) -> Result<(), Fault<Reason>> {
        if !differs(app.status.as_ref(), new) {
            return Ok(());
        }
        let old = app
            .status
            .as_ref()
            .map(|status| status.conditions.as_slice())
            .unwrap_or_default();
        let unwritable = |error: serde_json::Error| Fault::transient(Reason::InternalError, error.to_string());
        let status = serde_json::to_value(new).map_err(unwritable)?;
        let seen = Seen::App(Box::new(app.clone()));
        self.write(&seen, &status, old, &new.conditions).await
    }

    /// Tells that an app cannot be read; the rest of its status stays.
    pub(super) async fn report_malformed(&self, malformed: &Malformed) -> Outcome {
        let message = format!("{}. Next: {}", malformed.error, Reason::Malformed.action());
        let told = Told {
            class: Class::Stalled,
            reason: Reason::Malformed,
            message,
        };
        let seen = Seen::Malformed(Box::new(malformed.clone()));
        match self.report_exception(&seen, &told).await {
            Ok(()) => Outcome::Stalled { again: None },
            Err(fault) => Outcome::Failed(fault.to_string()),
        }
    }

    /// Tells what kept a round from judging; the rest of the status stays.
    pub(super) async fn report_fault(&self, seen: &Seen, fault: &Fault<Reason>) {
        let told = Told {
            class: fault.class,
            reason: fault.reason,
            message: told(fault),
        };
        if let Err(fault) = self.report_exception(seen, &told).await {
            tracing::debug!(%fault, "failed to tell of it in the status");
        }
    }

    /// Tells that a round ended badly; the rest of the status stays.
    pub(super) async fn report_accident(&self, seen: &Seen, accident: &Accident) {
        let (reason, message) = match accident {
            Accident::Panicked(message) => (
                Reason::InternalError,
                format!("the operator met a fault of its own: {message}"),
            ),
            Accident::Overdue(deadline) => (
                Reason::ApiUnavailable,
                format!("the work was not done within {} s", deadline.as_secs()),
            ),
        };
        let fault = Fault::transient(reason, message);
        self.report_fault(seen, &fault).await;
    }

    async fn report_exception(&self, seen: &Seen, told: &Told) -> Result<(), Fault<Reason>> {
        let mut status = match seen {
            Seen::App(app) => serde_json::to_value(&app.status).unwrap_or(Value::Null),
            Seen::Malformed(malformed) => malformed.status.clone(),
        };
        let old = seen.conditions();
        if !status.is_object() {
            status = Value::Object(Map::new());
        }
        let before = status.clone();
        let generation = kube::Resource::meta(seen).generation.unwrap_or_default();
        let new = told.conditions(&old, generation, (self.now)());
        if let Some(status) = status.as_object_mut() {
            status.insert("observedGeneration".into(), json!(generation));
            status.insert("conditions".into(), json!(new));
        }
        if status == before {
            return Ok(());
        }
        self.write(seen, &status, &old, &new).await
    }

    async fn write(
        &self,
        seen: &Seen,
        status: &Value,
        old: &[Condition],
        new: &[Condition],
    ) -> Result<(), Fault<Reason>> {
        let answer = self
            .cluster
            .write_status(seen, status)
            .await
            .map_err(|fault| fault.map(Reason::from))?;
        let Some(answer) = answer else { return Ok(()) };
        match Seen::from_value(answer) {
            // Only the round itself needs to know what it wrote.
            Ok(written) => drop(self.apps.put(written)),
            Err(error) => tracing::debug!(%error, key = ?seen.key(), "the API server's answer cannot be read"),
        }
        let generation = kube::Resource::meta(seen).generation.unwrap_or_default();
        if let Some(notice) = notice(old, new, generation) {
            self.cluster.publish(&seen.reference(), notice).await;
        }
        Ok(())
    }
}

/// What is told of an app that no round could judge.
struct Told {
    class: Class,
    reason: Reason,
    message: String,
}

impl Told {
    /// `Ready` and its companions anew; the answers to other questions stay as they were.
    fn conditions(&self, old: &[Condition], generation: i64, now: k8s_openapi::jiff::Timestamp) -> Vec<Condition> {
        let mut new = Conditions::new(old, generation, now);
        let companion = if self.class == Class::Stalled {
            STALLED
        } else {
            RECONCILING
        };
        new.set(READY, State::False, self.reason.as_str(), &self.message);
        new.set(companion, State::True, self.reason.as_str(), &self.message);
        let others = old
            .iter()
            .filter(|condition| ![READY, RECONCILING, STALLED].contains(&condition.type_.as_str()));
        new.finish().into_iter().chain(others.cloned()).collect()
    }
}

/// What began or ended between two statuses: that it is as asked again, or that something other than progress is the
/// matter. A new app's first progress is no news.
fn notice(old: &[Condition], new: &[Condition], generation: i64) -> Option<Notice> {
    let ready = conditions::find(new, READY)?;
    let before = conditions::find(old, READY);
    let is_ready = ready.status == State::True.as_str();
    let was_ready = before.is_some_and(|before| before.status == State::True.as_str());
    let same = before.is_some_and(|before| before.reason == ready.reason && before.status == ready.status);
    let progress = [Reason::Deploying, Reason::Releasing]
        .iter()
        .any(|reason| reason.as_str() == ready.reason);
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

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::jiff::Timestamp;

    fn conditions(ready: State, reason: &str, stalled: bool) -> Vec<Condition> {
        let mut conditions = Conditions::new(&[], 1, Timestamp::UNIX_EPOCH);
        conditions.set(READY, ready, reason, "because");
        if stalled {
            conditions.set(STALLED, State::True, reason, "because");
        }
        conditions.finish()
    }

    fn told(old: &[Condition], new: &[Condition]) -> Option<(bool, String)> {
        notice(old, new, 7).map(|notice| (notice.warning, notice.reason))
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
    fn an_accident_leaves_the_other_answers_as_they_were() {
        let mut old = Conditions::new(&[], 4, Timestamp::UNIX_EPOCH);
        old.set(READY, State::True, "Running", "");
        old.set("Available", State::True, "Serving", "");
        let old = old.finish();
        let told = Told {
            class: Class::Transient,
            reason: Reason::InternalError,
            message: "boom".into(),
        };
        let new = told.conditions(&old, 5, Timestamp::UNIX_EPOCH);
        let types: Vec<_> = new.iter().map(|condition| condition.type_.as_str()).collect();
        assert_eq!(types, [READY, RECONCILING, "Available"]);
        assert_eq!(new[2], old[1]);
    }
}
