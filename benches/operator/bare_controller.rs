//! The reference for memory: a controller as kube's documentation writes one, in a process of its own. It keeps what
//! an operator that tells its apps' state must see, and reconciles nothing.

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{ConfigMap, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tremplin_core::api::StartupApp;
use tremplin_e2e::process::{Lifetime, Process, Program};

use crate::cluster::Cluster;
use crate::wait::until;

/// How long it may take to see everything.
const START: Duration = Duration::from_mins(2);
/// The least time between two reports of it.
const TELL: Duration = Duration::from_millis(20);

/// What its rounds work with: their number, and the children.
type Context = (watch::Sender<usize>, Option<Reflected>);

/// What the controller keeps of the children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Children {
    /// Nothing: `Controller::owns` alone, which watches metadata and keeps none. It would ask for each child again at
    /// each round.
    Owned,
    /// The objects, in a reflector per kind beside `owns`.
    Reflected,
}

/// How this program is started as the bare controller.
#[derive(Args, Debug)]
pub struct Arguments {
    #[arg(long)]
    children: Children,
    #[arg(long)]
    kubeconfig: PathBuf,
    /// Where it writes how many rounds it worked, once it has seen everything.
    #[arg(long)]
    report: PathBuf,
}

/// A bare controller that runs.
pub struct BareController {
    /// Its process.
    pub process: Process,
    report: PathBuf,
    started: Instant,
}

impl BareController {
    /// Starts this very program as a bare controller with the operator's identity.
    pub fn start(cluster: &Cluster, children: Children) -> Result<Self> {
        let (name, value) = match children {
            Children::Owned => ("bare-controller-owned", "owned"),
            Children::Reflected => ("bare-controller-reflected", "reflected"),
        };
        let report = cluster.plane.folder().join(format!("{name}.report"));
        let _ = fs::remove_file(&report);
        let started = Instant::now();
        let program = std::env::current_exe().context("this program has no file")?;
        let process = Program::new(name, program)
            .arg("bare-controller")
            .args(["--children", value])
            .arg("--kubeconfig")
            .arg(cluster.kubeconfig.display().to_string())
            .arg("--report")
            .arg(report.display().to_string())
            .start(cluster.plane.folder(), Lifetime::Attached)?;
        Ok(Self {
            process,
            report,
            started,
        })
    }

    /// Waits until it has seen everything and worked at least so many rounds; tells how long after its start.
    pub async fn rounds(&self, at_least: usize) -> Result<Duration> {
        until("the bare controller has seen every app", START, async || {
            self.process.check()?;
            let worked = fs::read_to_string(&self.report)
                .ok()
                .and_then(|text| text.parse::<usize>().ok());
            Ok(worked.is_some_and(|worked| worked >= at_least))
        })
        .await?;
        Ok(self.started.elapsed())
    }
}

/// Runs as the bare controller, for ever.
pub async fn run(arguments: Arguments) -> Result<()> {
    let kubeconfig = Kubeconfig::read_from(&arguments.kubeconfig)?;
    let client = Client::try_from(Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?)?;
    let reflected = Reflected::start(&client, arguments.children).await?;
    let (rounds, mut told) = watch::channel(0);
    let any = watcher::Config::default;
    let controller = Controller::new(Api::<StartupApp>::all(client.clone()), any())
        .owns(Api::<ServiceAccount>::all(client.clone()), any())
        .owns(Api::<Service>::all(client.clone()), any())
        .owns(Api::<ConfigMap>::all(client.clone()), any())
        .owns(Api::<Deployment>::all(client.clone()), any())
        .owns(Api::<CronJob>::all(client.clone()), any())
        .owns(Api::<Job>::all(client.clone()), any())
        .owns(Api::<Ingress>::all(client.clone()), any())
        .owns(Api::<PodDisruptionBudget>::all(client.clone()), any());
    let apps = controller.store();
    let work = controller
        .run(
            reconcile,
            |_, _, _| Action::requeue(TELL),
            Arc::new((rounds, reflected)),
        )
        .for_each(|_| std::future::ready(()));
    let tell = async {
        apps.wait_until_ready().await.context("the apps' watch ended")?;
        // At rest nothing changes, so nothing is written and nobody wakes.
        loop {
            let rounds = *told.borrow_and_update();
            fs::write(&arguments.report, rounds.to_string())?;
            tokio::time::sleep(TELL).await;
            told.changed().await?;
        }
    };
    tokio::select! {
        () = work => anyhow::bail!("the controller ended"),
        ended = tell => ended,
    }
}

async fn reconcile(_: Arc<StartupApp>, context: Arc<Context>) -> Result<Action, watcher::Error> {
    context.0.send_modify(|rounds| *rounds += 1);
    Ok(Action::await_change())
}

/// The children, whole. Nobody reads them; an operator would.
#[allow(dead_code, reason = "kept for what they weigh")]
struct Reflected {
    service_accounts: Store<ServiceAccount>,
    services: Store<Service>,
    config_maps: Store<ConfigMap>,
    deployments: Store<Deployment>,
    cron_jobs: Store<CronJob>,
    jobs: Store<Job>,
    ingresses: Store<Ingress>,
    disruption_budgets: Store<PodDisruptionBudget>,
}

impl Reflected {
    async fn start(client: &Client, children: Children) -> Result<Option<Self>> {
        if children == Children::Owned {
            return Ok(None);
        }
        Ok(Some(Self {
            service_accounts: reflect(client).await?,
            services: reflect(client).await?,
            config_maps: reflect(client).await?,
            deployments: reflect(client).await?,
            cron_jobs: reflect(client).await?,
            jobs: reflect(client).await?,
            ingresses: reflect(client).await?,
            disruption_budgets: reflect(client).await?,
        }))
    }
}

/// As in kube's documentation of `reflector`.
async fn reflect<K>(client: &Client) -> Result<Store<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let watch = watcher(Api::<K>::all(client.clone()), watcher::Config::default());
    let objects = reflector::reflector(writer, watch.default_backoff()).touched_objects();
    tokio::spawn(objects.for_each(|_| std::future::ready(())));
    reader.wait_until_ready().await.context("a child's watch ended")?;
    Ok(reader)
}
