//! Many apps created at once: how fast the operator is through, against a client that need not think.
//!
//! Several times, in turn and each on a control plane of its own: other work on the machine changes its speed, and what
//! counts is the median of the ratios of neighbours.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tremplin_e2e::AuditLevel;

use crate::Plan;
use crate::bare_client::{self, Recipe};
use crate::cluster::Cluster;
use crate::ledger::{Ledger, Part};
use crate::operator::{Operator, RARELY};
use crate::report::{Row, median, rate, spread};
use crate::wait::whole_processor_time;

/// How much of the bare client's rate the operator is to reach.
const TARGET: f64 = 0.8;

/// What one burst asked for, and what it cost.
#[derive(Debug)]
pub struct Burst {
    pub ledger: Ledger,
    /// Processor time of whoever creates the custom resources and of whoever works on them.
    clients: Duration,
    /// Processor time of the API server and of etcd.
    servers: Duration,
}

/// Two bursts, one after the other.
#[derive(Debug)]
pub struct Pair {
    pub operator: Burst,
    pub bare: Burst,
}

/// Processor times so far.
struct Meter {
    clients: Duration,
    servers: Duration,
}

impl Meter {
    fn read(cluster: &Cluster, operator: Option<&Operator>) -> Result<Self> {
        let own = i32::try_from(std::process::id())?;
        let operator = operator.map(|operator| operator.process.identity().pid);
        let servers = cluster.plane.processes();
        let sum = |pids: &[i32]| {
            pids.iter()
                .map(|pid| whole_processor_time(*pid))
                .sum::<Result<Duration>>()
        };
        Ok(Self {
            clients: sum(&operator.into_iter().chain([own]).collect::<Vec<_>>())?,
            servers: sum(&servers.iter().map(|server| server.pid).collect::<Vec<_>>())?,
        })
    }
}

/// The apps of a burst.
pub fn numbers(plan: &Plan) -> std::ops::Range<usize> {
    0..plan.apps
}

/// Creates the apps and lets the operator work.
pub async fn operator(plan: &Plan, recipe: &Recipe, cluster: &Cluster, operator: &Operator) -> Result<Burst> {
    let rounds = operator.worked().await?;
    let burst = metered(cluster, Some(operator), async || {
        bare_client::create_apps(cluster, numbers(plan), |_| {}).await?;
        operator.settled(rounds + plan.apps, RARELY).await.map(drop)
    })
    .await?;
    complete(plan, recipe, &burst.ledger)?;
    Ok(burst)
}

/// Creates the apps and does what the operator does.
pub async fn bare(plan: &Plan, cluster: &Cluster, recipe: &Arc<Recipe>) -> Result<Burst> {
    metered(cluster, None, async || {
        bare_client::burst(cluster, recipe, numbers(plan)).await
    })
    .await
}

/// The bare client's burst on a control plane that nobody watches.
pub async fn bare_alone(plan: &Plan, recipe: &Arc<Recipe>) -> Result<Burst> {
    let cluster = Cluster::start(AuditLevel::Metadata, plan.apps).await?;
    bare(plan, &cluster, recipe).await
}

async fn metered<F: AsyncFnOnce() -> Result<()>>(
    cluster: &Cluster,
    operator: Option<&Operator>,
    burst: F,
) -> Result<Burst> {
    let log = cluster.plane.audit_log();
    let from = log.mark(&cluster.admin).await?;
    let before = Meter::read(cluster, operator)?;
    burst().await?;
    let after = Meter::read(cluster, operator)?;
    Ok(Burst {
        ledger: Ledger::of(&log.between(from, log.mark(&cluster.admin).await?)?)?,
        clients: after.clients.saturating_sub(before.clients),
        servers: after.servers.saturating_sub(before.servers),
    })
}

/// Fails unless every app has its children.
fn complete(plan: &Plan, recipe: &Recipe, ledger: &Ledger) -> Result<()> {
    let children = recipe.count(Part::Child);
    let done = ledger.apps.values().filter(|app| app.children >= children).count();
    if done < plan.apps {
        bail!("of {} apps, {done} have their {children} children", plan.apps);
    }
    Ok(())
}

impl Burst {
    fn rate(&self) -> Result<f64> {
        Ok(rate(self.ledger.apps.len(), self.ledger.span()?))
    }

    /// Milliseconds of the clients and of the servers.
    fn cost_per_app(&self) -> (f64, f64) {
        let apps = self.ledger.apps.len();
        let milliseconds = |time| 1000.0 / rate(apps, time);
        (milliseconds(self.clients), milliseconds(self.servers))
    }
}

/// What is told of it; `watched` is the bare client's burst where bare controllers watch.
pub fn rows(plan: &Plan, pairs: &[Pair], watched: &Burst) -> Result<Vec<Row>> {
    let rates = |of: fn(&Pair) -> &Burst| pairs.iter().map(|pair| of(pair).rate()).collect::<Result<Vec<_>>>();
    let (ours, theirs) = (rates(|pair| &pair.operator)?, rates(|pair| &pair.bare)?);
    let shares: Vec<_> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    let share = median(&shares);
    let cost = |of: fn(&Pair) -> &Burst| {
        let (clients, servers): (Vec<_>, Vec<_>) = pairs.iter().map(|pair| of(pair).cost_per_app()).unzip();
        cost_words((median(&clients), median(&servers)))
    };
    let sum = |of: fn(&Ledger) -> usize| pairs.iter().map(|pair| of(&pair.operator.ledger)).sum::<usize>();
    let reads = [sum(|all| all.gets), sum(|all| all.lists), sum(|all| all.conflicts)];
    let requests = |of: fn(&Pair) -> &Burst| pairs.iter().map(|pair| of(pair).ledger.requests()).max();
    let latency = |percent| {
        let each = pairs.iter().map(|pair| &pair.operator.ledger);
        let times: Vec<_> = each
            .map(|ledger| ledger.latencies().percentile(percent).as_secs_f64())
            .collect();
        median(&times)
    };
    Ok(vec![
        Row::new(
            format!("burst of {} apps, median of {}", plan.apps, pairs.len()),
            format!("{:.0} apps/s", median(&ours)),
        )
        .reference(format!("{:.0} apps/s by the bare client", median(&theirs))),
        Row::new("  share of the bare client's rate", spread(&shares)).target(format!("≥ {TARGET}"), share >= TARGET),
        Row::new(
            "  processor time per app: clients, servers",
            cost(|pair| &pair.operator),
        )
        .reference(format!("{} by the bare client", cost(|pair| &pair.bare))),
        Row::new(
            "  the bare client where bare controllers watch",
            format!("{:.0} apps/s", watched.rate()?),
        )
        .reference(format!("{} per app", cost_words(watched.cost_per_app()))),
        Row::new(
            "  requests in all, the most",
            requests(|pair| &pair.operator).unwrap_or_default().to_string(),
        )
        .reference(format!(
            "{} by the bare client",
            requests(|pair| &pair.bare).unwrap_or_default()
        )),
        Row::new(
            "  GET, LIST, conflicts",
            reads.map(|count| count.to_string()).join(", "),
        )
        .target("0, 0, 0", reads == [0; 3]),
        Row::new(
            "  app created → its children applied, p50, p99",
            format!("{:.1} s, {:.1} s", latency(50), latency(99)),
        ),
    ])
}

fn cost_words((clients, servers): (f64, f64)) -> String {
    format!("{clients:.1} ms, {servers:.1} ms")
}
