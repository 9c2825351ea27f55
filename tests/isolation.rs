//! One object in trouble never disturbs another, and is told so itself.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::{Operator, Team, eventually, install};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::json;
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

async fn start() -> (ControlPlane, Team) {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    (control_plane, team)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_panics_is_told_and_disturbs_nobody() {
    let (control_plane, team) = start().await;
    let operator = Operator::plain(&control_plane, &[]);
    team.commit("brigade", "image: ghcr.io/brigade/site:one").await;
    team.told("brigade", "Ready", "False", "Deploying").await;

    team.annotate("brigade", "tremplin.dev/test-panic", "a wheel came off")
        .await;
    let (_, condition) = team.told("brigade", "Ready", "False", "InternalError").await;
    assert!(condition.message.contains("a wheel came off"), "{condition:?}");
    team.commit("other", "image: ghcr.io/brigade/site:one").await;
    team.told("other", "Ready", "False", "Deploying").await;
    assert!(
        operator
            .metric("tremplin_panics_total{kind=\"StartupApp\"}")
            .await
            .unwrap()
            >= 1.0
    );

    let patch = json!({"metadata": {"annotations": null}});
    team.apps()
        .patch("brigade", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    team.told("brigade", "Ready", "False", "Deploying").await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_cannot_be_read_is_told_and_disturbs_nobody() {
    let (control_plane, team) = start().await;
    loosen(&team.client).await;
    let kind = GroupVersionKind::gvk("tremplin.dev", "v1alpha1", "StartupApp");
    let loose: Api<DynamicObject> =
        Api::namespaced_with(team.client.clone(), &team.namespace, &ApiResource::from_gvk(&kind));
    let malformed = |spec| {
        serde_json::from_value(
            json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp", "metadata": {"name": "brigade"}, "spec": spec}),
        )
    };
    let object = malformed(json!({"image": "ghcr.io/brigade/site:one", "processes": "many"})).unwrap();
    loose.create(&PostParams::default(), &object).await.unwrap();

    let operator = Operator::plain(&control_plane, &[]);
    team.commit("other", "image: ghcr.io/brigade/site:one").await;
    team.told("other", "Ready", "False", "Deploying").await;
    let condition = eventually("it is told", async || {
        let app = loose.get("brigade").await.unwrap();
        let conditions = app.data.pointer("/status/conditions")?.as_array()?.clone();
        conditions.into_iter().find(|condition| condition["type"] == "Stalled")
    })
    .await;
    assert_eq!(condition["reason"], "Malformed");
    assert!(
        condition["message"].as_str().unwrap().contains("spec.processes"),
        "{condition}"
    );

    let patch = json!({"spec": {"processes": null}});
    loose
        .patch("brigade", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
    team.told("brigade", "Ready", "False", "Deploying").await;
    operator.stop().await.unwrap();
}

/// As if the CRD were newer than the operator: its schema lets in what the operator cannot read.
async fn loosen(client: &Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let mut crd = crds.get("startupapps.tremplin.dev").await.unwrap();
    let schema = crd.spec.versions[0]
        .schema
        .as_mut()
        .unwrap()
        .open_api_v3_schema
        .as_mut()
        .unwrap();
    let spec = schema.properties.as_mut().unwrap().get_mut("spec").unwrap();
    spec.properties = None;
    spec.x_kubernetes_validations = None;
    spec.x_kubernetes_preserve_unknown_fields = Some(true);
    crds.replace("startupapps.tremplin.dev", &PostParams::default(), &crd)
        .await
        .unwrap();
    let kind = GroupVersionKind::gvk("tremplin.dev", "v1alpha1", "StartupApp");
    let loose: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", &ApiResource::from_gvk(&kind));
    let try_out = json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp", "metadata": {"name": "try"}, "spec": {"processes": "many"}});
    let try_out = serde_json::from_value(try_out).unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually("the new schema counts", async || {
        loose.create(&dry, &try_out).await.ok()
    })
    .await;
}
