//! The release gates the rollout, and its Job may vanish at any time.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::{Operator, Team, eventually, install};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, ListParams};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

fn spec(version: &str) -> String {
    format!("{{image: 'ghcr.io/brigade/site:{version}', release: {{command: [migrate]}}}}")
}

async fn image(team: &Team) -> Option<String> {
    let live = team.deployments().get_opt("brigade-web").await.unwrap()?;
    live.spec.template.spec?.containers.first()?.image.clone()
}

/// The Job that may run now and has not ended.
async fn running(team: &Team) -> Job {
    eventually("a release runs", async || {
        let jobs = team.api::<Job>().list(&ListParams::default()).await.unwrap().items;
        jobs.into_iter().find(|job| {
            job.spec.as_ref().and_then(|spec| spec.suspend) == Some(false)
                && job.status.as_ref().is_none_or(|status| status.conditions.is_none())
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_or_lost_release_keeps_the_old_version() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    let operator = Operator::plain(&control_plane, &[]);

    team.commit("brigade", &spec("one")).await;
    running(&team).await;
    assert_eq!(image(&team).await, None, "nothing rolls out before the release");
    team.run_jobs().await;
    eventually("the released version", async || {
        image(&team).await.filter(|image| image.ends_with(":one"))
    })
    .await;

    team.commit("brigade", &spec("two")).await;
    team.fail_job().await;
    team.told("brigade", "Stalled", "True", "ReleaseFailed").await;
    assert!(image(&team).await.unwrap().ends_with(":one"));

    team.commit("brigade", &spec("three")).await;
    let job = running(&team).await;
    // A restart of the operator does not run it again, and neither does the loss of its Job.
    operator.stop().await.unwrap();
    team.api::<Job>()
        .delete(&job.metadata.name.unwrap(), &DeleteParams::background())
        .await
        .unwrap();
    let operator = Operator::plain(&control_plane, &[]);
    team.told("brigade", "Stalled", "True", "ReleaseOutcomeUnknown").await;
    assert!(image(&team).await.unwrap().ends_with(":one"));
    let jobs = team.api::<Job>().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(jobs.len(), 2, "the first two releases, and no other");

    // A human looked, and asks again.
    team.annotate("brigade", "tremplin.dev/restarted-at", "2026-11-22T11:00:00Z")
        .await;
    running(&team).await;
    team.run_jobs().await;
    eventually("the released version", async || {
        image(&team).await.filter(|image| image.ends_with(":three"))
    })
    .await;
    operator.stop().await.unwrap();
}
