//! `crds`: the custom resource definitions.

use clap::Args;
use tremplin_core::api::crd;

use super::options::to_yaml;
use super::{Exit, Io};

/// Print the CRDs as YAML, for `kubectl apply --server-side -f -`
#[derive(Args, Debug)]
pub struct Arguments {}

pub fn run(Arguments {}: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    for definition in crd::all() {
        write!(io.output, "---\n{}", to_yaml(&definition)?)?;
    }
    Ok(Exit::Fine)
}
