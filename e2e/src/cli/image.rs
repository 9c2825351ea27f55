//! Images.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use tremplin_e2e::image::{self, Image};

/// Which image, and where it goes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Which one
    image: Name,
    /// The version that the sample application calls itself
    #[arg(long, default_value = "1.0.0")]
    version: String,
    /// The commit that the operator's image tells in its labels
    #[arg(long, default_value = "unknown")]
    revision: String,
    /// Copy the archive to this file
    #[arg(long)]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// The operator
    Operator,
    /// The application that the scenarios and the demo run
    SampleApp,
}

pub(crate) async fn build(arguments: &Arguments) -> Result<()> {
    let image = match arguments.image {
        Name::Operator => {
            let binary = image::operator_binary().await?;
            println!("binary:  {} ({})", binary.display(), megabytes(&binary)?);
            image::operator(&binary, &arguments.revision).await?
        }
        Name::SampleApp => image::sample_app(&arguments.version).await?,
    };
    show(&image, arguments.output.as_deref())
}

/// Prints what an image is called and where it is, and copies its archive where it was asked for.
fn show(image: &Image, output: Option<&Path>) -> Result<()> {
    let archive = output.unwrap_or(&image.archive);
    if archive != image.archive {
        fs::copy(&image.archive, archive).with_context(|| format!("failed to write {}", archive.display()))?;
    }
    println!("image:   {}", image.reference);
    println!("archive: {} ({})", archive.display(), megabytes(archive)?);
    Ok(())
}

fn megabytes(file: &Path) -> Result<String> {
    let size = fs::metadata(file)
        .with_context(|| format!("failed to read {}", file.display()))?
        .len();
    // One decimal, in whole arithmetic.
    Ok(format!("{}.{} MB", size / 1_000_000, size % 1_000_000 / 100_000))
}
