//! The operator is killed while a version with a release rolls. It runs when no other trial needs the operator.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, ResourceExt};
use serde_json::{Value, json};

use crate::team::{DEADLINE, Team};
use crate::world::{World, image};

/// When it is killed: once the cluster shows this of the version that rolls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Nothing yet: the version was committed just now.
    Committed,
    /// The release's Job, suspended or not.
    JobMade,
    /// The Job's UID in the record.
    Recorded,
    /// The Job may run.
    Resumed,
    /// The release itself, counted outside of the cluster. It takes two seconds more.
    Running,
    /// The Job is over.
    Over,
    /// The new version in the Deployment.
    RollingOut,
}

const MOMENTS: [Moment; 7] = [
    Moment::Committed,
    Moment::JobMade,
    Moment::Recorded,
    Moment::Resumed,
    Moment::Running,
    Moment::Over,
    Moment::RollingOut,
];

pub async fn a_release_runs_once_however_often_the_operator_is_killed(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    let path = |version: &str| format!("/{}/{version}", team.namespace);
    let spec = |version: &str| -> Value {
        json!({
            "image": image("1.0.0"),
            "processes": [{"name": "worker", "args": ["worker"]}],
            // What is released is image, release and env: a version of its own each.
            "env": {"COUNT_URL": world.counter.url(&path(version))},
            "release": {"command": ["/sample-app"], "args": ["release", "--for", "2s"]},
        })
    };
    team.put("shop", spec("first")).await;
    team.ready("shop").await;
    let mut versions = vec!["first".to_owned()];
    for moment in MOMENTS {
        let version = format!("{moment:?}");
        let before = jobs(&team).await.len();
        team.put("shop", spec(&version)).await;
        let deadline = Instant::now() + DEADLINE;
        while !is_come(&team, moment, before, &version, &path(&version)).await {
            assert!(Instant::now() < deadline, "{moment:?} never came");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        world.operator.kill_and_start(&world.client).await;
        team.ready("shop").await;
        assert_eq!(jobs(&team).await.len(), before + 1, "killed at {moment:?}");
        versions.push(version);
    }
    for version in versions {
        assert_eq!(
            world.counter.posted(&path(&version)),
            ["release 1.0.0"],
            "killed at {version}"
        );
    }
    team.leave().await;
}

async fn jobs(team: &Team) -> Vec<Job> {
    team.api::<Job>().list(&ListParams::default()).await.unwrap().items
}

/// Whether the cluster shows it, of the version that comes after `before` releases.
async fn is_come(team: &Team, moment: Moment, before: usize, version: &str, path: &str) -> bool {
    let newest = async || {
        let jobs = jobs(team).await;
        (jobs.len() > before).then(|| jobs.into_iter().max_by_key(ResourceExt::creation_timestamp))?
    };
    match moment {
        Moment::Committed => true,
        Moment::JobMade => jobs(team).await.len() > before,
        Moment::Recorded => {
            let Some(uid) = newest().await.and_then(|job| job.uid()) else {
                return false;
            };
            let maps = team.api::<ConfigMap>().list(&ListParams::default()).await.unwrap();
            maps.iter()
                .flat_map(|map| map.data.iter().flatten())
                .any(|(_, text)| text.contains(&uid))
        }
        Moment::Resumed => newest()
            .await
            .is_some_and(|job| job.spec.is_some_and(|spec| spec.suspend == Some(false))),
        Moment::Running => !team.world.counter.posted(path).is_empty(),
        Moment::Over => newest()
            .await
            .is_some_and(|job| job.status.is_some_and(|status| status.conditions.is_some())),
        Moment::RollingOut => {
            let live: Deployment = team.api().get("shop-worker").await.unwrap();
            serde_json::to_string(&live.spec).unwrap().contains(version)
        }
    }
}
