//! Clusters with a name.

use std::path::Path;

use anyhow::Result;
use clap::Args;
use tremplin_e2e::state::Folder;
use tremplin_e2e::{Cluster, Profile, ingress};

/// A cluster by its name.
#[derive(Args)]
pub(crate) struct Named {
    /// The cluster's name: several stand beside each other
    #[arg(long, default_value = "local")]
    name: String,
}

/// A cluster to be started.
#[derive(Args)]
pub(crate) struct Wanted {
    #[command(flatten)]
    cluster: Named,
    /// What it can do
    #[arg(long, default_value = "node")]
    profile: Profile,
}

pub(crate) async fn up(wanted: &Wanted) -> Result<()> {
    let name = &wanted.cluster.name;
    let cluster = Cluster::up(name, wanted.profile).await?;
    if wanted.profile == Profile::Node {
        let address = ingress::up(cluster.folder()).await?;
        eprintln!(
            "Ingresses of the class {} answer on http://NAME.localhost:{}",
            ingress::CLASS,
            address.port()
        );
    }
    eprintln!("the cluster {name} runs; take it down with: down --name {name}");
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    Ok(())
}

pub(crate) async fn down(Named { name }: &Named) -> Result<()> {
    let what = if Cluster::down(name).await? {
        "is down"
    } else {
        "was not up"
    };
    eprintln!("the cluster {name} {what}");
    Ok(())
}

pub(crate) async fn import(Named { name }: &Named, archive: &Path) -> Result<()> {
    Cluster::open(name)?.import_image(archive).await
}

pub(crate) fn kubeconfig(Named { name }: &Named) -> Result<()> {
    println!("{}", Cluster::open(name)?.kubeconfig().display());
    Ok(())
}

pub(crate) async fn status() -> Result<()> {
    let names = Folder::names()?;
    if names.is_empty() {
        println!("no cluster");
    }
    for name in names {
        match Cluster::open(&name) {
            Ok(cluster) => tell(&name, &cluster).await,
            Err(error) => println!("{name}: being started, or left by a start that failed: take it down ({error:#})"),
        }
    }
    Ok(())
}

async fn tell(name: &str, cluster: &Cluster) {
    let health = if cluster.is_well().await {
        "well"
    } else {
        "not well: 'up' begins it anew"
    };
    println!("{name}: {health}, KUBECONFIG={}", cluster.kubeconfig().display());
    for (program, process) in cluster.programs() {
        let process = process.map_or_else(
            || "not running".to_owned(),
            |process| format!("process {}", process.pid),
        );
        println!("  {program:<24} {process}");
    }
}
