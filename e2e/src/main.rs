//! The local cluster's command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use tremplin_e2e::image::{self, Image};
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
    /// Build an image, and print its name and its archive
    Image {
        /// Which one
        image: ImageName,
        /// The version that the sample application calls itself
        #[arg(long, default_value = "1.0.0")]
        version: String,
        /// The commit that the operator's image tells in its labels
        #[arg(long, default_value = "unknown")]
        revision: String,
        /// Copy the archive to this file
        #[arg(long)]
        output: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum ImageName {
    /// The operator
    Operator,
    /// The application that the scenarios and the demo run
    SampleApp,
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
        Command::Image {
            image: ImageName::Operator,
            revision,
            output,
            ..
        } => {
            let binary = image::operator_binary().await?;
            println!("binary:  {} ({})", binary.display(), megabytes(&binary)?);
            show(&image::operator(&revision).await?, output.as_deref())?;
        }
        Command::Image {
            image: ImageName::SampleApp,
            version,
            output,
            ..
        } => {
            show(&image::sample_app(&version).await?, output.as_deref())?;
        }
    }
    Ok(())
}

/// Prints what an image is called and where it is, and copies its archive where it was asked for.
fn show(image: &Image, output: Option<&Path>) -> anyhow::Result<()> {
    let archive = output.unwrap_or(&image.archive);
    if archive != image.archive {
        fs::copy(&image.archive, archive).with_context(|| format!("failed to write {}", archive.display()))?;
    }
    println!("image:   {}", image.reference);
    println!("archive: {} ({})", archive.display(), megabytes(archive)?);
    Ok(())
}

fn megabytes(file: &Path) -> anyhow::Result<String> {
    let size = fs::metadata(file)
        .with_context(|| format!("failed to read {}", file.display()))?
        .len();
    // One decimal, in whole arithmetic.
    Ok(format!("{}.{} MB", size / 1_000_000, size % 1_000_000 / 100_000))
}
