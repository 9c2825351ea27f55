//! `make bench`: what the operator costs, each figure next to a reference taken in the same run on the same machine.
//!
//! A control plane is started for it; the operator runs as a program of its own, with the rights that its chart gives.
//! How to read the figures: `docs/performance.md`. With `--smoke` it takes few apps, and fails where a figure that no
//! machine can excuse (a count) is not what it must be.

mod at_rest;
mod bare_client;
mod bare_controller;
mod burst;
mod cluster;
mod dns;
mod ledger;
mod operator;
mod paced;
mod report;
mod size;
mod smoke;
mod wait;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, Subcommand};
use tremplin_e2e::progress::{Step, seconds};
use tremplin_e2e::{AuditLevel, image};

use crate::at_rest::{Each, Started};
use crate::bare_client::Recipe;
use crate::burst::{Burst, Pair};
use crate::cluster::Cluster;
use crate::ledger::Ledger;
use crate::operator::Operator;
use crate::report::{Row, table};

#[derive(Parser, Debug)]
#[command(about = "What the operator costs, beside references taken in the same run")]
struct Arguments {
    /// Apps in the burst, and at rest
    #[arg(long, default_value_t = 1000)]
    apps: usize,
    /// Apps created one after the other, one per second
    #[arg(long, default_value_t = 60)]
    paced: usize,
    /// How often the burst is repeated, in turn with its reference
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..))]
    bursts: u8,
    /// Few apps and names, the debug build, and a failure where a count is not what it must be
    #[arg(long, global = true)]
    smoke: bool,
    /// Measure this program instead of building it
    #[arg(long, global = true)]
    binary: Option<PathBuf>,
    /// What `cargo bench` says to every bench
    #[arg(long, global = true, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand, Debug)]
enum Role {
    /// Be the reference for memory
    #[command(hide = true)]
    BareController(bare_controller::Arguments),
    /// Only what names cost
    Dns(dns::Arguments),
}

/// How much of everything, and of what.
struct Plan {
    binary: PathBuf,
    /// Apps in a burst and at rest.
    apps: usize,
    /// Bursts of the operator, and of the bare client.
    bursts: u8,
    /// Apps one after the other, and the time between two.
    paced: usize,
    pace: Duration,
    /// How long programs that have seen everything may take to free what they no longer need.
    settle: Duration,
    /// For how long rest is observed.
    rest: Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    let result = match arguments.role.take() {
        Some(Role::BareController(arguments)) => bare_controller::run(arguments).await.map(|()| true),
        Some(Role::Dns(_)) if arguments.smoke => Box::pin(smoke_of_names(&debug_binary(arguments.binary))).await,
        Some(Role::Dns(names)) => Box::pin(names_alone(&names, arguments.binary)).await.map(|()| true),
        None if arguments.smoke => smoke(arguments).await,
        None => full(arguments).await.map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn full(arguments: Arguments) -> Result<()> {
    let plan = Plan {
        binary: release_binary(arguments.binary).await?,
        apps: arguments.apps,
        bursts: arguments.bursts,
        paced: arguments.paced,
        pace: Duration::from_secs(1),
        settle: Duration::from_secs(3),
        rest: Duration::from_secs(30),
    };
    let began = Instant::now();
    let mut rows = Box::pin(measure(&plan)).await?.rows(&plan)?;
    rows.extend(size::rows(&plan.binary).await?);
    print(&plan.words(), began, &rows);
    names(&dns::FULL, &plan.binary).await
}

async fn names_alone(names: &dns::Arguments, binary: Option<PathBuf>) -> Result<()> {
    self::names(names, &release_binary(binary).await?).await
}

async fn names(names: &dns::Arguments, binary: &Path) -> Result<()> {
    let began = Instant::now();
    let figures = Box::pin(dns::measure(binary, names)).await?;
    print(&names.words(), began, &figures.rows());
    Ok(())
}

async fn smoke(arguments: Arguments) -> Result<bool> {
    let plan = Plan {
        binary: debug_binary(arguments.binary),
        apps: 20,
        bursts: 1,
        paced: 5,
        pace: Duration::from_millis(200),
        settle: Duration::from_millis(200),
        rest: Duration::from_secs(3),
    };
    let began = Instant::now();
    let figures = Box::pin(measure(&plan)).await?;
    println!("a smoke run: the times are those of a debug build, and tell nothing");
    print(&plan.words(), began, &figures.rows(&plan)?);
    let holds = smoke::tell(&smoke::rules(&figures));
    Ok(Box::pin(smoke_of_names(&plan.binary)).await? && holds)
}

async fn smoke_of_names(binary: &Path) -> Result<bool> {
    let began = Instant::now();
    let figures = Box::pin(dns::measure(binary, &dns::SMOKE)).await?;
    let holds = smoke::tell(&figures.rules());
    println!("a smoke run: the times are those of a debug build, and tell nothing");
    print(&dns::SMOKE.words(), began, &figures.rows());
    Ok(holds)
}

async fn release_binary(given: Option<PathBuf>) -> Result<PathBuf> {
    match given {
        Some(binary) => Ok(binary),
        None => image::operator_binary().await,
    }
}

fn debug_binary(given: Option<PathBuf>) -> PathBuf {
    given.unwrap_or_else(|| env!("CARGO_BIN_EXE_tremplin").into())
}

fn print(what: &str, began: Instant, rows: &[Row]) {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "\n{what}; {processors} processors; took {}\n\n{}",
        seconds(began.elapsed()),
        table(rows)
    );
}

impl Plan {
    /// How much of everything, as people say it.
    fn words(&self) -> String {
        format!(
            "{} apps one after the other; {} at once, {} times",
            self.paced, self.apps, self.bursts
        )
    }
}

/// Everything that was measured on control planes.
struct Figures {
    recipe: Arc<Recipe>,
    /// Of the operator, and of the bare client.
    paced: (Ledger, Ledger),
    bursts: Vec<Pair>,
    /// The bare client's where bare controllers watch.
    watched: Burst,
    resident_empty: Each<u64>,
    resident_after_burst: Each<u64>,
    started: Started,
}

impl Figures {
    fn rows(&self, plan: &Plan) -> Result<Vec<Row>> {
        let (operator, bare) = &self.paced;
        let mut rows = paced::rows(&self.recipe, operator, bare);
        rows.extend(burst::rows(plan, &self.bursts, &self.watched)?);
        rows.extend(at_rest::rows(
            plan,
            self.resident_empty,
            self.resident_after_burst,
            &self.started,
        ));
        Ok(rows)
    }
}

/// What follows the operator's last burst, on its control plane.
struct Rest {
    /// The operator's resident memory after it.
    after_burst: u64,
    empty: Each<u64>,
    started: Started,
}

/// Each part on a control plane of its own, one after the other.
async fn measure(plan: &Plan) -> Result<Figures> {
    let recipe = step(
        "recording what the operator sends for one app",
        Box::pin(paced::record(plan)),
    );
    let recipe = Arc::new(recipe.await?);
    let paced = step(
        "bare client, then operator: apps one after the other",
        Box::pin(paced::pair(plan, &recipe)),
    );
    let paced = paced.await?;
    let mut bursts = Vec::new();
    let rest = loop {
        let bare = step("bare client: apps at once", burst::bare_alone(plan, &recipe)).await?;
        let is_last = bursts.len() + 1 >= usize::from(plan.bursts);
        let (operator, rest) = Box::pin(operator_burst(plan, &recipe, is_last)).await?;
        bursts.push(Pair { operator, bare });
        if let Some(rest) = rest {
            break rest;
        }
    };
    let (watched, owned, reflected) = step(
        "bare client beside bare controllers: apps at once",
        Box::pin(at_rest::beside_bare_controllers(plan, &recipe)),
    )
    .await?;
    Ok(Figures {
        recipe,
        paced,
        bursts,
        watched,
        resident_empty: rest.empty,
        resident_after_burst: Each {
            operator: rest.after_burst,
            owned,
            reflected,
        },
        started: rest.started,
    })
}

/// A burst of the operator, and what follows the last one.
async fn operator_burst(plan: &Plan, recipe: &Recipe, is_last: bool) -> Result<(Burst, Option<Rest>)> {
    let cluster = Cluster::start(AuditLevel::Metadata, plan.apps).await?;
    let empty = if is_last {
        Some(step("at rest without apps", at_rest::without_apps(plan, &cluster)).await?)
    } else {
        None
    };
    let operator = Operator::start(&plan.binary, &cluster)?;
    operator.ready().await?;
    let burst = step(
        "operator: apps at once",
        burst::operator(plan, recipe, &cluster, &operator),
    );
    let burst = burst.await?;
    let after_burst = operator.process.memory();
    operator.stop().await?;
    let Some(empty) = empty else { return Ok((burst, None)) };
    let started = step("operator: start and rest with apps", at_rest::with_apps(plan, &cluster)).await?;
    let rest = Rest {
        after_burst,
        empty,
        started,
    };
    Ok((burst, Some(rest)))
}

/// Says what is going on while it lasts.
async fn step<T>(name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let step = Step::start(name);
    let result = Box::pin(work).await?;
    step.done();
    Ok(result)
}
