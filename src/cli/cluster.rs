//! The cluster, as the person at the keyboard may see and change it: with their own rights, one request at a time. The
//! only file of the command line that names a client.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Pod, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{ListParams, Patch, PatchParams};
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tremplin_core::api::{DnsClaim, DnsRecord, DnsZone, StartupApp};
use tremplin_core::json::text;
use tremplin_core::live::STARTUP_APP_MANAGER;

/// The field manager of what a person asks for at the command line.
const MANAGER: &str = "kubectl-tremplin";
/// How long one request may take: an unreachable cluster is told, not waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which cluster.
#[derive(Args, Debug)]
pub struct ClusterChoice {
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,

    /// The kubeconfig; absent: $KUBECONFIG, else ~/.kube/config, else the pod's service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
}

/// A kind of object, as the API serves it.
#[derive(Clone, Debug)]
pub struct Kind(ApiResource);

impl Kind {
    /// The kind of that name, among those that an app is made of or tells about.
    pub fn of(name: &str) -> Option<Self> {
        let resource = match name {
            "StartupApp" => ApiResource::erase::<StartupApp>(&()),
            "DnsRecord" => ApiResource::erase::<DnsRecord>(&()),
            "DnsZone" => ApiResource::erase::<DnsZone>(&()),
            "DnsClaim" => ApiResource::erase::<DnsClaim>(&()),
            "ServiceAccount" => ApiResource::erase::<ServiceAccount>(&()),
            "ConfigMap" => ApiResource::erase::<ConfigMap>(&()),
            "Service" => ApiResource::erase::<Service>(&()),
            "PodDisruptionBudget" => ApiResource::erase::<PodDisruptionBudget>(&()),
            "Deployment" => ApiResource::erase::<Deployment>(&()),
            "CronJob" => ApiResource::erase::<CronJob>(&()),
            "Job" => ApiResource::erase::<Job>(&()),
            "Ingress" => ApiResource::erase::<Ingress>(&()),
            "Pod" => ApiResource::erase::<Pod>(&()),
            "Event" => ApiResource::erase::<Event>(&()),
            _ => return None,
        };
        Some(Self(resource))
    }
}

/// A connection.
pub struct Cluster {
    client: Client,
}

impl ClusterChoice {
    /// Connects; nothing is asked yet.
    pub async fn connect(&self) -> anyhow::Result<Cluster> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let configured = match (&self.kubeconfig, &self.context) {
            (Some(file), _) => match Kubeconfig::read_from(file) {
                Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
                Err(error) => Err(error),
            }
            .map_err(|error| unreadable(&error)),
            (None, Some(_)) => Config::from_kubeconfig(&options)
                .await
                .map_err(|error| unreadable(&error)),
            (None, None) => Config::infer().await.map_err(|error| unconfigured(&error)),
        };
        let mut config = configured.map_err(|why| anyhow!("{why}: set KUBECONFIG, or give --kubeconfig"))?;
        config.connect_timeout = Some(PATIENCE);
        config.read_timeout = Some(PATIENCE);
        Ok(Cluster {
            client: Client::try_from(config)?,
        })
    }
}

/// Why no cluster is configured, in one sentence: the library's says the same thing several times.
pub fn unconfigured(error: &InferConfigError) -> String {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref());
    source.map_or_else(|| error.to_string(), unreadable)
}

fn unreadable(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(error, path) if error.kind() == ErrorKind::NotFound => {
            format!("there is no kubeconfig at {}", path.display())
        }
        error => error.to_string(),
    }
}

impl Cluster {
    /// The namespace of the context.
    pub fn default_namespace(&self) -> &str {
        self.client.default_namespace()
    }

    /// One object; `None` when it does not exist. Without a namespace, of the cluster.
    pub async fn get(&self, kind: &str, namespace: &str, name: &str) -> anyhow::Result<Option<Value>> {
        let found = self.api(kind, namespace)?.get_opt(name).await;
        let found = found.with_context(|| format!("failed to read the {kind} {name}{}", of(namespace)))?;
        Ok(found.map(|object| serde_json::to_value(&object)).transpose()?)
    }

    /// The objects of a kind; an empty selector means all. Without a namespace, those of every one.
    pub async fn list(&self, kind: &str, namespace: &str, selector: &str) -> anyhow::Result<Vec<Value>> {
        let params = ListParams::default().labels(selector);
        let found = self.api(kind, namespace)?.list(&params).await;
        let found = found.with_context(|| format!("failed to list the {kind}s{}", of(namespace)))?;
        // The items of a list do not say what they are.
        let with_kind = |object: DynamicObject| -> anyhow::Result<Value> {
            let mut object = serde_json::to_value(&object)?;
            if let Value::Object(fields) = &mut object {
                fields.insert("kind".into(), kind.into());
            }
            Ok(object)
        };
        found.items.into_iter().map(with_kind).collect()
    }

    /// The labels of a namespace; `None` when the person may not see it.
    pub async fn namespace_labels(&self, name: &str) -> anyhow::Result<Option<Vec<(String, String)>>> {
        match Api::<Namespace>::all(self.client.clone()).get_opt(name).await {
            Ok(Some(namespace)) => Ok(Some(namespace.metadata.labels.into_iter().flatten().collect())),
            Ok(None) => bail!("there is no namespace {name}"),
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
            Err(error) => Err(error).with_context(|| format!("failed to read the namespace {name}")),
        }
    }

    /// What the object would be after the operator has applied it. Nothing is changed.
    pub async fn dry_run_apply(&self, object: &Value) -> anyhow::Result<Value> {
        let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
        let params = PatchParams::apply(STARTUP_APP_MANAGER).force().dry_run();
        let api = self.api(kind, text(object, "/metadata/namespace"))?;
        let merged = api.patch(name, &params, &Patch::Apply(object)).await;
        let merged = merged.with_context(|| format!("the API server refuses the {kind} {name}"))?;
        Ok(serde_json::to_value(&merged)?)
    }

    /// Writes an annotation on an app, and gives the app back.
    pub async fn annotate_app(&self, namespace: &str, name: &str, key: &str, value: &str) -> anyhow::Result<Value> {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        let params = PatchParams {
            field_manager: Some(MANAGER.into()),
            ..PatchParams::default()
        };
        let written = self
            .api("StartupApp", namespace)?
            .patch(name, &params, &Patch::Merge(&patch))
            .await;
        let written = written.with_context(|| format!("failed to annotate the app {name} of {namespace}"))?;
        Ok(serde_json::to_value(&written)?)
    }

    fn api(&self, kind: &str, namespace: &str) -> anyhow::Result<Api<DynamicObject>> {
        let Some(Kind(resource)) = Kind::of(kind) else {
            bail!("{kind} is not a kind that an app is made of");
        };
        if namespace.is_empty() {
            return Ok(Api::all_with(self.client.clone(), &resource));
        }
        Ok(Api::namespaced_with(self.client.clone(), namespace, &resource))
    }
}

/// Where a failed request was about.
fn of(namespace: &str) -> String {
    if namespace.is_empty() {
        String::new()
    } else {
        format!(" of {namespace}")
    }
}

/// Runs what needs the cluster.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}
