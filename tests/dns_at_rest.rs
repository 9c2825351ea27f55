//! What names cost when nothing changes: no write, and of each zone at most one request in its interval.
#![cfg(test)] // helpers here may unwrap as tests do

mod common;
#[path = "dns/world.rs"]
mod world;

use std::time::{Duration, Instant};

use common::{Operator, eventually, install, requests};
use kube::api::ListParams;
use serde_json::json;
use tremplin_core::api::{DnsRecord, DnsZone};
use tremplin_core::conditions::is_true;
use tremplin_e2e::audit::Mark;
use tremplin_e2e::dns::fault_proxy::FaultProxy;
use tremplin_e2e::dns::query::{self, RecordType};
use tremplin_e2e::{AuditLog, ControlPlane, ControlPlaneOptions};
use world::{Server, World};

const RECORDS: usize = 20;
/// The shortest interval that there is.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long it may take until every cache has forgotten that a name was not there.
const FORGOTTEN: Duration = Duration::from_mins(3);
/// Every other timer that can fire at rest.
const TIMERS: [&str; 3] = ["--resync=2s", "--watch-timeout=2s", "--lease=6s"];

/// A zone on PowerDNS, whose API is reached through a proxy that counts.
async fn opened(control_plane: &ControlPlane) -> (World, String, Server, FaultProxy) {
    let world = World {
        client: install(control_plane).await,
    };
    let server = Server::power_dns("rest.example", "www IN A 198.51.100.1").await;
    let Server::PowerDns(power_dns) = &server else {
        unreachable!()
    };
    let proxy = FaultProxy::start(&power_dns.url()).await.unwrap();
    let mut provider = server.provider("rest");
    provider["powerDNS"]["url"] = json!(proxy.url());
    let spec = json!({"provider": provider, "drift": {"intervalSeconds": INTERVAL.as_secs()}});
    world.open("rest", "rest.example", &server, &spec.to_string()).await;
    let team = world.team(control_plane, "blue").await;
    (world, team, server, proxy)
}

/// Waits until every cache has forgotten what was there before, and the zone was compared since the last write.
async fn settled(world: &World, team: &str) {
    let began = Instant::now();
    let is_settled = async || {
        let records = world.of::<DnsRecord>(team).list(&ListParams::default()).await.unwrap();
        let is_propagated = |record: &DnsRecord| {
            let status = record.status.as_ref().unwrap();
            is_true(&status.conditions, "Propagated")
        };
        let zone = world.cluster::<DnsZone>().get("rest").await.unwrap();
        let owned = zone.status.unwrap().records.map(|records| records.owned);
        records.items.iter().all(is_propagated) && owned == i32::try_from(RECORDS).ok()
    };
    while !is_settled().await {
        assert!(began.elapsed() < FORGOTTEN, "the records are never propagated");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until more than an interval has passed without a write.
async fn quiet(world: &World, log: &AuditLog) {
    let mut since = log.mark(&world.client).await.unwrap();
    let mut began = Instant::now();
    eventually("nothing is written", async || {
        let now = log.mark(&world.client).await.unwrap();
        if !written(log, since, now).is_empty() {
            (since, began) = (now, Instant::now());
        }
        (began.elapsed() > INTERVAL * 3 / 2).then_some(())
    })
    .await;
}

/// What was written to the API server, the lease aside.
fn written(log: &AuditLog, from: Mark, to: Mark) -> Vec<String> {
    let mut asked = requests(&log.between(from, to).unwrap());
    asked.retain(|request| !request.starts_with("get ") && !request.starts_with("list "));
    asked
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_at_rest_and_a_zone_is_asked_once_in_its_interval() {
    let control_plane = ControlPlane::start(ControlPlaneOptions::default()).await.unwrap();
    let (world, team, server, proxy) = opened(&control_plane).await;
    let log = control_plane.audit_log();
    let operator = Operator::plain(&control_plane, &TIMERS);
    for number in 0..RECORDS {
        let spec = format!("{{name: n{number}.rest.example, targets: [192.0.2.{number}]}}");
        world.commit(&team, &format!("n{number}"), &spec).await;
    }
    for number in 0..RECORDS {
        world.record(&team, &format!("n{number}"), "Published").await;
    }
    settled(&world, &team).await;
    quiet(&world, &log).await;

    let (seen, began) = (proxy.seen(), Instant::now());
    let before = log.mark(&world.client).await.unwrap();
    quiet(&world, &log).await;
    let after = log.mark(&world.client).await.unwrap();
    let asked = proxy.seen() - seen;
    let intervals = began.elapsed().as_secs().div_ceil(INTERVAL.as_secs());
    assert_eq!(requests(&log.between(before, after).unwrap()), Vec::<String>::new());
    assert!(asked as u64 <= intervals, "{asked} requests in {intervals} intervals");

    let serial = query::ask(server.dns(), "rest.example", RecordType::SOA).await.unwrap();
    operator.stop().await.unwrap();
    let down = log.mark(&world.client).await.unwrap();
    let operator = Operator::plain(&control_plane, &TIMERS);
    eventually("it leads again", async || {
        (operator.metric("tremplin_leader").await == Some(1.0)).then_some(())
    })
    .await;
    quiet(&world, &log).await;
    let up = log.mark(&world.client).await.unwrap();
    assert_eq!(written(&log, down, up), Vec::<String>::new());
    let now = query::ask(server.dns(), "rest.example", RecordType::SOA).await.unwrap();
    assert_eq!(
        now.data(RecordType::SOA),
        serial.data(RecordType::SOA),
        "the zone was written"
    );
    operator.stop().await.unwrap();
}
