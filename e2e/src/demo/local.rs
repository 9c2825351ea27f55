//! The demo on a local cluster: everything is made on this machine, and nothing of it is left by [`remove`].

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::kubernetes::Kubernetes;
use super::{Site, names, stage, step, write_environment};
use crate::certificates::write_private;
use crate::environment::{Environment, install_policies};
use crate::image::{self, Image, SAMPLE_APP};
use crate::tools::{self, Tool};
use crate::{Cluster, Profile, ingress, node};

/// The namespace of the team: `dev` of the project `demo`.
const NAMESPACE: &str = "demo-dev";

/// The versions of the sample application that the demo names.
pub(super) const VERSIONS: [&str; 2] = ["1.0.0", "1.1.0"];

pub(super) async fn prepare(name: &str) -> Result<Site> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "the demo's cluster runs real containers, which needs root: run it as root (sudo env PATH=\"$PATH\" make \
             demo), or use a cluster that you have: make demo CLUSTER=current"
        );
    }
    let compile = "the first errors above say what is missing; Go 1.26 and the Rust toolchain compile everything";
    let (images, binary) = stage("building programs and images", compile, build()).await?;
    let down = format!("look at the logs in .cache/cluster/{name}, or begin anew: make demo-down demo");
    let cluster = stage("starting the cluster", &down, Cluster::up(name, Profile::Node)).await?;
    let address = step("starting the data path", &down, ingress::up(cluster.folder())).await?;
    step("giving the node its images", &down, import(&cluster, &images)).await?;

    let network = cluster.network().context("a node without a network")?;
    let serving = names::serve(cluster.folder(), network.host());
    let name_server = step("starting the name server", &down, serving).await?;

    let environment = Environment::new(NAMESPACE);
    step(
        &format!("making the environment {NAMESPACE}"),
        &down,
        make(&cluster, &environment),
    )
    .await?;

    let folder = cluster.folder().join("demo");
    fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let kubernetes = Kubernetes::new(folder.join("kubeconfig")).await?;
    write_kubeconfig(&cluster.kubeconfig(), &kubernetes.kubeconfig)?;
    write_environment(&folder, &kubernetes, &binary)?;
    let operator = images.into_iter().next().context("no image was built")?.reference;
    Ok(Site {
        cluster: kubernetes,
        folder,
        operator,
        sample_app: SAMPLE_APP.to_owned(),
        namespace: NAMESPACE.to_owned(),
        platform: platform(address),
        profile: "cpin-pax",
        is_reachable: true,
        name_server: Some(name_server),
    })
}

/// Takes the cluster down, with everything in it.
pub(super) async fn remove(name: &str) -> Result<()> {
    let existed = Cluster::down(name).await?;
    eprintln!("the demo {}", if existed { "is down" } else { "was not up" });
    Ok(())
}

/// Everything that is compiled, at once: the programs of the cluster, the operator, the sample application.
async fn build() -> Result<(Vec<Image>, PathBuf)> {
    let mut wanted = node::tools();
    wanted.extend([Tool::Kubectl, Tool::Helm]);
    let rust = async {
        let binary = image::operator_binary().await?;
        anyhow::Ok((image::operator(&binary, "local").await?, binary))
    };
    let (_, (operator, binary)) = tokio::try_join!(tools::ensure(&wanted), rust)?;
    let mut images = vec![operator];
    for version in VERSIONS {
        images.push(image::sample_app(version).await?);
    }
    Ok((images, binary))
}

async fn import(cluster: &Cluster, images: &[Image]) -> Result<()> {
    for image in images {
        cluster.import_image(&image.archive).await?;
    }
    Ok(())
}

/// Makes the team's environment as the platform would, with its policies enforced.
async fn make(cluster: &Cluster, environment: &Environment) -> Result<()> {
    let client = cluster.client().await?;
    install_policies(&client).await?;
    environment.apply(&client).await
}

/// The administrator's kubeconfig, with the team's namespace as the current one.
fn write_kubeconfig(from: &Path, to: &Path) -> Result<()> {
    let text = fs::read(from).with_context(|| format!("failed to read {}", from.display()))?;
    let mut document: Value = serde_json::from_slice(&text).context("a kubeconfig that does not parse")?;
    let context = document
        .pointer_mut("/contexts/0/context")
        .and_then(Value::as_object_mut);
    context
        .context("a kubeconfig without a context")?
        .insert("namespace".to_owned(), json!(NAMESPACE));
    write_private(to, &document.to_string())
}

/// The parts of the platform file that speak of this machine: names below `localhost`, plain HTTP on the data path.
fn platform(address: SocketAddr) -> Value {
    json!({
        "domains": [{"domain": "localhost", "hostTemplate": "{app}-{label:dso/environment}-{project}.{domain}"}],
        "exposures": [{
            "name": "internet",
            "default": true,
            "scheme": "http",
            "port": address.port(),
            "type": "Ingress",
            "ingress": {"className": ingress::CLASS},
        }],
    })
}
