//! Killed after any write, or told nothing of a write that was done: the same objects are there in the end, and each
//! release ran once. For every write until none is left, of a first rollout and of a later change.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::faults::{Fault, Faults};
use common::{HOME, Operator, Team, condition, eventually, install, settings};
use k8s_openapi::api::apps::v1::DeploymentSpec;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, ListParams};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

const SPEC: &str = r"{image: 'ghcr.io/brigade/site:one', release: {command: [migrate]},
    processes: [{name: web}, {name: worker}], crons: [{name: mails, schedule: '@yearly'}]}";
/// Another version, another environment, a process less, a process more, and a cron less.
const LATER: &str = r"{image: 'ghcr.io/brigade/site:two', release: {command: [migrate]}, env: {COLOUR: red},
    processes: [{name: web}, {name: api, port: 9000}]}";
/// More writes than any app takes: reached only when the operator never comes to rest.
const MOST: usize = 60;

/// What the app is, one spec after the other. The last one is disturbed.
type Specs = &'static [&'static str];

struct Trial {
    /// Kind and name of every child in the end.
    children: Vec<String>,
    /// What every Deployment asks for in the end.
    deployments: Vec<DeploymentSpec>,
    /// The Jobs that ran.
    ran: BTreeSet<String>,
    /// Whether the fault came to pass.
    struck: bool,
}

/// An operator that is new to the cluster: nobody holds the lease.
async fn operator(control_plane: &ControlPlane, team: &Team, faults: &Faults) -> Operator {
    let leases: Api<Lease> = Api::namespaced(team.client.clone(), HOME);
    let _ = leases.delete("tremplin-controller", &DeleteParams::default()).await;
    let faults = faults.clone();
    Operator::start(
        &control_plane.admin_config(),
        settings(&["--deadline=2s"]),
        move |client| faults.wrap(client),
    )
}

/// Plays the cluster until the app is as asked.
async fn until_running(team: &Team, ran: &mut BTreeSet<String>) {
    eventually("the app runs", async || {
        ran.extend(team.run_jobs().await);
        team.run_deployments().await;
        let app = team.apps().get("brigade").await.unwrap();
        let ready = condition(&app, "Ready").filter(|ready| ready.observed_generation == app.metadata.generation)?;
        (ready.status == "True").then_some(())
    })
    .await;
}

async fn trial(control_plane: &ControlPlane, specs: Specs, fault: Fault, at: usize) -> Trial {
    let client = control_plane.client().unwrap();
    let team = Team::new(control_plane, &client, "crash").await;
    let faults = Faults::new(fault, at);
    let mut ran = BTreeSet::new();
    let (last_spec, before) = specs.split_last().unwrap();
    for spec in before {
        team.commit("brigade", spec).await;
        let undisturbed = operator(control_plane, &team, &Faults::new(Fault::None, 0)).await;
        until_running(&team, &mut ran).await;
        undisturbed.stop().await.unwrap();
    }
    team.commit("brigade", last_spec).await;
    let first = operator(control_plane, &team, &faults).await;
    let struck = tokio::select! {
        () = faults.struck.notified() => true,
        () = until_running(&team, &mut ran) => {
            // A write after the app runs, such as the event, may still be on its way.
            tokio::time::timeout(Duration::from_secs(1), faults.struck.notified()).await.is_ok()
        }
    };
    let last = if struck && fault != Fault::Swallow {
        first.kill();
        operator(control_plane, &team, &Faults::new(Fault::None, 0)).await
    } else {
        first
    };
    until_running(&team, &mut ran).await;
    let trial = Trial {
        children: team.children("brigade").await,
        deployments: deployments(&team).await,
        ran,
        struck,
    };
    last.stop().await.unwrap();
    team.apps().delete("brigade", &DeleteParams::default()).await.unwrap();
    trial
}

async fn deployments(team: &Team) -> Vec<DeploymentSpec> {
    let live = team.deployments().list(&ListParams::default()).await.unwrap();
    live.items.into_iter().map(|deployment| deployment.spec).collect()
}

/// Every write of the last spec in turn; there are more than `least`.
async fn every_write(specs: Specs, fault: Fault, least: usize) {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    install(&control_plane).await;
    let undisturbed = trial(&control_plane, specs, Fault::None, 0).await;
    assert_eq!(undisturbed.ran.len(), specs.len(), "one release for each version");
    let mut at = 1;
    loop {
        let trial = trial(&control_plane, specs, fault, at).await;
        assert_eq!(trial.children, undisturbed.children, "{fault:?} at write {at}");
        assert_eq!(trial.deployments, undisturbed.deployments, "{fault:?} at write {at}");
        assert_eq!(
            trial.ran.len(),
            specs.len(),
            "{fault:?} at write {at}: releases of {} versions ran {} times",
            specs.len(),
            trial.ran.len()
        );
        if !trial.struck {
            break;
        }
        at += 1;
        assert!(at < MOST, "it never comes to rest");
    }
    assert!(at > least, "only {at} writes were disturbed");
}

/// A child each, a Job, and what is told.
const FIRST_WRITES: usize = 9;
/// The Job made, recorded, let run, and recorded again; five children made or changed, four removed, and what is told.
const LATER_WRITES: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_write_it_converges() {
    every_write(&[SPEC], Fault::SilenceAfter, FIRST_WRITES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_write_it_converges() {
    every_write(&[SPEC], Fault::SilenceBefore, FIRST_WRITES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_reply_of_any_write_is_no_second_write() {
    every_write(&[SPEC], Fault::Swallow, FIRST_WRITES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_write_of_a_later_change_it_converges() {
    every_write(&[SPEC, LATER], Fault::SilenceAfter, LATER_WRITES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_write_of_a_later_change_it_converges() {
    every_write(&[SPEC, LATER], Fault::SilenceBefore, LATER_WRITES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_reply_of_any_write_of_a_later_change_is_no_second_write() {
    every_write(&[SPEC, LATER], Fault::Swallow, LATER_WRITES).await;
}
