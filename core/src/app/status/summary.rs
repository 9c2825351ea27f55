//! The one table that gives Ready, Reconciling, Stalled, and the questions beside them.

use super::{Outcome, hold};
use crate::api::startup_app::Environment;
use crate::app::decision::{Decision, Hold};
use crate::app::health::{ProcessHealth, Trouble};
use crate::app::reasons::Reason;
use crate::app::release::ReleaseState;
use crate::conditions::{Conditions, READY, RECONCILING, STALLED, State};
use crate::fault::{Class, Fault};
use crate::policy::Finding;

/// Is there a version that is released, for apps with a release.
const RELEASED: &str = "Released";
/// Does every process have an instance that can serve.
const AVAILABLE: &str = "Available";
/// Do all objects keep the platform's rules.
const POLICY_COMPLIANT: &str = "PolicyCompliant";
/// Does the quota have room.
const QUOTA_FITS: &str = "QuotaFits";
/// Was the environment guessed. Present only while true.
const ENVIRONMENT_ASSUMED: &str = "EnvironmentAssumed";

/// How an app fares, in one word and one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Who must act.
    pub verdict: Verdict,
    /// The machine's word.
    pub reason: Reason,
    /// What is the case, and the next step.
    pub message: String,
}

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody: it is as asked.
    Ready,
    /// Nobody now: something is on its way.
    Reconciling,
    /// A human.
    Stalled,
}

/// The table. First match wins:
///
/// | situation | Ready | with | reason |
/// |---|---|---|---|
/// | the spec, or the API server, refuses for good | False | Stalled | the fault's |
/// | something is awaited, or failed for the moment | False | Reconciling | the fault's |
/// | the release failed, or nobody knows | False | Stalled | `ReleaseFailed`, `ReleaseOutcomeUnknown` |
/// | something that the app names is missing | False | Reconciling | `ReferenceMissing` |
/// | the release runs, or waits for another | False | Reconciling | `Releasing`, or what keeps its pod from running |
/// | a process is in trouble past its deadline | False | Stalled | the trouble's |
/// | a process is in trouble | False | Reconciling | the trouble's |
/// | `spec.suspend` | True | | `Suspended` |
/// | a host is not routed (see [`super::names`]) | False | Stalled or Reconciling | the fault's |
/// | else | True | | `Running` |
pub fn summarize(
    decision: &Decision,
    outcome: &Outcome,
    health: &[ProcessHealth],
    releasing: Option<Trouble>,
) -> Summary {
    if let Decision::Refused(faults) = decision {
        return of_faults(faults);
    }
    if let Some(fault) = &outcome.fault {
        return of_faults(std::slice::from_ref(fault));
    }
    let release = match decision {
        Decision::Go(plan) => &plan.release,
        Decision::Suspended(_) | Decision::Refused(_) => &ReleaseState::NotAsked,
    };
    if let Some(ended) = of_ended_release(release) {
        return ended;
    }
    if let Some((_, Hold::Missing(fault))) = hold(decision) {
        return of_faults(std::slice::from_ref(fault));
    }
    if let Some(running) = of_running_release(release, releasing) {
        return running;
    }
    if let Some(worst) = of_health(health) {
        return worst;
    }
    match decision {
        Decision::Suspended(_) => summary(
            Verdict::Ready,
            Reason::Suspended,
            "the operator leaves everything as it is",
        ),
        _ => Summary {
            verdict: Verdict::Ready,
            reason: Reason::Running,
            message: match hold(decision) {
                Some((_, Hold::Turn)) => {
                    "every process runs as asked; it waits for its turn to restart as the new operator or platform file has it"
                }
                _ => "every process runs as asked",
            }
            .into(),
        },
    }
}

/// A release that ended otherwise than well.
fn of_ended_release(release: &ReleaseState) -> Option<Summary> {
    let (reason, message) = match release {
        ReleaseState::Failed(words) => (
            Reason::ReleaseFailed,
            format!("the release command failed, the old version keeps serving: {words}"),
        ),
        ReleaseState::Unknown => (
            Reason::ReleaseOutcomeUnknown,
            "the release's Job is gone and left no outcome; nothing is rolled out".to_owned(),
        ),
        _ => return None,
    };
    Some(summary(Verdict::Stalled, reason, &message))
}

/// A release that runs, or waits to.
fn of_running_release(release: &ReleaseState, trouble: Option<Trouble>) -> Option<Summary> {
    let (reason, message) = match (release, trouble) {
        (ReleaseState::Running, Some(trouble)) => (trouble.reason, trouble.message),
        (ReleaseState::Running, None) => (
            Reason::Releasing,
            "the release command of the new version is running".to_owned(),
        ),
        (ReleaseState::WaitingForOther, _) => (
            Reason::Releasing,
            "the release command of an earlier version is still running; the newest version comes next".to_owned(),
        ),
        _ => return None,
    };
    Some(summary(Verdict::Reconciling, reason, &message))
}

/// The gravest trouble of a process.
fn of_health(health: &[ProcessHealth]) -> Option<Summary> {
    let troubles = health.iter().filter_map(|health| health.trouble.as_ref());
    let worst = troubles.max_by_key(|trouble| (trouble.stalled, trouble.reason))?;
    let verdict = if worst.stalled {
        Verdict::Stalled
    } else {
        Verdict::Reconciling
    };
    Some(summary(verdict, worst.reason, &worst.message))
}

fn summary(verdict: Verdict, reason: Reason, message: &str) -> Summary {
    Summary {
        verdict,
        reason,
        message: format!("{message}. Next: {}", reason.action()),
    }
}

/// The gravest fault, and the others.
pub fn of_faults(faults: &[Fault<Reason>]) -> Summary {
    // Among equals the first in the spec's order: `max_by_key` would take the last.
    let Some(worst) = faults.iter().rev().max_by_key(|fault| fault.class) else {
        return Summary {
            verdict: Verdict::Stalled,
            reason: Reason::InternalError,
            message: "refused without a reason".into(),
        };
    };
    let others = faults
        .iter()
        .filter(|fault| *fault != worst)
        .map(|fault| format!("\nalso {fault}"));
    Summary {
        verdict: if worst.class == Class::Stalled {
            Verdict::Stalled
        } else {
            Verdict::Reconciling
        },
        reason: worst.reason,
        message: [told(worst)].into_iter().chain(others).collect(),
    }
}

/// A fault in a condition's words. One that brings no fix of its own, such as the API server's refusal, has its reason's.
pub fn told(fault: &Fault<Reason>) -> String {
    if fault.fix.is_empty() {
        format!("{fault}. Next: {}", fault.reason.action())
    } else {
        fault.to_string()
    }
}

impl Summary {
    /// Writes Ready, and Reconciling or Stalled while true.
    pub fn write(&self, conditions: &mut Conditions<'_>) {
        let reason = self.reason.as_str();
        conditions.set(
            READY,
            State::from(self.verdict == Verdict::Ready),
            reason,
            &self.message,
        );
        match self.verdict {
            Verdict::Ready => {}
            Verdict::Reconciling => conditions.set(RECONCILING, State::True, reason, &self.message),
            Verdict::Stalled => conditions.set(STALLED, State::True, reason, &self.message),
        }
    }
}

/// Writes one condition per question that a user asks of the app as a whole.
pub fn write_questions(conditions: &mut Conditions<'_>, decision: &Decision, health: &[ProcessHealth]) {
    if let Decision::Go(plan) = decision {
        write_released(conditions, &plan.release);
        write_compliant(conditions, &plan.findings);
    }
    let idle: Vec<_> = health
        .iter()
        .filter(|health| health.desired > 0 && health.ready == 0)
        .map(|health| health.name.as_str())
        .collect();
    if health.is_empty() {
        conditions.set(
            AVAILABLE,
            State::False,
            Reason::NotServing.as_str(),
            "nothing is deployed yet",
        );
    } else if idle.is_empty() {
        let message = "every process has an instance that can serve";
        conditions.set(AVAILABLE, State::True, Reason::Serving.as_str(), message);
    } else {
        let message = format!("no instance can serve: {}", idle.join(", "));
        conditions.set(AVAILABLE, State::False, Reason::NotServing.as_str(), &message);
    }
    let troubles = health.iter().filter_map(|health| health.trouble.as_ref());
    if let Some(refused) = troubles
        .into_iter()
        .find(|trouble| trouble.reason == Reason::QuotaExceeded)
    {
        conditions.set(
            QUOTA_FITS,
            State::False,
            Reason::QuotaExceeded.as_str(),
            &refused.message,
        );
    }
}

fn write_compliant(conditions: &mut Conditions<'_>, findings: &[Finding]) {
    let Some(worst) = findings.iter().rev().max_by_key(|finding| finding.severity) else {
        let message = "every object keeps the platform's rules";
        return conditions.set(POLICY_COMPLIANT, State::True, Reason::Compliant.as_str(), message);
    };
    let more = match findings.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more: `kubectl tremplin check`)"),
    };
    let Finding {
        kind,
        name,
        field,
        message,
        ..
    } = worst;
    let message = format!("{kind} {name}, {field}: {message}: {}{more}", worst.fix());
    conditions.set(POLICY_COMPLIANT, State::False, Reason::RulesBroken.as_str(), &message);
}

/// Tells that the environment was guessed.
pub fn write_assumed(conditions: &mut Conditions<'_>, environment: Environment, assumed: bool) {
    if assumed {
        let word = environment.as_str();
        let message = format!("no rule of the platform maps this namespace to an environment; {word} is assumed");
        conditions.set(ENVIRONMENT_ASSUMED, State::True, Reason::NoMapping.as_str(), &message);
    }
}

fn write_released(conditions: &mut Conditions<'_>, release: &ReleaseState) {
    let (state, reason, message) = match release {
        ReleaseState::NotAsked => return,
        ReleaseState::Released => (
            State::True,
            Reason::Released,
            "the release command of this version succeeded".to_owned(),
        ),
        ReleaseState::Running => (
            State::False,
            Reason::Releasing,
            "the release command is running".to_owned(),
        ),
        ReleaseState::WaitingForOther => (
            State::False,
            Reason::Releasing,
            "an earlier version's release command is still running".to_owned(),
        ),
        ReleaseState::Failed(words) => (State::False, Reason::ReleaseFailed, words.clone()),
        ReleaseState::Unknown => (
            State::Unknown,
            Reason::ReleaseOutcomeUnknown,
            "the release's Job is gone and left no outcome".to_owned(),
        ),
    };
    conditions.set(RELEASED, state, reason.as_str(), &message);
}
