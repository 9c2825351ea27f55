//! Why a release failed, in a few words.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::{AttemptOutcome, ReleaseRecord};
use crate::app::last_words::last_words;
use crate::app::mask::mask;
use crate::app::observed::Observed;
use crate::live::{ConditionFact, Live};
use crate::{labels, refusal};

/// How many characters of a failed release's last words are told: what a terminal shows.
const WORDS: usize = 600;

/// The Job controller's word for a Job that ran out of time.
const DEADLINE: &str = "DeadlineExceeded";

/// Why a Job failed.
pub fn why(job: &Live<Job>, end: &ConditionFact, observed: &Observed) -> String {
    if never_had_a_pod(job, observed) && end.reason == DEADLINE {
        let said = observed.events.get(job.uid());
        let why = said.map_or_else(
            || "no pod could be made for it in spec.release.timeoutSeconds".to_owned(),
            |said| refusal::explain(said).unwrap_or_else(|| mask(said)),
        );
        return format!("it never started: {why}");
    }
    if end.reason == DEADLINE
        && let Some(others) = outlived_by(job, observed)
    {
        return format!("it ended well, but {others} of its pod ran on until its time was up");
    }
    last_words(observed, job, WORDS).unwrap_or_else(|| format!("{}: {}", end.reason, end.message))
}

/// Whether nothing of a Job ever ran.
fn never_had_a_pod(job: &Live<Job>, observed: &Observed) -> bool {
    job.facts.failed == 0 && job.facts.active == 0 && observed.pods_of_job(job.name()).next().is_none()
}

/// The containers that a platform put beside a command that ended well.
fn outlived_by(job: &Live<Job>, observed: &Observed) -> Option<String> {
    let ended_well = |pod: &&Live<Pod>| {
        let own = pod.facts.own.as_ref().and_then(|own| own.ended.as_ref());
        own.is_some_and(|ended| ended.exit_code == 0)
    };
    let pod = observed.pods_of_job(job.name()).find(ended_well)?;
    let others: Vec<_> = pod.facts.beside.iter().map(|other| other.name.as_str()).collect();
    (!others.is_empty()).then(|| format!("the container {}", others.join(", ")))
}

/// The UID of the release's Job that ran out of time before it had a pod, until that is recorded: its Events say why.
pub fn ended_unexplained(observed: &Observed) -> Option<&str> {
    let job = observed.jobs.iter().find(|job| {
        let finished = job.facts.finished.as_ref();
        job.label(labels::RELEASE).is_some()
            && finished.is_some_and(|end| end.reason == DEADLINE)
            && never_had_a_pod(job, observed)
    })?;
    let record = ReleaseRecord::of(observed).ok()?;
    let mut running = record
        .attempts
        .iter()
        .filter(|attempt| attempt.outcome == AttemptOutcome::Running);
    running.any(|attempt| attempt.job_uid == job.uid()).then(|| job.uid())
}
