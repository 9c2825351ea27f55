//! The programs of the local cluster, built from pinned Go modules.
//!
//! Each module under `e2e/tools/` pins its programs with `tool` directives and a committed `go.sum`.
//! A binary is kept outside the tree, in
//! `${TREMPLIN_CACHE:-${XDG_CACHE_HOME:-~/.cache}/tremplin}/tools/<module>-<hash>/<program>`, where the
//! hash covers everything that decides its content: the module's files, the version of Go and the flags.
//! A build writes beside and renames, under a lock, so two builders never build the same thing twice
//! and nobody ever runs half a program. `KUBEBUILDER_ASSETS`, when set, gives `etcd`, `kube-apiserver`
//! and `kubectl`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::progress::Step;

/// The release of Kubernetes that `tools/kubernetes/go.mod` pins.
const KUBERNETES: &str = "1.36.3";

/// A program built from a Go module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Tool {
    /// The API server.
    KubeApiserver,
    /// The API server's store.
    Etcd,
    /// Garbage collection, Deployments, Jobs, quotas, service accounts.
    KubeControllerManager,
    /// The command line.
    Kubectl,
    /// The node's agent.
    Kubelet,
    /// Gives pods a node.
    KubeScheduler,
    /// Services, by iptables.
    KubeProxy,
    /// The cluster's DNS.
    Coredns,
    /// Installs charts.
    Helm,
    /// The first process of every pod, ours.
    Pause,
}

/// Where a tool's source is.
struct Source {
    module: &'static str,
    package: &'static str,
    program: &'static str,
}

impl Tool {
    /// The file name of the program.
    pub fn program(self) -> &'static str {
        self.source().program
    }

    fn source(self) -> Source {
        let (module, package, program) = match self {
            Self::KubeApiserver => ("kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", "kube-apiserver"),
            Self::Etcd => ("etcd", "go.etcd.io/etcd/server/v3", "etcd"),
            Self::KubeControllerManager => (
                "kubernetes",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
                "kube-controller-manager",
            ),
            Self::Kubectl => ("kubernetes", "k8s.io/kubernetes/cmd/kubectl", "kubectl"),
            Self::Kubelet => ("kubernetes", "k8s.io/kubernetes/cmd/kubelet", "kubelet"),
            Self::KubeScheduler => ("kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", "kube-scheduler"),
            Self::KubeProxy => ("kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", "kube-proxy"),
            Self::Coredns => ("coredns", "github.com/coredns/coredns", "coredns"),
            Self::Helm => ("helm", "helm.sh/helm/v4/cmd/helm", "helm"),
            Self::Pause => ("pause", "tremplin/e2e/tools/pause", "pause"),
        };
        Source {
            module,
            package,
            program,
        }
    }
}

impl Source {
    fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(self.module)
    }

    /// What the linker is told. Without its version, Kubernetes calls itself v0.0.0.
    fn linker_flags(&self) -> String {
        if self.module != "kubernetes" {
            return "-s -w".to_owned();
        }
        let mut numbers = KUBERNETES.split('.');
        let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
        let version = "k8s.io/component-base/version";
        format!(
            "-s -w -X {version}.gitVersion=v{KUBERNETES} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"
        )
    }

    /// The folder of this module's binaries: another pin, flag or compiler gives another folder.
    fn cache(&self, go: &str) -> Result<PathBuf> {
        let mut hash = Sha256::new();
        let unreadable = || format!("failed to read {}", self.folder().display());
        let entries: Result<Vec<_>, _> = fs::read_dir(self.folder()).with_context(unreadable)?.collect();
        let mut files: Vec<_> = entries
            .with_context(unreadable)?
            .iter()
            .map(fs::DirEntry::path)
            .collect();
        files.sort();
        for file in files {
            hash.update(fs::read(&file).with_context(unreadable)?);
        }
        hash.update(go);
        hash.update(self.linker_flags());
        let hash = hash
            .finalize()
            .first_chunk()
            .map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Ok(cache()?.join("tools").join(format!("{}-{hash:016x}", self.module)))
    }
}

/// The programs that were asked for, each ready to run.
#[derive(Clone, Debug)]
pub struct Tools(BTreeMap<Tool, PathBuf>);

impl Tools {
    /// Where `tool` is.
    ///
    /// # Errors
    /// If it was not among the tools given to [`ensure`].
    pub fn path(&self, tool: Tool) -> Result<&Path> {
        self.0
            .get(&tool)
            .map(PathBuf::as_path)
            .with_context(|| format!("{} was not built", tool.program()))
    }
}

impl Tools {
    /// The folders that hold them.
    pub(crate) fn folders(&self) -> BTreeSet<&Path> {
        self.0.values().filter_map(|path| path.parent()).collect()
    }
}

/// The folder for what is slow to make and safe to delete: `${TREMPLIN_CACHE}`, else `tremplin` below
/// `${XDG_CACHE_HOME}` or `~/.cache`.
///
/// # Errors
/// If none of these variables nor `HOME` is set.
pub fn cache() -> Result<PathBuf> {
    let from = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder = from("TREMPLIN_CACHE")
        .or_else(|| from("XDG_CACHE_HOME").map(|folder| folder.join("tremplin")))
        .or_else(|| from("HOME").map(|folder| folder.join(".cache/tremplin")))
        .context("no place for built programs: set TREMPLIN_CACHE, XDG_CACHE_HOME or HOME")?;
    std::path::absolute(&folder).with_context(|| format!("failed to resolve {}", folder.display()))
}

/// Builds the tools that are missing, and says where each is.
///
/// # Errors
/// If Go is missing, or a build fails; the compiler's words are shown on stderr.
pub async fn ensure(tools: &[Tool]) -> Result<Tools> {
    let mut ready = BTreeMap::new();
    for &tool in tools {
        let path = match given(tool, std::env::var_os("KUBEBUILDER_ASSETS").as_deref()) {
            Some(path) => path,
            None => built(tool).await?,
        };
        ready.insert(tool, path);
    }
    Ok(Tools(ready))
}

/// The program that `KUBEBUILDER_ASSETS` gives, where that convention knows it.
fn given(tool: Tool, assets: Option<&OsStr>) -> Option<PathBuf> {
    if !matches!(tool, Tool::Etcd | Tool::KubeApiserver | Tool::Kubectl) {
        return None;
    }
    let path = Path::new(assets?).join(tool.program());
    path.is_file().then_some(path)
}

async fn built(tool: Tool) -> Result<PathBuf> {
    let source = tool.source();
    let folder = source.cache(&go_version(&source).await?)?;
    let program = folder.join(source.program);
    if program.is_file() {
        return Ok(program);
    }
    fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let _turn = lock(&folder.join(format!(".{}.lock", source.program)), source.program).await?;
    if !program.is_file() {
        build(&source, &program).await?;
    }
    Ok(program)
}

/// The version of Go that the module's folder selects (its `toolchain` line may choose another).
async fn go_version(source: &Source) -> Result<String> {
    let output = Command::new("go")
        .args(["env", "GOVERSION"])
        .current_dir(source.folder())
        .output()
        .await
        .context("failed to run go: install Go 1.26 or newer (https://go.dev/dl), it builds the cluster's programs")?;
    if !output.status.success() {
        bail!("go env failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

async fn build(source: &Source, program: &Path) -> Result<()> {
    let step = Step::start(format!("building {} from source (minutes, once)", source.program));
    let beside = program.with_file_name(format!(".{}.{}", source.program, std::process::id()));
    let status = Command::new("go")
        .args(["build", "-trimpath", "-mod=readonly", "-buildvcs=false", "-ldflags"])
        .arg(source.linker_flags())
        .arg("-o")
        .arg(&beside)
        .arg(source.package)
        .current_dir(source.folder())
        .env("CGO_ENABLED", "0")
        .kill_on_drop(true)
        .status()
        .await
        .context("failed to run go build")?;
    if !status.success() {
        let _ = fs::remove_file(&beside);
        bail!(
            "go build of {} failed in {} ({status}): its reason is above",
            source.program,
            source.folder().display()
        );
    }
    fs::rename(&beside, program).with_context(|| format!("failed to put {} in place", program.display()))?;
    step.done();
    Ok(())
}

/// Waits for the turn to work on what `path` guards; it ends when the file is dropped.
pub(crate) async fn lock(path: &Path, what: &str) -> Result<File> {
    let file = File::create(path).with_context(|| format!("failed to create {}", path.display()))?;
    let mut waiting = None;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {
                waiting.get_or_insert_with(|| Step::start(format!("waiting for another run's work on {what}")));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("failed to lock {}", path.display()));
            }
        }
    }
    if let Some(step) = waiting {
        step.done();
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_folder_follows_the_compiler_and_the_pins() {
        let kubernetes = Tool::Kubectl.source();
        let folder = kubernetes.cache("go1.26.8").unwrap();
        assert_eq!(
            folder,
            Tool::Kubelet.source().cache("go1.26.8").unwrap(),
            "one folder per module"
        );
        assert_ne!(
            folder,
            kubernetes.cache("go1.27.0").unwrap(),
            "another compiler, another folder"
        );
        assert_ne!(folder, Tool::Etcd.source().cache("go1.26.8").unwrap());
    }

    #[test]
    fn assets_that_were_given_are_taken_where_they_are_and_the_convention_knows_them() {
        let folder = crate::state::Folder::temporary().unwrap();
        for program in ["etcd", "kubelet"] {
            fs::write(folder.path().join(program), "").unwrap();
        }
        let assets = Some(folder.path().as_os_str());
        assert_eq!(given(Tool::Etcd, assets), Some(folder.path().join("etcd")));
        assert_eq!(given(Tool::Kubectl, assets), None, "it is not there");
        assert_eq!(
            given(Tool::Kubelet, assets),
            None,
            "the convention does not speak of it"
        );
        assert_eq!(given(Tool::Etcd, None), None);
    }

    #[test]
    fn every_tool_is_pinned_by_its_module() {
        for &tool in Tool::value_variants() {
            let source = tool.source();
            let pins = fs::read_to_string(source.folder().join("go.mod")).unwrap();
            assert!(
                pins.contains(source.package),
                "{} is not in go.mod of {}",
                source.package,
                source.module
            );
            assert!(source.folder().join("go.sum").is_file());
        }
        let pins = fs::read_to_string(Tool::Kubectl.source().folder().join("go.mod")).unwrap();
        assert!(pins.contains(&format!("k8s.io/kubernetes v{KUBERNETES}")));
    }
}
