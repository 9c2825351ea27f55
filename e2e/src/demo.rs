//! What a newcomer sees: a cluster, the operator installed by its chart from its own image, a team's repository
//! applied, and a URL that answers.
//!
//! Every step can be done again: what is there already is left as it is. A step that fails says which it was, why,
//! and what to do.

mod app;
mod closing;
mod current;
mod kubernetes;
mod local;
mod names;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use self::kubernetes::Kubernetes;
use crate::dns::Standing;
use crate::progress::{Step, seconds};
use crate::tools::Tool;

/// The namespace of the operator.
const OPERATOR: &str = "tremplin";

/// Where the demo runs.
#[derive(Clone, Debug)]
pub enum Target {
    /// On a local cluster of this name.
    Local(String),
    /// On the cluster of the current kube context, which pulls these images.
    Current {
        /// The operator's image, with its tag.
        operator: String,
        /// The sample application's repository, without a tag: 1.0.0 and 1.1.0 are used.
        sample_app: String,
    },
}

/// Everything that the steps after the cluster's own need.
struct Site {
    cluster: Kubernetes,
    /// The demo's own files: `env`, `bin/`, `kubeconfig`.
    folder: PathBuf,
    operator: String,
    sample_app: String,
    /// The namespace of the team.
    namespace: String,
    /// Sections of the platform file that differ from the profile's.
    platform: Value,
    profile: &'static str,
    /// Whether this machine reaches the hosts of the platform.
    is_reachable: bool,
    /// The name server of the zone that is opened, where there is one.
    name_server: Option<Standing>,
}

/// Brings the demo up, and says what to try next.
///
/// # Errors
/// The first step that failed, why, and what to do.
pub async fn up(target: &Target) -> Result<()> {
    let started = Instant::now();
    let site = match target {
        Target::Local(name) => Box::pin(local::prepare(name)).await?,
        Target::Current { operator, sample_app } => current::prepare(operator, sample_app).await?,
    };
    step(
        "installing the operator",
        "look at the pods and events above",
        install(&site),
    )
    .await?;
    let namespace = &site.namespace;
    step(
        &format!("applying e2e/demo/infra/ to the namespace {namespace}"),
        "",
        apply(&site),
    )
    .await?;
    let advice = format!(
        ". {}/env && kubectl tremplin why startupapp/{}",
        site.folder.display(),
        app::NAME
    );
    let url = step("waiting until the app is ready", &advice, app::ready(&site.cluster)).await?;
    let answer = if site.is_reachable {
        Some(
            step(
                "asking the app",
                "look into haproxy.log and ingress.log of the cluster's folder",
                app::answer(&url),
            )
            .await?,
        )
    } else {
        None
    };
    let resolved = match &site.name_server {
        Some(server) => Some(Box::pin(resolve(&site, server)).await?),
        None => None,
    };
    let seen = closing::Seen { url, answer, resolved };
    closing::say(&site, target, &seen).await?;
    eprintln!("all of this took {}", seconds(started.elapsed()));
    Ok(())
}

/// Opens a zone, asks for a name in it, and resolves it. Gives the command that does the last, and what it printed.
async fn resolve(site: &Site, server: &Standing) -> Result<(String, String)> {
    let advice = format!(
        ". {}/env && kubectl describe dnszone,dnsrecord; the server's log is named.log in the cluster's folder",
        site.folder.display()
    );
    let opening = "opening a zone of a BIND of this machine";
    step(opening, &advice, names::open(site, server)).await?;
    let waiting = "applying e2e/demo/names/ and waiting until the name is answered";
    let name = step(waiting, &advice, names::publish(site)).await?;
    step("resolving the name", &advice, names::dig(server.address, &name)).await
}

/// Takes away everything that [`up`] made.
///
/// # Errors
/// If something cannot be removed.
pub async fn down(target: &Target) -> Result<()> {
    match target {
        Target::Local(name) => local::remove(name).await,
        Target::Current { .. } => current::remove().await,
    }
}

/// Does one step, telling that it goes on and how long it took. If it fails, says so and what to do.
async fn step<T>(name: &str, advice: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let shown = async {
        let step = Step::start(name);
        let result = work.await?;
        step.done();
        Ok(result)
    };
    stage(name, advice, shown).await
}

/// Does several steps, each of which tells of itself. If one fails, says in which stage and what to do.
async fn stage<T>(name: &str, advice: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let started = Instant::now();
    match work.await {
        Ok(result) => Ok(result),
        Err(error) => {
            let todo = if advice.is_empty() {
                String::new()
            } else {
                format!("\n\nwhat to do: {advice}")
            };
            let time = seconds(started.elapsed());
            Err(anyhow!("this step failed after {time}: {name}\n\n{error:#}{todo}"))
        }
    }
}

async fn install(site: &Site) -> Result<()> {
    let (repository, tag) = site
        .operator
        .rsplit_once(':')
        .context("the operator's image has no tag")?;
    let values = json!({
        "image": {"repository": repository, "tag": tag},
        "platform": {"profile": site.profile, "overrides": site.platform},
        "log": {"format": "text"},
    });
    let file = site.folder.join("values.json");
    fs::write(&file, values.to_string()).with_context(|| format!("failed to write {}", file.display()))?;
    let charts = repository_root().join("charts");
    let values = format!("--values={}", file.display());
    let installed = async {
        site.cluster
            .install(OPERATOR, &charts.join("tremplin-crds"), &[])
            .await?;
        site.cluster
            .install(OPERATOR, &charts.join("tremplin"), &[&values])
            .await
    };
    match installed.await {
        Ok(()) => Ok(()),
        Err(error) => Err(anyhow!("{error:#}\n{}", site.cluster.trouble(OPERATOR).await)),
    }
}

/// Applies what a team would have committed, with the image that this cluster can have.
async fn apply(site: &Site) -> Result<()> {
    let source = repository_root().join("e2e/demo/infra");
    let folder = site.folder.join("infra");
    fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    for entry in fs::read_dir(&source).with_context(|| format!("failed to read {}", source.display()))? {
        let path = entry.context("failed to read a folder")?.path();
        let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let copy = folder.join(path.file_name().unwrap_or_default());
        let text = text.replace(crate::image::SAMPLE_APP, &site.sample_app);
        fs::write(&copy, text).with_context(|| format!("failed to write {}", copy.display()))?;
    }
    site.cluster
        .kubectl(&["apply", "--filename", &folder.display().to_string()])
        .await
        .map(drop)
}

/// Writes `env`, which a shell reads to have kubectl, its plug-in and the demo's kubeconfig.
fn write_environment(folder: &Path, cluster: &Kubernetes, binary: &Path) -> Result<()> {
    let programs = folder.join("bin");
    fs::create_dir_all(&programs).with_context(|| format!("failed to create {}", programs.display()))?;
    let sources = [
        (cluster.path(Tool::Kubectl)?, "kubectl"),
        (cluster.path(Tool::Helm)?, "helm"),
        (binary, "tremplin"),
        (binary, "kubectl-tremplin"),
    ];
    for (source, name) in sources {
        // A copy beside that is then renamed: the old one may be running.
        let beside = programs.join(format!(".{name}"));
        fs::copy(source, &beside).with_context(|| format!("failed to copy {}", source.display()))?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))
            .context("failed to make a program executable")?;
        fs::rename(&beside, programs.join(name)).with_context(|| format!("failed to place {name}"))?;
    }
    let kubeconfig = cluster.kubeconfig.display();
    let text = format!(
        "export KUBECONFIG='{kubeconfig}'\nexport PATH='{}':\"$PATH\"\n",
        programs.display()
    );
    fs::write(folder.join("env"), text).context("failed to write env")
}

fn repository_root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
