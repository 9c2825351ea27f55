//! A new version takes over, with room or without.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Pod, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams, ResourceExt};
use serde_json::{Value, json};

use crate::app::App;
use crate::team::Team;
use crate::traffic::Traffic;
use crate::world::{World, image};

/// How often the Deployment without preStop is rolled until a request fails.
const ATTEMPTS: u32 = 5;
/// So many answers of each version show that there were requests before and after.
const PLENTY: usize = 20;

fn two_instances(version: &str) -> Value {
    json!({"image": image(version), "processes": [{"name": "web", "replicas": 2, "size": "L"}]})
}

fn serves(app: &App, version: &str) -> bool {
    app.is_ready() && app.text("/status/image") == image(version)
}

pub async fn no_request_fails_during_a_roll_and_some_do_without_a_pre_stop(world: Arc<World>) {
    let team = Team::new(&world, "dev").await;
    team.put("steady", two_instances("1.0.0")).await;
    let app = team.ready("steady").await;
    let bare = Bare::copy(&team, "steady-web", app.host()).await;
    let data_path = world.data_path.address();
    team.answers(app.host(), "/", |answer| answer.status == 200).await;
    team.answers(&bare.host, "/", |answer| answer.status == 200).await;

    let steady = Traffic::start(data_path, app.host());
    enough_of(&steady, "1.0.0").await;
    team.put("steady", two_instances("1.1.0")).await;
    team.until("steady", "rolled", |app| serves(app, "1.1.0")).await;
    nothing_ends(&team, "tremplin.dev/app=steady").await;
    enough_of(&steady, "1.1.0").await;
    let tally = steady.tally();
    drop(steady);
    assert!(
        tally.failures.is_empty(),
        "{} requests failed: {:?}",
        tally.failures.len(),
        tally.failures
    );

    // The same, but for preStop: else the requests above could never have failed.
    let unsteady = Traffic::start(data_path, &bare.host);
    for attempt in 1..=ATTEMPTS {
        enough_of(&unsteady, Bare::version(attempt - 1)).await;
        bare.roll(&team, attempt).await;
        nothing_ends(&team, "app=bare").await;
        let failures = unsteady.tally().failures.len();
        if failures > 0 {
            eprintln!("  without preStop, {failures} requests failed in roll {attempt}");
            team.leave().await;
            return;
        }
    }
    panic!("no request failed without preStop: {:?}", unsteady.tally());
}

/// Waits for answers of a version.
async fn enough_of(traffic: &Traffic, version: &str) {
    let deadline = std::time::Instant::now() + crate::team::DEADLINE;
    let before = traffic.tally().answers.get(version).copied().unwrap_or_default();
    while traffic.tally().answers.get(version).copied().unwrap_or_default() < before + PLENTY {
        assert!(
            std::time::Instant::now() < deadline,
            "no answers of {version}: {:?}",
            traffic.tally()
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Waits until no selected pod is on its way out: it would still answer, or fail to.
async fn nothing_ends(team: &Team, selector: &str) {
    let pods: Api<Pod> = team.api();
    let deadline = std::time::Instant::now() + crate::team::DEADLINE;
    let selected = ListParams::default().labels(selector);
    while pods
        .list(&selected)
        .await
        .unwrap()
        .iter()
        .any(|pod| pod.metadata.deletion_timestamp.is_some())
    {
        assert!(std::time::Instant::now() < deadline, "a pod never ends: {selector}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// A Deployment as the operator made it, but for its names and preStop, and nobody's but the team's.
struct Bare {
    host: String,
}

impl Bare {
    const NAME: &str = "bare";

    async fn copy(team: &Team, deployment: &str, host: &str) -> Self {
        let labels = json!({"app": Self::NAME, "env": "dev", "tier": "frontend"});
        let metadata = json!({"name": Self::NAME, "labels": labels});
        let live: Deployment = team.api().get(deployment).await.unwrap();
        let mut spec = serde_json::to_value(live.spec).unwrap();
        let container = &mut spec["template"]["spec"]["containers"][0];
        let removed = container.as_object_mut().unwrap().remove("lifecycle").unwrap();
        assert!(
            removed["preStop"]["sleep"]["seconds"].as_i64().unwrap() > 0,
            "{removed}"
        );
        spec["selector"] = json!({"matchLabels": {"app": Self::NAME}});
        spec["template"]["metadata"] = json!({"labels": labels});
        spec["template"]["spec"]
            .as_object_mut()
            .unwrap()
            .remove("topologySpreadConstraints");
        create::<Deployment>(team, json!({"metadata": metadata, "spec": spec})).await;

        let port = json!({"name": "http", "port": 8080, "targetPort": "http"});
        let spec = json!({"selector": {"app": Self::NAME}, "ports": [port]});
        create::<Service>(team, json!({"metadata": metadata, "spec": spec})).await;

        let host = format!("{}-{host}", Self::NAME);
        let backend = json!({"service": {"name": Self::NAME, "port": {"name": "http"}}});
        let path = json!({"path": "/", "pathType": "Prefix", "backend": backend});
        let spec = json!({"ingressClassName": "haproxy", "rules": [{"host": host, "http": {"paths": [path]}}]});
        create::<Ingress>(team, json!({"metadata": metadata, "spec": spec})).await;
        team.rolled(Self::NAME, 1).await;
        Self { host }
    }

    /// The version that runs after so many rolls.
    fn version(rolls: u32) -> &'static str {
        if rolls.is_multiple_of(2) { "1.0.0" } else { "1.1.0" }
    }

    async fn roll(&self, team: &Team, rolls: u32) {
        let image = image(Self::version(rolls));
        let container = json!({"name": "web", "image": image});
        let patch = json!({"spec": {"template": {"spec": {"containers": [container]}}}});
        let deployments: Api<Deployment> = team.api();
        let changed = deployments
            .patch(Self::NAME, &PatchParams::default(), &Patch::Strategic(patch))
            .await
            .unwrap();
        let rolled = |live: &Deployment| {
            live.metadata.generation >= changed.metadata.generation && crate::team::is_complete(live)
        };
        team.deployment(Self::NAME, "rolled", rolled).await;
    }
}

async fn create<K>(team: &Team, object: Value)
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    K: serde::Serialize + serde::de::DeserializeOwned + Clone + std::fmt::Debug,
{
    let object: K = serde_json::from_value(object).unwrap();
    team.api::<K>().create(&PostParams::default(), &object).await.unwrap();
}

/// Two instances of 50m fill it.
const FULL: (&str, &str) = ("100m", "128Mi");

fn small_instances(version: &str, replicas: i32) -> Value {
    json!({"image": image(version), "processes": [{"name": "web", "replicas": replicas, "size": "S"}]})
}

pub async fn a_roll_proceeds_when_the_quota_has_no_room_for_the_surge(world: Arc<World>) {
    let mut team = Team::new(&world, "dev").await;
    team.give_quota(FULL.0, FULL.1).await;
    team.put("shop", small_instances("1.0.0", 2)).await;
    let app = team.ready("shop").await;
    team.answers(app.host(), "/", |answer| answer.status == 200).await;
    let traffic = Traffic::start(world.data_path.address(), app.host());
    team.put("shop", small_instances("1.1.0", 2)).await;
    team.until("shop", "rolled", |app| serves(app, "1.1.0")).await;
    nothing_ends(&team, "tremplin.dev/app=shop").await;
    let tally = traffic.tally();
    assert!(
        tally.failures.is_empty(),
        "{} requests failed: {:?}",
        tally.failures.len(),
        tally.failures
    );
    let events: Api<Event> = team.api();
    let events = events.list(&ListParams::default()).await.unwrap();
    let refused = |event: &Event| {
        event
            .message
            .as_ref()
            .is_some_and(|said| said.contains("exceeded quota: dso-quota"))
    };
    let whom: Vec<_> = events
        .iter()
        .filter(|event| refused(event))
        .map(ResourceExt::name_any)
        .collect();
    assert!(!whom.is_empty(), "the quota refused nothing: the surge had room");
    team.leave().await;
}

pub async fn a_refusal_by_the_quota_is_told_with_its_numbers(world: Arc<World>) {
    let mut team = Team::new(&world, "dev").await;
    team.give_quota(FULL.0, FULL.1).await;
    team.put("shop", small_instances("1.0.0", 3)).await;
    let numbers = [
        "dso-quota",
        "limits.cpu: 50m asked, 100m of 100m used",
        "spec.processes[]",
    ];
    let app = team.told("shop", "QuotaExceeded", &numbers).await;
    assert_eq!(app.condition("QuotaFits", "status"), "False");
    team.put("shop", small_instances("1.0.0", 2)).await;
    let app = team.ready("shop").await;
    assert_ne!(app.condition("QuotaFits", "status"), "False");
    team.leave().await;
}
