//! The image of the sample application (`e2e/sample-app/`).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use super::Image;
use super::build::Recipe;
use crate::command::run;
use crate::tools;

/// Where the sample application's images are said to come from. Nothing is ever pulled from there.
pub const SAMPLE_APP: &str = "ghcr.io/tremplin-dev/sample-app";

/// The image of the sample application that calls itself `version`; any version can be made.
///
/// # Errors
/// If Go is missing or the build fails; the compiler's last words are in the message.
pub async fn sample_app(version: &str) -> Result<Image> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-app");
    let recipe = Recipe {
        repository: SAMPLE_APP,
        tag: version.to_owned(),
        dockerfile: source.join("Dockerfile"),
        files: vec![(binary(&source, version).await?, "sample-app")],
        arguments: Vec::new(),
        target: "sample-app",
    };
    recipe.build().await
}

/// Compiles it. Go's own cache makes a second time cost less than finding out whether it is needed.
async fn binary(source: &Path, version: &str) -> Result<PathBuf> {
    let binary = tools::cache()?.join("images").join(format!("sample-app-{version}"));
    let mut build = Command::new("go");
    build
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags"])
        .arg(format!("-s -w -X main.version={version}"));
    build
        .arg("-o")
        .arg(&binary)
        .arg(".")
        .current_dir(source)
        .env("CGO_ENABLED", "0");
    run(&mut build)
        .await
        .context("failed to compile the sample application (it needs Go 1.26 or newer)")?;
    Ok(binary)
}
