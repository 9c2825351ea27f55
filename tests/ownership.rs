//! Whose a child is: what is removed with whom, and what is never touched.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::{Team, eventually, start};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

const TWO: &str = r"{image: 'ghcr.io/brigade/site:one', processes: [{name: web}, {name: worker}],
    crons: [{name: mails, schedule: '@daily'}]}";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_rendered_any_more_is_removed() {
    let (control_plane, client) = start().await;
    let team = Team::new(control_plane, &client, "prune").await;
    team.commit("brigade", TWO).await;
    eventually("its cron", async || {
        team.children("brigade")
            .await
            .contains(&"CronJob/brigade-mails".into())
            .then_some(())
    })
    .await;
    team.commit("other", TWO).await;
    eventually("the other's cron", async || {
        team.children("other")
            .await
            .contains(&"CronJob/other-mails".into())
            .then_some(())
    })
    .await;

    team.commit("brigade", "{image: 'ghcr.io/brigade/site:one', exposure: None}")
        .await;
    let children = eventually("fewer children", async || {
        let children = team.children("brigade").await;
        (!children
            .iter()
            .any(|child| child.contains("worker") || child.contains("mails") || child.contains("Ingress")))
        .then_some(children)
    });
    let expected = [
        "Deployment/brigade-web",
        "Service/brigade-web",
        "ServiceAccount/brigade",
        "PodDisruptionBudget/brigade-web",
    ];
    assert_eq!(children.await, expected);
    assert!(team.children("other").await.contains(&"Deployment/other-worker".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_object_is_never_taken_over() {
    let (control_plane, client) = start().await;
    let team = Team::new(control_plane, &client, "foreign").await;
    let foreign: Service = team
        .create("{metadata: {name: brigade-web}, spec: {ports: [{port: 1234}]}}")
        .await;
    // Not even one that carries our label.
    let labelled =
        "{metadata: {name: other, labels: {app.kubernetes.io/managed-by: tremplin, tremplin.dev/app: other}}}";
    team.create::<k8s_openapi::api::core::v1::ServiceAccount>(labelled)
        .await;
    for app in ["brigade", "other"] {
        team.commit(app, "image: ghcr.io/brigade/site:one").await;
        let (_, condition) = team.told(app, "Stalled", "True", "NameTaken").await;
        assert!(
            condition.message.contains(if app == "brigade" {
                "Service brigade-web"
            } else {
                "ServiceAccount other"
            }),
            "{condition:?}"
        );
    }
    let live = team.api::<Service>().get("brigade-web").await.unwrap();
    assert_eq!(live.metadata.resource_version, foreign.metadata.resource_version);

    team.api::<Service>()
        .delete("brigade-web", &DeleteParams::default())
        .await
        .unwrap();
    team.annotate("brigade", "example.org/look", "again").await;
    team.told("brigade", "Ready", "False", "Deploying").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_app_removes_its_children() {
    let (control_plane, client) = start().await;
    let team = Team::new(control_plane, &client, "delete").await;
    team.commit("brigade", TWO).await;
    eventually("its cron", async || {
        team.children("brigade")
            .await
            .contains(&"CronJob/brigade-mails".into())
            .then_some(())
    })
    .await;
    team.apps().delete("brigade", &DeleteParams::default()).await.unwrap();
    eventually("no child is left", async || {
        team.children("brigade").await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_made_anew_gets_children_of_its_own() {
    let (control_plane, client) = start().await;
    let team = Team::new(control_plane, &client, "anew").await;
    let first = team.commit("brigade", TWO).await;
    eventually("its cron", async || {
        team.children("brigade")
            .await
            .contains(&"CronJob/brigade-mails".into())
            .then_some(())
    })
    .await;
    team.apps().delete("brigade", &DeleteParams::default()).await.unwrap();
    let second = team.commit("brigade", TWO).await;
    assert_ne!(first.metadata.uid, second.metadata.uid);
    eventually("every child is the new one's", async || {
        let children = team.children("brigade").await;
        let live = team.api::<Deployment>().get_opt("brigade-web").await.unwrap()?;
        let owners = live.metadata.owner_references?;
        (children.len() == 7
            && owners
                .iter()
                .all(|owner| Some(&owner.uid) == second.metadata.uid.as_ref()))
        .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_whose_owner_was_edited_away_is_ours_again() {
    let (control_plane, client) = start().await;
    let team = Team::new(control_plane, &client, "orphan").await;
    team.commit("brigade", "image: ghcr.io/brigade/site:one").await;
    team.told("brigade", "Ready", "False", "Deploying").await;
    let patch = json!({"metadata": {"ownerReferences": null}});
    team.deployments()
        .patch("brigade-web", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    eventually("the owner is back", async || {
        let live = team.deployments().get("brigade-web").await.unwrap();
        live.metadata.owner_references.filter(|owners| !owners.is_empty())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_suspended_app_is_touched() {
    let (control_plane, client) = start().await;
    let team = Team::new(control_plane, &client, "suspend").await;
    team.commit("brigade", "image: ghcr.io/brigade/site:one").await;
    team.told("brigade", "Ready", "False", "Deploying").await;
    team.commit("brigade", "{image: 'ghcr.io/brigade/site:two', suspend: true}")
        .await;
    eventually("the operator has seen it", async || {
        let app = team.apps().get("brigade").await.unwrap();
        (app.status.as_ref()?.observed_generation == app.metadata.generation).then_some(())
    })
    .await;
    let live = team.deployments().get("brigade-web").await.unwrap();
    assert_eq!(
        live.spec.template.spec.unwrap().containers[0].image.as_deref(),
        Some("ghcr.io/brigade/site:one")
    );
    team.commit("brigade", "{image: 'ghcr.io/brigade/site:two'}").await;
    eventually("it goes on", async || {
        let live = team.deployments().get("brigade-web").await.unwrap();
        (live.spec.template.spec?.containers[0].image.as_deref() == Some("ghcr.io/brigade/site:two")).then_some(())
    })
    .await;
}
