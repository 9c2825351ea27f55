//! The demo on the cluster of the current kube context: nothing is built for it, its nodes pull the images.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use super::kubernetes::Kubernetes;
use super::local::VERSIONS;
use super::{OPERATOR, Site, step, write_environment};
use crate::certificates::write_private;
use crate::command::run;
use crate::image;
use crate::state;
use crate::tools::{self, Tool};

/// The namespace that is made for the team.
const TEAM: &str = "tremplin-demo";
/// How long a node may take to pull a small image.
const PULL: Duration = Duration::from_mins(2);

pub(super) async fn prepare(operator: &str, sample_app: &str) -> Result<Site> {
    let context = "choose a cluster with kubectl config use-context, or set KUBECONFIG";
    let cluster = step("reading the current kube context", context, connect()).await?;
    let compile = "the errors above say what is missing: Go 1.26 and the Rust toolchain";
    let binary = step("building the command line", compile, image::operator_binary()).await?;
    let rights = "the demo needs the right to make namespaces, custom resources and cluster roles";
    let folder = folder()?;
    let file = folder.join("namespace.json");
    step(
        &format!("making the namespace {TEAM}"),
        rights,
        cluster.apply(&[namespace()], &file),
    )
    .await?;
    let mut images = vec![operator.to_owned()];
    images.extend(VERSIONS.iter().map(|version| format!("{sample_app}:{version}")));
    step(
        "asking the cluster to pull the images",
        &advice(),
        pull(&cluster, &images, &folder),
    )
    .await?;
    write_environment(&folder, &cluster, &binary)?;
    Ok(Site {
        cluster,
        folder,
        operator: operator.to_owned(),
        sample_app: sample_app.to_owned(),
        namespace: TEAM.to_owned(),
        platform: json!({}),
        profile: "generic",
        is_reachable: false,
        name_server: None,
    })
}

/// Removes the team's namespace and both charts. The custom resources stay, as the chart keeps them.
pub(super) async fn remove() -> Result<()> {
    let cluster = connect().await?;
    // The app goes first, while the operator still runs.
    cluster
        .kubectl(&["delete", "namespace", TEAM, "--ignore-not-found", "--wait"])
        .await?;
    for chart in ["tremplin", "tremplin-crds"] {
        cluster.uninstall(OPERATOR, chart).await?;
    }
    cluster
        .kubectl(&["delete", "namespace", OPERATOR, "--ignore-not-found", "--wait"])
        .await?;
    eprintln!("the demo is down; the custom resources are kept, with the apps of everybody else");
    Ok(())
}

/// Beside the folders of local clusters, under a name that no cluster can have.
fn folder() -> Result<PathBuf> {
    Ok(state::root()?.join("_current"))
}

/// The current context alone, in a file of our own whose namespace is the team's.
async fn connect() -> Result<Kubernetes> {
    let tools = tools::ensure(&[Tool::Kubectl]).await?;
    let mut view = Command::new(tools.path(Tool::Kubectl)?);
    let text = run(view.args(["config", "view", "--raw", "--minify", "--flatten", "--output=json"])).await?;
    let mut document: Value = serde_json::from_str(&text).context("a kubeconfig that does not parse")?;
    let context = document
        .pointer_mut("/contexts/0/context")
        .and_then(Value::as_object_mut);
    context
        .context("there is no current kube context")?
        .insert("namespace".to_owned(), json!(TEAM));
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let file = folder.join("kubeconfig");
    write_private(&file, &document.to_string())?;
    let cluster = Kubernetes::new(file).await?;
    cluster
        .kubectl(&["get", "--raw", "/readyz", "--request-timeout=10s"])
        .await
        .context("the cluster does not answer")?;
    Ok(cluster)
}

fn namespace() -> Value {
    let restricted = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM, "labels": restricted}})
}

fn advice() -> String {
    format!(
        "push the images where this cluster can pull them, then name them:\n\
         \x20 make image && skopeo copy docker-archive:target/tremplin-image.tar docker://REGISTRY/tremplin:TAG\n\
         \x20 for each VERSION of {VERSIONS:?}: target/debug/tremplin-e2e image sample-app --version VERSION --output app.tar\n\
         \x20   && skopeo copy docker-archive:app.tar docker://REGISTRY/sample-app:VERSION\n\
         \x20 make demo CLUSTER=current OPERATOR_IMAGE=REGISTRY/tremplin:TAG SAMPLE_APP=REGISTRY/sample-app"
    )
}

/// Has a node of the cluster pull each image, by a pod that runs none of our code but `--help`.
async fn pull(cluster: &Kubernetes, images: &[String], folder: &Path) -> Result<()> {
    let names: Vec<_> = (0..images.len()).map(|number| format!("pull-{number}")).collect();
    let pods: Vec<_> = names.iter().zip(images).map(|(name, image)| pod(name, image)).collect();
    let delete: Vec<_> = ["delete", "pod", "--ignore-not-found"]
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .collect();
    cluster.kubectl(&delete).await?;
    // A namespace is there before the account that its pods need.
    let account = ["wait", "--for=create", "serviceaccount/default", "--timeout=60s"];
    cluster.kubectl(&account).await?;
    cluster.apply(&pods, &folder.join("pull.json")).await?;
    let deadline = Instant::now() + PULL;
    let result = loop {
        let list = cluster.get(&["pods", "--selector=tremplin.dev/demo=pull"]).await?;
        let pods: &[Value] = list.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice);
        match pods.iter().map(pulled).collect::<Result<Vec<_>>>() {
            Ok(done) if done.len() == images.len() && done.iter().all(|&done| done) => break Ok(()),
            Ok(_) if Instant::now() > deadline => break bail_late(),
            Ok(_) => tokio::time::sleep(Duration::from_millis(500)).await,
            Err(error) => break Err(error),
        }
    };
    cluster.kubectl(&delete).await?;
    result
}

fn bail_late() -> Result<()> {
    bail!("the images were not pulled within {} minutes", PULL.as_secs() / 60)
}

fn pod(name: &str, image: &str) -> Value {
    let container = json!({
        "name": "pull",
        "image": image,
        "args": ["--help"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
    });
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"tremplin.dev/demo": "pull"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
        },
    })
}

/// Whether a pod has its image. A refusal of the registry is an error with its words.
fn pulled(pod: &Value) -> Result<bool> {
    let Some(status) = pod.pointer("/status/containerStatuses/0") else {
        return Ok(false);
    };
    let image = pod
        .pointer("/spec/containers/0/image")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let waiting = status.pointer("/state/waiting");
    let text = |field: &str| {
        waiting
            .and_then(|waiting| waiting.get(field))
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    match text("reason") {
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            bail!("this cluster cannot pull {image}: {}", text("message"))
        }
        _ => Ok(waiting.is_none()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(state: &Value) -> Value {
        json!({
            "spec": {"containers": [{"image": "ghcr.io/team/app:1"}]},
            "status": {"containerStatuses": [{"state": state}]},
        })
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_told_with_the_registrys_words() {
        let refused = json!({"waiting": {"reason": "ErrImagePull", "message": "403 Forbidden"}});
        let error = pulled(&with(&refused)).unwrap_err().to_string();
        assert_eq!(error, "this cluster cannot pull ghcr.io/team/app:1: 403 Forbidden");
    }

    #[test]
    fn an_image_is_there_once_its_container_has_begun() {
        assert!(!pulled(&json!({"status": {}})).unwrap());
        assert!(!pulled(&with(&json!({"waiting": {"reason": "ContainerCreating"}}))).unwrap());
        assert!(pulled(&with(&json!({"running": {}}))).unwrap());
        assert!(pulled(&with(&json!({"terminated": {"exitCode": 2}}))).unwrap());
    }
}
