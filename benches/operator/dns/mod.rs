//! What names cost: from the change of a DnsRecord to the authoritative server's answer, on real servers with few and
//! with many records; many names at once where the provider has a limit; and zones at rest.

mod burst;
mod change;
mod relay;
mod rest;
mod server;
mod world;

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use self::burst::Burst;
use self::change::Series;
use self::rest::Rest;
use self::server::{Kind, Server, address};
use self::world::{Entry, World};
use crate::report::{Row, rate};
use crate::smoke::Rule;
use crate::step;

/// How much of everything.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Records of others in the large zones
    #[arg(long, default_value_t = FULL.foreign)]
    pub foreign: usize,
    /// Changes of one DnsRecord in each zone
    #[arg(long, default_value_t = FULL.changes)]
    pub changes: usize,
    /// DnsRecords in the crowded zone
    #[arg(long, default_value_t = FULL.crowd)]
    pub crowd: usize,
    /// DnsRecords created at once at OVHcloud's fake
    #[arg(long, default_value_t = FULL.burst)]
    pub burst: usize,
    /// For how many intervals rest is observed
    #[arg(long, default_value_t = FULL.intervals)]
    pub intervals: usize,
}

/// What a full run takes.
pub const FULL: Arguments = Arguments {
    foreign: 10_000,
    changes: 100,
    crowd: 2_000,
    burst: 1_000,
    intervals: 6,
};

/// What a smoke run takes.
pub const SMOKE: Arguments = Arguments {
    foreign: 300,
    changes: 5,
    crowd: 30,
    burst: 30,
    intervals: 1,
};

/// Records of others in the small zones.
const FEW: usize = 10;

/// Everything that was measured.
pub struct Figures {
    /// For each server, of a small and of a large zone.
    pub series: Vec<(Series, Series)>,
    /// Of a zone with many DnsRecords, and how they came.
    pub crowded: Series,
    crowd: Vec<Row>,
    /// Of all these zones.
    pub rests: Vec<Rest>,
    rest: Vec<Row>,
    pub burst: Burst,
}

/// Measures everything, each part on a control plane of its own.
pub async fn measure(binary: &Path, arguments: &Arguments) -> Result<Figures> {
    let (series, rests, rest) = Box::pin(sizes(binary, arguments)).await?;
    let (crowded, crowd) = Box::pin(crowd(binary, arguments)).await?;
    let name = format!("OVHcloud's fake: {} names at once", arguments.burst);
    let burst = step(&name, async {
        let world = World::start(binary, arguments.burst).await?;
        burst::run(&world, arguments.burst).await
    })
    .await?;
    Ok(Figures {
        series,
        crowded,
        crowd,
        rests,
        rest,
        burst,
    })
}

type Sizes = (Vec<(Series, Series)>, Vec<Rest>, Vec<Row>);

/// Small and large zones of both servers, changed, and then at rest.
async fn sizes(binary: &Path, arguments: &Arguments) -> Result<Sizes> {
    let world = World::start(binary, 1).await?;
    let mut all = Vec::new();
    let mut servers = Vec::new();
    for (kind, names) in [
        (Kind::PowerDns, ["powerdns-small", "powerdns-large"]),
        (Kind::Bind, ["bind-small", "bind-large"]),
    ] {
        let mut pair = Vec::new();
        for (name, foreign) in names.into_iter().zip([FEW, arguments.foreign]) {
            let server = Server::start(kind, &format!("{name}.example"), foreign).await?;
            let size = format!("{foreign} records of others");
            let told = format!("{}: changes in a zone with {size}", kind.name());
            pair.push(step(&told, changes(&world, &server, name, kind, size, arguments)).await?);
            servers.push((name, server));
        }
        all.extend(pair.pop().zip(pair.pop()).map(|(large, small)| (small, large)));
    }
    let zones: Vec<_> = servers.iter().map(|(name, server)| (*name, server)).collect();
    let rests = step("zones at rest", rest::count(&world, &zones, arguments.intervals)).await?;
    let rows = rest::rows(&zones, &rests);
    Ok((all, rests, rows))
}

/// Opens a zone, asks for one name in it, and changes that.
async fn changes(
    world: &World,
    server: &Server,
    zone: &str,
    kind: Kind,
    size: String,
    arguments: &Arguments,
) -> Result<Series> {
    world
        .open(zone, &server.domain, server.provider(zone), server.authorities())
        .await?;
    let entry = Entry {
        zone,
        domain: &server.domain,
        number: 0,
    };
    world.create(entry, address(0)).await?;
    world.published(entry, 1).await?;
    Box::pin(change::series(world, server, kind, size, entry, arguments.changes)).await
}

/// A zone in which many names are asked for, and one of them changed.
async fn crowd(binary: &Path, arguments: &Arguments) -> Result<(Series, Vec<Row>)> {
    let Arguments { crowd, changes, .. } = *arguments;
    let world = World::start(binary, crowd).await?;
    let server = Server::start(Kind::Bind, "crowd.example", FEW).await?;
    let zone = "crowd";
    world
        .open(zone, &server.domain, server.provider(zone), server.authorities())
        .await?;
    let entry = |number| Entry {
        zone,
        domain: &server.domain,
        number,
    };
    let began = Instant::now();
    step(&format!("BIND: {crowd} names at once"), async {
        world.create_all((0..crowd).map(entry), address(0)).await?;
        world.all_published(crowd).await
    })
    .await?;
    let took = began.elapsed();
    let asked = server.asked();
    let size = format!("{crowd} DnsRecords");
    let series = change::series(&world, &server, Kind::Bind, size, entry(crowd / 2), changes);
    let series = step("BIND: changes of one of them", Box::pin(series)).await?;
    let row = Row::new(
        format!("BIND, {crowd} records at once: all published"),
        format!("{:.1} s, {:.0} a second", took.as_secs_f64(), rate(crowd, took)),
    )
    .reference(format!("{} updates, {} questions", asked.calls, asked.reads));
    Ok((series, vec![row]))
}

impl Arguments {
    /// How much of everything, as people say it.
    pub fn words(&self) -> String {
        format!(
            "{} changes in each zone; {} names at once at the fake",
            self.changes, self.burst
        )
    }
}

impl Figures {
    /// What no machine can excuse.
    pub fn rules(&self) -> Vec<Rule> {
        let series = || {
            let sizes = self.series.iter().flat_map(|(small, large)| [small, large]);
            sizes.chain([&self.crowded])
        };
        let same = |(small, large): &(Series, Series)| large.asked.provider() <= small.asked.provider();
        vec![
            (
                "a_change_costs_its_provider_two_calls_at_most",
                series().all(Series::is_cheap),
            ),
            ("a_larger_zone_costs_no_more_calls", self.series.iter().all(same)),
            (
                "a_zone_at_rest_is_asked_once_an_interval",
                self.rests.iter().all(Rest::is_silent),
            ),
            (
                "many_names_at_once_are_written_once_each_within_the_limit",
                self.burst.is_clean(),
            ),
        ]
    }

    /// What is told of it.
    pub fn rows(self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (small, large) in &self.series {
            rows.extend(small.rows(None));
            rows.extend(large.rows(Some(small)));
        }
        rows.extend(self.crowd);
        let bind = self
            .series
            .iter()
            .map(|(small, _)| small)
            .find(|small| small.kind == Kind::Bind);
        rows.extend(self.crowded.rows(bind));
        rows.extend(self.burst.rows());
        rows.extend(self.rest);
        rows
    }
}
