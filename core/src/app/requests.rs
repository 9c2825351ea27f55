//! What people ask for by an annotation on the app: `restarted-at` and `run-cron`.
//!
//! Such an annotation stays on the object long after it was followed: Argo CD leaves it, and nobody thinks of it. So one
//! that cannot be followed holds nothing up: it is told beside.

use jiff::{SignedDuration, Timestamp};

use super::reasons::Reason;
use super::valid::ValidApp;
use crate::api::startup_app::StartupApp;
use crate::fault::Fault;
use crate::labels;

/// How far ahead of ours the clock may be that a request's time was read from. A time of next year would swallow every
/// request until then.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// A run of a cron asked for by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRequest {
    /// The cron.
    pub cron: String,
    /// When it was asked for.
    pub at: Timestamp,
    /// The annotation's value: `<cron>@<time>`.
    pub text: String,
}

impl RunRequest {
    /// From `<cron>@<RFC 3339 time>`.
    ///
    /// # Errors
    /// What the text's fault is.
    pub fn read(text: &str, now: Timestamp) -> Result<Self, Fault<Reason>> {
        let fault = |message: String| {
            let fix = "write <cron>@<RFC 3339 time>, as in reminders@2026-11-22T10:00:00Z, or remove the annotation";
            invalid(labels::RUN_CRON, message, fix)
        };
        let (cron, at) = text
            .split_once('@')
            .ok_or_else(|| fault(format!("{text:?} has no @")))?;
        Ok(Self {
            at: time(at, now).map_err(fault)?,
            cron: cron.to_owned(),
            text: text.to_owned(),
        })
    }
}

/// The restart that is asked for.
///
/// # Errors
/// When the time cannot be read, or is more than five minutes ahead of `now`.
pub fn restarted_at(app: &StartupApp, now: Timestamp) -> Result<Option<Timestamp>, Fault<Reason>> {
    let fix = "write a time such as 2026-11-22T10:00:00Z, or remove the annotation";
    annotation(app, labels::RESTARTED_AT)
        .map(|text| time(text, now).map_err(|message| invalid(labels::RESTARTED_AT, message, fix)))
        .transpose()
}

/// The run of a cron that is asked for.
///
/// # Errors
/// As [`RunRequest::read`]; also when the app has no such cron.
pub fn run(app: &StartupApp, valid: &ValidApp, now: Timestamp) -> Result<Option<RunRequest>, Fault<Reason>> {
    let Some(text) = annotation(app, labels::RUN_CRON) else {
        return Ok(None);
    };
    let request = RunRequest::read(text, now)?;
    let names: Vec<_> = valid.crons.iter().map(|known| known.name.as_str()).collect();
    if names.contains(&request.cron.as_str()) {
        return Ok(Some(request));
    }
    let has = if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    };
    let message = format!("the app has no cron {:?} (it has: {has})", request.cron);
    Err(invalid(
        labels::RUN_CRON,
        message,
        "correct it, or remove the annotation",
    ))
}

/// The requests that cannot be followed.
pub fn ignored(app: &StartupApp, valid: &ValidApp, now: Timestamp) -> Vec<Fault<Reason>> {
    let (restart, run) = (restarted_at(app, now).err(), run(app, valid, now).err());
    restart.into_iter().chain(run).collect()
}

/// Whether a time that was read is not ahead of us.
pub fn is_past(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) <= AHEAD
}

fn time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let at = text
        .parse::<Timestamp>()
        .map_err(|_| format!("{text:?} is not an RFC 3339 time"))?;
    if is_past(at, now) {
        Ok(at)
    } else {
        Err(format!("{text:?} lies ahead; it is {now:.0}"))
    }
}

fn invalid(annotation: &str, message: String, fix: &str) -> Fault<Reason> {
    Fault::stalled(Reason::InvalidSpec, message, fix).at(format!("metadata.annotations[{annotation}]"))
}

fn annotation<'a>(app: &'a StartupApp, key: &str) -> Option<&'a str> {
    app.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}
