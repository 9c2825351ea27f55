//! What costs a request, and what does not: counted in the API server's audit log.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::{Operator, Team, eventually, install, requests};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tremplin_core::api::StartupApp;
use tremplin_e2e::audit::Mark;
use tremplin_e2e::{AuditEvent, AuditLog, ControlPlane, ControlPlaneOptions};

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

    // An app is told ready before its event is published: the rounds that told it have ended after these.
    let settled = log.mark(&client).await.unwrap();
    every_timer_fires(&operator, &log, settled).await;
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

/// Long enough for what is asked every 15 seconds to be asked twice, and a third time on a slow machine.
const STUCK_FOR: Duration = Duration::from_secs(33);
const WEB: &str = "image: ghcr.io/brigade/site:one";

/// A team whose app has its children, and nothing runs.
async fn deployed(control_plane: &ControlPlane, client: &kube::Client, prefix: &str, spec: &str) -> Team {
    let team = Team::new(control_plane, client, prefix).await;
    team.commit("brigade", spec).await;
    team
}

/// Plays the kubelet: an instance runs that does not pass its readiness probe, and an Event says so.
async fn unready_instance(team: &Team, number: usize) {
    let pod: Pod = team
        .create(&format!(
            "{{metadata: {{name: brigade-web-{number}, labels: {{app.kubernetes.io/managed-by: tremplin,
                 tremplin.dev/app: brigade, tremplin.dev/process: web, pod-template-hash: abc}}}},
               spec: {{serviceAccountName: brigade, automountServiceAccountToken: false,
                 containers: [{{name: web, image: 'ghcr.io/brigade/site:one'}}]}}}}"
        ))
        .await;
    let container = json!({"name": "web", "image": "ghcr.io/brigade/site:one", "imageID": "", "ready": false,
        "started": true, "restartCount": 0, "state": {"running": {"startedAt": "2026-11-22T10:00:00Z"}}});
    let status = json!({"status": {"phase": "Running", "containerStatuses": [container]}});
    let name = pod.name_any();
    let pods = team.api::<Pod>();
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    let (namespace, uid) = (&team.namespace, pod.uid().unwrap());
    team.create::<Event>(&format!(
        "{{metadata: {{name: {name}}}, type: Warning, reason: Unhealthy, message: 'Readiness probe failed: 503',
           involvedObject: {{kind: Pod, name: {name}, namespace: {namespace}, uid: {uid}}}}}"
    ))
    .await;
}

/// Plays the Deployment controller: what is new was not seen through, for these conditions.
async fn deployment_conditions(team: &Team, conditions: &[(&str, &str, &str, &str)]) {
    let live = eventually("its Deployment", async || {
        team.deployments().get_opt("brigade-web").await.unwrap()
    })
    .await;
    let conditions: Vec<_> = conditions
        .iter()
        .map(|(type_, status, reason, message)| {
            json!({"type": type_, "status": status, "reason": reason, "message": message,
                "lastTransitionTime": Timestamp::now().to_string()})
        })
        .collect();
    let status = json!({"status": {"observedGeneration": live.metadata.generation, "conditions": conditions}});
    team.deployments()
        .patch_status("brigade-web", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

/// Plays the Deployment controller: it has seen the Deployment as it is.
async fn see_deployment(team: &Team) {
    let generation = team.deployments().get("brigade-web").await.unwrap().metadata.generation;
    let status = json!({"status": {"observedGeneration": generation}});
    team.deployments()
        .patch_status("brigade-web", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
}

/// What the operator asked for in a namespace, in a word each, and how often.
fn costs(asked: &[AuditEvent], team: &Team) -> BTreeMap<String, usize> {
    let mut costs = BTreeMap::new();
    let ours = asked
        .iter()
        .filter(|event| event.user_agent.starts_with("tremplin") && event.verb != "watch");
    for event in ours.filter(|event| event.namespace == team.namespace) {
        assert!(event.code < 300, "{event:?}");
        let what = match event.subresource.as_str() {
            "" => format!("{} {}", event.verb, event.resource),
            subresource => format!("{} {}/{subresource}", event.verb, event.resource),
        };
        *costs.entry(what).or_default() += 1;
    }
    costs
}

const QUOTA: (&str, &str, &str, &str) = (
    "ReplicaFailure",
    "True",
    "FailedCreate",
    "pods \"brigade-web-1\" is forbidden: exceeded quota: dso-quota, requested: limits.cpu=250m, used: limits.cpu=0, limited: limits.cpu=100m",
);
const LATE: (&str, &str, &str, &str) = (
    "Progressing",
    "False",
    "ProgressDeadlineExceeded",
    "ReplicaSet \"brigade-web-1\" has timed out progressing.",
);

/// An app that is not ready asks for what no watch shows, and reminds of what was refused: four times a minute each,
/// however often it is looked at, and for the first three of its instances.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_stuck_costs_a_few_requests_a_minute() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let client = install(&control_plane).await;
    let log = control_plane.audit_log();
    let operator = Operator::plain(&control_plane, &TIMERS);
    let one = deployed(&control_plane, &client, "one", WEB).await;
    let many = deployed(&control_plane, &client, "many", WEB).await;
    let refused = deployed(&control_plane, &client, "refused", WEB).await;
    let late = deployed(&control_plane, &client, "late", WEB).await;
    let release = deployed(
        &control_plane,
        &client,
        "release",
        "{image: 'ghcr.io/brigade/site:one', release: {command: [migrate]}}",
    )
    .await;
    for team in [&one, &many] {
        deployment_conditions(team, &[]).await;
    }
    eventually("the release may run", async || {
        let jobs = release.api::<Job>().list(&ListParams::default()).await.unwrap().items;
        let runs = |job: &Job| job.spec.as_ref().and_then(|spec| spec.suspend) == Some(false);
        jobs.iter().any(runs).then_some(())
    })
    .await;
    let begin = log.mark(&client).await.unwrap();
    unready_instance(&one, 0).await;
    for number in 0..6 {
        unready_instance(&many, number).await;
    }
    deployment_conditions(&refused, &[QUOTA]).await;
    deployment_conditions(&late, &[QUOTA, LATE]).await;

    let before = settled(&operator).await;
    let (end, mut looks) = (Instant::now() + STUCK_FOR, 0);
    while Instant::now() < end {
        // Somebody keeps touching them: each is looked at again.
        looks += 1;
        for team in [&one, &many, &refused, &late, &release] {
            team.annotate("brigade", "example.org/look", &looks.to_string()).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        // The Deployment controller sees a reminder a moment later, which is no news to anybody else.
        for team in [&refused, &late] {
            see_deployment(team).await;
        }
    }
    let asked = log.between(begin, log.mark(&client).await.unwrap()).unwrap();
    let rounds = settled(&operator).await - before;
    assert!(rounds > 4.0 * f64::from(looks), "only {rounds} rounds in {looks} looks");
    one.told("brigade", "Ready", "False", "ProbeFailing").await;
    refused.told("brigade", "Ready", "False", "QuotaExceeded").await;
    late.told("brigade", "Stalled", "True", "QuotaExceeded").await;

    // Beside what is told once: one status and one Event for each thing that became known.
    let mut repeated = BTreeMap::new();
    for (name, team) in [
        ("one", &one),
        ("many", &many),
        ("refused", &refused),
        ("late", &late),
        ("release", &release),
    ] {
        let mut costs = costs(&asked, team);
        let told = costs.remove("patch startupapps/status").unwrap_or(0) + costs.remove("create events").unwrap_or(0);
        assert!(told <= 4, "{name} was told {told} times beside {costs:?}");
        repeated.insert(name, costs);
    }
    eprintln!("in {STUCK_FOR:?}: {repeated:?}");
    for (name, what, objects) in [
        ("one", "list events", 1),
        ("many", "list events", 3),
        ("refused", "patch deployments", 1),
        ("release", "list events", 1),
    ] {
        let costs = &repeated[name];
        assert_eq!(costs.keys().collect::<Vec<_>>(), [what], "{name}: {costs:?}");
        let times = costs[what];
        assert!((objects..=3 * objects).contains(&times), "{name}: {costs:?}");
    }
    assert_eq!(
        repeated["late"],
        BTreeMap::new(),
        "a human must act first: rarely reminded"
    );
    operator.stop().await.unwrap();
}

async fn settled(operator: &Operator) -> f64 {
    let rounds = "tremplin_reconciles_total{kind=\"StartupApp\",result=\"settled\"}";
    operator.metric(rounds).await.unwrap_or_default()
}
