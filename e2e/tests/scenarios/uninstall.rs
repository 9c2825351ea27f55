//! The operator stops, is replaced and goes; the apps stay. It runs when no other trial needs the operator.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, ResourceExt};
use serde_json::{Value, json};
use tremplin_e2e::image::{operator, operator_binary};

use crate::app::App;
use crate::operator::{Charts, LEASE, NAMESPACE};
use crate::team::{DEADLINE, Team, app_resource};
use crate::world::{World, image};

/// How long the operator may take to end: five seconds, and some on a busy machine.
const STOPS: Duration = Duration::from_secs(10);

pub async fn apps_go_on_while_the_operator_stops_is_replaced_and_uninstalled(world: Arc<World>) {
    let charts = Charts {
        cluster: &world.cluster,
        tools: &world.tools,
        platform_file: &world.platform_file,
    };
    let binary = operator_binary().await.unwrap();
    let image_of_operator = operator(&binary, "scenarios").await.unwrap();
    let team = Team::new(&world, "dev").await;
    let spec = |version: &str| -> Value { json!({"image": image(version)}) };
    team.put("shop", spec("1.0.0")).await;
    let app = team.ready("shop").await;
    let before = (deployment(&team).await.metadata.generation, pods(&team).await);

    stop_program(&world).await;
    serves_and_heals(&team, &app, "1.0.0").await;

    // Another operator takes over and finds nothing to do: what it makes of the app is what is there.
    let before = (before.0, pods(&team).await);
    charts.run_image(&image_of_operator).await.unwrap();
    team.put("bakery", spec("1.0.0")).await;
    team.ready("bakery").await;
    assert_eq!((deployment(&team).await.metadata.generation, pods(&team).await), before);
    team.put("shop", spec("1.1.0")).await;
    team.until("shop", "rolled", |app| {
        app.is_ready() && app.text("/status/image") == image("1.1.0")
    })
    .await;

    charts.uninstall("tremplin").await.unwrap();
    no_operator_is_left(&world).await;
    serves_and_heals(&team, &app, "1.1.0").await;
    charts.uninstall("tremplin-crds").await.unwrap();
    // The team's right to its apps went with the operator; the apps did not.
    let apps: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), &team.namespace, &app_resource());
    assert_eq!(apps.list(&ListParams::default()).await.unwrap().items.len(), 2);
    serves_and_heals(&team, &app, "1.1.0").await;
}

/// The program beside the cluster ends in time and gives its lease back.
async fn stop_program(world: &World) {
    let process = world.operator.stop();
    let deadline = Instant::now() + STOPS;
    while process.identity().is_alive() {
        assert!(
            Instant::now() < deadline,
            "the operator does not end: {}",
            process.log_tail()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), NAMESPACE);
    let holder = leases
        .get(LEASE)
        .await
        .unwrap()
        .spec
        .unwrap()
        .holder_identity
        .unwrap_or_default();
    assert_eq!(holder, "", "the lease is given back");
}

async fn no_operator_is_left(world: &World) {
    let operators: Api<Pod> = Api::namespaced(world.client.clone(), NAMESPACE);
    let deadline = Instant::now() + DEADLINE;
    while !operators.list(&ListParams::default()).await.unwrap().items.is_empty() {
        assert!(Instant::now() < deadline, "the operator's pod does not go");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The app answers, and an instance that is lost is replaced: by Kubernetes alone.
async fn serves_and_heals(team: &Team, app: &App, version: &str) {
    let begins = format!("sample-app {version} ");
    team.answers(app.host(), "/", |answer| answer.body.starts_with(&begins))
        .await;
    let lost = team.api::<Pod>().list(&ours()).await.unwrap().items[0].name_any();
    team.api::<Pod>()
        .delete(&lost, &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    let by_another = |body: &str| body.starts_with(&begins) && !body.contains(&lost);
    team.answers(app.host(), "/", |answer| by_another(&answer.body)).await;
}

fn ours() -> ListParams {
    ListParams::default().labels("tremplin.dev/app=shop")
}

async fn deployment(team: &Team) -> Deployment {
    team.api().get("shop-web").await.unwrap()
}

/// The pods of the app, by their UID.
async fn pods(team: &Team) -> BTreeSet<String> {
    let pods = team.api::<Pod>().list(&ours()).await.unwrap();
    pods.iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .map(|pod| pod.uid().unwrap())
        .collect()
}
