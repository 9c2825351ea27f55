//! `run-cron`: a run of a cron asked for by hand, by the annotation `tremplin.dev/run-cron: <name>@<time>`.
//!
//! Each value runs once, and none that is older than the last. As with a release, the Job is made suspended, recorded on the CronJob (an annotation
//! `<request> <UID>`), then resumed; a recorded request whose Job is gone is over.

use super::observed::Observed;
use super::requests::RunRequest;
use super::valid::ValidApp;
use crate::{labels, names};

/// What to do next about a run asked for by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunStep {
    /// Nothing.
    None,
    /// Create the Job of that cron, suspended.
    Create {
        /// The cron.
        cron: String,
        /// The annotation's value.
        request: String,
    },
    /// Let the Job run.
    Resume {
        /// The Job's name.
        name: String,
        /// The Job's UID.
        uid: String,
    },
}

/// The annotation that a CronJob is to carry, as cron and value, and what to do next.
pub type RunDecision = (Option<(String, String)>, RunStep);

/// Decides about the request, if there is one: the annotation that the cron's CronJob is to carry, and the next step.
pub fn decide(app: &ValidApp, request: Option<&RunRequest>, observed: &Observed) -> RunDecision {
    let nothing = (None, RunStep::None);
    let Some(RunRequest { cron, at, text }) = request else {
        return nothing;
    };
    let Some(live) = observed.cron_job(cron) else {
        return nothing;
    };
    // A CronJob younger than the request's time was made anew: the request was for its predecessor.
    if live.created_at().is_some_and(|created| *at < created) && live.annotation(labels::RUN_HANDLED).is_none() {
        return nothing;
    }
    if let Some((handled, uid)) = live
        .annotation(labels::RUN_HANDLED)
        .and_then(|handled| handled.split_once(' '))
    {
        if handled == text {
            let step = match observed.job_by_uid(uid) {
                Some(job) if job.facts.suspended && job.facts.finished.is_none() => RunStep::Resume {
                    name: job.name().to_owned(),
                    uid: uid.to_owned(),
                },
                _ => RunStep::None,
            };
            return (Some((cron.clone(), format!("{text} {uid}"))), step);
        }
        // Only the last one is remembered. An older one comes back with a commit that is reverted.
        if RunRequest::read(handled, observed.now).is_ok_and(|handled| *at <= handled.at) {
            return nothing;
        }
    }
    let name = names::one_shot(&app.identity.name, cron, text);
    match observed.job_by_name(&name) {
        Some(job) => {
            let uid = job.uid().to_owned();
            (
                Some((cron.clone(), format!("{text} {uid}"))),
                RunStep::Resume { name, uid },
            )
        }
        None => (
            None,
            RunStep::Create {
                cron: cron.clone(),
                request: text.clone(),
            },
        ),
    }
}

#[cfg(test)]
mod tests;
