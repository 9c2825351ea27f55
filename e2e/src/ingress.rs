//! The data path from this machine into the cluster: Debian's HAProxy, configured from the Ingress objects.
//!
//! No ingress controller can be built from a Go module that this project may use, so this is a small one of our own:
//! it watches Ingresses and Services, renders HAProxy's configuration ([`config`]), has the running proxy take it
//! over without closing its listening socket, and writes each Ingress's address into its status. It serves the
//! class [`CLASS`], plain HTTP only, on one loopback port of this machine, and reaches pods by the cluster
//! addresses of their Services, as kube-proxy balances them. It takes no annotation.
//!
//! Names below `localhost` lead to the loopback without any name server (RFC 6761, 6.3).

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::task::JoinSet;

use crate::command::run;
use crate::packages::{self, Package};
use crate::process::{Lifetime, Process, Program};

pub mod config;

/// The class of the Ingresses that are served.
pub const CLASS: &str = "haproxy";

/// The port that is taken when it is free.
const PREFERRED_PORT: u16 = 8080;
/// How long to wait for more changes before the proxy is told of one.
const SETTLE: Duration = Duration::from_millis(50);
/// How often the proxy is looked after when nothing changes.
const LOOK: Duration = Duration::from_secs(1);
/// How long the proxy may take to listen.
const LISTENING: Duration = Duration::from_secs(10);
/// How many ports are tried.
const ATTEMPTS: u32 = 5;
/// The file that holds the address.
const ADDRESS: &str = "address";
const HAPROXY: Package = Package::new("haproxy", "haproxy");

/// Where the data path whose files are in `folder` listens, once it does.
pub fn address(folder: &Path) -> Option<SocketAddr> {
    fs::read_to_string(folder.join(ADDRESS)).ok()?.parse().ok()
}

/// A loopback address to listen on: port 8080 if it is free, else any.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PREFERRED_PORT))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("no free port on the loopback")?;
    listener.local_addr().context("a listener without an address")
}

/// Serves the cluster's Ingresses for as long as the caller waits, on port 8080 of the loopback or a free one
/// ([`address`]). Files and logs go to `folder`.
///
/// # Errors
/// If HAProxy cannot be installed or started, or ends. What the API server answers is retried for ever.
pub async fn serve(client: Client, folder: &Path) -> Result<()> {
    packages::ensure(&[HAPROXY]).await?;
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    make_class(&client).await?;
    let mut tasks = JoinSet::new();
    let (changed, mut news) = tokio::sync::watch::channel(());
    let ingresses: Store<Ingress> = cache(&client, &mut tasks, changed.clone());
    let services: Store<Service> = cache(&client, &mut tasks, changed);
    ingresses
        .wait_until_ready()
        .await
        .context("the watch of Ingresses ended")?;
    services
        .wait_until_ready()
        .await
        .context("the watch of Services ended")?;
    news.mark_unchanged();
    let mut mine = ours(&ingresses);
    let mut proxy = Proxy::start(folder, &mine, &values(&services)).await?;
    loop {
        publish(&client, &mine, proxy.listen).await;
        while tokio::time::timeout(LOOK, news.changed()).await.is_err() {
            proxy.process.check()?;
        }
        tokio::time::sleep(SETTLE).await;
        news.mark_unchanged();
        mine = ours(&ingresses);
        proxy.serve(&mine, &values(&services)).await?;
    }
}

/// Keeps all objects of a kind, and says when one changed. An error is told and tried again.
fn cache<K>(client: &Client, tasks: &mut JoinSet<()>, changed: tokio::sync::watch::Sender<()>) -> Store<K>
where
    K: Resource<DynamicType = ()> + DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static,
{
    let (store, writer) = reflector::store();
    let events = watcher(Api::<K>::all(client.clone()), watcher::Config::default());
    let events = events.default_backoff().reflect(writer);
    tasks.spawn(async move {
        let mut events = std::pin::pin!(events);
        while let Some(event) = futures::StreamExt::next(&mut events).await {
            if let Err(error) = event {
                eprintln!("watch of {}: {error}", K::plural(&()));
            }
            changed.send_replace(());
        }
    });
    store
}

fn values<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>) -> Vec<K> {
    store.state().iter().map(|object| K::clone(object)).collect()
}

fn ours(ingresses: &Store<Ingress>) -> Vec<Ingress> {
    let is_ours = |ingress: &Ingress| {
        let class = ingress
            .spec
            .as_ref()
            .and_then(|spec| spec.ingress_class_name.as_deref());
        class == Some(CLASS)
    };
    values(ingresses).into_iter().filter(is_ours).collect()
}

/// Makes the class, and makes it the default one.
async fn make_class(client: &Client) -> Result<()> {
    let class = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": CLASS, "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
        "spec": {"controller": "tremplin.dev/local-haproxy"},
    });
    let classes: Api<IngressClass> = Api::all(client.clone());
    let params = PatchParams::apply("tremplin-e2e").force();
    classes
        .patch(CLASS, &params, &Patch::Apply(class))
        .await
        .context("failed to make the Ingress class")?;
    Ok(())
}

/// Writes where an Ingress is reached into its status, where that is not there yet. An error is told only: the
/// change that caused it brings us back here.
async fn publish(client: &Client, ingresses: &[Ingress], listen: SocketAddr) {
    let address = json!([{"ip": listen.ip().to_string(), "ports": [{"port": listen.port(), "protocol": "TCP"}]}]);
    for ingress in ingresses {
        let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
        let current = balancer.and_then(|balancer| balancer.ingress.as_ref());
        if serde_json::to_value(current).is_ok_and(|current| current == address) {
            continue;
        }
        let (namespace, name) = (ingress.namespace().unwrap_or_default(), ingress.name_any());
        let status = json!({"status": {"loadBalancer": {"ingress": address}}});
        let api: Api<Ingress> = Api::namespaced(client.clone(), &namespace);
        if let Err(error) = api
            .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
            .await
        {
            eprintln!("status of {namespace}/{name}: {error}");
        }
    }
}

/// The running HAProxy.
struct Proxy {
    process: Process,
    listen: SocketAddr,
    socket: PathBuf,
    file: PathBuf,
    /// What it serves now.
    text: String,
}

impl Proxy {
    /// Starts it with its first rules; it listens when this returns.
    async fn start(folder: &Path, ingresses: &[Ingress], services: &[Service]) -> Result<Self> {
        for attempt in 1.. {
            let proxy = Self::launch(folder, free_address()?, ingresses, services)?;
            match proxy.listens().await {
                Ok(()) => {
                    let address = folder.join(ADDRESS);
                    fs::write(&address, proxy.listen.to_string())
                        .with_context(|| format!("failed to write {}", address.display()))?;
                    return Ok(proxy);
                }
                // Another program took the port between our look and the bind.
                Err(error) if attempt < ATTEMPTS && format!("{error:#}").contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        bail!("no port for HAProxy")
    }

    fn launch(folder: &Path, listen: SocketAddr, ingresses: &[Ingress], services: &[Service]) -> Result<Self> {
        let (socket, file) = (folder.join("haproxy.sock"), folder.join("haproxy.cfg"));
        let text = config::render(&config::Inputs {
            listen,
            socket: &socket,
            ingresses,
            services,
        });
        fs::write(&file, &text).with_context(|| format!("failed to write {}", file.display()))?;
        // A master that stays in the foreground, and a worker that it replaces on a change.
        let program = Program::new("haproxy", "haproxy")
            .args(["-W", "-f"])
            .arg(file.display().to_string());
        let process = program.start(folder, Lifetime::Attached)?;
        Ok(Self {
            process,
            listen,
            socket,
            file,
            text,
        })
    }

    /// Waits until it says that it listens: whoever answers on the port may be another program.
    async fn listens(&self) -> Result<()> {
        let deadline = Instant::now() + LISTENING;
        while !self.process.log_tail().contains("Loading success") {
            self.process.check()?;
            if Instant::now() > deadline {
                bail!(
                    "HAProxy does not listen on {}:\n{}",
                    self.listen,
                    self.process.log_tail()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Serves these rules from now on, if they are others than before. Text that the proxy itself refuses is told,
    /// and the rules before it stay.
    async fn serve(&mut self, ingresses: &[Ingress], services: &[Service]) -> Result<()> {
        let inputs = config::Inputs {
            listen: self.listen,
            socket: &self.socket,
            ingresses,
            services,
        };
        let text = config::render(&inputs);
        if text == self.text {
            return Ok(());
        }
        let next = self.file.with_extension("next");
        fs::write(&next, &text).with_context(|| format!("failed to write {}", next.display()))?;
        self.text = text;
        if let Err(error) = run(tokio::process::Command::new("haproxy")
            .args(["-c", "-q", "-f"])
            .arg(&next))
        .await
        {
            eprintln!("the rules stay as they were: {error:#}");
            return Ok(());
        }
        fs::rename(&next, &self.file).with_context(|| format!("failed to write {}", self.file.display()))?;
        self.process.reload();
        Ok(())
    }
}
