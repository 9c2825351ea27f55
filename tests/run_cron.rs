//! A run of a cron asked for by annotation: once, recorded, and never again, whatever becomes of its Job.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::{Operator, Team, eventually, install, run_request};
use k8s_openapi::api::batch::v1::{CronJob, Job};
use kube::api::{DeleteParams, ListParams};
use tremplin_core::{labels, names};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

const CRONS: &str = "crons: [{name: mails, schedule: '@yearly'}, {name: purge, schedule: '@yearly'}]";

fn spec(version: &str) -> String {
    format!("{{image: 'ghcr.io/brigade/site:{version}', {CRONS}}}")
}

/// The Job of that request, once it may run, and what the CronJob remembers of it.
async fn let_run(team: &Team, request: &str) -> Job {
    let name = names::one_shot("brigade", "mails", request);
    let job = eventually("the Job may run", async || {
        let job = team.api::<Job>().get_opt(&name).await.unwrap()?;
        (job.spec.as_ref()?.suspend == Some(false)).then_some(job)
    })
    .await;
    let cron_job = team.api::<CronJob>().get("brigade-mails").await.unwrap();
    let recorded = format!("{request} {}", job.metadata.uid.as_ref().unwrap());
    assert_eq!(cron_job.metadata.annotations.unwrap()[labels::RUN_HANDLED], recorded);
    job
}

/// Loses the Job and everything of it.
async fn lose(team: &Team, job: &Job) {
    let name = job.metadata.name.as_ref().unwrap();
    team.api::<Job>()
        .delete(name, &DeleteParams::background())
        .await
        .unwrap();
}

/// Has the operator work on the app once more, to the end: a new version is told and applied.
async fn another_round(team: &Team, version: &str) {
    team.commit("brigade", &spec(version)).await;
    team.told("brigade", "Ready", "False", "Deploying").await;
    let live = team.deployments().get("brigade-web").await.unwrap();
    let image = live.spec.template.spec.unwrap().containers[0].image.clone().unwrap();
    assert!(image.ends_with(version), "{image}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_runs_one_job_also_when_the_job_is_lost_and_the_operator_restarted() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    let operator = Operator::plain(&control_plane, &[]);
    team.commit("brigade", &spec("one")).await;
    team.told("brigade", "Ready", "False", "Deploying").await;

    let requests = [run_request("mails", 1), run_request("mails", 2)];
    team.annotate("brigade", labels::RUN_CRON, &requests[0]).await;
    let first = let_run(&team, &requests[0]).await;
    // Lost while the operator watches, and its end never heard of.
    lose(&team, &first).await;
    another_round(&team, "two").await;
    operator.stop().await.unwrap();
    let operator = Operator::plain(&control_plane, &[]);
    another_round(&team, "three").await;

    // Lost while nobody watches.
    team.annotate("brigade", labels::RUN_CRON, &requests[1]).await;
    let second = let_run(&team, &requests[1]).await;
    operator.stop().await.unwrap();
    lose(&team, &second).await;
    let operator = Operator::plain(&control_plane, &[]);
    another_round(&team, "four").await;
    let jobs = team.api::<Job>().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(jobs, [], "no Job is made again");

    let _ = control_plane.audit_log().mark(&client).await.unwrap();
    let events = control_plane.audit_log().all().unwrap();
    let made: Vec<_> = events
        .iter()
        .filter(|event| event.resource == "jobs" && event.code == 201)
        .map(|event| event.name.as_str())
        .collect();
    let expected = requests.map(|request| names::one_shot("brigade", "mails", &request));
    assert_eq!(made, expected, "one Job for each request, and none of the other cron");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_cannot_be_met_is_told() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = install(control_plane).await;
    let team = Team::new(control_plane, &client, "lyon").await;
    let operator = Operator::plain(control_plane, &[]);
    team.commit("brigade", &spec("one")).await;
    team.told("brigade", "Ready", "False", "Deploying").await;

    for (version, request, words) in [
        ("two", run_request("mail", 1), ["\"mail\"", "mails, purge"]),
        ("three", "mails@noon".to_owned(), ["\"noon\"", "not an RFC 3339 time"]),
    ] {
        team.annotate("brigade", labels::RUN_CRON, &request).await;
        let message = eventually("it is told", async || {
            let app = team.apps().get("brigade").await.unwrap();
            let ready = common::condition(&app, "Ready")?;
            ready.message.contains(words[0]).then_some(ready.message)
        })
        .await;
        assert!(
            message.contains(labels::RUN_CRON) && message.contains(words[1]),
            "{message}"
        );
        // It holds nothing up.
        another_round(&team, version).await;
    }

    let jobs = team.api::<Job>().list(&ListParams::default()).await.unwrap().items;
    assert_eq!(jobs, [], "nothing ran");
    operator.stop().await.unwrap();
}
