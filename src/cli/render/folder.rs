//! `--output-dir`: one file per object, in a folder of a GitOps repository that others may write to as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tremplin_core::json::text;

use crate::cli::options::to_yaml;
use crate::cli::{Io, counted};

/// The first line of every file of ours, by which a later run knows it again.
const OURS: &str = "# Rendered by `tremplin render`: do not edit, the next run writes it anew.\n";

/// Whether an earlier run wrote the file. Git and editors may have changed the ends of its lines, or put a mark before.
fn is_ours(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().next() == Some(OURS.trim_end())
}

const KUSTOMIZATION: &str = "kustomization.yaml";

/// Writes the objects, and removes what an earlier run left and is not rendered any more. When a file of somebody else
/// is in the way nothing is written.
pub fn write(folder: &Path, objects: &[Value], io: &mut Io<'_>) -> anyhow::Result<()> {
    let wanted = files(objects)?;
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let there = in_folder(folder)?;
    let foreign = |name: &&String| there.get(*name).is_some_and(|text| !is_ours(text));
    if let Some(name) = wanted.keys().find(foreign) {
        let path = folder.join(name);
        bail!(
            "{} is in the way and was not rendered by tremplin: move it, or choose another folder",
            path.display()
        );
    }
    let changed = wanted.iter().filter(|(name, text)| there.get(*name) != Some(text));
    let mut written = 0;
    for (name, text) in changed {
        replace(folder, name, text).with_context(|| format!("failed to write {}", folder.join(name).display()))?;
        written += 1;
    }
    let stale = there
        .iter()
        .filter(|(name, text)| !wanted.contains_key(*name) && is_ours(text));
    let mut removed = 0;
    for (name, _) in stale {
        fs::remove_file(folder.join(name))
            .with_context(|| format!("failed to remove {}", folder.join(name).display()))?;
        removed += 1;
    }
    let same = wanted.len() - written;
    writeln!(
        io.errors,
        "{}: {} written, {same} unchanged, {removed} removed",
        folder.display(),
        counted(written, "file")
    )?;
    Ok(())
}

/// The files by name.
fn files(objects: &[Value]) -> anyhow::Result<BTreeMap<String, String>> {
    let namespaces: BTreeSet<&str> = objects
        .iter()
        .map(|object| text(object, "/metadata/namespace"))
        .collect();
    let mut files = BTreeMap::new();
    let mut resources = Vec::new();
    for object in objects {
        let (kind, name) = (text(object, "/kind").to_lowercase(), text(object, "/metadata/name"));
        let file = match text(object, "/metadata/namespace") {
            // Names are unique within a namespace only.
            namespace if namespaces.len() > 1 && !namespace.is_empty() => format!("{namespace}.{kind}-{name}.yaml"),
            _ => format!("{kind}-{name}.yaml"),
        };
        if files
            .insert(file.clone(), format!("{OURS}{}", to_yaml(object)?))
            .is_some()
        {
            bail!("two objects would be written to {file}: give the apps' namespaces");
        }
        resources.push(file);
    }
    // Kustomize refuses one without resources.
    if resources.is_empty() {
        return Ok(files);
    }
    let kustomization =
        json!({"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources});
    files.insert(KUSTOMIZATION.to_owned(), format!("{OURS}{}", to_yaml(&kustomization)?));
    Ok(files)
}

/// The YAML files of the folder, not of those below it.
fn in_folder(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if path.extension().is_some_and(|kind| kind == "yaml") && path.is_file() {
            let bytes = fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
            found.insert(name.to_owned(), String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    Ok(found)
}

/// Writes beside and renames, so that a file is never half there.
fn replace(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let beside = folder.join(format!(".{name}.new"));
    let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, folder.join(name)));
    if written.is_err() {
        // What remains of it would be in nobody's way, but is nobody's file.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests;
