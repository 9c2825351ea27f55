//! Every right that the chart grants is used, and every right that is used is granted: the operator runs under the
//! chart's own roles, does everything it ever does, and the API server's audit log is compared with the roles.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/install.rs"]
mod install;
#[path = "rbac/rights.rs"]
mod rights;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use helm::{chart, of_kind, template};
use install::{OPERATORS, eventually, install, object, objects_of, startup_apps};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use rights::{Right, UNSEEN, granted, needed};
use serde_json::{Value, json};
use tremplin_core::app::render::{cron_job_name, record_name};
use tremplin_core::{labels, names};
use tremplin_e2e::process::{Lifetime, Process, Program};
use tremplin_e2e::{AuditLevel, ControlPlane, ControlPlaneOptions};

const SERVICE_ACCOUNTS: &str = "/v1/ServiceAccount/serviceaccounts";
const CONFIG_MAPS: &str = "/v1/ConfigMap/configmaps";
const SECRETS: &str = "/v1/Secret/secrets";
const SERVICES: &str = "/v1/Service/services";
const DEPLOYMENTS: &str = "apps/v1/Deployment/deployments";
const CRON_JOBS: &str = "batch/v1/CronJob/cronjobs";
const JOBS: &str = "batch/v1/Job/jobs";
const INGRESSES: &str = "networking.k8s.io/v1/Ingress/ingresses";
const BUDGETS: &str = "policy/v1/PodDisruptionBudget/poddisruptionbudgets";

fn app(name: &str, spec: Value) -> DynamicObject {
    let mut app = json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp", "metadata": {"name": name}});
    app["spec"] = spec;
    object(app)
}

/// Starts the operator as the chart's Deployment would, under the chart's service account.
async fn start_operator(plane: &ControlPlane) -> Process {
    let objects = template(&chart("tremplin"), OPERATORS, &[]).await.unwrap();
    let container = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    let platform = plane.folder().join("platform.yaml");
    fs::write(
        &platform,
        of_kind(&objects, "ConfigMap")[0]["data"]["platform.yaml"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    let kubeconfig = plane
        .kubeconfig_as_service_account(OPERATORS, "tremplin")
        .await
        .unwrap();
    let arguments = container["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap());
    let mut operator = Program::new("operator", env!("CARGO_BIN_EXE_tremplin")).args(arguments);
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        let value = match name {
            "TREMPLIN_NAMESPACE" => OPERATORS,
            "TREMPLIN_PLATFORM" => platform.to_str().unwrap(),
            "TREMPLIN_ADMIN_ADDRESS" => "127.0.0.1:0",
            _ => variable["value"].as_str().unwrap(),
        };
        operator = operator.env(name, value);
    }
    let operator = operator.env("KUBECONFIG", kubeconfig.to_str().unwrap());
    operator.start(plane.folder(), Lifetime::Attached).unwrap()
}

/// What one namespace holds, and what is done to it.
struct Team {
    client: Client,
    namespace: String,
}

impl Team {
    fn api(&self, kind: &str) -> Api<DynamicObject> {
        objects_of(&self.client, &self.namespace, kind)
    }

    async fn create(&self, kind: &str, value: Value) {
        self.api(kind)
            .create(&PostParams::default(), &object(value))
            .await
            .unwrap();
    }

    async fn patch(&self, kind: &str, name: &str, change: Value) {
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap();
    }

    async fn delete(&self, kind: &str, name: &str) {
        self.api(kind).delete(name, &DeleteParams::background()).await.unwrap();
    }

    async fn run(&self, app: &DynamicObject) {
        startup_apps(&self.client, &self.namespace)
            .create(&PostParams::default(), app)
            .await
            .unwrap();
    }

    async fn change(&self, name: &str, change: Value) {
        let apps = startup_apps(&self.client, &self.namespace);
        apps.patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap();
    }

    async fn there(&self, kind: &str, name: &str) {
        let api = self.api(kind);
        eventually(&format!("{kind} {name}"), async || {
            api.get_opt(name).await.unwrap().is_some()
        })
        .await;
    }

    async fn gone(&self, kind: &str, name: &str) {
        let api = self.api(kind);
        eventually(&format!("no {kind} {name}"), async || {
            api.get_opt(name).await.unwrap().is_none()
        })
        .await;
    }

    /// Waits until the app says that reason of `Ready`.
    async fn told(&self, app: &str, reason: &str) {
        let apps = startup_apps(&self.client, &self.namespace);
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let status = apps.get(app).await.unwrap().data["status"].take();
            let mut conditions = status["conditions"].as_array().into_iter().flatten();
            if conditions.any(|one| one["type"] == "Ready" && one["reason"] == reason) {
                return;
            }
            assert!(Instant::now() < deadline, "{app} never said {reason}: {status:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Objects of others have the names that children need: the operator must look before it says so.
async fn meet_objects_of_others(team: &Team) {
    let container = json!({"name": "x", "image": "ghcr.io/team/other:1"});
    let pod = json!({"containers": [container], "restartPolicy": "Never"});
    let labelled = json!({"metadata": {"labels": {"x": "y"}}, "spec": {"containers": [container]}});
    let selector = json!({"matchLabels": {"x": "y"}});
    let cron = json!({"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}});
    for (kind, name, spec) in [
        (SERVICES, "low-web", json!({"ports": [{"port": 80}]})),
        (BUDGETS, "low-web", json!({"maxUnavailable": 1, "selector": selector})),
        (
            DEPLOYMENTS,
            "high-web",
            json!({"selector": selector, "template": labelled}),
        ),
        (CRON_JOBS, &cron_job_name("high", "digest"), cron),
    ] {
        team.create(kind, json!({"metadata": {"name": name}, "spec": spec}))
            .await;
    }
    team.create(SERVICE_ACCOUNTS, json!({"metadata": {"name": "low"}}))
        .await;
    team.run(&app(
        "low",
        json!({"image": "ghcr.io/team/low:1", "environment": "Production"}),
    ))
    .await;
    let crons = json!([{"name": "digest", "schedule": "0 0 1 1 *"}]);
    team.run(&app("high", json!({"image": "ghcr.io/team/high:1", "crons": crons})))
        .await;
    team.told("low", "NameTaken").await;
    team.told("high", "NameTaken").await;
}

/// A child of every kind is made, then changed by somebody else, then not asked for any more.
async fn live_a_full_life(team: &Team) {
    team.run(&app(
        "shop",
        json!({
            "image": "ghcr.io/team/shop:1",
            "processes": [{"name": "web", "replicas": 2}, {"name": "api", "port": 8081}],
            "crons": [{"name": "digest", "schedule": "0 0 1 1 *"}],
            "envFrom": [{"secretRef": {"name": "settings"}}, {"configMapRef": {"name": "settings"}}],
        }),
    ))
    .await;
    team.told("shop", "ReferenceMissing").await;
    team.create(
        SECRETS,
        json!({"metadata": {"name": "settings"}, "stringData": {"TOKEN": "x"}}),
    )
    .await;
    team.create(
        CONFIG_MAPS,
        json!({"metadata": {"name": "settings"}, "data": {"COLOUR": "red"}}),
    )
    .await;
    team.told("shop", "Deploying").await;

    let cron_job = cron_job_name("shop", "digest");
    let children = [
        (SERVICE_ACCOUNTS, "shop"),
        (SERVICES, "shop-web"),
        (BUDGETS, "shop-web"),
        (DEPLOYMENTS, "shop-web"),
        (CRON_JOBS, &cron_job),
        (INGRESSES, "shop"),
    ];
    for (kind, name) in children {
        team.there(kind, name).await;
        team.patch(
            kind,
            name,
            json!({"metadata": {"labels": {labels::PART_OF: "drifted"}}}),
        )
        .await;
    }
    for (kind, name) in children {
        let api = team.api(kind);
        eventually(&format!("{kind} {name} is put right"), async || {
            api.get(name).await.unwrap().metadata.labels.unwrap()[labels::PART_OF] == "shop"
        })
        .await;
    }

    // The same event twice within minutes: the second one is counted on the first.
    team.delete(SECRETS, "settings").await;
    team.told("shop", "ReferenceMissing").await;
    team.create(
        SECRETS,
        json!({"metadata": {"name": "settings"}, "stringData": {"TOKEN": "y"}}),
    )
    .await;
    team.told("shop", "Deploying").await;

    let request = "digest@2126-01-01T00:00:00Z";
    team.change(
        "shop",
        json!({"metadata": {"annotations": {labels::RUN_CRON: request}}}),
    )
    .await;
    team.there(JOBS, &names::one_shot("shop", "digest", request)).await;

    // A ServiceAccount of ours by a name that is not rendered, as a later version might leave one.
    let mut stale = team.api(SERVICE_ACCOUNTS).get("shop").await.unwrap();
    stale.metadata.name = Some("shop-old".to_owned());
    stale.metadata.resource_version = None;
    stale.metadata.managed_fields = None;
    team.api(SERVICE_ACCOUNTS)
        .create(&PostParams::default(), &stale)
        .await
        .unwrap();
    team.change(
        "shop",
        json!({
            "spec": {"exposure": "None", "crons": null, "processes": [{"name": "worker"}]},
        }),
    )
    .await;
    for (kind, name) in children.into_iter().skip(1).chain([(SERVICE_ACCOUNTS, "shop-old")]) {
        team.gone(kind, name).await;
    }
}

/// A release is recorded, let run, and lost.
async fn lose_a_release(team: &Team) {
    team.run(&app(
        "release",
        json!({"image": "ghcr.io/team/release:1", "release": {"command": ["migrate"]}}),
    ))
    .await;
    let record = record_name("release");
    team.there(CONFIG_MAPS, &record).await;
    // Orphaned, as by `kubectl delete --cascade=orphan`, it is taken back: or the release could run again.
    team.patch(CONFIG_MAPS, &record, json!({"metadata": {"ownerReferences": null}}))
        .await;
    let records = team.api(CONFIG_MAPS);
    eventually("the record is taken back", async || {
        records.get(&record).await.unwrap().metadata.owner_references.is_some()
    })
    .await;
    let jobs = team.api(JOBS);
    let mut name = String::new();
    eventually("the release runs", async || {
        let all = jobs
            .list(&kube::api::ListParams::default().labels(labels::RELEASE))
            .await
            .unwrap();
        let running = all.items.into_iter().find(|job| job.data["spec"]["suspend"] == false);
        name = running.and_then(|job| job.metadata.name).unwrap_or_default();
        !name.is_empty()
    })
    .await;
    team.delete(JOBS, &name).await;
    team.told("release", "ReleaseOutcomeUnknown").await;
}

/// A release's pod is refused by the quota, which only an Event tells.
async fn meet_a_full_quota(team: &Team) {
    team.create(
        "/v1/ResourceQuota/resourcequotas",
        json!({"metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}),
    )
    .await;
    // The API server takes up a new quota a moment later.
    let pod: Pod = object(json!({
        "metadata": {"name": "probe"},
        "spec": {"containers": [{"name": "x", "image": "ghcr.io/team/other:1"}]},
    }));
    let pods: Api<Pod> = Api::namespaced(team.client.clone(), &team.namespace);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually("the quota refuses pods", async || {
        pods.create(&dry, &pod)
            .await
            .is_err_and(|refused| refused.to_string().contains("exceeded quota"))
    })
    .await;
    let release = json!({"command": ["migrate"]});
    team.run(&app(
        "tight",
        json!({"image": "ghcr.io/team/tight:1", "release": release}),
    ))
    .await;
    team.told("tight", "QuotaExceeded").await;
}

#[tokio::test]
async fn every_right_is_used_and_nothing_more_is_needed() {
    let options = ControlPlaneOptions {
        controller_manager: true,
        audit: AuditLevel::Metadata,
        api_server_args: [
            "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
            // As before Kubernetes 1.34, so that the first state is listed and the rest watched.
            "--feature-gates=WatchList=false",
        ]
        .map(str::to_owned)
        .into(),
        ..Default::default()
    };
    let plane = ControlPlane::start(options).await.unwrap();
    install(&plane).await;
    let client = plane.client().unwrap();
    let [team, full] = [
        plane.namespace("team").await.unwrap(),
        plane.namespace("full").await.unwrap(),
    ]
    .map(|namespace| Team {
        client: client.clone(),
        namespace,
    });
    let operator = start_operator(&plane).await;

    meet_objects_of_others(&team).await;
    live_a_full_life(&team).await;
    lose_a_release(&team).await;
    meet_a_full_quota(&full).await;
    operator.check().unwrap();

    let _ = plane.audit_log().mark(&client).await.unwrap();
    let account = format!("system:serviceaccount:{OPERATORS}:tremplin");
    let events = plane.audit_log().all().unwrap().into_iter();
    let events: Vec<_> = events
        .filter(|event| event.user == account && !event.resource.is_empty())
        .collect();
    let refused: Vec<_> = events.iter().filter(|event| event.code == 403).collect();
    assert!(refused.is_empty(), "used without being granted: {refused:#?}");

    let used: BTreeSet<_> = events.iter().flat_map(needed).collect();
    let everywhere = |(_, group, resource, verb): &Right| ("", group.clone(), resource.clone(), verb.clone());
    let granted = granted().await;
    let unused: Vec<_> = granted
        .iter()
        .filter(|right| match right.0 {
            "" => !used.iter().any(|used| everywhere(used) == **right),
            _ => !used.contains(right),
        })
        .filter(|(_, group, resource, verb)| !UNSEEN.contains(&(group.as_str(), resource.as_str(), verb.as_str())))
        .collect();
    assert!(unused.is_empty(), "granted without being used: {unused:#?}");

    // And the right that no request shows is needed all the same.
    take_away_finalizers(&client).await;
    team.run(&app("late", json!({"image": "ghcr.io/team/late:1"}))).await;
    team.told("late", "Forbidden").await;
}

async fn take_away_finalizers(client: &Client) {
    let roles: Api<k8s_openapi::api::rbac::v1::ClusterRole> = Api::all(client.clone());
    let mut role = roles.get("tremplin-controller").await.unwrap();
    role.rules
        .as_mut()
        .unwrap()
        .retain(|rule| rule.resources != Some(vec!["startupapps/finalizers".to_owned()]));
    roles
        .replace("tremplin-controller", &PostParams::default(), &role)
        .await
        .unwrap();
}
