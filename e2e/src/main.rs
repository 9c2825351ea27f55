//! The local cluster's command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tremplin_e2e::tools::{self, Tool};

/// A real local Kubernetes cluster for tests and demos.
#[derive(Parser)]
#[command(name = "e2e", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build programs that are missing, and print where each is
    Tools {
        /// Which ones [default: all]
        names: Vec<Tool>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Tools { names } => {
            let names = if names.is_empty() {
                Tool::value_variants()
            } else {
                &names
            };
            let tools = tools::ensure(names).await?;
            for &tool in names {
                println!("{}", tools.path(tool)?.display());
            }
        }
    }
    Ok(())
}
