//! The control plane profile: etcd, API server and, if asked, controller manager, on loopback.
//!
//! Enough for custom resources, CEL, admission policies, RBAC, server-side apply, watches and load; no
//! pod ever runs. It works without root. An attached control plane ends with the test process, however
//! that ends.
//!
//! One server per test program, one namespace per test ([`ControlPlane::shared`]). Measured on two
//! cores: ready 2.1 to 2.8 s after start, 415 MB resident (API server 269, controller manager 106,
//! etcd 41), a namespace 8 ms, the end 70 ms. A server per test would cost each test three seconds and
//! all of this memory.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Namespace;
use kube::Config;
use kube::api::{Api, ObjectMeta, PostParams};
use tokio::sync::OnceCell;

use crate::audit::{AuditLevel, AuditLog};
use crate::certificates::{Authority, write_private};
use crate::kubeconfig::{Server, config};
use crate::process::{Identity, Lifetime, Process};
use crate::state::Folder;
use crate::tools::{self, Tool, Tools};

mod access;
mod programs;

/// How long the API server may take to be ready, on a busy machine.
const READY: Duration = Duration::from_mins(2);
/// How often a start is tried when another program took a port between choosing and binding it.
const ATTEMPTS: u32 = 3;

/// What a control plane is made of.
#[derive(Clone, Debug, Default)]
pub struct ControlPlaneOptions {
    /// Garbage collection, Deployments, Jobs, `CronJobs`, quotas and service accounts.
    pub controller_manager: bool,
    /// How much the audit log holds.
    pub audit: AuditLevel,
    /// More arguments for the API server, after ours.
    pub api_server_args: Vec<String>,
    /// More arguments for the controller manager, after ours.
    pub controller_manager_args: Vec<String>,
}

/// Where a control plane runs.
pub(crate) struct Site {
    pub(crate) folder: Folder,
    /// What the API server listens on.
    pub(crate) address: Ipv4Addr,
    /// The process whose namespaces the programs enter, on a node.
    pub(crate) inside: Option<Identity>,
    pub(crate) lifetime: Lifetime,
    /// The range of Services, CIDR; its first address is the API's own Service.
    pub(crate) services: String,
    pub(crate) api_service: Ipv4Addr,
}

impl Site {
    /// On this machine's loopback.
    pub(crate) fn local(folder: Folder, lifetime: Lifetime) -> Self {
        Self {
            folder,
            address: Ipv4Addr::LOCALHOST,
            inside: None,
            lifetime,
            services: "10.96.0.0/16".to_owned(),
            api_service: Ipv4Addr::new(10, 96, 0, 1),
        }
    }
}

/// A running control plane. Dropping it ends an attached one and removes a temporary folder.
pub struct ControlPlane {
    // Before the site: the programs end before their folder goes.
    running: Mutex<Running>,
    options: ControlPlaneOptions,
    tools: Tools,
    authority: Authority,
    server: Server,
    port: u16,
    admin: Config,
    site: Site,
}

/// The programs, each gone or running.
#[derive(Default)]
struct Running {
    etcd: Option<Process>,
    api_server: Option<Process>,
    controller_manager: Option<Process>,
}

impl ControlPlane {
    /// Starts a control plane of its own, in a temporary folder, on free ports; it is ready when this
    /// returns. Programs that were never built are built first, which takes minutes.
    ///
    /// # Errors
    /// If a program cannot be built, or ends early (with the end of its log), or the API server is not
    /// ready within two minutes.
    pub async fn start(options: ControlPlaneOptions) -> Result<Self> {
        Self::start_at(options, Site::local(Folder::temporary()?, Lifetime::Attached)).await
    }

    /// The control plane that the tests of one test program share: controller manager on, requests
    /// audited with their bodies. Each test takes a namespace of its own ([`ControlPlane::namespace`]);
    /// one that pauses, kills or counts cluster-wide starts its own.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn shared() -> Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        let options = ControlPlaneOptions {
            controller_manager: true,
            ..Default::default()
        };
        SHARED.get_or_try_init(|| Self::start(options)).await
    }

    pub(crate) async fn start_at(options: ControlPlaneOptions, site: Site) -> Result<Self> {
        let mut wanted = vec![Tool::Etcd, Tool::KubeApiserver];
        wanted.extend(options.controller_manager.then_some(Tool::KubeControllerManager));
        let tools = tools::ensure(&wanted).await?;
        let authority = Authority::new()?;
        let mut plane = Self::prepare(options, tools, authority, site).await?;
        for attempt in 1.. {
            match plane.launch().await {
                Ok(()) => break,
                Err(error) if attempt < ATTEMPTS && port_was_taken(&error) => {
                    *plane.running() = Running::default();
                    plane = Self::prepare(plane.options, plane.tools, plane.authority, plane.site).await?;
                }
                Err(error) => return Err(error.context(format!("the control plane did not start (attempt {attempt})"))),
            }
        }
        Ok(plane)
    }

    /// Chooses the port and writes every file the programs read.
    async fn prepare(options: ControlPlaneOptions, tools: Tools, authority: Authority, site: Site) -> Result<Self> {
        let port = if site.inside.is_some() {
            programs::API_PORT
        } else {
            free_port()?
        };
        let server = Server {
            url: format!("https://{}:{port}", site.address),
            authority: authority.certificate(),
        };
        let admin = server.with_certificate("tremplin", &authority.client("admin", &["system:masters"])?);
        programs::write_files(&site, &authority, &server, options.audit)?;
        write_private(&site.folder.path().join("kubeconfig"), &admin.to_string())?;
        let admin = config(admin).await?;
        let running = Mutex::default();
        Ok(Self {
            running,
            options,
            tools,
            authority,
            server,
            port,
            admin,
            site,
        })
    }

    async fn launch(&self) -> Result<()> {
        let etcd_port = if self.site.inside.is_some() {
            programs::ETCD_PORT
        } else {
            free_port()?
        };
        self.running().etcd = Some(programs::etcd(self, etcd_port)?);
        self.running().api_server = Some(programs::api_server(self, etcd_port)?);
        self.ready().await?;
        if self.options.controller_manager {
            self.start_controller_manager()?;
        }
        Ok(())
    }

    /// Waits until the API server says it is ready.
    async fn ready(&self) -> Result<()> {
        let client = self.client()?;
        let deadline = Instant::now() + READY;
        loop {
            let request = http::Request::get("/readyz")
                .body(Vec::new())
                .context("failed to build a request")?;
            let answer = tokio::time::timeout(Duration::from_secs(5), client.request_text(request)).await;
            if matches!(answer, Ok(Ok(_))) {
                return Ok(());
            }
            self.check()?;
            if Instant::now() > deadline {
                let last = self
                    .running()
                    .api_server
                    .as_ref()
                    .map(Process::log_tail)
                    .unwrap_or_default();
                bail!("the API server was not ready within {READY:?}; the end of its log:\n{last}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Fails with the end of a log if a program that should run has ended.
    pub fn check(&self) -> Result<()> {
        let running = self.running();
        [&running.etcd, &running.api_server, &running.controller_manager]
            .into_iter()
            .flatten()
            .try_for_each(Process::check)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of its files and logs.
    pub fn folder(&self) -> &Path {
        self.site.folder.path()
    }

    /// The administrator's kubeconfig file.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    /// The administrator's configuration.
    pub fn admin_config(&self) -> Config {
        self.admin.clone()
    }

    /// The API server's address, `https://…`.
    pub fn url(&self) -> &str {
        &self.server.url
    }

    /// Creates a namespace that nobody else uses, `<prefix>-<number>`, and gives its name.
    pub async fn namespace(&self, prefix: &str) -> Result<String> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let name = format!("{prefix}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let metadata = ObjectMeta {
            name: Some(name.clone()),
            ..Default::default()
        };
        let namespace = Namespace {
            metadata,
            ..Default::default()
        };
        let namespaces: Api<Namespace> = Api::all(self.client()?);
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .context("failed to create a namespace")?;
        Ok(name)
    }

    /// What the API server was asked so far.
    pub fn audit_log(&self) -> AuditLog {
        AuditLog::new(programs::audit_log(self.folder()))
    }

    /// Freezes the API server: connections stay open and nothing answers.
    pub fn pause_api_server(&self) {
        self.running().api_server.iter().for_each(Process::pause);
    }

    /// Lets a frozen API server go on.
    pub fn resume_api_server(&self) {
        self.running().api_server.iter().for_each(Process::resume);
    }

    /// Kills the API server: connections break and new ones are refused.
    pub fn kill_api_server(&self) {
        if let Some(process) = self.running().api_server.take() {
            process.kill();
        }
    }

    /// Starts a killed API server again, on the same port and with the same objects; ready on return.
    pub async fn start_api_server(&self) -> Result<()> {
        self.kill_api_server();
        let etcd_port = programs::etcd_port(self.folder())?;
        self.running().api_server = Some(programs::api_server(self, etcd_port)?);
        self.ready().await
    }

    /// Ends the controller manager: nothing is collected, no Deployment becomes pods any more.
    pub fn stop_controller_manager(&self) {
        if let Some(process) = self.running().controller_manager.take() {
            process.kill();
        }
    }

    /// Starts the controller manager (again).
    pub fn start_controller_manager(&self) -> Result<()> {
        self.stop_controller_manager();
        self.running().controller_manager = Some(programs::controller_manager(self)?);
        Ok(())
    }

    /// The processes of the programs that run.
    pub fn processes(&self) -> Vec<Identity> {
        let running = self.running();
        let programs = [&running.etcd, &running.api_server, &running.controller_manager];
        programs.into_iter().flatten().map(Process::identity).collect()
    }

    /// The programs that run and their resident memory in bytes.
    pub fn memory(&self) -> Vec<(&'static str, u64)> {
        let running = self.running();
        let programs = [&running.etcd, &running.api_server, &running.controller_manager];
        programs
            .into_iter()
            .flatten()
            .map(|process| (process.name(), process.memory()))
            .collect()
    }
}

/// A port of the loopback that is free now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on the loopback")?;
    Ok(listener.local_addr().context("a listener without an address")?.port())
}

/// Whether a program's last words say that somebody else bound the port first.
fn port_was_taken(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("address already in use")
}
