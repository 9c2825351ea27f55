//! The operator: this checkout's program beside the cluster, with the rights that the chart gives it; or the chart's
//! own Deployment, from the image.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::process::Command;
use tremplin_e2e::Cluster;
use tremplin_e2e::image::{self, Image};
use tremplin_e2e::process::{Lifetime, Process, Program};
use tremplin_e2e::tools::{Tool, Tools};

/// Where the operator is at home.
pub const NAMESPACE: &str = "tremplin-system";
/// The lease that lets it write.
pub const LEASE: &str = "tremplin";

/// The program that runs beside the cluster, until it is stopped.
pub struct Operator {
    process: Mutex<Option<Process>>,
    start: Start,
}

/// How the program is started.
struct Start {
    binary: PathBuf,
    kubeconfig: PathBuf,
    platform_file: PathBuf,
    folder: PathBuf,
}

impl Start {
    fn process(&self) -> Result<Process> {
        let program = Program::new("operator", &self.binary)
            .arg("controller")
            .args(["--namespace", NAMESPACE, "--lease-name", LEASE])
            .args(["--log", "info,tremplin=debug", "--admin-address", "127.0.0.1:0"])
            .args(["--platform".to_owned(), self.platform_file.display().to_string()])
            .env("KUBECONFIG", self.kubeconfig.display().to_string());
        program.start(&self.folder, Lifetime::Attached)
    }
}

impl Operator {
    /// Installs both charts without an instance, and starts this checkout's program in its place.
    pub async fn start(cluster: &Cluster, tools: &Tools, platform_file: &Path) -> Result<Self> {
        let binary = image::debug_operator_binary().await?;
        make_namespace(&cluster.client().await?).await?;
        let charts = Charts {
            cluster,
            tools,
            platform_file,
        };
        charts.install("tremplin-crds", &[]).await?;
        charts.install_operator(&["--set=replicas=0"]).await?;
        let plane = cluster
            .control_plane()
            .context("a cluster that somebody else started")?;
        let kubeconfig = plane.kubeconfig_as_service_account(NAMESPACE, "tremplin").await?;
        let start = Start {
            binary,
            kubeconfig,
            platform_file: platform_file.to_owned(),
            folder: cluster.folder().to_owned(),
        };
        Ok(Self {
            process: Mutex::new(Some(start.process()?)),
            start,
        })
    }

    /// What it said of a namespace, the last lines.
    pub fn said_of(&self, namespace: &str) -> String {
        let text = std::fs::read_to_string(self.start.folder.join("operator.log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().filter(|line| line.contains(namespace)).collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Ends it now, wherever it is, and starts it anew. The new one does not wait for the lease of the old one to end.
    pub async fn kill_and_start(&self, client: &Client) {
        let killed = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        let killed = killed.expect("the operator is there to be killed");
        killed.check().expect("the operator ran until now");
        killed.kill();
        let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
        leases.delete(LEASE, &DeleteParams::default()).await.unwrap();
        let anew = self.start.process().unwrap();
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(anew);
    }

    /// Asks it to end, and hands the ending process over.
    pub fn stop(&self) -> Process {
        let running = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        let process = running.expect("the operator is stopped once");
        process.check().expect("the operator ran until now");
        process.terminate();
        process
    }
}

/// The operator's namespace is under Pod Security `restricted`, as every one of the platform.
async fn make_namespace(client: &Client) -> Result<()> {
    let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}});
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
    let params = PatchParams::apply("tremplin-e2e").force();
    namespaces
        .patch(NAMESPACE, &params, &Patch::Apply(namespace))
        .await
        .context("no namespace for the operator")?;
    Ok(())
}

/// The charts of this checkout, in a cluster.
pub struct Charts<'a> {
    pub cluster: &'a Cluster,
    pub tools: &'a Tools,
    pub platform_file: &'a Path,
}

impl Charts<'_> {
    /// Installs the chart of the operator, or changes its values.
    pub async fn install_operator(&self, values: &[&str]) -> Result<()> {
        let platform = format!("--set-file=platform.file={}", self.platform_file.display());
        let values: Vec<_> = values.iter().copied().chain([platform.as_str()]).collect();
        self.install("tremplin", &values).await
    }

    /// Runs the operator from its image.
    pub async fn run_image(&self, image: &Image) -> Result<()> {
        self.cluster.import_image(&image.archive).await?;
        let (repository, tag) = image.reference.rsplit_once(':').context("an image without a tag")?;
        let (repository, tag) = (
            format!("--set=image.repository={repository}"),
            format!("--set-string=image.tag={tag}"),
        );
        self.install_operator(&["--set=replicas=1", &repository, &tag, "--wait", "--timeout=3m"])
            .await
    }

    pub async fn install(&self, chart: &str, arguments: &[&str]) -> Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .with_file_name("charts")
            .join(chart);
        let folder = folder.display().to_string();
        let all = ["upgrade", "--install", chart, &folder]
            .into_iter()
            .chain(arguments.iter().copied());
        self.helm(&all.collect::<Vec<_>>()).await
    }

    pub async fn uninstall(&self, chart: &str) -> Result<()> {
        self.helm(&["uninstall", chart, "--wait"]).await
    }

    async fn helm(&self, arguments: &[&str]) -> Result<()> {
        let mut helm = Command::new(self.tools.path(Tool::Helm)?);
        // Whatever this machine's user has set up for Helm does not count.
        for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(folder, self.cluster.folder().join("helm").join(folder));
        }
        helm.arg("--kubeconfig")
            .arg(self.cluster.kubeconfig())
            .args(["--namespace", NAMESPACE])
            .args(arguments);
        let output = helm.output().await.context("failed to run helm")?;
        if !output.status.success() {
            bail!(
                "helm {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    }
}
