//! `diff`: what would change in the cluster, like `kubectl diff`.

use std::collections::BTreeSet;

use clap::Args;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::Serialize;
use serde_json::{Value, json};
use similar::TextDiff;
use tremplin_core::api::{GROUP, StartupApp, VERSION};
use tremplin_core::app::render::{RECORD, record_name};
use tremplin_core::app::{Rendered, offline};
use tremplin_core::json::text;
use tremplin_core::labels;
use tremplin_core::live::{Known, Standing};
use tremplin_core::platform::Platform;

use super::cluster::{Cluster, ClusterChoice, block_on};
use super::input::{self, Input, Manifest};
use super::options::to_yaml;
use super::options::{Files, Form, Output, PlatformChoice, labels as given};
use super::{Exit, Io};
use crate::cluster::{ChildKind, PRUNED};

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

    #[command(flatten)]
    output: Output,
}

/// A difference, for programs.
#[derive(Serialize)]
struct Difference {
    /// `Kind/name`.
    object: String,
    namespace: String,
    /// As it is; `null` when it would be added.
    live: Value,
    /// As it would be; `null` when it would be removed.
    rendered: Value,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let platform = arguments.platform.load()?;
    let mut input = input::read(&arguments.files, io)?;
    block_on(async {
        let cluster = arguments.cluster.connect().await?;
        input.fill(cluster.default_namespace());
        let (apps, faults) = input.apps();
        let mut exit = Exit::Fine;
        for fault in input.faults.iter().chain(&faults) {
            writeln!(io.errors, "{fault}")?;
            exit = Exit::Failed;
        }
        if apps.is_empty() && exit == Exit::Fine {
            anyhow::bail!("there is no StartupApp among the manifests");
        }
        let mut diff = Diff {
            cluster: &cluster,
            platform: &platform,
            files: &arguments.files,
            input: &input,
            differences: Vec::new(),
        };
        for (manifest, app) in apps {
            exit = worse(exit, diff.of_app(manifest, app, io).await?);
        }
        match arguments.output.form {
            Form::Table => diff.differences.iter().try_for_each(|found| found.unified(io))?,
            _ => arguments.output.print(&diff.differences, io)?,
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
    differences: Vec<Difference>,
}

impl Diff<'_> {
    async fn of_app(&mut self, manifest: &Manifest, mut app: StartupApp, io: &mut Io<'_>) -> anyhow::Result<Exit> {
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
        let app = reference(&name, live_app.as_ref());
        let wanted = self.wanted(rendered, &namespace, &name).await?;
        let mut exit = Exit::Fine;
        for object in &wanted {
            exit = worse(exit, self.compare(object, &app, io).await?);
        }
        if live_app.is_some() {
            exit = worse(exit, self.gone(&wanted, &namespace, &app).await?);
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
            let record = record.unwrap_or_default();
            let record: Value = serde_json::from_str(text(&record, &format!("/data/{RECORD}"))).unwrap_or_default();
            if text(&record, "/released/key") == key {
                objects.remove(job);
            }
        }
        Ok(objects)
    }

    async fn compare(&mut self, wanted: &Value, app: &OwnerReference, io: &mut Io<'_>) -> anyhow::Result<Exit> {
        let (kind, name) = (text(wanted, "/kind"), text(wanted, "/metadata/name"));
        let title = format!("{kind}/{name}");
        let live = self
            .cluster
            .get(kind, text(wanted, "/metadata/namespace"), name)
            .await?;
        let standing = live.as_ref().map(Known::from_value).transpose()?;
        match standing.map(|live| live.standing(app)) {
            Some(Standing::Foreign) => {
                writeln!(
                    io.errors,
                    "{title} is there and not this app's: the operator would leave it alone (NameTaken)"
                )?;
                return Ok(Exit::Failed);
            }
            Some(Standing::Leaving) => {
                writeln!(
                    io.errors,
                    "note: {title} is being deleted: the operator makes it anew when it is gone"
                )?;
                return Ok(self.note(None, Some(wanted)));
            }
            Some(Standing::Ours) | None => {}
        }
        match self.cluster.dry_run_apply(&with_generated(wanted, live.as_ref())).await {
            Ok(merged) => Ok(self.note(live.as_ref(), Some(&merged))),
            Err(refused) => {
                writeln!(io.errors, "{title}: {refused:#}")?;
                Ok(Exit::Failed)
            }
        }
    }

    /// Children of this app that are not rendered any more, and would be pruned.
    async fn gone(&mut self, wanted: &[Value], namespace: &str, app: &OwnerReference) -> anyhow::Result<Exit> {
        let kept: BTreeSet<_> = wanted
            .iter()
            .map(|object| (text(object, "/kind"), text(object, "/metadata/name")))
            .collect();
        let selector = format!(
            "{}={},{}={}",
            labels::MANAGED_BY,
            labels::MANAGER,
            labels::APP,
            app.name
        );
        let mut exit = Exit::Fine;
        for kind in PRUNED.map(ChildKind::as_str) {
            for live in self.cluster.list(kind, namespace, &selector).await? {
                let known = Known::from_value(&live)?;
                let stays = known.deleting || kept.contains(&(kind, known.name.as_str()));
                if known.is_controlled_by(app) && !stays {
                    exit = worse(exit, self.note(Some(&live), None));
                }
            }
        }
        Ok(exit)
    }
}

/// The app as its children name it. An app that is not there yet has no UID, so that nothing is controlled by it.
fn reference(name: &str, live: Option<&Value>) -> OwnerReference {
    OwnerReference {
        api_version: format!("{GROUP}/{VERSION}"),
        kind: "StartupApp".to_owned(),
        name: name.to_owned(),
        uid: live
            .map(|app| text(app, "/metadata/uid").to_owned())
            .unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
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

impl Diff<'_> {
    /// Keeps the difference, if it is one.
    fn note(&mut self, live: Option<&Value>, wanted: Option<&Value>) -> Exit {
        let object = wanted.or(live).unwrap_or(&Value::Null);
        let difference = Difference {
            object: format!("{}/{}", text(object, "/kind"), text(object, "/metadata/name")),
            namespace: text(object, "/metadata/namespace").to_owned(),
            live: without_noise(live),
            rendered: without_noise(wanted),
        };
        if difference.live == difference.rendered {
            return Exit::Fine;
        }
        self.differences.push(difference);
        Exit::Found
    }
}

fn without_noise(object: Option<&Value>) -> Value {
    let mut object = object.cloned().unwrap_or_default();
    if let Value::Object(fields) = &mut object {
        fields.remove("status");
    }
    if let Some(Value::Object(metadata)) = object.pointer_mut("/metadata") {
        for field in NOISE {
            metadata.remove(field);
        }
    }
    object
}

impl Difference {
    /// As `diff -u` writes it.
    fn unified(&self, io: &mut Io<'_>) -> anyhow::Result<()> {
        let shown = |object: &Value| match object {
            Value::Null => Ok(String::new()),
            object => to_yaml(object),
        };
        let (live, rendered) = (shown(&self.live)?, shown(&self.rendered)?);
        let (old, new) = (format!("live/{}", self.object), format!("rendered/{}", self.object));
        let difference = TextDiff::from_lines(&live, &rendered);
        write!(io.output, "{}", difference.unified_diff().header(&old, &new))?;
        Ok(())
    }
}
