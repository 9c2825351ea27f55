//! The command lines of the control plane's programs and the files they read.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{ControlPlane, Site};
use crate::audit::AuditLevel;
use crate::certificates::{Authority, write_private, write_signing_key};
use crate::kubeconfig::Server;
use crate::process::{Process, Program};
use crate::tools::Tool;

/// The API server's port in a network namespace of its own.
pub(super) const API_PORT: u16 = 6443;
/// etcd's port in a network namespace of its own.
pub(super) const ETCD_PORT: u16 = 2379;

/// Where the programs' certificates and keys are.
fn pki(folder: &Path) -> PathBuf {
    folder.join("pki")
}

/// The audit log's file.
pub(super) fn audit_log(folder: &Path) -> PathBuf {
    folder.join("audit.log")
}

/// The port of the etcd that was started last.
pub(super) fn etcd_port(folder: &Path) -> Result<u16> {
    let text = fs::read_to_string(folder.join("etcd.port")).context("etcd was never started")?;
    text.parse().context("etcd.port holds no port")
}

pub(super) fn write_files(site: &Site, authority: &Authority, server: &Server, audit: AuditLevel) -> Result<()> {
    let folder = site.folder.path();
    let pki = pki(folder);
    fs::create_dir_all(&pki).with_context(|| format!("failed to create {}", pki.display()))?;
    write_private(&pki.join("ca.crt"), &authority.certificate())?;
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
    ];
    let addresses = [site.address, Ipv4Addr::LOCALHOST, site.api_service].map(IpAddr::V4);
    authority.server(&names, &addresses)?.write(&pki, "apiserver")?;
    authority
        .client("kube-apiserver", &["system:masters"])?
        .write(&pki, "apiserver-kubelet")?;
    write_signing_key(&pki, "service-accounts")?;
    let manager = authority.client("system:kube-controller-manager", &[])?;
    let manager = server.with_certificate("tremplin", &manager);
    write_private(&folder.join("controller-manager.kubeconfig"), &manager.to_string())?;
    write_private(&folder.join("audit-policy.json"), &audit.policy())
}

/// Nothing it holds outlives the cluster, so it never waits for the disk.
pub(super) fn etcd(plane: &ControlPlane, port: u16) -> Result<Process> {
    let folder = plane.folder();
    let url = format!("http://127.0.0.1:{port}");
    fs::write(folder.join("etcd.port"), port.to_string()).context("failed to note etcd's port")?;
    Program::new("etcd", plane.tools.path(Tool::Etcd)?)
        .arg(format!("--data-dir={}", folder.join("etcd").display()))
        .arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"))
        .args([
            "--listen-peer-urls=http://127.0.0.1:0",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ])
        .inside(plane.site.inside)
        .start(folder, plane.site.lifetime)
}

pub(super) fn api_server(plane: &ControlPlane, etcd_port: u16) -> Result<Process> {
    let (folder, site) = (plane.folder(), &plane.site);
    let pki = |name: &str| pki(folder).join(name).display().to_string();
    // A loopback address cannot be an endpoint of the API's own Service: without a node there is none.
    let reconciler = if site.inside.is_some() { "lease" } else { "none" };
    Program::new("kube-apiserver", plane.tools.path(Tool::KubeApiserver)?)
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"))
        .arg(format!("--bind-address={}", site.address))
        .arg(format!("--advertise-address={}", site.address))
        .arg(format!("--secure-port={}", plane.port))
        .arg(format!("--endpoint-reconciler-type={reconciler}"))
        .arg(format!("--service-cluster-ip-range={}", site.services))
        .arg(format!("--cert-dir={}", pki("")))
        .arg(format!("--tls-cert-file={}", pki("apiserver.crt")))
        .arg(format!("--tls-private-key-file={}", pki("apiserver.key")))
        .arg(format!("--client-ca-file={}", pki("ca.crt")))
        .arg(format!("--kubelet-client-certificate={}", pki("apiserver-kubelet.crt")))
        .arg(format!("--kubelet-client-key={}", pki("apiserver-kubelet.key")))
        .arg("--kubelet-preferred-address-types=InternalIP")
        .arg(format!("--service-account-key-file={}", pki("service-accounts.pub")))
        .arg(format!(
            "--service-account-signing-key-file={}",
            pki("service-accounts.key")
        ))
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg("--authorization-mode=RBAC,Node")
        // The first as on OpenShift, where it is on: an owner's `finalizers` must be ours to update.
        .arg("--enable-admission-plugins=OwnerReferencesPermissionEnforcement,NodeRestriction")
        .arg(format!(
            "--audit-policy-file={}",
            folder.join("audit-policy.json").display()
        ))
        .arg(format!("--audit-log-path={}", audit_log(folder).display()))
        .args(["--allow-privileged=true", "--profiling=false"])
        .args(&plane.options.api_server_args)
        .inside(site.inside)
        .start(folder, site.lifetime)
}

pub(super) fn controller_manager(plane: &ControlPlane) -> Result<Process> {
    let folder = plane.folder();
    let kubeconfig = folder.join("controller-manager.kubeconfig").display().to_string();
    Program::new(
        "kube-controller-manager",
        plane.tools.path(Tool::KubeControllerManager)?,
    )
    .arg(format!("--kubeconfig={kubeconfig}"))
    .arg(format!(
        "--service-account-private-key-file={}",
        pki(folder).join("service-accounts.key").display()
    ))
    .arg(format!("--root-ca-file={}", pki(folder).join("ca.crt").display()))
    .args([
        "--controllers=*,-nodeipam",
        "--leader-elect=false",
        "--use-service-account-credentials",
    ])
    // Nobody asks it for metrics: no port.
    .args(["--secure-port=0", "--profiling=false"])
    .args(&plane.options.controller_manager_args)
    .inside(plane.site.inside)
    .start(folder, plane.site.lifetime)
}
