//! A team in an environment of its own: what it writes, what it sees, and how it waits.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, ResourceQuota, Secret};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::{Api, ApiResource, ListParams, Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::runtime::wait::await_condition;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::process::Command;
use tremplin_e2e::Environment;
use tremplin_e2e::http::{self, Answer};
use tremplin_e2e::tools::Tool;

use crate::app::App;
use crate::world::World;

/// How long anything may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_mins(3);
/// The annotation in which a Deployment counts its versions.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// A team. It may do in its namespace what the role `edit` allows, and nothing elsewhere.
pub struct Team {
    pub world: Arc<World>,
    pub namespace: String,
    /// The team's own client.
    pub client: Client,
    user: String,
    environment: Environment,
}

impl Team {
    /// A new team, whose project calls its environment `environment`.
    pub async fn new(world: &Arc<World>, environment: &str) -> Self {
        let number = world.next_team();
        let project = format!("team{number}");
        // As the console makes them: nothing can be read from the name.
        let namespace = format!("b4qjvd14pua3z58ulicbc{number:04}--22dxmhpuknhbc3u48km99jyob");
        let environment = Environment {
            project_slug: project.clone(),
            name: environment.to_owned(),
            ..Environment::new(&namespace)
        };
        environment.apply(&world.client).await.unwrap();
        let user = format!("{project}-developer");
        let binding = json!({
            "metadata": {"name": "developers"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
        });
        let bindings: Api<RoleBinding> = Api::namespaced(world.client.clone(), &namespace);
        bindings
            .create(&PostParams::default(), &serde_json::from_value(binding).unwrap())
            .await
            .unwrap();
        let client = world
            .cluster
            .control_plane()
            .unwrap()
            .client_as(&user, &[])
            .await
            .unwrap();
        let team = Self {
            world: world.clone(),
            namespace,
            client,
            user,
            environment,
        };
        team.wait_for_rights().await;
        team
    }

    /// The API server takes up a new binding a moment later.
    async fn wait_for_rights(&self) {
        let deadline = Instant::now() + DEADLINE;
        while let Err(refused) = self.api::<Secret>().list(&ListParams::default()).await {
            assert!(Instant::now() < deadline, "{} has no rights: {refused}", self.user);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The quota of cpu and memory from now on.
    pub async fn give_quota(&mut self, cpu: &str, memory: &str) {
        (self.environment.cpu, self.environment.memory) = (cpu.to_owned(), memory.to_owned());
        self.environment.apply(&self.world.client).await.unwrap();
        // What is enforced is the status, which follows.
        let is_in_force = |quota: &ResourceQuota| {
            let wanted = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
            wanted.is_some() && wanted == quota.status.as_ref().and_then(|status| status.hard.as_ref())
        };
        self.wait(self.api(), "dso-quota", "in force", is_in_force).await;
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn apps(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &app_resource())
    }

    /// Writes the app as Git has it: a field that is left out is gone.
    pub async fn put(&self, name: &str, spec: Value) {
        let app = json!({
            "apiVersion": "tremplin.dev/v1alpha1", "kind": "StartupApp", "metadata": {"name": name}, "spec": spec,
        });
        self.apps()
            .patch(name, &PatchParams::apply("team"), &Patch::Apply(app))
            .await
            .unwrap();
    }

    /// Asks for something by an annotation.
    pub async fn annotate(&self, name: &str, key: &str, value: &str) {
        let annotations = json!({"metadata": {"annotations": {key: value}}});
        self.apps()
            .patch(name, &PatchParams::default(), &Patch::Merge(annotations))
            .await
            .unwrap();
    }

    pub async fn put_secret(&self, name: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<_, _> = data.iter().copied().collect();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        let params = PatchParams::apply("team").force();
        self.api::<Secret>()
            .patch(name, &params, &Patch::Apply(secret))
            .await
            .unwrap();
    }

    pub async fn put_config_map(&self, name: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<_, _> = data.iter().copied().collect();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
        let params = PatchParams::apply("team").force();
        self.api::<ConfigMap>()
            .patch(name, &params, &Patch::Apply(map))
            .await
            .unwrap();
    }

    /// Waits until the app is `wanted`, and gives it.
    pub async fn until(&self, name: &str, what: &str, wanted: impl Fn(&App) -> bool) -> App {
        let found = self
            .wait(self.apps(), name, what, |object: &DynamicObject| {
                wanted(&App::of(object))
            })
            .await;
        App::of(&found)
    }

    /// Waits until it is ready as it is written.
    pub async fn ready(&self, name: &str) -> App {
        self.until(name, "ready", App::is_ready).await
    }

    /// Waits until it says that it is not ready, for that reason and in these words among others.
    pub async fn told(&self, name: &str, reason: &str, words: &[&str]) -> App {
        self.until(name, &format!("not ready: {reason} {words:?}"), |app| {
            app.tells(reason, words)
        })
        .await
    }

    /// Waits until a Deployment is `wanted`, and gives it.
    pub async fn deployment(&self, name: &str, what: &str, wanted: impl Fn(&Deployment) -> bool) -> Deployment {
        self.wait(self.api(), name, what, wanted).await
    }

    /// Waits until a Deployment has made its n-th version and nothing of another is left.
    pub async fn rolled(&self, name: &str, version: u32) -> Deployment {
        let what = format!("rolled to its version {version}");
        self.deployment(name, &what, |deployment| {
            revision(deployment) == version && is_complete(deployment)
        })
        .await
    }

    async fn wait<K>(&self, api: Api<K>, name: &str, what: &str, wanted: impl Fn(&K) -> bool) -> K
    where
        K: Clone + Debug + Send + DeserializeOwned + Resource + 'static,
    {
        let condition = |object: Option<&K>| object.is_some_and(&wanted);
        match tokio::time::timeout(DEADLINE, await_condition(api, name, condition)).await {
            Ok(Ok(Some(found))) => found,
            Ok(Ok(None)) => panic!("{name} was taken for gone"),
            Ok(Err(error)) => panic!("the watch of {name} ended: {error}"),
            Err(_) => {
                let trouble = self.trouble().await;
                panic!("{name} was not {what} within {DEADLINE:?}\n{trouble}");
            }
        }
    }

    /// Waits until a request through the data path is answered as `wanted`.
    pub async fn answers(&self, host: &str, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let answer = http::get(self.world.data_path.address(), host, path).await;
            match answer {
                Ok(answer) if wanted(&answer) => return answer,
                other if Instant::now() > deadline => {
                    let trouble = self.trouble().await;
                    panic!("{host}{path} still answers {other:?}\n{trouble}");
                }
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    /// What kubectl prints for the team.
    pub async fn kubectl(&self, arguments: &[&str]) -> String {
        let plane = self.world.cluster.control_plane().unwrap();
        let mut kubectl = Command::new(self.world.tools.path(Tool::Kubectl).unwrap());
        kubectl
            .arg("--kubeconfig")
            .arg(plane.kubeconfig_as(&self.user, &[]).unwrap());
        kubectl.args(["--namespace", &self.namespace]).args(arguments);
        let output = kubectl.output().await.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {}: {errors}", arguments.join(" "));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a person would look at.
    async fn trouble(&self) -> String {
        let apps = self.kubectl(&["get", "startupapps", "--output=yaml"]).await;
        let rest = self
            .kubectl(&["get", "deployments,replicasets,jobs,pods,ingresses", "--output=wide"])
            .await;
        let events = self.kubectl(&["get", "events", "--sort-by=.lastTimestamp"]).await;
        let operator = self.world.operator.said_of(&self.namespace);
        format!("{apps}\n{rest}\n{events}\nthe operator:\n{operator}")
    }

    /// Leaves, which frees the room that the team took. A team of a failed trial stays to be looked at.
    pub async fn leave(self) {
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.world.client.clone());
        namespaces
            .delete(&self.namespace, &kube::api::DeleteParams::default())
            .await
            .unwrap();
    }
}

/// What the API calls StartupApps.
pub fn app_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("tremplin.dev", "v1alpha1", "StartupApp");
    ApiResource::from_gvk_with_plural(&kind, "startupapps")
}

/// Which of its versions a Deployment has, from 1.
pub fn revision(deployment: &Deployment) -> u32 {
    let annotations = deployment.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(REVISION)?.parse().ok())
        .unwrap_or_default()
}

/// Whether all its instances are of its newest version and can serve.
pub fn is_complete(deployment: &Deployment) -> bool {
    let wanted = deployment.spec.replicas;
    let Some(status) = &deployment.status else { return false };
    status.observed_generation == deployment.metadata.generation
        && [status.replicas, status.updated_replicas, status.available_replicas]
            .iter()
            .all(|count| *count == wanted)
}
