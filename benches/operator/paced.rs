//! Apps created one after the other: what one costs, and how soon its children are there.

use anyhow::{Result, bail};
use tokio::time::{MissedTickBehavior, interval};
use tremplin_e2e::AuditLevel;

use crate::Plan;
use crate::bare_client::Recipe;
use crate::cluster::{App, Cluster};
use crate::ledger::{Account, Ledger, Part};
use crate::operator::{Operator, RARELY};
use crate::report::{Row, milliseconds};

/// What the operator sends for one app, on a control plane of its own that notes bodies.
pub async fn record(plan: &Plan) -> Result<Recipe> {
    let cluster = Cluster::start(AuditLevel::Request, 1).await?;
    let operator = Operator::start(&plan.binary, &cluster)?;
    operator.ready().await?;
    let log = cluster.plane.audit_log();
    let from = log.mark(&cluster.admin).await?;
    let app = cluster.create_app(0).await?;
    operator.settled(1, RARELY).await?;
    let events = log.between(from, log.mark(&cluster.admin).await?)?;
    let live = cluster.children(&app).await?;
    let recipe = Recipe::of(app, events)?;
    if live != recipe.count(Part::Child) {
        bail!(
            "the operator wrote {} children, and {live} are there",
            recipe.count(Part::Child)
        );
    }
    Ok(recipe)
}

/// The ledgers of the operator and of the bare client, each on a control plane of its own.
pub async fn pair(plan: &Plan, recipe: &Recipe) -> Result<(Ledger, Ledger)> {
    let cluster = Cluster::start(AuditLevel::Metadata, plan.paced).await?;
    let bare = bare(plan, &cluster, recipe).await?;
    drop(cluster);
    let cluster = Cluster::start(AuditLevel::Metadata, plan.paced).await?;
    Ok((operator(plan, &cluster).await?, bare))
}

/// Creates apps and lets the operator work.
async fn operator(plan: &Plan, cluster: &Cluster) -> Result<Ledger> {
    let operator = Operator::start(&plan.binary, cluster)?;
    operator.ready().await?;
    let log = cluster.plane.audit_log();
    let from = log.mark(&cluster.admin).await?;
    let rounds = operator.worked().await?;
    create(plan, cluster, async |_| Ok(())).await?;
    operator.settled(rounds + plan.paced, RARELY).await?;
    Ledger::of(&log.between(from, log.mark(&cluster.admin).await?)?)
}

/// Creates apps and does what the operator does.
async fn bare(plan: &Plan, cluster: &Cluster, recipe: &Recipe) -> Result<Ledger> {
    let client = cluster.as_operator().await?;
    let log = cluster.plane.audit_log();
    let from = log.mark(&cluster.admin).await?;
    create(plan, cluster, async |app| recipe.perform(&client, &app).await).await?;
    Ledger::of(&log.between(from, log.mark(&cluster.admin).await?)?)
}

async fn create<F: AsyncFnMut(App) -> Result<()>>(plan: &Plan, cluster: &Cluster, mut created: F) -> Result<()> {
    let mut pace = interval(plan.pace);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0..plan.paced {
        pace.tick().await;
        created(cluster.create_app(number).await?).await?;
    }
    Ok(())
}

/// The dearest app of a ledger.
pub fn dearest(ledger: &Ledger) -> Account {
    let all = ledger.apps.values().copied();
    all.max_by_key(Account::requests).unwrap_or_default()
}

/// What is told of it.
pub fn rows(recipe: &Recipe, operator: &Ledger, bare: &Ledger) -> Vec<Row> {
    let children = recipe.count(Part::Child);
    let Account {
        children: written,
        statuses,
        events,
        ..
    } = dearest(operator);
    let total = written + statuses + events;
    let reads = operator.gets + operator.lists + operator.conflicts;
    let (ours, theirs) = (operator.latencies(), bare.latencies());
    let latency = |what: &str, percent: usize| {
        Row::new(
            format!("app created → its children applied, {what}"),
            milliseconds(ours.percentile(percent)),
        )
        .reference(format!(
            "{} by the bare client",
            milliseconds(theirs.percentile(percent))
        ))
    };
    vec![
        Row::new("requests for a six-line app, the dearest", total.to_string())
            .target(
                format!("≤ {}", children + 3),
                total <= children + 3 && statuses <= 2 && events <= 1,
            )
            .reference(format!("{children} children live")),
        Row::new(
            "  of which children, status, events",
            format!("{written}, {statuses}, {events}"),
        ),
        Row::new(
            "  GET, LIST, conflicts, all apps",
            format!("{}, {}, {}", operator.gets, operator.lists, operator.conflicts),
        )
        .target("0, 0, 0", reads == 0),
        latency("p50", 50).target("≤ 100 ms", ours.percentile(50).as_millis() <= 100),
        latency("p99", 99),
        latency("slowest", 100),
    ]
}
