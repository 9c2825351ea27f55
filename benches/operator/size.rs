//! How large the program and its image are.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use tremplin_e2e::image;

use crate::report::{Row, megabytes};

const BINARY: u64 = 15_000_000;
const IMAGE: u64 = 20_000_000;

/// What is told of it. The image takes root and minutes at the first time; why it could not be built is told too.
pub async fn rows(binary: &Path) -> Result<Vec<Row>> {
    let size = file(binary)?;
    let built = async { file(&image::operator(binary, "unknown").await?.archive) }.await;
    let image = match built {
        Ok(size) => Row::new("image, layers not compressed", megabytes(size)).target("≤ 20 MB", size <= IMAGE),
        Err(error) => Row::new("image", "not measured")
            .target("≤ 20 MB", false)
            .reference(format!("{error:#}")),
    };
    let binary = Row::new("binary", megabytes(size)).target("≤ 15 MB", size <= BINARY);
    Ok(vec![binary, image])
}

fn file(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(metadata.len())
}
