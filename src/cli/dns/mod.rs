//! `dns`: names in zones, as a team and a platform team look at them from their own machine.

mod import;
mod plan;
mod table;
mod verify;
mod zone_report;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand};
use serde_json::Value;
use tremplin_core::dns::Fqdn;

use super::cluster::{Cluster, ClusterChoice};
use super::options::valid_namespace;
use super::{Exit, Io, counted, input};

/// Look at names and zones: what servers answer, what would be written, what is there
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Verify(verify::Arguments),
    Plan(plan::Arguments),
    Import(import::Arguments),
    ZoneReport(zone_report::Arguments),
}

pub fn run(arguments: &Arguments, io: &mut Io<'_>) -> anyhow::Result<Exit> {
    match &arguments.command {
        Command::Verify(arguments) => verify::run(arguments, io),
        Command::Plan(arguments) => plan::run(arguments, io),
        Command::Import(arguments) => import::run(arguments, io),
        Command::ZoneReport(arguments) => zone_report::run(arguments, io),
    }
}

/// Where records are, in a cluster.
#[derive(Args, Debug)]
struct Place {
    /// The namespace; absent: that of the context
    #[arg(short, long, value_name = "NAMESPACE", value_parser = valid_namespace)]
    namespace: Option<String>,

    #[command(flatten)]
    cluster: ClusterChoice,
}

impl Place {
    /// Connects, and gives the namespace.
    async fn connect(&self) -> anyhow::Result<(Cluster, String)> {
        let cluster = self.cluster.connect().await?;
        let namespace = self.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| cluster.default_namespace().to_owned());
        Ok((cluster, namespace))
    }
}

/// A name as people write it.
fn fqdn(text: &str) -> Result<Fqdn, String> {
    Fqdn::parse(text).map_err(|error| format!("the name {error}"))
}

/// An object of the API, as this program knows it.
fn typed<T: serde::de::DeserializeOwned>(object: &Value) -> anyhow::Result<T> {
    serde_json::from_value(object.clone()).map_err(|error| {
        anyhow!(
            "cannot read the {} {}: {error}",
            tremplin_core::json::text(object, "/kind"),
            tremplin_core::json::text(object, "/metadata/name")
        )
    })
}

/// Files in which nothing may be wrong.
fn sound(input: &input::Input) -> anyhow::Result<()> {
    match input.faults.first() {
        None => Ok(()),
        Some(first) => bail!("{}: {first}", counted(input.faults.len(), "fault")),
    }
}
