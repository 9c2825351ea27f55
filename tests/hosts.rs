//! A public name is held by one app of the cluster at a time.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use common::{Operator, Team, eventually, install};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::DeleteParams;
use tremplin_e2e::ControlPlane;

const SPEC: &str = "{image: 'ghcr.io/brigade/site:one', hosts: [brigade.example.org]}";

#[tokio::test(flavor = "multi_thread")]
async fn a_held_host_is_refused_without_naming_its_holder_and_freed_by_its_end() {
    let control_plane = ControlPlane::shared().await.unwrap();
    let client = install(control_plane).await;
    let (paris, lyon) = (
        Team::new(control_plane, &client, "paris").await,
        Team::new(control_plane, &client, "lyon").await,
    );
    let operator = Operator::plain(control_plane, &[]);
    paris.commit("holder", SPEC).await;
    eventually("it is carried", async || {
        paris.api::<Ingress>().get_opt("holder").await.unwrap()
    })
    .await;

    lyon.commit("newcomer", SPEC).await;
    let (_, condition) = lyon.told("newcomer", "Stalled", "True", "HostTaken").await;
    assert!(condition.message.contains("brigade.example.org"), "{condition:?}");
    assert!(
        !condition.message.contains("holder") && !condition.message.contains(&paris.namespace),
        "{condition:?}"
    );
    assert!(lyon.children("newcomer").await.is_empty());

    paris.apps().delete("holder", &DeleteParams::default()).await.unwrap();
    eventually("the newcomer carries it", async || {
        lyon.api::<Ingress>().get_opt("newcomer").await.unwrap()
    })
    .await;
    lyon.told("newcomer", "Ready", "False", "Deploying").await;
    operator.stop().await.unwrap();
}
