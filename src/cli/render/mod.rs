//! `render`: what the controller would apply.

mod argo_cd;
mod folder;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;
use tremplin_core::app::{Rendered, offline};
use tremplin_core::platform::Platform;

use super::input::{self, Fault, Input};
use super::options::to_yaml;
use super::options::{Files, PlatformChoice};
use super::{Exit, Io};

/// Print the objects that the controller would apply for the apps among the manifests
///
/// Without ownerReferences and without what only a cluster can give. Other objects among the manifests are left out; a
/// Namespace among them tells its labels. The same input gives the same bytes.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    files: Files,

    #[command(flatten)]
    platform: PlatformChoice,

    /// Write one file per object and a kustomization.yaml to this folder, and remove what an earlier run left there;
    /// files of others are left alone
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,

    /// For clusters without the operator: the release's Job becomes a hook of this tool
    #[arg(long = "for", value_name = "TOOL")]
    target: Option<Target>,

    /// The form of the output
    #[arg(
        short,
        long,
        value_name = "FORM",
        default_value = "yaml",
        conflicts_with = "output_dir"
    )]
    output: Form,
}

/// Who will apply the objects.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// Argo CD: the release's Job runs before each sync (`PreSync`)
    ArgoCd,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// YAML documents
    Yaml,
    /// One JSON `List`
    Json,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let platform = arguments.platform.load()?;
    let input = input::read(&arguments.files, io)?;
    let (apps, faults) = render_all(&input, &arguments.files, &platform);
    if !faults.is_empty() {
        for fault in &faults {
            writeln!(io.errors, "{fault}")?;
        }
        return Ok(Exit::Failed);
    }
    // From a folder whose last app was removed, what was rendered of it goes as well.
    let may_be_empty = arguments.output_dir.is_some() && arguments.files.has_folder();
    if apps.is_empty() && !may_be_empty {
        anyhow::bail!("there is no StartupApp among the manifests");
    }
    let objects: Vec<Value> = apps.into_iter().flat_map(|app| finish(app, arguments.target)).collect();
    match (&arguments.output_dir, arguments.output) {
        (Some(folder), _) => folder::write(folder, &objects, io)?,
        (None, Form::Yaml) => {
            for object in &objects {
                write!(io.output, "---\n{}", to_yaml(object)?)?;
            }
        }
        (None, Form::Json) => {
            let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
            writeln!(io.output, "{}", serde_json::to_string_pretty(&list)?)?;
        }
    }
    Ok(Exit::Fine)
}

fn finish(rendered: Rendered, target: Option<Target>) -> Vec<Value> {
    let Rendered {
        mut objects,
        release,
        url: _,
    } = rendered;
    if let (Some(Target::ArgoCd), Some((job, _))) = (target, release) {
        objects.get_mut(job).map(argo_cd::hook);
    }
    objects
}

/// Renders every app of the input; or everything that is wrong with any of them.
pub fn render_all(input: &Input, files: &Files, platform: &Platform) -> (Vec<Rendered>, Vec<Fault>) {
    let namespaces = input.namespaces(files, platform);
    let (apps, mut faults) = input.apps();
    faults.extend(input.faults.iter().cloned());
    let mut rendered = Vec::new();
    for (manifest, app) in apps {
        let Some(namespace) = namespaces.get(manifest.text("/metadata/namespace")) else {
            continue;
        };
        match offline(&app, namespace, platform) {
            Ok(app) => rendered.push(app),
            Err(refused) => faults.extend(refused.iter().map(|refused| manifest.refusal(refused))),
        }
    }
    faults.sort();
    (rendered, faults)
}

#[cfg(test)]
mod tests;
