//! Many names at once, at a provider that takes so many requests a second and no more.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;
use tremplin_e2e::dns::fake::{FakeOptions, Ovh};
use tremplin_e2e::dns::query::{self, RecordType};

use super::server::address;
use super::world::{Entry, World};
use crate::report::Row;
use crate::wait::until_looking;

const DOMAIN: &str = "ovh.example";
const ZONE: &str = "ovh";
/// How many times the limit's own time it may take.
const TARGET: f64 = 1.1;
/// How often the next name is asked for.
const ASK: Duration = Duration::from_millis(100);
/// How much longer than its limit it may take before it is given up.
const PATIENCE: u32 = 3;

/// What became of a burst.
#[derive(Debug)]
pub struct Burst {
    records: usize,
    /// Until the fake's name server answered all of them.
    answered: Duration,
    /// Until their statuses said so.
    published: Duration,
    /// What the limit alone takes for what cannot be done without.
    limit: Duration,
    writes: usize,
    refreshes: usize,
    /// What was refused by the limit.
    throttled: usize,
    reads: usize,
    /// What no client may ever call.
    forbidden: usize,
}

/// Creates so many records at once.
pub async fn run(world: &World, records: usize) -> Result<Burst> {
    let options = FakeOptions {
        limits: Ovh::LIMITS.to_vec(),
        ..FakeOptions::new(DOMAIN)
    };
    let ovh = Ovh::start(options).await?;
    let provider = json!({"type": "OVH", "secretRef": {"name": ZONE}, "ovh": {"url": ovh.url()}});
    let secret = vec![
        ("application-key", ovh.application_key()),
        ("application-secret", ovh.application_secret()),
        ("consumer-key", ovh.consumer_key()),
    ];
    let authorities = json!([{"address": ovh.dns().ip().to_string(), "port": ovh.dns().port()}]);
    world.open(ZONE, DOMAIN, (provider, secret), authorities).await?;
    ovh.forget_calls();
    let limit = limit(records);
    let began = Instant::now();
    let to = address(records);
    let entry = |number| Entry {
        zone: ZONE,
        domain: DOMAIN,
        number,
    };
    world.create_all((0..records).map(entry), to).await?;
    for name in (0..records).map(|number| entry(number).fqdn()) {
        let patience = (limit * PATIENCE + Duration::from_mins(1)).saturating_sub(began.elapsed());
        until_looking(ASK, &format!("{name} is served"), patience, async || {
            world.operator.process.check()?;
            let answer = query::ask(ovh.dns(), &name, RecordType::A).await?;
            Ok(answer.data(RecordType::A) == [to.to_string()])
        })
        .await?;
    }
    let answered = began.elapsed();
    world.all_published(records).await?;
    let published = began.elapsed();
    let calls = ovh.calls();
    let is_refresh = |path: &str| path.ends_with("/refresh");
    let taken = |status: u16| status < 400;
    Ok(Burst {
        records,
        answered,
        published,
        limit,
        writes: calls
            .iter()
            .filter(|call| call.method != "GET" && !is_refresh(&call.path) && taken(call.status))
            .count(),
        refreshes: calls
            .iter()
            .filter(|call| is_refresh(&call.path) && taken(call.status))
            .count(),
        throttled: calls.iter().filter(|call| call.status == 429).count(),
        reads: calls.iter().filter(|call| call.method == "GET").count(),
        forbidden: ovh.take_forbidden().len(),
    })
}

/// The time that the limit takes for data and mark of each record, and one refresh.
fn limit(records: usize) -> Duration {
    let calls = u32::try_from(2 * records + 1).unwrap_or(u32::MAX);
    let [limit] = Ovh::LIMITS;
    limit.every * calls.saturating_sub(limit.burst)
}

impl Burst {
    /// Whether each record and its mark were written once, and nothing was asked too often.
    pub fn is_clean(&self) -> bool {
        self.writes == 2 * self.records && self.throttled == 0 && self.forbidden == 0
    }

    /// What is told of it.
    pub fn rows(&self) -> Vec<Row> {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let times = self.answered.as_secs_f64() / self.limit.as_secs_f64();
        vec![
            Row::new(
                format!("OVHcloud's fake, {} records at once: all answered", self.records),
                format!("{}, {times:.2} ×", seconds(self.answered)),
            )
            .target(format!("≤ {TARGET} ×"), times <= TARGET)
            .reference(format!("{} by its limit of 20 requests a second", seconds(self.limit))),
            Row::new("  every status says published", seconds(self.published)),
            Row::new(
                "  writes, refreshes, reads",
                format!("{}, {}, {}", self.writes, self.refreshes, self.reads),
            )
            .reference(format!("{} writes, 1 refresh", 2 * self.records)),
            Row::new("  refused for the limit", self.throttled.to_string()).target("0", self.throttled == 0),
        ]
    }
}
