//! A cluster with a name, which goes on after the program that started it, or without one, which
//! ends with it.
//!
//! `up` leaves a running cluster as it is. One of which a program died, by whatever cause, is
//! taken down and begun anew, empty: a test cluster holds nothing that cannot be applied again.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use kube::Client;
use serde::{Deserialize, Serialize};

use crate::cgroups;
use crate::control_plane::{ControlPlane, ControlPlaneOptions, Site};
use crate::network::{self, Network};
use crate::node::{self, Node};
use crate::process::{self, Identity, Lifetime, Process};
use crate::progress::Step;
use crate::state::Folder;
use crate::tools;

/// How long a program that was started may take to be executed.
const COMPLETE: Duration = Duration::from_secs(10);

/// What a cluster can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The API, without pods; needs no root
    ControlPlane,
    /// Real pods, on one node; needs root
    Node,
}

impl Profile {
    /// The programs that run while such a cluster is well.
    fn programs(self) -> &'static [&'static str] {
        const ALL: &[&str] = &[
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "unshare",
            "containerd",
            "kubelet",
            "kube-scheduler",
            "kube-proxy",
            "coredns",
        ];
        match self {
            Self::ControlPlane => ALL.get(..3).unwrap_or(ALL),
            Self::Node => ALL,
        }
    }
}

/// What a cluster's folder says about it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Facts {
    profile: Profile,
    network: Option<Network>,
}

/// A running cluster.
pub struct Cluster {
    path: PathBuf,
    facts: Facts,
    /// The programs that end with this value; none for a cluster with a name.
    attached: Option<Attached>,
}

/// In the order in which they end.
struct Attached {
    _programs: Option<Programs>,
    plane: ControlPlane,
}

/// What a node adds to a control plane.
struct Programs {
    _node: Node,
    _runtime: Process,
    _holder: Process,
}

impl Cluster {
    /// Starts a cluster that ends when this value is dropped or this process dies.
    ///
    /// # Errors
    /// As [`Cluster::up`].
    pub async fn start(profile: Profile) -> Result<Self> {
        let folder = Folder::temporary()?;
        let path = folder.path().to_owned();
        launch(folder, profile, Lifetime::Attached)
            .await
            .inspect_err(|_| end(&path))
    }

    /// Makes sure that the cluster called `name` runs, and leaves it running.
    ///
    /// # Errors
    /// If it runs with another profile, a program cannot be built, installed or started, or a node is
    /// asked for without root.
    pub async fn up(name: &str, profile: Profile) -> Result<Self> {
        let (folder, _turn) = turn(name).await?;
        if let Ok(running) = Self::open(name)
            && running.is_well().await
        {
            if running.facts.profile != profile {
                bail!("the cluster {name} runs with another profile: take it down first, or choose another name");
            }
            return Ok(running);
        }
        let path = folder.path().to_owned();
        remove(&path)?;
        let cluster = launch(folder, profile, Lifetime::Detached)
            .await
            .inspect_err(|_| end(&path));
        cluster.with_context(|| {
            format!(
                "the cluster {name} did not start; its logs, if any, are in {}",
                path.display()
            )
        })
    }

    /// The cluster called `name`, as [`Cluster::up`] left it.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(name: &str) -> Result<Self> {
        let path = Folder::named(name)?.path().to_owned();
        let facts = fs::read(path.join("cluster.json")).with_context(|| format!("there is no cluster {name}"))?;
        let facts = serde_json::from_slice(&facts).with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Self {
            path,
            facts,
            attached: None,
        })
    }

    /// Takes the cluster called `name` down and removes all that is left of it, whatever state it is
    /// in. Says whether there was anything.
    ///
    /// # Errors
    /// If its folder cannot be removed.
    pub async fn down(name: &str) -> Result<bool> {
        let (folder, _turn) = turn(name).await?;
        let existed = folder.path().exists();
        remove(folder.path())?;
        Ok(existed)
    }

    /// The folder of its files and logs.
    pub fn folder(&self) -> &Path {
        &self.path
    }

    /// What it can do.
    pub fn profile(&self) -> Profile {
        self.facts.profile
    }

    /// The addresses of its node, if it has one.
    pub fn network(&self) -> Option<Network> {
        self.facts.network
    }

    /// Its control plane, for a cluster that was started here and has no name.
    pub fn control_plane(&self) -> Option<&ControlPlane> {
        self.attached.as_ref().map(|attached| &attached.plane)
    }

    /// The administrator's kubeconfig file.
    pub fn kubeconfig(&self) -> PathBuf {
        self.path.join("kubeconfig")
    }

    /// A client with every right. It belongs to the Tokio runtime of its caller.
    pub async fn client(&self) -> Result<Client> {
        let text = fs::read(self.kubeconfig()).context("failed to read the kubeconfig")?;
        let document = serde_json::from_slice(&text).context("a kubeconfig that does not parse")?;
        let config = crate::kubeconfig::config(document).await?;
        Client::try_from(config).context("failed to build a client")
    }

    /// Gives the node the images of an archive (`docker-archive` or OCI layout, tar).
    ///
    /// # Errors
    /// If the cluster has no node, or containerd refuses the archive.
    pub async fn import_image(&self, archive: &Path) -> Result<()> {
        let init = node::first_process(&self.path).context("images are for a node, and none runs in this cluster")?;
        node::import(&self.path, init, archive).await
    }

    /// Its programs, and the process of each that runs.
    pub fn programs(&self) -> Vec<(&'static str, Option<Identity>)> {
        let running = process::of_cluster(&self.path);
        let find = |name: &str| {
            running
                .iter()
                .find(|(_, called)| called == name)
                .map(|&(identity, _)| identity)
        };
        self.facts
            .profile
            .programs()
            .iter()
            .map(|&name| (name, find(name)))
            .collect()
    }

    /// Whether every program runs and the API server says it is ready.
    pub async fn is_well(&self) -> bool {
        self.programs().iter().all(|(_, process)| process.is_some()) && self.answers().await.is_ok()
    }

    /// Waits until every program is under its own name: some are only just being executed.
    async fn complete(&self) -> Result<()> {
        let deadline = Instant::now() + COMPLETE;
        loop {
            let programs = self.programs();
            let Some((missing, _)) = programs.iter().find(|(_, process)| process.is_none()) else {
                return Ok(());
            };
            if Instant::now() > deadline {
                let log = self.path.join(format!("{missing}.log"));
                bail!("{missing} does not run; the end of its log:\n{}", process::tail(&log));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn answers(&self) -> Result<()> {
        let request = http::Request::get("/readyz")
            .body(Vec::new())
            .context("failed to build a request")?;
        let client = self.client().await?;
        tokio::time::timeout(Duration::from_secs(5), client.request_text(request)).await??;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.attached.is_some() {
            end(&self.path);
        }
    }
}

/// The folder of the cluster called `name`, and the turn to work on it.
async fn turn(name: &str) -> Result<(Folder, fs::File)> {
    let folder = Folder::named(name)?;
    let all = folder.path().parent().context("a folder without a parent")?;
    fs::create_dir_all(all).with_context(|| format!("failed to create {}", all.display()))?;
    let lock = tools::lock(&all.join(format!(".{name}.lock")), &format!("the cluster {name}")).await?;
    Ok((folder, lock))
}

async fn launch(folder: Folder, profile: Profile, lifetime: Lifetime) -> Result<Cluster> {
    if profile == Profile::Node && !rustix::process::geteuid().is_root() {
        bail!("a node needs root: run this as root, or use the profile control-plane, which runs no pods");
    }
    let path = folder.path().to_owned();
    fs::create_dir_all(&path).with_context(|| format!("failed to create {}", path.display()))?;
    let cluster = match profile {
        Profile::ControlPlane => launch_control_plane(folder, path, lifetime).await?,
        Profile::Node => launch_node(folder, path, lifetime).await?,
    };
    cluster.complete().await?;
    Ok(cluster)
}

async fn launch_control_plane(folder: Folder, path: PathBuf, lifetime: Lifetime) -> Result<Cluster> {
    let facts = Facts {
        profile: Profile::ControlPlane,
        network: None,
    };
    let plane = start_plane(Site::local(folder, lifetime)).await?;
    note(&path, facts)?;
    Ok(Cluster {
        path,
        facts,
        attached: attached(lifetime, Attached { _programs: None, plane }),
    })
}

async fn launch_node(folder: Folder, path: PathBuf, lifetime: Lifetime) -> Result<Cluster> {
    node::ensure_packages().await?;
    let tools = tools::ensure(&node::tools()).await?;
    let (holder, init) = node::unshare(&path, &tools, lifetime).await?;
    let network = {
        let _turn = network::turn().await?;
        Network::claim(init, &cgroups::name(&path)).await?
    };
    let facts = Facts {
        profile: Profile::Node,
        network: Some(network),
    };
    note(&path, facts)?;
    let site = Site {
        folder,
        address: network.node(),
        inside: Some(init),
        lifetime,
        services: network.services(),
        api_service: network.api_service(),
    };
    let plan = node::Plan {
        folder: &path,
        network,
        init,
        lifetime,
        tools: &tools,
    };
    let (runtime, plane) = tokio::try_join!(node::start_runtime(&plan), start_plane(site))?;
    let node = node::start(&plane, &plan).await?;
    let programs = Programs {
        _node: node,
        _runtime: runtime,
        _holder: holder,
    };
    Ok(Cluster {
        path,
        facts,
        attached: attached(
            lifetime,
            Attached {
                _programs: Some(programs),
                plane,
            },
        ),
    })
}

/// Detached programs are nobody's: they are found again by their folder.
fn attached(lifetime: Lifetime, programs: Attached) -> Option<Attached> {
    (lifetime == Lifetime::Attached).then_some(programs)
}

async fn start_plane(site: Site) -> Result<ControlPlane> {
    let step = Step::start("starting the control plane");
    let options = ControlPlaneOptions {
        controller_manager: true,
        ..Default::default()
    };
    let plane = ControlPlane::start_at(options, site).await?;
    step.done();
    Ok(plane)
}

fn note(folder: &Path, facts: Facts) -> Result<()> {
    let text = serde_json::to_string_pretty(&facts).context("facts that cannot be written")?;
    fs::write(folder.join("cluster.json"), text).context("failed to note what the cluster is")
}

/// Ends every process of the cluster in `folder` and takes away what the kernel keeps for it.
fn end(folder: &Path) {
    for (process, _) in process::of_cluster(folder) {
        process.kill();
    }
    let facts = fs::read(folder.join("cluster.json")).ok();
    let facts: Option<Facts> = facts.and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(network) = facts.and_then(|facts| facts.network) {
        network.release(&cgroups::name(folder));
    }
    cgroups::remove(folder);
}

/// Ends the cluster in `folder` and removes the folder.
fn remove(folder: &Path) -> Result<()> {
    end(folder);
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
