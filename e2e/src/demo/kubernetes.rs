//! The cluster that the demo runs on, spoken to by the programs that a person would use.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

use crate::command::{last_lines, run};
use crate::tools::{self, Tool, Tools};

/// kubectl and helm, with the kubeconfig and the namespace that they are to use.
pub(super) struct Kubernetes {
    tools: Tools,
    /// A file of the demo's own: the current namespace is the team's.
    pub kubeconfig: PathBuf,
}

impl Kubernetes {
    pub async fn new(kubeconfig: PathBuf) -> Result<Self> {
        Ok(Self {
            tools: tools::ensure(&[Tool::Kubectl, Tool::Helm]).await?,
            kubeconfig,
        })
    }

    pub fn path(&self, tool: Tool) -> Result<&Path> {
        self.tools.path(tool)
    }

    fn command(&self, tool: Tool) -> Result<Command> {
        let mut command = Command::new(self.path(tool)?);
        command.env("KUBECONFIG", &self.kubeconfig);
        Ok(command)
    }

    /// What kubectl prints.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        run(self.command(Tool::Kubectl)?.args(arguments)).await
    }

    /// An object, or a list of them, as kubectl gets it.
    pub async fn get(&self, arguments: &[&str]) -> Result<Value> {
        let text = run(self
            .command(Tool::Kubectl)?
            .args(["get", "--output=json"])
            .args(arguments))
        .await?;
        serde_json::from_str(&text).context("kubectl printed no JSON")
    }

    /// Applies objects.
    pub async fn apply(&self, objects: &[Value], file: &Path) -> Result<()> {
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        std::fs::write(file, list.to_string()).with_context(|| format!("failed to write {}", file.display()))?;
        self.kubectl(&["apply", "--filename", &file.display().to_string()])
            .await
            .map(drop)
    }

    /// Installs a chart or brings it up to date.
    pub async fn install(&self, namespace: &str, chart: &Path, arguments: &[&str]) -> Result<()> {
        let name = chart
            .file_name()
            .context("a chart without a name")?
            .to_string_lossy()
            .into_owned();
        self.recover(namespace, &name).await?;
        let mut helm = self.command(Tool::Helm)?;
        helm.args(["upgrade", "--install", &name])
            .arg(chart)
            .args(["--namespace", namespace, "--create-namespace"]);
        run(helm.args(["--wait", "--timeout=3m"]).args(arguments))
            .await
            .map(drop)
    }

    /// A release whose installation was interrupted can be neither installed nor upgraded: it is taken away first.
    async fn recover(&self, namespace: &str, name: &str) -> Result<()> {
        let status = run(self
            .command(Tool::Helm)?
            .args(["status", name, "--namespace", namespace, "--output=json"]))
        .await;
        let status: Value = status
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let interrupted = status.pointer("/info/status").and_then(Value::as_str);
        if interrupted.is_some_and(|status| status.starts_with("pending")) {
            self.uninstall(namespace, name).await?;
        }
        Ok(())
    }

    /// Takes a release away, if it is there.
    pub async fn uninstall(&self, namespace: &str, name: &str) -> Result<()> {
        let arguments = [
            "uninstall",
            name,
            "--namespace",
            namespace,
            "--ignore-not-found",
            "--wait",
        ];
        run(self.command(Tool::Helm)?.args(arguments)).await.map(drop)
    }

    /// What a person would look at when pods of a namespace do not come up.
    pub async fn trouble(&self, namespace: &str) -> String {
        let looks: [&[&str]; 3] = [
            &["get", "pods", "--output=wide"],
            &[
                "get",
                "events",
                "--sort-by=.lastTimestamp",
                "--field-selector=type!=Normal",
            ],
            &[
                "logs",
                "--selector=app.kubernetes.io/name=tremplin",
                "--tail=15",
                "--all-pods",
            ],
        ];
        let mut words = Vec::new();
        for look in looks {
            let namespaced: Vec<_> = look.iter().copied().chain(["--namespace", namespace]).collect();
            if let Ok(text) = self.kubectl(&namespaced).await {
                words.push(format!("\n$ kubectl {}\n{}\n", namespaced.join(" "), last_lines(&text)));
            }
        }
        words.concat()
    }
}
