//! Many apps created at once: how fast the operator is through, against a client that need not think.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::Plan;
use crate::bare_client::{self, Recipe};
use crate::cluster::Cluster;
use crate::ledger::{Ledger, Part};
use crate::operator::{Operator, RARELY};
use crate::report::{Row, rate};

/// How much of the bare client's rate the operator is to reach.
const TARGET: f64 = 0.8;

/// The apps of the burst follow those created one after the other.
pub fn numbers(plan: &Plan) -> std::ops::Range<usize> {
    plan.paced..plan.paced + plan.apps
}

/// Creates the apps and lets the operator work.
pub async fn operator(plan: &Plan, cluster: &Cluster, operator: &Operator) -> Result<Ledger> {
    let log = cluster.plane.audit_log();
    let from = log.mark(&cluster.admin).await?;
    let rounds = operator.worked().await?;
    bare_client::create_apps(cluster, numbers(plan), |_| {}).await?;
    operator.settled(rounds + plan.apps, RARELY).await?;
    Ledger::of(&log.between(from, log.mark(&cluster.admin).await?)?)
}

/// Creates the apps and does what the operator does.
pub async fn bare(plan: &Plan, cluster: &Cluster, recipe: &Arc<Recipe>) -> Result<Ledger> {
    let log = cluster.plane.audit_log();
    let from = log.mark(&cluster.admin).await?;
    bare_client::burst(cluster, recipe, numbers(plan)).await?;
    Ledger::of(&log.between(from, log.mark(&cluster.admin).await?)?)
}

/// Fails unless every app has its children.
pub fn complete(plan: &Plan, recipe: &Recipe, ledger: &Ledger) -> Result<()> {
    let children = recipe.count(Part::Child);
    let done = ledger.apps.values().filter(|app| app.children >= children).count();
    if done < plan.apps {
        bail!("of {} apps, {done} have their {children} children", plan.apps);
    }
    Ok(())
}

/// What is told of it.
pub fn rows(operator: &Ledger, bare: &Ledger) -> Result<Vec<Row>> {
    let (ours, theirs) = (operator.span()?, bare.span()?);
    let share = rate(operator.apps.len(), ours) / rate(bare.apps.len(), theirs);
    let told = |ledger: &Ledger, span: Duration| {
        let (apps, requests) = (ledger.apps.len(), ledger.requests());
        format!("{:.0} apps/s, {:.0} requests/s", rate(apps, span), rate(requests, span))
    };
    let latencies = operator.latencies();
    Ok(vec![
        Row::new(format!("burst of {} apps", operator.apps.len()), told(operator, ours))
            .reference(format!("{} by the bare client", told(bare, theirs))),
        Row::new("  share of the bare client's apps/s", format!("{share:.2}"))
            .target(format!("≥ {TARGET}"), share >= TARGET),
        Row::new("  requests in all", operator.requests().to_string())
            .reference(format!("{} by the bare client", bare.requests())),
        Row::new(
            "  GET, LIST, conflicts",
            format!("{}, {}, {}", operator.gets, operator.lists, operator.conflicts),
        )
        .target("0, 0, 0", operator.gets + operator.lists + operator.conflicts == 0),
        Row::new(
            "  app created → its children applied, p50, p99",
            format!(
                "{:.1} s, {:.1} s",
                latencies.percentile(50).as_secs_f64(),
                latencies.percentile(99).as_secs_f64()
            ),
        ),
    ])
}
