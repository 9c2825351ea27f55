//! The command line: one file per command. Also reached as `kubectl tremplin`, when the program is found under the name
//! `kubectl-tremplin`.
//!
//! Output for programs goes to the standard output, everything else to the standard error.

mod check;
mod cluster;
mod completions;
pub mod controller;
mod crds;
mod diff;
mod dns;
mod explain;
mod input;
mod options;
mod render;
mod stream;
mod verbs;
mod why;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use stream::Stream;

const AFTER_HELP: &str = "\
Exit codes: 0 all is well; 1 findings or differences; 2 wrong use, or it could not be done.";

/// Turns a few lines of YAML into running, reachable, policy-clean applications on Kubernetes
#[derive(Parser, Debug)]
#[command(name = "tremplin", version, after_help = AFTER_HELP, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Render(render::Arguments),
    Check(check::Arguments),
    Diff(diff::Arguments),
    Why(why::Arguments),
    Dns(dns::Arguments),
    Restart(verbs::Restart),
    RunCron(verbs::RunCron),
    Crds(crds::Arguments),
    Explain(explain::Arguments),
    Controller(controller::Arguments),
    Completions(completions::Arguments),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Fine = 0,
    /// There are findings or differences.
    Found = 1,
    /// Wrong use, or it could not be done.
    Failed = 2,
}

/// What a command reads and writes beside files and the cluster.
pub struct Io<'a> {
    /// The standard input.
    pub input: &'a mut dyn Read,
    /// For programs.
    pub output: &'a mut dyn Write,
    /// For people.
    pub errors: &'a mut dyn Write,
}

/// Runs the program with the process's own arguments and streams.
pub fn main() -> ExitCode {
    let (mut input, mut output, mut errors) = (io::stdin(), io::stdout(), io::stderr());
    let mut io = Io {
        input: &mut input,
        output: &mut output,
        errors: &mut errors,
    };
    ExitCode::from(run(std::env::args_os().collect(), &mut io) as u8)
}

/// Runs one command line. The first argument is the program's name.
pub fn run(arguments: Vec<OsString>, io: &mut Io<'_>) -> Exit {
    let parsed = command_for(arguments.first())
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let (mut output, mut errors) = (
        Stream::new("the output", io.output),
        Stream::new("the messages", io.errors),
    );
    let io = &mut Io {
        input: io.input,
        output: &mut output,
        errors: &mut errors,
    };
    let result = match parsed {
        Ok(cli) => dispatch(cli.command, io),
        Err(wrong) => refuse(&wrong, io),
    };
    let result = result.and_then(|exit| Ok(io.output.flush().map(|()| exit)?));
    result.unwrap_or_else(|error| {
        let _ = writeln!(io.errors, "error: {error:#}");
        Exit::Failed
    })
}

/// The description of the whole command line, from which completions and the reference page are made.
pub fn command() -> clap::Command {
    Cli::command()
}

fn command_for(program: Option<&OsString>) -> clap::Command {
    let name = program.and_then(|program| Path::new(program).file_stem());
    if name.is_some_and(|name| name == "kubectl-tremplin") {
        return command().name("kubectl-tremplin").bin_name("kubectl tremplin");
    }
    command()
}

/// A number and what it counts.
fn counted(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

fn refuse(wrong: &clap::Error, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    // Help and version are asked for: they are no errors.
    if wrong.use_stderr() {
        write!(io.errors, "{}", wrong.render())?;
        return Ok(Exit::Failed);
    }
    write!(io.output, "{}", wrong.render())?;
    Ok(Exit::Fine)
}

fn dispatch(command: Command, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    match command {
        Command::Render(arguments) => render::run(&arguments, io),
        Command::Check(arguments) => check::run(&arguments, io),
        Command::Diff(arguments) => diff::run(&arguments, io),
        Command::Why(arguments) => why::run(&arguments, io),
        Command::Dns(arguments) => dns::run(&arguments, io),
        Command::Restart(arguments) => verbs::restart(&arguments, io),
        Command::RunCron(arguments) => verbs::run_cron(&arguments, io),
        Command::Crds(arguments) => crds::run(&arguments, io),
        Command::Explain(arguments) => explain::run(&arguments, io),
        Command::Controller(arguments) => controller::run(arguments),
        Command::Completions(arguments) => completions::run(&arguments, io),
    }
}

#[cfg(test)]
mod tests;
