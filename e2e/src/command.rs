//! Programs run to their end, whose failure says enough to act on.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// Lines of its output that tell why a program failed.
const TAIL: usize = 15;

/// Runs `command` without input, and gives what it wrote to stdout. It is killed when the caller gives up.
///
/// # Errors
/// If it cannot be started, or does not exit with 0: the message names it, how it ended, and its last lines.
pub(crate) async fn run(command: &mut Command) -> Result<String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .with_context(|| format!("failed to run {name}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let words = if stderr.trim().is_empty() {
            stdout.as_str()
        } else {
            stderr.as_ref()
        };
        bail!("{name} failed ({}):\n{}", output.status, last_lines(words));
    }
    Ok(stdout)
}

/// The end of what a program said.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines
        .get(lines.len().saturating_sub(TAIL)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_names_the_program_its_end_and_its_last_words() {
        let script = "for i in $(seq 100); do echo line $i; done >&2; exit 3";
        let error = run(Command::new("sh").args(["-c", script]))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("sh failed (exit status: 3):\nline 86\n") && error.ends_with("line 100"),
            "{error}"
        );
    }
}
