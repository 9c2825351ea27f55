//! Manifests from files, folders and the standard input, each with the place of every field.

mod kind;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tremplin_core::api::{DnsClaim, GROUP, StartupApp, conform};
use tremplin_core::app::Reason;
use tremplin_core::dns::{self, offline};
use tremplin_core::fault::Fault as Refusal;
use tremplin_core::json;
use tremplin_core::platform::{NamespaceContext, Platform};
use tremplin_core::yaml::{self, Document, Location};

use super::Io;
use super::options::{Files, labels};

use kind::What;

/// One object of the input.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The file it stands in, as it was named; `<stdin>` for the standard input.
    pub file: Rc<str>,
    /// The object.
    pub value: Value,
    document: Rc<Document>,
    /// Where in the document it stands: empty, or an item of a `List`.
    prefix: String,
}

/// What is wrong in a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file.
    pub file: Rc<str>,
    /// The place in it.
    pub location: Location,
    /// The field's path; empty for the document.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty when the message says it.
    pub fix: String,
}

impl Fault {
    /// Says what to do about it.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self {
            fix: fix.into(),
            ..self
        }
    }
}

/// `FILE:LINE:COLUMN: FIELD: REASON: FIX`, as editors and terminals take it.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.location)?;
        let parts = [&self.path, &self.message, &self.fix];
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            write!(f, ": {part}")?;
        }
        Ok(())
    }
}

impl Manifest {
    /// The text at a JSON pointer; empty when there is none.
    pub fn text(&self, pointer: &str) -> &str {
        json::text(&self.value, pointer)
    }

    /// Where the field at `path` stands in the file.
    pub fn locate(&self, path: &str) -> Location {
        self.document.locate(&self.below(path))
    }

    /// The path in the document of the object's field at `path`.
    fn below(&self, path: &str) -> String {
        match (self.prefix.as_str(), path) {
            ("", path) => path.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, path) => format!("{prefix}.{path}"),
        }
    }

    /// A fault at one of its fields.
    pub fn fault(&self, path: &str, message: impl Into<String>) -> Fault {
        Fault {
            file: self.file.clone(),
            location: self.locate(path),
            path: path.to_owned(),
            message: message.into(),
            fix: String::new(),
        }
    }

    /// What the operator would say about the app that stands here, at its place.
    pub fn refusal(&self, refused: &Refusal<Reason>) -> Fault {
        self.fault(refused.field.as_deref().unwrap_or_default(), &refused.message)
            .fix(&refused.fix)
    }

    /// Whether it is a `StartupApp`.
    pub fn is_app(&self) -> bool {
        self.text("/kind") == kind::APP
    }

    /// Whether it is of our group, and no app.
    pub fn is_name(&self) -> bool {
        self.text("/apiVersion").starts_with(GROUP) && !self.is_app()
    }

    /// What can be told of a DnsRecord or a DnsZone without a cluster: what the API server would refuse, or what the
    /// operator would.
    pub fn judge_name(&self) -> Result<Option<Refusal<dns::Reason>>, Vec<Fault>> {
        let refused = match self.text("/kind") {
            kind::RECORD => offline::record(&decoded(self)?),
            kind::ZONE => offline::zone(&decoded(self)?),
            _ => decoded(self).map(|_: DnsClaim| Ok(()))?,
        };
        Ok(refused.err())
    }
}

/// Where an object without a namespace goes, when nobody says otherwise.
const DEFAULT_NAMESPACE: &str = "default";

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Input {
    /// Every object, in the order of the files.
    pub manifests: Vec<Manifest>,
    /// Files that could not be read as YAML.
    pub faults: Vec<Fault>,
}

/// Reads what `-f` names. A text that is no YAML is a fault; a file that cannot be opened an error.
pub fn read(files: &Files, io: &mut Io<'_>) -> anyhow::Result<Input> {
    let mut input = Input::default();
    for path in &files.sources {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            io.input
                .read_to_string(&mut text)
                .context("failed to read the standard input")?;
            input.add("<stdin>", &text, true);
        } else if path.is_dir() {
            for file in files_below(path)? {
                input.add(&file.to_string_lossy(), &read_file(&file)?, false);
            }
        } else {
            input.add(&path.to_string_lossy(), &read_file(path)?, true);
        }
    }
    if let Some(namespace) = &files.namespace {
        input.assume(namespace)?;
    }
    Ok(input)
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}

/// The manifests below a folder, in the order of their paths; what is hidden (`.git`) is left out. A link to a file is
/// read, a link to a folder is not followed: it may lead back up.
fn files_below(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = || format!("failed to read {}", folder.display());
        for entry in fs::read_dir(&folder).with_context(failed)? {
            let entry = entry.with_context(failed)?;
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let is_manifest = path
                .extension()
                .is_some_and(|kind| kind == "yaml" || kind == "yml" || kind == "json");
            if entry.file_type().with_context(failed)?.is_dir() {
                folders.push(path);
            } else if is_manifest && !path.is_dir() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

impl Input {
    /// `named`: the file was asked for by its name, so that it must hold objects; in a folder other files may lie.
    fn add(&mut self, file: &str, text: &str, named: bool) {
        let file: Rc<str> = file.into();
        let documents = match yaml::parse(text) {
            Ok(documents) => documents,
            Err(error) => {
                let yaml::YamlError {
                    location,
                    path,
                    message,
                } = error;
                self.faults.push(Fault {
                    file,
                    location,
                    path,
                    message,
                    fix: String::new(),
                });
                return;
            }
        };
        for document in documents {
            let document = Rc::new(document);
            let whole = Manifest {
                file: file.clone(),
                value: document.value.clone(),
                document,
                prefix: String::new(),
            };
            self.sort(whole, named);
        }
    }

    fn sort(&mut self, manifest: Manifest, named: bool) {
        match kind::of(&manifest) {
            Ok(What::Object) => self.manifests.push(manifest),
            Ok(What::List) => items(&manifest).into_iter().for_each(|item| self.sort(item, true)),
            Ok(What::Other) if !named => {}
            Ok(What::Other) => self
                .faults
                .push(manifest.fault("", "not a Kubernetes object: apiVersion and kind are missing")),
            Err(fault) => self.faults.push(fault),
        }
    }

    /// Refuses objects of other namespaces, and gives this one to those that name none, as `kubectl -n` does.
    fn assume(&mut self, namespace: &str) -> anyhow::Result<()> {
        for manifest in &self.manifests {
            let written = manifest.text("/metadata/namespace").to_owned();
            if !written.is_empty() && written != namespace {
                let fault = manifest.fault("metadata.namespace", format!("is {written}, but -n says {namespace}"));
                bail!("{fault}");
            }
        }
        self.fill(namespace);
        Ok(())
    }

    /// Gives this namespace to the objects that name none.
    pub fn fill(&mut self, namespace: &str) {
        for manifest in &mut self.manifests {
            if manifest.text("/metadata/namespace").is_empty()
                && manifest.text("/kind") != "Namespace"
                && let Some(Value::Object(metadata)) = manifest.value.pointer_mut("/metadata")
            {
                metadata.insert("namespace".into(), namespace.into());
            }
        }
    }

    /// The apps, and what is wrong with those that cannot be read.
    pub fn apps(&self) -> (Vec<(&Manifest, StartupApp)>, Vec<Fault>) {
        let mut apps = Vec::new();
        let mut faults = Vec::new();
        let mut seen = BTreeMap::new();
        for manifest in self.manifests.iter().filter(|manifest| manifest.is_app()) {
            match decoded(manifest) {
                Ok(app) => apps.push((manifest, app)),
                Err(found) => faults.extend(found),
            }
            let namespace = Some(manifest.text("/metadata/namespace")).filter(|name| !name.is_empty());
            let identity = (namespace.unwrap_or(DEFAULT_NAMESPACE), manifest.text("/metadata/name"));
            if let Some(first) = seen.insert(identity, manifest) {
                let place = format!("{}:{}", first.file, first.locate("metadata.name"));
                faults.push(manifest.fault("metadata.name", format!("the app {} is in {place} already", identity.1)));
            }
        }
        (apps, faults)
    }

    /// The namespaces that objects are in, with what their labels tell. An object without a namespace is in `default`,
    /// as for kubectl, and found under the empty name.
    pub fn namespaces(&self, files: &Files, platform: &Platform) -> BTreeMap<String, NamespaceContext> {
        let names: BTreeSet<&str> = self
            .manifests
            .iter()
            .map(|manifest| manifest.text("/metadata/namespace"))
            .collect();
        let context = |name: &str| {
            let real = if name.is_empty() { DEFAULT_NAMESPACE } else { name };
            let mut all = self.labels_of(real);
            all.extend(labels(&files.namespace_labels));
            // The API server sets this one on every namespace.
            all.insert("kubernetes.io/metadata.name".into(), real.into());
            platform.namespace(real, &all)
        };
        names.into_iter().map(|name| (name.to_owned(), context(name))).collect()
    }

    /// The labels that a Namespace object among the manifests gives.
    pub fn labels_of(&self, namespace: &str) -> BTreeMap<String, String> {
        let written = self
            .manifests
            .iter()
            .filter(|manifest| manifest.text("/kind") == "Namespace" && manifest.text("/metadata/name") == namespace)
            .filter_map(|manifest| manifest.value.pointer("/metadata/labels")?.as_object());
        written
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }
}

fn items(list: &Manifest) -> Vec<Manifest> {
    json::items(&list.value, "/items")
        .enumerate()
        .map(|(index, value)| Manifest {
            file: list.file.clone(),
            value: value.clone(),
            document: list.document.clone(),
            prefix: list.below(&format!("items[{index}]")),
        })
        .collect()
}

/// Reads an object of ours as strictly as the API server under `fieldValidation: Strict`, and an explicit null as an
/// error: the API server would drop it without a word.
fn decoded<T: DeserializeOwned>(manifest: &Manifest) -> Result<T, Vec<Fault>> {
    let breaches = conform::breaches(manifest.text("/kind"), &manifest.value);
    if !breaches.is_empty() {
        return Err(breaches
            .into_iter()
            .map(|breach| manifest.fault(&breach.path, breach.message))
            .collect());
    }
    let mut written = manifest.value.clone();
    if let Value::Object(fields) = &mut written {
        fields.remove("status");
    }
    yaml::decode(&written).map_err(|(path, message)| vec![manifest.fault(&path, message)])
}

#[cfg(test)]
mod tests;
