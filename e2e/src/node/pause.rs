//! The image of the first process of every pod, made here because there is no registry to ask.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use crate::command::run;

/// Its name, which no registry answers to.
pub(super) const IMAGE: &str = "tremplin.local/pause:1";

/// Writes the image around `program` as an archive that containerd imports: one layer with one file.
pub(super) async fn write(folder: &Path, program: &Path) -> Result<PathBuf> {
    let folder = folder.join("pause");
    fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let parent = program
        .parent()
        .context("a program without a folder")?
        .display()
        .to_string();
    let file = |name: &str| folder.join(name).display().to_string();
    tar(&file("layer.tar"), &parent, &["pause"]).await?;

    let layer = fs::read(folder.join("layer.tar")).context("failed to read a layer")?;
    let digest: String = Sha256::digest(&layer)
        .iter()
        .fold(String::from("sha256:"), |text, byte| text + &hex(*byte));
    let config = json!({
        "os": "linux",
        "architecture": architecture(),
        "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]);
    fs::write(folder.join("config.json"), config.to_string()).context("failed to write an image")?;
    fs::write(folder.join("manifest.json"), manifest.to_string()).context("failed to write an image")?;

    let archive = folder.join("image.tar");
    tar(
        &archive.display().to_string(),
        &folder.display().to_string(),
        &["manifest.json", "config.json", "layer.tar"],
    )
    .await?;
    Ok(archive)
}

async fn tar(archive: &str, folder: &str, files: &[&str]) -> Result<()> {
    let mut command = Command::new("tar");
    command
        .args([
            "--create",
            "--owner=0",
            "--group=0",
            "--file",
            archive,
            "--directory",
            folder,
        ])
        .args(files);
    run(&mut command).await.map(drop)
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}

/// This machine's architecture, as images name it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
