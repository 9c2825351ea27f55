//! Secrets and ConfigMaps that an app names: missing, created, changed.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::faults::{self, Instead};
use common::{Operator, Team, eventually, install, requests, settings};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

const SPEC: &str = "{image: 'ghcr.io/brigade/site:one', secretEnv: {DATABASE_URL: {name: database, key: url}}}";
const GET: &str = "get secrets/database 200";

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_heals_and_a_changed_one_rolls_once() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    // Rounds go on, so that one after a change can be waited for.
    let operator = Operator::plain(&control_plane, &["--resync=1s"]);
    let log = control_plane.audit_log();

    team.commit("brigade", SPEC).await;
    let (_, condition) = team.told("brigade", "Ready", "False", "ReferenceMissing").await;
    assert!(condition.message.contains("Secret database"), "{condition:?}");

    team.create::<Secret>("{metadata: {name: database}, stringData: {url: 'postgres://hunter2', other: x}}")
        .await;
    team.told("brigade", "Ready", "False", "Deploying").await;
    let first = mark(&team).await.unwrap();
    assert!(!first.contains("hunter2"));

    let before = log.mark(&client).await.unwrap();
    let change = json!({"stringData": {"url": "postgres://hunter3"}});
    team.api::<Secret>()
        .patch("database", &PatchParams::default(), &Patch::Merge(change))
        .await
        .unwrap();
    eventually("the process rolls", async || {
        mark(&team).await.filter(|mark| *mark != first)
    })
    .await;

    // A key that nothing uses: one GET to find out, no roll.
    let change = json!({"stringData": {"other": "y"}});
    team.api::<Secret>()
        .patch("database", &PatchParams::default(), &Patch::Merge(change))
        .await
        .unwrap();
    eventually("both versions are read", async || {
        let asked = requests(&log.between(before, log.mark(&client).await.unwrap()).unwrap());
        (asked.iter().filter(|request| *request == GET).count() == 2).then_some(())
    })
    .await;
    let rounds = operator.rounds().await;
    eventually("the round that read it and one more end", async || {
        (operator.rounds().await >= rounds + 2).then_some(())
    })
    .await;
    let asked = requests(&log.between(before, log.mark(&client).await.unwrap()).unwrap());
    let count = |begin: &str| asked.iter().filter(|request| request.starts_with(begin)).count();
    assert_eq!((count("patch deployments/"), count(GET)), (1, 2), "{asked:?}");
    operator.stop().await.unwrap();
}

/// The instances that serve keep the way to them while the next version waits for its Secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_names_a_missing_secret_leaves_the_way_in_as_it_is() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    let operator = Operator::plain(&control_plane, &[]);
    let processes = "processes: [{name: front, port: 8080}]";
    team.commit(
        "brigade",
        &format!("{{image: 'ghcr.io/brigade/site:one', {processes}}}"),
    )
    .await;
    team.told("brigade", "Ready", "False", "Deploying").await;
    team.commit("brigade", SPEC).await;
    team.told("brigade", "Ready", "False", "ReferenceMissing").await;
    let ingress = team.api::<Ingress>().get("brigade").await.unwrap();
    let text = serde_json::to_string(&ingress.spec).unwrap();
    assert!(
        text.contains("brigade-front") && !text.contains("brigade-web"),
        "{text}"
    );

    team.create::<Secret>("{metadata: {name: database}, stringData: {url: 'postgres://one'}}")
        .await;
    eventually("the new way in", async || {
        let ingress = team.api::<Ingress>().get("brigade").await.unwrap();
        let text = serde_json::to_string(&ingress.spec).unwrap();
        text.contains("brigade-web").then_some(())
    })
    .await;
    operator.stop().await.unwrap();
}

/// The released version still serves, with a Secret that the version to come does not name any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_only_the_released_version_names_rolls_it_too() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    let operator = Operator::plain(&control_plane, &[]);
    team.create::<Secret>("{metadata: {name: database}, stringData: {url: 'postgres://one'}}")
        .await;
    let release = "release: {command: [migrate]}";
    team.commit("brigade", &format!("{{{release}, {}", SPEC.strip_prefix('{').unwrap()))
        .await;
    team.told("brigade", "Ready", "False", "Releasing").await;
    team.run_jobs().await;
    let first = eventually("the version is deployed", async || mark(&team).await).await;
    team.commit("brigade", &format!("{{image: 'ghcr.io/brigade/site:two', {release}}}"))
        .await;
    team.fail_job().await;
    team.told("brigade", "Ready", "False", "ReleaseFailed").await;

    let change = json!({"stringData": {"url": "postgres://two"}});
    team.api::<Secret>()
        .patch("database", &PatchParams::default(), &Patch::Merge(change))
        .await
        .unwrap();
    eventually("the version that serves rolls", async || {
        mark(&team).await.filter(|mark| *mark != first)
    })
    .await;
    operator.stop().await.unwrap();
}

/// Without its content nothing can be decided: that is told, and it goes on when the right is given.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_may_not_be_read_is_told() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    team.create::<Secret>("{metadata: {name: database}, stringData: {url: 'postgres://one'}}")
        .await;
    let operator = Operator::start(&control_plane.admin_config(), settings(&[]), |client| {
        faults::keep_from(client, "/secrets/database", Instead::Refusal(403))
    });
    team.commit("brigade", SPEC).await;
    let (_, condition) = team.told("brigade", "Stalled", "True", "Forbidden").await;
    assert!(condition.message.contains("Secret database"), "{condition:?}");
    operator.stop().await.unwrap();

    let operator = Operator::plain(&control_plane, &[]);
    team.told("brigade", "Ready", "False", "Deploying").await;
    operator.stop().await.unwrap();
}

/// The mark of content in the pod template.
async fn mark(team: &Team) -> Option<String> {
    let live = team.deployments().get_opt("brigade-web").await.unwrap()?;
    live.spec
        .template
        .metadata?
        .annotations?
        .get("tremplin.dev/content")
        .cloned()
}
