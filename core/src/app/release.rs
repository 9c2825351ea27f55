//! The release: a command that runs at most once per version, before the version rolls out.
//!
//! It may never run twice, whatever dies when. So its Job is made in three writes, each safe to repeat:
//! 1. the Job, suspended (a name made from key and attempt, create-only);
//! 2. the record of its UID, on a ConfigMap that outlives the Job;
//! 3. `suspend: false`, bound to that UID.
//!
//! Died before 2: the Job is there, has not run, and is recorded then. Died before 3: it is recorded, suspended, and
//! resumed then. Recorded, and gone without an outcome: nobody knows whether it ran, and a human must look.
//!
//! While a version is not released, everything is rendered from the spec that was released last, which the record keeps.

mod failure;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};

use super::observed::Observed;
use super::valid::ValidApp;
use crate::api::startup_app::StartupAppSpec;
use crate::live::Live;
use crate::{labels, names};

pub use failure::ended_unexplained;

/// What outlives the release's Job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRecord {
    /// The version that is released: what may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Released>,
    /// The newest attempt of each version, the newest version last: a version that comes back never runs again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// How many versions the record remembers: some 20 KiB.
const REMEMBERED: usize = 200;

/// A version whose release succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Released {
    /// The hash of image, release and env as written.
    pub key: String,
    /// The newest spec under that key.
    pub spec: StartupAppSpec,
}

/// One run of the release command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The version it is for.
    pub key: String,
    /// From 1, per key.
    pub number: i64,
    /// The UID of its Job.
    pub job_uid: String,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Its last words, masked, when it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// The restart that had been asked for when it began: only a newer one allows another attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted_at: Option<Timestamp>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptOutcome {
    /// It has not.
    Running,
    /// The command exited with 0.
    Succeeded,
    /// It did not, or ran out of time.
    Failed,
    /// The Job is gone and left nothing.
    Unknown,
}

impl ReleaseRecord {
    /// The text in the ConfigMap.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether an attempt has not ended.
    pub fn is_running(&self) -> bool {
        self.attempts
            .iter()
            .any(|attempt| attempt.outcome == AttemptOutcome::Running)
    }

    /// Of the app; nothing when there is none yet. `Err` when it cannot be read: then nothing may be decided.
    ///
    /// # Errors
    /// What the text's fault is.
    pub fn of(observed: &Observed) -> Result<Self, String> {
        observed
            .release_record
            .as_ref()
            .map_or_else(|| Ok(Self::default()), |live| Self::read(live))
    }

    /// From the live ConfigMap.
    ///
    /// # Errors
    /// What the text's fault is.
    pub fn read(live: &Live<ConfigMap>) -> Result<Self, String> {
        let text = live.facts.data.get(super::render::RECORD).map_or("{}", String::as_str);
        serde_json::from_str(text).map_err(|error| format!("the ConfigMap {} cannot be read: {error}", live.name()))
    }
}

/// What to do next about the release's Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleaseStep {
    /// Nothing, or wait.
    None,
    /// Create the Job of that attempt, suspended.
    Create {
        /// Its number.
        attempt: i64,
    },
    /// Let the Job run.
    Resume {
        /// The Job's name.
        name: String,
        /// The Job's UID.
        uid: String,
    },
    /// Ask the API server itself whether the Job is gone.
    LookUp {
        /// The Job's UID.
        uid: String,
        /// The Job's name.
        name: String,
    },
}

/// Where the release of the current version stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleaseState {
    /// No release is asked for.
    NotAsked,
    /// The current version is released.
    Released,
    /// Its Job is being made, or runs.
    Running,
    /// Another version's Job still runs; this one waits for it.
    WaitingForOther,
    /// Its Job failed, with its last words.
    Failed(String),
    /// Its Job is gone and left nothing.
    Unknown,
}

/// The verdict of one round.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseDecision {
    /// The record to keep; `None` while there has never been a release.
    pub record: Option<ReleaseRecord>,
    /// What to do next. It stands on `record` being written first.
    pub step: ReleaseStep,
    /// Where the current version stands.
    pub state: ReleaseState,
}

impl ReleaseDecision {
    /// Leaves everything as it is.
    pub fn keep(app: &ValidApp, record: ReleaseRecord) -> Self {
        let released = record.released.as_ref().map(|released| released.key.as_str());
        let state = match app.release.as_ref().map(|release| release.key.as_str()) {
            None => ReleaseState::NotAsked,
            key if key == released => ReleaseState::Released,
            Some(_) => ReleaseState::Running,
        };
        Self {
            record: (record != ReleaseRecord::default()).then_some(record),
            step: ReleaseStep::None,
            state,
        }
    }
}

/// Decides about the release of `app`, whose spec is `spec`, in one round.
pub fn decide(
    app: &ValidApp,
    spec: &StartupAppSpec,
    record: ReleaseRecord,
    observed: &Observed,
    restarted_at: Option<Timestamp>,
) -> ReleaseDecision {
    let round = Round {
        app,
        spec,
        key: app.release.as_ref().map(|release| release.key.as_str()),
        observed,
        restarted_at,
    };
    let (record, step, state) = round.decide(record);
    ReleaseDecision {
        // Kept also without a release: one that is asked for again later must not run again for the same version.
        record: (record != ReleaseRecord::default()).then_some(record),
        step,
        state,
    }
}

struct Round<'a> {
    app: &'a ValidApp,
    spec: &'a StartupAppSpec,
    /// The version's key; `None` when the spec asks for no release.
    key: Option<&'a str>,
    observed: &'a Observed,
    restarted_at: Option<Timestamp>,
}

type Verdict = (ReleaseRecord, ReleaseStep, ReleaseState);

impl Round<'_> {
    fn decide(&self, mut record: ReleaseRecord) -> Verdict {
        if record == ReleaseRecord::default()
            && let Some(key) = self.key.filter(|key| self.templates_were_released(key))
        {
            // The record was lost, but the Deployments remember.
            record.released = Some(self.released(key));
        }
        if let Some(running) = record
            .attempts
            .iter_mut()
            .find(|attempt| attempt.outcome == AttemptOutcome::Running)
        {
            let step = self.follow(running);
            if running.outcome == AttemptOutcome::Running {
                // Also when no release is asked for any more: nothing rolls out beside a migration that runs.
                let state = if self.key == Some(&running.key) {
                    ReleaseState::Running
                } else {
                    ReleaseState::WaitingForOther
                };
                return (record, step, state);
            }
        }
        let Some(key) = self.key else {
            return (record, ReleaseStep::None, ReleaseState::NotAsked);
        };
        self.decide_on(key, record)
    }

    /// When no Job runs.
    fn decide_on(&self, key: &str, mut record: ReleaseRecord) -> Verdict {
        if record.released.as_ref().is_some_and(|released| released.key == key) {
            record.released = Some(self.released(key));
            return (record, ReleaseStep::None, ReleaseState::Released);
        }
        let Some(last) = record.attempts.iter().find(|attempt| attempt.key == key) else {
            return self.begin(key, record, 1);
        };
        let again = last.number + 1;
        let state = match last.outcome {
            AttemptOutcome::Succeeded => {
                record.released = Some(self.released(key));
                return (record, ReleaseStep::None, ReleaseState::Released);
            }
            AttemptOutcome::Failed => ReleaseState::Failed(last.message.clone()),
            AttemptOutcome::Running | AttemptOutcome::Unknown => ReleaseState::Unknown,
        };
        if self.restarted_at > last.restarted_at {
            self.begin(key, record, again)
        } else {
            (record, ReleaseStep::None, state)
        }
    }

    fn released(&self, key: &str) -> Released {
        Released {
            key: key.to_owned(),
            spec: self.spec.clone(),
        }
    }

    /// A Job of that attempt exists: record it. None does: create it.
    fn begin(&self, key: &str, mut record: ReleaseRecord, number: i64) -> Verdict {
        let name = names::one_shot(&self.app.identity.name, "release", &format!("{key}/{number}"));
        let Some(job) = self.observed.job_by_name(&name) else {
            return (record, ReleaseStep::Create { attempt: number }, ReleaseState::Running);
        };
        record.attempts.retain(|attempt| attempt.key != key);
        let excess = (record.attempts.len() + 1).saturating_sub(REMEMBERED);
        record.attempts.drain(..excess);
        record.attempts.push(Attempt {
            key: key.to_owned(),
            number,
            job_uid: job.uid().to_owned(),
            outcome: AttemptOutcome::Running,
            message: String::new(),
            restarted_at: self.restarted_at,
        });
        let step = resume(job);
        (record, step, ReleaseState::Running)
    }

    /// Reads the outcome of a recorded attempt from its Job.
    fn follow(&self, attempt: &mut Attempt) -> ReleaseStep {
        let Some(job) = self.observed.job_by_uid(&attempt.job_uid) else {
            if self.observed.gone_jobs.contains(&attempt.job_uid) {
                attempt.outcome = AttemptOutcome::Unknown;
                return ReleaseStep::None;
            }
            let name = names::one_shot(
                &self.app.identity.name,
                "release",
                &format!("{}/{}", attempt.key, attempt.number),
            );
            return ReleaseStep::LookUp {
                uid: attempt.job_uid.clone(),
                name,
            };
        };
        match &job.facts.finished {
            Some(end) if end.type_ == "Complete" => attempt.outcome = AttemptOutcome::Succeeded,
            Some(end) => {
                attempt.outcome = AttemptOutcome::Failed;
                attempt.message = failure::why(job, end, self.observed);
            }
            None => return resume(job),
        }
        ReleaseStep::None
    }

    fn templates_were_released(&self, key: &str) -> bool {
        let deployments = &self.observed.deployments;
        !deployments.is_empty()
            && deployments
                .iter()
                .all(|live| live.annotation(labels::RELEASE_KEY) == Some(key))
    }
}

fn resume(job: &Live<Job>) -> ReleaseStep {
    if job.facts.suspended {
        ReleaseStep::Resume {
            name: job.name().to_owned(),
            uid: job.uid().to_owned(),
        }
    } else {
        ReleaseStep::None
    }
}

#[cfg(test)]
mod tests;
