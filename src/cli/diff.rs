//! `diff`: what would change in the cluster, like `kubectl diff`.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Value, json};
use similar::TextDiff;
use tremplin_core::api::StartupApp;
use tremplin_core::app::render::{RECORD, record_name};
use tremplin_core::app::{Rendered, offline};
use tremplin_core::labels;
use tremplin_core::platform::Platform;

use super::cluster::{Cluster, ClusterChoice, block_on};
use super::input::{self, Input, Manifest, to_yaml};
use super::options::{Files, PlatformChoice, labels as given};
use super::{Exit, Io};

/// Show what the apps among the manifests would change in the cluster
///
/// The API server is asked what it would make of each object (a dry run: nothing changes), and what is there and not
/// rendered any more is shown as removed. Exit code 1 when there is a difference.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    platform: PlatformChoice,

    #[command(flatten)]
    cluster: ClusterChoice,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let platform = arguments.platform.load()?;
    let input = input::read(&arguments.files, io)?;
    let (apps, faults) = input.apps();
    for fault in input.faults.iter().chain(&faults) {
        writeln!(io.errors, "{fault}")?;
    }
    let mut exit = if faults.is_empty() && input.faults.is_empty() {
        Exit::Fine
    } else {
        Exit::Failed
    };
    if apps.is_empty() && exit == Exit::Fine {
        anyhow::bail!("there is no StartupApp among the manifests");
    }
    block_on(async {
        let cluster = arguments.cluster.connect().await?;
        for (manifest, app) in apps {
            let of_app = Diff {
                cluster: &cluster,
                platform: &platform,
                files: &arguments.files,
                input: &input,
            };
            exit = worse(exit, of_app.show(manifest, app, io).await?);
        }
        Ok(exit)
    })
}

fn worse(a: Exit, b: Exit) -> Exit {
    if a as u8 > b as u8 { a } else { b }
}

/// What comparing an app needs.
struct Diff<'a> {
    cluster: &'a Cluster,
    platform: &'a Platform,
    files: &'a Files,
    input: &'a Input,
}

impl Diff<'_> {
    async fn show(&self, manifest: &Manifest, mut app: StartupApp, io: &mut Io<'_>) -> anyhow::Result<Exit> {
        let namespace = app
            .metadata
            .namespace
            .get_or_insert_with(|| self.cluster.default_namespace().to_owned())
            .clone();
        let context = self.context(&namespace, io).await?;
        let rendered = match offline(&app, &context, self.platform) {
            Ok(rendered) => rendered,
            Err(faults) => {
                for fault in faults {
                    writeln!(io.errors, "{}", manifest.refusal(&fault))?;
                }
                return Ok(Exit::Failed);
            }
        };
        let name = app.metadata.name.clone().unwrap_or_default();
        let live_app = self.cluster.get("StartupApp", &namespace, &name).await?;
        let wanted = self.wanted(rendered, &namespace, &name).await?;
        let mut exit = Exit::Fine;
        for object in &wanted {
            exit = worse(exit, self.compare(object, live_app.as_ref(), io).await?);
        }
        if let Some(live_app) = &live_app {
            exit = worse(exit, self.gone(&wanted, live_app, io).await?);
        }
        Ok(exit)
    }

    async fn context(
        &self,
        namespace: &str,
        io: &mut Io<'_>,
    ) -> anyhow::Result<tremplin_core::platform::NamespaceContext> {
        let mut all = self.input.labels_of(namespace);
        match self.cluster.namespace_labels(namespace).await? {
            Some(live) => all.extend(live),
            None => writeln!(
                io.errors,
                "note: you may not read the namespace {namespace}: its labels are those of --namespace-labels"
            )?,
        }
        all.extend(given(&self.files.namespace_labels));
        Ok(self.platform.namespace(namespace, &all))
    }

    /// The objects to compare: without the release's Job when its version is released, for then it will not run.
    async fn wanted(&self, rendered: Rendered, namespace: &str, name: &str) -> anyhow::Result<Vec<Value>> {
        let Rendered {
            mut objects,
            release,
            url: _,
        } = rendered;
        if let Some((job, key)) = release {
            let record = self.cluster.get("ConfigMap", namespace, &record_name(name)).await?;
            let text =
                record.and_then(|record| record.pointer(&format!("/data/{RECORD}"))?.as_str().map(str::to_owned));
            let record: Value = text
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default();
            if record.pointer("/released/key").and_then(Value::as_str) == Some(&key) {
                objects.remove(job);
            }
        }
        Ok(objects)
    }

    async fn compare(&self, wanted: &Value, app: Option<&Value>, io: &mut Io<'_>) -> anyhow::Result<Exit> {
        let text = |pointer: &str| wanted.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let title = format!("{}/{}", text("/kind"), text("/metadata/name"));
        let live = self
            .cluster
            .get(text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
            .await?;
        if let Some(live) = &live
            && !owned_by(live, app)
        {
            writeln!(
                io.errors,
                "{title} is there and not this app's: the operator would leave it alone (NameTaken)"
            )?;
            return Ok(Exit::Failed);
        }
        match self.cluster.dry_run_apply(&with_generated(wanted, live.as_ref())).await {
            Ok(merged) => show(&title, live.as_ref(), Some(&merged), io),
            Err(refused) => {
                writeln!(io.errors, "{title}: {refused:#}")?;
                Ok(Exit::Failed)
            }
        }
    }

    /// Children of this app that are not rendered any more. Jobs and the release record are kept: they remember.
    async fn gone(&self, wanted: &[Value], app: &Value, io: &mut Io<'_>) -> anyhow::Result<Exit> {
        let text = |object: &Value, pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let kept: BTreeSet<_> = wanted
            .iter()
            .map(|object| (text(object, "/kind"), text(object, "/metadata/name")))
            .collect();
        let selector = format!(
            "{}={},{}={}",
            labels::MANAGED_BY,
            labels::MANAGER,
            labels::APP,
            text(app, "/metadata/name")
        );
        let mut exit = Exit::Fine;
        for kind in [
            "Ingress",
            "PodDisruptionBudget",
            "CronJob",
            "Deployment",
            "Service",
            "ServiceAccount",
        ] {
            for live in self
                .cluster
                .list(kind, &text(app, "/metadata/namespace"), &selector)
                .await?
            {
                let name = text(&live, "/metadata/name");
                if owned_by(&live, Some(app)) && !kept.contains(&(kind.to_owned(), name.clone())) {
                    exit = worse(exit, show(&format!("{kind}/{name}"), Some(&live), None, io)?);
                }
            }
        }
        Ok(exit)
    }
}

fn owned_by(live: &Value, app: Option<&Value>) -> bool {
    let uid = app.and_then(|app| app.pointer("/metadata/uid"));
    let owners = live.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners
        .into_iter()
        .flatten()
        .any(|owner| owner.get("controller") == Some(&json!(true)) && owner.get("uid") == uid)
}

/// The values that only the operator can give: as they are, they are no difference.
const GENERATED: [(&str, &str); 3] = [
    ("/metadata/annotations", labels::RUN_HANDLED),
    ("/spec/template/metadata/annotations", labels::CONTENT),
    ("/spec/template/metadata/annotations", labels::RESTARTED_AT),
];

fn with_generated(wanted: &Value, live: Option<&Value>) -> Value {
    let mut wanted = wanted.clone();
    let Some(live) = live else { return wanted };
    let mut take = |parent: &str, key: &str, value: Option<&Value>| {
        let (above, name) = parent.rsplit_once('/').unwrap_or_default();
        if let (Some(value), Some(Value::Object(above))) = (value, wanted.pointer_mut(above))
            && let Value::Object(map) = above.entry(name).or_insert_with(|| json!({}))
        {
            map.entry(key).or_insert_with(|| value.clone());
        }
    };
    take(
        "/metadata",
        "ownerReferences",
        live.pointer("/metadata/ownerReferences"),
    );
    for (parent, key) in GENERATED {
        take(
            parent,
            key,
            live.pointer(parent).and_then(|annotations| annotations.get(key)),
        );
    }
    wanted
}

/// What differs at every write and says nothing.
const NOISE: [&str; 5] = [
    "managedFields",
    "resourceVersion",
    "generation",
    "uid",
    "creationTimestamp",
];

fn show(title: &str, live: Option<&Value>, wanted: Option<&Value>, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let text = |object: Option<&Value>| -> anyhow::Result<String> {
        let Some(object) = object else { return Ok(String::new()) };
        let mut object = object.clone();
        if let Value::Object(fields) = &mut object {
            fields.remove("status");
        }
        if let Some(Value::Object(metadata)) = object.pointer_mut("/metadata") {
            for field in NOISE {
                metadata.remove(field);
            }
        }
        to_yaml(&object)
    };
    let (live, wanted) = (text(live)?, text(wanted)?);
    if live == wanted {
        return Ok(Exit::Fine);
    }
    let difference = TextDiff::from_lines(&live, &wanted);
    let (old, new) = (format!("live/{title}"), format!("rendered/{title}"));
    write!(io.output, "{}", difference.unified_diff().header(&old, &new))?;
    Ok(Exit::Found)
}
