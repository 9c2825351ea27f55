//! What zones are asked while nothing happens.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::server::{Asked, Server};
use super::world::World;
use crate::report::Row;
use crate::wait::until_looking;

/// The shortest interval that a DnsZone may have: what is counted are intervals.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// A zone of which nothing was read for so long, a whole interval among it, has settled.
const QUIET: Duration = Duration::from_secs(12);
/// How long it may take to.
const PATIENCE: Duration = Duration::from_mins(2);

/// What was asked of a zone in so many intervals.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    pub intervals: usize,
    pub asked: Asked,
}

/// Counts over intervals what these zones are asked, by name.
pub async fn count(world: &World, zones: &[(&str, &Server)], intervals: usize) -> Result<Vec<Rest>> {
    for (name, _) in zones {
        world.look_every(name, INTERVAL).await?;
    }
    // What was changed directly is found by the first look, which reads the whole zone.
    let read = || zones.iter().map(|(_, server)| server.asked().provider()).sum::<usize>();
    let mut last = usize::MAX;
    until_looking(QUIET, "the zones are read no more", PATIENCE, async || {
        let before = std::mem::replace(&mut last, read());
        Ok(before == last)
    })
    .await?;
    let before: Vec<_> = zones.iter().map(|(_, server)| server.asked()).collect();
    let began = Instant::now();
    tokio::time::sleep(INTERVAL * u32::try_from(intervals)?).await;
    let after = zones.iter().map(|(_, server)| server.asked());
    let asked = after.zip(before).map(|(after, before)| after.since(before));
    let asked: Vec<_> = asked.collect();
    // A busy machine sleeps longer than it was told to: what has begun counts.
    let intervals = usize::try_from(began.elapsed().as_millis().div_ceil(INTERVAL.as_millis()))?;
    Ok(asked.into_iter().map(|asked| Rest { intervals, asked }).collect())
}

impl Rest {
    /// Whether it was asked once an interval at most.
    pub fn is_silent(&self) -> bool {
        self.asked.total() <= self.intervals
    }
}

/// What is told of it.
pub fn rows(zones: &[(&str, &Server)], rests: &[Rest]) -> Vec<Row> {
    let row = |((name, _), rest): (&(&str, &Server), &Rest)| {
        let Rest { intervals, asked } = rest;
        Row::new(
            format!(
                "at rest for {intervals} intervals of {} s, {name}: asked",
                INTERVAL.as_secs()
            ),
            asked.total().to_string(),
        )
        .target(format!("≤ {intervals}"), rest.is_silent())
        .reference(format!(
            "{} calls to the provider, {} questions to the authority",
            asked.provider(),
            asked.questions
        ))
    };
    zones.iter().zip(rests).map(row).collect()
}
