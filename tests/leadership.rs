//! One replica writes; another takes over; none writes without the lease.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{HOME, Operator, Team, condition, eventually, install, settings};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::ListParams;
use kube::{Api, Client};
use tremplin::cli::controller::ControllerError;
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

const APP: &str = "image: ghcr.io/brigade/site:one";

async fn start() -> (ControlPlane, Client, Team) {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    (control_plane, client, team)
}

/// An operator that can be told from others in the Events' and lease's names.
fn replica(control_plane: &ControlPlane, name: &str, lease: &str) -> Operator {
    let (identity, lease) = (format!("--identity={name}"), format!("--lease={lease}"));
    Operator::start(
        &control_plane.admin_config(),
        settings(&[&identity, &lease]),
        |client| client,
    )
}

async fn leads(operator: &Operator) {
    eventually("it leads", async || {
        (operator.metric("tremplin_leader").await == Some(1.0)).then_some(())
    })
    .await;
}

async fn writes(operator: &Operator) -> f64 {
    let text = operator.ask("/metrics").await.unwrap();
    let values = text.lines().filter(|line| line.starts_with("tremplin_writes_total{"));
    values
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

async fn holder(client: &Client) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), HOME);
    leases.get("tremplin-controller").await.unwrap().spec?.holder_identity
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_writes_and_the_other_takes_over() {
    let (control_plane, client, team) = start().await;
    let blue = replica(&control_plane, "blue", "6s");
    leads(&blue).await;
    let green = replica(&control_plane, "green", "6s");
    eventually("the follower is ready", async || green.ask("/readyz").await).await;

    team.commit("brigade", APP).await;
    team.told("brigade", "Ready", "False", "Deploying").await;
    assert!(writes(&blue).await > 0.0);
    assert!(writes(&green).await == 0.0, "the follower wrote");
    assert_eq!(green.metric("tremplin_leader").await, Some(0.0));

    let stopping = Instant::now();
    blue.stop().await.unwrap();
    assert!(
        stopping.elapsed() < Duration::from_secs(5),
        "stopped in {:?}",
        stopping.elapsed()
    );
    assert_eq!(holder(&client).await, None, "the lease is given back");

    leads(&green).await;
    team.commit("other", APP).await;
    team.told("other", "Ready", "False", "Deploying").await;
    assert!(holder(&client).await.unwrap().starts_with("green-"));
    green.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_cannot_renew_ends() {
    let (control_plane, _, _) = start().await;
    let mut operator = replica(&control_plane, "blue", "6s");
    leads(&operator).await;
    control_plane.pause_api_server();
    let ended = operator.ended().await;
    control_plane.resume_api_server();
    assert!(matches!(ended, Err(ControllerError::LeaseLost)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_over_from_one_that_was_killed() {
    let (control_plane, _, team) = start().await;
    let blue = replica(&control_plane, "blue", "6s");
    leads(&blue).await;
    let green = replica(&control_plane, "green", "6s");
    eventually("the follower is ready", async || green.ask("/readyz").await).await;
    blue.kill();
    leads(&green).await;
    team.commit("brigade", APP).await;
    team.told("brigade", "Ready", "False", "Deploying").await;
    green.stop().await.unwrap();
}

fn with_release(version: usize) -> String {
    format!("{{image: 'ghcr.io/brigade/site:{version}', release: {{command: [migrate]}}}}")
}

/// How many Jobs of releases there are.
async fn jobs(team: &Team) -> usize {
    team.api::<Job>()
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .len()
}

/// Plays the cluster until the newest version runs. Notes the Jobs that ran.
async fn until_running(team: &Team, ran: &mut BTreeSet<String>) {
    eventually("the version runs", async || {
        ran.extend(team.run_jobs().await);
        team.run_deployments().await;
        let app = team.apps().get("brigade").await.unwrap();
        let ready = condition(&app, "Ready")?;
        (ready.status == "True" && ready.observed_generation == app.metadata.generation).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_alive_one_makes_the_job_of_a_release_and_the_other_no_second() {
    let (control_plane, _, team) = start().await;
    let blue = replica(&control_plane, "blue", "6s");
    leads(&blue).await;
    let green = replica(&control_plane, "green", "6s");
    eventually("the follower is ready", async || green.ask("/readyz").await).await;
    let mut ran = BTreeSet::new();
    team.commit("brigade", &with_release(1)).await;
    until_running(&team, &mut ran).await;
    assert_eq!((ran.len(), jobs(&team).await), (1, 1));
    assert!(writes(&green).await == 0.0, "the follower wrote");

    // The leader dies while a release runs: the follower knows it for running.
    team.commit("brigade", &with_release(2)).await;
    team.told("brigade", "Ready", "False", "Releasing").await;
    eventually("the second release runs", async || {
        (jobs(&team).await == 2).then_some(())
    })
    .await;
    blue.kill();
    leads(&green).await;
    until_running(&team, &mut ran).await;
    assert_eq!((ran.len(), jobs(&team).await), (2, 2));
    green.stop().await.unwrap();
}

/// As two installations by mistake would: each has a lease of its own, and both write at once.
#[tokio::test(flavor = "multi_thread")]
async fn two_operators_that_both_write_release_each_version_once() {
    let (control_plane, _, team) = start().await;
    let both = ["--lease-name=blue", "--lease-name=green"].map(|lease| Operator::plain(&control_plane, &[lease]));
    for operator in &both {
        leads(operator).await;
    }
    let mut ran = BTreeSet::new();
    for version in 1..=8 {
        team.commit("brigade", &with_release(version)).await;
        until_running(&team, &mut ran).await;
        assert_eq!((ran.len(), jobs(&team).await), (version, version), "version {version}");
    }
    for operator in both {
        assert!(writes(&operator).await > 0.0);
        operator.stop().await.unwrap();
    }
}
