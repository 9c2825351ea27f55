//! One app through all of the operator, on the real API server.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::{Operator, Team, eventually, install};
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

#[tokio::test(flavor = "multi_thread")]
async fn six_lines_become_children_and_a_status() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    let operator = Operator::plain(&control_plane, &[]);

    team.commit("brigade", "image: ghcr.io/brigade/site:one").await;
    let (app, condition) = team.told("brigade", "Ready", "False", "Deploying").await;
    assert!(condition.message.contains("web"), "{condition:?}");
    assert!(app.status.unwrap().url.unwrap().starts_with("http://brigade-"));
    let children = team.children("brigade").await;
    let expected = [
        "Deployment/brigade-web",
        "Service/brigade-web",
        "ServiceAccount/brigade",
        "Ingress/brigade",
        "PodDisruptionBudget/brigade-web",
    ];
    assert_eq!(children, expected);

    team.run_deployments().await;
    let (app, _) = team.told("brigade", "Ready", "True", "Running").await;
    let status = app.status.unwrap();
    assert_eq!(status.replicas.as_deref(), Some("2/2"));
    assert_eq!(status.inventory.len(), children.len());

    let told = eventually("an event", async || {
        // The API server publishes Events of its own, about Services for one.
        let ours = ListParams::default().fields("regarding.kind=StartupApp");
        let events = team.api::<Event>().list(&ours).await.unwrap();
        let told: Vec<_> = events.iter().filter_map(|event| event.reason.clone()).collect();
        (!told.is_empty()).then_some(told)
    });
    assert_eq!(told.await, ["Running"]);
    assert_eq!(operator.metric("tremplin_leader").await, Some(1.0));
    operator.stop().await.unwrap();
}

/// As of API servers before Kubernetes 1.34, and of those where somebody turned it off.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_does_not_stream_lists_is_listed_in_pages() {
    let options = ControlPlaneOptions {
        api_server_args: vec!["--feature-gates=WatchList=false".to_owned()],
        controller_manager_args: vec!["--feature-gates=WatchListClient=false".to_owned()],
        ..ControlPlaneOptions::default()
    };
    let control_plane = ControlPlane::start(options).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    // One that is there before the operator comes, so that it is in a list.
    team.commit("brigade", "image: ghcr.io/brigade/site:one").await;
    let operator = Operator::plain(&control_plane, &[]);
    team.told("brigade", "Ready", "False", "Deploying").await;
    team.run_deployments().await;
    team.told("brigade", "Ready", "True", "Running").await;
    operator.stop().await.unwrap();

    let _ = control_plane.audit_log().mark(&client).await.unwrap();
    let events = control_plane.audit_log().all().unwrap();
    let refused = events
        .iter()
        .filter(|event| event.resource == "startupapps" && event.verb == "watch" && event.code == 422);
    assert!(refused.count() > 0, "the API server streamed its lists");
}
