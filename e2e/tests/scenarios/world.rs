//! The one cluster of a run, with everything that is the platform team's in it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Client;
use kube::api::Api;
use kube::runtime::wait::await_condition;
use tremplin_e2e::environment::install_policies;
use tremplin_e2e::image::{SAMPLE_APP, sample_app};
use tremplin_e2e::ingress::DataPath;
use tremplin_e2e::progress::seconds;
use tremplin_e2e::tools::{self, Tool, Tools};
use tremplin_e2e::{Cluster, Profile};

use crate::counter::Counter;
use crate::operator::Operator;

/// The versions of the sample app that the node has. Any other cannot be pulled.
const VERSIONS: [&str; 3] = ["1.0.0", "1.1.0", "1.2.0"];

/// The image of a version of the sample app.
pub fn image(version: &str) -> String {
    format!("{SAMPLE_APP}:{version}")
}

/// What all trials share. Its parts end in this order.
pub struct World {
    pub operator: Operator,
    pub data_path: DataPath,
    pub counter: Counter,
    pub tools: Tools,
    pub platform_file: PathBuf,
    pub cluster: Cluster,
    /// Has every right.
    pub client: Client,
    teams: AtomicU32,
}

impl World {
    pub async fn start() -> Result<Self> {
        let started = Instant::now();
        let tools = tools::ensure(&[Tool::Kubectl, Tool::Helm]).await?;
        let cluster = Cluster::start(Profile::Node).await?;
        for version in VERSIONS {
            cluster.import_image(&sample_app(version).await?.archive).await?;
        }
        let client = cluster.client().await?;
        install_policies(&client).await?;
        let data_path = DataPath::start(cluster.folder()).await?;
        let network = cluster.network().context("a node without a network")?;
        let counter = Counter::start(network.host()).await?;
        let platform_file = cluster.folder().join("platform.yaml");
        let platform = include_str!("platform.yaml").replace("PORT", &data_path.address().port().to_string());
        std::fs::write(&platform_file, platform).context("failed to write the platform file")?;
        let operator = Operator::start(&cluster, &tools, &platform_file).await?;
        wait_for_tenant_roles(&client).await?;
        eprintln!("  the cluster is up: {}", seconds(started.elapsed()));
        Ok(Self {
            operator,
            data_path,
            counter,
            tools,
            platform_file,
            cluster,
            client,
            teams: AtomicU32::new(0),
        })
    }

    /// A number that no other team has.
    pub fn next_team(&self) -> u32 {
        self.teams.fetch_add(1, Ordering::Relaxed)
    }
}

/// Kubernetes adds the chart's rights to the teams' roles a moment after it was installed.
async fn wait_for_tenant_roles(client: &Client) -> Result<()> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    let grants_apps = |role: Option<&ClusterRole>| {
        let granted = role.and_then(|role| role.rules.as_ref());
        let mut groups = granted
            .into_iter()
            .flatten()
            .flat_map(|rule| rule.api_groups.iter().flatten());
        groups.any(|group| group == "tremplin.dev")
    };
    let added = await_condition(roles, "edit", grants_apps);
    tokio::time::timeout(crate::team::DEADLINE, added)
        .await
        .context("no right to apps in the role edit")??;
    Ok(())
}
