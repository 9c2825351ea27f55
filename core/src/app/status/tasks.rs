//! What became of the crons.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::api::startup_app::CronStatus;
use crate::app::last_words::last_words;
use crate::app::observed::Observed;
use crate::app::reasons::Reason;
use crate::app::valid::{ValidApp, ValidCron};
use crate::conditions::{Conditions, State};
use crate::labels;
use crate::live::Live;

/// Did the last run of every cron succeed. Present for apps with crons that have run.
const CRONS_HEALTHY: &str = "CronsHealthy";
/// A run that has not ended.
const RUNNING: &str = "Running";
/// A run that ended well.
const SUCCEEDED: &str = "Succeeded";
/// What the cause of a failure follows.
const FAILED: &str = "Failed: ";
/// How many characters of a failed run's last words are told: there may be many crons.
const WORDS: usize = 200;

/// One entry per cron. A result stays when its Job is gone.
pub fn crons(valid: &ValidApp, old: &[CronStatus], observed: &Observed, now: Timestamp) -> Vec<CronStatus> {
    valid
        .crons
        .iter()
        .map(|cron| one(cron, old.iter().find(|old| old.name == cron.name), observed, now))
        .collect()
}

fn one(cron: &ValidCron, old: Option<&CronStatus>, observed: &Observed, now: Timestamp) -> CronStatus {
    let newest = observed
        .jobs
        .iter()
        .filter(|job| job.label(labels::CRON) == Some(&cron.name) && job.facts.started_at.is_some())
        .max_by_key(|job| job.facts.started_at);
    let (last_run_at, last_result) = match newest {
        Some(job) if job.facts.started_at >= old.and_then(|old| old.last_run_at.as_ref()).map(|time| time.0) => {
            let at = job.facts.started_at.map(Time);
            let told = old.filter(|old| old.last_run_at == at);
            (
                at,
                Some(result(job, told.and_then(|old| old.last_result.as_deref()), observed)),
            )
        }
        _ => old
            .map(|old| (old.last_run_at.clone(), old.last_result.clone()))
            .unwrap_or_default(),
    };
    CronStatus {
        name: cron.name.clone(),
        last_run_at,
        last_result,
        next_run_at: next_run(cron, old, now),
    }
}

/// The time shown stays until it has passed, so that rounds in between change nothing.
fn next_run(cron: &ValidCron, old: Option<&CronStatus>, now: Timestamp) -> Option<Time> {
    if cron.suspend {
        return None;
    }
    let shown = old.and_then(|old| old.next_run_at.as_ref()).map(|time| time.0);
    let from_now = cron.schedule.next_after(now);
    shown
        .filter(|shown| *shown > now && Some(*shown) == from_now)
        .or(from_now)
        .map(Time)
}

/// `told` is what was told of this run before: it stays when the pod that gave its last words is gone.
fn result(job: &Live<Job>, told: Option<&str>, observed: &Observed) -> String {
    match &job.facts.finished {
        None => RUNNING.to_owned(),
        Some(end) if end.type_ == "Complete" => SUCCEEDED.to_owned(),
        Some(end) => match (last_words(observed, job, WORDS), told) {
            (Some(words), _) => format!("{FAILED}{words}"),
            (None, Some(told)) if told.starts_with(FAILED) => told.to_owned(),
            (None, _) => format!("{FAILED}{}", end.reason),
        },
    }
}

/// Tells the crons whose last run failed.
pub fn write_condition(conditions: &mut Conditions<'_>, crons: &[CronStatus]) {
    let ended = |cron: &&CronStatus| cron.last_result.as_deref().is_some_and(|result| result != RUNNING);
    if !crons.iter().any(|cron| ended(&cron)) {
        return;
    }
    let failed: Vec<_> = crons
        .iter()
        .filter(ended)
        .filter_map(|cron| {
            let cause = cron.last_result.as_deref()?.strip_prefix(FAILED)?;
            Some(format!("{} ({cause})", cron.name))
        })
        .collect();
    if failed.is_empty() {
        conditions.set(
            CRONS_HEALTHY,
            State::True,
            Reason::CronsSucceed.as_str(),
            "the last run of every cron succeeded",
        );
    } else {
        let message = format!("the last run failed: {}", failed.join(", "));
        conditions.set(CRONS_HEALTHY, State::False, Reason::CronFailed.as_str(), &message);
    }
}
