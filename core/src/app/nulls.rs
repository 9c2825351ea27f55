//! Keys without a value, such as `release:` with nothing behind: the API server drops them without a word. What was
//! written is still in the annotation of a client-side apply.

use serde_json::Value;

use crate::api::startup_app::StartupApp;

/// Where `kubectl apply` and Argo CD keep what was written.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The paths of the spec that were written without a value, as far as the object shows it.
pub fn dropped(app: &StartupApp) -> Vec<String> {
    let written = app
        .metadata
        .annotations
        .as_ref()
        .and_then(|annotations| annotations.get(LAST_APPLIED));
    let written: Option<Value> = written.and_then(|text| serde_json::from_str(text).ok());
    let mut found = Vec::new();
    if let Some(spec) = written.as_ref().and_then(|written| written.get("spec")) {
        walk("spec", spec, &mut found);
    }
    found
}

fn walk(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(path.to_owned()),
        Value::Object(map) => map
            .iter()
            .for_each(|(key, below)| walk(&format!("{path}.{key}"), below, found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, below)| walk(&format!("{path}[{index}]"), below, found)),
        _ => {}
    }
}
