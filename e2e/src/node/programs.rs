//! The command lines of the node's programs and the files they read, all JSON (which is YAML too).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::statfs;
use serde_json::{Value, json};

use super::pause;
use crate::network::Network;
use crate::process::{Identity, Lifetime, Process, Program};
use crate::tools::{Tool, Tools};

/// The node's name.
pub(super) const NAME: &str = "node";
/// Where containerd answers, inside the node.
pub(super) const CONTAINERD: &str = "/run/containerd/containerd.sock";
/// The file system on which overlays cannot be stacked (`OVERLAYFS_SUPER_MAGIC`).
const OVERLAY: i64 = 0x794c_7630;

/// What the programs of one node share.
pub(crate) struct Plan<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) network: Network,
    pub(crate) init: Identity,
    pub(crate) lifetime: Lifetime,
    pub(crate) tools: &'a Tools,
}

impl Plan<'_> {
    fn write(&self, name: &str, content: &Value) -> Result<String> {
        let path = self.folder.join(name);
        fs::write(&path, content.to_string()).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(path.display().to_string())
    }

    fn kubeconfig(&self, name: &str) -> String {
        self.folder.join(format!("{name}.kubeconfig")).display().to_string()
    }

    fn start(&self, program: Program) -> Result<Process> {
        program.inside(Some(self.init)).start(self.folder, self.lifetime)
    }

    pub(super) fn containerd(&self) -> Result<Process> {
        let networks = self.folder.join("cni");
        fs::create_dir_all(&networks).context("failed to create the folder of network configurations")?;
        let range = json!([[{"subnet": self.network.pods()}]]);
        let bridge = json!({
            "type": "bridge", "bridge": Network::BRIDGE, "isGateway": true, "isDefaultGateway": true,
            "hairpinMode": true, "ipam": {"type": "host-local", "ranges": range},
        });
        self.write(
            "cni/pods.conflist",
            &json!({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}),
        )?;
        let config = self.folder.join("containerd.toml");
        fs::write(&config, self.containerd_config(&networks)?).context("failed to write containerd's configuration")?;
        self.start(Program::new("containerd", "containerd").arg(format!("--config={}", config.display())))
    }

    /// `restrict_oom_score_adj` lets runc work where this machine itself is restricted. Profiles of
    /// `AppArmor` would be loaded into the machine's kernel.
    fn containerd_config(&self, networks: &Path) -> Result<String> {
        let plugins = super::network_plugins().context("the network plugins (CNI) are not installed")?;
        Ok(format!(
            r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "{snapshotter}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{networks}"
"#,
            image = pause::IMAGE,
            snapshotter = snapshotter(self.folder),
            networks = networks.display(),
        ))
    }

    pub(super) fn kubelet(&self) -> Result<Process> {
        let authority = self.folder.join("pki/ca.crt");
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.network.node(),
            "authentication": {
                "anonymous": {"enabled": false},
                "webhook": {"enabled": true},
                "x509": {"clientCAFile": authority},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": format!("unix://{CONTAINERD}"),
            "clusterDomain": "cluster.local",
            "clusterDNS": [self.network.node()],
            // Nothing beyond this machine is reached: there is nobody to forward names to.
            "resolvConf": "",
            // Works with version 1 of cgroups, without systemd and without the right to lower a score.
            "failCgroupV1": false,
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": false,
            "enforceNodeAllocatable": [],
            "failSwapOn": false,
            "maxPods": 200,
            // The disk is the machine's: that it is rather full is no reason to stop pods.
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
        });
        let config = self.write("kubelet.json", &config)?;
        let program = Program::new("kubelet", self.tools.path(Tool::Kubelet)?)
            .arg(format!("--config={config}"))
            .arg(format!("--kubeconfig={}", self.kubeconfig("kubelet")))
            .arg(format!("--hostname-override={NAME}"))
            .arg(format!("--node-ip={}", self.network.node()));
        self.start(program)
    }

    pub(super) fn scheduler(&self) -> Result<Process> {
        let program = Program::new("kube-scheduler", self.tools.path(Tool::KubeScheduler)?)
            .arg(format!("--kubeconfig={}", self.kubeconfig("scheduler")))
            .args(["--leader-elect=false", "--secure-port=0", "--profiling=false"]);
        self.start(program)
    }

    pub(super) fn proxy(&self) -> Result<Process> {
        let config = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clusterCIDR": self.network.pods(),
            "clientConnection": {"kubeconfig": self.kubeconfig("proxy")},
            "hostnameOverride": NAME,
            "bindAddress": self.network.node(),
            "metricsBindAddress": "127.0.0.1:10249",
            "healthzBindAddress": "127.0.0.1:10256",
            // The limit of tracked connections is the machine's.
            "conntrack": {"maxPerCore": 0},
        });
        let config = self.write("proxy.json", &config)?;
        self.start(Program::new("kube-proxy", self.tools.path(Tool::KubeProxy)?).arg(format!("--config={config}")))
    }

    pub(super) fn dns(&self) -> Result<Process> {
        let corefile = self.folder.join("Corefile");
        let text = format!(
            ".:53 {{\n  bind {address}\n  errors\n  kubernetes cluster.local in-addr.arpa {{\n    \
             kubeconfig {kubeconfig}\n    pods insecure\n    ttl 5\n  }}\n}}\n",
            address = self.network.node(),
            kubeconfig = self.kubeconfig("dns"),
        );
        fs::write(&corefile, text).context("failed to write the DNS server's configuration")?;
        let program = Program::new("coredns", self.tools.path(Tool::Coredns)?);
        self.start(program.arg(format!("-conf={}", corefile.display())))
    }
}

/// How containerd keeps layers: stacked where the file system can, else copied.
pub(super) fn snapshotter(folder: &Path) -> &'static str {
    match statfs(folder) {
        Ok(found) if found.f_type == OVERLAY => "native",
        _ => "overlayfs",
    }
}
