//! One record is changed again and again: how soon the authoritative server answers so, and what that costs.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::server::{Asked, Kind, Server, address};
use super::world::{Entry, World};
use crate::cluster::USER;
use crate::ledger::Quantiles;
use crate::report::{Row, milliseconds, ratio};

/// How far above the server's own time the slowest of a hundred changes may be.
const BEYOND: Duration = Duration::from_millis(500);
/// Requests to the provider for a change.
pub const CALLS: usize = 2;
/// How much longer a change may take in a larger zone, the server's own time aside.
const SAME: f64 = 1.5;
/// Changes that are not counted: the first of an hour has the zone exported before it.
const WARM: usize = 3;

/// What was seen of the changes in one zone.
#[derive(Debug)]
pub struct Series {
    pub kind: Kind,
    /// What else is there, in words.
    pub size: String,
    /// How many changes were made.
    pub changes: usize,
    /// From the change of the DnsRecord to the first answer with it.
    pub answered: Quantiles,
    /// To the status that says so.
    pub published: Quantiles,
    /// From the same change, sent to the server itself, to the first answer with it.
    pub direct: Quantiles,
    /// What the server was asked.
    pub asked: Asked,
    /// Requests of the operator to the API server, those of its lease aside.
    pub requests: usize,
}

/// Changes one record of a zone so many times, and in turn with it, at the server itself, another name.
pub async fn series(
    world: &World,
    server: &Server,
    kind: Kind,
    size: String,
    entry: Entry<'_>,
    changes: usize,
) -> Result<Series> {
    for number in 0..WARM {
        change(world, server, entry, address(number)).await?;
    }
    let (mut answered, mut published, mut direct) = (Vec::new(), Vec::new(), Vec::new());
    let log = world.cluster.plane.audit_log();
    let from = log.mark(&world.cluster.admin).await?;
    let before = server.asked();
    for number in WARM..WARM + changes {
        let (to_answer, to_status) = change(world, server, entry, address(number)).await?;
        answered.push(to_answer);
        published.push(to_status);
        let began = Instant::now();
        server.change_directly(address(number)).await?;
        direct.push(began.elapsed());
    }
    let asked = server.asked().since(before);
    let events = log.between(from, log.mark(&world.cluster.admin).await?)?;
    let ours = events
        .iter()
        .filter(|event| event.user == USER && event.resource != "leases" && event.verb != "watch");
    Ok(Series {
        kind,
        size,
        changes,
        answered: Quantiles::of(answered),
        published: Quantiles::of(published),
        direct: Quantiles::of(direct),
        asked,
        requests: ours.count(),
    })
}

/// How long it took until it was answered, and until it was told.
async fn change(world: &World, server: &Server, entry: Entry<'_>, to: Ipv4Addr) -> Result<(Duration, Duration)> {
    let began = Instant::now();
    let generation = world.change(entry, to).await?;
    server.answers(&entry.fqdn(), to).await?;
    let answered = began.elapsed();
    world.published(entry, generation).await?;
    Ok((answered, began.elapsed()))
}

impl Series {
    /// Whether a change costs no more than it may.
    pub fn is_cheap(&self) -> bool {
        self.asked.calls <= CALLS * self.changes
    }

    /// What the operator and the API server take of the time of a change.
    fn own(&self) -> Duration {
        self.answered.percentile(50).saturating_sub(self.direct.percentile(50))
    }

    /// What is told of it; `small` is that of the same server with next to nothing in its zone.
    pub fn rows(&self, small: Option<&Self>) -> Vec<Row> {
        let pair = |times: &Quantiles| {
            format!(
                "{}, {}",
                milliseconds(times.percentile(50)),
                milliseconds(times.percentile(99))
            )
        };
        let beyond = self.answered.percentile(99).saturating_sub(self.direct.percentile(99));
        let each = |count: usize| format!("{:.2}", ratio(count as u64, self.changes as u64));
        let mut rows = vec![
            Row::new(
                format!("{}, {}: change → answer, p50, p99", self.kind.name(), self.size),
                pair(&self.answered),
            )
            .target(format!("p99 ≤ + {}", milliseconds(BEYOND)), beyond <= BEYOND)
            .reference(format!("{} by the server itself", pair(&self.direct))),
            Row::new("  change → status says published, p50, p99", pair(&self.published)),
        ];
        if let Some(small) = small {
            let times = self.own().as_secs_f64() / small.own().as_secs_f64();
            rows.push(
                Row::new("  p50 beyond the server's own time", milliseconds(self.own()))
                    .target(format!("≤ {SAME} ×"), times <= SAME)
                    .reference(format!("{} with {}", milliseconds(small.own()), small.size)),
            );
        }
        let (calls, more) = match self.kind {
            Kind::PowerDns => ("requests to its API per change", String::new()),
            Kind::Bind => (
                "updates per change",
                format!("{} questions on the same connections", each(self.asked.reads)),
            ),
        };
        rows.push(
            Row::new(format!("  {calls}"), each(self.asked.calls))
                .target(format!("≤ {CALLS}"), self.is_cheap())
                .reference(more),
        );
        rows.push(
            Row::new("  requests to the API server per change", each(self.requests))
                .reference(format!("{} questions to the authority", each(self.asked.questions))),
        );
        rows
    }
}
