//! What `--for argo-cd` changes.

use serde_json::{Value, json};

/// Makes the release's Job a `PreSync` hook: Argo CD runs it before it applies the rest of a sync, and goes on only when
/// it has succeeded. Unlike the operator it does so at *every* sync, so the command must be one that can be repeated.
///
/// At a first sync the app's own ServiceAccount is not there yet (it is applied after the hook), so the Job uses the
/// namespace's default one; no token of either is mounted.
pub fn hook(job: &mut Value) {
    if let Some(Value::Object(metadata)) = job.get_mut("metadata") {
        let annotations = json!({
            "argocd.argoproj.io/hook": "PreSync",
            "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
        });
        metadata.insert("annotations".into(), annotations);
    }
    if let Some(Value::Object(pod)) = job.pointer_mut("/spec/template/spec") {
        pod.remove("serviceAccountName");
    }
}
