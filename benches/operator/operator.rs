//! The operator: the program that is shipped, started as its Deployment starts it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tremplin_e2e::http;
use tremplin_e2e::process::{Lifetime, Process, Program};

use crate::cluster::{Cluster, OPERATOR};
use crate::wait::{until, until_looking};

/// How long it may take to be ready.
const START: Duration = Duration::from_mins(2);
/// How long it may take to do what is asked of it.
const WORK: Duration = Duration::from_mins(5);
/// How often a busy operator is looked at: rarely, and often enough to tell a time.
pub const RARELY: Duration = Duration::from_millis(500);
pub const OFTEN: Duration = Duration::from_millis(20);
/// A program that sent nothing for so long has nothing to do.
const QUIET: Duration = Duration::from_secs(1);
/// How long it may take to end.
const STOP: Duration = Duration::from_secs(10);

/// A running operator.
pub struct Operator {
    /// Its process.
    pub process: Process,
    admin: SocketAddr,
    started: Instant,
}

impl Operator {
    /// Starts the program.
    pub fn start(binary: &Path, cluster: &Cluster) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on the loopback")?;
        let admin = listener.local_addr().context("a listener without an address")?;
        drop(listener);
        let started = Instant::now();
        let process = Program::new("tremplin", binary)
            .arg("controller")
            .env("KUBECONFIG", cluster.kubeconfig.display().to_string())
            .env("TREMPLIN_NAMESPACE", OPERATOR)
            .env("TREMPLIN_LEASE_NAME", OPERATOR)
            .env("TREMPLIN_LOG_FORMAT", "json")
            .env("TREMPLIN_ADMIN_ADDRESS", admin.to_string())
            .start(cluster.plane.folder(), Lifetime::Attached)?;
        Ok(Self {
            process,
            admin,
            started,
        })
    }

    /// Waits until it holds the lease and says that it is ready, and tells how long after its start that was.
    pub async fn ready(&self) -> Result<Duration> {
        until("the operator leads and is ready", START, async || {
            self.process.check()?;
            // Before its admin server listens, the connection is refused.
            let leads = self
                .metrics()
                .await
                .is_ok_and(|metrics| sum(&metrics, "tremplin_leader") == 1);
            // Asked after: waiting for the lease is ready too.
            Ok(leads && http::get(self.admin, "localhost", "/readyz").await?.status == 200)
        })
        .await?;
        Ok(self.started.elapsed())
    }

    /// Waits until it has worked so many rounds or more and has sent nothing for a second; tells how long after its
    /// start it had worked the last of them, give or take `poll`. Each look makes it count its apps: where its speed is
    /// measured, looks are rare.
    pub async fn settled(&self, rounds: usize, poll: Duration) -> Result<Duration> {
        let (mut worked_at, mut sent, mut since) = (None, 0, Instant::now());
        let what = format!("the operator worked {rounds} rounds");
        until_looking(poll, &what, WORK, async || {
            self.process.check()?;
            let metrics = self.metrics().await?;
            let requests = sum(&metrics, "tremplin_requests_total");
            if requests != sent {
                (sent, since) = (requests, Instant::now());
            }
            let worked =
                sum(&metrics, "tremplin_reconciles_total") >= rounds && sum(&metrics, "tremplin_queue_depth") == 0;
            if worked && worked_at.is_none() {
                worked_at = Some(self.started.elapsed());
            }
            Ok(worked && since.elapsed() > QUIET)
        })
        .await?;
        worked_at.context("it settled before it worked")
    }

    /// How many rounds it has worked.
    pub async fn worked(&self) -> Result<usize> {
        Ok(sum(&self.metrics().await?, "tremplin_reconciles_total"))
    }

    async fn metrics(&self) -> Result<String> {
        let answer = http::get(self.admin, "localhost", "/metrics").await?;
        if answer.status != 200 {
            bail!("the operator answers {} for its metrics", answer.status);
        }
        Ok(answer.body)
    }

    /// Asks it to end, as Kubernetes does.
    pub async fn stop(self) -> Result<()> {
        self.process.terminate();
        until("the operator ends when asked", STOP, async || {
            Ok(!self.process.identity().is_alive())
        })
        .await
    }
}

/// The sum of a metric over its labels.
fn sum(metrics: &str, name: &str) -> usize {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
    let values = lines.filter(|rest| rest.starts_with(['{', ' ']));
    values
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<usize>().ok())
        .sum()
}
