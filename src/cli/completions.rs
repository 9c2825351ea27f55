//! `completions`: for the shell.

use clap::Args;
use clap_complete::{Shell, generate};

use super::{Exit, Io, command};

/// Print the completions of a shell
///
/// For bash: `source <(tremplin completions bash)`. For `kubectl tremplin`, kubectl looks for a program
/// `kubectl_complete-tremplin`, which may be a script that calls `tremplin completions`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut command(), "tremplin", &mut script);
    io.output.write_all(&script)?;
    Ok(Exit::Fine)
}
