//! What the tests of the operator on the real API server share: an operator in this process, and patience.
#![allow(dead_code)] // each test file uses its part

pub mod faults;
mod operator;

use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tremplin_core::api::{StartupApp, crd};
use tremplin_e2e::{AuditEvent, ControlPlane};

use operator::assert_operators_run;
#[allow(unused_imports)] // as above
pub use operator::{Operator, settings};

/// Longer than anything takes on a busy machine: reached only when a test fails.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Where the operator's lease and key are.
pub const HOME: &str = "tremplin-system";

/// Asks until there is an answer; fails early if an operator of the test has ended by itself.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert_operators_run();
        assert!(Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Installs the CRDs.
pub async fn install_crds(client: &Client) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    for crd in crd::all() {
        let name = crd.metadata.name.clone().unwrap();
        crds.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&crd))
            .await
            .unwrap();
        let established = kube::runtime::conditions::is_crd_established();
        kube::runtime::wait::await_condition(crds.clone(), &name, established)
            .await
            .unwrap();
    }
}

/// Installs the CRDs and makes the operator's namespace.
pub async fn install(control_plane: &ControlPlane) -> Client {
    let client = control_plane.client().unwrap();
    install_crds(&client).await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HOME}});
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    namespaces
        .patch(HOME, &PatchParams::apply("test"), &Patch::Apply(namespace))
        .await
        .unwrap();
    client
}

/// A namespace with apps in it, as its team sees it.
#[derive(Clone)]
pub struct Team {
    pub client: Client,
    pub namespace: String,
}

impl Team {
    pub async fn new(control_plane: &ControlPlane, client: &Client, prefix: &str) -> Self {
        Self {
            client: client.clone(),
            namespace: control_plane.namespace(prefix).await.unwrap(),
        }
    }

    pub fn apps(&self) -> Api<StartupApp> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn deployments(&self) -> Api<Deployment> {
        self.api()
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Applies an app as a team's GitOps would; `spec` is YAML.
    pub async fn commit(&self, name: &str, spec: &str) -> StartupApp {
        let object = json!({"apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp", "metadata": {"name": name}, "spec": yaml(spec)});
        self.apps()
            .patch(name, &PatchParams::apply("gitops").force(), &Patch::Apply(object))
            .await
            .unwrap()
    }

    /// Sets an annotation on an app.
    pub async fn annotate(&self, name: &str, key: &str, value: &str) {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.apps()
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .unwrap();
    }

    /// Creates any object from YAML.
    pub async fn create<K>(&self, object: &str) -> K
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + Debug,
    {
        let object: K = serde_json::from_value(yaml(object)).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// The app, once its condition has that status and reason for the newest generation.
    pub async fn told(&self, name: &str, type_: &str, status: &str, reason: &str) -> (StartupApp, Condition) {
        let mut last = None;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let app = self.apps().get(name).await.unwrap();
            if let Some(found) = condition(&app, type_) {
                if found.status == status
                    && found.reason == reason
                    && found.observed_generation == app.metadata.generation
                {
                    return (app, found);
                }
                last = Some(found);
            }
            assert_operators_run();
            assert!(
                Instant::now() < deadline,
                "{name} is never {type_}={status} {reason}, but {last:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Plays the Deployment controller and the kubelet: every Deployment of the namespace is as asked.
    pub async fn run_deployments(&self) {
        for deployment in self
            .deployments()
            .list(&kube::api::ListParams::default())
            .await
            .unwrap()
        {
            let replicas = deployment.spec.replicas.unwrap_or(1);
            let status = json!({"status": {
                "observedGeneration": deployment.metadata.generation, "replicas": replicas, "updatedReplicas": replicas,
                "readyReplicas": replicas, "availableReplicas": replicas,
            }});
            let name = deployment.metadata.name.unwrap();
            let answer = self
                .deployments()
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
                .await;
            match answer {
                Ok(_) => {}
                // Removed since it was listed.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Plays the Job controller: every Job that may run has run and succeeded. Gives the UIDs of those that ran.
    pub async fn run_jobs(&self) -> Vec<String> {
        let mut ran = Vec::new();
        for job in self.api::<Job>().list(&kube::api::ListParams::default()).await.unwrap() {
            if job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true) {
                continue;
            }
            // Noted even when an earlier call, cut off, has played it already.
            ran.push(job.metadata.uid.clone().unwrap());
            if job.status.as_ref().is_some_and(|status| status.conditions.is_some()) {
                continue;
            }
            let now = "2026-11-22T10:00:00Z";
            let condition = |type_| json!({"type": type_, "status": "True", "lastTransitionTime": now});
            let status = json!({"status": {
                "startTime": now, "completionTime": now, "succeeded": 1,
                "conditions": [condition("SuccessCriteriaMet"), condition("Complete")],
            }});
            let name = job.metadata.name.unwrap();
            let answer = self
                .api::<Job>()
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
                .await;
            answer.unwrap();
        }
        ran
    }

    /// Plays the Job controller: the Job that runs fails. Gives its name.
    pub async fn fail_job(&self) -> String {
        let jobs: Api<Job> = self.api();
        let name = eventually("a Job runs", async || {
            let running = |job: &Job| {
                job.spec.as_ref().and_then(|spec| spec.suspend) == Some(false)
                    && job.status.as_ref().is_none_or(|status| status.conditions.is_none())
            };
            let found = jobs.list(&kube::api::ListParams::default()).await.unwrap().items;
            found.into_iter().find(running)?.metadata.name
        })
        .await;
        let now = "2026-11-22T10:00:00Z";
        let condition = |type_| json!({"type": type_, "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": now});
        let conditions = [condition("FailureTarget"), condition("Failed")];
        let status = json!({"status": {"startTime": now, "failed": 1, "conditions": conditions}});
        jobs.patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
            .await
            .unwrap();
        name
    }

    /// Kind and name of everything that carries the app's label.
    pub async fn children(&self, app: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (group, version, kind) in CHILDREN {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
            let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
            let list = api
                .list(&kube::api::ListParams::default().labels(&format!("tremplin.dev/app={app}")))
                .await
                .unwrap();
            found.extend(
                list.items
                    .into_iter()
                    .map(|object| format!("{kind}/{}", object.metadata.name.unwrap())),
            );
        }
        found
    }
}

const CHILDREN: [(&str, &str, &str); 8] = [
    ("apps", "v1", "Deployment"),
    ("", "v1", "Service"),
    ("", "v1", "ServiceAccount"),
    ("", "v1", "ConfigMap"),
    ("networking.k8s.io", "v1", "Ingress"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("batch", "v1", "CronJob"),
    ("batch", "v1", "Job"),
];

/// The app's condition of that type.
pub fn condition(app: &StartupApp, type_: &str) -> Option<Condition> {
    app.status
        .as_ref()?
        .conditions
        .iter()
        .find(|condition| condition.type_ == type_)
        .cloned()
}

pub fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// What the operator asked of the API server, other than its lease and watches, in a few words each.
pub fn requests(events: &[AuditEvent]) -> Vec<String> {
    let ours = events.iter().filter(|event| event.user_agent.starts_with("tremplin"));
    let counted = ours.filter(|event| event.verb != "watch" && event.resource != "leases");
    counted
        .map(|event| {
            format!(
                "{} {}/{}{} {}",
                event.verb,
                event.resource,
                event.name,
                slashed(&event.subresource),
                event.code
            )
        })
        .collect()
}

fn slashed(subresource: &str) -> String {
    if subresource.is_empty() {
        String::new()
    } else {
        format!("/{subresource}")
    }
}

/// A request for a run of a cron, so many minutes later than any object of a test is made.
pub fn run_request(cron: &str, minutes: i64) -> String {
    let at = Timestamp::now() + SignedDuration::from_mins(minutes);
    format!("{cron}@{at:.0}")
}

/// One operator, on the shared control plane, for all tests of a file.
pub async fn start() -> (&'static ControlPlane, Client) {
    static OPERATOR: OnceCell<Operator> = OnceCell::const_new();
    let control_plane = ControlPlane::shared().await.unwrap();
    OPERATOR
        .get_or_init(async || {
            install(control_plane).await;
            Operator::plain(control_plane, &[])
        })
        .await;
    (control_plane, control_plane.client().unwrap())
}

/// Whether nothing that a test needs of the machine may be missing.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}
