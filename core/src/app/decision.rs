//! One round: from what is written and what is observed to what to apply, and the one thing to do next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use super::hosts::HostClaims;
use super::observed::{Content, Observed};
use super::reasons::Reason;
use super::release::{self, ReleaseDecision, ReleaseRecord, ReleaseState, ReleaseStep};
use super::render::{self, Change, DesiredApp, Marks};
use super::requests;
use super::run_cron::{self, RunStep};
use super::valid::{ContentRef, ValidApp};
use super::validate::{Context, validate, validate_spec};
use crate::api::startup_app::{ObjectRef, StartupApp, StartupAppSpec};
use crate::fault::Fault;
use crate::labels;
use crate::platform::Platform;
use crate::policy::{self, Finding};

/// The verdict of one round.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Nothing may be applied: what is there stays as it is.
    Refused(Vec<Fault<Reason>>),
    /// `spec.suspend`: what is there stays as it is.
    Suspended(Box<ValidApp>),
    /// Something is to be applied.
    Go(Box<Plan>),
}

/// What to apply, and what comes after.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The app as written.
    pub app: ValidApp,
    /// The app that is rendered: as written, or while that is not released, as it was released last.
    pub rendered: ValidApp,
    /// What is to be there now.
    pub desired: DesiredApp,
    /// Why some children are left as they are, and nothing is pruned.
    pub hold: Option<Hold>,
    /// What to do once all of it is applied.
    pub step: Step,
    /// Where the release of the version as written stands.
    pub release: ReleaseState,
    /// Whether Deployments are to roll for no other reason than a new operator or platform file: such rolls go at a
    /// bounded rate, see [`Plan::wait_for_turn`].
    pub upgrade: bool,
    /// The platform's rules that what is to be there breaks.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// Leaves Deployments as they are this round: other apps roll first.
    pub fn wait_for_turn(&mut self) {
        self.hold.get_or_insert(Hold::Turn);
    }

    /// Whether Deployments may change this round.
    pub fn applies_deployments(&self) -> bool {
        self.hold.is_none()
    }

    /// Whether CronJobs may change this round: with a new operator or platform file they need not wait, since nothing
    /// rolls for them.
    pub fn applies_cron_jobs(&self) -> bool {
        matches!(self.hold, None | Some(Hold::Turn))
    }
}

/// Why Deployments are left as they are, and most often CronJobs too.
#[derive(Clone, Debug, PartialEq)]
pub enum Hold {
    /// No version was released yet.
    FirstRelease,
    /// Something that the app names is missing.
    Missing(Fault<Reason>),
    /// A new operator or platform file renders them otherwise, and other apps roll first.
    Turn,
}

/// The one thing to do after everything is applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing.
    None,
    /// Create a suspended Job (create-only), then decide again.
    CreateJob(Box<Job>),
    /// Set `spec.suspend: false` on the Job of that UID.
    ResumeJob {
        /// The Job's name.
        name: String,
        /// The Job's UID.
        uid: String,
    },
    /// Ask the API server whether the Job of that UID is gone; then decide again with the answer.
    LookUpJob {
        /// The Job's name.
        name: String,
        /// The Job's UID.
        uid: String,
    },
}

impl Step {
    /// How soon the next round must come even if nothing is heard: a lost event must not hang a release.
    pub fn requeue_after(&self) -> Option<Duration> {
        (*self != Self::None).then_some(Duration::from_secs(1))
    }
}

/// Decides one round.
pub fn decide(app: &StartupApp, observed: &Observed, platform: &Platform) -> Decision {
    let namespace = app.metadata.namespace.clone().unwrap_or_default();
    let uid = app.metadata.uid.clone().unwrap_or_default();
    let hosts = HostClaims::judge(&namespace, &uid, &observed.hosts);
    let context = Context {
        platform,
        namespace: &observed.namespace,
        hosts: &hosts,
    };
    let valid = match validate(app, context) {
        Ok(valid) => valid,
        Err(faults) => return Decision::Refused(faults),
    };
    if app.spec.suspend == Some(true) {
        return Decision::Suspended(Box::new(valid));
    }
    match plan(app, valid, observed, context) {
        Ok(plan) => Decision::Go(Box::new(plan)),
        Err(fault) => Decision::Refused(vec![fault]),
    }
}

fn plan(app: &StartupApp, valid: ValidApp, observed: &Observed, context: Context<'_>) -> Result<Plan, Fault<Reason>> {
    let platform = context.platform;
    // What cannot be followed is told in the status, and holds nothing up.
    let restarted_at = requests::restarted_at(app, observed.now).unwrap_or_default();
    let record = ReleaseRecord::of(observed).map_err(|why| {
        Fault::stalled(
            Reason::InvalidSpec,
            why,
            "delete it if the current version is released; the release command then runs for new versions only",
        )
    })?;
    let missing = missing(&app.spec, observed);
    let decision = match &missing {
        // The release command would not start either: nothing new is begun.
        Some(_) if !record.is_running() => ReleaseDecision::keep(&valid, record),
        _ => release::decide(&valid, &app.spec, record, observed, restarted_at),
    };
    let open = matches!(decision.state, ReleaseState::NotAsked | ReleaseState::Released);
    let released = decision.record.as_ref().and_then(|record| record.released.as_ref());
    let base = match released {
        Some(released) if !open => {
            validate_spec(valid.identity.clone(), &released.spec, context).map_err(|mut faults| faults.remove(0))?
        }
        _ => valid.clone(),
    };
    let hold = match missing {
        Some(fault) => Some(Hold::Missing(fault)),
        None if !open && released.is_none() => Some(Hold::FirstRelease),
        None => None,
    };
    let (run, run_step) = match &hold {
        None => {
            let request = requests::run(app, &base, observed.now).unwrap_or_default();
            run_cron::decide(&base, request.as_ref(), observed)
        }
        // The CronJob, which is to record the run, is left as it is.
        Some(_) => (None, RunStep::None),
    };
    let marks = Marks {
        release_key: released.map(|released| released.key.clone()),
        ..marks(&base, observed, restarted_at, run)
    };
    let mut desired = render::render(&base, platform, &marks);
    desired.release_record = decision
        .record
        .as_ref()
        .map(|record| render::release_record(&valid, platform, record));
    let step = step(&valid, &base, platform, &decision.step, run_step);
    let upgrade = is_upgrade(&base, &desired, observed);
    let namespaces = BTreeMap::from([(valid.identity.namespace.clone(), observed.namespace.clone())]);
    Ok(Plan {
        findings: policy::check(&desired.objects(), platform, &namespaces),
        upgrade,
        app: valid,
        rendered: base,
        desired,
        hold,
        step,
        release: decision.state,
    })
}

/// Whether Deployments change, and none of it because the team changed the app: what it changed does not wait, and what
/// a new operator or platform file renders otherwise goes with it.
fn is_upgrade(app: &ValidApp, desired: &DesiredApp, observed: &Observed) -> bool {
    let is_removed = |live: Option<&str>, known: &[&str]| live.is_none_or(|live| !known.contains(&live));
    let processes: Vec<_> = app.processes.iter().map(|process| process.name.as_str()).collect();
    let crons: Vec<_> = app.crons.iter().map(|cron| cron.name.as_str()).collect();
    let (mut deployments, mut cron_jobs) = (observed.deployments.iter(), observed.cron_jobs.iter());
    let removed = deployments.any(|live| is_removed(live.label(labels::PROCESS), &processes))
        || cron_jobs.any(|live| is_removed(live.label(labels::CRON), &crons));
    // Rendered in the order of the processes.
    let changes: Vec<_> = processes
        .iter()
        .zip(&desired.deployments)
        .map(|(process, desired)| {
            let live = observed.deployment(process);
            live.map_or(Change::Team, |live| render::change(desired, live))
        })
        .collect();
    !removed && changes.contains(&Change::Platform) && !changes.contains(&Change::Team)
}

fn step(valid: &ValidApp, base: &ValidApp, platform: &Platform, release: &ReleaseStep, run: RunStep) -> Step {
    match (release, run) {
        (ReleaseStep::Create { attempt }, _) => valid.release.as_ref().map_or(Step::None, |release| {
            Step::CreateJob(Box::new(render::release_job(valid, platform, release, *attempt)))
        }),
        (ReleaseStep::Resume { name, uid }, _) => Step::ResumeJob {
            name: name.clone(),
            uid: uid.clone(),
        },
        (ReleaseStep::LookUp { name, uid }, _) => Step::LookUpJob {
            name: name.clone(),
            uid: uid.clone(),
        },
        (ReleaseStep::None, RunStep::Create { cron, request }) => base
            .crons
            .iter()
            .find(|known| known.name == cron)
            .map_or(Step::None, |cron| {
                Step::CreateJob(Box::new(render::cron_run(base, platform, cron, &request)))
            }),
        (ReleaseStep::None, RunStep::Resume { name, uid }) => Step::ResumeJob { name, uid },
        (ReleaseStep::None, RunStep::None) => Step::None,
    }
}

/// What the templates remember: restarts that were done stay done when the annotation is taken away.
fn marks(base: &ValidApp, observed: &Observed, asked: Option<Timestamp>, run: Option<(String, String)>) -> Marks {
    let done = observed
        .deployments
        .iter()
        .filter_map(|live| live.facts.template.get(labels::RESTARTED_AT)?.parse::<Timestamp>().ok())
        .filter(|done| requests::is_past(*done, observed.now))
        .max();
    let template = |process: &str| {
        observed
            .deployment(process)
            .and_then(|live| live.facts.template.get(labels::CONTENT).cloned())
    };
    let handled = observed.cron_jobs.iter().filter_map(|live| {
        Some((
            live.label(labels::CRON)?.to_owned(),
            live.annotation(labels::RUN_HANDLED)?.to_owned(),
        ))
    });
    Marks {
        restarted_at: asked.max(done).map(|at| at.to_string()),
        contents: observed
            .contents
            .iter()
            .filter_map(|(content, state)| match state {
                Content::Present(digest) => Some((content.clone(), digest.clone())),
                Content::Missing => None,
            })
            .collect(),
        live_contents: base
            .processes
            .iter()
            .filter_map(|process| Some((process.name.clone(), template(&process.name)?)))
            .collect(),
        release_key: None,
        runs: handled.chain(run).collect(),
    }
}

/// Every Secret and ConfigMap that a spec names: what must be observed before deciding. Once there was a release, the
/// spec that was released counts too.
pub fn content_refs(spec: &StartupAppSpec) -> BTreeSet<ContentRef> {
    let secret = |name: &Option<ObjectRef>| name.as_ref().map(|name| ContentRef::secret(&name.name));
    let config_map = |name: &Option<ObjectRef>| name.as_ref().map(|name| ContentRef::config_map(&name.name));
    let variables = spec.secret_env.values().map(|from| ContentRef::secret(&from.name));
    let from = spec
        .env_from
        .iter()
        .flat_map(|from| [secret(&from.secret_ref), config_map(&from.config_map_ref)]);
    let volumes = spec
        .volumes
        .iter()
        .flat_map(|volume| [secret(&volume.secret_ref), config_map(&volume.config_map_ref)]);
    variables.chain(from.chain(volumes).flatten()).collect()
}

/// The first thing that the app names and that is not there.
fn missing(spec: &StartupAppSpec, observed: &Observed) -> Option<Fault<Reason>> {
    let fault = |message: String| {
        Fault::waiting(
            Reason::ReferenceMissing,
            message,
            "create it, or correct the name; the app goes on by itself when it is there",
        )
    };
    for content in content_refs(spec) {
        if observed.contents.get(&content) == Some(&Content::Missing) {
            return Some(fault(format!(
                "the {} {} does not exist",
                content.kind.as_str(),
                content.name
            )));
        }
    }
    spec.secret_env.iter().find_map(
        |(variable, from)| match observed.contents.get(&ContentRef::secret(&from.name)) {
            Some(Content::Present(digest)) if !digest.keys.contains_key(&from.key) => {
                let message = format!("the Secret {} has no key {}", from.name, from.key);
                Some(fault(message).at(format!("spec.secretEnv.{variable}")))
            }
            _ => None,
        },
    )
}

#[cfg(test)]
mod tests;
