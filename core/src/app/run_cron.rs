//! `run-cron`: a run of a cron asked for by hand, by the annotation `tremplin.dev/run-cron: <name>@<time>`.
//!
//! Each value runs once. As with a release, the Job is made suspended, recorded on the CronJob (an annotation
//! `<request> <UID>`), then resumed; a recorded request whose Job is gone is over.

use jiff::Timestamp;

use super::observed::Observed;
use super::reasons::Reason;
use super::valid::ValidApp;
use crate::fault::Fault;
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
///
/// # Errors
/// When the value cannot be read.
pub fn decide(app: &ValidApp, request: Option<&str>, observed: &Observed) -> Result<RunDecision, Fault<Reason>> {
    let Some(request) = request else {
        return Ok((None, RunStep::None));
    };
    let Some((cron, at)) = parse(request, app)? else {
        return Ok((None, RunStep::None));
    };
    let Some(live) = observed.cron_job(&cron) else {
        return Ok((None, RunStep::None));
    };
    // A CronJob younger than the request's time was made anew: the request was for its predecessor.
    if live.created_at().is_some_and(|created| at < created) && live.annotation(labels::RUN_HANDLED).is_none() {
        return Ok((None, RunStep::None));
    }
    let handled = live
        .annotation(labels::RUN_HANDLED)
        .and_then(|handled| handled.split_once(' '));
    if let Some((old, uid)) = handled
        && old == request
    {
        let step = match observed.job_by_uid(uid) {
            Some(job) if job.facts.suspended && job.facts.finished.is_none() => RunStep::Resume {
                name: job.name().to_owned(),
                uid: uid.to_owned(),
            },
            _ => RunStep::None,
        };
        return Ok((Some((cron, format!("{request} {uid}"))), step));
    }
    let name = names::one_shot(&app.identity.name, &cron, request);
    match observed.job_by_name(&name) {
        Some(job) => {
            let step = RunStep::Resume {
                name,
                uid: job.uid().to_owned(),
            };
            Ok((Some((cron, format!("{request} {}", job.uid()))), step))
        }
        None => Ok((
            None,
            RunStep::Create {
                cron,
                request: request.to_owned(),
            },
        )),
    }
}

/// What to tell of a request for a cron that the app does not have: mistyped, or removed since. It holds nothing up.
pub fn unknown(app: &ValidApp, request: &str) -> Option<String> {
    let (cron, _) = request.split_once('@')?;
    let names: Vec<_> = app.crons.iter().map(|known| known.name.as_str()).collect();
    let has = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let field = labels::RUN_CRON;
    (!names.contains(&cron)).then(|| {
        format!(
            "metadata.annotations[{field}] asks for the cron {cron:?}, which the app does not have (it has: {has}): correct it, or remove the annotation"
        )
    })
}

/// `None`: for a cron that is no more. The annotation stays on the object long after the run (Argo CD leaves it, and
/// nobody thinks of it), so that must not hold up the app.
fn parse(request: &str, app: &ValidApp) -> Result<Option<(String, Timestamp)>, Fault<Reason>> {
    let field = format!("metadata.annotations[{}]", labels::RUN_CRON);
    let fault = |message: String| {
        let fix = "write <cron>@<RFC 3339 time>, as in reminders@2026-11-22T10:00:00Z";
        Fault::stalled(Reason::InvalidSpec, message, fix).at(field.clone())
    };
    let (cron, at) = request
        .split_once('@')
        .ok_or_else(|| fault(format!("{request:?} has no @")))?;
    let at = at
        .parse::<Timestamp>()
        .map_err(|_| fault(format!("{at:?} is not an RFC 3339 time")))?;
    let is_known = app.crons.iter().any(|known| known.name == cron);
    Ok(is_known.then(|| (cron.to_owned(), at)))
}

#[cfg(test)]
mod tests;
