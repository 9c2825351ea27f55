//! The node profile: containerd, kubelet, scheduler, kube-proxy and DNS beside a control plane, which
//! run real pods.
//!
//! The whole node has network, mounts and processes of its own (namespaces of Linux). It is reached by
//! one link ([`crate::network`]); the machine's packet filter, mounts and kernel settings stay as they
//! are; and whoever kills its first process has removed all processes, mounts and interfaces at once,
//! whatever state they were in. What stays is a folder and control groups, removed by name.
//!
//! It resembles a production node in all that an application can see, with these limits: one node,
//! `NetworkPolicy` objects are accepted and not enforced, pods reach nothing beyond this machine,
//! images are imported and never pulled.
//!
//! Measured on two cores: it takes pods 7 s after the start, and 740 MB are resident at rest (API server
//! 288, controller manager 107, kubelet 82, scheduler 64, kube-proxy 59, DNS 58, containerd 51, etcd 43):
//! a test program may well start its own.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Node as NodeObject;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio::process::Command;

use crate::certificates::write_private;
use crate::cgroups;
use crate::control_plane::ControlPlane;
use crate::network::Network;
use crate::packages::{self, Package};
use crate::process::{Identity, Lifetime, Process, Program, enter, tail};
use crate::progress::Step;
use crate::tools::{Tool, Tools};

mod pause;
mod programs;

pub(crate) use programs::Plan;
use programs::{CONTAINERD, NAME};

/// How long a step of the start may take on a busy machine.
const DEADLINE: Duration = Duration::from_mins(2);
/// The program that holds a node's namespaces.
const HOLDER: &str = "unshare";

/// Where Debian and others put network plugins.
const NETWORK_PLUGINS: &[&str] = &["/usr/lib/cni", "/opt/cni/bin"];

/// The folder of the network plugins.
fn network_plugins() -> Option<&'static str> {
    let there = |folder: &&&str| Path::new(folder).join("bridge").is_file();
    NETWORK_PLUGINS.iter().find(there).copied()
}

/// Installs what a node takes from the distribution and is missing.
///
/// # Errors
/// If it cannot be installed: no root, no Debian, no mirror.
pub(crate) async fn ensure_packages() -> Result<()> {
    let mut packages = vec![
        Package::new("containerd", "containerd"),
        Package::new("runc", "runc"),
        Package::new("iptables", "iptables"),
        Package::new("conntrack", "conntrack"),
        Package::new("iproute2", "ip"),
    ];
    if network_plugins().is_none() {
        packages.push(Package::new("containernetworking-plugins", "/usr/lib/cni/bridge"));
    }
    packages::ensure(&packages).await
}

/// What a cluster with a node is made of.
pub(crate) fn tools() -> Vec<Tool> {
    use Tool::{Coredns, Etcd, KubeApiserver, KubeControllerManager, KubeProxy, KubeScheduler, Kubelet, Pause};
    vec![
        Etcd,
        KubeApiserver,
        KubeControllerManager,
        Kubelet,
        KubeScheduler,
        KubeProxy,
        Coredns,
        Pause,
    ]
}

/// The programs of a running node. Dropping attached ones ends them.
pub(crate) struct Node {
    _programs: Vec<Process>,
}

/// Makes the namespaces of a node: gives the process that holds them and the first process in them.
pub(crate) async fn unshare(folder: &Path, tools: &Tools, lifetime: Lifetime) -> Result<(Process, Identity)> {
    let script = folder.join("init.sh");
    fs::write(&script, include_str!("node/init.sh")).context("failed to write the node's first program")?;
    let _ = fs::remove_file(folder.join("node.ready"));
    let holder = Program::new("node", HOLDER)
        .args([
            "--fork",
            "--kill-child=KILL",
            "--pid",
            "--mount",
            "--net",
            "--mount-proc",
            "bash",
        ])
        .arg(script.display().to_string())
        .arg(cgroups::name(folder))
        .arg(folder.display().to_string())
        .args(tools.folders().iter().map(|folder| folder.display().to_string()))
        .start(folder, lifetime)?;
    wait("the node's namespaces", async || {
        holder.check()?;
        Ok(folder.join("node.ready").exists())
    })
    .await?;
    let init = first_process(folder).context("the node's first process is gone")?;
    Ok((holder, init))
}

/// The first process of the node in `folder`, if it runs.
pub(crate) fn first_process(folder: &Path) -> Option<Identity> {
    let processes = crate::process::of_cluster(folder);
    let (holder, _) = processes.iter().find(|(_, name)| name == HOLDER)?;
    holder.children().first().copied()
}

/// Starts the container runtime and gives it the image that every pod begins with.
pub(crate) async fn start_runtime(plan: &Plan<'_>) -> Result<Process> {
    let archive = pause::write(plan.folder, plan.tools.path(Tool::Pause)?).await?;
    let runtime = plan.containerd()?;
    wait("containerd", async || {
        runtime.check()?;
        Ok(import(plan.folder, plan.init, &archive).await.is_ok())
    })
    .await?;
    Ok(runtime)
}

/// Starts what makes a node of a control plane; it takes pods when this returns.
pub(crate) async fn start(plane: &ControlPlane, plan: &Plan<'_>) -> Result<Node> {
    let node = format!("system:node:{NAME}");
    let users: [(&str, &str, &[&str]); 4] = [
        ("kubelet", &node, &["system:nodes"]),
        ("scheduler", "system:kube-scheduler", &[]),
        ("proxy", "system:kube-proxy", &[]),
        ("dns", "system:dns", &[]),
    ];
    for (name, user, groups) in users {
        let document = plane.document_as(user, groups)?;
        write_private(&plan.folder.join(format!("{name}.kubeconfig")), &document.to_string())?;
    }
    let client = plane.client()?;
    allow_dns(&client).await?;
    let programs = vec![plan.kubelet()?, plan.scheduler()?, plan.proxy()?, plan.dns()?];

    let nodes: Api<NodeObject> = Api::all(client);
    wait("the node", async || {
        programs.iter().try_for_each(Process::check)?;
        let node = nodes.get_opt(NAME).await.context("failed to read the node")?;
        Ok(node.is_some_and(|node| is_ready(&node)) && answers(plan.network).await)
    })
    .await
    .with_context(|| {
        format!(
            "the end of the kubelet's log:\n{}",
            tail(&plan.folder.join("kubelet.log"))
        )
    })?;
    Ok(Node { _programs: programs })
}

fn is_ready(node: &NodeObject) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

/// Whether this machine reaches the API server's Service and the DNS server.
async fn answers(network: Network) -> bool {
    let connect = |address, port| tokio::net::TcpStream::connect((address, port));
    let both = async { tokio::join!(connect(network.api_service(), 443), connect(network.node(), 53)) };
    matches!(
        tokio::time::timeout(Duration::from_secs(2), both).await,
        Ok((Ok(_), Ok(_)))
    )
}

/// The rights of the DNS server: to see Services and what is behind them.
async fn allow_dns(client: &Client) -> Result<()> {
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:dns"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:dns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:dns"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:dns"}],
    });
    let params = PatchParams::apply("tremplin-e2e").force();
    let roles: Api<ClusterRole> = Api::all(client.clone());
    roles
        .patch("system:dns", &params, &Patch::Apply(role))
        .await
        .context("failed to give DNS its rights")?;
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    bindings
        .patch("system:dns", &params, &Patch::Apply(binding))
        .await
        .context("failed to give DNS its rights")?;
    Ok(())
}

/// Gives the node in `folder` the images of an archive (`docker-archive` or OCI layout, tar).
pub(crate) async fn import(folder: &Path, init: Identity, archive: &Path) -> Result<()> {
    let file = fs::File::open(archive).with_context(|| format!("failed to open {}", archive.display()))?;
    let mut words = enter(init);
    words.extend(
        [
            "ctr",
            "--address",
            CONTAINERD,
            "--namespace",
            "k8s.io",
            "images",
            "import",
        ]
        .map(str::to_owned),
    );
    words.push(format!("--snapshotter={}", programs::snapshotter(folder)));
    words.push("-".to_owned());
    let (program, arguments) = words.split_first().context("an empty command")?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::from(file))
        .output()
        .await
        .context("failed to run ctr")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("containerd refused {}: {}", archive.display(), reason.trim());
    }
    Ok(())
}

/// Waits for a step of the start.
async fn wait<F: AsyncFnMut() -> Result<bool>>(what: &str, mut done: F) -> Result<()> {
    let step = Step::start(format!("waiting for {what}"));
    let deadline = Instant::now() + DEADLINE;
    while !done().await? {
        if Instant::now() > deadline {
            bail!("gave up waiting for {what} after {DEADLINE:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    step.done();
    Ok(())
}
