//! Runs Helm, built from its pinned module.
#![allow(dead_code, reason = "each test program uses its part")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;
use tremplin_e2e::tools::{self, Tool};

/// The folder of a chart of this repository.
pub fn chart(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts").join(name)
}

/// What Helm said.
pub struct Answer {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// Runs `helm` with a home of its own.
pub async fn helm(arguments: &[&str]) -> Answer {
    let tools = tools::ensure(&[Tool::Helm]).await.unwrap();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm");
    let mut command = Command::new(tools.path(Tool::Helm).unwrap());
    for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(folder, home.join(folder));
    }
    let output = command.args(arguments).output().await.unwrap();
    Answer {
        success: output.status.success(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The objects that the release `tremplin` of a chart renders to in a namespace, with `--set-json` values.
///
/// # Errors
/// What Helm said when it refused.
pub async fn template(chart: &Path, namespace: &str, values: &[&str]) -> Result<Vec<Value>, String> {
    let mut arguments = vec![
        "template",
        "tremplin",
        chart.to_str().unwrap(),
        "--namespace",
        namespace,
    ];
    for value in values {
        arguments.extend(["--set-json", value]);
    }
    let answer = helm(&arguments).await;
    if answer.success {
        Ok(objects(&answer.stdout))
    } else {
        Err(answer.stderr)
    }
}

/// Every object of a multi-document YAML.
pub fn objects(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The objects of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}
