//! What costs a request, and what does not: counted in the API server's audit log.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::collections::BTreeMap;

use common::{Operator, Team, eventually, install, requests};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tremplin_core::api::StartupApp;
use tremplin_e2e::audit::Mark;
use tremplin_e2e::{AuditLog, ControlPlane, ControlPlaneOptions};

/// Every timer that can fire at rest, at most two seconds apart.
const TIMERS: [&str; 4] = ["--resync=2s", "--watch-timeout=2s", "--platform-poll=1s", "--lease=6s"];
/// Firings of each that are waited for.
const FIRINGS: usize = 3;
const APPS: usize = 50;
/// What is told while nobody plays the Deployment controller after a drift.
const STATUS: &str = "patch startupapps/";

const SPECS: [&str; 3] = [
    "image: ghcr.io/brigade/site:one",
    r"{image: 'ghcr.io/brigade/site:one', envFrom: [{configMapRef: {name: settings}}],
       processes: [{name: web, resources: {cpu: 1000m, memory: 1024Mi}}, {name: worker, size: L}]}",
    r"{image: 'ghcr.io/brigade/site:one', crons: [{name: mails, schedule: '@yearly'}], exposure: None,
       volumes: [{name: cache, mountPath: /cache, temporary: {size: 1024Mi}}]}",
];

/// Fifty apps that are as asked.
async fn settle(team: &Team) {
    team.create::<ConfigMap>("{metadata: {name: settings}, data: {LANG: fr}}")
        .await;
    for index in 0..APPS {
        team.commit(&format!("app{index}"), SPECS[index % SPECS.len()]).await;
    }
    eventually("every app is deployed", async || {
        let deployments = team.deployments().list(&ListParams::default()).await.unwrap();
        (deployments.items.len() == APPS + APPS.div_ceil(SPECS.len())).then_some(())
    })
    .await;
    team.run_deployments().await;
    for index in 0..APPS {
        team.told(&format!("app{index}"), "Ready", "True", "Running").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_at_rest_and_drift_costs_one_patch_each() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "paris").await;
    let log = control_plane.audit_log();
    let operator = Operator::plain(&control_plane, &TIMERS);
    settle(&team).await;

    eventually("every app's event is published", async || {
        let asked = log.all().unwrap();
        let published = asked
            .iter()
            .filter(|event| event.resource == "events" && event.code < 300);
        (published.count() == APPS).then_some(())
    })
    .await;
    let rest = log.mark(&client).await.unwrap();
    every_timer_fires(&operator, &log, rest).await;
    let woken = log.mark(&client).await.unwrap();
    assert_eq!(requests(&log.between(rest, woken).unwrap()), Vec::<String>::new());

    drift(&team, "app0-web").await;
    let mended = eventually("the drift is mended", async || {
        let now = log.mark(&client).await.unwrap();
        let mut asked = requests(&log.between(woken, now).unwrap());
        asked.retain(|request| !request.starts_with(STATUS));
        (is_mended(&team, "app0-web").await && !asked.is_empty()).then_some(asked)
    });
    assert_eq!(mended.await, ["patch deployments/app0-web 200"]);

    operator.stop().await.unwrap();
    for name in ["app1-web", "app3-web", "app5-web"] {
        drift(&team, name).await;
    }
    let down = log.mark(&client).await.unwrap();
    let operator = Operator::plain(&control_plane, &TIMERS);
    for name in ["app1-web", "app3-web", "app5-web"] {
        eventually("the drift of the time when it was down is mended", async || {
            is_mended(&team, name).await.then_some(())
        })
        .await;
    }
    every_timer_fires(&operator, &log, down).await;
    let up = log.mark(&client).await.unwrap();
    let mut asked = requests(&log.between(down, up).unwrap());
    asked.sort();
    // Beside the patches: the key of the content hashes, and the ConfigMap that apps name.
    let expected = ["get secrets/tremplin-content-key", "get configmaps/settings", STATUS];
    asked.retain(|request| !expected.iter().any(|expected| request.starts_with(expected)));
    let patches = ["app1-web", "app3-web", "app5-web"].map(|name| format!("patch deployments/{name} 200"));
    assert_eq!(asked, patches);
    operator.stop().await.unwrap();
}

/// Somebody scales by hand.
async fn drift(team: &Team, deployment: &str) {
    let patch = json!({"spec": {"replicas": 7}});
    team.deployments()
        .patch(deployment, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .unwrap();
}

async fn is_mended(team: &Team, deployment: &str) -> bool {
    team.deployments().get(deployment).await.unwrap().spec.replicas != Some(7)
}

/// Waits until every app was looked at, the lease renewed and watches opened anew, three times each.
async fn every_timer_fires(operator: &Operator, log: &AuditLog, since: Mark) {
    let before = operator.rounds().await;
    eventually("every timer fires three times", async || {
        let asked = log.since(since).unwrap();
        let count = |verb: &str, resource: &str| {
            let those = asked
                .iter()
                .filter(|event| event.verb == verb && event.resource == resource);
            those.count()
        };
        let looked = operator.rounds().await - before >= FIRINGS * APPS;
        let fired = looked && count("patch", "leases") >= FIRINGS && count("watch", "deployments") >= FIRINGS;
        fired.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_costs_its_children_at_most_two_statuses_and_one_event() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let team = Team::new(&control_plane, &client, "lyon").await;
    let log = control_plane.audit_log();
    let operator = Operator::plain(&control_plane, &[]);
    eventually("it works", async || {
        (operator.metric("tremplin_leader").await == Some(1.0)).then_some(())
    })
    .await;
    let before = log.mark(&client).await.unwrap();

    team.commit("brigade", SPECS[0]).await;
    team.told("brigade", "Ready", "False", "Deploying").await;
    team.run_deployments().await;
    let (app, _): (StartupApp, _) = team.told("brigade", "Ready", "True", "Running").await;
    let children = app.status.unwrap().inventory.len();
    let counted = eventually("its event", async || {
        let asked = log.between(before, log.mark(&client).await.unwrap()).unwrap();
        let mut counted: BTreeMap<String, usize> = BTreeMap::new();
        for event in asked.iter().filter(|event| event.user_agent.starts_with("tremplin")) {
            let is_ours = event.namespace == team.namespace;
            let kind = if event.resource == "events" {
                "event"
            } else if event.subresource == "status" {
                "status"
            } else {
                &event.verb
            };
            *counted.entry(kind.to_owned()).or_default() += usize::from(is_ours);
            assert!(!is_ours || event.code < 300, "{event:?}");
        }
        counted.contains_key("event").then_some(counted)
    })
    .await;
    assert_eq!(counted.get("patch"), Some(&children), "{counted:?}");
    assert!(counted["status"] <= 2 && counted["event"] == 1, "{counted:?}");
    assert!(
        counted.get("get").is_none_or(|count| *count == 0) && !counted.contains_key("list"),
        "{counted:?}"
    );
    operator.stop().await.unwrap();
}
