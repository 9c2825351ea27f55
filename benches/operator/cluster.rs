//! Where the figures are taken: a control plane with the operator's rights installed, and apps.
//!
//! No controller manager runs: what is counted is what the operator does, and nothing else loads the API server.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{GroupVersionKind, PartialObjectMeta, TypeMeta};
use kube::discovery::ApiResource;
use kube::runtime::{conditions, wait::await_condition};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;
use tremplin_e2e::{AuditLevel, ControlPlane, ControlPlaneOptions};

use crate::wait::until;

/// The operator's namespace and its service account there, as `config/base` names both.
pub const OPERATOR: &str = "tremplin";
/// The operator as the audit log names it. The bare client and the bare controller borrow this identity: the API
/// server rations requests by who asks.
pub const USER: &str = "system:serviceaccount:tremplin:tremplin";
/// Apps per namespace: a team has a few.
const PER_NAMESPACE: usize = 20;
/// How long the control plane may take to honour what was installed.
const INSTALL: Duration = Duration::from_secs(30);

/// A control plane, installed.
pub struct Cluster {
    /// The programs.
    pub plane: ControlPlane,
    /// With every right.
    pub admin: Client,
    /// A kubeconfig file with the operator's identity.
    pub kubeconfig: PathBuf,
}

/// A custom resource that was created.
#[derive(Clone, Debug)]
pub struct App {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl Cluster {
    /// Starts one and installs `config/base` in it, with namespaces for so many apps.
    pub async fn start(audit: AuditLevel, apps: usize) -> Result<Self> {
        let options = ControlPlaneOptions {
            audit,
            ..Default::default()
        };
        let plane = ControlPlane::start(options).await?;
        let admin = plane.client()?;
        for file in ["namespace.yaml", "crds.yaml", "operator.yaml"] {
            install(&admin, file).await?;
        }
        let namespaces: Api<Namespace> = Api::all(admin.clone());
        for number in 0..=apps / PER_NAMESPACE {
            let metadata = ObjectMeta {
                name: Some(namespace(number * PER_NAMESPACE)),
                ..Default::default()
            };
            let namespace = Namespace {
                metadata,
                ..Default::default()
            };
            namespaces.create(&PostParams::default(), &namespace).await?;
        }
        let kubeconfig = plane.kubeconfig_as_service_account(OPERATOR, OPERATOR).await?;
        let cluster = Self {
            plane,
            admin,
            kubeconfig,
        };
        cluster.honoured().await?;
        Ok(cluster)
    }

    /// Waits until the custom resource is served and the operator may read it.
    async fn honoured(&self) -> Result<()> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.admin.clone());
        let established = await_condition(
            definitions,
            "startupapps.tremplin.dev",
            conditions::is_crd_established(),
        );
        tokio::time::timeout(INSTALL, established)
            .await
            .context("the custom resource is not served")??;
        let apps: Api<DynamicObject> = Api::all_with(self.as_operator().await?, &startup_apps());
        until("the operator may read its custom resource", INSTALL, async || {
            Ok(apps.list(&ListParams::default().limit(1)).await.is_ok())
        })
        .await?;
        // The API server holds back what is first created of a new kind, for seconds: other servers must learn of it.
        let apps: Api<DynamicObject> = Api::namespaced_with(self.admin.clone(), &namespace(0), &startup_apps());
        let dry_run = PostParams {
            dry_run: true,
            ..Default::default()
        };
        apps.create(&dry_run, &six_lines(0)).await?;
        Ok(())
    }

    /// A client with the operator's identity.
    pub async fn as_operator(&self) -> Result<Client> {
        self.plane.client_as_service_account(OPERATOR, OPERATOR).await
    }

    /// Creates the app of this number.
    pub async fn create_app(&self, number: usize) -> Result<App> {
        let namespace = namespace(number);
        let apps: Api<DynamicObject> = Api::namespaced_with(self.admin.clone(), &namespace, &startup_apps());
        let name = name(number);
        let created = apps
            .create(&PostParams::default(), &six_lines(number))
            .await
            .with_context(|| format!("failed to create the app {name}"))?;
        Ok(App {
            namespace,
            name,
            uid: created.uid().unwrap_or_default(),
        })
    }

    /// How many objects of whatever kind of ours the app owns.
    pub async fn children(&self, app: &App) -> Result<usize> {
        Ok(self.owned::<ServiceAccount>(app).await?
            + self.owned::<Service>(app).await?
            + self.owned::<ConfigMap>(app).await?
            + self.owned::<Deployment>(app).await?
            + self.owned::<CronJob>(app).await?
            + self.owned::<Job>(app).await?
            + self.owned::<Ingress>(app).await?
            + self.owned::<PodDisruptionBudget>(app).await?)
    }

    async fn owned<K>(&self, app: &App) -> Result<usize>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.admin.clone(), &app.namespace);
        let objects = api.list_metadata(&ListParams::default()).await?;
        let owners = |object: &PartialObjectMeta<K>| object.owner_references().iter().any(|owner| owner.uid == app.uid);
        Ok(objects.iter().filter(|object| owners(object)).count())
    }
}

/// The name of the app of this number. All have one length, so that none is the beginning of another.
pub fn name(number: usize) -> String {
    format!("bench-app-{number:05}")
}

/// The namespace of the app, or the DnsRecord, of this number.
pub fn namespace(number: usize) -> String {
    format!("bench-team-{:03}", number / PER_NAMESPACE)
}

fn startup_apps() -> ApiResource {
    let kind = GroupVersionKind::gvk("tremplin.dev", "v1alpha1", "StartupApp");
    ApiResource::from_gvk_with_plural(&kind, "startupapps")
}

/// The least that a team writes.
fn six_lines(number: usize) -> DynamicObject {
    DynamicObject::new(&name(number), &startup_apps()).data(json!({"spec": {"image": "ghcr.io/team/shop:1"}}))
}

/// Applies a file of `config/base`.
async fn install(client: &Client, file: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/base").join(file);
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let objects: Vec<DynamicObject> =
        serde_saphyr::from_multiple(&text).with_context(|| format!("failed to parse {}", path.display()))?;
    for object in objects {
        let types: TypeMeta = object.types.clone().context("an object without a kind")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
        let api: Api<DynamicObject> = match object.namespace() {
            Some(namespace) => Api::namespaced_with(client.clone(), &namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let params = PatchParams::apply("bench").force();
        let name = object.name_any();
        api.patch(&name, &params, &Patch::Apply(object))
            .await
            .with_context(|| format!("failed to install {} {name}", types.kind))?;
    }
    Ok(())
}
