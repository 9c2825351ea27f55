//! A team's namespace, by the objects in it: the rights are those of the operator, so everything else is done here.

use std::time::{Duration, Instant};

use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::install::{cluster_objects_of, eventually, object, objects_of, startup_apps};

pub const SERVICE_ACCOUNTS: &str = "/v1/ServiceAccount/serviceaccounts";
pub const CONFIG_MAPS: &str = "/v1/ConfigMap/configmaps";
pub const SECRETS: &str = "/v1/Secret/secrets";
pub const SERVICES: &str = "/v1/Service/services";
pub const DEPLOYMENTS: &str = "apps/v1/Deployment/deployments";
pub const CRON_JOBS: &str = "batch/v1/CronJob/cronjobs";
pub const JOBS: &str = "batch/v1/Job/jobs";
pub const INGRESSES: &str = "networking.k8s.io/v1/Ingress/ingresses";
pub const RECORDS: &str = "tremplin.dev/v1alpha1/DnsRecord/dnsrecords";
pub const BUDGETS: &str = "policy/v1/PodDisruptionBudget/poddisruptionbudgets";

pub fn app(name: &str, spec: Value) -> DynamicObject {
    let mut app = json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp", "metadata": {"name": name}});
    app["spec"] = spec;
    object(app)
}

/// What one namespace holds, and what is done to it.
pub struct Team {
    pub client: Client,
    pub namespace: String,
}

impl Team {
    pub fn api(&self, kind: &str) -> Api<DynamicObject> {
        objects_of(&self.client, &self.namespace, kind)
    }

    pub fn cluster_api(&self, kind: &str) -> Api<DynamicObject> {
        cluster_objects_of(&self.client, kind)
    }

    pub async fn create(&self, kind: &str, value: Value) {
        self.api(kind)
            .create(&PostParams::default(), &object(value))
            .await
            .unwrap();
    }

    pub async fn patch(&self, kind: &str, name: &str, change: Value) {
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap();
    }

    pub async fn delete(&self, kind: &str, name: &str) {
        self.api(kind).delete(name, &DeleteParams::background()).await.unwrap();
    }

    pub async fn run(&self, app: &DynamicObject) {
        startup_apps(&self.client, &self.namespace)
            .create(&PostParams::default(), app)
            .await
            .unwrap();
    }

    pub async fn change(&self, name: &str, change: Value) {
        let apps = startup_apps(&self.client, &self.namespace);
        apps.patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .unwrap();
    }

    pub async fn there(&self, kind: &str, name: &str) {
        let api = self.api(kind);
        eventually(&format!("{kind} {name}"), async || {
            api.get_opt(name).await.unwrap().is_some()
        })
        .await;
    }

    pub async fn gone(&self, kind: &str, name: &str) {
        let api = self.api(kind);
        eventually(&format!("no {kind} {name}"), async || {
            api.get_opt(name).await.unwrap().is_none()
        })
        .await;
    }

    pub async fn gone_from_cluster(&self, kind: &str, name: &str) {
        let api = self.cluster_api(kind);
        eventually(&format!("no {kind} {name}"), async || {
            api.get_opt(name).await.unwrap().is_none()
        })
        .await;
    }

    /// Waits until the app says that reason of `Ready`.
    pub async fn told(&self, app: &str, reason: &str) {
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
