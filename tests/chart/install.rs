//! Installs the charts on a control plane, and what tests do there.
#![allow(dead_code, reason = "each test program uses its part")]

use std::time::{Duration, Instant};

use kube::Client;
use kube::api::Api;
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::ApiResource;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tremplin_e2e::ControlPlane;

use crate::helm::{chart, helm};

/// Where the operator is installed.
pub const OPERATORS: &str = "operators";
const DEADLINE: Duration = Duration::from_mins(1);

/// An object of a known kind from JSON.
pub fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// Waits until a condition holds.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut condition: F) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs Helm against the cluster, in the operator's namespace.
pub async fn run_helm(plane: &ControlPlane, arguments: &[&str]) {
    let kubeconfig = plane.kubeconfig();
    let mut all = vec!["--kubeconfig", kubeconfig.to_str().unwrap(), "--namespace", OPERATORS];
    all.extend(arguments);
    let answer = helm(&all).await;
    assert!(answer.success, "helm {arguments:?}: {}", answer.stderr);
}

/// Installs both charts with their default values, or upgrades to them.
pub async fn install(plane: &ControlPlane) {
    for name in ["tremplin-crds", "tremplin"] {
        let folder = chart(name);
        let arguments = [
            "upgrade",
            "--install",
            name,
            folder.to_str().unwrap(),
            "--create-namespace",
        ];
        run_helm(plane, &arguments).await;
    }
}

/// The objects of a kind, given as `group/version/Kind/plural`, in a namespace.
pub fn objects_of(client: &Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &resource(kind))
}

/// The objects of a cluster-scoped kind, given likewise.
pub fn cluster_objects_of(client: &Client, kind: &str) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &resource(kind))
}

fn resource(kind: &str) -> ApiResource {
    let mut parts = kind.split('/');
    let mut next = || parts.next().unwrap();
    let kind = GroupVersionKind::gvk(next(), next(), next());
    ApiResource::from_gvk_with_plural(&kind, next())
}

/// The apps of a namespace, as whoever writes them sees them.
pub fn startup_apps(client: &Client, namespace: &str) -> Api<DynamicObject> {
    objects_of(client, namespace, "tremplin.dev/v1alpha1/StartupApp/startupapps")
}
