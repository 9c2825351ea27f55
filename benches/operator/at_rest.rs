//! What the operator holds and does while nothing happens, beside bare controllers that see the same objects.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tremplin_e2e::AuditLevel;
use tremplin_e2e::process::Process;

use crate::Plan;
use crate::bare_client::Recipe;
use crate::bare_controller::{BareController, Children};
use crate::burst::{self, Burst};
use crate::cluster::Cluster;
use crate::ledger::Ledger;
use crate::operator::{OFTEN, Operator};
use crate::report::{Row, megabytes, milliseconds, ratio};
use crate::wait::processor_time;

/// How much of the bare controller's memory the operator may take.
const TARGET: f64 = 1.2;

/// The same quantity of the operator and of the two bare controllers.
#[derive(Clone, Copy, Debug)]
pub struct Each<T> {
    pub operator: T,
    /// Keeps nothing of the children.
    pub owned: T,
    /// Keeps the children.
    pub reflected: T,
}

/// What was found after a start with apps.
#[derive(Debug)]
pub struct Started {
    /// From the operator's start to its first ready answer.
    ready: Duration,
    /// From its start until it had looked at every app.
    looked: Each<Duration>,
    /// What the operator asked meanwhile.
    pub asked: Ledger,
    /// What it asked over the time of rest.
    pub rest: Ledger,
    resident: Each<u64>,
    /// Processor time over time.
    load: Each<f64>,
}

/// Resident memory with no app.
pub async fn without_apps(plan: &Plan, cluster: &Cluster) -> Result<Each<u64>> {
    let operator = Operator::start(&plan.binary, cluster)?;
    let owned = BareController::start(cluster, Children::Owned)?;
    let reflected = BareController::start(cluster, Children::Reflected)?;
    operator.ready().await?;
    owned.rounds(0).await?;
    reflected.rounds(0).await?;
    tokio::time::sleep(plan.settle).await;
    let resident = resident(&operator.process, &owned.process, &reflected.process);
    operator.stop().await?;
    Ok(resident)
}

/// The start and the rest of each with every app there.
pub async fn with_apps(plan: &Plan, cluster: &Cluster) -> Result<Started> {
    let apps = plan.apps;
    let log = cluster.plane.audit_log();
    let from = log.mark(&cluster.admin).await?;
    let operator = Operator::start(&plan.binary, cluster)?;
    let ready = operator.ready().await?;
    let operator_looked = operator.settled(apps, OFTEN).await?;
    let until = log.mark(&cluster.admin).await?;
    let asked = Ledger::of(&log.between(from, until)?)?;

    let owned = BareController::start(cluster, Children::Owned)?;
    let owned_looked = owned.rounds(apps).await?;
    let reflected = BareController::start(cluster, Children::Reflected)?;
    let reflected_looked = reflected.rounds(apps).await?;
    tokio::time::sleep(plan.settle).await;

    let from = log.mark(&cluster.admin).await?;
    let processes = [&operator.process, &owned.process, &reflected.process];
    let before = times(processes)?;
    tokio::time::sleep(plan.rest).await;
    let after = times(processes)?;
    let until = log.mark(&cluster.admin).await?;
    let load = |i: fn(&Each<Duration>) -> Duration| {
        i(&after).saturating_sub(i(&before)).as_secs_f64() / plan.rest.as_secs_f64()
    };
    let started = Started {
        ready,
        looked: Each {
            operator: operator_looked,
            owned: owned_looked,
            reflected: reflected_looked,
        },
        asked,
        rest: Ledger::of(&log.between(from, until)?)?,
        resident: resident(&operator.process, &owned.process, &reflected.process),
        load: Each {
            operator: load(|each| each.operator),
            owned: load(|each| each.owned),
            reflected: load(|each| each.reflected),
        },
    };
    operator.stop().await?;
    Ok(started)
}

/// The bare client's burst where both bare controllers watch, and their resident memory after it: what they keep
/// nothing of, and what they keep.
pub async fn beside_bare_controllers(plan: &Plan, recipe: &Arc<Recipe>) -> Result<(Burst, u64, u64)> {
    let cluster = Cluster::start(AuditLevel::Metadata, plan.apps).await?;
    let owned = BareController::start(&cluster, Children::Owned)?;
    let reflected = BareController::start(&cluster, Children::Reflected)?;
    owned.rounds(0).await?;
    reflected.rounds(0).await?;
    let burst = burst::bare(plan, &cluster, recipe).await?;
    owned.rounds(plan.apps).await?;
    reflected.rounds(plan.apps).await?;
    tokio::time::sleep(plan.settle).await;
    Ok((burst, owned.process.memory(), reflected.process.memory()))
}

fn resident(operator: &Process, owned: &Process, reflected: &Process) -> Each<u64> {
    Each {
        operator: operator.memory(),
        owned: owned.memory(),
        reflected: reflected.memory(),
    }
}

fn times([operator, owned, reflected]: [&Process; 3]) -> Result<Each<Duration>> {
    Ok(Each {
        operator: processor_time(operator)?,
        owned: processor_time(owned)?,
        reflected: processor_time(reflected)?,
    })
}

fn memory_row(what: &str, resident: Each<u64>) -> Row {
    let Each {
        operator,
        owned,
        reflected,
    } = resident;
    let times = ratio(operator, reflected);
    Row::new(
        format!("memory {what}"),
        format!("{}, {times:.2} ×", megabytes(operator)),
    )
    .target(format!("≤ {TARGET} ×"), times <= TARGET)
    .reference(format!(
        "{}; {} if it kept no children",
        megabytes(reflected),
        megabytes(owned)
    ))
}

/// What is told of all this.
pub fn rows(plan: &Plan, empty: Each<u64>, burst: Each<u64>, started: &Started) -> Vec<Row> {
    let apps = plan.apps;
    let writes = started.asked.requests();
    let Each {
        operator: load,
        owned,
        reflected,
    } = started.load;
    let percent = |load: f64| format!("{:.2} %", load * 100.0);
    vec![
        memory_row("without apps", empty),
        memory_row(&format!("with {apps} apps, after they came in a burst"), burst),
        memory_row(&format!("with {apps} apps, after a start"), started.resident),
        Row::new(format!("start with {apps} apps: ready"), milliseconds(started.ready)),
        Row::new("  every app looked at", milliseconds(started.looked.operator)).reference(format!(
            "{}; {} if it kept no children",
            milliseconds(started.looked.reflected),
            milliseconds(started.looked.owned)
        )),
        Row::new("  writes", writes.to_string()).target("0", writes == 0),
        Row::new(
            "  GET, LIST",
            format!("{}, {}", started.asked.gets, started.asked.lists),
        ),
        Row::new(
            format!(
                "at rest for {} s with {apps} apps: one processor's",
                plan.rest.as_secs()
            ),
            percent(load),
        )
        .reference(format!(
            "{}; {} if it kept no children",
            percent(reflected),
            percent(owned)
        )),
        Row::new(
            "  writes, GET, LIST, the lease's aside",
            format!(
                "{}, {}, {}",
                started.rest.requests(),
                started.rest.gets,
                started.rest.lists
            ),
        )
        .target("0, 0, 0", silent(&started.rest)),
    ]
}

/// Whether nothing was asked.
pub fn silent(ledger: &Ledger) -> bool {
    ledger.requests() + ledger.gets + ledger.lists == 0
}
