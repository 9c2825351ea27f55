//! The image of the operator (`Dockerfile` at the top of the repository).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use super::Image;
use super::build::Recipe;
use crate::command::run;
use crate::progress::Step;

/// Where the operator's images come from.
pub const OPERATOR: &str = "ghcr.io/tremplin-dev/tremplin";

/// The image of the operator with `binary` in it ([`operator_binary`]). Its tag holds the hash of its content, so
/// that a cluster never runs an older one under the same name.
///
/// `revision` is the commit that the label `org.opencontainers.image.revision` tells.
///
/// # Errors
/// If buildah fails; its last words are in the message.
pub async fn operator(binary: &Path, revision: &str) -> Result<Image> {
    let version = env!("CARGO_PKG_VERSION");
    let recipe = Recipe {
        repository: OPERATOR,
        tag: format!("{version}-{{key}}"),
        dockerfile: repository().join("Dockerfile"),
        files: vec![(binary.to_owned(), "target/release/tremplin")],
        arguments: vec![
            ("BINARY", "prebuilt".to_owned()),
            ("VERSION", version.to_owned()),
            ("REVISION", revision.to_owned()),
        ],
        target: "operator",
    };
    recipe.build().await
}

/// The release binary, built by cargo if anything changed since.
///
/// # Errors
/// If it does not compile; cargo's last words are in the message.
pub async fn operator_binary() -> Result<PathBuf> {
    let step = Step::start("building the operator (release; minutes after a change)");
    let binary = build(&["--release", "--package=tremplin"]).await?;
    step.done();
    Ok(binary)
}

/// The debug binary, built by cargo if anything changed since, of the same dependencies as the tests.
pub async fn debug_operator_binary() -> Result<PathBuf> {
    let step = Step::start("building the operator (debug)");
    let binary = build(&["--workspace", "--bin=tremplin"]).await?;
    step.done();
    Ok(binary)
}

async fn build(arguments: &[&str]) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--message-format=json-render-diagnostics"]);
    let messages = run(cargo.args(arguments).current_dir(repository())).await?;
    executable(&messages).context("cargo did not say where it put the binary")
}

/// The program among cargo's messages
/// (<https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>).
fn executable(messages: &str) -> Option<PathBuf> {
    let artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut programs =
        artifacts.filter(|artifact| artifact.pointer("/target/name").is_some_and(|name| name == "tremplin"));
    programs.find_map(|program| Some(PathBuf::from(program.get("executable")?.as_str()?)))
}

fn repository() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_libraries() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"tremplin"},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/target/release/other"}
{"reason":"compiler-artifact","target":{"name":"tremplin"},"executable":"/target/release/tremplin"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages), Some("/target/release/tremplin".into()));
        assert_eq!(executable("{}"), None);
    }
}
