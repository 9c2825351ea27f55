//! Files that are made from the code and committed: each must be what the code would make today.
//! `make generate` writes them.
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may its helpers")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use tremplin_core::api::crd;
use tremplin_core::platform::BUNDLED;

const CRDS: &str = "crds";
const CHART_CRDS: &str = "charts/tremplin-crds/templates";
const CHART_PLATFORMS: &str = "charts/tremplin/platforms";

/// Every generated file, by its path in the repository.
fn generated() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for definition in crd::all() {
        let name = format!("{}_{}.yaml", definition.spec.group, definition.spec.names.plural);
        files.insert(format!("{CRDS}/{name}"), yaml(&definition));
        // Helm reads its templates for `{{`.
        let template = yaml(&kept(definition)).replace("{{", "{{ \"{{\" }}");
        files.insert(format!("{CHART_CRDS}/{name}"), template);
    }
    for profile in BUNDLED {
        files.insert(
            format!("{CHART_PLATFORMS}/{}.yaml", profile.name),
            profile.text.to_owned(),
        );
    }
    files
}

/// Helm and Argo CD leave an object with this annotation where it is when its chart is uninstalled.
fn kept(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let annotations = definition.metadata.annotations.get_or_insert_default();
    annotations.insert("helm.sh/resource-policy".to_owned(), "keep".to_owned());
    definition
}

fn yaml(definition: &CustomResourceDefinition) -> String {
    let text = serde_saphyr::to_string(definition).unwrap();
    format!("# Generated from core/src/api by `make generate`: do not edit.\n{text}")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What lies in the folders of generated files: nothing else may.
fn found() -> Vec<String> {
    let mut found: Vec<_> = [CRDS, CHART_CRDS, CHART_PLATFORMS]
        .into_iter()
        .flat_map(files_in)
        .collect();
    found.sort();
    found
}

fn files_in(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| format!("{folder}/{name}")).collect()
}

#[test]
fn generated_files_are_those_of_the_code() {
    let generated = generated();
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
