//! Files that are made from the code and committed: each must be what the code would make today.
//! `make generate` writes them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and so may its helpers"
)]

#[path = "chart/helm.rs"]
mod helm;
#[path = "reference/pages.rs"]
mod pages;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use helm::{chart, template};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde::Serialize;
use serde_json::{Value, json};
use tremplin_core::api::crd;
use tremplin_core::platform::BUNDLED;

const CRDS: &str = "crds";
const CHART_CRDS: &str = "charts/tremplin-crds/templates";
const REFERENCE: &str = "docs/reference";
const CHART_PLATFORMS: &str = "charts/tremplin/platforms";
/// Files in a folder in which others lie too: kustomize reads nothing outside it.
const BASE: [&str; 2] = ["config/base/crds.yaml", "config/base/operator.yaml"];

/// Every generated file, by its path in the repository.
async fn generated() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for definition in crd::all() {
        let name = format!("{}_{}.yaml", definition.spec.group, definition.spec.names.plural);
        files.insert(format!("{CRDS}/{name}"), file("core/src/api", &[&definition]));
        // Helm reads its templates for `{{`.
        let template = file("core/src/api", &[kept(definition)]).replace("{{", "{{ \"{{\" }}");
        files.insert(format!("{CHART_CRDS}/{name}"), template);
    }
    for profile in BUNDLED {
        files.insert(
            format!("{CHART_PLATFORMS}/{}.yaml", profile.name),
            profile.text.to_owned(),
        );
    }
    files.extend(pages::pages());
    let [crds, operator] = BASE.map(str::to_owned);
    files.insert(crds, file("core/src/api", &crd::all()));
    files.insert(operator, file("charts/tremplin", &without_helm().await));
    files
}

/// The chart's objects with its default values, without what only Helm reads.
async fn without_helm() -> Vec<Value> {
    let mut objects = template(&chart("tremplin"), "tremplin", &[]).await.unwrap();
    for object in &mut objects {
        for labels in ["/metadata/labels", "/spec/template/metadata/labels"] {
            if let Some(labels) = object.pointer_mut(labels).and_then(Value::as_object_mut) {
                labels.remove("helm.sh/chart");
                labels.insert("app.kubernetes.io/managed-by".to_owned(), json!("kustomize"));
            }
        }
    }
    objects
}

/// Helm and Argo CD leave an object with this annotation where it is when its chart is uninstalled.
fn kept(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let annotations = definition.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    definition
}

fn file(source: &str, objects: &[impl Serialize]) -> String {
    let documents: Vec<_> = objects
        .iter()
        .map(|object| serde_saphyr::to_string(object).unwrap())
        .collect();
    format!(
        "# Generated from {source} by `make generate`: do not edit.\n{}",
        documents.join("---\n")
    )
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What lies in the folders of generated files: nothing else may.
fn found() -> Vec<String> {
    let mut found: Vec<_> = [CRDS, CHART_CRDS, CHART_PLATFORMS, REFERENCE]
        .into_iter()
        .flat_map(files_in)
        .collect();
    found.extend(BASE.map(str::to_owned));
    found.sort();
    found
}

fn files_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| format!("{folder}/{name}")).collect()
}

#[tokio::test]
async fn generated_files_are_those_of_the_code() {
    let generated = generated().await;
    if std::env::var_os("TREMPLIN_GENERATE").is_some() {
        for stale in found().iter().filter(|path| !generated.contains_key(*path)) {
            fs::remove_file(root().join(stale)).unwrap();
        }
        for (path, text) in &generated {
            let path: PathBuf = root().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    assert_eq!(
        found(),
        generated.keys().cloned().collect::<Vec<_>>(),
        "run `make generate`"
    );
    for (path, text) in generated {
        let committed = fs::read_to_string(root().join(&path)).unwrap();
        assert!(
            committed == text,
            "{path} is not what the code makes: run `make generate`"
        );
    }
}
