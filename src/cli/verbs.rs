//! `restart` and `run-cron`: a verb is an annotation on the app, which the operator handles once. Argo CD leaves it alone.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use jiff::{Timestamp, Unit};
use serde_json::Value;
use tremplin_core::app::mask;
use tremplin_core::json::{items, number, text};
use tremplin_core::{labels, names};

use super::cluster::{Cluster, ClusterChoice, block_on};
use super::options::valid_namespace;
use super::{Exit, Io};
use crate::settings::duration;

/// Restart the processes of an app, one instance after the other; after a failed release, try it once more
#[derive(Args, Debug)]
pub struct Restart {
    #[command(flatten)]
    app: App,

    #[command(flatten)]
    wait: Wait,
}

/// Run a cron now, once
#[derive(Args, Debug)]
pub struct RunCron {
    #[command(flatten)]
    app: App,

    /// The cron's name in spec.crons
    cron: String,

    #[command(flatten)]
    wait: Wait,
}

/// Which app.
#[derive(Args, Debug)]
pub struct App {
    /// The app, as NAME or startupapp/NAME
    #[arg(value_name = "APP")]
    name: String,

    /// The app's namespace; absent: that of the context
    #[arg(short, long, value_name = "NAMESPACE", value_parser = valid_namespace)]
    namespace: Option<String>,

    #[command(flatten)]
    cluster: ClusterChoice,
}

#[derive(Args, Debug)]
struct Wait {
    /// Follow until it is done; exit code 1 when it fails or takes too long
    #[arg(long)]
    wait: bool,

    /// How long to follow
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration, requires = "wait")]
    timeout: Duration,
}

/// An app that was found.
pub struct Found {
    pub cluster: Cluster,
    pub namespace: String,
    pub name: String,
    pub app: Value,
}

impl App {
    /// Connects and reads the app.
    pub async fn find(&self) -> anyhow::Result<Found> {
        find(&self.name, self.namespace.as_deref(), &self.cluster).await
    }
}

/// Connects and reads an app, called NAME or startupapp/NAME.
pub async fn find(called: &str, namespace: Option<&str>, cluster: &ClusterChoice) -> anyhow::Result<Found> {
    let name = match called.split_once('/') {
        None => called,
        Some((kind, name)) => match kind.to_lowercase().as_str() {
            "app" | "sapp" | "startupapp" | "startupapps" | "startupapps.tremplin.dev" => name,
            _ => bail!("{kind} is not a kind of Tremplin: write startupapp/{name}"),
        },
    };
    let cluster = cluster.connect().await?;
    let namespace = namespace.unwrap_or_else(|| cluster.default_namespace()).to_owned();
    let Some(app) = cluster.get("StartupApp", &namespace, name).await? else {
        bail!("there is no StartupApp {name} in the namespace {namespace}");
    };
    Ok(Found {
        cluster,
        namespace,
        name: name.to_owned(),
        app,
    })
}

impl Found {
    /// Nothing of a suspended app is touched: what is asked for would wait for ever.
    fn refuse_suspended(&self) -> anyhow::Result<()> {
        if self.app.pointer("/spec/suspend") == Some(&Value::Bool(true)) {
            bail!("the app {} is suspended: remove spec.suspend first", self.name);
        }
        Ok(())
    }
}

pub fn restart(arguments: &Restart, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    block_on(async {
        let found = arguments.app.find().await?;
        found.refuse_suspended()?;
        let at = now()?;
        let Found {
            cluster,
            namespace,
            name,
            ..
        } = &found;
        cluster
            .annotate_app(namespace, name, labels::RESTARTED_AT, &at.to_string())
            .await?;
        writeln!(io.errors, "a restart of {name} is asked for ({at})")?;
        if !arguments.wait.wait {
            return Ok(Exit::Fine);
        }
        arguments.wait.follow(io, |waited| restarted(&found, at, waited)).await
    })
}

pub fn run_cron(arguments: &RunCron, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    block_on(async {
        let found = arguments.app.find().await?;
        found.refuse_suspended()?;
        let Found {
            cluster,
            namespace,
            name,
            app,
        } = &found;
        let crons: Vec<&str> = items(app, "/spec/crons")
            .filter_map(|cron| cron.get("name")?.as_str())
            .collect();
        if !crons.contains(&arguments.cron.as_str()) {
            bail!(
                "the app {name} has no cron {}; it has: {}",
                arguments.cron,
                crons.join(", ")
            );
        }
        let at = now()?;
        let request = format!("{}@{at}", arguments.cron);
        cluster
            .annotate_app(namespace, name, labels::RUN_CRON, &request)
            .await?;
        let job = names::one_shot(name, &arguments.cron, &request);
        writeln!(io.errors, "a run of {} is asked for ({at}): Job {job}", arguments.cron)?;
        if !arguments.wait.wait {
            return Ok(Exit::Fine);
        }
        arguments.wait.follow(io, |waited| ran(&found, &job, at, waited)).await
    })
}

/// A request is known by its time, so two of one second must differ.
fn now() -> anyhow::Result<Timestamp> {
    Ok(Timestamp::now().round(Unit::Microsecond)?)
}

/// Where something that was asked for stands.
enum Stand {
    /// On its way, with a word for people.
    Going(String),
    /// It is done, with a word for people.
    Done(String),
    /// It failed, and why.
    Failed(String),
}

/// How often the cluster is asked while following.
const PERIOD: Duration = Duration::from_secs(1);
/// How long the operator may take to begin. An app that is stalled all that time will not do what was asked; before, a
/// restart may be what gets it going, as after a failed release.
const GRACE: Duration = Duration::from_secs(10);

impl Wait {
    /// `look` is told for how long it was waited already.
    async fn follow<F>(&self, io: &mut Io<'_>, look: impl Fn(Duration) -> F) -> anyhow::Result<Exit>
    where
        F: Future<Output = anyhow::Result<Stand>>,
    {
        let begun = tokio::time::Instant::now();
        let mut told = String::new();
        loop {
            let (word, end) = match look(begun.elapsed()).await? {
                Stand::Going(word) => (word, None),
                Stand::Done(word) => (word, Some(Exit::Fine)),
                Stand::Failed(word) => (word, Some(Exit::Found)),
            };
            if word != told {
                writeln!(io.errors, "{word}")?;
                told = word;
            }
            if let Some(exit) = end {
                return Ok(exit);
            }
            if begun.elapsed() >= self.timeout {
                writeln!(io.errors, "not done in time: `tremplin why` may tell more")?;
                return Ok(Exit::Found);
            }
            tokio::time::sleep(PERIOD).await;
        }
    }
}

async fn restarted(found: &Found, asked: Timestamp, waited: Duration) -> anyhow::Result<Stand> {
    let Found {
        cluster,
        namespace,
        name,
        ..
    } = found;
    let Some(app) = cluster.get("StartupApp", namespace, name).await? else {
        return Ok(Stand::Failed(format!("the app {name} is gone")));
    };
    let selector = format!("{}={},{}={name}", labels::MANAGED_BY, labels::MANAGER, labels::APP);
    let deployments = cluster.list("Deployment", namespace, &selector).await?;
    let has_begun = deployments.iter().any(|deployment| is_marked(deployment, asked));
    let waited = if has_begun { Duration::ZERO } else { waited };
    if let Some(why) = obstacle(&app, asked, waited) {
        return Ok(Stand::Failed(why));
    }
    let left: Vec<&str> = deployments
        .iter()
        .filter(|deployment| !rolled(deployment, asked))
        .map(|deployment| text(deployment, "/metadata/name"))
        .collect();
    if left.is_empty() && !deployments.is_empty() {
        return Ok(Stand::Done(format!("{name} is restarted")));
    }
    Ok(Stand::Going(format!(
        "waiting for {}",
        if left.is_empty() {
            "the operator".into()
        } else {
            left.join(", ")
        }
    )))
}

/// Whether the operator has taken the request up.
fn is_marked(deployment: &Value, asked: Timestamp) -> bool {
    let annotations = deployment.pointer("/spec/template/metadata/annotations");
    let mark = annotations.and_then(|annotations| annotations.get(labels::RESTARTED_AT)?.as_str());
    mark.and_then(|mark| mark.parse::<Timestamp>().ok())
        .is_some_and(|mark| mark >= asked)
}

/// Whether every instance was started after `asked`.
fn rolled(deployment: &Value, asked: Timestamp) -> bool {
    let number = |pointer: &str| number(deployment, pointer);
    let wanted = number("/spec/replicas");
    is_marked(deployment, asked)
        && number("/status/observedGeneration") >= number("/metadata/generation")
        && number("/status/updatedReplicas") == wanted
        && number("/status/replicas") == wanted
        && number("/status/availableReplicas") == wanted
}

/// Why a human must act first: told since it was asked for, or told of this very spec and still so when the operator has
/// had its time to begin.
fn obstacle(app: &Value, asked: Timestamp, waited: Duration) -> Option<String> {
    let is_stalled = |condition: &&Value| text(condition, "/type") == "Stalled" && text(condition, "/status") == "True";
    let stalled = items(app, "/status/conditions").find(is_stalled)?;
    let since = text(stalled, "/lastTransitionTime").parse::<Timestamp>().ok()?;
    // Conditions know whole seconds.
    let is_new = since.as_second() >= asked.as_second();
    let is_current = number(stalled, "/observedGeneration") == number(app, "/metadata/generation");
    (is_new || is_current && waited >= GRACE)
        .then(|| format!("{}: {}", text(stalled, "/reason"), text(stalled, "/message")))
}

async fn ran(found: &Found, job: &str, asked: Timestamp, waited: Duration) -> anyhow::Result<Stand> {
    let Found {
        cluster,
        namespace,
        name,
        ..
    } = found;
    let Some(live) = cluster.get("Job", namespace, job).await? else {
        let app = cluster.get("StartupApp", namespace, name).await?.unwrap_or_default();
        return Ok(match obstacle(&app, asked, waited) {
            Some(why) => Stand::Failed(why),
            None => Stand::Going("waiting for the operator to start it".into()),
        });
    };
    // `FailureTarget` comes before `Failed`, while its pods still end.
    let end = items(&live, "/status/conditions")
        .filter(|condition| condition.get("status").is_some_and(|status| status == "True"))
        .filter_map(|condition| Some((condition.get("type")?.as_str()?, condition.get("message"))))
        .find(|(type_, _)| matches!(*type_, "Complete" | "Failed"));
    Ok(match end {
        Some(("Complete", _)) => Stand::Done("it succeeded".into()),
        Some(("Failed", message)) => {
            let why = message.and_then(Value::as_str).unwrap_or_default();
            let words = last_words(cluster, namespace, job).await?;
            Stand::Failed(format!("it failed: {why}{words}"))
        }
        _ => Stand::Going("running".into()),
    })
}

/// What the program said at its end, as the kubelet kept it.
async fn last_words(cluster: &Cluster, namespace: &str, job: &str) -> anyhow::Result<String> {
    let pods = cluster
        .list("Pod", namespace, &format!("batch.kubernetes.io/job-name={job}"))
        .await?;
    let words = pods.iter().find_map(|pod| {
        let mut containers = pod.pointer("/status/containerStatuses")?.as_array()?.iter();
        let message = containers.find_map(|container| container.pointer("/state/terminated/message")?.as_str())?;
        Some(format!("\n{}", mask(message.trim_end())))
    });
    Ok(words.unwrap_or_default())
}

#[cfg(test)]
mod tests;
