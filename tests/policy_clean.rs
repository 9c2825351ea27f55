//! What is rendered is clean in the eyes of others: Pod Security `restricted` and the policies that `e2e/policies/`
//! writes from the platform's rules, without a word of ours, on the real API server. Nothing is refused: neither the
//! objects nor the pods that would be made of them, of which Pod Security judges nothing but the pods.
#![cfg(test)] // helpers here may unwrap as tests do

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use futures::stream::{self, StreamExt};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Error};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use tremplin_core::api::StartupApp;
use tremplin_core::app::{arbitrary, offline};
use tremplin_core::platform::{BUNDLED, LabelKeys, NamespaceContext, Platform, Security};
use tremplin_core::yaml;
use tremplin_e2e::environment::{ClusterType, Environment, install_policies};
use tremplin_e2e::{ControlPlane, ControlPlaneOptions};

/// How many requests are under way at once.
const BESIDE: usize = 8;
/// How many apps nobody thought of are judged on each platform.
const ARBITRARY: usize = 30;

/// An API server with the platform's policies. Nothing runs beside it: the manifests alone are judged.
async fn client() -> Client {
    static PLANE: OnceCell<ControlPlane> = OnceCell::const_new();
    let plane = PLANE.get_or_init(async || {
        let plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
        install_policies(&plane.client().unwrap()).await.unwrap();
        plane
    });
    plane.await.client().unwrap()
}

/// An environment of a platform, with the judges that the platform has.
struct Court {
    client: Client,
    platform: Platform,
    namespace: NamespaceContext,
}

impl Court {
    async fn open(client: &Client, profile: &str, environment: &str, test: &str) -> Self {
        let platform = Platform::bundled(profile).unwrap();
        // OpenShift's platform renders no ids. Its pods come before Pod Security as they do there: with the ids that
        // the cluster has chosen (`openshift-choose-ids`). Ids in what is rendered are refused (`openshift-ids`).
        let cluster_type = match platform.security() {
            Security::OpenShift => ClusterType::OpenShift,
            Security::Restricted { .. } => ClusterType::Restricted,
        };
        let made = Environment {
            name: environment.to_owned(),
            cluster_type,
            ..Environment::new(format!("{profile}-{environment}-{test}"))
        };
        made.apply(client).await.unwrap();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let labels = namespaces.get(&made.namespace).await.unwrap().metadata.labels.unwrap();
        assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
        Self {
            client: client.clone(),
            namespace: platform.namespace(&made.namespace, &labels),
            platform,
        }
    }

    /// The objects of an app; `None` when it is refused here.
    fn render(&self, mut app: Value) -> Option<Vec<Value>> {
        app["metadata"]["namespace"] = json!(self.namespace.name);
        let app: StartupApp = serde_json::from_value(app).unwrap();
        let mut objects = offline(&app, &self.namespace, &self.platform).ok()?.objects;
        if self.platform.label_keys() == &LabelKeys::default() {
            objects.iter_mut().for_each(label);
        }
        Some(objects)
    }

    /// Shows objects and their pods to every judge. Gives how many were shown, and fails when one is refused.
    async fn judge(&self, whose: &str, objects: Vec<Value>) -> usize {
        for account in objects.iter().filter(|object| object["kind"] == "ServiceAccount") {
            // A pod is refused when its account is not there.
            let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace.name);
            let params = PatchParams::apply("test").force();
            let name = account["metadata"]["name"].as_str().unwrap();
            accounts.patch(name, &params, &Patch::Apply(account)).await.unwrap();
        }
        let shown: Vec<Value> = objects.iter().filter_map(pod).chain(without(&objects)).collect();
        let count = shown.len();
        let refused: Vec<String> = stream::iter(shown)
            .map(|object| async move {
                let refusal = refusal(&self.client, &self.namespace.name, &object).await?;
                Some(format!("{}: {refusal}\n{object}", object["kind"]))
            })
            .buffer_unordered(BESIDE)
            .filter_map(async |refusal| refusal)
            .collect()
            .await;
        assert!(
            refused.is_empty(),
            "{whose} in {}:\n{}",
            self.namespace.name,
            refused.join("\n")
        );
        count
    }
}

/// Labels as `check-labels` asks for them. A plain cluster has no such convention, so its profile renders none, and the
/// other policies are to judge it all the same.
fn label(object: &mut Value) {
    for level in [
        "",
        "/spec/template",
        "/spec/jobTemplate",
        "/spec/jobTemplate/spec/template",
    ] {
        if let Some(Value::Object(labels)) = object.pointer_mut(&format!("{level}/metadata/labels")) {
            labels.extend(["app", "env", "tier"].map(|key| (key.to_owned(), json!("plain"))));
        }
    }
}

/// The objects but for the accounts, which are there by now.
fn without(objects: &[Value]) -> impl Iterator<Item = Value> {
    let others = objects.iter().filter(|object| object["kind"] != "ServiceAccount");
    others.cloned()
}

/// The pod that would be made of an object, if it makes one.
fn pod(object: &Value) -> Option<Value> {
    let template = ["/spec/template", "/spec/jobTemplate/spec/template"]
        .iter()
        .find_map(|pointer| object.pointer(pointer))?;
    let mut pod = template.clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = object["metadata"]["name"].clone();
    Some(pod)
}

/// Tries to create it; the refusal's words.
async fn refusal(client: &Client, namespace: &str, object: &Value) -> Option<String> {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let kind = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind));
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match api.create(&dry, &object).await {
        Ok(_) => None,
        Err(Error::Api(refused)) => Some(refused.message.clone()),
        Err(error) => unreachable!("no answer: {error}"),
    }
}

/// The samples by name, each a stream of objects.
fn samples() -> BTreeMap<String, Vec<Value>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/samples");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let sample = |file: PathBuf| {
        let documents = yaml::parse(&fs::read_to_string(&file).unwrap()).unwrap();
        let objects = documents.into_iter().map(|document| document.value).collect();
        (file.file_stem().unwrap().to_string_lossy().into_owned(), objects)
    };
    files.map(sample).collect()
}

/// On the ministry's platform the hosts of the staging sample are not to be had: it renders nothing there.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_any_sample_is_refused_on_any_platform() {
    let client = client().await;
    let (mut judged, mut not_rendered) = (0, Vec::new());
    for profile in BUNDLED {
        let production = Court::open(&client, profile.name, "prod", "samples").await;
        let staging = Court::open(&client, profile.name, "staging", "samples").await;
        for (name, objects) in samples() {
            let court = if name == "staging" { &staging } else { &production };
            let (apps, others): (Vec<_>, Vec<_>) =
                objects.into_iter().partition(|object| object["kind"] == "StartupApp");
            for app in apps {
                let Some(mut objects) = court.render(app) else {
                    not_rendered.push(format!("{name}@{}", profile.name));
                    continue;
                };
                objects.extend(others.iter().cloned());
                judged += court.judge(&name, objects).await;
            }
        }
    }
    assert_eq!(not_rendered, ["staging@cpin-mi"]);
    assert!(judged > 100, "only {judged} objects were judged");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_apps_that_nobody_thought_of_is_refused_on_any_platform() {
    let client = client().await;
    let mut runner = TestRunner::default();
    let mut courts = Vec::new();
    for profile in BUNDLED {
        courts.push(Court::open(&client, profile.name, "prod", "arbitrary").await);
    }
    let mut judged = 0;
    for _ in 0..ARBITRARY {
        let app = arbitrary::app().new_tree(&mut runner).unwrap().current();
        for court in &courts {
            let objects = court.render(app.manifest(&court.namespace, &court.platform)).unwrap();
            judged += court.judge(&app.spec.to_string(), objects).await;
        }
    }
    assert!(judged > 10 * ARBITRARY, "only {judged} objects were judged");
}

/// Without this, that nothing is refused would show nothing: what each policy refuses, `e2e/tests/environment.rs` shows.
#[tokio::test(flavor = "multi_thread")]
async fn the_judges_see_the_pods_of_what_is_rendered() {
    let client = client().await;
    for profile in BUNDLED {
        let court = Court::open(&client, profile.name, "prod", "spoiled").await;
        let app = samples()["minimal"][0].clone();
        let objects = court.render(app).unwrap();
        court.judge("minimal", objects.clone()).await;
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let mut spoiled = pod(deployment).unwrap();
        spoiled["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
        let refused = refusal(&client, &court.namespace.name, &spoiled).await.unwrap();
        assert!(
            refused.contains("violates PodSecurity \"restricted") || refused.contains("security-context"),
            "{refused}"
        );
        let mut spoiled = pod(deployment).unwrap();
        spoiled["spec"]["containers"][0]["readinessProbe"] = Value::Null;
        spoiled["spec"]["containers"][0]["startupProbe"] = Value::Null;
        let refused = refusal(&client, &court.namespace.name, &spoiled).await.unwrap();
        assert!(refused.contains("require-pod-probes"), "{refused}");
    }
}
