//! Killed after any write, or told nothing of a write that was done: the same objects are there in the end, and the
//! release ran once. For every write until none is left.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::faults::{Fault, Faults};
use common::{HOME, Operator, Team, condition, eventually, install, settings};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

const SPEC: &str = r"{image: 'ghcr.io/brigade/site:one', release: {command: [migrate]},
    processes: [{name: web}, {name: worker}], crons: [{name: mails, schedule: '@yearly'}]}";
/// More writes than any app takes: reached only when the operator never comes to rest.
const MOST: usize = 60;

struct Trial {
    /// Kind and name of every child in the end.
    children: Vec<String>,
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
        let ready = condition(&app, "Ready").is_some_and(|ready| ready.status == "True");
        ready.then_some(())
    })
    .await;
}

async fn trial(control_plane: &ControlPlane, fault: Fault, at: usize) -> Trial {
    let client = control_plane.client().unwrap();
    let team = Team::new(control_plane, &client, "crash").await;
    let faults = Faults::new(fault, at);
    let mut ran = BTreeSet::new();
    team.commit("brigade", SPEC).await;
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
        ran,
        struck,
    };
    last.stop().await.unwrap();
    team.apps().delete("brigade", &DeleteParams::default()).await.unwrap();
    trial
}

/// Every write in turn.
async fn every_write(fault: Fault) {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    install(&control_plane).await;
    let undisturbed = trial(&control_plane, Fault::None, 0).await;
    assert_eq!(undisturbed.ran.len(), 1, "one release");
    let mut at = 1;
    loop {
        let trial = trial(&control_plane, fault, at).await;
        assert_eq!(trial.children, undisturbed.children, "{fault:?} at write {at}");
        assert_eq!(
            trial.ran.len(),
            1,
            "{fault:?} at write {at}: the release ran {} times",
            trial.ran.len()
        );
        if !trial.struck {
            break;
        }
        at += 1;
        assert!(at < MOST, "it never comes to rest");
    }
    assert!(at > undisturbed.children.len(), "only {at} writes were disturbed");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_write_it_converges() {
    every_write(Fault::SilenceAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_any_write_it_converges() {
    every_write(Fault::SilenceBefore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swallowed_reply_of_any_write_is_no_second_write() {
    every_write(Fault::Swallow).await;
}
