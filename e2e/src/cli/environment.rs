//! A project's environment.

use anyhow::Result;
use clap::Args;
use tremplin_e2e::environment::{ClusterType, Environment, install_policies};
use tremplin_e2e::{Cluster, progress::Step};

/// What the environment is and where it goes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The namespace that becomes the environment
    namespace: String,
    /// The cluster's name
    #[arg(long, default_value = "local")]
    name: String,
    /// The project's slug
    #[arg(long, default_value = "demo")]
    project_slug: String,
    /// What the project calls the environment
    #[arg(long, default_value = "dev")]
    environment: String,
    /// The quota of cpu, requests and limits alike
    #[arg(long, default_value = "4")]
    cpu: String,
    /// The quota of memory, requests and limits alike
    #[arg(long, default_value = "4Gi")]
    memory: String,
    /// What kind of cluster it is to look like
    #[arg(long, default_value = "restricted")]
    cluster_type: ClusterType,
    /// Do not install the platform's policies
    #[arg(long)]
    without_policies: bool,
}

pub(crate) async fn make(arguments: Arguments) -> Result<()> {
    let client = Cluster::open(&arguments.name)?.client().await?;
    if !arguments.without_policies {
        let step = Step::start("installing the platform's policies");
        install_policies(&client).await?;
        step.done();
    }
    let environment = Environment {
        namespace: arguments.namespace,
        project_slug: arguments.project_slug,
        name: arguments.environment,
        cpu: arguments.cpu,
        memory: arguments.memory,
        cluster_type: arguments.cluster_type,
    };
    environment.apply(&client).await?;
    eprintln!(
        "the namespace {} is environment {:?} of {}",
        environment.namespace, environment.name, environment.project_slug
    );
    Ok(())
}
