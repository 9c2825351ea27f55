//! The status of an app: one function from what is written, observed and decided to what `kubectl get` shows.

mod history;
mod names;
mod summary;
mod tasks;

use std::fmt::Write as _;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::decision::{Decision, Hold, Plan};
use super::health::{ProcessHealth, process_health, release_trouble};
use super::nulls;
use super::observed::Observed;
use super::reasons::Reason;
use super::requests;
use super::valid::ValidApp;
use crate::api::startup_app::{InventoryItem, LastExit, ProcessStatus, StartupApp, StartupAppStatus};
use crate::conditions::Conditions;
use crate::fault::Fault;
use crate::labels;

use summary::summarize;
pub use summary::told;

/// What the round did with the decision.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What the API server did not take, or what broke on the way; `None` when everything is applied.
    pub fault: Option<Fault<Reason>>,
    /// The children that are there.
    pub inventory: Vec<InventoryItem>,
}

/// The status of an app after a round. `observed` is what the cluster shows *after* what was applied.
pub fn status(
    app: &StartupApp,
    observed: &Observed,
    decision: &Decision,
    outcome: &Outcome,
    now: Timestamp,
) -> StartupAppStatus {
    let old = app.status.clone().unwrap_or_default();
    let generation = app.metadata.generation.unwrap_or_default();
    let mut conditions = Conditions::new(&old.conditions, generation, now);
    let valid = match decision {
        Decision::Go(plan) => Some(&plan.rendered),
        Decision::Suspended(valid) => Some(valid.as_ref()),
        Decision::Refused(_) => None,
    };
    let health: Vec<_> = wanted(decision, observed)
        .iter()
        .map(|(name, replicas)| process_health(name, *replicas, observed))
        .collect();
    let mut summary = summarize(decision, outcome, &health, release_trouble(observed));
    for path in nulls::dropped(app) {
        let _ = write!(
            summary.message,
            "\n{path} has no value, so it does not count: fill it, or remove the key"
        );
    }
    for ignored in valid.into_iter().flat_map(|valid| requests::ignored(app, valid, now)) {
        let _ = write!(summary.message, "\n{ignored}");
    }
    names::write_conditions(&mut conditions, decision, observed);
    names::outweigh(&summary, decision)
        .as_ref()
        .unwrap_or(&summary)
        .write(&mut conditions);
    summary::write_questions(&mut conditions, decision, &health);
    let mut status = StartupAppStatus {
        observed_generation: Some(generation),
        ..old.clone()
    };
    write_instances(&mut status, &health, observed);
    if let Some(valid) = valid {
        let assumed = app.spec.environment.is_none() && observed.namespace.environment_assumed;
        summary::write_assumed(&mut conditions, valid.environment, assumed);
        status.crons = tasks::crons(valid, &old.crons, observed, now);
        status.image = serving_image(valid, observed, &health).or(old.image);
    }
    if let Decision::Go(plan) = decision {
        history::write(&mut status, &plan.app, &summary, now);
        if !matches!(plan.hold, Some(Hold::Missing(_))) {
            let exposure = plan.rendered.exposure.as_ref();
            status.url = exposure.and_then(|exposure| Some(exposure.class.url(&exposure.hosts.first()?.host)));
            status.links = plan.rendered.links.clone();
        }
    }
    tasks::write_condition(&mut conditions, &status.crons);
    // While some children are held back nothing is removed either: what was there is there.
    let held = hold(decision).is_some() && !old.inventory.is_empty();
    if outcome.fault.is_none() && matches!(decision, Decision::Go(_)) && !held {
        status.inventory.clone_from(&outcome.inventory);
    }
    status.conditions = conditions.finish();
    status
}

/// The processes that are to be there now, and how many instances of each: while a version is not released, those of
/// the version before; while nothing may be applied, those that are there.
fn wanted(decision: &Decision, observed: &Observed) -> Vec<(String, i32)> {
    match decision {
        Decision::Go(plan) => plan
            .desired
            .deployments
            .iter()
            .filter_map(|desired| {
                let labels = desired.metadata.labels.as_ref()?;
                Some((labels.get(labels::PROCESS)?.clone(), desired.spec.replicas.unwrap_or(1)))
            })
            .collect(),
        Decision::Suspended(_) | Decision::Refused(_) => {
            let live = observed.deployments.iter();
            let mut found: Vec<_> = live
                .filter_map(|live| Some((live.label(labels::PROCESS)?.to_owned(), live.facts.wanted)))
                .collect();
            found.sort();
            found
        }
    }
}

fn write_instances(status: &mut StartupAppStatus, health: &[ProcessHealth], observed: &Observed) {
    status.processes = health.iter().map(|health| process_status(health, observed)).collect();
    status.restarts = Some(status.processes.iter().map(|process| process.restarts).sum());
    let (ready, desired) = health.iter().fold((0, 0), |(ready, desired), health| {
        (ready + health.ready, desired + health.desired)
    });
    status.replicas = Some(format!("{ready}/{desired}"));
}

/// Whether two statuses differ in something other than when they were written.
pub fn differs(old: Option<&StartupAppStatus>, new: &StartupAppStatus) -> bool {
    old != Some(new)
}

/// The image that serves: the main Deployment's, unless it is on its way to another one.
fn serving_image(valid: &ValidApp, observed: &Observed, health: &[ProcessHealth]) -> Option<String> {
    let main = valid.main()?;
    let settled = health
        .iter()
        .any(|health| health.name == main.name && health.trouble.is_none());
    observed
        .deployment(&main.name)
        .filter(|_| settled)
        .map(|live| live.facts.image.clone())
}

fn process_status(health: &ProcessHealth, observed: &Observed) -> ProcessStatus {
    let name = &health.name;
    let containers = || observed.pods_of_process(name).filter_map(|pod| pod.facts.own.as_ref());
    let last = containers()
        .filter_map(|container| container.ended.as_ref())
        .max_by_key(|ended| ended.at);
    ProcessStatus {
        name: name.to_owned(),
        ready: health.ready,
        desired: health.desired,
        restarts: containers().map(|container| container.restarts).sum(),
        last_exit: last.map(|ended| LastExit {
            reason: ended.reason.clone(),
            exit_code: ended.exit_code,
            at: ended.at.map(Time),
        }),
    }
}

/// Whether Deployments are kept back, and why.
pub(super) fn hold(decision: &Decision) -> Option<(&Plan, &Hold)> {
    match decision {
        Decision::Go(plan) => plan.hold.as_ref().map(|hold| (plan.as_ref(), hold)),
        Decision::Suspended(_) | Decision::Refused(_) => None,
    }
}

#[cfg(test)]
mod beside_tests;
#[cfg(test)]
mod injected_tests;
#[cfg(test)]
mod names_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trouble_tests;
