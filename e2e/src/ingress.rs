//! The data path from this machine into the cluster: Debian's HAProxy, configured from the Ingress objects.
//!
//! No ingress controller can be built from a Go module that this project may use, so this is a small one of our own:
//! it watches Ingresses and Services, renders HAProxy's configuration ([`config`]), has the running proxy take it
//! over without closing its listening socket, and writes each Ingress's address into its status. It serves the
//! class [`CLASS`], plain HTTP only, on one loopback port of this machine, and reaches pods by the cluster
//! addresses of their Services, as kube-proxy balances them. It takes no annotation.
//!
//! Names below `localhost` lead to the loopback without any name server (RFC 6761, 6.3).

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::api::{Api, Patch, PatchParams};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::task::JoinSet;

use crate::packages::{self, Package};

pub mod config;
mod proxy;
mod start;

use proxy::Proxy;
pub use proxy::address;
pub use start::{DataPath, serve_cluster, up};

/// The class of the Ingresses that are served.
pub const CLASS: &str = "haproxy";

/// How long to wait for more changes before the proxy is told of one.
const SETTLE: Duration = Duration::from_millis(50);
/// How often the proxy is looked after when nothing changes.
const LOOK: Duration = Duration::from_secs(1);
const HAPROXY: Package = Package::new("haproxy", "haproxy");

/// Serves the cluster's Ingresses for as long as the caller waits, on port 8080 of the loopback or a free one
/// ([`address`]). Files and logs go to `folder`, the cluster's own.
///
/// It fails if HAProxy cannot be installed or started, or ends. What the API server answers is retried for ever.
async fn serve(client: Client, folder: &Path) -> Result<()> {
    packages::ensure(&[HAPROXY]).await?;
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
