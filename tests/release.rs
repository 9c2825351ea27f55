//! The release gates the rollout, and its Job may vanish at any time.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::{Operator, Team, eventually, install};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, ListParams};
use tremplin_e2e::audit::BEGINNING;
use tremplin_e2e::{AuditEvent, ControlPlane, ControlPlaneOptions};

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

/// The version whose release a Job is, from its image.
fn version(job: &Job) -> String {
    let pod = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
    let image = pod.containers[0].image.as_ref().unwrap();
    image.rsplit(':').next().unwrap().to_owned()
}

/// The version whose release a request makes the Job of.
fn made(event: &AuditEvent) -> Option<String> {
    let body = event.request_object.as_ref()?;
    let image = body.pointer("/spec/template/spec/containers/0/image")?.as_str()?;
    (event.resource == "jobs" && event.subresource.is_empty() && event.code < 300)
        .then(|| image.rsplit(':').next().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_never_overlap_and_only_the_newest_waits() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    let log = control_plane.audit_log();
    let operator = Operator::plain(&control_plane, &[]);

    team.commit("brigade", &spec("one")).await;
    assert_eq!(version(&running(&team).await), "one");
    // However the release ends that two others wait for, the older of the two never runs.
    for (waiting, newest, fails) in [("two", "three", false), ("four", "five", true)] {
        for waiting in [waiting, newest] {
            team.commit("brigade", &spec(waiting)).await;
            let (_, ready) = team.told("brigade", "Ready", "False", "Releasing").await;
            assert!(ready.message.contains("an earlier version"), "{}", ready.message);
        }
        let asked = log.between(BEGINNING, log.mark(&client).await.unwrap()).unwrap();
        let made: Vec<_> = asked.iter().filter_map(made).collect();
        assert!(made.iter().all(|made| made != waiting && made != newest), "{made:?}");
        if fails {
            team.fail_job().await;
        } else {
            team.run_jobs().await;
        }
        assert_eq!(version(&running(&team).await), newest);
    }
    team.run_jobs().await;
    eventually("the newest version", async || {
        image(&team).await.filter(|image| image.ends_with(":five"))
    })
    .await;
    let asked = log.between(BEGINNING, log.mark(&client).await.unwrap()).unwrap();
    let made: Vec<_> = asked.iter().filter_map(made).collect();
    assert_eq!(made, ["one", "three", "five"]);
    operator.stop().await.unwrap();
}
