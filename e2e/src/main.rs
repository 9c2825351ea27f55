//! The local cluster's command line: one file per theme in `cli/`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};
use tremplin_e2e::tools::{self, Tool};
use tremplin_e2e::{demo, ingress};

mod cli {
    pub(crate) mod cluster;
    pub(crate) mod demo;
    pub(crate) mod environment;
    pub(crate) mod image;
}

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
    /// Build an image, and print its name and its archive
    Image(cli::image::Arguments),
    /// Make sure that a cluster runs, and leave it running
    Up(cli::cluster::Wanted),
    /// Take a cluster down and remove all that is left of it
    Down(cli::cluster::Named),
    /// Give a cluster's node the image of an archive: nothing is pulled there
    Import {
        #[command(flatten)]
        cluster: cli::cluster::Named,
        /// Its archive, as `image` or `docker save` writes it
        archive: PathBuf,
    },
    /// Show Tremplin at work on a cluster, and leave it running
    Demo(cli::demo::Arguments),
    /// Take the demo down
    DemoDown(cli::demo::Arguments),
    /// Lead requests into a cluster by its Ingress objects, in the foreground
    #[command(hide = true)]
    Ingress {
        /// The cluster's folder
        folder: PathBuf,
    },
    /// Say what runs of every cluster
    Status,
    /// Print the path of a cluster's kubeconfig file
    Kubeconfig(cli::cluster::Named),
    /// Make a namespace that looks like an environment of the platform, policies included
    Environment(cli::environment::Arguments),
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

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Tools { names } => build(&names).await,
        Command::Image(arguments) => cli::image::build(&arguments).await,
        Command::Up(wanted) => cli::cluster::up(&wanted).await,
        Command::Down(named) => cli::cluster::down(&named).await,
        Command::Import { cluster, archive } => cli::cluster::import(&cluster, &archive).await,
        Command::Demo(arguments) => demo::up(&arguments.target()).await,
        Command::DemoDown(arguments) => demo::down(&arguments.target()).await,
        Command::Ingress { folder } => ingress::serve_cluster(&folder).await,
        Command::Status => cli::cluster::status().await,
        Command::Kubeconfig(named) => cli::cluster::kubeconfig(&named),
        Command::Environment(arguments) => cli::environment::make(arguments).await,
    }
}

async fn build(names: &[Tool]) -> Result<()> {
    let names = if names.is_empty() {
        Tool::value_variants()
    } else {
        names
    };
    let tools = tools::ensure(names).await?;
    for &tool in names {
        println!("{}", tools.path(tool)?.display());
    }
    Ok(())
}
